/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The batch loop: parse all, look all up, work on all, with each step's memory asked for one step
 * before.
 */
#include "tcp/internal.h"

enum { BATCH = 32 };

static void prefetch_frames(struct tcp_engine *e, const struct rx_frame *frames, u32 n)
{
	for (u32 i = 0; i < n; i++)
		prefetch(buf_at(e->bufs, frames[i].buf));
	for (u32 i = 0; i < n; i++) {
		const u8 *p = buf_data(e->bufs, frames[i].buf);

		prefetch(p);
		prefetch(p + CACHE_LINE_BYTES);
	}
}

static void parse_frames(struct tcp_engine *e, struct rx_frame *frames, u32 n, struct segment *segs)
{
	for (u32 i = 0; i < n; i++) {
		frames[i].verdict = segment_parse(e, &frames[i], &segs[i], &frames[i].reason);
		if (likely(frames[i].verdict == FRAME_PENDING))
			flowtab_prefetch(&e->lookup, segs[i].hash);
	}
}

/* Asks for the control blocks of what the hash alone says; lookup_frame() compares the rest. */
static void prefetch_conns(struct tcp_engine *e, const struct rx_frame *frames, u32 n,
                           const struct segment *segs)
{
	for (u32 i = 0; i < n; i++) {
		u32 pos = segs[i].hash;
		u32 index;
		u8 *c;

		if (frames[i].verdict != FRAME_PENDING)
			continue;
		index = flowtab_next(&e->lookup, segs[i].hash, &pos);
		if (index == NIL)
			continue;
		c = (u8 *)conn_at(e, index);
		prefetchw(c);
		prefetchw(c + 1 * CACHE_LINE_BYTES);
		prefetchw(c + 2 * CACHE_LINE_BYTES);
		prefetchw(c + 3 * CACHE_LINE_BYTES);
	}
}

static bool matches(const struct tcp_engine *e, const struct tcp_conn *c, const struct segment *s)
{
	const struct tcp_path *p = &e->paths[c->path];

	if (c->local_port != s->local_port || c->remote_port != s->remote_port || p->v4 != s->v4)
		return false;
	if (likely(s->v4))
		return memcmp(p->local.b + 12, s->ip + 16, 4) == 0 &&
		       memcmp(p->remote.b + 12, s->ip + 12, 4) == 0;
	return memcmp(p->local.b, s->ip + 24, 16) == 0 && memcmp(p->remote.b, s->ip + 8, 16) == 0;
}

static struct tcp_conn *lookup_segment(struct tcp_engine *e, const struct segment *s)
{
	flowtab_for_each (&e->lookup, s->hash, index)
		if (likely(matches(e, conn_at(e, index), s)))
			return conn_at(e, index);
	return NULL;
}

static void work_on_frame(struct tcp_engine *e, struct rx_frame *f, struct segment *s)
{
	struct tcp_conn *c = lookup_segment(e, s);

	if (!c) {
		f->verdict = FRAME_TO_HOST;
		f->reason = TCP_TO_HOST_NO_CONNECTION;
		return;
	}
	f->reason = segment_verify(e, f, s);
	if (f->reason == TCP_DROP_NONE && unlikely(!segment_options(s)))
		f->reason = TCP_DROP_OPTION;
	if (unlikely(f->reason != TCP_DROP_NONE)) {
		f->verdict = FRAME_DROPPED;
		return;
	}
	f->verdict = FRAME_CONSUMED;
	if (!segment_input(e, c, s, f->buf))
		buf_put_chain(e->bufs, f->buf);
}

static void input_batch(struct tcp_engine *e, struct rx_frame *frames, u32 n)
{
	struct segment segs[BATCH];

	prefetch_frames(e, frames, n);
	parse_frames(e, frames, n, segs);
	prefetch_conns(e, frames, n, segs);
	for (u32 i = 0; i < n; i++) {
		if (likely(frames[i].verdict == FRAME_PENDING))
			work_on_frame(e, &frames[i], &segs[i]);
		if (frames[i].verdict == FRAME_TO_HOST)
			e->n.to_host[frames[i].reason]++;
		else if (frames[i].verdict == FRAME_DROPPED)
			e->n.dropped[frames[i].reason]++;
	}
}

void tcp_input(struct tcp_engine *e, struct rx_frame *frames, u32 n, u64 now_ns)
{
	engine_set_now(e, now_ns);
	e->n.frames_in += n;
	for (u32 at = 0; at < n; at += BATCH)
		input_batch(e, frames + at, min_of(n - at, (u32)BATCH));
}

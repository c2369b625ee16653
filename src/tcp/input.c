/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The batch loop: parse all, look all up, work on all, with each step's memory asked for one step
 * before.
 */
#include "tcp/reassembly.h"

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

enum wire_reason frame_parse(struct tcp_engine *e, const struct rx_frame *f, struct segment *ret)
{
	const struct buf *b = buf_at(e->bufs, f->buf);
	enum wire_reason reason =
		wire_parse_tcp(buf_data(e->bufs, f->buf), b->len, f->len, &ret->w);

	ret->pieces = 1;
	if (unlikely(f->gso_bytes && reason == WIRE_OK && ret->w.payload_len > f->gso_bytes))
		ret->pieces = (ret->w.payload_len + f->gso_bytes - 1) / f->gso_bytes;
	return reason;
}

bool frame_csum_ok(struct tcp_engine *e, const struct rx_frame *f, const struct segment *s)
{
	if (f->csum != FRAME_CSUM_UNKNOWN)
		return true;
	if (f->port < TCP_PORTS_MAX && e->config.ports[f->port].rx_trusted)
		return true;
	return wire_tcp_csum_ok(&s->w, e->bufs, f->buf);
}

static void set_verdict(struct tcp_engine *e, struct rx_frame *f, u8 verdict, u8 reason)
{
	f->verdict = verdict;
	f->reason = reason;
	e->n.reasons[reason]++;
}

static void parse_frames(struct tcp_engine *e, struct rx_frame *frames, u32 n, struct segment *segs)
{
	for (u32 i = 0; i < n; i++) {
		enum wire_reason reason = frame_parse(e, &frames[i], &segs[i]);

		frames[i].verdict = FRAME_PENDING;
		frames[i].reason = WIRE_OK;
		if (likely(reason == WIRE_OK || reason == WIRE_TCP_URGENT)) {
			segs[i].hash = flow_key_hash(&e->key, &segs[i].w.flow);
			flowtab_prefetch(&e->lookup, segs[i].hash);
		} else {
			set_verdict(e, &frames[i],
			            wire_reason_is_drop(reason) ? FRAME_DROPPED : FRAME_TO_HOST,
			            reason);
		}
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
		prefetchw(c + 4 * CACHE_LINE_BYTES);
	}
}

static struct tcp_conn *lookup_segment(struct tcp_engine *e, const struct segment *s)
{
	flowtab_for_each (&e->lookup, s->hash, index) {
		struct tcp_conn *c = conn_at(e, index);
		const struct tcp_path *p = &e->paths[c->path];

		if (likely(c->local_port == s->w.flow.local_port &&
		           c->remote_port == s->w.flow.remote_port &&
		           ip_addr_eq(&p->local, &s->w.flow.local) &&
		           ip_addr_eq(&p->remote, &s->w.flow.remote)))
			return c;
	}
	return NULL;
}

static void work_on_frame(struct tcp_engine *e, struct rx_frame *f, struct segment *s)
{
	struct tcp_conn *c = lookup_segment(e, s);

	if (unlikely(!c)) {
		set_verdict(e, f, FRAME_TO_HOST, TCP_TO_HOST_NO_CONNECTION);
		return;
	}
	if (unlikely(!frame_csum_ok(e, f, s))) {
		set_verdict(e, f, FRAME_DROPPED, WIRE_TCP_CHECKSUM);
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
	for (u32 i = 0; i < n; i++)
		if (likely(frames[i].verdict == FRAME_PENDING))
			work_on_frame(e, &frames[i], &segs[i]);
}

void tcp_input(struct tcp_engine *e, struct rx_frame *frames, u32 n, u64 now_ns)
{
	engine_set_now(e, now_ns);
	e->n.frames_in += n;
	if (unlikely(pool_is_low(e)))
		reassembly_reclaim(e);
	for (u32 at = 0; at < n; at += BATCH)
		input_batch(e, frames + at, min_of(n - at, (u32)BATCH));
}

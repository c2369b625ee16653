/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/stream.h"

#include <errno.h>
#include <stdio.h>

enum {
	POSTED_EVERY = 4, /* one stream of so many uses posted calls */
	CALL_BYTES = 2048,
};

u8 stream_byte(u32 stream, u32 side, u32 offset)
{
	return (u8)(offset * 131 ^ (offset >> 8) * 7 ^ stream * 17 ^ side * 91);
}

static u32 index_of(const struct world *w, const struct stream_end *e, u32 side)
{
	return (u32)((const struct stream *)(e - side) - w->streams);
}

void stream_init(struct world *w, u32 stream)
{
	struct stream *s = &w->streams[stream];

	s->posted = stream % POSTED_EVERY == 1;
	for (u32 side = 0; side < 2; side++) {
		u32 bytes = w->config.bytes;

		/* Some say nothing, some little, most about what was asked for. */
		if (prng_below(&w->prng, 8) == 0)
			bytes = prng_below(&w->prng, 200);
		s->end[side].total = bytes / 2 + prng_below(&w->prng, bytes + 1);
	}
}

static void receive_bytes(struct world *w, u32 side, struct stream_end *e, const u8 *bytes, u32 n)
{
	u32 stream = index_of(w, e, side);

	for (u32 i = 0; i < n; i++) {
		if (bytes[i] == stream_byte(stream, !side, e->received + i))
			continue;
		world_wrong(w, "stream %u to machine %u: byte %u is wrong", stream, side,
		            e->received + i);
		return;
	}
	e->received += n;
	if (e->received > w->streams[stream].end[!side].total)
		world_wrong(w, "stream %u to machine %u: more bytes than were sent", stream, side);
}

static void ended(struct world *w, u32 side, struct stream_end *e)
{
	u32 stream = index_of(w, e, side);
	const struct stream_end *peer = &w->streams[stream].end[!side];

	if (e->received != peer->total)
		world_wrong(w, "stream %u to machine %u: ended after %u of %u bytes", stream, side,
		            e->received, peer->total);
	e->eof = true;
}

/* -- posted calls ------------------------------------------------------------------------------ */

static void received(struct world *w, u32 side, struct stream_end *e, const struct host_done *done)
{
	e->posts_out--;
	if (done->status == STATUS_ABORTED && e->eof)
		return;
	if (done->status != STATUS_OK)
		world_wrong(w, "a posted receive of stream %u ended with %s", index_of(w, e, side),
		            status_word(done->status));
	else if (done->bytes)
		receive_bytes(w, side, e, e->buffers[done->cookie], done->bytes);
	else if (!e->eof)
		ended(w, side, e);
}

void stream_done(struct world *w, u32 side, const struct host_done *done)
{
	struct stream_end *e = done->owner;

	if (done->kind == DATA_RECV) {
		received(w, side, e, done);
		return;
	}
	if (done->kind == DATA_SEND)
		e->send_out = false;
	if (done->status != STATUS_OK && done->status != STATUS_UPLOAD_IN_PROGRESS)
		world_wrong(w, "a posted %s of stream %u ended with %s",
		            done->kind == DATA_SEND ? "send" : "disconnect", index_of(w, e, side),
		            status_word(done->status));
}

static u32 fill(struct world *w, u32 side, struct stream_end *e)
{
	u32 stream = index_of(w, e, side);
	u32 n = min_of(e->total - e->sent, 1 + prng_below(&w->prng, sizeof(e->out)));

	for (u32 i = 0; i < n; i++)
		e->out[i] = stream_byte(stream, side, e->sent + i);
	return n;
}

static void post(struct world *w, u32 side, struct stream_end *e)
{
	struct host *host = w->machine[side]->host;

	host_pump(host, e->host);
	while (e->posts_out < WORLD_POSTS && !e->eof) {
		const struct recv_call r = {.conn = e->host,
		                            .data = e->buffers[e->post_at],
		                            .len = WORLD_POST_BYTES,
		                            .flags = RECV_PUSH,
		                            .cookie = e->post_at};

		e->post_at = (e->post_at + 1) % WORLD_POSTS;
		e->posts_out++;
		if (host_post_receive(host, &r))
			world_wrong(w, "a receive of stream %u was not taken",
			            index_of(w, e, side));
	}
	if (!e->send_out && e->sent < e->total) {
		struct send_call s = {.conn = e->host, .data = e->out, .len = fill(w, side, e)};

		e->sent += s.len;
		e->send_out = true;
		if (host_post_send(host, &s))
			world_wrong(w, "a send of stream %u was not taken", index_of(w, e, side));
	}
}

/* -- socket-like calls ------------------------------------------------------------------------- */

static bool is_trouble(s64 taken)
{
	return taken < 0 && taken != -EAGAIN;
}

static void call(struct world *w, u32 side, struct stream_end *e)
{
	struct host *host = w->machine[side]->host;
	u8 bytes[CALL_BYTES];
	struct recv_call r = {.conn = e->host, .data = bytes, .len = sizeof(bytes)};

	if (e->sent < e->total) {
		struct send_call s = {.conn = e->host, .data = e->out, .len = fill(w, side, e)};

		host_send(host, &s, 1);
		if (is_trouble(s.taken))
			world_wrong(w, "sending on stream %u of machine %u: error %d",
			            index_of(w, e, side), side, (int)-s.taken);
		e->sent += s.taken > 0 ? (u32)s.taken : 0;
	}
	if (e->eof)
		return;
	host_receive(host, &r, 1);
	if (r.taken > 0)
		receive_bytes(w, side, e, bytes, (u32)r.taken);
	else if (r.taken == -ESHUTDOWN)
		ended(w, side, e);
	else if (is_trouble(r.taken))
		world_wrong(w, "receiving on stream %u of machine %u: error %d",
		            index_of(w, e, side), side, (int)-r.taken);
}

void streams_run(struct world *w, u32 side)
{
	for (u32 i = 0; i < w->config.conns; i++) {
		struct stream_end *e = &w->streams[i].end[side];
		const struct disconnect_call d = {.conn = e->host};

		if (!e->open || (e->fin && e->eof))
			continue;
		if (w->streams[i].posted)
			post(w, side, e);
		else
			call(w, side, e);
		if (e->sent < e->total || e->send_out || e->fin || w->config.keep_open)
			continue;
		e->fin = true;
		if (host_disconnect(w->machine[side]->host, &d))
			world_wrong(w, "the end of stream %u was not taken", i);
	}
}

static void describe(struct world *w, u32 stream, u32 side, char *text, size_t size)
{
	struct machine *m = w->machine[side];
	const struct stream_end *e = &w->streams[stream].end[side];
	struct host_conn_info info = {0};
	struct tcp_state s = {0};
	bool target = !host_query(m->host, e->host, &s);
	const struct tcp_delegated *d = &s.d;

	(void)!host_conn_info(m->host, e->host, &info);
	if (!target && !soft_look(m->soft, e->soft, &s))
		memset(&s, 0, sizeof(s));
	snprintf(text, size,
	         "; end %u %s side %u object %u queued %u there %u: state %u una %u nxt %u max %u "
	         "wnd %u cwnd %u backoff %u rtx %lld persist %lld rcv_nxt %u rcv_wnd %u send %u "
	         "recv %u ooo %u fin %x",
	         side, target ? "target" : "stack", info.side, info.object, info.queued,
	         info.at_device, d->state, d->snd_una.n, d->snd_nxt.n, d->snd_max.n, d->snd_wnd,
	         d->cwnd_bytes, d->rto_backoff, (long long)d->retransmit_left_ns,
	         (long long)d->persist_left_ns, d->rcv_nxt.n, d->rcv_wnd, d->send.len, d->recv.len,
	         d->ooo.n, d->fin);
}

static bool is_done(const struct world *w, const struct stream *s, u32 side)
{
	return s->end[side].received == s->end[!side].total &&
	       (w->config.keep_open || (s->end[side].eof && s->end[side].fin));
}

const char *streams_state(struct world *w)
{
	static char text[560];

	for (u32 i = 0; i < w->config.conns; i++) {
		const struct stream_end *e = w->streams[i].end;
		int n;

		if (is_done(w, &w->streams[i], 0) && is_done(w, &w->streams[i], 1))
			continue;
		n = snprintf(text, sizeof(text), "stream %u: %u/%u/%u and %u/%u/%u", i,
		             e[1].received, e[0].sent, e[0].total, e[0].received, e[1].sent,
		             e[1].total);
		describe(w, i, 0, text + n, sizeof(text) - (size_t)n);
		n += (int)strlen(text + n);
		describe(w, i, 1, text + n, sizeof(text) - (size_t)n);
		return text;
	}
	return "all done";
}

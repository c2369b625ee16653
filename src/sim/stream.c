/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/plant.h"

enum {
	POSTED_EVERY = 4, /* one stream of so many uses posted calls */
	CALL_BYTES = 16384,
};

u8 stream_byte(u32 stream, u32 end, u32 offset)
{
	return (u8)(offset * 131 ^ (offset >> 8) * 7 ^ stream * 17 ^ end * 91);
}

u32 stream_of(const struct world *w, const void *owner, u32 *ret_end)
{
	u32 stream = (u32)(((const u8 *)owner - (const u8 *)w->streams) / sizeof(struct stream));

	*ret_end = owner == &w->streams[stream].end[1];
	return stream;
}

u32 world_stream(const struct world *w, u16 local_port, u16 remote_port, u32 *ret_end)
{
	u16 client, server;
	u32 stream;

	*ret_end = local_port < STREAM_CLIENT_PORT;
	client = *ret_end ? remote_port : local_port;
	server = *ret_end ? local_port : remote_port;
	if (client < STREAM_CLIENT_PORT || server < STREAM_SERVER_PORT ||
	    server >= STREAM_SERVER_PORT + STREAM_SERVERS)
		return NIL;
	stream = (u32)(server - STREAM_SERVER_PORT) * STREAM_CLIENTS + client - STREAM_CLIENT_PORT;
	return stream < w->n_streams ? stream : NIL;
}

static const struct world_open *open_of(const struct world *w, u32 stream)
{
	return &w->group[w->streams[stream].group].open;
}

static u32 draw_total(struct world *w, u32 bytes)
{
	/* Some say nothing, some little, most about what was asked for. */
	if (prng_below(&w->prng, 8) == 0)
		bytes = prng_below(&w->prng, min_of(bytes, 200u) + 1);
	return bytes / 2 + prng_below(&w->prng, bytes + 1);
}

bool stream_init(struct world *w, u32 stream, u32 group)
{
	struct stream *s = &w->streams[stream];
	const struct world_open *o = &w->group[group].open;

	memset(s, 0, sizeof(*s));
	s->group = group;
	s->posted = stream % POSTED_EVERY == 1;
	for (u32 end = 0; end < 2; end++) {
		struct stream_end *e = &s->end[end];

		e->machine = end ? o->to : o->from;
		e->total = o->write_every ? o->bytes : draw_total(w, o->bytes);
		e->allowed = o->write_every ? 0 : e->total;
		if (!s->posted)
			continue;
		e->buffers = malloc(WORLD_POSTS * WORLD_POST_BYTES + WORLD_OUT_BYTES);
		if (!e->buffers)
			return false;
	}
	return true;
}

static const char *name_of(const struct world *w, const struct stream_end *e)
{
	return w->config.host[e->machine].name;
}

static void receive_bytes(struct world *w, u32 stream, u32 end, const u8 *bytes, u32 n)
{
	struct stream_end *e = &w->streams[stream].end[end];

	w->checks[CHECK_BYTES]++;
	for (u32 i = 0; i < n; i++) {
		if (bytes[i] == stream_byte(stream, !end, e->received + i))
			continue;
		world_wrong(w, CHECK_BYTES, "stream %u to %s: byte %u is wrong", stream,
		            name_of(w, e), e->received + i);
		return;
	}
	e->received += n;
	if (e->received > w->streams[stream].end[!end].total)
		world_wrong(w, CHECK_BYTES, "stream %u to %s: more bytes than were sent", stream,
		            name_of(w, e));
}

static void ended(struct world *w, u32 stream, u32 end)
{
	struct stream_end *e = &w->streams[stream].end[end];
	u32 total = w->streams[stream].end[!end].total;

	if (e->received != total)
		world_wrong(w, CHECK_BYTES, "stream %u to %s: ended after %u of %u bytes", stream,
		            name_of(w, e), e->received, total);
	e->eof = true;
}

/* -- posted calls ------------------------------------------------------------------------------ */

static void received(struct world *w, u32 stream, u32 end, const struct host_done *done)
{
	struct stream_end *e = &w->streams[stream].end[end];

	e->posts_out--;
	if (done->status == STATUS_ABORTED && (e->eof || w->settling))
		return;
	if (done->status != STATUS_OK)
		world_wrong(w, CHECK_RESULT, "a posted receive of stream %u ended with %s", stream,
		            status_word(done->status));
	else if (done->bytes)
		receive_bytes(w, stream, end, e->buffers + done->cookie * WORLD_POST_BYTES,
		              done->bytes);
	else if (!e->eof)
		ended(w, stream, end);
}

void stream_done(struct world *w, const struct host_done *done)
{
	u32 end, stream = stream_of(w, done->owner, &end);
	struct stream_end *e = done->owner;

	world_touch(w, stream, end);
	if (done->kind == DATA_RECV) {
		received(w, stream, end, done);
		return;
	}
	if (done->kind == DATA_SEND)
		e->send_out = false;
	if (done->status != STATUS_OK && done->status != STATUS_UPLOAD_IN_PROGRESS)
		world_wrong(w, CHECK_RESULT, "a posted %s of stream %u ended with %s",
		            done->kind == DATA_SEND ? "send" : "disconnect", stream,
		            status_word(done->status));
}

static u32 fill(struct world *w, u32 stream, u32 end, u8 *out)
{
	const struct stream_end *e = &w->streams[stream].end[end];
	u32 n = min_of(e->allowed - e->sent, 1 + prng_below(&w->prng, WORLD_OUT_BYTES));

	for (u32 i = 0; i < n; i++)
		out[i] = stream_byte(stream, end, e->sent + i);
	return n;
}

static void post(struct world *w, u32 stream, u32 end)
{
	struct stream_end *e = &w->streams[stream].end[end];
	struct host *host = w->machine[e->machine]->host;
	u8 *out = e->buffers + WORLD_POSTS * WORLD_POST_BYTES;

	host_pump(host, e->host);
	while (e->posts_out < WORLD_POSTS && !e->eof) {
		const struct recv_call r = {.conn = e->host,
		                            .data = e->buffers + e->post_at * WORLD_POST_BYTES,
		                            .len = WORLD_POST_BYTES,
		                            .flags = RECV_PUSH,
		                            .cookie = e->post_at};

		e->post_at = (e->post_at + 1) % WORLD_POSTS;
		e->posts_out++;
		if (host_post_receive(host, &r))
			world_wrong(w, CHECK_RESULT, "a receive of stream %u was not taken",
			            stream);
	}
	if (!e->send_out && e->sent < e->allowed) {
		struct send_call s = {.conn = e->host, .data = out};

		s.len = fill(w, stream, end, out);
		e->sent += s.len;
		e->send_out = true;
		if (host_post_send(host, &s))
			world_wrong(w, CHECK_RESULT, "a send of stream %u was not taken", stream);
	}
}

/* -- socket-like calls ------------------------------------------------------------------------- */

static bool is_trouble(s64 taken)
{
	return taken < 0 && taken != -EAGAIN;
}

static void send_some(struct world *w, u32 stream, u32 end)
{
	struct stream_end *e = &w->streams[stream].end[end];
	struct host *host = w->machine[e->machine]->host;
	u8 out[WORLD_OUT_BYTES];

	while (e->sent < e->allowed) {
		struct send_call s = {.conn = e->host, .data = out};

		s.len = fill(w, stream, end, out);
		host_send(host, &s, 1);
		if (is_trouble(s.taken))
			world_wrong(w, CHECK_RESULT, "sending on stream %u of %s: error %d", stream,
			            name_of(w, e), (int)-s.taken);
		if (s.taken <= 0)
			return;
		e->sent += (u32)s.taken;
		if (s.taken < (s64)s.len)
			return;
	}
}

static void receive_some(struct world *w, u32 stream, u32 end)
{
	struct stream_end *e = &w->streams[stream].end[end];
	struct host *host = w->machine[e->machine]->host;
	u8 bytes[CALL_BYTES];

	while (!e->eof && !w->wrong[0]) {
		struct recv_call r = {.conn = e->host, .data = bytes, .len = sizeof(bytes)};

		host_receive(host, &r, 1);
		if (r.taken > 0 && w->planted < CHECKS)
			plant_bytes(w, stream, end, bytes);
		if (r.taken > 0)
			receive_bytes(w, stream, end, bytes, (u32)r.taken);
		else if (r.taken == -ESHUTDOWN)
			ended(w, stream, end);
		else if (is_trouble(r.taken))
			world_wrong(w, CHECK_RESULT, "receiving on stream %u of %s: error %d",
			            stream, name_of(w, e), (int)-r.taken);
		if (r.taken < (s64)sizeof(bytes))
			return;
	}
}

static bool is_open(struct world *w, struct stream_end *e)
{
	if (!e->open && e->adopted)
		e->open = soft_state(w->machine[e->machine]->soft, e->soft) == TCP_ESTABLISHED;
	return e->open;
}

void stream_run(struct world *w, u32 stream, u32 end)
{
	struct stream *s = &w->streams[stream];
	struct stream_end *e = &s->end[end];
	const struct disconnect_call d = {.conn = e->host};

	if (!is_open(w, e) || (e->fin && e->eof))
		return;
	if (s->posted) {
		post(w, stream, end);
	} else {
		receive_some(w, stream, end);
		send_some(w, stream, end);
	}
	if (e->sent < e->total || e->send_out || e->fin || open_of(w, stream)->keep_open)
		return;
	e->fin = true;
	if (host_disconnect(w->machine[e->machine]->host, &d))
		world_wrong(w, CHECK_RESULT, "the end of stream %u was not taken", stream);
}

void stream_allow(struct world *w, u32 stream, u32 bytes)
{
	for (u32 end = 0; end < 2; end++) {
		struct stream_end *e = &w->streams[stream].end[end];

		if (e->allowed == e->total)
			continue;
		e->allowed = min_of(e->allowed + bytes, e->total);
		world_touch(w, stream, end);
	}
}

/* -- ends -------------------------------------------------------------------------------------- */

static bool is_done(const struct world *w, u32 stream, u32 end)
{
	const struct stream *s = &w->streams[stream];
	const struct stream_end *e = &s->end[end];

	return e->received == s->end[!end].total &&
	       (open_of(w, stream)->keep_open || (e->eof && e->fin));
}

bool stream_is_done(const struct world *w, u32 stream)
{
	return is_done(w, stream, 0) && is_done(w, stream, 1);
}

static void let_go(struct world *w, u32 stream, struct stream_end *e)
{
	struct machine *m = w->machine[e->machine];

	if (host_release(m->host, e->host))
		world_wrong(w, CHECK_RESULT, "stream %u is not released by %s", stream,
		            name_of(w, e));
	soft_close(m->soft, e->soft);
	e->released = true;
}

void stream_reap(struct world *w, u32 stream)
{
	for (u32 end = 0; end < 2; end++) {
		struct stream_end *e = &w->streams[stream].end[end];
		struct machine *m = w->machine[e->machine];
		struct host_conn_info info;

		if (!e->fin || !e->eof || e->released || e->posts_out || e->send_out ||
		    w->move[e->machine].active || host_conn_info(m->host, e->host, &info) ||
		    info.side != HOST_IN_STACK || soft_state(m->soft, e->soft) != TCP_CLOSED)
			continue;
		let_go(w, stream, e);
	}
}

void stream_close(struct world *w, u32 stream)
{
	for (u32 end = 0; end < 2; end++) {
		struct stream_end *e = &w->streams[stream].end[end];

		if (e->adopted && !e->released)
			let_go(w, stream, e);
	}
}

u64 streams_progress(const struct world *w)
{
	u64 sum = 0;

	for (u32 i = 0; i < w->n_streams; i++) {
		for (u32 end = 0; end < 2; end++) {
			const struct stream_end *e = &w->streams[i].end[end];

			sum += e->received + e->eof + e->fin + e->open;
		}
	}
	return sum;
}

static size_t describe(struct world *w, u32 stream, u32 end, char *text, size_t size)
{
	const struct stream_end *e = &w->streams[stream].end[end];
	struct machine *m = w->machine[e->machine];
	struct host_conn_info info = {0};
	struct tcp_state s = {0};
	bool target = !host_query(m->host, e->host, &s);
	const struct tcp_delegated *d = &s.d;
	int n;

	(void)!host_conn_info(m->host, e->host, &info);
	if (!target && !soft_look(m->soft, e->soft, &s))
		memset(&s, 0, sizeof(s));
	n = snprintf(text, size,
	             "; %s: %s, %u of %u sent, %u received, object %u queued %u there %u, state %u "
	             "una %u nxt %u max %u wnd %u cwnd %u backoff %u rtx %lld persist %lld rcv_nxt "
	             "%u rcv_wnd %u send %u recv %u ooo %u fin %x",
	             name_of(w, e), target ? "target" : "stack", e->sent, e->total, e->received,
	             info.object, info.queued, info.at_device, d->state, d->snd_una.n, d->snd_nxt.n,
	             d->snd_max.n, d->snd_wnd, d->cwnd_bytes, d->rto_backoff,
	             (long long)d->retransmit_left_ns, (long long)d->persist_left_ns, d->rcv_nxt.n,
	             d->rcv_wnd, d->send.len, d->recv.len, d->ooo.n, d->fin);
	return n > 0 ? (size_t)n : 0;
}

const char *streams_state(struct world *w)
{
	static char text[580];

	for (u32 i = 0; i < w->n_streams; i++) {
		size_t n;

		if (stream_is_done(w, i))
			continue;
		n = (size_t)snprintf(text, sizeof(text), "stream %u", i);
		n += describe(w, i, 0, text + n, sizeof(text) - n);
		if (n < sizeof(text))
			describe(w, i, 1, text + n, sizeof(text) - n);
		return text;
	}
	return "all done";
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The data calls: send, receive, disconnect, forward. */
#include <errno.h>

#include "target/internal.h"

/* -- common -------------------------------------------------------------------------------------
 */

/* The connection and whether the call may go ahead on it. */
static enum status look_up(struct target *t, handle h, enum legal_call call,
                           struct target_conn **ret_conn)
{
	struct target_conn *c = conn_find(t, h);

	*ret_conn = c;
	if (unlikely(!c))
		return STATUS_STALE_HANDLE;
	if (unlikely(c->flags & TC_ORPHANED))
		calls_orphaned(t, c);
	return legal_check(conn_state(t, c), call);
}

static s64 status_errno(const struct target_conn *c, enum status status)
{
	switch (status) {
	case STATUS_STALE_HANDLE:
		return -ESTALE;
	case STATUS_BUSY:
		return -EAGAIN;
	case STATUS_UPLOAD_IN_PROGRESS:
		return -EINPROGRESS;
	case STATUS_ABORTED:
		return c->error ? -(s64)c->error : -ECONNRESET;
	default:
		return -EINVAL;
	}
}

static void refuse(struct target *t, const struct target_conn *c, enum data_kind kind,
                   enum status status, u64 cookie)
{
	complete_call(t, (struct data_completion){.kind = (u8)kind,
	                                          .status = (u16)status,
	                                          .cookie = cookie,
	                                          .host = c ? c->host : HANDLE_NONE});
}

/* -- send ---------------------------------------------------------------------------------------
 */

/* Before data leaves for a neighbor that nobody has heard of for long (semantics 5.10). */
static void look_at_neighbor(struct target *t, const struct target_conn *c)
{
	struct target_neighbor *n = &t->neighbors[t->paths[c->path].neighbor];

	if (unlikely(n->check_at_ns <= t->now_ns))
		check_reachable(t, n);
}

static s64 send_buffered(struct target *t, struct target_conn *c, const struct send_call *call)
{
	s64 n = 0;

	if (c->flags & TC_SHUT)
		return -EPIPE;
	/* Bytes that were posted go first. */
	if (c->send_head == NIL || t->calls[c->send_tail].done == t->calls[c->send_tail].len)
		n = tcp_send(t->engine, c->eng, call->data, call->len);
	if (unlikely(n < 0))
		return n;
	c->accepted += (u32)n;
	t->stats.bytes_taken += (u64)n;
	watch_bytes(t, c, (u32)n, true);
	if (n < call->len) {
		c->flags |= TC_WANT_ROOM;
		if (!tcp_send_pending(t->engine, c->eng))
			starve(t, c);
	} else if (call->flags & SEND_FIN) {
		tcp_shutdown(t->engine, c->eng);
		c->flags |= TC_SHUT;
	}
	return n;
}

/* Does a FIN stand in the queue already? */
static bool fin_queued(const struct target *t, const struct target_conn *c)
{
	return c->flags & TC_SHUT ||
	       (c->send_tail != NIL && t->calls[c->send_tail].flags & SEND_FIN);
}

static void send_posted(struct target *t, struct target_conn *c, const struct send_call *s)
{
	struct target_call *call;
	u32 region;

	if (fin_queued(t, c) || !memory_find(t, s->data, s->len, &region)) {
		refuse(t, c, DATA_SEND, STATUS_BAD_STATE, s->cookie);
		return;
	}
	call = call_post(t, c, DATA_SEND);
	if (!call) {
		refuse(t, c, DATA_SEND, STATUS_BUSY, s->cookie);
		return;
	}
	call->data = (uintptr_t)s->data;
	call->region = region;
	call->cookie = s->cookie;
	call->len = s->len;
	call->flags = (u16)(s->flags & SEND_FIN);
	if (!calls_pump(t, c))
		kick(t, c);
}

static void data_send(void *device, struct send_call *calls, u32 n)
{
	struct target *t = device;

	for (u32 i = 0; i < n; i++) {
		struct send_call *s = &calls[i];
		struct target_conn *c;
		enum status status = look_up(t, s->conn, LEGAL_CALL_DATA, &c);
		bool buffered = s->flags & SEND_BUFFERED;

		if (unlikely(status)) {
			s->taken = status_errno(c, status);
			if (!buffered)
				refuse(t, c, DATA_SEND, status, s->cookie);
			continue;
		}
		look_at_neighbor(t, c);
		if (buffered)
			s->taken = send_buffered(t, c, s);
		else
			send_posted(t, c, s);
	}
	tell_host(t);
}

/* -- receive ------------------------------------------------------------------------------------
 */

/* Copies from the chain without consuming. */
static u32 peek(struct target *t, const struct target_conn *c, u8 *to, u32 len)
{
	struct data_ref at = tcp_recv_peek(t->engine, c->eng);

	if (!at.len)
		return 0;
	return buf_chain_copy(t->pool, at.buf, at.off - buf_at(t->pool, at.buf)->off, to,
	                      min_of(len, at.len));
}

/* All, some or none of the unread bytes, now (R65). */
static s64 receive_now(struct target *t, struct target_conn *c, const struct recv_call *call)
{
	s64 n;

	if (c->recv_head != NIL)
		return -EINVAL; /* the posted ones come first */
	if (call->flags & RECV_PEEK)
		return peek(t, c, call->data, call->len);
	n = tcp_recv(t->engine, c->eng, call->data, call->len);
	if (unlikely(n <= 0))
		return n;
	t->stats.bytes_given += (u64)n;
	watch_bytes(t, c, (u32)n, false);
	c->flags |= TC_ARMED;
	if (c->flags & TC_FIN_SEEN) {
		c->events |= TCP_EV_READABLE; /* the end may have come near enough to be told */
		kick(t, c);
	}
	return n;
}

bool receive_queue(struct target *t, struct target_conn *c, const struct recv_call *r)
{
	struct target_call *call;
	u32 region;

	if (!memory_find(t, r->data, r->len, &region)) {
		refuse(t, c, DATA_RECV, STATUS_BAD_STATE, r->cookie);
		return false;
	}
	call = call_post(t, c, DATA_RECV);
	if (!call) {
		refuse(t, c, DATA_RECV, STATUS_BUSY, r->cookie);
		return false;
	}
	call->data = (uintptr_t)r->data;
	call->region = region;
	call->cookie = r->cookie;
	call->len = r->len;
	call->flags = (u16)(r->flags & RECV_PUSH);
	c->flags |= TC_ARMED;
	return true;
}

static void receive_posted(struct target *t, struct target_conn *c, const struct recv_call *r)
{
	if (receive_queue(t, c, r) && (!calls_fill(t, c) || c->flags & TC_FIN_SEEN))
		kick(t, c);
}

/* Taking indicated bytes is legal longer than posting: data goes on being indicated after an upload
 * was asked for, and a connection that was reset may still hold some. */
static enum status may_take(const struct target *t, const struct target_conn *c, enum status status)
{
	u8 state = conn_state(t, c);

	if (legal_verdict(state, LEGAL_CALL_INDICATE) == LEGAL_YES)
		return STATUS_OK;
	if (state == OBJECT_ABORTED && tcp_recv_pending(t->engine, c->eng))
		return STATUS_OK;
	return status;
}

static void receive_one(struct target *t, struct recv_call *r)
{
	struct target_conn *c;
	enum status status = look_up(t, r->conn, LEGAL_CALL_DATA, &c);
	bool now = r->flags & RECV_NOW;

	if (now && c && status)
		status = may_take(t, c, status);
	if (unlikely(status)) {
		r->taken = status_errno(c, status);
		if (!now && (r->len || status == STATUS_STALE_HANDLE))
			refuse(t, c, DATA_RECV, status, r->cookie);
		return;
	}
	r->taken = 0;
	if (now) {
		r->taken = receive_now(t, c, r);
	} else if (r->len) {
		receive_posted(t, c, r);
	} else {
		c->flags |= TC_ARMED;
		c->events |= TCP_EV_READABLE;
		kick(t, c);
	}
}

static void data_receive(void *device, struct recv_call *calls, u32 n)
{
	struct target *t = device;

	for (u32 i = 0; i < n; i++)
		receive_one(t, &calls[i]);
	tell_host(t);
}

/* -- disconnect ---------------------------------------------------------------------------------
 */

static void disconnect_one(struct target *t, struct disconnect_call *d)
{
	struct target_conn *c;
	enum status status = look_up(t, d->conn, LEGAL_CALL_DATA, &c);
	struct target_call *call;

	if (!status && (d->abortive ? !!(c->flags & TC_ABORTING) : fin_queued(t, c)))
		status = STATUS_BAD_STATE;
	if (status) {
		refuse(t, c, DATA_DISCONNECT, status, d->cookie);
		return;
	}
	call = call_post(t, c, DATA_DISCONNECT);
	if (!call) {
		refuse(t, c, DATA_DISCONNECT, STATUS_BUSY, d->cookie);
		return;
	}
	call->cookie = d->cookie;
	if (d->abortive) {
		/* The RST leaves at the next flush; TCP_EV_CLOSED answers all calls. */
		c->flags |= TC_ABORTING;
		tcp_abort(t->engine, c->eng);
		return;
	}
	call->flags = SEND_FIN;
	if (!calls_pump(t, c))
		kick(t, c);
}

static void data_disconnect(void *device, struct disconnect_call *calls, u32 n)
{
	struct target *t = device;

	for (u32 i = 0; i < n; i++)
		disconnect_one(t, &calls[i]);
	tell_host(t);
}

/* -- forward ------------------------------------------------------------------------------------
 */

static void forward_some(struct target *t, struct forward_call **calls, u32 n)
{
	struct rx_frame frames[FORWARD_BATCH];

	for (u32 i = 0; i < n; i++)
		frames[i] = *calls[i]->frame;
	tcp_input(t->engine, frames, n, t->now_ns);
	for (u32 i = 0; i < n; i++) {
		*calls[i]->frame = frames[i];
		/* Dropped is processed too: the host would do no better with it. */
		if (frames[i].verdict == FRAME_DROPPED) {
			buf_put_chain(t->pool, frames[i].buf);
			calls[i]->frame->verdict = FRAME_CONSUMED;
		}
		if (frames[i].verdict == FRAME_TO_HOST) {
			calls[i]->status = STATUS_FAILED;
			t->stats.forward_refused++;
			continue;
		}
		calls[i]->status = STATUS_OK;
		t->stats.forwarded++;
	}
}

/* R39, R40: frames are in buffers of our pool. */
static void data_forward(void *device, struct forward_call *calls, u32 n)
{
	struct target *t = device;
	struct forward_call *batch[FORWARD_BATCH];
	u32 n_batch = 0;

	for (u32 i = 0; i < n; i++) {
		struct target_conn *c;

		calls[i].status = (u16)look_up(t, calls[i].conn, LEGAL_CALL_FORWARD, &c);
		if (c)
			c->activity.fragments =
				(u16)min_of(c->activity.fragments + calls[i].fragments, 65535);
		if (calls[i].status == STATUS_UPLOAD_IN_PROGRESS &&
		    upload_keep(t, c, calls[i].frame)) {
			calls[i].frame->verdict = FRAME_CONSUMED;
			calls[i].status = STATUS_OK;
			continue;
		}
		if (calls[i].status) {
			t->stats.forward_refused++;
			continue;
		}
		batch[n_batch++] = &calls[i];
		if (n_batch == FORWARD_BATCH) {
			forward_some(t, batch, n_batch);
			n_batch = 0;
		}
	}
	forward_some(t, batch, n_batch);
	tell_host(t);
}

const struct data_ops target_data_ops = {
	.send = data_send,
	.receive = data_receive,
	.disconnect = data_disconnect,
	.forward = data_forward,
};

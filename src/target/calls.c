/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Posted calls: sends that wait for their bytes to be acknowledged, receives that wait for bytes,
 * a disconnect that waits for its FIN. They are descriptors of a pool in the arena, two queues a
 * connection.
 *
 * The pool holds every byte; it is copied once into the buffer that was posted, or once out of it.
 * Which buffers may be posted: memory.c.
 */
#include <errno.h>

#include "target/internal.h"

/* -- descriptors --------------------------------------------------------------------------------
 */

void calls_rebuild(struct target *t)
{
	t->call_free = NIL;
	t->calls_used = 0;
	for (u32 i = t->config.posted; i-- > 0;) {
		if (t->calls[i].taken) {
			t->calls_used++;
			continue;
		}
		t->calls[i].next = t->call_free;
		t->call_free = i;
	}
}

void calls_reset(struct target *t)
{
	for (u32 i = 0; i < t->config.posted; i++)
		t->calls[i].taken = 0;
	calls_rebuild(t);
}

struct target_call *call_post(struct target *t, struct target_conn *c, enum data_kind kind)
{
	u32 *head = kind == DATA_RECV ? &c->recv_head : &c->send_head;
	u32 *tail = kind == DATA_RECV ? &c->recv_tail : &c->send_tail;
	u32 i = t->call_free;

	if (i == NIL || c->n_posted >= t->config.posted_per_connection) {
		t->stats.posted_refused++;
		return NULL;
	}
	t->call_free = t->calls[i].next;
	t->calls_used++;
	c->n_posted++;
	t->calls[i] = (struct target_call){
		.next = NIL, .region = NIL, .kind = (u8)kind, .taken = 1, .end = c->accepted};
	if (*tail == NIL)
		*head = i;
	else
		t->calls[*tail].next = i;
	*tail = i;
	return &t->calls[i];
}

static void call_release(struct target *t, u32 i)
{
	t->calls[i].taken = 0;
	t->calls[i].next = t->call_free;
	t->call_free = i;
	t->calls_used--;
}

/* Takes the head of a queue off and answers it. */
static void call_finish(struct target *t, struct target_conn *c, u32 *head, u32 *tail,
                        struct data_completion done)
{
	u32 i = *head;

	done.cookie = t->calls[i].cookie;
	done.kind = t->calls[i].kind;
	done.host = c->host;
	*head = t->calls[i].next;
	if (*head == NIL)
		*tail = NIL;
	c->n_posted--;
	call_release(t, i);
	complete_call(t, done);
}

/* -- sending ------------------------------------------------------------------------------------
 */

/* Copies as much of one send as the engine takes. False: it takes no more now. */
static bool push_send(struct target *t, struct target_conn *c, struct target_call *call)
{
	s64 n;

	if (call->done < call->len) {
		n = tcp_send(t->engine, c->eng, call_bytes(t, call), call->len - call->done);
		if (n < 0)
			return false; /* an event says why */
		call->done += (u32)n;
		c->accepted += (u32)n;
		t->stats.bytes_taken += (u64)n;
		watch_bytes(t, c, (u32)n, true);
		call->end = c->accepted;
		if (call->done < call->len) {
			if (!tcp_send_pending(t->engine, c->eng))
				starve(t, c);
			return false;
		}
	}
	if (call->flags & SEND_FIN && !(c->flags & TC_SHUT)) {
		tcp_shutdown(t->engine, c->eng);
		c->flags |= TC_SHUT;
	}
	return true;
}

bool calls_pump(struct target *t, struct target_conn *c)
{
	u32 acked;

	if (likely(c->send_head == NIL))
		return true;
	for (u32 i = c->send_head; i != NIL; i = t->calls[i].next) {
		if (!push_send(t, c, &t->calls[i]))
			break;
	}
	acked = c->accepted - tcp_send_pending(t->engine, c->eng);
	while (c->send_head != NIL) {
		const struct target_call *call = &t->calls[c->send_head];

		if (call->done < call->len || (s32)(acked - call->end) < 0)
			break;
		if (call->kind == DATA_DISCONNECT && !(c->flags & TC_FIN_ACKED))
			break;
		if (!done_room(t))
			return false;
		call_finish(t, c, &c->send_head, &c->send_tail,
		            (struct data_completion){.status = STATUS_OK, .bytes = call->len});
	}
	return true;
}

/* -- receiving ----------------------------------------------------------------------------------
 */

static void push_timer_start(struct target *t, struct target_conn *c)
{
	u32 i = conn_index(t, c);

	if (c->flags & TC_TIMED)
		return;
	c->flags |= TC_TIMED;
	c->push_at_ns = t->now_ns + t->config.push_timer_ns;
	c->push_next = NIL;
	c->push_prev = t->push_tail;
	if (t->push_tail == NIL)
		t->push_head = i;
	else
		t->conns[t->push_tail].push_next = i;
	t->push_tail = i;
}

void push_timer_stop(struct target *t, struct target_conn *c)
{
	if (!(c->flags & TC_TIMED))
		return;
	c->flags &= (u16)~TC_TIMED;
	if (c->push_prev == NIL)
		t->push_head = c->push_next;
	else
		t->conns[c->push_prev].push_next = c->push_next;
	if (c->push_next == NIL)
		t->push_tail = c->push_prev;
	else
		t->conns[c->push_next].push_prev = c->push_prev;
}

/* Is the head of the receives to be given back, with what it holds? */
static bool is_due(const struct target_conn *c, const struct target_call *call, bool drained)
{
	if (call->done == call->len)
		return true;
	if (!drained)
		return false;
	if (c->flags & TC_FIN_SEEN)
		return true;
	return call->done && call->flags & RECV_PUSH && c->flags & TC_PUSHED;
}

bool calls_fill(struct target *t, struct target_conn *c)
{
	bool drained = !tcp_recv_pending(t->engine, c->eng);

	while (c->recv_head != NIL) {
		struct target_call *call = &t->calls[c->recv_head];

		if (!drained && call->done < call->len) {
			s64 n = tcp_recv(t->engine, c->eng, call_bytes(t, call),
			                 call->len - call->done);

			call->done += n > 0 ? (u32)n : 0;
			t->stats.bytes_given += n > 0 ? (u64)n : 0;
			watch_bytes(t, c, n > 0 ? (u32)n : 0, true);
			drained = n <= 0 || !tcp_recv_pending(t->engine, c->eng);
		}
		if (!is_due(c, call, drained))
			break;
		if (!done_room(t))
			return false;
		push_timer_stop(t, c);
		call_finish(t, c, &c->recv_head, &c->recv_tail,
		            (struct data_completion){.status = STATUS_OK, .bytes = call->done});
	}
	if (drained)
		c->flags &= (u16)~TC_PUSHED;
	if (c->recv_head != NIL && t->calls[c->recv_head].done &&
	    t->calls[c->recv_head].flags & RECV_PUSH)
		push_timer_start(t, c);
	return true;
}

/* The push timer: a push buffer that holds something is given back as it is. */
void push_timers(struct target *t)
{
	while (t->push_head != NIL && t->conns[t->push_head].push_at_ns <= t->now_ns) {
		struct target_conn *c = &t->conns[t->push_head];

		push_timer_stop(t, c);
		c->flags |= TC_PUSHED;
		kick(t, c);
	}
}

/* -- the end ------------------------------------------------------------------------------------
 */

/* What the host must know of a send that was cut short: how far the peer has acknowledged it, and
 * how much more of it is in the send queue. */
static struct data_completion cut_send(const struct target_conn *c, const struct target_call *call,
                                       u32 acked, enum status status)
{
	s32 over = (s32)(acked - (call->end - call->done));
	struct data_completion done = {.kind = DATA_SEND, .status = (u16)status};

	if (call->done)
		done.bytes = over <= 0 ? 0 : min_of((u32)over, call->done);
	done.queued = call->done - done.bytes;
	return done;
}

static void end_send(struct target *t, struct target_conn *c, const struct target_call *call,
                     u32 acked, enum status status)
{
	struct data_completion done = {.kind = DATA_DISCONNECT, .status = (u16)status};

	if (call->kind == DATA_SEND)
		done = cut_send(c, call, acked, status);
	else
		done.queued = !!(c->flags & TC_SHUT);
	/* Our own abort is what an abortive disconnect waits for. */
	if (call->kind == DATA_DISCONNECT && c->flags & TC_ABORTING && status == STATUS_ABORTED)
		done.status = STATUS_OK;
	done.cookie = call->cookie;
	done.host = c->host;
	complete_call(t, done);
}

void calls_end(struct target *t, struct target_conn *c, enum status status)
{
	struct target_conn was = *c;
	u32 acked = 0;
	u32 next;

	if (likely(c->send_head == NIL && c->recv_head == NIL))
		return;
	push_timer_stop(t, c);
	if (c->send_head != NIL)
		acked = c->accepted - tcp_send_pending(t->engine, c->eng);
	/* The host may be called below: nothing of the connection is looked at any more. */
	c->send_head = c->send_tail = NIL;
	c->recv_head = c->recv_tail = NIL;
	c->n_posted = 0;
	for (u32 i = was.send_head; i != NIL; i = next) {
		struct target_call call = t->calls[i];

		next = call.next;
		call_release(t, i);
		end_send(t, &was, &call, acked, status);
	}
	for (u32 i = was.recv_head; i != NIL; i = next) {
		struct target_call call = t->calls[i];

		next = call.next;
		call_release(t, i);
		complete_call(t, (struct data_completion){.kind = DATA_RECV,
		                                          .status = (u16)status,
		                                          .bytes = call.done,
		                                          .cookie = call.cookie,
		                                          .host = was.host});
	}
}

void calls_orphaned(struct target *t, struct target_conn *c)
{
	c->flags &= (u16)~TC_ORPHANED;
	calls_end(t, c, STATUS_UPLOAD_IN_PROGRESS);
}

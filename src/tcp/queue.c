/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Send and receive queues: chains of buffers that belong to one connection alone. The data of the
 * send queue begins at snd_una, that of the receive queue at the first unread byte: descriptors
 * are cut as either moves.
 */
#include "tcp/internal.h"

#include <errno.h>

enum {
	SMALL_SEND = BUF_SMALL_BYTES, /* at most this much goes into a small buffer */
	SEND_RESERVE_DIVISOR = 8,
};

/* -- chains ------------------------------------------------------------------------------------ */

u32 chain_trim_front(struct buf_pool *pool, u32 head, u32 n)
{
	while (head != NIL && n >= buf_at(pool, head)->len) {
		struct buf *b = buf_at(pool, head);
		u32 next = b->next;

		n -= b->len;
		buf_put(pool, head);
		head = next;
	}
	if (head != NIL) {
		buf_at(pool, head)->off += n;
		buf_at(pool, head)->len -= n;
	}
	return head;
}

u32 chain_truncate(struct buf_pool *pool, u32 head, u32 len)
{
	struct buf *b = buf_at(pool, head);

	while (len > b->len) {
		len -= b->len;
		head = b->next;
		b = buf_at(pool, head);
	}
	b->len = len;
	if (unlikely(b->next != NIL)) {
		buf_put_chain(pool, b->next);
		b->next = NIL;
	}
	return head;
}

void chain_put(struct buf_pool *pool, u32 head, u32 tail)
{
	while (head != NIL) {
		u32 next = head == tail ? NIL : buf_at(pool, head)->next;

		buf_put(pool, head);
		head = next;
	}
}

/* -- send -------------------------------------------------------------------------------------- */

/* Copies into the free space behind the tail's data. */
static u32 fill_tail(struct tcp_engine *e, struct tcp_conn *c, const u8 *data, u32 len)
{
	struct buf *b;
	u32 n;

	if (c->snd_tail == NIL)
		return 0;
	b = buf_at(e->bufs, c->snd_tail);
	if (unlikely(b->refs != 1))
		return 0;
	n = min_of(len, buf_capacity(e->bufs, c->snd_tail) - b->off - b->len);
	memcpy(buf_bytes(e->bufs, c->snd_tail) + b->off + b->len, data, n);
	b->len += n;
	return n;
}

/* Senders leave a part of the pool alone: without room for the ACKs nothing would ever be freed. */
static u32 alloc_to_send(struct tcp_engine *e, enum buf_class cls)
{
	if (unlikely(e->bufs->n_free[cls] <= e->bufs->count[cls] / SEND_RESERVE_DIVISOR)) {
		e->bufs->exhausted[cls]++;
		return NIL;
	}
	return buf_alloc(e->bufs, cls);
}

static bool grow_send(struct tcp_engine *e, struct tcp_conn *c, u32 len)
{
	enum buf_class cls = len <= SMALL_SEND ? BUF_SMALL : BUF_LARGE;
	u32 buf = alloc_to_send(e, cls);

	if (unlikely(buf == NIL))
		buf = alloc_to_send(e, cls == BUF_SMALL ? BUF_LARGE : BUF_SMALL);
	if (unlikely(buf == NIL))
		return false;
	if (c->snd_tail == NIL)
		c->snd_head = buf;
	else
		buf_at(e->bufs, c->snd_tail)->next = buf;
	c->snd_tail = buf;
	return true;
}

u32 queue_append(struct tcp_engine *e, struct tcp_conn *c, const u8 *data, u32 len)
{
	u32 done = fill_tail(e, c, data, len);

	while (done < len) {
		if (!grow_send(e, c, len - done))
			break;
		done += fill_tail(e, c, data + done, len - done);
	}
	c->snd_queued += done;
	return done;
}

void queue_release(struct tcp_engine *e, struct tcp_conn *c, u32 len)
{
	u32 head = c->snd_head;

	c->snd_queued -= len;
	while (len) {
		struct buf *b = buf_at(e->bufs, head);
		u32 next = b->next;

		if (len < b->len) {
			b->off += len;
			b->len -= len;
			break;
		}
		len -= b->len;
		if (head == c->snd_cursor)
			c->snd_cursor = NIL;
		buf_put(e->bufs, head);
		head = next;
	}
	c->snd_head = head;
	if (head == NIL)
		c->snd_tail = NIL;
	else if (head == c->snd_cursor)
		c->snd_cursor = NIL; /* its first byte is snd_una now: the head serves */
}

void queue_locate(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq, struct data_ref *ret)
{
	tcp_seq start = c->snd_una;
	u32 buf = c->snd_head;
	struct buf *b;

	if (c->snd_cursor != NIL && seq_geq(seq, c->snd_cursor_seq)) {
		buf = c->snd_cursor;
		start = c->snd_cursor_seq;
	}
	b = buf_at(e->bufs, buf);
	while ((u32)seq_diff(seq, start) >= b->len) {
		start = seq_add(start, b->len);
		buf = b->next;
		b = buf_at(e->bufs, buf);
	}
	if (buf != c->snd_head) {
		c->snd_cursor = buf;
		c->snd_cursor_seq = start;
	}
	ret->buf = buf;
	ret->off = b->off + (u32)seq_diff(seq, start);
}

u32 tcp_send_room(struct tcp_engine *e, u32 conn)
{
	const struct tcp_conn *c = conn_at(e, conn);

	return c->snd_queued < c->snd_buf_bytes ? c->snd_buf_bytes - c->snd_queued : 0;
}

u32 tcp_send_pending(struct tcp_engine *e, u32 conn)
{
	return conn_at(e, conn)->snd_queued;
}

/* Why nothing can be sent, 0 when it can. */
static int send_error(const struct tcp_conn *c)
{
	if (c->error)
		return -c->error;
	if ((c->fin & TCP_FIN_QUEUED) || c->state == TCP_CLOSED || c->state == TCP_TIME_WAIT)
		return -EPIPE;
	return 0;
}

s64 tcp_send(struct tcp_engine *e, u32 conn, const void *data, u32 len)
{
	struct tcp_conn *c = conn_at(e, conn);
	int error = send_error(c);
	u32 n;

	if (unlikely(error))
		return error;
	n = queue_append(e, c, data, min_of(len, tcp_send_room(e, conn)));
	if (n)
		conn_mark_dirty(e, c);
	return n;
}

/* -- receive ----------------------------------------------------------------------------------- */

/* Whether the segment fits behind the tail's data and is small enough to be worth the copy. */
static bool copy_receive(struct tcp_engine *e, struct tcp_conn *c, u32 head, u32 len)
{
	struct buf *tail, *b = buf_at(e->bufs, head);
	u32 end;

	if (c->rcv_tail == NIL || len > SMALL_RECEIVE || b->len != len)
		return false;
	tail = buf_at(e->bufs, c->rcv_tail);
	end = tail->off + tail->len;
	if (end + len > buf_capacity(e->bufs, c->rcv_tail) || tail->refs != 1)
		return false;
	memcpy(buf_bytes(e->bufs, c->rcv_tail) + end, buf_data(e->bufs, head), len);
	tail->len += len;
	buf_put(e->bufs, head);
	return true;
}

/* Of two buffers of a receive queue that touch one holds more than SMALL_RECEIVE, or the first is
 * full up to that; a send queue is packed but for its ends and the cut between two classes. */
u32 tcp_buffers_worst(u32 recv_bytes, u32 send_bytes)
{
	return 2 * (recv_bytes / (SMALL_RECEIVE + 1) + 1) + send_bytes / BUF_SMALL_BYTES + 2;
}

void queue_receive(struct tcp_engine *e, struct tcp_conn *c, u32 head, u32 tail, u32 len)
{
	c->rcv_queued += len;
	if (copy_receive(e, c, head, len))
		return;
	if (c->rcv_tail == NIL)
		c->rcv_head = head;
	else
		buf_at(e->bufs, c->rcv_tail)->next = head;
	if (tail == NIL)
		for (tail = head; buf_at(e->bufs, tail)->next != NIL;)
			tail = buf_at(e->bufs, tail)->next;
	c->rcv_tail = tail;
}

u32 tcp_recv_pending(struct tcp_engine *e, u32 conn)
{
	return conn_at(e, conn)->rcv_queued;
}

struct data_ref tcp_recv_peek(struct tcp_engine *e, u32 conn)
{
	const struct tcp_conn *c = conn_at(e, conn);

	if (!c->rcv_queued)
		return (struct data_ref){.buf = NIL};
	return (struct data_ref){
		.buf = c->rcv_head,
		.off = buf_at(e->bufs, c->rcv_head)->off,
		.len = c->rcv_queued,
	};
}

void tcp_recv_skip(struct tcp_engine *e, u32 conn, u32 len)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (!len)
		return;
	len = min_of(len, c->rcv_queued);
	c->rcv_head = chain_trim_front(e->bufs, c->rcv_head, len);
	c->rcv_queued -= len;
	if (c->rcv_head == NIL)
		c->rcv_tail = NIL;
	/* Reading may have opened the window far enough to tell the peer; output decides. */
	if (window_update_due(e, c))
		ack_now(e, c);
}

s64 tcp_recv(struct tcp_engine *e, u32 conn, void *to, u32 len)
{
	struct tcp_conn *c = conn_at(e, conn);
	u32 n;

	if (!c->rcv_queued) {
		if (c->fin & TCP_FIN_RECEIVED)
			return -ESHUTDOWN;
		return c->error ? -c->error : 0;
	}
	n = buf_chain_copy(e->bufs, c->rcv_head, 0, to, min_of(len, c->rcv_queued));
	tcp_recv_skip(e, conn, n);
	return n;
}

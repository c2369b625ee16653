/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Posted calls of a connection: the two queues in which they wait, their way to the device, inside
 * a request or by themselves, by reference or by copies.
 */
#include <errno.h>

#include "host/priv.h"

/* -- queues ------------------------------------------------------------------------------------ */

void posted_enqueue(struct host *h, struct host_conn *c, u32 index)
{
	struct fifo *q = &c->queue[posted_queue(&h->io[index])];

	h->io[index].next = NIL;
	if (q->head == NIL)
		q->head = index;
	else
		h->io[q->tail].next = index;
	q->tail = index;
	c->queued++;
}

u32 posted_dequeue(struct host *h, struct host_conn *c, u32 queue)
{
	struct fifo *q = &c->queue[queue];
	u32 index = q->head;

	q->head = h->io[index].next;
	if (q->head == NIL)
		q->tail = NIL;
	c->queued--;
	return index;
}

/* Into the place that its number gives it: what came back stands before what was posted since. */
void posted_put_back(struct host *h, struct host_conn *c, u32 index)
{
	struct fifo *q = &c->queue[posted_queue(&h->io[index])];
	u32 *link = &q->head;

	while (*link != NIL && h->io[*link].number < h->io[index].number)
		link = &h->io[*link].next;
	h->io[index].next = *link;
	*link = index;
	if (h->io[index].next == NIL)
		q->tail = index;
	c->queued++;
	h->counters.calls_returned++;
}

void posted_complete(struct host *h, u32 index, enum status status, u32 bytes)
{
	const struct host_io io = h->io[index];
	const struct host_conn *c = &h->conn[io.conn];
	const struct host_done done = {
		.conn = conn_handle(h, c),
		.owner = c->owner,
		.cookie = io.cookie,
		.kind = io.kind,
		.status = status,
		.bytes = io.filled + bytes,
	};

	(void)!slots_release(&h->io_slots, slots_handle(&h->io_slots, index));
	if (h->env.done)
		h->env.done(h->env.ctx, &done, 1);
}

void switch_abort_posted(struct host *h, struct host_conn *c)
{
	for (u32 q = 0; q < 2; q++) {
		while (c->queue[q].head != NIL)
			posted_complete(h, posted_dequeue(h, c, q), STATUS_ABORTED, 0);
	}
}

/* -- to the device ----------------------------------------------------------------------------- */

static bool posted_may(const struct host_conn *c)
{
	enum legal verdict = legal_verdict(c->object, LEGAL_CALL_DATA);

	return c->side == HOST_IN_CHIMNEY &&
	       (verdict == LEGAL_YES || verdict == LEGAL_QUEUED || verdict == LEGAL_ABORTED);
}

static void post_one(struct host *h, struct host_conn *c, u32 index)
{
	const struct data_ops *ops = h->env.device->data;
	const struct host_io *io = &h->io[index];
	u64 cookie = slots_handle(&h->io_slots, index);

	h->io[index].at_device = true;
	c->at_device++;
	if (io->kind == DATA_SEND) {
		struct send_call call = {.conn = c->device,
		                         .data = io->data,
		                         .len = io->len,
		                         .flags = io->flags,
		                         .cookie = cookie};

		ops->send(host_device(h), &call, 1);
	} else if (io->kind == DATA_RECV) {
		struct recv_call call = {.conn = c->device,
		                         .data = io->data,
		                         .len = io->len,
		                         .flags = io->flags,
		                         .cookie = cookie};

		ops->receive(host_device(h), &call, 1);
	} else {
		struct disconnect_call call = {
			.conn = c->device, .cookie = cookie, .abortive = io->abortive};

		ops->disconnect(host_device(h), &call, 1);
	}
}

/* Of `n` bytes more. */
void posted_advance(struct host_io *io, u32 n)
{
	io->data = (u8 *)io->data + n;
	io->len -= n;
	io->filled += n;
}

/* R109: a send whose buffer the device cannot reach. False: it has to wait. */
static bool copy_send(struct host *h, struct host_conn *c, u32 index)
{
	struct host_io *io = &h->io[index];
	struct send_call call = {.conn = c->device,
	                         .data = io->data,
	                         .len = io->len,
	                         .flags = io->flags | SEND_BUFFERED,
	                         .taken = -EAGAIN};

	h->env.device->data->send(host_device(h), &call, 1);
	if (call.taken == -EAGAIN || call.taken == -EINPROGRESS)
		return false;
	if (call.taken < 0) {
		posted_complete(h, posted_dequeue(h, c, QUEUE_SEND),
		                call.taken == -EPIPE ? STATUS_BAD_STATE : STATUS_ABORTED, 0);
		return true;
	}
	h->counters.bytes_copied += (u64)call.taken;
	posted_advance(io, (u32)call.taken);
	if (io->len)
		return false;
	posted_complete(h, posted_dequeue(h, c, QUEUE_SEND), STATUS_UPLOAD_IN_PROGRESS, 0);
	return true;
}

static bool copy_receive(struct host *h, struct host_conn *c, u32 index)
{
	struct host_io *io = &h->io[index];
	struct recv_call call = {.conn = c->device,
	                         .data = io->data,
	                         .len = io->len,
	                         .flags = RECV_NOW,
	                         .taken = -EAGAIN};

	h->env.device->data->receive(host_device(h), &call, 1);
	switch (call.taken) {
	case 0:
	case -EAGAIN:
	case -EINPROGRESS:
	case -EINVAL: /* others that were posted are before it */
		return false;
	case -ESHUTDOWN:
		posted_complete(h, posted_dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
		return true;
	default:
		break;
	}
	if (call.taken < 0) {
		posted_complete(h, posted_dequeue(h, c, QUEUE_RECV), STATUS_ABORTED, 0);
		return true;
	}
	h->counters.bytes_copied += (u64)call.taken;
	posted_advance(io, (u32)call.taken);
	/* What was indicated is what a push buffer waits for. */
	if (io->len && !(io->flags & RECV_PUSH))
		return false;
	posted_complete(h, posted_dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
	return true;
}

/* The head of a queue; false: it has to wait. */
static bool post_head(struct host *h, struct host_conn *c, u32 queue)
{
	u32 index = c->queue[queue].head;
	const struct host_io *io = &h->io[index];

	if (io->held)
		posted_complete(h, posted_dequeue(h, c, queue), STATUS_OK, 0);
	else if (io->kind == DATA_DISCONNECT || memory_reached(h, io->data, io->len))
		post_one(h, c, posted_dequeue(h, c, queue));
	else
		return io->kind == DATA_SEND ? copy_send(h, c, index) : copy_receive(h, c, index);
	return true;
}

/* Everything that waits; a call that the device has no room for comes back at once, and the rest
 * waits behind it. */
void posted_flush(struct host *h, struct host_conn *c, u32 queue)
{
	u64 returned = h->counters.calls_returned;

	while (c->queue[queue].head != NIL && posted_may(c) &&
	       h->counters.calls_returned == returned)
		if (!post_head(h, c, queue))
			break;
}

void switch_ready(struct host *h, struct host_conn *c)
{
	posted_flush(h, c, QUEUE_SEND);
	posted_flush(h, c, QUEUE_RECV);
}

/* -- when the device has no room, or nothing at all ----------------------------------------------
 */

void posted_starve(struct host *h, struct host_conn *c)
{
	struct fifo *q = &h->starved;

	if (c->starved || c->at_device)
		return;
	c->starved = true;
	c->starved_next = NIL;
	if (q->head == NIL)
		q->head = conn_index(h, c);
	else
		h->conn[q->tail].starved_next = conn_index(h, c);
	q->tail = conn_index(h, c);
}

/* One at a time: the room is one call's. */
void posted_feed(struct host *h)
{
	struct host_conn *c;

	if (likely(h->starved.head == NIL))
		return;
	c = &h->conn[h->starved.head];
	h->starved.head = c->starved_next;
	c->starved = false;
	switch_ready(h, c);
}

void posted_forget(struct host *h, struct host_conn *c)
{
	struct fifo all = h->starved;

	if (!c->starved)
		return;
	h->starved = (struct fifo){NIL, NIL};
	while (all.head != NIL) {
		struct host_conn *at = &h->conn[all.head];

		all.head = at->starved_next;
		at->starved = false;
		if (at != c)
			posted_starve(h, at);
	}
}

void posted_lost(struct host *h, struct host_conn *c)
{
	for (u32 i = 0; i < h->config.max_posted && c->at_device; i++) {
		struct host_io *io = &h->io[i];

		if (!slots_is_taken(&h->io_slots, i) || !io->at_device ||
		    io->conn != conn_index(h, c))
			continue;
		c->at_device--;
		posted_complete(h, i, STATUS_ABORTED, 0);
	}
}

/* -- inside a request -------------------------------------------------------------------------- */

void switch_inside(struct host *h, struct chunk *c)
{
	struct offload_request *r = &c->request;

	r->posted_inside = !!(h->caps.features & FEATURE_BUFFERS_IN_REQUEST);
	r->posted = c->inside;
	r->n_posted = 0;
	for (u32 i = 0; i < c->n && r->posted_inside; i++) {
		struct host_conn *conn = &h->conn[c->conn[i]];
		u32 index = conn->queue[QUEUE_RECV].head;

		for (; c->stage[i] == ENTRY_IN && r->n_posted < INSIDE_MAX && index != NIL;
		     index = conn->queue[QUEUE_RECV].head) {
			const struct host_io *io = &h->io[index];

			if (!memory_reached(h, io->data, io->len))
				break;
			r->posted[r->n_posted++] = (struct posted_recv){
				.block = c->block[i],
				.call = {.data = io->data,
			                 .len = io->len,
			                 .flags = io->flags,
			                 .cookie = slots_handle(&h->io_slots, index)}};
			(void)posted_dequeue(h, conn, QUEUE_RECV);
			h->io[index].at_device = true;
			conn->at_device++;
			h->counters.calls_inside++;
		}
	}
}

void switch_outside(struct host *h, struct chunk *c)
{
	struct offload_request *r = &c->request;

	for (u32 i = 0; i < r->n_posted; i++) {
		u32 index = slots_find(&h->io_slots, r->posted[i].call.cookie);
		struct host_conn *conn = &h->conn[h->io[index].conn];

		h->io[index].at_device = false;
		conn->at_device--;
		posted_put_back(h, conn, index);
	}
	r->n_posted = 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The switch: where the data calls of a connection go, and where they wait. Per connection:
 *
 *   HOST_IN_STACK    -> HOST_MOVING      its chunk is built (offload) or on hold (upload)
 *   HOST_MOVING      -> HOST_IN_CHIMNEY  own: what was queued is posted to the device (R54)
 *   HOST_MOVING      -> HOST_IN_STACK    uploaded, or the offload was undone
 *   HOST_IN_CHIMNEY  -> HOST_MOVING
 *
 * In HOST_MOVING nothing is handed on (R37, R45): posted calls queue here, socket-like ones would
 * block, and what an upload hands back goes in front of what was posted since, by its number.
 */
#include <errno.h>

#include "host/priv.h"

enum {
	QUEUE_SEND,
	QUEUE_RECV,
};

static u32 queue_of(const struct host_io *io)
{
	return io->kind == DATA_RECV ? QUEUE_RECV : QUEUE_SEND;
}

/* -- the ladder's top -------------------------------------------------------------------------- */

enum status host_refused(struct host *h, enum host_layer layer, const struct host_candidate *who)
{
	enum status status = STATUS_OK;

	if (h->env.refuse.layer)
		status = h->env.refuse.layer(h->env.refuse.ctx, layer, who);
	if (status == STATUS_LAYER_REFUSED)
		h->refused_by = layer;
	return status;
}

void switch_candidate(const struct host *h, const struct host_conn *conn,
                      struct host_candidate *ret)
{
	const struct host_path *path = &h->path[conn->path];

	*ret = (struct host_candidate){
		.conn = conn_handle(h, conn),
		.owner = conn->owner,
		.path = &path->key,
		.neighbor = &h->neighbor[path->neighbor].key,
		.local_port = conn->local_port,
		.remote_port = conn->remote_port,
		.by_admin = conn->flags & CONN_BY_ADMIN,
	};
}

/* The device found it a poor candidate not long ago. */
static bool held_off(struct host *h, const struct host_conn *conn)
{
	return conn->asked < UPLOAD_REASONS &&
	       !upload_reason_is_final((enum upload_reason)conn->asked) &&
	       !(conn->flags & CONN_BY_ADMIN) &&
	       host_now(h) - conn->asked_ns < h->config.hold_off_ns;
}

static enum status offer(struct host *h, struct chunk *c, struct host_conn *conn, u64 *ret_detail)
{
	struct host_candidate who;
	enum status status;

	switch_candidate(h, conn, &who);
	status = host_refused(h, HOST_SWITCH, &who);
	if (status == STATUS_OK && conn->side != HOST_IN_STACK)
		status = STATUS_BUSY;
	if (status == STATUS_OK && held_off(h, conn)) {
		*ret_detail = conn->asked;
		status = STATUS_POOR_CANDIDATE;
	}
	if (status == STATUS_OK && h->env.policy.admit)
		status = h->env.policy.admit(h->env.policy.ctx, &who, ret_detail);
	if (status != STATUS_OK)
		return status;
	return transport_offer(h, c, conn, &who);
}

enum status switch_offer(struct host *h, struct chunk *c, struct host_conn *conn,
                         struct host_move *result)
{
	enum status status = offer(h, c, conn, &result->detail);
	u32 block;

	if (status == STATUS_LAYER_REFUSED)
		result->detail = h->refused_by;
	if (status != STATUS_OK)
		return status;
	block = transport_block(h, c, conn);
	if (block == NIL)
		return STATUS_NO_MEMORY;
	c->request.needs[HOST_SWITCH].posted_buffers += conn->queued;
	mover_add(h, c, conn, block, result);
	return STATUS_OK;
}

/* -- queues ------------------------------------------------------------------------------------ */

static void enqueue(struct host *h, struct host_conn *c, u32 index)
{
	struct fifo *q = &c->queue[queue_of(&h->io[index])];

	h->io[index].next = NIL;
	if (q->head == NIL)
		q->head = index;
	else
		h->io[q->tail].next = index;
	q->tail = index;
	c->queued++;
}

static u32 dequeue(struct host *h, struct host_conn *c, u32 queue)
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
static void put_back(struct host *h, struct host_conn *c, u32 index)
{
	struct fifo *q = &c->queue[queue_of(&h->io[index])];
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

static void complete(struct host *h, u32 index, enum status status, u32 bytes)
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
			complete(h, dequeue(h, c, q), STATUS_ABORTED, 0);
	}
}

/* -- to the device ----------------------------------------------------------------------------- */

static bool may_post(const struct host_conn *c)
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
static void advance(struct host_io *io, u32 n)
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
		complete(h, dequeue(h, c, QUEUE_SEND),
		         call.taken == -EPIPE ? STATUS_BAD_STATE : STATUS_ABORTED, 0);
		return true;
	}
	h->counters.bytes_copied += (u64)call.taken;
	advance(io, (u32)call.taken);
	if (io->len)
		return false;
	complete(h, dequeue(h, c, QUEUE_SEND), STATUS_UPLOAD_IN_PROGRESS, 0);
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
		complete(h, dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
		return true;
	default:
		break;
	}
	if (call.taken < 0) {
		complete(h, dequeue(h, c, QUEUE_RECV), STATUS_ABORTED, 0);
		return true;
	}
	h->counters.bytes_copied += (u64)call.taken;
	advance(io, (u32)call.taken);
	/* What was indicated is what a push buffer waits for. */
	if (io->len && !(io->flags & RECV_PUSH))
		return false;
	complete(h, dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
	return true;
}

/* The head of a queue; false: it has to wait. */
static bool post_head(struct host *h, struct host_conn *c, u32 queue)
{
	u32 index = c->queue[queue].head;
	const struct host_io *io = &h->io[index];

	if (io->held)
		complete(h, dequeue(h, c, queue), STATUS_OK, 0);
	else if (io->kind == DATA_DISCONNECT || memory_reached(h, io->data, io->len))
		post_one(h, c, dequeue(h, c, queue));
	else
		return io->kind == DATA_SEND ? copy_send(h, c, index) : copy_receive(h, c, index);
	return true;
}

/* Everything that waits; a call that the device has no room for comes back at once, and the rest
 * waits behind it. */
static void post(struct host *h, struct host_conn *c, u32 queue)
{
	u64 returned = h->counters.calls_returned;

	while (c->queue[queue].head != NIL && may_post(c) && h->counters.calls_returned == returned)
		if (!post_head(h, c, queue))
			break;
}

void switch_ready(struct host *h, struct host_conn *c)
{
	post(h, c, QUEUE_SEND);
	post(h, c, QUEUE_RECV);
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
			(void)dequeue(h, conn, QUEUE_RECV);
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

		conn->at_device--;
		put_back(h, conn, index);
	}
	r->n_posted = 0;
}

/* -- in the host's stack ----------------------------------------------------------------------- */

/* False: it has to wait. */
static bool pump_one(struct host *h, struct host_conn *c, struct host_io *io, u32 index)
{
	const struct host_stack *s = &h->env.stack;
	u32 queue = queue_of(io);
	s64 n;

	if (io->kind == DATA_DISCONNECT) {
		int err = s->disconnect(s->impl, c->backend, io->abortive);

		complete(h, dequeue(h, c, queue), err ? STATUS_BAD_STATE : STATUS_OK, 0);
		return true;
	}
	if (io->kind == DATA_SEND)
		n = s->send(s->impl, c->backend, io->data, io->len, io->flags);
	else
		n = s->recv(s->impl, c->backend, io->data, io->len, io->flags);
	if (n == -EAGAIN || (n == 0 && io->len))
		return false;
	if (n == -ESHUTDOWN) {
		complete(h, dequeue(h, c, queue), STATUS_OK, 0);
	} else if (n < 0) {
		complete(h, dequeue(h, c, queue), n == -EPIPE ? STATUS_BAD_STATE : STATUS_ABORTED,
		         0);
	} else if (io->kind == DATA_SEND && (u32)n < io->len) {
		advance(io, (u32)n);
		return false;
	} else {
		complete(h, dequeue(h, c, queue),
		         io->kind == DATA_SEND ? STATUS_UPLOAD_IN_PROGRESS : STATUS_OK, (u32)n);
	}
	return true;
}

static void pump(struct host *h, struct host_conn *c)
{
	if (!h->env.stack.send)
		return;
	for (u32 q = 0; q < 2; q++) {
		while (c->side == HOST_IN_STACK && c->queue[q].head != NIL) {
			u32 index = c->queue[q].head;

			if (!pump_one(h, c, &h->io[index], index))
				break;
		}
	}
}

void host_pump(struct host *h, handle conn)
{
	struct host_conn *c = conn_find(h, conn);

	if (c && c->side == HOST_IN_STACK && !(c->flags & CONN_DEAD))
		pump(h, c);
}

/* Back in the host: what the device filled and was undone is filled anew; what was copied for a
 * receive before the upload is given, as the device does with its own. */
static void unhold(struct host *h, struct host_conn *c)
{
	u32 head = c->queue[QUEUE_RECV].head;

	for (u32 i = head; i != NIL && h->io[i].held; i = h->io[i].next) {
		h->io[i].held = false;
		h->io[i].filled = 0;
	}
	if (head != NIL && h->io[head].filled)
		complete(h, dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
}

void switch_settle(struct host *h, struct host_conn *c)
{
	const struct host_notice notice = {
		.conn = conn_handle(h, c), .owner = c->owner, .kind = HOST_NOTICE_MOVED};

	if (c->flags & CONN_DEAD) {
		switch_abort_posted(h, c);
	} else if (c->side == HOST_IN_STACK) {
		unhold(h, c);
		pump(h, c);
	} else {
		switch_ready(h, c);
	}
	if (h->env.notice)
		h->env.notice(h->env.ctx, &notice, 1);
}

/* -- posted calls ------------------------------------------------------------------------------ */

static int posted(struct host *h, handle conn, const struct host_io *io)
{
	struct host_conn *c = conn_find(h, conn);
	handle taken;
	u32 queue;

	if (!c)
		return -ESTALE;
	taken = slots_take(&h->io_slots);
	if (taken == SLOT_NO_HANDLE)
		return -ENOBUFS;
	h->io[(u32)taken] = *io;
	h->io[(u32)taken].conn = conn_index(h, c);
	h->io[(u32)taken].number = h->io_number++;
	queue = queue_of(io);
	enqueue(h, c, (u32)taken);
	if (c->side == HOST_IN_CHIMNEY)
		post(h, c, queue);
	else if (c->flags & CONN_DEAD)
		switch_abort_posted(h, c);
	else if (c->side == HOST_IN_STACK)
		pump(h, c);
	else
		h->counters.calls_queued++;
	return 0;
}

int host_post_send(struct host *h, const struct send_call *call)
{
	const struct host_io io = {.kind = DATA_SEND,
	                           .data = (void *)call->data,
	                           .len = call->len,
	                           .flags = call->flags & ~SEND_BUFFERED,
	                           .cookie = call->cookie};

	return posted(h, call->conn, &io);
}

int host_post_receive(struct host *h, const struct recv_call *call)
{
	const struct host_io io = {.kind = DATA_RECV,
	                           .data = call->data,
	                           .len = call->len,
	                           .flags = call->flags & ~RECV_NOW,
	                           .cookie = call->cookie};

	return posted(h, call->conn, &io);
}

int host_disconnect(struct host *h, const struct disconnect_call *call)
{
	const struct host_io io = {
		.kind = DATA_DISCONNECT, .abortive = call->abortive, .cookie = call->cookie};

	return posted(h, call->conn, &io);
}

/* -- completions ------------------------------------------------------------------------------- */

/* What an upload hands back. Bytes of a send that the state holds are the host stack's now. */
static void returned(struct host *h, struct host_conn *c, u32 index,
                     const struct data_completion *done)
{
	struct host_io *io = &h->io[index];
	u32 bytes = done->bytes + (io->kind == DATA_SEND ? done->queued : 0);

	if (io->kind == DATA_RECV && bytes) {
		complete(h, index, STATUS_OK, bytes);
	} else if (io->kind == DATA_SEND && bytes >= io->len) {
		complete(h, index, STATUS_UPLOAD_IN_PROGRESS, io->len);
	} else if (io->kind == DATA_DISCONNECT && done->queued) {
		complete(h, index, STATUS_UPLOAD_IN_PROGRESS, 0);
	} else {
		if (io->kind == DATA_SEND)
			advance(io, bytes);
		put_back(h, c, index);
	}
}

/* The device has the connection, but the host's stack has not let go of it yet: if that fails, all
 * that the device did with it is undone. */
static bool undecided(const struct host_conn *c)
{
	return c->side == HOST_MOVING &&
	       (c->object == OBJECT_OFFLOADING ||
	        (c->object == OBJECT_UPLOADING && c->before == OBJECT_OFFLOADING));
}

static void hold(struct host *h, struct host_conn *c, u32 index, const struct data_completion *done)
{
	struct host_io *io = &h->io[index];

	io->held = done->status == STATUS_OK;
	io->filled = io->held ? done->bytes : 0;
	put_back(h, c, index);
}

static void data_complete(struct host *h, const struct data_completion *done)
{
	u32 index = slots_find(&h->io_slots, done->cookie);
	struct host_conn *c;
	u32 queue;

	if (index == NIL) {
		h->counters.stale++;
		return;
	}
	c = &h->conn[h->io[index].conn];
	queue = queue_of(&h->io[index]);
	c->at_device--;
	if (undecided(c) &&
	    (done->status == STATUS_OK || done->status == STATUS_UPLOAD_IN_PROGRESS)) {
		hold(h, c, index, done);
		return;
	}
	switch (done->status) {
	case STATUS_UPLOAD_IN_PROGRESS:
		returned(h, c, index, done);
		return;
	case STATUS_BUSY:
		put_back(h, c, index);
		return;
	case STATUS_STALE_HANDLE:
		complete(h, index, STATUS_ABORTED, done->bytes);
		return;
	default:
		complete(h, index, done->status, done->bytes);
		post(h, c, queue);
	}
}

void switch_data_complete(struct host *h, const struct data_completion *done, u32 n)
{
	for (u32 i = 0; i < n; i++)
		data_complete(h, &done[i]);
}

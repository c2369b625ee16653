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

/* -- in the host's stack ----------------------------------------------------------------------- */

/* False: it has to wait. */
static bool pump_one(struct host *h, struct host_conn *c, struct host_io *io, u32 index)
{
	const struct host_stack *s = &h->env.stack;
	u32 queue = posted_queue(io);
	s64 n;

	if (io->kind == DATA_DISCONNECT) {
		int err = s->disconnect(s->impl, c->backend, io->abortive);

		posted_complete(h, posted_dequeue(h, c, queue), err ? STATUS_BAD_STATE : STATUS_OK,
		                0);
		return true;
	}
	if (io->kind == DATA_SEND)
		n = s->send(s->impl, c->backend, io->data, io->len, io->flags);
	else
		n = s->recv(s->impl, c->backend, io->data, io->len, io->flags);
	if (n == -EAGAIN || (n == 0 && io->len))
		return false;
	if (n == -ESHUTDOWN) {
		posted_complete(h, posted_dequeue(h, c, queue), STATUS_OK, 0);
	} else if (n < 0) {
		posted_complete(h, posted_dequeue(h, c, queue),
		                n == -EPIPE ? STATUS_BAD_STATE : STATUS_ABORTED, 0);
	} else if (io->kind == DATA_SEND && (u32)n < io->len) {
		posted_advance(io, (u32)n);
		return false;
	} else {
		posted_complete(h, posted_dequeue(h, c, queue),
		                io->kind == DATA_SEND ? STATUS_UPLOAD_IN_PROGRESS : STATUS_OK,
		                (u32)n);
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
		posted_complete(h, posted_dequeue(h, c, QUEUE_RECV), STATUS_OK, 0);
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
	queue = posted_queue(io);
	posted_enqueue(h, c, (u32)taken);
	if (c->side == HOST_IN_CHIMNEY)
		posted_flush(h, c, queue);
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
		posted_complete(h, index, STATUS_OK, bytes);
	} else if (io->kind == DATA_SEND && bytes >= io->len) {
		posted_complete(h, index, STATUS_UPLOAD_IN_PROGRESS, io->len);
	} else if (io->kind == DATA_DISCONNECT && done->queued) {
		posted_complete(h, index, STATUS_UPLOAD_IN_PROGRESS, 0);
	} else {
		if (io->kind == DATA_SEND)
			posted_advance(io, bytes);
		posted_put_back(h, c, index);
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
	posted_put_back(h, c, index);
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
	queue = posted_queue(&h->io[index]);
	h->io[index].at_device = false;
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
		posted_put_back(h, c, index);
		posted_starve(h, c);
		return;
	case STATUS_STALE_HANDLE:
		posted_complete(h, index, STATUS_ABORTED, done->bytes);
		return;
	default:
		posted_complete(h, index, done->status, done->bytes);
		posted_feed(h);
		posted_flush(h, c, queue);
	}
}

void switch_data_complete(struct host *h, const struct data_completion *done, u32 n)
{
	for (u32 i = 0; i < n; i++)
		data_complete(h, &done[i]);
}

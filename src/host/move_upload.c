/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The way of a chunk from the device to the host's stack (semantics 5.5). */
#include <errno.h>

#include "host/priv.h"
#include "offload/request.h"

enum {
	DRAIN_ROUNDS = 8,
};

/* -- what is next ------------------------------------------------------------------------------ */

static struct host_conn *next_asked(struct host *h)
{
	while (h->asked.head != NIL) {
		struct host_conn *c = &h->conn[h->asked.head];

		h->asked.head = c->asked_next;
		c->flags &= ~CONN_ASKED;
		if (c->side == HOST_IN_CHIMNEY)
			return c;
	}
	return NULL;
}

static struct host_conn *next_of_job(struct host *h, struct host_move **ret_move)
{
	struct job *j = &h->job;

	for (; j->active && j->upload && j->next < j->n; j->next++) {
		struct host_move *m = &j->moves[j->next];
		struct host_conn *c = conn_find(h, m->conn);

		if (m->status != STATUS_PENDING)
			continue;
		if (c->side != HOST_IN_CHIMNEY) { /* uploaded meanwhile at the device's wish */
			m->status = STATUS_OK;
			continue;
		}
		*ret_move = m;
		j->next++;
		return c;
	}
	return NULL;
}

bool upload_fill(struct host *h, struct chunk *c)
{
	u32 size = mover_chunk_size(h, true);

	while (c->n < size) {
		struct host_move *m = NULL;
		struct host_conn *conn = next_asked(h);

		if (!conn)
			conn = next_of_job(h, &m);
		if (!conn)
			break;
		if (legal_check(conn->object, LEGAL_CALL_UPLOAD) != STATUS_OK) {
			if (m)
				m->status = STATUS_BAD_STATE;
			continue;
		}
		mover_add(h, c, conn, NIL, m);
	}
	return c->n;
}

/* -- hold and snapshot ------------------------------------------------------------------------- */

/* It stays at the device. */
static void keep(struct host *h, struct chunk *c, u32 i)
{
	struct host_conn *conn = &h->conn[c->conn[i]];

	h->counters.uploads_rolled_back++;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_UPLOAD_UNDONE,
	                                 .layer = LAYER_TCP,
	                                 .object = conn_handle(h, conn),
	                                 .reason = conn->last_status,
	                                 .detail = conn->last_detail});
	mover_in_chimney(h, c, i);
}

static void build(struct host *h, struct chunk *c)
{
	c->stamp = ++h->stamp; /* no other list was begun since */
	for (u32 i = 0; i < c->n; i++) {
		u32 block;

		if (c->stage[i] != ENTRY_IN)
			continue;
		/* Cannot be full: there is room for each with a path and neighbor of its own. */
		block = transport_upload_block(h, &c->list, &h->conn[c->conn[i]]);
		c->block[i] = block;
		c->moves[i].tcp = block_tcp(&c->list, block_at(&c->list, block));
	}
	network_leave(h, &c->list);
	for (u32 i = 0; i < HOST_LAYERS; i++)
		h->ladder[BLOCK_CALL_UPLOAD][i]++;
}

static enum host_progress uploaded(struct host *h, struct chunk *c);

enum host_progress upload_start(struct host *h, struct chunk *c)
{
	u64 begin = host_now(h), t = begin;

	c->held_ns = begin;
	mover_pick(c, ENTRY_IN);
	h->env.backend.ops->hold(h->env.backend.impl, c->moves, c->n);
	mover_failed(h, c, ENTRY_IN, ENTRY_KEEP);
	host_lap(h, &t, HOST_STEP_HOLD);
	build(h, c);
	mover_request(c, BLOCK_CALL_UPLOAD, COOKIE_CHUNK | (u64)(c - h->chunk) << 8);
	c->request.n_kept = 0;
	c->request.kept = c->kept;
	c->request.cap_kept = h->caps.features & FEATURE_UPLOAD_FORWARD_BUFFERING ? KEPT_MAX : 0;
	c->phase = CHUNK_UPLOADING;
	if (h->env.device->ops->upload(host_device(h), &c->request)) {
		offload_list_set_status(&c->list, STATUS_FAILED);
		c->completed = true;
		c->rejected = true;
	}
	host_lap(h, &t, HOST_STEP_UPLOAD);
	c->spent_ns += t - begin;
	return c->completed ? uploaded(h, c) : HOST_WAITING;
}

enum host_progress upload_go_on(struct host *h, struct chunk *c)
{
	return uploaded(h, c);
}

/* -- import and commit ------------------------------------------------------------------------- */

/* A connection that has ended is imported nowhere; what its application has not read yet (R83)
 * holds it at the device. */
static void ended(struct host *h, struct chunk *c, u32 i)
{
	const struct host_conn *conn = &h->conn[c->conn[i]];
	u32 unread = c->moves[i].tcp->d.recv.len;

	c->stage[i] = ENTRY_GONE;
	if (!unread || conn->flags & (CONN_ABORTED | CONN_DISCARD))
		return;
	c->stage[i] = ENTRY_UNREAD;
	block_at(&c->list, c->block[i])->status = STATUS_BUSY;
	mover_result(h, c, i, STATUS_BUSY, unread);
}

/* CONST and CACHED come from the host (R31, R32). */
static void returned(struct host_conn *conn, struct tcp_state *s)
{
	s->k = conn->k;
	s->c = conn->c;
	s->c.restart_keepalive = 0;
	s->c.restart_retransmit = 0;
}

/* What the device answered. */
static void judge(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct host_conn *conn = &h->conn[c->conn[i]];
		const struct block *b;

		if (c->stage[i] != ENTRY_IN)
			continue;
		b = block_at(&c->list, c->block[i]);
		if (b->status != STATUS_OK) {
			mover_result(h, c, i, b->status, b->detail);
			c->stage[i] = b->status == STATUS_DEVICE_FAILED ? ENTRY_GONE : ENTRY_KEEP;
			continue;
		}
		returned(conn, c->moves[i].tcp);
		if (conn->flags & CONN_ABORTED || c->moves[i].tcp->d.state == TCP_CLOSED)
			ended(h, c, i);
	}
}

/* Of what was given up: the tree without those that left, and the device's part freed. */
static void commit(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		if (c->stage[i] & (ENTRY_IN | ENTRY_GONE))
			h->path[h->conn[c->conn[i]].path].refs--;
	}
	network_keep(h, &c->list);
	if (!c->rejected)
		h->env.device->ops->commit(host_device(h), &c->request);
	network_left(h, &c->list);
}

static void inject_all(struct host *h, struct chunk *c)
{
	for (u32 round = 0; round < DRAIN_ROUNDS; round++) {
		for (u32 i = 0; i < c->n; i++) {
			if (c->stage[i] == ENTRY_IN)
				park_inject(h, &h->conn[c->conn[i]]);
		}
		if (!h->env.drain || !h->env.drain(h->env.ctx))
			break;
	}
}

/* What its state still said and the host's stack does not know any more. */
static void say_lost(struct host *h, const struct host_conn *conn, const struct move *m)
{
	if (m->flags & MOVE_MODEL_LOST)
		host_log(h, &(struct host_event){.kind = HOST_EVENT_MODEL_LOST,
		                                 .layer = LAYER_TCP,
		                                 .object = conn_handle(h, conn),
		                                 .reason = conn->c.cc_algorithm,
		                                 .detail = m->detail});
}

static void settle(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct host_conn *conn = &h->conn[c->conn[i]];

		if (c->stage[i] & (ENTRY_IN | ENTRY_GONE)) {
			h->n_offloaded--;
			h->counters.uploads++;
			if (c->stage[i] == ENTRY_IN) {
				say_lost(h, conn, &c->moves[i]);
				mover_result(h, c, i, STATUS_OK, 0);
			} else {
				conn->flags |= CONN_DEAD;
			}
			posted_lost(h, conn);
			if (c->stage[i] == ENTRY_GONE && c->block[i] != NIL &&
			    block_at(&c->list, c->block[i])->status == STATUS_OK)
				mover_result(h, c, i, STATUS_OK, 0);
			park_inject(h, conn);
			mover_in_host(h, c, i);
		} else if (c->stage[i] == ENTRY_KEEP) {
			keep(h, c, i);
		} else if (c->stage[i] == ENTRY_UNREAD) {
			mover_in_chimney(h, c, i);
		}
	}
}

static enum host_progress uploaded(struct host *h, struct chunk *c)
{
	const struct backend_ops *ops = h->env.backend.ops;
	void *backend = h->env.backend.impl;
	u64 begin = host_now(h), t = begin;

	park_kept(h, c);
	judge(h, c);
	if (mover_pick(c, ENTRY_IN))
		ops->import(backend, c->moves, c->n, c->list.pool); /* the device's own */
	mover_failed(h, c, ENTRY_IN, ENTRY_KEEP);
	host_lap(h, &t, HOST_STEP_IMPORT);
	commit(h, c);
	host_lap(h, &t, HOST_STEP_COMMIT);
	inject_all(h, c);
	host_lap(h, &t, HOST_STEP_INJECT);
	if (mover_pick(c, ENTRY_IN | ENTRY_GONE)) {
		ops->release(backend, c->moves, c->n);
		mover_fence_start(h);
	}
	if (mover_pick(c, ENTRY_KEEP | ENTRY_UNREAD))
		ops->own(backend, c->moves, c->n);
	host_lap(h, &t, HOST_STEP_RELEASE);
	settle(h, c);
	host_lap(h, &t, HOST_STEP_INJECT);
	c->spent_ns += t - begin;
	mover_finish(h, c);
	h->current = NULL;
	return HOST_MORE;
}

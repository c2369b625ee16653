/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The way of a chunk from the host's stack to the device, and back at every failure. */
#include <errno.h>

#include "host/priv.h"
#include "offload/request.h"

/* -- inspection -------------------------------------------------------------------------------- */

static void refuse(struct host *h, struct host_conn *c, struct host_move *m, enum status status,
                   u64 detail)
{
	m->status = status;
	m->detail = detail;
	c->last_status = status;
	c->last_detail = detail;
	h->counters.offloads_refused++;
	h->job.report.refused++;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_OFFLOAD_REFUSED,
	                                 .layer = LAYER_TCP,
	                                 .object = m->conn,
	                                 .reason = status,
	                                 .detail = detail});
}

/* How often those in recovery are looked at until their time is up. */
enum { QUIET_LOOKS = 8 };

static bool may_wait(struct host *h)
{
	return h->config.quiet_ns && host_now(h) < h->job.quiet_until_ns;
}

/* What is in recovery stays pending, and MOVE_UNQUIET says that it waits. */
static void inspected(struct host *h, struct host_conn *c, struct host_move *entry,
                      const struct move *m, bool wait)
{
	enum status status = transport_inspected(h, c, m);

	if (status == STATUS_OK) {
		h->counters.offloads_unquiet += (m->flags & MOVE_UNQUIET) != 0;
		return;
	}
	if (status == STATUS_NOT_QUIET && wait) {
		entry->flags |= MOVE_UNQUIET;
		h->job.unquiet++;
		return;
	}
	refuse(h, c, entry, status, m->detail);
}

static void inspect_batch(struct host *h, struct host_move **entry, u32 n)
{
	struct move *moves = h->inspect_moves;
	bool wait = may_wait(h);

	for (u32 i = 0; i < n; i++) {
		struct host_conn *c = conn_find(h, entry[i]->conn);

		moves[i] = (struct move){
			.conn = c->backend,
			.owner = c->owner,
			.status = STATUS_OK,
			.flags = wait || !h->config.quiet_ns ? 0 : MOVE_UNQUIET,
			.path_state = &h->inspect_paths[i],
			.neighbor_state = &h->inspect_neighbors[i],
			.tcp = &h->inspect_tcp[i],
		};
		memset(&h->inspect_paths[i], 0, sizeof(h->inspect_paths[i]));
		memset(&h->inspect_neighbors[i], 0, sizeof(h->inspect_neighbors[i]));
		memset(&h->inspect_tcp[i], 0, sizeof(h->inspect_tcp[i]));
	}
	h->env.backend.ops->inspect(h->env.backend.impl, moves, n);
	for (u32 i = 0; i < n; i++)
		inspected(h, conn_find(h, entry[i]->conn), entry[i], &moves[i], wait);
}

bool offload_needs_inspection(const struct host *h)
{
	const struct job *j = &h->job;

	return j->inspected < j->n && j->inspected - j->next < mover_chunk_size(h, false);
}

bool offload_look_again(struct host *h)
{
	struct job *j = &h->job;
	u64 now = host_now(h);

	if (j->quiet_until_ns == UINT64_MAX) { /* all others have moved */
		j->quiet_until_ns = now + h->config.quiet_ns;
		j->again_ns = now + h->config.quiet_ns / QUIET_LOOKS;
	}
	if (now < j->again_ns)
		return false;
	for (u32 i = 0; i < j->n; i++) {
		if (j->moves[i].status == STATUS_PENDING)
			j->moves[i].flags &= (u16)~MOVE_UNQUIET;
	}
	j->inspected = j->next = j->unquiet = 0;
	j->again_ns = now + h->config.quiet_ns / QUIET_LOOKS;
	return true;
}

/* An upload that the device had asked for was under way when the move began, and was undone: it is
 * at the device, and what the host's stack knows of it says nothing (R55). */
static bool may_inspect(struct host *h, struct host_move *m)
{
	struct host_conn *c = conn_find(h, m->conn);

	if (m->status != STATUS_PENDING)
		return false;
	if (c->side == HOST_IN_CHIMNEY)
		refuse(h, c, m, STATUS_BUSY, 0);
	return c->side == HOST_IN_STACK;
}

/* What the next chunk takes and no more: the host's stack will then still have it in its caches. */
void offload_inspect(struct host *h)
{
	struct job *j = &h->job;
	struct host_move *entry[INSPECT_BATCH];
	u64 t = host_now(h);

	while (offload_needs_inspection(h)) {
		u32 n = 0;

		for (; n < INSPECT_BATCH && j->inspected < j->n; j->inspected++) {
			if (may_inspect(h, &j->moves[j->inspected]))
				entry[n++] = &j->moves[j->inspected];
		}
		if (n)
			inspect_batch(h, entry, n);
	}
	host_lap(h, &t, HOST_STEP_INSPECT);
}

/* -- reserve and hold -------------------------------------------------------------------------- */

/* An entry that is out of the tree again and stays in the host. */
static void out(struct host *h, struct chunk *c, u32 i)
{
	struct host_conn *conn = &h->conn[c->conn[i]];

	h->counters.offloads_refused++;
	host_log(h, &(struct host_event){.kind = c->held_ns ? HOST_EVENT_OFFLOAD_UNDONE
	                                                    : HOST_EVENT_OFFLOAD_REFUSED,
	                                 .layer = LAYER_TCP,
	                                 .object = conn_handle(h, conn),
	                                 .reason = conn->last_status,
	                                 .detail = conn->last_detail});
	network_drop(h, conn->path);
	mover_in_host(h, c, i);
}

/* Why the object above failed says more than that it failed. */
static void outcome(struct host *h, struct chunk *c, const struct block *b, u32 i)
{
	const struct host_path *p = &h->path[h->conn[c->conn[i]].path];
	const struct block *at = b;

	if (at->status == STATUS_SUBTREE && p->stamp == c->stamp)
		at = block_at(&c->list, p->block);
	if (at->status == STATUS_SUBTREE && h->neighbor[p->neighbor].stamp == c->stamp)
		at = block_at(&c->list, h->neighbor[p->neighbor].block);
	mover_result(h, c, i, at->status, at->detail);
}

static void hold(struct host *h, struct chunk *c)
{
	u64 t = host_now(h);

	if (!mover_pick(c, ENTRY_IN)) {
		mover_finish(h, c);
		return;
	}
	c->held_ns = t;
	h->env.backend.ops->hold(h->env.backend.impl, c->moves, c->n);
	mover_failed(h, c, ENTRY_IN, ENTRY_RELEASE);
	mover_fence_start(h);
	c->phase = CHUNK_HELD;
	host_lap(h, &t, HOST_STEP_HOLD);
}

static void reserved(struct host *h, struct chunk *c)
{
	struct completion done = {.table = {&h->env.device->layer[LAYER_NEIGHBOR],
	                                    &h->env.device->layer[LAYER_PATH],
	                                    &h->env.device->layer[LAYER_TCP]}};

	framing_complete(h, c, &done);
	for (u32 i = 0; i < c->n; i++) {
		const struct block *b = block_at(&c->list, c->block[i]);

		if (b->status == STATUS_OK)
			continue;
		outcome(h, c, b, i);
		out(h, c, i);
	}
	hold(h, c);
}

/* Those that the device has no room for in this chunk. */
static void fill(struct host *h, struct chunk *c)
{
	struct job *j = &h->job;
	u32 size = mover_chunk_size(h, false);

	for (; j->next < j->inspected && c->n < size; j->next++) {
		struct host_move *m = &j->moves[j->next];
		struct host_conn *conn = conn_find(h, m->conn);
		enum status status;

		if (m->status != STATUS_PENDING || m->flags & MOVE_UNQUIET)
			continue;
		status = switch_offer(h, c, conn, m);
		if (status != STATUS_OK)
			refuse(h, conn, m, status, m->detail);
	}
}

enum host_progress offload_prepare(struct host *h)
{
	struct chunk *c = mover_chunk(h, false);
	u64 begin = host_now(h), t = begin;
	int err;

	mover_request(c, BLOCK_CALL_OFFLOAD, COOKIE_CHUNK | (u64)(c - h->chunk) << 8);
	c->request.two_phase = true;
	c->request.n_needs = HOST_LAYERS;
	fill(h, c);
	if (!c->n)
		return HOST_MORE;
	for (u32 i = 0; i < HOST_LAYERS; i++)
		h->ladder[BLOCK_CALL_OFFLOAD][i]++;
	h->next = c;
	c->phase = CHUNK_RESERVING;
	err = h->env.device->ops->offload(host_device(h), &c->request);
	if (err) {
		offload_list_set_status(&c->list, err == -EBUSY ? STATUS_BUSY : STATUS_FAILED);
		c->completed = true;
	}
	host_lap(h, &t, HOST_STEP_RESERVE);
	if (!c->completed)
		return HOST_WAITING;
	reserved(h, c);
	c->spent_ns += host_now(h) - begin;
	if (c->phase == CHUNK_FREE)
		h->next = NULL;
	return HOST_MORE;
}

/* -- freeze and transfer ----------------------------------------------------------------------- */

static void put_data(struct host *h, const struct tcp_delegated *d)
{
	buf_put_chain(h->env.pool, d->send.buf);
	buf_put_chain(h->env.pool, d->recv.buf);
	for (u32 i = 0; i < d->ooo.n; i++)
		buf_put_chain(h->env.pool, d->ooo.seg[i].data.buf);
}

/* What the freeze read is the truth; a setting that changed since the inspection is pushed after
 * completion, unless the host was told of another one meanwhile (R30). */
static void frozen(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		struct host_conn *conn = &h->conn[c->conn[i]];
		const struct tcp_state *s = c->moves[i].tcp;

		if (c->stage[i] != ENTRY_IN)
			continue;
		block_at(&c->list, c->block[i])->flags |= BLOCK_DELEGATED;
		conn->k = s->k;
		if (conn->dirty & DIRTY_CACHED || !memcmp(&conn->c, &s->c, sizeof(s->c)))
			continue;
		conn->c = s->c;
		control_mark(h, LAYER_TCP, c->conn[i], DIRTY_CACHED);
	}
}

static void parents_ok(struct chunk *c)
{
	for (u32 i = 0; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);

		if (b->layer != LAYER_TCP && b->status == STATUS_PARTIAL)
			b->status = STATUS_OK;
	}
}

static enum host_progress transferred(struct host *h, struct chunk *c);

enum host_progress offload_move(struct host *h, struct chunk *c)
{
	const struct backend_ops *ops = h->env.backend.ops;
	u64 begin = host_now(h), t = begin;

	mover_pick(c, ENTRY_IN);
	ops->freeze(h->env.backend.impl, c->moves, c->n, h->env.pool);
	for (u32 i = 0; i < c->n; i++) {
		if (c->stage[i] == ENTRY_IN && c->moves[i].status != STATUS_OK &&
		    !(c->moves[i].flags & MOVE_FROZEN)) {
			mover_result(h, c, i, c->moves[i].status, c->moves[i].detail);
			block_at(&c->list, c->block[i])->status = c->moves[i].status;
			c->stage[i] = ENTRY_RELEASE;
		}
	}
	mover_failed(h, c, ENTRY_IN, ENTRY_THAW);
	frozen(h, c);
	host_lap(h, &t, HOST_STEP_FREEZE);
	parents_ok(c);
	transport_restore(h, c);
	mover_request(c, BLOCK_CALL_OFFLOAD, c->request.cookie);
	switch_inside(h, c);
	c->phase = CHUNK_TRANSFERRING;
	if (h->env.device->ops->transfer(host_device(h), &c->request)) {
		switch_outside(h, c);
		offload_list_set_status(&c->list, STATUS_FAILED);
		c->completed = true;
	}
	host_lap(h, &t, HOST_STEP_TRANSFER);
	c->spent_ns += t - begin;
	return c->completed ? transferred(h, c) : HOST_WAITING;
}

/* -- after the transfer ------------------------------------------------------------------------ */

/* Back in the host's stack, with the frames that were parked. */
static void undo(struct host *h, struct chunk *c)
{
	const struct backend_ops *ops = h->env.backend.ops;
	const u32 failed = ENTRY_THAW | ENTRY_RELEASE;

	if (mover_pick(c, ENTRY_THAW))
		ops->thaw(h->env.backend.impl, c->moves, c->n);
	if (mover_pick(c, failed))
		ops->release(h->env.backend.impl, c->moves, c->n);
	for (u32 i = 0; i < c->n; i++) {
		if (!(c->stage[i] & failed))
			continue;
		h->counters.offloads_rolled_back += c->stage[i] == ENTRY_THAW;
		park_inject(h, &h->conn[c->conn[i]]);
		out(h, c, i);
	}
}

/* A device that does not take the request is asked again with the next step: the connection must
 * not run at both sides. */
static void ask_back(struct host *h, struct chunk *c)
{
	mover_request(c, BLOCK_CALL_UPLOAD, c->request.cookie);
	c->rejected = h->env.device->ops->upload(host_device(h), &c->request);
}

/* The device has them, and the host's stack could not let go: an upload whose result is thrown
 * away, because nothing has happened since. False: there are none. */
static bool take_back(struct host *h, struct chunk *c)
{
	if (!mover_pick(c, ENTRY_UNDO))
		return false;
	block_list_reset(&c->list);
	c->stamp = ++h->stamp;
	for (u32 i = 0; i < c->n; i++) {
		c->moves[i].tcp = NULL;
		c->block[i] = NIL;
		if (c->stage[i] == ENTRY_UNDO)
			c->block[i] = transport_upload_block(h, &c->list, &h->conn[c->conn[i]]);
	}
	c->phase = CHUNK_UNDOING;
	ask_back(h, c);
	return true;
}

static enum host_progress done(struct host *h, struct chunk *c)
{
	undo(h, c);
	mover_finish(h, c);
	if (h->current == c)
		h->current = NULL;
	return HOST_MORE;
}

static enum host_progress taken_back(struct host *h, struct chunk *c)
{
	h->env.device->ops->commit(host_device(h), &c->request);
	for (u32 i = 0; i < c->n; i++) {
		if (c->stage[i] == ENTRY_UNDO)
			c->stage[i] = ENTRY_THAW;
	}
	return done(h, c);
}

static void moved(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		if (c->stage[i] != ENTRY_IN)
			continue;
		h->conn[c->conn[i]].moves++;
		h->n_offloaded++;
		h->counters.offloads++;
		mover_result(h, c, i, STATUS_OK, 0);
		mover_in_chimney(h, c, i);
	}
}

/* Outcomes of the transfer. Queue bytes of what the device did not take are given back here. */
static void judge(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		const struct block *b = c->block[i] == NIL ? NULL : block_at(&c->list, c->block[i]);

		if (c->stage[i] != ENTRY_IN || b->status == STATUS_OK)
			continue;
		outcome(h, c, b, i);
		put_data(h, &c->moves[i].tcp->d);
		c->stage[i] = ENTRY_THAW;
	}
}

static enum host_progress transferred(struct host *h, struct chunk *c)
{
	const struct backend_ops *ops = h->env.backend.ops;
	u64 begin = host_now(h), t = begin;
	bool waiting;

	judge(h, c);
	if (mover_pick(c, ENTRY_IN))
		ops->detach(h->env.backend.impl, c->moves, c->n);
	mover_failed(h, c, ENTRY_IN, ENTRY_UNDO);
	host_lap(h, &t, HOST_STEP_DETACH);
	if (mover_pick(c, ENTRY_IN))
		ops->own(h->env.backend.impl, c->moves, c->n);
	host_lap(h, &t, HOST_STEP_OWN);
	moved(h, c);
	host_lap(h, &t, HOST_STEP_FORWARD);
	c->spent_ns += t - begin;
	waiting = take_back(h, c);
	if (waiting)
		return c->completed ? taken_back(h, c) : HOST_WAITING;
	return done(h, c);
}

void offload_ask_again(struct host *h, struct chunk *c)
{
	if (c->phase == CHUNK_UNDOING && c->rejected)
		ask_back(h, c);
}

enum host_progress offload_go_on(struct host *h, struct chunk *c)
{
	if (c->phase == CHUNK_RESERVING) {
		reserved(h, c);
		if (c->phase == CHUNK_FREE)
			h->next = NULL;
		return HOST_MORE;
	}
	return c->phase == CHUNK_UNDOING ? taken_back(h, c) : transferred(h, c);
}

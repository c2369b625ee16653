/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Moves of any number of connections, in chunks that are closed by estimated time.
 *
 * Offload:  a chunk's connections are inspected; then it goes through
 *
 *   FREE -> RESERVING -> HELD -> TRANSFERRING -> (UNDOING) -> FREE
 *
 * and while one is moved the next is on hold already, so that its fence runs beside the work and
 * nobody waits for it. What is in recovery is looked at again at the end. Upload:
 *
 *   FREE -> UPLOADING -> FREE
 *
 * Between two chunks the lane serves traffic. The same chunks carry uploads that nobody's move
 * asked for: the device did, or a change of the host; they go first.
 */
#include <errno.h>

#include "host/priv.h"

/* -- chunks ------------------------------------------------------------------------------------ */

u32 mover_chunk_size(const struct host *h, bool upload)
{
	u64 n = h->config.chunk_ns / max_of(h->estimate_ns[upload], 1ull);
	u32 blocks = h->caps.max_list_blocks ? h->caps.max_list_blocks / LAYERS : UINT32_MAX;

	/* What a chunk costs by itself (fences, batch calls) must not make chunks ever smaller. */
	n = max_of(n, (u64)h->config.chunk_min);
	return (u32)max_of(min_of(n, (u64)min_of(h->config.chunk_max, blocks)), 1ull);
}

struct chunk *mover_chunk(struct host *h, bool upload)
{
	struct chunk *c = h->chunk[0].phase == CHUNK_FREE ? &h->chunk[0] : &h->chunk[1];

	block_list_reset(&c->list);
	c->list.pool = h->env.pool; /* an upload has put the device's there */
	c->upload = upload;
	c->completed = false;
	c->fenced = false;
	c->n = 0;
	c->number = h->chunk_number++;
	c->spent_ns = 0;
	c->stamp = ++h->stamp;
	memset(&c->request, 0, sizeof(c->request));
	return c;
}

void mover_add(struct host *h, struct chunk *c, struct host_conn *conn, u32 block,
               struct host_move *result)
{
	u32 i = c->n++;

	c->conn[i] = conn_index(h, conn);
	c->block[i] = block;
	c->result[i] = result;
	c->stage[i] = ENTRY_IN;
	c->moves[i] = (struct move){
		.conn = conn->backend,
		.owner = conn->owner,
		.status = STATUS_OK,
		.path = h->path[conn->path].key,
		.neighbor = h->neighbor[h->path[conn->path].neighbor].key,
		.local_port = conn->local_port,
		.remote_port = conn->remote_port,
		.path_state = &h->path[conn->path].state,
		.neighbor_state = &h->neighbor[h->path[conn->path].neighbor].state,
		.tcp = block == NIL ? NULL : block_tcp(&c->list, block_at(&c->list, block)),
	};
	conn->side = HOST_MOVING;
	if (result)
		result->chunk = c->number;
}

void mover_request(struct chunk *c, enum block_call call, u64 cookie)
{
	c->request.call = call;
	c->request.list = &c->list;
	c->request.cookie = cookie;
	c->completed = false;
	c->rejected = false;
}

u32 mover_pick(struct chunk *c, u32 stages)
{
	u32 picked = 0;

	for (u32 i = 0; i < c->n; i++) {
		bool yes = c->stage[i] & stages;

		c->moves[i].status = yes ? STATUS_OK : STATUS_BUSY;
		picked += yes;
	}
	return picked;
}

void mover_failed(struct host *h, struct chunk *c, u32 picked, enum entry_stage to)
{
	for (u32 i = 0; i < c->n; i++) {
		if (!(c->stage[i] & picked) || c->moves[i].status == STATUS_OK)
			continue;
		mover_result(h, c, i, c->moves[i].status, c->moves[i].detail);
		if (c->block[i] != NIL)
			block_at(&c->list, c->block[i])->status = c->moves[i].status;
		c->stage[i] = to;
	}
}

void mover_in_host(struct host *h, struct chunk *c, u32 i)
{
	struct host_conn *conn = &h->conn[c->conn[i]];

	conn->object = OBJECT_IN_HOST;
	conn->device = HANDLE_NONE;
	conn->dirty = 0;
	conn->flags &= ~CONN_MUST;
	/* What a device said of a connection that is not its own after all says nothing of this. */
	if (!(conn->flags & CONN_DEAD))
		conn->flags &= ~CONN_ABORTED;
	conn->side = HOST_IN_STACK;
	c->stage[i] = ENTRY_OUT;
	switch_settle(h, conn);
}

/* Not one of the dependents that the device was told to ask for. */
static bool is_stranded(const struct host *h, const struct host_conn *conn)
{
	const struct host_path *p = &h->path[conn->path];

	return p->object == OBJECT_INVALID || h->neighbor[p->neighbor].object == OBJECT_INVALID;
}

void mover_in_chimney(struct host *h, struct chunk *c, u32 i)
{
	struct host_conn *conn = &h->conn[c->conn[i]];

	/* After an upload that was undone the device goes on with what it had. */
	if (conn->object == OBJECT_UPLOADING)
		conn->object = conn->before;
	else if (conn->object == OBJECT_OFFLOADING)
		conn->object = OBJECT_OFFLOADED;
	if (conn->flags & CONN_ABORTED)
		conn->object = OBJECT_ABORTED;
	conn->side = HOST_IN_CHIMNEY;
	c->stage[i] = ENTRY_OUT;
	park_forward(h, conn);
	if (c->upload &&
	    (conn->flags & CONN_MUST || conn->object != OBJECT_OFFLOADED || is_stranded(h, conn)))
		mover_ask_again(h, conn);
	else if (is_stranded(h, conn))
		mover_ask(h, conn, UPLOAD_INVALID_STATE);
	switch_settle(h, conn);
}

void mover_result(struct host *h, struct chunk *c, u32 i, enum status status, u64 detail)
{
	struct host_conn *conn = &h->conn[c->conn[i]];

	conn->last_status = status;
	conn->last_detail = detail;
	if (!c->result[i])
		return;
	c->result[i]->status = status;
	c->result[i]->detail = detail;
	c->result[i]->flags = c->moves[i].flags;
}

void mover_finish(struct host *h, struct chunk *c)
{
	u64 each = c->n ? c->spent_ns / c->n : 0;
	u64 stall = c->held_ns ? host_now(h) - c->held_ns : 0;
	u64 *estimate = &h->estimate_ns[c->upload];

	for (u32 i = 0; i < c->n; i++) {
		struct host_move *r = c->result[i];

		if (!r)
			continue;
		r->move_ns = each;
		r->stall_ns = stall;
		if (r->status == STATUS_OK)
			h->job.report.moved++;
		else
			h->job.report.refused++;
	}
	if (c->n) {
		/* One slow chunk (a preempted lane) says little: it may double the estimate. */
		*estimate = (*estimate * 3 + min_of(each, *estimate * 2)) / 4;
		h->job.report.chunks++;
		h->counters.chunks++;
	}
	c->phase = CHUNK_FREE;
	c->held_ns = 0;
	control_kick(h);
}

/* -- jobs -------------------------------------------------------------------------------------- */

/* Settles what needs no move, and marks the others. */
static void admit(struct host *h, struct host_move *m, bool upload, bool by_admin)
{
	struct host_conn *c = conn_find(h, m->conn);

	m->status = STATUS_PENDING;
	m->detail = 0;
	m->flags = 0;
	m->chunk = 0;
	m->move_ns = 0;
	m->stall_ns = 0;
	if (!c)
		m->status = STATUS_STALE_HANDLE;
	else if (c->flags & CONN_IN_JOB) /* R55 */
		m->status = STATUS_BUSY;
	else if (c->side == (upload ? HOST_IN_STACK : HOST_IN_CHIMNEY))
		m->status = upload || !(c->flags & CONN_ASKED) ? STATUS_OK : STATUS_BUSY;
	else if (c->flags & CONN_DEAD)
		m->status = STATUS_NOT_ESTABLISHED;
	if (m->status != STATUS_PENDING)
		return;
	c->flags |= CONN_IN_JOB;
	if (!upload)
		c->flags = by_admin ? c->flags | CONN_BY_ADMIN : c->flags & ~CONN_BY_ADMIN;
}

static int start(struct host *h, struct host_move *moves, u32 n, bool upload, bool by_admin)
{
	struct job *j = &h->job;

	if (j->active)
		return -EBUSY;
	h->env.device->ops->capabilities(host_device(h), &h->caps); /* R16 */
	*j = (struct job){
		.moves = moves,
		.n = n,
		.active = true,
		.upload = upload,
		.by_admin = by_admin,
		.start_ns = host_now(h),
		.quiet_until_ns = UINT64_MAX,
	};

	h->chunk_number = 0;
	for (u32 i = 0; i < n; i++)
		admit(h, &moves[i], upload, by_admin);
	return 0;
}

int host_offload(struct host *h, struct host_move *moves, u32 n, bool by_admin)
{
	return start(h, moves, n, false, by_admin);
}

int host_upload(struct host *h, struct host_move *moves, u32 n)
{
	return start(h, moves, n, true, false);
}

static void end(struct host *h)
{
	struct job *j = &h->job;

	for (u32 i = 0; i < j->n; i++) {
		struct host_conn *c = conn_find(h, j->moves[i].conn);

		if (c)
			c->flags &= ~CONN_IN_JOB;
	}
	j->report.elapsed_ns = host_now(h) - j->start_ns;
	j->active = false;
	j->upload = false;
}

bool host_busy(const struct host *h)
{
	return h->job.active;
}

u64 host_step_ns(const struct host *h, enum host_step_name step)
{
	return h->step_ns[step];
}

void host_report(const struct host *h, struct host_report *ret_report)
{
	*ret_report = h->job.report;
}

/* -- stepping ---------------------------------------------------------------------------------- */

static enum host_progress go_on(struct host *h, struct chunk *c)
{
	if (!c->completed)
		offload_ask_again(h, c);
	if (!c->completed)
		return HOST_WAITING;
	return c->upload ? upload_go_on(h, c) : offload_go_on(h, c);
}

/* The fence that was started last is over when this returns. */
void mover_fence(struct host *h)
{
	u64 t = host_now(h);

	if (h->fence_started)
		h->env.backend.ops->fence_wait(h->env.backend.impl);
	h->fence_started = false;
	host_lap(h, &t, HOST_STEP_FENCE);
}

void mover_fence_start(struct host *h)
{
	if (h->fence_started)
		mover_fence(h);
	h->env.backend.ops->fence_start(h->env.backend.impl);
	h->fence_started = true;
}

static enum host_progress step_upload(struct host *h)
{
	struct chunk *c = mover_chunk(h, true);

	if (!upload_fill(h, c))
		return HOST_IDLE;
	h->current = c;
	return upload_start(h, c);
}

static enum host_progress step_offload(struct host *h)
{
	struct job *j = &h->job;
	enum host_progress progress = HOST_MORE;

	if (!h->current) {
		h->current = h->next;
		h->next = NULL;
	}
	if (!h->next && h->asked.head == NIL && offload_needs_inspection(h)) {
		offload_inspect(h);
		return HOST_MORE;
	}
	if (h->current && !h->current->fenced) {
		mover_fence(h);
		h->current->fenced = true;
	}
	if (!h->next && h->asked.head == NIL && j->next < j->n)
		progress = offload_prepare(h);
	if (progress == HOST_WAITING)
		return HOST_WAITING;
	if (h->current)
		return offload_move(h, h->current);
	if (h->next || j->next < j->n)
		return HOST_MORE;
	if (j->unquiet)
		return offload_look_again(h) ? HOST_MORE : HOST_WAITING;
	return HOST_IDLE;
}

enum host_progress host_step(struct host *h)
{
	struct job *j = &h->job;
	enum host_progress progress = HOST_IDLE;

	park_late(h);
	fragments_expire(h);
	mover_retry(h);
	mover_reap(h);
	if (h->next && h->next->phase == CHUNK_RESERVING) {
		if (go_on(h, h->next) == HOST_WAITING)
			return HOST_WAITING;
	}
	if (h->current && h->current->phase != CHUNK_HELD) {
		progress = go_on(h, h->current);
		return progress == HOST_IDLE ? HOST_MORE : progress;
	}
	if (!h->current && !h->next && (h->asked.head != NIL || j->upload))
		progress = step_upload(h);
	if (progress == HOST_IDLE && j->active && !j->upload)
		progress = step_offload(h);
	if (progress != HOST_IDLE)
		return progress;
	if (h->fence_started)
		mover_fence(h);
	if (j->active)
		end(h);
	control_kick(h);
	return h->asked.head != NIL ? HOST_MORE : HOST_IDLE;
}

int host_run(struct host *h)
{
	for (;;) {
		enum host_progress progress = host_step(h);

		if (progress == HOST_IDLE)
			return 0;
		if (progress == HOST_MORE)
			continue;
		if (!h->env.wait)
			return -EDEADLK;
		h->env.wait(h->env.ctx);
	}
}

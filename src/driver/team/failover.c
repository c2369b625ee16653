/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Connections leave a member. By the team itself, a batch at a time: query CONST and CACHED, upload
 * DELEGATED, offload all of it at the members that take it, commit at the one that is left (R91).
 * The payload changes hands where it lies (BLOCK_TAKEN). What no member takes goes on where it was,
 * and the host is asked to take it back. Or through the host: it is asked for all of them (R88 to
 * R90).
 */
#include "base/assert.h"
#include "driver/team/internal.h"

enum { ASK_BATCH = 64 };

enum move_step {
	MOVE_QUERY,
	MOVE_UPLOAD,
	MOVE_PLACE,
};

/* -- asking the host --------------------------------------------------------------------------- */

static void ask_host(struct team *t, u32 member, struct team_conn *c, enum status why)
{
	if (c->flags & CONN_ASKED)
		return;
	c->flags |= CONN_ASKED;
	t->stats.to_host++;
	team_tell(t, (struct team_event){.kind = TEAM_EVENT_TO_HOST,
	                                 .status = (u16)why,
	                                 .member = member,
	                                 .n = 1});
	team_tell_host(t, IND_UPLOAD_REQUEST, c->host, UPLOAD_HARDWARE_FAILURE);
}

static void ask_for_all(struct team *t, u32 member)
{
	u32 i = t->member[member].first;

	while (i != NIL) {
		u32 next = t->conns[i].next; /* the host may upload it at once */

		ask_host(t, member, &t->conns[i], STATUS_OK);
		i = next;
	}
}

/* -- who leaves -------------------------------------------------------------------------------- */

void team_member_went(struct team *t, u32 member)
{
	struct team_member *m = &t->member[member];

	if (t->config.mode == TEAM_ACTIVE_BACKUP)
		team_select_active(t);
	t->caps_changed = true;
	if (!m->n)
		return;
	m->leaving = true;
	t->paused = true;
	team_tell_host(t, IND_PAUSE, HANDLE_NONE, 0);
	if (t->config.failover == TEAM_THROUGH_HOST)
		ask_for_all(t, member);
}

void team_member_came(struct team *t, u32 member)
{
	t->member[member].leaving = false;
	for (u32 i = t->member[member].first; i != NIL; i = t->conns[i].next)
		t->conns[i].flags &= (u8) ~(CONN_STUCK | CONN_ASKED);
	if (t->config.mode == TEAM_ACTIVE_BACKUP && t->active == NIL)
		team_select_active(t);
	t->caps_changed = true;
}

/* The preferred member has been back for long enough: what runs elsewhere moves there. */
static void fail_back(struct team *t)
{
	u32 before = t->active;

	if (t->config.mode != TEAM_ACTIVE_BACKUP || t->config.fail_back_ns == UINT64_MAX ||
	    t->paused)
		return;
	for (u32 i = 0; i < t->config.n_members; i++) {
		const struct team_member *m = &t->member[i];

		if (m->usable && t->active != NIL && m->priority < t->member[t->active].priority &&
		    t->now_ns >= m->usable_ns + t->config.fail_back_ns)
			t->active = i;
	}
	if (t->active == before || before == NIL)
		return;
	t->caps_changed = true;
	if (t->member[before].n) {
		t->member[before].leaving = true;
		t->paused = true;
		team_tell_host(t, IND_PAUSE, HANDLE_NONE, 0);
	}
}

/* -- the list of a batch ----------------------------------------------------------------------- */

static u32 neighbor_block(struct team *t, struct team_op *op, u32 neighbor)
{
	u32 at;

	for (u32 i = op->list->root; i != NIL; i = op->list->blocks[i].next)
		if (op->object[i] == neighbor)
			return i;
	if (block_list_add(op->list, NIL, LAYER_NEIGHBOR, false, &at))
		return NIL;
	op->object[at] = neighbor;
	op->parent[at] = NIL;
	return at;
}

static u32 path_block(struct team *t, struct team_op *op, u32 path)
{
	u32 neighbor = neighbor_block(t, op, t->paths[path].neighbor), at;

	if (neighbor == NIL)
		return NIL;
	for (u32 i = op->list->blocks[neighbor].dependent; i != NIL; i = op->list->blocks[i].next)
		if (op->object[i] == path)
			return i;
	if (block_list_add(op->list, neighbor, LAYER_PATH, false, &at))
		return NIL;
	op->object[at] = path;
	op->parent[at] = neighbor;
	return at;
}

static bool add_conn(struct team *t, struct team_op *op, u32 conn)
{
	struct team_conn *c = &t->conns[conn];
	u32 path = path_block(t, op, c->path), at;
	struct block *b;

	if (path == NIL || block_list_add(op->list, path, LAYER_TCP, true, &at))
		return false;
	b = block_at(op->list, at);
	b->host = c->host;
	b->device = slots_handle(&t->conn_slots, conn);
	b->flags = BLOCK_CONST | BLOCK_CACHED;
	b->status = STATUS_OK;
	op->object[at] = conn;
	op->parent[at] = path;
	op->tried[at] = (u8)(1 << op->from);
	c->flags |= CONN_MOVING;
	return true;
}

/* Those with priority first. How many there are. */
static u32 gather(struct team *t, struct team_op *op)
{
	u32 n = 0;

	block_list_init(&op->own, op->own_mem, t->config.list_blocks, t->config.list_blocks,
	                t->config.list_blocks, t->config.list_blocks);
	for (u32 want = 2; want-- > 0;)
		for (u32 i = t->member[op->from].first; i != NIL; i = t->conns[i].next) {
			const struct team_conn *c = &t->conns[i];

			if (c->flags & (CONN_STUCK | CONN_ASKED | CONN_MOVING) ||
			    c->priority != want)
				continue;
			if (!add_conn(t, op, i))
				return n;
			n++;
		}
	return n;
}

/* -- the steps --------------------------------------------------------------------------------- */

/* What the source said of each connection. Those that go on are PENDING. */
static void take_answers(struct team *t, struct team_op *op)
{
	team_collect_all(t, op);
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		struct block *b = block_at(op->list, i);

		if (b->layer == LAYER_TCP && b->status == STATUS_OK && op->step == MOVE_UPLOAD) {
			b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
			b->status = STATUS_PENDING;
		}
	}
}

/* The same part again, for the next call. */
static void ask_source(struct team *t, struct team_op *op, enum block_call call)
{
	struct team_sub *sub = &op->sub[0];

	for (u32 i = 0; i < sub->list.n_blocks; i++)
		if (call == BLOCK_CALL_UPLOAD)
			sub->list.blocks[i].flags = 0;
	sub->request.call = (u8)call;
	sub->pending = true;
	team_op_run(t, op);
}

static u32 settle(struct team *t, struct team_op *op, u32 *ret_to)
{
	struct team_sub *sub = &op->sub[0];
	struct device *d = t->member[op->from].device;
	u32 moved = 0;

	for (u32 i = 0; i < sub->list.n_blocks; i++) {
		struct block *b = block_at(&sub->list, i);
		const struct block *own = block_at(op->list, sub->of[i]);

		if (b->layer != LAYER_TCP || b->status != STATUS_OK)
			continue;
		if (own->status == STATUS_OK) {
			b->flags |= BLOCK_TAKEN;
			*ret_to = t->conns[op->object[sub->of[i]]].member;
			moved++;
		} else {
			b->status = STATUS_FAILED;
		}
	}
	sub->request.call = BLOCK_CALL_UPLOAD;
	d->ops->commit(d->impl, &sub->request);
	return moved;
}

static void finish(struct team *t, struct team_op *op)
{
	u32 from = op->from, to = NO_MEMBER;
	u32 moved = settle(t, op, &to);

	t->stats.moved += moved;
	team_op_free(op);
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		const struct block *b = block_at(op->list, i);
		struct team_conn *c;

		if (b->layer != LAYER_TCP)
			continue;
		c = &t->conns[op->object[i]];
		team_data_arrived(t, c);
		if (c->member != from)
			continue;
		c->flags |= CONN_STUCK;
		t->stats.move_failed++;
		if (!t->member[from].usable)
			ask_host(t, from, c, (enum status)b->status);
	}
	if (moved)
		team_tell(t,
		          (struct team_event){
				  .kind = TEAM_EVENT_MOVE, .member = from, .to = to, .n = moved});
	team_held_release(t);
}

void team_move_went_on(struct team *t, struct team_op *op)
{
	switch ((enum move_step)op->step) {
	case MOVE_QUERY:
		take_answers(t, op);
		op->step = MOVE_UPLOAD;
		ask_source(t, op, BLOCK_CALL_UPLOAD);
		return;
	case MOVE_UPLOAD:
		take_answers(t, op);
		op->step = MOVE_PLACE;
		break;
	case MOVE_PLACE:
		team_collect_placed(t, op);
		break;
	}
	if (team_place_all(t, op, false))
		team_op_run(t, op);
	else
		finish(t, op);
}

/* -- going on ---------------------------------------------------------------------------------- */

static bool work_left(const struct team *t, const struct team_member *m)
{
	for (u32 i = m->first; i != NIL; i = t->conns[i].next)
		if (!(t->conns[i].flags & (CONN_STUCK | CONN_ASKED)))
			return true;
	return false;
}

static void left(struct team *t, u32 member)
{
	t->member[member].leaving = false;
	team_tell(t, (struct team_event){.kind = TEAM_EVENT_MOVED_ALL,
	                                 .member = member,
	                                 .n = t->member[member].n});
	for (u32 i = 0; i < t->config.n_members; i++)
		if (t->member[i].leaving)
			return;
	t->paused = false;
	t->caps_changed = true;
}

static bool move_batch(struct team *t, u32 member)
{
	struct team_op *op;

	if (team_ops_busy(t, OP_MOVE))
		return false;
	op = team_op_take(t, OP_MOVE, NULL);
	if (!op)
		return false;
	op->from = (u8)member;
	op->step = MOVE_QUERY;
	op->layer = LAYER_TCP;
	if (!gather(t, op)) {
		team_op_free(op);
		return false;
	}
	team_mirror_all(t, op, BLOCK_CALL_QUERY);
	team_op_run(t, op);
	return true;
}

/* A host's request that runs finishes first: it may concern the same connections. */
static bool host_is_busy(const struct team *t)
{
	for (u32 i = 0; i < OPS_MAX; i++)
		if (t->op[i].kind != OP_MOVE &&
		    (t->op[i].stage == OP_RUNS || t->op[i].stage == OP_RESERVED))
			return true;
	return false;
}

bool team_failover_run(struct team *t)
{
	bool done = false;

	fail_back(t);
	for (u32 i = 0; i < t->config.n_members; i++) {
		if (!t->member[i].leaving)
			continue;
		if (!work_left(t, &t->member[i])) {
			/* Asked back: the host's uploads are on their way, or done. */
			if (!team_ops_busy(t, OP_MOVE)) {
				left(t, i);
				done = true;
			}
		} else if (t->config.failover == TEAM_BY_ITSELF && !host_is_busy(t)) {
			done |= move_batch(t, i);
		}
	}
	return done;
}

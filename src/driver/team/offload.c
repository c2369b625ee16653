/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Offload and its second phase. The host's forest becomes one forest a member, with the parents
 * that the member lacks. A connection that a member refuses is offered to the next one that may
 * take it; what no member takes comes back with the last reason.
 */
#include <errno.h>

#include "driver/team/internal.h"

/* -- the team's own objects -------------------------------------------------------------------- */

static enum status note_neighbor(struct team *t, struct team_op *op, struct block *b, u32 at)
{
	struct team_neighbor *n = team_neighbor_find(t, b->device);
	handle h = b->device;

	if (block_is_new(b)) {
		enum status status = team_neighbor_make(t, b, block_neighbor(op->list, b), &h);

		if (status)
			return status;
	} else if (!n && block_is_linker(b)) {
		return STATUS_STALE_HANDLE;
	}
	op->object[at] = block_is_placeholder(b) ? NIL : (u32)h;
	return STATUS_OK;
}

static enum status note_path(struct team *t, struct team_op *op, struct block *b, u32 at)
{
	u32 neighbor = op->object[op->parent[at]];
	handle h = b->device;

	if (block_is_new(b)) {
		enum status status;

		if (neighbor == NIL)
			return STATUS_BAD_STATE;
		status = team_path_make(t, b, block_path(op->list, b), neighbor, &h);
		if (status)
			return status;
	} else if (!team_path_find(t, h)) {
		return STATUS_STALE_HANDLE;
	}
	op->object[at] = (u32)h;
	return STATUS_OK;
}

static enum status note_conn(struct team *t, struct team_op *op, struct block *b, u32 at)
{
	handle h;
	enum status status = team_conn_make(t, b, op->object[op->parent[at]],
	                                    block_tcp(op->list, b)->c.priority != 0, &h);

	if (!status)
		op->object[at] = (u32)h;
	return status == STATUS_OK ? STATUS_PENDING : status;
}

/* Each block gets its object, or a status; handles are written at the end. */
static void note_objects(struct team *t, struct team_op *op)
{
	struct block_walk w;
	u32 i = block_walk_first(&w, op->list);

	while (i != NIL) {
		struct block *b = block_at(op->list, i);

		op->object[i] = NIL;
		op->parent[i] = w.parent;
		op->tried[i] = 0;
		b->detail = 0;
		if (b->layer == LAYER_NEIGHBOR)
			b->status = (u16)note_neighbor(t, op, b, i);
		else if (b->layer == LAYER_PATH)
			b->status = (u16)note_path(t, op, b, i);
		else
			b->status = (u16)note_conn(t, op, b, i);
		if (b->status == STATUS_OK || b->status == STATUS_PENDING) {
			i = block_walk_next(&w);
		} else {
			block_list_fail_subtree(op->list, i, STATUS_SUBTREE);
			i = block_walk_skip(&w);
		}
	}
}

/* -- parts ------------------------------------------------------------------------------------- */

static u32 mirror_neighbor(struct team *t, struct team_op *op, struct team_sub *sub, u32 index,
                           u32 of)
{
	struct team_neighbor *n = &t->neighbors[index];
	bool there = n->on[sub->member] != HANDLE_NONE;
	u32 at = team_sub_add(sub, NIL, LAYER_NEIGHBOR, !there, of);
	struct block *b;

	if (at == NIL)
		return NIL;
	b = block_at(&sub->list, at);
	b->host = n->host;
	b->device = n->on[sub->member];
	if (!there) {
		struct neighbor_state *s = block_neighbor(&sub->list, b);

		*s = n->state;
		s->k.port = t->member[sub->member].port;
		b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	}
	return at;
}

static u32 mirror_path(struct team *t, struct team_op *op, struct team_sub *sub, u32 index,
                       u32 parent, u32 of)
{
	struct team_path *p = &t->paths[index];
	bool there = p->on[sub->member] != HANDLE_NONE;
	u32 at = team_sub_add(sub, parent, LAYER_PATH, !there, of);
	struct block *b;

	if (at == NIL)
		return NIL;
	b = block_at(&sub->list, at);
	b->host = p->host;
	b->device = p->on[sub->member];
	if (!there) {
		*block_path(&sub->list, b) = p->state;
		b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	}
	return at;
}

u32 team_mirror_parent(struct team *t, struct team_op *op, struct team_sub *sub, u32 block)
{
	u32 *at = &op->mirror[sub->member][block];
	u32 object = op->object[block];

	if (*at != NIL)
		return *at;
	if (block_at(op->list, block)->layer == LAYER_NEIGHBOR) {
		*at = mirror_neighbor(t, op, sub, object, block);
	} else {
		u32 above = op->parent[block];
		u32 neighbor = t->paths[object].neighbor;
		u32 parent;

		/* Below a placeholder of the host's the path's own neighbor is what counts. */
		if (op->object[above] == NIL)
			op->object[above] = neighbor;
		parent = op->object[above] == neighbor ? team_mirror_parent(t, op, sub, above)
		                                       : mirror_neighbor(t, op, sub, neighbor, NIL);
		*at = parent == NIL ? NIL : mirror_path(t, op, sub, object, parent, block);
	}
	return *at;
}

static bool add_conn(struct team *t, struct team_op *op, struct team_sub *sub, u32 block)
{
	const struct block *from = block_at(op->list, block);
	u32 parent = team_mirror_parent(t, op, sub, op->parent[block]), at;
	struct block *b;

	if (parent == NIL)
		return false;
	at = team_sub_add(sub, parent, LAYER_TCP, true, block);
	if (at == NIL)
		return false;
	b = block_at(&sub->list, at);
	b->host = from->host;
	b->flags = from->flags;
	*block_tcp(&sub->list, b) = *block_tcp(op->list, from);
	return true;
}

static struct team_sub *open_for(struct team *t, struct team_op *op, u32 member, u32 first_sub,
                                 bool two_phase)
{
	struct team_sub *sub;

	for (u32 i = first_sub; i < op->n_subs; i++)
		if (op->sub[i].member == member)
			return &op->sub[i];
	sub = team_sub_open(t, op, member, BLOCK_CALL_OFFLOAD);
	if (sub) {
		sub->request.two_phase = two_phase;
		sub->pending = true;
	}
	return sub;
}

static void place(struct team *t, struct team_op *op, u32 block, u32 first_sub, bool two_phase)
{
	struct block *b = block_at(op->list, block);
	const struct team_conn *c = &t->conns[op->object[block]];
	const struct tcp_state *s = block_tcp(op->list, b);
	u8 member = team_select_member(t, &t->paths[c->path].state, &s->k, op->tried[block]);
	struct team_sub *sub;

	if (member == NO_MEMBER) {
		if (b->status == STATUS_PENDING) /* nobody was asked */
			b->status = STATUS_NO_CONNECTIONS;
		return;
	}
	op->tried[block] |= (u8)(1 << member);
	sub = open_for(t, op, member, first_sub, two_phase);
	if (sub && add_conn(t, op, sub, block))
		b->status = STATUS_PENDING;
	else
		b->status = STATUS_NO_MEMORY;
}

static bool may_retry(u16 status)
{
	return status == STATUS_PENDING || status == STATUS_BUSY ||
	       (status >= STATUS_NO_CONNECTIONS && status <= STATUS_POOR_CANDIDATE);
}

u32 team_place_all(struct team *t, struct team_op *op, bool two_phase)
{
	u32 first_sub = op->n_subs;
	struct block_walk w;

	for (u32 i = block_walk_first(&w, op->list); i != NIL; i = block_walk_next(&w)) {
		const struct block *b = block_at(op->list, i);

		if (b->layer == LAYER_TCP && op->object[i] != NIL && may_retry(b->status))
			place(t, op, i, first_sub, two_phase);
	}
	for (u32 i = first_sub; i < op->n_subs; i++)
		team_sub_close(op, &op->sub[i]);
	return op->n_subs - first_sub;
}

/* -- what members said ------------------------------------------------------------------------- */

static void parent_made(struct team *t, struct team_op *op, struct team_sub *sub,
                        const struct block *b)
{
	u32 of = sub->of[b - sub->list.blocks];
	bool made = b->status == STATUS_OK || b->status == STATUS_PARTIAL;

	if (!made || of == NIL)
		return;
	if (b->layer == LAYER_NEIGHBOR)
		t->neighbors[op->object[of]].on[sub->member] = b->device;
	else
		t->paths[op->object[of]].on[sub->member] = b->device;
}

static void conn_answered(struct team *t, struct team_op *op, struct team_sub *sub,
                          const struct block *b)
{
	u32 of = sub->of[b - sub->list.blocks];
	struct block *host = block_at(op->list, of);
	struct team_conn *c = &t->conns[op->object[of]];

	host->status = b->status;
	host->detail = b->detail;
	if (b->status == STATUS_OK)
		team_conn_place(t, c, sub->member, b->device);
}

void team_collect_placed(struct team *t, struct team_op *op)
{
	for (u32 k = 0; k < op->n_subs; k++) {
		struct team_sub *sub = &op->sub[k];

		if (sub->request.call != BLOCK_CALL_OFFLOAD)
			continue;
		for (u32 i = 0; i < sub->list.n_blocks; i++) {
			const struct block *b = block_at(&sub->list, i);

			if (b->layer != LAYER_TCP)
				parent_made(t, op, sub, b);
			else if (block_at(op->list, sub->of[i])->status != STATUS_OK)
				conn_answered(t, op, sub, b);
		}
	}
}

/* -- the call ---------------------------------------------------------------------------------- */

static void finish(struct team *t, struct team_op *op)
{
	struct block_list *list = op->list;
	struct block_walk w;

	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);
		u32 object = op->object[i];

		if (object == NIL || block_is_linker(b))
			continue;
		if (b->layer == LAYER_TCP && b->status != STATUS_OK)
			team_conn_drop(t, object);
		else if (b->layer == LAYER_TCP)
			b->device = slots_handle(&t->conn_slots, object);
		else if (block_is_new(b) && b->layer == LAYER_PATH)
			b->device = slots_handle(&t->path_slots, object);
		else if (block_is_new(b))
			b->device = slots_handle(&t->neighbor_slots, object);
	}
	block_list_mark_partial(list);
	if (op->request->two_phase)
		op->stage = OP_RESERVED;
	team_op_complete(t, op);
}

void team_offload_start(struct team *t, struct team_op *op)
{
	note_objects(t, op);
	if (team_place_all(t, op, op->request->two_phase))
		team_op_run(t, op);
	else
		finish(t, op);
}

void team_offload_went_on(struct team *t, struct team_op *op)
{
	team_collect_placed(t, op);
	if (team_place_all(t, op, op->request->two_phase))
		team_op_run(t, op);
	else
		finish(t, op);
}

int team_offload(void *device, struct offload_request *request)
{
	struct team *t = device;
	struct team_op *op;

	if (request->list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!team_list_is_sound(t, request))
		return 0;
	op = team_op_take(t, OP_OFFLOAD, request);
	if (!op)
		return -EBUSY;
	team_ops_run(t);
	return 0;
}

/* -- the second phase -------------------------------------------------------------------------- */

/* DELEGATED goes down, and what the host has given up. */
static void fill(struct team_op *op, struct team_sub *sub)
{
	for (u32 i = 0; i < sub->list.n_blocks; i++) {
		struct block *b = block_at(&sub->list, i);
		const struct block *host;

		if (sub->of[i] == NIL || b->state == NIL)
			continue;
		host = block_at(op->list, sub->of[i]);
		if (b->layer != LAYER_TCP)
			continue; /* taken over in the first phase already */
		if (b->status == STATUS_OK)
			b->status = host->status;
		block_tcp(&sub->list, b)->d = block_tcp(op->list, host)->d;
		b->flags |= host->flags & BLOCK_DELEGATED;
	}
	sub->list.pool = op->list->pool;
	sub->request.call = BLOCK_CALL_TRANSFER;
	sub->pending = true;
}

void team_transfer_start(struct team *t, struct team_op *op)
{
	for (u32 i = 0; i < op->n_subs; i++)
		fill(op, &op->sub[i]);
	team_op_run(t, op);
}

void team_transfer_went_on(struct team *t, struct team_op *op)
{
	for (u32 k = 0; k < op->n_subs; k++) {
		struct team_sub *sub = &op->sub[k];

		for (u32 i = 0; i < sub->list.n_blocks; i++) {
			const struct block *b = block_at(&sub->list, i);
			struct block *host;

			if (b->layer != LAYER_TCP || sub->of[i] == NIL)
				continue;
			host = block_at(op->list, sub->of[i]);
			/* A part in which it had failed already says nothing new. */
			if (host->status != STATUS_OK || b->device == HANDLE_NONE)
				continue;
			host->status = b->status;
			host->detail = b->detail;
		}
	}
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		struct block *b = block_at(op->list, i);
		u32 index = b->layer == LAYER_TCP ? slots_find(&t->conn_slots, b->device) : NIL;

		if (index != NIL && b->status != STATUS_OK)
			team_conn_drop(t, index);
	}
	block_list_mark_partial(op->list);
	team_op_complete(t, op);
}

int team_transfer(void *device, struct offload_request *request)
{
	struct team *t = device;
	struct team_op *op = team_op_of(t, request, OP_RESERVED);

	if (!op)
		return -EINVAL;
	op->kind = OP_TRANSFER;
	op->stage = OP_WAITS;
	team_ops_run(t);
	return 0;
}

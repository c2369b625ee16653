/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Update, invalidate and query: each object's part goes to the members that have it, so a change
 * costs one message a member, however many connections hang below. A path that moves to a neighbor
 * that one of its members lacks gets that neighbor there first (R77: new before old).
 */
#include <errno.h>

#include "driver/team/internal.h"
#include "state/schema.h"

/* -- the blocks of a list ---------------------------------------------------------------------- */

static u32 object_of(struct team *t, const struct block *b)
{
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return slots_find(&t->neighbor_slots, b->device);
	case LAYER_PATH:
		return slots_find(&t->path_slots, b->device);
	default:
		return slots_find(&t->conn_slots, b->device);
	}
}

void team_note_linkers(struct team *t, struct team_op *op)
{
	struct block_walk w;

	for (u32 i = block_walk_first(&w, op->list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(op->list, i);

		op->parent[i] = w.parent;
		op->object[i] = block_is_linker(b) ? object_of(t, b) : NIL;
		b->detail = 0;
		b->status = block_is_linker(b) && op->object[i] == NIL ? STATUS_STALE_HANDLE
		                                                       : STATUS_OK;
	}
}

static handle handle_on(const struct team *t, u32 layer, u32 object, u32 member)
{
	if (object == NIL)
		return HANDLE_NONE;
	if (layer == LAYER_NEIGHBOR)
		return t->neighbors[object].on[member];
	if (layer == LAYER_PATH)
		return t->paths[object].on[member];
	return t->conns[object].member == member ? t->conns[object].device : HANDLE_NONE;
}

static u32 mirror_block(struct team *t, struct team_op *op, struct team_sub *sub, u32 i)
{
	u32 *at = &op->mirror[sub->member][i];
	const struct block *from = block_at(op->list, i);
	handle there = block_is_linker(from) ? handle_on(t, from->layer, op->object[i], sub->member)
	                                     : HANDLE_NONE; /* only carries others */
	bool state = there != HANDLE_NONE && from->state != NIL;
	u32 parent = NIL;
	struct block *b;

	if (*at != NIL)
		return *at;
	if (op->parent[i] != NIL) {
		parent = mirror_block(t, op, sub, op->parent[i]);
		if (parent == NIL)
			return NIL;
	}
	*at = team_sub_add(sub, parent, (enum layer)from->layer, state, i);
	if (*at == NIL)
		return NIL;
	b = block_at(&sub->list, *at);
	b->host = from->host;
	b->device = there;
	b->flags = there != HANDLE_NONE ? from->flags : 0;
	if (state)
		memcpy(block_list_state(&sub->list, b->layer, b->state),
		       block_list_state(op->list, from->layer, from->state),
		       op->list->schema->layer[from->layer]->state_bytes);
	return *at;
}

static struct team_sub *part_of(struct team *t, struct team_op *op, u32 member,
                                enum block_call call)
{
	struct team_sub *sub;

	for (u32 i = 0; i < op->n_subs; i++)
		if (op->sub[i].member == member)
			return &op->sub[i];
	sub = team_sub_open(t, op, member, call);
	if (sub)
		sub->pending = true;
	return sub;
}

void team_mirror_all(struct team *t, struct team_op *op, enum block_call call)
{
	struct block_walk w;

	for (u32 i = block_walk_first(&w, op->list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(op->list, i);

		for (u32 m = 0; m < t->config.n_members; m++) {
			struct team_sub *sub;

			if (!block_is_linker(b) ||
			    handle_on(t, b->layer, op->object[i], m) == HANDLE_NONE)
				continue;
			sub = part_of(t, op, m, call);
			if (!sub || mirror_block(t, op, sub, i) == NIL)
				b->status = STATUS_NO_MEMORY;
		}
	}
	for (u32 k = 0; k < op->n_subs; k++)
		team_sub_close(op, &op->sub[k]);
}

/* -- what members said ------------------------------------------------------------------------- */

static void take_neighbor(struct neighbor_state *to, const struct neighbor_state *from, u8 flags,
                          bool first)
{
	if (flags & BLOCK_CACHED)
		to->c = from->c;
	if (flags & BLOCK_DELEGATED) /* any member that heard of it is as good as another */
		to->d.device_reachable_ns =
			first ? from->d.device_reachable_ns
			      : min_of(to->d.device_reachable_ns, from->d.device_reachable_ns);
}

static void take_state(struct team_op *op, struct block *host, const struct team_sub *sub,
                       const struct block *b)
{
	bool first = !(host->flags & BLOCK_DELEGATED) || op->kind == OP_QUERY;

	if (b->layer == LAYER_NEIGHBOR) {
		take_neighbor(block_neighbor(op->list, host), block_neighbor(&sub->list, b),
		              b->flags, first);
	} else if (b->layer == LAYER_PATH) {
		struct path_state *to = block_path(op->list, host);
		const struct path_state *from = block_path(&sub->list, b);

		if (b->flags & BLOCK_CONST)
			to->k = from->k;
		if (b->flags & BLOCK_CACHED)
			to->c = from->c;
		if (b->flags & BLOCK_DELEGATED)
			to->d = from->d;
	} else {
		*block_tcp(op->list, host) = *block_tcp(&sub->list, b);
	}
	host->flags |= b->flags;
}

void team_collect_all(struct team *t, struct team_op *op)
{
	bool states = op->kind == OP_UPLOAD || op->kind == OP_QUERY || op->kind == OP_MOVE;

	for (u32 k = 0; k < op->n_subs; k++) {
		struct team_sub *sub = &op->sub[k];

		for (u32 i = 0; i < sub->list.n_blocks; i++) {
			const struct block *b = block_at(&sub->list, i);
			struct block *host = block_at(op->list, sub->of[i]);

			if (b->device == HANDLE_NONE)
				continue;
			if (b->status != STATUS_OK && b->status != STATUS_PARTIAL) {
				host->status = b->status;
				host->detail = b->detail;
			} else if (states && b->state != NIL) {
				take_state(op, host, sub, b);
			}
		}
		if (sub->list.pool)
			op->list->pool = sub->list.pool;
	}
}

/* -- update: the team's own copies, and neighbors that members lack ------------------------------
 */

static void remember(struct team *t, struct team_op *op, u32 i)
{
	const struct block *b = block_at(op->list, i);
	u32 object = op->object[i];
	struct team_path *p;

	if (object == NIL || b->status != STATUS_OK)
		return;
	if (b->layer == LAYER_NEIGHBOR && b->flags & BLOCK_CACHED)
		t->neighbors[object].state.c = block_neighbor(op->list, b)->c;
	if (b->layer != LAYER_PATH)
		return;
	p = &t->paths[object];
	if (b->flags & BLOCK_CACHED)
		p->state.c = block_path(op->list, b)->c;
	if (b->flags & BLOCK_REPARENT) {
		t->neighbors[p->neighbor].refs--;
		p->neighbor = op->object[op->parent[i]];
		t->neighbors[p->neighbor].refs++;
	}
}

/* Members that have the path but not its new neighbor. How many parts there are. */
static u32 bring_neighbors(struct team *t, struct team_op *op)
{
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		const struct block *b = block_at(op->list, i);
		u32 above = op->parent[i];

		if (b->layer != LAYER_PATH || !(b->flags & BLOCK_REPARENT) ||
		    op->object[i] == NIL || op->object[above] == NIL)
			continue;
		for (u32 m = 0; m < t->config.n_members; m++) {
			struct team_sub *sub;

			if (handle_on(t, LAYER_PATH, op->object[i], m) == HANDLE_NONE ||
			    handle_on(t, LAYER_NEIGHBOR, op->object[above], m) != HANDLE_NONE)
				continue;
			sub = part_of(t, op, m, BLOCK_CALL_OFFLOAD);
			if (sub)
				(void)team_mirror_parent(t, op, sub, above);
		}
	}
	for (u32 k = 0; k < op->n_subs; k++)
		team_sub_close(op, &op->sub[k]);
	return op->n_subs;
}

static void ask(struct team *t, struct team_op *op)
{
	static const enum block_call calls[] = {
		[OP_UPDATE] = BLOCK_CALL_UPDATE,
		[OP_INVALIDATE] = BLOCK_CALL_INVALIDATE,
		[OP_QUERY] = BLOCK_CALL_QUERY,
	};

	op->step = 1;
	team_op_reset_subs(t, op);
	team_mirror_all(t, op, calls[op->kind]);
	team_op_run(t, op);
}

/* -- the calls --------------------------------------------------------------------------------- */

void team_change_start(struct team *t, struct team_op *op)
{
	team_note_linkers(t, op);
	if (op->kind == OP_UPDATE && bring_neighbors(t, op))
		team_op_run(t, op);
	else
		ask(t, op);
}

/* What no member has is answered here. */
static void answer_query(struct team *t, struct team_op *op, u32 i)
{
	struct block *b = block_at(op->list, i);
	u32 object = op->object[i];

	if (object == NIL || b->state == NIL || b->status != STATUS_OK)
		return;
	if (b->layer == LAYER_NEIGHBOR && b->flags & BLOCK_CONST)
		block_neighbor(op->list, b)->k = t->neighbors[object].state.k;
	for (u32 m = 0; m < t->config.n_members; m++)
		if (handle_on(t, b->layer, object, m) != HANDLE_NONE)
			return;
	if (b->layer == LAYER_NEIGHBOR)
		*block_neighbor(op->list, b) = t->neighbors[object].state;
	else if (b->layer == LAYER_PATH)
		*block_path(op->list, b) = t->paths[object].state;
}

void team_change_went_on(struct team *t, struct team_op *op)
{
	if (op->step == 0) {
		team_collect_placed(t, op);
		ask(t, op);
		return;
	}
	team_collect_all(t, op);
	for (u32 i = 0; i < op->list->n_blocks; i++) {
		if (op->kind == OP_UPDATE)
			remember(t, op, i);
		else if (op->kind == OP_QUERY)
			answer_query(t, op, i);
	}
	team_op_complete(t, op);
}

int team_change(struct team *t, struct offload_request *request, enum op_kind kind,
                enum layer layer)
{
	struct team_op *op;

	if (request->list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!team_list_is_sound(t, request))
		return 0;
	op = team_op_take(t, kind, request);
	if (!op)
		return -EBUSY;
	op->layer = (u8)layer;
	team_ops_run(t);
	return 0;
}

#define LAYER_OPS(name, LAYER)                                                      \
	static int name##_update(void *device, struct offload_request *request)     \
	{                                                                           \
		return team_change(device, request, OP_UPDATE, LAYER);              \
	}                                                                           \
	static int name##_invalidate(void *device, struct offload_request *request) \
	{                                                                           \
		return team_change(device, request, OP_INVALIDATE, LAYER);          \
	}                                                                           \
	static int name##_query(void *device, struct offload_request *request)      \
	{                                                                           \
		return team_change(device, request, OP_QUERY, LAYER);               \
	}                                                                           \
	const struct layer_ops team_layer_##name = {name##_update, name##_invalidate, name##_query}

LAYER_OPS(neighbor, LAYER_NEIGHBOR);
LAYER_OPS(path, LAYER_PATH);
LAYER_OPS(tcp, LAYER_TCP);

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Updates, invalidates, and the coming and going of neighbors and paths by themselves: one request
 * at a time, each with everything of its kind that waits, so that a change costs the device one
 * message however much depends on it. What may be told when is decided here:
 *
 *   1. neighbors that paths are about to move to are offloaded        (R77: new before old)
 *   2. changed neighbors, then re-parented paths in one update, then changed paths, connections
 *   3. invalidates
 *   4. paths and neighbors that nothing depends on are uploaded        (R42, R43)
 *
 * Only the layer whose variable changed and those below it take part (R71, R72).
 */
#include <errno.h>

#include "host/priv.h"
#include "offload/request.h"

static const enum host_layer layer_of[LAYERS] = {
	[LAYER_NEIGHBOR] = HOST_FRAMING,
	[LAYER_PATH] = HOST_NETWORK,
	[LAYER_TCP] = HOST_TRANSPORT,
};

/* -- what may be told -------------------------------------------------------------------------- */

static enum dirty_verdict may_tell(u8 object, enum legal_call call)
{
	if (object == OBJECT_OFFLOADING || object == OBJECT_UPLOADING)
		return DIRTY_LATER;
	return legal_check(object, call) == STATUS_OK ? DIRTY_TAKEN : DIRTY_NEVER;
}

/* What hangs on something invalid is invalid too, whatever its own row says. */
static u8 path_object(const struct host *h, const struct host_path *p)
{
	bool invalid = h->neighbor[p->neighbor].object == OBJECT_INVALID;

	return invalid && p->object == OBJECT_OFFLOADED ? OBJECT_INVALID : p->object;
}

static u8 conn_object(const struct host *h, const struct host_conn *c)
{
	bool invalid = path_object(h, &h->path[c->path]) == OBJECT_INVALID;

	return invalid && (c->object == OBJECT_OFFLOADED || c->object == OBJECT_UPLOAD_REQUESTED)
	               ? OBJECT_INVALID
	               : c->object;
}

static struct block *add(struct host *h, u32 parent, enum layer layer, bool state)
{
	struct block_list *list = &h->control.list;
	u32 block;

	if (parent == NIL && layer != LAYER_NEIGHBOR)
		return NULL;
	if (block_list_add(list, parent, layer, state, &block))
		return NULL;
	return block_at(list, block);
}

static struct block *add_neighbor(struct host *h, u32 index, bool state)
{
	struct block *b = add(h, NIL, LAYER_NEIGHBOR, state);

	if (b) {
		b->host = slots_handle(&h->neighbor_slots, index);
		b->device = h->neighbor[index].device;
	}
	return b;
}

static enum dirty_verdict tell_neighbor(struct host *h, u32 index)
{
	struct host_neighbor *n = &h->neighbor[index];
	enum dirty_verdict verdict = may_tell(n->object, LEGAL_CALL_UPDATE);
	struct block *b;

	if (verdict != DIRTY_TAKEN)
		return verdict;
	b = add_neighbor(h, index, true);
	if (!b)
		return DIRTY_LATER;
	b->flags = BLOCK_CACHED;
	block_neighbor(&h->control.list, b)->c = n->state.c;
	return DIRTY_TAKEN;
}

static enum dirty_verdict tell_path(struct host *h, u32 index)
{
	struct host_path *p = &h->path[index];
	enum dirty_verdict verdict = may_tell(path_object(h, p), LEGAL_CALL_UPDATE);
	struct block *b;

	if (verdict != DIRTY_TAKEN)
		return verdict;
	b = add(h, framing_holder(h, &h->control.list, p->neighbor), LAYER_PATH, true);
	if (!b)
		return DIRTY_LATER;
	b->host = slots_handle(&h->path_slots, index);
	b->device = p->device;
	b->flags = BLOCK_CACHED;
	block_path(&h->control.list, b)->c = p->state.c;
	return DIRTY_TAKEN;
}

static struct block *add_conn(struct host *h, u32 index, bool state)
{
	struct host_conn *c = &h->conn[index];
	struct block *b = add(h, network_holder(h, &h->control.list, c->path), LAYER_TCP, state);

	if (b) {
		b->host = conn_handle(h, c);
		b->device = c->device;
	}
	return b;
}

static enum dirty_verdict tell_conn(struct host *h, u32 index)
{
	struct host_conn *c = &h->conn[index];
	enum dirty_verdict verdict = may_tell(conn_object(h, c), LEGAL_CALL_UPDATE);
	struct block *b;

	if (verdict != DIRTY_TAKEN)
		return verdict;
	b = add_conn(h, index, true);
	if (!b)
		return DIRTY_LATER;
	b->flags = BLOCK_CACHED;
	block_tcp(&h->control.list, b)->c = c->c;
	c->c.restart_keepalive = 0; /* one-shots */
	c->c.restart_retransmit = 0;
	return DIRTY_TAKEN;
}

/* The path hangs in the list under the neighbor that it will have. */
static enum dirty_verdict reparent(struct host *h, u32 index)
{
	struct host_path *p = &h->path[index];
	struct host_neighbor *to;
	struct block *b;
	u32 parent;

	if (p->want == NIL)
		return DIRTY_NEVER;
	if (p->object == OBJECT_IN_HOST) {
		network_reparented(h, index, p->want);
		return DIRTY_NEVER;
	}
	to = &h->neighbor[p->want];
	if (may_tell(path_object(h, p), LEGAL_CALL_UPDATE) == DIRTY_NEVER) {
		mover_ask_path(h, index);
		return DIRTY_NEVER;
	}
	if (p->object != OBJECT_OFFLOADED || to->object != OBJECT_OFFLOADED)
		return DIRTY_LATER;
	parent = framing_holder(h, &h->control.list, p->want);
	b = add(h, parent, LAYER_PATH, false);
	if (!b)
		return DIRTY_LATER;
	block_at(&h->control.list, parent)->device = to->device;
	b->host = slots_handle(&h->path_slots, index);
	b->device = p->device;
	b->flags = BLOCK_REPARENT;
	p->telling = true;
	return DIRTY_TAKEN;
}

static enum dirty_verdict offload_neighbor(struct host *h, u32 index)
{
	struct host_neighbor *n = &h->neighbor[index];
	struct block *b;

	if (n->object == OBJECT_UPLOADING)
		return DIRTY_LATER;
	if (n->object != OBJECT_IN_HOST || !n->wanted)
		return DIRTY_NEVER;
	b = add_neighbor(h, index, true);
	if (!b)
		return DIRTY_LATER;
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	*block_neighbor(&h->control.list, b) = n->state;
	n->object = OBJECT_OFFLOADING;
	return DIRTY_TAKEN;
}

static enum dirty_verdict invalidate_neighbor(struct host *h, u32 index)
{
	enum dirty_verdict verdict = may_tell(h->neighbor[index].object, LEGAL_CALL_INVALIDATE);

	if (verdict == DIRTY_TAKEN && !add_neighbor(h, index, false))
		return DIRTY_LATER;
	return verdict;
}

static enum dirty_verdict invalidate_path(struct host *h, u32 index)
{
	struct host_path *p = &h->path[index];
	enum dirty_verdict verdict = may_tell(path_object(h, p), LEGAL_CALL_INVALIDATE);
	u32 block;

	if (verdict != DIRTY_TAKEN)
		return verdict;
	block = network_holder(h, &h->control.list, index);
	if (block == NIL)
		return DIRTY_LATER;
	block_at(&h->control.list, block)->device = p->device;
	return DIRTY_TAKEN;
}

static enum dirty_verdict invalidate_conn(struct host *h, u32 index)
{
	enum dirty_verdict verdict =
		may_tell(conn_object(h, &h->conn[index]), LEGAL_CALL_INVALIDATE);

	if (verdict == DIRTY_TAKEN && !add_conn(h, index, false))
		return DIRTY_LATER;
	return verdict;
}

static enum dirty_verdict reap_path(struct host *h, u32 index)
{
	struct host_path *p = &h->path[index];
	enum dirty_verdict verdict = may_tell(p->object, LEGAL_CALL_UPLOAD);

	if (p->refs || p->device == HANDLE_NONE)
		return DIRTY_NEVER;
	if (verdict == DIRTY_TAKEN && (h->control.list.n_blocks >= CONTROL_STATES ||
	                               network_holder(h, &h->control.list, index) == NIL))
		return DIRTY_LATER;
	return verdict;
}

static enum dirty_verdict reap_neighbor(struct host *h, u32 index)
{
	struct host_neighbor *n = &h->neighbor[index];
	enum dirty_verdict verdict = may_tell(n->object, LEGAL_CALL_UPLOAD);

	if (n->refs || n->wanted || n->device == HANDLE_NONE)
		return DIRTY_NEVER;
	if (verdict == DIRTY_TAKEN && (h->control.list.n_blocks >= CONTROL_STATES ||
	                               framing_holder(h, &h->control.list, index) == NIL))
		return DIRTY_LATER;
	return verdict;
}

/* -- requests ---------------------------------------------------------------------------------- */

struct step {
	u8 kind; /* enum control_kind */
	u8 layer;
	u8 what; /* enum dirty */
	u8 call; /* enum block_call */
	dirty_visit visit;
};

static const struct step steps[] = {
	{CONTROL_OFFLOAD, LAYER_NEIGHBOR, DIRTY_OFFLOAD, BLOCK_CALL_OFFLOAD, offload_neighbor},
	{CONTROL_UPDATE, LAYER_NEIGHBOR, DIRTY_CACHED, BLOCK_CALL_UPDATE, tell_neighbor},
	{CONTROL_REPARENT, LAYER_PATH, DIRTY_PARENT, BLOCK_CALL_UPDATE, reparent},
	{CONTROL_UPDATE, LAYER_PATH, DIRTY_CACHED, BLOCK_CALL_UPDATE, tell_path},
	{CONTROL_UPDATE, LAYER_TCP, DIRTY_CACHED, BLOCK_CALL_UPDATE, tell_conn},
	{CONTROL_INVALIDATE, LAYER_NEIGHBOR, DIRTY_INVALIDATE, BLOCK_CALL_INVALIDATE,
         invalidate_neighbor},
	{CONTROL_INVALIDATE, LAYER_PATH, DIRTY_INVALIDATE, BLOCK_CALL_INVALIDATE, invalidate_path},
	{CONTROL_INVALIDATE, LAYER_TCP, DIRTY_INVALIDATE, BLOCK_CALL_INVALIDATE, invalidate_conn},
	{CONTROL_UPLOAD, LAYER_PATH, DIRTY_REAP, BLOCK_CALL_UPLOAD, reap_path},
	{CONTROL_UPLOAD, LAYER_NEIGHBOR, DIRTY_REAP, BLOCK_CALL_UPLOAD, reap_neighbor},
};

static int call_device(struct host *h, const struct step *s)
{
	struct offload_request *r = &h->control.request;
	const struct layer_ops *layer = *h->table[s->layer];

	for (u32 i = layer_of[s->layer]; i < HOST_LAYERS; i++)
		h->ladder[s->call][i]++;
	switch (s->kind) {
	case CONTROL_OFFLOAD:
		return h->env.device->ops->offload(host_device(h), r);
	case CONTROL_UPLOAD:
		return h->env.device->ops->upload(host_device(h), r);
	case CONTROL_INVALIDATE:
		h->counters.invalidates++;
		return layer->invalidate(host_device(h), r);
	default:
		h->counters.updates++;
		return layer->update(host_device(h), r);
	}
}

static void finish(struct host *h);

static bool has_handles(const struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		if (list->blocks[i].device != HANDLE_NONE)
			return true;
	}
	return false;
}

/* Builds and sends one request; false: there is nothing of this kind to tell. */
static bool try_step(struct host *h, const struct step *s)
{
	struct control *k = &h->control;

	if (h->dirty[s->layer].head == NIL)
		return false;
	block_list_reset(&k->list);
	k->list.pool = h->env.pool;
	h->stamp++;
	if (!dirty_collect(h, s->layer, s->what, s->visit))
		return false;
	if (s->kind == CONTROL_UPLOAD) {
		h->reaping = true;
		network_leave(h, &k->list);
		h->reaping = false;
		if (!has_handles(&k->list))
			return false;
	}
	k->kind = s->kind;
	k->layer = s->layer;
	k->completed = false;
	k->rejected = false;
	k->in_call = true;
	memset(&k->request, 0, sizeof(k->request));
	k->request.call = s->call;
	k->request.list = &k->list;
	k->request.cookie = COOKIE_CONTROL;
	if (call_device(h, s)) {
		offload_list_set_status(&k->list, STATUS_FAILED);
		k->completed = true;
		k->rejected = true;
	}
	k->in_call = false;
	if (k->completed)
		finish(h);
	return true;
}

void control_kick(struct host *h)
{
	bool again = true;

	if (h->kicking)
		return;
	h->kicking = true;
	while (again && h->control.kind == CONTROL_NONE) {
		again = false;
		for (u32 i = 0; i < ARRAY_SIZE(steps) && !again; i++)
			again = try_step(h, &steps[i]);
	}
	h->kicking = false;
}

void control_complete(struct host *h)
{
	h->control.completed = true;
	if (h->control.in_call)
		return;
	finish(h);
	control_kick(h);
}

/* -- completions ------------------------------------------------------------------------------- */

/* What could not be told is taken back instead. */
static void ask_dependents(struct host *h, enum layer layer, u32 index)
{
	if (layer == LAYER_NEIGHBOR)
		mover_ask_neighbor(h, index);
	else if (layer == LAYER_PATH)
		mover_ask_path(h, index);
	else
		mover_ask(h, &h->conn[index], UPLOAD_DEVICE);
}

static void failed(struct host *h, const struct block *b)
{
	h->counters.updates_failed++;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_UPDATE_FAILED,
	                                 .layer = b->layer,
	                                 .object = b->host,
	                                 .reason = b->status,
	                                 .detail = b->detail});
	ask_dependents(h, b->layer, (u32)b->host);
}

static void updated(struct host *h, const struct block *b)
{
	if (b->status != STATUS_OK)
		failed(h, b);
}

/* Where it is now may not be where it should be any more: then it is told once more. */
static void reparented(struct host *h, const struct block *b, u32 told)
{
	u32 index = (u32)b->host;

	h->path[index].telling = false;
	if (b->status == STATUS_OK)
		network_reparented(h, index, told);
	else
		failed(h, b);
}

static void invalidated(struct host *h, const struct block *b)
{
	u32 index = (u32)b->host;

	if (b->status != STATUS_OK) {
		failed(h, b);
		return;
	}
	if (b->layer == LAYER_NEIGHBOR)
		h->neighbor[index].object = OBJECT_INVALID;
	else if (b->layer == LAYER_PATH)
		h->path[index].object = OBJECT_INVALID;
	else
		h->conn[index].object = OBJECT_INVALID;
	/* A device asks for what depends on an object, not for the object itself. */
	if (b->layer == LAYER_TCP)
		mover_ask(h, &h->conn[index], UPLOAD_INVALID_STATE);
	host_log(h, &(struct host_event){
			    .kind = HOST_EVENT_INVALIDATED, .layer = b->layer, .object = b->host});
}

/* No room for the new neighbor: nothing can be sent over the paths that need it. */
static void neighbor_offloaded(struct host *h, const struct block *b)
{
	u32 index = (u32)b->host;
	struct host_neighbor *n = &h->neighbor[index];

	if (b->status == STATUS_OK) {
		n->device = b->device;
		n->object = OBJECT_OFFLOADED;
		h->counters.neighbors_offloaded++;
		if (!n->wanted && !n->refs)
			control_mark(h, LAYER_NEIGHBOR, index, DIRTY_REAP);
		return;
	}
	n->object = OBJECT_IN_HOST;
	failed(h, b);
	for (u32 i = h->dirty[LAYER_PATH].head; i != NIL; i = h->path[i].dirty_next) {
		if (h->path[i].want == index)
			mover_ask_path(h, i);
	}
}

static void finish_block(struct host *h, const struct block *b, u32 parent)
{
	struct control *k = &h->control;

	if (b->layer != k->layer || b->device == HANDLE_NONE) {
		if (k->kind != CONTROL_OFFLOAD)
			return;
	}
	switch (k->kind) {
	case CONTROL_UPDATE:
		updated(h, b);
		break;
	case CONTROL_REPARENT:
		reparented(h, b, (u32)block_at(&k->list, parent)->host);
		break;
	case CONTROL_INVALIDATE:
		invalidated(h, b);
		break;
	default:
		neighbor_offloaded(h, b);
	}
}

static void finish(struct host *h)
{
	struct control *k = &h->control;
	struct block_walk w;

	if (k->kind == CONTROL_UPLOAD) {
		network_keep(h, &k->list);
		if (k->rejected)
			mover_reap_later(h);
		else
			h->env.device->ops->commit(host_device(h), &k->request);
		network_left(h, &k->list);
	} else {
		for (u32 i = block_walk_first(&w, &k->list); i != NIL; i = block_walk_next(&w))
			finish_block(h, block_at(&k->list, i), w.parent);
	}
	k->kind = CONTROL_NONE;
}

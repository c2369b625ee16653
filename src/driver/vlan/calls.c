/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * State calls: on the way down the tags of the virtual device go into neighbors, objects get
 * handles of ours; on the way up all of it comes off again, so the host's list comes back as it
 * went (R94).
 */
#include <errno.h>

#include "driver/vlan/internal.h"
#include "offload/request.h"
#include "wire/load.h"

/* -- tags in inserts --------------------------------------------------------------------------- */

static bool read_insert(const struct block_insert *insert, struct vlan_stack *ret)
{
	if (insert->len % 4 || insert->len > 4 * VLAN_DEPTH_MAX)
		return false;
	ret->n = insert->len / 4u;
	for (u32 i = 0; i < ret->n; i++)
		ret->tag[i] = wire_get32(insert->bytes + (size_t)4 * i);
	return true;
}

static int add_insert(struct block_list *list, u32 block, const struct vlan_stack *tags)
{
	u8 bytes[4 * VLAN_DEPTH_MAX];

	for (u32 i = 0; i < tags->n; i++)
		wire_put32(bytes + (size_t)4 * i, tags->tag[i]);
	return block_list_insert(list, block, BLOCK_INSERT_VLAN, bytes, 4 * tags->n);
}

/* The first of our kind, of a block or (NIL) of any; NIL: none. */
static u32 find_insert(const struct block_list *list, u32 block)
{
	for (u32 i = 0; i < list->n_inserts; i++)
		if ((block == NIL || list->inserts[i].block == block) &&
		    list->inserts[i].kind == BLOCK_INSERT_VLAN)
			return i;
	return NIL;
}

static void take_insert(struct block_list *list, u32 block)
{
	u32 i = find_insert(list, block);

	if (i == NIL)
		return;
	list->n_inserts--;
	memmove(&list->inserts[i], &list->inserts[i + 1],
	        (list->n_inserts - i) * sizeof(list->inserts[0]));
}

static bool append(struct vlan_stack *to, const struct vlan_stack *tags)
{
	if (to->n + tags->n > VLAN_DEPTH_MAX)
		return false;
	for (u32 i = 0; i < tags->n; i++)
		to->tag[to->n++] = tags->tag[i];
	return true;
}

/* -- flights ----------------------------------------------------------------------------------- */

static struct vlan_flight *flight_of(struct vlan *v, const struct offload_request *request)
{
	for (u32 i = 0; i < VLAN_FLYING; i++)
		if (v->flight[i].request == request)
			return &v->flight[i];
	return NULL;
}

/* The list gets room of ours for inserts, with its own in it. */
static struct vlan_flight *start(struct vlan *v, u32 port, enum block_call call,
                                 struct offload_request *request)
{
	struct block_list *list = request->list;
	struct vlan_flight *f = flight_of(v, NULL);

	if (!f)
		return NULL;
	f->request = request;
	f->port = (u8)port;
	f->call = (u8)call;
	f->inserts = list->inserts;
	f->n_inserts = list->n_inserts;
	f->cap_inserts = list->cap_inserts;
	if (list->n_inserts)
		memcpy(f->lent, list->inserts, list->n_inserts * sizeof(*f->lent));
	list->inserts = f->lent;
	list->cap_inserts = v->config.list_blocks;
	for (u32 i = 0; i < list->n_blocks; i++)
		f->object[i] = NIL;
	return f;
}

/* Gives the list back what it had, and what those below have put into it for its host. */
static void land(struct vlan_flight *f)
{
	struct block_list *list = f->request->list;
	u32 n = min_of(list->n_inserts, f->cap_inserts);

	if (n)
		memcpy(f->inserts, f->lent, n * sizeof(*f->lent));
	list->inserts = f->inserts;
	list->n_inserts = n;
	list->cap_inserts = f->cap_inserts;
	f->request = NULL;
}

/* -- down -------------------------------------------------------------------------------------- */

static bool brings_state(const struct vlan_flight *f, const struct block *b)
{
	return f->call == BLOCK_CALL_OFFLOAD ? block_is_new(b)
	                                     : f->call == BLOCK_CALL_TRANSFER && b->state != NIL;
}

/* The wire's tags: ours, those of an insert, the host's. */
static enum status tag_neighbor(struct vlan *v, struct vlan_flight *f, u32 i, struct vlan_object *o)
{
	struct block_list *list = f->request->list;
	struct neighbor_state *n = block_neighbor(list, block_at(list, i));
	const struct vlan_device_config *c = &v->port[f->port].config;
	struct vlan_stack below = {0}, inner = {0}, all = c->tags;
	u32 insert = find_insert(list, i);

	if (insert != NIL && !read_insert(&list->inserts[insert], &inner))
		return STATUS_MALFORMED;
	if (n->k.vlans.n > VLAN_DEPTH_MAX || !append(&all, &inner) || !append(&all, &n->k.vlans))
		return STATUS_VLAN_MISMATCH;
	/* A host's own tags must not make its traffic another's (R104). */
	if (vlan_port_of_tags(v, &all) != f->port)
		return STATUS_VLAN_MISMATCH;
	if (c->form == VLAN_INSERT && insert == NIL && list->n_inserts == list->cap_inserts)
		return STATUS_NO_MEMORY;
	take_insert(list, i);
	if (c->form == VLAN_FIELD)
		below = c->tags;
	else
		(void)!add_insert(list, i, &c->tags); /* there is room */
	(void)append(&below, &inner);
	(void)append(&below, &n->k.vlans);
	n->k.vlans = below;
	o->inner = inner;
	o->tags = all;
	return STATUS_OK;
}

/* What a new object has of those it hangs on. */
static void inherit(struct vlan *v, struct vlan_object *o, u32 above, const struct block_list *list,
                    const struct block *b)
{
	if (above != NIL && o->layer != LAYER_NEIGHBOR) {
		o->tags = v->object[above].tags;
		o->flow = v->object[above].flow;
	}
	o->known = o->layer == LAYER_NEIGHBOR || (above != NIL && v->object[above].known);
	if (o->layer == LAYER_PATH) {
		o->flow.local = block_path(list, b)->k.local_addr;
		o->flow.remote = block_path(list, b)->k.remote_addr;
	} else if (o->layer == LAYER_TCP && above != NIL) {
		o->flow.local_port = block_tcp(list, b)->k.local_port;
		o->flow.remote_port = block_tcp(list, b)->k.remote_port;
	}
}

static enum status send_block(struct vlan *v, struct vlan_flight *f, u32 i, u32 above)
{
	struct block_list *list = f->request->list;
	struct block *b = block_at(list, i);
	u32 at = NIL;

	if (block_is_linker(b)) {
		if (!vlan_object_is_of(v, b->layer, b->device, f->port)) {
			v->count.foreign++;
			return STATUS_STALE_HANDLE;
		}
		at = vlan_object_find(v, b->layer, b->device);
	} else if (brings_state(f, b) && f->call == BLOCK_CALL_OFFLOAD) {
		at = vlan_object_take(v, f->port, b->layer, b->host);
		if (at == NIL)
			return STATUS_NO_MEMORY;
		inherit(v, &v->object[at], above, list, b);
	}
	if (at != NIL && brings_state(f, b)) {
		enum status status = b->layer == LAYER_NEIGHBOR
		                             ? tag_neighbor(v, f, i, &v->object[at])
		                             : STATUS_OK;

		if (status) {
			if (f->call == BLOCK_CALL_OFFLOAD)
				vlan_object_drop(v, at);
			return status;
		}
		if (f->port)
			b->host = vlan_object_name(v, at);
	}
	f->object[i] = at;
	return STATUS_OK;
}

/* -- up ---------------------------------------------------------------------------------------- */

/* Whether send_block() has changed the block; its handle may have come since. */
static bool brought_state(const struct vlan_flight *f, const struct block *b)
{
	return b->state != NIL && (f->call == BLOCK_CALL_OFFLOAD || f->call == BLOCK_CALL_TRANSFER);
}

/* Our tags come off what those below have filled in, or left as it was. */
static void untag(struct vlan *v, struct vlan_flight *f, u32 i, const struct vlan_object *o)
{
	struct block_list *list = f->request->list;
	struct block *b = block_at(list, i);
	struct neighbor_state *n = block_neighbor(list, b);
	const struct vlan_device_config *c = &v->port[f->port].config;
	u32 ours = o->inner.n + (c->form == VLAN_FIELD ? c->tags.n : 0);
	bool filled = f->call == BLOCK_CALL_QUERY || f->call == BLOCK_CALL_UPLOAD;

	if (filled ? b->status != STATUS_OK : !brought_state(f, b))
		return;
	if (c->form == VLAN_INSERT)
		take_insert(list, i);
	if (o->inner.n)
		(void)!add_insert(list, i, &o->inner); /* no room: the one above wants none */
	if (!n || !(b->flags & BLOCK_CONST) || n->k.vlans.n < ours)
		return;
	n->k.vlans.n -= ours;
	memmove(n->k.vlans.tag, n->k.vlans.tag + ours, n->k.vlans.n * sizeof(n->k.vlans.tag[0]));
}

/* After an offload or its second phase. */
static void settle(struct vlan *v, struct vlan_flight *f, u32 i)
{
	struct block *b = block_at(f->request->list, i);
	u32 at = f->object[i];

	b->host = f->port ? v->object[at].host : b->host;
	if (b->device != HANDLE_NONE)
		vlan_object_place(v, at, b->device);
	else
		vlan_object_drop(v, at);
}

/* Undoes send_block() for all blocks that it was done for. */
static void restore(struct vlan *v, struct vlan_flight *f)
{
	struct block_list *list = f->request->list;

	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		u32 at = f->object[i];

		if (at == NIL)
			continue;
		if (b->layer == LAYER_NEIGHBOR)
			untag(v, f, i, &v->object[at]);
		if (brought_state(f, b))
			settle(v, f, i);
	}
	land(f);
}

/* -- objects of virtual device 0, whose lists go through as they are ------------------------------
 */

static void note_untagged(struct vlan *v, const struct block_list *list)
{
	struct block_walk w;
	u32 left = list->n_blocks;

	/* Nobody may have checked it: what was refused on the way is not looked at closely. */
	for (u32 i = block_walk_first(&w, list); i < list->n_blocks && left--;
	     i = block_walk_next(&w)) {
		const struct block *b = block_at(list, i);
		u32 above = w.parent == NIL ? NIL : v->parents[w.parent];
		u32 at = vlan_object_find(v, b->layer, b->device);

		if (b->layer >= LAYERS ||
		    (b->state != NIL && b->state >= block_list_states(list, b->layer)))
			return;
		if (at == NIL && b->device != HANDLE_NONE && b->state != NIL) {
			at = vlan_object_take(v, 0, b->layer, b->host);
			if (at != NIL) {
				if (b->layer == LAYER_NEIGHBOR)
					v->object[at].tags = block_neighbor(list, b)->k.vlans;
				inherit(v, &v->object[at], above, list, b);
				vlan_object_place(v, at, b->device);
			}
		}
		v->parents[i] = at;
	}
}

static void complete_untagged(struct vlan *v, struct offload_request *request)
{
	struct block_list *list = request->list;
	bool offload = request->call == BLOCK_CALL_OFFLOAD || request->call == BLOCK_CALL_TRANSFER;

	/* Only what the device has taken is known to be sound. */
	if (offload && list->n_blocks <= v->config.list_blocks &&
	    !offload_list_count(list, STATUS_MALFORMED))
		note_untagged(v, list);
}

void vlan_complete(void *driver, struct offload_request *request)
{
	struct vlan *v = driver;
	struct vlan_flight *f = flight_of(v, request);
	struct host_side host = vlan_host(v, f ? f->port : 0);

	if (f)
		restore(v, f);
	else
		complete_untagged(v, request);
	host.ops->complete(host.impl, request);
}

/* -- the calls --------------------------------------------------------------------------------- */

/* Nothing of the list is done; one block says why. */
static int refuse(struct vlan *v, u32 port, struct offload_request *request, u32 block,
                  enum status status, u64 detail)
{
	struct host_side host = vlan_host(v, port);

	offload_list_set_status(request->list, STATUS_PENDING);
	if (block != NIL) {
		block_at(request->list, block)->status = (u16)status;
		block_at(request->list, block)->detail = detail;
	}
	host.ops->complete(host.impl, request);
	return 0;
}

static int go_down(struct vlan *v, enum block_call call, u32 layer, struct offload_request *request)
{
	const struct device *d = &v->chain.below;

	switch (call) {
	case BLOCK_CALL_OFFLOAD:
		return d->ops->offload(d->impl, request);
	case BLOCK_CALL_TRANSFER:
		return d->ops->transfer(d->impl, request);
	case BLOCK_CALL_UPLOAD:
		return d->ops->upload(d->impl, request);
	case BLOCK_CALL_UPDATE:
		return d->layer[layer]->update(d->impl, request);
	case BLOCK_CALL_INVALIDATE:
		return d->layer[layer]->invalidate(d->impl, request);
	default:
		return d->layer[layer]->query(d->impl, request);
	}
}

static int tagged(struct vlan *v, u32 port, enum block_call call, u32 layer,
                  struct offload_request *request)
{
	struct block_list *list = request->list;
	enum status status = STATUS_OK;
	struct vlan_flight *f;
	struct block_walk w;
	u32 bad;
	enum block_rule rule;
	int error;

	if (list->n_blocks > v->config.list_blocks || list->n_inserts > v->config.list_blocks)
		return -E2BIG;
	rule = block_list_check(list, call, v->scratch, &bad);
	if (rule)
		return refuse(v, port, request, bad == NIL && list->n_blocks ? 0 : bad,
		              STATUS_MALFORMED, rule);
	f = start(v, port, call, request);
	if (!f)
		return -EBUSY;
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		status = send_block(v, f, i, w.parent == NIL ? NIL : f->object[w.parent]);
		bad = i;
		if (status)
			break;
	}
	if (!status) {
		error = go_down(v, call, layer, request);
		if (error)
			restore(v, f);
		return error;
	}
	restore(v, f);
	return refuse(v, port, request, bad, status, 0);
}

/* Lists of virtual device 0 with tags that another driver, or another virtual device, may mean. */
static bool must_be_looked_at(const struct vlan *v, enum block_call call,
                              const struct block_list *list)
{
	if (find_insert(list, NIL) != NIL)
		return true;
	for (u32 i = 0; i < min_of(list->n_blocks, list->cap_blocks); i++) {
		const struct block *b = block_at(list, i);
		u32 at =
			b->layer == LAYER_NEIGHBOR ? vlan_object_find(v, b->layer, b->device) : NIL;

		if (at != NIL && v->object[at].inner.n)
			return true; /* its tags go back into an insert */
	}
	if (call != BLOCK_CALL_OFFLOAD)
		return false;
	for (u32 i = 0; i < min_of(list->n_neighbors, list->cap_neighbors); i++)
		if (vlan_port_of_tags(v, &list->neighbors[i].k.vlans))
			return true;
	return false;
}

/* What of the list the device has after a second phase is noted when that completes. */
static void forget_reserved(struct vlan *v, const struct block_list *list)
{
	for (u32 i = 0; i < min_of(list->n_blocks, list->cap_blocks); i++) {
		const struct block *b = block_at(list, i);
		u32 at = vlan_object_find(v, b->layer, b->device);

		if (at != NIL && b->state != NIL && !v->object[at].port)
			vlan_object_drop(v, at);
	}
}

static int state_call(struct vlan_port *p, enum block_call call, u32 layer,
                      struct offload_request *request)
{
	struct vlan *v = p->v;

	if (p->index || must_be_looked_at(v, call, request->list))
		return tagged(v, p->index, call, layer, request);
	if (call == BLOCK_CALL_TRANSFER)
		forget_reserved(v, request->list);
	return go_down(v, call, layer, request);
}

int vlan_offload(void *port, struct offload_request *request)
{
	return state_call(port, BLOCK_CALL_OFFLOAD, 0, request);
}

int vlan_transfer(void *port, struct offload_request *request)
{
	return state_call(port, BLOCK_CALL_TRANSFER, 0, request);
}

int vlan_upload(void *port, struct offload_request *request)
{
	return state_call(port, BLOCK_CALL_UPLOAD, 0, request);
}

/* The list of an upload went down and came back checked. */
void vlan_commit(void *port, struct offload_request *request)
{
	struct vlan_port *p = port;
	struct vlan *v = p->v;
	struct block_list *list = request->list;

	v->chain.below.ops->commit(v->chain.below.impl, request);
	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);
		u32 at = vlan_object_find(v, b->layer, b->device);

		if (b->status == STATUS_OK && at != NIL && v->object[at].port == p->index)
			vlan_object_drop(v, at);
	}
}

#define LAYER_OPS(name, LAYER)                                                    \
	static int name##_update(void *port, struct offload_request *request)     \
	{                                                                         \
		return state_call(port, BLOCK_CALL_UPDATE, LAYER, request);       \
	}                                                                         \
	static int name##_invalidate(void *port, struct offload_request *request) \
	{                                                                         \
		return state_call(port, BLOCK_CALL_INVALIDATE, LAYER, request);   \
	}                                                                         \
	static int name##_query(void *port, struct offload_request *request)      \
	{                                                                         \
		return state_call(port, BLOCK_CALL_QUERY, LAYER, request);        \
	}                                                                         \
	static const struct layer_ops name##_ops = {name##_update, name##_invalidate, name##_query}

LAYER_OPS(neighbor, LAYER_NEIGHBOR);
LAYER_OPS(path, LAYER_PATH);
LAYER_OPS(tcp, LAYER_TCP);

const struct layer_ops *const vlan_layer_ops[LAYERS] = {
	[LAYER_NEIGHBOR] = &neighbor_ops,
	[LAYER_PATH] = &path_ops,
	[LAYER_TCP] = &tcp_ops,
};

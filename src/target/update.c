/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Update: CACHED variables of one layer, and paths that move to another neighbor. Each object is
 * one write, whatever depends on it (R59, R66, R68). */
#include <errno.h>

#include "target/internal.h"

static enum status update_neighbor(struct target *t, struct block *b,
                                   const struct neighbor_state *s)
{
	struct target_neighbor *n = neighbor_find(t, b->device);
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	status = legal_check(n->state, LEGAL_CALL_UPDATE);
	if (status || !(b->flags & BLOCK_CACHED))
		return status;
	if (s->c.header_format == LINK_SNAP && !(t->features & FEATURE_SNAP)) {
		b->detail = FEATURE_SNAP;
		return STATUS_NO_FEATURE;
	}
	tcp_neighbor_update(t->engine, n->eng, &s->c);
	n->host_reached_ns = t->now_ns - min_of(t->now_ns, s->c.host_reachable_ns);
	n->check_at_ns = 0;
	n->asked = 0;
	t->stats.engine_writes++;
	t->stats.updates[LAYER_NEIGHBOR]++;
	return STATUS_OK;
}

static enum status reparent(struct target *t, struct target_path *p, const struct block *parent)
{
	struct target_neighbor *n = neighbor_find(t, parent->device);
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	status = legal_check(n->state, LEGAL_CALL_OFFLOAD); /* as for a linker */
	if (status)
		return status;
	tcp_path_set_neighbor(t->engine, p->eng, n->eng);
	t->neighbors[p->neighbor].refs--;
	p->neighbor = (u32)(n - t->neighbors);
	n->refs++;
	t->stats.engine_writes++;
	t->stats.reparents++;
	return STATUS_OK;
}

static enum status update_path(struct target *t, struct block *b, const struct path_state *s,
                               const struct block *parent)
{
	struct target_path *p = path_find(t, b->device);
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	status = legal_check(path_state_of(t, p), LEGAL_CALL_UPDATE);
	if (!status && b->flags & BLOCK_CACHED && s->c.path_mtu > t->config.max_mtu_bytes) {
		b->detail = t->config.max_mtu_bytes;
		return STATUS_MTU_TOO_LARGE;
	}
	if (!status && b->flags & BLOCK_REPARENT)
		status = reparent(t, p, parent);
	if (status || !(b->flags & BLOCK_CACHED))
		return status;
	tcp_path_update(t->engine, p->eng, &s->c);
	t->stats.engine_writes++;
	t->stats.updates[LAYER_PATH]++;
	return STATUS_OK;
}

static enum status update_conn(struct target *t, struct block *b, const struct tcp_state *s)
{
	struct target_conn *c = conn_find(t, b->device);
	enum status status;

	if (!c)
		return STATUS_STALE_HANDLE;
	status = legal_check(conn_state(t, c), LEGAL_CALL_UPDATE);
	if (status || !(b->flags & BLOCK_CACHED))
		return status;
	status = admit_cached(t, &s->c, &b->detail);
	if (!status)
		status = admit_promise(t, c, &s->c, &b->detail);
	if (status)
		return status;
	tcp_conn_update(t->engine, c->eng, &s->c, t->now_ns);
	c->indicate_bytes = s->c.rcv_indication_bytes;
	t->stats.engine_writes++;
	t->stats.updates[LAYER_TCP]++;
	return STATUS_OK;
}

static enum status update_block(struct target *t, struct block_list *list, struct block *b,
                                const struct block *parent)
{
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return update_neighbor(t, b, block_neighbor(list, b));
	case LAYER_PATH:
		return update_path(t, b, block_path(list, b), parent);
	default:
		return update_conn(t, b, block_tcp(list, b));
	}
}

int update_layer(struct target *t, struct offload_request *request, enum layer layer)
{
	struct block_list *list = request->list;
	struct block_walk w;

	if (list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!target_check_list(t, request, BLOCK_CALL_UPDATE))
		return 0;
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);
		const struct block *parent = w.parent == NIL ? NULL : block_at(list, w.parent);

		b->detail = 0;
		if (b->device == HANDLE_NONE || (b->layer != layer && !b->flags))
			b->status = STATUS_OK; /* only carries others */
		else if (b->layer != layer)
			b->status = STATUS_BAD_STATE; /* another layer's table */
		else
			b->status = (u16)update_block(t, list, b, parent);
		t->stats.call_status[b->status]++;
	}
	target_complete(t, request);
	return 0;
}

/* -- one table a layer (R50) --------------------------------------------------------------------
 */

#define LAYER_OPS(name, LAYER)                                                      \
	static int name##_update(void *device, struct offload_request *request)     \
	{                                                                           \
		return update_layer(device, request, LAYER);                        \
	}                                                                           \
	static int name##_invalidate(void *device, struct offload_request *request) \
	{                                                                           \
		return invalidate_layer(device, request, LAYER);                    \
	}                                                                           \
	static int name##_query(void *device, struct offload_request *request)      \
	{                                                                           \
		return query_layer(device, request, LAYER);                         \
	}                                                                           \
	const struct layer_ops name##_ops = {name##_update, name##_invalidate, name##_query}

LAYER_OPS(neighbor, LAYER_NEIGHBOR);
LAYER_OPS(path, LAYER_PATH);
LAYER_OPS(tcp, LAYER_TCP);

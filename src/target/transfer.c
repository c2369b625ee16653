/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The second phase of a two-phase offload (R27): what was reserved becomes live, what the host has
 * given up meanwhile is freed (R106).
 */
#include <errno.h>

#include "target/internal.h"

static bool goes_on(const struct block *b)
{
	return b->status == STATUS_OK || b->status == STATUS_PARTIAL;
}

static enum status transfer_neighbor(struct target *t, struct block *b,
                                     const struct neighbor_state *s)
{
	struct target_neighbor *n = neighbor_find(t, b->device);
	struct vlan_stack ours, theirs;
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	if (n->eng != NIL) /* came whole with the first phase */
		return STATUS_OK;
	if (n->state != OBJECT_OFFLOADING)
		return STATUS_BAD_STATE;
	vlan_key(&n->vlans, &ours);
	vlan_key(&s->k.vlans, &theirs);
	if (memcmp(&ours, &theirs, sizeof(ours)) ||
	    memcmp(&n->source, &s->k.source_mac, sizeof(n->source))) {
		b->detail = BLOCK_RULE_STATE; /* not what was reserved */
		return STATUS_MALFORMED;
	}
	status = admit_neighbor(t, s, &b->detail);
	return status ? status : neighbor_live(t, n, s, &b->detail);
}

static enum status transfer_path(struct target *t, struct block *b, const struct path_state *s)
{
	struct target_path *p = path_find(t, b->device);
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	if (p->eng != NIL)
		return STATUS_OK;
	if (p->state != OBJECT_OFFLOADING || t->neighbors[p->neighbor].eng == NIL)
		return STATUS_BAD_STATE;
	if (!ip_addr_eq(&p->local, &s->k.local_addr)) {
		b->detail = BLOCK_RULE_STATE;
		return STATUS_MALFORMED;
	}
	status = admit_path(t, s, &b->detail);
	return status ? status : path_live(t, p, s, &b->detail);
}

static enum status transfer_conn(struct target *t, struct block *b, const struct tcp_state *s,
                                 const struct buf_pool *pool)
{
	struct target_conn *c = conn_find(t, b->device);
	enum status status;

	if (!c)
		return STATUS_STALE_HANDLE;
	if (c->state != OBJECT_OFFLOADING || t->paths[c->path].eng == NIL)
		return STATUS_BAD_STATE;
	if (!(b->flags & BLOCK_DELEGATED)) {
		b->detail = BLOCK_RULE_ROLE;
		return STATUS_MALFORMED;
	}
	status = admit_tcp(t, s, &b->detail);
	if (!status)
		status = admit_promise(t, c, &s->c, &b->detail);
	return status ? status : conn_live(t, c, s, pool, &b->detail);
}

static enum status transfer_block(struct target *t, struct block_list *list, struct block *b)
{
	if (b->device == HANDLE_NONE || b->state == NIL)
		return STATUS_OK;
	b->detail = 0;
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return transfer_neighbor(t, b, block_neighbor(list, b));
	case LAYER_PATH:
		return transfer_path(t, b, block_path(list, b));
	default:
		return transfer_conn(t, b, block_tcp(list, b), list->pool);
	}
}

/* What came with this list and is given up: a reservation, or a path or neighbor that was whole in
 * the first phase, unless another list has linked to it since. */
static bool may_go(u8 state, u32 refs)
{
	return (state == OBJECT_OFFLOADING || state == OBJECT_OFFLOADED) && !refs;
}

static void give_up_block(struct target *t, struct block *b)
{
	struct target_neighbor *n = NULL;
	struct target_path *p = NULL;
	struct target_conn *c = NULL;

	if (b->layer == LAYER_TCP)
		c = conn_find(t, b->device);
	else if (b->layer == LAYER_PATH)
		p = path_find(t, b->device);
	else
		n = neighbor_find(t, b->device);
	if (c && c->state == OBJECT_OFFLOADING)
		conn_free(t, c);
	else if (p && may_go(p->state, p->refs))
		path_free(t, p);
	else if (n && may_go(n->state, n->refs))
		neighbor_free(t, n);
	else
		return;
	b->device = HANDLE_NONE;
}

/* Dependents before what they hang on. */
static void give_up(struct target *t, struct block_list *list)
{
	for (u32 layer = LAYERS; layer-- > 0;) {
		for (u32 i = 0; i < list->n_blocks; i++) {
			struct block *b = block_at(list, i);

			if (b->layer == layer && b->state != NIL && !goes_on(b))
				give_up_block(t, b);
		}
	}
}

int target_transfer(void *device, struct offload_request *request)
{
	struct target *t = device;
	struct block_list *list = request->list;
	struct block_walk walk;
	bool failed = false;
	u32 i;

	if (list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!target_check_list(t, request, BLOCK_CALL_TRANSFER))
		return 0;
	i = block_walk_first(&walk, list);
	while (i != NIL) {
		struct block *b = block_at(list, i);

		if (goes_on(b)) {
			b->status = (u16)transfer_block(t, list, b);
			t->stats.refused[b->status] += b->status != STATUS_OK;
		}
		if (likely(!b->status)) {
			i = block_walk_next(&walk);
			continue;
		}
		failed = true;
		if (b->layer != LAYER_TCP)
			block_list_fail_subtree(list, i, STATUS_SUBTREE);
		i = block_walk_skip(&walk);
	}
	if (failed) {
		give_up(t, list);
		block_list_mark_partial(list);
	}
	post_inside(t, request);
	target_complete(t, request);
	return 0;
}

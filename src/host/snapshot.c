/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The tree at the device as one block list, for people and tools (R34). */
#include <errno.h>

#include "host/priv.h"

static struct block *add(struct block_list *list, u32 parent, enum layer layer, u32 *ret_block)
{
	struct block *b;

	if (block_list_add(list, parent, layer, true, ret_block))
		return NULL;
	b = block_at(list, *ret_block);
	b->flags = BLOCK_CONST | BLOCK_CACHED;
	b->status = STATUS_OK;
	return b;
}

static int add_conn(struct host *h, struct block_list *list, u32 parent, struct host_conn *c)
{
	struct tcp_state *state;
	struct block *b;
	u32 block;
	int err;

	if (c->device == HANDLE_NONE || c->side != HOST_IN_CHIMNEY)
		return 0;
	b = add(list, parent, LAYER_TCP, &block);
	if (!b)
		return -ENOSPC;
	b->host = conn_handle(h, c);
	b->device = c->device;
	state = block_tcp(list, b);
	err = host_query(h, b->host, state);
	if (err)
		return err == -EIO ? 0 : err;
	/* The bytes stay where they are: only the device may follow these. */
	state->d.send.buf = state->d.recv.buf = NIL;
	state->d.send.len = state->d.recv.len = state->d.ooo.n = 0;
	b->flags |= BLOCK_DELEGATED;
	return 0;
}

static int add_path(struct host *h, struct block_list *list, u32 parent, u32 index)
{
	struct host_path *p = &h->path[index];
	struct block *b;
	u32 block;
	int err = 0;

	if (p->device == HANDLE_NONE)
		return 0;
	b = add(list, parent, LAYER_PATH, &block);
	if (!b)
		return -ENOSPC;
	b->host = slots_handle(&h->path_slots, index);
	b->device = p->device;
	*block_path(list, b) = p->state;
	for (u32 c = p->first_conn; c != NIL && !err; c = h->conn[c].next)
		err = add_conn(h, list, block, &h->conn[c]);
	return err;
}

int host_snapshot(struct host *h, struct block_list *list)
{
	int err = 0;

	block_list_reset(list);
	for (u32 i = 0; i < h->config.max_neighbors && !err; i++) {
		struct host_neighbor *n = &h->neighbor[i];
		struct block *b;
		u32 block;

		if (!slots_is_taken(&h->neighbor_slots, i) || n->device == HANDLE_NONE)
			continue;
		b = add(list, NIL, LAYER_NEIGHBOR, &block);
		if (!b)
			return -ENOSPC;
		b->host = slots_handle(&h->neighbor_slots, i);
		b->device = n->device;
		*block_neighbor(list, b) = n->state;
		for (u32 p = n->first_path; p != NIL && !err; p = h->path[p].next)
			err = add_path(h, list, block, p);
	}
	return err;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/block.h"

#include <errno.h>

static size_t to_line(size_t bytes)
{
	return (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
}

size_t block_list_bytes(u32 blocks, u32 neighbors, u32 paths, u32 conns)
{
	return to_line((size_t)blocks * sizeof(struct block)) +
	       to_line((size_t)neighbors * sizeof(struct neighbor_state)) +
	       to_line((size_t)paths * sizeof(struct path_state)) +
	       to_line((size_t)conns * sizeof(struct tcp_state));
}

void block_list_init(struct block_list *list, void *mem, u32 blocks, u32 neighbors, u32 paths,
                     u32 conns)
{
	u8 *at = mem;

	*list = (struct block_list){
		.cap_blocks = blocks,
		.cap_neighbors = neighbors,
		.cap_paths = paths,
		.cap_conns = conns,
		.root = NIL,
	};
	list->blocks = (struct block *)at;
	at += to_line((size_t)blocks * sizeof(struct block));
	list->neighbors = (struct neighbor_state *)at;
	at += to_line((size_t)neighbors * sizeof(struct neighbor_state));
	list->paths = (struct path_state *)at;
	at += to_line((size_t)paths * sizeof(struct path_state));
	list->conns = (struct tcp_state *)at;
}

void block_list_reset(struct block_list *list)
{
	list->n_blocks = 0;
	list->n_neighbors = 0;
	list->n_paths = 0;
	list->n_conns = 0;
	list->root = NIL;
}

/* A zeroed state of this layer; NIL: no room. */
static u32 new_state(struct block_list *list, enum layer layer)
{
	switch (layer) {
	case LAYER_NEIGHBOR:
		if (list->n_neighbors == list->cap_neighbors)
			return NIL;
		list->neighbors[list->n_neighbors] = (struct neighbor_state){0};
		return list->n_neighbors++;
	case LAYER_PATH:
		if (list->n_paths == list->cap_paths)
			return NIL;
		list->paths[list->n_paths] = (struct path_state){0};
		return list->n_paths++;
	default:
		if (list->n_conns == list->cap_conns)
			return NIL;
		memset(&list->conns[list->n_conns], 0, sizeof(struct tcp_state));
		return list->n_conns++;
	}
}

int block_list_add(struct block_list *list, u32 parent, enum layer layer, bool with_state,
                   u32 *ret_block)
{
	u32 index = list->n_blocks;
	u32 state = NIL;
	u32 *link;

	if ((u32)layer >= LAYERS || (parent != NIL && parent >= list->n_blocks))
		return -EINVAL;
	if ((u32)layer != (parent == NIL ? 0 : list->blocks[parent].layer + 1u))
		return -EINVAL;
	if (index == list->cap_blocks)
		return -ENOSPC;
	if (with_state) {
		state = new_state(list, layer);
		if (state == NIL)
			return -ENOSPC;
	}
	link = parent == NIL ? &list->root : &list->blocks[parent].dependent;
	list->blocks[index] = (struct block){
		.layer = layer,
		.status = STATUS_PENDING,
		.next = *link,
		.dependent = NIL,
		.state = state,
	};
	*link = index;
	list->n_blocks++;
	*ret_block = index;
	return 0;
}

u32 block_walk_first(struct block_walk *w, const struct block_list *list)
{
	*w = (struct block_walk){.list = list, .at = list->root, .parent = NIL};
	return w->at;
}

u32 block_walk_next(struct block_walk *w)
{
	u32 below;

	if (w->at == NIL)
		return NIL;
	below = w->list->blocks[w->at].dependent;
	if (below == NIL || w->depth == LAYERS - 1)
		return block_walk_skip(w);
	w->up[w->depth++] = w->at;
	w->parent = w->at;
	w->at = below;
	return below;
}

u32 block_walk_skip(struct block_walk *w)
{
	while (w->at != NIL) {
		u32 next = w->list->blocks[w->at].next;

		if (next != NIL || !w->depth) {
			w->at = next;
			break;
		}
		w->at = w->up[--w->depth];
		w->parent = w->depth ? w->up[w->depth - 1] : NIL;
	}
	return w->at;
}

void block_list_fail_subtree(struct block_list *list, u32 block, enum status status)
{
	/* A walk whose roots are the block's dependents: it ends with the last of them. */
	struct block_walk w = {
		.list = list,
		.at = list->blocks[block].dependent,
		.parent = block,
	};

	for (u32 i = w.at; i != NIL; i = block_walk_next(&w))
		list->blocks[i].status = status;
}

void block_list_mark_partial(struct block_list *list)
{
	struct block_walk w;

	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		if (list->blocks[i].status == STATUS_OK)
			continue;
		for (u32 d = 0; d < w.depth; d++) {
			struct block *above = &list->blocks[w.up[d]];

			if (above->status == STATUS_OK)
				above->status = STATUS_PARTIAL;
		}
	}
}

struct neighbor_state *block_neighbor(const struct block_list *list, const struct block *b)
{
	return b->state == NIL ? NULL : &list->neighbors[b->state];
}

struct path_state *block_path(const struct block_list *list, const struct block *b)
{
	return b->state == NIL ? NULL : &list->paths[b->state];
}

struct tcp_state *block_tcp(const struct block_list *list, const struct block *b)
{
	return b->state == NIL ? NULL : &list->conns[b->state];
}

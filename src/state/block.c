/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/block.h"

#include <errno.h>

#include "state/schema.h"

static size_t to_line(size_t bytes)
{
	return (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
}

size_t block_list_bytes_as(const struct schema *schema, u32 blocks, const u32 states[LAYERS])
{
	size_t bytes = to_line((size_t)blocks * sizeof(struct block));

	for (u32 l = 0; l < LAYERS; l++)
		bytes += to_line((size_t)states[l] * schema->layer[l]->state_bytes);
	return bytes;
}

void block_list_init_as(struct block_list *list, const struct schema *schema, void *mem, u32 blocks,
                        const u32 states[LAYERS])
{
	u8 *at[LAYERS + 1];

	at[0] = (u8 *)mem + to_line((size_t)blocks * sizeof(struct block));
	for (u32 l = 0; l < LAYERS; l++)
		at[l + 1] = at[l] + to_line((size_t)states[l] * schema->layer[l]->state_bytes);
	*list = (struct block_list){
		.schema = schema,
		.blocks = mem,
		.neighbors = (struct neighbor_state *)at[LAYER_NEIGHBOR],
		.paths = (struct path_state *)at[LAYER_PATH],
		.conns = (struct tcp_state *)at[LAYER_TCP],
		.cap_blocks = blocks,
		.cap_neighbors = states[LAYER_NEIGHBOR],
		.cap_paths = states[LAYER_PATH],
		.cap_conns = states[LAYER_TCP],
		.root = NIL,
	};
}

size_t block_list_bytes(u32 blocks, u32 neighbors, u32 paths, u32 conns)
{
	const u32 states[LAYERS] = {neighbors, paths, conns};

	return block_list_bytes_as(&schema_tcp, blocks, states);
}

void block_list_init(struct block_list *list, void *mem, u32 blocks, u32 neighbors, u32 paths,
                     u32 conns)
{
	const u32 states[LAYERS] = {neighbors, paths, conns};

	block_list_init_as(list, &schema_tcp, mem, blocks, states);
}

void block_list_reset(struct block_list *list)
{
	list->n_blocks = 0;
	list->n_neighbors = 0;
	list->n_paths = 0;
	list->n_conns = 0;
	list->n_inserts = 0;
	list->root = NIL;
}

void *block_list_state(const struct block_list *list, u32 layer, u32 index)
{
	size_t at = (size_t)index * list->schema->layer[layer]->state_bytes;

	switch (layer) {
	case LAYER_NEIGHBOR:
		return (u8 *)list->neighbors + at;
	case LAYER_PATH:
		return (u8 *)list->paths + at;
	default:
		return (u8 *)list->conns + at;
	}
}

u32 block_list_states(const struct block_list *list, u32 layer)
{
	switch (layer) {
	case LAYER_NEIGHBOR:
		return list->n_neighbors;
	case LAYER_PATH:
		return list->n_paths;
	default:
		return list->n_conns;
	}
}

static void put_ref(struct buf_pool *pool, struct data_ref *ref)
{
	if (ref->len)
		buf_put_chain(pool, ref->buf);
	*ref = (struct data_ref){.buf = NIL};
}

static void put_payload(struct buf_pool *pool, const struct schema_layer *layer, void *state)
{
	for (u32 i = 0; i < layer->n_payload; i++) {
		const struct schema_field *field = &layer->fields[layer->payload[i]];
		struct ooo_refs *ooo = schema_at(field, state);

		if (field->type == SCHEMA_TYPE_data_ref) {
			put_ref(pool, schema_at(field, state));
			continue;
		}
		for (u32 j = 0; j < ooo->n; j++)
			put_ref(pool, &ooo->seg[j].data);
		ooo->n = 0;
	}
}

void block_list_put_data(struct block_list *list)
{
	for (u32 l = 0; l < LAYERS; l++) {
		for (u32 i = 0; i < block_list_states(list, l); i++)
			put_payload(list->pool, list->schema->layer[l],
			            block_list_state(list, l, i));
	}
}

/* A cleared state of this layer; NIL: no room. */
static u32 new_state(struct block_list *list, enum layer layer)
{
	const u32 room[LAYERS] = {list->cap_neighbors, list->cap_paths, list->cap_conns};
	u32 *const used[LAYERS] = {&list->n_neighbors, &list->n_paths, &list->n_conns};
	u32 index = *used[layer];

	if (index >= room[layer])
		return NIL;
	schema_clear(list->schema->layer[layer], block_list_state(list, layer, index));
	*used[layer] = index + 1;
	return index;
}

int block_list_insert(struct block_list *list, u32 block, u16 kind, const void *bytes, u32 len)
{
	struct block_insert *insert;

	if (block >= list->n_blocks || list->blocks[block].layer != LAYER_NEIGHBOR ||
	    len > BLOCK_INSERT_BYTES)
		return -EINVAL;
	if (list->n_inserts == list->cap_inserts)
		return -ENOSPC;
	insert = &list->inserts[list->n_inserts++];
	*insert = (struct block_insert){.block = block, .kind = kind, .len = (u16)len};
	memcpy(insert->bytes, bytes, len);
	return 0;
}

int block_list_add_state(struct block_list *list, u32 block)
{
	struct block *b = &list->blocks[block];
	u32 state = new_state(list, b->layer);

	if (state == NIL)
		return -ENOSPC;
	b->state = state;
	return 0;
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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "state/binary.h"
#include "state/payload.h"
#include "state/schema.h"

/* Counts what was written, writes what fits. */
struct out {
	u8 *to;
	size_t size;
	u64 len;
	bool bad;
};

static void put_bytes(struct out *o, const void *bytes, size_t n)
{
	if (o->len <= o->size && n <= o->size - o->len && n)
		memcpy(o->to + o->len, bytes, n);
	o->len += n;
}

/* The lowest `n` bytes of v. */
static void put(struct out *o, u64 v, u32 n)
{
	u8 le[8];

	for (u32 i = 0; i < n; i++)
		le[i] = (u8)(v >> (8 * i));
	put_bytes(o, le, n);
}

/* The count of an array, clamped so that the members can be visited whatever it says. */
static u32 put_count(struct out *o, u32 n, u32 max)
{
	if (n > max)
		o->bad = true;
	n = min_of(n, max);
	put(o, n, 1);
	return n;
}

static void put_payload(struct out *o, const struct buf_pool *pool, const struct data_ref *ref)
{
	struct payload_in in;
	const u8 *bytes;
	u32 n;

	put(o, ref->len, 4);
	payload_in_init(&in, pool, ref);
	while ((n = payload_in_next(&in, &bytes)))
		put_bytes(o, bytes, n);
	if (in.left)
		o->bad = true;
}

static void put_ooo(struct out *o, const struct buf_pool *pool, const struct ooo_refs *ooo)
{
	u32 n = put_count(o, ooo->n, OOO_REFS_MAX);

	for (u32 i = 0; i < n; i++) {
		put(o, ooo->seg[i].seq.n, 4);
		put_count(o, ooo->seg[i].fin, 1);
		put_payload(o, pool, &ooo->seg[i].data);
	}
}

static void put_ranges(struct out *o, const struct seq_ranges *ranges)
{
	u32 n = put_count(o, ranges->n, SEQ_RANGES_MAX);

	for (u32 i = 0; i < n; i++) {
		put(o, ranges->r[i].start.n, 4);
		put(o, ranges->r[i].end.n, 4);
	}
}

static void put_vlans(struct out *o, const struct vlan_stack *vlans)
{
	u32 n = put_count(o, vlans->n, VLAN_DEPTH_MAX);

	for (u32 i = 0; i < n; i++)
		put(o, vlans->tag[i], 4);
}

static void put_cc(struct out *o, const struct cc_private *cc)
{
	put(o, cc->type, 1);
	put(o, cc->version, 1);
	put_bytes(o, cc->bytes, put_count(o, cc->len, CC_PRIVATE_BYTES));
}

static void put_field(struct out *o, const struct buf_pool *pool, const struct schema_field *field,
                      const void *state)
{
	const void *at = schema_at(field, state);
	u64 number;

	if (!schema_get(field, state, &number)) {
		put(o, number, field->size);
		return;
	}
	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_vlan_stack:
		put_vlans(o, at);
		break;
	case SCHEMA_TYPE_seq_ranges:
		put_ranges(o, at);
		break;
	case SCHEMA_TYPE_cc_private:
		put_cc(o, at);
		break;
	case SCHEMA_TYPE_data_ref:
		put_payload(o, pool, at);
		break;
	case SCHEMA_TYPE_ooo_refs:
		put_ooo(o, pool, at);
		break;
	default:
		put_bytes(o, at, field->size);
		break;
	}
}

static void put_state(struct out *o, const struct block_list *list, const struct block *b)
{
	const struct schema_layer *layer = list->schema->layer[b->layer];
	const void *state = block_list_state(list, b->layer, b->state);

	for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
		if (b->flags >> layer->fields[i].cls & 1)
			put_field(o, list->pool, &layer->fields[i], state);
	}
}

static void put_header(struct out *o, const struct block_list *list, u64 total,
                       const u32 states[LAYERS])
{
	put_bytes(o, "chimney", 8);
	put(o, BINARY_VERSION, 2);
	put(o, BINARY_HEADER_BYTES, 2);
	put(o, 0, 4);
	put(o, schema_hash(list->schema), 8);
	put(o, total, 8);
	put(o, list->n_blocks, 4);
	for (u32 l = 0; l < LAYERS; l++)
		put(o, states[l], 4);
	put(o, list->root, 4);
	put(o, list->n_inserts, 4);
	put(o, 0, 8);
}

static void put_block(struct out *o, const struct block *b)
{
	put(o, b->layer, 1);
	put(o, b->flags, 1);
	put(o, b->state != NIL, 1);
	put(o, 0, 1);
	put(o, b->status, 2);
	put(o, 0, 2);
	put(o, b->next, 4);
	put(o, b->dependent, 4);
	put(o, b->host, 8);
	put(o, b->device, 8);
	put(o, b->detail, 8);
}

static void put_insert(struct out *o, const struct block_insert *insert)
{
	if (insert->len > BLOCK_INSERT_BYTES)
		o->bad = true;
	put(o, insert->block, 4);
	put(o, insert->kind, 2);
	put(o, insert->len, 2);
	put_bytes(o, insert->bytes, min_of((u32)insert->len, (u32)BLOCK_INSERT_BYTES));
}

int binary_encode(const struct block_list *list, u8 *out, size_t size, u64 *ret_bytes)
{
	u32 states[LAYERS] = {0};
	struct out o = {.to = out, .size = size, .len = BINARY_HEADER_BYTES};
	struct out header = {.to = out, .size = size};

	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->layer >= LAYERS)
			return -EINVAL;
		put_block(&o, b);
		if (b->state == NIL)
			continue;
		if (b->state >= block_list_states(list, b->layer))
			return -EINVAL;
		states[b->layer]++;
		put_state(&o, list, b);
	}
	for (u32 i = 0; i < list->n_inserts; i++)
		put_insert(&o, &list->inserts[i]);
	if (o.bad)
		return -EINVAL;
	*ret_bytes = o.len;
	if (o.len > size)
		return -ENOSPC;
	put_header(&header, list, o.len, states);
	return 0;
}

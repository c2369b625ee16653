/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Are two block lists the same forest: shape, handles, statuses, variables and payload bytes? How
 * blocks, states and buffers are numbered does not count. */
#ifndef LIST_EQUAL_H
#define LIST_EQUAL_H

#include "unit.h"

#include "state/block.h"
#include "state/payload.h"
#include "state/schema.h"

static inline void assert_payload_equal(const struct buf_pool *pool_a, const struct data_ref *a,
                                        const struct buf_pool *pool_b, const struct data_ref *b)
{
	u8 *bytes[2] = {malloc(a->len + 1), malloc(a->len + 1)};
	const struct buf_pool *const pools[2] = {pool_a, pool_b};
	const struct data_ref *const refs[2] = {a, b};

	assert_int_equal(a->len, b->len);
	for (u32 i = 0; i < 2; i++) {
		struct payload_in in;
		const u8 *piece;
		u32 n, at = 0;

		assert_non_null(bytes[i]);
		payload_in_init(&in, pools[i], refs[i]);
		for (; (n = payload_in_next(&in, &piece)); at += n)
			memcpy(bytes[i] + at, piece, n);
		assert_int_equal(at, a->len);
	}
	assert_memory_equal(bytes[0], bytes[1], a->len);
	free(bytes[0]);
	free(bytes[1]);
}

static inline void assert_field_equal(const struct schema_field *f, const struct block_list *la,
                                      const void *a, const struct block_list *lb, const void *b)
{
	const struct ooo_refs *ooo_a = schema_at(f, a), *ooo_b = schema_at(f, b);

	if (f->type == SCHEMA_TYPE_data_ref) {
		assert_payload_equal(la->pool, schema_at(f, a), lb->pool, schema_at(f, b));
	} else if (f->type == SCHEMA_TYPE_ooo_refs) {
		assert_int_equal(ooo_a->n, ooo_b->n);
		for (u32 i = 0; i < ooo_a->n; i++) {
			assert_int_equal(ooo_a->seg[i].seq.n, ooo_b->seg[i].seq.n);
			assert_int_equal(ooo_a->seg[i].fin, ooo_b->seg[i].fin);
			assert_payload_equal(la->pool, &ooo_a->seg[i].data, lb->pool,
			                     &ooo_b->seg[i].data);
		}
	} else if (!schema_equal(f, a, b)) {
		fail_msg("%s differs", f->name);
	}
}

static inline void assert_blocks_equal(const struct block_list *la, const struct block *a,
                                       const struct block_list *lb, const struct block *b)
{
	const struct schema_layer *layer = la->schema->layer[a->layer];

	assert_int_equal(a->layer, b->layer);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->host, b->host);
	assert_int_equal(a->device, b->device);
	assert_int_equal(a->detail, b->detail);
	assert_int_equal(a->state == NIL, b->state == NIL);
	if (a->state == NIL)
		return;
	for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
		const struct schema_field *f = &layer->fields[i];

		if (a->flags >> f->cls & 1)
			assert_field_equal(f, la, block_list_state(la, a->layer, a->state), lb,
			                   block_list_state(lb, b->layer, b->state));
	}
}

static inline void assert_lists_equal(const struct block_list *a, const struct block_list *b)
{
	struct block_walk wa, wb;
	u32 i = block_walk_first(&wa, a), j = block_walk_first(&wb, b);

	while (i != NIL && j != NIL) {
		assert_int_equal(wa.depth, wb.depth);
		assert_blocks_equal(a, block_at(a, i), b, block_at(b, j));
		i = block_walk_next(&wa);
		j = block_walk_next(&wb);
	}
	assert_int_equal(i, NIL);
	assert_int_equal(j, NIL);
}

#endif

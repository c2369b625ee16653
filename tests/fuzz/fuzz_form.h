/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the entries of the two written forms of a block list (binary, JSON) share: an empty list
 * with a pool, kept over inputs. */
#ifndef FUZZ_FORM_H
#define FUZZ_FORM_H

#include "fuzz.h"

#include "state/binary.h"
#include "state/json.h"

enum { FORM_BLOCKS = 64, FORM_BYTES_MAX = 1 << 20 };

struct form {
	struct block_list list;
	struct buf_pool pool;
	void *list_mem, *pool_mem;
	u32 small, large;
};

static inline void form_begin(struct form *f)
{
	struct buf_pool_config config = {64, 4};

	if (!f->list_mem) {
		f->list_mem = aligned_alloc(
			64, (block_list_bytes(FORM_BLOCKS, FORM_BLOCKS, FORM_BLOCKS, FORM_BLOCKS) +
		             63) & ~(size_t)63);
		f->pool_mem = aligned_alloc(4096, (buf_pool_bytes(&config) + 4095) & ~4095ul);
	}
	buf_pool_init(&f->pool, f->pool_mem, &config);
	f->small = f->pool.n_free[BUF_SMALL];
	f->large = f->pool.n_free[BUF_LARGE];
	block_list_init(&f->list, f->list_mem, FORM_BLOCKS, FORM_BLOCKS, FORM_BLOCKS, FORM_BLOCKS);
	f->list.pool = &f->pool;
}

/* Nothing is held once the list's payload is released. */
static inline void form_end(struct form *f, bool decoded)
{
	if (decoded)
		block_list_put_data(&f->list);
	FUZZ_MUST(f->pool.n_free[BUF_SMALL] == f->small);
	FUZZ_MUST(f->pool.n_free[BUF_LARGE] == f->large);
}

/* Does any call take this list? Then every writer must be able to write it. */
static inline bool form_is_valid(const struct form *f)
{
	u8 scratch[FORM_BLOCKS];
	u32 block;

	for (u32 call = 0; call < BLOCK_CALLS; call++)
		if (block_list_check(&f->list, call, scratch, &block) == BLOCK_RULE_OK)
			return true;
	return false;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/buf.h"

enum { PAGE_BYTES = 4096 };

static size_t page_align(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

static size_t descs_bytes(const struct buf_pool_config *config)
{
	return page_align(((size_t)config->small + config->large) * sizeof(struct buf));
}

size_t buf_pool_bytes(const struct buf_pool_config *config)
{
	return descs_bytes(config) + page_align((size_t)config->small * BUF_SMALL_BYTES) +
	       (size_t)config->large * BUF_LARGE_BYTES;
}

void buf_pool_rebuild(struct buf_pool *pool)
{
	u32 total = pool->count[BUF_SMALL] + pool->count[BUF_LARGE];

	for (int cls = 0; cls < BUF_CLASSES; cls++) {
		pool->free[cls] = NIL;
		pool->n_free[cls] = 0;
	}
	/* Backwards, so that low indices are handed out first. */
	for (u32 i = total; i-- > 0;) {
		enum buf_class cls = buf_class_of(pool, i);

		if (pool->descs[i].refs)
			continue;
		pool->descs[i].next = pool->free[cls];
		pool->free[cls] = i;
		pool->n_free[cls]++;
	}
}

void buf_pool_attach(struct buf_pool *pool, void *mem, const struct buf_pool_config *config)
{
	u8 *bytes = (u8 *)mem + descs_bytes(config);

	memset(pool, 0, sizeof(*pool));
	pool->descs = mem;
	pool->bytes[BUF_SMALL] = bytes;
	pool->bytes[BUF_LARGE] = bytes + page_align((size_t)config->small * BUF_SMALL_BYTES);
	pool->count[BUF_SMALL] = config->small;
	pool->count[BUF_LARGE] = config->large;
	buf_pool_rebuild(pool);
}

void buf_pool_init(struct buf_pool *pool, void *mem, const struct buf_pool_config *config)
{
	memset(mem, 0, descs_bytes(config));
	buf_pool_attach(pool, mem, config);
}

u32 buf_chain_copy(struct buf_pool *pool, u32 head, u32 skip, void *to, u32 len)
{
	u32 done = 0;

	buf_for_each (pool, i, head) {
		const struct buf *b = buf_at(pool, i);
		u32 n;

		if (skip >= b->len) {
			skip -= b->len;
			continue;
		}
		n = min_of(b->len - skip, len - done);
		memcpy((u8 *)to + done, buf_data(pool, i) + skip, n);
		skip = 0;
		done += n;
		if (done == len)
			break;
	}
	return done;
}

u32 buf_chain_len(struct buf_pool *pool, u32 head)
{
	u32 len = 0;

	buf_for_each (pool, i, head)
		len += buf_at(pool, i)->len;
	return len;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Payload buffers: two size classes in one arena, named by index, chained, counted.
 *
 * A small buffer holds one MTU-sized frame; a large one holds what a 64 KiB superframe spills over
 * and what a bulk sender queues. A frame received into [small][large] keeps its bytes where the
 * port put them until the application consumes them, so no byte is copied between.
 *
 * Everything that must survive the owner (descriptors and bytes) lies in the arena that the caller
 * gives; `struct buf_pool` itself is only a view of it. The free lists are rebuilt by a scan
 * (buf_pool_rebuild), they are not authoritative.
 *
 * Not thread-safe: a pool belongs to one lane.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/types.h"

enum {
	BUF_SMALL_BYTES = 2048,
	BUF_LARGE_BYTES = 65536,
};

enum buf_class {
	BUF_SMALL,
	BUF_LARGE,
	BUF_CLASSES,
};

/* A buffer's descriptor. Data is [off, off + len) of the buffer's bytes. Lies in the arena. */
struct buf {
	u32 next; /* next buffer of the chain, NIL at the end; the free list's link while free */
	u32 off;  /* first byte of data */
	u32 len;  /* bytes of data */
	u32 refs; /* 0 means free */
};
_Static_assert(sizeof(struct buf) == 16, "four descriptors a cache line");

struct buf_pool_config {
	u32 small; /* how many small buffers */
	u32 large; /* how many large buffers */
};

struct buf_pool {
	struct buf *descs;      /* small first, then large */
	u8 *bytes[BUF_CLASSES]; /* first byte of each class */
	u32 count[BUF_CLASSES];
	u32 free[BUF_CLASSES]; /* heads of the free lists */
	u32 n_free[BUF_CLASSES];
	u64 exhausted[BUF_CLASSES]; /* allocations refused, for statistics */
};

/* Bytes of arena that a pool of this configuration takes; a multiple of 4096. */
size_t buf_pool_bytes(const struct buf_pool_config *config);

/*
 * Lays a fresh pool into `mem` (`buf_pool_bytes()` long, 4096-aligned; the caller's, must outlive
 * the pool). Every buffer is free afterwards. The buffers' bytes are one contiguous, page-aligned
 * region (small class first), so that it can be registered as AF_XDP UMEM.
 */
void buf_pool_init(struct buf_pool *pool, void *mem, const struct buf_pool_config *config);

/* As buf_pool_init(), over memory that already holds a pool: keeps descriptors and reference
 * counts, rebuilds the free lists from them by a scan. */
void buf_pool_attach(struct buf_pool *pool, void *mem, const struct buf_pool_config *config);

/* Rebuilds the free lists: every buffer whose `refs` is 0 becomes free. */
void buf_pool_rebuild(struct buf_pool *pool);

static inline struct buf *buf_at(struct buf_pool *pool, u32 index)
{
	return &pool->descs[index];
}

static inline enum buf_class buf_class_of(const struct buf_pool *pool, u32 index)
{
	return index < pool->count[BUF_SMALL] ? BUF_SMALL : BUF_LARGE;
}

static inline u32 buf_capacity(const struct buf_pool *pool, u32 index)
{
	return buf_class_of(pool, index) == BUF_SMALL ? BUF_SMALL_BYTES : BUF_LARGE_BYTES;
}

/* First byte of the buffer (not of its data). */
static inline u8 *buf_bytes(const struct buf_pool *pool, u32 index)
{
	if (likely(index < pool->count[BUF_SMALL]))
		return pool->bytes[BUF_SMALL] + (size_t)index * BUF_SMALL_BYTES;
	return pool->bytes[BUF_LARGE] + (size_t)(index - pool->count[BUF_SMALL]) * BUF_LARGE_BYTES;
}

static inline u8 *buf_data(struct buf_pool *pool, u32 index)
{
	return buf_bytes(pool, index) + pool->descs[index].off;
}

/* A free buffer with refs 1, off 0, len 0, next NIL; NIL when the class is empty (counted). */
static inline u32 buf_alloc(struct buf_pool *pool, enum buf_class cls)
{
	u32 index = pool->free[cls];
	struct buf *b;

	if (unlikely(index == NIL)) {
		pool->exhausted[cls]++;
		return NIL;
	}
	b = &pool->descs[index];
	pool->free[cls] = b->next;
	pool->n_free[cls]--;
	*b = (struct buf){.next = NIL, .refs = 1};
	return index;
}

/*
 * How many buffers of a class may be taken for bytes that can wait elsewhere (what an application
 * sends, the queues of a connection that could stay where it is). The last eighth is for what is
 * received: without room for ACKs nothing would ever be freed.
 */
static inline u32 buf_spare(const struct buf_pool *pool, enum buf_class cls)
{
	u32 reserve = pool->count[cls] / 8;

	return pool->n_free[cls] > reserve ? pool->n_free[cls] - reserve : 0;
}

/* Drops one reference of this one buffer; its `next` is not followed. */
static inline void buf_put(struct buf_pool *pool, u32 index)
{
	struct buf *b = &pool->descs[index];
	enum buf_class cls;

	if (--b->refs)
		return;
	cls = buf_class_of(pool, index);
	b->next = pool->free[cls];
	pool->free[cls] = index;
	pool->n_free[cls]++;
}

/* Drops one reference of every buffer of a chain. NIL is an empty chain. */
static inline void buf_put_chain(struct buf_pool *pool, u32 index)
{
	while (index != NIL) {
		u32 next = pool->descs[index].next;

		buf_put(pool, index);
		index = next;
	}
}

#define buf_for_each(pool, index, head) \
	for (u32 index = (head); index != NIL; index = (pool)->descs[index].next)

/* Copies `len` bytes that start `skip` bytes into the chain's data; returns bytes copied (fewer
 * when the chain ends). */
u32 buf_chain_copy(struct buf_pool *pool, u32 head, u32 skip, void *to, u32 len);

/* Sum of `len` over the chain. */
u32 buf_chain_len(struct buf_pool *pool, u32 head);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Rings between exactly one producer and one consumer, which may be threads or processes: entries
 * of 64 bytes, or of one u32 (buffer indices).
 *
 * The shared part is two counters on cache lines of their own and the entries; it holds no pointer.
 * Each side works on a private view with its own copy of both counters, touches the other side's
 * line only when its copy says full or empty, and publishes a batch with one release store.
 *
 * The other side is not trusted: a counter that claims more than the ring holds is an error of that
 * ring (-EPROTO), never an access out of bounds. An entry's bytes may change while they are read,
 * so copy an entry out before checking it.
 */
#ifndef BASE_RING_H
#define BASE_RING_H

#include <errno.h>

#include "base/types.h"

enum {
	RING_ENTRY_SHIFT = 6, /* 64-byte entries */
	RING_U32_SHIFT = 2,   /* u32 entries */
};

struct ring_shared {
	u32 tail ALIGNED(64); /* written by the producer: entries ever published */
	u32 head ALIGNED(64); /* written by the consumer: entries ever taken */
};
_Static_assert(sizeof(struct ring_shared) == 128, "two cache lines");

/* One side's view. */
struct ring {
	struct ring_shared *shared;
	u8 *entries;
	u32 count; /* a power of two */
	u32 shift;
	u32 mine;   /* own counter, may be ahead of the published one */
	u32 theirs; /* the other side's counter when last read */
};

/* Bytes of a ring of `count` entries (a power of two, at most 2^30). */
static inline size_t ring_bytes(u32 count, u32 shift)
{
	return sizeof(struct ring_shared) + ((size_t)count << shift);
}

/* Lays an empty ring into `mem` (ring_bytes() long, 64-aligned, the caller's). */
static inline void ring_init(void *mem)
{
	memset(mem, 0, sizeof(struct ring_shared));
}

static inline void ring_attach(struct ring *r, void *mem, u32 count, u32 shift)
{
	r->shared = mem;
	r->entries = (u8 *)mem + sizeof(struct ring_shared);
	r->count = count;
	r->shift = shift;
}

/* The producer's view; it goes on where an earlier producer published last. */
static inline void ring_attach_producer(struct ring *r, void *mem, u32 count, u32 shift)
{
	ring_attach(r, mem, count, shift);
	r->mine = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
	r->theirs = __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);
}

/* The consumer's view; it goes on where an earlier consumer published last. */
static inline void ring_attach_consumer(struct ring *r, void *mem, u32 count, u32 shift)
{
	ring_attach(r, mem, count, shift);
	r->mine = __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);
	r->theirs = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
}

static inline void *ring_slot(const struct ring *r, u32 counter)
{
	return r->entries + ((size_t)(counter & (r->count - 1)) << r->shift);
}

/* Producer: places free; 0 also when the consumer's counter is impossible (see ring_check()). */
static inline u32 ring_room(struct ring *r)
{
	u32 used = r->mine - r->theirs;

	if (used >= r->count) {
		r->theirs = __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);
		used = r->mine - r->theirs;
	}
	return used >= r->count ? 0 : r->count - used;
}

/* Consumer: entries to take; 0 also when the producer's counter is impossible. */
static inline u32 ring_ready(struct ring *r)
{
	u32 n = r->theirs - r->mine;

	if (n == 0 || n > r->count) {
		r->theirs = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
		n = r->theirs - r->mine;
	}
	return n > r->count ? 0 : n;
}

/* 0, or -EPROTO when the other side's counter claims what the ring cannot hold. Call it when a ring
 * has been full or empty for long; the ring is unusable then. */
static inline int ring_check_producer(const struct ring *r)
{
	u32 used = r->mine - __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);

	return used > r->count ? -EPROTO : 0;
}

static inline int ring_check_consumer(const struct ring *r)
{
	u32 n = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE) - r->mine;

	return n > r->count ? -EPROTO : 0;
}

/* Producer: the next entry to fill, NULL when full. Seen by the consumer after ring_publish(). */
static inline void *ring_push(struct ring *r)
{
	if (!ring_room(r))
		return NULL;
	return ring_slot(r, r->mine++);
}

/* Producer: makes all pushed entries visible. */
static inline void ring_publish(struct ring *r)
{
	__atomic_store_n(&r->shared->tail, r->mine, __ATOMIC_RELEASE);
}

/* Consumer: the next entry, NULL when empty. The producer may reuse it after ring_release(). */
static inline void *ring_pop(struct ring *r)
{
	if (!ring_ready(r))
		return NULL;
	return ring_slot(r, r->mine++);
}

/* Consumer: gives all popped entries back to the producer. */
static inline void ring_release(struct ring *r)
{
	__atomic_store_n(&r->shared->head, r->mine, __ATOMIC_RELEASE);
}

/* The u32 ring: false when full. Publish as above. */
static inline bool ring_push_u32(struct ring *r, u32 value)
{
	u32 *slot = ring_push(r);

	if (!slot)
		return false;
	*slot = value;
	return true;
}

/* The u32 ring: false when empty. Release as above. */
static inline bool ring_pop_u32(struct ring *r, u32 *ret_value)
{
	const u32 *slot = ring_pop(r);

	if (!slot)
		return false;
	*ret_value = *slot;
	return true;
}

#endif

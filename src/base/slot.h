/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Slots with generations: what an object's handle is made of (R49).
 *
 * A handle is generation << 32 | index. The generation of a slot is odd while it is taken and even
 * while it is free, and grows with every change, so that a handle kept too long is refused and
 * never followed to the next owner of its index. Handle 0 is never given out.
 *
 * Generations lie in memory of the caller and are authoritative; the free list is rebuilt from them
 * by a scan. Not thread-safe.
 */
#ifndef BASE_SLOT_H
#define BASE_SLOT_H

#include "base/types.h"

#define SLOT_NO_HANDLE 0ull

struct slot {
	u32 generation; /* odd: taken */
	u32 next_free;
};

struct slots {
	struct slot *slot;
	u32 count;
	u32 n_taken;
	u32 free; /* head of the free list */
};

/* Bytes that `count` slots take. */
static inline size_t slots_bytes(u32 count)
{
	return (size_t)count * sizeof(struct slot);
}

/* Lays `count` free slots into `mem` (slots_bytes() long, 8-aligned, the caller's; it must outlive
 * the view). count is below NIL. */
void slots_init(struct slots *slots, void *mem, u32 count);

/* Takes a view of memory that already holds slots: what is taken stays taken, with its handle. */
void slots_attach(struct slots *slots, void *mem, u32 count);

/* Rebuilds the free list and the count of taken slots by a scan of the generations. */
void slots_rebuild(struct slots *slots);

/* Takes a free slot and returns its handle, SLOT_NO_HANDLE when none is free. The slot that was
 * released last is taken first: it is the one still in the cache. */
MUST_CHECK u64 slots_take(struct slots *slots);

/* Frees the slot of `handle`. -ESTALE when the handle names no taken slot; nothing changes then. */
MUST_CHECK int slots_release(struct slots *slots, u64 handle);

static inline bool slots_is_taken(const struct slots *slots, u32 index)
{
	return index < slots->count && (slots->slot[index].generation & 1);
}

/* The handle of a taken slot, SLOT_NO_HANDLE of any other index. */
static inline u64 slots_handle(const struct slots *slots, u32 index)
{
	if (!slots_is_taken(slots, index))
		return SLOT_NO_HANDLE;
	return (u64)slots->slot[index].generation << 32 | index;
}

/* The index that a handle names, NIL when it is stale, out of range, or no handle at all. Safe on
 * any 64-bit value. */
static inline u32 slots_find(const struct slots *slots, u64 handle)
{
	u32 index = (u32)handle;
	u32 generation = (u32)(handle >> 32);

	if (unlikely(index >= slots->count || !(generation & 1)))
		return NIL;
	return slots->slot[index].generation == generation ? index : NIL;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A table from 32-bit hashes to indices: open addressing, linear probing, deletion by backward
 * shift, so there are no tombstones and a table lives forever.
 *
 * It does not know the keys: a lookup walks the candidates of a hash and the caller compares its
 * own keys, which lie in its control blocks. Eight entries a cache line. It is never authoritative:
 * flowtab_rebuild() makes it anew from whatever is.
 */
#ifndef BASE_FLOWTAB_H
#define BASE_FLOWTAB_H

#include "base/types.h"

struct flowtab_entry {
	u32 hash;
	u32 index; /* NIL: empty */
};

struct flowtab {
	struct flowtab_entry *entry;
	u32 mask;
	u32 n;
	u32 max; /* entries it takes; at most half of the table, so probes stay short */
};

/* Bytes of a table that takes `max` entries (at most 2^30). */
size_t flowtab_bytes(u32 max);

/* Lays an empty table into `mem` (flowtab_bytes() long, 64-aligned is best; the caller's). */
void flowtab_init(struct flowtab *t, void *mem, u32 max);

/* Adds an entry; the same (hash, index) must not be in the table already. -ENOSPC when full. */
MUST_CHECK int flowtab_insert(struct flowtab *t, u32 hash, u32 index);

/* Removes the entry of exactly this hash and index. -ENOENT when there is none. */
int flowtab_remove(struct flowtab *t, u32 hash, u32 index);

/*
 * Empties the table and adds every index in [0, count) for which `hash_of` returns true and writes
 * its hash. -ENOSPC when there are more than fit; the table holds the first ones then.
 */
MUST_CHECK int flowtab_rebuild(struct flowtab *t, u32 count,
                               bool (*hash_of)(void *context, u32 index, u32 *ret_hash),
                               void *context);

/* Brings the hash's first cache line nearer; call it for frame n + k while working on frame n. */
static inline void flowtab_prefetch(const struct flowtab *t, u32 hash)
{
	prefetch(&t->entry[hash & t->mask]);
}

/* The first candidate at or after *pos with this hash, NIL when there is no more. Only for
 * flowtab_for_each(). */
static inline u32 flowtab_next(const struct flowtab *t, u32 hash, u32 *pos)
{
	for (;; (*pos)++) {
		const struct flowtab_entry *e = &t->entry[*pos & t->mask];

		if (e->index == NIL)
			return NIL;
		if (e->hash == hash) {
			(*pos)++;
			return e->index;
		}
	}
}

/* Walks the candidates of a hash. The table must not change meanwhile. */
#define flowtab_for_each(t, hash, index)                                                \
	for (u32 index##_pos = (hash), index = flowtab_next((t), (hash), &index##_pos); \
	     index != NIL; index = flowtab_next((t), (hash), &index##_pos))

#endif

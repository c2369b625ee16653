/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/flowtab.h"

#include <errno.h>

enum { FLOWTAB_MIN_ENTRIES = 8 };

static u32 table_size(u32 max)
{
	u32 size = FLOWTAB_MIN_ENTRIES;

	while (size / 2 < max)
		size *= 2;
	return size;
}

size_t flowtab_bytes(u32 max)
{
	return (size_t)table_size(max) * sizeof(struct flowtab_entry);
}

static void clear(struct flowtab *t)
{
	memset(t->entry, 0xff, ((size_t)t->mask + 1) * sizeof(*t->entry));
	t->n = 0;
}

void flowtab_init(struct flowtab *t, void *mem, u32 max)
{
	t->entry = mem;
	t->mask = table_size(max) - 1;
	t->max = max;
	clear(t);
}

int flowtab_insert(struct flowtab *t, u32 hash, u32 index)
{
	u32 pos = hash & t->mask;

	if (t->n >= t->max)
		return -ENOSPC;
	while (t->entry[pos].index != NIL)
		pos = (pos + 1) & t->mask;
	t->entry[pos] = (struct flowtab_entry){.hash = hash, .index = index};
	t->n++;
	return 0;
}

static u32 position_of(const struct flowtab *t, u32 hash, u32 index)
{
	for (u32 pos = hash & t->mask;; pos = (pos + 1) & t->mask) {
		if (t->entry[pos].index == NIL)
			return NIL;
		if (t->entry[pos].index == index && t->entry[pos].hash == hash)
			return pos;
	}
}

int flowtab_remove(struct flowtab *t, u32 hash, u32 index)
{
	u32 hole = position_of(t, hash, index);

	if (hole == NIL)
		return -ENOENT;
	/* An entry behind the hole moves into it unless its home lies after the hole. */
	for (u32 pos = (hole + 1) & t->mask; t->entry[pos].index != NIL;
	     pos = (pos + 1) & t->mask) {
		u32 home = t->entry[pos].hash & t->mask;

		if (((pos - home) & t->mask) < ((pos - hole) & t->mask))
			continue;
		t->entry[hole] = t->entry[pos];
		hole = pos;
	}
	t->entry[hole].index = NIL;
	t->n--;
	return 0;
}

int flowtab_rebuild(struct flowtab *t, u32 count,
                    bool (*hash_of)(void *context, u32 index, u32 *ret_hash), void *context)
{
	clear(t);
	for (u32 i = 0; i < count; i++) {
		u32 hash;
		int err;

		if (!hash_of(context, i, &hash))
			continue;
		err = flowtab_insert(t, hash, i);
		if (err)
			return err;
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Counted sets of addresses, MACs and VLAN stacks. Small, and searched only when a path or a
 * neighbor comes or goes, so a linear search that remembers its last hit will do. */
#include <errno.h>

#include "target/internal.h"

static bool matches(const struct intern_entry *e, const void *key, u32 len)
{
	return e->refs && !memcmp(e->key, key, len);
}

static u32 search(struct intern *set, const void *key, u32 len)
{
	if (set->last < set->cap && matches(&set->entry[set->last], key, len))
		return set->last;
	for (u32 i = 0; i < set->cap; i++) {
		if (matches(&set->entry[i], key, len))
			return set->last = i;
	}
	return NIL;
}

int intern_get(struct intern *set, const void *key, u32 len)
{
	u32 i = search(set, key, len);

	if (i != NIL) {
		set->entry[i].refs++;
		return 0;
	}
	if (set->used == set->cap)
		return -ENOSPC;
	for (i = 0; set->entry[i].refs; i++)
		;
	memcpy(set->entry[i].key, key, len);
	set->entry[i].refs = 1;
	set->used++;
	set->last = i;
	return 0;
}

void intern_put(struct intern *set, const void *key, u32 len)
{
	u32 i = search(set, key, len);

	ASSERT(i != NIL);
	if (!--set->entry[i].refs)
		set->used--;
}

void intern_reset(struct intern *set)
{
	memset(set->entry, 0, (size_t)set->cap * sizeof(*set->entry));
	set->used = 0;
	set->last = 0;
}

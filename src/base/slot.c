/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/slot.h"

#include <errno.h>

void slots_rebuild(struct slots *slots)
{
	slots->free = NIL;
	slots->n_taken = 0;
	/* Backwards, so that low indices are handed out first. */
	for (u32 i = slots->count; i-- > 0;) {
		struct slot *s = &slots->slot[i];

		if (s->generation & 1) {
			slots->n_taken++;
			continue;
		}
		s->next_free = slots->free;
		slots->free = i;
	}
}

void slots_attach(struct slots *slots, void *mem, u32 count)
{
	slots->slot = mem;
	slots->count = count;
	slots_rebuild(slots);
}

void slots_init(struct slots *slots, void *mem, u32 count)
{
	memset(mem, 0, slots_bytes(count));
	slots_attach(slots, mem, count);
}

u64 slots_take(struct slots *slots)
{
	u32 index = slots->free;
	struct slot *s;

	if (index == NIL)
		return SLOT_NO_HANDLE;
	s = &slots->slot[index];
	slots->free = s->next_free;
	slots->n_taken++;
	s->generation++;
	return slots_handle(slots, index);
}

int slots_release(struct slots *slots, u64 handle)
{
	u32 index = slots_find(slots, handle);
	struct slot *s;

	if (index == NIL)
		return -ESTALE;
	s = &slots->slot[index];
	s->generation++;
	s->next_free = slots->free;
	slots->free = index;
	slots->n_taken--;
	return 0;
}

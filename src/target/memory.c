/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Memory that posted calls may name (R109). A host in our own process names any; one in another
 * process only what was registered and is mapped here, at another address perhaps.
 */
#include <errno.h>

#include "target/internal.h"

u8 *call_bytes(const struct target *t, const struct target_call *call)
{
	const struct target_region *r;

	if (likely(call->region == NIL))
		return (u8 *)(uintptr_t)call->data + call->done;
	r = &t->regions[call->region];
	return r->local + (call->data - r->owner) + call->done;
}

static bool inside(const struct target_region *r, u64 at, u64 len)
{
	return r->local && at >= r->owner && len <= r->bytes && at - r->owner <= r->bytes - len;
}

bool memory_find(struct target *t, const void *data, u32 len, u32 *ret_region)
{
	*ret_region = NIL;
	if (likely(!t->config.registered_only) || !len)
		return true;
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		if (!inside(&t->regions[i], (uintptr_t)data, len))
			continue;
		*ret_region = i;
		return true;
	}
	t->stats.unregistered++;
	return false;
}

int target_memory_add(struct target *t, u64 owner, void *local, u64 bytes)
{
	u32 unused = NIL;

	if (!local || !bytes || owner + bytes < owner)
		return -EINVAL;
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		const struct target_region *r = &t->regions[i];

		if (!r->local)
			unused = min_of(unused, i);
		else if (owner < r->owner + r->bytes && r->owner < owner + bytes)
			return -EINVAL;
	}
	if (unused == NIL)
		return -ENOSPC;
	t->regions[unused] = (struct target_region){owner, local, bytes};
	return 0;
}

int target_memory_remove(struct target *t, u64 owner)
{
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		if (!t->regions[i].local || t->regions[i].owner != owner)
			continue;
		for (u32 k = 0; k < t->config.posted; k++) {
			if (t->calls[k].taken && t->calls[k].region == i)
				return -EBUSY;
		}
		t->regions[i].local = NULL;
		return 0;
	}
	return -ENOENT;
}

/* From within the same process both addresses are one. */
int memory_add(void *device, void *base, u64 bytes)
{
	return target_memory_add(device, (uintptr_t)base, base, bytes);
}

int memory_remove(void *device, void *base)
{
	return target_memory_remove(device, (uintptr_t)base);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Memory of the application that a device in another process can reach (R109). */
#include <errno.h>

#include "host/priv.h"

bool memory_reached(const struct host *h, const void *data, u32 len)
{
	uintptr_t at = (uintptr_t)data;

	if (likely(!(h->caps.features & FEATURE_REGISTERED_BUFFERS)) || !len)
		return true;
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		const struct host_region *r = &h->region[i];
		uintptr_t base = (uintptr_t)r->base;

		if (r->base && at >= base && len <= r->bytes && at - base <= r->bytes - len)
			return true;
	}
	return false;
}

int host_memory_add(struct host *h, void *base, u64 bytes)
{
	const struct device_ops *ops = h->env.device->ops;
	int err;

	for (u32 i = 0; i < REGIONS_MAX; i++) {
		if (h->region[i].base)
			continue;
		err = ops->memory_add(host_device(h), base, bytes);
		if (!err)
			h->region[i] = (struct host_region){base, bytes};
		return err;
	}
	return -ENOSPC;
}

int host_memory_remove(struct host *h, void *base)
{
	for (u32 i = 0; i < REGIONS_MAX; i++) {
		int err;

		if (!base || h->region[i].base != base)
			continue;
		err = h->env.device->ops->memory_remove(host_device(h), base);
		if (!err)
			h->region[i].base = NULL;
		return err;
	}
	return -ENOENT;
}

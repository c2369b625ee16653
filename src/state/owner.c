/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/owner.h"

#include <errno.h>

#include "base/assert.h"

void owner_init(struct owner *owner, const struct schema_layer *layer)
{
	*owner = (struct owner){.layer = layer};
}

int owner_offloaded(struct owner *owner)
{
	if (owner->offloaded)
		return -EALREADY;
	owner->offloaded = true;
	owner->delegated_writes++;
	return 0;
}

int owner_uploaded(struct owner *owner)
{
	if (!owner->offloaded)
		return -EALREADY;
	owner->offloaded = false;
	owner->delegated_reads++;
	return 0;
}

enum owner_side owner_of(const struct owner *owner, u32 field)
{
	if (owner->offloaded && owner->layer->fields[field].cls == CLASS_DELEGATED)
		return OWNER_DEVICE;
	return OWNER_HOST;
}

bool owner_may_write(const struct owner *owner, enum owner_side side, u32 field)
{
	if (owner->offloaded && owner->layer->fields[field].cls == CLASS_CONST)
		return false;
	return owner_of(owner, field) == side;
}

u32 owner_violation(const struct owner *owner, enum owner_side side, const void *before,
                    const void *after)
{
	const struct schema_layer *layer = owner->layer;

	for (u32 i = 0; i < layer->first[STATE_CLASSES]; i++) {
		if (!owner_may_write(owner, side, i) &&
		    !schema_equal(&layer->fields[i], before, after))
			return i;
	}
	return NIL;
}

void owner_assert_write(const struct owner *owner, enum owner_side side, const void *before,
                        const void *after)
{
	ASSERT(owner_violation(owner, side, before, after) == NIL);
}

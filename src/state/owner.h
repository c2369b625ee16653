/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Who owns which variable: at every instant exactly one of host and device (patent 0079; R11).
 *
 *   class      in the host    offloaded
 *   CONST      host           host, and nobody writes it (R31)
 *   CACHED     host           host: the device's copy follows by update (R32)
 *   DELEGATED  host           device: written once at offload, read once at upload (R33)
 *
 * A tracker goes with an object through tests and simulations. Whoever wrote shows the state before
 * and after; a changed variable that was not the writer's is a bug of ours, hence an assertion.
 */
#ifndef STATE_OWNER_H
#define STATE_OWNER_H

#include "state/schema.h"

enum owner_side {
	OWNER_HOST,
	OWNER_DEVICE,
};

struct owner {
	const struct schema_layer *layer;
	bool offloaded;
	u32 delegated_writes; /* times that DELEGATED went to the device */
	u32 delegated_reads;  /* times that it came back */
};

/* An object of this layer that the host has. */
void owner_init(struct owner *owner, const struct schema_layer *layer);

/* DELEGATED becomes the device's (the offload completed). -EALREADY: it is. */
int owner_offloaded(struct owner *owner) MUST_CHECK;

/* DELEGATED becomes the host's (the upload's snapshot). -EALREADY: it is. */
int owner_uploaded(struct owner *owner) MUST_CHECK;

/* The one owner of a variable; `field` is an index into the layer's fields. */
enum owner_side owner_of(const struct owner *owner, u32 field);

/* May this side write it now? */
bool owner_may_write(const struct owner *owner, enum owner_side side, u32 field);

/* The first variable that differs between `before` and `after` and that `side` may not write; NIL:
 * none. */
u32 owner_violation(const struct owner *owner, enum owner_side side, const void *before,
                    const void *after);

/* Asserts that there is none. */
void owner_assert_write(const struct owner *owner, enum owner_side side, const void *before,
                        const void *after);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Inserting a driver between a host and a device while connections live (R50, R51).
 *
 * A driver embeds a struct device_chain as its first member and has tables of its own. Calls that
 * it has no interest in it leaves to the pass tables below, which hand them through unchanged, so a
 * monitor is a copy of the pass tables with the few functions replaced that it wants to see.
 *
 *   struct monitor { struct device_chain chain; ... };
 *   device_insert(&m->chain, &hook, monitor_device(m), monitor_side(m));
 *   ...
 *   device_remove(&m->chain);
 *
 * Nothing is copied or stopped: an upload that is on its way completes through whatever is in place
 * by then. Insertion and removal belong to the lane's thread, outside of any call of the device.
 */
#ifndef OFFLOAD_CHAIN_H
#define OFFLOAD_CHAIN_H

#include "offload/offload.h"

struct device_chain {
	struct device *hook;    /* where the host looks up its device */
	struct device below;    /* what was there before: calls go on to it */
	struct host_side above; /* who was told before: completions go on to it */
	const void *impl;       /* the driver */
};

/*
 * Puts `own` in place of *hook and `side` in place of the host side of the device below. `hook` is
 * the struct device that the host calls through (or that a driver above has as its `below`), it
 * must stay where it is. -EINVAL: the device below cannot be given another host side.
 */
int device_insert(struct device_chain *chain, struct device *hook, struct device own,
                  struct host_side side) MUST_CHECK;

/* Takes the driver out again. -EBUSY: another driver was inserted above it since; remove that one
 * first, or give `chain->hook` the place that it now has (the `below` of the one above). */
int device_remove(struct device_chain *chain) MUST_CHECK;

/* Tables that hand everything through; impl is a struct device_chain or begins with one. */
extern const struct device_ops device_pass_ops;
extern const struct layer_ops *const layer_pass_ops[LAYERS];
extern const struct data_ops data_pass_ops;
extern const struct frame_ops frame_pass_ops;
extern const struct host_ops host_pass_ops;

#endif

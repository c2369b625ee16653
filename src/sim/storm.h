/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Storms: offloads, uploads, updates, route changes, invalidates, queries, requests of the target,
 * pauses and failures at random moments of a world that is full of traffic.
 */
#ifndef SIM_STORM_H
#define SIM_STORM_H

#include "sim/world.h"

enum storm_op {
	STORM_OFFLOAD,
	STORM_UPLOAD,
	STORM_MAC,
	STORM_MTU,
	STORM_ROUTE,
	STORM_SETTINGS,
	STORM_QUERY,
	STORM_ASK,
	STORM_ASK_ALL,
	STORM_INVALIDATE,
	STORM_INVALIDATE_PATH,
	STORM_INVALIDATE_NEIGHBOR,
	STORM_PAUSE,
	STORM_FAULT,
	STORM_REAP,
	STORM_LINK,
	STORM_REBUILD, /* the target throws away everything that it can make anew */
	STORM_OPS,
};
const char *storm_op_word(enum storm_op op);

struct storm_config {
	struct world_config world;
	u32 rounds;   /* operations */
	u64 every_ns; /* virtual time between two, on average */
	u32 disabled; /* bit set of storm_op */
};

struct storm_result {
	u64 hash;
	u64 turns;
	u32 done[STORM_OPS];
	u32 outcome[STATUSES]; /* of the connections of all moves */
	struct host_counters host[2];
	char wrong[600]; /* empty: all went well */
	u32 round;       /* where it stopped */
};

/* Runs one from its seed to the end: streams done, everything closed, nothing left. False: see
 * ret->wrong. -- also false when there is no memory for it. */
bool storm_run(const struct storm_config *config, struct storm_result *ret);

#endif

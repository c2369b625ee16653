/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Makes a scenario that fails shorter: events, connections, bytes and faults of links are left out
 * as long as the same checker still fails (delta debugging, Zeller and Hildebrandt 2002).
 */
#ifndef SIM_REDUCE_H
#define SIM_REDUCE_H

#include "sim/run.h"

struct reduce_report {
	u32 runs;
	u32 events_before, events_after;
	u32 conns_before, conns_after;
	struct run_result last; /* of the shortest */
};

/* `failed` is what the scenario does now. At most `runs_max` runs. ret is the caller's to finish.
 * False: out of memory. */
bool reduce_scenario(const struct scenario *s, const struct run_result *failed, u32 runs_max,
                     struct scenario *ret, struct reduce_report *ret_report);

#endif

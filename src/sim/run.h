/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Runs a scenario from its seed to the end: streams done, everything closed, nothing left. */
#ifndef SIM_RUN_H
#define SIM_RUN_H

#include "sim/scenario.h"

struct run_result {
	bool ok;
	enum check check; /* that failed, when not ok */
	char wrong[600];  /* what is wrong; "" with ok false: out of memory */
	u32 at_event;     /* where it was then: the events before this one had happened */
	u64 hash;         /* of the trace */
	u64 turns, frames, events;
	u64 virtual_ns;
	u64 bytes; /* delivered and compared */
	u32 connections, deaths;
	u32 moves_least; /* changes of side of the connection that moved least, at its better end */
	u64 moves;       /* of all */
	u64 retransmits; /* by hosts and targets */
	u32 outcome[STATUSES];
	u64 checks[CHECKS];
	u32 done[EVENTS];
};

/* `trace`: the trace's text goes there, NULL: nowhere. False: not ok. */
bool run_scenario(const struct scenario *s, FILE *trace, struct run_result *ret);

#endif

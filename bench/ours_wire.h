/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Our side of the in-memory cases: two engines (engines.h) in a child of their own, on one core. */
#ifndef BENCH_OURS_WIRE_H
#define BENCH_OURS_WIRE_H

#include "child.h"
#include "engines.h"

struct ours_wire {
	struct bench_child child;
};

int ours_wire_open(struct ours_wire *world, const struct engines_config *config,
                   struct bench_run *run) MUST_CHECK;
/* Requests, or bytes, in a second. */
int ours_wire_rr(struct ours_wire *world, double *ret_per_s, struct bench_run *run) MUST_CHECK;
int ours_wire_bulk(struct ours_wire *world, double *ret_per_s, struct bench_run *run) MUST_CHECK;
void ours_wire_close(struct ours_wire *world);

#endif

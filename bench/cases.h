/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The tables of cases, in the order in which they run. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "harness.h"

extern const struct bench_table bench_move_cases;    /* out of the kernel and back */
extern const struct bench_table bench_wire_cases;    /* engines in memory */
extern const struct bench_table bench_engine_cases;  /* the engine alone */
extern const struct bench_table bench_target_cases;  /* the target behind its interface */
extern const struct bench_table bench_journal_cases; /* what a shared arena costs */
extern const struct bench_table bench_team_cases;    /* a member of a team goes */
extern const struct bench_table bench_links_cases;   /* carrier is lost */
extern const struct bench_table bench_veth_cases;    /* offloaded connections over veth */
extern const struct bench_table bench_loss_cases;    /* the engine and the kernel on a lossy wire */

#endif

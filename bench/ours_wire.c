/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "ours_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { OP_SETUP = 1, OP_RR, OP_BULK, RUN_NS = 300000000 };

static int handle(void *state, struct bench_msg *msg)
{
	struct engines *es = state;
	u64 count = 0, ns = 1;
	int err;

	if (msg->op == OP_SETUP) {
		struct engines_config config = es->config;

		err = engines_open(es, &config);
	} else {
		err = msg->op == OP_RR ? engines_rr(es, msg->v[0], &count, &ns)
		                       : engines_bulk(es, msg->v[0], &count, &ns);
	}
	if (err)
		snprintf(msg->why, sizeof(msg->why),
		         "engines in memory (%llu frames not consumed, %u and %u established)",
		         (unsigned long long)(es->end[0].not_consumed + es->end[1].not_consumed),
		         es->end[0].established, es->end[1].established);
	msg->v[0] = count;
	msg->v[1] = ns;
	return err;
}

int ours_wire_open(struct ours_wire *world, const struct engines_config *config,
                   struct bench_run *run)
{
	struct engines *es = calloc(1, sizeof(*es));
	struct bench_child_config child = {.ns = -1, .cpu = 1, .handle = handle, .state = es};
	struct bench_msg setup = {.op = OP_SETUP};
	int err;

	if (!es)
		return -ENOMEM;
	es->config = *config;
	err = bench_child_start(&world->child, &child);
	free(es);
	if (err)
		return bench_fail(run, err, "cannot start a child process");
	return bench_child_call(&world->child, &setup, run);
}

static int measure(struct ours_wire *world, u32 op, double *ret_per_s, struct bench_run *run)
{
	struct bench_msg msg = {.op = op, .v = {RUN_NS}};
	int err = bench_child_call(&world->child, &msg, run);

	*ret_per_s = err ? 0 : (double)msg.v[0] * 1e9 / (double)msg.v[1];
	return err;
}

int ours_wire_rr(struct ours_wire *world, double *ret_per_s, struct bench_run *run)
{
	return measure(world, OP_RR, ret_per_s, run);
}

int ours_wire_bulk(struct ours_wire *world, double *ret_per_s, struct bench_run *run)
{
	return measure(world, OP_BULK, ret_per_s, run);
}

void ours_wire_close(struct ours_wire *world)
{
	bench_child_stop(&world->child);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Moving live kernel connections out of the kernel and back, by batch size and queue length.
 *
 * A measurement moves at least MOVES connections in batches of the case's size, walking over a
 * population of at least POPULATION, so that small batches do not meet the same warm socket each
 * time. The value is the time of a whole round trip (out and in), per connection.
 */
#include "cases.h"
#include "peer_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	POPULATION = 512,
	MOVES = 2048,
	OP_CHECKPOINT = CONN_OP_USER, /* v[0]: batch; answers v[0]: dump ns, v[1]: restore ns,
	                               * v[2]: connections moved */
};

struct move_local {
	struct conn_set set;
	struct checkpoint_image *images;
	u32 next; /* where in the population the next batch begins */
};

static int fail_round(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

static int op_checkpoint(struct move_local *local, struct bench_msg *msg)
{
	u32 batch = (u32)msg->v[0];
	u64 dump_ns = 0, restore_ns = 0;
	u32 moved = 0;

	if (!local->images)
		local->images = checkpoint_images(local->set.n);
	if (!local->images)
		return fail_round(msg, -ENOMEM, "memory for the images");
	while (moved < MOVES) {
		const char *what = "";
		int err;

		if (local->next + batch > local->set.n)
			local->next = 0;
		err = checkpoint_round(&local->set.conns[local->next], batch,
		                       &local->images[local->next], &dump_ns, &restore_ns, &what);
		if (err)
			return fail_round(msg, err, what);
		local->next += batch;
		moved += batch;
	}
	msg->v[0] = dump_ns;
	msg->v[1] = restore_ns;
	msg->v[2] = moved;
	return 0;
}

static int local_handle(void *state, struct bench_msg *msg)
{
	struct move_local *local = state;

	return msg->op == OP_CHECKPOINT ? op_checkpoint(local, msg)
	                                : conn_set_handle(&local->set, msg);
}

static int move_setup(struct bench_run *run)
{
	struct move_local local = {0};
	struct bench_child_config config = {.cpu = 0, .handle = local_handle, .state = &local};
	struct conn_world *world = calloc(1, sizeof(*world));
	struct bench_msg warm = {.op = OP_CHECKPOINT, .v = {run->bcase->n}};
	int err;

	if (!world)
		return -ENOMEM;
	run->state = world;
	world->n = max_of(run->bcase->n, (u32)POPULATION);
	world->queued = run->bcase->bytes;
	err = conn_world_open(world, &config, &local.set, run);
	if (err == 0)
		err = bench_child_call(&world->child[BENCH_LOCAL], &warm, run);
	return err;
}

static int move_peer(struct bench_run *run, double *ret_value)
{
	struct conn_world *world = run->state;
	struct bench_msg msg = {.op = OP_CHECKPOINT, .v = {run->bcase->n}};
	int err = bench_child_call(&world->child[BENCH_LOCAL], &msg, run);
	double n;

	if (err)
		return err;
	n = (double)msg.v[2] * 1000.0;
	*ret_value = (double)(msg.v[0] + msg.v[1]) / n;
	bench_note(run, "checkpoint: dump and close %.2f, restore %.2f us/conn",
	           (double)msg.v[0] / n, (double)msg.v[1] / n);
	return 0;
}

static int move_verify(struct bench_run *run)
{
	return conn_world_verify(run->state, run);
}

static void move_teardown(struct bench_run *run)
{
	if (run->state)
		conn_world_close(run->state);
	free(run->state);
}

#define MOVE_CASE(label, batch, queued)                                                    \
	{                                                                                  \
		.name = "move/" label "/" #batch, .unit = "us/conn",                       \
		.peer_name = "checkpoint (new socket each)", .setup = move_setup,          \
		.peer = move_peer, .verify = move_verify, .teardown = move_teardown,       \
		.no_ours = "libchimney is not in this build", .n = batch, .bytes = queued, \
	}

#define MOVE_CASES(label, queued)                                                               \
	MOVE_CASE(label, 1, queued), MOVE_CASE(label, 8, queued), MOVE_CASE(label, 64, queued), \
		MOVE_CASE(label, 512, queued), MOVE_CASE(label, 1000, queued),                  \
		MOVE_CASE(label, 4096, queued), MOVE_CASE(label, 10000, queued)

static const struct bench_case cases[] = {
	MOVE_CASES("empty", 0),
	MOVE_CASES("16k", 16384),
};

const struct bench_table bench_move_cases = {cases, ARRAY_SIZE(cases)};

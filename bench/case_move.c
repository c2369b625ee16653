/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Moving live kernel connections out of the kernel and back, by batch size and queue length (R6).
 *
 * A measurement moves at least MOVES connections in batches of the case's size, walking over a
 * population of at least POPULATION, so that small batches do not meet the same warm socket each
 * time. The value is the time of a whole round trip (out and in), per connection. Each side has
 * connections and namespaces of its own.
 */
#include "cases.h"
#include "ours_move.h"
#include "peer_checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	POPULATION = 512,
	MOVES = 2048,
	/* v[0]: batch; answers v[0]: out ns, v[1]: in ns, v[2]: connections moved, v[3]: ns that a
	 * connection stood still, 99th percentile, v[4]: CPU ns of the process; of ours also v[5]:
	 * export, v[6]: transfer, v[7]: import ns */
	OP_CHECKPOINT = CONN_OP_USER,
	OP_OURS,
	OP_OURS_END, /* connections are plain kernel sockets again */
};

/* The process that holds the local ends, of either side. */
struct move_local {
	struct conn_set set;
	struct checkpoint_image *images;
	struct ours_move ours;
	u32 next; /* where in the population the next batch begins */
};

struct move_case {
	struct conn_world ours, peer;
	int ours_err; /* our side did not come up: the peer's figures stand alone */
};

static int fail_round(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

/* First connection of the next batch. */
static u32 next_batch(struct move_local *local, u32 batch)
{
	u32 from = local->next + batch > local->set.n ? 0 : local->next;

	local->next = from + batch;
	return from;
}

static int op_checkpoint(struct move_local *local, struct bench_msg *msg)
{
	u32 batch = (u32)msg->v[0], moved = 0;
	u64 cpu = bench_cpu_ns();

	if (!local->images)
		local->images = checkpoint_images(local->set.n);
	if (!local->images)
		return fail_round(msg, -ENOMEM, "memory for the images");
	msg->v[0] = msg->v[1] = 0;
	for (; moved < MOVES; moved += batch) {
		u32 from = next_batch(local, batch);
		const char *what = "";
		int err = checkpoint_round(&local->set.conns[from], batch, &local->images[from],
		                           &msg->v[0], &msg->v[1], &what);

		if (err)
			return fail_round(msg, err, what);
	}
	msg->v[2] = moved;
	msg->v[3] = 0;
	msg->v[4] = bench_cpu_ns() - cpu;
	return 0;
}

static int op_ours(struct move_local *local, struct bench_msg *msg)
{
	u32 batch = (u32)msg->v[0], moved = 0;
	struct ours_move_times times = {0};
	const char *what = "";
	int err = 0;
	u64 cpu;

	if (!local->ours.context)
		err = ours_move_open(&local->ours, &local->set, &what);
	if (err)
		return fail_round(msg, err, what);
	cpu = bench_cpu_ns();
	ours_move_parts(&local->ours, -1, &times);
	for (; err == 0 && moved < MOVES; moved += batch)
		err = ours_move_round(&local->ours, next_batch(local, batch), batch, &times, &what);
	msg->v[0] = times.offload_ns;
	msg->v[1] = times.upload_ns;
	msg->v[2] = moved;
	msg->v[3] = ours_move_stall_p99(&local->ours);
	msg->v[4] = bench_cpu_ns() - cpu;
	ours_move_parts(&local->ours, 1, &times);
	msg->v[5] = times.export_ns;
	msg->v[6] = times.transfer_ns;
	msg->v[7] = times.import_ns;
	return err ? fail_round(msg, err, what) : 0;
}

static int op_ours_end(struct move_local *local, struct bench_msg *msg)
{
	const char *what = "";
	int err = local->ours.context ? ours_move_close(&local->ours, &local->set, &what) : 0;

	return err ? fail_round(msg, err, what) : 0;
}

static int local_handle(void *state, struct bench_msg *msg)
{
	struct move_local *local = state;

	switch (msg->op) {
	case OP_CHECKPOINT:
		return op_checkpoint(local, msg);
	case OP_OURS:
		return op_ours(local, msg);
	case OP_OURS_END:
		return op_ours_end(local, msg);
	default:
		return conn_set_handle(&local->set, msg);
	}
}

/* Makes the connections of one side and moves each once, untimed. */
static int open_side(struct bench_run *run, struct conn_world *world, u32 op)
{
	struct move_local local = {0};
	struct bench_child_config config = {.cpu = 0, .handle = local_handle, .state = &local};
	struct bench_msg warm = {.op = op, .v = {run->bcase->n}};
	int err;

	world->n = max_of(run->bcase->n, (u32)POPULATION);
	world->queued = run->bcase->bytes;
	err = conn_world_open(world, &config, &local.set, run);
	return err ? err : bench_child_call(&world->child[BENCH_LOCAL], &warm, run);
}

static int move_setup(struct bench_run *run)
{
	struct move_case *m = run->state = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	conn_world_init(&m->ours);
	conn_world_init(&m->peer);
	err = run->bcase->peer ? open_side(run, &m->peer, OP_CHECKPOINT) : 0;
	m->ours_err = err ? err : open_side(run, &m->ours, OP_OURS);
	return err;
}

static int measure(struct bench_run *run, struct conn_world *world, u32 op, struct bench_msg *msg)
{
	*msg = (struct bench_msg){.op = op, .v = {run->bcase->n}};
	return bench_child_call(&world->child[BENCH_LOCAL], msg, run);
}

static double us_each(const struct bench_msg *msg, u32 what)
{
	return (double)msg->v[what] / (double)msg->v[2] / 1000.0;
}

static int move_ours(struct bench_run *run, double *ret_value)
{
	struct move_case *m = run->state;
	struct bench_msg msg;
	int err = m->ours_err ? m->ours_err : measure(run, &m->ours, OP_OURS, &msg);

	if (err)
		return err;
	*ret_value = us_each(&msg, 0) + us_each(&msg, 1);
	bench_note(run,
	           "ours: offload %.2f, upload %.2f (export %.2f, transfer %.2f, import %.2f), "
	           "CPU %.2f us/conn",
	           us_each(&msg, 0), us_each(&msg, 1), us_each(&msg, 5), us_each(&msg, 6),
	           us_each(&msg, 7), us_each(&msg, 4));
	return 0;
}

static int move_peer(struct bench_run *run, double *ret_value)
{
	struct move_case *m = run->state;
	struct bench_msg msg;
	int err = measure(run, &m->peer, OP_CHECKPOINT, &msg);
	u32 used = (u32)strcspn(run->note, ";");

	if (err)
		return err;
	*ret_value = us_each(&msg, 0) + us_each(&msg, 1);
	snprintf(run->note + used, sizeof(run->note) - used,
	         "; checkpoint: dump and close %.2f, restore %.2f, CPU %.2f", us_each(&msg, 0),
	         us_each(&msg, 1), us_each(&msg, 4));
	return 0;
}

static int stall_ours(struct bench_run *run, double *ret_value)
{
	struct move_case *m = run->state;
	struct bench_msg msg;
	int err = m->ours_err ? m->ours_err : measure(run, &m->ours, OP_OURS, &msg);

	*ret_value = err ? 0 : (double)msg.v[3] / 1000.0;
	return err;
}

static int move_verify(struct bench_run *run)
{
	struct move_case *m = run->state;
	struct bench_msg end = {.op = OP_OURS_END};
	int err = 0;

	if (m->ours_err == 0)
		err = bench_child_call(&m->ours.child[BENCH_LOCAL], &end, run);
	if (err == 0 && m->ours_err == 0)
		err = conn_world_verify(&m->ours, run);
	if (err == 0 && run->bcase->peer)
		err = conn_world_verify(&m->peer, run);
	return err;
}

static void move_teardown(struct bench_run *run)
{
	struct move_case *m = run->state;

	if (!m)
		return;
	conn_world_close(&m->ours);
	conn_world_close(&m->peer);
	free(m);
}

#define MOVE_CASE(label, batch, queued)                                           \
	{                                                                         \
		.name = "move/" label "/" #batch, .unit = "us/conn",              \
		.peer_name = "checkpoint (new socket each)", .setup = move_setup, \
		.ours = move_ours, .peer = move_peer, .verify = move_verify,      \
		.teardown = move_teardown, .n = batch, .bytes = queued,           \
	}

#define MOVE_CASES(label, queued)                                                               \
	MOVE_CASE(label, 1, queued), MOVE_CASE(label, 8, queued), MOVE_CASE(label, 64, queued), \
		MOVE_CASE(label, 512, queued), MOVE_CASE(label, 1000, queued),                  \
		MOVE_CASE(label, 4096, queued), MOVE_CASE(label, 10000, queued)

static const struct bench_case cases[] = {
	MOVE_CASES("empty", 0),
	MOVE_CASES("16k", 16384),
	{
		.name = "move/stall/10000",
		.unit = "us p99",
		.setup = move_setup,
		.ours = stall_ours,
		.verify = move_verify,
		.teardown = move_teardown,
		.n = 10000,
	},
};

const struct bench_table bench_move_cases = {cases, ARRAY_SIZE(cases)};

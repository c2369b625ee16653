/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct hold_run {
	const struct hold_kind *kind;
	struct bench_child ours, one;
};

int hold_fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

void *hold_pages(size_t bytes)
{
	void *mem = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (mem)
		memset(mem, 0, bytes);
	return mem;
}

static int start(struct bench_child *child, const struct hold_kind *kind, struct bench_msg *msg,
                 struct bench_run *run)
{
	void *state = calloc(1, kind->state_bytes);
	struct bench_child_config config = {
		.ns = -1, .cpu = 1, .handle = kind->handle, .state = state};
	int err;

	if (!state)
		return -ENOMEM;
	err = bench_child_start(child, &config);
	free(state);
	return err ? err : bench_child_call(child, msg, run);
}

int hold_setup(struct bench_run *run, const struct hold_kind *kind, u32 op, bool two)
{
	struct hold_run *r = run->state = calloc(1, sizeof(*r));
	struct bench_msg many = {.op = op, .v = {run->bcase->n}}, single = {.op = op, .v = {1}};
	int err;

	if (!r)
		return -ENOMEM;
	r->kind = kind;
	err = start(&r->ours, kind, &many, run);
	return err || !two ? err : start(&r->one, kind, &single, run);
}

int hold_move(struct bench_run *run, double *ret_value)
{
	struct hold_run *r = run->state;
	struct bench_msg msg = {.op = HOLD_MOVE};
	int err = bench_child_call(&r->ours, &msg, run);
	double n = (double)msg.v[2] * 1000.0;

	if (err)
		return err;
	*ret_value = (double)(msg.v[0] + msg.v[1]) / n;
	bench_note(run, "%s %.3f, %s %.3f us/conn", r->kind->out, (double)msg.v[0] / n, r->kind->in,
	           (double)msg.v[1] / n);
	return 0;
}

static int update(struct bench_child *child, struct bench_run *run, double *ret_value)
{
	struct bench_msg msg = {.op = HOLD_UPDATE};
	int err = bench_child_call(child, &msg, run);

	*ret_value = err ? 0 : (double)msg.v[0] / (double)msg.v[1];
	return err;
}

int hold_update(struct bench_run *run, double *ret_value)
{
	return update(&((struct hold_run *)run->state)->ours, run, ret_value);
}

int hold_update_one(struct bench_run *run, double *ret_value)
{
	return update(&((struct hold_run *)run->state)->one, run, ret_value);
}

int hold_verify(struct bench_run *run)
{
	struct hold_run *r = run->state;
	struct bench_msg msg = {.op = HOLD_VERIFY};

	return bench_child_call(&r->ours, &msg, run);
}

void hold_teardown(struct bench_run *run)
{
	struct hold_run *r = run->state;

	if (!r)
		return;
	bench_child_stop(&r->ours);
	bench_child_stop(&r->one);
	free(r);
}

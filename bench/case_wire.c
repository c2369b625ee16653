/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two engines on an in-memory wire, both on one core, against the kernel's stack on one core.
 */
#include "cases.h"
#include "peer_kernel.h"

#include <errno.h>
#include <stdlib.h>

static int kernel_setup(struct bench_run *run)
{
	struct kernel_world_config config = { .n = run->bcase->n,
					      .one_core = true,
					      .no_gso = run->bcase->variant == 1460 };
	struct kernel_world *world = calloc(1, sizeof(*world));

	if (!world)
		return -ENOMEM;
	run->state = world;
	return kernel_world_open(world, &config, run);
}

static int kernel_rr(struct bench_run *run, double *ret_value)
{
	struct load_figures f;
	int err = kernel_world_rr(run->state, &f, run);

	*ret_value = err ? 0 : f.per_s;
	return err;
}

static int kernel_bulk(struct bench_run *run, double *ret_value)
{
	struct load_figures f;
	int err = kernel_world_bulk(run->state, &f, run);

	*ret_value = err ? 0 : f.per_s / 1e6;
	return err;
}

static void kernel_teardown(struct bench_run *run)
{
	if (run->state)
		kernel_world_close(run->state);
	free(run->state);
}

#define RR_KERNEL(count)                                                                           \
	{                                                                                          \
		.name = "wire/rr/" #count "/kernel", .unit = "req/s",                              \
		.peer_name = "kernel, one core, veth", .setup = kernel_setup, .peer = kernel_rr,   \
		.teardown = kernel_teardown, .no_ours = "the engine is not in this build",         \
		.n = count,                                                                        \
	}

#define BULK_KERNEL(label, mss)                                                                    \
	{                                                                                          \
		.name = "wire/bulk/" label "/kernel", .unit = "MB/s",                              \
		.peer_name = "kernel, one core, veth", .setup = kernel_setup, .peer = kernel_bulk, \
		.teardown = kernel_teardown, .no_ours = "the engine is not in this build", .n = 1, \
		.variant = mss,                                                                    \
	}

static const struct bench_case cases[] = {
	RR_KERNEL(1),    RR_KERNEL(64),           RR_KERNEL(1000),
	RR_KERNEL(10000), BULK_KERNEL("1460", 1460), BULK_KERNEL("super", 65536),
};

const struct bench_table bench_wire_cases = { cases, ARRAY_SIZE(cases) };

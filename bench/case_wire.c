/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two engines on an in-memory wire, both on one core, against the kernel's stack on one core.
 */
#include "cases.h"
#include "peer_kernel.h"
#include "peer_lwip.h"

#include <errno.h>
#include <stdlib.h>

static int kernel_setup(struct bench_run *run)
{
	struct kernel_world_config config = {
		.n = run->bcase->n, .one_core = true, .no_gso = run->bcase->variant == 1460};
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

/* lwIP walks a list of all connections for each segment and each new port: making 10,000 takes
 * minutes (and gave 16,700 requests a second, measured once). */
enum { LWIP_MAX = 1000 };

static int lwip_setup(struct bench_run *run)
{
	struct lwip_world *world = calloc(1, sizeof(*world));

	if (!world)
		return -ENOMEM;
	run->state = world;
	if (run->bcase->n > LWIP_MAX)
		return 0;
	return lwip_world_open(world, run->bcase->n, run->bcase->variant == 0, run);
}

static int lwip_rr(struct bench_run *run, double *ret_value)
{
	if (run->bcase->n > LWIP_MAX)
		return bench_fail(run, -E2BIG,
		                  "lwIP takes minutes to make so many connections: it "
		                  "searches a list for each segment");
	return lwip_world_rr(run->state, ret_value, run);
}

static int lwip_bulk(struct bench_run *run, double *ret_value)
{
	int err = lwip_world_bulk(run->state, ret_value, run);

	*ret_value /= 1e6;
	return err;
}

static void lwip_teardown(struct bench_run *run)
{
	if (run->state)
		lwip_world_close(run->state);
	free(run->state);
}

#define RR_KERNEL(count)                                                                         \
	{                                                                                        \
		.name = "wire/rr/" #count "/kernel", .unit = "req/s",                            \
		.peer_name = "kernel, one core, veth", .setup = kernel_setup, .peer = kernel_rr, \
		.teardown = kernel_teardown, .no_ours = "the engine is not in this build",       \
		.n = count,                                                                      \
	}

#define BULK_KERNEL(label, mss)                                                                    \
	{                                                                                          \
		.name = "wire/bulk/" label "/kernel", .unit = "MB/s",                              \
		.peer_name = "kernel, one core, veth", .setup = kernel_setup, .peer = kernel_bulk, \
		.teardown = kernel_teardown, .no_ours = "the engine is not in this build", .n = 1, \
		.variant = mss,                                                                    \
	}

#define RR_LWIP(count)                                                                   \
	{                                                                                \
		.name = "wire/rr/" #count "/lwip", .unit = "req/s",                      \
		.peer_name = "lwIP, in memory", .setup = lwip_setup, .peer = lwip_rr,    \
		.teardown = lwip_teardown, .no_ours = "the engine is not in this build", \
		.n = count,                                                              \
	}

static const struct bench_case cases[] = {
	RR_KERNEL(1),
	RR_KERNEL(64),
	RR_KERNEL(1000),
	RR_KERNEL(10000),
	BULK_KERNEL("1460", 1460),
	BULK_KERNEL("super", 65536),
	RR_LWIP(1),
	RR_LWIP(64),
	RR_LWIP(1000),
	RR_LWIP(10000),
	{
		.name = "wire/bulk/1460/lwip",
		.unit = "MB/s",
		.peer_name = "lwIP, in memory",
		.setup = lwip_setup,
		.peer = lwip_bulk,
		.teardown = lwip_teardown,
		.no_ours = "the engine is not in this build",
		.n = 1,
		.variant = 1460,
	},
};

const struct bench_table bench_wire_cases = {cases, ARRAY_SIZE(cases)};

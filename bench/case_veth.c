/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Over veth, server and client on a CPU each: connections that libchimney has offloaded, against
 * the same connections in the kernel.
 *
 * In TAP mode and in XDP mode: rr, rtt, cpu, bulk with our server and the kernel's client; both/rr
 * with ours at both ends; idle: the CPU that 1,000 offloaded connections without traffic take.
 */
#include "cases.h"
#include "chimney/chimney.h"
#include "chimney_load.h"
#include "peer_kernel.h"

#include <errno.h>
#include <stdlib.h>

/* bcase->variant */
enum figure {
	FIGURE_RATE,     /* requests a second */
	FIGURE_RTT,      /* us of a request at one connection */
	FIGURE_CPU_RR,   /* CPU seconds of the server for a million requests */
	FIGURE_BULK,     /* MB/s */
	FIGURE_CPU_BULK, /* CPU seconds of the server for a GB */
	FIGURE_IDLE,     /* percent of a CPU without traffic */
	FIGURE_MASK = 0xff,
	BOTH_ENDS = 0x100,
	MODE_XDP = 0x200,
};

struct veth_case {
	struct kernel_world ours, peer;
	int ours_err; /* our side did not come up: the peer's figures stand alone */
};

static enum figure figure(const struct bench_run *run)
{
	return run->bcase->variant & FIGURE_MASK;
}

static int open_ours(struct bench_run *run, struct kernel_world *world)
{
	u32 variant = run->bcase->variant;
	u32 mode = variant & MODE_XDP ? CHIMNEY_PORT_XDP : CHIMNEY_PORT_TAP;
	struct chimney_load server = {.interface = "cb0", .port_mode = mode};
	struct chimney_load client = {.interface = "cb1", .port_mode = mode};
	struct kernel_world_config config = {
		.n = run->bcase->n, .server = chimney_server_handle, .server_state = &server};

	if (variant & BOTH_ENDS) {
		config.client = chimney_client_handle;
		config.client_state = &client;
	}
	return kernel_world_open(world, &config, run);
}

static int setup(struct bench_run *run)
{
	struct kernel_world_config kernel = {.n = run->bcase->n};
	struct veth_case *v = run->state = calloc(1, sizeof(*v));
	int err = 0;

	if (!v)
		return -ENOMEM;
	kernel_world_init(&v->ours);
	kernel_world_init(&v->peer);
	if (run->bcase->peer)
		err = kernel_world_open(&v->peer, &kernel, run);
	v->ours_err = err ? err : open_ours(run, &v->ours);
	return err;
}

static int measure_load(struct bench_run *run, struct kernel_world *world, double *ret_value)
{
	enum figure what = figure(run);
	bool bulk = what == FIGURE_BULK || what == FIGURE_CPU_BULK;
	struct load_figures f = {0};
	int err = bulk ? kernel_world_bulk(world, &f, run) : kernel_world_rr(world, &f, run);

	if (err)
		return err;
	switch (what) {
	case FIGURE_RTT:
		*ret_value = 1e6 / f.per_s;
		break;
	case FIGURE_CPU_RR:
		*ret_value = f.server_cpu_ns * 1e6 / 1e9;
		break;
	case FIGURE_BULK:
		*ret_value = f.per_s / 1e6;
		break;
	case FIGURE_CPU_BULK:
		*ret_value = f.server_cpu_ns * 1e9 / 1e9;
		break;
	default:
		*ret_value = f.per_s;
	}
	return 0;
}

static int measure_ours(struct bench_run *run, double *ret_value)
{
	struct veth_case *v = run->state;

	return v->ours_err ? v->ours_err : measure_load(run, &v->ours, ret_value);
}

static int measure_peer(struct bench_run *run, double *ret_value)
{
	struct veth_case *v = run->state;

	return measure_load(run, &v->peer, ret_value);
}

static int measure_idle(struct bench_run *run, double *ret_value)
{
	struct veth_case *v = run->state;
	double cpu_ns = 0;
	int err = v->ours_err ? v->ours_err : kernel_world_idle(&v->ours, &cpu_ns, run);

	*ret_value = cpu_ns / 1e9 * 100;
	return err;
}

static void teardown(struct bench_run *run)
{
	struct veth_case *v = run->state;

	if (!v)
		return;
	kernel_world_close(&v->ours);
	kernel_world_close(&v->peer);
	free(v);
}

#define VETH_CASE(label, count, text, what)                                                       \
	{                                                                                         \
		.name = "veth/" label, .unit = text, .peer_name = "kernel, veth", .setup = setup, \
		.ours = measure_ours, .peer = measure_peer, .teardown = teardown, .n = count,     \
		.variant = what,                                                                  \
	}

#define IDLE_CASE(label, what)                                                                \
	{                                                                                     \
		.name = "veth/" label, .unit = "% CPU", .setup = setup, .ours = measure_idle, \
		.teardown = teardown, .n = 1000, .variant = FIGURE_IDLE | (what),             \
	}

#define MODE_CASES(mode, flag)                                                                    \
	VETH_CASE(mode "/rr/1", 1, "req/s", FIGURE_RATE | (flag)),                                \
		VETH_CASE(mode "/rr/64", 64, "req/s", FIGURE_RATE | (flag)),                      \
		VETH_CASE(mode "/rr/1000", 1000, "req/s", FIGURE_RATE | (flag)),                  \
		VETH_CASE(mode "/both/rr/1", 1, "req/s", FIGURE_RATE | BOTH_ENDS | (flag)),       \
		VETH_CASE(mode "/both/rr/64", 64, "req/s", FIGURE_RATE | BOTH_ENDS | (flag)),     \
		VETH_CASE(mode "/both/rr/1000", 1000, "req/s", FIGURE_RATE | BOTH_ENDS | (flag)), \
		VETH_CASE(mode "/rtt/1", 1, "us/req", FIGURE_RTT | (flag)),                       \
		VETH_CASE(mode "/cpu/rr/64", 64, "s/Mreq", FIGURE_CPU_RR | (flag)),               \
		VETH_CASE(mode "/bulk", 1, "MB/s", FIGURE_BULK | (flag)),                         \
		VETH_CASE(mode "/cpu/bulk", 1, "s/GB", FIGURE_CPU_BULK | (flag)),                 \
		IDLE_CASE(mode "/idle", flag)

static const struct bench_case cases[] = {
	MODE_CASES("tap", 0),
	MODE_CASES("xdp", MODE_XDP),
};

const struct bench_table bench_veth_cases = {cases, ARRAY_SIZE(cases)};

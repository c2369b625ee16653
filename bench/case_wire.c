/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two engines on an in-memory wire, both on one core: against the kernel's stack on one core over
 * veth, and against two instances of lwIP on a wire of the same kind.
 *
 * Rates are per second of CPU time, so that what else the machine does counts on neither side. Each
 * comparison is of like with like. Against the kernel, which leaves checksums undone on veth and
 * uses timestamps: partial checksums, timestamps, the server copies what it reads. Against lwIP,
 * which computes each checksum and has no timestamps: the same, and a bulk server reads in place.
 */
#include "cases.h"
#include "ours_wire.h"
#include "peer_kernel.h"
#include "peer_lwip.h"

#include <errno.h>
#include <stdlib.h>

/* bcase->variant */
enum { KIND_RR, KIND_BULK_MSS, KIND_BULK_SUPER };

/* lwIP walks a list of all connections for each segment and each new port: making 10,000 takes
 * minutes (and gave 16,700 requests a second, measured once). */
enum { LWIP_MAX = 1000 };

struct wire_case {
	struct ours_wire ours;
	struct kernel_world kernel;
	struct lwip_world lwip;
	int ours_err; /* our side did not come up: the peer's figures stand alone */
};

static bool is_rr(const struct bench_run *run)
{
	return run->bcase->variant == KIND_RR;
}

static struct wire_case *new_case(struct bench_run *run)
{
	struct wire_case *w = calloc(1, sizeof(*w));

	if (w)
		kernel_world_init(&w->kernel);
	run->state = w;
	return w;
}

static int kernel_setup(struct bench_run *run)
{
	const struct bench_case *c = run->bcase;
	struct kernel_world_config kernel = {
		.n = c->n, .one_core = true, .no_gso = c->variant == KIND_BULK_MSS};
	struct engines_config ours = {.n = c->n,
	                              .gso_max_bytes = c->variant == KIND_BULK_SUPER ? 65000 : 0,
	                              .timestamps = true,
	                              .echo = is_rr(run)};
	struct wire_case *w = new_case(run);
	int err;

	if (!w)
		return -ENOMEM;
	err = kernel_world_open(&w->kernel, &kernel, run);
	w->ours_err = err ? err : ours_wire_open(&w->ours, &ours, run);
	return err;
}

static int lwip_setup(struct bench_run *run)
{
	const struct bench_case *c = run->bcase;
	struct engines_config ours = {
		.n = c->n, .software_csum = true, .echo = is_rr(run), .in_place = true};
	struct wire_case *w = new_case(run);
	int err;

	if (!w)
		return -ENOMEM;
	err = c->n > LWIP_MAX ? 0 : lwip_world_open(&w->lwip, c->n, is_rr(run), run);
	w->ours_err = err ? err : ours_wire_open(&w->ours, &ours, run);
	return err;
}

/* Requests a second as they are, streams in MB/s. */
static int scaled(struct bench_run *run, int err, double per_s, double *ret_value)
{
	*ret_value = is_rr(run) ? per_s : per_s / 1e6;
	return err;
}

static int measure_ours(struct bench_run *run, double *ret_value)
{
	struct wire_case *w = run->state;
	double per_s = 0;
	int err;

	if (w->ours_err)
		return w->ours_err;
	err = is_rr(run) ? ours_wire_rr(&w->ours, &per_s, run)
	                 : ours_wire_bulk(&w->ours, &per_s, run);

	return scaled(run, err, per_s, ret_value);
}

static int measure_kernel(struct bench_run *run, double *ret_value)
{
	struct wire_case *w = run->state;
	struct load_figures f = {0};
	int err = is_rr(run) ? kernel_world_rr(&w->kernel, &f, run)
	                     : kernel_world_bulk(&w->kernel, &f, run);

	return scaled(run, err, f.per_s, ret_value);
}

static int measure_lwip(struct bench_run *run, double *ret_value)
{
	struct wire_case *w = run->state;
	double per_s = 0;
	int err;

	if (run->bcase->n > LWIP_MAX)
		return bench_fail(run, -E2BIG,
		                  "lwIP takes minutes to make so many connections: it searches a "
		                  "list for each segment");
	err = is_rr(run) ? lwip_world_rr(&w->lwip, &per_s, run)
	                 : lwip_world_bulk(&w->lwip, &per_s, run);
	return scaled(run, err, per_s, ret_value);
}

static void teardown(struct bench_run *run)
{
	struct wire_case *w = run->state;

	if (!w)
		return;
	ours_wire_close(&w->ours);
	kernel_world_close(&w->kernel);
	lwip_world_close(&w->lwip);
	free(w);
}

#define WIRE_CASE(label, against, peer_text, count, kind)                                       \
	{                                                                                       \
		.name = "wire/" label "/" #against, .unit = kind == KIND_RR ? "req/s" : "MB/s", \
		.peer_name = peer_text, .setup = against##_setup, .ours = measure_ours,         \
		.peer = measure_##against, .teardown = teardown, .n = count, .variant = kind,   \
	}
#define KERNEL(label, count, kind) WIRE_CASE(label, kernel, "kernel, one core, veth", count, kind)
#define LWIP(label, count, kind)   WIRE_CASE(label, lwip, "lwIP, in memory", count, kind)

static const struct bench_case cases[] = {
	KERNEL("rr/1", 1, KIND_RR),
	KERNEL("rr/64", 64, KIND_RR),
	KERNEL("rr/1000", 1000, KIND_RR),
	KERNEL("rr/10000", 10000, KIND_RR),
	KERNEL("bulk/1460", 1, KIND_BULK_MSS),
	KERNEL("bulk/super", 1, KIND_BULK_SUPER),
	LWIP("rr/1", 1, KIND_RR),
	LWIP("rr/64", 64, KIND_RR),
	LWIP("rr/1000", 1000, KIND_RR),
	LWIP("rr/10000", 10000, KIND_RR),
	LWIP("bulk/1460", 1, KIND_BULK_MSS),
};

const struct bench_table bench_wire_cases = {cases, ARRAY_SIZE(cases)};

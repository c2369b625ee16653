// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Streams to a kernel over a wire with delay, loss and a rate, from our engine and from the
 * kernel's own TCP, both with cubic: how much arrives. The wire is that of tests/diff, a queue of
 * one bandwidth-delay product at 100 Mbit/s; several streams share it, so that chance evens out.
 */
#include "cases.h"

#include <errno.h>
#include <stdlib.h>

#include "lab.h"

enum { CONNS = 16, MBIT = 100 };

/* How often each side was measured. */
struct loss_state {
	u32 runs[2];
};

/* bcase->n: loss in ppm; bcase->bytes: round trip in ms. */
static int measure(struct bench_run *run, enum lab_subject subject, double *ret_value)
{
	u64 rtt_ns = run->bcase->bytes * NS_PER_MS;
	struct loss_state *state = run->state;
	struct lab_config config = {
		.subject = subject,
		.subject_sends = true,
		.cc = TCP_CC_CUBIC,
		.conns = CONNS,
		.duration_ns = NS_PER_S + 25 * rtt_ns,
		.seed = 1 + state->runs[subject]++,
		.link = {.delay_ns = rtt_ns / 2,
	                 .bits_per_s = MBIT * 1000000ull,
	                 .queue_bytes = max_of(rtt_ns / NS_PER_MS * MBIT * 125ull, 64000ull),
	                 .loss_ppm = run->bcase->n},
	};
	struct lab_result r;
	char why[LAB_WHY_BYTES];
	int err = lab_run(&config, &r, why);

	if (err)
		return bench_fail(run, err, "%s", why);
	if (r.wrong)
		return bench_fail(run, -EBADMSG, "%llu bytes were wrong",
		                  (unsigned long long)r.wrong);
	*ret_value = (double)r.bytes * 8e3 / (double)r.elapsed_ns;
	if (subject == LAB_OURS && r.bytes)
		bench_note(run, "sent twice for nothing: %.2f %% of the bytes",
		           100.0 * (double)r.needless_bytes / (double)r.bytes);
	return 0;
}

static int measure_ours(struct bench_run *run, double *ret_value)
{
	return measure(run, LAB_OURS, ret_value);
}

static int measure_kernel(struct bench_run *run, double *ret_value)
{
	return measure(run, LAB_KERNEL, ret_value);
}

static int setup(struct bench_run *run)
{
	run->state = calloc(1, sizeof(struct loss_state));
	return run->state ? 0 : bench_fail(run, -ENOMEM, "no memory");
}

static void teardown(struct bench_run *run)
{
	free(run->state);
}

#define LOSS(label, ppm, rtt_ms)                                                           \
	{                                                                                  \
		.name = "loss/" label, .unit = "Mbit/s", .peer_name = "kernel, same wire", \
		.setup = setup, .teardown = teardown, .ours = measure_ours,                \
		.peer = measure_kernel, .n = ppm, .bytes = rtt_ms,                         \
	}

static const struct bench_case cases[] = {
	LOSS("0/1ms", 0, 1),      LOSS("0/20ms", 0, 20),      LOSS("0/100ms", 0, 100),
	LOSS("0.1/1ms", 1000, 1), LOSS("0.1/20ms", 1000, 20), LOSS("0.1/100ms", 1000, 100),
	LOSS("1/1ms", 10000, 1),  LOSS("1/20ms", 10000, 20),  LOSS("1/100ms", 10000, 100),
	LOSS("3/1ms", 30000, 1),  LOSS("3/20ms", 30000, 20),  LOSS("3/100ms", 30000, 100),
};

const struct bench_table bench_loss_cases = {cases, ARRAY_SIZE(cases)};

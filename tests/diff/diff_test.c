// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * The same streams over the same wire, once with the kernel's TCP and once with our engine as the
 * kernel's peer: what the peer sees is the same. Every byte in order, a FIN each way, no promise
 * taken back, and no RST of ours.
 */
#include "unit.h"

#include "lab.h"

#include <stdio.h>
#include <unistd.h>

enum { CONNS = 6, BYTES = 150000 };

static struct lab_result run(struct lab_config *c, enum lab_subject subject)
{
	struct lab_result r;
	char why[LAB_WHY_BYTES];

	c->subject = subject;
	c->conns = CONNS;
	c->bytes = BYTES;
	c->duration_ns = 100 * NS_PER_S; /* a limit for what hangs, not a measure */
	if (lab_run(c, &r, why))
		fail_msg("%s", why);
	assert_int_equal(r.wrong, 0);
	assert_int_equal(r.finished, CONNS);
	assert_int_equal(r.bytes, CONNS * BYTES);
	assert_int_equal(r.edge_retreats, 0);
	assert_true(r.fins >= CONNS);
	return r;
}

/*
 * Both ways, both subjects. The kernel answers a duplicate that comes after the end with a RST, as
 * it must; our connections' TIME_WAIT takes it in. What arrives twice depends on how often this
 * machine was away for longer than a timeout: `make bench CASE=loss/` says how much.
 */
static void compare(struct lab_config c)
{
	for (u32 sends = 0; sends < 2; sends++) {
		struct lab_result kernel, ours;

		c.subject_sends = sends;
		kernel = run(&c, LAB_KERNEL);
		ours = run(&c, LAB_OURS);
		printf("subject %s: twice %llu bytes (kernel) %llu (ours), lost %llu %llu frames\n",
		       sends ? "sends" : "receives", (unsigned long long)kernel.needless_bytes,
		       (unsigned long long)ours.needless_bytes, (unsigned long long)kernel.lost,
		       (unsigned long long)ours.lost);
		assert_int_equal(ours.resets, 0);
	}
}

static const struct sim_link quiet = {
	.delay_ns = 500 * NS_PER_US, .bits_per_s = 200000000, .queue_bytes = 1 << 20};

static void without_loss(void **state)
{
	compare((struct lab_config){.cc = TCP_CC_CUBIC, .seed = 1, .link = quiet});
}

static void without_loss_far_away(void **state)
{
	struct sim_link link = quiet;

	link.delay_ns = 10 * NS_PER_MS;
	compare((struct lab_config){.cc = TCP_CC_NEWRENO, .seed = 2, .link = link});
}

static void with_loss(void **state)
{
	struct sim_link link = quiet;

	link.delay_ns = 5 * NS_PER_MS;
	link.loss_ppm = 10000;
	compare((struct lab_config){.cc = TCP_CC_CUBIC, .seed = 3, .link = link});
}

static void with_everything(void **state)
{
	struct sim_link link = quiet;

	link.delay_ns = 2 * NS_PER_MS;
	link.loss_ppm = 5000;
	link.burst_ppm = 500;
	link.burst_end_ppm = 300000;
	link.reorder_ppm = 10000;
	link.reorder_ns = 2 * NS_PER_MS;
	link.duplicate_ppm = 5000;
	link.corrupt_ppm = 5000;
	compare((struct lab_config){.cc = TCP_CC_CUBIC, .seed = 4, .link = link});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_loss),
		cmocka_unit_test(without_loss_far_away),
		cmocka_unit_test(with_loss),
		cmocka_unit_test(with_everything),
	};

	if (geteuid()) {
		printf("skipped: network namespaces and TAPs need root\n");
		return 77;
	}
	return RUN_TESTS(tests);
}

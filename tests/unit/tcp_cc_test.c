/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Congestion control: NewReno by the book, CUBIC against the curve of RFC 9438 in doubles. */
#include "unit.h"

#include <math.h>

#include "tcp/cc/cc.h"

enum { MSS = 1000 };

static void make(struct tcp_conn *c, u8 algorithm, u32 cwnd, u32 ssthresh)
{
	memset(c, 0, sizeof(*c));
	c->settings.cc_algorithm = algorithm;
	c->mss = MSS;
	c->cwnd_bytes = cwnd;
	c->ssthresh_bytes = ssthresh;
	c->cc.type = 0xff;
	tcp_cc_adopt(c, 1);
}

/* RFC 5681 3.1: slow start and congestion avoidance (MUST-19). */
static void test_newreno(void **state)
{
	struct tcp_conn c;

	make(&c, TCP_CC_NEWRENO, 10 * MSS, UINT32_MAX);
	for (u32 i = 0; i < 10; i++)
		tcp_cc_of(&c)->acked(&c, MSS, 0, 1);
	assert_int_equal(c.cwnd_bytes, 20 * MSS); /* slow start doubles */
	c.ssthresh_bytes = 21 * MSS;
	tcp_cc_of(&c)->acked(&c, 3 * MSS, 0, 1); /* one to the threshold, two counted beyond it */
	assert_int_equal(c.cwnd_bytes, 21 * MSS);
	for (u32 i = 0; i < 18; i++)
		tcp_cc_of(&c)->acked(&c, MSS, 0, 1);
	assert_int_equal(c.cwnd_bytes, 21 * MSS);
	tcp_cc_of(&c)->acked(&c, MSS, 0, 1);
	assert_int_equal(c.cwnd_bytes, 22 * MSS); /* a segment a round trip */
	assert_int_equal(tcp_cc_of(&c)->lost(&c, 22 * MSS, 1), 11 * MSS);
	assert_int_equal(tcp_cc_of(&c)->lost(&c, 3 * MSS, 1), 2 * MSS);
	/* RFC 8511 3 */
	assert_int_equal(tcp_cc_of(&c)->marked(&c, 20 * MSS, 1), 16 * MSS);
	assert_int_equal(tcp_cc_of(&c)->marked(&c, 2 * MSS, 1), 2 * MSS);
}

/* After a timeout an ACK of many segments does not open the window at once (RFC 3465 2.3). */
static void test_slow_start_after_timeout(void **state)
{
	struct tcp_conn c;

	make(&c, TCP_CC_NEWRENO, MSS, 100 * MSS);
	c.recovery = TCP_RECOVERY_LOSS;
	tcp_cc_of(&c)->acked(&c, 50 * MSS, 0, 1);
	assert_int_equal(c.cwnd_bytes, 2 * MSS);
}

/* RFC 6928 */
static void test_initial_window(void **state)
{
	struct tcp_conn c = {.mss = 1460};

	assert_int_equal(tcp_cc_initial_window(&c), 14600);
	c.mss = 500;
	assert_int_equal(tcp_cc_initial_window(&c), 5000);
	c.mss = 9000;
	assert_int_equal(tcp_cc_initial_window(&c), 18000);
}

/* RFC 9438 4.2: concave up to w_max, flat there, convex beyond; within 1 % of the curve. */
static void test_cubic_curve(void **state)
{
	const double w_max = 1000, beta = 0.7, cube = 0.4, rtt_s = 0.1;
	double k = cbrt(w_max * (1 - beta) / cube);
	struct tcp_conn c;
	u64 now = NS_PER_S;
	u32 flight;

	make(&c, TCP_CC_CUBIC, (u32)w_max * MSS, UINT32_MAX);
	c.srtt_ns = (u64)(rtt_s * 1e9);
	flight = c.cwnd_bytes;
	c.ssthresh_bytes = tcp_cc_of(&c)->lost(&c, flight, now);
	assert_int_equal(c.ssthresh_bytes, 700 * MSS);
	c.cwnd_bytes = c.ssthresh_bytes;
	/* Rounds of a window each, acknowledged in ten pieces, until twice K. */
	for (double t = 0; t < 2 * k; t += rtt_s) {
		u32 window = c.cwnd_bytes;

		for (u32 i = 0; i < 10; i++)
			tcp_cc_of(&c)->acked(&c, window / 10, 0,
			                     now + (u64)((t + rtt_s * i / 10) * 1e9));
		double want = cube * pow(t + rtt_s - k, 3) + w_max;

		if (t > 0.5)
			assert_true(fabs(c.cwnd_bytes / (double)MSS - want) < want * 0.01);
	}
	assert_true(c.cwnd_bytes > 1100u * MSS);
}

/* 4.7 fast convergence, 4.6 beta, 4.8 timeout */
static void test_cubic_reductions(void **state)
{
	struct tcp_conn c;
	u32 w_max;

	make(&c, TCP_CC_CUBIC, 100 * MSS, UINT32_MAX);
	assert_int_equal(tcp_cc_of(&c)->lost(&c, 100 * MSS, 1), 70 * MSS);
	memcpy(&w_max, c.cc.bytes + sizeof(struct cc_window) + 8, 4);
	assert_int_equal(w_max, 100 * MSS);
	c.cwnd_bytes = 80 * MSS; /* lost again before it was back */
	assert_int_equal(tcp_cc_of(&c)->lost(&c, 80 * MSS, 1), 56 * MSS);
	memcpy(&w_max, c.cc.bytes + sizeof(struct cc_window) + 8, 4);
	assert_int_equal(w_max, 68 * MSS);
	assert_int_equal(tcp_cc_of(&c)->lost(&c, 2 * MSS, 1), 2 * MSS);
	/* RFC 8511 3: less is given up for a mark, and the curve bends at the same place. */
	c.cwnd_bytes = 100 * MSS;
	assert_int_equal(tcp_cc_of(&c)->marked(&c, 100 * MSS, 1), 85 * MSS);
	memcpy(&w_max, c.cc.bytes + sizeof(struct cc_window) + 8, 4);
	assert_int_equal(w_max, 100 * MSS);
}

/* 4.3: with a short round trip Reno's line is above the curve, and CUBIC follows it. */
static void test_cubic_reno_friendly(void **state)
{
	struct tcp_conn c;
	u64 now = NS_PER_S;
	u32 rounds = 0;

	make(&c, TCP_CC_CUBIC, 20 * MSS, UINT32_MAX);
	c.srtt_ns = NS_PER_MS;
	c.ssthresh_bytes = tcp_cc_of(&c)->lost(&c, 20 * MSS, now);
	c.cwnd_bytes = c.ssthresh_bytes;
	while (c.cwnd_bytes < 20 * MSS && rounds < 100) {
		u32 window = c.cwnd_bytes;

		now += NS_PER_MS;
		tcp_cc_of(&c)->acked(&c, window, 0, now);
		rounds++;
	}
	/* 6 segments at 9/17 of a segment a round trip */
	assert_in_range(rounds, 11, 13);
	/* From where it was before the loss on, a segment a round trip. */
	u32 before = c.cwnd_bytes;

	for (u32 i = 0; i < 10; i++) {
		now += NS_PER_MS;
		tcp_cc_of(&c)->acked(&c, c.cwnd_bytes, 0, now);
	}
	assert_in_range(c.cwnd_bytes - before, 9 * MSS, 11 * MSS);
}

/* Private state of another algorithm or version is put aside; cwnd and ssthresh go on. */
static void test_adopt(void **state)
{
	struct tcp_conn c;
	u8 zero[CC_PRIVATE_BYTES] = {0};

	make(&c, TCP_CC_CUBIC, 50 * MSS, 40 * MSS);
	memset(c.cc.bytes, 0xff, sizeof(c.cc.bytes));
	c.settings.cc_algorithm = TCP_CC_NEWRENO;
	tcp_cc_adopt(&c, 1);
	assert_memory_equal(c.cc.bytes, zero, sizeof(zero)); /* validated_ms too: 1 ns */
	assert_int_equal(c.cc.type, TCP_CC_NEWRENO);
	assert_int_equal(c.cwnd_bytes, 50 * MSS);
	assert_int_equal(c.ssthresh_bytes, 40 * MSS);
	/* What nobody knows is run by CUBIC. */
	c.settings.cc_algorithm = 77;
	tcp_cc_adopt(&c, 1);
	assert_int_equal(c.cc.type, TCP_CC_CUBIC);
}

/* Any private bytes: windows stay sane. */
static void test_hostile_private(void **state)
{
	struct tcp_conn c;

	for (u32 i = 0; i < 256; i++) {
		make(&c, TCP_CC_CUBIC, 10 * MSS, 5 * MSS);
		memset(c.cc.bytes, (int)i, sizeof(c.cc.bytes));
		c.srtt_ns = UINT64_MAX / 3;
		for (u64 now = 1; now < UINT64_MAX / 4; now *= 3)
			tcp_cc_of(&c)->acked(&c, 10 * MSS, 0, now);
		assert_true(c.cwnd_bytes >= 10 * MSS);
		assert_true(c.cwnd_bytes <= 1u << 30);
		assert_true(tcp_cc_of(&c)->lost(&c, 10 * MSS, 1) >= 2 * MSS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newreno),
		cmocka_unit_test(test_slow_start_after_timeout),
		cmocka_unit_test(test_initial_window),
		cmocka_unit_test(test_cubic_curve),
		cmocka_unit_test(test_cubic_reductions),
		cmocka_unit_test(test_cubic_reno_friendly),
		cmocka_unit_test(test_adopt),
		cmocka_unit_test(test_hostile_private),
	};

	return RUN_TESTS(tests);
}

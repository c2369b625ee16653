/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Pacing: what leaves when, to the millisecond of the wheel. */
#include "unit.h"

#include "tcp/pacing.h"
#include "tcp_script.h"

static void begin(struct script *s, u64 max_pacing_rate)
{
	script_init(s);
	s->state.c.max_pacing_rate = max_pacing_rate;
	s->state.c.cc_algorithm = TCP_CC_CUBIC;
	if (max_pacing_rate < UINT64_MAX) /* so that cwnd is not the lower limit */
		s->state.d.srtt_ns = NS_PER_MS;
	script_start(s);
}

/* How much leaves until `to_ms`, looked at every millisecond from `from_ms` on. */
static u32 leaves(struct script *s, u32 from_ms, u32 to_ms)
{
	u32 bytes = 0;

	for (u32 ms = from_ms; ms <= to_ms; ms++) {
		script_at(s, ms * NS_PER_MS);
		script_flush(s);
		for (u32 i = 0; i < s->n_tx; i++)
			bytes += s->out[i].payload_len;
	}
	return bytes;
}

static void test_off_by_default(void **state)
{
	struct script s;

	begin(&s, 0);
	script_send(&s, 20000);
	assert_int_equal(script_flush(&s), 10);
	assert_int_equal(script_conn(&s)->pace_at_ns, 0);
	script_end(&s);
}

/* 500 bytes a millisecond: two segments at once, then one every two milliseconds. */
static void test_slow(void **state)
{
	struct script s;
	u32 some;

	begin(&s, 500000);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 2);
	assert_int_equal(script_conn(&s)->pace_at_ns, s.start_ns + 2 * NS_PER_MS);
	EXPECT_NONE(&s);
	/* The wheel wakes the connection by itself, at most a tick late. */
	assert_in_range(tcp_next_deadline(s.e), s.start_ns, s.start_ns + 3100000);
	script_at(&s, 1 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 4 * NS_PER_MS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 2000, 0, 1000);
	/* The rest of the window, 6000 bytes, in 12 ms. */
	some = leaves(&s, 5, 10);
	assert_in_range(some, 2000, 3000);
	assert_int_equal(leaves(&s, 11, 18), 6000 - some);
	script_end(&s);
}

/* 10 MB/s: 10 segments a millisecond. */
static void test_fast(void **state)
{
	struct script s;
	u32 first;

	script_init(&s);
	s.state.c.max_pacing_rate = 10000000;
	s.state.d.cwnd_bytes = 60000;
	s.state.d.snd_wnd = s.state.d.max_snd_wnd = 65535;
	s.state.d.ssthresh_bytes = 50000;
	s.state.d.srtt_ns = NS_PER_MS;
	script_start(&s);
	script_send(&s, 60000);
	first = script_flush(&s);
	assert_in_range(first, 10, 11);
	assert_int_equal(leaves(&s, 1, 5), 60000 - first * 1000);
	script_end(&s);
}

/* What is late is not lost: after 30 ms the connection is where it would have been, but for what
 * the slack does not allow. */
static void test_late(void **state)
{
	struct script s;

	begin(&s, 1000000);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 2);
	script_at(&s, 30 * NS_PER_MS);
	assert_int_equal(script_flush(&s), 2);
	script_end(&s);
}

/* Only data waits. */
static void test_acks_do_not_wait(void **state)
{
	struct script s;

	begin(&s, 100000);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 2);
	IN(&s, .len = 1000);
	IN(&s, .seq = 1000, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 2000, 2000, 0);
	/* Nor does the first segment of a recovery. */
	for (u32 i = 0; i < 3; i++)
		IN(&s, .seq = 2000, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 2000, 1000);
	script_end(&s);
}

/* With all data acknowledged and the window open, what waits for its time is no stall: no persist
 * timer, no override. */
static void test_waiting_is_no_stall(void **state)
{
	struct script s;

	begin(&s, 100000);
	script_send(&s, 2000);
	assert_int_equal(script_flush(&s), 2);
	IN(&s, .ack = 2000);
	script_send(&s, 1000);
	EXPECT_NONE(&s);
	assert_int_equal(script_conn(&s)->persist_at_ns, TIMER_STOPPED);
	script_at(&s, 12 * NS_PER_MS);
	EXPECT_ONE(&s);
	script_end(&s);
}

/* A superframe is a millisecond's worth. */
static void test_superframes(void **state)
{
	struct script s;

	script_init(&s);
	s.e->config.ports[0].gso_max_bytes = 65535;
	s.state.c.max_pacing_rate = 5000000;
	s.state.d.cwnd_bytes = 50000;
	s.state.d.srtt_ns = NS_PER_MS;
	s.state.d.pacing_rate = 5000000;
	script_start(&s);
	script_send(&s, 50000);
	assert_int_equal(script_flush(&s), 2);
	assert_int_equal(s.out[0].payload_len, 5000);
	assert_int_equal(s.out[1].payload_len, 5000);
	script_end(&s);
}

static void test_quantum(void **state)
{
	struct tcp_conn c = {.mss = 1448};

	assert_int_equal(pacing_quantum(&c), 2 * 1448);
	c.pacing_rate = 1250000; /* 10 Mbit/s */
	assert_int_equal(pacing_quantum(&c), 2 * 1448);
	c.pacing_rate = 12500000;
	assert_int_equal(pacing_quantum(&c), 8 * 1448);
	c.pacing_rate = 1250000000;
	assert_int_equal(pacing_quantum(&c), 45 * 1448);
}

/* Without a limit of its own the rate follows cwnd: twice a round in slow start, 1.2 times later.
 */
static void test_rate_follows_window(void **state)
{
	struct script s;

	begin(&s, UINT64_MAX);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 2); /* cwnd 10000, 100 ms */
	assert_int_equal(script_conn(&s)->pacing_rate, 200000);
	script_conn(&s)->ssthresh_bytes = 10000;
	script_at(&s, 20 * NS_PER_MS);
	assert_true(script_flush(&s) >= 1);
	assert_int_equal(script_conn(&s)->pacing_rate, 120000);
	script_end(&s);
}

/* An update turns it on and off. */
static void test_update(void **state)
{
	struct tcp_cached settings;
	struct script s;

	begin(&s, 0);
	settings = s.state.c;
	settings.max_pacing_rate = 500000;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 2);
	EXPECT_NONE(&s);
	settings.max_pacing_rate = 0;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns);
	assert_int_equal(script_flush(&s), 8);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off_by_default),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_fast),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_acks_do_not_wait),
		cmocka_unit_test(test_waiting_is_no_stall),
		cmocka_unit_test(test_superframes),
		cmocka_unit_test(test_quantum),
		cmocka_unit_test(test_rate_follows_window),
		cmocka_unit_test(test_update),
	};

	return RUN_TESTS(tests);
}

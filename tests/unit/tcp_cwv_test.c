/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* When a window grows, how long it is kept, and where slow start ends: RFC 7661, 9406, 3465. */
#include "unit.h"

#include "tcp/cc/cc.h"
#include "tcp_pair.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

/* -- congestion window validation: RFC 7661 ---------------------------------------------------- */

/* A window of 50 segments that 30 segments have used just now. */
static void begin(struct script *s)
{
	script_init(s);
	s->state.d.cwnd_bytes = 50 * MSS;
	s->state.d.ssthresh_bytes = 40 * MSS;
	s->state.d.idle_ns = 100 * NS_PER_MS;
	script_start(s);
	script_send(s, 30 * MSS);
	assert_int_equal(script_flush(s), 30);
	script_at(s, 100 * NS_PER_MS);
	IN(s, .ack = 30 * MSS);
}

/* 4.2: kept for five minutes. What comes after the rest leaves over a round, not at once. */
static void test_kept_and_paced(void **state)
{
	struct script s;
	u32 first, n = 0;

	begin(&s);
	script_at(&s, 299 * NS_PER_S);
	script_send(&s, 50 * MSS);
	first = script_flush(&s);
	assert_in_range(first, 2, 3);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 50 * MSS);
	/* 1.2 windows within 100 ms. */
	for (u32 ms = 1; ms <= 50; ms++) {
		script_at(&s, 299 * NS_PER_S + ms * NS_PER_MS);
		n += script_flush(&s);
	}
	assert_in_range(first + n, 28, 33);
	/* The first ACK ends it: the rest is the ACK clock's. */
	IN(&s, .ack = 32 * MSS);
	assert_int_equal(script_flush(&s) + first + n, 50);
	assert_int_equal(script_conn(&s)->flags & CONN_PACED, 0);
	assert_int_equal(tcp_engine_counters(s.e)->window_decays, 0);
	script_end(&s);
}

/* 4.4.3: halved after each five minutes, down to the initial window; ssthresh remembers. */
static void test_decays(void **state)
{
	struct script s;

	begin(&s);
	script_at(&s, 301 * NS_PER_S);
	script_send(&s, MSS);
	EXPECT_ONE(&s);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 25 * MSS);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 40 * MSS);
	IN(&s, .ack = 31 * MSS);
	/* An hour: no less than RFC 6928 allows a new connection. */
	script_at(&s, 3901 * NS_PER_S);
	script_send(&s, MSS);
	EXPECT_ONE(&s);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 10 * MSS);
	assert_int_equal(tcp_engine_counters(s.e)->window_decays, 3);
	script_end(&s);
}

/* Without a rest too: a trickle does not hold a large window up. */
static void test_trickle(void **state)
{
	struct script s;
	u32 at = 30 * MSS;

	begin(&s);
	for (u32 i = 0; i < 4000; i++) {
		script_at(&s, (u64)(i + 2) * 100 * NS_PER_MS);
		script_send(&s, 100);
		EXPECT_ONE(&s);
		at += 100;
		IN(&s, .ack = at);
	}
	assert_int_equal(script_conn(&s)->cwnd_bytes, 25 * MSS);
	script_end(&s);
}

/* A window in use is valid for ever, and grows. */
static void test_in_use(void **state)
{
	struct script s;
	u32 at = 30 * MSS;

	begin(&s);
	for (u32 i = 0; i < 400; i++) {
		script_at(&s, (u64)(i + 1) * NS_PER_S);
		script_send(&s, 30 * MSS);
		for (u32 ms = 0; ms < 100; ms++) {
			script_at(&s, (u64)(i + 1) * NS_PER_S + ms * NS_PER_MS);
			script_flush(&s);
		}
		at += 30 * MSS;
		IN(&s, .ack = at);
	}
	assert_int_equal(script_conn(&s)->cwnd_bytes, 50 * MSS); /* three fifths of it */
	assert_int_equal(tcp_engine_counters(s.e)->window_decays, 0);
	script_end(&s);
}

/* A loss is answered from what was in flight, not from a window that nobody used (4.4.2). */
static void test_loss_of_a_small_flight(void **state)
{
	struct script s;

	begin(&s);
	script_send(&s, 8 * MSS);
	assert_int_equal(script_flush(&s), 8);
	for (u32 i = 0; i < 3; i++)
		IN(&s, .ack = 30 * MSS);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 4 * MSS);
	script_end(&s);
}

/* -- slow start: RFC 9406 ---------------------------------------------------------------------- */

static void make(struct tcp_conn *c, u8 algorithm, u32 cwnd)
{
	memset(c, 0, sizeof(*c));
	c->settings.cc_algorithm = algorithm;
	c->mss = MSS;
	c->cwnd_bytes = cwnd;
	c->ssthresh_bytes = UINT32_MAX;
	c->cc.type = 0xff;
	c->snd_una = seq_of(SCRIPT_ISS);
	tcp_cc_adopt(c, 1);
}

/* A round: a window goes out, and is acknowledged in `acks` equal steps, each with this RTT. */
static void run_round(struct tcp_conn *c, u32 acks, u32 rtt_us)
{
	u32 step = c->cwnd_bytes / acks;

	c->snd_nxt = seq_add(c->snd_una, step * acks);
	for (u32 i = 0; i < acks; i++) {
		c->snd_una = seq_add(c->snd_una, step);
		/* What the ACK lets out. */
		c->snd_nxt = seq_add(c->snd_nxt, step);
		tcp_cc_of(c)->acked(c, step, rtt_us * NS_PER_US, 1);
	}
	c->snd_una = c->snd_nxt;
}

/* Steady delay: the window doubles, round by round. */
static void test_doubles(void **state)
{
	for (u8 cc = TCP_CC_NEWRENO; cc <= TCP_CC_CUBIC; cc++) {
		struct tcp_conn c;

		make(&c, cc, 10 * MSS);
		for (u32 i = 0; i < 6; i++)
			run_round(&c, 10, 40000 + i * 1000); /* less than an eighth a round */
		assert_int_equal(c.cwnd_bytes, 640 * MSS);
		assert_int_equal(c.ssthresh_bytes, UINT32_MAX);
	}
}

/* 4.2: an eighth more delay: a quarter of the pace, and after five rounds the end. */
static void test_conservative_slow_start(void **state)
{
	for (u8 cc = TCP_CC_NEWRENO; cc <= TCP_CC_CUBIC; cc++) {
		struct tcp_conn c;
		u32 want;

		make(&c, cc, 80 * MSS);
		run_round(&c, 10, 40000);
		assert_int_equal(c.cwnd_bytes, 160 * MSS);
		/* Eight samples are needed: the last three of ten ACKs count a quarter. */
		run_round(&c, 10, 45000);
		want = 160 * MSS + 7 * 16 * MSS + 3 * 4 * MSS;
		assert_int_equal(c.cwnd_bytes, want);
		assert_int_equal(c.ssthresh_bytes, UINT32_MAX);
		/* The part of a round counts as the first of five. */
		for (u32 i = 0; i < 4; i++) {
			run_round(&c, 10, 46000);
			assert_int_equal(c.ssthresh_bytes, UINT32_MAX);
		}
		assert_in_range(c.cwnd_bytes, want * 2.43, want * 2.45); /* 1.25^4 */
		want = c.cwnd_bytes;
		run_round(&c, 10, 46000);
		assert_int_equal(c.ssthresh_bytes, want);
		assert_in_range(c.cwnd_bytes, want, want + 2 * MSS);
	}
}

/* The threshold is an eighth, but 4 ms at least and 16 ms at most. */
static void test_thresholds(void **state)
{
	static const struct {
		u32 before_us, not_us, yes_us;
	} t[] = {{1000, 4999, 5000}, {80000, 89999, 90000}, {400000, 415999, 416000}};

	for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
		struct tcp_conn c;

		make(&c, TCP_CC_NEWRENO, 80 * MSS);
		run_round(&c, 8, t[i].before_us);
		run_round(&c, 8, t[i].not_us);
		assert_int_equal(c.cwnd_bytes, 320 * MSS);
		make(&c, TCP_CC_NEWRENO, 80 * MSS);
		run_round(&c, 8, t[i].before_us);
		run_round(&c, 8, t[i].yes_us);
		assert_int_equal(c.cwnd_bytes, (160 + 7 * 20 + 5) * MSS);
	}
}

/* Fewer than eight samples a round say nothing. */
static void test_few_samples(void **state)
{
	struct tcp_conn c;

	make(&c, TCP_CC_NEWRENO, 70 * MSS);
	run_round(&c, 7, 40000);
	run_round(&c, 7, 90000);
	assert_int_equal(c.cwnd_bytes, 280 * MSS);
}

/* The delay goes back: it was somebody else's queue, and slow start goes on. */
static void test_spurious_exit(void **state)
{
	struct tcp_conn c;
	u32 before;

	make(&c, TCP_CC_CUBIC, 80 * MSS);
	run_round(&c, 10, 40000);
	run_round(&c, 10, 60000);
	before = c.cwnd_bytes;
	run_round(&c, 10, 40000);
	/* Seven ACKs at a quarter, then in full. */
	assert_in_range(c.cwnd_bytes, before + before * 0.47, before + before * 0.48);
	run_round(&c, 10, 41000);
	assert_int_equal(c.ssthresh_bytes, UINT32_MAX);
	assert_true(c.cwnd_bytes > 2.9 * before);
}

/* 4.3: a threshold that a loss has set is where slow start ends, whatever the delay. */
static void test_only_at_first(void **state)
{
	struct tcp_conn c;

	make(&c, TCP_CC_NEWRENO, 10 * MSS);
	c.ssthresh_bytes = 100 * MSS;
	run_round(&c, 10, 40000);
	run_round(&c, 10, 80000);
	run_round(&c, 10, 160000);
	assert_int_equal(c.cwnd_bytes, 80 * MSS);
}

/* On a wire with a queue that has no end: slow start stops by itself, without a loss. */
static void test_on_a_wire(void **state)
{
	struct pair_options o = {
		.seed = 1,
		.delay_ns = 20 * NS_PER_MS,
		.mbit_s = 50,
		.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
		.wscale = 8,
		.cc = TCP_CC_CUBIC,
		.rcv_buf = 4 << 20,
		.snd_buf = 4 << 20,
		.small = 8192,
		.large = 512,
	};
	struct tcp_conn *c;
	struct pair p;

	pair_init(&p, &o);
	pair_open(&p, 0);
	p.end[0].stream[0].to_send = 1ull << 40;
	pair_run(&p, p.now_ns + 3 * NS_PER_S);
	c = pair_conn(&p, 0, 0);
	/* The path holds 250,000 bytes; doubled ever again it would be 4 MB and more. */
	assert_in_range(c->ssthresh_bytes, 250000, 3000000);
	assert_int_equal(tcp_engine_counters(p.end[0].e)->retransmit_segs, 0);
	assert_true(p.end[1].stream[0].received > 16000000);
	pair_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_and_paced),
		cmocka_unit_test(test_decays),
		cmocka_unit_test(test_trickle),
		cmocka_unit_test(test_in_use),
		cmocka_unit_test(test_loss_of_a_small_flight),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_conservative_slow_start),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_few_samples),
		cmocka_unit_test(test_spurious_exit),
		cmocka_unit_test(test_only_at_first),
		cmocka_unit_test(test_on_a_wire),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * BBR (draft-cardwell-iccrg-bbr-congestion-control-00) and what feeds it: rate samples with literal
 * times, then the model over a wire whose bandwidth and delay are known.
 */
#include "unit.h"

#include "state/bbr.h"
#include "tcp/cc/cc.h"
#include "tcp/rate.h"
#include "tcp_pair.h"
#include "tcp_script.h"

enum {
	ALL = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
	MBIT_S = 20,
	BANDWIDTH = 20 * 1000 * 1000 / 8 / 1514 * 1448, /* payload bytes a second on that wire */
	MSS = 1448,
};

static const u64 delay_ns = 10 * NS_PER_MS;

static struct bbr_model model_of(const struct tcp_conn *c)
{
	struct bbr_model b;

	assert_int_equal(c->cc.type, TCP_CC_BBR);
	memcpy(&b, c->cc.bytes, sizeof(b));
	return b;
}

/* -- rate samples (draft-cheng 3.3) ------------------------------------------------------------ */

static struct rate_sample measured(u64 first_sent_ms, u64 sent_ms, u64 delivered_ms, u64 now_ms)
{
	const struct tcp_conn c = {.min_rtt_ns = 10 * NS_PER_MS};
	struct rate_sample s = {.now_ns = now_ms * NS_PER_MS, .delivered = 50000};
	const struct sent_delivery d = {.newest = {.xmit_ns = sent_ms * NS_PER_MS,
	                                           .first_sent_ns = first_sent_ms * NS_PER_MS,
	                                           .delivered_ns = delivered_ms * NS_PER_MS,
	                                           .delivered = 20000,
	                                           .flags = SENT_APP_LIMITED}};

	rate_measure(&c, &d, &s);
	return s;
}

static void test_rate_sample(void **state)
{
	struct rate_sample s = measured(1000, 1010, 1005, 1025);

	/* 30,000 bytes, acknowledged within 20 ms though they were sent within 10. */
	assert_int_equal(s.rate, 1500000);
	assert_int_equal(s.prior_delivered, 20000);
	assert_true(s.app_limited);
	/* ACKs that came together do not make the path faster than what was sent. */
	assert_int_equal(measured(1000, 1040, 1005, 1025).rate, 750000);
	/* Shorter than the path: a mistake of the clock or the peer's. */
	assert_int_equal(measured(1000, 1005, 1020, 1025).rate, 0);
}

/* Nothing was delivered whose time is known. */
static void test_no_rate_sample(void **state)
{
	const struct tcp_conn c = {0};
	const struct sent_delivery d = {.repeats_until_ns = 1};
	struct rate_sample s = {.now_ns = NS_PER_S, .delivered = 1};

	rate_measure(&c, &d, &s);
	assert_int_equal(s.rate, 0);
}

/* A connection that begins to be run by BBR with this window and 100 ms. */
static void begin(struct script *s, u32 cwnd)
{
	script_init(s);
	s->state.c.cc_algorithm = TCP_CC_BBR;
	s->state.d.cwnd_bytes = cwnd;
	script_start(s);
}

/* One flight through the engine: 4,000 bytes within 100 ms. */
static void test_sample_of_a_flight(void **state)
{
	struct bbr_model b;
	struct script s;

	begin(&s, 10000);
	/* 4.2.1: 2.885 times cwnd in a round. */
	assert_int_equal(script_conn(&s)->pacing_rate, 10000 * 10 * 739 / 256);
	script_send(&s, 4000);
	for (u32 ms = 0; ms < 20; ms++) {
		script_at(&s, ms * NS_PER_MS);
		script_flush(&s);
	}
	assert_int_equal(script_conn(&s)->snd_max.n - SCRIPT_ISS, 4000);
	assert_true(script_conn(&s)->app_limited != 0); /* 3.4: cwnd had room for more */
	script_at(&s, 100 * NS_PER_MS);
	IN(&s, .ack = 4000);
	b = model_of(script_conn(&s));
	assert_int_equal(b.bw[0] << BBR_BW_SHIFT, 4000 * 10 / 64 * 64);
	assert_int_equal(b.min_rtt_us, script_conn(&s)->min_rtt_ns / 1000);
	assert_int_equal(b.round, 1);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 14000);
	script_end(&s);
}

/* -- the filter -------------------------------------------------------------------------------- */

/* A sample of `rate` with an ACK that ends a round. */
static void sample(struct tcp_conn *c, u64 rate, bool app_limited)
{
	struct rate_sample s = {
		.now_ns = NS_PER_S,
		.rate = rate,
		.acked = MSS,
		.prior_delivered = c->delivered,
		.delivered = c->delivered + MSS,
		.app_limited = app_limited,
	};

	c->delivered += MSS;
	tcp_cc_of(c)->model(c, &s);
}

static struct tcp_conn make(void)
{
	struct tcp_conn c = {
		.mss = MSS, .cwnd_bytes = 10 * MSS, .settings.cc_algorithm = TCP_CC_BBR};

	c.cc.type = 0xff;
	tcp_cc_adopt(&c, NS_PER_S);
	return c;
}

static u32 bw_of(const struct tcp_conn *c)
{
	return model_of(c).bw[0] << BBR_BW_SHIFT;
}

/* 4.1.1.4: the highest of ten rounds; a sample without enough data counts only upwards. */
static void test_bandwidth_filter(void **state)
{
	struct tcp_conn c = make();

	sample(&c, 640000, false);
	sample(&c, 320000, false);
	assert_int_equal(bw_of(&c), 640000);
	sample(&c, 1280000, true);
	assert_int_equal(bw_of(&c), 1280000);
	for (u32 i = 0; i < 10; i++) {
		sample(&c, 640000, false);
		assert_int_equal(bw_of(&c), 1280000);
	}
	sample(&c, 640000, false);
	assert_int_equal(bw_of(&c), 640000);
	for (u32 i = 0; i < 20; i++)
		sample(&c, 64000, true);
	assert_int_equal(bw_of(&c), 640000);
}

/* The second best of a window follows the best, not the last one. */
static void test_bandwidth_runners_up(void **state)
{
	struct tcp_conn c = make();

	sample(&c, 6400000, false);
	for (u32 i = 0; i < 4; i++)
		sample(&c, 64000, false);
	sample(&c, 640000, false);
	for (u32 i = 0; i < 5; i++)
		sample(&c, 64000, false);
	assert_int_equal(bw_of(&c), 6400000);
	sample(&c, 64000, false);
	assert_int_equal(bw_of(&c), 640000);
}

/* 4.3.2.2: three rounds without a quarter more. */
static void test_full_pipe(void **state)
{
	struct tcp_conn c = make();

	sample(&c, 640000, false);
	sample(&c, 810000, false);
	sample(&c, 1000000, false); /* less than 5/4 */
	sample(&c, 1000000, true);  /* says nothing */
	sample(&c, 1000000, false);
	assert_int_equal(model_of(&c).mode, BBR_STARTUP);
	assert_int_equal(model_of(&c).full_bw_rounds, 2);
	sample(&c, 1000000, false);
	assert_int_not_equal(model_of(&c).mode, BBR_STARTUP);
	assert_int_equal(model_of(&c).flags & BBR_FULL_PIPE, BBR_FULL_PIPE);
}

/* Any bytes are a model: windows stay sane. */
static void test_hostile_model(void **state)
{
	for (u32 i = 0; i < 256; i++) {
		struct tcp_conn c = make();

		memset(c.cc.bytes, (int)i, sizeof(c.cc.bytes));
		tcp_cc_take_over(&c, NS_PER_S);
		for (u64 rate = 1; rate < UINT64_MAX / 7; rate *= 7) {
			sample(&c, rate, rate & 1);
			assert_in_range(c.cwnd_bytes, MSS, 1 << 30);
		}
		c.recovery = TCP_RECOVERY_FAST;
		tcp_cc_lost(&c, NS_PER_S);
		sample(&c, 1000, false);
		c.recovery = TCP_RECOVERY_OPEN;
		tcp_cc_of(&c)->resumed(&c, 2 * NS_PER_S);
		sample(&c, 1000, false);
		assert_in_range(c.cwnd_bytes, MSS, 1 << 30);
	}
}

/* -- on a wire of 20 Mbit/s and 20 ms ---------------------------------------------------------- */

static void wire_begin(struct pair *p, u32 loss_ppm)
{
	struct pair_options o = {
		.seed = 1,
		.delay_ns = delay_ns,
		.mbit_s = MBIT_S,
		.loss_ppm = loss_ppm,
		.options = ALL,
		.wscale = 7,
		.cc = TCP_CC_BBR,
		.rcv_buf = 1 << 20,
		.snd_buf = 1 << 20,
	};

	pair_init(p, &o);
	pair_open(p, 0);
	p->end[0].stream[0].to_send = 1ull << 40;
}

static u64 received_in(struct pair *p, u64 ns)
{
	u64 before = p->end[1].stream[0].received;

	pair_run(p, p->now_ns + ns);
	assert_int_equal(p->end[1].stream[0].wrong, 0);
	return p->end[1].stream[0].received - before;
}

static void test_life(void **state)
{
	u32 phases = 0, bdp = BANDWIDTH / 1000 * 21;
	struct tcp_conn *c;
	struct bbr_model b;
	struct pair p;

	wire_begin(&p, 0);
	pair_run(&p, p.now_ns + 100 * NS_PER_MS);
	c = pair_conn(&p, 0, 0);
	assert_int_equal(model_of(c).mode, BBR_STARTUP);
	pair_run(&p, p.now_ns + 500 * NS_PER_MS);
	b = model_of(c);
	assert_int_equal(b.mode, BBR_PROBE_BW);
	assert_in_range(b.bw[0] << BBR_BW_SHIFT, BANDWIDTH * 0.98, BANDWIDTH * 1.02);
	assert_in_range(b.min_rtt_us, 20000, 21500);
	/* Two products of bandwidth and delay, and the quanta under way. */
	assert_in_range(c->cwnd_bytes, 2 * bdp, 2 * bdp + 12 * MSS);
	/* The gain cycle comes by all its phases, and no standing queue is left. */
	for (u32 i = 0; i < 100; i++) {
		pair_run(&p, p.now_ns + 5 * NS_PER_MS);
		phases |= 1u << model_of(c).phase;
	}
	assert_int_equal(phases, 0xff);
	assert_in_range(c->srtt_ns, 20 * NS_PER_MS, 32 * NS_PER_MS);
	assert_in_range(received_in(&p, NS_PER_S), BANDWIDTH * 0.97, BANDWIDTH * 1.02);
	/* Ten seconds without a lower round-trip time: 200 ms and a round with four segments. */
	for (u32 i = 0; i < 1000 && model_of(c).mode != BBR_PROBE_RTT; i++)
		pair_run(&p, p.now_ns + 10 * NS_PER_MS);
	assert_int_equal(model_of(c).mode, BBR_PROBE_RTT);
	pair_run(&p, p.now_ns + 100 * NS_PER_MS);
	assert_int_equal(c->cwnd_bytes, 4 * MSS);
	pair_run(&p, p.now_ns + 300 * NS_PER_MS);
	assert_int_equal(model_of(c).mode, BBR_PROBE_BW);
	assert_true(c->cwnd_bytes > 2 * bdp);
	assert_in_range(received_in(&p, NS_PER_S), BANDWIDTH * 0.97, BANDWIDTH * 1.02);
	pair_finish(&p);
}

/* Loss at random is no congestion to it. */
static void test_random_loss(void **state)
{
	struct pair p;

	wire_begin(&p, 10000);
	pair_run(&p, p.now_ns + NS_PER_S);
	assert_true(received_in(&p, 5 * NS_PER_S) > 5 * (BANDWIDTH * 0.8));
	assert_true(tcp_engine_counters(p.end[0].e)->fast_recoveries > 10);
	pair_finish(&p);
}

static bool lose_all(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	return false;
}

/* A link that is dead for a while: back to what it was, by the model, not by ssthresh. */
static void test_timeout(void **state)
{
	struct tcp_conn *c;
	struct pair p;

	wire_begin(&p, 0);
	pair_run(&p, p.now_ns + NS_PER_S);
	p.filter = lose_all;
	pair_run(&p, p.now_ns + NS_PER_S);
	c = pair_conn(&p, 0, 0);
	assert_int_equal(c->recovery, TCP_RECOVERY_LOSS);
	assert_int_equal(c->cwnd_bytes, MSS);
	p.filter = NULL;
	pair_run(&p, p.now_ns + 3 * NS_PER_S);
	assert_in_range(received_in(&p, NS_PER_S), BANDWIDTH * 0.9, BANDWIDTH * 1.02);
	pair_finish(&p);
}

/* 4.3.4.4: after a rest of 3 s it goes on with what it knows, paced, not from the start. */
static void test_rest(void **state)
{
	struct tcp_conn *c;
	struct pair p;

	wire_begin(&p, 0);
	p.end[0].stream[0].to_send = 3000000;
	pair_run(&p, p.now_ns + 5 * NS_PER_S);
	c = pair_conn(&p, 0, 0);
	assert_int_equal(p.end[1].stream[0].received, 3000000);
	p.end[0].stream[0].to_send = 1ull << 40;
	assert_in_range(received_in(&p, NS_PER_S), BANDWIDTH * 0.93, BANDWIDTH * 1.02);
	assert_int_equal(tcp_engine_counters(p.end[0].e)->window_decays, 0);
	assert_in_range(model_of(c).bw[0] << BBR_BW_SHIFT, BANDWIDTH * 0.98, BANDWIDTH * 1.05);
	pair_finish(&p);
}

/* To another engine and on: the model goes along, cwnd is what it was. */
static void test_move(void **state)
{
	struct tcp_state out;
	struct script s;
	struct pair p;
	struct bbr_model b;

	wire_begin(&p, 0);
	pair_run(&p, p.now_ns + NS_PER_S);
	memset(&out, 0, sizeof(out));
	tcp_conn_export(p.end[0].e, p.end[0].conn[0], p.now_ns, &out);
	script_init(&s);
	/* Without the bytes, which are of another pool. */
	out.d.send = (struct data_ref){NIL, 0, 0};
	out.d.snd_una = out.d.snd_nxt = out.d.snd_max;
	out.d.sacked.n = 0;
	assert_int_equal(tcp_conn_import(s.e, &out, s.path, s.e->now_ns, &s.conn), 0);
	b = model_of(script_conn(&s));
	assert_int_equal(b.bw[0], model_of(pair_conn(&p, 0, 0)).bw[0]);
	assert_int_equal(b.min_rtt_us, model_of(pair_conn(&p, 0, 0)).min_rtt_us);
	assert_int_equal(b.mode, BBR_PROBE_BW);
	assert_int_equal(b.round_end, 0);
	assert_int_equal(script_conn(&s)->cwnd_bytes, out.d.cwnd_bytes);
	assert_int_equal(script_conn(&s)->pacing_rate, out.d.pacing_rate);
	script_end(&s);
	pair_finish(&p);
}

/* From CUBIC to BBR and back by an update: both go on from cwnd. */
static void test_switch(void **state)
{
	struct tcp_cached settings;
	struct script s;

	begin(&s, 20000);
	settings = s.state.c;
	settings.cc_algorithm = TCP_CC_CUBIC;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns);
	assert_int_equal(script_conn(&s)->flags & CONN_PACED, 0);
	script_send(&s, 40000);
	assert_int_equal(script_flush(&s), 20);
	settings.cc_algorithm = TCP_CC_BBR;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns);
	script_at(&s, 100 * NS_PER_MS);
	IN(&s, .ack = 20000);
	assert_int_equal(model_of(script_conn(&s)).bw[0] << BBR_BW_SHIFT, 200000);
	assert_true(script_flush(&s) >= 2);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_sample),
		cmocka_unit_test(test_no_rate_sample),
		cmocka_unit_test(test_sample_of_a_flight),
		cmocka_unit_test(test_bandwidth_filter),
		cmocka_unit_test(test_bandwidth_runners_up),
		cmocka_unit_test(test_full_pipe),
		cmocka_unit_test(test_hostile_model),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_random_loss),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_rest),
		cmocka_unit_test(test_move),
		cmocka_unit_test(test_switch),
	};

	return RUN_TESTS(tests);
}

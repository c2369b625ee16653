/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Loss: RFC 6298 timer, RFC 5681 and 6582 fast recovery, RFC 6675 with SACK, RFC 3042. */
#include "unit.h"

#include "base/prng.h"
#include "tcp/recovery.h"
#include "tcp/sack.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

#define SACK1(a, b)       .n_sack = 1, .sack = {{(a), (b)}}
#define SACK2(a, b, c, d) .n_sack = 2, .sack = {{(a), (b)}, {(c), (d)}}

static void begin_sending(struct script *s, u8 options, u32 segs)
{
	script_begin(s, options);
	script_send(s, segs * MSS);
	script_flush(s);
}

/* RFC 6298 5.1 to 5.6: armed, backed off, restarted, stopped. RFC6298-5, RFC6298-5.1, RFC6298-5.2,
 * RFC6298-5.4, RFC6298-5.5, RFC6298-5.6, SHLD-9, SHLD-10. */
static void test_timeout(void **state)
{
	struct script s;

	begin_sending(&s, 0, 2);
	assert_int_equal(s.n_tx, 2);
	script_at(&s, 299 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 302 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(script_conn(&s)->cwnd_bytes, MSS);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 2 * MSS);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_LOSS);
	/* 5.5: twice as long, then twice again. */
	script_at(&s, 900 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 904 * NS_PER_MS);
	EXPECT_ONE(&s);
	script_at(&s, 2100 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 2108 * NS_PER_MS);
	EXPECT_ONE(&s);
	/* RFC 5681 3.1: ssthresh is not halved again for the same loss. */
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 2 * MSS);
	/* The first threshold of RFC 9293 3.8.3: the owner is told once. */
	assert_true(script_events(&s) & TCP_EV_SOFT_ERROR);
	/* The ACK of the first brings the second, which is sent again too. */
	IN(&s, .ack = MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, MSS, 0, MSS);
	/* Karn: no measurement of what was sent twice. */
	assert_int_equal(script_conn(&s)->srtt_ns, 100 * NS_PER_MS);
	IN(&s, .ack = 2 * MSS);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(script_conn(&s)->retransmit_at_ns, TIMER_STOPPED);
	script_at(&s, 100 * NS_PER_S);
	EXPECT_NONE(&s);
	script_end(&s);
}

/* RFC 6298 2.2, 2.3 with literal numbers; the lower bound as Linux has it. RFC6298-2.2,
 * RFC6298-2.3a, RFC6298-2.3b, RFC6298-3b. */
static void test_rtt(void **state)
{
	struct script s;
	struct tcp_conn *c;

	script_init(&s);
	s.state.d.srtt_ns = s.state.d.rttvar_ns = 0;
	script_start(&s);
	c = script_conn(&s);
	script_send(&s, 100);
	script_flush(&s);
	script_at(&s, 80 * NS_PER_MS);
	IN(&s, .ack = 100);
	assert_int_equal(c->srtt_ns, 80 * NS_PER_MS);
	assert_int_equal(c->rttvar_ns, 40 * NS_PER_MS);
	assert_int_equal(c->rto_ns, 280 * NS_PER_MS); /* 80 + max(4 * 40, 200) */
	script_send(&s, 100);
	script_flush(&s);
	script_at(&s, 240 * NS_PER_MS);
	IN(&s, .ack = 200);
	assert_int_equal(c->srtt_ns, 90 * NS_PER_MS);   /* 7/8 80 + 1/8 160 */
	assert_int_equal(c->rttvar_ns, 50 * NS_PER_MS); /* 3/4 40 + 1/4 80 */
	assert_int_equal(c->rto_ns, 290 * NS_PER_MS);
	assert_int_equal(c->min_rtt_ns, 80 * NS_PER_MS);
	script_end(&s);
}

/* RFC 7323 4: an echo measures even what was sent again. */
static void test_rtt_by_timestamp(void **state)
{
	struct script s;
	u32 sent_at;

	begin_sending(&s, TCP_OPT_TIMESTAMPS, 1);
	script_at(&s, 302 * NS_PER_MS);
	EXPECT_ONE(&s);
	sent_at = s.out[0].options.ts_val;
	assert_int_equal(script_conn(&s)->rto_backoff, 1);
	script_at(&s, 402 * NS_PER_MS);
	IN(&s, .ack = MSS, .ts_ecr = sent_at);
	assert_int_equal(script_conn(&s)->srtt_ns, 100 * NS_PER_MS);
	assert_int_equal(script_conn(&s)->rto_backoff, 0);
	script_end(&s);
}

/* RFC7323-4.1: an echo in a segment that acknowledges nothing new is no measurement. */
static void test_no_rtt_without_news(void **state)
{
	struct script s;
	u32 sent_at;

	begin_sending(&s, TCP_OPT_TIMESTAMPS, 2);
	sent_at = s.out[0].options.ts_val;
	script_at(&s, 250 * NS_PER_MS);
	IN(&s, .ack = 0, .ts_ecr = sent_at);
	IN(&s, .ack = 0, .len = 100, .ts_ecr = sent_at);
	assert_int_equal(script_conn(&s)->srtt_ns, 100 * NS_PER_MS);
	IN(&s, .ack = 2 * MSS, .seq = 100, .ts_ecr = sent_at);
	assert_true(script_conn(&s)->srtt_ns > 100 * NS_PER_MS);
	script_end(&s);
}

/* RFC 5681 3.2, RFC 3042, RFC 6582 */
static void test_newreno(void **state)
{
	struct script s;
	struct tcp_conn *c;

	script_init(&s);
	s.state.c.cc_algorithm = TCP_CC_NEWRENO;
	script_start(&s);
	c = script_conn(&s);
	script_send(&s, 20 * MSS);
	assert_int_equal(script_flush(&s), 10);
	/* Limited transmit: a new segment for each of the first two duplicates. */
	IN(&s, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 10 * MSS, 0, MSS);
	IN(&s, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 11 * MSS, 0, MSS);
	assert_int_equal(tcp_engine_counters(s.e)->limited_transmits, 2);
	/* The third: the lost one goes out again, half of the flight remains. */
	IN(&s, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->ssthresh_bytes, 5 * MSS);
	assert_int_equal(c->recovery_point.n - SCRIPT_ISS, 12 * MSS);
	/* 12 out, inflated by 3; each further duplicate adds one. New data from the eighth on. */
	for (u32 dup = 4; dup <= 7; dup++) {
		IN(&s, .ack = 0);
		EXPECT_NONE(&s);
	}
	IN(&s, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 12 * MSS, 0, MSS);
	/* Partial: the next hole at once, and one new segment (3.2 step 3). */
	IN(&s, .ack = 4 * MSS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 4 * MSS, 0, MSS);
	EXPECT(&s, 1, WIRE_ACK, 13 * MSS, 0, MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	/* Full: back to congestion avoidance, no burst. */
	IN(&s, .ack = 12 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->cwnd_bytes, 3 * MSS); /* min(ssthresh, flight + MSS) */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 14 * MSS, 0, MSS);
	/* 3.2 step 2: duplicates below the recovery point do not start another. */
	assert_int_equal(tcp_engine_counters(s.e)->fast_recoveries, 1);
	script_end(&s);
}

/* One loss, found by the third SACK (RFC 8985 6.2: DupThresh), repaired in one round trip.
 * RFC6675-5c, RFC6675-5e, RFC6675-5f, RFC6675-5g, RFC6675-5j, RFC6675-5d. */
static void test_sack_one_loss(void **state)
{
	struct script s;
	struct tcp_conn *c;

	script_init(&s);
	s.state.k.options = TCP_OPT_SACK;
	s.state.c.cc_algorithm = TCP_CC_CUBIC;
	script_start(&s);
	c = script_conn(&s);
	script_send(&s, 20 * MSS);
	assert_int_equal(script_flush(&s), 10);
	script_at(&s, 100 * NS_PER_MS);
	IN(&s, .ack = 0, SACK1(MSS, 2 * MSS));
	EXPECT_ONE(&s); /* limited transmit */
	EXPECT(&s, 0, WIRE_ACK, 10 * MSS, 0, MSS);
	IN(&s, .ack = 0, SACK1(MSS, 3 * MSS));
	EXPECT_ONE(&s);
	assert_int_equal(c->recovery, TCP_RECOVERY_DISORDER);
	IN(&s, .ack = 0, SACK1(MSS, 4 * MSS));
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(c->ssthresh_bytes, 7 * MSS); /* CUBIC: 0.7 */
	/* 12 out, 3 sacked, 1 lost and resent: pipe 9, above ssthresh 7. */
	assert_int_equal(recovery_pipe(c), 9 * MSS);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS));
	EXPECT_NONE(&s);
	IN(&s, .ack = 0, SACK1(MSS, 6 * MSS));
	EXPECT_NONE(&s);
	IN(&s, .ack = 0, SACK1(MSS, 7 * MSS));
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 12 * MSS, 0, MSS);
	/* The repair's ACK covers all that was out when recovery began. */
	script_at(&s, 200 * NS_PER_MS);
	IN(&s, .ack = 12 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->sack_buf, NIL);
	assert_int_equal(c->cwnd_bytes, 7 * MSS);
	assert_int_equal(tcp_engine_counters(s.e)->retransmit_segs, 1);
	script_end(&s);
}

/* RFC 6675 NextSeg() rule 1: several holes, lowest first, each once. RFC2018-5a, RFC2018-5b,
 * RFC6675-5a, RFC6675-5i, RFC6675-5k. */
static void test_sack_many_losses(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin_sending(&s, TCP_OPT_SACK, 10);
	c = script_conn(&s);
	/* Lost: 0, 2, 4. */
	script_at(&s, 100 * NS_PER_MS);
	IN(&s, .ack = 0, SACK1(MSS, 2 * MSS));
	IN(&s, .ack = 0, SACK2(3 * MSS, 4 * MSS, MSS, 2 * MSS));
	EXPECT_NONE(&s); /* no new data for limited transmit */
	IN(&s, .ack = 0, SACK2(5 * MSS, 6 * MSS, 3 * MSS, 4 * MSS));
	assert_int_equal(c->lost_bytes, 3 * MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	IN(&s, .ack = 0, SACK2(5 * MSS, 8 * MSS, 3 * MSS, 4 * MSS));
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 2 * MSS, 0, MSS);
	EXPECT(&s, 1, WIRE_ACK, 4 * MSS, 0, MSS);
	IN(&s, .ack = 0, SACK2(5 * MSS, 10 * MSS, 3 * MSS, 4 * MSS));
	EXPECT_NONE(&s);
	assert_int_equal(tcp_engine_counters(s.e)->retransmit_segs, 3);
	assert_int_equal(c->high_rxt.n - SCRIPT_ISS, 5 * MSS);
	script_at(&s, 200 * NS_PER_MS);
	IN(&s, .ack = 2 * MSS, SACK2(5 * MSS, 10 * MSS, 3 * MSS, 4 * MSS));
	IN(&s, .ack = 4 * MSS, SACK1(5 * MSS, 10 * MSS));
	IN(&s, .ack = 10 * MSS);
	EXPECT_NONE(&s);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(tcp_engine_counters(s.e)->timeouts, 0);
	script_end(&s);
}

/* The tail of a flight that is lost too is found out by the delivery of the first repeat. */
static void test_sack_tail(void **state)
{
	struct script s;

	begin_sending(&s, TCP_OPT_SACK, 10);
	script_at(&s, 100 * NS_PER_MS);
	IN(&s, .ack = 0, SACK1(MSS, 8 * MSS)); /* 0, 8 and 9 are lost */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	script_at(&s, 200 * NS_PER_MS);
	IN(&s, .ack = 8 * MSS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 8 * MSS, 0, MSS);
	EXPECT(&s, 1, WIRE_ACK | WIRE_PSH, 9 * MSS, 0, MSS);
	IN(&s, .ack = 10 * MSS);
	assert_int_equal(tcp_engine_counters(s.e)->timeouts, 0);
	assert_int_equal(tcp_engine_counters(s.e)->loss_probes, 0);
	script_end(&s);
}

/* RFC 2018 8: a receiver that gave sacked data up does not stop the sender. RFC2018-5.1c,
 * RFC2018-8a. */
static void test_sack_reneging(void **state)
{
	struct script s;

	begin_sending(&s, TCP_OPT_SACK, 5);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS));
	script_flush(&s);
	script_at(&s, 302 * NS_PER_MS);
	EXPECT_ONE(&s); /* the first hole again; what is sacked is left out */
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	IN(&s, .ack = MSS); /* no word of the rest any more */
	script_flush(&s);
	for (u32 i = 2; i < 12 && script_conn(&s)->snd_una.n != SCRIPT_ISS + 5 * MSS; i++) {
		script_at(&s, i * NS_PER_S);
		script_flush(&s);
		if (s.n_tx)
			IN(&s, .ack = s.out_seq[0] + s.out[0].payload_len);
	}
	assert_int_equal(script_conn(&s)->snd_una.n - SCRIPT_ISS, 5 * MSS);
	script_end(&s);
}

/* Blocks that make no sense change nothing. */
static void test_sack_nonsense(void **state)
{
	static const u32 bad[][2] = {
		{5 * MSS, 5 * MSS}, {6 * MSS, 5 * MSS}, {9 * MSS, 11 * MSS},
		{(u32)-MSS, MSS},   {0, 2 * MSS},       {1u << 31, (1u << 31) + 1},
	};
	struct script s;

	begin_sending(&s, TCP_OPT_SACK, 10);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		IN(&s, .ack = 0, .n_sack = 1, .sack = {{bad[i][0], bad[i][1]}});
		assert_int_equal(script_conn(&s)->sacked_bytes, 0);
		assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_OPEN);
	}
	/* RFC 2883: reports of what came twice are counted, not mistaken for holes. */
	IN(&s, .ack = 2 * MSS, SACK1(MSS, 2 * MSS));
	assert_int_equal(tcp_engine_counters(s.e)->dsacks_in, 1);
	assert_int_equal(script_conn(&s)->sacked_bytes, 0);
	script_end(&s);
}

/* The scoreboard against a bitmap, at random. RFC6675-5a. */
static void test_scoreboard(void **state)
{
	struct script s;
	struct tcp_conn *c;
	struct prng prng;
	u8 bit[1000] = {0};

	begin_sending(&s, TCP_OPT_SACK, 10);
	c = script_conn(&s);
	c->snd_max = seq_add(c->snd_una, sizeof(bit));
	prng_seed(&prng, 7);
	for (u32 i = 0; i < 2000; i++) {
		u32 a = 1 + prng_below(&prng, sizeof(bit) - 1);
		u32 b = min_of(a + 1 + prng_below(&prng, 12), (u32)sizeof(bit));
		u32 fresh = 0, sum = 0;

		if (i % 200 == 0) {
			sack_clear(s.e, c);
			memset(bit, 0, sizeof(bit));
		}
		for (u32 k = a; k < b; k++) {
			fresh += !bit[k];
			bit[k] = 1;
		}
		assert_int_equal(sack_add(s.e, c,
		                          (struct seq_range){seq_add(c->snd_una, a),
		                                             seq_add(c->snd_una, b)}),
		                 fresh);
		for (u32 k = 0; k < sizeof(bit); k++)
			sum += bit[k];
		assert_int_equal(c->sacked_bytes, sum);
		a = prng_below(&prng, sizeof(bit));
		sum = 0;
		for (u32 k = a; k < sizeof(bit); k++)
			sum += !bit[k];
		assert_int_equal(sack_holes(s.e, c, seq_add(c->snd_una, a), c->snd_max), sum);
	}
	c->snd_max = seq_add(c->snd_una, 10 * MSS);
	sack_clear(s.e, c);
	script_end(&s);
}

/* The second threshold of RFC 9293 3.8.3, as time. */
static void test_gives_up(void **state)
{
	struct script s;

	script_init(&s);
	s.state.c.max_retransmit_ns = 10 * NS_PER_S;
	script_start(&s);
	script_send(&s, 10);
	script_flush(&s);
	for (u32 ms = 0; ms < 9900; ms += 100) {
		script_at(&s, ms * NS_PER_MS);
		script_flush(&s);
	}
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	for (u32 ms = 9900; ms < 30000; ms += 100) {
		script_at(&s, ms * NS_PER_MS);
		script_flush(&s);
	}
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	assert_true(script_events(&s) & TCP_EV_TIMEOUT);
	assert_int_equal(tcp_send(s.e, s.conn, "x", 1), -110); /* ETIMEDOUT */
	script_end(&s);
}

/* R35, R77: with an invalid neighbor nothing is sent, and nothing counts as sent in vain. */
static void test_invalid_does_not_count(void **state)
{
	struct script s;

	script_init(&s);
	s.state.c.max_retransmit_ns = 2 * NS_PER_S;
	script_start(&s);
	script_send(&s, 10);
	script_flush(&s);
	tcp_neighbor_set_valid(s.e, s.neighbor, false);
	for (u32 i = 1; i < 60; i++) {
		script_at(&s, i * NS_PER_S);
		EXPECT_NONE(&s);
	}
	IN(&s, .seq = 0, .len = 10); /* receiving goes on */
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 10);
	EXPECT_NONE(&s);
	assert_int_equal(script_conn(&s)->retransmit_count, 0);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	tcp_neighbor_set_valid(s.e, s.neighbor, true);
	script_at(&s, 60 * NS_PER_S);
	script_flush(&s);
	assert_int_equal(s.n_tx, 1);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 0, 10, 10);
	script_end(&s);
}

/* One connection alone; and a path that is re-parented from an invalid neighbor to a valid one. */
static void test_parked_goes_on(void **state)
{
	struct neighbor_state n = {.c.next_hop_mac = {{8}}};
	struct script s;
	u32 other;

	script_begin(&s, 0);
	tcp_conn_set_valid(s.e, s.conn, false);
	script_send(&s, 10);
	EXPECT_NONE(&s);
	assert_int_equal(s.e->n_parked, 1);
	tcp_conn_set_valid(s.e, s.conn, true);
	assert_int_equal(s.e->n_parked, 0);
	EXPECT_ONE(&s);
	tcp_neighbor_set_valid(s.e, s.neighbor, false);
	script_send(&s, 10);
	EXPECT_NONE(&s);
	/* R68, R77: the new one exists before the old one goes. */
	assert_int_equal(tcp_neighbor_add(s.e, &n, &other), 0);
	tcp_path_set_neighbor(s.e, s.path, other);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 10, 0, 10);
	assert_int_equal(s.tx[0].header[s.tx[0].header_off], 8);
	/* A path that is invalid, and a connection that goes while it is parked. */
	tcp_path_set_valid(s.e, s.path, false);
	script_send(&s, 10);
	EXPECT_NONE(&s);
	assert_int_equal(s.e->n_parked, 1);
	tcp_engine_rebuild(s.e, s.e->now_ns);
	EXPECT_NONE(&s);
	assert_int_equal(s.e->n_parked, 1);
	tcp_conn_free(s.e, s.conn);
	assert_int_equal(s.e->n_parked, 0);
	tcp_path_set_valid(s.e, s.path, true);
	tcp_path_set_neighbor(s.e, s.path, s.neighbor);
	assert_int_equal(tcp_neighbor_remove(s.e, other), 0);
	script_start(&s);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_rtt),
		cmocka_unit_test(test_rtt_by_timestamp),
		cmocka_unit_test(test_no_rtt_without_news),
		cmocka_unit_test(test_newreno),
		cmocka_unit_test(test_sack_one_loss),
		cmocka_unit_test(test_sack_many_losses),
		cmocka_unit_test(test_sack_tail),
		cmocka_unit_test(test_sack_reneging),
		cmocka_unit_test(test_sack_nonsense),
		cmocka_unit_test(test_scoreboard),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_invalid_does_not_count),
		cmocka_unit_test(test_parked_goes_on),
	};

	return RUN_TESTS(tests);
}

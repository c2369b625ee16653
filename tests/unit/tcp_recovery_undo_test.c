/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Proportional rate reduction (RFC 6937), and reductions that were needless: Eifel (RFC 3522,
 * 4015), DSACK (RFC 3708), F-RTO (RFC 5682). The round trip is 100 ms. */
#include "unit.h"

#include "tcp/prr.h"
#include "tcp/undo.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

#define MS                (NS_PER_MS)
#define SACK1(a, b)       .n_sack = 1, .sack = {{(a), (b)}}
#define SACK2(a, b, c, d) .n_sack = 2, .sack = {{(a), (b)}, {(c), (d)}}

/* `queued` segments, cwnd of them out at 0; congestion avoidance from `ssthresh` on. */
static void begin(struct script *s, u8 options, u32 queued, u32 cwnd, u32 ssthresh)
{
	script_init(s);
	s->state.k.options = options;
	if (options & TCP_OPT_TIMESTAMPS) {
		s->state.k.peer_mss = SCRIPT_MSS + 12;
		s->state.d.ts_recent = 1000;
	}
	s->state.c.cc_algorithm = TCP_CC_NEWRENO;
	s->state.d.min_rtt_ns = 100 * MS;
	s->state.d.cwnd_bytes = cwnd * MSS;
	s->state.d.ssthresh_bytes = ssthresh;
	script_start(s);
	script_send(s, queued * MSS);
	assert_int_equal(script_flush(s), min_of(queued, cwnd));
}

static const struct tcp_engine_counters *count(struct script *s)
{
	return tcp_engine_counters(s->e);
}

/* -- PRR --------------------------------------------------------------------------------------- */

/* RFC 6937 3 in proportion: 20 out, ssthresh 10: one segment for two delivered. */
static void test_prr_proportional(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 sent = 0;

	begin(&s, TCP_OPT_SACK, 60, 20, UINT32_MAX);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 4 * MSS));
	/* pipe 16: ceil(3 * 10 / 20) = 2 segments, the repeat and no whole one more. */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->ssthresh_bytes, 10 * MSS);
	assert_int_equal(c->prr_flight, 20 * MSS);
	assert_int_equal(c->prr_delivered, 3 * MSS);
	assert_int_equal(c->prr_out, MSS);
	for (u32 i = 5; i <= 16; i++) {
		IN(&s, .ack = 0, SACK1(MSS, i * MSS));
		sent += script_flush(&s);
	}
	/* 15 delivered: 7.5 may be out in all. */
	assert_int_equal(c->prr_delivered, 15 * MSS);
	assert_int_equal(sent + 1, 7);
	assert_int_equal(c->prr_out, 7 * MSS);
	script_at(&s, 200 * MS);
	IN(&s, .ack = 20 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->cwnd_bytes, 10 * MSS);
	script_end(&s);
}

/* The bound: far more was lost than ssthresh allows for. One for one while losses go on, one more
 * for each ACK that moves snd_una. */
static void test_prr_bound(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 60, 20, UINT32_MAX);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	/* Lost: 0 to 15. */
	IN(&s, .ack = 0, SACK1(16 * MSS, 19 * MSS));
	assert_int_equal(c->lost_bytes, 16 * MSS);
	assert_int_equal(recovery_pipe(c), MSS);
	/* Delivered 3: three, not ssthresh - pipe. */
	assert_int_equal(script_flush(&s), 3);
	EXPECT(&s, 2, WIRE_ACK, 2 * MSS, 0, MSS);
	IN(&s, .ack = 0, SACK1(16 * MSS, 20 * MSS));
	assert_int_equal(script_flush(&s), 1);
	script_at(&s, 200 * MS);
	/* snd_una moves and nothing more is lost: slow start. */
	IN(&s, .ack = MSS, SACK1(16 * MSS, 20 * MSS));
	assert_int_equal(script_flush(&s), 2);
	IN(&s, .ack = 2 * MSS, SACK1(16 * MSS, 20 * MSS));
	assert_int_equal(script_flush(&s), 2);
	IN(&s, .ack = 4 * MSS, SACK1(16 * MSS, 20 * MSS));
	assert_int_equal(script_flush(&s), 3);
	assert_true(recovery_pipe(c) <= c->ssthresh_bytes);
	script_end(&s);
}

/* Never above ssthresh by the bound; the timer's loss lets one segment go. */
static void test_prr_edges(void **state)
{
	struct tcp_conn c = {.mss = MSS, .ssthresh_bytes = 5 * MSS, .snd_nxt = seq_of(5 * MSS)};

	c.snd_max = c.snd_nxt;
	prr_begin(&c);
	c.prr_out = MSS;
	prr_ack(&c, 4 * MSS, true);
	assert_int_equal(c.cwnd_bytes, 5 * MSS);
	prr_force(&c);
	assert_int_equal(c.cwnd_bytes, 6 * MSS);
	/* More went out than the proportion allows: nothing, not less than nothing. */
	c.snd_max = c.snd_nxt = seq_of(8 * MSS);
	prr_begin(&c);
	c.prr_out = 4 * MSS;
	prr_ack(&c, MSS, false);
	assert_int_equal(c.cwnd_bytes, 8 * MSS);
}

/* -- Eifel ------------------------------------------------------------------------------------- */

/* RFC 3522 3.2: the ACK that ends fast recovery echoes a timestamp from before the repeat. */
static void test_eifel_fast(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 sent_at;

	begin(&s, TCP_OPT_SACK | TCP_OPT_TIMESTAMPS, 40, 20, 15 * MSS);
	c = script_conn(&s);
	sent_at = s.out[0].options.ts_val;
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS), .ts_ecr = sent_at);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	script_at(&s, 103 * MS);
	IN(&s, .ack = 5 * MSS, .ts_ecr = sent_at);
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	/* RFC 4015 3.2: pipe_prev; what is out and what the ACK covers. */
	assert_int_equal(c->ssthresh_bytes, 20 * MSS);
	assert_true(c->cwnd_bytes >= 20 * MSS);
	/* It was reordering, and is known as such. */
	assert_true(c->loss & LOSS_REORDERING);
	script_end(&s);
}

/* The same with an echo of the repeat: it was needed. */
static void test_eifel_needed(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK | TCP_OPT_TIMESTAMPS, 40, 20, 15 * MSS);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS));
	script_flush(&s);
	script_at(&s, 200 * MS);
	IN(&s, .ack = 20 * MSS, .ts_ecr = s.out[0].options.ts_val);
	assert_int_equal(count(&s)->undos, 0);
	assert_int_equal(c->ssthresh_bytes, 10 * MSS);
	assert_int_equal(c->cwnd_bytes, 10 * MSS);
	script_end(&s);
}

/* A repeat of an earlier recovery that is out still: its echo is older than the first repeat of the
 * recovery at hand, and says nothing of it. */
static void test_eifel_earlier_repeat(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 first, second;

	begin(&s, TCP_OPT_SACK | TCP_OPT_TIMESTAMPS, 60, 20, 15 * MSS);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 20 * MSS));
	assert_true(script_flush(&s) >= 8);
	first = s.out[0].options.ts_val;
	script_at(&s, 200 * MS);
	IN(&s, .ack = 0, SACK2(21 * MSS, 24 * MSS, MSS, 20 * MSS));
	assert_true(script_flush(&s) >= 2);
	EXPECT(&s, 1, WIRE_ACK, 20 * MSS, 0, MSS);
	second = s.out[1].options.ts_val;
	script_at(&s, 210 * MS);
	IN(&s, .ack = 20 * MSS, SACK1(21 * MSS, 24 * MSS), .ts_ecr = first);
	assert_int_equal(c->recovery, TCP_RECOVERY_DISORDER);
	script_flush(&s);
	script_at(&s, 220 * MS);
	IN(&s, .ack = 20 * MSS, SACK2(25 * MSS, 27 * MSS, 21 * MSS, 24 * MSS));
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 24 * MSS, 0, MSS);
	script_at(&s, 300 * MS);
	IN(&s, .ack = 24 * MSS, SACK1(25 * MSS, 27 * MSS), .ts_ecr = second);
	assert_int_equal(count(&s)->undos, 0);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	script_end(&s);
}

/* A timeout that came too early: nothing is sent twice for it but the first segment, the back-off
 * ends, and the timer learns (RFC 4015 3.2 steps 6 and 7). Works without SACK. */
static void test_eifel_timeout(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 sent_at;

	begin(&s, TCP_OPT_TIMESTAMPS, 10, 8, 12 * MSS);
	c = script_conn(&s);
	sent_at = s.out[0].options.ts_val;
	script_at(&s, 302 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->lost_bytes, 7 * MSS);
	assert_int_equal(c->rto_backoff, 1);
	script_at(&s, 400 * MS);
	IN(&s, .ack = 2 * MSS, .ts_ecr = sent_at);
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->lost_bytes, 0);
	assert_int_equal(c->rto_backoff, 0);
	assert_int_equal(c->ssthresh_bytes, 12 * MSS);
	/* 6 out, 2 acknowledged by this ACK. */
	assert_true(c->cwnd_bytes >= 8 * MSS);
	assert_int_equal(c->srtt_ns, 400 * MS);
	assert_int_equal(c->rttvar_ns, 200 * MS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 8 * MSS, 0, MSS);
	assert_int_equal(count(&s)->retransmit_segs, 1);
	script_end(&s);
}

/* -- DSACK ------------------------------------------------------------------------------------- */

/* RFC 3708: every byte that was repeated came twice; told after the recovery is over. */
static void test_dsack_undo(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 40, 20, 15 * MSS);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(2 * MSS, 6 * MSS));
	IN(&s, .ack = 0, SACK1(2 * MSS, 8 * MSS));
	/* The two, and a new one: 6 delivered, 3 may go. */
	assert_int_equal(script_flush(&s), 3);
	assert_int_equal(c->undo_bytes, 2 * MSS);
	script_at(&s, 200 * MS);
	IN(&s, .ack = 20 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->ssthresh_bytes, 10 * MSS);
	IN(&s, .ack = 20 * MSS, SACK1(0, MSS));
	assert_int_equal(count(&s)->undos, 0);
	assert_int_equal(c->undo_bytes, MSS);
	IN(&s, .ack = 20 * MSS, SACK1(MSS, 2 * MSS));
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(c->ssthresh_bytes, 20 * MSS);
	assert_int_equal(c->reo_steps, 2);
	/* Once. */
	IN(&s, .ack = 20 * MSS, SACK1(MSS, 2 * MSS));
	assert_int_equal(count(&s)->undos, 1);
	script_end(&s);
}

/* A DSACK for what was not repeated: the network made the copy. */
static void test_dsack_of_the_network(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 40, 20, 15 * MSS);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 6 * MSS));
	assert_true(script_flush(&s) >= 1);
	IN(&s, .ack = 0, SACK2(3 * MSS, 4 * MSS, MSS, 6 * MSS));
	assert_int_equal(count(&s)->dsacks_in, 1);
	assert_int_equal(count(&s)->undos, 0);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	script_end(&s);
}

/* -- F-RTO ------------------------------------------------------------------------------------- */

/* Ten out, one of them repeated by the loss probe, then a timeout: at 606 ms the first goes again.
 */
static void time_out(struct script *s, u32 queued)
{
	struct tcp_conn *c;

	begin(s, TCP_OPT_SACK, queued, 10, 8 * MSS);
	c = script_conn(s);
	c->loss |= LOSS_TLP; /* no probe: it would be the first to find out */
	c->probe_at_ns = TIMER_STOPPED;
	script_at(s, 302 * MS);
	assert_int_equal(script_flush(s), 1);
	EXPECT(s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_LOSS);
	assert_true(c->loss & LOSS_FRTO);
	script_at(s, 350 * MS);
}

/* RFC 5682 3.1 step 3b: originals arrive that were never repeated. */
static void test_frto_spurious(void **state)
{
	struct script s;
	struct tcp_conn *c;

	time_out(&s, 20);
	c = script_conn(&s);
	/* Step 2b: two new segments instead of repeats. */
	IN(&s, .ack = MSS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 10 * MSS, 0, MSS);
	EXPECT(&s, 1, WIRE_ACK, 11 * MSS, 0, MSS);
	IN(&s, .ack = 2 * MSS);
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->lost_bytes, 0);
	assert_int_equal(c->ssthresh_bytes, 10 * MSS);
	assert_int_equal(c->rto_backoff, 0);
	script_flush(&s);
	for (u32 i = 0; i < s.n_tx; i++)
		assert_true(s.out_seq[i] >= 12 * MSS);
	assert_int_equal(count(&s)->retransmit_segs, 1);
	script_end(&s);
}

/* Step 3b by SACK: something of before the timeout is sacked. */
static void test_frto_spurious_sack(void **state)
{
	struct script s;

	time_out(&s, 20);
	IN(&s, .ack = MSS);
	assert_int_equal(script_flush(&s), 2);
	IN(&s, .ack = MSS, SACK1(5 * MSS, 6 * MSS));
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_DISORDER);
	script_end(&s);
}

/* Step 3a: only the new segments arrive: what was out is lost. */
static void test_frto_real(void **state)
{
	struct script s;
	struct tcp_conn *c;

	time_out(&s, 20);
	c = script_conn(&s);
	IN(&s, .ack = MSS);
	assert_int_equal(script_flush(&s), 2);
	script_at(&s, 450 * MS);
	IN(&s, .ack = MSS, SACK1(10 * MSS, 11 * MSS));
	assert_int_equal(count(&s)->undos, 0);
	assert_int_equal(c->recovery, TCP_RECOVERY_LOSS);
	assert_int_equal(c->loss & (LOSS_FRTO | LOSS_FRTO_NEW), 0);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	script_end(&s);
}

/* Step 2: nothing new to send, or the ACK covers everything: conventional recovery. */
static void test_frto_no_new_data(void **state)
{
	struct script s;

	time_out(&s, 10);
	IN(&s, .ack = MSS);
	assert_int_equal(script_conn(&s)->loss & (LOSS_FRTO | LOSS_FRTO_NEW), 0);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	IN(&s, .ack = 10 * MSS);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->undos, 0);
	script_end(&s);
}

/* Step 1: a timeout out of fast recovery is not F-RTO's. */
static void test_frto_not_in_recovery(void **state)
{
	struct script s;

	begin(&s, TCP_OPT_SACK, 10, 10, 8 * MSS);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS));
	script_flush(&s);
	script_at(&s, 405 * MS);
	script_flush(&s);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_LOSS);
	assert_false(script_conn(&s)->loss & LOSS_FRTO);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prr_proportional),
		cmocka_unit_test(test_prr_bound),
		cmocka_unit_test(test_prr_edges),
		cmocka_unit_test(test_eifel_fast),
		cmocka_unit_test(test_eifel_needed),
		cmocka_unit_test(test_eifel_earlier_repeat),
		cmocka_unit_test(test_eifel_timeout),
		cmocka_unit_test(test_dsack_undo),
		cmocka_unit_test(test_dsack_of_the_network),
		cmocka_unit_test(test_frto_spurious),
		cmocka_unit_test(test_frto_spurious_sack),
		cmocka_unit_test(test_frto_real),
		cmocka_unit_test(test_frto_no_new_data),
		cmocka_unit_test(test_frto_not_in_recovery),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* RACK and tail loss probes (RFC 8985), with literal times: the round trip is 100 ms. */
#include "unit.h"

#include "tcp/rack.h"
#include "tcp/tlp.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

#define MS                (NS_PER_MS)
#define SACK1(a, b)       .n_sack = 1, .sack = {{(a), (b)}}
#define SACK2(a, b, c, d) .n_sack = 2, .sack = {{(a), (b)}, {(c), (d)}}

static tcp_seq at(u32 offset)
{
	return seq_of(SCRIPT_ISS + offset);
}

/* `segs` segments queued, and as many of them out at 0 as cwnd (10) allows. */
static void begin(struct script *s, u8 options, u32 segs)
{
	script_init(s);
	s->state.k.options = options;
	s->state.c.cc_algorithm = TCP_CC_NEWRENO;
	s->state.d.min_rtt_ns = 100 * MS;
	script_start(s);
	script_send(s, segs * MSS);
	script_flush(s);
}

static const struct tcp_engine_counters *count(struct script *s)
{
	return tcp_engine_counters(s->e);
}

/* 6.2 step 5: one sacked segment is enough, after the reordering window: a quarter of min_rtt.
 * RFC8985-4a, RFC8985-4b, RFC8985-6.2e, RFC8985-6.2g. */
static void test_reordering_timer(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 2);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 2 * MSS));
	EXPECT_NONE(&s);
	assert_int_equal(c->recovery, TCP_RECOVERY_DISORDER);
	assert_int_equal(c->rack_rtt_us, 100000);
	assert_int_equal(rack_reo_wnd(s.e, c), 25 * MS);
	assert_int_equal(c->probe_at_ns, s.start_ns + 125 * MS);
	script_at(&s, 125 * MS - 1);
	EXPECT_NONE(&s);
	script_at(&s, 127 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(count(&s)->rack_timeouts, 1);
	script_at(&s, 227 * MS);
	IN(&s, .ack = 2 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->timeouts, 0);
	script_end(&s);
}

/* Step 3: what comes late, but comes, is reordering; then DupThresh is no reason to hurry.
 * RFC8985-6.2c. */
static void test_reordering_seen(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 20);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 2 * MSS));
	script_flush(&s);
	assert_false(c->loss & LOSS_REORDERING);
	script_at(&s, 110 * MS);
	IN(&s, .ack = 2 * MSS);
	script_flush(&s);
	assert_true(c->loss & LOSS_REORDERING);
	assert_int_equal(count(&s)->reorderings, 1);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	/* Eight sacked: still within the window of 25 ms. */
	IN(&s, .ack = 2 * MSS, SACK1(3 * MSS, 10 * MSS));
	assert_int_equal(c->recovery, TCP_RECOVERY_DISORDER);
	assert_int_equal(rack_reo_wnd(s.e, c), 25 * MS);
	/* 0 + 110 ms + 25 ms */
	assert_int_equal(c->probe_at_ns, s.start_ns + 135 * MS);
	script_flush(&s);
	script_at(&s, 134 * MS);
	IN(&s, .ack = 10 * MSS);
	assert_int_equal(count(&s)->retransmit_segs, 0);
	assert_int_equal(c->loss & LOSS_REO_TIMER, 0);
	script_end(&s);
}

/* Step 4: DupThresh without reordering makes the window 0, and so does recovery. RFC8985-6.2d. */
static void test_no_window(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 10);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(2 * MSS, 5 * MSS));
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(rack_reo_wnd(s.e, c), 0);
	/* What lies right of the newest that was delivered is not judged. */
	assert_int_equal(c->lost_bytes, 2 * MSS);
	assert_int_equal(count(&s)->rack_lost_bytes, 2 * MSS);
	IN(&s, .ack = 0, SACK2(6 * MSS, 7 * MSS, 2 * MSS, 5 * MSS));
	assert_int_equal(c->lost_bytes, 3 * MSS);
	script_end(&s);
}

static void dsack(struct script *s, u32 ack, u32 from, u32 to)
{
	IN(s, .ack = ack, SACK1(from, to));
}

/* RACK_update_reo_wnd(): a step wider each round with a DSACK, back after 16 recoveries without.
 * RFC8985-6.2e, RFC8985-6.2f. */
static void test_adaptation(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 10);
	c = script_conn(&s);
	c->loss |= LOSS_REORDERING;
	script_at(&s, 100 * MS);
	IN(&s, .ack = 5 * MSS);
	dsack(&s, 5 * MSS, MSS, 2 * MSS);
	assert_int_equal(c->reo_steps, 2);
	assert_int_equal(rack_reo_wnd(s.e, c), 50 * MS);
	/* The same round trip: no further step. */
	dsack(&s, 6 * MSS, 2 * MSS, 3 * MSS);
	assert_int_equal(c->reo_steps, 2);
	/* snd_una reaches what snd_max was: another one. */
	dsack(&s, 10 * MSS, 3 * MSS, 4 * MSS);
	assert_int_equal(c->reo_steps, 3);
	assert_int_equal(rack_reo_wnd(s.e, c), 75 * MS);
	/* Never more than SRTT. */
	c->reo_steps = 200;
	assert_int_equal(rack_reo_wnd(s.e, c), c->srtt_ns);
	for (u32 i = 0; i < 15; i++)
		rack_recovered(c);
	assert_int_equal(c->reo_steps, 200);
	rack_recovered(c);
	assert_int_equal(c->reo_steps, 1);
	assert_int_equal(rack_reo_wnd(s.e, c), 25 * MS);
	script_end(&s);
}

/* 6.2: a repeat that is lost again is found when something sent later arrives: no timeout.
 * RFC8985-4c, RFC8985-6.2g. */
static void test_lost_repeat(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 13);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 4 * MSS));
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	IN(&s, .ack = 0, SACK1(MSS, 10 * MSS));
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 10 * MSS, 0, MSS);
	/* The new segment left at 100 ms too, right of the repeat. */
	script_at(&s, 205 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 11 * MSS));
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(count(&s)->retransmit_segs, 2);
	script_at(&s, 305 * MS);
	IN(&s, .ack = 13 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->timeouts, 0);
	script_end(&s);
}

/* 6.3: a timeout makes lost what has been out for long enough, not what left just before.
 * RFC8985-6.3. */
static void test_timeout_marks(void **state)
{
	struct script s;
	struct tcp_conn *c;
	struct sent_at a;
	struct sent_record *r;

	begin(&s, TCP_OPT_SACK, 2);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = MSS);
	script_at(&s, 290 * MS);
	script_send(&s, MSS);
	script_flush(&s);
	recovery_timeout(s.e, c);
	r = sent_first(s.e, c, &a);
	assert_true(r->flags & SENT_LOST);
	r = sent_next(s.e, c, &a);
	assert_false(r->flags & SENT_LOST);
	assert_int_equal(c->lost_bytes, MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	/* The repeat arrives; the last one, older by then than a round trip, too. */
	script_at(&s, 390 * MS);
	IN(&s, .ack = 3 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->retransmit_segs, 1);
	script_end(&s);
}

/* Without SACK: RFC 6582; the log does not find anything lost, and no probe is sent. */
static void test_without_sack(void **state)
{
	struct script s;

	begin(&s, 0, 4);
	assert_int_equal(script_conn(&s)->probe_at_ns, TIMER_STOPPED);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0);
	IN(&s, .ack = 0);
	EXPECT_NONE(&s);
	assert_int_equal(script_conn(&s)->lost_bytes, 0);
	IN(&s, .ack = 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	assert_int_equal(count(&s)->loss_probes, 0);
	script_end(&s);
}

/* No record, no buffer: duplicate ACKs and partial ACKs repair it all the same. */
static void test_without_log(void **state)
{
	static u32 bufs[1024];
	struct script s;
	struct tcp_conn *c;
	u32 n = 0;

	begin(&s, TCP_OPT_SACK, 8);
	c = script_conn(&s);
	sent_clear(s.e, c);
	c->flags |= CONN_UNLOGGED;
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 3 * MSS));
	EXPECT_NONE(&s);
	IN(&s, .ack = 0, SACK2(4 * MSS, 6 * MSS, MSS, 3 * MSS)); /* 0, 3, 6, 7 are lost */
	while ((bufs[n] = buf_alloc(&s.pool, BUF_SMALL)) != NIL)
		n++;
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	for (u32 i = 0; i < n; i++)
		buf_put(&s.pool, bufs[i]);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	script_at(&s, 200 * MS);
	IN(&s, .ack = 3 * MSS, SACK1(4 * MSS, 6 * MSS));
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 3 * MSS, 0, MSS);
	script_at(&s, 300 * MS);
	IN(&s, .ack = 6 * MSS);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 6 * MSS, 0, MSS);
	script_at(&s, 400 * MS);
	IN(&s, .ack = 8 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->timeouts, 0);
	script_end(&s);
}

/* -- tail loss probes -------------------------------------------------------------------------- */

/* 7.2, 7.3: after two round trips the last segment goes again; its SACK tells of the rest.
 * RFC8985-7.2a, RFC8985-7.3a, RFC8985-7.3b, RFC8985-7.3c. */
static void test_probe_repeats(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 5);
	c = script_conn(&s);
	assert_int_equal(c->probe_at_ns, s.start_ns + 202 * MS);
	script_at(&s, 202 * MS - 1);
	EXPECT_NONE(&s);
	script_at(&s, 204 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 4 * MSS, 0, MSS);
	assert_int_equal(count(&s)->loss_probes, 1);
	assert_true(c->loss & LOSS_TLP);
	/* The timeout is that long from now, and there is one probe at a time. */
	assert_int_equal(c->retransmit_at_ns, s.start_ns + 504 * MS);
	assert_int_equal(c->probe_at_ns, TIMER_STOPPED);
	script_at(&s, 304 * MS);
	IN(&s, .ack = 0, SACK1(4 * MSS, 5 * MSS));
	/* It left 204 ms after the others: they are overdue by more than the window. */
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(c->lost_bytes, 4 * MSS);
	assert_int_equal(script_flush(&s), 1);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	script_at(&s, 404 * MS);
	IN(&s, .ack = MSS, SACK1(4 * MSS, 5 * MSS));
	assert_int_equal(script_flush(&s), 2);
	script_at(&s, 504 * MS);
	IN(&s, .ack = 3 * MSS, SACK1(4 * MSS, 5 * MSS));
	assert_int_equal(script_flush(&s), 1);
	script_at(&s, 604 * MS);
	IN(&s, .ack = 5 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(count(&s)->timeouts, 0);
	assert_int_equal(count(&s)->retransmit_segs, 5);
	script_end(&s);
}

/* 7.3: unsent data goes first, whatever cwnd says, within the peer's window. RFC8985-7.3a,
 * RFC8985-7.4b. */
static void test_probe_new_data(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 12);
	c = script_conn(&s);
	script_at(&s, 204 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 10 * MSS, 0, MSS);
	assert_int_equal(c->tlp_end.n, at(11 * MSS).n);
	assert_int_equal(c->loss & (LOSS_TLP | LOSS_TLP_REPEAT), LOSS_TLP);
	/* 7.4.2: it was no repeat: its ACK says nothing of a loss. */
	IN(&s, .ack = 11 * MSS);
	assert_int_equal(c->loss & LOSS_TLP, 0);
	assert_int_equal(c->ssthresh_bytes, UINT32_MAX);
	script_end(&s);
}

static void test_probe_closed_window(void **state)
{
	struct script s;

	begin(&s, TCP_OPT_SACK, 12);
	IN(&s, .ack = 0, .wnd = 10 * MSS);
	script_at(&s, 204 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 9 * MSS, 0, MSS);
	script_end(&s);
}

/* 7.2: one segment waits for a delayed ACK too, but never longer than the timeout, which it then
 * goes before. RFC8985-7.2b, RFC8985-7.2c, RFC8985-7.3c. */
static void test_probe_single(void **state)
{
	struct script s;
	struct tcp_conn *c;

	script_init(&s);
	s.state.k.options = TCP_OPT_SACK;
	s.state.d.rto_ns = 500 * MS;
	script_start(&s);
	c = script_conn(&s);
	script_send(&s, MSS);
	script_flush(&s);
	assert_int_equal(c->probe_at_ns, s.start_ns + 402 * MS);
	script_at(&s, 405 * MS);
	EXPECT_ONE(&s);
	IN(&s, .ack = MSS);
	c->rto_ns = 300 * MS;
	script_send(&s, MSS);
	script_flush(&s);
	c->loss &= (u16)~LOSS_TLP;
	tlp_schedule(s.e, c);
	assert_int_equal(c->probe_at_ns, c->retransmit_at_ns);
	script_at(&s, 710 * MS);
	EXPECT_ONE(&s);
	assert_int_equal(count(&s)->loss_probes, 2);
	assert_int_equal(count(&s)->timeouts, 0);
	script_at(&s, 1015 * MS);
	EXPECT_ONE(&s);
	assert_int_equal(count(&s)->timeouts, 1);
	script_end(&s);
}

/* 7.4: the three ends of an episode with a repeat. */
static void probe_episode(struct script *s)
{
	begin(s, TCP_OPT_SACK, 5);
	script_at(s, 204 * MS);
	assert_int_equal(script_flush(s), 1);
	script_at(s, 304 * MS);
	IN(s, .ack = 5 * MSS);
	/* Nobody can know yet. */
	assert_true(script_conn(s)->loss & LOSS_TLP);
	assert_int_equal(script_conn(s)->ssthresh_bytes, UINT32_MAX);
}

/* RFC8985-7.4a. */
static void test_probe_repaired(void **state)
{
	struct script s;

	probe_episode(&s);
	script_send(&s, MSS);
	script_flush(&s);
	IN(&s, .ack = 6 * MSS);
	assert_false(script_conn(&s)->loss & LOSS_TLP);
	assert_int_equal(count(&s)->loss_probe_repairs, 1);
	assert_int_not_equal(script_conn(&s)->ssthresh_bytes, UINT32_MAX);
	assert_true(script_conn(&s)->cwnd_bytes <= script_conn(&s)->ssthresh_bytes);
	script_end(&s);
}

/* RFC8985-7.4b. */
static void test_probe_needless_dsack(void **state)
{
	struct script s;

	probe_episode(&s);
	IN(&s, .ack = 5 * MSS, SACK1(4 * MSS, 5 * MSS));
	assert_false(script_conn(&s)->loss & LOSS_TLP);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, UINT32_MAX);
	/* Nor is it a sign of reordering. */
	assert_int_equal(script_conn(&s)->reo_steps, 0);
	script_end(&s);
}

/* RFC8985-7.4b. */
static void test_probe_needless_duplicate(void **state)
{
	struct script s;

	probe_episode(&s);
	/* Data of the peer with the same ACK is no duplicate. */
	IN(&s, .ack = 5 * MSS, .len = 10);
	assert_true(script_conn(&s)->loss & LOSS_TLP);
	IN(&s, .ack = 5 * MSS, .seq = 10);
	assert_false(script_conn(&s)->loss & LOSS_TLP);
	assert_int_equal(count(&s)->loss_probe_repairs, 0);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reordering_timer),
		cmocka_unit_test(test_reordering_seen),
		cmocka_unit_test(test_no_window),
		cmocka_unit_test(test_adaptation),
		cmocka_unit_test(test_lost_repeat),
		cmocka_unit_test(test_timeout_marks),
		cmocka_unit_test(test_without_sack),
		cmocka_unit_test(test_without_log),
		cmocka_unit_test(test_probe_repeats),
		cmocka_unit_test(test_probe_new_data),
		cmocka_unit_test(test_probe_closed_window),
		cmocka_unit_test(test_probe_single),
		cmocka_unit_test(test_probe_repaired),
		cmocka_unit_test(test_probe_needless_dsack),
		cmocka_unit_test(test_probe_needless_duplicate),
	};

	return RUN_TESTS(tests);
}

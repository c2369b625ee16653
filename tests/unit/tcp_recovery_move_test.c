/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A connection that moves in the middle of a recovery: what was lost is sent again, once, and what
 * was needless can still be undone. The round trip is 100 ms. */
#include "unit.h"

#include "tcp/recovery.h"
#include "tcp/sack.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

#define MS                (NS_PER_MS)
#define SACK1(a, b)       .n_sack = 1, .sack = {{(a), (b)}}
#define SACK2(a, b, c, d) .n_sack = 2, .sack = {{(a), (b)}, {(c), (d)}}

static void begin(struct script *s, u8 options, u32 segs)
{
	script_init(s);
	s->state.k.options = options;
	if (options & TCP_OPT_TIMESTAMPS) {
		s->state.k.peer_mss = SCRIPT_MSS + 12;
		s->state.d.ts_recent = 1000;
	}
	s->state.c.cc_algorithm = TCP_CC_NEWRENO;
	s->state.d.min_rtt_ns = 100 * MS;
	s->state.d.cwnd_bytes = 20 * MSS;
	script_start(s);
	script_send(s, segs * MSS);
	assert_int_equal(script_flush(s), min_of(segs, 20u));
}

/* Out, and in again: nothing but the snapshot and the bytes is left of it. */
static void move(struct script *s)
{
	struct tcp_conn *c = script_conn(s);

	tcp_conn_quiesce(s->e, s->conn, s->e->now_ns, NULL);
	tcp_conn_export(s->e, s->conn, s->e->now_ns, &s->state);
	c->snd_head = c->snd_tail = NIL;
	tcp_conn_free(s->e, s->conn);
	script_start(s);
}

static const struct tcp_engine_counters *count(struct script *s)
{
	return tcp_engine_counters(s->e);
}

/* Fast recovery, one of three holes resent: the other two follow, and PRR goes on counting. */
static void test_fast(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 20);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK2(5 * MSS, 7 * MSS, MSS, 2 * MSS)); /* 0, 2, 3, 4 */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	script_at(&s, 110 * MS);
	move(&s);
	c = script_conn(&s);
	assert_int_equal(c->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(c->prr_delivered, 3 * MSS);
	assert_int_equal(c->prr_out, MSS);
	assert_int_equal(c->prr_flight, 20 * MSS);
	assert_int_equal(c->lost_bytes, 3 * MSS);
	EXPECT_NONE(&s);
	IN(&s, .ack = 0, SACK2(5 * MSS, 10 * MSS, MSS, 2 * MSS));
	IN(&s, .ack = 0, SACK2(5 * MSS, 20 * MSS, MSS, 2 * MSS));
	assert_int_equal(script_flush(&s), 3);
	EXPECT(&s, 0, WIRE_ACK, 2 * MSS, 0, MSS);
	EXPECT(&s, 2, WIRE_ACK, 4 * MSS, 0, MSS);
	assert_int_equal(count(&s)->retransmit_segs, 4);
	script_at(&s, 210 * MS);
	IN(&s, .ack = 20 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	assert_int_equal(c->cwnd_bytes, c->ssthresh_bytes);
	assert_int_equal(count(&s)->timeouts, 0);
	script_end(&s);
}

/* After a timeout, two of six resent: snd_nxt tells where to go on. */
static void test_loss(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, 0, 6);
	script_at(&s, 302 * MS);
	EXPECT_ONE(&s);
	move(&s);
	c = script_conn(&s);
	assert_int_equal(s.state.d.snd_nxt.n, SCRIPT_ISS + MSS);
	assert_int_equal(c->snd_nxt.n, c->snd_max.n);
	assert_int_equal(c->lost_bytes, 5 * MSS);
	EXPECT_NONE(&s);
	script_at(&s, 400 * MS);
	IN(&s, .ack = MSS);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	EXPECT(&s, 1, WIRE_ACK, 2 * MSS, 0, MSS);
	script_at(&s, 500 * MS);
	IN(&s, .ack = 6 * MSS);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	script_end(&s);
}

/* The kernel leaves snd_nxt where it is: all but the first segment counts as lost. */
static void test_loss_of_the_kernel(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK | TCP_OPT_TIMESTAMPS, 6);
	script_conn(&s)->recovery = TCP_RECOVERY_LOSS;
	script_conn(&s)->recovery_point = script_conn(&s)->snd_max;
	script_conn(&s)->cwnd_bytes = MSS;
	script_conn(&s)->high_rxt = script_conn(&s)->snd_una;
	move(&s);
	c = script_conn(&s);
	assert_int_equal(c->lost_bytes, 5 * MSS);
	EXPECT_NONE(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = MSS);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	script_end(&s);
}

/* The tail of what is in flight is probed for, as if it had left at the move. */
static void test_probe(void **state)
{
	struct script s;

	begin(&s, TCP_OPT_SACK, 3);
	script_at(&s, 50 * MS);
	move(&s);
	assert_int_equal(script_conn(&s)->probe_at_ns, s.start_ns + 252 * MS);
	script_at(&s, 254 * MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 2 * MSS, 0, MSS);
	script_end(&s);
}

/* RFC 3522: the timestamp of the first repeat moves along. */
static void test_undo(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 first;

	begin(&s, TCP_OPT_SACK | TCP_OPT_TIMESTAMPS, 20);
	first = s.out[0].options.ts_val;
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 5 * MSS), .ts_ecr = first);
	assert_true(script_flush(&s) >= 1);
	script_at(&s, 101 * MS);
	move(&s);
	c = script_conn(&s);
	assert_int_equal(c->ssthresh_bytes, 10 * MSS);
	script_at(&s, 103 * MS);
	IN(&s, .ack = 5 * MSS, .ts_ecr = first);
	assert_int_equal(count(&s)->undos, 1);
	assert_int_equal(c->ssthresh_bytes, UINT32_MAX);
	assert_int_equal(c->recovery, TCP_RECOVERY_OPEN);
	script_end(&s);
}

/* What was learnt of reordering moves along too. */
static void test_reordering(void **state)
{
	struct script s;
	struct tcp_conn *c;

	begin(&s, TCP_OPT_SACK, 20);
	c = script_conn(&s);
	c->loss |= LOSS_REORDERING;
	c->reo_steps = 3;
	c->reo_persist = 9;
	move(&s);
	c = script_conn(&s);
	script_at(&s, 100 * MS);
	IN(&s, .ack = 0, SACK1(MSS, 10 * MSS));
	/* Wider than DupThresh would have it: 75 ms. */
	assert_int_equal(c->recovery, TCP_RECOVERY_DISORDER);
	assert_int_equal(c->probe_at_ns, s.start_ns + 175 * MS);
	assert_int_equal(c->reo_persist, 9);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fast),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_loss_of_the_kernel),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_undo),
		cmocka_unit_test(test_reordering),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Explicit Congestion Notification (RFC 3168, 8311, 8511): agreeing, saying and hearing it. */
#include "unit.h"

#include "tcp_pair.h"
#include "tcp_script.h"

#include "tcp/ecn.h"

enum {
	ALL = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE | TCP_OPT_ECN,
	DATA = WIRE_ACK,
	LAST = WIRE_ACK | WIRE_PSH,
};

static void begin(struct script *s, u8 algorithm)
{
	script_init(s);
	s->state.k.options = TCP_OPT_ECN;
	s->state.d.ecn_state = TCP_ECN_AGREED;
	s->state.c.cc_algorithm = algorithm;
	s->state.d.srtt_ns = 100 * NS_PER_MS;
	script_start(s);
}

static u8 codepoint(const struct script *s, u32 i)
{
	return s->out[i].tos & ECN_MASK;
}

/* -- agreeing (6.1.1) -------------------------------------------------------------------------- */

/* What an open saw: flags of SYNs and SYN-ACKs, and ECN fields of all frames. */
struct seen {
	u8 syn[8];
	u32 n_syn;
	u32 codepoints[4];
	u32 lose_syn; /* how many of end 0's SYNs are lost */
	u32 lose_syn_ack;
};

static bool watch(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	struct seen *seen = p->context;
	struct wire_tcp_segment w;

	assert_int_equal(wire_parse_tcp(frame, len, len, &w), WIRE_OK);
	seen->codepoints[w.tos & ECN_MASK]++;
	if (w.flags & WIRE_SYN) {
		assert_int_equal(w.tos & ECN_MASK, ECN_NOT_ECT);
		assert_true(seen->n_syn < 8);
		seen->syn[seen->n_syn++] = w.flags & (WIRE_ECE | WIRE_CWR);
		if (from == 0 && seen->lose_syn) {
			seen->lose_syn--;
			return false;
		}
		if (from == 1 && seen->lose_syn_ack) {
			seen->lose_syn_ack--;
			return false;
		}
	}
	return true;
}

static void open_pair(struct pair *p, struct seen *seen, bool v6)
{
	struct pair_options o = {.seed = 1, .delay_ns = NS_PER_MS, .options = ALL, .v6 = v6};

	pair_init(p, &o);
	p->filter = watch;
	p->context = seen;
	pair_open(p, 0);
	p->end[0].stream[0].to_send = 100000;
	p->end[1].stream[0].to_send = 50000;
	assert_true(pair_run_streams(p, 20 * NS_PER_S));
}

static void test_agreed(void **state)
{
	for (u32 v6 = 0; v6 < 2; v6++) {
		struct seen seen = {0};
		struct pair p;

		open_pair(&p, &seen, v6);
		assert_int_equal(seen.n_syn, 2);
		assert_int_equal(seen.syn[0], WIRE_ECE | WIRE_CWR);
		assert_int_equal(seen.syn[1], WIRE_ECE);
		for (u32 end = 0; end < 2; end++) {
			assert_int_equal(pair_conn(&p, end, 0)->options, ALL);
			assert_int_equal(pair_conn(&p, end, 0)->ecn_state,
			                 TCP_ECN_AGREED | TCP_ECN_SEEN);
		}
		assert_in_range(seen.codepoints[ECN_ECT_0], 100, 200);
		assert_int_equal(seen.codepoints[ECN_ECT_1], 0);
		assert_int_equal(seen.codepoints[ECN_CE], 0);
		pair_finish(&p);
	}
}

/* 6.1.1.1: a SYN that is sent again does not offer. */
static void test_lost_syn_falls_back(void **state)
{
	struct seen seen = {.lose_syn = 1};
	struct pair p;

	open_pair(&p, &seen, false);
	assert_int_equal(seen.n_syn, 3);
	assert_int_equal(seen.syn[0], WIRE_ECE | WIRE_CWR);
	assert_int_equal(seen.syn[1], 0);
	assert_int_equal(seen.syn[2], 0);
	for (u32 end = 0; end < 2; end++)
		assert_int_equal(pair_conn(&p, end, 0)->options & TCP_OPT_ECN, 0);
	assert_int_equal(seen.codepoints[ECN_ECT_0], 0);
	pair_finish(&p);
}

/* The SYN-ACK is lost: the plain SYN that comes instead of its ACK takes the offer back, and
 * whatever crosses it, nobody sends ECT. */
static void test_lost_syn_ack_falls_back(void **state)
{
	struct seen seen = {.lose_syn_ack = 1};
	struct pair p;

	open_pair(&p, &seen, false);
	assert_int_equal(seen.syn[1], WIRE_ECE);
	assert_int_equal(pair_conn(&p, 1, 0)->options & TCP_OPT_ECN, 0);
	for (u32 end = 0; end < 2; end++)
		assert_int_equal(pair_conn(&p, end, 0)->ecn_state & TCP_ECN_SEEN, 0);
	assert_int_equal(seen.codepoints[ECN_ECT_0], 0);
	pair_finish(&p);
}

/* An active open whose peer answers with `flags`. Returns the connection's options. */
static u8 answered_with(u8 flags, u8 ecn, u32 syns, u8 *ret_ecn_state)
{
	struct tcp_open_params params = {
		.local_port = SCRIPT_LOCAL_PORT,
		.remote_port = SCRIPT_REMOTE_PORT,
		.options = TCP_OPT_ECN,
		.mss = 1000,
		.settings = {.rcv_buf_bytes = 60000, .snd_buf_bytes = 60000},
	};
	static u8 bytes[2048];
	struct script s;
	u8 options;
	u32 len;

	script_init(&s);
	params.path = s.path;
	assert_int_equal(tcp_open(s.e, &params, s.start_ns, &s.conn), 0);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].flags, WIRE_SYN | WIRE_ECE | WIRE_CWR);
	for (u32 i = 1; i < syns; i++) {
		script_at(&s, 1100 * NS_PER_MS);
		EXPECT_ONE(&s);
		assert_int_equal(s.out[0].flags, WIRE_SYN);
	}
	len = script_build(&s,
	                   &(struct peer){.flags = WIRE_SYN | WIRE_ACK | flags,
	                                  .ack = script_conn(&s)->iss.n + 1 - SCRIPT_ISS,
	                                  .ecn = ecn},
	                   bytes);
	script_frame(&s, bytes, len, FRAME_CSUM_UNKNOWN);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	options = script_conn(&s)->options;
	*ret_ecn_state = script_conn(&s)->ecn_state;
	script_end(&s);
	return options;
}

static void test_answers(void **state)
{
	u8 ecn;

	assert_int_equal(answered_with(WIRE_ECE, 0, 1, &ecn), TCP_OPT_ECN);
	assert_int_equal(ecn, TCP_ECN_AGREED);
	assert_int_equal(answered_with(0, 0, 1, &ecn), 0);
	assert_int_equal(ecn, 0);
	/* A peer that reflects reserved bits. */
	assert_int_equal(answered_with(WIRE_ECE | WIRE_CWR, 0, 1, &ecn), 0);
	assert_int_equal(answered_with(WIRE_CWR, 0, 1, &ecn), 0);
	/* RFC 8311 4.3: a SYN-ACK of an experiment may be marked. */
	assert_int_equal(answered_with(WIRE_ECE, ECN_CE, 1, &ecn), TCP_OPT_ECN);
	assert_int_equal(ecn, TCP_ECN_AGREED | TCP_ECN_DEMAND_CWR);
	/* The answer to the first SYN after the second, which was plain: CE is answered, but no ECT
	 * is sent (6.1.1). */
	assert_int_equal(answered_with(WIRE_ECE, 0, 2, &ecn), TCP_OPT_ECN);
	assert_int_equal(ecn, TCP_ECN_AGREED | TCP_ECN_NO_ECT);
}

/* -- saying CE (6.1.3) ------------------------------------------------------------------------- */

static void test_receiver(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	IN(&s, .len = 100, .ecn = ECN_ECT_0);
	EXPECT_NONE(&s);
	IN(&s, .seq = 100, .len = 100, .ecn = ECN_CE);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_ECE, 0, 200, 0);
	assert_int_equal(codepoint(&s, 0), ECN_NOT_ECT);
	/* Until CWR, on data too. */
	IN(&s, .seq = 200, .len = 100, .ecn = ECN_ECT_0);
	script_send(&s, 10);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, LAST | WIRE_ECE, 0, 300, 10);
	assert_int_equal(codepoint(&s, 0), ECN_ECT_0);
	/* CWR is answered at once. */
	IN(&s, .flags = WIRE_ACK | WIRE_CWR, .seq = 300, .ack = 10, .len = 100, .ecn = ECN_ECT_0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 10, 400, 0);
	/* CE with the CWR begins anew. */
	IN(&s, .flags = WIRE_ACK | WIRE_CWR, .seq = 400, .ack = 10, .len = 100, .ecn = ECN_CE);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_ECE, 10, 500, 0);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_ce_in, 2);
	script_end(&s);
}

/* RFC 8311 4.3: CE where RFC 3168 has no ECT. Outside of the window it says nothing (6.1.5). */
static void test_receiver_control_packets(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	IN(&s, .ecn = ECN_CE); /* a pure ACK: counted */
	assert_int_equal(tcp_engine_counters(s.e)->ecn_ce_in, 1);
	assert_int_equal(script_conn(&s)->ecn_state, TCP_ECN_AGREED);
	IN(&s, .len = 100);
	IN(&s, .len = 100, .ecn = ECN_CE); /* all of it old */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 100, 0);
	IN(&s, .seq = 50, .len = 100, .ecn = ECN_CE); /* sent again, half of it new */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_ECE, 0, 150, 0);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN | WIRE_CWR, .seq = 150, .ecn = ECN_CE);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_ECE, 0, 151, 0);
	script_end(&s);
}

/* A superframe of marked segments: one state, and the ACK goes at once. */
static void test_receiver_superframe(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	IN(&s, .len = 4000, .gso_bytes = 1000, .ecn = ECN_CE);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_ce_in, 4);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_ECE, 0, 4000, 0);
	script_end(&s);
}

/* -- hearing ECE (6.1.2) ----------------------------------------------------------------------- */

static void test_sender_reacts_once_a_window(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	script_send(&s, 20000);
	assert_int_equal(script_flush(&s), 10);
	for (u32 i = 0; i < 10; i++)
		assert_int_equal(codepoint(&s, i), ECN_ECT_0);
	/* RFC 8511: 0.8 of the flight; nothing goes until that much has left. */
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 1000);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 8000);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 8000);
	EXPECT_NONE(&s);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 3000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_CWR, 10000, 0, 1000);
	assert_int_equal(codepoint(&s, 0), ECN_ECT_0);
	/* The rest of the window: ECE or not, neither less nor more. */
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 5000);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 11000, 0, 1000);
	IN(&s, .ack = 10000);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 8000);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_reductions, 1);
	script_flush(&s);
	/* Beyond it: once more. 8000 are out. */
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 11000);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 6400);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_reductions, 2);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_ece_in, 4);
	script_end(&s);
}

/* A mark and a loss of the same window: one reduction, and what is lost is sent again, not ECT. */
static void test_mark_then_loss(void **state)
{
	struct script s;

	begin(&s, TCP_CC_CUBIC);
	script_send(&s, 20000);
	assert_int_equal(script_flush(&s), 10);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 1000);
	assert_int_equal(script_conn(&s)->cwnd_bytes, 8500);
	for (u32 i = 0; i < 3; i++)
		IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 1000);
	assert_int_equal(script_conn(&s)->recovery, TCP_RECOVERY_FAST);
	assert_int_equal(script_conn(&s)->ssthresh_bytes, 8500);
	assert_true(script_flush(&s) >= 1);
	EXPECT(&s, 0, WIRE_ACK, 1000, 0, 1000);
	assert_int_equal(codepoint(&s, 0), ECN_NOT_ECT);
	for (u32 i = 1; i < s.n_tx; i++)
		assert_int_equal(codepoint(&s, i), ECN_ECT_0);
	script_end(&s);
}

/* A loss says CWR with the first new data, not with what is sent again. */
static void test_loss_says_cwr(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	script_send(&s, 10000);
	assert_int_equal(script_flush(&s), 10);
	for (u32 i = 0; i < 3; i++)
		IN(&s, .ack = 0);
	assert_int_equal(script_flush(&s), 1);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 1000);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 10000);
	assert_int_equal(tcp_engine_counters(s.e)->ecn_reductions, 0);
	script_send(&s, 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, LAST | WIRE_CWR, 10000, 0, 1000);
	script_end(&s);
}

/* A timeout: sent again without ECT. Probes and keepalives have none either. */
static void test_no_ect(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	script_send(&s, 500);
	EXPECT_ONE(&s);
	script_at(&s, 320 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, LAST, 0, 0, 500);
	assert_int_equal(codepoint(&s, 0), ECN_NOT_ECT);
	IN(&s, .ack = 500, .zero_wnd = true);
	script_send(&s, 500);
	EXPECT_NONE(&s);
	script_at(&s, 5 * NS_PER_S);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].payload_len, 0);
	assert_int_equal(codepoint(&s, 0), ECN_NOT_ECT);
	script_end(&s);
}

/* An ACK left of the window, or of what was never sent, brings no news of the network. */
static void test_stray_ece(void **state)
{
	struct script s;

	begin(&s, TCP_CC_NEWRENO);
	script_send(&s, 4000);
	assert_int_equal(script_flush(&s), 4);
	IN(&s, .ack = 2000);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 1000);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 5000);
	IN(&s, .ack = 4000);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 4000); /* nothing is out */
	assert_int_equal(tcp_engine_counters(s.e)->ecn_reductions, 0);
	assert_int_equal(script_conn(&s)->ecn_state, TCP_ECN_AGREED);
	script_end(&s);
}

/* A superframe says CWR once: the port clears it on all pieces but the first. */
static void test_sender_superframe(void **state)
{
	struct script s;

	script_init(&s);
	s.e->config.ports[0].gso_max_bytes = 65535;
	s.state.k.options = TCP_OPT_ECN;
	s.state.d.ecn_state = TCP_ECN_AGREED | TCP_ECN_QUEUE_CWR;
	script_start(&s);
	script_send(&s, 8000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, LAST | WIRE_CWR, 0, 0, 8000);
	assert_int_equal(s.tx[0].gso_bytes, 1000);
	assert_int_equal(codepoint(&s, 0), ECN_ECT_0);
	assert_int_equal(script_conn(&s)->ecn_state, TCP_ECN_AGREED);
	script_end(&s);
}

/* Every 40th frame with ECT gets CE; IPv6 has no checksum to mend. */
static bool mark(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	u32 *n = p->context;
	u8 *ip = (u8 *)frame + 14;

	if ((ip[1] >> 4 & ECN_MASK) == ECN_ECT_0 && ++*n % 40 == 0)
		ip[1] |= ECN_CE << 4;
	return true;
}

/* Both directions of a stream through a network that marks: slower, and nothing is sent twice. */
static void test_marking_network(void **state)
{
	for (u8 cc = TCP_CC_NEWRENO; cc <= TCP_CC_CUBIC; cc++) {
		struct pair_options o = {.seed = 5,
		                         .delay_ns = 5 * NS_PER_MS,
		                         .options = ALL,
		                         .wscale = 7,
		                         .v6 = true,
		                         .cc = cc};
		struct pair p;
		u32 n = 0;

		pair_init(&p, &o);
		p.filter = mark;
		p.context = &n;
		pair_open(&p, 0);
		for (u32 end = 0; end < 2; end++)
			p.end[end].stream[0].to_send = 1000000;
		assert_true(pair_run_streams(&p, 100 * NS_PER_S));
		for (u32 end = 0; end < 2; end++) {
			const struct tcp_engine_counters *e = tcp_engine_counters(p.end[end].e);

			assert_int_equal(e->retransmit_segs, 0);
			assert_in_range(e->ecn_ce_in, 10, 60);
			assert_in_range(e->ecn_reductions, 5, 60);
			assert_true(e->ecn_ece_in >= e->ecn_reductions);
			assert_in_range(pair_conn(&p, end, 0)->cwnd_bytes, 2000, 200000);
		}
		pair_finish(&p);
	}
}

/* -- moves ------------------------------------------------------------------------------------- */

static void test_state_moves(void **state)
{
	struct tcp_state out;
	struct script s;

	memset(&out, 0, sizeof(out));
	begin(&s, TCP_CC_NEWRENO);
	script_send(&s, 4000);
	assert_int_equal(script_flush(&s), 4);
	IN(&s, .flags = WIRE_ACK | WIRE_ECE, .ack = 1000, .len = 100, .ecn = ECN_CE);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
	assert_int_equal(out.d.ecn_state, TCP_ECN_AGREED | TCP_ECN_QUEUE_CWR | TCP_ECN_DEMAND_CWR |
	                                          TCP_ECN_SEEN | TCP_ECN_REDUCED);
	assert_int_equal(out.d.ecn_point.n, SCRIPT_ISS + 4000);
	assert_null(tcp_state_check(&out));
	out.d.ecn_state = 1 << 4; /* accurate ECN, which is not ours */
	assert_string_equal(tcp_state_check(&out), "unknown ECN bits");
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agreed),
		cmocka_unit_test(test_lost_syn_falls_back),
		cmocka_unit_test(test_lost_syn_ack_falls_back),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_receiver),
		cmocka_unit_test(test_receiver_control_packets),
		cmocka_unit_test(test_receiver_superframe),
		cmocka_unit_test(test_sender_reacts_once_a_window),
		cmocka_unit_test(test_mark_then_loss),
		cmocka_unit_test(test_loss_says_cwr),
		cmocka_unit_test(test_no_ect),
		cmocka_unit_test(test_stray_ece),
		cmocka_unit_test(test_sender_superframe),
		cmocka_unit_test(test_marking_network),
		cmocka_unit_test(test_state_moves),
	};

	return RUN_TESTS(tests);
}

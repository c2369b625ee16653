/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the receiver does: acceptance, window, ACKs, reassembly, PAWS, RFC 5961. */
#include "unit.h"

#include "tcp/reassembly.h"
#include "tcp_script.h"

static u32 received(struct script *s)
{
	static u8 bytes[1 << 17];
	u32 all = tcp_recv_pending(s->e, s->conn);
	s64 n = tcp_recv(s->e, s->conn, bytes, sizeof(bytes));

	assert_int_equal(n, all);
	for (s64 i = 1; i < n; i++)
		assert_int_equal(bytes[i], (u8)(bytes[0] + i));
	return (u32)n;
}

/* RFC 9293 3.8.6.3: an ACK within 40 ms, at once for every second full segment. */
static void test_delayed_ack(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .seq = 0, .len = 100);
	EXPECT_NONE(&s);
	script_at(&s, 39 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 42 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 100, 0);
	IN(&s, .seq = 100, .len = 1000);
	EXPECT_NONE(&s);
	IN(&s, .seq = 1100, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 2100, 0);
	/* A superframe counts as the segments that were merged into it. */
	IN(&s, .seq = 2100, .len = 1500, .gso_bytes = 500);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 3600, 0);
	assert_int_equal(received(&s), 3600);
	script_end(&s);
}

/* The ACK rides on the answer. */
static void test_ack_rides_on_data(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .flags = WIRE_ACK | WIRE_PSH, .seq = 0, .len = 64);
	assert_int_equal(script_events(&s), TCP_EV_READABLE | TCP_EV_PUSH);
	script_send(&s, 64);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 0, 64, 64);
	script_at(&s, 100 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_end(&s);
}

/* SHLD-14, SHLD-31 and RFC 5681 4.2: gaps are acknowledged at once, filled in order. RFC2018-4a,
 * RFC2018-4c. */
static void test_reassembly(void **state)
{
	struct script s;

	script_begin(&s, TCP_OPT_SACK);
	IN(&s, .seq = 1000, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 0);
	assert_int_equal(s.out[0].options.n_sack, 1);
	assert_int_equal(s.out[0].options.sack[0].start.n - SCRIPT_IRS, 1000);
	assert_int_equal(s.out[0].options.sack[0].end.n - SCRIPT_IRS, 2000);
	IN(&s, .seq = 4000, .len = 1000);
	EXPECT_ONE(&s);
	IN(&s, .seq = 6000, .len = 500);
	EXPECT_ONE(&s);
	/* RFC 2018 4: the latest first, then the ones before it. */
	assert_int_equal(s.out[0].options.n_sack, 3);
	assert_int_equal(s.out[0].options.sack[0].start.n - SCRIPT_IRS, 6000);
	assert_int_equal(s.out[0].options.sack[1].start.n - SCRIPT_IRS, 4000);
	assert_int_equal(s.out[0].options.sack[2].start.n - SCRIPT_IRS, 1000);
	/* Overlaps on both sides, and blocks that touch become one. */
	IN(&s, .seq = 1500, .len = 2600);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].options.n_sack, 2);
	assert_int_equal(s.out[0].options.sack[0].start.n - SCRIPT_IRS, 1000);
	assert_int_equal(s.out[0].options.sack[0].end.n - SCRIPT_IRS, 5000);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 0);
	IN(&s, .seq = 0, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 5000, 0);
	assert_int_equal(received(&s), 5000);
	IN(&s, .seq = 5000, .len = 1200);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 6500, 0);
	assert_int_equal(s.out[0].options.n_sack, 0);
	assert_int_equal(received(&s), 1500);
	script_end(&s);
}

/* RFC2018-8c: no block tells of what was given up. */
static void test_given_up(void **state)
{
	struct script s;

	script_begin(&s, TCP_OPT_SACK);
	IN(&s, .seq = 1000, .len = 1000);
	IN(&s, .seq = 4000, .len = 1000);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].options.n_sack, 2);
	reassembly_prune(s.e, script_conn(&s));
	IN(&s, .seq = 7000, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 0);
	assert_int_equal(s.out[0].options.n_sack, 1);
	assert_int_equal(s.out[0].options.sack[0].start.n - SCRIPT_IRS, 7000);
	/* And it is asked for again. */
	IN(&s, .seq = 0, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1000, 0);
	script_end(&s);
}

/* Holes without number: bounded in buffers and in time, and the stream still comes through. */
static void test_many_holes(void **state)
{
	struct script s;

	script_init(&s);
	s.state.d.rcv_adv = seq_add(s.state.d.rcv_nxt, SCRIPT_WND);
	script_start(&s);
	for (u32 i = 0; i < 3000; i++)
		IN(&s, .seq = 2 * i + 1, .len = 1);
	assert_int_equal(script_conn(&s)->ooo_segs, 512);
	assert_true(script_dropped(&s, TCP_DROP_BUFFER_FULL) > 0);
	assert_true(s.pool.n_free[BUF_SMALL] > 0);
	IN(&s, .seq = 0, .len = 7000);
	assert_int_equal(received(&s), 7000);
	assert_int_equal(script_conn(&s)->ooo_segs, 0);
	assert_int_equal(script_conn(&s)->ooo_bytes, 0);
	script_end(&s);
}

/* What was kept beyond it, by a peer that contradicts itself, goes with the FIN. */
static void test_bytes_behind_the_fin(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .seq = 500, .len = 10);
	IN(&s, .seq = 600, .flags = WIRE_FIN | WIRE_ACK);
	assert_int_equal(script_conn(&s)->ooo_segs, 2);
	IN(&s, .seq = 0, .len = 100, .flags = WIRE_FIN | WIRE_ACK);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSE_WAIT);
	assert_int_equal(script_conn(&s)->ooo_head, NIL);
	assert_int_equal(script_dropped(&s, TCP_DROP_PRUNED), 2);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &s.state);
	assert_null(tcp_state_check(&s.state));
	script_end(&s);
}

static void test_fin_out_of_order(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN, .seq = 500, .len = 500);
	EXPECT_ONE(&s);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	IN(&s, .seq = 0, .len = 500);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSE_WAIT);
	assert_true(script_events(&s) & TCP_EV_FIN);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1001, 0);
	assert_int_equal(received(&s), 1000);
	assert_int_equal(tcp_recv(s.e, s.conn, &s, 1), -108); /* ESHUTDOWN */
	/* Nothing is taken behind the FIN. */
	IN(&s, .seq = 1001, .len = 10);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1001, 0);
	assert_int_equal(script_dropped(&s, TCP_DROP_AFTER_FIN), 1);
	script_end(&s);
}

/* SHLD-14: the right edge never moves left; MUST-39: it moves by a segment or not at all. */
static void test_window_edge(void **state)
{
	struct script s;
	u32 edge = SCRIPT_WND;

	script_begin(&s, 0);
	for (u32 at = 0; at < SCRIPT_WND; at += 1000) {
		IN(&s, .seq = at, .len = 1000);
		script_flush(&s);
		for (u32 i = 0; i < s.n_tx; i++) {
			assert_true(s.out_ack[i] + s.out[i].wnd >= edge);
			edge = s.out_ack[i] + s.out[i].wnd;
		}
	}
	assert_int_equal(edge, SCRIPT_WND);
	/* The buffer is full: what the peer still sends is refused and answered. */
	IN(&s, .seq = SCRIPT_WND, .len = 1);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, SCRIPT_WND, 0);
	assert_int_equal(s.out[0].wnd, 0);
	assert_int_equal(script_dropped(&s, TCP_DROP_WINDOW), 1);
	/* A few bytes read: no silly update. A segment read: one. */
	tcp_recv_skip(s.e, s.conn, 500);
	EXPECT_NONE(&s);
	tcp_recv_skip(s.e, s.conn, 500);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].wnd, 1000);
	/* A smaller buffer: what was promised is kept. */
	struct tcp_cached smaller = s.state.c;

	smaller.rcv_buf_bytes = 2000;
	tcp_conn_update(s.e, s.conn, &smaller, s.e->now_ns);
	IN(&s, .seq = SCRIPT_WND, .len = 400);
	script_at(&s, 100 * NS_PER_MS);
	EXPECT_ONE(&s);
	assert_int_equal(s.out_ack[0] + s.out[0].wnd, SCRIPT_WND + 1000);
	script_end(&s);
}

/* RFC 7323 2.3: what the scaled field cannot say is rounded up, never down. RFC7323-2.3b. */
static void test_window_scale_rounds_up(void **state)
{
	struct script s;

	script_init(&s);
	s.state.k.options = TCP_OPT_WSCALE;
	s.state.k.rcv_wscale = 7;
	script_start(&s);
	IN(&s, .seq = 0, .len = 1001);
	IN(&s, .seq = 1001, .len = 1001);
	EXPECT_ONE(&s);
	assert_true(s.out_ack[0] + ((u32)s.out[0].wnd << 7) >= SCRIPT_WND);
	assert_true(s.out_ack[0] + ((u32)s.out[0].wnd << 7) < SCRIPT_WND + 128);
	script_end(&s);
}

static void test_beyond_window_is_cut(void **state)
{
	struct script s;

	script_init(&s);
	s.state.c.rcv_buf_bytes = 1500;
	s.state.d.rcv_wnd = 1500;
	s.state.d.rcv_adv = seq_add(s.state.d.rcv_nxt, 1500);
	script_start(&s);
	IN(&s, .seq = 1000, .len = 1000);
	IN(&s, .seq = 0, .len = 1000);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 1500);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1500, 0);
	/* Wholly beyond. */
	IN(&s, .seq = 1501, .len = 10);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1500, 0);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 1500);
	script_end(&s);
}

/* RFC 2883: what came twice is reported. */
static void test_duplicate_is_reported(void **state)
{
	struct script s;

	script_begin(&s, TCP_OPT_SACK);
	IN(&s, .seq = 0, .len = 1000);
	IN(&s, .seq = 0, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1000, 0);
	assert_int_equal(s.out[0].options.n_sack, 1);
	assert_int_equal(s.out[0].options.sack[0].start.n - SCRIPT_IRS, 0);
	assert_int_equal(s.out[0].options.sack[0].end.n - SCRIPT_IRS, 1000);
	assert_int_equal(script_dropped(&s, TCP_DROP_OLD), 1);
	/* Old on the left, new on the right. */
	IN(&s, .seq = 500, .len = 1000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 1500, 0);
	assert_int_equal(s.out[0].options.sack[0].end.n - SCRIPT_IRS, 1000);
	assert_int_equal(received(&s), 1500);
	script_end(&s);
}

/* RFC 7323 5.3. RFC7323-5.3a, RFC7323-5.5, RFC7323-4.3b, RFC7323-3.2c. */
static void test_paws(void **state)
{
	struct script s;

	script_begin(&s, TCP_OPT_TIMESTAMPS);
	IN(&s, .seq = 0, .len = 100, .ts_val = 999);
	assert_int_equal(script_dropped(&s, TCP_DROP_PAWS), 1);
	EXPECT_ONE(&s); /* answered */
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 0);
	assert_int_equal(s.out[0].options.ts_ecr, 1000);
	IN(&s, .seq = 0, .len = 100, .ts_val = 1001);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 100);
	assert_int_equal(script_conn(&s)->ts_recent, 1001);
	/* 4.3: out of order does not move TS.Recent. */
	IN(&s, .seq = 300, .len = 100, .ts_val = 1005);
	assert_int_equal(script_conn(&s)->ts_recent, 1001);
	/* 3.2: without the option once it is agreed: dropped, silently. */
	script_flush(&s);
	IN(&s, .seq = 100, .len = 100, .no_ts = true);
	assert_int_equal(script_dropped(&s, TCP_DROP_NO_TIMESTAMP), 1);
	EXPECT_NONE(&s);
	/* 5.5: after more than 24 days an old value is believed. */
	script_at(&s, 25ull * 24 * 3600 * NS_PER_S);
	IN(&s, .seq = 100, .len = 200, .ts_val = 7);
	assert_int_equal(script_conn(&s)->ts_recent, 7);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 400);
	script_end(&s);
}

/* A connection that comes without a TS.Recent takes the peer's clock wherever it stands: a value of
 * the upper half is no older than none. */
static void test_no_ts_recent(void **state)
{
	struct script s;

	script_init(&s);
	s.state.k.options = TCP_OPT_TIMESTAMPS;
	s.state.d.ts_recent = 0;
	script_start(&s);
	IN(&s, .seq = 0, .len = 100, .ts_val = 0x90000000);
	assert_int_equal(script_dropped(&s, TCP_DROP_PAWS), 0);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 100);
	assert_int_equal(script_conn(&s)->ts_recent, 0x90000000);
	IN(&s, .seq = 100, .len = 100, .ts_val = 0x8fffffff);
	assert_int_equal(script_dropped(&s, TCP_DROP_PAWS), 1);
	script_end(&s);
}

/* RFC7323-4.3a: the echo of an ACK of two is the first one's value. */
static void test_echo_of_two(void **state)
{
	struct script s;

	script_begin(&s, TCP_OPT_TIMESTAMPS);
	IN(&s, .seq = 0, .len = 100, .ts_val = 1001);
	EXPECT_NONE(&s);
	script_at(&s, 10 * NS_PER_MS);
	IN(&s, .seq = 100, .len = 100, .ts_val = 1011);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 200, 0);
	assert_int_equal(s.out[0].options.ts_ecr, 1001);
	script_end(&s);
}

/* RFC 5961 3.2: RST. RFC5961-3.2a, RFC5961-3.2b, RFC5961-3.2c. */
static void test_rst(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .flags = WIRE_RST, .seq = SCRIPT_WND + 1);
	assert_int_equal(script_dropped(&s, TCP_DROP_RST_WINDOW), 1);
	EXPECT_NONE(&s);
	IN(&s, .flags = WIRE_RST, .seq = 1);
	assert_int_equal(script_dropped(&s, TCP_DROP_RST_CHALLENGED), 1);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 0);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	/* R76: an acceptable one ends it, and the owner hears of it. */
	IN(&s, .flags = WIRE_RST, .seq = 0);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	assert_int_equal(script_events(&s), TCP_EV_RESET | TCP_EV_CLOSED);
	EXPECT_NONE(&s);
	assert_int_equal(tcp_send(s.e, s.conn, "x", 1), -104); /* ECONNRESET */
	/* It is out of the lookup: frames go to the host. */
	IN(&s, .seq = 0);
	assert_int_equal(s.verdict, FRAME_TO_HOST);
	assert_int_equal(s.reason, TCP_TO_HOST_NO_CONNECTION);
	script_end(&s);
}

/* RFC 5961 4.2: SYN, wherever it stands. RFC5961-4.2a, RFC5961-4.2b. */
static void test_syn(void **state)
{
	static const u32 at[] = {0, (u32)-1, 500, SCRIPT_WND * 2, (u32)-70000};
	struct script s;

	script_begin(&s, 0);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		IN(&s, .flags = WIRE_SYN, .seq = at[i]);
		assert_int_equal(script_dropped(&s, TCP_DROP_SYN_CHALLENGED), i + 1);
		EXPECT_ONE(&s);
		EXPECT(&s, 0, WIRE_ACK, 0, 0, 0);
		assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	}
	script_end(&s);
}

/* RFC 5961 5.2: ACK of what was never sent, and of what is too old. RFC5961-5.2a, RFC5961-5.2b. */
static void test_ack_range(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .ack = 1, .len = 10);
	assert_int_equal(script_dropped(&s, TCP_DROP_ACK_FUTURE), 1);
	EXPECT_ONE(&s);
	IN(&s, .ack = (u32)-SCRIPT_WND - 1, .len = 10);
	assert_int_equal(script_dropped(&s, TCP_DROP_ACK_OLD), 1);
	EXPECT_ONE(&s);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 0);
	/* Merely old: the bytes are taken. */
	IN(&s, .ack = (u32)-SCRIPT_WND, .len = 10);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 10);
	/* Without an ACK nothing is. */
	IN(&s, .flags = WIRE_PSH, .seq = 10, .len = 10);
	assert_int_equal(script_dropped(&s, TCP_DROP_NO_ACK), 1);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 10);
	script_end(&s);
}

/* RFC 5961 7: challenge ACKs have a budget a second. RFC5961-7a. */
static void test_challenge_limit(void **state)
{
	struct script s;
	u32 acks = 0;

	script_begin(&s, 0);
	for (u32 i = 0; i < 2000; i++) {
		IN(&s, .flags = WIRE_SYN, .seq = 77);
		acks += script_flush(&s);
	}
	/* 1000 give or take a half: nobody can count on it. */
	assert_in_range(acks, 500, 1500);
	assert_int_equal(tcp_engine_counters(s.e)->challenge_acks_limited, 2000 - acks);
	script_at(&s, NS_PER_S);
	IN(&s, .flags = WIRE_SYN, .seq = 77);
	EXPECT_ONE(&s);
	script_end(&s);
}

/* MUST-66: a closed window lets the urgent pointer through. */
static void test_urgent_while_closed(void **state)
{
	struct script s;

	script_begin(&s, 0);
	script_conn(&s)->rcv_adv = script_conn(&s)->rcv_nxt;
	IN(&s, .flags = WIRE_ACK | WIRE_URG, .urg = 5);
	assert_int_equal(script_events(&s), TCP_EV_URGENT);
	assert_int_equal(script_conn(&s)->rcv_up.n - SCRIPT_IRS, 5);
	script_end(&s);
}

/* R78: urgent data is not for us: nothing moves, the owner asks for an upload. MUST-32. */
static void test_urgent(void **state)
{
	struct script s;

	script_begin(&s, 0);
	IN(&s, .flags = WIRE_ACK | WIRE_URG, .len = 10, .urg = 5);
	assert_int_equal(script_events(&s), TCP_EV_URGENT);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 0);
	assert_int_equal(script_dropped(&s, TCP_DROP_URGENT), 1);
	assert_int_equal(script_conn(&s)->rcv_up.n - SCRIPT_IRS, 5);
	EXPECT_NONE(&s);
	script_end(&s);
}

/* R64: a dry pool. What was acknowledged stays, the edge stays, what is out of order goes first. */
static void test_pool_is_spared(void **state)
{
	struct script s;

	script_begin(&s, 0);
	for (u32 i = 0; i < 200; i++)
		IN(&s, .seq = i * 100, .len = 100);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 20000);
	/* 200 frames of 100 bytes do not hold 200 buffers. */
	assert_true(s.pool_config.small - s.pool.n_free[BUF_SMALL] < 30);
	assert_int_equal(received(&s), 20000);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delayed_ack),
		cmocka_unit_test(test_ack_rides_on_data),
		cmocka_unit_test(test_reassembly),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_many_holes),
		cmocka_unit_test(test_bytes_behind_the_fin),
		cmocka_unit_test(test_fin_out_of_order),
		cmocka_unit_test(test_window_edge),
		cmocka_unit_test(test_window_scale_rounds_up),
		cmocka_unit_test(test_beyond_window_is_cut),
		cmocka_unit_test(test_duplicate_is_reported),
		cmocka_unit_test(test_paws),
		cmocka_unit_test(test_no_ts_recent),
		cmocka_unit_test(test_echo_of_two),
		cmocka_unit_test(test_rst),
		cmocka_unit_test(test_syn),
		cmocka_unit_test(test_ack_range),
		cmocka_unit_test(test_challenge_limit),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_urgent_while_closed),
		cmocka_unit_test(test_pool_is_spared),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the sender does: Nagle, silly windows, persist, keepalive, idle, MTU, frames. */
#include "unit.h"

#include "tcp_script.h"

enum { MSS = SCRIPT_MSS };

/* RFC 9293 3.7.4 SHLD-7, MUST-17 */
static void test_nagle(void **state)
{
	struct script s;
	struct tcp_cached settings;

	script_init(&s);
	s.state.c.nodelay = 0;
	script_start(&s);
	script_send(&s, 100);
	EXPECT_ONE(&s); /* nothing small on its way */
	script_send(&s, 100);
	EXPECT_NONE(&s);
	/* A full segment goes; what is left of it waits. */
	script_send(&s, MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 100, 0, MSS);
	IN(&s, .ack = 100);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 100 + MSS, 0, 100);
	script_send(&s, 10);
	EXPECT_NONE(&s);
	settings = s.state.c;
	settings.nodelay = 1;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns); /* R22, R32 */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 200 + MSS, 0, 10);
	script_end(&s);
}

static void test_cork(void **state)
{
	struct script s;
	struct tcp_cached settings;

	script_init(&s);
	s.state.c.cork = 1;
	script_start(&s);
	script_send(&s, 100);
	EXPECT_NONE(&s);
	script_send(&s, MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, MSS);
	settings = s.state.c;
	settings.cork = 0;
	tcp_conn_update(s.e, s.conn, &settings, s.e->now_ns);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, MSS, 0, 100);
	/* Corked for good: the override timer lets it go (3.8.6.2.1). */
	IN(&s, .ack = MSS + 100);
	tcp_conn_update(s.e, s.conn, &s.state.c, s.e->now_ns);
	script_send(&s, 7);
	EXPECT_NONE(&s);
	script_at(&s, NS_PER_S);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, MSS + 100, 0, 7);
	script_end(&s);
}

/* RFC 9293 3.8.6.2.1 MUST-38: half of the largest window, a full segment, or all; else the
 * override. */
static void test_sender_sws(void **state)
{
	struct script s;

	script_begin(&s, 0);
	script_send(&s, 3 * MSS);
	assert_int_equal(script_flush(&s), 3);
	IN(&s, .ack = 3 * MSS, .wnd = 400);
	script_send(&s, 2 * MSS);
	EXPECT_NONE(&s);
	script_at(&s, 200 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 400 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 3 * MSS, 0, 400);
	/* The window opens by a segment. */
	IN(&s, .ack = 3 * MSS + 400, .wnd = MSS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 3 * MSS + 400, 0, MSS);
	script_end(&s);
}

/* RFC 9293 3.8.6.1: first probe after RTO, then exponentially; no end while the peer answers. */
static void test_persist(void **state)
{
	static const u32 interval_ms[] = {300, 600, 1200, 2400, 4800};
	u32 at_ms = 0;
	struct script s;

	script_init(&s);
	s.state.c.max_retransmit_ns = 60 * NS_PER_S;
	script_start(&s);
	IN(&s, .zero_wnd = true);
	script_send(&s, 10);
	EXPECT_NONE(&s);
	for (u32 i = 0; i < ARRAY_SIZE(interval_ms); i++) {
		script_at(&s, (at_ms + interval_ms[i] - 1) * NS_PER_MS);
		EXPECT_NONE(&s);
		at_ms += interval_ms[i] + 3;
		script_at(&s, at_ms * NS_PER_MS);
		EXPECT_ONE(&s);
		EXPECT(&s, 0, WIRE_ACK, (u32)-1, 0, 0);
		IN(&s, .zero_wnd = true);
	}
	assert_int_equal(script_conn(&s)->persist_count, 5);
	/* MUST-37: an hour of answers. */
	for (u32 i = 10; i < 3600; i++) {
		script_at(&s, i * NS_PER_S);
		if (script_flush(&s))
			IN(&s, .zero_wnd = true);
	}
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	IN(&s, .wnd = 5000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 0, 0, 10);
	assert_int_equal(script_conn(&s)->persist_count, 0);
	/* Shut again, and silence: that ends it. */
	IN(&s, .ack = 10, .zero_wnd = true);
	script_send(&s, 10);
	for (u32 i = 3601; i < 3800; i++) {
		script_at(&s, i * NS_PER_S);
		script_flush(&s);
	}
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	script_end(&s);
}

/* MUST-34: a window that shrinks below what is on its way. */
static void test_shrunk_window(void **state)
{
	struct script s;

	script_begin(&s, 0);
	script_send(&s, 5 * MSS);
	assert_int_equal(script_flush(&s), 5);
	IN(&s, .ack = MSS, .wnd = 1000);
	EXPECT_NONE(&s);
	script_send(&s, MSS);
	EXPECT_NONE(&s); /* SHLD-15 */
	script_at(&s, 400 * NS_PER_MS);
	EXPECT_ONE(&s); /* SHLD-16 */
	EXPECT(&s, 0, WIRE_ACK, MSS, 0, MSS);
	IN(&s, .ack = 5 * MSS, .wnd = 9000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 5 * MSS, 0, MSS);
	script_end(&s);
}

/* RFC 9293 3.8.4 */
static void test_keepalive(void **state)
{
	struct script s;

	script_init(&s);
	s.state.c.keepalive = 1;
	s.state.c.keepalive_idle_ns = 10 * NS_PER_S;
	s.state.c.keepalive_interval_ns = 2 * NS_PER_S;
	s.state.c.keepalive_probes = 3;
	script_start(&s);
	script_at(&s, 9900 * NS_PER_MS);
	EXPECT_NONE(&s);
	script_at(&s, 10100 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, (u32)-1, 0, 0);
	IN(&s, .ack = 0);
	script_at(&s, 20000 * NS_PER_MS);
	EXPECT_NONE(&s);
	for (u32 i = 0; i < 3; i++) {
		script_at(&s, (20200 + 2010 * i) * NS_PER_MS);
		EXPECT_ONE(&s);
		assert_int_equal(script_conn(&s)->keepalive_count, i + 1);
	}
	script_at(&s, 27000 * NS_PER_MS);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	assert_true(script_events(&s) & TCP_EV_TIMEOUT);
	script_end(&s);
}

/* RFC 7661: a window that was not used does not grow. */
static void test_unused_window_does_not_grow(void **state)
{
	struct script s;

	script_begin(&s, 0);
	for (u32 i = 0; i < 50; i++) {
		script_send(&s, 100);
		EXPECT_ONE(&s);
		IN(&s, .ack = 100 * (i + 1));
	}
	assert_int_equal(script_conn(&s)->cwnd_bytes, 10 * MSS);
	script_end(&s);
}

/* R59, R60: one write to a neighbor or a path is in force with the next frame. */
static void test_updates(void **state)
{
	struct neighbor_cached neighbor = {.next_hop_mac = {{6, 5, 4, 3, 2, 1}}};
	struct path_cached path = {.path_mtu = 640};
	struct script s;
	u32 other;

	script_begin(&s, 0);
	tcp_neighbor_update(s.e, s.neighbor, &neighbor);
	script_send(&s, MSS);
	EXPECT_ONE(&s);
	assert_memory_equal(s.tx[0].header + s.tx[0].header_off, neighbor.next_hop_mac.b, 6);
	tcp_path_update(s.e, s.path, &path);
	script_send(&s, MSS);
	assert_int_equal(script_flush(&s), 2);
	assert_int_equal(s.out[0].payload_len, 600);
	assert_int_equal(s.out[1].payload_len, 400);
	/* R68: re-parented. */
	struct neighbor_state n = {.c.next_hop_mac = {{9}}, .c.header_format = LINK_SNAP};

	assert_int_equal(tcp_neighbor_add(s.e, &n, &other), 0);
	tcp_path_set_neighbor(s.e, s.path, other);
	script_send(&s, 10);
	EXPECT_ONE(&s);
	assert_int_equal(s.tx[0].header[s.tx[0].header_off], 9);
	assert_int_equal(s.out[0].snap, 1);
	tcp_path_set_neighbor(s.e, s.path, s.neighbor);
	assert_int_equal(tcp_neighbor_remove(s.e, other), 0);
	assert_int_equal(tcp_neighbor_remove(s.e, s.neighbor), -16); /* EBUSY */
	script_end(&s);
}

/* R61, R62: our half of the identifiers, from anywhere, wrapping. */
static void test_ip_id(void **state)
{
	struct path_state path = {
		.k.local_addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1}},
		.k.remote_addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9}},
		.k.ip_id_start = 50000,
		.k.ip_id_confined = 1,
		.c.path_mtu = 1500,
		.d.next_ip_id = (u16)(50000 + 32766),
	};
	static const u16 want[] = {17230, 17231, 50000, 50001};
	struct script s;
	u32 conn;

	script_init(&s);
	assert_int_equal(tcp_path_remove(s.e, s.path), 0);
	assert_int_equal(tcp_path_add(s.e, &path, s.neighbor, &s.path), 0);
	script_start(&s);
	conn = s.conn;
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		script_send(&s, 1);
		EXPECT_ONE(&s);
		const u8 *ip = s.tx[0].header + s.tx[0].header_off + 14;

		assert_int_equal(ip[4] << 8 | ip[5], want[i]);
	}
	tcp_path_export(s.e, s.path, &path);
	assert_int_equal(path.d.next_ip_id, 50002);
	assert_int_equal(conn, s.conn);
	script_end(&s);
}

/* The port's checksum help: pseudo sum and offsets; and the whole sum where there is none. MUST-2.
 */
static void test_checksums(void **state)
{
	struct script s;
	u8 bytes[2048];
	u32 len;

	script_begin(&s, TCP_OPT_TIMESTAMPS);
	s.e->config.ports[0].tx_csum = false;
	script_send(&s, 333);
	EXPECT_ONE(&s);
	len = s.tx[0].header_len;
	memcpy(bytes, s.tx[0].header + s.tx[0].header_off, len);
	memcpy(bytes + len, buf_bytes(&s.pool, s.tx[0].payload_buf) + s.tx[0].payload_off, 333);
	assert_int_equal(s.tx[0].csum_start, 0);
	assert_true(csum_ok(csum_bytes(csum_pseudo(&s.e->paths[0].local, &s.e->paths[0].remote,
	                                           WIRE_IPPROTO_TCP, len - 34 + 333),
	                               bytes + 34, len - 34 + 333)));
	s.e->config.ports[0].tx_csum = true;
	script_send(&s, 10);
	EXPECT_ONE(&s);
	assert_int_equal(s.tx[0].csum_start, 34);
	assert_int_equal(s.tx[0].csum_offset, 16);
	script_end(&s);
}

/* Whole segments up to the port's limit, in one frame. */
static void test_superframe(void **state)
{
	struct script s;

	script_init(&s);
	s.e->config.ports[0].gso_max_bytes = 8000;
	script_start(&s);
	script_send(&s, 9500);
	assert_int_equal(script_flush(&s), 2);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 7 * MSS);
	assert_int_equal(s.tx[0].gso_bytes, MSS);
	EXPECT(&s, 1, WIRE_ACK | WIRE_PSH, 7 * MSS, 0, 2500);
	assert_int_equal(s.tx[1].gso_bytes, MSS);
	assert_int_equal(tcp_engine_counters(s.e)->segs_out, 10);
	script_end(&s);
}

/* A small output array: the rest waits and nothing is lost or doubled. */
static void test_full_output(void **state)
{
	struct tx_frame frame;
	struct tx_batch tx = {&frame, 0, 1};
	struct script s;

	script_begin(&s, 0);
	IN(&s, .len = 1);
	script_send(&s, 3 * MSS);
	for (u32 i = 0; i < 3; i++) {
		tx.n = 0;
		assert_true(tcp_flush(s.e, s.e->now_ns, &tx));
		assert_int_equal(tx.n, 1);
		assert_int_equal(frame.payload_len, MSS);
		assert_int_equal(script_conn(&s)->snd_nxt.n - SCRIPT_ISS, (i + 1) * MSS);
	}
	tx.n = 0;
	assert_false(tcp_flush(s.e, s.e->now_ns, &tx));
	assert_int_equal(tx.n, 0);
	script_end(&s);
}

/* The four-way close from our side, and the other way round (RFC 9293 3.6). */
static void test_close(void **state)
{
	struct script s;

	script_begin(&s, 0);
	script_send(&s, 10);
	tcp_shutdown(s.e, s.conn);
	assert_int_equal(tcp_send(s.e, s.conn, "x", 1), -32); /* EPIPE */
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH | WIRE_FIN, 0, 0, 10);
	assert_int_equal(script_conn(&s)->state, TCP_FIN_WAIT_1);
	/* Half-closed: data goes on coming in. */
	IN(&s, .ack = 11, .len = 100);
	assert_int_equal(script_conn(&s)->state, TCP_FIN_WAIT_2);
	assert_true(script_events(&s) & TCP_EV_FIN_ACKED);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN, .seq = 100, .ack = 11);
	assert_int_equal(script_conn(&s)->state, TCP_TIME_WAIT);
	assert_true(script_events(&s) & TCP_EV_TIME_WAIT);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 11, 101, 0);
	/* 2 MSL, begun anew by a repeated FIN. */
	script_at(&s, 30 * NS_PER_S);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN, .seq = 100, .ack = 11);
	EXPECT_ONE(&s);
	script_at(&s, 89 * NS_PER_S);
	assert_int_equal(script_conn(&s)->state, TCP_TIME_WAIT);
	script_at(&s, 91 * NS_PER_S);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	assert_int_equal(script_events(&s), TCP_EV_CLOSED);
	script_end(&s);

	script_begin(&s, 0);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN);
	tcp_shutdown(s.e, s.conn);
	assert_int_equal(script_conn(&s)->state, TCP_LAST_ACK);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_FIN, 0, 1, 0);
	script_at(&s, 302 * NS_PER_MS);
	EXPECT_ONE(&s); /* the FIN again */
	EXPECT(&s, 0, WIRE_ACK | WIRE_FIN, 0, 1, 0);
	IN(&s, .seq = 1, .ack = 1);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	script_end(&s);

	/* Both at once. */
	script_begin(&s, 0);
	tcp_shutdown(s.e, s.conn);
	EXPECT_ONE(&s);
	IN(&s, .flags = WIRE_ACK | WIRE_FIN, .ack = 0);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSING);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 1, 1, 0);
	IN(&s, .seq = 1, .ack = 1);
	assert_int_equal(script_conn(&s)->state, TCP_TIME_WAIT);
	script_end(&s);
}

static void test_fin_wait_2_ends(void **state)
{
	struct script s;

	script_init(&s);
	s.state.c.fin_wait2_ns = 60 * NS_PER_S;
	script_start(&s);
	tcp_shutdown(s.e, s.conn);
	script_flush(&s);
	IN(&s, .ack = 1);
	script_at(&s, 59 * NS_PER_S);
	assert_int_equal(script_conn(&s)->state, TCP_FIN_WAIT_2);
	script_at(&s, 61 * NS_PER_S);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	script_end(&s);
}

/* R36: an abortive disconnect is the one RST that a target sends; CLOSED is told behind it. */
static void test_abort(void **state)
{
	struct script s;

	script_begin(&s, 0);
	script_send(&s, 100);
	script_flush(&s);
	tcp_abort(s.e, s.conn);
	assert_int_equal(script_events(&s), 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_RST | WIRE_ACK, 100, 0, 0);
	assert_int_equal(script_events(&s), TCP_EV_CLOSED);
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	EXPECT_NONE(&s);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nagle),
		cmocka_unit_test(test_cork),
		cmocka_unit_test(test_sender_sws),
		cmocka_unit_test(test_persist),
		cmocka_unit_test(test_shrunk_window),
		cmocka_unit_test(test_keepalive),
		cmocka_unit_test(test_unused_window_does_not_grow),
		cmocka_unit_test(test_updates),
		cmocka_unit_test(test_ip_id),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_superframe),
		cmocka_unit_test(test_full_output),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_fin_wait_2_ends),
		cmocka_unit_test(test_abort),
	};

	return RUN_TESTS(tests);
}

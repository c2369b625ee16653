/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Listeners of the soft host: both queues, half-open states, RSTs for what belongs nowhere. */
#include <errno.h>

#include "unit.h"

#include "soft_net.h"

static const u32 irs = 5000;

static void begin(struct net *n, u32 backlog, u32 half_open, u8 cookies)
{
	const struct soft_listen_params p = {
		.port = NET_PORT, .backlog = backlog, .half_open = half_open, .cookies = cookies};

	net_init(n);
	net_resolve(n, net_ip4(2), 2);
	net_resolve(n, net_ip6(2), 2);
	assert_int_equal(soft_listen_with(n->s, &p), 0);
}

static void syn(struct net *n, u16 port)
{
	SEG(n, .from = net_ip4(2), .src_port = port, .flags = WIRE_SYN, .seq = irs);
}

/* The state of the connection to a port of the peer; TCP_CLOSED: there is none. */
static u8 state_of(const struct net *n, u16 port)
{
	const struct flow_key flow = {net_ip4(1), net_ip4(2), NET_PORT, port};
	const struct soft_conn *c = soft_find_flow(n->s, &flow);

	return c && c->eng != NIL ? tcp_conn_state(n->s->engine, c->eng) : TCP_CLOSED;
}

/* RFC 9293 3.5: the handshake, by both families. */
static void passive_open(void **state)
{
	struct net n;
	u32 ours;

	begin(&n, 0, 0, 0);
	(void)net_accept(&n, net_ip4(2), 0, &ours);
	(void)net_accept(&n, net_ip6(2), TCP_OPT_TIMESTAMPS, &ours);
	assert_int_equal(soft_listen(n.s, NET_PORT), -EADDRINUSE);
	net_end(&n);
}

/* Half-open connections are bounded; with cookies off, what is too much is dropped. */
static void half_open_bound(void **state)
{
	struct net n;

	begin(&n, 0, 2, SOFT_COOKIES_NEVER);
	for (u16 port = 1; port <= 4; port++)
		syn(&n, port);
	assert_int_equal(net_run(&n), 2);
	assert_int_equal(net_counters(&n)->syn_dropped, 2);
	/* The same SYN again is no further one. */
	syn(&n, 1);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_counters(&n)->syn_dropped, 2);
	/* One is reset: there is room again. */
	SEG(&n, .from = net_ip4(2), .src_port = 2, .flags = WIRE_RST, .seq = irs + 1);
	syn(&n, 3);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(state_of(&n, 3), TCP_SYN_RECEIVED);
	net_end(&n);
}

/* Nobody accepts: the handshake's last segment is dropped and works later. */
static void accept_bound(void **state)
{
	struct wire_tcp_segment synack[2];
	struct net n;
	u64 conn;

	begin(&n, 1, 0, 0);
	syn(&n, 1);
	syn(&n, 2);
	assert_int_equal(net_run(&n), 2);
	for (u32 i = 0; i < 2; i++) {
		synack[i] = net_tcp(&n, i);
		SEG(&n, .from = net_ip4(2), .src_port = (u16)(i + 1), .flags = WIRE_ACK,
		    .seq = irs + 1, .ack = synack[i].seq.n + 1);
	}
	assert_int_equal(state_of(&n, 1), TCP_ESTABLISHED);
	assert_int_equal(state_of(&n, 2), TCP_SYN_RECEIVED);
	assert_int_equal(net_counters(&n)->accept_full, 1);
	/* While it is full no SYN is taken either. */
	syn(&n, 3);
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(net_counters(&n)->syn_dropped, 1);
	assert_true(soft_accept(n.s, &conn));
	/* The SYN-ACK is sent again by its timer, and the peer says its part again. */
	assert_int_equal(net_at(&n, 1100 * NS_PER_MS), 1);
	assert_int_equal(net_tcp(&n, 0).flags, WIRE_SYN | WIRE_ACK);
	SEG(&n, .from = net_ip4(2), .src_port = 2, .flags = WIRE_ACK, .seq = irs + 1,
	    .ack = synack[1].seq.n + 1);
	assert_true(soft_accept(n.s, &conn));
	assert_false(soft_accept(n.s, &conn));
	net_end(&n);
}

/* SYN-ACKs at 0, 1, 3, 7, 15, 31 s; at 63 s it is over, and nobody is told. */
static void half_open_expires(void **state)
{
	static const u32 at_s[] = {1, 3, 7, 15, 31};
	const struct mac_addr mac = net_mac(2);
	struct net n;

	begin(&n, 0, 0, 0);
	assert_int_equal(soft_neighbor(n.s, ADDR(net_ip4(2)), &mac, 0), 0);
	syn(&n, 1);
	assert_int_equal(net_run(&n), 1);
	for (u32 i = 0; i < ARRAY_SIZE(at_s); i++) {
		assert_int_equal(net_at(&n, at_s[i] * NS_PER_S - 1), 0);
		assert_int_equal(net_at(&n, at_s[i] * NS_PER_S + (i + 1) * 20 * NS_PER_MS), 1);
	}
	assert_int_equal(net_at(&n, 63 * NS_PER_S - 1), 0);
	assert_int_equal(state_of(&n, 1), TCP_SYN_RECEIVED);
	assert_int_equal(net_at(&n, 63 * NS_PER_S), 0);
	assert_int_equal(state_of(&n, 1), TCP_CLOSED);
	assert_int_equal(net_counters(&n)->half_expired, 1);
	net_end(&n);
}

/* RFC 9293 3.10.7.4 second, RFC 5961 3: a RST exactly there ends it silently; elsewhere in the
 * window it is challenged; outside it is nothing. */
static void rst_while_half_open(void **state)
{
	struct net n;
	u64 conn;

	begin(&n, 0, 0, 0);
	syn(&n, 1);
	net_run(&n);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_RST, .seq = irs + 70000);
	assert_int_equal(net_run(&n), 0);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_RST, .seq = irs + 2);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_tcp(&n, 0).flags, WIRE_ACK);
	assert_int_equal(state_of(&n, 1), TCP_SYN_RECEIVED);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_RST, .seq = irs + 1);
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(state_of(&n, 1), TCP_CLOSED);
	assert_int_equal(n.s->slots.n_taken, 0); /* back to LISTEN */
	assert_false(soft_accept(n.s, &conn));
	net_end(&n);
}

/* RFC 9293 3.10.7.4 fifth: an ACK of something else gets a RST, the connection stays. */
static void bad_ack_while_half_open(void **state)
{
	struct wire_tcp_segment seg;
	struct net n;

	begin(&n, 0, 0, 0);
	syn(&n, 1);
	net_run(&n);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_ACK, .seq = irs + 1, .ack = 12345);
	assert_int_equal(net_run(&n), 1);
	seg = net_tcp(&n, 0);
	assert_int_equal(seg.flags, WIRE_RST);
	assert_int_equal(seg.seq.n, 12345);
	assert_int_equal(state_of(&n, 1), TCP_SYN_RECEIVED);
	net_end(&n);
}

/* RFC 9293 3.10.7.3: in SYN_SENT the same; a RST counts only with a good ACK. */
static void syn_sent_answers(void **state)
{
	struct wire_tcp_segment seg, rst;
	struct net n;
	u64 conn;

	begin(&n, 0, 0, 0);
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 7, 3333, &conn), 0);
	net_run(&n);
	seg = net_tcp(&n, 0);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_SYN | WIRE_ACK,
	    .seq = irs, .ack = seg.seq.n);
	assert_int_equal(net_run(&n), 1);
	rst = net_tcp(&n, 0);
	assert_int_equal(rst.flags, WIRE_RST);
	assert_int_equal(rst.seq.n, seg.seq.n);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_RST, .seq = irs);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_RST | WIRE_ACK,
	    .ack = seg.seq.n + 9);
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(soft_state(n.s, conn), TCP_SYN_SENT);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_RST | WIRE_ACK,
	    .ack = seg.seq.n + 1);
	net_run(&n);
	assert_int_equal(soft_state(n.s, conn), TCP_CLOSED);
	assert_true(soft_take_events(n.s, conn) & TCP_EV_RESET);
	net_end(&n);
}

/* MUST-10, RFC 9293 figure 7: both SYNs cross. */
static void simultaneous_open(void **state)
{
	struct wire_tcp_segment ours, back;
	struct net n;
	u64 conn;

	begin(&n, 0, 0, 0);
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 7, 3333, &conn), 0);
	net_run(&n);
	ours = net_tcp(&n, 0);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_SYN, .seq = irs);
	assert_int_equal(net_run(&n), 1);
	back = net_tcp(&n, 0);
	assert_int_equal(back.flags, WIRE_SYN | WIRE_ACK);
	assert_int_equal(back.seq.n, ours.seq.n);
	SEG(&n, .from = net_ip4(2), .src_port = 7, .dst_port = 3333, .flags = WIRE_SYN | WIRE_ACK,
	    .seq = irs, .ack = ours.seq.n + 1);
	net_run(&n);
	assert_int_equal(soft_state(n.s, conn), TCP_ESTABLISHED);
	/* Nobody accepts what we opened. */
	assert_false(soft_accept(n.s, &conn));
	net_end(&n);
}

/* RFC 9293 3.5.2: a RST for what belongs nowhere, with numbers that its sender believes. */
static void resets(void **state)
{
	struct wire_tcp_segment rst;
	struct net n;

	begin(&n, 0, 0, 0);
	SEG(&n, .from = net_ip4(2), .dst_port = 99, .flags = WIRE_SYN, .seq = 100);
	assert_int_equal(net_run(&n), 1);
	rst = net_tcp(&n, 0);
	assert_int_equal(rst.flags, WIRE_RST | WIRE_ACK);
	assert_int_equal(rst.seq.n, 0);
	assert_int_equal(rst.ack.n, 101);
	SEG(&n, .from = net_ip6(2), .dst_port = 99, .flags = WIRE_ACK | WIRE_FIN, .seq = 100,
	    .ack = 777, .len = 10);
	assert_int_equal(net_run(&n), 1);
	rst = net_tcp(&n, 0);
	assert_int_equal(rst.flags, WIRE_RST);
	assert_int_equal(rst.seq.n, 777);
	SEG(&n, .from = net_ip4(2), .dst_port = 99, .flags = WIRE_FIN, .seq = 100, .len = 10);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_tcp(&n, 0).ack.n, 111);
	/* Never for a RST, nor for bytes that nobody sent like this, nor to a listener's bare FIN.
	 */
	SEG(&n, .from = net_ip4(2), .dst_port = 99, .flags = WIRE_RST, .seq = 100);
	SEG(&n, .from = net_ip4(2), .dst_port = 99, .flags = WIRE_SYN, .seq = 100,
	    .bad_csum = true);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_FIN, .seq = 100);
	assert_int_equal(net_run(&n), 0);
	/* RFC 9293 3.10.7.2 second: an ACK to a listener. */
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = 100, .ack = 9);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_tcp(&n, 0).flags, WIRE_RST);
	assert_int_equal(net_counters(&n)->resets, 4);
	net_end(&n);
}

/* RFC 9293 3.10.4 in LISTEN. */
static void unlisten(void **state)
{
	struct net n;
	u64 conn;

	begin(&n, 0, 0, 0);
	syn(&n, 1);
	syn(&n, 2);
	assert_int_equal(net_run(&n), 2);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_ACK, .seq = irs + 1,
	    .ack = net_tcp(&n, 0).seq.n + 1);
	assert_int_equal(soft_unlisten(n.s, NET_PORT), 0);
	assert_int_equal(net_run(&n), 2);
	assert_true(net_tcp(&n, 0).flags & net_tcp(&n, 1).flags & WIRE_RST);
	net_run(&n);
	assert_int_equal(n.s->slots.n_taken, 0);
	assert_false(soft_accept(n.s, &conn));
	assert_int_equal(soft_unlisten(n.s, NET_PORT), -ENOENT);
	net_end(&n);
}

/* RFC 6056 3.3.3: a port of our own choice, each time another, none that is listened to. */
static void chosen_ports(void **state)
{
	struct net n;
	u64 conn[2];

	begin(&n, 0, 0, 0);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 7, 0, &conn[i]), 0);
	assert_in_range(soft_find(n.s, conn[0])->local_port, 32768, 60999);
	assert_int_not_equal(soft_find(n.s, conn[0])->local_port,
	                     soft_find(n.s, conn[1])->local_port);
	net_end(&n);
}

/* MUST-46a, MUST-46b, MUST-63, RFC1122-3.3.6b, RFC1122-3.3.1.1a: nobody is at a group, a broadcast
 * of the link (by its mask), a loopback, or where we are; neither asked nor answered. */
static void nobody(void **state)
{
	static const u8 v4[][4] = {
		{224, 0, 0, 1},
		{255, 255, 255, 255},
		{240, 0, 0, 1},
		{0, 0, 0, 0},
		{0, 0, 0, 7},
		{127, 0, 0, 1},
		{0},
		{0},
		{0},
	};
	struct ip_addr addr[ARRAY_SIZE(v4) + 3];
	struct net n;
	u64 conn;

	for (u32 i = 0; i < ARRAY_SIZE(v4); i++) {
		addr[i] = net_ip4(2);
		memcpy(addr[i].b + 12, v4[i], 4);
	}
	addr[6] = net_ip4(255); /* of a link of 24 bits */
	addr[7] = net_ip4(0);
	addr[8] = net_ip4(1); /* ours */
	addr[9] = (struct ip_addr){{0xff, 2, [15] = 1}};
	addr[10] = (struct ip_addr){{0}};
	addr[11] = (struct ip_addr){{[15] = 1}};
	begin(&n, 0, 0, 0);
	for (u32 i = 0; i < ARRAY_SIZE(addr); i++) {
		assert_int_equal(soft_connect(n.s, &addr[i], 7, 0, &conn), -ENETUNREACH);
		SEG(&n, .from = addr[i], .flags = WIRE_SYN, .seq = irs);
		SEG(&n, .from = addr[i], .flags = WIRE_ACK, .seq = irs, .ack = 1);
		assert_int_equal(net_run(&n), 0);
	}
	assert_int_equal(net_counters(&n)->strays, 2 * ARRAY_SIZE(addr));
	net_end(&n);
}

/* RFC1122-3.3.6d: what the link broadcasts, but IP does not, is for nobody; not even a RST. */
static void broadcast_by_the_link(void **state)
{
	const struct net_seg seg = {.from = net_ip4(2), .flags = WIRE_SYN, .seq = irs};
	const struct wire_ip ip = {.version = 4,
	                           .src = net_ip4(2),
	                           .dst = net_ip4(1),
	                           .protocol = WIRE_IPPROTO_TCP,
	                           .ttl = 64,
	                           .payload_bytes = WIRE_TCP_BYTES};
	u8 bytes[128] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, [12] = 8};
	struct net n;
	u32 at = WIRE_ETH_BYTES;

	begin(&n, 0, 0, 0);
	at += wire_ip_write(bytes + at, &ip);
	at += net_seg_bytes(&seg, bytes + at);
	net_frame_in(&n, bytes, at);
	assert_int_equal(net_run(&n), 0);
	/* Neither what is no segment. */
	bytes[WIRE_ETH_BYTES + 9] = 17;
	net_frame_in(&n, bytes, at);
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(net_counters(&n)->strays + net_counters(&n)->bad_frames, 2);
	net_end(&n);
}

/* RFC 6093 4: urgent data is read in its place. MUST-30. */
static void urgent_in_line(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;
	u8 got[8];

	begin(&n, 0, 0, 0);
	conn = net_accept(&n, net_ip4(2), 0, &ours);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK | WIRE_URG, .seq = irs + 1, .ack = ours,
	    .len = 5, .urg = 3);
	assert_int_equal(tcp_recv(n.s->engine, soft_find(n.s, conn)->eng, got, 8), 5);
	net_end(&n);
}

/* RFC 5961 7: a budget of challenge ACKs for a second, and what is beyond it is silence.
 * RFC5961-7a, RFC5961-7b. */
static void challenges_limited(void **state)
{
	u32 sent = 0, ours;
	struct net n;

	net_config(&n);
	n.config.engine.challenge_acks_per_s = 4;
	net_start(&n);
	net_resolve(&n, net_ip4(2), 2);
	assert_int_equal(soft_listen(n.s, NET_PORT), 0);
	(void)net_accept(&n, net_ip4(2), 0, &ours);
	for (u32 i = 0; i < 20; i++) {
		SEG(&n, .from = net_ip4(2), .flags = WIRE_RST, .seq = irs + 100 + i);
		sent += net_run(&n);
	}
	assert_in_range(sent, 2, 6);
	assert_int_equal(soft_engine_counters(n.s)->challenge_acks_limited, 20 - sent);
	net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passive_open),
		cmocka_unit_test(half_open_bound),
		cmocka_unit_test(accept_bound),
		cmocka_unit_test(half_open_expires),
		cmocka_unit_test(rst_while_half_open),
		cmocka_unit_test(bad_ack_while_half_open),
		cmocka_unit_test(syn_sent_answers),
		cmocka_unit_test(simultaneous_open),
		cmocka_unit_test(resets),
		cmocka_unit_test(unlisten),
		cmocka_unit_test(chosen_ports),
		cmocka_unit_test(urgent_in_line),
		cmocka_unit_test(nobody),
		cmocka_unit_test(broadcast_by_the_link),
		cmocka_unit_test(challenges_limited),
	};

	return RUN_TESTS(tests);
}

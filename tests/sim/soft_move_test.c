/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Connections of the soft host move in every state that it, its neighbors and its paths can be in;
 * what cannot move stays and says why. Bytes are compared at the ends.
 */
#include "soft_pair.h"

#include "../unit/unit.h"

#include "wire/arp.h"
#include "wire/nd.h"

static const struct pair_options v4, v6 = {.v6 = true};

/* No answer of a neighbor gets through: ARP replies and advertisements are lost. */
static bool no_answers(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	u16 type = wire_get16(frame + 12);

	if (type == WIRE_ETH_ARP)
		return wire_get16(frame + 20) != WIRE_ARP_REPLY;
	return type != WIRE_ETH_IP6 || frame[20] != WIRE_IPPROTO_ICMP6 ||
	       frame[54] != WIRE_ND_ADVERTISEMENT;
}

static bool nothing(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	return false;
}

/* R10, R11: there and back, all at once, both families; on a link without a gateway:
 * RFC1122-3.3.1.1b. */
static void there_and_back(void **state)
{
	const struct pair_options *const families[] = {&v4, &v6};

	for (u32 f = 0; f < 2; f++) {
		struct pair p;

		pair_init(&p, families[f]);
		pair_open(&p, 6);
		for (u32 k = 0; k < 3; k++) {
			pair_exchange(&p, 20000);
			pair_move(&p, k & 1, false, STATUS_OK);
			pair_exchange(&p, 20000);
			pair_move(&p, k & 1, true, STATUS_OK);
		}
		pair_exchange(&p, 20000);
		pair_end(&p);
	}
}

/* Each state of the neighbor that a connection can be established in, by both families. */
static void neighbor_states(void **state)
{
	for (u32 f = 0; f < 2; f++) {
		struct pair_options o = {.v6 = f, .reachable_ns = 4 * NS_PER_S};
		struct pair p;

		pair_init(&p, &o);
		pair_open(&p, 4);
		assert_int_equal(pair_reach(&p, 0), SOFT_REACHABLE);
		pair_move(&p, 0, false, STATUS_OK);
		pair_move(&p, 0, true, STATUS_OK);
		p.filter = no_answers;
		/* STALE: moving is not sending. */
		pair_run(&p, 10 * NS_PER_S);
		assert_int_equal(pair_reach(&p, 0), SOFT_STALE);
		pair_move(&p, 0, false, STATUS_OK);
		pair_move(&p, 0, true, STATUS_OK);
		assert_int_equal(pair_reach(&p, 0), SOFT_STALE);
		/* DELAY, PROBE, UNREACHABLE: no segment comes back either, so nothing confirms. */
		p.filter = nothing;
		pair_send(&p, 0, 0, 100);
		pair_run(&p, NS_PER_S);
		assert_int_equal(pair_reach(&p, 0), SOFT_DELAY);
		pair_move(&p, 0, false, STATUS_OK);
		pair_move(&p, 0, true, STATUS_OK);
		pair_run(&p, 5 * NS_PER_S);
		assert_int_equal(pair_reach(&p, 0), SOFT_PROBE);
		pair_move(&p, 0, false, STATUS_OK);
		pair_move(&p, 0, true, STATUS_OK);
		pair_run(&p, 14 * NS_PER_S);
		assert_int_equal(pair_reach(&p, 0), SOFT_UNREACHABLE);
		pair_move(&p, 0, false, STATUS_OK);
		p.filter = NULL;
		pair_run(&p, 30 * NS_PER_S);
		pair_exchange(&p, 5000);
		pair_move(&p, 0, true, STATUS_OK);
		pair_exchange(&p, 5000);
		assert_int_equal(pair_reach(&p, 0), SOFT_REACHABLE);
		pair_end(&p);
	}
}

/* No address, no offload: the device could not ask for it. */
static void neighbor_incomplete(void **state)
{
	const struct ip_addr nowhere = {{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 77}};
	const struct mac_addr mac = {{2, 0, 0, 0, 0, 2}};
	struct ip_addr peer;
	struct pair p;

	pair_init(&p, &v4);
	pair_open(&p, 2);
	peer = pair_addr(&p, 1);
	assert_non_null(neighbor_get(p.at[0].soft, &nowhere, 0));
	assert_int_equal(soft_route(p.at[0].soft, &peer, &nowhere, PAIR_MTU), 0);
	pair_move(&p, 0, false, STATUS_NO_NEIGHBOR);
	pair_send(&p, 0, 0, 10);
	pair_run(&p, NS_PER_MS);
	pair_move(&p, 0, false, STATUS_NO_NEIGHBOR);
	/* It turns up: what waited goes on its way. */
	assert_int_equal(soft_neighbor(p.at[0].soft, &nowhere, &mac, 0), 0);
	pair_exchange(&p, 5000);
	pair_move(&p, 0, false, STATUS_OK);
	pair_exchange(&p, 5000);
	pair_end(&p);
}

/* R59: a gratuitous ARP, or an unsolicited advertisement, is one update for all, and the target's
 * next frames go to the new address. */

static bool look_at_mac(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	struct wire_tcp_segment seg;

	if (!from && frame[5] == 9 && wire_parse_tcp(frame, len, len, &seg) == WIRE_OK)
		p->seen++;
	return true;
}

static void mac_changes(void **state)
{
	const struct mac_addr was = {{2, 0, 0, 0, 0, 2}}, now = {{2, 0, 0, 0, 0, 9}};

	for (u32 f = 0; f < 2; f++) {
		const struct host_counters *c;
		struct pair_options o = {.v6 = f};
		struct pair p;
		u64 updates;

		pair_init(&p, &o);
		pair_open(&p, 6);
		pair_move(&p, 0, false, STATUS_OK);
		c = host_counters(p.at[0].host);
		updates = c->updates;
		p.filter = look_at_mac;
		p.at[1].soft->config.mac = now;
		soft_announce(p.at[1].soft);
		pair_run(&p, NS_PER_MS);
		assert_int_equal(c->updates, updates + 1);
		assert_int_equal(soft_counters(p.at[0].soft)->host_updates, 1);
		pair_exchange(&p, 5000);
		assert_in_range(p.seen, 6, 1000);
		p.at[1].soft->config.mac = was;
		soft_announce(p.at[1].soft);
		pair_run(&p, NS_PER_MS);
		assert_int_equal(c->updates, updates + 2);
		pair_exchange(&p, 5000);
		pair_end(&p);
	}
}

/* Semantics 5.10: the device asks once when nobody has confirmed the neighbor; the soft host finds
 * it out and tells. */
static void device_asks(void **state)
{
	struct pair_options o = {.reachable_ns = 2 * NS_PER_S, .target_reachable_ns = 2 * NS_PER_S};
	struct pair p;
	u64 solicits;

	pair_init(&p, &o);
	pair_open(&p, 2);
	pair_move(&p, 0, false, STATUS_OK);
	pair_run(&p, 10 * NS_PER_S);
	assert_int_equal(pair_reach(&p, 0), SOFT_STALE);
	solicits = soft_counters(p.at[0].soft)->solicits;
	pair_send(&p, 0, 0, 10);
	pair_run(&p, 100 * NS_PER_MS);
	assert_int_equal(pair_reach(&p, 0), SOFT_DELAY);
	pair_run(&p, 5 * NS_PER_S);
	assert_int_equal(soft_counters(p.at[0].soft)->solicits, solicits + 1);
	assert_int_equal(soft_counters(p.at[0].soft)->host_updates, 1);
	pair_end(&p);
}

/* Half-open ones stay, at either end, and open all the same. */
static bool no_syn_acks(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	struct wire_tcp_segment seg;

	return wire_parse_tcp(frame, len, len, &seg) != WIRE_OK ||
	       seg.flags != (WIRE_SYN | WIRE_ACK);
}

static void half_open(void **state)
{
	struct ip_addr server;
	struct station *s;
	struct pair p;
	u64 conn;

	pair_init(&p, &v6);
	server = pair_addr(&p, 1);
	p.filter = no_syn_acks;
	s = &p.at[0];
	assert_int_equal(soft_connect(s->soft, &server, PAIR_PORT, 0, &conn), 0);
	s->soft_conn[0] = conn;
	assert_int_equal(host_adopt(s->host, conn, s, &s->conn[0]), 0);
	pair_run(&p, 10 * NS_PER_MS);
	assert_int_equal(soft_state(s->soft, conn), TCP_SYN_SENT);
	assert_int_equal(pair_move_one(&p, 0, 0, false), STATUS_NOT_ESTABLISHED);
	assert_int_equal(p.at[1].soft->conns[LIST_HALF].n, 1);
	/* The other end has no name for it before it is accepted; by its index: */
	s = &p.at[1];
	s->soft_conn[0] = slots_handle(&s->soft->slots, s->soft->conns[LIST_HALF].head);
	assert_int_equal(host_adopt(s->host, s->soft_conn[0], s, &s->conn[0]), 0);
	assert_int_equal(pair_move_one(&p, 1, 0, false), STATUS_NOT_ESTABLISHED);
	p.filter = NULL;
	pair_run(&p, 3 * NS_PER_S);
	assert_true(soft_accept(s->soft, &conn));
	p.n = 1;
	pair_move(&p, 0, false, STATUS_OK);
	pair_move(&p, 1, false, STATUS_OK);
	pair_exchange(&p, 5000);
	pair_end(&p);
}

/* One that began as a cookie is like any other. */
static void from_cookie(void **state)
{
	for (u32 f = 0; f < 2; f++) {
		struct pair_options o = {.v6 = f, .cookies = SOFT_COOKIES_ALWAYS};
		struct pair p;

		pair_init(&p, &o);
		pair_open(&p, 4);
		assert_int_equal(soft_counters(p.at[1].soft)->cookies_ok, 4);
		pair_move(&p, 1, false, STATUS_OK);
		pair_exchange(&p, 30000);
		pair_move(&p, 1, true, STATUS_OK);
		pair_exchange(&p, 30000);
		pair_end(&p);
	}
}

/* FIN_WAIT_1 to LAST_ACK move both ways, TIME_WAIT stays, and what enters it at the device comes
 * home (semantics 5.12). */
static void closing_states(void **state)
{
	struct pair p;

	pair_init(&p, &v4);
	pair_open(&p, 4);
	/* FIN_WAIT_2 and CLOSE_WAIT. */
	pair_shutdown(&p, 0, 0);
	pair_run(&p, 20 * NS_PER_MS);
	assert_int_equal(pair_state(&p, 0, 0), TCP_FIN_WAIT_2);
	assert_int_equal(pair_state(&p, 1, 0), TCP_CLOSE_WAIT);
	for (u32 side = 0; side < 2; side++) {
		assert_int_equal(pair_move_one(&p, side, 0, false), STATUS_OK);
		assert_int_equal(pair_move_one(&p, side, 0, true), STATUS_OK);
	}
	pair_send(&p, 1, 0, 3000); /* the open half still works */
	pair_run(&p, 20 * NS_PER_MS);
	assert_int_equal(p.at[0].received[0], 3000);
	/* FIN_WAIT_1, LAST_ACK and CLOSING: with nothing on the wire they stand still. */
	p.filter = nothing;
	pair_shutdown(&p, 0, 1);
	pair_shutdown(&p, 1, 0);
	pair_run(&p, NS_PER_MS);
	assert_int_equal(pair_state(&p, 0, 1), TCP_FIN_WAIT_1);
	assert_int_equal(pair_state(&p, 1, 0), TCP_LAST_ACK);
	assert_int_equal(pair_move_one(&p, 0, 1, false), STATUS_OK);
	assert_int_equal(pair_move_one(&p, 1, 0, false), STATUS_OK);
	assert_int_equal(pair_move_one(&p, 0, 1, true), STATUS_OK);
	assert_int_equal(pair_move_one(&p, 1, 0, true), STATUS_OK);
	pair_shutdown(&p, 0, 2);
	pair_shutdown(&p, 1, 2);
	pair_run(&p, NS_PER_MS);
	p.filter = NULL;
	pair_run(&p, 500 * NS_PER_MS);
	/* 0 closed first; 2 closed at both ends at once. */
	assert_int_equal(pair_state(&p, 0, 0), TCP_TIME_WAIT);
	assert_int_equal(pair_state(&p, 1, 0), TCP_CLOSED);
	assert_int_equal(pair_state(&p, 0, 2), TCP_TIME_WAIT);
	assert_int_equal(pair_state(&p, 1, 2), TCP_TIME_WAIT);
	assert_int_equal(pair_move_one(&p, 0, 0, false), STATUS_NOT_ESTABLISHED);
	/* At the device: TIME_WAIT is the host's. */
	assert_int_equal(pair_move_one(&p, 0, 3, false), STATUS_OK);
	pair_shutdown(&p, 0, 3);
	pair_run(&p, 20 * NS_PER_MS);
	pair_shutdown(&p, 1, 3);
	pair_run(&p, 20 * NS_PER_MS);
	assert_int_equal(soft_state(p.at[0].soft, p.at[0].soft_conn[3]), TCP_TIME_WAIT);
	assert_int_equal(p.at[0].soft->conns[LIST_TIME_WAIT].n, 3);
	/* 2 MSL later nothing is left of any. */
	pair_run(&p, 3 * NS_PER_S);
	assert_int_equal(p.at[0].soft->conns[LIST_TIME_WAIT].n, 0);
	pair_end(&p);
}

/* -- errors and fragments for what is elsewhere ------------------------------------------------ */

/* The numbers of a connection, whoever has it. */
static struct tcp_state numbers(struct pair *p, u32 side, u32 i)
{
	struct station *s = &p->at[side];
	struct tcp_state state;

	if (host_query(s->host, s->conn[i], &state))
		assert_true(soft_look(s->soft, s->soft_conn[i], &state));
	return state;
}

static u32 put_headers(struct pair *p, u8 *frame, struct wire_ip ip)
{
	const struct wire_link link = {.dst = {{2, 0, 0, 0, 0, 1}},
	                               .src = {{2, 0, 0, 0, 0, 2}},
	                               .ethertype = WIRE_ETH_IP4};
	u32 at = wire_link_write(frame, &link);

	ip.version = 4;
	ip.src = pair_addr(p, 1);
	ip.dst = pair_addr(p, 0);
	ip.ttl = 64;
	return at + wire_ip_write(frame + at, &ip);
}

/* "Fragmentation needed", with the segment that begins at `seq` in it. */
static void too_big(struct pair *p, u32 i, tcp_seq seq, u16 mtu)
{
	struct tcp_state t = numbers(p, 0, i);
	struct wire_ip ip = {.protocol = WIRE_IPPROTO_ICMP, .version = 4},
		       quoted = {.version = 4, .protocol = 6, .ttl = 60, .payload_bytes = 1000};
	u8 frame[256], quote[64];
	struct wire_icmp icmp = {.kind = WIRE_ICMP_TOO_BIG, .mtu = mtu, .data = quote};
	u32 at;

	quoted.src = pair_addr(p, 0);
	quoted.dst = pair_addr(p, 1);
	at = wire_ip_write(quote, &quoted);
	wire_put16(quote + at, t.k.local_port);
	wire_put16(quote + at + 2, t.k.remote_port);
	wire_put32(quote + at + 4, seq.n);
	icmp.data_bytes = at + 8;
	ip.payload_bytes = WIRE_ICMP_BYTES + icmp.data_bytes;
	at = put_headers(p, frame, ip);
	at += wire_icmp_write(frame + at, &ip, &icmp);
	pair_frame(p, 0, frame, at);
}

static u32 largest;

static bool look_at_size(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	if (!from)
		largest = max_of(largest, len);
	return true;
}

/* R60, RFC 5927 4.1: an error about an offloaded flow is believed if the device has it on its way;
 * one update of the path, and the device's segments fit; one of the connection, which sends again
 * at once (RFC 1191 6.4). */
static void path_mtu_offloaded(void **state)
{
	const struct host_counters *c;
	struct tcp_state t;
	struct pair p;
	u64 updates;

	pair_init(&p, &v4);
	pair_open(&p, 4);
	pair_exchange(&p, 20000);
	pair_move(&p, 0, false, STATUS_OK);
	c = host_counters(p.at[0].host);
	updates = c->updates;
	t = numbers(&p, 0, 0);
	too_big(&p, 0, t.d.snd_max, 1000); /* never sent: a guess */
	pair_run(&p, NS_PER_MS);
	assert_int_equal(c->updates, updates);
	assert_int_equal(soft_counters(p.at[0].soft)->icmp_unproven, 1);
	p.filter = nothing;
	pair_send(&p, 0, 0, 20000);
	pair_run(&p, NS_PER_MS);
	too_big(&p, 0, t.d.snd_max, 1000);
	pair_run(&p, NS_PER_MS);
	assert_int_equal(c->updates, updates + 2);
	p.filter = look_at_size;
	largest = 0;
	pair_run(&p, 200 * NS_PER_MS);
	pair_exchange(&p, 20000);
	assert_int_equal(largest, 1000 + WIRE_ETH_BYTES);
	/* At home it is still so. */
	pair_move(&p, 0, true, STATUS_OK);
	pair_exchange(&p, 20000);
	assert_int_equal(largest, 1000 + WIRE_ETH_BYTES);
	pair_end(&p);
}

/* Nothing above 1,100 bytes comes through, in either direction, and nobody says so. */
static bool black_hole(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	if (!from)
		largest = max_of(largest, len);
	return len <= 1100 + WIRE_ETH_BYTES;
}

/* RFC 4821: the hole is found, the path searched, and connections move in the middle of it. */
static void black_hole_moves(void **state)
{
	struct pair_options o = {.plpmtud = true};
	struct soft_path_info info;
	struct ip_addr peer;
	struct pair p;

	pair_init(&p, &o);
	pair_open(&p, 1);
	peer = pair_addr(&p, 1);
	p.filter = black_hole;
	for (u32 k = 0; k < 4; k++) {
		pair_send(&p, 0, 0, 20000);
		pair_run(&p, 20 * NS_PER_S);
	}
	assert_int_equal(p.at[1].received[0], 80000);
	assert_int_equal(soft_path_info(p.at[0].soft, &peer, &info), 0);
	assert_in_range(info.mtu, 552, 1100);
	assert_in_range(soft_counters(p.at[0].soft)->pmtu_black_holes, 1, 4);
	pair_move(&p, 0, false, STATUS_OK);
	pair_send(&p, 0, 0, 20000);
	pair_run(&p, NS_PER_S);
	assert_int_equal(p.at[1].received[0], 100000);
	pair_move(&p, 0, true, STATUS_OK);
	/* Ten minutes later it looks for more, and finds what there is within a few bytes. */
	pair_run(&p, 601 * NS_PER_S);
	for (u32 k = 0; k < 40; k++) {
		pair_send(&p, 0, 0, 60000);
		pair_run(&p, 2 * NS_PER_S);
		if (k % 8 == 0) {
			pair_move(&p, 0, false, STATUS_OK);
			pair_move(&p, 0, true, STATUS_OK);
		}
	}
	pair_run(&p, 10 * NS_PER_S);
	assert_int_equal(p.at[1].received[0], p.at[0].sent[0]);
	assert_int_equal(soft_path_info(p.at[0].soft, &peer, &info), 0);
	assert_in_range(info.mtu, 1100 - 16, 1100);
	assert_in_range(soft_counters(p.at[0].soft)->pmtu_probes, 3, 40);
	pair_end(&p);
}

/* A device finds no black holes. One that says when nothing gets through gives the connection back,
 * and the host finds it. */
static void black_hole_at_device(void **state)
{
	struct pair_options o = {.ask = TARGET_ASK_SOFT_ERROR};
	struct host_conn_info info;
	struct pair p;

	pair_init(&p, &o);
	pair_open(&p, 1);
	pair_move(&p, 0, false, STATUS_OK);
	p.filter = black_hole;
	pair_send(&p, 0, 0, 20000);
	pair_run(&p, 20 * NS_PER_S);
	assert_int_equal(p.at[1].received[0], 20000);
	assert_int_equal(soft_counters(p.at[0].soft)->pmtu_black_holes, 1);
	assert_int_equal(host_conn_info(p.at[0].host, p.at[0].conn[0], &info), 0);
	assert_int_equal(info.side, HOST_IN_STACK);
	/* And with what it has found, it can go again. */
	pair_move(&p, 0, false, STATUS_OK);
	pair_exchange(&p, 20000);
	pair_end(&p);
}

/* R39, R53: fragments, and segments with IP options, of a flow that the device has: put together or
 * unwrapped here, and forwarded there. */
static void fragments_offloaded(void **state)
{
	for (u32 here = 0; here < 2; here++) {
		u8 tcp[256], frame[512];
		struct wire_tcp seg = {.flags = WIRE_ACK | WIRE_PSH, .wnd = 4000};
		struct wire_ip ip = {.protocol = 6, .id = 99, .more_fragments = 1};
		const struct ip_addr *src, *dst;
		struct ip_addr a, b;
		struct tcp_state t;
		u32 len, at;
		struct pair p;

		pair_init(&p, &v4);
		pair_open(&p, 2);
		if (!here)
			pair_move(&p, 0, false, STATUS_OK);
		t = numbers(&p, 0, 1);
		seg.src_port = t.k.remote_port;
		seg.dst_port = t.k.local_port;
		seg.seq = t.d.rcv_nxt;
		seg.ack = t.d.snd_una;
		seg.options = (struct wire_tcp_options){.present = WIRE_OPT_TIMESTAMPS,
		                                        .ts_val = t.d.ts_recent + 1};
		a = pair_addr(&p, 1);
		b = pair_addr(&p, 0);
		src = &a;
		dst = &b;
		len = wire_tcp_write(tcp, &seg);
		for (u32 k = 0; k < 100; k++)
			tcp[len++] = (u8)(k * 7 + 31 + 1); /* the pattern of side 1, connection 1 */
		seg.csum = csum_finish(csum_bytes(csum_pseudo(src, dst, 6, len), tcp, len));
		memcpy(tcp + 16, &seg.csum, 2);
		ip.payload_bytes = 64;
		at = put_headers(&p, frame, ip);
		memcpy(frame + at, tcp, 64);
		pair_frame(&p, 0, frame, at + 64);
		/* In the middle of it the connection moves once more. */
		assert_int_equal(pair_move_one(&p, 0, 0, here ? false : true), STATUS_OK);
		ip.frag_off = 64;
		ip.more_fragments = 0;
		ip.payload_bytes = len - 64;
		at = put_headers(&p, frame, ip);
		memcpy(frame + at, tcp + 64, len - 64);
		pair_frame(&p, 0, frame, at + len - 64);
		p.at[1].sent[1] = 100; /* as far as anybody can tell */
		/* The host half had nothing to do with fragments before the move: it gives the
		 * second one up after a while, and the soft host has kept the first. */
		pair_run(&p, here ? 31 * NS_PER_S : NS_PER_MS);
		assert_int_equal(p.at[0].received[1], 100);
		pair_end(&p);
	}
}

/* R61: the device's identifiers and ours are of two halves, and each goes on where it was. */
static u16 ids[2][64];
static u32 n_ids[2], whose;

static bool look_at_ids(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	if (!from && wire_get16(frame + 12) == WIRE_ETH_IP4 && n_ids[whose] < 64)
		ids[whose][n_ids[whose]++] = wire_get16(frame + 18);
	return true;
}

static void ip_ids(void **state)
{
	struct ip_addr peer;
	struct pair p;
	u16 start;

	pair_init(&p, &v4);
	pair_open(&p, 2);
	p.filter = look_at_ids;
	n_ids[0] = n_ids[1] = 0;
	for (u32 k = 0; k < 4; k++) {
		whose = k & 1;
		if (whose)
			pair_move(&p, 0, false, STATUS_OK);
		pair_exchange(&p, 3000);
		if (whose)
			pair_move(&p, 0, true, STATUS_OK);
	}
	peer = pair_addr(&p, 1);
	start = soft_find_route(p.at[0].soft, &peer)->ip_id_start;
	assert_in_range(n_ids[0], 4, 64);
	assert_in_range(n_ids[1], 4, 64);
	for (u32 i = 0; i < n_ids[0]; i++)
		assert_true((u16)(ids[0][i] - start) >= 32768);
	for (u32 i = 0; i < n_ids[1]; i++) {
		assert_true((u16)(ids[1][i] - start) < 32768);
		if (i)
			assert_true((u16)(ids[1][i] - ids[1][i - 1]) < 1000);
	}
	pair_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(neighbor_states),
		cmocka_unit_test(neighbor_incomplete),
		cmocka_unit_test(mac_changes),
		cmocka_unit_test(device_asks),
		cmocka_unit_test(half_open),
		cmocka_unit_test(from_cookie),
		cmocka_unit_test(closing_states),
		cmocka_unit_test(path_mtu_offloaded),
		cmocka_unit_test(black_hole_moves),
		cmocka_unit_test(black_hole_at_device),
		cmocka_unit_test(fragments_offloaded),
		cmocka_unit_test(ip_ids),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Neighbors of the soft host: ARP and neighbor discovery, state by state. */
#include <errno.h>

#include "unit.h"

#include "soft_net.h"

static void ping(struct net *n, struct ip_addr to)
{
	assert_int_equal(soft_ping(n->s, &to, 1, 1, 8), 0);
}

static u32 pending(const struct net *n, struct ip_addr hop)
{
	struct soft_neighbor_info info;

	assert_int_equal(soft_neighbor_info(n->s, &hop, &info), 0);
	return info.pending;
}

/* RFC 826: one request to all, the answer sends what waited. */
static void arp_resolves(void **state)
{
	struct net n;
	struct wire_arp arp;
	struct wire_ip ip;

	net_init(&n);
	ping(&n, net_ip4(2));
	assert_int_equal(net_run(&n), 1);
	arp = net_arp_out(&n, 0);
	assert_int_equal(arp.op, WIRE_ARP_REQUEST);
	assert_true(ip_addr_eq(&arp.tpa, ADDR(net_ip4(2))));
	assert_int_equal(net_dst(&n, 0)->b[0], 0xff);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_INCOMPLETE);
	net_arp(&n, WIRE_ARP_REPLY, 2, net_ip4(2), net_ip4(1));
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_icmp_out(&n, 0, &ip).kind, WIRE_ICMP_ECHO_REQUEST);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(2).b, 6);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_REACHABLE);
	net_end(&n);
}

/* RFC1122-3.3.1.1a, RFC1122-3.3.1.2a, RFC1122-3.3.1.2c, RFC1122-3.3.1.6: by the mask on the link,
 * or by the default gateway; what is known of an address stays, until a route by hand takes its
 * place. */
static void the_way(void **state)
{
	const struct mac_addr gate = net_mac(254), hop = net_mac(3);
	const struct ip_addr far = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 7}}, other = net_ip4(3);
	struct net n;
	u64 conn;

	net_init(&n);
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 7, 0, &conn), 0);
	assert_int_equal(net_run(&n), 1);
	assert_true(ip_addr_eq(ADDR(net_arp_out(&n, 0).tpa), ADDR(net_ip4(2))));
	assert_int_equal(soft_connect(n.s, &far, 7, 0, &conn), 0);
	assert_int_equal(net_run(&n), 1);
	assert_true(ip_addr_eq(ADDR(net_arp_out(&n, 0).tpa), ADDR(net_ip4(254))));
	/* The next connection to it asks nobody: its SYN waits with the other one's. */
	assert_int_equal(soft_connect(n.s, &far, 8, 0, &conn), 0);
	assert_int_equal(net_run(&n), 0);
	net_arp(&n, WIRE_ARP_REPLY, 254, net_ip4(254), net_ip4(1));
	assert_int_equal(net_run(&n), 2);
	for (u32 i = 0; i < 2; i++)
		assert_memory_equal(net_dst(&n, i), &gate, sizeof(gate));
	net_resolve(&n, other, 3);
	assert_int_equal(soft_route(n.s, &far, &other, NET_MTU), 0);
	assert_int_equal(soft_connect(n.s, &far, 9, 0, &conn), 0);
	assert_int_equal(net_run(&n), 1);
	assert_memory_equal(net_dst(&n, 0), &hop, sizeof(hop));
	net_end(&n);
}

/* RFC1122-3.3.1.2d, RFC1122-3.3.1.5, RFC1122-3.3.1.4a: of two gateways the first, until it does not
 * answer; then the other, for new connections and for those that there are. */
static void another_gateway(void **state)
{
	const struct mac_addr second = net_mac(253);
	const struct ip_addr zero = {{[10] = 0xff, [11] = 0xff}};
	const struct ip_addr far = net_far4(9), farther = net_far4(10);
	struct net n;
	u64 conn;
	u32 ours, t;

	net_init(&n);
	assert_int_equal(soft_prefix(n.s, &zero, 0, ADDR(net_ip4(253)), NET_MTU, 0), 0);
	net_resolve(&n, net_ip4(254), 254);
	conn = net_connect(&n, far, 0, &ours);
	/* It is dead: what is sent is not acknowledged, and nobody answers for it. */
	assert_int_equal(tcp_send(n.s->engine, soft_find(n.s, conn)->eng, "hello", 5), 5);
	for (t = 1; t < 60 && net_reach(&n, net_ip4(254)) != SOFT_UNREACHABLE; t++)
		net_at(&n, t * NS_PER_S);
	assert_int_equal(net_reach(&n, net_ip4(254)), SOFT_UNREACHABLE);
	assert_int_equal(net_reach(&n, net_ip4(253)), SOFT_INCOMPLETE);
	net_arp(&n, WIRE_ARP_REPLY, 253, net_ip4(253), net_ip4(1));
	net_run(&n);
	while (t++ < 200 && !net_at(&n, t * NS_PER_S))
		;
	assert_memory_equal(net_dst(&n, 0), &second, sizeof(second));
	assert_int_equal(net_tcp(&n, 0).payload_len, 5);
	/* A new one. */
	assert_int_equal(soft_connect(n.s, &farther, 7, 0, &conn), 0);
	assert_true(net_run(&n) >= 1);
	assert_memory_equal(net_dst(&n, 0), &second, sizeof(second));
	net_end(&n);
}

/* RFC 1122 2.3.2.2, RFC 4861 7.2.2: some wait, the oldest goes first. */
static void few_wait(void **state)
{
	struct net n;

	net_init(&n);
	for (u32 i = 0; i < 5; i++)
		ping(&n, net_ip6(2));
	assert_int_equal(pending(&n, net_ip6(2)), SOFT_PENDING);
	assert_int_equal(net_counters(&n)->pending_dropped, 2);
	assert_int_equal(net_run(&n), 1); /* one solicitation for all */
	net_end(&n);
}

/* RFC 4861 7.2.2: three solicitations a second apart, then what waits is lost. */
static void nobody_answers(void **state)
{
	const u64 ms = NS_PER_MS;
	struct net n;

	net_init(&n);
	ping(&n, net_ip6(2));
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_at(&n, 999 * ms), 0);
	assert_int_equal(net_at(&n, 1000 * ms), 1);
	assert_int_equal(net_at(&n, 2000 * ms), 1);
	assert_int_equal(net_at(&n, 2999 * ms), 0);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_INCOMPLETE);
	assert_int_equal(net_at(&n, 3000 * ms), 0);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_NONE);
	assert_int_equal(pending(&n, net_ip6(2)), 0);
	assert_int_equal(net_counters(&n)->solicits, 3);
	assert_int_equal(net_counters(&n)->neighbors_failed, 1);
	/* The next one begins anew. */
	ping(&n, net_ip6(2));
	assert_int_equal(net_run(&n), 1);
	net_end(&n);
}

/* RFC 4861 7.2.2, 4.3: to the solicited-node group, hop limit 255, our link-layer address in it. */
static void solicitation(void **state)
{
	const struct mac_addr group = {{0x33, 0x33, 0xff, 0, 0, 2}};
	struct ip_addr want;
	struct wire_ip ip;
	struct wire_nd nd;
	struct net n;

	net_init(&n);
	ping(&n, net_ip6(2));
	net_run(&n);
	nd = net_nd_out(&n, 0, &ip);
	assert_int_equal(nd.type, WIRE_ND_SOLICITATION);
	assert_int_equal(ip.ttl, 255);
	assert_true(nd.has_mac);
	assert_memory_equal(nd.mac.b, net_mac(1).b, 6);
	want = net_ip6(2);
	assert_true(ip_addr_eq(&nd.target, &want));
	wire_nd_solicited_node(ADDR(net_ip6(2)), &want);
	assert_true(ip_addr_eq(&ip.dst, &want));
	assert_memory_equal(net_dst(&n, 0)->b, group.b, 6);
	net_end(&n);
}

/* RFC 4861 7.3.3, RFC 7048 3: the whole way down, and what is sent at each step. RFC1122-3.3.1.4a,
 * RFC1122-3.3.1.4b, RFC1122-3.3.1.4c, RFC1122-3.3.1.4d. */
static void life(void **state)
{
	const u64 s = NS_PER_S;
	struct net n;
	u64 stale, t;

	net_init(&n);
	net_resolve(&n, net_ip6(2), 2);
	/* Between half and one and a half of 30 s. */
	net_at(&n, 14 * s);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_REACHABLE);
	stale = soft_next_deadline(n.s) - n.start_ns;
	assert_in_range(stale, 15 * s, 45 * s);
	net_at(&n, stale);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_STALE);
	net_at(&n, 100 * s);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_STALE);
	ping(&n, net_ip6(2));
	assert_int_equal(net_run(&n), 1); /* the datagram itself: the address is used on */
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_DELAY);
	t = 105 * s;
	assert_int_equal(net_at(&n, t - 1), 0);
	assert_int_equal(net_at(&n, t), 1); /* to the neighbor itself, at 0, 1 and 4 s */
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_PROBE);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(2).b, 6);
	assert_int_equal(net_at(&n, t + 1 * s), 1);
	assert_int_equal(net_at(&n, t + 4 * s - 1), 0);
	ping(&n, net_ip6(2));
	assert_int_equal(net_at(&n, t + 4 * s), 2);
	ping(&n, net_ip6(2));
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_at(&n, t + 13 * s), 1); /* now to all */
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_UNREACHABLE);
	assert_int_equal(net_dst(&n, 0)->b[0], 0x33);
	/* 27 s later, if anybody still wants it. */
	ping(&n, net_ip6(2));
	assert_int_equal(net_run(&n), 1);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(2).b, 6);
	assert_int_equal(net_at(&n, t + 40 * s - 1), 0);
	assert_int_equal(net_at(&n, t + 40 * s), 1);
	/* 60 s at most; nobody wants it: silence until somebody does. */
	assert_int_equal(net_at(&n, t + 100 * s), 0);
	assert_int_equal(net_at(&n, t + 500 * s), 0);
	ping(&n, net_ip6(2));
	assert_int_equal(net_at(&n, t + 500 * s), 2);
	/* A solicited answer mends it. */
	net_nd(&n,
	       &(struct wire_nd){.type = WIRE_ND_ADVERTISEMENT,
	                         .target = net_ip6(2),
	                         .solicited = 1,
	                         .has_mac = 1,
	                         .mac = net_mac(2)},
	       2, net_ip6(2), net_ip6(1));
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_REACHABLE);
	net_end(&n);
}

/* RFC 4861 7.2.5: what an advertisement does, by its flags, in REACHABLE and STALE. */
static void advertisement_flags(void **state)
{
	static const struct {
		u8 from, mac; /* state, address: 2 the same, 3 another, 0 none */
		bool solicited, override;
		u8 to, mac_then;
	} rows[] = {
		{SOFT_REACHABLE, 2, 0, 0, SOFT_REACHABLE, 2},
		{SOFT_REACHABLE, 3, 0, 0, SOFT_STALE, 2},
		{SOFT_REACHABLE, 3, 1, 0, SOFT_STALE, 2},
		{SOFT_REACHABLE, 3, 0, 1, SOFT_STALE, 3},
		{SOFT_REACHABLE, 3, 1, 1, SOFT_REACHABLE, 3},
		{SOFT_REACHABLE, 2, 0, 1, SOFT_REACHABLE, 2},
		{SOFT_STALE, 2, 0, 1, SOFT_STALE, 2},
		{SOFT_STALE, 2, 1, 0, SOFT_REACHABLE, 2},
		{SOFT_STALE, 3, 1, 0, SOFT_STALE, 2},
		{SOFT_STALE, 3, 1, 1, SOFT_REACHABLE, 3},
		{SOFT_STALE, 0, 1, 0, SOFT_REACHABLE, 2},
		{SOFT_STALE, 0, 0, 0, SOFT_STALE, 2},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct soft_neighbor_info info;
		struct ip_addr hop = net_ip6(2);
		struct net n;

		net_init(&n);
		net_resolve(&n, hop, 2);
		if (rows[i].from == SOFT_STALE)
			neighbor_doubt(n.s, neighbor_find(n.s, &hop));
		net_nd(&n,
		       &(struct wire_nd){.type = WIRE_ND_ADVERTISEMENT,
		                         .target = hop,
		                         .solicited = rows[i].solicited,
		                         .override = rows[i].override,
		                         .has_mac = rows[i].mac != 0,
		                         .mac = net_mac(rows[i].mac)},
		       2, hop, net_ip6(1));
		assert_int_equal(soft_neighbor_info(n.s, &hop, &info), 0);
		if (info.state != rows[i].to || info.mac.b[5] != rows[i].mac_then)
			fail_msg("row %u: state %u, address %u", i, info.state, info.mac.b[5]);
		net_end(&n);
	}
}

/* RFC 4861 7.2.5: in INCOMPLETE an unsolicited one makes it STALE; one without address says
 * nothing. 7.1.2: solicited to a group is nonsense. */
static void advertisement_incomplete(void **state)
{
	const struct ip_addr all = {{0xff, 0x02, [15] = 1}};
	struct wire_nd nd = {
		.type = WIRE_ND_ADVERTISEMENT, .target = net_ip6(2), .router = 1, .solicited = 1};
	struct soft_neighbor_info info;
	struct net n;

	net_init(&n);
	ping(&n, net_ip6(2));
	net_run(&n);
	net_nd(&n, &nd, 2, net_ip6(2), net_ip6(1));
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_INCOMPLETE);
	nd.has_mac = 1;
	nd.mac = net_mac(2);
	net_nd(&n, &nd, 2, net_ip6(2), all);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_INCOMPLETE);
	assert_int_equal(net_counters(&n)->bad_frames, 1);
	nd.solicited = 0;
	net_nd(&n, &nd, 2, net_ip6(2), all);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(soft_neighbor_info(n.s, ADDR(net_ip6(2)), &info), 0);
	/* The datagram that waited has used it already. */
	assert_int_equal(info.state, SOFT_DELAY);
	assert_true(info.router);
	/* One of whom nobody asked. */
	nd.target = net_ip6(3);
	net_nd(&n, &nd, 3, net_ip6(3), all);
	assert_int_equal(soft_neighbor_info(n.s, ADDR(net_ip6(3)), &info), -ENOENT);
	net_end(&n);
}

/* RFC 4861 7.2.3, 7.2.4: who asks us is answered and remembered as STALE. */
static void we_are_asked(void **state)
{
	struct wire_nd nd = {.type = WIRE_ND_SOLICITATION,
	                     .target = net_ip6(1),
	                     .has_mac = 1,
	                     .mac = net_mac(2)};
	const struct ip_addr nobody = {{0}};
	struct ip_addr group;
	struct wire_nd out;
	struct wire_ip ip;
	struct net n;

	net_init(&n);
	wire_nd_solicited_node(ADDR(net_ip6(1)), &group);
	net_nd(&n, &nd, 2, net_ip6(2), group);
	assert_int_equal(net_run(&n), 1);
	out = net_nd_out(&n, 0, &ip);
	assert_int_equal(out.type, WIRE_ND_ADVERTISEMENT);
	assert_true(out.solicited && out.override && out.has_mac && !out.router);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(2).b, 6);
	assert_int_equal(net_reach(&n, net_ip6(2)), SOFT_STALE);
	/* Somebody without an address yet: to all, not solicited (7.2.4). */
	nd.has_mac = 0;
	net_nd(&n, &nd, 3, nobody, group);
	assert_int_equal(net_run(&n), 1);
	out = net_nd_out(&n, 0, &ip);
	assert_false(out.solicited);
	assert_int_equal(ip.dst.b[0], 0xff);
	/* 7.1.1: that one may not name its link-layer address. */
	nd.has_mac = 1;
	net_nd(&n, &nd, 3, nobody, group);
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(net_counters(&n)->bad_frames, 1);
	/* Not about us. */
	nd.target = net_ip6(9);
	net_nd(&n, &nd, 2, net_ip6(2), group);
	assert_int_equal(net_run(&n), 0);
	net_end(&n);
}

static void arp_we_are_asked(void **state)
{
	struct wire_arp arp;
	struct net n;

	net_init(&n);
	net_arp(&n, WIRE_ARP_REQUEST, 2, net_ip4(2), net_ip4(1));
	assert_int_equal(net_run(&n), 1);
	arp = net_arp_out(&n, 0);
	assert_int_equal(arp.op, WIRE_ARP_REPLY);
	assert_memory_equal(arp.sha.b, net_mac(1).b, 6);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(2).b, 6);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_STALE);
	/* Not about us: nobody is remembered for it. */
	net_arp(&n, WIRE_ARP_REQUEST, 3, net_ip4(3), net_ip4(4));
	assert_int_equal(net_run(&n), 0);
	assert_null(neighbor_find(n.s, ADDR(net_ip4(3))));
	net_end(&n);
}

/* A gratuitous one: an address that is known changes, and is no proof that it can be reached. */
static void gratuitous(void **state)
{
	struct soft_neighbor_info info;
	struct net n;

	net_init(&n);
	net_resolve(&n, net_ip4(2), 2);
	net_arp(&n, WIRE_ARP_REQUEST, 7, net_ip4(2), net_ip4(2));
	assert_int_equal(soft_neighbor_info(n.s, ADDR(net_ip4(2)), &info), 0);
	assert_int_equal(info.state, SOFT_STALE);
	assert_int_equal(info.mac.b[5], 7);
	/* Ours: both families. */
	soft_announce(n.s);
	assert_int_equal(net_run(&n), 2);
	assert_true(ip_addr_eq(ADDR(net_arp_out(&n, 0).spa), ADDR(net_arp_out(&n, 0).tpa)));
	assert_true(net_nd_out(&n, 1, NULL).override);
	assert_false(net_nd_out(&n, 1, NULL).solicited);
	net_end(&n);
}

/* RFC 5227 2.4 (b): said once in ten seconds. */
static void conflict(void **state)
{
	struct net n;

	net_init(&n);
	net_arp(&n, WIRE_ARP_REQUEST, 9, net_ip4(1), net_ip4(1));
	assert_int_equal(net_run(&n), 1);
	net_arp(&n, WIRE_ARP_REQUEST, 9, net_ip4(1), net_ip4(1));
	assert_int_equal(net_run(&n), 0);
	net_at(&n, 10 * NS_PER_S);
	net_arp(&n, WIRE_ARP_REQUEST, 9, net_ip4(1), net_ip4(1));
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_counters(&n)->address_conflicts, 3);
	net_end(&n);
}

/* RFC 4861 7.3.1: an ACK of new data is as good as an answer. RFC1122-3.3.1.4e, RFC1122-3.3.1.4f.
 */
static void progress_confirms(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_init(&n);
	net_resolve(&n, net_ip4(2), 2);
	conn = net_connect(&n, net_ip4(2), 0, &ours);
	net_at(&n, 46 * NS_PER_S);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_STALE);
	assert_int_equal(tcp_send(n.s->engine, soft_find(n.s, conn)->eng, "hello", 5), 5);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_DELAY);
	SEG(&n, .from = net_ip4(2), .src_port = NET_PORT,
	    .dst_port = soft_find(n.s, conn)->local_port, .flags = WIRE_ACK, .seq = 5001,
	    .ack = ours + 5);
	net_run(&n);
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_REACHABLE);
	assert_int_equal(net_counters(&n)->solicits, 1);
	net_end(&n);
}

/* RFC 9293 3.8.3: repeated retransmission casts doubt on the way. MUST-20a, RFC1122-3.3.1.4a,
 * RFC1122-3.3.1.4f. */
static void retransmission_doubts(void **state)
{
	struct net n;
	u64 conn;

	net_init(&n);
	net_resolve(&n, net_ip4(2), 2);
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 80, 0, &conn), 0);
	net_run(&n);
	for (u32 i = 1; i <= 12; i++)
		net_at(&n, i * NS_PER_S);
	/* 1, 2, 4 s: the third was sent by an address in doubt. */
	assert_int_equal(net_reach(&n, net_ip4(2)), SOFT_DELAY);
	net_end(&n);
}

/* RFC 4861 7.2.2, RFC 1122 4.2.3.9: that nobody answers is advice; the connection goes on trying.
 */
static void connection_is_told(void **state)
{
	struct net n;
	u64 conn;

	net_init(&n);
	assert_int_equal(soft_connect(n.s, ADDR(net_far6(9)), 80, 0, &conn), 0);
	net_run(&n);
	net_at(&n, 1 * NS_PER_S);
	net_at(&n, 2 * NS_PER_S);
	assert_int_equal(soft_error(n.s, conn), 0);
	net_at(&n, 3 * NS_PER_S);
	assert_int_equal(soft_error(n.s, conn), EHOSTUNREACH);
	assert_int_equal(soft_state(n.s, conn), TCP_SYN_SENT);
	net_end(&n);
}

/* A connection whose neighbor is asked for sends its SYN when the answer is there, and loses
 * nothing by it. */
static void connection_waits(void **state)
{
	struct net n;
	u64 conn;

	net_init(&n);
	assert_int_equal(soft_connect(n.s, ADDR(net_far4(9)), 80, 0, &conn), 0);
	assert_int_equal(net_run(&n), 1);
	assert_true(ip_addr_eq(ADDR(net_arp_out(&n, 0).tpa), ADDR(net_ip4(254))));
	net_arp(&n, WIRE_ARP_REPLY, 254, net_ip4(254), net_ip4(1));
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_tcp(&n, 0).flags, WIRE_SYN);
	assert_memory_equal(net_dst(&n, 0)->b, net_mac(254).b, 6);
	net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_resolves),
		cmocka_unit_test(the_way),
		cmocka_unit_test(another_gateway),
		cmocka_unit_test(few_wait),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(solicitation),
		cmocka_unit_test(life),
		cmocka_unit_test(advertisement_flags),
		cmocka_unit_test(advertisement_incomplete),
		cmocka_unit_test(we_are_asked),
		cmocka_unit_test(arp_we_are_asked),
		cmocka_unit_test(gratuitous),
		cmocka_unit_test(conflict),
		cmocka_unit_test(progress_confirms),
		cmocka_unit_test(retransmission_doubts),
		cmocka_unit_test(connection_is_told),
		cmocka_unit_test(connection_waits),
	};

	return RUN_TESTS(tests);
}

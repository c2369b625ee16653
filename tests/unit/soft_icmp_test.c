/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ICMP and ICMPv6 of the soft host, and the MTU of paths. */
#include <errno.h>

#include "unit.h"

#include "soft_net.h"

enum { UDP = 17 };

static const u32 irs = 5000;

static void begin(struct net *n, bool plpmtud)
{
	net_config(n);
	n->config.plpmtud = plpmtud;
	n->config.options = 0;
	net_start(n);
	net_resolve(n, net_ip4(2), 2);
	net_resolve(n, net_ip6(2), 2);
	net_resolve(n, net_ip4(254), 254);
	net_resolve(n, net_ip6(254), 254);
	assert_int_equal(soft_listen(n->s, NET_PORT), 0);
}

static struct wire_ip from_to(struct ip_addr from, struct ip_addr to)
{
	return (struct wire_ip){.version = ip_addr_is_v4(&from) ? 4 : 6, .src = from, .dst = to};
}

/* An error by a router about the segment of ours that begins with `seq`. */
static void error(struct net *n, struct ip_addr remote, u16 our_port, u32 seq,
                  struct wire_icmp icmp)
{
	bool v4 = ip_addr_is_v4(&remote);
	struct wire_ip ip = from_to(v4 ? net_ip4(254) : net_ip6(254), v4 ? net_ip4(1) : net_ip6(1));
	struct wire_ip quoted = from_to(ip.dst, remote);
	u8 quote[64];
	u32 at;

	quoted.protocol = WIRE_IPPROTO_TCP;
	quoted.payload_bytes = 1000;
	quoted.ttl = 64;
	at = wire_ip_write(quote, &quoted);
	wire_put16(quote + at, our_port);
	wire_put16(quote + at + 2, NET_PORT);
	wire_put32(quote + at + 4, seq);
	icmp.data = quote;
	icmp.data_bytes = at + 8;
	net_icmp_in(n, &ip, &icmp);
}

static u16 port_of(const struct net *n, u64 conn)
{
	return soft_find(n->s, conn)->local_port;
}

static struct soft_path_info path(const struct net *n, struct ip_addr remote)
{
	struct soft_path_info info;

	assert_int_equal(soft_path_info(n->s, &remote, &info), 0);
	return info;
}

/* Queues and sends `len` bytes; returns how many frames left. */
static u32 send_bytes(struct net *n, u64 conn, u32 len)
{
	static const u8 bytes[65536];

	assert_int_equal(tcp_send(n->s->engine, soft_find(n->s, conn)->eng, bytes, len), len);
	return net_run(n);
}

static void ack(struct net *n, struct ip_addr remote, u64 conn, u32 ours)
{
	SEG(n, .from = remote, .src_port = NET_PORT, .dst_port = port_of(n, conn),
	    .flags = WIRE_ACK, .seq = irs + 1, .ack = ours);
}

/* -- echo -------------------------------------------------------------------------------------- */

/* RFC 1122 3.2.2.6, RFC 4443 4.2. RFC1122-3.3.4.2a. */
static void echo(void **state)
{
	static const u8 data[] = "as it was";
	const struct ip_addr peers[] = {net_ip4(2), net_ip6(2)};

	for (u32 i = 0; i < 2; i++) {
		struct wire_icmp out, in = {.kind = WIRE_ICMP_ECHO_REQUEST,
		                            .echo_id = 7,
		                            .echo_seq = 9,
		                            .data = data,
		                            .data_bytes = sizeof(data)};
		struct wire_ip ip = from_to(peers[i], i ? net_ip6(1) : net_ip4(1)), got;
		struct net n;

		begin(&n, false);
		net_icmp_in(&n, &ip, &in);
		assert_int_equal(net_run(&n), 1);
		out = net_icmp_out(&n, 0, &got);
		assert_int_equal(out.kind, WIRE_ICMP_ECHO_REPLY);
		assert_int_equal(out.echo_id, 7);
		assert_int_equal(out.echo_seq, 9);
		assert_int_equal(out.data_bytes, sizeof(data));
		assert_memory_equal(out.data, data, sizeof(data));
		assert_true(ip_addr_eq(&got.src, &ip.dst) && ip_addr_eq(&got.dst, &ip.src));
		/* To everybody: nobody. */
		ip.dst = i ? (struct ip_addr){{0xff, 2, [15] = 1}}
		           : (struct ip_addr){{[10] = 0xff, [11] = 0xff, [12] = 224, [15] = 1}};
		net_icmp_in(&n, &ip, &in);
		assert_int_equal(net_run(&n), 0);
		in.kind = WIRE_ICMP_ECHO_REPLY;
		ip.dst = got.src;
		net_icmp_in(&n, &ip, &in);
		assert_int_equal(net_counters(&n)->echo_replies, 1);
		net_end(&n);
	}
}

/* What is larger than the path goes in fragments: their identifiers are of our half (R61). */
static void large_echo(void **state)
{
	struct wire_ip ip[2];
	struct net n;

	begin(&n, false);
	assert_int_equal(soft_ping(n.s, ADDR(net_ip4(2)), 1, 1, 2000), 0);
	assert_int_equal(net_run(&n), 2);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(wire_ip4_parse(n.out[i].bytes + 14, n.out[i].len - 14, &ip[i]),
		                 WIRE_OK);
	assert_int_equal(ip[0].id, ip[1].id);
	assert_int_equal(ip[0].payload_bytes, 1480);
	assert_true(ip[0].more_fragments && !ip[0].dont_fragment);
	assert_int_equal(ip[1].frag_off, 1480);
	assert_int_equal(ip[1].payload_bytes, 2008 - 1480);
	assert_true((u16)(ip[0].id - soft_find_route(n.s, ADDR(net_ip4(2)))->ip_id_start) >= 32768);
	assert_int_equal(soft_ping(n.s, ADDR(net_ip6(2)), 1, 1, 2000), 0);
	assert_int_equal(net_run(&n), 2);
	assert_int_equal(wire_ip6_parse(n.out[0].bytes + 14, n.out[0].len - 14, &ip[0]), WIRE_OK);
	assert_int_equal(ip[0].has_frag_header, 1);
	net_end(&n);
}

/* -- errors that we send ----------------------------------------------------------------------- */

/* RFC 1122 3.2.2.1, RFC 4443 3.1, 3.4: what nobody here speaks. RFC1122-3.3.8. */
static void unknown_protocols(void **state)
{
	static const struct {
		bool v6;
		u8 protocol, kind, code;
		u32 pointer;
	} rows[] = {
		{false, UDP, WIRE_ICMP_UNREACHABLE, 3, 0},
		{false, 132, WIRE_ICMP_UNREACHABLE, 2, 0},
		{true, UDP, WIRE_ICMP_UNREACHABLE, 4, 0},
		{true, 132, WIRE_ICMP_PARAMETER_PROBLEM, 1, 6},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		bool v6 = rows[i].v6;
		struct wire_ip ip =
			from_to(v6 ? net_ip6(2) : net_ip4(2), v6 ? net_ip6(1) : net_ip4(1));
		struct wire_icmp out;
		u8 bytes[20] = {0};
		struct net n;

		begin(&n, false);
		ip.protocol = rows[i].protocol;
		net_ip_in(&n, ip, bytes, sizeof(bytes));
		assert_int_equal(net_run(&n), 1);
		out = net_icmp_out(&n, 0, NULL);
		assert_int_equal(out.kind, rows[i].kind);
		assert_int_equal(out.code, rows[i].code);
		assert_int_equal(out.pointer, rows[i].pointer);
		/* The datagram comes back with it. */
		assert_int_equal(out.data_bytes, (v6 ? 40 : 20) + sizeof(bytes));
		net_end(&n);
	}
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e): about what there is never an error. */
static void no_errors(void **state)
{
	const struct ip_addr group = {{[10] = 0xff, [11] = 0xff, [12] = 224, [15] = 9}};
	const struct ip_addr nobody = {{[10] = 0xff, [11] = 0xff}};
	u8 bytes[64] = {[20] = 3};
	struct wire_ip ip;
	struct net n;

	begin(&n, false);
	ip = from_to(net_ip4(2), group); /* to a group */
	ip.protocol = UDP;
	net_ip_in(&n, ip, bytes, 20);
	ip = from_to(nobody, net_ip4(1)); /* from nobody */
	ip.protocol = UDP;
	net_ip_in(&n, ip, bytes, 20);
	ip = from_to(net_ip4(1), net_ip4(1)); /* from ourselves */
	ip.protocol = UDP;
	net_ip_in(&n, ip, bytes, 20);
	ip = from_to(net_ip4(2), net_ip4(9)); /* for somebody else */
	ip.protocol = UDP;
	net_ip_in(&n, ip, bytes, 20);
	assert_int_equal(net_run(&n), 0);
	/* About an error, or a fragment that is not the first. */
	ip = from_to(net_ip4(2), net_ip4(1));
	ip.protocol = WIRE_IPPROTO_ICMP;
	ip.header_bytes = 20;
	icmp_error(n.s, &ip, bytes, 60, &(struct icmp_about){.kind = WIRE_ICMP_UNREACHABLE});
	assert_int_equal(net_run(&n), 0);
	ip.protocol = UDP;
	ip.frag_off = 8;
	icmp_error(n.s, &ip, bytes, 60, &(struct icmp_about){.kind = WIRE_ICMP_UNREACHABLE});
	assert_int_equal(net_run(&n), 0);
	assert_int_equal(net_counters(&n)->icmp_out, 0);
	net_end(&n);
}

/* RFC 4443 2.4 (f): ten at once, then a hundred a second. */
static void rate(void **state)
{
	struct wire_ip ip = from_to(net_ip4(2), net_ip4(1));
	u8 bytes[20] = {0};
	u32 sent = 0;
	struct net n;

	begin(&n, false);
	ip.protocol = UDP;
	for (u32 i = 0; i < 30; i++) {
		net_ip_in(&n, ip, bytes, sizeof(bytes));
		sent += net_run(&n);
	}
	assert_int_equal(sent, 10);
	assert_int_equal(net_counters(&n)->icmp_limited, 20);
	net_at(&n, 30 * NS_PER_MS);
	for (u32 i = 0; i < 5; i++)
		net_ip_in(&n, ip, bytes, sizeof(bytes));
	assert_int_equal(net_run(&n), 3);
	net_end(&n);
}

/* -- errors that we get ------------------------------------------------------------------------ */

/* RFC 1122 4.2.3.9, RFC 5927 5.2, RFC 5461: hard ones end an opening and nothing else. */
static void hard_and_soft(void **state)
{
	static const struct {
		bool v6;
		u8 kind, code;
		bool ends;
		int error;
	} rows[] = {
		{false, WIRE_ICMP_UNREACHABLE, 0, false, ENETUNREACH},
		{false, WIRE_ICMP_UNREACHABLE, 1, false, EHOSTUNREACH},
		{false, WIRE_ICMP_UNREACHABLE, 2, true, ENOPROTOOPT},
		{false, WIRE_ICMP_UNREACHABLE, 3, true, ECONNREFUSED},
		{false, WIRE_ICMP_TIME_EXCEEDED, 0, false, EHOSTUNREACH},
		{false, WIRE_ICMP_PARAMETER_PROBLEM, 0, false, EPROTO},
		{true, WIRE_ICMP_UNREACHABLE, 0, false, ENETUNREACH},
		{true, WIRE_ICMP_UNREACHABLE, 3, false, EHOSTUNREACH},
		{true, WIRE_ICMP_UNREACHABLE, 4, true, ECONNREFUSED},
		{true, WIRE_ICMP_PARAMETER_PROBLEM, 1, true, EPROTO},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct wire_icmp icmp = {.kind = rows[i].kind, .code = rows[i].code};
		struct ip_addr remote = rows[i].v6 ? net_far6(9) : net_far4(9);
		struct net n;
		u64 conn;
		u32 ours;

		begin(&n, false);
		assert_int_equal(soft_connect(n.s, &remote, NET_PORT, 0, &conn), 0);
		net_run(&n);
		error(&n, remote, port_of(&n, conn), net_tcp(&n, 0).seq.n, icmp);
		if ((soft_state(n.s, conn) == TCP_CLOSED) != rows[i].ends)
			fail_msg("row %u: state %u", i, soft_state(n.s, conn));
		assert_int_equal(soft_error(n.s, conn), rows[i].error);
		conn = net_connect(&n, remote, 0, &ours);
		send_bytes(&n, conn, 100);
		error(&n, remote, port_of(&n, conn), ours, icmp);
		assert_int_equal(soft_state(n.s, conn), TCP_ESTABLISHED);
		assert_int_equal(soft_error(n.s, conn), rows[i].error);
		ack(&n, remote, conn, ours + 100);
		net_run(&n);
		assert_int_equal(soft_error(n.s, conn), 0);
		net_end(&n);
	}
}

/* RFC 5927 4.1: SND.UNA =< SEQ < SND.NXT, or it is a guess. */
static void unproven(void **state)
{
	const struct wire_icmp big = {.kind = WIRE_ICMP_TOO_BIG, .mtu = 1000};
	struct net n;
	u64 conn;
	u32 ours;

	begin(&n, false);
	conn = net_connect(&n, net_far4(9), 0, &ours);
	error(&n, net_far4(9), port_of(&n, conn), ours, big); /* nothing is on its way */
	send_bytes(&n, conn, 100);
	error(&n, net_far4(9), port_of(&n, conn), ours - 1, big);
	error(&n, net_far4(9), port_of(&n, conn), ours + 100, big);
	error(&n, net_far4(9), (u16)(port_of(&n, conn) + 1), ours, big);
	assert_int_equal(path(&n, net_far4(9)).mtu, NET_MTU);
	assert_int_equal(net_counters(&n)->icmp_unproven, 4);
	error(&n, net_far4(9), port_of(&n, conn), ours + 99, big);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1000);
	net_end(&n);
}

/* -- path MTU ---------------------------------------------------------------------------------- */

/* RFC 1191 6.4, RFC 8201 5.4: what was too big goes again at once, smaller, and cwnd stays.
 * RFC1122-3.3.3a, RFC1122-3.3.3b. */
static void too_big(void **state)
{
	const struct ip_addr remotes[] = {net_far4(9), net_far6(9)};

	for (u32 i = 0; i < 2; i++) {
		u32 headers = i ? 60 : 40, ours, cwnd;
		struct wire_tcp_segment seg;
		struct net n;
		u64 conn;

		begin(&n, false);
		conn = net_connect(&n, remotes[i], 0, &ours);
		assert_int_equal(send_bytes(&n, conn, 4 * (1500 - headers)), 4);
		cwnd = tcp_conn_cwnd(n.s->engine, soft_find(n.s, conn)->eng);
		error(&n, remotes[i], port_of(&n, conn), ours,
		      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1400});
		assert_int_equal(net_run(&n), 5);
		seg = net_tcp(&n, 0);
		assert_int_equal(seg.seq.n, ours);
		assert_int_equal(seg.payload_len, 1400 - headers);
		assert_int_equal(tcp_conn_cwnd(n.s->engine, soft_find(n.s, conn)->eng), cwnd);
		assert_int_equal(path(&n, remotes[i]).mtu, 1400);
		/* The errors about the others of that window change nothing any more. */
		error(&n, remotes[i], port_of(&n, conn), ours + 1500 - headers,
		      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1400});
		assert_int_equal(net_run(&n), 0);
		assert_int_equal(net_counters(&n)->pmtu_lowered, 1);
		net_end(&n);
	}
}

/* RFC 1191 7.1: a router that says 0; RFC 5927 7.3, RFC 8201 4: and no lower than is sane. */
static void too_big_values(void **state)
{
	static const struct {
		bool v6;
		u32 says, becomes;
	} rows[] = {{false, 0, 1492},    {false, 68, 552},   {false, 1500, 1500},
	            {false, 9000, 1500}, {true, 1280, 1280}, {true, 600, 1280}};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct ip_addr remote = rows[i].v6 ? net_far6(9) : net_far4(9);
		struct net n;
		u64 conn;
		u32 ours;

		begin(&n, false);
		conn = net_connect(&n, remote, 0, &ours);
		send_bytes(&n, conn, 1000);
		error(&n, remote, port_of(&n, conn), ours,
		      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = rows[i].says});
		if (path(&n, remote).mtu != rows[i].becomes)
			fail_msg("row %u: %u", i, path(&n, remote).mtu);
		net_end(&n);
	}
}

/* RFC 1191 6.3: ten minutes later the first hop's again. */
static void raised(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	begin(&n, false);
	conn = net_connect(&n, net_far4(9), 0, &ours);
	send_bytes(&n, conn, 1000);
	error(&n, net_far4(9), port_of(&n, conn), ours,
	      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1000});
	net_run(&n);
	ack(&n, net_far4(9), conn, ours + 1000);
	net_at(&n, 600 * NS_PER_S - 1);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1000);
	net_at(&n, 600 * NS_PER_S);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1500);
	net_end(&n);
}

/* RFC 4821 7.7: no error comes, nothing comes through: step by step down. */
static void black_hole(void **state)
{
	struct net n;
	u64 conn, t = 0;
	u32 ours;

	begin(&n, false);
	conn = net_connect(&n, net_far4(9), 0, &ours);
	assert_int_equal(send_bytes(&n, conn, 3000), 3);
	/* The third retransmission is in vain too. */
	while (!net_counters(&n)->pmtu_black_holes && t < 60 * NS_PER_S) {
		t += 100 * NS_PER_MS;
		net_at(&n, t);
	}
	assert_int_equal(path(&n, net_far4(9)).mtu, 1024);
	assert_in_range(t, NS_PER_S, 20 * NS_PER_S);
	net_at(&n, t + 3 * NS_PER_S - 1);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1024);
	net_at(&n, t + 3 * NS_PER_S); /* still nothing */
	assert_int_equal(path(&n, net_far4(9)).mtu, 552);
	net_at(&n, t + 60 * NS_PER_S);
	assert_int_equal(net_counters(&n)->pmtu_black_holes, 2);
	net_end(&n);
}

/* One flight of segments is acknowledged as far as `upto`. Sends more and returns the frames. */
static u32 flight(struct net *n, u64 conn, u32 ours, u32 upto)
{
	ack(n, net_far4(9), conn, ours + upto);
	return net_run(n);
}

/* RFC 4821 7: a probe is data in a segment that is larger; when it is acknowledged the path is. */
static void probe_passes(void **state)
{
	struct soft_route_entry *r;
	struct net n;
	u64 conn;
	u32 ours, sent = 0, largest = 0, probe_end = 0;

	begin(&n, true);
	conn = net_connect(&n, net_far4(9), 0, &ours);
	r = soft_find_route(n.s, ADDR(net_far4(9)));
	send_bytes(&n, conn, 1000);
	error(&n, net_far4(9), port_of(&n, conn), ours,
	      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1000});
	net_run(&n);
	flight(&n, conn, ours, 1000);
	net_at(&n, 600 * NS_PER_S);
	net_resolve(&n, net_ip4(254), 254);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1000); /* not just like that */
	assert_int_equal(path(&n, net_far4(9)).search_high, 1500);
	send_bytes(&n, conn, 60000);
	for (u32 i = 0; i < n.n_out; i++) {
		struct wire_tcp_segment seg = net_tcp(&n, i);

		sent += seg.payload_len;
		if (seg.payload_len > largest) {
			largest = seg.payload_len;
			probe_end = seg.seq.n + seg.payload_len - ours;
		}
	}
	assert_int_equal(largest, 1460);
	assert_int_equal(net_counters(&n)->pmtu_probes, 1);
	assert_int_equal(r->probe_bytes, 1500);
	flight(&n, conn, ours, probe_end - 1);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1000);
	flight(&n, conn, ours, probe_end);
	assert_int_equal(path(&n, net_far4(9)).mtu, 1500);
	assert_int_equal(path(&n, net_far4(9)).probe_bytes, 0);
	assert_true(sent > 5000);
	net_end(&n);
}

/* A probe that is lost says that it was too big, the path stays, and the next one is smaller. */
static void probe_fails(void **state)
{
	struct net n;
	u64 conn, t;
	u32 ours;

	begin(&n, true);
	conn = net_connect(&n, net_far4(9), 0, &ours);
	send_bytes(&n, conn, 1000);
	error(&n, net_far4(9), port_of(&n, conn), ours,
	      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1000});
	net_run(&n);
	flight(&n, conn, ours, 1000);
	net_at(&n, 600 * NS_PER_S);
	net_resolve(&n, net_ip4(254), 254);
	send_bytes(&n, conn, 60000);
	assert_int_equal(path(&n, net_far4(9)).probe_bytes, 1500);
	/* Nothing of this window arrives: the retransmission begins with the probe's bytes. */
	t = 600 * NS_PER_S;
	while (path(&n, net_far4(9)).probe_bytes && t < 620 * NS_PER_S) {
		t += 50 * NS_PER_MS;
		net_at(&n, t);
	}
	assert_int_equal(path(&n, net_far4(9)).mtu, 1000);
	assert_int_equal(path(&n, net_far4(9)).search_high, 1499);
	net_end(&n);
}

/* RFC 4821 7.6.2: a probe that is lost alone is no sign of congestion. */
static void probe_fails_alone(void **state)
{
	u32 ours, cwnd, start = 0, end = 0, last = 0;
	struct wire_tcp_segment seg;
	struct net n;
	u32 eng;
	u64 conn;

	begin(&n, true);
	n.s->config.options = TCP_OPT_SACK;
	conn = net_connect(&n, net_far4(9), TCP_OPT_SACK, &ours);
	eng = soft_find(n.s, conn)->eng;
	send_bytes(&n, conn, 1000);
	error(&n, net_far4(9), port_of(&n, conn), ours,
	      (struct wire_icmp){.kind = WIRE_ICMP_TOO_BIG, .mtu = 1000});
	net_run(&n);
	flight(&n, conn, ours, 1000);
	net_at(&n, 600 * NS_PER_S);
	net_resolve(&n, net_ip4(254), 254);
	cwnd = tcp_conn_cwnd(n.s->engine, eng);
	send_bytes(&n, conn, 60000);
	for (u32 i = 0; i < n.n_out; i++) {
		seg = net_tcp(&n, i);
		if (seg.payload_len == 1460) {
			start = seg.seq.n;
			end = start + 1460;
		}
		last = seg.seq.n + seg.payload_len;
	}
	assert_int_equal(end - start, 1460);
	/* All but the probe arrives. */
	n.now_ns += 20 * NS_PER_MS;
	net_at(&n, n.now_ns - n.start_ns);
	SEG(&n, .from = net_far4(9), .src_port = NET_PORT, .dst_port = port_of(&n, conn),
	    .flags = WIRE_ACK, .seq = irs + 1, .ack = start,
	    .options = {
		    .present = WIRE_OPT_SACK, .n_sack = 1, .sack = {{seq_of(end), seq_of(last)}}});
	net_run(&n);
	assert_int_equal(soft_engine_counters(n.s)->fast_recoveries, 1);
	assert_int_equal(path(&n, net_far4(9)).search_high, 1499);
	last = ours;
	for (u32 i = 0; i < n.n_out; i++)
		last = net_tcp(&n, i).seq.n + net_tcp(&n, i).payload_len;
	ack(&n, net_far4(9), conn, seq_gt(seq_of(last), seq_of(end)) ? last : end);
	net_run(&n);
	assert_true(tcp_conn_cwnd(n.s->engine, eng) >= cwnd);
	net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo),
		cmocka_unit_test(large_echo),
		cmocka_unit_test(unknown_protocols),
		cmocka_unit_test(no_errors),
		cmocka_unit_test(rate),
		cmocka_unit_test(hard_and_soft),
		cmocka_unit_test(unproven),
		cmocka_unit_test(too_big),
		cmocka_unit_test(too_big_values),
		cmocka_unit_test(raised),
		cmocka_unit_test(black_hole),
		cmocka_unit_test(probe_passes),
		cmocka_unit_test(probe_fails),
		cmocka_unit_test(probe_fails_alone),
	};

	return RUN_TESTS(tests);
}

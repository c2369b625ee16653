/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* SYN cookies of the soft host (RFC 4987 3.6). */
#include "unit.h"

#include "soft_net.h"

static const u32 irs = 5000;

static void begin(struct net *n, u8 cookies, u64 start_ns)
{
	const struct soft_listen_params p = {
		.port = NET_PORT, .half_open = 1, .cookies = cookies, .backlog = 2};

	net_config(n);
	n->start_ns = n->now_ns = start_ns;
	net_start(n);
	net_resolve(n, net_ip4(2), 2);
	net_resolve(n, net_ip6(2), 2);
	assert_int_equal(soft_listen_with(n->s, &p), 0);
}

static struct wire_tcp_options all_options(u16 mss)
{
	return (struct wire_tcp_options){.present = WIRE_OPT_MSS | WIRE_OPT_TIMESTAMPS |
	                                            WIRE_OPT_SACK_PERMITTED | WIRE_OPT_WSCALE,
	                                 .mss = mss,
	                                 .wscale = 9,
	                                 .ts_val = 777};
}

/* A SYN and the SYN-ACK that it is answered with. */
static struct wire_tcp_segment ask(struct net *n, struct ip_addr from,
                                   struct wire_tcp_options options)
{
	struct wire_tcp_segment seg;

	SEG(n, .from = from, .flags = WIRE_SYN, .seq = irs, .options = options);
	assert_int_equal(net_run(n), 1);
	seg = net_tcp(n, 0);
	assert_int_equal(seg.flags, WIRE_SYN | WIRE_ACK);
	assert_int_equal(seg.ack.n, irs + 1);
	return seg;
}

static void answer(struct net *n, struct ip_addr from, const struct wire_tcp_segment *seg, u32 off,
                   u32 len)
{
	struct wire_tcp_options o = {.ts_val = 778, .ts_ecr = seg->options.ts_val};

	if (seg->options.present & WIRE_OPT_TIMESTAMPS)
		o.present = WIRE_OPT_TIMESTAMPS;
	SEG(n, .from = from, .flags = WIRE_ACK, .seq = irs + 1, .ack = seg->seq.n + 1 + off,
	    .len = len, .options = o, .wnd = 100);
}

/* All that was agreed comes back with the ACK; nothing was kept; data in it is not lost. */
static void round_trip(void **state)
{
	struct wire_tcp_segment seg;
	struct tcp_state t;
	struct net n;
	u64 conn;
	u8 got[16];

	begin(&n, SOFT_COOKIES_ALWAYS, 1000 * NS_PER_S);
	seg = ask(&n, net_ip4(2), all_options(1460));
	assert_int_equal(n.s->slots.n_taken, 0);
	assert_int_equal(seg.options.wscale, 7);
	assert_true(seg.options.present & WIRE_OPT_SACK_PERMITTED);
	assert_int_equal(seg.options.ts_ecr, 777);
	assert_int_equal(seg.options.mss, 1460);
	answer(&n, net_ip4(2), &seg, 0, 10);
	assert_true(soft_accept(n.s, &conn));
	assert_int_equal(soft_state(n.s, conn), TCP_ESTABLISHED);
	assert_true(soft_look(n.s, conn, &t));
	assert_int_equal(t.k.peer_mss, 1460);
	assert_int_equal(t.k.snd_wscale, 9);
	assert_int_equal(t.k.rcv_wscale, 7);
	assert_int_equal(t.k.options, TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE);
	assert_int_equal(t.d.snd_wnd, 100 << 9);
	assert_int_equal(t.d.cwnd_bytes, 14480);
	assert_int_equal(tcp_recv(n.s->engine, soft_find(n.s, conn)->eng, got, 16), 10);
	/* Our clock goes on where the cookie left it: never back. */
	net_run(&n);
	net_at(&n, 100 * NS_PER_MS);
	assert_int_equal(n.n_out, 1);
	assert_true((s32)(net_tcp(&n, 0).options.ts_val - seg.options.ts_val) >= 0);
	assert_int_equal(net_counters(&n)->cookies_ok, 1);
	net_end(&n);
}

/* Without timestamps the MSS is all there is, cut to what the table has. */
static void without_timestamps(void **state)
{
	struct wire_tcp_options o = all_options(1400);
	struct wire_tcp_segment seg;
	struct tcp_state t;
	struct net n;
	u64 conn;

	begin(&n, SOFT_COOKIES_ALWAYS, 1000 * NS_PER_S);
	o.present &= (u8)~WIRE_OPT_TIMESTAMPS;
	seg = ask(&n, net_ip6(2), o);
	assert_int_equal(seg.options.present, WIRE_OPT_MSS);
	answer(&n, net_ip6(2), &seg, 0, 0);
	assert_true(soft_accept(n.s, &conn));
	assert_true(soft_look(n.s, conn, &t));
	assert_int_equal(t.k.options, 0);
	assert_int_equal(t.k.peer_mss, 1300);
	assert_int_equal(t.d.snd_wnd, 100);
	net_end(&n);
}

/* Whether one that is this old when it comes back is taken. A count is 64 s, 1024 s is its start.
 */
static bool is_taken(u64 at_ns, u64 age_ns)
{
	struct wire_tcp_segment seg;
	struct net n;
	bool ok;
	u64 conn;

	begin(&n, SOFT_COOKIES_ALWAYS, 1024 * NS_PER_S);
	net_at(&n, at_ns);
	net_resolve(&n, net_ip4(2), 2);
	seg = ask(&n, net_ip4(2), all_options(1460));
	net_at(&n, at_ns + age_ns);
	answer(&n, net_ip4(2), &seg, 0, 0);
	ok = soft_accept(n.s, &conn);
	net_end(&n);
	return ok;
}

static void age(void **state)
{
	const u64 s = NS_PER_S;

	assert_true(is_taken(0, 0));
	assert_true(is_taken(0, 127 * s));
	assert_false(is_taken(0, 128 * s));
	assert_true(is_taken(63 * s, 64 * s));
	assert_false(is_taken(63 * s, 65 * s));
}

/* A guess is no cookie: any other number is answered with a RST, like any ACK of nothing. */
static void forged(void **state)
{
	struct wire_tcp_segment seg;
	struct net n;
	u64 conn;

	begin(&n, SOFT_COOKIES_ALWAYS, 1000 * NS_PER_S);
	/* None was given out: not even looked at. */
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = irs + 1, .ack = 4711);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_counters(&n)->cookies_bad, 0);
	seg = ask(&n, net_ip4(2), all_options(1460));
	answer(&n, net_ip4(2), &seg, 1 << 20, 0);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_tcp(&n, 0).flags, WIRE_RST);
	/* Another flow's. */
	SEG(&n, .from = net_ip4(2), .src_port = 40001, .flags = WIRE_ACK, .seq = irs + 1,
	    .ack = seg.seq.n + 1);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_counters(&n)->cookies_bad, 2);
	assert_false(soft_accept(n.s, &conn));
	net_end(&n);
}

/* Only once the queue is full; the queue of accepted ones still counts. */
static void under_flood(void **state)
{
	struct wire_tcp_segment seg;
	struct net n;
	u64 conn;

	begin(&n, SOFT_COOKIES_FLOOD, 1000 * NS_PER_S);
	SEG(&n, .from = net_ip4(2), .src_port = 1, .flags = WIRE_SYN, .seq = irs);
	assert_int_equal(net_run(&n), 1);
	assert_int_equal(net_counters(&n)->cookies_sent, 0);
	for (u16 port = 2; port < 40; port++) {
		SEG(&n, .from = net_ip4(2), .src_port = port, .flags = WIRE_SYN, .seq = irs);
		assert_int_equal(net_run(&n), 1);
	}
	assert_int_equal(net_counters(&n)->cookies_sent, 38);
	assert_int_equal(n.s->slots.n_taken, 1);
	seg = net_tcp(&n, 0);
	for (u32 i = 0; i < 3; i++) {
		SEG(&n, .from = net_ip4(2), .src_port = (u16)(100 + i), .flags = WIRE_SYN,
		    .seq = irs);
		if (net_run(&n) == 0)
			break; /* full: no further SYN */
		seg = net_tcp(&n, 0);
		SEG(&n, .from = net_ip4(2), .src_port = (u16)(100 + i), .flags = WIRE_ACK,
		    .seq = irs + 1, .ack = seg.seq.n + 1);
	}
	assert_int_equal(net_counters(&n)->cookies_ok, 2);
	assert_int_equal(net_counters(&n)->syn_dropped, 1);
	assert_true(soft_accept(n.s, &conn));
	net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),  cmocka_unit_test(without_timestamps),
		cmocka_unit_test(age),         cmocka_unit_test(forged),
		cmocka_unit_test(under_flood),
	};

	return RUN_TESTS(tests);
}

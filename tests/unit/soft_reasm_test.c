/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reassembly and extension headers of the soft host. */
#include "unit.h"

#include "soft_net.h"

enum { BYTES = 600 };

static const u32 irs = 5000;

/* A connection, and one segment of 576 bytes for it, as the peer would send it whole. */
struct whole {
	struct net n;
	u64 conn;
	u32 ours;
	u8 bytes[NET_BYTES];
	u32 len;
	struct ip_addr from;
	bool v6;
};

static void begin(struct whole *w, bool v6)
{
	struct net_seg seg;

	w->from = v6 ? net_ip6(2) : net_ip4(2);
	w->v6 = v6;
	net_config(&w->n);
	w->n.config.max_reassemblies = 8;
	w->n.config.max_reassembly_bytes = 8192; /* 2048 a source */
	net_start(&w->n);
	net_resolve(&w->n, w->from, 2);
	assert_int_equal(soft_listen(w->n.s, NET_PORT), 0);
	w->conn = net_accept(&w->n, w->from, 0, &w->ours);
	seg = (struct net_seg){.from = w->from,
	                       .flags = WIRE_ACK,
	                       .seq = irs + 1,
	                       .ack = w->ours,
	                       .len = BYTES - 20};
	w->len = net_seg_bytes(&seg, w->bytes);
	assert_int_equal(w->len, BYTES);
}

static struct wire_ip header(const struct whole *w, u32 id)
{
	return (struct wire_ip){.version = w->v6 ? 6 : 4,
	                        .src = w->from,
	                        .dst = w->v6 ? net_ip6(1) : net_ip4(1),
	                        .protocol = WIRE_IPPROTO_TCP,
	                        .id = id,
	                        .has_frag_header = 1};
}

/* Bytes [off, off + len) of it. */
static void piece(struct whole *w, u32 id, u32 off, u32 len)
{
	struct wire_ip ip = header(w, id);

	ip.frag_off = (u16)off;
	ip.more_fragments = off + len < w->len;
	net_ip_in(&w->n, ip, w->bytes + off, len);
}

static u32 unread(struct whole *w)
{
	return tcp_recv_pending(w->n.s->engine, soft_find(w->n.s, w->conn)->eng);
}

/* In any order, by both families; exact copies do no harm. RFC1122-3.3.2a, RFC1122-3.3.2b. */
static void any_order(void **state)
{
	static const u32 orders[][4] = {{0, 200, 400, 400}, {400, 0, 0, 200}, {400, 200, 400, 0}};

	for (u32 v6 = 0; v6 < 2; v6++) {
		for (u32 i = 0; i < ARRAY_SIZE(orders); i++) {
			struct whole w;

			begin(&w, v6);
			for (u32 k = 0; k < 4; k++) {
				if (unread(&w))
					break;
				piece(&w, 77, orders[i][k], 200);
			}
			assert_int_equal(unread(&w), BYTES - 20);
			assert_int_equal(net_counters(&w.n)->reassembled, 1);
			net_end(&w.n);
		}
	}
}

/* RFC 5722 3, RFC 8200 4.5: any overlap ends the datagram, and what is still to come of it. */
static void overlap(void **state)
{
	static const u32 second[][2] = {{192, 200}, {8, 8}, {0, 208}, {96, 504}};

	for (u32 v6 = 0; v6 < 2; v6++) {
		for (u32 i = 0; i < ARRAY_SIZE(second); i++) {
			struct whole w;

			begin(&w, v6);
			piece(&w, 77, 0, 200);
			/* Of eight bytes: RFC 3128 has it before it overlaps. */
			piece(&w, 77, second[i][0], second[i][1]);
			if (second[i][0] == 8) {
				assert_int_equal(net_counters(&w.n)->fragments_tiny, 1);
				net_end(&w.n);
				continue;
			}
			assert_int_equal(net_counters(&w.n)->fragments_overlapping, 1);
			piece(&w, 77, 0, 200);
			piece(&w, 77, 200, 400);
			assert_int_equal(unread(&w), 0);
			/* Another one is not touched by it. */
			piece(&w, 78, 0, 200);
			piece(&w, 78, 200, 400);
			assert_int_equal(unread(&w), BYTES - 20);
			net_end(&w.n);
		}
	}
}

/* RFC 1858 3, RFC 3128 2, RFC 7112 5: nothing hides the header of TCP. */
static void tiny(void **state)
{
	struct whole w;
	struct wire_icmp out;

	begin(&w, false);
	piece(&w, 1, 0, 8);
	piece(&w, 1, 8, 592);
	assert_int_equal(net_counters(&w.n)->fragments_tiny, 2);
	assert_int_equal(unread(&w), 0);
	net_end(&w.n);
	begin(&w, true);
	piece(&w, 1, 0, 16); /* flags, but not the whole header */
	assert_int_equal(net_run(&w.n), 1);
	out = net_icmp_out(&w.n, 0, NULL);
	assert_int_equal(out.kind, WIRE_ICMP_PARAMETER_PROBLEM);
	assert_int_equal(out.code, 3);
	net_end(&w.n);
}

/* RFC 6946: a fragment that is whole has nothing to do with others of its number. */
static void atomic(void **state)
{
	struct whole w;

	begin(&w, true);
	piece(&w, 5, 200, 200);
	piece(&w, 5, 0, 600);
	assert_int_equal(unread(&w), BYTES - 20);
	assert_int_equal(net_counters(&w.n)->reassembled, 0);
	net_end(&w.n);
}

/* RFC 8200 4.5, RFC 791: lengths that cannot be. */
static void nonsense(void **state)
{
	struct wire_icmp out;
	struct wire_ip ip;
	struct whole w;

	begin(&w, true);
	ip = header(&w, 9);
	ip.more_fragments = 1;
	net_ip_in(&w.n, ip, w.bytes, 201); /* not a multiple of eight */
	assert_int_equal(net_run(&w.n), 1);
	out = net_icmp_out(&w.n, 0, NULL);
	assert_int_equal(out.kind, WIRE_ICMP_PARAMETER_PROBLEM);
	assert_int_equal(out.code, 0);
	assert_int_equal(out.pointer, 4);
	ip.frag_off = 65528;
	ip.more_fragments = 0;
	net_ip_in(&w.n, ip, w.bytes, 16); /* beyond what a datagram can be */
	assert_int_equal(net_run(&w.n), 1);
	out = net_icmp_out(&w.n, 0, NULL);
	assert_int_equal(out.pointer, 42);
	assert_int_equal(net_counters(&w.n)->fragments_bad, 2);
	/* Two ends. */
	piece(&w, 10, 400, 200);
	ip = header(&w, 10);
	ip.frag_off = 200;
	net_ip_in(&w.n, ip, w.bytes, 200);
	assert_int_equal(net_counters(&w.n)->fragments_bad, 3);
	piece(&w, 10, 0, 200);
	assert_int_equal(unread(&w), 0);
	net_end(&w.n);
}

/* RFC 1122 3.3.2, RFC 8200 4.5: 60 s; told to the sender if the first fragment was there.
 * RFC1122-3.3.2e, RFC1122-3.3.2f. */
static void gives_up(void **state)
{
	for (u32 v6 = 0; v6 < 2; v6++) {
		struct wire_icmp out;
		struct whole w;
		u32 i, told = 0;

		begin(&w, v6);
		piece(&w, 1, 0, 200);
		piece(&w, 2, 400, 200);
		net_at(&w.n, 60 * NS_PER_S - 1);
		assert_int_equal(net_counters(&w.n)->reassembly_timeouts, 0);
		net_at(&w.n, 60 * NS_PER_S);
		assert_int_equal(net_counters(&w.n)->reassembly_timeouts, 2);
		for (i = 0; i < w.n.n_out; i++) {
			out = net_icmp_out(&w.n, i, NULL);
			told += out.kind == WIRE_ICMP_TIME_EXCEEDED && out.code == 1;
		}
		assert_int_equal(told, 1);
		assert_int_equal(w.n.s->reassembly_bytes, 0);
		net_end(&w.n);
	}
}

/* RFC1122-3.3.2c. Bounded: a source that asks for more than its share loses its own, not another's.
 */
static void fairness(void **state)
{
	struct wire_ip other;
	struct whole w;

	begin(&w, false);
	other = header(&w, 1);
	other.src = net_ip4(3);
	other.more_fragments = 1;
	net_ip_in(&w.n, other, w.bytes, 200);
	for (u32 id = 1; id <= 40; id++)
		piece(&w, id, 0, 200);
	assert_in_range(w.n.s->reassembly_bytes, 201, 8192 / 4 + 200);
	assert_int_equal(net_counters(&w.n)->reassembly_evicted, 38);
	/* The flood's last one, and the other's, are still good. */
	piece(&w, 40, 200, 400);
	assert_int_equal(unread(&w), BYTES - 20);
	other.more_fragments = 0;
	other.frag_off = 200;
	net_ip_in(&w.n, other, w.bytes + 200, 400);
	assert_int_equal(net_counters(&w.n)->reassembled, 2);
	/* Many sources: still no more than there is. */
	for (u32 i = 10; i < 60; i++) {
		other = header(&w, i);
		other.src = net_ip4((u8)i);
		other.more_fragments = 1;
		net_ip_in(&w.n, other, w.bytes, 600);
		assert_in_range(w.n.s->reassembly_bytes, 0, 8192);
	}
	net_end(&w.n);
}

/* RFC 3168 5.3: a mark on one fragment is a mark on the datagram; a mix that cannot be is dropped.
 */
static void ecn(void **state)
{
	static const struct {
		u8 first, second;
		bool taken;
	} rows[] = {{2, 3, true}, {3, 3, true}, {0, 0, true}, {0, 3, false}};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_ip ip;
		struct whole w;

		begin(&w, false);
		ip = header(&w, 1);
		ip.tos = rows[i].first;
		ip.more_fragments = 1;
		net_ip_in(&w.n, ip, w.bytes, 200);
		ip.tos = rows[i].second;
		ip.more_fragments = 0;
		ip.frag_off = 200;
		net_ip_in(&w.n, ip, w.bytes + 200, 400);
		assert_int_equal(unread(&w), rows[i].taken ? BYTES - 20 : 0);
		net_end(&w.n);
	}
}

/* -- extension headers ------------------------------------------------------------------------- */

/* The segment behind one header of `len` bytes. */
static void wrapped(struct whole *w, u8 next, const u8 *ext, u32 len)
{
	struct wire_ip ip = header(w, 0);
	u8 bytes[NET_BYTES];

	ip.has_frag_header = 0;
	ip.protocol = next;
	memcpy(bytes, ext, len);
	bytes[0] = WIRE_IPPROTO_TCP;
	memcpy(bytes + len, w->bytes, w->len);
	net_ip_in(&w->n, ip, bytes, len + w->len);
}

/* RFC 8200 4.2, 4.4: what is skipped, and what is answered how. */
static void extension_headers(void **state)
{
	static const struct {
		u8 next;
		u8 ext[8];
		bool taken;
		int code; /* of the parameter problem; -1: silence */
		u32 pointer;
	} rows[] = {
		{60, {0, 0, 1, 4}, true, -1, 0},     /* padding */
		{0, {0, 0, 1, 4}, true, -1, 0},      /* hop by hop, first */
		{60, {0, 0, 0x1e, 4}, true, -1, 0},  /* unknown, to be skipped */
		{60, {0, 0, 0x5e, 4}, false, -1, 0}, /* to be dropped silently */
		{60, {0, 0, 0x9e, 4}, false, 2, 42}, /* to be answered */
		{60, {0, 0, 0xde, 4}, false, 2, 42}, /* to be answered unless to a group */
		{60, {0, 0, 1, 9}, false, -1, 0},    /* beyond the end */
		{43, {0, 0, 200, 0}, true, -1, 0},   /* nothing left of the route */
		{43, {0, 0, 200, 3}, false, 0, 42},  /* an unknown route that goes on */
		{51, {0, 0, 0, 0}, false, 1, 6},     /* nobody here knows it */
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct whole w;

		begin(&w, true);
		wrapped(&w, rows[i].next, rows[i].ext, 8);
		if (unread(&w) != (rows[i].taken ? BYTES - 20 : 0))
			fail_msg("row %u: %u bytes", i, unread(&w));
		if (rows[i].code >= 0) {
			if (net_run(&w.n) != 1)
				fail_msg("row %u: %u frames", i, w.n.n_out);
			assert_int_equal(net_icmp_out(&w.n, 0, NULL).code, rows[i].code);
			assert_int_equal(net_icmp_out(&w.n, 0, NULL).pointer, rows[i].pointer);
		}
		net_end(&w.n);
	}
}

/* RFC 1122 3.2.1.8: IPv4 options that are not known are passed over. MUST-50. */
static void ipv4_options(void **state)
{
	u8 frame[NET_BYTES] = {0};
	struct whole w;
	be16 csum;

	begin(&w, false);
	memcpy(frame, net_mac(1).b, 6);
	memcpy(frame + 6, net_mac(2).b, 6);
	wire_put16(frame + 12, WIRE_ETH_IP4);
	frame[14] = 0x46; /* one word of options: NOPs */
	wire_put16(frame + 16, (u16)(24 + w.len));
	frame[22] = 64;
	frame[23] = WIRE_IPPROTO_TCP;
	wire_put_ip4(frame + 26, &w.from);
	wire_put_ip4(frame + 30, ADDR(net_ip4(1)));
	memset(frame + 34, 1, 4);
	csum = csum_finish(csum_bytes(0, frame + 14, 24));
	memcpy(frame + 24, &csum, 2);
	memcpy(frame + 38, w.bytes, w.len);
	net_frame_in(&w.n, frame, 38 + w.len);
	assert_int_equal(unread(&w), BYTES - 20);
	net_end(&w.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order),
		cmocka_unit_test(overlap),
		cmocka_unit_test(tiny),
		cmocka_unit_test(atomic),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(fairness),
		cmocka_unit_test(ecn),
		cmocka_unit_test(extension_headers),
		cmocka_unit_test(ipv4_options),
	};

	return RUN_TESTS(tests);
}

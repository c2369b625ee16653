/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ARP, neighbor discovery, ICMP and ICMPv6. */
#include "unit.h"

#include "base/csum.h"
#include "base/prng.h"
#include "captures.h"
#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/nd.h"
#include "wire/tcp.h"

static const struct mac_addr mac_a = {{2, 0, 0, 0, 0, 0x0a}};
static const struct mac_addr mac_b = {{2, 0, 0, 0, 0, 0x0b}};
static const struct ip_addr ip4_1 = {{[10] = 0xff, [11] = 0xff, [12] = 10, 9, 0, 1}};
static const struct ip_addr ip4_2 = {{[10] = 0xff, [11] = 0xff, [12] = 10, 9, 0, 2}};
static const struct ip_addr ip6_1 = {{0xfd, 0x09, [15] = 1}};
static const struct ip_addr ip6_2 = {{0xfd, 0x09, [15] = 2}};

/* The message behind the IP header of a captured frame, moved to the start of `f`. */
static u32 message_of(const char *hex, u8 *f, struct wire_ip *ret_ip)
{
	u32 len = capture_bytes(hex, f);

	assert_int_equal(wire_ip_parse(f + 14, len - 14, ret_ip), WIRE_OK);
	memmove(f, f + 14 + ret_ip->header_bytes, ret_ip->payload_bytes);
	return ret_ip->payload_bytes;
}

static void test_arp(void **state)
{
	struct wire_arp arp;
	u8 f[64], b[WIRE_ARP_BYTES];

	capture_bytes(CAP_ARP_REQUEST, f);
	assert_int_equal(wire_arp_parse(f + 14, 28, &arp), WIRE_OK);
	assert_int_equal(arp.op, WIRE_ARP_REQUEST);
	assert_memory_equal(&arp.sha, &mac_a, 6);
	assert_true(ip_addr_eq(&arp.spa, &ip4_1));
	assert_true(ip_addr_eq(&arp.tpa, &ip4_2));
	assert_int_equal(wire_arp_write(b, &arp), 28);
	assert_memory_equal(b, f + 14, 28);

	capture_bytes(CAP_ARP_REPLY, f);
	assert_int_equal(wire_arp_parse(f + 14, 28, &arp), WIRE_OK);
	assert_int_equal(arp.op, WIRE_ARP_REPLY);
	assert_memory_equal(&arp.sha, &mac_b, 6);
	assert_memory_equal(&arp.tha, &mac_a, 6);
	wire_arp_write(b, &arp);
	assert_memory_equal(b, f + 14, 28);

	for (u32 n = 0; n < 28; n++)
		assert_int_equal(wire_arp_parse(f + 14, n, &arp), WIRE_ARP_SHORT);
	for (u32 i = 0; i < 6; i++) {
		f[14 + i] ^= 0x10;
		assert_int_equal(wire_arp_parse(f + 14, 28, &arp), WIRE_ARP_FORMAT);
		f[14 + i] ^= 0x10;
	}
}

static void test_nd_captures(void **state)
{
	struct wire_ip ip;
	struct wire_nd nd;
	u8 f[200], b[WIRE_ND_BYTES_MAX];
	u32 len = message_of(CAP_NS, f, &ip);

	assert_int_equal(wire_nd_parse(&ip, f, len, &nd), WIRE_OK);
	assert_int_equal(nd.type, WIRE_ND_SOLICITATION);
	assert_true(ip_addr_eq(&nd.target, &ip6_2));
	assert_int_equal(nd.has_mac, 1);
	assert_memory_equal(&nd.mac, &mac_a, 6);
	assert_int_equal(wire_nd_write(b, &ip, &nd), len);
	assert_memory_equal(b, f, len);

	len = message_of(CAP_NA, f, &ip);
	assert_int_equal(wire_nd_parse(&ip, f, len, &nd), WIRE_OK);
	assert_int_equal(nd.type, WIRE_ND_ADVERTISEMENT);
	assert_memory_equal(&nd.mac, &mac_b, 6);
	assert_int_equal(nd.solicited, 1);
	assert_int_equal(nd.override, 1);
	assert_int_equal(nd.router, 0);
	assert_int_equal(wire_nd_write(b, &ip, &nd), len);
	assert_memory_equal(b, f, len);

	len = message_of(CAP_DAD, f, &ip);
	assert_int_equal(wire_nd_parse(&ip, f, len, &nd), WIRE_OK);
	assert_int_equal(nd.has_mac, 0);
}

/* A message with the checksum made right for what stands in it. */
static enum wire_reason nd_parse_fixed(struct wire_ip *ip, u8 *f, u32 len)
{
	struct wire_nd nd;
	be16 csum;

	memset(f + 2, 0, 2);
	csum = csum_finish(
		csum_bytes(csum_pseudo(&ip->src, &ip->dst, WIRE_IPPROTO_ICMP6, len), f, len));
	memcpy(f + 2, &csum, 2);
	return wire_nd_parse(ip, f, len, &nd);
}

static void test_nd_refusals(void **state)
{
	struct wire_ip ip;
	struct wire_nd nd;
	u8 f[200];
	u32 len = message_of(CAP_NS, f, &ip);

	for (u32 n = 0; n < 24; n++)
		assert_int_equal(nd_parse_fixed(&ip, f, n + (n < 4 ? 4 : 0)), WIRE_ICMP_SHORT);
	len = message_of(CAP_NS, f, &ip);
	for (u32 n = 25; n < len; n++)
		assert_int_equal(nd_parse_fixed(&ip, f, n), WIRE_ND_OPTION);
	f[25] = 0;
	assert_int_equal(nd_parse_fixed(&ip, f, len), WIRE_ND_OPTION);
	f[25] = 1;
	assert_int_equal(nd_parse_fixed(&ip, f, len), WIRE_OK);
	ip.ttl = 254;
	assert_int_equal(nd_parse_fixed(&ip, f, len), WIRE_ND_HOP_LIMIT);
	ip.ttl = 255;
	f[8] = 0xff;
	assert_int_equal(nd_parse_fixed(&ip, f, len), WIRE_ND_TARGET);
	f[8] = 0xfd;
	f[0] = 133;
	assert_int_equal(nd_parse_fixed(&ip, f, len), WIRE_ICMP_TYPE);
	f[0] = 135;
	f[2] ^= 1;
	assert_int_equal(wire_nd_parse(&ip, f, len, &nd), WIRE_ICMP_CHECKSUM);
}

static void test_multicast_addresses(void **state)
{
	struct ip_addr group;
	struct mac_addr mac;
	u8 f[200];

	capture_bytes(CAP_NS, f);
	wire_nd_solicited_node(&ip6_2, &group);
	assert_memory_equal(group.b, f + 14 + 24, 16);
	wire_ip6_multicast_mac(&group, &mac);
	assert_memory_equal(mac.b, f, 6);
}

static void test_icmp_captures(void **state)
{
	static const char *const caps[] = {CAP_UNREACHABLE4, CAP_UNREACHABLE6};
	struct wire_icmp icmp;
	struct wire_ip ip;
	u8 f[200], b[200];

	for (u32 c = 0; c < 2; c++) {
		u32 len = message_of(caps[c], f, &ip);

		assert_int_equal(wire_icmp_parse(&ip, f, len, &icmp), WIRE_OK);
		assert_int_equal(icmp.kind, WIRE_ICMP_UNREACHABLE);
		assert_int_equal(icmp.code, c ? 4 : 3); /* port unreachable */
		assert_int_equal(icmp.has_flow, 0);     /* it quotes UDP */
		assert_int_equal(wire_icmp_write(b, &ip, &icmp), len);
		assert_memory_equal(b, f, len);
		for (u32 n = 8; n < len; n++)
			assert_int_equal(wire_icmp_parse(&ip, f, n, &icmp), WIRE_ICMP_CHECKSUM);
		for (u32 n = 0; n < 8; n++)
			assert_int_equal(wire_icmp_parse(&ip, f, n, &icmp), WIRE_ICMP_SHORT);
	}
}

struct quote {
	struct wire_ip outer;
	u8 datagram[80];
	u32 header;
	u32 bytes;
};

/* A TCP segment of ours, as a router would quote it. */
static void make_quote(u8 version, struct quote *q)
{
	struct wire_tcp tcp = {.src_port = 8080, .dst_port = 40000, .seq = {0xfffffff0}};

	q->outer = (struct wire_ip){
		.version = version,
		.src = version == 4 ? ip4_2 : ip6_2,
		.dst = version == 4 ? ip4_1 : ip6_1,
		.ttl = 64,
		.protocol = WIRE_IPPROTO_TCP,
		.payload_bytes = 1400,
	};
	q->header = wire_ip_write(q->datagram, &q->outer);
	q->bytes = q->header + wire_tcp_write(q->datagram + q->header, &tcp);
}

static enum wire_reason through_the_wire(const struct quote *q, u32 bytes, u8 kind, u32 mtu,
                                         struct wire_icmp *ret_icmp)
{
	static u8 b[256];
	struct wire_icmp in = {.kind = kind, .mtu = mtu, .data = q->datagram, .data_bytes = bytes};
	u32 len = wire_icmp_write(b, &q->outer, &in);

	return wire_icmp_parse(&q->outer, b, len, ret_icmp);
}

static void test_errors_with_a_quoted_flow(void **state)
{
	for (u8 version = 4; version <= 6; version += 2) {
		struct wire_icmp icmp;
		struct quote q;

		make_quote(version, &q);
		for (u8 kind = WIRE_ICMP_UNREACHABLE; kind < WIRE_ICMP_KINDS; kind++) {
			assert_int_equal(through_the_wire(&q, q.bytes, kind, 1400, &icmp), WIRE_OK);
			assert_int_equal(icmp.kind, kind);
			assert_int_equal(icmp.has_flow, 1);
			assert_true(ip_addr_eq(&icmp.flow.local, &q.outer.src));
			assert_true(ip_addr_eq(&icmp.flow.remote, &q.outer.dst));
			assert_int_equal(icmp.flow.local_port, 8080);
			assert_int_equal(icmp.flow.remote_port, 40000);
			assert_int_equal(icmp.seq.n, 0xfffffff0);
			assert_int_equal(icmp.mtu, kind == WIRE_ICMP_TOO_BIG ? 1400 : 0);
		}
		/* Eight bytes of TCP are enough; fewer tell of no flow, half a header is bad. */
		for (u32 n = 0; n < q.bytes; n++) {
			enum wire_reason reason =
				through_the_wire(&q, n, WIRE_ICMP_TOO_BIG, 576, &icmp);

			assert_int_equal(reason, n < q.header ? WIRE_ICMP_QUOTE : WIRE_OK);
			if (reason == WIRE_OK)
				assert_int_equal(icmp.has_flow, n >= q.header + 8);
		}
	}
}

static void test_quotes_that_name_no_flow(void **state)
{
	struct wire_icmp icmp;
	struct quote q;

	make_quote(4, &q);
	q.datagram[7] = 1; /* not the first fragment */
	assert_int_equal(through_the_wire(&q, q.bytes, WIRE_ICMP_TIME_EXCEEDED, 0, &icmp), WIRE_OK);
	assert_int_equal(icmp.has_flow, 0);
	make_quote(4, &q);
	q.datagram[0] = 0x44;
	assert_int_equal(through_the_wire(&q, q.bytes, WIRE_ICMP_TIME_EXCEEDED, 0, &icmp),
	                 WIRE_ICMP_QUOTE);
	q.datagram[0] = 0x4f; /* options beyond the quote */
	assert_int_equal(through_the_wire(&q, q.bytes, WIRE_ICMP_TIME_EXCEEDED, 0, &icmp),
	                 WIRE_ICMP_QUOTE);
	q.datagram[0] = 0x65; /* the other version */
	assert_int_equal(through_the_wire(&q, q.bytes, WIRE_ICMP_TIME_EXCEEDED, 0, &icmp),
	                 WIRE_ICMP_QUOTE);
}

static void test_echo(void **state)
{
	for (u8 version = 4; version <= 6; version += 2) {
		struct wire_icmp in = {.kind = WIRE_ICMP_ECHO_REQUEST,
		                       .echo_id = 0x1234,
		                       .echo_seq = 7,
		                       .data = (const u8 *)"ping",
		                       .data_bytes = 4};
		struct wire_icmp out;
		struct quote q;
		u8 b[64];

		make_quote(version, &q);
		assert_int_equal(wire_icmp_write(b, &q.outer, &in), 12);
		assert_int_equal(wire_icmp_parse(&q.outer, b, 12, &out), WIRE_OK);
		assert_int_equal(out.kind, WIRE_ICMP_ECHO_REQUEST);
		assert_int_equal(out.echo_id, 0x1234);
		assert_int_equal(out.echo_seq, 7);
		assert_int_equal(out.data_bytes, 4);
		assert_memory_equal(out.data, "ping", 4);
		/* Answered in place. */
		out.kind = WIRE_ICMP_ECHO_REPLY;
		assert_int_equal(wire_icmp_write(b, &q.outer, &out), 12);
		assert_int_equal(b[0], version == 4 ? 0 : 129);
		assert_int_equal(wire_icmp_parse(&q.outer, b, 12, &out), WIRE_OK);
		assert_memory_equal(out.data, "ping", 4);
	}
}

static void test_long_quotes_are_cut(void **state)
{
	static u8 datagram[2000], b[2000];
	struct wire_icmp icmp = {
		.kind = WIRE_ICMP_TIME_EXCEEDED, .data = datagram, .data_bytes = sizeof(datagram)};
	struct quote q;

	make_quote(4, &q);
	assert_int_equal(wire_icmp_write(b, &q.outer, &icmp), 8 + WIRE_ICMP_QUOTE_MAX);
}

static void fix_icmp4(u8 *f, u32 len)
{
	be16 csum;

	memset(f + 2, 0, 2);
	csum = csum_finish(csum_bytes(0, f, len));
	memcpy(f + 2, &csum, 2);
}

static void test_random_bytes(void **state)
{
	struct wire_icmp icmp;
	struct wire_arp arp;
	struct prng rng;
	struct quote q[2];
	u32 taken = 0;

	prng_seed(&rng, 41);
	make_quote(4, &q[0]);
	make_quote(6, &q[1]);
	for (u32 round = 0; round < 20000; round++) {
		struct quote *r = &q[round % 2];
		u32 len = 8 + prng_below(&rng, 90);
		u8 *b = malloc(len);

		for (u32 i = 0; i < len; i++)
			b[i] = (u8)prng_u64(&rng);
		r->outer.ttl = 255;
		b[0] = round % 4 < 2 ? 3 : WIRE_ND_SOLICITATION;
		b[1] = 0;
		if (len > 60)
			memcpy(b + 8, r->datagram, 24);
		if (nd_parse_fixed(&r->outer, b, len) == WIRE_OK)
			taken++;
		if (round % 2 == 0)
			fix_icmp4(b, len);
		if (wire_icmp_parse(&r->outer, b, len, &icmp) == WIRE_OK)
			taken++;
		if (len >= 28)
			assert_int_not_equal(wire_arp_parse(b, len, &arp), WIRE_OK);
		free(b);
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_nd_captures),
		cmocka_unit_test(test_nd_refusals),
		cmocka_unit_test(test_multicast_addresses),
		cmocka_unit_test(test_icmp_captures),
		cmocka_unit_test(test_errors_with_a_quoted_flow),
		cmocka_unit_test(test_quotes_that_name_no_flow),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_long_quotes_are_cut),
		cmocka_unit_test(test_random_bytes),
	};

	return RUN_TESTS(tests);
}

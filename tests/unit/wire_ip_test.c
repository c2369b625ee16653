/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Link and IP headers: round trips, captures, truncation, noise. */
#include "unit.h"

#include "base/csum.h"
#include "base/prng.h"
#include "captures.h"
#include "wire/ethernet.h"
#include "wire/ip.h"

static enum wire_reason parse(const u8 *p, u32 len, struct wire_ip *ret_ip)
{
	u8 *copy = malloc(len ? len : 1);
	enum wire_reason reason;

	memcpy(copy, p, len);
	reason = wire_ip_parse(copy, len, ret_ip);
	free(copy);
	return reason;
}

static void random_bytes(struct prng *rng, void *to, u32 len)
{
	for (u32 i = 0; i < len; i++)
		((u8 *)to)[i] = (u8)prng_u64(rng);
}

static void random_ip(struct prng *rng, struct wire_ip *ip)
{
	memset(ip, 0, sizeof(*ip));
	ip->version = prng_chance(rng, 500000) ? 4 : 6;
	ip->tos = (u8)prng_u32(rng);
	ip->ttl = (u8)prng_u32(rng);
	ip->protocol = 6;
	ip->payload_bytes = prng_below(rng, 1400);
	random_bytes(rng, ip->src.b, 16);
	random_bytes(rng, ip->dst.b, 16);
	if (ip->version == 4) {
		wire_get_ip4(ip->src.b, &ip->src);
		wire_get_ip4(ip->dst.b, &ip->dst);
		ip->dont_fragment = prng_u32(rng) & 1;
		ip->id = prng_below(rng, 65536);
	} else {
		ip->flow_label = prng_below(rng, 1 << 20);
		ip->has_frag_header = prng_u32(rng) & 1;
		ip->id = ip->has_frag_header ? prng_u32(rng) : 0;
	}
	if (ip->version == 4 || ip->has_frag_header) {
		ip->more_fragments = prng_u32(rng) & 1;
		ip->frag_off = (u16)(prng_below(rng, 8192) * 8);
	}
}

static void test_round_trip_and_truncation(void **state)
{
	struct prng rng;

	prng_seed(&rng, 31);
	for (u32 round = 0; round < 1000; round++) {
		struct wire_ip in, out;
		u8 b[1500] = {0};
		u32 header;

		random_ip(&rng, &in);
		header = wire_ip_write(b, &in);
		in.header_bytes = (u16)header;
		memset(&out, 0, sizeof(out));
		assert_int_equal(parse(b, header + in.payload_bytes, &out), WIRE_OK);
		assert_memory_equal(&in, &out, sizeof(in));
		assert_int_equal(wire_ip_is_fragment(&out), in.more_fragments || in.frag_off);
		for (u32 n = 0; n < header; n++)
			assert_true(wire_reason_is_drop(parse(b, n, &out)));
		if (in.payload_bytes)
			assert_int_equal(parse(b, header + in.payload_bytes - 1, &out),
			                 WIRE_IP_LENGTH);
	}
}

static void test_capture_fragments(void **state)
{
	struct wire_ip ip;
	u8 f[1600];
	u32 len = capture_bytes(CAP_FRAG4, f);

	assert_int_equal(parse(f + 14, len - 14, &ip), WIRE_OK);
	assert_int_equal(ip.frag_off, 1480);
	assert_int_equal(ip.more_fragments, 0);
	assert_int_equal(ip.id, 0x4acb);
	assert_int_equal(ip.protocol, 17);
	assert_int_equal(ip.payload_bytes, 128);
	len = capture_bytes(CAP_FRAG6, f);
	assert_int_equal(parse(f + 14, len - 14, &ip), WIRE_OK);
	assert_int_equal(ip.frag_off, 1448);
	assert_int_equal(ip.more_fragments, 0);
	assert_int_equal(ip.id, 0xcc327676);
	assert_int_equal(ip.protocol, 17);
	assert_int_equal(ip.header_bytes, 48);
	len = capture_bytes(CAP_MLD, f);
	assert_int_equal(parse(f + 14, len - 14, &ip), WIRE_OK);
	assert_int_equal(ip.has_options, 1);
}

static void test_ip4_options_are_skipped(void **state)
{
	u8 b[60] = {0};
	struct wire_ip ip = {.version = 4, .protocol = 6, .payload_bytes = 20};
	be16 csum;

	wire_ip_write(b, &ip);
	b[0] = 0x47;
	b[20] = 0x94; /* router alert */
	b[21] = 4;
	memset(b + WIRE_IP4_CSUM_OFF, 0, 2);
	csum = csum_finish(csum_bytes(0, b, 28));
	memcpy(b + WIRE_IP4_CSUM_OFF, &csum, 2);
	assert_int_equal(parse(b, 40, &ip), WIRE_OK);
	assert_int_equal(ip.has_options, 1);
	assert_int_equal(ip.header_bytes, 28);
	assert_int_equal(ip.payload_bytes, 12);
	b[22] ^= 1;
	assert_int_equal(parse(b, 40, &ip), WIRE_IP_CHECKSUM);
}

static void test_short_fragment_header(void **state)
{
	u8 b[60] = {0};
	struct wire_ip ip = {.version = 6, .protocol = 44, .payload_bytes = 7};

	wire_ip_write(b, &ip);
	assert_int_equal(parse(b, 60, &ip), WIRE_IP6_FRAGMENT_HEADER);
}

static void test_random_bytes(void **state)
{
	struct prng rng;

	prng_seed(&rng, 32);
	for (u32 round = 0; round < 20000; round++) {
		struct wire_link link;
		struct wire_ip ip;
		u8 b[80];
		u32 len = prng_below(&rng, sizeof(b)), avail = prng_below(&rng, len + 1);
		u8 *copy;

		random_bytes(&rng, b, len);
		b[0] = round % 3 ? 0x45 : 0x60;
		if (parse(b, len, &ip) == WIRE_OK)
			assert_true(ip.header_bytes + ip.payload_bytes <= len);
		copy = malloc(avail + 1);
		memcpy(copy, b, avail);
		if (avail > 14 && round % 2)
			wire_put16(copy + 12, round % 4 == 1 ? 0x8100 : 40);
		if (wire_link_parse(copy, avail, len, &link) == WIRE_OK)
			assert_true(link.header_bytes + link.payload_bytes <= len);
		free(copy);
	}
}

static void test_link_round_trip(void **state)
{
	struct prng rng;

	prng_seed(&rng, 33);
	for (u32 round = 0; round < 500; round++) {
		struct wire_link in, out;
		u8 b[200] = {0};
		u32 header;

		memset(&in, 0, sizeof(in));
		memset(&out, 0, sizeof(out));
		random_bytes(&rng, in.dst.b, 6);
		random_bytes(&rng, in.src.b, 6);
		in.ethertype = WIRE_ETH_IP6;
		in.snap = prng_u32(&rng) & 1;
		in.n_vlan = (u8)prng_below(&rng, 3);
		for (u32 i = 0; i < in.n_vlan; i++)
			in.vlan[i] = (i ? 0x81000000u : 0x88a80000u) | prng_below(&rng, 65536);
		in.payload_bytes = prng_below(&rng, 100);
		header = wire_link_write(b, &in);
		in.header_bytes = header;
		assert_int_equal(wire_link_parse(b, 200, header + in.payload_bytes, &out), WIRE_OK);
		assert_memory_equal(&in, &out, sizeof(in));
		for (u32 n = 0; n < header; n++) {
			assert_true(wire_reason_is_drop(wire_link_parse(b, n, n, &out)));
			/* SNAP's length is looked at before the bytes behind it. */
			assert_int_equal(wire_link_parse(b, n, header + in.payload_bytes, &out),
			                 WIRE_HEADER_SPLIT);
		}
	}
}

static void test_other_link_frames(void **state)
{
	struct wire_link link;
	u8 b[64] = {0};

	/* Spanning tree: LLC 42 42 03. */
	wire_put16(b + 12, 38);
	memcpy(b + 14, "\x42\x42\x03", 3);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_LLC);
	wire_put16(b + 12, 7);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_LLC);
	/* SNAP of another organisation. */
	wire_put16(b + 12, 38);
	memcpy(b + 14, "\xaa\xaa\x03\x00\x00\x0c\x01\x0b", 8);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_LLC);
	wire_put16(b + 12, 51);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_LLC_LENGTH);
	/* Three tags. */
	for (u32 i = 0; i < 3; i++)
		wire_put32(b + 12 + 4 * i, 0x81000001);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_VLAN_DEPTH);
	/* Padding behind a SNAP frame is not payload. */
	wire_put16(b + 12, 18);
	memcpy(b + 14, "\xaa\xaa\x03\x00\x00\x00\x08\x00", 8);
	assert_int_equal(wire_link_parse(b, 64, 64, &link), WIRE_OK);
	assert_int_equal(link.payload_bytes, 10);
	assert_int_equal(link.ethertype, WIRE_ETH_IP4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_and_truncation),
		cmocka_unit_test(test_capture_fragments),
		cmocka_unit_test(test_ip4_options_are_skipped),
		cmocka_unit_test(test_short_fragment_header),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_link_round_trip),
		cmocka_unit_test(test_other_link_frames),
	};

	return RUN_TESTS(tests);
}

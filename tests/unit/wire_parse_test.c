/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/prng.h"
#include "captures.h"
#include "wire/parse.h"

static struct wire_tcp_segment seg;

static enum wire_reason parse(const u8 *p, u32 len)
{
	/* Exactly as many bytes as are given: the sanitizer sees one too many. */
	u8 *copy = malloc(len ? len : 1);
	enum wire_reason reason;

	memcpy(copy, p, len);
	reason = wire_parse_tcp(copy, len, len, &seg);
	free(copy);
	return reason;
}

static void assert_ip(const struct ip_addr *ip, const char *hex)
{
	u8 b[16];

	assert_int_equal(capture_bytes(hex, b), 16);
	assert_memory_equal(ip->b, b, 16);
}

#define IP4_1 "00000000000000000000ffff0a090001"
#define IP4_2 "00000000000000000000ffff0a090002"
#define IP6_1 "fd090000000000000000000000000001"
#define IP6_2 "fd090000000000000000000000000002"

static void test_capture_ip4(void **state)
{
	u8 f[200];
	u32 len = capture_bytes(CAP_DATA4, f);

	assert_int_equal(parse(f, len), WIRE_OK);
	assert_int_equal(seg.ip_version, 4);
	assert_ip(&seg.flow.remote, IP4_1);
	assert_ip(&seg.flow.local, IP4_2);
	assert_int_equal(seg.flow.remote_port, 36684);
	assert_int_equal(seg.flow.local_port, 8080);
	assert_int_equal(seg.seq.n, 0x5e615718);
	assert_int_equal(seg.ack.n, 0xf7968265);
	assert_int_equal(seg.flags, WIRE_ACK | WIRE_PSH);
	assert_int_equal(seg.wnd, 63);
	assert_int_equal(seg.ttl, 64);
	assert_int_equal(seg.ip_off, 14);
	assert_int_equal(seg.tcp_off, 34);
	assert_int_equal(seg.payload_off, 66);
	assert_int_equal(seg.payload_len, 5);
	assert_int_equal(seg.options.present, WIRE_OPT_TIMESTAMPS);
	assert_int_equal(seg.options.ts_val, 0x93a28357);
	assert_int_equal(seg.options.ts_ecr, 0x39dab5d2);
	assert_int_equal(wire_segment_len(&seg), 5);
	assert_memory_equal(f + seg.payload_off, "hello", 5);
}

static void test_capture_ip6(void **state)
{
	u8 f[200];
	u32 len = capture_bytes(CAP_DATA6, f);

	assert_int_equal(parse(f, len), WIRE_OK);
	assert_int_equal(seg.ip_version, 6);
	assert_ip(&seg.flow.remote, IP6_1);
	assert_ip(&seg.flow.local, IP6_2);
	assert_int_equal(seg.flow.remote_port, 46746);
	assert_int_equal(seg.flow.local_port, 8080);
	assert_int_equal(seg.seq.n, 0xf191c64a);
	assert_int_equal(seg.payload_len, 5);
	assert_int_equal(seg.tcp_off, 54);
	assert_memory_equal(f + seg.payload_off, "hello", 5);
}

static void test_capture_syn(void **state)
{
	u8 f[200];
	u32 len = capture_bytes(CAP_SYN4, f);

	assert_int_equal(parse(f, len), WIRE_OK);
	assert_int_equal(seg.flags, WIRE_SYN);
	assert_int_equal(seg.wnd, 64240);
	assert_int_equal(seg.options.present, WIRE_OPT_TIMESTAMPS | WIRE_OPT_MSS | WIRE_OPT_WSCALE |
	                                              WIRE_OPT_SACK_PERMITTED);
	assert_int_equal(seg.options.mss, 1460);
	assert_int_equal(seg.options.wscale, 10);
	assert_int_equal(seg.options.ts_val, 0x93a28356);
	assert_int_equal(seg.payload_len, 0);
	assert_int_equal(wire_segment_len(&seg), 1);
	len = capture_bytes(CAP_SYN_ACK6, f);
	assert_int_equal(parse(f, len), WIRE_OK);
	assert_int_equal(seg.flags, WIRE_SYN | WIRE_ACK);
	assert_int_equal(seg.options.mss, 1440);
	len = capture_bytes(CAP_FIN4, f);
	assert_int_equal(parse(f, len), WIRE_OK);
	assert_int_equal(wire_segment_len(&seg), 1);
}

/* R3: what a target need not know goes to the host stack. */
static void test_captures_for_the_host(void **state)
{
	static const struct {
		const char *hex;
		enum wire_reason reason;
	} v[] = {
		{CAP_ARP_REQUEST, WIRE_NOT_IP},   {CAP_ARP_REPLY, WIRE_NOT_IP},
		{CAP_NS, WIRE_NOT_TCP},           {CAP_NA, WIRE_NOT_TCP},
		{CAP_MLD, WIRE_IP6_EXTENSION},    {CAP_UNREACHABLE4, WIRE_NOT_TCP},
		{CAP_UNREACHABLE6, WIRE_NOT_TCP}, {CAP_FRAG4, WIRE_IP_FRAGMENT},
		{CAP_FRAG6, WIRE_IP_FRAGMENT},
	};
	u8 f[1600];

	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		u32 len = capture_bytes(v[i].hex, f);

		assert_int_equal(parse(f, len), v[i].reason);
		assert_true(wire_reason_is_host(v[i].reason));
		assert_false(wire_reason_is_drop(v[i].reason));
	}
}

/* Makes the IPv4 header checksum at f + 14 right again. */
static void fix_ip4(u8 *f)
{
	u32 header = (u32)(f[14] & 15) * 4;
	be16 csum;

	memset(f + 24, 0, 2);
	csum = csum_finish(csum_bytes(0, f + 14, header));
	memcpy(f + 24, &csum, 2);
}

static enum wire_reason parse_with(const char *hex, u32 at, u8 value)
{
	u8 f[1600];
	u32 len = capture_bytes(hex, f);

	f[at] = value;
	if (f[12] == 0x08 && f[13] == 0)
		fix_ip4(f);
	return parse(f, len);
}

static void test_one_field_changed(void **state)
{
	assert_int_equal(parse_with(CAP_DATA4, 14, 0x65), WIRE_IP_VERSION);
	assert_int_equal(parse_with(CAP_DATA4, 14, 0x44), WIRE_IP_HEADER_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 14, 0x46), WIRE_IP_OPTIONS);
	assert_int_equal(parse_with(CAP_DATA4, 17, 19), WIRE_IP_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 17, 58), WIRE_IP_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 17, 39), WIRE_TCP_SHORT);
	assert_int_equal(parse_with(CAP_DATA4, 17, 51), WIRE_TCP_HEADER_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 17, 52), WIRE_OK);
	assert_int_equal(seg.payload_len, 0);
	assert_int_equal(parse_with(CAP_DATA4, 20, 0x20), WIRE_IP_FRAGMENT);
	assert_int_equal(parse_with(CAP_DATA4, 21, 1), WIRE_IP_FRAGMENT);
	assert_int_equal(parse_with(CAP_DATA4, 20, 0), WIRE_OK);
	assert_int_equal(parse_with(CAP_DATA4, 23, 17), WIRE_NOT_TCP);
	assert_int_equal(parse_with(CAP_DATA4, 46, 0x40), WIRE_TCP_HEADER_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 46, 0xf0), WIRE_TCP_HEADER_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 47, WIRE_ACK | WIRE_URG), WIRE_TCP_URGENT);
	assert_int_equal(seg.payload_len, 5);
	assert_int_equal(parse_with(CAP_DATA4, 57, 0), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 57, 11), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse_with(CAP_DATA4, 57, 9), WIRE_TCP_OPTION_SIZE);

	assert_int_equal(parse_with(CAP_DATA6, 14, 0x40), WIRE_IP_VERSION);
	assert_int_equal(parse_with(CAP_DATA6, 19, 38), WIRE_IP_LENGTH);
	assert_int_equal(parse_with(CAP_DATA6, 19, 19), WIRE_TCP_SHORT);
	assert_int_equal(parse_with(CAP_DATA6, 19, 31), WIRE_TCP_HEADER_LENGTH);
	assert_int_equal(parse_with(CAP_DATA6, 20, 0), WIRE_IP6_EXTENSION);
	assert_int_equal(parse_with(CAP_DATA6, 20, 44), WIRE_IP_FRAGMENT);
	assert_int_equal(parse_with(CAP_DATA6, 20, 60), WIRE_IP6_EXTENSION);
	assert_int_equal(parse_with(CAP_DATA6, 20, 58), WIRE_NOT_TCP);
}

static void test_every_bit_of_the_ip4_header_checksum(void **state)
{
	u8 f[200];
	u32 len = capture_bytes(CAP_DATA4, f);

	for (u32 bit = 24 * 8; bit < 26 * 8; bit++) {
		f[bit / 8] ^= (u8)(1 << bit % 8);
		assert_int_equal(parse(f, len), WIRE_IP_CHECKSUM);
		f[bit / 8] ^= (u8)(1 << bit % 8);
	}
}

/* Cut at each byte: never taken, never read beyond. */
static void test_truncation(void **state)
{
	static const char *const caps[] = {CAP_DATA4, CAP_SYN4, CAP_DATA6, CAP_SYN_ACK6};
	u8 f[200];

	for (u32 c = 0; c < ARRAY_SIZE(caps); c++) {
		u32 len = capture_bytes(caps[c], f);

		for (u32 n = 0; n < len; n++)
			assert_true(wire_reason_is_drop(parse(f, n)));
		assert_int_equal(parse(f, len), WIRE_OK);
	}
}

/* The same when only the first `avail` bytes are contiguous: not taken, but not dropped either, for
 * the frame may be good. */
static void test_split_headers(void **state)
{
	static const char *const caps[] = {CAP_DATA4, CAP_DATA6};
	u8 f[200];

	for (u32 c = 0; c < ARRAY_SIZE(caps); c++) {
		u32 len = capture_bytes(caps[c], f);

		for (u32 avail = 0; avail < len; avail++) {
			u8 *copy = malloc(avail + 1);
			enum wire_reason reason;

			memcpy(copy, f, avail);
			reason = wire_parse_tcp(copy, avail, len, &seg);
			assert_int_equal(reason, avail < len - 5 ? WIRE_HEADER_SPLIT : WIRE_OK);
			if (reason == WIRE_OK)
				assert_int_equal(seg.payload_len, 5);
			free(copy);
		}
	}
}

/* Ethernet pads short frames; the IP length counts. */
static void test_padding(void **state)
{
	u8 f[200] = {0};
	u32 len = capture_bytes(CAP_DATA4, f);

	assert_int_equal(parse(f, len + 9), WIRE_OK);
	assert_int_equal(seg.payload_len, 5);
	len = capture_bytes(CAP_DATA6, f);
	assert_int_equal(parse(f, len + 9), WIRE_OK);
	assert_int_equal(seg.payload_len, 5);
}

/* The capture behind another link header. */
static u32 reframe(const char *hex, const struct wire_link *shape, u8 *to)
{
	u8 f[300];
	u32 len = capture_bytes(hex, f);
	struct wire_link link = *shape;
	u32 at;

	link.ethertype = wire_get16(f + 12);
	link.payload_bytes = len - 14;
	at = wire_link_write(to, &link);
	memcpy(to + at, f + 14, len - 14);
	return at + len - 14;
}

static void test_vlan_and_snap(void **state)
{
	static const char *const caps[] = {CAP_DATA4, CAP_DATA6};
	static const struct wire_link shape[] = {
		{.n_vlan = 1, .vlan = {0x81000064}},
		{.n_vlan = 2, .vlan = {0x88a80007, 0x81006fff}},
		{.snap = 1},
		{.snap = 1, .n_vlan = 2, .vlan = {0x81000001, 0x81000002}},
	};
	u8 f[300];

	for (u32 c = 0; c < ARRAY_SIZE(caps); c++) {
		for (u32 s = 0; s < ARRAY_SIZE(shape); s++) {
			u32 len = reframe(caps[c], &shape[s], f);

			assert_int_equal(parse(f, len), WIRE_OK);
			assert_int_equal(seg.n_vlan, shape[s].n_vlan);
			assert_memory_equal(seg.vlan, shape[s].vlan, 4 * shape[s].n_vlan);
			assert_int_equal(seg.snap, shape[s].snap);
			assert_int_equal(seg.payload_len, 5);
			assert_memory_equal(f + seg.payload_off, "hello", 5);
			for (u32 n = 0; n < len; n++)
				assert_true(wire_reason_is_drop(parse(f, n)));
		}
	}
}

/* The checksum over chains cut anywhere; any flipped bit from the TCP header on is seen. */
static void test_tcp_checksum(void **state)
{
	static const char *const caps[] = {CAP_DATA4, CAP_DATA6, CAP_SYN4, CAP_FIN4};
	const struct buf_pool_config config = {.small = 2};
	void *mem = aligned_alloc(4096, buf_pool_bytes(&config));
	struct buf_pool pool;
	u8 f[200];

	buf_pool_init(&pool, mem, &config);
	for (u32 c = 0; c < ARRAY_SIZE(caps); c++) {
		u32 len = capture_bytes(caps[c], f);
		u32 a = buf_alloc(&pool, BUF_SMALL), b = buf_alloc(&pool, BUF_SMALL);

		assert_int_equal(parse(f, len), WIRE_OK);
		buf_at(&pool, a)->next = b;
		for (u32 cut = 0; cut <= len; cut++) {
			u32 bit = 8 * seg.tcp_off + cut * 7 % (8 * (len - seg.tcp_off));

			buf_at(&pool, a)->len = cut;
			buf_at(&pool, b)->len = len - cut;
			memcpy(buf_data(&pool, a), f, cut);
			memcpy(buf_data(&pool, b), f + cut, len - cut);
			assert_true(wire_tcp_csum_ok(&seg, &pool, a));
			if (bit / 8 < cut)
				buf_data(&pool, a)[bit / 8] ^= (u8)(1 << bit % 8);
			else
				buf_data(&pool, b)[bit / 8 - cut] ^= (u8)(1 << bit % 8);
			assert_false(wire_tcp_csum_ok(&seg, &pool, a));
		}
		buf_put_chain(&pool, a);
	}
	free(mem);
}

/* Whatever is taken lies within the frame. */
static void check_bounds(enum wire_reason reason, u32 len)
{
	assert_true(reason < WIRE_REASONS);
	if (reason != WIRE_OK && reason != WIRE_TCP_URGENT)
		return;
	assert_true(seg.payload_off + seg.payload_len <= len);
	assert_true(seg.payload_off >= (u32)seg.tcp_off + WIRE_TCP_BYTES);
	assert_true(seg.options.n_sack <= WIRE_SACK_MAX);
}

static void test_random_bytes(void **state)
{
	struct prng rng;
	u8 f[160];

	prng_seed(&rng, 11);
	for (u32 round = 0; round < 20000; round++) {
		u32 len = prng_below(&rng, sizeof(f));

		for (u32 i = 0; i < len; i++)
			f[i] = (u8)prng_u64(&rng);
		check_bounds(parse(f, len), len);
	}
}

/* Good frames with a few bytes changed reach further than noise does. */
static void test_mutated_frames(void **state)
{
	static const char *const caps[] = {CAP_DATA4, CAP_SYN4, CAP_DATA6, CAP_SYN6,
	                                   CAP_FRAG6, CAP_MLD,  CAP_FRAG4};
	static const struct wire_link tagged = {.snap = 1, .n_vlan = 1, .vlan = {0x81000001}};
	struct prng rng;
	u8 f[400];
	u32 taken = 0;

	prng_seed(&rng, 12);
	for (u32 round = 0; round < 20000; round++) {
		const char *hex = caps[prng_below(&rng, ARRAY_SIZE(caps))];
		bool plain = prng_chance(&rng, 700000);
		u32 len = plain ? capture_bytes(hex, f) : reframe(hex, &tagged, f);
		enum wire_reason reason;

		for (u32 i = prng_below(&rng, 4); i-- > 0;)
			f[prng_below(&rng, len)] = (u8)prng_u64(&rng);
		if (plain && f[12] == 8 && f[13] == 0 && (f[14] & 15) >= 5)
			fix_ip4(f);
		reason = parse(f, len);
		check_bounds(reason, len);
		taken += reason == WIRE_OK;
	}
	assert_true(taken > 1000);
}

static void test_reasons_have_words(void **state)
{
	for (u32 r = 0; r < WIRE_REASONS; r++) {
		assert_string_not_equal(wire_reason_word(r), "unknown");
		assert_true(strlen(wire_reason_sentence(r)) > 5);
		assert_int_equal(wire_reason_is_host(r) + wire_reason_is_drop(r), r != WIRE_OK);
		for (u32 other = 0; other < r; other++)
			assert_string_not_equal(wire_reason_word(r), wire_reason_word(other));
	}
	assert_string_equal(wire_reason_word(WIRE_REASONS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capture_ip4),
		cmocka_unit_test(test_capture_ip6),
		cmocka_unit_test(test_capture_syn),
		cmocka_unit_test(test_captures_for_the_host),
		cmocka_unit_test(test_one_field_changed),
		cmocka_unit_test(test_every_bit_of_the_ip4_header_checksum),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_split_headers),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_vlan_and_snap),
		cmocka_unit_test(test_tcp_checksum),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_mutated_frames),
		cmocka_unit_test(test_reasons_have_words),
	};

	return RUN_TESTS(tests);
}

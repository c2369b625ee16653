/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/prng.h"
#include "captures.h"
#include "wire/tcp.h"

static struct wire_tcp_options o;

static enum wire_reason parse(const char *hex, bool syn)
{
	u8 b[40];
	u32 len = capture_bytes(hex, b);
	u8 *copy = malloc(len ? len : 1);
	enum wire_reason reason;

	memcpy(copy, b, len);
	memset(&o, 0xee, sizeof(o));
	reason = wire_tcp_options_parse(copy, len, syn, &o);
	free(copy);
	return reason;
}

static void test_each_option(void **state)
{
	assert_int_equal(parse("020405b4", true), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_MSS);
	assert_int_equal(o.mss, 1460);
	assert_int_equal(parse("01030307", true), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_WSCALE);
	assert_int_equal(o.wscale, 7);
	/* RFC 7323 2.3: above 14 counts as 14. */
	assert_int_equal(parse("010303ff", true), WIRE_OK);
	assert_int_equal(o.wscale, 14);
	assert_int_equal(parse("04020101", true), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_SACK_PERMITTED);
	assert_int_equal(parse("0101080a0102030405060708", false), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_TIMESTAMPS);
	assert_int_equal(o.ts_val, 0x01020304);
	assert_int_equal(o.ts_ecr, 0x05060708);
	assert_int_equal(parse("0101050a0000000100000002", false), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_SACK);
	assert_int_equal(o.n_sack, 1);
	assert_int_equal(o.sack[0].start.n, 1);
	assert_int_equal(o.sack[0].end.n, 2);
}

static void test_options_of_the_wrong_segment_do_not_count(void **state)
{
	assert_int_equal(parse("020405b4010303070402", false), WIRE_OK);
	assert_int_equal(o.present, 0);
	assert_int_equal(parse("0101050a0000000100000002", true), WIRE_OK);
	assert_int_equal(o.present, 0);
	assert_int_equal(o.n_sack, 0);
}

static void test_end_and_unknown(void **state)
{
	assert_int_equal(parse("", false), WIRE_OK);
	assert_int_equal(o.present, 0);
	/* Nothing counts behind the end, not even nonsense. */
	assert_int_equal(parse("0001ff00", false), WIRE_OK);
	assert_int_equal(parse("fd06aabbccdd080a0102030405060708", false), WIRE_OK);
	assert_int_equal(o.present, WIRE_OPT_TIMESTAMPS);
	assert_int_equal(parse("fd02fe02", false), WIRE_OK);
	assert_int_equal(o.present, 0);
}

/* RFC 9293 MUST-7 */
static void test_illegal_lengths(void **state)
{
	assert_int_equal(parse("fd", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("010101fd", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("fd000101", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("fd010101", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("fd050101", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("fdff0101", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(parse("02030101", true), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("0305010101", true), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("03020101", false), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("04030101", true), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("08080102030405060101", false), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("05020101", false), WIRE_TCP_OPTION_SIZE);
	assert_int_equal(parse("05060000000101010101", false), WIRE_TCP_OPTION_SIZE);
	/* What stood before the fault is told. */
	assert_int_equal(parse("0101080a0102030405060708fd00", false), WIRE_TCP_OPTION_LENGTH);
	assert_int_equal(o.present, WIRE_OPT_TIMESTAMPS);
	assert_int_equal(o.n_sack, 0);
}

static void test_fast_path_agrees(void **state)
{
	static const char *const v[] = {
		"",
		"0101080a0102030405060708",
		"080a01020304050607080101",
		"0101050a0000000100000002",
		"fd00",
		"0101080b0102030405060708",
	};

	for (u32 i = 0; i < ARRAY_SIZE(v); i++) {
		struct wire_tcp_options fast;
		u8 b[40];
		u32 len = capture_bytes(v[i], b);

		assert_int_equal(wire_tcp_options_fast(b, len, false, &fast), parse(v[i], false));
		assert_int_equal(fast.present, o.present);
		assert_int_equal(fast.n_sack, o.n_sack);
		if (fast.present & WIRE_OPT_TIMESTAMPS)
			assert_int_equal(fast.ts_val, o.ts_val);
	}
}

/* The layouts that every stack recognises. */
static void test_written_bytes(void **state)
{
	const struct wire_tcp_options syn = {
		.present = WIRE_OPT_MSS | WIRE_OPT_WSCALE | WIRE_OPT_SACK_PERMITTED |
	                   WIRE_OPT_TIMESTAMPS,
		.mss = 1460,
		.wscale = 10,
		.ts_val = 0x93a28356,
	};
	const struct wire_tcp_options ack = {
		.present = WIRE_OPT_TIMESTAMPS | WIRE_OPT_SACK,
		.ts_val = 1,
		.ts_ecr = 2,
		.n_sack = 4,
		.sack = {{{1}, {2}}, {{3}, {4}}, {{5}, {6}}, {{7}, {8}}},
	};
	u8 b[40], want[40];
	u32 len;

	/* As the kernel writes them. */
	len = capture_bytes("020405b40402080a93a283560000000001"
	                    "03030a",
	                    want);
	assert_int_equal(wire_tcp_options_bytes(&syn), len);
	assert_int_equal(wire_tcp_options_write(b, &syn), len);
	assert_memory_equal(b, want, len);
	/* Three blocks fit next to timestamps. */
	len = capture_bytes("0101080a00000001000000020101051a"
	                    "000000010000000200000003000000040000000500000006",
	                    want);
	assert_int_equal(wire_tcp_options_bytes(&ack), len);
	assert_int_equal(wire_tcp_options_write(b, &ack), len);
	assert_memory_equal(b, want, len);
}

static void random_options(struct prng *rng, bool syn, struct wire_tcp_options *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->present =
		(u8)(prng_u32(rng) & (syn ? WIRE_OPT_MSS | WIRE_OPT_WSCALE |
	                                              WIRE_OPT_SACK_PERMITTED | WIRE_OPT_TIMESTAMPS
	                                  : WIRE_OPT_TIMESTAMPS | WIRE_OPT_SACK));
	if (ret->present & WIRE_OPT_MSS)
		ret->mss = (u16)prng_u32(rng);
	if (ret->present & WIRE_OPT_WSCALE)
		ret->wscale = (u8)prng_below(rng, 15);
	if (ret->present & WIRE_OPT_TIMESTAMPS) {
		ret->ts_val = prng_u32(rng);
		ret->ts_ecr = prng_u32(rng);
	}
	if (!(ret->present & WIRE_OPT_SACK))
		return;
	ret->n_sack = (u8)(1 + prng_below(rng, ret->present & WIRE_OPT_TIMESTAMPS ? 3 : 4));
	for (u32 i = 0; i < ret->n_sack; i++) {
		ret->sack[i].start = seq_of(prng_u32(rng));
		ret->sack[i].end = seq_of(prng_u32(rng));
	}
}

static void test_header_round_trip(void **state)
{
	struct prng rng;

	prng_seed(&rng, 21);
	for (u32 round = 0; round < 5000; round++) {
		struct wire_tcp in, out;
		bool syn = round % 2;
		u8 b[60];
		u32 len;

		memset(&in, 0, sizeof(in));
		memset(&out, 0, sizeof(out));
		in.src_port = (u16)prng_u32(&rng);
		in.dst_port = (u16)prng_u32(&rng);
		in.seq = seq_of(prng_u32(&rng));
		in.ack = seq_of(prng_u32(&rng));
		in.wnd = (u16)prng_u32(&rng);
		in.urg = (u16)prng_u32(&rng);
		in.csum = (be16)prng_u32(&rng);
		in.flags = (u8)((prng_u32(&rng) & ~WIRE_SYN) | (syn ? WIRE_SYN : 0));
		random_options(&rng, syn, &in.options);
		len = wire_tcp_write(b, &in);
		assert_in_range(len, 20, 60);
		assert_int_equal(wire_tcp_parse(b, len, &out), WIRE_OK);
		in.header_bytes = (u8)len;
		assert_memory_equal(&in, &out, sizeof(in));
		for (u32 n = 0; n < len; n++)
			assert_int_equal(wire_tcp_parse(b, n, &out),
			                 n < 20 ? WIRE_TCP_SHORT : WIRE_TCP_HEADER_LENGTH);
	}
}

static void test_random_options(void **state)
{
	struct prng rng;
	u32 taken = 0;

	prng_seed(&rng, 22);
	for (u32 round = 0; round < 50000; round++) {
		u32 len = prng_below(&rng, 41);
		u8 *b = malloc(len ? len : 1);

		/* Small numbers: kinds and lengths that mean something. */
		for (u32 i = 0; i < len; i++)
			b[i] = (u8)prng_below(&rng, 12);
		if (wire_tcp_options_parse(b, len, round % 2, &o) == WIRE_OK)
			taken++;
		assert_true(o.n_sack <= WIRE_SACK_MAX);
		assert_int_equal(o.n_sack != 0, !!(o.present & WIRE_OPT_SACK));
		free(b);
	}
	assert_true(taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_option),
		cmocka_unit_test(test_options_of_the_wrong_segment_do_not_count),
		cmocka_unit_test(test_end_and_unknown),
		cmocka_unit_test(test_illegal_lengths),
		cmocka_unit_test(test_fast_path_agrees),
		cmocka_unit_test(test_written_bytes),
		cmocka_unit_test(test_header_round_trip),
		cmocka_unit_test(test_random_options),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/csum.h"
#include "base/prng.h"

/* RFC 1071, word by word, in host arithmetic. */
static u16 plain(const u8 *p, size_t len)
{
	u32 sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (u32)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

static void fill(struct prng *rng, u8 *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (u8)prng_u64(rng);
}

/* The example of RFC 1071 3. */
static void test_rfc1071_example(void **state)
{
	static const u8 b[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(be16_to_cpu(csum_fold(csum_bytes(0, b, sizeof(b)))), 0xddf2);
	assert_int_equal(be16_to_cpu(csum_finish(csum_bytes(0, b, sizeof(b)))), 0x220d);
}

static void test_every_length_and_alignment(void **state)
{
	struct prng rng;
	u8 b[200];

	prng_seed(&rng, 3);
	fill(&rng, b, sizeof(b));
	for (u32 off = 0; off < 16; off++)
		for (u32 len = 0; len <= sizeof(b) - 16; len++)
			assert_int_equal(be16_to_cpu(csum_fold(csum_bytes(0, b + off, len))),
			                 plain(b + off, len));
}

static void test_all_ones_do_not_overflow(void **state)
{
	size_t len = 65535;
	u8 *b = malloc(len);

	memset(b, 0xff, len);
	assert_int_equal(be16_to_cpu(csum_fold(csum_bytes(UINT64_MAX, b, len))), plain(b, len));
	free(b);
}

static void test_own_checksum_verifies(void **state)
{
	struct prng rng;
	u8 b[64];
	be16 check;

	prng_seed(&rng, 4);
	fill(&rng, b, sizeof(b));
	memset(b + 10, 0, 2);
	check = csum_finish(csum_bytes(0, b, sizeof(b)));
	memcpy(b + 10, &check, 2);
	assert_true(csum_ok(csum_bytes(0, b, sizeof(b))));
	for (u32 bit = 0; bit < 8 * sizeof(b); bit++) {
		b[bit / 8] ^= (u8)(1 << bit % 8);
		assert_false(csum_ok(csum_bytes(0, b, sizeof(b))));
		b[bit / 8] ^= (u8)(1 << bit % 8);
	}
}

/* RFC 1624: what is patched equals what is computed anew. */
static void test_replace(void **state)
{
	struct prng rng;
	u8 b[20];

	prng_seed(&rng, 5);
	for (u32 round = 0; round < 1000; round++) {
		u32 was, is = prng_u32(&rng);
		be16 check, was16, is16 = (be16)prng_u32(&rng);

		fill(&rng, b, sizeof(b));
		check = csum_finish(csum_bytes(0, b, sizeof(b)));
		memcpy(&was, b + 12, 4);
		memcpy(b + 12, &is, 4);
		check = csum_replace32(check, was, is);
		assert_int_equal(check, csum_finish(csum_bytes(0, b, sizeof(b))));
		memcpy(&was16, b + 2, 2);
		memcpy(b + 2, &is16, 2);
		check = csum_replace16(check, was16, is16);
		assert_int_equal(check, csum_finish(csum_bytes(0, b, sizeof(b))));
	}
}

static void test_pseudo_header(void **state)
{
	struct ip_addr a4 = {{[10] = 0xff, [11] = 0xff, [12] = 10, 1, 2, 3}};
	struct ip_addr b4 = {{[10] = 0xff, [11] = 0xff, [12] = 192, 168, 255, 254}};
	static const u8 flat4[] = {10, 1, 2, 3, 192, 168, 255, 254, 0, 6, 0x12, 0x34};
	struct ip_addr a6, b6;
	u8 flat6[40] = {[32] = 0, 1, 0x12, 0x34, 0, 0, 0, 58};
	struct prng rng;

	prng_seed(&rng, 6);
	fill(&rng, flat6, 32);
	memcpy(a6.b, flat6, 16);
	memcpy(b6.b, flat6 + 16, 16);
	assert_int_equal(be16_to_cpu(csum_fold(csum_pseudo(&a4, &b4, 6, 0x1234))),
	                 plain(flat4, sizeof(flat4)));
	assert_int_equal(be16_to_cpu(csum_fold(csum_pseudo(&a6, &b6, 58, 0x11234))),
	                 plain(flat6, sizeof(flat6)));
}

/* Chains of buffers of any length, odd ones too. */
static void test_chain(void **state)
{
	const struct buf_pool_config config = {.small = 8};
	void *mem = aligned_alloc(4096, buf_pool_bytes(&config));
	struct buf_pool pool;
	struct prng rng;
	u8 flat[8 * 40];

	prng_seed(&rng, 8);
	buf_pool_init(&pool, mem, &config);
	for (u32 round = 0; round < 500; round++) {
		u32 head = NIL, total = 0, skip, len;

		for (u32 n = 0; n < 8; n++) {
			u32 i = buf_alloc(&pool, BUF_SMALL);

			buf_at(&pool, i)->off = prng_below(&rng, 64);
			buf_at(&pool, i)->len = prng_below(&rng, 40);
			buf_at(&pool, i)->next = head;
			fill(&rng, buf_data(&pool, i), buf_at(&pool, i)->len);
			total += buf_at(&pool, i)->len;
			head = i;
		}
		skip = prng_below(&rng, total + 1);
		len = prng_below(&rng, total - skip + 1);
		assert_int_equal(buf_chain_copy(&pool, head, skip, flat, len), len);
		assert_int_equal(be16_to_cpu(csum_fold(csum_chain(0, &pool, head, skip, len))),
		                 plain(flat, len));
		buf_put_chain(&pool, head);
	}
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc1071_example),
		cmocka_unit_test(test_every_length_and_alignment),
		cmocka_unit_test(test_all_ones_do_not_overflow),
		cmocka_unit_test(test_own_checksum_verifies),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_pseudo_header),
		cmocka_unit_test(test_chain),
	};

	return RUN_TESTS(tests);
}

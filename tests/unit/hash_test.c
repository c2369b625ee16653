/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/hash.h"

static const struct hash_key key = {{0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull}};

static void counting_bytes(u8 *to, u32 n)
{
	for (u32 i = 0; i < n; i++)
		to[i] = (u8)i;
}

/* The authors' vectors of SipHash-2-4 show the round function, the loads and the tail. */
static void test_siphash_2_4_vectors(void **state)
{
	u8 in[64];

	counting_bytes(in, sizeof(in));
	assert_int_equal(hash_sip(&key, in, 0, 2, 4), 0x726fdb47dd0e0e31ull);
	assert_int_equal(hash_sip(&key, in, 1, 2, 4), 0x74f839c593dc67fdull);
	assert_int_equal(hash_sip(&key, in, 7, 2, 4), 0xab0200f58b01d137ull);
	assert_int_equal(hash_sip(&key, in, 8, 2, 4), 0x93f5f5799a932462ull);
	assert_int_equal(hash_sip(&key, in, 63, 2, 4), 0x958a324ceb064572ull);
}

static void test_siphash_1_3_vectors(void **state)
{
	static const struct {
		u32 len;
		u64 hash;
	} v[] = {
		{0, 0xabac0158050fc4dcull},  {1, 0xc9f49bf37d57ca93ull},
		{7, 0xd3927d989bb11140ull},  {8, 0x369095118d299a8eull},
		{12, 0x78a384b157b4d9a2ull}, {15, 0xd320d86d2a519956ull},
		{36, 0x2cf508d3ada26206ull}, {63, 0x9d199062b7bbb3a8ull},
	};
	u8 in[64];

	counting_bytes(in, sizeof(in));
	for (u32 i = 0; i < ARRAY_SIZE(v); i++)
		assert_int_equal(hash_bytes(&key, in, v[i].len), v[i].hash);
}

static void test_flow_hash_takes_the_bytes_it_says(void **state)
{
	u8 in[36];
	struct flow_key six, four = {
				     .local = {{[10] = 0xff, [11] = 0xff, [12] = 0, 1, 2, 3}},
				     .remote = {{[10] = 0xff, [11] = 0xff, [12] = 4, 5, 6, 7}},
				     .local_port = 0x0908,
				     .remote_port = 0x0b0a,
			     };

	counting_bytes(in, sizeof(in));
	memcpy(&six, in, sizeof(in));
	assert_int_equal(flow_key_hash(&key, &six), (u32)0x2cf508d3ada26206ull);
	assert_int_equal(flow_key_hash(&key, &four), (u32)0x78a384b157b4d9a2ull);
}

static void test_flow_key_eq_sees_every_field(void **state)
{
	struct flow_key a = {.local_port = 1, .remote_port = 2};
	struct flow_key b = a;

	assert_true(flow_key_eq(&a, &b));
	for (u32 i = 0; i < 36; i++) {
		((u8 *)&b)[i] ^= 1;
		assert_false(flow_key_eq(&a, &b));
		assert_int_not_equal(flow_key_hash(&key, &a), flow_key_hash(&key, &b));
		((u8 *)&b)[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash_2_4_vectors),
		cmocka_unit_test(test_siphash_1_3_vectors),
		cmocka_unit_test(test_flow_hash_takes_the_bytes_it_says),
		cmocka_unit_test(test_flow_key_eq_sees_every_field),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/prng.h"

/* The generators' published first outputs. */
static void test_known_numbers(void **state)
{
	struct prng p = {{1, 2, 3, 4}};
	u64 seed = 0;

	assert_int_equal(prng_u64(&p), 11520);
	assert_int_equal(prng_u64(&p), 0);
	assert_int_equal(prng_u64(&p), 1509978240);
	assert_int_equal(prng_u64(&p), 1215971899390074240ull);
	assert_int_equal(prng_splitmix(&seed), 0xe220a8397b1dcdafull);
	assert_int_equal(prng_splitmix(&seed), 0x6e789e6aa1b965f4ull);
}

static void test_same_seed_same_numbers(void **state)
{
	struct prng a, b, c;
	u32 differ = 0;

	prng_seed(&a, 42);
	prng_seed(&b, 42);
	prng_seed(&c, 43);
	for (u32 i = 0; i < 100; i++) {
		u64 n = prng_u64(&a);

		assert_int_equal(n, prng_u64(&b));
		differ += n != prng_u64(&c);
	}
	assert_int_equal(differ, 100);
}

static void test_bounds(void **state)
{
	struct prng p;
	u32 seen = 0, heads = 0;

	prng_seed(&p, 1);
	assert_int_equal(prng_below(&p, 0), 0);
	assert_int_equal(prng_below(&p, 1), 0);
	for (u32 i = 0; i < 1000; i++) {
		u64 n = prng_between(&p, 10, 14);

		assert_in_range(n, 10, 14);
		seen |= 1u << n;
		heads += prng_chance(&p, 500000);
		assert_false(prng_chance(&p, 0));
		assert_true(prng_chance(&p, 1000000));
	}
	assert_int_equal(seen, 0x1f << 10);
	assert_in_range(heads, 400, 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_numbers),
		cmocka_unit_test(test_same_seed_same_numbers),
		cmocka_unit_test(test_bounds),
	};

	return RUN_TESTS(tests);
}

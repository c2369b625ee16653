/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <errno.h>

#include "base/flowtab.h"
#include "base/prng.h"

enum { N = 200 };

static u32 hash_of_index[N];
static bool in_table[N];

static bool holds(const struct flowtab *t, u32 hash, u32 wanted)
{
	flowtab_for_each (t, hash, index)
		if (index == wanted)
			return true;
	return false;
}

static u32 candidates(const struct flowtab *t, u32 hash)
{
	u32 n = 0;

	flowtab_for_each (t, hash, index)
		n++;
	return n;
}

static void test_equal_hashes_are_all_candidates(void **state)
{
	struct flowtab t;
	void *mem = malloc(flowtab_bytes(10));

	flowtab_init(&t, mem, 10);
	assert_int_equal(candidates(&t, 5), 0);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(flowtab_insert(&t, 5, i), 0);
	assert_int_equal(flowtab_insert(&t, 6, 9), 0);
	assert_int_equal(candidates(&t, 5), 4);
	assert_int_equal(candidates(&t, 6), 1);
	assert_int_equal(flowtab_remove(&t, 5, 9), -ENOENT);
	assert_int_equal(flowtab_remove(&t, 6, 0), -ENOENT);
	assert_int_equal(flowtab_remove(&t, 5, 0), 0);
	assert_int_equal(flowtab_remove(&t, 5, 0), -ENOENT);
	assert_int_equal(candidates(&t, 5), 3);
	assert_true(holds(&t, 6, 9));
	free(mem);
}

static void test_full_is_refused(void **state)
{
	struct flowtab t;
	void *mem = malloc(flowtab_bytes(3));

	flowtab_init(&t, mem, 3);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(flowtab_insert(&t, i * 1000, i), 0);
	assert_int_equal(flowtab_insert(&t, 1, 3), -ENOSPC);
	assert_int_equal(flowtab_remove(&t, 1000, 1), 0);
	assert_int_equal(flowtab_insert(&t, 1, 3), 0);
	assert_true(holds(&t, 1, 3));
	free(mem);
}

static void check_all(const struct flowtab *t)
{
	u32 n = 0;

	for (u32 i = 0; i < N; i++) {
		assert_int_equal(holds(t, hash_of_index[i], i), in_table[i]);
		n += in_table[i];
	}
	assert_int_equal(t->n, n);
}

/* Hashes from few values near the end of the table: long runs that wrap around. */
static void test_random_against_model(void **state)
{
	struct flowtab t;
	void *mem = malloc(flowtab_bytes(N));
	struct prng rng;

	prng_seed(&rng, 7);
	flowtab_init(&t, mem, N);
	memset(in_table, 0, sizeof(in_table));
	for (u32 i = 0; i < N; i++)
		hash_of_index[i] = t.mask - prng_below(&rng, 12) + (prng_u32(&rng) & ~t.mask);
	for (u32 round = 0; round < 4000; round++) {
		u32 i = prng_below(&rng, N);

		if (in_table[i])
			assert_int_equal(flowtab_remove(&t, hash_of_index[i], i), 0);
		else
			assert_int_equal(flowtab_insert(&t, hash_of_index[i], i), 0);
		in_table[i] = !in_table[i];
		if (round % 16 == 0)
			check_all(&t);
	}
	check_all(&t);
	free(mem);
}

static bool even_ones(void *context, u32 index, u32 *ret_hash)
{
	*ret_hash = index / 4;
	return index % 2 == 0 && context != NULL;
}

static void test_rebuild(void **state)
{
	struct flowtab t;
	void *mem = malloc(flowtab_bytes(10));
	int context;

	flowtab_init(&t, mem, 10);
	assert_int_equal(flowtab_insert(&t, 77, 1), 0);
	memset(mem, 0, flowtab_bytes(10));
	assert_int_equal(flowtab_rebuild(&t, 20, even_ones, &context), 0);
	assert_int_equal(t.n, 10);
	for (u32 i = 0; i < 20; i++)
		assert_int_equal(holds(&t, i / 4, i), i % 2 == 0);
	assert_int_equal(candidates(&t, 77), 0);
	assert_int_equal(flowtab_rebuild(&t, 22, even_ones, &context), -ENOSPC);
	assert_int_equal(flowtab_rebuild(&t, 22, even_ones, NULL), 0);
	assert_int_equal(t.n, 0);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal_hashes_are_all_candidates),
		cmocka_unit_test(test_full_is_refused),
		cmocka_unit_test(test_random_against_model),
		cmocka_unit_test(test_rebuild),
	};

	return RUN_TESTS(tests);
}

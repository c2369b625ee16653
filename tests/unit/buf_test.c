/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/buf.h"

static const struct buf_pool_config config = {.small = 3, .large = 2};

static void *new_pool(struct buf_pool *pool)
{
	void *mem = aligned_alloc(4096, buf_pool_bytes(&config));

	assert_non_null(mem);
	buf_pool_init(pool, mem, &config);
	return mem;
}

static void test_exhaustion_is_counted(void **state)
{
	struct buf_pool pool;
	void *mem = new_pool(&pool);
	u32 a[3];

	for (u32 i = 0; i < 3; i++) {
		a[i] = buf_alloc(&pool, BUF_SMALL);
		assert_int_equal(a[i], i);
		assert_int_equal(buf_capacity(&pool, a[i]), BUF_SMALL_BYTES);
	}
	assert_int_equal(buf_alloc(&pool, BUF_SMALL), NIL);
	assert_int_equal(pool.exhausted[BUF_SMALL], 1);
	assert_int_equal(pool.exhausted[BUF_LARGE], 0);
	buf_put(&pool, a[1]);
	assert_int_equal(buf_alloc(&pool, BUF_SMALL), 1);
	assert_int_equal(buf_alloc(&pool, BUF_LARGE), 3);
	assert_int_equal(buf_capacity(&pool, 3), BUF_LARGE_BYTES);
	free(mem);
}

static void test_references_keep_a_buffer(void **state)
{
	struct buf_pool pool;
	void *mem = new_pool(&pool);
	u32 i = buf_alloc(&pool, BUF_LARGE);

	buf_at(&pool, i)->refs++;
	buf_put(&pool, i);
	assert_int_equal(pool.n_free[BUF_LARGE], 1);
	buf_put(&pool, i);
	assert_int_equal(pool.n_free[BUF_LARGE], 2);
	free(mem);
}

static u32 two_buffer_chain(struct buf_pool *pool)
{
	u32 a = buf_alloc(pool, BUF_SMALL);
	u32 b = buf_alloc(pool, BUF_LARGE);

	buf_at(pool, a)->next = b;
	buf_at(pool, a)->off = 5;
	buf_at(pool, a)->len = 3;
	memcpy(buf_data(pool, a), "abc", 3);
	buf_at(pool, b)->len = 4;
	memcpy(buf_data(pool, b), "defg", 4);
	return a;
}

static void test_chain_copy_and_len(void **state)
{
	struct buf_pool pool;
	void *mem = new_pool(&pool);
	u32 head = two_buffer_chain(&pool);
	char out[8] = {0};

	assert_int_equal(buf_chain_len(&pool, head), 7);
	assert_int_equal(buf_chain_copy(&pool, head, 0, out, 7), 7);
	assert_memory_equal(out, "abcdefg", 7);
	assert_int_equal(buf_chain_copy(&pool, head, 2, out, 3), 3);
	assert_memory_equal(out, "cde", 3);
	assert_int_equal(buf_chain_copy(&pool, head, 3, out, 8), 4);
	assert_memory_equal(out, "defg", 4);
	assert_int_equal(buf_chain_copy(&pool, head, 7, out, 1), 0);
	buf_put_chain(&pool, head);
	assert_int_equal(pool.n_free[BUF_SMALL], 3);
	assert_int_equal(pool.n_free[BUF_LARGE], 2);
	free(mem);
}

/* The owner died: another one attaches to the same memory and finds what was in use. */
static void test_attach_rebuilds_free_lists(void **state)
{
	struct buf_pool pool, again;
	void *mem = new_pool(&pool);
	u32 head = two_buffer_chain(&pool);
	char out[7];

	memset(&pool, 0xee, sizeof(pool));
	buf_pool_attach(&again, mem, &config);
	assert_int_equal(again.n_free[BUF_SMALL], 2);
	assert_int_equal(again.n_free[BUF_LARGE], 1);
	assert_int_equal(buf_chain_copy(&again, head, 0, out, 7), 7);
	assert_memory_equal(out, "abcdefg", 7);
	assert_int_equal(buf_alloc(&again, BUF_SMALL), 1);
	assert_int_equal(buf_alloc(&again, BUF_SMALL), 2);
	assert_int_equal(buf_alloc(&again, BUF_SMALL), NIL);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exhaustion_is_counted),
		cmocka_unit_test(test_references_keep_a_buffer),
		cmocka_unit_test(test_chain_copy_and_len),
		cmocka_unit_test(test_attach_rebuilds_free_lists),
	};

	return RUN_TESTS(tests);
}

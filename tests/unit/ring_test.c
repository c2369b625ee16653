/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <pthread.h>

#include "base/ring.h"

static void *mem_of(u32 count, u32 shift)
{
	void *mem = aligned_alloc(64, (ring_bytes(count, shift) + 63) & ~(size_t)63);

	assert_non_null(mem);
	ring_init(mem);
	return mem;
}

static void test_full_and_empty(void **state)
{
	void *mem = mem_of(4, RING_U32_SHIFT);
	struct ring p, c;
	u32 v;

	ring_attach_producer(&p, mem, 4, RING_U32_SHIFT);
	ring_attach_consumer(&c, mem, 4, RING_U32_SHIFT);
	assert_false(ring_pop_u32(&c, &v));
	for (u32 i = 0; i < 4; i++)
		assert_true(ring_push_u32(&p, i + 10));
	assert_false(ring_push_u32(&p, 99));
	/* Nothing is visible before it is published. */
	assert_false(ring_pop_u32(&c, &v));
	ring_publish(&p);
	for (u32 i = 0; i < 4; i++) {
		assert_true(ring_pop_u32(&c, &v));
		assert_int_equal(v, i + 10);
	}
	assert_false(ring_pop_u32(&c, &v));
	/* No place is free before it is released. */
	assert_int_equal(ring_room(&p), 0);
	ring_release(&c);
	assert_int_equal(ring_room(&p), 4);
	free(mem);
}

static void test_entries_of_64_bytes(void **state)
{
	void *mem = mem_of(2, RING_ENTRY_SHIFT);
	struct ring p, c;
	u8 *a, *b;

	ring_attach_producer(&p, mem, 2, RING_ENTRY_SHIFT);
	ring_attach_consumer(&c, mem, 2, RING_ENTRY_SHIFT);
	a = ring_push(&p);
	b = ring_push(&p);
	assert_int_equal(b - a, 64);
	assert_int_equal((uintptr_t)a % 64, 0);
	assert_null(ring_push(&p));
	memset(a, 1, 64);
	memset(b, 2, 64);
	ring_publish(&p);
	assert_int_equal(ring_ready(&c), 2);
	assert_ptr_equal(ring_pop(&c), a);
	assert_ptr_equal(ring_pop(&c), b);
	free(mem);
}

/* Counters run over 2^32. */
static void test_counters_wrap(void **state)
{
	void *mem = mem_of(8, RING_U32_SHIFT);
	struct ring_shared *s = mem;
	struct ring p, c;
	u32 v;

	s->head = s->tail = UINT32_MAX - 2;
	ring_attach_producer(&p, mem, 8, RING_U32_SHIFT);
	ring_attach_consumer(&c, mem, 8, RING_U32_SHIFT);
	for (u32 i = 0; i < 20; i++) {
		assert_true(ring_push_u32(&p, i));
		ring_publish(&p);
		assert_true(ring_pop_u32(&c, &v));
		assert_int_equal(v, i);
		ring_release(&c);
	}
	free(mem);
}

/* A new owner of either end goes on where the last one published. */
static void test_attach_goes_on(void **state)
{
	void *mem = mem_of(4, RING_U32_SHIFT);
	struct ring p, c, again;
	u32 v;

	ring_attach_producer(&p, mem, 4, RING_U32_SHIFT);
	assert_true(ring_push_u32(&p, 1));
	ring_publish(&p);
	assert_true(ring_push_u32(&p, 2)); /* lost: never published */
	ring_attach_producer(&again, mem, 4, RING_U32_SHIFT);
	assert_true(ring_push_u32(&again, 3));
	ring_publish(&again);
	ring_attach_consumer(&c, mem, 4, RING_U32_SHIFT);
	assert_true(ring_pop_u32(&c, &v));
	assert_int_equal(v, 1);
	assert_true(ring_pop_u32(&c, &v));
	assert_int_equal(v, 3);
	assert_false(ring_pop_u32(&c, &v));
	free(mem);
}

/* The other side writes nonsense into its counter. */
static void test_impossible_counters(void **state)
{
	void *mem = mem_of(4, RING_U32_SHIFT);
	struct ring_shared *s = mem;
	struct ring p, c;
	u32 v;

	ring_attach_producer(&p, mem, 4, RING_U32_SHIFT);
	ring_attach_consumer(&c, mem, 4, RING_U32_SHIFT);
	assert_int_equal(ring_check_consumer(&c), 0);
	s->tail = 5;
	assert_false(ring_pop_u32(&c, &v));
	assert_int_equal(ring_check_consumer(&c), -EPROTO);
	s->tail = UINT32_MAX;
	assert_false(ring_pop_u32(&c, &v));
	assert_int_equal(ring_check_producer(&p), 0);
	s->head = 1;
	p.theirs = 1;
	assert_int_equal(ring_room(&p), 0);
	assert_int_equal(ring_check_producer(&p), -EPROTO);
	free(mem);
}

enum { PASSED = 200000 };

static void *producer(void *mem)
{
	struct ring p;

	ring_attach_producer(&p, mem, 64, RING_ENTRY_SHIFT);
	for (u32 i = 0; i < PASSED;) {
		u32 *e = ring_push(&p);

		if (!e)
			continue;
		for (u32 k = 0; k < 16; k++)
			e[k] = i + k;
		i++;
		if (i % 5 == 0 || i == PASSED || !ring_room(&p))
			ring_publish(&p);
	}
	return NULL;
}

static void test_two_threads(void **state)
{
	void *mem = mem_of(64, RING_ENTRY_SHIFT);
	struct ring c;
	pthread_t thread;

	ring_attach_consumer(&c, mem, 64, RING_ENTRY_SHIFT);
	assert_int_equal(pthread_create(&thread, NULL, producer, mem), 0);
	for (u32 i = 0; i < PASSED;) {
		const u32 *e = ring_pop(&c);

		if (!e)
			continue;
		for (u32 k = 0; k < 16; k++)
			assert_int_equal(e[k], i + k);
		i++;
		ring_release(&c);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_null(ring_pop(&c));
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_and_empty),
		cmocka_unit_test(test_entries_of_64_bytes),
		cmocka_unit_test(test_counters_wrap),
		cmocka_unit_test(test_attach_goes_on),
		cmocka_unit_test(test_impossible_counters),
		cmocka_unit_test(test_two_threads),
	};

	return RUN_TESTS(tests);
}

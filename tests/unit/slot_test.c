/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <errno.h>

#include "base/slot.h"

/* R49: a handle is index and generation; a stale one is refused. */
static void test_stale_handle_is_refused(void **state)
{
	struct slot mem[2];
	struct slots s;
	u64 first, second;

	slots_init(&s, mem, 2);
	first = slots_take(&s);
	assert_int_not_equal(first, SLOT_NO_HANDLE);
	assert_int_equal(slots_find(&s, first), 0);
	assert_int_equal(slots_release(&s, first), 0);
	assert_int_equal(slots_find(&s, first), NIL);
	assert_int_equal(slots_release(&s, first), -ESTALE);

	second = slots_take(&s);
	assert_int_equal((u32)second, (u32)first);
	assert_int_not_equal(second, first);
	assert_int_equal(slots_find(&s, first), NIL);
	assert_int_equal(slots_find(&s, second), 0);
	assert_int_equal(slots_release(&s, first), -ESTALE);
	assert_int_equal(s.n_taken, 1);
}

static void test_values_that_are_no_handles(void **state)
{
	struct slot mem[2];
	struct slots s;
	u64 taken;

	slots_init(&s, mem, 2);
	taken = slots_take(&s);
	assert_int_equal(slots_find(&s, SLOT_NO_HANDLE), NIL);
	assert_int_equal(slots_find(&s, UINT64_MAX), NIL);
	assert_int_equal(slots_find(&s, taken + 2), NIL); /* index out of range */
	assert_int_equal(slots_find(&s, taken + 1), NIL); /* a free slot */
	assert_int_equal(slots_find(&s, 1), NIL);         /* the free slot's generation */
	assert_int_equal(slots_find(&s, taken + (2ull << 32)), NIL); /* a later generation */
	assert_int_equal(slots_handle(&s, 1), SLOT_NO_HANDLE);
	assert_int_equal(slots_handle(&s, 7), SLOT_NO_HANDLE);
	assert_int_equal(slots_handle(&s, 0), taken);
}

static void test_full(void **state)
{
	struct slot mem[3];
	struct slots s;
	u64 h[3];

	slots_init(&s, mem, 3);
	for (u32 i = 0; i < 3; i++) {
		h[i] = slots_take(&s);
		assert_int_equal((u32)h[i], i);
	}
	assert_int_equal(slots_take(&s), SLOT_NO_HANDLE);
	assert_int_equal(slots_release(&s, h[1]), 0);
	assert_int_equal((u32)slots_take(&s), 1);
	assert_int_equal(slots_take(&s), SLOT_NO_HANDLE);
}

static void test_attach_keeps_handles(void **state)
{
	struct slot mem[4];
	struct slots s, again;
	u64 a, b, c;

	slots_init(&s, mem, 4);
	a = slots_take(&s);
	b = slots_take(&s);
	c = slots_take(&s);
	assert_int_equal(slots_release(&s, b), 0);
	/* The links of the free list are not trusted. */
	for (u32 i = 0; i < 4; i++)
		mem[i].next_free = 77;
	slots_attach(&again, mem, 4);
	assert_int_equal(again.n_taken, 2);
	assert_int_equal(slots_find(&again, a), 0);
	assert_int_equal(slots_find(&again, b), NIL);
	assert_int_equal(slots_find(&again, c), 2);
	assert_int_equal((u32)slots_take(&again), 1);
	assert_int_equal((u32)slots_take(&again), 3);
	assert_int_equal(slots_take(&again), SLOT_NO_HANDLE);
}

/* After 2^31 owners the generation wraps: 0 is skipped by being even. */
static void test_generation_wraps(void **state)
{
	struct slot mem[1];
	struct slots s;
	u64 h;

	slots_init(&s, mem, 1);
	mem[0].generation = UINT32_MAX - 1;
	h = slots_take(&s);
	assert_int_equal(h >> 32, UINT32_MAX);
	assert_int_equal(slots_release(&s, h), 0);
	assert_int_equal(mem[0].generation, 0);
	h = slots_take(&s);
	assert_int_equal(h >> 32, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stale_handle_is_refused),
		cmocka_unit_test(test_values_that_are_no_handles),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_attach_keeps_handles),
		cmocka_unit_test(test_generation_wraps),
	};

	return RUN_TESTS(tests);
}

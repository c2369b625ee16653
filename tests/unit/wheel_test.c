/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include "base/prng.h"
#include "base/wheel.h"

enum { N = 512 };

#define TICK_NS (1ull << WHEEL_TICK_SHIFT)

static struct wheel w;
static struct wheel_entry entries[N];

static int start(void **state)
{
	wheel_init(&w, entries, N, 0);
	return 0;
}

static void test_never_early_at_most_a_tick_late(void **state)
{
	u32 out[4];

	wheel_arm(&w, 3, 5 * TICK_NS + 1);
	assert_true(wheel_is_armed(&w, 3));
	assert_int_equal(wheel_next_ns(&w), 6 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 6 * TICK_NS - 1, out, 4), 0);
	assert_int_equal(wheel_advance(&w, 6 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 3);
	assert_false(wheel_is_armed(&w, 3));
	assert_int_equal(wheel_next_ns(&w), WHEEL_OFF);
}

static void test_a_whole_tick_fires_on_time(void **state)
{
	u32 out[4];

	wheel_arm(&w, 0, 5 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 5 * TICK_NS, out, 4), 1);
}

static void test_past_is_due_at_once(void **state)
{
	u32 out[4];

	assert_int_equal(wheel_advance(&w, 100 * TICK_NS, out, 4), 0);
	wheel_arm(&w, 1, 7);
	assert_true(wheel_next_ns(&w) <= 100 * TICK_NS);
	/* Time does not go back. */
	assert_int_equal(wheel_advance(&w, 50 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 1);
	assert_int_equal(w.now_tick, 100);
}

static void test_cancel(void **state)
{
	u32 out[4];

	wheel_arm(&w, 1, 10 * TICK_NS);
	wheel_arm(&w, 2, 10 * TICK_NS);
	wheel_cancel(&w, 1);
	assert_false(wheel_is_armed(&w, 1));
	assert_int_equal(wheel_expires_ns(&w, 1), WHEEL_OFF);
	assert_int_equal(wheel_expires_ns(&w, 2), 10 * TICK_NS);
	wheel_arm(&w, 2, WHEEL_OFF);
	assert_int_equal(wheel_advance(&w, 1000 * TICK_NS, out, 4), 0);
	assert_int_equal(wheel_next_ns(&w), WHEEL_OFF);
}

static void test_push_on_and_pull_in(void **state)
{
	u32 out[4];

	wheel_arm(&w, 1, 10 * TICK_NS);
	wheel_arm(&w, 1, 500 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 499 * TICK_NS, out, 4), 0);
	assert_int_equal(wheel_expires_ns(&w, 1), 500 * TICK_NS);
	wheel_arm(&w, 2, 9000 * TICK_NS);
	wheel_arm(&w, 2, 501 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 500 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 1);
	assert_int_equal(wheel_advance(&w, 501 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 2);
}

/* Cancelled and armed anew for later, as a retransmit timer is by each ACK: still linked where it
 * was, fires at the new time only. */
static void test_cancel_then_arm_later(void **state)
{
	u32 out[4];

	wheel_arm(&w, 1, 10 * TICK_NS);
	wheel_cancel(&w, 1);
	wheel_arm(&w, 1, 20 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 19 * TICK_NS, out, 4), 0);
	assert_int_equal(wheel_advance(&w, 20 * TICK_NS, out, 4), 1);
	wheel_arm(&w, 1, 30 * TICK_NS);
	wheel_cancel(&w, 1);
	wheel_arm(&w, 1, 25 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 25 * TICK_NS, out, 4), 1);
}

static void test_remove(void **state)
{
	u32 out[4];

	for (u32 i = 0; i < 3; i++)
		wheel_arm(&w, i, 10 * TICK_NS);
	wheel_remove(&w, 1);
	wheel_remove(&w, 1);
	wheel_remove(&w, 9);
	assert_int_equal(wheel_advance(&w, 10 * TICK_NS, out, 4), 2);
	wheel_arm(&w, 5, 11 * TICK_NS);
	wheel_remove(&w, 5);
	assert_int_equal(wheel_next_ns(&w), WHEEL_OFF);
}

static void test_array_full_goes_on(void **state)
{
	u32 out[N], n = 0, calls = 0;
	bool seen[N] = {false};

	for (u32 i = 0; i < 100; i++)
		wheel_arm(&w, i, 4097 * TICK_NS);
	for (u32 i = 100; i < 110; i++)
		wheel_arm(&w, i, 4096 * TICK_NS);
	for (u32 i = 110; i < 120; i++)
		wheel_arm(&w, i, 5000 * TICK_NS);
	for (;; calls++) {
		u32 got = wheel_advance(&w, 4999 * TICK_NS, out, 7);

		for (u32 i = 0; i < got; i++) {
			assert_true(out[i] < 110);
			assert_false(seen[out[i]]);
			/* Slots come up in order. */
			assert_int_equal(out[i] >= 100, n < 10);
			seen[out[i]] = true;
			n++;
		}
		if (got < 7)
			break;
	}
	assert_int_equal(n, 110);
	assert_int_equal(calls, 15);
	assert_int_equal(wheel_advance(&w, 5000 * TICK_NS, out, N), 10);
}

static void test_every_level(void **state)
{
	u32 out[N];

	for (u32 level = 0; level < 7; level++)
		wheel_arm(&w, level, TICK_NS << (WHEEL_DIGIT_BITS * level));
	for (u32 level = 0; level < 7; level++) {
		u64 at_ns = TICK_NS << (WHEEL_DIGIT_BITS * level);

		assert_int_equal(wheel_advance(&w, at_ns - 1, out, N), 0);
		assert_int_equal(wheel_advance(&w, at_ns, out, N), 1);
		assert_int_equal(out[0], level);
	}
	wheel_arm(&w, 0, ~WHEEL_OFF_BIT);
	assert_int_equal(wheel_advance(&w, ~WHEEL_OFF_BIT - TICK_NS, out, N), 0);
	assert_int_equal(wheel_advance(&w, WHEEL_OFF_BIT, out, N), 1);
}

/* The model: an entry's time in an array, all compared after every step. */
static void check_step(const u64 *model, u64 from_ns, u64 to_ns, const u32 *out, u32 n)
{
	bool fired[N] = {false};

	for (u32 i = 0; i < n; i++) {
		assert_false(fired[out[i]]);
		fired[out[i]] = true;
	}
	for (u32 i = 0; i < N; i++) {
		bool due = model[i] != WHEEL_OFF && (model[i] + TICK_NS - 1) >> WHEEL_TICK_SHIFT <=
		                                            to_ns >> WHEEL_TICK_SHIFT;

		assert_int_equal(fired[i], due);
		assert_int_equal(wheel_is_armed(&w, i), model[i] != WHEEL_OFF && !due);
	}
}

static void random_change(struct prng *rng, u64 *model, u64 now_ns)
{
	u32 i = prng_below(rng, N);
	u64 at_ns = now_ns + (prng_u64(rng) >> (24 + prng_below(rng, 30)));

	switch (prng_below(rng, 5)) {
	case 0:
		wheel_cancel(&w, i);
		model[i] = WHEEL_OFF;
		break;
	case 1:
		wheel_remove(&w, i);
		model[i] = WHEEL_OFF;
		break;
	default:
		wheel_arm(&w, i, at_ns);
		model[i] = at_ns;
	}
}

static void test_random_against_model(void **state)
{
	struct prng rng;
	u64 model[N], now_ns = 0;
	u32 out[N];

	prng_seed(&rng, 1);
	memset(model, 0xff, sizeof(model));
	for (u32 round = 0; round < 3000; round++) {
		u64 to_ns = now_ns + (prng_u64(&rng) >> (26 + prng_below(&rng, 30)));
		u32 n;

		for (u32 i = prng_below(&rng, 40); i-- > 0;)
			random_change(&rng, model, now_ns);
		if (round % 64 == 63)
			wheel_rebuild(&w, entries, N, now_ns);
		n = wheel_advance(&w, to_ns, out, N);
		check_step(model, now_ns, to_ns, out, n);
		for (u32 i = 0; i < n; i++)
			model[out[i]] = WHEEL_OFF;
		now_ns = to_ns;
	}
}

/* The bound is never later than the next expiry, and following it always ends at that expiry. */
static void test_next_is_a_lower_bound(void **state)
{
	struct prng rng;
	u32 out[1];

	prng_seed(&rng, 2);
	for (u32 round = 0; round < 300; round++) {
		u64 at_ns = (w.now_tick << WHEEL_TICK_SHIFT) +
		            (prng_u64(&rng) >> (10 + prng_below(&rng, 40)));
		u32 steps = 0;

		wheel_arm(&w, 0, at_ns);
		for (;;) {
			u64 next_ns = wheel_next_ns(&w);

			assert_true(next_ns < at_ns + TICK_NS);
			if (wheel_advance(&w, next_ns, out, 1))
				break;
			assert_true(++steps <= WHEEL_LEVELS);
		}
	}
}

/* The wheel is lost; what expires_ns says is enough. */
static void test_rebuild(void **state)
{
	u32 out[4];

	wheel_arm(&w, 1, 10 * TICK_NS);
	wheel_arm(&w, 2, 70 * TICK_NS);
	wheel_arm(&w, 3, 20 * TICK_NS);
	wheel_cancel(&w, 3);
	memset(&w, 0xee, sizeof(w));
	for (u32 i = 0; i < N; i++)
		entries[i].next = entries[i].prev = 3;
	wheel_rebuild(&w, entries, N, 15 * TICK_NS);
	assert_int_equal(wheel_advance(&w, 15 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 1);
	assert_int_equal(wheel_advance(&w, 69 * TICK_NS, out, 4), 0);
	assert_int_equal(wheel_advance(&w, 70 * TICK_NS, out, 4), 1);
	assert_int_equal(out[0], 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_never_early_at_most_a_tick_late, start),
		cmocka_unit_test_setup(test_a_whole_tick_fires_on_time, start),
		cmocka_unit_test_setup(test_past_is_due_at_once, start),
		cmocka_unit_test_setup(test_cancel, start),
		cmocka_unit_test_setup(test_push_on_and_pull_in, start),
		cmocka_unit_test_setup(test_cancel_then_arm_later, start),
		cmocka_unit_test_setup(test_remove, start),
		cmocka_unit_test_setup(test_array_full_goes_on, start),
		cmocka_unit_test_setup(test_every_level, start),
		cmocka_unit_test_setup(test_random_against_model, start),
		cmocka_unit_test_setup(test_next_is_a_lower_bound, start),
		cmocka_unit_test_setup(test_rebuild, start),
	};

	return RUN_TESTS(tests);
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Live connections out of the kernel and back while the peer keeps sending. */
#include "linux_env.h"

#include <unistd.h>

enum {
	FEW = 10,
	MANY = 10000,
	MANY_TALKERS = 50,
	CHUNK = 250,
};

static void round_trip(int v6)
{
	struct env_conn conns[FEW];
	struct env_moves m;
	struct env e;

	env_start(&e, v6);
	env_backend(&e, NULL);
	env_connect(&e, conns, FEW);
	e.shared->talkers = FEW;
	for (u32 turn = 0; turn < 5; turn++) {
		for (u32 i = 0; i < FEW; i++) {
			env_send(&conns[i], 300);
			env_read(&conns[i]);
		}
		env_sleep_ms(5);
		env_moves_init(&m, conns, FEW);
		env_offload(&e, &m, 0, FEW);
		while (!env_park(&e)) /* the peer keeps sending */
			env_sleep_ms(1);
		env_upload(&e, &m, 0, FEW);
		env_moves_free(&e, &m);
	}
	for (u32 i = 0; i < FEW; i++)
		env_send(&conns[i], 5000);
	env_pause(&e);
	for (u32 i = 0; i < FEW; i++) {
		env_drain(&e, &conns[i]);
		env_drained_peer(&e, &conns[i]);
	}
	env_unnoticed(&e);
	env_close(conns, FEW);
	env_stop(&e);
}

static void test_round_trip_v4(void **state)
{
	round_trip(0);
}

static void test_round_trip_v6(void **state)
{
	round_trip(1);
}

static void test_round_trip_mapped(void **state)
{
	round_trip(ENV_MAPPED);
}

/* Ten thousand, a chunk at a time, some of which are sent to all the while. Nothing is dropped on
 * the way to the lane (trap 27), no socket keeps a descriptor more. */
static void test_many(void **state)
{
	struct env_conn *conns = calloc(MANY, sizeof(*conns));
	struct linux_backend_counters counters;
	struct env_moves m;
	struct env e;

	env_start(&e, 0);
	env_backend(&e, NULL);
	env_connect(&e, conns, MANY);
	e.shared->talkers = MANY_TALKERS;
	env_moves_init(&m, conns, MANY);
	/* Those that are sent to leave last and return first: nobody acknowledges for them. */
	for (u32 i = MANY; i > 0; i -= CHUNK) {
		for (u32 k = 0; k < MANY_TALKERS; k++)
			env_read(&conns[k]); /* so that the peer's window stays open */
		env_offload(&e, &m, i - CHUNK, CHUNK);
	}
	env_sleep_ms(10);
	env_park(&e);
	for (u32 i = 0; i < MANY; i += CHUNK)
		env_upload(&e, &m, i, CHUNK);
	for (u32 i = 0; i < MANY; i++)
		env_send(&conns[i], 200);
	env_pause(&e);
	for (u32 i = 0; i < MANY; i++) {
		env_drain(&e, &conns[i]);
		env_drained_peer(&e, &conns[i]);
	}
	env_unnoticed(&e);
	assert_int_equal(env_tap_drops(&e), 0);
	linux_backend_counters(e.backend, &counters);
	assert_int_equal(counters.inject_refused, 0);
	assert_int_equal(counters.steer[STEER_GUARD_RESETS], 0);
	assert_true(counters.steer[STEER_HITS] > 0);
	env_moves_free(&e, &m);
	env_close(conns, MANY);
	env_stop(&e);
	free(conns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_v4),
		cmocka_unit_test(test_round_trip_v6),
		cmocka_unit_test(test_round_trip_mapped),
		cmocka_unit_test(test_many),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Moves in the simulation, one thing at a time. */
#include "../unit/unit.h"

#include <stdio.h>

#include "sim/machine.h"
#include "sim/world.h"

static const struct sim_link clean = {.delay_ns = 100000, .bits_per_s = 1000000000};

static struct world *made(const struct world_config *config)
{
	struct world *w = world_create(config);

	assert_non_null(w);
	assert_true(world_connect(w));
	return w;
}

static void finish(struct world *w)
{
	if (!world_finish(w) || !world_settle(w))
		fail_msg("seed %llu: %s", (unsigned long long)w->config.seed, w->wrong);
	world_destroy(w);
}

static void streams_without_moves(void **state)
{
	/* R17: the normal path works as if there were no chimney. */
	struct world *w =
		made(&(struct world_config){.seed = 1, .conns = 8, .bytes = 20000, .link = clean});

	finish(w);
}

static void there_and_back(void **state)
{
	struct world *w = made(
		&(struct world_config){.seed = 2, .conns = 16, .bytes = 100000, .link = clean});
	u32 moved;

	assert_true(world_move(w, 0, UINT64_MAX, false, &moved));
	assert_int_equal(moved, 16);
	assert_true(world_run(w, w->now_ns + 1 * NS_PER_MS));
	assert_true(world_move(w, 1, UINT64_MAX, false, &moved));
	assert_true(world_run(w, w->now_ns + 1 * NS_PER_MS));
	assert_true(world_move(w, 0, UINT64_MAX, true, &moved));
	assert_true(world_move(w, 1, 0x5555, true, &moved));
	finish(w);
}

static u64 received(const struct world *w)
{
	u64 sum = 0;

	for (u32 i = 0; i < w->config.conns; i++)
		sum += w->streams[i].end[0].received + w->streams[i].end[1].received;
	return sum;
}

/* R1: data segments of an offloaded connection pass the layers of the host by. */
static void the_host_sees_no_segment(void **state)
{
	struct world *w = made(
		&(struct world_config){.seed = 3, .conns = 16, .bytes = 100000, .link = clean});
	u64 to_host[2], before;
	u32 moved;

	for (u32 i = 0; i < 2; i++) {
		assert_true(world_move(w, i, UINT64_MAX, false, &moved));
		assert_int_equal(moved, 16);
	}
	assert_true(world_run(w, w->now_ns + 1 * NS_PER_MS));
	for (u32 i = 0; i < 2; i++)
		to_host[i] = w->machine[i]->frames_to_host;
	before = received(w);
	assert_true(world_run(w, w->now_ns + 5 * NS_PER_MS));
	assert_true(received(w) > before + 100000);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(w->machine[i]->frames_to_host, to_host[i]);
	finish(w);
}

/* R15: a small card, here one with room for five: what it takes runs there, the rest in the host,
 * all on the same paths. */
static void a_small_device(void **state)
{
	struct world *w = made(&(struct world_config){
		.seed = 4, .conns = 16, .bytes = 50000, .link = clean, .target_connections = 5});
	u32 moved;

	assert_true(world_move(w, 0, UINT64_MAX, false, &moved));
	assert_int_equal(moved, 5);
	assert_true(world_run(w, w->now_ns + 1 * NS_PER_MS));
	assert_true(world_move(w, 0, UINT64_MAX, true, &moved));
	assert_int_equal(moved, 16);
	finish(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_without_moves),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(the_host_sees_no_segment),
		cmocka_unit_test(a_small_device),
	};

	return RUN_TESTS(tests);
}

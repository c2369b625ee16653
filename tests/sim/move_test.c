/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Moves in the simulation, one thing at a time. */
#include "../unit/unit.h"

#include <stdio.h>

#include "sim/machine.h"
#include "sim/world.h"
#include "tcp/verdict.h"

static const struct sim_link clean = {.delay_ns = 50000, .bits_per_s = 1000000000};

static const struct sim_link slow = {.delay_ns = 10000000, .bits_per_s = 1000000000};

static struct world *made_with(u64 seed, const struct sim_link *link, u32 room,
                               const struct world_open *open)
{
	const struct world_config config = {
		.seed = seed,
		.conns_max = open->conns,
		.n_hosts = 2,
		.host = {{.name = "a", .link = *link, .target = {{.connections = room}}},
	                 {.name = "b", .link = *link}},
	};
	struct world *w = world_create(&config);

	assert_non_null(w);
	assert_true(world_open(w, open));
	assert_true(world_connect(w));
	return w;
}

static struct world *made(u64 seed, u32 conns, u32 bytes, const struct sim_link *link)
{
	return made_with(seed, link, 0,
	                 &(struct world_open){.to = 1, .conns = conns, .bytes = bytes});
}

/* Streams that all say the same, and are not over soon; a target of host a with some room. */
static struct world *made_even(u64 seed, u32 conns, u32 room)
{
	return made_with(seed, &clean, room,
	                 &(struct world_open){.to = 1,
	                                      .conns = conns,
	                                      .bytes = 100000,
	                                      .write_every = 1 * NS_PER_MS,
	                                      .write_bytes = 2000});
}

static void finish(struct world *w)
{
	if (!world_finish(w) || !world_settle(w))
		fail_msg("seed %llu: %s: %s", (unsigned long long)w->config.seed,
		         check_word(w->wrong_check), w->wrong);
	world_destroy(w);
}

static void streams_without_moves(void **state)
{
	/* R17: the normal path works as if there were no chimney. */
	finish(made(1, 8, 20000, &clean));
}

static void there_and_back(void **state)
{
	struct world *w = made_even(2, 16, 0);
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

	for (u32 i = 0; i < w->n_streams; i++)
		sum += w->streams[i].end[0].received + w->streams[i].end[1].received;
	return sum;
}

/* R1: data segments of an offloaded connection pass the layers of the host by. */
static void the_host_sees_no_segment(void **state)
{
	struct world *w = made_even(3, 16, 0);
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
	struct world *w = made_even(4, 16, 5);
	u32 moved;

	assert_true(world_move(w, 0, UINT64_MAX, false, &moved));
	assert_int_equal(moved, 5);
	assert_true(world_run(w, w->now_ns + 1 * NS_PER_MS));
	assert_true(world_move(w, 0, UINT64_MAX, true, &moved));
	assert_int_equal(moved, 16);
	finish(w);
}

/* Of the first stream's sender, wherever it runs. */
static struct tcp_state look(struct world *w)
{
	const struct stream_end *e = &w->streams[0].end[0];
	struct tcp_state s;

	if (host_query(w->machine[0]->host, e->host, &s))
		assert_true(soft_look(w->machine[0]->soft, e->soft, &s));
	return s;
}

/* The window of a bulk sender at each of eight moments, 25 ms apart, moved between them or not. */
static void windows(bool moves, u32 cwnd[8])
{
	struct world *w = made(3, 1, 3000000, &slow);
	u32 moved;

	for (u32 i = 0; i < 8; i++) {
		assert_true(world_run(w, w->now_ns + 25 * NS_PER_MS));
		cwnd[i] = look(w).d.cwnd_bytes;
		if (!moves)
			continue;
		assert_true(world_move(w, 0, UINT64_MAX, i % 2, &moved));
		assert_int_equal(moved, 1);
		assert_int_equal(look(w).d.cwnd_bytes, cwnd[i]);
	}
	assert_int_equal(look(w).d.ssthresh_bytes, UINT32_MAX); /* slow start, to the end */
	finish(w);
}

static void slow_start_goes_on(void **state)
{
	/* R98: a window that is moved in slow start, there and back, grows as one that is not. */
	u32 moved[8], stays[8];

	windows(true, moved);
	windows(false, stays);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(moved[i], stays[i]);
	assert_true(moved[7] > 3 * moved[0]);
}

static u64 timeouts(const struct world *w)
{
	struct target *t = machine_target(w->machine[0]);

	return tcp_engine_counters(target_engine(t))->timeouts +
	       soft_engine_counters(w->machine[0]->soft)->timeouts;
}

static void another_next_hop(void **state)
{
	/* R2: the next hop dies, what is on its way to it is lost, and the route moves to another
	 * one: what is lost is sent again at once, not when a retransmission timer has run out. */
	struct world *w = made(4, 1, 3000000, &slow);
	const struct ip_addr remote = net_addr(1, false), hop = net_hop_addr(1, false);
	struct machine *m = w->machine[0];
	struct neighbor_state state_of;
	struct neighbor_key to;
	struct path_key key;
	u32 moved;

	assert_true(world_run(w, w->now_ns + 120 * NS_PER_MS));
	assert_true(world_move(w, 0, UINT64_MAX, false, &moved));
	assert_int_equal(moved, 1);
	w->net.hop[0][0].mac = (struct mac_addr){{2, 9}};
	assert_true(world_run(w, w->now_ns + 20 * NS_PER_MS));
	assert_int_equal(soft_path_key(m->soft, &remote, &key), 0);
	assert_int_equal(soft_route(m->soft, &remote, &hop, 1500), 0);
	assert_int_equal(soft_neighbor_key(m->soft, &hop, &to, &state_of), 0);
	assert_int_equal(host_route_changed(m->host, &key, 1, &to, &state_of), 0);
	assert_true(world_run(w, w->now_ns + 500 * NS_PER_MS));
	assert_true(w->net.counters.misaddressed > 0);
	assert_int_equal(timeouts(w), 0);
	finish(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_without_moves),    cmocka_unit_test(there_and_back),
		cmocka_unit_test(the_host_sees_no_segment), cmocka_unit_test(a_small_device),
		cmocka_unit_test(slow_start_goes_on),       cmocka_unit_test(another_next_hop),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Storms over two soft hosts whose neighbors and paths come and go by the protocols alone: moves at
 * random moments, changed link-layer addresses, ICMP errors, a wire that loses, repeats, reorders
 * and corrupts, an MTU that shrinks silently. Everything depends on the seed; bytes are compared.
 * usage: soft_storm_test [FIRST COUNT]
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/unit.h"

#include "soft_pair.h"

enum {
	ROUNDS = 120,
	STORM_CONNS = 6,
	SEEDS = 12,
};

struct storm {
	struct pair p;
	struct prng prng;
	u8 mac[2];
	bool away[2][STORM_CONNS];
};

/* Segments above this do not pass, and nobody says so; 0: all do. */
static u32 narrow;

static bool pass_narrow(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	return !narrow || len <= narrow + WIRE_ETH_BYTES;
}

static void faults(struct storm *s, bool on)
{
	struct sim_link link = {.delay_ns = 100000, .bits_per_s = 1000000000};

	if (on) {
		link.loss_ppm = prng_below(&s->prng, 20000);
		link.duplicate_ppm = prng_below(&s->prng, 10000);
		link.corrupt_ppm = prng_below(&s->prng, 5000);
		link.reorder_ppm = prng_below(&s->prng, 20000);
		link.reorder_ns = 300000;
	}
	sim_wire_set_link(s->p.wire, 0, &link);
	sim_wire_set_link(s->p.wire, 1, &link);
}

static void change_mac(struct storm *s)
{
	u32 side = prng_below(&s->prng, 2);
	struct mac_addr mac = {{2, 0, 0, (u8)side, 1, ++s->mac[side]}};

	/* The target keeps the source address that it was given: everything comes home first. */
	for (u32 i = 0; i < STORM_CONNS; i++) {
		if (s->away[side][i])
			return;
	}
	s->p.at[side].soft->config.mac = mac;
	soft_announce(s->p.at[side].soft);
}

static void move(struct storm *s)
{
	u32 side = prng_below(&s->prng, 2), i = prng_below(&s->prng, STORM_CONNS);
	bool up = s->away[side][i];

	if (pair_move_one(&s->p, side, i, up) == STATUS_OK)
		s->away[side][i] = !up;
}

/* True errors about false segments, and false ones about true ones. */
static void lie(struct storm *s)
{
	u8 bytes[128];

	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)prng_u32(&s->prng);
	memcpy(bytes, s->p.at[0].soft->config.mac.b, 6);
	bytes[12] = s->p.v6 ? 0x86 : 0x08;
	bytes[13] = s->p.v6 ? 0xdd : 0x00;
	bytes[14] = s->p.v6 ? 0x60 : 0x45;
	pair_frame(&s->p, 0, bytes, sizeof(bytes));
}

static void act(struct storm *s)
{
	u32 what = prng_below(&s->prng, 16);

	if (what < 6)
		move(s);
	else if (what < 10)
		pair_send(&s->p, prng_below(&s->prng, 2), prng_below(&s->prng, STORM_CONNS),
		          1 + prng_below(&s->prng, 4000));
	else if (what == 10)
		change_mac(s);
	else if (what == 11)
		faults(s, prng_below(&s->prng, 2));
	else if (what == 12)
		lie(s);
	else if (what == 13)
		narrow = prng_below(&s->prng, 3) ? 0 : 1000;
	else
		pair_run(&s->p, prng_below(&s->prng, 2000) * NS_PER_MS);
	pair_run(&s->p, prng_below(&s->prng, 500) * NS_PER_US);
}

/* Nobody may be left with bytes on the way once the wire is good again. */
static void settle(struct storm *s)
{
	narrow = 0;
	faults(s, false);
	for (u32 side = 0; side < 2; side++) {
		for (u32 i = 0; i < STORM_CONNS; i++) {
			if (s->away[side][i])
				assert_int_equal(pair_move_one(&s->p, side, i, true), STATUS_OK);
		}
	}
	pair_exchange(&s->p, 3000);
}

static void storm(u64 seed)
{
	struct pair_options o = {.v6 = seed & 1,
	                         .cookies = seed & 2 ? SOFT_COOKIES_ALWAYS : 0,
	                         .plpmtud = seed >> 2 & 1,
	                         .reachable_ns = NS_PER_S,
	                         .target_reachable_ns = NS_PER_S,
	                         .ask = seed & 8 ? TARGET_ASK_SOFT_ERROR : 0};
	struct storm s = {0};

	prng_seed(&s.prng, seed);
	narrow = 0;
	pair_init(&s.p, &o);
	pair_open(&s.p, STORM_CONNS);
	s.p.filter = pass_narrow;
	for (u32 i = 0; i < ROUNDS; i++)
		act(&s);
	settle(&s);
	pair_end(&s.p);
}

static u64 first = 1, count = SEEDS;

static void storms(void **state)
{
	for (u64 seed = first; seed < first + count; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		storm(seed);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(storms)};

	if (argc == 3) {
		first = strtoull(argv[1], NULL, 0);
		count = strtoull(argv[2], NULL, 0);
	}
	return RUN_TESTS(tests);
}

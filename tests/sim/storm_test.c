/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Storms by their seeds: storm_test FIRST COUNT [ROUNDS]. Prints each seed that fails and what is
 * wrong; the same seed gives the same storm again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "sim/storm.h"

/* What the wire does, how much there is, and what may fail, all drawn from the seed. */
static struct storm_config drawn(u64 seed, u32 rounds)
{
	struct prng p;
	struct storm_config k = {.rounds = rounds};

	prng_seed(&p, seed * 2654435761u);
	k.world = (struct world_config){
		.seed = seed,
		.conns = 4 + prng_below(&p, 28),
		.chunk_max = 1 + prng_below(&p, 12),
		.parents_late = prng_below(&p, 3) == 0,
		.link = {.delay_ns = 20000 + prng_below(&p, 500000),
	                 .bits_per_s = 10000000ull * (1 + prng_below(&p, 15)),
	                 .queue_bytes = 20000 + prng_below(&p, 200000)},
	};
	k.every_ns = 20000 + prng_below(&p, 400000);
	/* As much as keeps the wire full until the storm is over. */
	k.world.bytes = (u32)(k.world.link.bits_per_s / 8 * rounds * k.every_ns / NS_PER_S /
	                      k.world.conns) +
	                20000;
	k.world.turn_ns = 2000 + prng_below(&p, 200000);
	if (prng_below(&p, 3)) {
		k.world.link.loss_ppm = prng_below(&p, 20000);
		k.world.link.reorder_ppm = prng_below(&p, 30000);
		k.world.link.reorder_ns = prng_below(&p, 300000);
		k.world.link.duplicate_ppm = prng_below(&p, 10000);
		k.world.link.corrupt_ppm = prng_below(&p, 5000);
	}
	if (prng_below(&p, 3) == 0)
		k.world.refuse_ppm = prng_below(&p, 200000);
	if (prng_below(&p, 4) == 0)
		k.world.target_connections = 1 + k.world.conns / 2;
	if (prng_below(&p, 4) == 0) /* R83: the pool runs dry again and again */
		k.world.small_buffers = 64 + 8 * k.world.conns;
	return k;
}

static void show(const struct storm_config *k, const struct storm_result *r)
{
	printf("seed %llu: %u connections, %u rounds, %llu turns, hash %016llx; "
	       "offloads %llu + %llu, uploads %llu + %llu, refused %llu, undone %llu, parked "
	       "%llu\n",
	       (unsigned long long)k->world.seed, k->world.conns, k->rounds,
	       (unsigned long long)r->turns, (unsigned long long)r->hash,
	       (unsigned long long)r->host[0].offloads, (unsigned long long)r->host[1].offloads,
	       (unsigned long long)r->host[0].uploads, (unsigned long long)r->host[1].uploads,
	       (unsigned long long)(r->host[0].offloads_refused + r->host[1].offloads_refused),
	       (unsigned long long)(r->host[0].uploads_rolled_back +
	                            r->host[1].uploads_rolled_back),
	       (unsigned long long)(r->host[0].frames_parked + r->host[1].frames_parked));
	printf(" ");
	for (u32 i = 0; i < STATUSES; i++) {
		if (r->outcome[i])
			printf(" %s %u", status_word(i), r->outcome[i]);
	}
	printf("\n");
}

/* R10, R11, R40, R77: see sim/world.h for what is checked. */
static bool one(u64 seed, u32 rounds)
{
	struct storm_config k = drawn(seed, rounds);
	struct storm_result first, again;
	bool ok = storm_run(&k, &first);

	show(&k, &first);
	if (!ok) {
		printf("FAILED seed %llu, round %u: %s\n", (unsigned long long)seed, first.round,
		       first.wrong[0] ? first.wrong : "no memory, or no connection");
		return false;
	}
	if (seed % 8)
		return true;
	if (storm_run(&k, &again) && again.hash == first.hash)
		return true;
	printf("FAILED seed %llu: a second run differs\n", (unsigned long long)seed);
	return false;
}

int main(int argc, char **argv)
{
	u64 first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	u64 count = argc > 2 ? strtoull(argv[2], NULL, 0) : 4;
	u32 rounds = argc > 3 ? (u32)strtoul(argv[3], NULL, 0) : 500;
	u64 failed = 0;

	for (u64 seed = first; seed < first + count; seed++)
		failed += !one(seed, rounds);
	printf("%llu of %llu storms failed\n", (unsigned long long)failed,
	       (unsigned long long)count);
	return failed ? 1 : 0;
}

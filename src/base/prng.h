/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Seeded pseudo-random numbers: xoshiro256** (Blackman and Vigna), state filled by SplitMix64.
 *
 * The same seed gives the same numbers on every machine. Not for keys: secrets come from the
 * environment.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include "base/types.h"

struct prng {
	u64 s[4];
};

/* One step of SplitMix64: advances *state and returns the next number. */
static inline u64 prng_splitmix(u64 *state)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* Any seed is good, 0 too. */
static inline void prng_seed(struct prng *p, u64 seed)
{
	for (int i = 0; i < 4; i++)
		p->s[i] = prng_splitmix(&seed);
}

static inline u64 prng_rotl(u64 x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline u64 prng_u64(struct prng *p)
{
	u64 result = prng_rotl(p->s[1] * 5, 7) * 9;
	u64 t = p->s[1] << 17;

	p->s[2] ^= p->s[0];
	p->s[3] ^= p->s[1];
	p->s[1] ^= p->s[2];
	p->s[0] ^= p->s[3];
	p->s[2] ^= t;
	p->s[3] = prng_rotl(p->s[3], 45);
	return result;
}

static inline u32 prng_u32(struct prng *p)
{
	return (u32)(prng_u64(p) >> 32);
}

/* A number in [0, bound); 0 when bound is 0. Its bias is below bound / 2^32. */
static inline u32 prng_below(struct prng *p, u32 bound)
{
	return (u32)(((u64)prng_u32(p) * bound) >> 32);
}

/* A number in [low, high], both included; low <= high and the span below 2^32 - 1. */
static inline u64 prng_between(struct prng *p, u64 low, u64 high)
{
	return low + prng_below(p, (u32)(high - low) + 1);
}

/* True `ppm` times in a million. */
static inline bool prng_chance(struct prng *p, u32 ppm)
{
	return prng_below(p, 1000000) < ppm;
}

#endif

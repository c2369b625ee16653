/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SipHash-1-3 (Aumasson and Bernstein), keyed: peers choose addresses and ports, so an unkeyed hash
 * would let them choose collisions too.
 *
 * All inline: with a constant length the loops unroll, which is the fast path for flow keys.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/types.h"

/* Secret, drawn once per start by who owns the environment. */
struct hash_key {
	u64 k[2];
};

struct hash_sip {
	u64 v0, v1, v2, v3;
};

static inline u64 hash_rotl(u64 x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void hash_sip_rounds(struct hash_sip *s, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		s->v0 += s->v1;
		s->v1 = hash_rotl(s->v1, 13) ^ s->v0;
		s->v0 = hash_rotl(s->v0, 32);
		s->v2 += s->v3;
		s->v3 = hash_rotl(s->v3, 16) ^ s->v2;
		s->v0 += s->v3;
		s->v3 = hash_rotl(s->v3, 21) ^ s->v0;
		s->v2 += s->v1;
		s->v1 = hash_rotl(s->v1, 17) ^ s->v2;
		s->v2 = hash_rotl(s->v2, 32);
	}
}

/* Little-endian load of `len` (0 to 7) bytes. */
static inline u64 hash_load_tail(const u8 *p, size_t len)
{
	u64 v = 0;

	for (size_t i = 0; i < len; i++)
		v |= (u64)p[i] << (8 * i);
	return v;
}

/* SipHash-c-d of `len` bytes; hash_bytes() is the one to call. */
static inline u64 hash_sip(const struct hash_key *key, const void *data, size_t len, int c, int d)
{
	struct hash_sip s = {
		.v0 = key->k[0] ^ 0x736f6d6570736575ull,
		.v1 = key->k[1] ^ 0x646f72616e646f6dull,
		.v2 = key->k[0] ^ 0x6c7967656e657261ull,
		.v3 = key->k[1] ^ 0x7465646279746573ull,
	};
	const u8 *p = data;
	u64 m;

	for (size_t left = len; left >= 8; left -= 8, p += 8) {
		memcpy(&m, p, 8);
		s.v3 ^= m;
		hash_sip_rounds(&s, c);
		s.v0 ^= m;
	}
	m = (u64)len << 56 | hash_load_tail(p, len % 8);
	s.v3 ^= m;
	hash_sip_rounds(&s, c);
	s.v0 ^= m;
	s.v2 ^= 0xff;
	hash_sip_rounds(&s, d);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* SipHash-1-3. */
static inline u64 hash_bytes(const struct hash_key *key, const void *data, size_t len)
{
	return hash_sip(key, data, len, 1, 3);
}

/* What names a connection on the wire, from this end's view. */
struct flow_key {
	struct ip_addr local;
	struct ip_addr remote;
	u16 local_port; /* host order */
	u16 remote_port;
};

static inline bool flow_key_eq(const struct flow_key *a, const struct flow_key *b)
{
	return ip_addr_eq(&a->local, &b->local) && ip_addr_eq(&a->remote, &b->remote) &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port;
}

/* 32 bits of the hash of a flow: of 12 bytes when both addresses are IPv4, of 36 otherwise. */
static inline u32 flow_key_hash(const struct hash_key *key, const struct flow_key *flow)
{
	if (ip_addr_is_v4(&flow->local) && ip_addr_is_v4(&flow->remote)) {
		u8 b[12];

		memcpy(b, flow->local.b + 12, 4);
		memcpy(b + 4, flow->remote.b + 12, 4);
		memcpy(b + 8, &flow->local_port, 4);
		return (u32)hash_bytes(key, b, sizeof(b));
	}
	return (u32)hash_bytes(key, flow, 36);
}
_Static_assert(offsetof(struct flow_key, local_port) == 32, "36 bytes without a gap");
_Static_assert(offsetof(struct flow_key, remote_port) == 34, "ports next to each other");

#endif

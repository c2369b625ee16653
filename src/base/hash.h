/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SipHash-1-3 (Aumasson and Bernstein), keyed: peers choose addresses and ports, so an unkeyed hash
 * would let them choose collisions too.
 *
 * All inline; flow keys have a path of their own without loops.
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

static inline struct hash_sip hash_sip_start(const struct hash_key *key)
{
	return (struct hash_sip){
		.v0 = key->k[0] ^ 0x736f6d6570736575ull,
		.v1 = key->k[1] ^ 0x646f72616e646f6dull,
		.v2 = key->k[0] ^ 0x6c7967656e657261ull,
		.v3 = key->k[1] ^ 0x7465646279746573ull,
	};
}

static inline void hash_sip_word(struct hash_sip *s, u64 m, int c)
{
	s->v3 ^= m;
	hash_sip_rounds(s, c);
	s->v0 ^= m;
}

static inline u64 hash_sip_end(struct hash_sip *s, int d)
{
	s->v2 ^= 0xff;
	hash_sip_rounds(s, d);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline u64 hash_load64(const u8 *p)
{
	u64 m;

	memcpy(&m, p, 8);
	return m;
}

/* SipHash-c-d of `len` bytes; hash_bytes() is the one to call. */
static inline u64 hash_sip(const struct hash_key *key, const void *data, size_t len, int c, int d)
{
	struct hash_sip s = hash_sip_start(key);
	const u8 *p = data;

	for (size_t left = len; left >= 8; left -= 8, p += 8)
		hash_sip_word(&s, hash_load64(p), c);
	hash_sip_word(&s, (u64)len << 56 | hash_load_tail(p, len % 8), c);
	return hash_sip_end(&s, d);
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

/* 32 bits of hash_bytes() of a flow: of 12 bytes when both addresses are IPv4, of 36 otherwise.
 * Loads each field as it was stored, so that a key just parsed is forwarded from the store buffer.
 */
static inline u32 flow_key_hash(const struct hash_key *key, const struct flow_key *flow)
{
	struct hash_sip s = hash_sip_start(key);
	u64 ports = flow->local_port | (u64)flow->remote_port << 16;

	if (likely(ip_addr_is_v4(&flow->local) && ip_addr_is_v4(&flow->remote))) {
		u32 local, remote;

		memcpy(&local, flow->local.b + 12, 4);
		memcpy(&remote, flow->remote.b + 12, 4);
		hash_sip_word(&s, local | (u64)remote << 32, 1);
		hash_sip_word(&s, 12ull << 56 | ports, 1);
		return (u32)hash_sip_end(&s, 3);
	}
	hash_sip_word(&s, hash_load64(flow->local.b), 1);
	hash_sip_word(&s, hash_load64(flow->local.b + 8), 1);
	hash_sip_word(&s, hash_load64(flow->remote.b), 1);
	hash_sip_word(&s, hash_load64(flow->remote.b + 8), 1);
	hash_sip_word(&s, 36ull << 56 | ports, 1);
	return (u32)hash_sip_end(&s, 3);
}
_Static_assert(offsetof(struct flow_key, local_port) == 32, "36 bytes without a gap");
_Static_assert(offsetof(struct flow_key, remote_port) == 34, "ports next to each other");

#endif

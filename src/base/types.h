/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Integer types, wire-order integers, sequence numbers and the few helpers that every file needs.
 *
 * Nothing here calls anything: the core of chimney is sans-I/O (docs/ARCHITECTURE.md).
 */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Integers in network byte order. Convert with be16_to_cpu() and friends, never by hand. */
typedef u16 be16;
typedef u32 be32;

/* The index that names no object, buffer, or block. */
#define NIL UINT32_MAX

#define MUST_CHECK    __attribute__((warn_unused_result))
#define ALIGNED(n)    __attribute__((aligned(n)))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define prefetch(p)   __builtin_prefetch((p), 0, 3)
#define prefetchw(p)  __builtin_prefetch((p), 1, 3)

#define CACHE_LINE_BYTES 64u

#define NS_PER_US 1000ull
#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

#define min_of(a, b)                    \
	({                              \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a < _b ? _a : _b;      \
	})
#define max_of(a, b)                    \
	({                              \
		__typeof__(a) _a = (a); \
		__typeof__(b) _b = (b); \
		_a > _b ? _a : _b;      \
	})

static inline be16 cpu_to_be16(u16 v)
{
	return __builtin_bswap16(v);
}

static inline u16 be16_to_cpu(be16 v)
{
	return __builtin_bswap16(v);
}

static inline be32 cpu_to_be32(u32 v)
{
	return __builtin_bswap32(v);
}

static inline u32 be32_to_cpu(be32 v)
{
	return __builtin_bswap32(v);
}

/*
 * A TCP sequence number (RFC 9293 3.4): modulo 2^32, so it is compared and added to by these
 * helpers only. The struct keeps plain comparison operators from compiling.
 */
typedef struct {
	u32 n;
} tcp_seq;

static inline tcp_seq seq_of(u32 n)
{
	return (tcp_seq){n};
}

static inline tcp_seq seq_add(tcp_seq a, u32 bytes)
{
	return (tcp_seq){a.n + bytes};
}

/* Distance from b forward to a; negative when a lies before b. */
static inline s32 seq_diff(tcp_seq a, tcp_seq b)
{
	return (s32)(a.n - b.n);
}

static inline bool seq_eq(tcp_seq a, tcp_seq b)
{
	return a.n == b.n;
}

static inline bool seq_lt(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) < 0;
}

static inline bool seq_leq(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) <= 0;
}

static inline bool seq_gt(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) > 0;
}

static inline bool seq_geq(tcp_seq a, tcp_seq b)
{
	return seq_diff(a, b) >= 0;
}

static inline tcp_seq seq_max(tcp_seq a, tcp_seq b)
{
	return seq_gt(a, b) ? a : b;
}

static inline tcp_seq seq_min(tcp_seq a, tcp_seq b)
{
	return seq_lt(a, b) ? a : b;
}

/*
 * An IP address of either family: IPv4 is held as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one
 * comparison serves both. Bytes are in network order.
 */
struct ip_addr {
	u8 b[16];
} ALIGNED(8);

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
	static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a->b, mapped, sizeof(mapped)) == 0;
}

/* An Ethernet address. */
struct mac_addr {
	u8 b[6];
};

#endif

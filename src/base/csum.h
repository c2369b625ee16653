/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The Internet checksum (RFC 1071), eight bytes at a time.
 *
 * A running sum is a u64 that was added to and not yet folded; sums of parts that begin at even
 * offsets are simply added. Sums are of the bytes as they lie in memory, so a folded one is stored
 * and compared without swapping, on either byte order.
 */
#ifndef BASE_CSUM_H
#define BASE_CSUM_H

#include "base/buf.h"
#include "base/types.h"

/* Adds a value with end-around carry. */
static inline u64 csum_add(u64 sum, u64 value)
{
	sum += value;
	return sum + (sum < value);
}

/* Adds `len` bytes that begin at an even offset of what is summed. */
u64 csum_bytes(u64 sum, const void *data, size_t len);

/*
 * Adds `len` bytes of a chain, from `skip` bytes into its data on; buffers of odd length and any
 * alignment are fine. Stops where the chain ends.
 */
u64 csum_chain(u64 sum, struct buf_pool *pool, u32 head, u32 skip, u32 len);

/* Folds a running sum to 16 bits, not complemented. */
static inline u16 csum_fold(u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}

/* What goes into a checksum field. */
static inline be16 csum_finish(u64 sum)
{
	return (be16)~csum_fold(sum);
}

/* True when data that includes its own checksum is intact. */
static inline bool csum_ok(u64 sum)
{
	return csum_fold(sum) == 0xffff;
}

/* The sum of data of which the first byte lies at an odd offset. */
static inline u64 csum_swap(u64 sum)
{
	u16 folded = csum_fold(sum);

	return (u16)(folded << 8 | folded >> 8);
}

/* RFC 1624: the checksum `check` after a 16-bit field changed. */
static inline be16 csum_replace16(be16 check, be16 was, be16 is)
{
	return csum_finish((u64)(u16)~check + (u16)~was + is);
}

/* The same for a 32-bit field. */
static inline be16 csum_replace32(be16 check, be32 was, be32 is)
{
	return csum_finish((u64)(u16)~check + (u32)~was + is);
}

/* The pseudo-header's sum of TCP, ICMPv6 and the like (RFC 9293 3.1, RFC 8200 8.1). `len` is that
 * of the upper layer's header and data. Both addresses are of one family. */
static inline u64 csum_pseudo(const struct ip_addr *src, const struct ip_addr *dst, u8 protocol,
                              u32 len)
{
	u64 a, b;
	u64 sum = (u64)cpu_to_be32(len) + cpu_to_be32(protocol);

	if (likely(ip_addr_is_v4(src))) {
		u32 s, d;

		memcpy(&s, src->b + 12, 4);
		memcpy(&d, dst->b + 12, 4);
		return sum + s + d;
	}
	memcpy(&a, src->b, 8);
	memcpy(&b, src->b + 8, 8);
	sum = csum_add(csum_add(sum, a), b);
	memcpy(&a, dst->b, 8);
	memcpy(&b, dst->b + 8, 8);
	return csum_add(csum_add(sum, a), b);
}

#endif

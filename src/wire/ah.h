/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * AH (RFC 4302): the header between IP and what it authenticates, and what of the IP header is left
 * out of it because routers change it.
 *
 *   next header 1, length in words less two 1, 0 2, SPI 4, sequence number 4, ICV, padding
 */
#ifndef WIRE_AH_H
#define WIRE_AH_H

#include "wire/ip.h"

enum {
	WIRE_IPPROTO_AH = 51,
	WIRE_AH_BYTES = 12, /* without the ICV */
};

struct wire_ah {
	u32 spi;
	u32 seq; /* the low half of an extended one */
	u8 next_header;
	u8 bytes; /* the whole header, ICV and padding included */
};

/* Bytes of a header whose ICV field has `icv` bytes: a multiple of 4 in IPv4, of 8 in IPv6
 * (RFC 4302 2.6). */
static inline u32 wire_ah_bytes(u32 icv, u8 ip_version)
{
	u32 align = ip_version == 4 ? 4 : 8;

	return (WIRE_AH_BYTES + icv + align - 1) & ~(align - 1);
}

/* WIRE_AH_SHORT, WIRE_AH_LENGTH: less than its fixed part or beyond the end, or no multiple of what
 * the IP version wants; WIRE_SPI_ZERO. */
enum wire_reason wire_ah_parse(const u8 *p, u32 len, u8 ip_version, struct wire_ah *ret_ah);

/* Writes the header with its ICV field and padding zeroed; returns its bytes. */
u32 wire_ah_write(u8 *to, const struct wire_ah *ah);

/*
 * Zeroes what may change on the way in a whole IP header: IPv4 with its options, or the 40 bytes of
 * IPv6 (RFC 4302 3.3.3.1, appendix A). `bytes` is the header's length. WIRE_IP_HEADER_LENGTH: an
 * option is cut short.
 */
enum wire_reason wire_ah_zero_mutable(u8 *ip, u32 bytes);

#endif

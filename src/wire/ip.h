/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* IPv4 (RFC 791) and IPv6 (RFC 8200) headers, and the IPv6 fragment header. */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include "wire/load.h"
#include "wire/reason.h"

enum {
	WIRE_IP4_BYTES = 20, /* header without options */
	WIRE_IP4_BYTES_MAX = 60,
	WIRE_IP6_BYTES = 40,
	WIRE_IP6_FRAG_BYTES = 8,
	WIRE_IPPROTO_ICMP = 1,
	WIRE_IPPROTO_IP6_FRAG = 44,
	WIRE_IPPROTO_ICMP6 = 58,
};

/* One struct for both versions; addresses of IPv4 are mapped. */
struct wire_ip {
	struct ip_addr src;
	struct ip_addr dst;
	u8 version;
	u8 tos;           /* or traffic class */
	u8 ttl;           /* or hop limit */
	u8 protocol;      /* of what the datagram carries, behind a fragment header */
	u8 dont_fragment; /* IPv4 only */
	u8 more_fragments;
	u8 has_options;     /* IPv4 options, or an IPv6 extension header other than fragment */
	u8 has_frag_header; /* IPv6 */
	u16 header_bytes;   /* offset of what is carried; written, options never are */
	u16 frag_off;       /* bytes, a multiple of 8 */
	u32 id;             /* 16 bits in IPv4; of the fragment header in IPv6 */
	u32 flow_label;     /* IPv6, 20 bits */
	u32 payload_bytes;  /* what is carried, by the header's own length */
};

static inline bool wire_ip_is_fragment(const struct wire_ip *ip)
{
	return ip->more_fragments || ip->frag_off;
}

/* Where the fields of the IPv4 header lie, for those that patch them. */
enum {
	WIRE_IP4_TOS_OFF = 1,
	WIRE_IP4_LENGTH_OFF = 2,
	WIRE_IP4_ID_OFF = 4,
	WIRE_IP4_TTL_OFF = 8,
	WIRE_IP4_CSUM_OFF = 10,
	WIRE_IP4_SRC_OFF = 12,
	WIRE_IP4_DST_OFF = 16,
	WIRE_IP6_LENGTH_OFF = 4,
	WIRE_IP6_SRC_OFF = 8,
	WIRE_IP6_DST_OFF = 24,
};

/*
 * Reads an IPv4 header from `len` bytes; the checksum is verified, options are skipped.
 * WIRE_IP_SHORT, WIRE_IP_VERSION, WIRE_IP_HEADER_LENGTH, WIRE_IP_LENGTH, WIRE_IP_CHECKSUM.
 */
enum wire_reason wire_ip4_parse(const u8 *p, u32 len, struct wire_ip *ret_ip);

/*
 * Reads an IPv6 header, and the fragment header when it comes first. `protocol` is that of the
 * first header which is neither; when that is an extension header, has_options is set.
 * WIRE_IP_SHORT, WIRE_IP_VERSION, WIRE_IP_LENGTH, WIRE_IP6_FRAGMENT_HEADER.
 */
enum wire_reason wire_ip6_parse(const u8 *p, u32 len, struct wire_ip *ret_ip);

/* Reads either, by the version of the first byte. */
enum wire_reason wire_ip_parse(const u8 *p, u32 len, struct wire_ip *ret_ip);

/* Writes the header of ip->version (with a fragment header where has_frag_header says so), the
 * IPv4 checksum included; returns its bytes: 20, 40 or 48. */
u32 wire_ip_write(u8 *to, const struct wire_ip *ip);

/* Hop-by-hop, routing, destination options, AH and the like (RFC 8200 4, IANA). */
bool wire_ip6_is_extension(u8 next_header);

#endif

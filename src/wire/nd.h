/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Neighbor discovery: solicitation and advertisement (RFC 4861 4.3, 4.4, 7.1). */
#ifndef WIRE_ND_H
#define WIRE_ND_H

#include "wire/ip.h"
#include "wire/reason.h"

enum {
	WIRE_ND_BYTES_MAX = 32, /* with a link-layer address option */
	WIRE_ND_SOLICITATION = 135,
	WIRE_ND_ADVERTISEMENT = 136,
};

struct wire_nd {
	struct ip_addr target;
	struct mac_addr
		mac; /* source link-layer address of a solicitation, target's of the other */
	u8 type;
	u8 has_mac;
	u8 router; /* flags of an advertisement */
	u8 solicited;
	u8 override;
};

/*
 * Reads a message (`len` bytes behind the IPv6 header `ip`); checksum, hop limit 255, code and
 * options are verified as RFC 4861 7.1 asks. Unknown options are skipped.
 * WIRE_ICMP_SHORT, WIRE_ICMP_CHECKSUM, WIRE_ICMP_TYPE, WIRE_ND_HOP_LIMIT, WIRE_ND_OPTION,
 * WIRE_ND_TARGET.
 */
enum wire_reason wire_nd_parse(const struct wire_ip *ip, const u8 *p, u32 len,
                               struct wire_nd *ret_nd);

/* Writes a message with its checksum, for the addresses of `ip`; returns its bytes: 24 or 32. */
u32 wire_nd_write(u8 *to, const struct wire_ip *ip, const struct wire_nd *nd);

/* The solicited-node multicast address of a target (RFC 4291 2.7.1), and the Ethernet address that
 * an IPv6 multicast address maps to (RFC 2464 7). */
void wire_nd_solicited_node(const struct ip_addr *target, struct ip_addr *ret_group);
void wire_ip6_multicast_mac(const struct ip_addr *group, struct mac_addr *ret_mac);

#endif

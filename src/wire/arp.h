/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ARP for IPv4 over Ethernet (RFC 826). */
#ifndef WIRE_ARP_H
#define WIRE_ARP_H

#include "wire/load.h"
#include "wire/reason.h"

enum { WIRE_ARP_BYTES = 28 };

enum wire_arp_op {
	WIRE_ARP_REQUEST = 1,
	WIRE_ARP_REPLY = 2,
};

/* Names as in RFC 826; addresses are mapped IPv4. */
struct wire_arp {
	struct ip_addr spa; /* sender's protocol address */
	struct ip_addr tpa; /* target's */
	struct mac_addr sha;
	struct mac_addr tha;
	u16 op; /* enum wire_arp_op; others are passed on */
};

/* Reads what follows the Ethernet header; padding is ignored. WIRE_ARP_SHORT, WIRE_ARP_FORMAT. */
enum wire_reason wire_arp_parse(const u8 *p, u32 len, struct wire_arp *ret_arp);

/* Writes WIRE_ARP_BYTES; returns them. */
u32 wire_arp_write(u8 *to, const struct wire_arp *arp);

#endif

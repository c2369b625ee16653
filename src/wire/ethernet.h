/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Ethernet framing: DIX and IEEE 802.2 LLC/SNAP (RFC 1042), with up to two VLAN tags (IEEE 802.1Q,
 * 802.1ad).
 */
#ifndef WIRE_ETHERNET_H
#define WIRE_ETHERNET_H

#include "wire/load.h"
#include "wire/reason.h"

enum {
	WIRE_ETH_BYTES = 14,
	WIRE_VLAN_BYTES = 4,
	WIRE_SNAP_BYTES = 8,
	WIRE_VLAN_MAX = 2,
	WIRE_LINK_BYTES_MAX = WIRE_ETH_BYTES + WIRE_VLAN_MAX * WIRE_VLAN_BYTES + WIRE_SNAP_BYTES,
	WIRE_802_3_LENGTH_MAX = 1500, /* what is above is a type */
};

enum wire_ethertype {
	WIRE_ETH_IP4 = 0x0800,
	WIRE_ETH_ARP = 0x0806,
	WIRE_ETH_VLAN = 0x8100,
	WIRE_ETH_IP6 = 0x86dd,
	WIRE_ETH_SLOW = 0x8809, /* LACP */
	WIRE_ETH_QINQ = 0x88a8,
};

struct wire_link {
	struct mac_addr dst;
	struct mac_addr src;
	u16 ethertype; /* of what the frame carries, behind tags and SNAP */
	u8 n_vlan;
	u8 snap;
	u32 vlan[WIRE_VLAN_MAX]; /* outermost first: TPID << 16 | TCI */
	u32 header_bytes;        /* offset of what is carried */
	u32 payload_bytes;       /* its length; SNAP frames say it, without padding */
};

static inline bool wire_is_vlan_type(u16 ethertype)
{
	return ethertype == WIRE_ETH_VLAN || ethertype == WIRE_ETH_QINQ;
}

/*
 * Reads the link header of a frame of `len` bytes, of which `avail` are contiguous at `p`.
 * WIRE_FRAME_SHORT, WIRE_LLC_LENGTH, WIRE_LLC, WIRE_VLAN_DEPTH, WIRE_HEADER_SPLIT.
 */
enum wire_reason wire_link_parse(const u8 *p, u32 avail, u32 len, struct wire_link *ret_link);

/*
 * Writes a link header: addresses, tags, then the type, or length and SNAP for `snap` (which needs
 * payload_bytes, at most 1492 then). header_bytes is worked out, not read. At most
 * WIRE_LINK_BYTES_MAX bytes; returns how many.
 */
u32 wire_link_write(u8 *to, const struct wire_link *link);

#endif

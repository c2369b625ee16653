/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* LACP and marker PDUs (IEEE 802.1AX-2014 6.4.2, 6.5.3), behind an Ethernet header of type
 * WIRE_ETH_SLOW. Unknown TLVs of later versions are left out, as the standard asks. */
#ifndef WIRE_LACP_H
#define WIRE_LACP_H

#include "wire/load.h"
#include "wire/reason.h"

enum {
	WIRE_SLOW_BYTES = 110, /* either PDU, without the Ethernet header */
	WIRE_LACP_VERSION = 1,
};

enum wire_slow_subtype {
	WIRE_SLOW_LACP = 1,
	WIRE_SLOW_MARKER = 2,
};

enum wire_lacp_state_bits {
	LACP_ACTIVITY = 1 << 0,    /* active, else passive */
	LACP_TIMEOUT = 1 << 1,     /* short: wants to hear from the partner each second */
	LACP_AGGREGATION = 1 << 2, /* may be aggregated, else individual */
	LACP_SYNCHRONIZATION = 1 << 3,
	LACP_COLLECTING = 1 << 4,
	LACP_DISTRIBUTING = 1 << 5,
	LACP_DEFAULTED = 1 << 6,
	LACP_EXPIRED = 1 << 7,
};

/* One side of a link. */
struct wire_lacp_info {
	u16 system_priority;
	struct mac_addr system;
	u16 key;
	u16 port_priority;
	u16 port;
	u8 state; /* wire_lacp_state_bits */
};

struct wire_lacp {
	u8 version;
	struct wire_lacp_info actor, partner;
	u16 max_delay; /* collector's, tens of microseconds */
};

struct wire_marker {
	bool response;
	u16 port;
	struct mac_addr system;
	u32 transaction;
};

/* Which of the two a slow-protocols frame is: enum wire_slow_subtype, others as they are; 0: the
 * frame is too short to say. `p` is what follows the Ethernet header. */
static inline u8 wire_slow_subtype(const u8 *p, u32 len)
{
	return len ? p[0] : 0;
}

/* Read what follows the Ethernet header. WIRE_SLOW_SHORT, WIRE_SLOW_FORMAT. */
enum wire_reason wire_lacp_parse(const u8 *p, u32 len, struct wire_lacp *ret_lacp);
enum wire_reason wire_marker_parse(const u8 *p, u32 len, struct wire_marker *ret_marker);

/* Write WIRE_SLOW_BYTES; return them. */
u32 wire_lacp_write(u8 *to, const struct wire_lacp *lacp);
u32 wire_marker_write(u8 *to, const struct wire_marker *marker);

/* Where slow protocols are sent to: 01-80-C2-00-00-02. */
extern const struct mac_addr wire_slow_address;

#endif

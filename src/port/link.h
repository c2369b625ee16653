/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The little that ports ask of the kernel about network interfaces. */
#ifndef PORT_LINK_H
#define PORT_LINK_H

#include "base/types.h"

/* A route netlink socket in the namespace of the calling thread; -errno. */
int link_open(void) MUST_CHECK;

struct link_facts {
	u32 mtu_bytes;
	u64 tx_dropped; /* of a TAP: frames that found its queue full */
	u64 rx_dropped;
	struct mac_addr mac;
};

/* -ENODEV and others of the kernel. */
int link_facts(int netlink_fd, u32 ifindex, struct link_facts *ret) MUST_CHECK;

/* Sets the transmit queue's length, switches off what would make the interface speak by itself
 * (ARP, IPv6 addresses), and brings it up. */
int link_bring_up(int netlink_fd, u32 ifindex, u32 queue_frames) MUST_CHECK;

#endif

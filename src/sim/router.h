/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the switch says itself, as the router that it is: ARP and neighbor discovery for its hops,
 * and ICMP errors. It all crosses the machine's wire, and may be lost there. */
#ifndef SIM_ROUTER_H
#define SIM_ROUTER_H

#include "sim/net.h"

/* A frame for the switch itself, which it has answered; false: it is to be routed. */
bool router_frame(struct net *net, u32 machine, const u8 *frame, u32 len);
/* Tells the sender of a frame that it does not fit (RFC 1191, RFC 4443 3.2). */
void router_too_big(struct net *net, u32 machine, const u8 *frame, u32 len, u32 mtu);
/* Tells a machine of a hop's MAC address: gratuitous ARP, unsolicited advertisement. */
void router_announce(struct net *net, u32 machine, u32 hop, bool v6);

#endif

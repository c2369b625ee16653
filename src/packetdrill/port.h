/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The script as a port: IP packets on its side, frames on the machine's. */
#ifndef PACKETDRILL_PORT_H
#define PACKETDRILL_PORT_H

#include "packetdrill/stack.h"

/* The machine's address, and that of the one neighbor there is. */
extern const struct mac_addr script_mac, script_peer_mac;

void script_port_init(struct script_port *p, struct buf_pool *pool);
/* An IP packet becomes a frame that arrives now. -EMSGSIZE, -EINVAL: not IP; -ENOBUFS. */
int script_port_push(struct script_port *p, const void *packet, size_t len);
/* The oldest packet that was sent, the caller's to free; NULL: none. */
struct packet_out *script_port_pop(struct script_port *p);

#endif

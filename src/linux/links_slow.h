/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A packet socket on one link for one Ethernet type: slow protocols (LACP), ARP or IPv6. Nothing
 * here blocks.
 */
#ifndef LINUX_LINKS_SLOW_H
#define LINUX_LINKS_SLOW_H

#include "base/types.h"
#include "wire/load.h"

struct link_socket {
	int fd;
	u32 ifindex;
	u16 ethertype;
	struct mac_addr mac; /* the link's own, when it was opened */
};

/* Takes frames of the type that the link receives, also those to `group` where that is not NULL
 * (the link keeps it as long as the socket is open). -EPERM without CAP_NET_RAW, -ENODEV, ... */
int link_socket_open(struct link_socket *s, u32 ifindex, u16 ethertype,
                     const struct mac_addr *group) MUST_CHECK;
/* Of IPv6 only neighbor advertisements. */
int link_socket_only_advertisements(struct link_socket *s) MUST_CHECK;
void link_socket_close(struct link_socket *s);

/* What follows the Ethernet header, `len` bytes. -Exxx: it did not leave (-ENETDOWN, -ENOBUFS). */
int link_socket_send(struct link_socket *s, const struct mac_addr *to, const u8 *p, u32 len);
/* The next frame without its Ethernet header: its bytes (cut at `cap`); 0: there is none. */
u32 link_socket_receive(struct link_socket *s, u8 *to, u32 cap);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Connections whose addresses are translated on this host: the wire has other ones than the socket,
 * so steering would not find their frames. */
#ifndef LINUX_NAT_H
#define LINUX_NAT_H

#include "base/types.h"

#include "bpf/export.h"

struct mnl_socket;

struct nat {
	struct mnl_socket *netlink; /* opened at the first question */
};

void nat_init(struct nat *nat);
void nat_finish(struct nat *nat);

/* True when the calling thread's network namespace tracks any connection at all. */
bool nat_tracking(void);

/* True when the kernel's entry for the connection has another tuple in the other direction; false
 * when there is no entry. */
bool nat_applies(struct nat *nat, const struct sock_export *e);

#endif

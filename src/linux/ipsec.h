/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* IPsec policies of the namespace that a connection's packets fall under. */
#ifndef LINUX_IPSEC_H
#define LINUX_IPSEC_H

#include "base/types.h"

#include "bpf/export.h"

/* True when a policy, in or out, selects the connection's addresses and ports; also when the
 * policies cannot be read. Asks the kernel for all of them: call it only where there are some. */
bool ipsec_applies(const struct sock_export *e);

#endif

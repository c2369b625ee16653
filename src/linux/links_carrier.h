/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Whether links have carrier, by rtnetlink. */
#ifndef LINUX_LINKS_CARRIER_H
#define LINUX_LINKS_CARRIER_H

#include "base/types.h"

struct carrier;

/* What is known of an interface: up, with carrier; not when it is gone. */
typedef void (*carrier_fn)(void *ctx, u32 ifindex, bool up);

/* Tells the state of all interfaces before it returns. -Exxx. */
int carrier_open(struct carrier **ret, carrier_fn fn, void *ctx) MUST_CHECK;
void carrier_close(struct carrier *c);

/* Readable when carrier_serve() has something to do. */
int carrier_fd(const struct carrier *c);
/* Does not block. What was lost because it came too fast is asked for again. */
void carrier_serve(struct carrier *c);

#endif

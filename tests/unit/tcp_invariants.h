/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What holds of a connection at any time, whatever its peer does. */
#ifndef TCP_INVARIANTS_H
#define TCP_INVARIANTS_H

#include "tcp/internal.h"

/* Fails the test, or ends the program outside of one, when an invariant is broken. */
void tcp_invariants(struct tcp_engine *e, struct buf_pool *pool, const struct tcp_conn *c);

#endif

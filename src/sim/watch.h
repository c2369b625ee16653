/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What must hold at every moment of a world (see world.h). */
#ifndef SIM_WATCH_H
#define SIM_WATCH_H

#include "sim/world.h"

/* Every frame that enters the wire; always true. */
bool watch_frame(void *world, u32 direction, struct buf_pool *pool, const struct rx_frame *frame,
                 u64 now_ns);
/* After every turn: each connection has one owner, and the counts agree. */
void watch_owners(struct world *w);

#endif

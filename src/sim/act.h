/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Events happen to a world; those with a duration are undone. */
#ifndef SIM_ACT_H
#define SIM_ACT_H

#include "sim/event.h"
#include "sim/world.h"

enum act_undo {
	ACT_RESUME,
	ACT_UP,
	ACT_LINK,
	ACT_BUFFERS,
	ACT_UNDOS,
};

struct act {
	struct world *w;
	u64 undo_ns[WORLD_HOSTS][ACT_UNDOS]; /* UINT64_MAX: nothing to undo */
	u32 buffers[WORLD_HOSTS];            /* chain of those that are kept away */
	struct buf_pool *buffers_of[WORLD_HOSTS];
	u8 mac; /* the next one */
};

void act_init(struct act *a, struct world *w);
/* Carries one out now; false: it made no sense at this moment, and nothing happened. */
bool act_event(struct act *a, const struct event *e);
/* When something has to be undone next; UINT64_MAX: nothing. */
u64 act_next_ns(const struct act *a);
/* Undoes what is due by now; all there is with UINT64_MAX. */
void act_undo(struct act *a, u64 now_ns);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The application of a world: patterned bytes both ways, checked as they arrive. */
#ifndef SIM_STREAM_H
#define SIM_STREAM_H

#include "sim/world.h"

/* The byte at an offset of what end `side` of a stream sends. */
u8 stream_byte(u32 stream, u32 side, u32 offset);
/* Sizes, by the world's seed. */
void stream_init(struct world *w, u32 stream);
/* A posted call of end `side` of some stream has completed. */
void stream_done(struct world *w, u32 side, const struct host_done *done);
/* All streams of a machine send and receive what they can. */
void streams_run(struct world *w, u32 side);
/* The first stream that is not done, in words. Valid until the next call. */
const char *streams_state(struct world *w);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What happened in a simulation, as text and as a hash over all of it: every frame that a machine
 * sends, and every event. The same seed gives the same trace byte for byte.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <stdio.h>

#include "base/frame.h"

struct trace {
	FILE *out; /* NULL: the hash only */
	u64 hash;
	u64 frames, events;
};

/* A frame as it leaves: `by` says who sends it, "a/target". The payload lies in `pool`. */
void trace_frame(struct trace *t, u64 now_ns, const char *by, struct buf_pool *pool,
                 const struct tx_frame *frame);
void trace_event(struct trace *t, u64 now_ns, const char *text);

#endif

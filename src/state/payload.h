/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Payload of block lists, piece by piece: reading the bytes of a data_ref without trusting its
 * chain, and building one.
 */
#ifndef STATE_PAYLOAD_H
#define STATE_PAYLOAD_H

#include "base/buf.h"
#include "state/types.h"

struct payload_in {
	const struct buf_pool *pool;
	u32 index; /* of the next buffer */
	u32 off;   /* of its first byte that counts, for the first buffer only */
	u32 left;  /* bytes not yet read: 0 after the last piece */
	u32 steps; /* buffers that may still follow */
	bool first;
};

/* Starts reading. A NULL pool has no bytes. */
void payload_in_init(struct payload_in *in, const struct buf_pool *pool,
                     const struct data_ref *ref);

/* The next piece, never empty; 0: there is none, and left says how many bytes are missing (the
 * chain is broken). */
u32 payload_in_next(struct payload_in *in, const u8 **ret_bytes);

struct payload_out {
	struct buf_pool *pool;
	struct data_ref *ref; /* valid, and a whole chain, at every moment */
	u32 tail;
	u32 expected; /* bytes still to come: a hint for the size of buffers */
};

/* Starts a chain in *ref, which becomes an empty reference. */
void payload_out_init(struct payload_out *out, struct buf_pool *pool, struct data_ref *ref,
                      u32 expected);

/* Appends bytes. -ENOSPC: no buffer, or no pool; what was appended stays, *ref says how much. */
int payload_out_write(struct payload_out *out, const u8 *bytes, u32 len) MUST_CHECK;

#endif

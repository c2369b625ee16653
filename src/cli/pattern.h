/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The bytes of a demo stream: a function of stream, direction and offset, so that either end can
 * tell a byte that is lost, doubled, reordered, or belongs to another stream.
 */
#ifndef CLI_PATTERN_H
#define CLI_PATTERN_H

#include "base/types.h"

enum pattern_direction {
	PATTERN_UP,   /* client to server */
	PATTERN_DOWN, /* server to client */
};

/* Must be called once in each process before the others. */
void pattern_init(void);

/* The bytes at `offset` of a stream: at least pattern_run() of them. Static memory. */
const u8 *pattern_at(u32 stream, enum pattern_direction dir, u64 offset);
u32 pattern_run(void);

/* How many of `len` bytes at `offset` are not what they should be. */
u64 pattern_wrong(u32 stream, enum pattern_direction dir, u64 offset, const u8 *data, u32 len);

#endif

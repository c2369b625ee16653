/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * IP fragments of TCP that a managed port received: reassembled by the host and sent up again as if
 * they had come whole, so that steering sees the ports (semantics 5.9). Rare and hostile: few
 * datagrams at a time, overlaps end a datagram (RFC 5722), nothing waits longer than 30 s.
 *
 * Pure but for memory: time is an argument.
 */
#ifndef LINUX_FRAGMENTS_H
#define LINUX_FRAGMENTS_H

#include "base/types.h"

struct fragments;

enum fragments_result {
	FRAGMENT_KEPT,    /* the datagram is not complete */
	FRAGMENT_WHOLE,   /* complete: *ret_frame is its frame until the next call */
	FRAGMENT_DROPPED, /* malformed, overlapping, too many */
};

int fragments_create(struct fragments **ret_fragments) MUST_CHECK;
void fragments_destroy(struct fragments *f);

/* Takes an Ethernet frame that holds a fragment. */
enum fragments_result fragments_add(struct fragments *f, const u8 *frame, u32 len, u64 now_ns,
                                    const u8 **ret_frame, u32 *ret_len);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two ports joined in memory, without delay or loss: what one transmits, the other receives. One
 * copy a frame, straight into buffers of the receiver's pool. For benches of two engines, and where
 * a test needs a wire without time.
 *
 * No system call, no allocation. Both ends belong to one thread.
 */
#ifndef PORT_PAIR_H
#define PORT_PAIR_H

#include "port/port.h"

struct port_pair_config {
	u32 ring_frames; /* frames that lie between two ends, a power of two; full: tx_busy */
	u32 mtu_bytes;
	u32 gso_max_bytes; /* 0: no superframes */
	bool no_tx_csum;   /* senders fill checksums in and receivers verify them */
};

struct port_pair;

size_t port_pair_bytes(const struct port_pair_config *config);

/* Lays a pair into `mem` (port_pair_bytes(), 64-aligned, the caller's). pool[i] is what end i
 * receives into and sends from; they may be one pool. */
struct port_pair *port_pair_init(void *mem, const struct port_pair_config *config,
                                 struct buf_pool *const pool[2]);

/* One end, 0 or 1. Its destroy() releases what was not received. */
struct port *port_pair_end(struct port_pair *pair, u32 end);

#endif

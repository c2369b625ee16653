/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * lwIP as peer: two instances of the packaged library on an in-memory wire, one thread, one core.
 *
 * Each frame is copied once, from the sender's buffer into one of the receiver's. The packaged
 * configuration takes its memory from malloc, so that no number of connections is compiled in; it
 * computes and verifies every checksum, with a window and send buffer of 64 KiB and an MSS of 1460.
 */
#ifndef BENCH_PEER_LWIP_H
#define BENCH_PEER_LWIP_H

#include "child.h"

struct lwip_world {
	struct bench_child child;
};

/* n connections to an echo server, or one to a server that swallows. */
int lwip_world_open(struct lwip_world *world, u32 n, bool echo, struct bench_run *run) MUST_CHECK;
/* Requests, or bytes, in a second. */
int lwip_world_rr(struct lwip_world *world, double *ret_per_s, struct bench_run *run) MUST_CHECK;
int lwip_world_bulk(struct lwip_world *world, double *ret_per_s, struct bench_run *run) MUST_CHECK;
void lwip_world_close(struct lwip_world *world);

#endif

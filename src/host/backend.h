/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a host stack must be able to do so that connections can be moved out of it and back: the
 * Linux kernel (src/linux) and the soft host (src/host/soft) implement it.
 *
 * All calls take arrays and write a status into each entry; an entry whose status is not OK when it
 * comes in is passed over. A failing entry never stops the others.
 *
 * Offload of a chunk:  inspect -> [device: reserve] -> hold -> fence -> freeze -> [device:
 * transfer]
 *                      -> detach -> own -> parked frames are forwarded to the device
 *   a failure after freeze: thaw -> release (parked frames are injected)
 * Upload of a chunk:   hold -> [device: upload] -> import -> [device: commit]
 *                      -> inject until nothing is parked -> release -> fence -> inject the rest
 *   a failure of import: own -> [device: commit resumes it] -> parked frames are forwarded
 */
#ifndef HOST_BACKEND_H
#define HOST_BACKEND_H

#include "base/frame.h"
#include "state/block.h"

/* A path's identity is more than two addresses (linux-host trap 20). */
struct path_key {
	struct ip_addr local, remote;
	u32 ifindex; /* egress */
	u32 mark;
	u32 uid;
	u32 hash; /* of the ports where the route is multipath, else 0 */
	u8 tos;
	u8 pad[7];
};

struct neighbor_key {
	struct ip_addr next_hop;
	u32 ifindex;
	u32 port; /* the lane's port number behind ifindex */
};

/* One connection on its way. */
struct move {
	u64 conn;             /* the backend's name for it: a descriptor, or an index */
	void *owner;          /* the caller's */
	u16 status;           /* enum status */
	u16 flags;            /* enum move_flags */
	u64 detail;           /* with a status: as in struct block */
	struct path_key path; /* inspect writes these four */
	struct neighbor_key neighbor;
	u16 local_port, remote_port;
	struct path_state *path_state; /* inspect fills CONST and CACHED in where not NULL */
	struct neighbor_state *neighbor_state; /* as above */
	/* inspect fills CONST and CACHED in where not NULL, and the lengths of d.send and d.recv,
	 * so that the device can be asked for room; freeze fills all of it in; import reads all of
	 * it */
	struct tcp_state *tcp;
};

enum move_flags {
	MOVE_FROZEN = 1 << 0,     /* in repair mode */
	MOVE_DETACHED = 1 << 1,   /* the kernel's socket holds nothing any more */
	MOVE_UNQUIET = 1 << 2,    /* inspect: may pass although in recovery; stays set if it is */
	MOVE_MODEL_LOST = 1 << 3, /* imported, but the congestion control's model was not: it begins
	                           * anew; detail is the bandwidth that it knew, bytes/s */
};

struct backend_ops {
	/* May it move, and where does it hang: reasons, path and neighbor keys and states, and what
	 * the device must have room for (bytes queued). The lengths are estimates: the connection
	 * goes on. Changes nothing. */
	void (*inspect)(void *backend, struct move *moves, u32 n);
	/* From the next fence on, frames of these flows come to the lane's port and are parked. */
	void (*hold)(void *backend, struct move *moves, u32 n);
	/* Starts a fence; it runs beside the caller. fence_wait() returns once every frame that was
	 * on its way when the last fence_start() was called has reached its old destination. */
	void (*fence_start)(void *backend);
	void (*fence_wait)(void *backend);
	/* Stops the connection in the host and reads all of its state; queue bytes go to buffers of
	 * `pool`, referenced by the state. Reversible by thaw. */
	void (*freeze)(void *backend, struct move *moves, u32 n, struct buf_pool *pool);
	void (*thaw)(void *backend, struct move *moves, u32 n);
	/* Takes the connection out of the host's stack; the descriptor stays. */
	void (*detach)(void *backend, struct move *moves, u32 n);
	/* The flows belong to the device: frames are no longer parked. Also after an upload that
	 * was undone. */
	void (*own)(void *backend, struct move *moves, u32 n);
	/* Puts a connection back into the host's stack from its state. */
	void (*import)(void *backend, struct move *moves, u32 n, struct buf_pool *pool);
	/* Hands frames to the host's stack, in order, as if they came from the wire now. Returns
	 * how many were taken; the buffers stay the caller's. */
	u32 (*inject)(void *backend, const struct rx_frame *frames, u32 n, struct buf_pool *pool);
	/* Removes the flows' entries: frames go to the host's stack again after the next fence. */
	void (*release)(void *backend, struct move *moves, u32 n);
};

struct backend {
	const struct backend_ops *ops;
	void *impl;
};

#endif

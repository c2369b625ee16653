/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The fault injector: a filter driver (R51) between a host and its device that makes happen what is
 * rare: a call that fails, frames that are lost, late, twice, out of order or damaged, a limit that
 * is used up, a device that stands still or is dead. Without an order it changes nothing.
 *
 * Chances are in millionths and drawn from a seed, so a run can be repeated. Insertion and removal
 * at any time between two calls, while connections live.
 */
#ifndef DRIVER_FILTER_FAULT_H
#define DRIVER_FILTER_FAULT_H

#include "base/prng.h"
#include "driver/filter/monitor.h"

enum {
	FAULT_HELD = 64,   /* frames that are late at a time; with more, frames are not delayed */
	FAULT_QUEUED = 64, /* state calls that a device that stands still has not answered */
};

struct fault_frames {
	u32 drop_ppm;
	u32 duplicate_ppm;
	u32 reorder_ppm; /* the frame comes behind the next ones */
	/* Frames in only: what leaves here comes in elsewhere. */
	u32 corrupt_ppm; /* one bit, and the checksum is to be verified */
	u32 delay_ppm;
	u64 delay_ns; /* from 0 to this */
};

struct fault_config {
	struct buf_pool *pool; /* of the frames */
	u64 seed;
	struct fault_frames in, out;
};

/* What the device does with calls and frames. */
enum fault_life {
	FAULT_ALIVE,
	FAULT_STALLED, /* state calls wait, nothing completes, frames are lost */
	FAULT_DEAD,    /* for good: what waits is answered with DEVICE_FAILED at removal */
};

struct fault_counters {
	u64 failed_calls;
	u64 dropped, duplicated, reordered, corrupted, delayed; /* frames */
	u64 lost; /* frames for a device that did not take them, or that came late and for the host
	           */
};

struct fault_held {
	struct rx_frame frame;
	u64 due_ns;
};

struct fault {
	struct device_chain chain; /* first: the pass tables go by it */
	struct fault_config config;
	struct prng random;
	u64 now_ns;
	struct {
		u32 after; /* calls that still pass; NIL: no order */
		u16 status;
	} order[FILTER_CALLS];
	bool exhausted[LAYERS];
	u8 life; /* enum fault_life */
	struct fault_held held[FAULT_HELD];
	u32 n_held;
	struct {
		u8 call; /* enum filter_call */
		u8 layer;
		struct offload_request *request;
	} queued[FAULT_QUEUED];
	u32 n_queued;
	struct fault_counters count;
};

/* Puts an injector in front of a device. -EINVAL: the device cannot be given another host side. */
int fault_insert(struct fault *f, const struct fault_config *config,
                 struct device *hook) MUST_CHECK;

/* Late frames arrive and calls that wait go down, or of a dead device come back as failed.
 * -EBUSY: a driver was inserted above. */
int fault_remove(struct fault *f) MUST_CHECK;

/*
 * The nth call (from 1) of a kind from now on does not reach the device. Of a state call every
 * block gets the status; a posted data call completes with it; what would be done at once finds
 * no room or no bytes; a forwarded segment is refused with it. A commit cannot fail: -EINVAL, as
 * with n 0. `status` OK withdraws the order.
 */
int fault_fail(struct fault *f, enum filter_call call, u32 n, enum status status) MUST_CHECK;

/* From now on the device has no room for objects of the layer: its capabilities say so, and an
 * offload that brings one is refused as a whole with the status of that limit. */
void fault_exhaust(struct fault *f, enum layer layer, bool on);

/* Tells the host HEARTBEAT_LOST when the device stops, and lets what waits go down when it goes on.
 * -EINVAL: it is dead. */
int fault_set_life(struct fault *f, enum fault_life life) MUST_CHECK;

#endif

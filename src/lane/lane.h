/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A lane: the loop of one core, port -> device -> port. The only place that polls.
 *
 * One turn: receive a batch from each port, give it to the device, hand back to the host what the
 * device does not want, run timers, deliver completions and indications, let moves go on, send.
 * A lane runs in a thread of its own (lane_start()) or in the caller's (lane_poll()). It spins for
 * a bounded time when nothing comes, then blocks on its descriptors.
 *
 * Everything a lane owns is touched under its lock. Its thread gives the lock to whoever waits
 * between two turns.
 */
#ifndef LANE_LANE_H
#define LANE_LANE_H

#include "offload/offload.h"
#include "port/port.h"

struct lane;

struct lane_hooks {
	void *ctx;
	/* Frames that the device did not take. The hook takes over their buffers. */
	void (*frames_to_host)(void *ctx, struct rx_frame *frames, u32 n);
	/* Once a turn, after the events: moves go on. True: more to do at once. May be NULL. */
	bool (*work)(void *ctx);
	/* A port failed for good (its interface is gone); told once. May be NULL. */
	void (*port_lost)(void *ctx, u32 port, int err);
};

enum { LANE_PORTS_MAX = 8 };

struct lane_config {
	const struct device *device; /* the hook: drivers may be inserted while the lane runs */
	struct port *ports[LANE_PORTS_MAX];     /* their index is rx_frame.port */
	struct buf_pool *pools[LANE_PORTS_MAX]; /* that their frames lie in */
	u32 n_ports;
	u64 spin_ns;  /* how long it spins for when idle before it blocks */
	u64 sleep_ns; /* how long it blocks at most: the work hook's clock; 0: 20 ms */
	struct lane_hooks hooks;
};

/* Makes a lane; ports, pools and device stay the caller's and must outlive it. -ENOMEM, -errno. */
int lane_create(const struct lane_config *config, struct lane **ret_lane) MUST_CHECK;
/* Stops it if it runs. */
void lane_destroy(struct lane *l);

/* In a thread of its own, named `name`. -errno of pthread_create(). */
int lane_start(struct lane *l, const char *name) MUST_CHECK;
void lane_stop(struct lane *l);

/* The lock, for everybody but the lane's own thread inside a turn. */
void lane_lock(struct lane *l);
/* Sends what the holder caused (lane_touch()) when the lane sleeps, and unlocks. */
void lane_unlock(struct lane *l);
/* The holder of the lock changed something that may have to be sent. */
void lane_touch(struct lane *l);
/* Makes a sleeping lane turn; from any thread, lock held or not. */
void lane_wake(struct lane *l);

/* One turn, under the lock. True: it did something. */
bool lane_turn(struct lane *l);
/* The same under a clock of the caller's, for simulation; ports without descriptors are fine. */
bool lane_step(struct lane *l, u64 now_ns);

/* Receives what waits in the ports now, as a turn does; nothing is sent. For the work hook, or
 * under the lock. How many frames there were. */
u32 lane_drain(struct lane *l);

/* Turns in the caller's thread until something was done or the timeout passed (0: one turn).
 * Takes the lock itself. True: something was done. */
bool lane_poll(struct lane *l, u32 timeout_us);

/* A descriptor that is readable when a lane of the caller's thread has something to do. */
int lane_fd(const struct lane *l);

/* CLOCK_MONOTONIC in ns: the clock of the target's TCP timestamps. */
u64 lane_now_ns(void);

struct lane_counters {
	u64 turns;      /* all */
	u64 busy_turns; /* those that did something */
	u64 sleeps;
	u64 wakes;     /* by lane_wake() */
	u64 yields;    /* times the lock was given to a waiter between two turns */
	u64 rx_frames; /* from ports */
	u64 tx_frames; /* to ports */
	u64 to_host;   /* frames that the device did not take */
	u64 tx_stalls; /* turns in which a port took not all */
	u64 tx_lost;   /* frames for a port that has failed */
};
void lane_counters(const struct lane *l, struct lane_counters *ret);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The simulated wire: two ports joined by a link with a rate, a delay, a queue and faults, under
 * virtual time. The same seed and the same calls give the same bytes at the same times.
 *
 * No system call, no allocation, no clock: the simulator sets the time (sim_wire_set_now) and asks
 * for the next arrival (sim_wire_next_ns). Each direction draws from a generator of its own, so the
 * two do not disturb each other.
 */
#ifndef PORT_SIM_H
#define PORT_SIM_H

#include "port/port.h"

/* One direction. All zero: instant, unlimited, faultless. Chances are in parts per million, drawn
 * once a frame (a superframe is one frame). */
struct sim_link {
	u64 delay_ns;      /* propagation */
	u64 jitter_ns;     /* added delay in [0, jitter_ns]; never reorders */
	u64 bits_per_s;    /* 0: no serialisation delay */
	u64 queue_bytes;   /* tail drop beyond this backlog; 0: no limit. Needs bits_per_s */
	u32 loss_ppm;      /* independent loss */
	u32 burst_ppm;     /* Gilbert-Elliott: chance to enter the bad state */
	u32 burst_end_ppm; /* chance to leave it, drawn at each frame that it loses */
	u32 reorder_ppm;   /* held back by reorder_ns, later frames pass */
	u64 reorder_ns;
	u32 duplicate_ppm;
	u32 mark_ppm;    /* what has ECT gets CE (RFC 3168 5) */
	u32 corrupt_ppm; /* one bit is flipped; a partial checksum is filled in before */
};

/*
 * Sees every frame that enters the wire, before any fault; false: it is lost (counted `filtered`).
 * `frame` and its chain lie in `pool` and are the wire's. `direction` is the sender's end.
 */
typedef bool (*sim_wire_filter)(void *context, u32 direction, struct buf_pool *pool,
                                const struct rx_frame *frame, u64 now_ns);

struct sim_wire_config {
	u64 seed;
	struct sim_link link[2]; /* [i]: frames that end i sends */
	u32 mtu_bytes;
	u32 gso_max_bytes;   /* 0: no superframes */
	bool tx_csum;        /* partial checksums travel as such */
	u32 frames_max;      /* in flight, each direction; more are dropped (counted `overflow`) */
	u32 superframes_max; /* of these, longer than a small buffer; both directions together */
};

struct sim_link_counters {
	u64 entered, delivered;
	u64 lost, burst_lost, overflow, filtered, down;
	u64 reordered, duplicated, corrupted, marked;
};

struct sim_wire;

size_t sim_wire_bytes(const struct sim_wire_config *config);

/* Lays a wire into `mem` (sim_wire_bytes(), 4096-aligned, the caller's). pool[i] is what end i
 * receives into and sends from. */
struct sim_wire *sim_wire_init(void *mem, const struct sim_wire_config *config,
                               struct buf_pool *const pool[2]);

/* One end, 0 or 1. Nothing needs to be released: destroy() does nothing. */
struct port *sim_wire_port(struct sim_wire *wire, u32 end);

/* Virtual time, never going back: frames sent from now on leave at it, and receive() returns what
 * has arrived by then. */
void sim_wire_set_now(struct sim_wire *wire, u64 now_ns);

/* When the next frame arrives at an end; UINT64_MAX: none is under way. */
u64 sim_wire_next_ns(const struct sim_wire *wire, u32 end);

/* Changes a direction while frames are under way: what already left keeps its arrival time. */
void sim_wire_set_link(struct sim_wire *wire, u32 direction, const struct sim_link *link);

/* Down: everything sent is lost, and what is under way too. */
void sim_wire_set_up(struct sim_wire *wire, bool up);
void sim_wire_set_mtu(struct sim_wire *wire, u32 mtu_bytes);
void sim_wire_set_filter(struct sim_wire *wire, sim_wire_filter filter, void *context);

void sim_wire_counters(const struct sim_wire *wire, u32 direction, struct sim_link_counters *ret);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A simulated machine: a soft host, one or two software targets with a port each, and the host side
 * between them. One port is in use at a time. Runs in virtual time: the owner sets it, calls
 * machine_receive() and machine_send(), and asks when to call again.
 *
 * A target may die: its private memory is lost, its arena is not. A successor is made over the
 * arena, and what the host waits for is asked again. Or the machine may leave a target for the
 * other one: everything is uploaded, then the host gets the other device.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "host/host.h"
#include "host/soft/soft.h"
#include "port/port.h"
#include "sim/spy.h"
#include "target/target.h"

enum { MACHINE_TARGETS = 2 };

struct machine_config {
	struct soft_config soft;
	struct target_config target[MACHINE_TARGETS];
	u32 targets; /* 1 or 2 */
	struct host_config host;
	u64 turn_ns; /* between two turns while a move is under way */
	/* What the application is told, and frames as they leave (by the target, or by the host's
	 * stack) and arrive; each may be NULL. */
	void *ctx;
	void (*done)(void *ctx, const struct host_done *done, u32 n);
	void (*notice)(void *ctx, const struct host_notice *notices, u32 n);
	void (*sent)(void *ctx, struct tx_frame *frames, u32 n, bool by_target);
	void (*received)(void *ctx, const struct rx_frame *frames, u32 n, struct buf_pool *pool);
	struct host_policy policy;
	struct host_refuse refuse;
};

/* A target and its port. */
struct machine_side {
	struct target *target;
	void *arena;
	struct buf_pool *pool;
	struct port *port;
	struct tx_batch tx;
};

struct machine {
	struct machine_config config;
	struct machine_side side[MACHINE_TARGETS];
	u32 active;   /* whose port and target are in use */
	bool leaving; /* for the other target, once nothing is left in this one */
	struct soft *soft;
	struct host *host;
	struct device device;
	struct spy spy;
	struct buf_pool *pool; /* the first target's, and the soft host's */
	struct tx_batch soft_tx;
	u64 now_ns;
	u64 stalled_ns; /* until when the target's core does nothing */
	bool busy;      /* a move goes on with the next turn */
	u64 frames_to_host;
	u64 frames_lost; /* for want of a buffer, between the pools */
	u32 deaths;
	u8 dies;  /* enum machine_phase; 0: it lives on */
	u8 death; /* enum machine_death */
	void *mem[16];
	u32 n_mem;
};

/* Allocates all of it; NULL: out of memory. The ports follow by machine_plug(). */
struct machine *machine_create(const struct machine_config *config);
void machine_destroy(struct machine *m);
void machine_plug(struct machine *m, u32 side, struct port *port);

void machine_set_time(struct machine *m, u64 now_ns);
/* Receives what has arrived, runs what is due, lets a move go on by one step. */
void machine_receive(struct machine *m);
/* Sends what is owed: after the application had its turn. */
void machine_send(struct machine *m);
/* When it must turn next, without frames arriving; UINT64_MAX: never. */
u64 machine_next_ns(const struct machine *m);

static inline struct target *machine_target(const struct machine *m)
{
	return m->side[m->active].target;
}

/* The target's core does nothing until then: frames wait in the port, calls are not made. */
void machine_stall(struct machine *m, u64 until_ns);
static inline bool machine_is_stalled(const struct machine *m)
{
	return m->now_ns < m->stalled_ns;
}

enum machine_death {
	MACHINE_REBUILT, /* a successor goes on from the arena */
	MACHINE_HOME,    /* a successor, which gives all to the host */
	MACHINE_SPARE,   /* as HOME, then the other target is used (with two) */
};
/* Where in a turn. What the target has done by then is in the arena; what it would have sent, or
 * told the host, is lost with it. */
enum machine_phase {
	MACHINE_NOW, /* between two turns */
	MACHINE_AFTER_INPUT,
	MACHINE_AFTER_TIMERS,
	MACHINE_AFTER_EVENTS,
	MACHINE_BEFORE_FLUSH,
	MACHINE_PHASES,
};
/* The target in use dies, now or in its next turn. */
void machine_kill(struct machine *m, enum machine_death what_follows, enum machine_phase phase);

#endif

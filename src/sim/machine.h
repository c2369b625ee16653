/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A simulated machine: a soft host, a software target, the host side between them, and one port.
 * Runs in virtual time: the owner sets it, calls machine_turn(), and asks when to call again.
 */
#ifndef SIM_MACHINE_H
#define SIM_MACHINE_H

#include "host/host.h"
#include "host/soft/soft.h"
#include "port/port.h"
#include "target/target.h"

struct machine_config {
	struct soft_config soft;
	struct target_config target;
	struct host_config host;
	u64 turn_ns; /* between two turns while a move is under way */
	/* What the application is told; may be NULL. */
	void *ctx;
	void (*done)(void *ctx, const struct host_done *done, u32 n);
	void (*notice)(void *ctx, const struct host_notice *notices, u32 n);
	struct host_policy policy;
	struct host_refuse refuse;
};

struct machine {
	struct machine_config config;
	struct target *target;
	struct soft *soft;
	struct host *host;
	struct device device;
	struct port *port;
	struct buf_pool *pool; /* the target's, everybody's here */
	u64 now_ns;
	bool busy; /* a move goes on with the next turn */
	bool owes; /* frames that the port did not take yet */
	struct tx_batch tx;
	u64 frames_to_host;
	void *mem[5];
	u32 n_mem;
};

/* Allocates all of it; NULL: out of memory. The port follows by machine_plug(). */
struct machine *machine_create(const struct machine_config *config);
void machine_destroy(struct machine *m);
void machine_plug(struct machine *m, struct port *port);

void machine_set_time(struct machine *m, u64 now_ns);
/* Receives what has arrived, runs what is due, lets a move go on by one step. */
void machine_receive(struct machine *m);
/* Sends what is owed: after the application had its turn. */
void machine_send(struct machine *m);
/* When it must turn next, without frames arriving; UINT64_MAX: never. */
u64 machine_next_ns(const struct machine *m);

#endif

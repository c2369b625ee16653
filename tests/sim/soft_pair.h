/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two stations on a simulated wire, each a soft host with a target of its own that it can move its
 * connections to. Neighbors, paths and everything else come into being by the protocols; nothing is
 * set by hand. Bytes are counted and compared with a pattern.
 */
#ifndef SOFT_PAIR_H
#define SOFT_PAIR_H

#include "host/host.h"
#include "host/soft/priv.h"
#include "port/sim.h"
#include "target/target.h"

enum {
	PAIR_CONNS = 8,
	PAIR_PORT = 80,
	PAIR_MTU = 1500,
};

struct station {
	struct target *target;
	struct soft *soft;
	struct host *host;
	struct device device;
	struct buf_pool *pool;
	struct port *port;
	struct tx_batch tx;
	struct pair *pair;
	u32 side;
	bool busy;
	void *mem[5];
	u32 n_mem;
	u32 baseline;
	/* of each connection: its names, and how far the pattern went */
	u64 soft_conn[PAIR_CONNS];
	handle conn[PAIR_CONNS];
	u32 sent[PAIR_CONNS], received[PAIR_CONNS];
	bool ended[PAIR_CONNS];
};

struct pair {
	struct station at[2];
	struct sim_wire *wire;
	void *wire_mem;
	u64 now_ns;
	bool v6;
	u32 n; /* connections, 0 opened them all */
	/* Sees every frame; false: it is lost. May be NULL. */
	bool (*filter)(struct pair *p, u32 from, const u8 *frame, u32 len);
	u32 seen; /* for the filter */
};

struct pair_options {
	bool v6;
	u8 cookies; /* of the listener */
	bool plpmtud;
	u64 reachable_ns;        /* of the soft hosts; 0: 30 s */
	u64 target_reachable_ns; /* 0: 30 s */
	u32 ask;                 /* target_ask bits */
};

void pair_init(struct pair *p, const struct pair_options *o);
/* Brings everything home, drops it, and checks that nothing is missing. */
void pair_end(struct pair *p);
void pair_run(struct pair *p, u64 for_ns);
/* Opens n connections and has them accepted. */
void pair_open(struct pair *p, u32 n);
/* Accepts what waits, as connection i. */
void pair_accept(struct pair *p, u32 i);
/* Sends `len` bytes each way on every connection and runs until they are there. */
void pair_exchange(struct pair *p, u32 len);
/* Queues bytes on one end; returns at once. */
void pair_send(struct pair *p, u32 side, u32 i, u32 len);
/* Moves every connection of a side; asserts the status of each. */
void pair_move(struct pair *p, u32 side, bool upload, u16 want);
/* Moves one. */
u16 pair_move_one(struct pair *p, u32 side, u32 i, bool upload);
/* FIN after what is queued. */
void pair_shutdown(struct pair *p, u32 side, u32 i);
struct ip_addr pair_addr(const struct pair *p, u32 side);
u8 pair_reach(struct pair *p, u32 side);
/* The state of a connection, whoever has it. */
u8 pair_state(struct pair *p, u32 side, u32 i);
/* A frame comes to a station as if from the wire. */
void pair_frame(struct pair *p, u32 to, const u8 *bytes, u32 len);

#endif

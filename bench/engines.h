/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two TCP engines joined by an in-memory wire, driven by one thread, with an application at each
 * end: end 0 serves (echoes messages or swallows a stream), end 1 is the client.
 *
 * The loop of each end is the cycle of a lane: receive, input, timers, events, the application's
 * answers, flush, transmit, with one reading of the clock. One copy into the send queue, one over
 * the wire, one out of the receive queue (unless `in_place`).
 */
#ifndef BENCH_ENGINES_H
#define BENCH_ENGINES_H

#include "port/pair.h"
#include "tcp/engine.h"

enum { ENGINE_SERVER, ENGINE_CLIENT, ENGINE_ENDS, ENGINE_BATCH = 64, ENGINE_MSG_BYTES = 64 };

struct engines_config {
	u32 n;              /* connections */
	u32 gso_max_bytes;  /* 0: MSS-sized frames only */
	bool software_csum; /* sender computes, receiver verifies */
	bool timestamps;
	bool echo;     /* the server echoes, otherwise it swallows */
	bool in_place; /* the server does not copy what it swallows */
};

struct engine_end {
	struct tcp_engine *engine;
	struct port *port;
	struct buf_pool pool;
	void *arena, *pool_mem;
	u32 path;
	u32 *conns; /* client: the connections in the order in which they were opened */
	u32 n_conns;
	u64 bytes;    /* read by the application */
	u64 messages; /* client: whole answers read */
	u32 established;
	u32 outstanding;
	u64 not_consumed; /* frames that the engine gave back, but for SYNs */
	bool running;     /* client: answers are followed by further requests */
	struct tx_frame tx[ENGINE_BATCH];
	u32 tx_n;
};

struct engines {
	struct engines_config config;
	struct engine_end end[ENGINE_ENDS];
	struct port_pair *pair;
	void *pair_mem;
	u64 now_ns;
};

/* Makes both ends and opens config->n connections. 0, -ENOMEM, or -EIO when they do not come up. */
int engines_open(struct engines *es, const struct engines_config *config) MUST_CHECK;
void engines_close(struct engines *es);

/* One cycle of both ends; how many frames were received. */
u32 engines_cycle(struct engines *es);
/* Cycles until nothing moves. */
void engines_settle(struct engines *es);
/* Cycles for `ns`: with 100 ms delayed ACKs are out, and every queue is empty. */
void engines_idle(struct engines *es, u64 ns);

/* Request-response, or one stream to the server, for about `ns`. *ret_count: answers, or bytes that
 * the server read; *ret_ns: CPU time used. -EIO: frames were not consumed, or answers are missing.
 */
int engines_rr(struct engines *es, u64 ns, u64 *ret_count, u64 *ret_ns) MUST_CHECK;
int engines_bulk(struct engines *es, u64 ns, u64 *ret_count, u64 *ret_ns) MUST_CHECK;

/* The state of an idle, established connection between two engines, and what it hangs on. */
struct engines_template {
	struct neighbor_state neighbor;
	struct path_state path;
	struct tcp_state conn;
	u64 now_ns; /* when it was taken */
};
int engines_template(struct engines_template *ret) MUST_CHECK;

#endif

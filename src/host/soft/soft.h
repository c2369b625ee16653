/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The soft host: a small host stack of our own, made of a TCP engine, so that the whole of a host
 * can run in a simulation. It opens and accepts connections, answers for them, and lets them be
 * moved out and back (struct backend). Routes and neighbors are set by the caller: neither ARP nor
 * ICMP is spoken here; frames that are neither a segment of a connection nor a SYN for a listener
 * are counted as strays and dropped, without a RST.
 *
 * Sans-I/O like the core: time and memory are given. Payload lies in a pool that the caller gives,
 * the one that the port sends from.
 */
#ifndef HOST_SOFT_SOFT_H
#define HOST_SOFT_SOFT_H

#include "host/backend.h"
#include "host/host.h"
#include "tcp/engine.h"

struct soft;

struct soft_config {
	struct tcp_engine_config engine; /* sizes of its tables too */
	struct ip_addr local;
	struct mac_addr mac;
	u32 max_listeners;
	struct tcp_cached settings; /* of new connections */
	u8 options;                 /* tcp_option_bits offered and accepted */
	u8 rcv_wscale;
	u16 mss;
	bool ip_id_confined; /* R61: use the host's half of the IP IDs of a path only */
};

/* Bytes that a soft host takes; 4096-aligned. */
size_t soft_bytes(const struct soft_config *config);

/* `mem` and `pool` are the caller's and must outlive it. */
struct soft *soft_init(void *mem, const struct soft_config *config, struct buf_pool *pool);

/* -- routes and neighbors ---------------------------------------------------------------------- */

/* Makes or changes a next hop. -ENOSPC. */
int soft_neighbor(struct soft *s, const struct ip_addr *next_hop, const struct mac_addr *mac,
                  u32 port);
/* Makes or changes the route to a remote address. -ENOENT: no such next hop; -ENOSPC. */
int soft_route(struct soft *s, const struct ip_addr *remote, const struct ip_addr *next_hop,
               u32 mtu);

/* What host.h knows them by. The state is filled in too when ret_state is not NULL. -ENOENT. */
int soft_path_key(const struct soft *s, const struct ip_addr *remote, struct path_key *ret_key);
int soft_neighbor_key(const struct soft *s, const struct ip_addr *next_hop,
                      struct neighbor_key *ret_key, struct neighbor_state *ret_state);

/* -- connections ------------------------------------------------------------------------------- */

/* -ENOSPC: too many listeners. */
int soft_listen(struct soft *s, u16 port);
/* -ENOENT: no route; else as tcp_open(). The name is the one that struct move::conn carries. */
int soft_connect(struct soft *s, const struct ip_addr *remote, u16 remote_port, u16 local_port,
                 u64 *ret_conn) MUST_CHECK;
/* The next accepted connection that is established; false: none. */
bool soft_accept(struct soft *s, u64 *ret_conn);
/* Forgets a connection; what the engine still has of it is freed without a word to the peer. */
void soft_close(struct soft *s, u64 conn);
/* enum tcp_state_name; TCP_CLOSED when it is not in this stack (moved, or ended). */
u8 soft_state(const struct soft *s, u64 conn);
/* TCP_EV_ bits since the last call. */
u32 soft_take_events(struct soft *s, u64 conn);
/* DELEGATED and the rest, of a connection that is here; false: it is not. */
bool soft_look(struct soft *s, u64 conn, struct tcp_state *ret_state);

/* -- the cycle --------------------------------------------------------------------------------- */

void soft_set_time(struct soft *s, u64 now_ns);
void soft_timers(struct soft *s, u64 now_ns);
/* Collects what the engine has to say. */
void soft_events(struct soft *s);
/* True: something is left to be sent. */
bool soft_flush(struct soft *s, struct tx_batch *tx, u64 now_ns);
u64 soft_next_deadline(const struct soft *s);

/* Injects a failure for tests: the n-th call from now on of one step of a move fails (0: none). */
enum soft_fault {
	SOFT_FAULT_FREEZE,
	SOFT_FAULT_DETACH,
	SOFT_FAULT_IMPORT,
	SOFT_FAULTS,
};
void soft_fail(struct soft *s, enum soft_fault fault, u32 nth);

struct soft_counters {
	u64 frames; /* injected */
	u64 strays; /* of no connection here, and no SYN for a listener */
	u64 not_taken;
	u64 freezes, thaws, imports;
	u64 holds, fences;
};
const struct soft_counters *soft_counters(const struct soft *s);
const struct tcp_engine_counters *soft_engine_counters(const struct soft *s);
struct tcp_engine *soft_engine(struct soft *s);

/* The two views that a host takes. */
struct backend soft_backend(struct soft *s);
struct host_stack soft_stack(struct soft *s);

#endif

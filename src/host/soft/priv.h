/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#ifndef HOST_SOFT_PRIV_H
#define HOST_SOFT_PRIV_H

#include "base/slot.h"
#include "host/soft/soft.h"

enum {
	SOFT_ACKS = 64, /* ACKs that freezes owe, until the next flush */
	SOFT_EVENTS = 64,
};

struct soft_conn {
	struct ip_addr remote;
	u32 eng; /* NIL: not in this engine */
	u32 events;
	u16 local_port, remote_port;
	bool frozen;
	bool passive; /* to be accepted */
	u32 accept_next;
};

struct soft_route_entry {
	struct ip_addr remote;
	u32 neighbor;
	u32 path; /* the engine's */
	u32 mtu;
	u16 ip_id_start;
};

struct soft_neighbor_entry {
	struct ip_addr next_hop;
	struct mac_addr mac;
	u32 port;
	u32 eng;
};

struct soft {
	struct soft_config config;
	struct tcp_engine *engine;
	struct buf_pool *pool;
	struct slots slots;
	struct soft_conn *conn;
	u32 *of_engine; /* our index of each of the engine's connections */
	struct soft_route_entry *route;
	struct soft_neighbor_entry *neighbor;
	u16 *listener;
	u32 n_routes, n_neighbors, n_listeners;
	u32 accept_head, accept_tail;
	struct tx_frame acks[SOFT_ACKS];
	u32 n_acks;
	u32 fail_in[SOFT_FAULTS];
	u64 now_ns;
	struct soft_counters counters;
};

extern const struct backend_ops soft_backend_ops;

struct soft_conn *soft_find(const struct soft *s, u64 conn);
struct soft_route_entry *soft_find_route(const struct soft *s, const struct ip_addr *remote);
/* Frames as they come: consumed, opened, or counted as strays. The buffers become the engine's or
 * are released. */
void soft_input(struct soft *s, struct rx_frame *frame);

#endif

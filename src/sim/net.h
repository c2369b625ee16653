/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The network between simulated machines: a switch that routes, and a wire (port/sim.h) from it to
 * each port of each machine. A frame that a machine sends crosses its own wire, is looked at by the
 * switch, and crosses the wire of the port that the machine of its destination address uses.
 *
 * Every machine sees WORLD_HOPS next hops, which are all this switch. A hop's MAC address can be
 * changed: the old one is answered for a while, as a router pair does, and then no more.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "base/buf.h"
#include "port/sim.h"

enum {
	NET_MACHINES = 16,
	NET_PORTS = 2, /* of each machine */
	NET_HOPS = 4,
};

struct net_config {
	u64 seed;
	u32 machines;
	u32 ports[NET_MACHINES];
	struct buf_pool *pool[NET_MACHINES][NET_PORTS];
	struct sim_link link[NET_MACHINES]; /* of all its wires, in both directions */
	u32 mtu[NET_MACHINES];
	u32 frames_max; /* under way on one wire, each direction */
	u64 old_mac_ns; /* how long a hop's former address is answered */
};

struct net_hop {
	struct mac_addr mac, old;
	u64 old_until_ns;
};

struct net_counters {
	u64 routed;
	u64 misaddressed; /* to no MAC address of a hop */
	u64 unroutable;   /* to no machine */
	u64 too_big;
	u64 no_buffer;
};

struct net {
	struct net_config config;
	struct sim_wire *wire[NET_MACHINES][NET_PORTS];
	u32 active[NET_MACHINES]; /* the port that frames to the machine take */
	struct net_hop hop[NET_MACHINES][NET_HOPS];
	struct buf_pool pool; /* of frames that the switch looks at */
	void *pool_mem;
	u64 now_ns;
	struct net_counters counters;
};

/* False: out of memory; nothing is held. */
bool net_init(struct net *net, const struct net_config *config);
void net_fini(struct net *net);

/* Addresses: of machine i, and of a hop in the family of those that use it. */
struct ip_addr net_addr(u32 machine, bool v6);
struct ip_addr net_hop_addr(u32 hop, bool v6);

struct port *net_port(struct net *net, u32 machine, u32 port);

void net_set_now(struct net *net, u64 now_ns);
/* Moves what has arrived at the switch on its way. */
void net_route(struct net *net);
/* Sends a frame of the switch's pool to a machine, by the port that it uses. */
void net_send(struct net *net, u32 machine, const struct rx_frame *f);
/* When a frame arrives at the switch; at a machine's port in use. UINT64_MAX: none. */
u64 net_next_ns(const struct net *net);
u64 net_arrival_ns(const struct net *net, u32 machine);

void net_set_link(struct net *net, u32 machine, const struct sim_link *link);
/* Of the link to a machine: what does not fit is answered by ICMP. */
void net_set_mtu(struct net *net, u32 machine, u32 mtu);
void net_set_up(struct net *net, u32 machine, bool up);
void net_set_mac(struct net *net, u32 machine, u32 hop, const struct mac_addr *mac);

#endif

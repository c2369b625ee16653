/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Paths and neighbors as the kernel sees them, kept: a thousand connections to one peer are one
 * question. Changes come in by linux/monitor.h.
 *
 * Not thread-safe. Entries stay until routes_destroy().
 */
#ifndef LINUX_ROUTES_H
#define LINUX_ROUTES_H

#include "linux/rtnl.h"

struct routes;

struct neighbor_entry {
	struct ip_addr next_hop;
	u32 ifindex;
	struct mac_addr mac;
	struct mac_addr port_mac;
	bool valid; /* the MAC may be used */
	bool managed;
	u64 confirmed_ns; /* when it was confirmed to the kernel last */
};

struct path_entry {
	struct path_key question;    /* ifindex: what the socket is bound to, 0: nothing */
	u16 local_port, remote_port; /* asked with, where the route is multipath */
	struct route_answer route;
	u32 neighbor;    /* index, NIL: none */
	u32 mtu_bytes;   /* in force: the route's, the interface's, or what ICMP has told since */
	u32 learned_mtu; /* by ICMP, 0: nothing */
	u64 learned_ns;  /* and when */
	u64 asked_ns;    /* when the kernel was asked last */
	int err;         /* 0, or -Exxx of the last question */
};

int routes_create(struct routes **ret_routes) MUST_CHECK;
void routes_destroy(struct routes *r);

/* The path, asked for when it is new. NIL: no memory. A path without a route has `err` set. */
u32 routes_path(struct routes *r, const struct path_key *question, u16 local_port, u16 remote_port);

/* Changes are followed from now on (linux/events.h): what is kept need not be asked again. */
void routes_followed(struct routes *r, bool on);

/* Asks the kernel again where nobody follows changes and the answer is older than a second, or
 * where there was no route. */
void routes_freshen(struct routes *r, u32 path, u64 now_ns);

/* Asks the kernel again; true when interface, next hop, MTU or type have changed. */
bool routes_refresh(struct routes *r, u32 path);

struct path_entry *routes_path_at(struct routes *r, u32 index);
struct neighbor_entry *routes_neighbor_at(struct routes *r, u32 index);
u32 routes_paths(const struct routes *r);
u32 routes_neighbors(const struct routes *r);

/* The neighbor's index, NIL: not among those of our paths. */
u32 routes_neighbor_find(const struct routes *r, const struct ip_addr *next_hop, u32 ifindex);

/* Waits until the neighbor resolves, at most `wait_ms`; true when it is valid. */
bool routes_resolve(struct routes *r, u32 neighbor, u32 wait_ms);

/* Forward progress: tells the kernel that the neighbor is reachable, at most once in
 * `interval_ns`. -Exxx of the kernel. */
int routes_confirm(struct routes *r, u32 neighbor, u64 now_ns, u64 interval_ns) MUST_CHECK;

/* MTU of an interface, 0: there is none of that index. */
u32 routes_interface_mtu(u32 ifindex);
/* Up, with a carrier. */
bool routes_interface_up(u32 ifindex);
/* Its Ethernet address; false: it has none. */
bool routes_interface_mac(u32 ifindex, struct mac_addr *ret_mac);

/* The socket for questions; for callers that need one more. */
struct mnl_socket *routes_socket(struct routes *r);

#endif

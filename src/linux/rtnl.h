/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* rtnetlink requests and what their answers say: one route, one neighbor, dumps of neighbors. */
#ifndef LINUX_RTNL_H
#define LINUX_RTNL_H

#include "host/backend.h"

struct mnl_socket;
struct nlmsghdr;

struct route_answer {
	struct ip_addr next_hop; /* the destination itself on a connected network */
	u32 ifindex;
	u32 mtu_bytes;   /* of the route or a path MTU learned, 0: the interface's */
	u8 type;         /* RTN_UNICAST, RTN_LOCAL, ... */
	bool congestion; /* the route sets an initial cwnd, a clamp or ssthresh */
	bool multipath;  /* several next hops: ask with the ports, the answer depends on them */
};

struct neighbor_answer {
	struct ip_addr next_hop;
	u32 ifindex;
	struct mac_addr mac;
	u16 nud; /* NUD_xxx; the MAC counts while one of NUD_VALID */
	bool has_mac;
	bool managed; /* NTF_EXT_MANAGED */
	bool gone;    /* RTM_DELNEIGH */
};

/* A socket bound to rtnetlink, joined to the groups of bit mask `groups` (1 << RTNLGRP_xxx), with
 * a receive buffer of `rcvbuf` bytes where that is not 0. */
int rtnl_open(u64 groups, int rcvbuf, struct mnl_socket **ret_socket) MUST_CHECK;

/* The route that the kernel would use (trap 20), by the ports too where key->hash is not 0.
 * -ENETUNREACH and other -Exxx of the kernel. */
int rtnl_route(struct mnl_socket *s, const struct path_key *key, u16 local_port, u16 remote_port,
               struct route_answer *ret) MUST_CHECK;

/* -ENOENT: the kernel does not know the neighbor. */
int rtnl_neighbor(struct mnl_socket *s, const struct ip_addr *next_hop, u32 ifindex,
                  struct neighbor_answer *ret) MUST_CHECK;

/* Lets the kernel resolve the neighbor and keep it resolved without traffic (NTF_EXT_MANAGED, trap
 * 21); `on` false: lets it age again. */
int rtnl_manage_neighbor(struct mnl_socket *s, const struct ip_addr *next_hop, u32 ifindex,
                         bool on) MUST_CHECK;

/* Confirms a neighbor: forward progress was made through it (RFC 4861 7.3.1). The kernel takes this
 * as the end of managing it, so that is asked for again. */
int rtnl_confirm_neighbor(struct mnl_socket *s, const struct neighbor_answer *n) MUST_CHECK;

/* Calls `each` for every neighbor that the kernel knows. */
int rtnl_dump_neighbors(struct mnl_socket *s,
                        void (*each)(void *arg, const struct neighbor_answer *n),
                        void *arg) MUST_CHECK;

/* Reads a neighbor message; false: it is of no interest (no address of either family). */
bool rtnl_parse_neighbor(const struct nlmsghdr *h, struct neighbor_answer *ret);

#endif

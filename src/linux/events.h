/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What happens in the kernel that a host must know of: neighbors, routes, links, MTUs (rtnetlink
 * multicast), and ICMP errors about offloaded flows. One descriptor to poll, one call to serve it.
 */
#ifndef LINUX_EVENTS_H
#define LINUX_EVENTS_H

#include "host/backend.h"

#include "base/hash.h"

struct events;
struct linux_backend;

/* Called from events_serve(). Keys are those that inspect gave out. Members may be NULL. */
struct events_ops {
	/* The same next hop has another MAC (semantics 5.8). */
	void (*neighbor_changed)(void *ctx, const struct neighbor_key *key,
	                         const struct mac_addr *mac);
	/* The kernel cannot resolve it any more. */
	void (*neighbor_lost)(void *ctx, const struct neighbor_key *key);
	/* These paths go by another next hop of the same port now. */
	void (*route_changed)(void *ctx, const struct path_key *paths, u32 n,
	                      const struct neighbor_key *to, const struct neighbor_state *state);
	/* No route is left, or it leaves by an interface that is not managed. */
	void (*route_lost)(void *ctx, const struct path_key *path);
	void (*path_mtu)(void *ctx, const struct path_key *path, u32 mtu_bytes);
	void (*link)(void *ctx, u32 port, bool up);
	/* Is `seq` among the bytes that the flow has sent and that are not acknowledged (RFC 5927
	 * 4.1)? An ICMP error is believed only then. NULL: none is. */
	bool (*in_flight)(void *ctx, const struct flow_key *flow, tcp_seq seq);
};

struct events_counters {
	u64 neighbor_changes, route_changes, mtu_changes, link_changes;
	u64 overruns; /* messages were lost: everything was read again */
	u64 icmp_accepted, icmp_refused, icmp_malformed;
	u64 fragments, reassembled, fragments_dropped;
};

/* Watches on behalf of a backend that has its ports already. `ops` is copied. -Exxx. */
int events_create(struct linux_backend *b, const struct events_ops *ops, void *ctx,
                  struct events **ret_events) MUST_CHECK;
void events_destroy(struct events *ev);

/* Readable when events_serve() has something to do. */
int events_fd(const struct events *ev);

/* Handles what has come in; `now_ns` is CLOCK_MONOTONIC. Also to be called every few seconds when
 * nothing came: a path MTU that ICMP told is forgotten after ten minutes (RFC 1191 6.3). */
void events_serve(struct events *ev, u64 now_ns);

/* Forward progress through a neighbor: the kernel is told that it is reachable, at most once in a
 * reachable time (trap 21). */
void events_confirm(struct events *ev, const struct neighbor_key *key, u64 now_ns);

void events_counters(const struct events *ev, struct events_counters *ret);

#endif

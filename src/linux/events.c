// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/events.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "linux/events_priv.h"

enum {
	RECEIVE_BUFFER = 4 << 20,
	MESSAGE_BYTES = 65536,
	PATHS_AT_ONCE = 256,
	NUD_USABLE = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY,
};

#define CONFIRM_INTERVAL_NS (15 * NS_PER_S) /* half of the kernel's base reachable time */
#define LEARNED_MTU_NS      (600 * NS_PER_S)

static const u64 groups = 1ull << RTNLGRP_LINK | 1ull << RTNLGRP_NEIGH |
                          1ull << RTNLGRP_IPV4_ROUTE | 1ull << RTNLGRP_IPV6_ROUTE |
                          1ull << RTNLGRP_IPV4_RULE | 1ull << RTNLGRP_IPV6_RULE |
                          1ull << RTNLGRP_NEXTHOP;

struct path_key events_path_key(const struct path_entry *p)
{
	struct path_key key = p->question;

	key.ifindex = p->route.ifindex;
	return key;
}

static struct neighbor_key neighbor_key_of(struct events *ev, const struct neighbor_entry *n)
{
	const struct backend_port *port = backend_port(ev->b, n->ifindex);

	return (struct neighbor_key){
		.next_hop = n->next_hop, .ifindex = n->ifindex, .port = port ? port->port : 0};
}

/* -- neighbors ----------------------------------------------------------------------------------
 */

/* Someone has deleted or replaced the entry: the kernel is to keep it resolved again (trap 21). */
static void hold_neighbor(struct events *ev, struct neighbor_entry *n,
                          const struct neighbor_answer *a)
{
	if ((a->managed && !a->gone) || (a->nud & NUD_PERMANENT))
		return;
	n->managed = rtnl_manage_neighbor(routes_socket(ev->b->routes), &n->next_hop, n->ifindex,
	                                  true) == 0;
}

static void neighbor_seen(void *arg, const struct neighbor_answer *a)
{
	struct events *ev = arg;
	u32 i = routes_neighbor_find(ev->b->routes, &a->next_hop, a->ifindex);
	struct neighbor_entry *n;
	struct neighbor_key key;

	if (i == NIL)
		return;
	n = routes_neighbor_at(ev->b->routes, i);
	key = neighbor_key_of(ev, n);
	if (a->has_mac && !a->gone && (a->nud & NUD_USABLE)) {
		bool same = n->valid && !memcmp(n->mac.b, a->mac.b, sizeof(a->mac.b));

		n->mac = a->mac;
		n->valid = true;
		hold_neighbor(ev, n, a);
		if (same)
			return;
		ev->counters.neighbor_changes++;
		if (ev->ops.neighbor_changed)
			ev->ops.neighbor_changed(ev->ctx, &key, &n->mac);
		return;
	}
	if (n->valid && (a->gone || (a->nud & NUD_FAILED))) {
		n->valid = false;
		ev->counters.neighbor_changes++;
		if (ev->ops.neighbor_lost)
			ev->ops.neighbor_lost(ev->ctx, &key);
	}
	hold_neighbor(ev, n, a);
}

/* -- routes and MTUs ----------------------------------------------------------------------------
 */

void events_mtu(struct events *ev, u32 index)
{
	const struct path_entry *p = routes_path_at(ev->b->routes, index);
	struct path_key key = events_path_key(p);

	ev->counters.mtu_changes++;
	if (ev->ops.path_mtu)
		ev->ops.path_mtu(ev->ctx, &key, p->mtu_bytes);
}

struct moved_paths {
	struct path_key keys[PATHS_AT_ONCE];
	u32 n;
	u32 neighbor; /* all of them go by it now */
};

static void moved_flush(struct events *ev, struct moved_paths *m)
{
	struct neighbor_entry *n;
	struct neighbor_state state = {0};
	struct neighbor_key key;
	struct backend_port *port;

	if (!m->n)
		return;
	routes_resolve(ev->b->routes, m->neighbor, ev->b->config.resolve_wait_ms);
	n = routes_neighbor_at(ev->b->routes, m->neighbor);
	port = backend_port(ev->b, n->ifindex);
	key = neighbor_key_of(ev, n);
	state.k.source_mac = n->port_mac;
	state.k.port = port ? port->port : 0;
	state.c.next_hop_mac = n->mac;
	if (ev->ops.route_changed)
		ev->ops.route_changed(ev->ctx, m->keys, m->n, &key, &state);
	m->n = 0;
}

static void path_lost(struct events *ev, struct path_key key)
{
	if (ev->ops.route_lost)
		ev->ops.route_lost(ev->ctx, &key);
}

/* One path that the kernel answers differently now. `before` is what it was. */
static void path_changed(struct events *ev, u32 index, const struct path_entry *before,
                         struct moved_paths *moved)
{
	const struct path_entry *p = routes_path_at(ev->b->routes, index);
	struct path_key key = events_path_key(before);

	ev->counters.route_changes++;
	if (p->err || p->neighbor == NIL || p->route.ifindex != before->route.ifindex) {
		path_lost(ev, key);
		return;
	}
	if (p->neighbor != before->neighbor) {
		if (moved->n == PATHS_AT_ONCE || moved->neighbor != p->neighbor)
			moved_flush(ev, moved);
		moved->neighbor = p->neighbor;
		moved->keys[moved->n++] = key;
	}
	if (p->mtu_bytes != before->mtu_bytes)
		events_mtu(ev, index);
}

static void refresh_paths(struct events *ev)
{
	struct moved_paths *moved = calloc(1, sizeof(*moved));
	u32 n = routes_paths(ev->b->routes);

	if (!moved)
		return; /* still dirty: the next event tries again */
	ev->routes_dirty = false;
	for (u32 i = 0; i < n; i++) {
		struct path_entry before = *routes_path_at(ev->b->routes, i);

		if (routes_refresh(ev->b->routes, i))
			path_changed(ev, i, &before, moved);
	}
	moved_flush(ev, moved);
	free(moved);
}

/* RFC 1191 6.3: a path MTU that was learned is tried again after ten minutes. */
static void forget_learned(struct events *ev, u64 now_ns)
{
	for (u32 i = 0; i < routes_paths(ev->b->routes); i++) {
		struct path_entry *p = routes_path_at(ev->b->routes, i);

		if (!p->learned_mtu || now_ns - p->learned_ns < LEARNED_MTU_NS)
			continue;
		p->learned_mtu = 0;
		if (routes_refresh(ev->b->routes, i))
			events_mtu(ev, i);
	}
}

/* -- links --------------------------------------------------------------------------------------
 */

static void link_set(struct events *ev, u32 ifindex, bool up)
{
	for (u32 i = 0; i < ev->b->n_ports; i++) {
		if (ev->b->ports[i].ifindex != ifindex || ev->links[i] == up)
			continue;
		ev->links[i] = up;
		ev->counters.link_changes++;
		if (ev->ops.link)
			ev->ops.link(ev->ctx, ev->b->ports[i].port, up);
	}
}

static void link_seen(struct events *ev, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(h);
	bool up = h->nlmsg_type == RTM_NEWLINK && (link->ifi_flags & IFF_RUNNING) &&
	          (link->ifi_flags & IFF_UP);

	if (!backend_port(ev->b, (u32)link->ifi_index))
		return;
	link_set(ev, (u32)link->ifi_index, up);
	ev->routes_dirty = true; /* its MTU may be another one */
}

static void links_read(struct events *ev)
{
	for (u32 i = 0; i < ev->b->n_ports; i++)
		link_set(ev, ev->b->ports[i].ifindex, routes_interface_up(ev->b->ports[i].ifindex));
}

/* -- serving ------------------------------------------------------------------------------------
 */

static int message(const struct nlmsghdr *h, void *arg)
{
	struct events *ev = arg;
	struct neighbor_answer a;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (rtnl_parse_neighbor(h, &a))
			neighbor_seen(ev, &a);
		break;
	case RTM_NEWLINK:
	case RTM_DELLINK:
		link_seen(ev, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		ev->routes_dirty = true;
		break;
	}
	return MNL_CB_OK;
}

static void read_messages(struct events *ev)
{
	static _Thread_local char buf[MESSAGE_BYTES];
	ssize_t n;

	for (;;) {
		n = recv(mnl_socket_get_fd(ev->netlink), buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == ENOBUFS) {
			ev->overrun = true;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		(void)mnl_cb_run(buf, (size_t)n, 0, 0, message, ev);
	}
}

/* Messages were lost: what they would have told is found by reading everything. */
static void catch_up(struct events *ev)
{
	ev->overrun = false;
	ev->counters.overruns++;
	if (rtnl_dump_neighbors(routes_socket(ev->b->routes), neighbor_seen, ev))
		ev->overrun = true;
	links_read(ev);
	ev->routes_dirty = true;
}

void events_serve(struct events *ev, u64 now_ns)
{
	read_messages(ev);
	if (ev->overrun)
		catch_up(ev);
	if (ev->routes_dirty)
		refresh_paths(ev);
	forget_learned(ev, now_ns);
	events_taken(ev, now_ns);
}

void events_confirm(struct events *ev, const struct neighbor_key *key, u64 now_ns)
{
	u32 i = routes_neighbor_find(ev->b->routes, &key->next_hop, key->ifindex);

	/* A refusal costs nothing: the kernel then probes by itself. */
	if (i != NIL)
		(void)!routes_confirm(ev->b->routes, i, now_ns, CONFIRM_INTERVAL_NS);
}

void events_counters(const struct events *ev, struct events_counters *ret)
{
	*ret = ev->counters;
}

int events_fd(const struct events *ev)
{
	return ev->epoll_fd;
}

static int watch(struct events *ev, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};

	return epoll_ctl(ev->epoll_fd, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static int watch_all(struct events *ev)
{
	int err = watch(ev, mnl_socket_get_fd(ev->netlink));

	for (u32 i = 0; !err && i < ev->b->n_ports; i++) {
		struct hosttap *tap = steering_hosttap(ev->b->steering, ev->b->ports[i].ifindex);

		ev->links[i] = routes_interface_up(ev->b->ports[i].ifindex);
		if (tap)
			err = watch(ev, tap->fd);
	}
	return err;
}

int events_create(struct linux_backend *b, const struct events_ops *ops, void *ctx,
                  struct events **ret_events)
{
	struct events *ev = calloc(1, sizeof(*ev));
	int err;

	if (!ev)
		return -ENOMEM;
	ev->b = b;
	ev->ops = *ops;
	ev->ctx = ctx;
	ev->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	err = ev->epoll_fd < 0 ? -errno : fragments_create(&ev->fragments);
	if (!err)
		err = rtnl_open(groups,
		                b->config.netlink_buffer ? (int)b->config.netlink_buffer
		                                         : RECEIVE_BUFFER,
		                &ev->netlink);
	if (!err)
		err = watch_all(ev);
	if (err) {
		events_destroy(ev);
		return err;
	}
	routes_followed(b->routes, true);
	*ret_events = ev;
	return 0;
}

void events_destroy(struct events *ev)
{
	routes_followed(ev->b->routes, false);
	if (ev->netlink)
		mnl_socket_close(ev->netlink);
	if (ev->fragments)
		fragments_destroy(ev->fragments);
	if (ev->epoll_fd >= 0)
		close(ev->epoll_fd);
	free(ev);
}

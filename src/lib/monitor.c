/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What changes in the kernel becomes updates: one thread waits for the events of all lanes and
 * hands each to its host, under the lane's lock. One update an object, however many connections
 * hang below it.
 */
#include "lib/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
	TICK_MS = 2000, /* for what only time changes */
};

static void neighbor_changed(void *ctx, const struct neighbor_key *key, const struct mac_addr *mac)
{
	struct lib_lane *l = ctx;

	host_neighbor_changed(l->host, key, mac, LINK_DIX);
}

static void route_changed(void *ctx, const struct path_key *paths, u32 n,
                          const struct neighbor_key *to, const struct neighbor_state *state)
{
	struct lib_lane *l = ctx;

	/* No room for the neighbor: the paths go home, where the kernel knows the new route. */
	if (host_route_changed(l->host, paths, n, to, state) == -ENOSPC) {
		for (u32 i = 0; i < n; i++)
			host_invalidate_path(l->host, &paths[i]);
	}
}

static void route_lost(void *ctx, const struct path_key *path)
{
	struct lib_lane *l = ctx;

	host_invalidate_path(l->host, path);
}

static void path_mtu(void *ctx, const struct path_key *path, u32 mtu_bytes)
{
	struct lib_lane *l = ctx;

	host_path_mtu(l->host, path, mtu_bytes);
}

static void link_changed(void *ctx, u32 port, bool up)
{
	struct lib_lane *l = ctx;

	host_link(l->host, port, up);
}

static bool in_flight(void *ctx, const struct flow_key *flow, tcp_seq seq)
{
	struct lib_lane *l = ctx;
	struct tcp_state state;

	if (host_query(l->host, host_find(l->host, flow), &state))
		return false;
	return seq_geq(seq, state.d.snd_una) && seq_lt(seq, state.d.snd_max);
}

static const struct events_ops ops = {
	.neighbor_changed = neighbor_changed,
	.route_changed = route_changed,
	.route_lost = route_lost,
	.path_mtu = path_mtu,
	.link = link_changed,
	.in_flight = in_flight,
};

static void reached(void *ctx, const struct neighbor_key *key)
{
	struct lib_lane *l = ctx;

	events_confirm(l->events, key, lane_now_ns());
}

/* Forward progress that the kernel does not see (trap 21). */
static void tick(struct lib_lane *l)
{
	lane_lock(l->lane);
	host_reached(l->host, (u64)TICK_MS * NS_PER_MS, reached, l);
	lane_unlock(l->lane);
}

static void serve(struct lib_lane *l)
{
	lane_lock(l->lane);
	events_serve(l->events, lane_now_ns());
	lane_touch(l->lane);
	lane_unlock(l->lane);
}

static void *watch(void *arg)
{
	struct chimney_context *c = arg;
	struct pollfd *fds = calloc(c->n_lanes + 1, sizeof(*fds));
	u64 ticked = lane_now_ns();

	for (u32 i = 0; fds && i < c->n_lanes; i++)
		fds[i] = (struct pollfd){.fd = events_fd(c->lanes[i].events), .events = POLLIN};
	if (fds)
		fds[c->n_lanes] = (struct pollfd){.fd = c->monitor_stop, .events = POLLIN};
	while (fds) {
		int n = poll(fds, c->n_lanes + 1, TICK_MS);

		bool late = lane_now_ns() - ticked >= (u64)TICK_MS * NS_PER_MS;

		if (n > 0 && fds[c->n_lanes].revents)
			break;
		for (u32 i = 0; i < c->n_lanes; i++) {
			if (late || fds[i].revents)
				serve(&c->lanes[i]);
			if (late)
				tick(&c->lanes[i]);
		}
		if (late)
			ticked = lane_now_ns();
	}
	free(fds);
	return NULL;
}

int lib_monitor_start(struct chimney_context *c)
{
	int err;

	for (u32 i = 0; i < c->n_lanes; i++) {
		struct lib_lane *l = &c->lanes[i];

		err = events_create(l->backend, &ops, l, &l->events);
		if (err)
			return lib_fail(err, "the kernel's events cannot be watched: %s",
			                strerror(-err));
	}
	c->monitor_stop = eventfd(0, EFD_CLOEXEC);
	if (c->monitor_stop < 0)
		return lib_fail(-errno, "no descriptor for the monitor: %s", strerror(errno));
	err = pthread_create(&c->monitor, NULL, watch, c);
	if (err)
		return lib_fail(-err, "no thread for the monitor: %s", strerror(err));
	pthread_setname_np(c->monitor, "chimney-monitor");
	c->monitor_runs = true;
	return 0;
}

void lib_monitor_stop(struct chimney_context *c)
{
	u64 one = 1;

	if (c->monitor_runs && write(c->monitor_stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(c->monitor, NULL);
	c->monitor_runs = false;
	if (c->monitor_stop >= 0)
		close(c->monitor_stop);
	for (u32 i = 0; i < c->n_lanes; i++) {
		if (c->lanes[i].events)
			events_destroy(c->lanes[i].events);
		c->lanes[i].events = NULL;
	}
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Changes made with the ordinary tools, and what the host is told of them. */
#include "linux_env.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/neighbour.h>

#include "linux/events.h"
#include "linux/routes.h"

enum { CONNS = 20 };

struct seen {
	u32 neighbor_changes, neighbors_lost, route_changes, routes_lost, mtu_changes, downs, ups;
	struct neighbor_key neighbor;
	struct mac_addr mac;
	u32 mtu, paths;
};

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void on_neighbor(void *ctx, const struct neighbor_key *key, const struct mac_addr *mac)
{
	struct seen *s = ctx;

	s->neighbor_changes++;
	s->neighbor = *key;
	s->mac = *mac;
}

static void on_lost(void *ctx, const struct neighbor_key *key)
{
	((struct seen *)ctx)->neighbors_lost++;
}

static void on_route(void *ctx, const struct path_key *paths, u32 n, const struct neighbor_key *to,
                     const struct neighbor_state *state)
{
	struct seen *s = ctx;

	s->route_changes++;
	s->paths += n;
	s->neighbor = *to;
	s->mac = state->c.next_hop_mac;
}

static void on_route_lost(void *ctx, const struct path_key *path)
{
	((struct seen *)ctx)->routes_lost++;
}

static void on_mtu(void *ctx, const struct path_key *path, u32 mtu)
{
	struct seen *s = ctx;

	s->mtu_changes++;
	s->mtu = mtu;
}

static void on_link(void *ctx, u32 port, bool up)
{
	struct seen *s = ctx;

	if (up)
		s->ups++;
	else
		s->downs++;
}

static const struct events_ops ops = {
	.neighbor_changed = on_neighbor,
	.neighbor_lost = on_lost,
	.route_changed = on_route,
	.route_lost = on_route_lost,
	.path_mtu = on_mtu,
	.link = on_link,
};

struct fixture {
	struct env e;
	struct env_conn conns[CONNS];
	struct env_moves m;
	struct events *events;
	struct seen seen;
};

static void start(struct fixture *f)
{
	struct linux_backend_config config = {.resolve_wait_ms = 1000, .netlink_buffer = 20000};

	env_start(&f->e, 0);
	env_backend(&f->e, &config);
	env_connect(&f->e, f->conns, CONNS);
	env_moves_init(&f->m, f->conns, CONNS);
	f->e.ops.inspect(f->e.backend, f->m.move, CONNS);
	env_all_ok(&f->m, 0, CONNS, "inspect");
	memset(&f->seen, 0, sizeof(f->seen));
	assert_int_equal(events_create(f->e.backend, &ops, &f->seen, &f->events), 0);
}

static void stop(struct fixture *f)
{
	events_destroy(f->events);
	env_moves_free(&f->e, &f->m);
	env_close(f->conns, CONNS);
	env_stop(&f->e);
}

/* Serves until *counter is not `was` any more. */
static void await(struct fixture *f, const u32 *counter, u32 was)
{
	while (*counter == was) {
		struct pollfd p = {.fd = events_fd(f->events), .events = POLLIN};

		assert_true(poll(&p, 1, 10000) == 1);
		events_serve(f->events, now_ns());
	}
}

/* R59: one changed MAC is one message, however many connections hang below it. */
static void test_neighbor_mac_changes(void **state)
{
	static const struct mac_addr other = {{2, 0, 0, 0, 9, 9}};
	struct fixture f;

	start(&f);
	env_run("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:09:09 dev h0 nud reachable");
	await(&f, &f.seen.neighbor_changes, 0);
	assert_int_equal(f.seen.neighbor_changes, 1);
	assert_memory_equal(&f.seen.mac, &other, sizeof(other));
	assert_memory_equal(&f.seen.neighbor.next_hop, &f.m.move[0].neighbor.next_hop, 16);
	assert_int_equal(f.seen.neighbor.ifindex, f.e.ifindex);
	stop(&f);
}

/* trap 21: the neighbor is held by the kernel; who deletes it has it resolved anew. */
static void test_neighbor_is_managed(void **state)
{
	struct fixture f;

	start(&f);
	env_run("ip neigh show 10.9.0.2 | grep -q managed");
	env_run("ip neigh del 10.9.0.2 dev h0");
	await(&f, &f.seen.neighbors_lost, 0);
	await(&f, &f.seen.neighbor_changes, 0);
	env_run("ip neigh show 10.9.0.2 | grep -q managed");
	stop(&f);
}

/* trap 21: forward progress is reported as NUD_REACHABLE, once in a reachable time. */
static void test_reachability_is_confirmed(void **state)
{
	struct neighbor_answer a;
	struct fixture f;
	u64 t = now_ns();

	start(&f);
	env_run("ip neigh change 10.9.0.2 dev h0 nud stale");
	events_confirm(f.events, &f.m.move[0].neighbor, t);
	assert_int_equal(rtnl_neighbor(routes_socket(linux_backend_routes(f.e.backend)),
	                               &f.m.move[0].neighbor.next_hop, f.e.ifindex, &a),
	                 0);
	assert_int_equal(a.nud, NUD_REACHABLE);
	env_run("ip neigh change 10.9.0.2 dev h0 nud stale");
	events_confirm(f.events, &f.m.move[0].neighbor, t + NS_PER_S);
	assert_int_equal(rtnl_neighbor(routes_socket(linux_backend_routes(f.e.backend)),
	                               &f.m.move[0].neighbor.next_hop, f.e.ifindex, &a),
	                 0);
	assert_int_not_equal(a.nud, NUD_REACHABLE);
	stop(&f);
}

/* R66, R77: another next hop: all paths in one call, with the new neighbor resolved. */
static void test_next_hop_changes(void **state)
{
	struct fixture f;

	start(&f);
	env_run_peer(&f.e, "ip addr add 10.9.0.3/24 dev p0");
	env_run("ip route add 10.9.0.2/32 via 10.9.0.3");
	await(&f, &f.seen.route_changes, 0);
	assert_int_equal(f.seen.route_changes, 1);
	assert_int_equal(f.seen.paths, 1);
	assert_int_equal(f.seen.neighbor.next_hop.b[15], 3);
	assert_memory_equal(&f.seen.mac, &f.m.neighbor[0].c.next_hop_mac, 6);
	env_run("ip route del 10.9.0.2/32");
	await(&f, &f.seen.route_changes, 1);
	assert_int_equal(f.seen.neighbor.next_hop.b[15], 2);
	stop(&f);
}

static void test_route_is_lost(void **state)
{
	struct fixture f;

	start(&f);
	env_run("ip route add unreachable 10.9.0.2/32");
	await(&f, &f.seen.routes_lost, 0);
	stop(&f);
}

static void test_mtu_changes(void **state)
{
	struct fixture f;

	start(&f);
	assert_int_equal(f.m.path[0].c.path_mtu, 1500);
	env_run("ip link set h0 mtu 1400");
	await(&f, &f.seen.mtu_changes, 0);
	assert_int_equal(f.seen.mtu, 1400);
	env_run("ip route add 10.9.0.2/32 dev h0 mtu 1300");
	await(&f, &f.seen.mtu_changes, 1);
	assert_int_equal(f.seen.mtu, 1300);
	assert_int_equal(f.seen.route_changes, 0);
	stop(&f);
}

static void test_link_goes_down_and_up(void **state)
{
	struct fixture f;

	start(&f);
	env_run_peer(&f.e, "ip link set p0 down");
	await(&f, &f.seen.downs, 0);
	env_run_peer(&f.e, "ip link set p0 up");
	await(&f, &f.seen.ups, 0);
	assert_int_equal(f.seen.downs, 1);
	stop(&f);
}

/* More messages than the socket holds: everything is read again, and the change is found. */
static void test_overrun_is_caught_up(void **state)
{
	struct events_counters counters;
	struct fixture f;

	start(&f);
	env_run("for i in $(seq 1 2000); do "
	        "echo neigh replace 10.9.$((i / 250 + 1)).$((i %% 250)) lladdr 2:0:0:0:0:1 dev h0 "
	        "nud "
	        "permanent; done | ip -batch -");
	/* Permanent: the peer's own ARP would put the old address back before it is looked at. */
	env_run("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:09:0a dev h0 nud permanent");
	await(&f, &f.seen.neighbor_changes, 0);
	events_counters(f.events, &counters);
	assert_true(counters.overruns > 0);
	assert_int_equal(f.seen.mac.b[5], 0x0a);
	stop(&f);
}

/* trap 20: mark, TOS and user are part of a path's key, and of the question. */
static void test_marks_make_paths(void **state)
{
	struct fixture f;
	u32 mark = 7;

	start(&f);
	env_run_peer(&f.e, "ip addr add 10.9.0.3/24 dev p0");
	env_run("ip rule add fwmark 7 table 77 && ip route add 10.9.0.2/32 via 10.9.0.3 table 77");
	assert_int_equal(setsockopt(f.conns[1].fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	f.e.ops.inspect(f.e.backend, f.m.move, CONNS);
	env_all_ok(&f.m, 0, CONNS, "inspect");
	assert_int_equal(f.m.move[0].neighbor.next_hop.b[15], 2);
	assert_int_equal(f.m.move[1].neighbor.next_hop.b[15], 3);
	assert_int_equal(f.m.move[1].path.mark, 7);
	assert_memory_equal(&f.m.move[0].path, &f.m.move[2].path, sizeof(struct path_key));
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbor_mac_changes),
		cmocka_unit_test(test_neighbor_is_managed),
		cmocka_unit_test(test_reachability_is_confirmed),
		cmocka_unit_test(test_next_hop_changes),
		cmocka_unit_test(test_route_is_lost),
		cmocka_unit_test(test_mtu_changes),
		cmocka_unit_test(test_link_goes_down_and_up),
		cmocka_unit_test(test_overrun_is_caught_up),
		cmocka_unit_test(test_marks_make_paths),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

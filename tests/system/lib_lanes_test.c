/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Two lanes on one interface, in TAP mode and in XDP mode with one queue and with two. */
#include "lib_env.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LANES = 2, PIECE = 3000, ROUNDS = 8 };

static void set_queues(uint32_t n)
{
	struct ethtool_channels c = {.cmd = ETHTOOL_SCHANNELS, .rx_count = n, .tx_count = n};
	struct ifreq ifr = {.ifr_name = PAIR_IF, .ifr_data = (char *)&c};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
}

static struct fixture open_lanes(uint32_t mode)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;

	o.lanes = LANES;
	o.port_mode = mode;
	return fixture_open_with(CONNS, &o);
}

static uint8_t byte_at(int conn, size_t at)
{
	return (uint8_t)((at * 2654435761u + (uint32_t)conn * 40503u) >> 11);
}

/* A piece out on every connection, then back on every connection, each byte looked at. */
static void exchange(struct fixture *f, size_t from)
{
	uint8_t piece[PIECE];

	for (int i = 0; i < f->n; i++) {
		for (size_t k = 0; k < PIECE; k++)
			piece[k] = byte_at(i, from + k);
		assert_int_equal(chimney_conn_send(f->conn[i], piece, PIECE, 0), PIECE);
	}
	for (int i = 0; i < f->n; i++) {
		for (size_t have = 0; have < PIECE;) {
			ssize_t n = chimney_conn_recv(f->conn[i], piece, PIECE - have, 0);

			assert_true(n > 0);
			for (ssize_t k = 0; k < n; k++)
				assert_int_equal(piece[k], byte_at(i, from + have + (size_t)k));
			have += (size_t)n;
		}
	}
}

/* R10 R14 R37: in the kernel, in the target, and across the moves between them. */
static void streams_on_two_lanes(uint32_t mode)
{
	struct fixture f = open_lanes(mode);
	uint64_t resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);

	assert_int_equal(chimney_context_lanes(f.context), LANES);
	for (size_t round = 0; round < ROUNDS; round++) {
		move_all(&f, round % 2 == 0);
		exchange(&f, round * PIECE);
	}
	assert_int_equal(pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false), resets);
	fixture_close(&f);
}

static void tap_streams(void **state)
{
	streams_on_two_lanes(CHIMNEY_PORT_TAP);
}

/* One lane has the only queue, the other gets everything past it. */
static void xdp_streams_one_queue(void **state)
{
	set_queues(1);
	streams_on_two_lanes(CHIMNEY_PORT_XDP);
}

/* A queue each, and connections of either lane come on either queue (trap 26). */
static void xdp_streams_two_queues(void **state)
{
	set_queues(2);
	streams_on_two_lanes(CHIMNEY_PORT_XDP);
}

/* Connections of two lanes in one call; each lane has its own ready list and counters. */
static void two_lanes(void **state)
{
	struct fixture f = open_lanes(CHIMNEY_PORT_TAP);
	struct chimney_ready ready[CONNS];
	uint64_t resets = pair_own_resets();

	for (int i = 0; i < f.n; i++) {
		assert_int_equal(chimney_conn_lane(f.conn[i]), i / 2 % LANES);
		assert_ptr_equal(chimney_conn_user(f.conn[i]), user_of(i));
	}
	for (int round = 0; round < 3; round++) {
		move_all(&f, true);
		echo_all(&f, "two lanes", false);
		move_all(&f, false);
		echo_all(&f, "two lanes", false);
	}
	chimney_conn_watch(f.conn[0], CHIMNEY_WRITABLE);
	assert_int_equal(chimney_lane_ready(f.context, 1, ready, CONNS), 0);
	assert_int_equal(chimney_lane_ready(f.context, 0, ready, CONNS), 1);
	assert_int_equal(chimney_lane_ready(f.context, 2, ready, CONNS), -EINVAL);
	assert_int_equal(chimney_lane_fd(f.context, 2), -1);
	assert_int_equal(pair_own_resets(), resets);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_lanes),
		cmocka_unit_test(tap_streams),
		cmocka_unit_test(xdp_streams_two_queues),
		cmocka_unit_test(xdp_streams_one_queue),
	};

	return LIB_RUN(tests, argc, argv);
}

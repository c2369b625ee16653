/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* How connections end that are offloaded, or were. */
#include "lib_env.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void release_gives_the_socket_back(void **state)
{
	struct fixture f = fixture_open(1, 0);
	char buf[8];
	int fd = -1;

	move_all(&f, true);
	assert_int_equal(chimney_conn_release(f.conn[0], &fd), -EBUSY);
	move_all(&f, false);
	assert_int_equal(chimney_conn_release(f.conn[0], &fd), 0);
	f.conn[0] = NULL;
	assert_true(fd >= 0);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(send(fd, "plain", 5, 0), 5);
	assert_int_equal(recv(fd, buf, 5, MSG_WAITALL), 5);
	assert_memory_equal(buf, "plain", 5);
	close(fd);
	fixture_close(&f);
}

/* Wait until the peer has seen the end of connection i; the bytes it received before. */
static uint64_t peer_eof(struct fixture *f, int i)
{
	for (int k = 0; k < 500; k++) {
		uint64_t n = pair_ask(&net, PAIR_EOF, f->peer[i], false);

		if (n != UINT64_MAX)
			return n;
		usleep(10000);
	}
	return UINT64_MAX;
}

static void close_while_offloaded(void **state)
{
	struct fixture f = fixture_open(1, 0);
	static char bulk[200000];
	size_t sent = 0;

	move_all(&f, true);
	pair_ask(&net, PAIR_SILENT, f.peer[0], false);
	while (sent < sizeof(bulk)) {
		ssize_t n = chimney_conn_send(f.conn[0], bulk + sent, sizeof(bulk) - sent,
		                              CHIMNEY_DONTWAIT);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	assert_true(sent > 0);
	chimney_conn_shutdown(f.conn[0]);
	pair_ask(&net, PAIR_ECHO, f.peer[0], false);
	/* The peer echoes until our FIN; what comes back must be read, or a close would reset. */
	for (size_t have = 0; have < sent;) {
		ssize_t n = chimney_conn_recv(f.conn[0], bulk, sizeof(bulk), 0);

		assert_true(n > 0);
		have += (size_t)n;
	}
	assert_int_equal(peer_eof(&f, 0), sent);
	chimney_conn_close(f.conn[0]);
	f.conn[0] = NULL;
	fixture_close(&f);
}

/* R7: a connection that its peer has half closed moves both ways and answers. */
static void half_closed_by_peer(void **state)
{
	struct fixture f = fixture_open(2, 0);
	char buf[64];

	for (int i = 0; i < 2; i++) {
		chimney_conn_send(f.conn[i], "0123456789", 10, 0);
		assert_int_equal(chimney_conn_recv(f.conn[i], buf, 10, 0), 10);
		pair_ask(&net, PAIR_FIN, f.peer[i], false);
	}
	usleep(20000);
	move_all(&f, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(chimney_conn_recv(f.conn[i], buf, sizeof(buf), 0), 0);
		assert_int_equal(chimney_conn_send(f.conn[i], "answer", 6, 0), 6);
	}
	move_all(&f, false);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(chimney_conn_recv(f.conn[i], buf, sizeof(buf), 0), 0);
		assert_int_equal(chimney_conn_send(f.conn[i], "more", 4, 0), 4);
		assert_int_equal(chimney_conn_shutdown(f.conn[i]), 0);
	}
	assert_int_equal(peer_eof(&f, 0), 20);
	assert_int_equal(peer_eof(&f, 1), 20);
	fixture_close(&f);
}

/* FIN that arrives while the connection is offloaded is seen after every byte before it. */
static void fin_while_offloaded(void **state)
{
	struct fixture f = fixture_open(1, 0);
	char buf[64];

	move_all(&f, true);
	assert_int_equal(chimney_conn_send(f.conn[0], "0123456789", 10, 0), 10);
	assert_int_equal(chimney_conn_recv(f.conn[0], buf, 10, 0), 10);
	pair_ask(&net, PAIR_FIN, f.peer[0], false);
	assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 0);
	assert_int_equal(chimney_conn_send(f.conn[0], "bye", 3, 0), 3);
	assert_int_equal(chimney_conn_shutdown(f.conn[0]), 0);
	assert_int_equal(peer_eof(&f, 0), 13);
	fixture_close(&f);
}

/* We close first, in the target: TIME_WAIT is the kernel's, and answers the peer's last segments.
 */
static void active_close_in_the_target(void **state)
{
	struct fixture f = fixture_open(4, 0);
	uint64_t resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);
	char buf[16];

	move_all(&f, true);
	echo_all(&f, "last words", false);
	for (int i = 0; i < f.n; i++)
		assert_int_equal(chimney_conn_shutdown(f.conn[i]), 0);
	for (int i = 0; i < f.n; i++) {
		assert_int_equal(peer_eof(&f, i), 10);
		pair_ask(&net, PAIR_FIN, f.peer[i], false);
		assert_int_equal(chimney_conn_recv(f.conn[i], buf, sizeof(buf), 0), 0);
		chimney_conn_close(f.conn[i]);
		pair_ask(&net, PAIR_CLOSE, f.peer[i], false);
		f.conn[i] = NULL;
	}
	usleep(300000);
	assert_int_equal(pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false), resets);
	fixture_close(&f);
}

/* R76: an acceptable RST ends it on either side, and says so. */
static void reset_while_offloaded(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_ready ready[2];
	char buf[16];

	move_all(&f, true);
	chimney_conn_watch(f.conn[0], CHIMNEY_READABLE | CHIMNEY_EDGE);
	while (chimney_lane_ready(f.context, 0, ready, 2))
		;
	pair_ask(&net, PAIR_RESET, f.peer[0], false);
	assert_int_equal(wait_ready(&f, ready, 2), 1);
	assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT),
	                 -ECONNRESET);
	assert_true(chimney_conn_send(f.conn[0], "x", 1, CHIMNEY_DONTWAIT) < 0);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(release_gives_the_socket_back),
		cmocka_unit_test(close_while_offloaded),
		cmocka_unit_test(half_closed_by_peer),
		cmocka_unit_test(fin_while_offloaded),
		cmocka_unit_test(active_close_in_the_target),
		cmocka_unit_test(reset_while_offloaded),
	};

	return LIB_RUN(tests, argc, argv);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* libchimney on the real kernel: what an application sees of connections that move. */
#include "chimney/chimney.h"
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PORT = 7000, CONNS = 16 };

static struct pair net;
static int listener;
static uint32_t peer_next; /* the peer numbers its connections */

struct fixture {
	struct chimney_context *context;
	struct chimney_conn *conn[CONNS];
	uint32_t peer[CONNS]; /* the peer's numbers */
	int n;
};

/* What an application would hang on a connection. */
static void *user_of(int i)
{
	return (void *)(uintptr_t)(i + 100);
}

static struct fixture fixture_open(int n, uint32_t flags)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	struct fixture f = {.n = n};

	o.interface = PAIR_IF;
	o.flags = flags;
	o.max_connections = 1024;
	if (chimney_context_create(&o, &f.context)) {
		fprintf(stderr, "%s\n", chimney_error());
		fail();
	}
	for (int i = 0; i < n; i++) {
		int fd = pair_accept(&net, listener, PORT, i % 2);

		assert_true(fd >= 0);
		f.peer[i] = peer_next++;
		assert_int_equal(chimney_conn_adopt(f.context, fd, -1, user_of(i), &f.conn[i]), 0);
	}
	return f;
}

static void fixture_close(struct fixture *f)
{
	for (int i = 0; i < f->n; i++) {
		if (f->conn[i])
			chimney_conn_close(f->conn[i]);
	}
	chimney_context_destroy(f->context);
}

static void move(struct fixture *f, bool offload)
{
	struct chimney_result results[CONNS];
	ssize_t moved = offload ? chimney_conns_offload(f->context, f->conn, (size_t)f->n, results)
	                        : chimney_conns_upload(f->context, f->conn, (size_t)f->n, results);

	for (int i = 0; i < f->n; i++) {
		if (results[i].status)
			fprintf(stderr, "connection %d: %s\n", i,
			        chimney_status_sentence(results[i].status));
	}
	assert_int_equal(moved, f->n);
}

/* Runs the lane where it is the caller's. */
static void turn(struct fixture *f, bool caller)
{
	if (caller)
		chimney_lane_poll(f->context, 0, 1000);
}

static void echo_all(struct fixture *f, const char *text, bool caller)
{
	size_t len = strlen(text);
	char back[64];

	for (int i = 0; i < f->n; i++)
		assert_int_equal(chimney_conn_send(f->conn[i], text, len, 0), len);
	for (int i = 0; i < f->n; i++) {
		size_t have = 0;

		while (have < len) {
			ssize_t n = chimney_conn_recv(f->conn[i], back + have, len - have,
			                              caller ? CHIMNEY_DONTWAIT : 0);

			if (n == -EAGAIN) {
				turn(f, caller);
				continue;
			}
			assert_true(n > 0);
			have += (size_t)n;
		}
		assert_memory_equal(back, text, len);
	}
}

/* R10 R14 R18 R37: bytes go on in order whichever side runs the connection. */
static void echo_across_moves(void **state)
{
	struct fixture f = fixture_open(CONNS, 0);
	uint64_t resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);

	echo_all(&f, "in the kernel", false);
	for (int round = 0; round < 5; round++) {
		move(&f, true);
		echo_all(&f, "in the target", false);
		move(&f, false);
		echo_all(&f, "and back", false);
	}
	assert_int_equal(pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false), resets);
	fixture_close(&f);
}

static void echo_with_caller_lane(void **state)
{
	struct fixture f = fixture_open(4, CHIMNEY_LANES_CALLER);

	echo_all(&f, "in the kernel", true);
	move(&f, true);
	echo_all(&f, "in the target", true);
	move(&f, false);
	echo_all(&f, "and back", true);
	fixture_close(&f);
}

/* Connections of two lanes in one call; each lane has its own ready list and counters. */
static void two_lanes(void **state)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	struct fixture f = {.n = 8};
	struct chimney_ready ready[CONNS];
	uint64_t resets = pair_own_resets();

	o.interface = PAIR_IF;
	o.lanes = 2;
	o.max_connections = 256;
	assert_int_equal(chimney_context_create(&o, &f.context), 0);
	assert_int_equal(chimney_context_lanes(f.context), 2);
	for (int i = 0; i < f.n; i++) {
		int fd = pair_accept(&net, listener, PORT, i % 2);

		f.peer[i] = peer_next++;
		assert_int_equal(
			chimney_conn_adopt(f.context, fd, i / 2 % 2, user_of(i), &f.conn[i]), 0);
		assert_int_equal(chimney_conn_lane(f.conn[i]), i / 2 % 2);
		assert_ptr_equal(chimney_conn_user(f.conn[i]), user_of(i));
	}
	for (int round = 0; round < 3; round++) {
		move(&f, true);
		echo_all(&f, "two lanes", false);
		move(&f, false);
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

/* A lane that has nothing to do sleeps: it is woken by its bound alone, not by a spin. */
static void idle_lane_sleeps(void **state)
{
	struct fixture f = fixture_open(4, 0);
	struct chimney_stats before = {.size = sizeof(before)}, after = before;

	move(&f, true);
	echo_all(&f, "busy", false);
	usleep(300000);
	chimney_context_stats(f.context, &before);
	usleep(1000000);
	chimney_context_stats(f.context, &after);
	/* Each sleep is at least as long as the next deadline: far fewer than a spin would make. */
	assert_true(after.lane_sleeps > before.lane_sleeps);
	assert_true(after.lane_sleeps - before.lane_sleeps < 1000);
	fixture_close(&f);
}

struct stream {
	struct chimney_conn *conn;
	uint64_t bytes;
	atomic_uint_fast64_t wrong;
	atomic_bool done;
};

static uint8_t stream_byte(uint64_t at)
{
	return (uint8_t)((at * 2654435761u) >> 13);
}

static void *stream_sender(void *arg)
{
	struct stream *s = arg;
	uint8_t buf[8192];

	for (uint64_t at = 0; at < s->bytes;) {
		size_t want = s->bytes - at < sizeof(buf) ? s->bytes - at : sizeof(buf);
		ssize_t n;

		for (size_t i = 0; i < want; i++)
			buf[i] = stream_byte(at + i);
		n = chimney_conn_send(s->conn, buf, want, 0);
		if (n <= 0) {
			s->wrong += 1;
			break;
		}
		at += (uint64_t)n;
	}
	return NULL;
}

static void *stream_receiver(void *arg)
{
	struct stream *s = arg;
	uint8_t buf[8192];
	uint64_t at = 0;

	while (at < s->bytes) {
		ssize_t n = chimney_conn_recv(s->conn, buf, sizeof(buf), 0);

		if (n <= 0) {
			s->wrong += 1;
			break;
		}
		for (ssize_t i = 0; i < n; i++)
			s->wrong += buf[i] != stream_byte(at + (uint64_t)i);
		at += (uint64_t)n;
	}
	s->done = true;
	return NULL;
}

/* Blocking calls in threads of their own while the connection is moved to and fro. R10 R37 R45 */
static void blocking_stream_under_moves(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct stream s = {.conn = f.conn[0], .bytes = 24 << 20};
	pthread_t sender, receiver;
	int moves = 0;

	pthread_create(&sender, NULL, stream_sender, &s);
	pthread_create(&receiver, NULL, stream_receiver, &s);
	while (!s.done) {
		chimney_conns_offload(f.context, f.conn, 1, NULL);
		usleep(2000);
		chimney_conns_upload(f.context, f.conn, 1, NULL);
		usleep(2000);
		moves++;
	}
	pthread_join(sender, NULL);
	pthread_join(receiver, NULL);
	assert_true(moves > 2);
	assert_int_equal(s.wrong, 0);
	fixture_close(&f);
}

/* Waits on the lane's descriptor, as an application's epoll would. */
static int wait_ready(struct fixture *f, struct chimney_ready *ready, int max)
{
	struct pollfd p = {.fd = chimney_lane_fd(f->context, 0), .events = POLLIN};

	for (int i = 0; i < 50; i++) {
		int n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = chimney_lane_ready(f->context, 0, ready, max);
		if (n)
			return n;
	}
	return 0;
}

static void readiness_level(void **state)
{
	struct fixture f = fixture_open(2, 0);
	struct chimney_ready ready[4];
	char buf[16];

	for (int side = 0; side < 2; side++) {
		chimney_conn_watch(f.conn[0], CHIMNEY_READABLE);
		/* Nothing there: reported at most once as a guess, and not after a vain receive. */
		while (chimney_lane_ready(f.context, 0, ready, 4))
			assert_int_equal(
				chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT),
				-EAGAIN);
		assert_int_equal(chimney_conn_send(f.conn[0], "abcd", 4, 0), 4);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(wait_ready(&f, ready, 4), 1);
			assert_ptr_equal(ready[0].conn, f.conn[0]);
			assert_ptr_equal(ready[0].user, user_of(0));
			assert_true(ready[0].events & CHIMNEY_READABLE);
		}
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		while (chimney_lane_ready(f.context, 0, ready, 4))
			assert_int_equal(
				chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT),
				-EAGAIN);
		if (!side)
			move(&f, true);
	}
	fixture_close(&f);
}

static void readiness_edge(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_ready ready[4];
	char buf[16];

	for (int side = 0; side < 2; side++) {
		chimney_conn_watch(f.conn[0], CHIMNEY_READABLE | CHIMNEY_EDGE);
		while (chimney_lane_ready(f.context, 0, ready, 4))
			;
		while (chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT) > 0)
			;
		assert_int_equal(chimney_conn_send(f.conn[0], "abcd", 4, 0), 4);
		assert_int_equal(wait_ready(&f, ready, 4), 1);
		/* One change, one report: although the bytes are still there. */
		assert_int_equal(chimney_lane_ready(f.context, 0, ready, 4), 0);
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		assert_int_equal(chimney_conn_send(f.conn[0], "efgh", 4, 0), 4);
		assert_int_equal(wait_ready(&f, ready, 4), 1);
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		if (!side)
			move(&f, true);
	}
	fixture_close(&f);
}

static int collect(struct fixture *f, struct chimney_completion *done, int want)
{
	int n = 0;

	for (int i = 0; i < 5000 && n < want; i++) {
		int k = chimney_lane_completions(f->context, 0, done + n, want - n);

		n += k;
		if (!k)
			usleep(1000);
	}
	return n;
}

/* Buffers posted on either side complete once, in order, across a move. R36 R48 R54 R63 */
static void posted_buffers(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_completion done[8];
	char out[3][8] = {"first..", "second.", "third.."}, in[3][8];

	for (int side = 0; side < 3; side++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(chimney_conn_post_recv(f.conn[0], in[i], 8, (uint64_t)i),
			                 0);
		assert_int_equal(chimney_conn_recv(f.conn[0], in[0], 8, CHIMNEY_DONTWAIT), -EBUSY);
		if (side == 2)
			move(&f, false);
		for (int i = 0; i < 3; i++)
			assert_int_equal(
				chimney_conn_post_send(f.conn[0], out[i], 8, 10 + (uint64_t)i), 0);
		assert_int_equal(collect(&f, done, 6), 6);
		for (int i = 0, r = 0, s = 0; i < 6; i++) {
			assert_int_equal(done[i].error, 0);
			assert_int_equal(done[i].bytes, 8);
			if (done[i].kind == CHIMNEY_RECEIVED)
				assert_int_equal(done[i].cookie, r++);
			else
				assert_int_equal(done[i].cookie, 10 + s++);
		}
		for (int i = 0; i < 3; i++)
			assert_memory_equal(in[i], out[i], 8);
		if (side == 0)
			move(&f, true);
	}
	fixture_close(&f);
}

/* R4 R34: what is known of a connection on either side. */
static void query_and_statistics(void **state)
{
	struct fixture f = fixture_open(4, 0);
	struct chimney_conn_info info = {.size = sizeof(info)};
	struct chimney_stats stats = {.size = sizeof(stats)};

	echo_all(&f, "a few bytes", false);
	assert_int_equal(chimney_conn_query(f.conn[0], &info), 0);
	assert_int_equal(info.offloaded, 0);
	assert_int_equal(info.state, 1);
	assert_true(info.srtt_ns > 0);
	move(&f, true);
	assert_int_equal(chimney_conn_query(f.conn[0], &info), 0);
	assert_int_equal(info.offloaded, 1);
	assert_int_equal(info.state, 1);
	assert_true(info.srtt_ns > 0);
	assert_true(info.cwnd_bytes >= 10 * 1000);
	assert_int_equal(info.moves, 1);
	assert_int_equal(chimney_context_stats(f.context, &stats), 0);
	assert_int_equal(stats.offloaded_now, 4);
	assert_int_equal(stats.adopted_now, 4);
	assert_int_equal(stats.paths_now, 2); /* one an address family */
	assert_int_equal(stats.neighbors_now, 2);
	assert_true(stats.bytes_per_connection > 0 && stats.bytes_per_connection <= 1024);
	move(&f, false);
	assert_int_equal(chimney_context_stats(f.context, &stats), 0);
	assert_int_equal(stats.offloaded_now, 0);
	assert_int_equal(stats.paths_now, 0); /* R42 */
	assert_int_equal(stats.neighbors_now, 0);
	info.size = 1;
	assert_int_equal(chimney_conn_query(f.conn[0], &info), -EINVAL);
	fixture_close(&f);
}

static int count(const char *text, const char *word)
{
	int n = 0;

	for (const char *at = text; (at = strstr(at, word)); at++)
		n++;
	return n;
}

/* R78, R73: the target asks for what does nothing, the host takes it back by itself, and the log
 * says why; what is busy stays, and by name it may be offloaded again at once. */
static void idle_connections_come_home(void **state)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	struct chimney_conn_info info = {.size = sizeof(info)};
	struct chimney_stats stats = {.size = sizeof(stats)};
	struct chimney_event event[16];
	struct fixture f = {.n = 4};
	int n, found = 0;

	o.interface = PAIR_IF;
	o.max_connections = 256;
	o.watch = (struct chimney_watch){.period_ms = 50, .periods = 3, .low_bytes = 1};
	assert_int_equal(chimney_context_create(&o, &f.context), 0);
	for (int i = 0; i < f.n; i++) {
		int fd = pair_accept(&net, listener, PORT, i % 2);

		f.peer[i] = peer_next++;
		assert_int_equal(chimney_conn_adopt(f.context, fd, -1, user_of(i), &f.conn[i]), 0);
	}
	move(&f, true);
	for (int turn = 0; turn < 1000; turn++) {
		assert_int_equal(chimney_context_stats(f.context, &stats), 0);
		if (!stats.offloaded_now)
			break;
		usleep(10000);
	}
	assert_int_equal(stats.offloaded_now, 0);
	assert_int_equal(stats.upload_requests, 4);
	n = chimney_context_log(f.context, 0, 0, event, 16);
	for (int i = 0; i < n; i++)
		found += strstr(event[i].text, "low-activity") != NULL;
	assert_int_equal(found, 4);
	echo_all(&f, "in the kernel again", false);
	assert_int_equal(chimney_conn_query(f.conn[0], &info), 0);
	assert_int_equal(info.offloaded, 0);
	move(&f, true);
	echo_all(&f, "and in the target", false);
	fixture_close(&f);
}

/* R34: the tree as JSON: each connection below its path, each path below its neighbor, once. */
static void dump_shows_the_tree(void **state)
{
	struct fixture f = fixture_open(6, 0);
	char *text = calloc(1, 1 << 20);
	FILE *file = tmpfile();

	move(&f, true);
	assert_int_equal(chimney_context_dump(f.context, fileno(file)), 0);
	rewind(file);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	assert_int_equal(count(text, "\"layer\":\"neighbor\""), 2);
	assert_int_equal(count(text, "\"layer\":\"path\""), 2);
	assert_int_equal(count(text, "\"layer\":\"tcp\""), 6);
	assert_int_equal(count(text, "\"snd_una\""), 6);
	assert_int_equal(chimney_context_dump(f.context, -1), -EBADF);
	fclose(file);
	free(text);
	fixture_close(&f);
}

static void release_gives_the_socket_back(void **state)
{
	struct fixture f = fixture_open(1, 0);
	char buf[8];
	int fd = -1;

	move(&f, true);
	assert_int_equal(chimney_conn_release(f.conn[0], &fd), -EBUSY);
	move(&f, false);
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

	move(&f, true);
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
	move(&f, true);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(chimney_conn_recv(f.conn[i], buf, sizeof(buf), 0), 0);
		assert_int_equal(chimney_conn_send(f.conn[i], "answer", 6, 0), 6);
	}
	move(&f, false);
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

	move(&f, true);
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

	move(&f, true);
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

	move(&f, true);
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

static void reasons(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_result result;
	struct chimney_conn *listening;
	int fd = pair_listen(PORT + 1);

	assert_int_equal(chimney_conn_adopt(f.context, fd, -1, NULL, &listening), 0);
	assert_int_equal(chimney_conns_offload(f.context, &listening, 1, &result), 0);
	assert_string_equal(chimney_status_word(result.status), "not-established");
	assert_int_equal(chimney_conn_release(listening, &fd), 0);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(chimney_conn_adopt(f.context, fd, -1, NULL, &listening), -ENOTSOCK);
	assert_non_null(strstr(chimney_error(), "no socket"));
	close(fd);
	fixture_close(&f);
}

static void bad_options(void **state)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;
	struct chimney_context *c;

	o.interface = "nosuch0";
	assert_int_equal(chimney_context_create(&o, &c), -ENODEV);
	assert_non_null(strstr(chimney_error(), "nosuch0"));
	o.interface = PAIR_IF;
	o.port_mode = 99;
	assert_int_equal(chimney_context_create(&o, &c), -EINVAL);
	o.port_mode = CHIMNEY_PORT_TAP;
	o.size = 3;
	assert_int_equal(chimney_context_create(&o, &c), -EINVAL);
}

static int peer_answers_arp(bool on)
{
	char line[128];

	snprintf(line, sizeof(line), "nsenter -t %d -n sysctl -qw net.ipv4.conf.all.arp_ignore=%d",
	         net.peer, on ? 0 : 8);
	return system(line);
}

/* The kernel sees none of the traffic and its probes are not answered: the neighbor is reachable
 * because the library says so, and else would be lost. */
static void neighbor_stays_reachable(void **state)
{
	struct fixture f = fixture_open(1, 0);
	int stale = -1;

	move(&f, true);
	assert_int_equal(peer_answers_arp(false), 0);
	assert_int_equal(
		pair_ip(&net, false, "neigh change " PAIR_REMOTE4 " dev " PAIR_IF " nud stale"), 0);
	for (int i = 0; i < 400 && stale; i++) {
		echo_all(&f, "progress", false);
		usleep(50000);
		stale = pair_ip(&net, false,
		                "neigh show " PAIR_REMOTE4 " dev " PAIR_IF " | grep -q REACHABLE");
	}
	assert_int_equal(stale, 0);
	assert_int_equal(peer_answers_arp(true), 0);
	move(&f, false);
	fixture_close(&f);
}

/* R59: one `ip neigh` and one `ip route` are one update each. The old MAC is never used again. */
static void neighbor_and_mtu_follow_ip(void **state)
{
	struct fixture f = fixture_open(4, 0);
	struct chimney_stats before = {.size = sizeof(before)}, after = before;
	struct chimney_conn_info info = {.size = sizeof(info)};

	move(&f, true);
	chimney_context_stats(f.context, &before);
	assert_int_equal(pair_ip(&net, true, "link set sys1 address 02:00:00:00:00:77"), 0);
	assert_int_equal(pair_ip(&net, false,
	                         "neigh replace " PAIR_REMOTE4
	                         " lladdr 02:00:00:00:00:77 dev " PAIR_IF " nud permanent"),
	                 0);
	assert_int_equal(pair_ip(&net, false,
	                         "neigh replace " PAIR_REMOTE6
	                         " lladdr 02:00:00:00:00:77 dev " PAIR_IF " nud permanent"),
	                 0);
	for (int i = 0; i < 200 && after.updates_sent < before.updates_sent + 2; i++) {
		chimney_context_stats(f.context, &after);
		usleep(10000);
	}
	assert_int_equal(after.updates_sent, before.updates_sent + 2);
	echo_all(&f, "to the new address", false);
	assert_int_equal(
		pair_ip(&net, false, "route replace " PAIR_REMOTE4 "/32 dev " PAIR_IF " mtu 1300"),
		0);
	for (int i = 0; i < 200 && after.updates_sent < before.updates_sent + 3; i++) {
		chimney_context_stats(f.context, &after);
		usleep(10000);
	}
	assert_int_equal(after.updates_sent, before.updates_sent + 3);
	echo_all(&f, "in smaller segments", false);
	move(&f, false);
	echo_all(&f, "and back", false);
	fixture_close(&f);
}

/* An argument is a pattern: only tests whose names match it run. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo_across_moves),
		cmocka_unit_test(echo_with_caller_lane),
		cmocka_unit_test(two_lanes),
		cmocka_unit_test(idle_lane_sleeps),
		cmocka_unit_test(blocking_stream_under_moves),
		cmocka_unit_test(readiness_level),
		cmocka_unit_test(readiness_edge),
		cmocka_unit_test(posted_buffers),
		cmocka_unit_test(query_and_statistics),
		cmocka_unit_test(idle_connections_come_home),
		cmocka_unit_test(dump_shows_the_tree),
		cmocka_unit_test(release_gives_the_socket_back),
		cmocka_unit_test(close_while_offloaded),
		cmocka_unit_test(half_closed_by_peer),
		cmocka_unit_test(fin_while_offloaded),
		cmocka_unit_test(active_close_in_the_target),
		cmocka_unit_test(reset_while_offloaded),
		cmocka_unit_test(reasons),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(neighbor_stays_reachable),
		cmocka_unit_test(neighbor_and_mtu_follow_ip),
	};
	int failed;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (!pair_setup(&net))
		return 77;
	listener = pair_listen(PORT);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	pair_teardown(&net);
	return failed;
}

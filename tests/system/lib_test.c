/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* libchimney on the real kernel: what an application sees of connections that move. */
#include "lib_env.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* R10 R14 R18 R37: bytes go on in order whichever side runs the connection. */
static void echo_across_moves(void **state)
{
	struct fixture f = fixture_open(CONNS, 0);
	uint64_t resets = pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false);

	echo_all(&f, "in the kernel", false);
	for (int round = 0; round < 5; round++) {
		move_all(&f, true);
		echo_all(&f, "in the target", false);
		move_all(&f, false);
		echo_all(&f, "and back", false);
	}
	assert_int_equal(pair_own_resets() + pair_ask(&net, PAIR_RESETS, 0, false), resets);
	fixture_close(&f);
}

static void echo_with_caller_lane(void **state)
{
	struct fixture f = fixture_open(4, CHIMNEY_LANES_CALLER);

	echo_all(&f, "in the kernel", true);
	move_all(&f, true);
	echo_all(&f, "in the target", true);
	move_all(&f, false);
	echo_all(&f, "and back", true);
	fixture_close(&f);
}

/* A lane that has nothing to do sleeps: it is woken by its bound alone, not by a spin. */
static void idle_lane_sleeps(void **state)
{
	struct fixture f = fixture_open(4, 0);
	struct chimney_stats before = {.size = sizeof(before)}, after = before;

	move_all(&f, true);
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
	move_all(&f, true);
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
	move_all(&f, false);
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
	struct fixture f;
	int n, found = 0;

	o.watch = (struct chimney_watch){.period_ms = 50, .periods = 3, .low_bytes = 1};
	f = fixture_open_with(4, &o);
	move_all(&f, true);
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
	move_all(&f, true);
	echo_all(&f, "and in the target", false);
	fixture_close(&f);
}

/* R34: the tree as JSON: each connection below its path, each path below its neighbor, once. */
static void dump_shows_the_tree(void **state)
{
	struct fixture f = fixture_open(6, 0);
	char *text = calloc(1, 1 << 20);
	FILE *file = tmpfile();

	move_all(&f, true);
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

static void reasons(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_result result;
	struct chimney_conn *listening;
	int fd = pair_listen(LIB_PORT + 1);

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
 * because the library says so, and else would be lost sooner or later. */
static void neighbor_stays_reachable(void **state)
{
	struct fixture f = fixture_open(1, 0);
	int stale = -1;

	/* So many probes that the kernel does not give the neighbor up while this runs. */
	assert_int_equal(system("sysctl -qw net.ipv4.neigh." PAIR_IF ".ucast_solicit=60"), 0);
	move_all(&f, true);
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
	move_all(&f, false);
	fixture_close(&f);
}

/* R59: one `ip neigh` and one `ip route` are one update each. The old MAC is never used again. */
static void neighbor_and_mtu_follow_ip(void **state)
{
	struct fixture f = fixture_open(4, 0);
	struct chimney_stats before = {.size = sizeof(before)}, after = before;
	struct chimney_conn_info info = {.size = sizeof(info)};

	move_all(&f, true);
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
	for (int i = 0; i < 6000 && after.updates_sent < before.updates_sent + 2; i++) {
		chimney_context_stats(f.context, &after);
		usleep(10000);
	}
	assert_int_equal(after.updates_sent, before.updates_sent + 2);
	echo_all(&f, "to the new address", false);
	assert_int_equal(
		pair_ip(&net, false, "route replace " PAIR_REMOTE4 "/32 dev " PAIR_IF " mtu 1300"),
		0);
	for (int i = 0; i < 6000 && after.updates_sent < before.updates_sent + 3; i++) {
		chimney_context_stats(f.context, &after);
		usleep(10000);
	}
	assert_int_equal(after.updates_sent, before.updates_sent + 3);
	echo_all(&f, "in smaller segments", false);
	move_all(&f, false);
	echo_all(&f, "and back", false);
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echo_across_moves),
		cmocka_unit_test(echo_with_caller_lane),
		cmocka_unit_test(idle_lane_sleeps),
		cmocka_unit_test(blocking_stream_under_moves),
		cmocka_unit_test(query_and_statistics),
		cmocka_unit_test(idle_connections_come_home),
		cmocka_unit_test(dump_shows_the_tree),
		cmocka_unit_test(reasons),
		cmocka_unit_test(bad_options),
		cmocka_unit_test(neighbor_stays_reachable),
		cmocka_unit_test(neighbor_and_mtu_follow_ip),
	};

	return LIB_RUN(tests, argc, argv);
}

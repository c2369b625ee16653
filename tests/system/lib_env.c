/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "lib_env.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

struct pair net;
int listener;
static uint32_t peer_next; /* the peer numbers its connections */

void *user_of(int i)
{
	return (void *)(uintptr_t)(i + 100);
}

struct fixture fixture_open_with(int n, struct chimney_context_options *options)
{
	struct fixture f = {.n = n};

	options->interface = PAIR_IF;
	options->max_connections = 1024;
	if (chimney_context_create(options, &f.context)) {
		fprintf(stderr, "%s\n", chimney_error());
		fail();
	}
	for (int i = 0; i < n; i++) {
		int fd = pair_accept(&net, listener, LIB_PORT, i % 2);
		int lane = i / 2 % (int)chimney_context_lanes(f.context);

		assert_true(fd >= 0);
		f.peer[i] = peer_next++;
		assert_int_equal(chimney_conn_adopt(f.context, fd, lane, user_of(i), &f.conn[i]),
		                 0);
	}
	return f;
}

struct fixture fixture_open(int n, uint32_t flags)
{
	struct chimney_context_options o = CHIMNEY_CONTEXT_OPTIONS_INIT;

	o.flags = flags;
	return fixture_open_with(n, &o);
}

void fixture_close(struct fixture *f)
{
	for (int i = 0; i < f->n; i++) {
		if (f->conn[i])
			chimney_conn_close(f->conn[i]);
	}
	chimney_context_destroy(f->context);
}

void move_all(struct fixture *f, bool offload)
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

void echo_all(struct fixture *f, const char *text, bool caller)
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

int wait_ready(struct fixture *f, struct chimney_ready *ready, int max)
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

int lib_run(const char *name, const struct CMUnitTest *tests, size_t n, int argc, char **argv)
{
	int failed;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (!pair_setup(&net))
		return 77;
	listener = pair_listen(LIB_PORT);
	failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
	pair_teardown(&net);
	return failed;
}

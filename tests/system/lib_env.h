/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the tests of libchimney on the real kernel share: a context, and connections of a peer that
 * echoes. */
#ifndef TESTS_LIB_ENV_H
#define TESTS_LIB_ENV_H

#include "chimney/chimney.h"
#include "pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LIB_PORT = 7000, CONNS = 16 };

struct fixture {
	struct chimney_context *context;
	struct chimney_conn *conn[CONNS];
	uint32_t peer[CONNS]; /* the peer's numbers */
	int n;
};

extern struct pair net;
extern int listener;

/* What an application would hang on a connection. */
void *user_of(int i);

/* A context with default options but `flags`, and n connections, both families in turn. */
struct fixture fixture_open(int n, uint32_t flags);
/* The same with options of the caller's (interface and size of the tables are filled in), the
 * connections dealt out to its lanes two at a time, so that each lane has both families. */
struct fixture fixture_open_with(int n, struct chimney_context_options *options);
void fixture_close(struct fixture *f);

/* Moves all of them, and all must move. */
void move_all(struct fixture *f, bool offload);
/* Sends the text on all, and reads it back. `caller`: the lane runs in this thread. */
void echo_all(struct fixture *f, const char *text, bool caller);

/* Waits on the descriptor of lane 0, as an application's epoll would, and takes what is ready. */
int wait_ready(struct fixture *f, struct chimney_ready *ready, int max);

/* main() of a test: an argument is a pattern, only tests whose names match it run. */
int lib_run(const char *name, const struct CMUnitTest *tests, size_t n, int argc, char **argv);
#define LIB_RUN(tests, argc, argv) \
	lib_run(#tests, tests, sizeof(tests) / sizeof((tests)[0]), argc, argv)

#endif

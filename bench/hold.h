/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Cases about what holds many connections (an engine, a target): a child process holds n of them
 * and moves them or changes their neighbor; for neighbor updates a second one holds a single
 * connection, as the peer.
 */
#ifndef BENCH_HOLD_H
#define BENCH_HOLD_H

#include "child.h"

enum hold_op {
	HOLD_FILL = 1, /* v[0]: connections to hold */
	HOLD_MOVE,     /* answers v[0], v[1]: ns of both ways, v[2]: connections moved */
	HOLD_UPDATE,   /* answers v[0]: ns, v[1]: updates */
	HOLD_VERIFY,   /* every connection still answers */
	HOLD_OWN,      /* from here on: the kind's own */

	HOLD_PORTS = 60000, /* remote ports of a local port */
};

struct hold_kind {
	int (*handle)(void *state, struct bench_msg *msg); /* in the child */
	size_t state_bytes;                                /* of what it gets, zeroed */
	const char *out, *in;                              /* names of both ways of a move */
};

/* Starts the child, or both, and gives them `op` with n (the second with 1). */
int hold_setup(struct bench_run *run, const struct hold_kind *kind, u32 op, bool two) MUST_CHECK;

/* For the table of cases. */
int hold_move(struct bench_run *run, double *ret_value);       /* us a connection */
int hold_update(struct bench_run *run, double *ret_value);     /* ns an update */
int hold_update_one(struct bench_run *run, double *ret_value); /* with one connection */
int hold_verify(struct bench_run *run);
void hold_teardown(struct bench_run *run);

#define HOLD_NEIGHBOR_CASE(what, setup_fn, count)                                                \
	{                                                                                        \
		.name = what "/neighbor/" #count, .unit = "ns/update",                           \
		.peer_name = "the same, one connection", .setup = setup_fn, .ours = hold_update, \
		.peer = hold_update_one, .teardown = hold_teardown, .n = count,                  \
	}

/* In the child: sets msg->why, returns `err`. */
int hold_fail(struct bench_msg *msg, int err, const char *what);
/* Zeroed pages; NULL: none. */
void *hold_pages(size_t bytes);

#endif

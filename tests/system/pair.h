/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two hosts for a system test: the test itself in a network namespace of its own, and a peer
 * process in another, joined by veth. Nameless: all of it ends with the processes.
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAIR_IF      "sys0"
#define PAIR_LOCAL4  "10.99.0.1"
#define PAIR_REMOTE4 "10.99.0.2"
#define PAIR_LOCAL6  "fd99::1"
#define PAIR_REMOTE6 "fd99::2"

struct pair {
	pid_t peer;
	int control; /* to the peer: struct pair_order, answered by a uint64 */
};

enum pair_order_kind {
	PAIR_CONNECT, /* arg: port; opens one connection to us; v6 by flag */
	PAIR_FIN,     /* arg: connection's number: shutdown(SHUT_WR) */
	PAIR_CLOSE,
	PAIR_RESET,   /* close with RST (SO_LINGER 0) */
	PAIR_SILENT,  /* stops echoing (and reading) on it */
	PAIR_ECHO,    /* echoes again */
	PAIR_RETRANS, /* answers tcpi_total_retrans of it */
	PAIR_RESETS,  /* answers OutRsts + EstabResets of the peer's namespace */
	PAIR_EOF, /* answers how many bytes it received before the end, UINT64_MAX: no end yet */
};

struct pair_order {
	uint32_t kind;
	uint32_t arg;
	uint32_t v6;
};

/* False (and why, printed) where it cannot be made: the test is skipped. */
bool pair_setup(struct pair *p);
void pair_teardown(struct pair *p);

/* Gives the peer an order and waits for its answer. */
uint64_t pair_ask(struct pair *p, uint32_t kind, uint32_t arg, bool v6);

/* Runs `ip` with a command line in our namespace, or in the peer's; exit status. */
int pair_ip(const struct pair *p, bool in_peer, const char *words);

/* Resets counted in our namespace. */
uint64_t pair_own_resets(void);

/* A listener on `port` in our namespace, both families; -1 on failure. */
int pair_listen(uint16_t port);

/* Opens one connection from the peer and accepts it. The peer numbers them from 0 on. */
int pair_accept(struct pair *p, int listener, uint16_t port, bool v6);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Load over plain kernel sockets: an epoll client of bounded time, and an epoll echo server.
 *
 * The client serves against any TCP server that echoes messages (request-response) or swallows
 * bytes (bulk); the server is the kernel's side of a comparison. Both run inside a child of
 * child.h.
 */
#ifndef BENCH_KERNEL_LOAD_H
#define BENCH_KERNEL_LOAD_H

#include "child.h"

enum {
	LOAD_MSG_BYTES = 64,
	LOAD_WRITE_BYTES = 65536,

	LOAD_OP_LISTEN = 1, /* server: v[0]: address, v[1]: port, host order */
	LOAD_OP_ACCEPT,     /* server: v[0]: how many */
	LOAD_OP_ECHO,       /* server: echoes until the next message; answers v[0]: messages,
	                     * v[1]: CPU ns of the process */
	LOAD_OP_SWALLOW, /* server: reads until the next message; answers v[0]: bytes, v[1]: CPU ns
	                  */
	LOAD_OP_STOP,    /* server: nothing; ends the one before */
	LOAD_OP_CONNECT, /* client: v[0]: how many, v[1]: address, v[2]: port */
	LOAD_OP_RR,      /* client: v[0]: ns; answers v[0]: requests answered, v[1]: ns elapsed,
	                  * v[2]: CPU ns */
	LOAD_OP_BULK, /* client: v[0]: ns; writes on connection 0; answers v[0]: bytes, v[1], v[2]
	               * as above */
	LOAD_OP_IDLE, /* server: v[0]: ns; runs without traffic; answers v[1]: CPU ns */
};

/* Connections of a client or a server. */
struct load_state {
	int *fds;
	u32 n;
	int epoll;
	int listener;
};

/* Handlers for bench_child_config; state is a struct load_state, zeroed. */
int load_server_handle(void *state, struct bench_msg *msg);
int load_client_handle(void *state, struct bench_msg *msg);

#endif

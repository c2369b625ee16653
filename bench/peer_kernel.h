/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A server in one namespace and a client in the other, joined by veth: the kernel's as peer, or
 * others that know the same messages.
 *
 * CPU of the server is the CPU time of its process. On veth the receiving side's protocol work is
 * done by whoever sent the frame, so a part of the server's receive work is charged to the client;
 * this is to the kernel's advantage.
 */
#ifndef BENCH_PEER_KERNEL_H
#define BENCH_PEER_KERNEL_H

#include "kernel_load.h"

struct kernel_world {
	struct bench_net net;
	struct bench_child child[BENCH_ENDS]; /* the server is local, the client remote */
	bool one_core;
};

struct kernel_world_config {
	u32 n;         /* connections */
	bool one_core; /* server and client on one CPU, otherwise on two */
	bool no_gso;   /* each segment travels alone (MSS 1460) */
	/* What runs at the ends; NULL: the kernel's server and client. */
	int (*server)(void *state, struct bench_msg *msg);
	int (*client)(void *state, struct bench_msg *msg);
	void *server_state, *client_state;
};

struct load_figures {
	double per_s;         /* requests or bytes in a second; on one core: of its CPU time */
	double server_cpu_ns; /* a request, or a byte */
};

/* An empty one, which kernel_world_close() may be given. */
void kernel_world_init(struct kernel_world *world);
int kernel_world_open(struct kernel_world *world, const struct kernel_world_config *config,
                      struct bench_run *run) MUST_CHECK;
/* Request-response of 64 bytes, one outstanding on each connection, for about 300 ms. */
int kernel_world_rr(struct kernel_world *world, struct load_figures *ret,
                    struct bench_run *run) MUST_CHECK;
/* One stream to the server, for about 300 ms. */
int kernel_world_bulk(struct kernel_world *world, struct load_figures *ret,
                      struct bench_run *run) MUST_CHECK;
/* CPU ns of the server in a second without traffic. */
int kernel_world_idle(struct kernel_world *world, double *ret_cpu_ns,
                      struct bench_run *run) MUST_CHECK;
void kernel_world_close(struct kernel_world *world);

#endif

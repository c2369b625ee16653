/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two network namespaces joined by a veth pair, and child processes that live in them.
 *
 * The namespaces have no name: they exist as long as a descriptor or a process holds them, so that
 * nothing is left behind whatever way the bench ends. Children die with their parent.
 */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include "harness.h"

#include <sys/types.h>

enum bench_end { BENCH_LOCAL, BENCH_REMOTE, BENCH_ENDS };

/* Addresses of the ends, host order. */
#define BENCH_LOCAL_IP  0x0a4d0001u /* 10.77.0.1, device cb0 */
#define BENCH_REMOTE_IP 0x0a4d0002u /* 10.77.0.2, device cb1 */
#define BENCH_PORT      7000u

struct bench_net {
	int ns[BENCH_ENDS]; /* descriptors of the namespaces */
};

/* Makes both namespaces and the veth (wide port range, permanent neighbors; Reno, because a
 * namespace other than the first may not make Cubic its default where that is restricted). 0, or
 * -Exxx with run->why set. */
int bench_net_open(struct bench_net *net, struct bench_run *run) MUST_CHECK;
void bench_net_close(struct bench_net *net);

/* Runs a shell command inside a namespace; 0 or -EIO. */
int bench_net_shell(int ns, const char *command) MUST_CHECK;

/* What parent and child say to each other; the child answers each message with one. */
struct bench_msg {
	u32 op;
	s32 err; /* answer: 0 or -Exxx */
	u64 v[8];
	char why[160];
};

/* Body of a child: serves `ctl` by bench_serve() until it ends. */
struct bench_child_config {
	int ns;  /* namespace to enter, -1: stay */
	s32 cpu; /* CPU to run on, -1: any */
	/* Handles one message: reads msg, writes the answer over it. */
	int (*handle)(void *state, struct bench_msg *msg);
	void *state; /* copied by fork */
};

struct bench_child {
	pid_t pid; /* 0: not running */
	int ctl;
};

int bench_child_start(struct bench_child *child,
                      const struct bench_child_config *config) MUST_CHECK;
/* Sends without waiting, and waits (at most 120 s) for the answer. 0, -Exxx of the child (why
 * copied to run->why), or -EPIPE when it died. */
int bench_child_send(struct bench_child *child, const struct bench_msg *msg) MUST_CHECK;
int bench_child_wait(struct bench_child *child, struct bench_msg *ret_msg,
                     struct bench_run *run) MUST_CHECK;
/* Both in one; `msg` is overwritten by the answer. */
int bench_child_call(struct bench_child *child, struct bench_msg *msg,
                     struct bench_run *run) MUST_CHECK;
/* In a child: the control socket. Readable: the parent has said something new, a running loop ends.
 */
int bench_child_ctl(void);
/* Ends it; harmless when it is not running. */
void bench_child_stop(struct bench_child *child);

#endif

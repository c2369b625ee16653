/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the tests of the Linux host share: this process in a network namespace of its own ("host"),
 * a child in another one ("peer"), a veth between them, and connections on which the peer keeps
 * sending bytes that can be checked. All of it is gone when the test's processes are.
 */
#ifndef LINUX_ENV_H
#define LINUX_ENV_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "linux/hosttap.h"
#include "linux/linux_backend.h"
#include "linux/reasons.h"

enum {
	ENV_CONNS_MAX = 12000,
	ENV_PORT = 5000, /* the peer listens here */
	/* for env_start, beside 0 (IPv4) and 1 (IPv6) */
	ENV_MAPPED = 2,        /* IPv4 by sockets of IPv6 */
	ENV_UNBOUND = 8,       /* one connection, its port chosen by the kernel */
	ENV_RETRANSMITS = 4,   /* with the kernel's own RTO */
	ENV_FIRST_PORT = 20000 /* connection i comes from this port + i */
};

/* Shared by both processes. */
struct env_shared {
	volatile u32 stop;
	volatile u32 talkers; /* connections below this index are sent to, all the time */
	volatile u32 pause;   /* the peer sends nothing: env_pause() */
	volatile u32 turns;   /* of the peer's loop, each with one value of all this */
	volatile u32 burst;   /* it sends 48 kB at a time instead of 700 bytes */
	volatile u32 accepted;
	volatile u32 mismatches;
	volatile u32 errors; /* resets and the like */
	volatile u32 eofs;
	volatile u32 shut[64];  /* set by the test: the peer half-closes connection i */
	volatile u32 close[64]; /* set by the test: the peer closes connection i */
	volatile u64 sent[ENV_CONNS_MAX];
	volatile u64 received[ENV_CONNS_MAX];
};

struct env_conn {
	int fd;
	u32 id;
	u64 received, sent;
	u32 mismatches;
};

struct env {
	struct env_shared *shared;
	pid_t peer;
	int host_ns, peer_ns;
	u32 ifindex;         /* of veth "h0", in the host's namespace */
	struct hosttap lane; /* stands for the lane's TAP */
	struct linux_backend *backend;
	struct backend_ops ops;
	struct buf_pool pool;
	void *pool_mem;
	struct rx_frame *parked;
	u32 n_parked;
	int v6, retransmits, unbound;
	u64 mark[5]; /* counters as of env_mark() */
};

/* Exits with 77 and a sentence where the test cannot run: no root, no BTF. */
void env_need_root(void);

/* Namespaces, veth (10.9.0.1 and fd09::1 here, .2 there), the peer's process. The congestion
 * control is cubic at both ends. Unless it is told otherwise nobody retransmits for 20 seconds, so
 * that a machine that is busy with other things is not taken for a loss. */
void env_start(struct env *e, int how);
/* The backend with the veth as its managed port 0, a lane's TAP, buffers. */
void env_backend(struct env *e, const struct linux_backend_config *config);
void env_stop(struct env *e);

/* Runs a shell command; fails the test when it fails. In the peer's namespace: env_run_peer. */
void env_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
void env_run_peer(struct env *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `n` connections, opened by this side. */
void env_connect(struct env *e, struct env_conn *conns, u32 n);
void env_close(struct env_conn *conns, u32 n);

/* Reads what is there and checks it; true when at least a byte came. */
int env_read(struct env_conn *c);
/* Sends `n` bytes of the pattern; all must be taken. */
void env_send(struct env_conn *c, u32 n);
/* Reads until `c` has received as much as the peer has sent, with the peer paused. */
void env_drain(struct env *e, struct env_conn *c);
/* Waits until the peer has received all that this side has sent. */
void env_drained_peer(struct env *e, const struct env_conn *c);
void env_sleep_ms(u32 ms);
/* Waits until each packet of IPv4 that one end has sent has reached the other: on a busy machine it
 * may lie in a queue between them for long. Only before the first frame was parked. */
void env_quiet(struct env *e);
/* The peer sends nothing any more once this returns; it goes on when `pause` is cleared. */
void env_pause(struct env *e);

u8 env_pattern(u32 id, u64 offset);

/* Reads frames off the lane's TAP into buffers and parks them; how many. */
u32 env_park(struct env *e);
/* Frames that the lane's TAP has dropped because its queue was full. */
u64 env_tap_drops(struct env *e);
/* Injects what is parked, in order. */
void env_inject(struct env *e);

/* Arrays for moving n connections. */
struct env_moves {
	struct move *move;
	struct tcp_state *tcp;
	struct path_state *path;
	struct neighbor_state *neighbor;
	u32 n;
};
void env_moves_init(struct env_moves *m, const struct env_conn *conns, u32 n);
void env_moves_free(struct env *e, struct env_moves *m);
/* Fails the test when a status of [from, from + n) is not OK. */
void env_all_ok(const struct env_moves *m, u32 from, u32 n, const char *step);
/* The whole way out, [from, from + n) as one chunk; every step must succeed. */
void env_offload(struct env *e, struct env_moves *m, u32 from, u32 n);
/* And back, with what was parked. */
void env_upload(struct env *e, struct env_moves *m, u32 from, u32 n);
void env_fence(struct env *e);
/* From now on nobody may notice anything; without a call: since env_connect(). */
void env_mark(struct env *e);
/* Nobody has noticed: no reset, no retransmission, no wrong byte, at either end. */
void env_unnoticed(struct env *e);
/* What the export program says about a socket. */
struct sock_export env_export(int fd);

/* A counter of /proc/net/snmp or netstat, of the host's (0) or the peer's (1) namespace. */
u64 env_counter(struct env *e, int peer, const char *file, const char *name);

#endif

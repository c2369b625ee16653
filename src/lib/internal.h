/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Inside libchimney. One struct lib_lane is everything a lane owns: target, host, port, the kernel
 * as backend, and what its connections are waiting for. All of it is touched under the lane's lock
 * only (lane_lock()); the lane's own thread holds it while it processes a batch.
 */
#ifndef LIB_INTERNAL_H
#define LIB_INTERNAL_H

#include "chimney/chimney.h"
#include "host/host.h"
#include "lane/lane.h"
#include "linux/events.h"
#include "linux/linux_backend.h"
#include "linux/xdp.h"
#include "port/port.h"
#include "target/target.h"

#include <pthread.h>
#include <stdatomic.h>

#define EXPORT __attribute__((visibility("default")))

enum {
	LIB_PARKED_MAX = 65536,     /* frames held back during moves, a lane */
	LIB_FRAMES = 256,           /* of a batch */
	LIB_COMPLETIONS_MIN = 1024, /* room for completions nobody collected yet */
};

/* Doubly linked, intrusive: the ready list and the closing list of a lane. */
struct lib_list {
	struct chimney_conn *head, *tail;
	u32 n;
};

struct lib_link {
	struct chimney_conn *next, *prev;
	bool linked;
};

struct chimney_conn {
	struct lib_lane *lane;
	int fd;
	int fd_flags; /* as adopted: blocking or not */
	void *user;
	handle host;
	u8 side;             /* enum host_side_of */
	bool in_epoll;       /* registered at the lane's kernel_epoll, edge-triggered, for good */
	bool closing;        /* chimney_conn_close() was called: goes when it is in the kernel */
	bool aborted;        /* the device said so */
	int error;           /* errno to report after that */
	u32 watch;           /* enum chimney_ready_events wanted */
	u32 avail;           /* what it may be ready for; cleared by an EAGAIN */
	u32 posted_recv;     /* buffers posted and not completed */
	u32 waiters;         /* threads in lib_wait() */
	_Atomic u32 changed; /* futex: rises with every notice */
	struct lib_link ready;
	struct lib_link all; /* on the lane's list of connections */
};

struct lib_lane {
	struct chimney_context *context;
	u32 index;
	struct lane *lane;
	struct target *target;
	struct host *host;
	struct device device;
	struct port *ports[TCP_PORTS_MAX]; /* a TAP; in XDP mode its queues first */
	u32 n_ports;
	struct linux_backend *backend;
	struct events *events;
	void *arena; /* mapping of the memfd that the target's state lies in */
	size_t arena_bytes;
	int arena_fd;
	void *target_mem, *host_mem;
	int outer_epoll;  /* what chimney_lane_fd() gives: event_fd and kernel_epoll */
	int kernel_epoll; /* descriptors of connections, edge-triggered */
	int event_fd;     /* readable while ready list or completions are not empty */
	bool signalled;
	u32 kernel_watched; /* connections in kernel_epoll */
	struct lib_list ready;
	struct lib_list all;
	u32 closing;                     /* connections on `all` that are closing */
	struct chimney_completion *done; /* ring of completions */
	u32 done_cap, done_at, done_n;
	struct host_move *closing_moves; /* of the move that brings closing ones home, NULL: none */
	u32 n_closing_moves;
	u32 moves_waiting;     /* callers of chimney_conns_offload/upload */
	_Atomic u32 move_done; /* futex: rises when a move ends */
};

struct chimney_context {
	struct chimney_context_options options;
	u32 ifindex;
	struct lib_lane *lanes;
	u32 n_lanes;
	_Atomic u32 next_lane;
	struct xdp_program *xdp; /* XDP mode */
	bool caller_lanes;
	pthread_t monitor;
	int monitor_stop; /* eventfd */
	bool monitor_runs;
};

/* -- error.c ------------------------------------------------------------------------------------
 */

/* Sets the sentence of chimney_error() and returns `err`. */
int lib_fail(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -- lane.c -------------------------------------------------------------------------------------
 */

int lib_lane_start(struct lib_lane *l, struct chimney_context *context, u32 index) MUST_CHECK;
/* Uploads and closes all its connections. */
void lib_lane_bring_home(struct lib_lane *l);
void lib_lane_stop(struct lib_lane *l);

/* -- port.c -------------------------------------------------------------------------------------
 */

/* How many of the lane's ports are receive queues: the first ones. */
u32 lib_port_queues(const struct chimney_context *c, u32 lane);
/* Small buffers that they leave with the kernel, beside those of connections. */
u32 lib_port_buffers(const struct chimney_context *c, u32 lane);
/* Opens the lane's port and the kernel as backend. */
int lib_port_open(struct lib_lane *l) MUST_CHECK;
void lib_port_close(struct lib_lane *l);

/* -- monitor.c ----------------------------------------------------------------------------------
 */

/* Follows neighbors, routes, MTUs and links on behalf of all lanes. */
int lib_monitor_start(struct chimney_context *c) MUST_CHECK;
void lib_monitor_stop(struct chimney_context *c);

/* -- ready.c ------------------------------------------------------------------------------------
 */

/* The connection may be ready for `events`: queue it, wake whoever waits. */
void lib_ready(struct chimney_conn *conn, u32 events);
/* Makes the lane's descriptor readable, or not. */
void lib_signal(struct lib_lane *l);
void lib_unsignal(struct lib_lane *l);
/* Waits until the connection may be ready for `events`; no lock held. */
void lib_wait(struct chimney_conn *conn, u32 events);
/* Takes up to about `max` of the kernel's edges over, and lets posted buffers go on. */
void lib_collect_kernel(struct lib_lane *l, int max);
/* Registers the descriptor at the lane's kernel_epoll, once. */
int lib_kernel_watch(struct chimney_conn *conn);
void lib_list_push(struct lib_list *list, struct lib_link *(*link)(struct chimney_conn *),
                   struct chimney_conn *conn);
void lib_list_remove(struct lib_list *list, struct lib_link *(*link)(struct chimney_conn *),
                     struct chimney_conn *conn);
struct lib_link *lib_link_ready(struct chimney_conn *conn);
struct lib_link *lib_link_all(struct chimney_conn *conn);

/* -- conn.c -------------------------------------------------------------------------------------
 */

/* The object goes; in the kernel the descriptor is closed. Under the lock. */
void lib_conn_free(struct chimney_conn *conn, bool close_fd);

/* -- move.c -------------------------------------------------------------------------------------
 */

/* Once a turn of the lane, under its lock: carries moves and closes on by about one chunk. True:
 * more to do at once. */
bool lib_move_step(struct lib_lane *l);

/* -- post.c -------------------------------------------------------------------------------------
 */

/* host_env.done */
void lib_host_done(void *ctx, const struct host_done *done, u32 n);

int lib_futex_wait(_Atomic u32 *word, u32 value, int timeout_ms);
void lib_futex_wake(_Atomic u32 *word);

#endif

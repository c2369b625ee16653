/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * N established kernel connections between two namespaces, whose local ends are moved about: made,
 * their queues filled, every byte verified at the end.
 *
 * The local ends live in one child, the remote ends in another (a process may have 20,000
 * descriptors). Bytes are a function of connection, direction and position.
 */
#ifndef BENCH_CONNS_H
#define BENCH_CONNS_H

#include "child.h"

struct conn_end {
	int fd;
	u16 id;   /* the local end's port */
	u32 sent; /* bytes written into this end so far */
	u32 read; /* bytes read from it */
};

/* The ends that one process holds. */
struct conn_set {
	struct conn_end *conns;
	u32 n;
	enum bench_end end;
	int listener;
	u32 queued; /* bytes in each queue of the local ends */
	/* Bytes written by [id][end], in memory that both processes see: what the reader must find.
	 */
	u32 (*written)[BENCH_ENDS];
};

enum {
	CONN_OP_LISTEN = 1, /* v[0]: receive buffer of accepted sockets, 0: the default */
	CONN_OP_CONNECT,    /* v[0]: how many; the remote end accepts while the local connects */
	CONN_OP_ACCEPT,     /* v[0]: how many */
	CONN_OP_FILL_SEND,  /* v[0]: bytes that shall lie in each end's send queue */
	CONN_OP_WRITE,      /* v[0]: bytes to write into each end */
	CONN_OP_FILL_CHECK, /* v[0]: bytes that must lie in each end's receive queue */
	CONN_OP_READ,       /* read all that the other ends have written, and compare */
	CONN_OP_USER = 64,  /* operations of the case that uses this start here */
};

/* Handles the operations above, for the `handle` of a child; -ENOSYS for others. */
int conn_set_handle(struct conn_set *set, struct bench_msg *msg) MUST_CHECK;

/* The whole topology, from the parent's side. */
struct conn_world {
	struct bench_net net;
	struct bench_child child[BENCH_ENDS];
	u32 n;
	u32 queued;
	u32 (*written)[BENCH_ENDS];
};

/* An empty one, which conn_world_close() may be given. */
void conn_world_init(struct conn_world *world);

/* Makes namespaces, children and `world->n` connections with `world->queued` bytes in each queue of
 * the local ends. `local` says what the local child runs (its ns is filled in), `local_set` is the
 * set that its handler passes to conn_set_handle() for what it does not know itself. 0 or -Exxx
 * with run->why set. */
int conn_world_open(struct conn_world *world, const struct bench_child_config *local,
                    struct conn_set *local_set, struct bench_run *run) MUST_CHECK;
/* Sends 64 bytes more in both directions, then reads and compares every byte of every connection.
 */
int conn_world_verify(struct conn_world *world, struct bench_run *run) MUST_CHECK;
void conn_world_close(struct conn_world *world);

#endif

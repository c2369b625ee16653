/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One connection out of its kernel socket and back into it, on the same descriptor. The steering of
 * its frames is the caller's (linux/linux_backend.c): hold before freeze, release after import.
 *
 *   stop     repair mode on; many sockets are then read at once (linux/batch.h)
 *   freeze   everything that was read checked, and the queues; the kernel still has the connection
 *   thaw     repair mode off again: as if nothing had happened
 *   detach   the socket turns to CLOSE without a segment and keeps its port
 *   import   the connection put back, repair mode off; one that is over leaves TIME_WAIT behind in
 *            the kernel, or a closed socket from which unread bytes can still be read
 *
 * Each leaves the socket as it was when it fails; detach cannot, and a disconnect does not fail. A
 * detached socket stays in repair mode, so that closing it sends nothing.
 */
#ifndef LINUX_REPAIR_H
#define LINUX_REPAIR_H

#include "state/block.h"

#include "linux/programs.h"
#include "linux/queues.h"
#include "linux/sockstate.h"
#include "linux/synth.h"
#include "linux/sys.h"

enum linux_conn_flags {
	CONN_HELD = 1 << 0,      /* its flow is in the map */
	CONN_REUSEADDR = 1 << 1, /* the application had set SO_REUSEADDR (trap 5) */
	CONN_UNBOUND = 1 << 2,   /* the port could not be taken again at detach */
	CONN_USEC_TS = 1 << 3,
	CONN_ROUTE_CWND = 1 << 5, /* its route sets cwnd or ssthresh at connect */
	CONN_SEND_QUEUE = 1 << 4, /* detached with the send queue selected for repair */
	CONN_PORT_BOUND = 1 << 6, /* keeps its port when it is detached */
};

/* What is kept for a descriptor from inspection until it is back in the kernel: settings of the
 * socket that its state does not hold. */
struct linux_conn {
	struct steer_key key;
	char cc[16];
	u32 slot;    /* of the flow map, NIL: none */
	u32 ifindex; /* the managed port that it uses */
	u32 tap;     /* the lane's */
	u32 scope;   /* of a link-local address */
	u32 tsoffset;
	u32 mss;     /* of the congestion window's segments */
	u32 rcv_nxt; /* that the detached socket still has */
	u16 user_mss;
	u8 family; /* AF_INET, AF_INET6 */
	u8 flags;  /* enum linux_conn_flags */
};

struct repair {
	const struct linux_sys *sys;
	struct programs *programs;
	struct sock_defaults defaults;
	struct queue_scratch scratch;
	u64 now_ns; /* CLOCK_MONOTONIC, set by the caller for each batch */
	/* Injects a segment of the peer's, while what the kernel answers is dropped. */
	int (*inject)(void *impl, const struct linux_conn *conn, struct synth_segment *segment);
	void (*mute)(void *impl, const struct linux_conn *conn, bool on);
	void *impl;
	bool restore_rtt; /* let the kernel measure srtt once: one more segment for each import */
	u64 flushed_acks, delayed_binds, unquiet;
};

/* Reads everything about a socket. -ENOPROTOOPT: the program is not attached; -ENOTSOCK, -EBADF. */
int repair_export(const struct repair *r, int fd, struct sock_export *ret) MUST_CHECK;

/* Notes the settings that only the untouched socket shows. */
void repair_note(struct linux_conn *conn, const struct sock_export *e);

/* All of these: enum status; *ret_detail is the error number of FAILED. */
enum status repair_stop(struct repair *r, int fd, struct linux_conn *conn, u64 *ret_detail);

/* A socket that was stopped, and what was read of it since; `err`: that failed. */
struct frozen_socket {
	int fd;
	struct linux_conn *conn;
	int err;
	const struct sock_export *read;
};
enum status repair_freeze(struct repair *r, const struct frozen_socket *socket,
                          struct tcp_state *ret_state, struct buf_pool *pool, u64 *ret_detail);
void repair_thaw(struct repair *r, int fd, const struct linux_conn *conn);
enum status repair_detach(struct repair *r, int fd, struct linux_conn *conn, u64 *ret_detail);
enum status repair_import(struct repair *r, int fd, struct linux_conn *conn,
                          const struct tcp_state *state, struct buf_pool *pool, u64 *ret_detail);

/* -- between repair.c and import.c ---------------------------------------------------------------
 */

/* The address of one end, for bind and connect; returns its length. */
socklen_t repair_address(const struct linux_conn *conn, bool local, struct sockaddr_storage *ret);
/* In repair mode: to CLOSE without a segment, and the port taken again. -Exxx of connect; a failed
 * bind is noted and made up for at import. */
int repair_disconnect(struct repair *r, int fd, struct linux_conn *conn) MUST_CHECK;
int repair_set_int(const struct repair *r, int fd, int name, int value) MUST_CHECK;

#endif

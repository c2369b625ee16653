/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * libchimney: live TCP connections out of the Linux kernel into an offload target, and back.
 *
 * A context manages network interfaces ("ports") of one network namespace and runs one or more
 * lanes, each with an offload target of its own. An application adopts connected sockets, offloads
 * and uploads any number of them in one call, and sends and receives by chimney_conn_send() and
 * chimney_conn_recv() wherever the connection happens to be: no byte is lost, doubled or reordered
 * by a move, and the peer cannot tell.
 *
 * Threads. With lanes in threads of the library (the default) every call may be made from any
 * thread; calls on one connection are serialised by its lane's lock. With CHIMNEY_LANES_CALLER the
 * application runs the lanes by chimney_lane_poll(), and all calls that touch a lane or its
 * connections must come from the one thread that does so.
 *
 * Errors. Functions return 0 (or a count) or a negative errno value; nothing is written to errno
 * for the caller to read. Why a connection was not moved is a status: a word and a sentence
 * (chimney_status_word(), chimney_status_sentence()).
 *
 * Option structs begin with their size (set by the initialiser macros), so that fields can be
 * added without breaking programs that were built before.
 */
#ifndef CHIMNEY_CHIMNEY_H
#define CHIMNEY_CHIMNEY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -- context ----------------------------------------------------------------------------------- */

/* A context; opaque. Made by chimney_context_create(). */
struct chimney_context;

/* A connection that was adopted; opaque. Made by chimney_conn_adopt(). */
struct chimney_conn;

enum chimney_port_mode {
	CHIMNEY_PORT_TAP = 0, /* superframes, any interface, tcpdump works: the default */
	CHIMNEY_PORT_XDP = 1, /* small messages, hardware queues: AF_XDP, native or generic */
};

enum chimney_context_flags {
	CHIMNEY_LANES_CALLER = 1 << 0, /* lanes run in the caller's thread: chimney_lane_poll() */
};

/*
 * What makes a target ask for the upload of a connection that is a poor candidate: what it did in a
 * period, against these thresholds. It must cross the same one some periods in a row. The upload is
 * carried out by itself; its reason stands in the log (chimney_context_log(), `chimney explain`).
 * All zero: never; a single zero switches that threshold off.
 */
struct chimney_watch {
	uint32_t period_ms;      /* 0: nothing is measured */
	uint32_t periods;        /* in a row; 0: 3 */
	uint32_t low_bytes;      /* fewer bytes than that, both ways: low-activity */
	uint32_t losses;         /* so many recoveries and timeouts: high-drop-rate */
	uint32_t small_bytes;    /* fewer bytes a call on average: small-io */
	uint32_t unposted_bytes; /* so many bytes found no posted buffer: no-buffers-posted */
	uint32_t fragments;      /* so many IP fragments: high-fragmentation */
	uint32_t disorder;       /* so often segments out of order: out-of-order */
};

struct chimney_context_options {
	size_t size;           /* of this struct */
	const char *interface; /* the managed port, in the caller's network namespace */
	uint32_t port_mode;    /* enum chimney_port_mode */
	uint32_t flags;        /* enum chimney_context_flags */
	/* 0: 1. In XDP mode lane i of n serves the receive queues i, i + n, ...; what arrives for
	 * it on other queues takes the slower way through a TAP. */
	uint32_t lanes;
	uint32_t max_connections; /* of each lane's target; 0: 16384 */
	uint32_t small_buffers;   /* 2 KiB each, a lane; 0: sized from max_connections (those that
	                           * a port in XDP mode receives into come on top) */
	uint32_t large_buffers;   /* 64 KiB each, a lane; 0: sized from max_connections */
	uint32_t spin_us;  /* how long a lane spins before it sleeps; UINT32_MAX: never, 0: 50 */
	uint32_t chunk_us; /* how long a chunk of a move may take, estimated; 0: 1000 */
	uint32_t quiet_ms; /* how long to wait for a connection in recovery; 0: 20 */
	uint32_t reserved;
	struct chimney_watch watch; /* off */
};

/* An initialiser for options of this header's version. */
#define CHIMNEY_CONTEXT_OPTIONS_INIT                           \
	{                                                      \
		.size = sizeof(struct chimney_context_options) \
	}

/*
 * Makes a context: opens the port, loads what steers flows, starts the lanes. The network namespace
 * is that of the calling thread, and stays it. Needs CAP_NET_ADMIN, CAP_BPF and CAP_SYS_NICE.
 *
 * Returns 0 and the context (the caller's, end it by chimney_context_destroy()); -EINVAL: an option
 * is out of range; -ENODEV: no such interface; -EPERM: a capability is missing; -EOPNOTSUPP: the
 * kernel lacks a feature; -ENOMEM. chimney_error() says which and what to do.
 */
int chimney_context_create(const struct chimney_context_options *options,
                           struct chimney_context **ret_context);

/*
 * Uploads every connection that is offloaded, stops the lanes and removes everything from the
 * kernel that the context put there. Connections that were not released are closed. NULL is fine.
 */
void chimney_context_destroy(struct chimney_context *context);

/* The sentence behind the calling thread's last error: what, why, what to do next. Never NULL. The
 * library's, valid until the thread's next call. */
const char *chimney_error(void);

/* How the port works: "tap", "xdp-native" or "xdp-generic". The library's, as long as the context.
 */
const char *chimney_context_mode(const struct chimney_context *context);

/* How many lanes there are. */
unsigned int chimney_context_lanes(const struct chimney_context *context);

/* -- connections ------------------------------------------------------------------------------- */

/*
 * Adopts a TCP socket: from now on the library owns the descriptor and sets it non-blocking; use
 * it only through the connection. The connection starts in the host (the kernel). `user` is handed
 * back by chimney_lane_ready() and completions. If a lane has to be chosen, `lane` is its number,
 * or -1 for the library's choice.
 *
 * Returns 0; -ENOTSOCK or -EPROTOTYPE: no TCP socket; -EINVAL: no such lane; -ENOMEM. On an error
 * the descriptor stays the caller's.
 */
int chimney_conn_adopt(struct chimney_context *context, int fd, int lane, void *user,
                       struct chimney_conn **ret_conn);

/*
 * Gives the descriptor back and ends the connection object; it is blocking or not as it was when it
 * was adopted. Only for a connection in the host: -EBUSY: it is offloaded, upload it first. The
 * number in *ret_fd is the one that was adopted.
 */
int chimney_conn_release(struct chimney_conn *conn, int *ret_fd);

/*
 * Closes: what was sent is delivered, then FIN, as close(2); works wherever the connection is. The
 * object is gone afterwards.
 */
void chimney_conn_close(struct chimney_conn *conn);

/* The `user` of chimney_conn_adopt(). */
void *chimney_conn_user(const struct chimney_conn *conn);

/* The number of the lane that it belongs to. */
unsigned int chimney_conn_lane(const struct chimney_conn *conn);

/* The descriptor, for getsockopt() and the like; while the connection is offloaded the kernel shows
 * a closed socket. It must not be closed, read or written. */
int chimney_conn_fd(const struct chimney_conn *conn);

enum chimney_io_flags {
	CHIMNEY_DONTWAIT = 1 << 0, /* never block */
	CHIMNEY_PEEK = 1 << 1,     /* receive: leave the bytes */
};

/*
 * Sends: copies up to `len` bytes, waits for room for at least one unless CHIMNEY_DONTWAIT. Goes on
 * across moves: while the connection moves there is no room.
 *
 * Returns bytes taken; -EAGAIN: no room now; -EPIPE: after a shutdown; -ECONNRESET; -ETIMEDOUT.
 */
ssize_t chimney_conn_send(struct chimney_conn *conn, const void *data, size_t len, int flags);

/*
 * Receives up to `len` bytes in order, waits for at least one unless CHIMNEY_DONTWAIT.
 *
 * Returns bytes; 0: the peer closed and everything was read; -EAGAIN: nothing there now;
 * -ECONNRESET; -ETIMEDOUT.
 */
ssize_t chimney_conn_recv(struct chimney_conn *conn, void *data, size_t len, int flags);

/* FIN after what was sent (shutdown(2), SHUT_WR). The peer may go on sending. 0, or -ENOTCONN. */
int chimney_conn_shutdown(struct chimney_conn *conn);

/* -- moving ------------------------------------------------------------------------------------ */

/* The result of a move for one connection. */
struct chimney_result {
	uint32_t status;   /* 0: moved; else a number for chimney_status_word() */
	uint32_t chunk;    /* the chunk of the batch that it was moved in */
	uint64_t detail;   /* with a status: the limit's value, the layer, the errno */
	uint32_t move_ns;  /* its chunk's time, divided by the connections of the chunk */
	uint32_t stall_ns; /* how long it stood still: from hold until its new owner could run it */
};

/*
 * Offloads connections: all of them in one call, moved in chunks so that each stands still for its
 * own chunk only. Connections may be in use: their bytes wait in between. What cannot move stays
 * where it is and goes on there; `results[i]` says why. `results` may be NULL.
 *
 * Returns how many are offloaded now (of these `n`), or -EINVAL: connections of another context;
 * -ENOMEM. One bad connection never fails the others.
 */
ssize_t chimney_conns_offload(struct chimney_context *context, struct chimney_conn *const *conns,
                              size_t n, struct chimney_result *results);

/* Uploads connections: the same, back into the kernel. Returns how many are in the kernel now. */
ssize_t chimney_conns_upload(struct chimney_context *context, struct chimney_conn *const *conns,
                             size_t n, struct chimney_result *results);

/* The word of a status, such as "no-connections". Never NULL; static. */
const char *chimney_status_word(uint32_t status);

/* The sentence of a status: what it means. Never NULL; static. */
const char *chimney_status_sentence(uint32_t status);

/* The word of a reason for which a target asks for an upload, as it stands in the event log:
 * numbers from 0 on, "unknown" behind the last. Never NULL. */
const char *chimney_reason_word(uint32_t reason);

/* What it says, why, and what to do next. Never NULL. */
const char *chimney_reason_sentence(uint32_t reason);

/* -- lanes and readiness ------------------------------------------------------------------------
 */

enum chimney_ready_events {
	CHIMNEY_READABLE = 1 << 0, /* bytes, or the peer's FIN */
	CHIMNEY_WRITABLE = 1 << 1, /* room to send */
	CHIMNEY_ERROR = 1 << 2,    /* reset or timed out: always reported */
	CHIMNEY_EDGE = 1 << 3,     /* watch: report changes, not states */
};

/* Which events to report of a connection: any of enum chimney_ready_events; 0: none. By default a
 * connection is not watched. Level-triggered, unless CHIMNEY_EDGE is set. */
void chimney_conn_watch(struct chimney_conn *conn, uint32_t events);

struct chimney_ready {
	struct chimney_conn *conn;
	void *user;
	uint32_t events; /* enum chimney_ready_events */
};

/*
 * The lane's pollable descriptor: readable when chimney_lane_ready() or chimney_lane_completions()
 * would return something. It may stand in the application's epoll, level-triggered. The library's.
 */
int chimney_lane_fd(const struct chimney_context *context, unsigned int lane);

/* Collects up to `max` ready connections, those in the host and those offloaded. Returns how many;
 * does not wait. */
int chimney_lane_ready(struct chimney_context *context, unsigned int lane,
                       struct chimney_ready *ready, int max);

/*
 * Runs a lane in the caller's thread (CHIMNEY_LANES_CALLER): receives, processes, answers, sends.
 * Waits for up to `timeout_us` when there is nothing to do; 0: does not wait. Returns 1 when
 * something happened, 0 when not; -EINVAL: the lane runs in a thread of the library.
 */
int chimney_lane_poll(struct chimney_context *context, unsigned int lane, uint32_t timeout_us);

/* -- posted buffers -----------------------------------------------------------------------------
 */

/* The completion of a posted buffer. */
struct chimney_completion {
	struct chimney_conn *conn;
	void *user;      /* of the connection */
	uint64_t cookie; /* of the post */
	uint32_t kind;   /* enum chimney_completion_kind */
	int32_t error;   /* 0 or -Exxx */
	uint32_t bytes;  /* sent and acknowledged, or received */
};

enum chimney_completion_kind {
	CHIMNEY_SENT = 1,
	CHIMNEY_RECEIVED = 2,
};

/*
 * Posts a buffer to be sent behind everything sent before. Completes once the peer has acknowledged
 * every byte; `data` must stay as it is until then. Survives moves: what the peer had not
 * acknowledged goes on from the other side. 0; -ENOBUFS: too many posted; -EPIPE.
 */
int chimney_conn_post_send(struct chimney_conn *conn, const void *data, size_t len,
                           uint64_t cookie);

/*
 * Posts a buffer to be filled: completes when full, at a push by the peer, at the peer's FIN (with
 * what there is, 0 bytes at the end), or with an error. Buffers are filled in the order of posting.
 * While any is posted chimney_conn_recv() returns -EBUSY. 0; -ENOBUFS: too many posted.
 */
int chimney_conn_post_recv(struct chimney_conn *conn, void *data, size_t len, uint64_t cookie);

/* Collects up to `max` completions of a lane; does not wait. */
int chimney_lane_completions(struct chimney_context *context, unsigned int lane,
                             struct chimney_completion *done, int max);

/* -- looking ------------------------------------------------------------------------------------
 */

/* What is known of a connection; sizes in bytes, times in nanoseconds. */
struct chimney_conn_info {
	size_t size;        /* of this struct, set by the caller */
	uint32_t offloaded; /* 1: in the target, 0: in the kernel */
	uint32_t state;     /* as TCP_ESTABLISHED and so on of netinet/tcp.h */
	uint64_t srtt_ns;
	uint64_t rttvar_ns;
	uint64_t rto_ns;
	uint32_t cwnd_bytes;
	uint32_t ssthresh_bytes; /* UINT32_MAX: not set */
	uint32_t snd_wnd_bytes;
	uint32_t rcv_wnd_bytes;
	uint32_t unacked_bytes; /* sent or queued, not acknowledged */
	uint32_t unread_bytes;
	uint32_t path_mtu;
	uint32_t moves;       /* times it was offloaded */
	uint32_t last_status; /* of the last move: why it is not offloaded */
	uint32_t reserved;
	uint64_t last_detail;
};

/* Asks the owner of the connection; may be called at any time. 0, or -EINVAL: size. */
int chimney_conn_query(struct chimney_conn *conn, struct chimney_conn_info *ret_info);

/* Counters of a context, all since its start unless they say "now". */
struct chimney_stats {
	size_t size; /* of this struct, set by the caller */
	uint64_t adopted_now;
	uint64_t offloaded_now;
	uint64_t paths_now;
	uint64_t neighbors_now;
	uint64_t offloads;
	uint64_t offloads_refused;
	uint64_t uploads;
	uint64_t uploads_failed;  /* rolled back: the target went on */
	uint64_t upload_requests; /* by the target, each with a reason in the log */
	uint64_t updates_sent; /* update calls to the target, whatever their number of dependents */
	uint64_t parked_frames;  /* held back during moves and handed on in order */
	uint64_t parked_dropped; /* over the limit */
	uint64_t rx_frames, rx_bytes, tx_frames, tx_bytes;
	uint64_t port_dropped;     /* by the port's queues */
	uint64_t segments_dropped; /* by the target: checksum, window, options, ... */
	uint64_t retransmits;      /* by the target */
	uint64_t lane_sleeps;
	uint64_t bytes_per_connection; /* memory an idle connection costs the target */
	/* Time that moves took: reading connections out of the kernel and detaching them, handing
	 * them to and from the target, putting them back into the kernel. */
	uint64_t move_export_ns, move_transfer_ns, move_import_ns;
};

/* Reads the counters. 0, or -EINVAL: size. */
int chimney_context_stats(struct chimney_context *context, struct chimney_stats *ret_stats);

/* An entry of the event log. */
struct chimney_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	uint64_t number;  /* rises by one; a gap: the ring was too small */
	char text[240];   /* one sentence */
};

/*
 * Reads a lane's log: entries with a number above `after`, oldest first. Returns how many; -EINVAL:
 * no such lane. Every upload that a target asked for is in it, with the reason.
 */
int chimney_context_log(struct chimney_context *context, unsigned int lane, uint64_t after,
                        struct chimney_event *events, int max);

/*
 * Writes the offloaded objects as JSON (the tree of neighbors, paths and connections, all state
 * variables, no payload) to a descriptor. 0 or -Exxx of write(2).
 */
int chimney_context_dump(struct chimney_context *context, int fd);

#ifdef __cplusplus
}
#endif

#endif

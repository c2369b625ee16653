/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The TCP engine: tables of neighbors, paths and connections in an arena, frames in, frames out.
 *
 * Sans-I/O. Nothing here reads a clock, allocates or calls the system: time is `now_ns`
 * (CLOCK_MONOTONIC on Linux, so that TCP timestamps continue across a move), memory is given at
 * start, effects are appended to arrays of the caller. The software target and the soft host are
 * both built on it.
 *
 * The cycle of a lane:
 *
 *   tcp_input(frames)        state changes only: marks connections dirty, raises events
 *   tcp_timers(now)          the same for what is due
 *   tcp_events()             who became readable, writable, closed, ...
 *   tcp_send/tcp_recv/...    the owner reacts
 *   tcp_flush(tx)            emits segments of dirty connections: data, ACKs, probes, RSTs
 *
 * So an ACK rides on the answer that the application gives in the same cycle. Only tcp_flush()
 * produces frames.
 *
 * Authoritative: neighbors, paths, connections and buffers, all in the arena, all named by index.
 * The lookup table, free lists and timers are derived; tcp_engine_rebuild() makes them anew by a
 * scan.
 *
 * Not thread-safe: an engine belongs to one lane.
 */
#ifndef TCP_ENGINE_H
#define TCP_ENGINE_H

#include "base/buf.h"
#include "base/frame.h"
#include "state/state.h"

enum { TCP_PORTS_MAX = 8 };

/* What a port of the lane can do; the engine cuts segments accordingly. */
struct tcp_port_caps {
	u32 gso_max_bytes; /* largest frame payload that the port cuts itself; 0: MSS-sized only */
	bool tx_csum;      /* leave checksums to the port: tx_frame.csum_start is set */
	bool rx_trusted;   /* FRAME_CSUM_UNKNOWN counts as valid (in-memory wire) */
};

struct tcp_engine_config {
	u32 max_connections;
	u32 max_paths;
	u32 max_neighbors;
	u8 hash_key[16];          /* of the lookup table (SipHash-1-3), random for each start */
	u64 seed;                 /* of ISNs and jitter */
	u64 min_rto_ns;           /* 0: 200 ms, as Linux */
	u64 max_rto_ns;           /* 0: 120 s */
	u64 delayed_ack_ns;       /* 0: 40 ms */
	u64 msl_ns;               /* 0: 30 s: TIME_WAIT lasts twice as long */
	u32 challenge_acks_per_s; /* 0: 1000 (RFC 5961 7); the mean of a budget that varies by half
	                           */
	u32 rcv_buf_max_bytes;    /* no receive buffer grows by itself beyond; 0: no limit */
	struct tcp_port_caps ports[TCP_PORTS_MAX];
};

struct tcp_engine;

/* Bytes of arena that the tables take (a multiple of 4096) and bytes of `struct tcp_engine`. */
size_t tcp_engine_arena_bytes(const struct tcp_engine_config *config);
size_t tcp_engine_bytes(void);

/*
 * Makes an engine: `e` is tcp_engine_bytes() of private memory, `arena` is tcp_engine_arena_bytes()
 * (4096-aligned, may be shared memory). Both are the caller's and outlive the engine; `bufs` too.
 */
void tcp_engine_init(struct tcp_engine *e, void *arena, const struct tcp_engine_config *config,
                     struct buf_pool *bufs);

/* As tcp_engine_init(), over an arena that holds an engine's tables: keeps them. */
void tcp_engine_attach(struct tcp_engine *e, void *arena, const struct tcp_engine_config *config,
                       struct buf_pool *bufs, u64 now_ns);

/* Throws lookup, free lists and timers away and makes them anew from the tables. */
void tcp_engine_rebuild(struct tcp_engine *e, u64 now_ns);

/* -- neighbors and paths ----------------------------------------------------------------------- */

/* A new neighbor, its index in *ret_neighbor. -ENOSPC: table full. */
int tcp_neighbor_add(struct tcp_engine *e, const struct neighbor_state *state,
                     u32 *ret_neighbor) MUST_CHECK;
/* Writes CACHED: one write, however many connections depend on it (R59). */
void tcp_neighbor_update(struct tcp_engine *e, u32 neighbor, const struct neighbor_cached *cached);
void tcp_neighbor_export(struct tcp_engine *e, u32 neighbor, u64 now_ns,
                         struct neighbor_state *ret_state);
/* -EBUSY while a path refers to it. */
int tcp_neighbor_remove(struct tcp_engine *e, u32 neighbor) MUST_CHECK;
/* Stops (or lets go on) all transmission over it; data goes on being received (R35). */
void tcp_neighbor_set_valid(struct tcp_engine *e, u32 neighbor, bool valid);

int tcp_path_add(struct tcp_engine *e, const struct path_state *state, u32 neighbor,
                 u32 *ret_path) MUST_CHECK;
void tcp_path_update(struct tcp_engine *e, u32 path, const struct path_cached *cached);
/* Re-parents the path: one write (R68). */
void tcp_path_set_neighbor(struct tcp_engine *e, u32 path, u32 neighbor);
void tcp_path_set_valid(struct tcp_engine *e, u32 path, bool valid);
void tcp_path_export(struct tcp_engine *e, u32 path, struct path_state *ret_state);
int tcp_path_remove(struct tcp_engine *e, u32 path) MUST_CHECK;

/* -- connections: transfer --------------------------------------------------------------------- */

/*
 * Takes a connection over in any state of semantics 5.2 (and SYN_SENT, SYN_RECEIVED, TIME_WAIT,
 * which the soft host moves between engines of its own). The chains of state->d.send, recv and ooo
 * must be of this engine's pool: on success the engine owns the references, on failure the caller
 * still does. The connection is live at once: in the lookup, timers armed from the times left, and
 * dirty when something is due. Touches one path, never its neighbor.
 *
 * -ENOSPC: table full. -EEXIST: the 4-tuple is there already. -EINVAL: the state breaks an
 * invariant (tcp_state_check()).
 */
int tcp_conn_import(struct tcp_engine *e, const struct tcp_state *state, u32 path, u64 now_ns,
                    u32 *ret_conn) MUST_CHECK;

/* Why a state cannot be imported: NULL when it can, else a static sentence. Total: any bytes. */
const char *tcp_state_check(const struct tcp_state *state);

/*
 * Upload, step by step (semantics 5.5). tcp_conn_quiesce() takes the connection out of the lookup
 * (its frames get FRAME_TO_HOST), stops its timers and drops it from the dirty list; an owed ACK is
 * emitted first when `out` has room. Then tcp_conn_export() is a pure snapshot: chains in it still
 * belong to the engine. Then either tcp_conn_free() (commit: buffers are released) or
 * tcp_conn_resume() (roll-back: as if nothing had happened).
 */
struct tx_batch;
void tcp_conn_quiesce(struct tcp_engine *e, u32 conn, u64 now_ns, struct tx_batch *out);
void tcp_conn_export(struct tcp_engine *e, u32 conn, u64 now_ns, struct tcp_state *ret_state);
int tcp_conn_resume(struct tcp_engine *e, u32 conn, u64 now_ns) MUST_CHECK;
void tcp_conn_free(struct tcp_engine *e, u32 conn);
/* Of a quiesced connection whose exported chains another engine over the same pool has imported:
 * they are that engine's now, tcp_conn_free() leaves them alone. */
void tcp_conn_disown(struct tcp_engine *e, u32 conn);

/* Writes changed CACHED settings, one-shots included; rcv_buf_bytes may shrink: the edge stays. */
void tcp_conn_update(struct tcp_engine *e, u32 conn, const struct tcp_cached *cached, u64 now_ns);
void tcp_conn_set_valid(struct tcp_engine *e, u32 conn, bool valid);

/* -- connections: opening (RFC 9293 3.5) --------------------------------------------------------
 */

struct tcp_open_params {
	u32 path;
	u16 local_port;
	u16 remote_port;
	u8 options; /* tcp_option_bits offered or accepted */
	u8 rcv_wscale;
	u16 mss;      /* announced */
	bool has_iss; /* begin with `iss`: beyond what an earlier connection sent (RFC 6191) */
	tcp_seq iss;
	struct tcp_cached settings;
};

/* Active open: SYN goes out at the next flush. -EEXIST, -ENOSPC. */
int tcp_open(struct tcp_engine *e, const struct tcp_open_params *params, u64 now_ns,
             u32 *ret_conn) MUST_CHECK;

/*
 * Passive open: `frame` is a SYN that tcp_input() gave back with FRAME_TO_HOST and that the owner
 * accepts; a connection in SYN_RECEIVED results. The frame stays the caller's.
 */
int tcp_open_passive(struct tcp_engine *e, const struct rx_frame *frame,
                     const struct tcp_open_params *params, u64 now_ns, u32 *ret_conn) MUST_CHECK;

/* -- connections: data ------------------------------------------------------------------------- */

/* Copies up to `len` bytes behind the send queue, within snd_buf_bytes and the pool; returns the
 * bytes taken, or -EPIPE after shutdown, -ECONNRESET, -ETIMEDOUT. Marks the connection dirty. */
s64 tcp_send(struct tcp_engine *e, u32 conn, const void *data, u32 len);
/* Room that tcp_send() would take now. */
u32 tcp_send_room(struct tcp_engine *e, u32 conn);
/* Bytes in the send queue that are not acknowledged (unsent ones included). */
u32 tcp_send_pending(struct tcp_engine *e, u32 conn);

/* Small buffers that a connection holds at most for so many bytes acknowledged and unread, and so
 * many to be sent, however small the segments are that they came in. What is out of order comes on
 * top, and is given up when the pool runs low. */
u32 tcp_buffers_worst(u32 recv_bytes, u32 send_bytes);

/* Copies out and consumes received bytes in order; returns bytes, 0 when there are none and no FIN,
 * -ESHUTDOWN at the peer's FIN once all is read. May owe a window update. */
s64 tcp_recv(struct tcp_engine *e, u32 conn, void *to, u32 len);
/* Unread bytes, without consuming. */
u32 tcp_recv_pending(struct tcp_engine *e, u32 conn);
/* The chain of unread bytes for reading in place; consume with tcp_recv_skip(). */
struct data_ref tcp_recv_peek(struct tcp_engine *e, u32 conn);
void tcp_recv_skip(struct tcp_engine *e, u32 conn, u32 len);

/* FIN after the queued data (RFC 9293 3.6). */
void tcp_shutdown(struct tcp_engine *e, u32 conn);
/* RST at the next flush, connection CLOSED: TCP_EV_CLOSED follows, the owner frees it. */
void tcp_abort(struct tcp_engine *e, u32 conn);

/* -- the cycle --------------------------------------------------------------------------------- */

enum tcp_event_bits {
	TCP_EV_ESTABLISHED = 1 << 0, /* handshake done */
	TCP_EV_READABLE = 1 << 1,    /* in-order bytes arrived */
	TCP_EV_ACKED = 1 << 2,       /* snd_una advanced */
	TCP_EV_PUSH = 1 << 3,        /* a PSH arrived with the bytes */
	TCP_EV_FIN = 1 << 4,         /* the peer's FIN is in order */
	TCP_EV_RESET = 1 << 5,       /* acceptable RST */
	TCP_EV_TIMEOUT = 1 << 6,     /* R2, user timeout, keepalive gave up */
	TCP_EV_URGENT = 1 << 7,      /* urgent data: the target asks for an upload */
	TCP_EV_FIN_ACKED = 1 << 8,   /* our FIN is acknowledged */
	TCP_EV_TIME_WAIT = 1 << 9,   /* entered TIME_WAIT: the target gives it to the host */
	TCP_EV_CLOSED = 1 << 10,     /* CLOSED: nothing more will happen, free it */
	TCP_EV_SOFT_ERROR = 1 << 11, /* R1 passed: negative advice to the path (RFC 9293 3.8.3) */
	TCP_EV_LOSS =
		1 << 12, /* a recovery began, the retransmission timer fired, or a probe repaired */
	TCP_EV_DISORDER = 1 << 13, /* a segment arrived out of order */
};

struct tcp_event {
	u32 conn;
	u32 events; /* tcp_event_bits */
};

/*
 * Processes a batch of frames. Sets frame->verdict (and reason, enum tcp_drop or tcp_to_host of
 * tcp/verdict.h) of each: CONSUMED frames' buffers belong to the engine, the others stay the
 * caller's. Total: any bytes are data. Frames of chains whose headers do not lie in the first
 * buffer are the host's. A segment that was looked up but is not acceptable is CONSUMED and
 * counted.
 */
void tcp_input(struct tcp_engine *e, struct rx_frame *frames, u32 n, u64 now_ns);

/* Runs what is due at now_ns. */
void tcp_timers(struct tcp_engine *e, u64 now_ns);

/* When tcp_timers() must be called next; UINT64_MAX: never. A lower bound: a call may find nothing
 * due, and brings a later one. */
u64 tcp_next_deadline(const struct tcp_engine *e);

/* Moves up to `cap` pending events into `ret`, one entry a connection; returns how many. */
u32 tcp_events(struct tcp_engine *e, struct tcp_event *ret, u32 cap);

/* Emits what dirty connections owe while `out` has room; true when connections are still dirty. */
bool tcp_flush(struct tcp_engine *e, u64 now_ns, struct tx_batch *out);

/* -- inspection -------------------------------------------------------------------------------- */

struct tcp_engine_counters; /* tcp/verdict.h */
const struct tcp_engine_counters *tcp_engine_counters(const struct tcp_engine *e);

/* Which connection owns the 4-tuple; NIL: none. Addresses as in ip_addr. */
u32 tcp_lookup(const struct tcp_engine *e, const struct ip_addr *local,
               const struct ip_addr *remote, u16 local_port, u16 remote_port);

u32 tcp_conn_path(const struct tcp_engine *e, u32 conn);
u32 tcp_path_neighbor(const struct tcp_engine *e, u32 path);
u8 tcp_conn_state(const struct tcp_engine *e, u32 conn); /* enum tcp_state_name */
u32 tcp_conn_cwnd(const struct tcp_engine *e, u32 conn); /* bytes */

struct tcp_engine_usage {
	u32 connections, paths, neighbors; /* in use */
	u32 max_connections, max_paths, max_neighbors;
	u32 bytes_per_connection; /* arena bytes, lookup and timer included */
};
void tcp_engine_usage(const struct tcp_engine *e, struct tcp_engine_usage *ret_usage);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the engine share. Nothing outside src/tcp includes it, but for its own tests.
 */
#ifndef TCP_INTERNAL_H
#define TCP_INTERNAL_H

#include "base/assert.h"
#include "base/csum.h"
#include "base/flowtab.h"
#include "base/hash.h"
#include "base/slot.h"
#include "base/wheel.h"
#include "tcp/conn.h"
#include "tcp/engine.h"
#include "tcp/verdict.h"
#include "wire/parse.h"

enum {
	DUP_THRESH = 3, /* RFC 5681 3.2 */
	MIN_MSS = 88,   /* below that a peer's MSS is taken for a mistake or an attack */
	RTO_BACKOFF_MAX = 16,
	POOL_LOW_DIVISOR = 32,
	REMEMBER_RESERVE_DIVISOR = 16, /* between that and what senders leave, an eighth */
	R1_RETRANSMITS = 3,            /* RFC 9293 3.8.3 SHLD-10 */
	SMALL_RECEIVE = 512,           /* at most this much is copied to spare a buffer */
};

struct tcp_engine {
	struct tcp_engine_config config; /* zeroes replaced by the defaults */
	struct buf_pool *bufs;
	struct tcp_conn *conns;
	struct tcp_path *paths;
	struct tcp_neighbor *neighbors;
	struct slots conn_slots;
	struct slots path_slots;
	struct slots neighbor_slots;
	struct flowtab lookup;
	struct hash_key key;
	u32 dirty_head, dirty_tail;
	u32 event_head, event_tail;
	u32 n_parked; /* connections that wait for a valid way */
	bool unpark;  /* a way became valid: look for them at the next flush */
	u64 now_ns;
	u32 now_ms, now_us;   /* the timestamp clocks, modulo 2^32 */
	u64 challenge_second; /* second that the budget below is for */
	u32 challenge_left;
	u64 ack_rtt_ns; /* measured by the ACK at hand, 0: not */
	u32 reclaim_at; /* connection that reclaim looks at next */
	u32 ooo_stamp;  /* counts out-of-order arrivals, for the order of SACK blocks */
	struct tcp_engine_counters n;
	struct wheel wheel;
};

/* A segment on its way in: what the wire says, and whose it is. */
struct segment {
	struct wire_tcp_segment w;
	u32 hash;
	u32 pieces; /* that were merged into the frame */
};

static inline struct tcp_conn *conn_at(struct tcp_engine *e, u32 conn)
{
	return &e->conns[conn];
}

static inline u32 conn_index(const struct tcp_engine *e, const struct tcp_conn *c)
{
	return (u32)(c - e->conns);
}

static inline void engine_set_now(struct tcp_engine *e, u64 now_ns)
{
	if (unlikely(now_ns < e->now_ns))
		return;
	e->now_ns = now_ns;
	e->now_us = (u32)(now_ns / NS_PER_US);
	e->now_ms = (u32)(now_ns / NS_PER_MS);
}

static inline u64 ns_add(u64 a, u64 b)
{
	u64 sum;

	return __builtin_add_overflow(a, b, &sum) ? TIMER_STOPPED : sum;
}

/* Our timestamp clock for the connection (RFC 7323 5.4). */
static inline u32 conn_ts_now(const struct tcp_engine *e, const struct tcp_conn *c)
{
	return (c->options & TCP_OPT_USEC_TS ? e->now_us : e->now_ms) + c->ts_offset;
}

/* -- lists: engine.c --------------------------------------------------------------------------- */

static inline void conn_mark_dirty(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 index = conn_index(e, c);

	if (c->flags & (CONN_DIRTY | CONN_QUIESCED))
		return;
	c->flags |= CONN_DIRTY;
	c->dirty_next = NIL;
	if (e->dirty_tail == NIL)
		e->dirty_head = index;
	else
		e->conns[e->dirty_tail].dirty_next = index;
	e->dirty_tail = index;
}

static inline void conn_event(struct tcp_engine *e, struct tcp_conn *c, u32 events)
{
	u32 index = conn_index(e, c);

	c->events |= events;
	if (c->flags & CONN_EVENT)
		return;
	c->flags |= CONN_EVENT;
	c->event_next = NIL;
	if (e->event_tail == NIL)
		e->event_head = index;
	else
		e->conns[e->event_tail].event_next = index;
	e->event_tail = index;
}

/* -- table.c ----------------------------------------------------------------------------------- */

/* A zeroed control block on `path`, every timer stopped, no buffers; NULL when the table is full.
 */
struct tcp_conn *conn_alloc(struct tcp_engine *e, u32 path);
/* Gives the slot back and drops the path's reference; the block holds nothing any more. */
void conn_release(struct tcp_engine *e, struct tcp_conn *c);
/* Copies settings in and derives what depends on them. */
void conn_apply_settings(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_cached *s);
/* Writes mss, from the path's MTU, the peer's MSS, settings and the options agreed. */
void conn_derive_mss(struct tcp_engine *e, struct tcp_conn *c);
u32 conn_hash(const struct tcp_engine *e, const struct tcp_conn *c);
/* Whether frames may leave for the connection: it, its path and its neighbor are valid. */
bool conn_may_transmit(const struct tcp_engine *e, const struct tcp_conn *c);
/* Off the dirty list until its way is valid again; and back, all whose way is. */
void conn_park(struct tcp_engine *e, struct tcp_conn *c);
void conns_unpark(struct tcp_engine *e);
/* Stops everything, raises `events` and TCP_EV_CLOSED. `error`: what tcp_send() says from now on.
 */
void conn_close(struct tcp_engine *e, struct tcp_conn *c, u32 events, u8 error);
/* -EEXIST */
int conn_insert_lookup(struct tcp_engine *e, struct tcp_conn *c) MUST_CHECK;

/* -- timers.c ---------------------------------------------------------------------------------- */

/* Sets a deadline of the connection (`field` is one of its *_at_ns). */
static inline void timer_set(struct tcp_engine *e, struct tcp_conn *c, u64 *field, u64 at_ns)
{
	*field = at_ns;
	if (unlikely(at_ns < c->armed_ns)) {
		c->armed_ns = at_ns;
		wheel_arm(&e->wheel, conn_index(e, c), at_ns);
	}
}

/* Arms the wheel for the earliest deadline. */
void timers_arm(struct tcp_engine *e, struct tcp_conn *c);
void timers_disarm(struct tcp_engine *e, struct tcp_conn *c);
/* Starts (or restarts) the retransmission timer from now. */
void timer_start_retransmit(struct tcp_engine *e, struct tcp_conn *c);

/* Sets the keepalive deadline from the time something was last received, or stops it. */
void timer_start_keepalive(struct tcp_engine *e, struct tcp_conn *c);

/* -- queue.c ----------------------------------------------------------------------------------- */

/* Where a sequence number lies in the send queue: buffer and absolute offset. */
void queue_locate(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq, struct data_ref *ret);
/* Frees the first `len` bytes of the send queue. */
void queue_release(struct tcp_engine *e, struct tcp_conn *c, u32 len);
u32 queue_append(struct tcp_engine *e, struct tcp_conn *c, const u8 *data, u32 len);
/* Appends a chain (tail NIL: found by a walk) of `len` bytes to the receive queue. */
void queue_receive(struct tcp_engine *e, struct tcp_conn *c, u32 head, u32 tail, u32 len);
/* Cuts `n` bytes off the front of a chain, returns its new head (NIL when nothing is left). */
u32 chain_trim_front(struct buf_pool *pool, u32 head, u32 n);
/* Cuts a chain to `len` bytes; returns its last buffer. len is at least 1. */
u32 chain_truncate(struct buf_pool *pool, u32 head, u32 len);
/* Drops one reference each of the buffers from head to tail. */
void chain_put(struct buf_pool *pool, u32 head, u32 tail);

/* -- input: segment.c, ack.c, receive.c, open.c, close.c ----------------------------------------
 */

/* Works on one segment of a connection. True: the frame's buffers were taken. */
bool segment_input(struct tcp_engine *e, struct tcp_conn *c, struct segment *s, u32 buf);
/* Processes ACK, window and SACK of an acceptable segment; false: the segment is to be dropped. */
bool ack_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s);
/* Takes the payload and FIN of an acceptable segment; true: buffers were taken. */
bool receive_input(struct tcp_engine *e, struct tcp_conn *c, struct segment *s, u32 buf);
/* SYN_SENT's part of RFC 9293 3.10.7.3. */
void syn_sent_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s);
/* SYN_RECEIVED: the handshake's ACK arrived. */
void syn_received_acked(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s);
/* Our FIN was acknowledged; the peer's arrived in order. */
void close_fin_acked(struct tcp_engine *e, struct tcp_conn *c);
void close_fin_received(struct tcp_engine *e, struct tcp_conn *c);

static inline void segment_drop(struct tcp_engine *e, enum tcp_drop reason)
{
	e->n.reasons[reason]++;
}

/* Few buffers are left: what is in order needs them more than what is not (R64, semantics 5.6). */
static inline bool pool_is_low(const struct tcp_engine *e)
{
	return e->bufs->n_free[BUF_SMALL] < e->bufs->count[BUF_SMALL] / POOL_LOW_DIVISOR;
}

/* A small buffer for what recovery keeps in mind, which can do without: senders stop before it, and
 * it stops before what receiving needs. NIL: there is none for that. */
static inline u32 buf_to_remember(struct tcp_engine *e)
{
	if (unlikely(e->bufs->n_free[BUF_SMALL] <=
	             e->bufs->count[BUF_SMALL] / REMEMBER_RESERVE_DIVISOR))
		return NIL;
	return buf_alloc(e->bufs, BUF_SMALL);
}

/* Owes an ACK at the next flush. */
static inline void ack_now(struct tcp_engine *e, struct tcp_conn *c)
{
	c->flags |= CONN_ACK_NOW;
	conn_mark_dirty(e, c);
}

/* Owes a challenge ACK, within the rate limit (RFC 5961 7). */
void ack_challenge(struct tcp_engine *e, struct tcp_conn *c);

/* -- grow.c ------------------------------------------------------------------------------------ */

/* A full segment has come in order: at the end of a round trip the receive buffer may grow. */
void receive_buffer_grow(struct tcp_engine *e, struct tcp_conn *c);

/* -- input.c ----------------------------------------------------------------------------------- */

/* Reads a frame; WIRE_OK and WIRE_TCP_URGENT: *ret is complete but for its hash. */
enum wire_reason frame_parse(struct tcp_engine *e, const struct rx_frame *f, struct segment *ret);
/* Whether the TCP checksum is right, as far as what is known of the frame asks for it. */
bool frame_csum_ok(struct tcp_engine *e, const struct rx_frame *f, const struct segment *s);

/* -- output.c, header.c ------------------------------------------------------------------------ */

/* What a segment to be sent looks like. */
struct segment_out {
	tcp_seq seq;
	u32 len; /* payload, more than mss: a superframe */
	u8 flags;
	u8 ecn; /* ECN field of the IP header */
	struct data_ref data;
};

/* Emits what the connection owes; false: `out` is full and something is left. */
bool conn_output(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out);
/* Emits an ACK without data; `out` has room. */
void output_ack(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out);
/* Builds a frame into `out`, which has room. */
void frame_build(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s,
                 struct tx_batch *out);
/* The window to advertise with the next segment; moves rcv_adv. As it stands on the wire. */
u16 window_advertise(struct tcp_engine *e, struct tcp_conn *c, bool syn);
/* Whether the application's reading opened the window far enough to say so (RFC 9293 3.8.6.2.2). */
bool window_update_due(const struct tcp_engine *e, const struct tcp_conn *c);

/* Sequence number behind the last byte queued, the FIN not counted. */
static inline tcp_seq conn_data_end(const struct tcp_conn *c)
{
	return seq_add(c->snd_una, c->snd_queued);
}

/* Our FIN counts in the sequence space that is not acknowledged. */
static inline bool conn_fin_outstanding(const struct tcp_conn *c)
{
	return (c->fin & (TCP_FIN_SENT | TCP_FIN_ACKED)) == TCP_FIN_SENT;
}

#endif

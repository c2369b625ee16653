/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The sent log: when what is in flight was last sent, and how much had been delivered by then.
 * RACK (RFC 8985 5.2), F-RTO, round-trip times and delivery rates
 * (draft-cheng-iccrg-delivery-rate-estimation 3) read it.
 *
 * A record is a range of sequence numbers that left at one instant: a segment, a superframe, or
 * all that one flush sent. Records ascend and do not overlap; what the peer holds (acknowledged or
 * sacked) is taken out at once, a record is cut where only a part of it is. So the log covers
 * [snd_una, snd_max) less the scoreboard.
 *
 * One record lies in the control block; from the second on all lie in a chain of small buffers of
 * the pool, which is given back when nothing is in flight any more. A connection at rest owns none.
 *
 * When there is no buffer, what was sent last goes without a record. So a record that exists is
 * always right; what has none is never found lost by its time, and is left to duplicate ACKs,
 * partial ACKs and the retransmission timer, which makes the log anew.
 *
 * Nothing in it is derived: it lies in the arena, named by indices, and needs no rebuilding.
 */
#ifndef TCP_SENT_H
#define TCP_SENT_H

#include "tcp/internal.h"

/* Records of a small buffer; `r` is used from `first` on, so that the front goes without a move. */
enum { SENT_BLOCK_RECORDS = (BUF_SMALL_BYTES - 8) / sizeof(struct sent_record) };

struct sent_block {
	u16 first;
	u16 n;
	u32 pad;
	struct sent_record r[SENT_BLOCK_RECORDS];
};
_Static_assert(sizeof(struct sent_block) <= BUF_SMALL_BYTES, "");

/* Where a record stands. Anything that adds or removes records makes it void. */
struct sent_at {
	u32 buf; /* NIL: the one in the control block */
	u32 i;
};

/*
 * What one ACK delivered. Begun by sent_delivery_init(), filled in by sent_delivered() for each
 * range.
 */
struct sent_delivery {
	/* A repeat that left later than this cannot be what the ACK is for: it is for the original
	 * (RFC 8985 6.2 step 2). */
	u64 repeats_until_ns;
	/* The record sent last of those delivered, as it was (start, end: the part delivered);
	 * xmit_ns 0: none. What a rate sample is made from (P.delivered, P.delivered_time,
	 * P.first_sent_time, P.is_app_limited). */
	struct sent_record newest;
	/* When the first of them that were sent once left; 0: none. */
	u64 oldest_once_ns;
	tcp_seq once_low; /* with oldest_once_ns: lowest end of what was sent once */
	bool repeated;    /* some of it was sent more than once */
};

/* Not all of it: an ACK of one segment should not pay for what loss needs. */
static inline void sent_delivery_init(struct sent_delivery *d, u64 repeats_until_ns)
{
	d->repeats_until_ns = repeats_until_ns;
	d->newest.xmit_ns = 0;
	d->oldest_once_ns = 0;
	d->repeated = false;
}

/* Notes that [start, end) leaves now: new data (start is snd_max), or a repeat of what it covers.
 * Writes first_sent_ns and progress_at_ns when nothing was in flight. */
void sent_transmitted(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end);

/* Takes out [start, end), which the peer has, and sums it up in *d. */
void sent_delivered(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end,
                    struct sent_delivery *d);

/* Books of an ACK that delivered `bytes` (draft-cheng 3.3: C.delivered, C.delivered_time,
 * C.first_sent_time; the end of a phase without enough to send). */
void sent_account(struct tcp_engine *e, struct tcp_conn *c, u32 bytes,
                  const struct sent_delivery *d);

/* The records in order; NULL at the end. */
struct sent_record *sent_first(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *ret);
struct sent_record *sent_next(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at);

/* Marks a record lost, counted in lost_bytes; once. */
void sent_mark_lost(struct tcp_conn *c, struct sent_record *r);
/* Nothing is lost after all. */
void sent_unmark_lost(struct tcp_engine *e, struct tcp_conn *c);
/* The first record that is marked so; NULL: none. */
struct sent_record *sent_first_lost(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *ret);
/* Cuts the record that has `seq` in its middle in two; without a buffer it stays whole. */
void sent_cut(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq);

/* Makes the log anew for all that is in flight, as if it had left now: after an import, or when the
 * log is not whole. One record a hole of the scoreboard. */
void sent_rebuild(struct tcp_engine *e, struct tcp_conn *c);

/* Forgets everything and gives the buffers back. */
void sent_clear(struct tcp_engine *e, struct tcp_conn *c);

/* Nothing is logged. */
static inline bool sent_is_empty(const struct tcp_conn *c)
{
	return c->sent_head == NIL && seq_eq(c->sent.start, c->sent.end);
}

/* RFC 8985 6.2 RACK_sent_after(): `a` left after `b`, by time, at the same time by place. */
static inline bool sent_after(u64 a_ns, tcp_seq a_end, u64 b_ns, tcp_seq b_end)
{
	return a_ns > b_ns || (a_ns == b_ns && seq_gt(a_end, b_end));
}

#endif

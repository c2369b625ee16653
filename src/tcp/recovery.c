/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/recovery.h"

#include "tcp/cc/cc.h"
#include "tcp/cwv.h"
#include "tcp/ecn.h"
#include "tcp/prr.h"
#include "tcp/rack.h"
#include "tcp/sack.h"
#include "tcp/tlp.h"
#include "tcp/undo.h"

static u32 flight_of(const struct tcp_conn *c)
{
	return (u32)seq_diff(c->snd_max, c->snd_una);
}

static bool has_sack(const struct tcp_conn *c)
{
	return c->options & TCP_OPT_SACK;
}

/* A model of the path has its own idea of cwnd in a recovery. */
static bool uses_prr(const struct tcp_conn *c)
{
	return has_sack(c) && !tcp_cc_of(c)->model;
}

u32 recovery_pipe(const struct tcp_conn *c)
{
	u32 out = (u32)seq_diff(c->snd_nxt, c->snd_una);

	if (likely(!(c->sacked_bytes | c->lost_bytes)))
		return out;
	return out - min_of(out, c->sacked_bytes + c->lost_bytes);
}

/* The inflation without SACK never says that more left the network than was in it. */
static void inflate(struct tcp_conn *c, u32 segs)
{
	u32 room = flight_of(c) - min_of(flight_of(c), (u32)c->mss);

	c->sacked_bytes = min_of(c->sacked_bytes + segs * c->mss, room);
}

/* The hole at snd_una has no record that RACK could find lost. */
static bool head_is_unlogged(struct tcp_engine *e, struct tcp_conn *c)
{
	struct sent_at at;
	const struct sent_record *r;

	if (likely(!(c->flags & CONN_UNLOGGED)))
		return false;
	r = sent_first(e, c, &at);
	return !r || !seq_eq(r->start, c->snd_una);
}

static void enter_fast(struct tcp_engine *e, struct tcp_conn *c, struct ack_info *a)
{
	e->n.fast_recoveries++;
	conn_event(e, c, TCP_EV_LOSS);
	undo_begin(c);
	tcp_cc_lost(c, e->now_ns);
	c->recovery = TCP_RECOVERY_FAST;
	c->recovery_point = c->snd_max;
	if (uses_prr(c)) {
		prr_begin(c);
		prr_ack(c, a->delivered, false);
	} else {
		c->cwnd_bytes = c->ssthresh_bytes;
	}
	if (!has_sack(c) || head_is_unlogged(e, c))
		c->flags |= CONN_RETRANSMIT;
	c->loss &= (u16)~LOSS_PROBE_OWED;
	if (!(c->loss & LOSS_REO_TIMER))
		c->probe_at_ns = TIMER_STOPPED;
	timer_start_retransmit(e, c);
	conn_mark_dirty(e, c);
}

static void grow(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	u32 acked = a->acked;

	if (unlikely(ecn_has_reduced(c)) ||
	    unlikely((c->flags & CONN_PACED) && tcp_cc_of(c)->model))
		return;
	if (!cwv_may_grow(e, c, a->flight, acked))
		return;
	/* What was sacked before has been counted, or was in flight before the timeout. */
	if (unlikely(c->recovery == TCP_RECOVERY_LOSS) && has_sack(c))
		acked = min_of(acked, a->delivered);
	tcp_cc_of(c)->acked(c, acked, e->ack_rtt_ns, e->now_ns);
}

/* Back to normal: what is sacked still, or was, says whether all is quiet. */
static void settle_down(struct tcp_conn *c)
{
	c->recovery = c->sack_buf == NIL ? TCP_RECOVERY_OPEN : TCP_RECOVERY_DISORDER;
	c->dup_acks = 0;
	if (c->sack_buf == NIL)
		c->sacked_bytes = 0;
}

static void leave(struct tcp_conn *c)
{
	bool fast = c->recovery == TCP_RECOVERY_FAST;

	settle_down(c);
	rack_recovered(c);
	c->flags &= (u16)~CONN_RETRANSMIT;
	c->loss &= (u16) ~(LOSS_FRTO | LOSS_FRTO_NEW);
	/* RFC 6937 3: where the reduction leads to. RFC 6582 3.2 step 3 (1): no burst of what the
	 * inflation held back. */
	if (fast && uses_prr(c))
		c->cwnd_bytes = c->ssthresh_bytes;
	else if (fast && !has_sack(c))
		c->cwnd_bytes =
			min_of(c->ssthresh_bytes, max_of(flight_of(c), (u32)c->mss) + c->mss);
	c->cwnd_bytes = max_of(c->cwnd_bytes, (u32)c->mss);
}

/* -- states ------------------------------------------------------------------------------------ */

/* Whether duplicate ACKs alone are enough: without SACK (RFC 6582 3.2 step 2: not for what an
 * earlier recovery resent), or for what has no record (RFC 6675 5). */
static bool duplicates_suffice(struct tcp_engine *e, const struct tcp_conn *c)
{
	if (!has_sack(c))
		return c->dup_acks >= DUP_THRESH && seq_gt(c->snd_una, c->recovery_point);
	return (c->flags & CONN_UNLOGGED) &&
	       (c->dup_acks >= DUP_THRESH || seq_gt(sack_lost_end(e, c), c->snd_una));
}

static void ack_open(struct tcp_engine *e, struct tcp_conn *c, struct ack_info *a)
{
	if (a->acked) {
		settle_down(c);
		grow(e, c, a);
	} else if (a->duplicate) {
		c->recovery = TCP_RECOVERY_DISORDER;
	}
	if (a->lost || (c->recovery == TCP_RECOVERY_DISORDER && duplicates_suffice(e, c)))
		enter_fast(e, c, a);
}

/* RFC 6582 3.2 step 3 (2): the next hole is known to be lost. */
static void partial_ack(struct tcp_engine *e, struct tcp_conn *c, u32 acked)
{
	u32 deflate = acked - min_of(acked, (u32)c->mss);

	if (has_sack(c)) {
		if (c->sack_buf == NIL)
			inflate(c, 0);
		if (head_is_unlogged(e, c))
			c->flags |= CONN_RETRANSMIT;
		return;
	}
	c->sacked_bytes -= min_of(c->sacked_bytes, deflate);
	inflate(c, 0); /* less is out than before */
	c->flags |= CONN_RETRANSMIT;
}

static void ack_fast(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	if (seq_geq(c->snd_una, c->recovery_point)) {
		leave(c);
		return;
	}
	if (a->acked)
		partial_ack(e, c, a->acked);
	if (uses_prr(c) && a->delivered)
		prr_ack(c, a->delivered, a->acked && !a->lost);
}

static void ack_loss(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	if (seq_geq(c->snd_una, c->recovery_point)) {
		leave(c);
		return;
	}
	if (!a->acked)
		return;
	grow(e, c, a);
	if (head_is_unlogged(e, c))
		c->flags |= CONN_RETRANSMIT;
}

static void count_duplicate(struct tcp_engine *e, struct tcp_conn *c)
{
	e->n.dup_acks_in++;
	c->dup_acks += c->dup_acks < UINT16_MAX;
	/* Without a scoreboard all that is known is that something arrived. */
	if (c->sack_buf == NIL && c->recovery != TCP_RECOVERY_LOSS)
		inflate(c, 1);
}

static void ack_slow(struct tcp_engine *e, struct tcp_conn *c, struct ack_info *a)
{
	if (a->duplicate)
		count_duplicate(e, c);
	if (has_sack(c)) {
		rack_ack(e, c, a);
		tlp_ack(e, c, a);
		a->lost = rack_detect(e, c);
	}
	if (undo_ack(e, c, a)) {
		settle_down(c);
		a->lost = 0;
	}
	if (c->recovery <= TCP_RECOVERY_DISORDER)
		ack_open(e, c, a);
	else if (c->recovery == TCP_RECOVERY_FAST)
		ack_fast(e, c, a);
	else
		ack_loss(e, c, a);
	if (c->recovery != TCP_RECOVERY_OPEN)
		conn_mark_dirty(e, c);
}

void recovery_ack(struct tcp_engine *e, struct tcp_conn *c, struct ack_info *a)
{
	/* Nothing is out, nothing was wrong: RACK has nothing to learn, later segments are newer.
	 */
	if (likely(c->recovery == TCP_RECOVERY_OPEN && seq_eq(c->snd_una, c->snd_max) &&
	           !a->dsack && !(c->loss & LOSS_TLP))) {
		grow(e, c, a);
		c->probe_at_ns = TIMER_STOPPED;
		return;
	}
	ack_slow(e, c, a);
	if (a->acked)
		tlp_schedule(e, c);
}

/* -- timers ------------------------------------------------------------------------------------ */

void recovery_timeout(struct tcp_engine *e, struct tcp_conn *c)
{
	struct scoreboard *b = sack_board(e, c);
	bool whole = !(c->flags & CONN_UNLOGGED);

	undo_timeout(c);
	c->recovery = TCP_RECOVERY_LOSS;
	/* RFC 5681 3.1: the threshold once for each loss event, not for each back-off. */
	if (!c->retransmit_count)
		tcp_cc_lost(c, e->now_ns);
	c->cwnd_bytes = c->mss;
	c->dup_acks = 0;
	/* RFC 2018 8: a receiver may have given sacked data up; seen when even the first hole's
	 * retransmission brings nothing. */
	if (!b || c->retransmit_count || seq_leq(b->r[0].start, c->snd_una)) {
		whole &= !b;
		sack_clear(e, c);
	}
	if (!whole)
		sent_rebuild(e, c);
	rack_timeout(e, c, !whole);
	c->recovery_point = c->snd_max;
	c->probe_at_ns = TIMER_STOPPED;
	c->loss &= (u16) ~(LOSS_REO_TIMER | LOSS_TLP | LOSS_PROBE_OWED);
	c->flags |= CONN_RETRANSMIT;
	conn_mark_dirty(e, c);
}

void recovery_resend(struct tcp_engine *e, struct tcp_conn *c)
{
	struct sent_at at;

	if (c->flags & CONN_UNLOGGED)
		sent_rebuild(e, c);
	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at))
		sent_mark_lost(c, r);
	c->probe_at_ns = TIMER_STOPPED;
	timer_start_retransmit(e, c);
	conn_mark_dirty(e, c);
}

void recovery_probe_due(struct tcp_engine *e, struct tcp_conn *c)
{
	struct ack_info a = {0};
	bool reordering = c->loss & LOSS_REO_TIMER;

	c->probe_at_ns = TIMER_STOPPED;
	c->loss &= (u16)~LOSS_REO_TIMER;
	if (seq_eq(c->snd_una, c->snd_max) || !conn_may_transmit(e, c))
		return;
	if (!reordering) {
		tlp_due(e, c);
		return;
	}
	e->n.rack_timeouts++;
	if (!rack_detect(e, c))
		return;
	if (c->recovery <= TCP_RECOVERY_DISORDER)
		enter_fast(e, c, &a);
	else if (c->recovery == TCP_RECOVERY_FAST && uses_prr(c))
		prr_force(c);
	conn_mark_dirty(e, c);
}

/* -- import, export ---------------------------------------------------------------------------- */

/* Marks what lies in [start, end) lost, cutting records at both. */
static void mark_range(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end)
{
	struct sent_at at;

	if (!seq_lt(start, end))
		return;
	sent_cut(e, c, start);
	sent_cut(e, c, end);
	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at))
		if (seq_geq(r->start, start) && seq_leq(r->end, end))
			sent_mark_lost(c, r);
}

static tcp_seq holes_end(struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct scoreboard *b = sack_board(e, c);

	return seq_gt(c->high_rxt, c->snd_una) ? b->r[b->n - 1].start : sack_lost_end(e, c);
}

/*
 * What the old owner knew of each segment is gone but for four numbers: HighRxt, snd_nxt, the
 * scoreboard, and the state. After a timeout what lies right of snd_nxt is lost, or, where the old
 * owner never moves it back, all but the first segment. In fast recovery it is the holes right of
 * HighRxt; where that is not known, those that RFC 6675 calls lost.
 */
static void import_lost(struct tcp_engine *e, struct tcp_conn *c)
{
	tcp_seq first = seq_min(seq_add(c->snd_una, c->mss), c->snd_max);

	if (seq_lt(c->snd_nxt, c->snd_max))
		mark_range(e, c, c->snd_nxt, c->snd_max);
	else if (c->recovery == TCP_RECOVERY_LOSS)
		mark_range(e, c, seq_max(first, c->high_rxt), c->snd_max);
	else if (c->recovery == TCP_RECOVERY_FAST && c->sack_buf != NIL)
		mark_range(e, c, c->high_rxt, holes_end(e, c));
	c->snd_nxt = c->snd_max;
}

static void import_known(struct tcp_conn *c, const struct tcp_delegated *d)
{
	if (d->reordering)
		c->loss |= LOSS_REORDERING;
	c->reo_steps = d->reo_steps;
	c->reo_persist = d->reo_persist;
	if (d->undo_window)
		c->loss |= LOSS_UNDO;
	if (d->repeat_ts)
		c->loss |= LOSS_REPEAT_TS;
	c->undo_window = d->undo_window;
	c->undo_marker = d->undo_marker;
	c->undo_bytes = d->undo_bytes;
	c->repeat_ts = d->repeat_ts;
	c->prr_delivered = d->prr_delivered;
	c->prr_out = d->prr_out;
	c->prr_flight = d->prr_flight;
	c->rack_fack = c->snd_una;
}

/* What the peer told of last left no later than anything else: RACK waits for what is missing as
 * it would have. */
static void import_rack(struct tcp_engine *e, struct tcp_conn *c)
{
	const struct scoreboard *b = sack_board(e, c);

	if (!b || !b->n || c->recovery == TCP_RECOVERY_LOSS)
		return;
	c->rack_xmit_ns = c->sent_at_ns;
	c->rack_end = b->r[b->n - 1].end;
	c->rack_rtt_us = (u32)min_of(c->srtt_ns / NS_PER_US, (u64)UINT32_MAX);
	c->loss |= LOSS_REO_TIMER;
	timer_set(e, c, &c->probe_at_ns,
	          max_of(e->now_ns, ns_add(c->sent_at_ns, c->srtt_ns + rack_reo_wnd(e, c))));
}

/* The end was sent again, and nothing was lost: that was a probe, and one is enough. */
static void import_probe(struct tcp_conn *c)
{
	if (c->recovery != TCP_RECOVERY_OPEN || !seq_eq(c->high_rxt, c->snd_max) ||
	    !(c->options & TCP_OPT_SACK))
		return;
	c->loss |= LOSS_TLP | LOSS_TLP_REPEAT;
	c->tlp_end = c->snd_max;
}

void recovery_import(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_delegated *d)
{
	sent_rebuild(e, c);
	import_known(c, d);
	if (!conn_is_synchronized(c) || seq_eq(c->snd_una, c->snd_max))
		return;
	import_lost(e, c);
	/* Unknown what was repeated: anything may have been. */
	if ((c->loss & LOSS_REPEAT_TS) && seq_eq(c->high_rxt, c->snd_una))
		c->high_rxt = c->snd_max;
	if (c->recovery == TCP_RECOVERY_FAST && uses_prr(c) && !c->prr_flight)
		prr_begin(c);
	import_probe(c);
	import_rack(e, c);
	tlp_schedule(e, c);
}

static void export_known(const struct tcp_conn *c, struct tcp_delegated *d)
{
	d->reordering = !!(c->loss & LOSS_REORDERING);
	d->reo_steps = c->reo_steps;
	d->reo_persist = c->reo_persist;
	d->undo_window = c->loss & LOSS_UNDO ? c->undo_window : 0;
	d->undo_marker = c->undo_marker;
	d->undo_bytes = c->undo_bytes;
	d->repeat_ts = c->loss & LOSS_REPEAT_TS ? c->repeat_ts : 0;
	d->prr_delivered = c->prr_delivered;
	d->prr_out = c->prr_out;
	d->prr_flight = c->prr_flight;
}

void recovery_export(struct tcp_engine *e, struct tcp_conn *c, struct tcp_delegated *d)
{
	struct sent_at at;
	const struct sent_record *r = sent_first_lost(e, c, &at);

	export_known(c, d);
	d->snd_nxt = c->snd_nxt;
	d->high_rxt = r ? r->start : c->high_rxt;
	/* All that follows without a record between that is not lost. */
	for (bool run = false; r; r = sent_next(e, c, &at)) {
		if (!(r->flags & SENT_LOST))
			d->snd_nxt = c->snd_max;
		else if (!run)
			d->snd_nxt = r->start;
		run = r->flags & SENT_LOST;
	}
}

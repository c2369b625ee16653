/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/recovery.h"

#include "tcp/cc/cc.h"
#include "tcp/ecn.h"
#include "tcp/sack.h"

static u32 flight_of(const struct tcp_conn *c)
{
	return (u32)seq_diff(c->snd_max, c->snd_una);
}

u32 recovery_pipe(struct tcp_engine *e, const struct tcp_conn *c)
{
	u32 out;

	if (c->recovery == TCP_RECOVERY_FAST && c->sack_buf != NIL)
		return sack_holes(e, c, sack_lost_end(e, c), c->snd_max) +
		       sack_holes(e, c, c->snd_una, c->high_rxt);
	out = (u32)seq_diff(c->snd_nxt, c->snd_una);
	if (likely(!c->sacked_bytes))
		return out;
	if (c->sack_buf != NIL)
		return sack_holes(e, c, c->snd_una, c->snd_nxt);
	return out - min_of(out, c->sacked_bytes);
}

/* The inflation without SACK never says that more left the network than was in it. */
static void inflate(struct tcp_conn *c, u32 segs)
{
	u32 room = flight_of(c) - min_of(flight_of(c), (u32)c->mss);

	c->sacked_bytes = min_of(c->sacked_bytes + segs * c->mss, room);
}

static void enter_fast(struct tcp_engine *e, struct tcp_conn *c)
{
	e->n.fast_recoveries++;
	conn_event(e, c, TCP_EV_LOSS);
	tcp_cc_lost(c, e->now_ns);
	c->cwnd_bytes = c->ssthresh_bytes;
	c->recovery = TCP_RECOVERY_FAST;
	c->recovery_point = c->snd_max;
	c->high_rxt = c->snd_una;
	c->rescue_rxt = seq_add(c->snd_una, (u32)-1);
	c->snd_nxt = c->snd_max;
	c->flags |= CONN_RETRANSMIT;
	timer_start_retransmit(e, c);
	conn_mark_dirty(e, c);
}

void recovery_duplicate(struct tcp_engine *e, struct tcp_conn *c, u32 fresh)
{
	bool sack = c->sack_buf != NIL;

	e->n.dup_acks_in++;
	c->dup_acks++;
	conn_mark_dirty(e, c);
	if (!sack && c->recovery != TCP_RECOVERY_LOSS)
		inflate(c, 1);
	if (c->recovery >= TCP_RECOVERY_FAST)
		return;
	c->recovery = TCP_RECOVERY_DISORDER;
	/* RFC 6582 3.2 step 2: without SACK, duplicates of what an earlier recovery resent. */
	if (!sack && !seq_gt(c->snd_una, c->recovery_point))
		return;
	if (c->dup_acks >= DUP_THRESH || seq_gt(sack_lost_end(e, c), c->snd_una))
		enter_fast(e, c);
}

static void grow(struct tcp_engine *e, struct tcp_conn *c, u32 acked, u32 flight)
{
	bool slow_start = c->cwnd_bytes < c->ssthresh_bytes;

	if (unlikely(ecn_has_reduced(c)))
		return;
	/* RFC 7661: a window that was not used proves nothing. */
	if (flight + c->mss <= c->cwnd_bytes && !(slow_start && 2 * (u64)flight >= c->cwnd_bytes))
		return;
	if (tcp_cc_of(c)->model)
		return;
	tcp_cc_adopt(c, e->now_ns);
	tcp_cc_of(c)->acked(c, acked, e->ack_rtt_ns, e->now_ns);
}

static void leave(struct tcp_engine *e, struct tcp_conn *c)
{
	bool fast = c->recovery == TCP_RECOVERY_FAST;

	c->recovery = TCP_RECOVERY_OPEN;
	c->dup_acks = 0;
	c->flags &= (u16)~CONN_RETRANSMIT;
	if (c->sack_buf == NIL)
		c->sacked_bytes = 0;
	/* RFC 6582 3.2 step 3 (1): no burst of what the inflation held back. */
	if (fast && !(c->options & TCP_OPT_SACK))
		c->cwnd_bytes =
			min_of(c->ssthresh_bytes, max_of(flight_of(c), (u32)c->mss) + c->mss);
	c->cwnd_bytes = max_of(c->cwnd_bytes, (u32)c->mss);
	if (c->sack_buf != NIL)
		c->recovery = TCP_RECOVERY_DISORDER;
}

/* RFC 6582 3.2 step 3 (2): the next hole is known to be lost. */
static void partial_ack(struct tcp_engine *e, struct tcp_conn *c, u32 acked)
{
	u32 deflate = acked - min_of(acked, (u32)c->mss);

	c->high_rxt = seq_max(c->high_rxt, c->snd_una);
	if (c->options & TCP_OPT_SACK)
		return;
	c->sacked_bytes -= min_of(c->sacked_bytes, deflate);
	c->flags |= CONN_RETRANSMIT;
}

void recovery_acked(struct tcp_engine *e, struct tcp_conn *c, u32 acked, u32 flight)
{
	if (likely(c->recovery == TCP_RECOVERY_OPEN && c->sack_buf == NIL)) {
		grow(e, c, acked, flight);
		return;
	}
	if (c->recovery == TCP_RECOVERY_OPEN)
		c->recovery = TCP_RECOVERY_DISORDER;
	if (c->recovery == TCP_RECOVERY_DISORDER) {
		c->dup_acks = 0;
		if (c->sack_buf == NIL) {
			c->sacked_bytes = 0;
			c->recovery = TCP_RECOVERY_OPEN;
		}
		grow(e, c, acked, flight);
		if (seq_gt(sack_lost_end(e, c), c->snd_una))
			enter_fast(e, c);
		return;
	}
	conn_mark_dirty(e, c);
	if (seq_geq(c->snd_una, c->recovery_point))
		leave(e, c);
	else if (c->recovery == TCP_RECOVERY_FAST)
		partial_ack(e, c, acked);
	else
		grow(e, c, acked, flight);
}

void recovery_timeout(struct tcp_engine *e, struct tcp_conn *c)
{
	struct scoreboard *b = sack_board(e, c);

	c->recovery = TCP_RECOVERY_LOSS;
	/* RFC 5681 3.1: the threshold once for each loss event, not for each back-off. */
	if (!c->retransmit_count)
		tcp_cc_lost(c, e->now_ns);
	c->cwnd_bytes = c->mss;
	c->dup_acks = 0;
	/* RFC 2018 8: a receiver may have given sacked data up; seen when even the first hole's
	 * retransmission brings nothing. */
	if (!b || c->retransmit_count || seq_leq(b->r[0].start, c->snd_una))
		sack_clear(e, c);
	c->recovery_point = c->snd_max;
	c->high_rxt = c->snd_una;
	c->snd_nxt = c->snd_una;
	c->flags |= CONN_RETRANSMIT;
	conn_mark_dirty(e, c);
}

static void cut(const struct tcp_conn *c, struct recovery_segment *s, tcp_seq start, tcp_seq end)
{
	s->start = start;
	s->end = seq_min(end, seq_add(start, c->mss));
	s->rescue = false;
}

/* Rule 4: the last hole's end, once, so that the ACK clock does not die; unless it was sent again
 * already, which is all that a rescue could do. */
static bool rescue(struct tcp_engine *e, const struct tcp_conn *c, struct recovery_segment *ret)
{
	struct scoreboard *b = sack_board(e, c);
	tcp_seq end = c->snd_max, start;
	u32 i = b->n;

	if (!seq_gt(c->snd_una, c->rescue_rxt))
		return false;
	for (; i > 0 && seq_eq(b->r[i - 1].end, end); i--)
		end = b->r[i - 1].start;
	start = i > 0 ? b->r[i - 1].end : c->snd_una;
	if (seq_diff(end, start) > c->mss)
		start = seq_add(end, (u32)-c->mss);
	*ret = (struct recovery_segment){start, end, true};
	return seq_lt(start, end) && seq_gt(end, c->high_rxt);
}

bool recovery_next(struct tcp_engine *e, const struct tcp_conn *c, bool lost_only,
                   struct recovery_segment *ret)
{
	struct scoreboard *b = sack_board(e, c);
	tcp_seq end, start = sack_skip(e, c, seq_max(c->high_rxt, c->snd_una), &end);

	if (seq_lt(start, sack_lost_end(e, c))) {
		cut(c, ret, start, end);
		return true;
	}
	if (lost_only)
		return false;
	if (seq_lt(start, b->r[b->n - 1].start)) {
		cut(c, ret, start, end);
		return true;
	}
	return rescue(e, c, ret);
}

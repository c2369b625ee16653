/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which segment goes out next: lost data first, then what follows snd_nxt, within the peer's window
 * and cwnd, by the rules of Nagle and of silly-window avoidance (RFC 9293 3.8.6.2.1, 3.7.4).
 */
#include "tcp/output.h"
#include "tcp/recovery.h"
#include "tcp/sack.h"

/* Fills a segment of [seq, end), the FIN's number included; false when it would be empty. */
static bool fill(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq, tcp_seq end,
                 struct segment_out *ret)
{
	tcp_seq data_end = conn_data_end(c);
	s32 len = seq_diff(seq_min(end, data_end), seq);

	*ret = (struct segment_out){.seq = seq, .flags = WIRE_ACK, .data.buf = NIL};
	if (seq_gt(end, data_end) && (c->fin & TCP_FIN_QUEUED))
		ret->flags |= WIRE_FIN;
	if (len > 0) {
		ret->len = (u32)len;
		queue_locate(e, c, seq, &ret->data);
		if (seq_eq(seq_add(seq, ret->len), data_end))
			ret->flags |= WIRE_PSH;
	}
	return ret->len || (ret->flags & WIRE_FIN);
}

/* The first hole, whatever cwnd and the window say. */
static bool select_head(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	tcp_seq end, seq = sack_skip(e, c, c->snd_una, &end);

	c->flags &= (u16)~CONN_RETRANSMIT;
	end = seq_min(end, seq_add(seq, c->mss));
	if (!seq_lt(seq, end) || !fill(e, c, seq, end, ret))
		return false;
	c->high_rxt = seq_max(c->high_rxt, end);
	return true;
}

/* Fast recovery by the scoreboard. */
static bool select_hole(struct tcp_engine *e, struct tcp_conn *c, bool lost_only,
                        struct segment_out *ret)
{
	struct recovery_segment r;

	if (!recovery_next(e, c, lost_only, &r) || !fill(e, c, r.start, r.end, ret))
		return false;
	if (r.rescue) {
		c->rescue_rxt = c->recovery_point;
		e->n.rescues++;
	} else {
		c->high_rxt = r.end;
	}
	return true;
}

/*
 * Whether a segment that is not full, `len` of `avail` bytes, may go (RFC 9293 3.8.6.2.1). Nagle's
 * rule is held to as Minshall has it: only a small segment on its way holds another one back.
 */
static bool small_may_go(struct tcp_conn *c, u32 len, u32 avail, bool fin)
{
	bool last = len == avail;

	if ((c->flags & CONN_OVERRIDE) || seq_lt(c->snd_nxt, c->snd_max))
		return true;
	if (last && fin)
		return true;
	if (last && !(c->flags & CONN_CORK) &&
	    ((c->flags & CONN_NODELAY) || seq_leq(c->snd_sml, c->snd_una)))
		return true;
	/* A receiver whose whole window is small. */
	return !last && len >= c->max_snd_wnd / 2;
}

/* Bytes from snd_nxt on that cwnd and the peer's window allow. */
static u32 usable(struct tcp_engine *e, struct tcp_conn *c, u32 avail)
{
	s32 wnd = seq_diff(seq_add(c->snd_una, c->snd_wnd), c->snd_nxt);
	u32 pipe = recovery_pipe(e, c);
	u32 cwnd = c->cwnd_bytes > pipe ? c->cwnd_bytes - pipe : 0;
	u32 len = min_of(avail, (u32)max_of(wnd, 0));

	/* A segment cut short by cwnd waits for the next ACK, if one is to come. */
	if (cwnd < len && cwnd < c->mss)
		return pipe ? 0 : min_of(len, (u32)c->mss);
	return min_of(len, cwnd);
}

static bool fin_may_go(const struct tcp_conn *c, tcp_seq seq)
{
	return (c->fin & TCP_FIN_QUEUED) && seq_eq(seq, conn_data_end(c)) &&
	       seq_lt(seq, seq_add(c->snd_una, c->snd_wnd));
}

/* What was sent before and is sent again from snd_nxt on ends where the unsent begins. */
static u32 clip_repeat(struct tcp_engine *e, struct tcp_conn *c, u32 avail)
{
	tcp_seq end;

	if (likely(seq_eq(c->snd_nxt, c->snd_max)))
		return avail;
	c->snd_nxt = sack_skip(e, c, c->snd_nxt, &end);
	if (seq_eq(c->snd_nxt, c->snd_max))
		return (u32)max_of(seq_diff(conn_data_end(c), c->snd_nxt), 0);
	return (u32)max_of(seq_diff(seq_min(end, conn_data_end(c)), c->snd_nxt), 0);
}

static bool select_new(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	s32 left = seq_diff(conn_data_end(c), c->snd_nxt);
	u32 avail, len;
	bool fin;

	if (left < 0 || (c->fin & TCP_FIN_ACKED))
		return false;
	avail = clip_repeat(e, c, (u32)left);
	if (seq_gt(c->snd_nxt, conn_data_end(c)))
		return false;
	fin = c->fin & TCP_FIN_QUEUED;
	if (!avail && !fin)
		return false;
	len = usable(e, c, avail);
	if (len > c->mss)
		len = min_of(len, output_frame_payload(e, c));
	if (len > c->mss && !small_may_go(c, len % c->mss, avail - len + len % c->mss, fin))
		len -= len % c->mss;
	else if (len && len < c->mss && !small_may_go(c, len, avail, fin))
		return false;
	if (len < avail || !fin || !fin_may_go(c, seq_add(c->snd_nxt, len)))
		return len && fill(e, c, c->snd_nxt, seq_add(c->snd_nxt, len), ret);
	return fill(e, c, c->snd_nxt, seq_add(c->snd_nxt, len + 1), ret);
}

bool select_next(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	if (unlikely(c->flags & CONN_RETRANSMIT) && select_head(e, c, ret))
		return true;
	if (likely(c->recovery != TCP_RECOVERY_FAST || c->sack_buf == NIL))
		return select_new(e, c, ret);
	if (recovery_pipe(e, c) + c->mss > c->cwnd_bytes)
		return false;
	return select_hole(e, c, true, ret) || select_new(e, c, ret) ||
	       select_hole(e, c, false, ret);
}

bool select_stalled(struct tcp_engine *e, const struct tcp_conn *c)
{
	if (!seq_eq(c->snd_una, c->snd_max))
		return false; /* the retransmission timer runs */
	return seq_lt(c->snd_nxt, conn_data_end(c)) ||
	       (c->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT)) == TCP_FIN_QUEUED;
}

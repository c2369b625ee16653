/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which segment goes out next: lost data first, then what follows snd_nxt, within the peer's window
 * and cwnd, by the rules of Nagle and of silly-window avoidance (RFC 9293 3.8.6.2.1, 3.7.4).
 */
#include "tcp/output.h"
#include "tcp/recovery.h"
#include "tcp/sack.h"
#include "tcp/tlp.h"

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
	return seq_lt(seq, end) && fill(e, c, seq, end, ret);
}

/* A tail loss probe: new data if the peer's window allows, else the last segment again, whatever
 * cwnd says (RFC 8985 7.3). */
static bool select_probe(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	s32 wnd = seq_diff(seq_add(c->snd_una, c->snd_wnd), c->snd_max);
	s32 len = min_of(seq_diff(conn_data_end(c), c->snd_max), min_of(wnd, (s32)c->mss));
	tcp_seq start = seq_max(c->snd_una, seq_add(c->snd_max, (u32)-c->mss));

	c->loss &= (u16)~LOSS_PROBE_OWED;
	if (seq_eq(c->snd_una, c->snd_max))
		return false;
	if (len > 0) {
		tlp_sent(e, c, seq_add(c->snd_max, (u32)len), false);
		return fill(e, c, c->snd_max, c->tlp_end, ret);
	}
	tlp_sent(e, c, c->snd_max, true);
	return fill(e, c, start, c->snd_max, ret);
}

/*
 * Whether a segment that is not full, `len` of `avail` bytes, may go (RFC 9293 3.8.6.2.1). Nagle's
 * rule is held to as Minshall has it: only a small segment on its way holds another one back.
 */
static bool small_may_go(struct tcp_conn *c, u32 len, u32 avail, bool fin)
{
	bool last = len == avail;

	if (c->flags & CONN_OVERRIDE)
		return true;
	if (last && fin)
		return true;
	if (last && !(c->flags & CONN_CORK) &&
	    ((c->flags & CONN_NODELAY) || seq_leq(c->snd_sml, c->snd_una)))
		return true;
	/* A receiver whose whole window is small. */
	return !last && len >= c->max_snd_wnd / 2;
}

/* How many of the `avail` bytes from `seq` on cwnd and the peer's window allow. */
static u32 usable(const struct tcp_conn *c, tcp_seq seq, u32 avail)
{
	s32 wnd = seq_diff(seq_add(c->snd_una, c->snd_wnd), seq);
	u32 pipe = recovery_pipe(c);
	u32 cwnd = c->cwnd_bytes > pipe ? c->cwnd_bytes - pipe : 0;
	u32 len = min_of(avail, (u32)max_of(wnd, 0));

	/* A segment cut short by cwnd waits for the next ACK, if one is to come. */
	if (cwnd < len && cwnd < c->mss)
		return pipe ? 0 : min_of(len, (u32)c->mss);
	return min_of(len, cwnd);
}

/* Where the run of lost records ends that begins with `r`, if it is short of a segment. */
static tcp_seq lost_run(struct tcp_engine *e, struct tcp_conn *c, struct sent_at at,
                        const struct sent_record *r)
{
	tcp_seq start = r->start, end = r->end;

	while (seq_diff(end, start) < c->mss && (r = sent_next(e, c, &at)) &&
	       (r->flags & SENT_LOST) && seq_eq(r->start, end))
		end = r->end;
	return end;
}

/* What is lost, lowest first: a segment, or as many of one record as may go. */
static bool select_lost(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	struct sent_at at;
	const struct sent_record *r = sent_first_lost(e, c, &at);
	u32 len;

	if (!r)
		return false;
	len = (u32)seq_diff(lost_run(e, c, at, r), r->start);
	if (seq_diff(r->end, r->start) < c->mss)
		len = min_of(len, (u32)c->mss);
	len = usable(c, r->start, len);
	if (len > c->mss)
		len = min_of(len, output_frame_payload(e, c));
	if (len > c->mss)
		len -= len % c->mss;
	return len && fill(e, c, r->start, seq_add(r->start, len), ret);
}

static bool fin_may_go(const struct tcp_conn *c, tcp_seq seq)
{
	return (c->fin & TCP_FIN_QUEUED) && seq_eq(seq, conn_data_end(c)) &&
	       seq_lt(seq, seq_add(c->snd_una, c->snd_wnd));
}

static bool select_new(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret)
{
	s32 left = seq_diff(conn_data_end(c), c->snd_nxt);
	u32 avail, len;
	bool fin;

	if (left < 0 || (c->fin & TCP_FIN_ACKED))
		return false;
	avail = (u32)left;
	fin = c->fin & TCP_FIN_QUEUED;
	if (!avail && !fin)
		return false;
	len = usable(c, c->snd_nxt, avail);
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
	if (unlikely(c->loss & LOSS_PROBE_OWED) && select_probe(e, c, ret))
		return true;
	/* What is lost goes first (RFC 6675 4 NextSeg()), but for F-RTO's two new segments. */
	if (unlikely(c->lost_bytes) && !(c->loss & LOSS_FRTO_NEW))
		return select_lost(e, c, ret);
	return select_new(e, c, ret);
}

bool select_stalled(struct tcp_engine *e, const struct tcp_conn *c)
{
	if (!seq_eq(c->snd_una, c->snd_max))
		return false; /* the retransmission timer runs */
	return seq_lt(c->snd_nxt, conn_data_end(c)) ||
	       (c->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT)) == TCP_FIN_QUEUED;
}

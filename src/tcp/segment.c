/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One segment of a connection, in the order of RFC 9293 3.10.7.4: sequence number, RST, SYN, ACK,
 * urgent, text, FIN; with the checks of RFC 7323 (PAWS) and RFC 5961 in their places.
 */
#include "tcp/ecn.h"

#include <errno.h>

/* RFC 7323 5.5: TS.Recent is not to be trusted after so long a silence. */
static const u64 ts_recent_max_age_ns = 24ull * 24 * 3600 * NS_PER_S;

/* A budget that is known exactly could be used to count what others get of it: it varies by half,
 * from second to second, with the secret key. */
static u32 challenge_budget(const struct tcp_engine *e, u64 second)
{
	u32 mean = e->config.challenge_acks_per_s;

	return mean - mean / 2 +
	       (u32)(hash_bytes(&e->key, &second, sizeof(second)) % (mean + 1ull));
}

void ack_challenge(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 second = e->now_ns / NS_PER_S;

	if (second != e->challenge_second) {
		e->challenge_second = second;
		e->challenge_left = challenge_budget(e, second);
	}
	if (!e->challenge_left) {
		e->n.challenge_acks_limited++;
		return;
	}
	e->challenge_left--;
	e->n.challenge_acks++;
	ack_now(e, c);
}

/* A TS.Recent of 0 is none: a kernel that took a connection back knows none until it hears the
 * peer, and may have been left again by then. As in Linux. */
static bool is_older(const struct tcp_conn *c, const struct segment *s)
{
	return c->ts_recent && (s32)(s->w.options.ts_val - c->ts_recent) < 0;
}

/* RFC 7323 5.3 R1 to R3. False: dropped. */
static bool check_timestamp(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if (s->w.flags & WIRE_RST)
		return true;
	if (unlikely(!(s->w.options.present & WIRE_OPT_TIMESTAMPS))) {
		segment_drop(e, TCP_DROP_NO_TIMESTAMP);
		return false;
	}
	if (likely(!is_older(c, s)))
		return true;
	if (e->now_ns - c->ts_recent_at_ns > ts_recent_max_age_ns)
		return true;
	segment_drop(e, TCP_DROP_PAWS);
	ack_challenge(e, c);
	return false;
}

static u32 segment_len(const struct segment *s)
{
	return s->w.payload_len + !!(s->w.flags & WIRE_SYN) + !!(s->w.flags & WIRE_FIN);
}

/* What is not acceptable is answered with an ACK and dropped, an RST silently. */
static bool not_acceptable(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	tcp_seq end = seq_add(s->w.seq, segment_len(s));
	bool old = seq_leq(end, c->rcv_nxt) && seq_lt(s->w.seq, c->rcv_nxt);

	if (s->w.flags & WIRE_RST) {
		segment_drop(e, TCP_DROP_RST_WINDOW);
		return false;
	}
	if (s->w.flags & WIRE_SYN) {
		segment_drop(e, TCP_DROP_SYN_CHALLENGED);
		ack_challenge(e, c);
		return false;
	}
	segment_drop(e, old ? TCP_DROP_OLD : TCP_DROP_WINDOW);
	if (!segment_len(s)) {
		ack_challenge(e, c);
		return false;
	}
	if (old && s->w.payload_len) {
		c->rcv_dsack = true;
		c->dsack_start = s->w.seq;
		c->dsack_end = seq_add(s->w.seq, s->w.payload_len);
	}
	/* RFC 9293 3.10.7.4: a repeated FIN begins TIME_WAIT anew. */
	if (c->state == TCP_TIME_WAIT && old && (s->w.flags & WIRE_FIN))
		timer_set(e, c, &c->fin_wait2_at_ns, ns_add(e->now_ns, 2 * e->config.msl_ns));
	ack_now(e, c);
	return false;
}

/* RFC 9293 3.10.7.4 first; a zero window still lets ACK, RST and URG through (MUST-66). */
static bool check_sequence(struct tcp_engine *e, struct tcp_conn *c, struct segment *s)
{
	tcp_seq edge = seq_max(c->rcv_adv, c->rcv_nxt);
	u32 len = segment_len(s);

	if (seq_gt(s->w.seq, edge))
		return not_acceptable(e, c, s);
	if (seq_geq(s->w.seq, c->rcv_nxt)) {
		if (len && seq_eq(s->w.seq, edge) && s->w.payload_len) {
			/* A probe into a closed window: its ACK counts, its bytes do not. */
			s->w.payload_len = 0;
			s->w.flags &= (u8)~WIRE_FIN;
			segment_drop(e, TCP_DROP_WINDOW);
			ack_now(e, c);
		}
		return true;
	}
	if (seq_gt(seq_add(s->w.seq, len), c->rcv_nxt))
		return true;
	return not_acceptable(e, c, s);
}

/* RFC 5961 3.2 */
static void reset_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if (!seq_eq(s->w.seq, c->rcv_nxt)) {
		segment_drop(e, TCP_DROP_RST_CHALLENGED);
		ack_challenge(e, c);
		return;
	}
	e->n.rsts_in++;
	/* LAST_ACK, CLOSING, TIME_WAIT: both sides were done, nothing is lost. */
	if (c->state >= TCP_CLOSING)
		conn_close(e, c, 0, 0);
	else
		conn_close(e, c, TCP_EV_RESET,
		           c->state == TCP_SYN_RECEIVED ? ECONNREFUSED : ECONNRESET);
}

/*
 * RFC 5961 4.2. In SYN_RECEIVED a repeated SYN asks for the SYN-ACK again, and where both sides
 * opened, the peer's SYN-ACK is the handshake's last segment (RFC 9293 figure 7).
 */
static void syn_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if (c->state == TCP_SYN_RECEIVED && seq_eq(s->w.seq, c->irs)) {
		ecn_agree(c, s); /* the peer may have given its offer up meanwhile */
		if ((s->w.flags & WIRE_ACK) && seq_eq(s->w.ack, c->snd_max) &&
		    !seq_eq(c->snd_max, c->iss)) {
			syn_received_acked(e, c, s);
			ack_now(e, c);
			return;
		}
		c->snd_nxt = c->iss;
		conn_mark_dirty(e, c);
		return;
	}
	segment_drop(e, TCP_DROP_SYN_CHALLENGED);
	ack_challenge(e, c);
}

static void update_ts_recent(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	/* RFC 7323 4.3 (2); check_timestamp() has seen that it does not go back. */
	if (seq_leq(s->w.seq, c->last_ack_sent)) {
		c->ts_recent = s->w.options.ts_val;
		c->ts_recent_at_ns = e->now_ns;
	}
}

static bool urgent_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	tcp_seq up = seq_add(s->w.seq, s->w.urg);

	c->rcv_up = seq_max(c->rcv_up, up);
	segment_drop(e, TCP_DROP_URGENT);
	conn_event(e, c, TCP_EV_URGENT);
	return false;
}

/* Everything but the common case: a segment whose place has to be found out. */
static bool check_slow(struct tcp_engine *e, struct tcp_conn *c, struct segment *s)
{
	if ((c->options & TCP_OPT_TIMESTAMPS) && !check_timestamp(e, c, s))
		return false;
	/* Before the sequence check: a repeated SYN lies left of the window. */
	if (unlikely(s->w.flags & WIRE_SYN) && !(s->w.flags & WIRE_RST)) {
		syn_input(e, c, s);
		return false;
	}
	if (!check_sequence(e, c, s))
		return false;
	if (unlikely(s->w.flags & WIRE_RST)) {
		reset_input(e, c, s);
		return false;
	}
	if (unlikely(!(s->w.flags & WIRE_ACK))) {
		segment_drop(e, TCP_DROP_NO_ACK);
		return false;
	}
	return true;
}

/* Header prediction: the next bytes in order, or an ACK, on an open connection. */
static bool is_predicted(const struct tcp_conn *c, const struct segment *s)
{
	if (c->state != TCP_ESTABLISHED || (s->w.flags & ~WIRE_PSH) != WIRE_ACK ||
	    !seq_eq(s->w.seq, c->rcv_nxt))
		return false;
	if ((s32)s->w.payload_len > seq_diff(c->rcv_adv, c->rcv_nxt))
		return false;
	if (!(c->options & TCP_OPT_TIMESTAMPS))
		return true;
	return (s->w.options.present & WIRE_OPT_TIMESTAMPS) && !is_older(c, s);
}

bool segment_input(struct tcp_engine *e, struct tcp_conn *c, struct segment *s, u32 buf)
{
	e->n.segs_in += s->pieces;
	e->n.bytes_in += s->w.payload_len;
	if (likely(is_predicted(c, s))) {
		e->n.predicted++;
	} else {
		if (unlikely(c->state == TCP_SYN_SENT)) {
			syn_sent_input(e, c, s);
			return false;
		}
		if (!check_slow(e, c, s))
			return false;
	}
	c->received_at_ns = e->now_ns;
	c->keepalive_count = 0;
	if (c->options & TCP_OPT_TIMESTAMPS)
		update_ts_recent(e, c, s);
	if (unlikely(s->w.flags & WIRE_URG))
		return urgent_input(e, c, s);
	if (unlikely(c->options & TCP_OPT_ECN))
		ecn_input(e, c, s);
	if (!ack_input(e, c, s))
		return false;
	if (!s->w.payload_len && !(s->w.flags & WIRE_FIN))
		return false;
	return receive_input(e, c, s, buf);
}

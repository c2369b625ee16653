/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Emitting what a connection owes: data, ACKs, probes, SYNs, RSTs; and the books of it. */
#include "tcp/output.h"

#include "tcp/cc/cc.h"
#include "tcp/cwv.h"
#include "tcp/ecn.h"
#include "tcp/pacing.h"
#include "tcp/rate.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/sent.h"
#include "tcp/tlp.h"
#include "tcp/undo.h"

enum {
	FRAME_IP_MAX = 65535,
	OPTIONS_MAX = 40,
};

u16 syn_mss(const struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];

	return (u16)(p->mtu - (p->v4 ? 20 : 40) - 20);
}

u32 output_frame_payload(const struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];
	const struct tcp_port_caps *port = &e->config.ports[e->neighbors[p->neighbor].port];
	u32 headers = (p->v4 ? 20 : 40) + 20 + OPTIONS_MAX;
	u32 max;

	/* The 802.3 length counts at most 1500: SNAP frames are never merged. */
	if (!port->gso_max_bytes || !port->tx_csum || e->neighbors[p->neighbor].length_off)
		return c->mss;
	max = min_of(port->gso_max_bytes, (u32)FRAME_IP_MAX);
	if (max <= headers + c->mss)
		return c->mss;
	max = (max - headers) / c->mss * c->mss;
	return unlikely(c->flags & CONN_PACED) ? min_of(max, pacing_quantum(c)) : max;
}

/* What was learned of the network may be old when data goes out after a rest; a model knows. */
static void resume(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 idle_ns = e->now_ns - c->sent_at_ns;

	if (likely(idle_ns <= c->rto_ns && !(c->flags & CONN_PACED)) ||
	    !seq_eq(c->snd_una, c->snd_max) || !c->snd_queued)
		return;
	if (tcp_cc_of(c)->model) {
		tcp_cc_adopt(c, e->now_ns);
		tcp_cc_of(c)->resumed(c, e->now_ns);
	} else if (idle_ns > c->rto_ns) {
		cwv_resumed(e, c, idle_ns);
		tcp_cc_adopt(c, e->now_ns);
		tcp_cc_of(c)->idle(c, idle_ns);
	}
}

/* Books of an ACK that goes out with any segment. */
static void ack_went(struct tcp_engine *e, struct tcp_conn *c)
{
	c->flags &= (u16)~CONN_ACK_NOW;
	c->delayed_ack_at_ns = TIMER_STOPPED;
	c->last_ack_sent = c->rcv_nxt;
}

static void count_repeat(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s)
{
	e->n.retransmit_segs += s->len > c->mss ? (s->len + c->mss - 1) / c->mss : 1;
	e->n.retransmit_bytes += s->len;
	undo_repeated(e, c, s->len);
}

/* Books of data and FIN: what was sent, when, and whether it is timed. */
static void data_went(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s)
{
	tcp_seq end = seq_add(s->seq, s->len + !!(s->flags & WIRE_FIN));

	if (seq_lt(s->seq, c->snd_max)) {
		count_repeat(e, c, s);
	} else {
		if (unlikely(c->recovery == TCP_RECOVERY_DISORDER))
			e->n.limited_transmits++;
		c->sent_at_ns = e->now_ns;
	}
	sent_transmitted(e, c, s->seq, end);
	if (unlikely(c->flags & CONN_PACED))
		pacing_sent(e, c, s->len);
	if (s->flags & WIRE_FIN)
		c->fin |= TCP_FIN_SENT;
	if (s->len < c->mss)
		c->snd_sml = end;
	c->snd_nxt = seq_max(c->snd_nxt, end);
	c->snd_max = seq_max(c->snd_max, end);
	if (c->retransmit_at_ns == TIMER_STOPPED)
		timer_start_retransmit(e, c);
	if (unlikely(c->recovery == TCP_RECOVERY_FAST))
		c->prr_out += (u32)seq_diff(end, s->seq);
}

void output_emit(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *s,
                 struct tx_batch *out)
{
	if (unlikely(c->options & TCP_OPT_ECN))
		ecn_output(c, s);
	frame_build(e, c, s, out);
	if (s->flags & WIRE_ACK)
		ack_went(e, c);
	if (s->len || (s->flags & WIRE_FIN))
		data_went(e, c, s);
	else
		e->n.acks_out++;
}

static bool output_data(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	struct segment_out s;

	for (;;) {
		/* Choosing leaves marks behind: not without room to act on the choice. */
		if (out->n == out->cap)
			return false;
		if (unlikely(c->flags & CONN_PACED) && pacing_holds(e, c))
			return true;
		if (!select_next(e, c, &s))
			break;
		output_emit(e, c, &s, out);
	}
	if (unlikely(c->flags & CONN_PACED) && tcp_cc_of(c)->model)
		rate_lacks_data(e, c);
	c->flags &= (u16)~CONN_OVERRIDE;
	return true;
}

/* Sequence number of a segment without text: snd_nxt of the RFC, but within the peer's window. */
static tcp_seq ack_seq(const struct tcp_conn *c)
{
	return seq_max(c->snd_nxt, seq_min(c->snd_max, seq_add(c->snd_una, c->snd_wnd)));
}

void output_ack(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	struct segment_out s = {.seq = ack_seq(c), .flags = WIRE_ACK, .data.buf = NIL};

	output_emit(e, c, &s, out);
}

/* A segment left of the window makes the peer tell where it stands: window probe and keepalive. */
static void output_probe(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	struct segment_out s = {
		.seq = seq_add(c->snd_una, (u32)-1), .flags = WIRE_ACK, .data.buf = NIL};

	if (c->flags & CONN_PROBE)
		e->n.window_probes++;
	else
		e->n.keepalives++;
	c->flags &= (u16) ~(CONN_PROBE | CONN_KEEPALIVE);
	output_emit(e, c, &s, out);
}

/* RFC 9293 3.10.7.1 and 3.10.5; the event waited for it. */
static void output_rst(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	struct segment_out s = {.seq = ack_seq(c), .flags = WIRE_RST | WIRE_ACK, .data.buf = NIL};

	frame_build(e, c, &s, out);
	e->n.rsts_out++;
	c->flags &= (u16)~CONN_RST_OWED;
	conn_event(e, c, TCP_EV_CLOSED);
}

static void output_syn(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	struct segment_out s = {.seq = c->iss, .flags = WIRE_SYN, .data.buf = NIL};

	if (c->state == TCP_SYN_RECEIVED)
		s.flags |= WIRE_ACK;
	s.flags |= ecn_syn_flags(c);
	frame_build(e, c, &s, out);
	if (s.flags & WIRE_ACK)
		ack_went(e, c);
	if (seq_lt(s.seq, c->snd_max))
		e->n.retransmit_segs++;
	sent_transmitted(e, c, c->iss, seq_add(c->iss, 1));
	c->sent_at_ns = e->now_ns;
	c->snd_nxt = c->snd_max = seq_add(c->iss, 1);
	if (c->retransmit_at_ns == TIMER_STOPPED)
		timer_start_retransmit(e, c);
}

/* What stays to be done when nothing more goes out: timers for what waits. */
static void settle(struct tcp_engine *e, struct tcp_conn *c)
{
	bool held = (c->flags & CONN_PACED) && c->pace_at_ns > e->now_ns;

	if (unlikely(select_stalled(e, c)) && !held && c->persist_at_ns == TIMER_STOPPED) {
		c->progress_at_ns = e->now_ns;
		timer_set(e, c, &c->persist_at_ns, ns_add(e->now_ns, rto_now(e, c)));
	}
	if (c->sent_at_ns == e->now_ns)
		tlp_schedule(e, c);
	if (c->delayed_ack_at_ns < c->armed_ns)
		timer_set(e, c, &c->delayed_ack_at_ns, c->delayed_ack_at_ns);
}

static bool output_synchronized(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	/* Data segments do not say what is out of order. */
	if (unlikely((c->flags & CONN_ACK_NOW) && (c->ooo_head != NIL || c->rcv_dsack)))
		output_ack(e, c, out);
	resume(e, c);
	if (!output_data(e, c, out))
		return false;
	if (unlikely(c->flags & (CONN_PROBE | CONN_KEEPALIVE))) {
		if (out->n == out->cap)
			return false;
		output_probe(e, c, out);
	}
	if (c->flags & CONN_ACK_NOW) {
		if (out->n == out->cap)
			return false;
		output_ack(e, c, out);
	}
	settle(e, c);
	return true;
}

/* No way to send: what is owed waits for tcp_*_set_valid(). An RST that cannot go is not waited
 * for. */
static bool output_parked(struct tcp_engine *e, struct tcp_conn *c)
{
	conn_park(e, c);
	if (c->flags & CONN_RST_OWED) {
		c->flags &= (u16)~CONN_RST_OWED;
		conn_event(e, c, TCP_EV_CLOSED);
	}
	return true;
}

bool conn_output(struct tcp_engine *e, struct tcp_conn *c, struct tx_batch *out)
{
	if (unlikely(c->flags & CONN_QUIESCED) ||
	    unlikely(c->state == TCP_CLOSED && !(c->flags & CONN_RST_OWED)))
		return true;
	if (unlikely(!conn_may_transmit(e, c)))
		return output_parked(e, c);
	if (unlikely(out->n == out->cap))
		return false;
	if (unlikely(c->mtu != e->paths[c->path].mtu))
		conn_derive_mss(e, c);
	switch (c->state) {
	case TCP_CLOSED:
		output_rst(e, c, out);
		return true;
	case TCP_SYN_SENT:
	case TCP_SYN_RECEIVED:
		if (seq_eq(c->snd_nxt, c->iss))
			output_syn(e, c, out);
		else if (c->flags & CONN_ACK_NOW)
			output_ack(e, c, out);
		return true;
	default:
		return output_synchronized(e, c, out);
	}
}

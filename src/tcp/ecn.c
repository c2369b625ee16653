/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/ecn.h"

#include "tcp/cc/cc.h"

u8 ecn_syn_flags(struct tcp_conn *c)
{
	if (!(c->options & TCP_OPT_ECN))
		return 0;
	if (c->state == TCP_SYN_RECEIVED)
		return WIRE_ECE;
	if (seq_eq(c->snd_max, c->iss))
		return WIRE_ECE | WIRE_CWR;
	c->ecn_state |= TCP_ECN_NO_ECT;
	return 0;
}

void ecn_agree(struct tcp_conn *c, const struct segment *s)
{
	const u8 both = WIRE_ECE | WIRE_CWR;
	/* A SYN-ACK with both is that of a peer that merely reflects what it got. */
	u8 want = s->w.flags & WIRE_ACK ? WIRE_ECE : both;

	if (!(c->options & TCP_OPT_ECN))
		return;
	if ((s->w.flags & both) != want) {
		c->options &= (u8)~TCP_OPT_ECN;
		c->ecn_state = 0;
		return;
	}
	c->ecn_state |= TCP_ECN_AGREED;
	if ((s->w.tos & ECN_MASK) == ECN_CE)
		c->ecn_state |= TCP_ECN_DEMAND_CWR;
}

/* 6.1.3. A superframe's CWR stands on its first segment, its CE on all. */
static void receive(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	u8 field = s->w.tos & ECN_MASK;

	if (s->w.flags & WIRE_CWR) {
		c->ecn_state &= (u8)~TCP_ECN_DEMAND_CWR;
		/* The peer's window may be one segment: it should not wait for a delayed ACK. */
		ack_now(e, c);
	}
	if (field != ECN_NOT_ECT)
		c->ecn_state |= TCP_ECN_SEEN;
	if (field != ECN_CE)
		return;
	if (!(c->ecn_state & TCP_ECN_DEMAND_CWR))
		ack_now(e, c);
	c->ecn_state |= TCP_ECN_DEMAND_CWR;
}

/* 6.1.2: once for each window of data, whether it was a mark or a loss. */
static void react(struct tcp_engine *e, struct tcp_conn *c)
{
	if (ecn_has_reduced(c) || c->recovery >= TCP_RECOVERY_FAST ||
	    seq_eq(c->snd_una, c->snd_max))
		return;
	e->n.ecn_reductions++;
	tcp_cc_marked(c, e->now_ns);
	c->cwnd_bytes = min_of(c->cwnd_bytes, c->ssthresh_bytes);
	c->ecn_state |= TCP_ECN_REDUCED;
	c->ecn_point = c->snd_max;
}

void ecn_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if ((s->w.tos & ECN_MASK) == ECN_CE)
		e->n.ecn_ce_in += s->pieces;
	if (s->w.payload_len || (s->w.flags & WIRE_FIN))
		receive(e, c, s);
	/* What ack_input() will refuse says nothing. */
	if (seq_lt(s->w.ack, c->snd_una) || seq_gt(s->w.ack, c->snd_max))
		return;
	if (seq_gt(s->w.ack, c->ecn_point))
		c->ecn_state &= (u8)~TCP_ECN_REDUCED;
	if (s->w.flags & WIRE_ECE) {
		e->n.ecn_ece_in++;
		react(e, c);
	}
}

void ecn_output(struct tcp_conn *c, struct segment_out *s)
{
	if (c->ecn_state & TCP_ECN_DEMAND_CWR)
		s->flags |= WIRE_ECE;
	if (!s->len || seq_lt(s->seq, c->snd_max))
		return;
	if (!(c->ecn_state & TCP_ECN_NO_ECT))
		s->ecn = ECN_ECT_0;
	if (c->ecn_state & TCP_ECN_QUEUE_CWR) {
		c->ecn_state &= (u8)~TCP_ECN_QUEUE_CWR;
		s->flags |= WIRE_CWR;
	}
}

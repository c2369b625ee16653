/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/tlp.h"

#include "tcp/cc/cc.h"

static const u64 max_ack_delay_ns = 200 * NS_PER_MS; /* TLP.max_ack_delay */
static const u64 granularity_ns = 2 * NS_PER_MS;     /* no probe for what a busy host held back */
static const u64 no_rtt_pto_ns = 1 * NS_PER_S;       /* 7.2: SRTT not known */

void tlp_schedule(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 pto_ns = no_rtt_pto_ns;

	/* Not while something else is on the way to find out (7.2), nor two at a time (7.3). */
	if (c->recovery != TCP_RECOVERY_OPEN || c->sack_buf != NIL ||
	    !(c->options & TCP_OPT_SACK) || (c->loss & (LOSS_REO_TIMER | LOSS_TLP)))
		return;
	if (seq_eq(c->snd_una, c->snd_max)) {
		c->probe_at_ns = TIMER_STOPPED;
		return;
	}
	if (c->srtt_ns) {
		pto_ns = 2 * c->srtt_ns + granularity_ns;
		if (seq_diff(c->snd_max, c->snd_una) <= c->mss)
			pto_ns += max_ack_delay_ns;
	}
	timer_set(e, c, &c->probe_at_ns, min_of(ns_add(e->now_ns, pto_ns), c->retransmit_at_ns));
}

void tlp_due(struct tcp_engine *e, struct tcp_conn *c)
{
	if (c->recovery != TCP_RECOVERY_OPEN || c->sack_buf != NIL)
		return;
	c->loss |= LOSS_PROBE_OWED;
	conn_mark_dirty(e, c);
	/* The retransmission timer gives the probe its time. */
	timer_start_retransmit(e, c);
}

void tlp_sent(struct tcp_engine *e, struct tcp_conn *c, tcp_seq end, bool repeat)
{
	e->n.loss_probes++;
	c->loss |= LOSS_TLP;
	c->loss &= (u16)~LOSS_TLP_REPEAT;
	if (repeat)
		c->loss |= LOSS_TLP_REPEAT;
	c->tlp_end = end;
	timer_start_retransmit(e, c);
}

/* The probe repaired a loss that nobody else saw: the window pays for it. */
static void repaired(struct tcp_engine *e, struct tcp_conn *c)
{
	e->n.loss_probe_repairs++;
	conn_event(e, c, TCP_EV_LOSS);
	if (c->recovery >= TCP_RECOVERY_FAST)
		return;
	tcp_cc_lost(c, e->now_ns);
	c->cwnd_bytes = min_of(c->cwnd_bytes, c->ssthresh_bytes);
}

void tlp_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	if (likely(!(c->loss & LOSS_TLP)) || seq_lt(c->snd_una, c->tlp_end))
		return;
	if (!(c->loss & LOSS_TLP_REPEAT) || (a->dsack && seq_eq(a->dsack_range.end, c->tlp_end))) {
		c->loss &= (u16)~LOSS_TLP; /* delivered in order; or both copies were */
	} else if (seq_gt(c->snd_una, c->tlp_end)) {
		c->loss &= (u16)~LOSS_TLP;
		repaired(e, c);
	} else if (a->pure && !a->fresh) {
		c->loss &= (u16)~LOSS_TLP; /* the second ACK for the same: both copies arrived */
	}
}

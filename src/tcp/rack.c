/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/rack.h"

#include "tcp/sack.h"

enum {
	REO_PERSIST = 16, /* recoveries without a DSACK that a larger window lasts for */
	REO_STEPS_MAX = 255,
};

u64 rack_reo_wnd(struct tcp_engine *e, const struct tcp_conn *c)
{
	/* A connection may have come without its shortest round trip. */
	u64 rtt_ns = c->min_rtt_ns ? c->min_rtt_ns : c->srtt_ns;
	u64 wnd_ns = rtt_ns / 4 * max_of(c->reo_steps, (u8)1);

	/* No reordering was seen, and DupThresh is reached: no waiting. */
	if (!(c->loss & LOSS_REORDERING) &&
	    (c->recovery >= TCP_RECOVERY_FAST || seq_gt(sack_lost_end(e, c), c->snd_una)))
		return 0;
	return min_of(wnd_ns, c->srtt_ns);
}

/* Step 3: an original that is delivered after what lies right of it. */
static void detect_reordering(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	const struct scoreboard *b = sack_board(e, c);

	if (a->sent.oldest_once_ns && seq_lt(a->sent.once_low, c->rack_fack)) {
		e->n.reorderings += !(c->loss & LOSS_REORDERING);
		c->loss |= LOSS_REORDERING;
	}
	c->rack_fack = seq_max(c->rack_fack, c->snd_una);
	if (b && b->n)
		c->rack_fack = seq_max(c->rack_fack, b->r[b->n - 1].end);
}

/* Step 4, RACK_update_reo_wnd(): wider once a round trip in which something was sent in vain. A
 * loss probe's own copy is no sign of reordering. */
static void adapt(struct tcp_conn *c, const struct ack_info *a)
{
	if ((c->loss & LOSS_DSACK_ROUND) && seq_geq(c->snd_una, c->dsack_round))
		c->loss &= (u16)~LOSS_DSACK_ROUND;
	if (!a->dsack || (c->loss & LOSS_DSACK_ROUND))
		return;
	if ((c->loss & LOSS_TLP_REPEAT) && (c->loss & LOSS_TLP) &&
	    seq_eq(a->dsack_range.end, c->tlp_end))
		return;
	c->loss |= LOSS_DSACK_ROUND;
	c->dsack_round = c->snd_max;
	c->reo_steps = (u8)min_of(max_of(c->reo_steps, (u8)1) + 1, (int)REO_STEPS_MAX);
	c->reo_persist = REO_PERSIST;
}

static u32 rtt_us(u64 rtt_ns)
{
	return (u32)min_of((rtt_ns + NS_PER_US - 1) / NS_PER_US, (u64)UINT32_MAX);
}

void rack_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	const struct sent_record *newest = &a->sent.newest;

	if (newest->xmit_ns) {
		c->rack_rtt_us = rtt_us(e->now_ns - newest->xmit_ns);
		if (sent_after(newest->xmit_ns, newest->end, c->rack_xmit_ns, c->rack_end)) {
			c->rack_xmit_ns = newest->xmit_ns;
			c->rack_end = newest->end;
		}
	}
	detect_reordering(e, c, a);
	adapt(c, a);
}

static void set_timer(struct tcp_engine *e, struct tcp_conn *c, u64 wait_ns)
{
	if (wait_ns) {
		c->loss |= LOSS_REO_TIMER;
		timer_set(e, c, &c->probe_at_ns, ns_add(e->now_ns, wait_ns));
	} else if (c->loss & LOSS_REO_TIMER) {
		c->loss &= (u16)~LOSS_REO_TIMER;
		c->probe_at_ns = TIMER_STOPPED;
	}
}

u32 rack_detect(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 allowed_ns = c->rack_rtt_us * NS_PER_US + rack_reo_wnd(e, c), wait_ns = 0;
	u32 before = c->lost_bytes;
	struct sent_at at;

	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at)) {
		if (r->flags & SENT_LOST)
			continue;
		if (!sent_after(c->rack_xmit_ns, c->rack_end, r->xmit_ns, r->end)) {
			/* Originals leave in order, and right of high_rxt nothing was repeated. */
			if (r->transmits == 1 && seq_geq(r->start, c->high_rxt))
				break;
			continue;
		}
		if (r->xmit_ns + allowed_ns <= e->now_ns)
			sent_mark_lost(c, r);
		else
			wait_ns = max_of(wait_ns, r->xmit_ns + allowed_ns - e->now_ns);
	}
	set_timer(e, c, wait_ns);
	e->n.rack_lost_bytes += c->lost_bytes - before;
	return c->lost_bytes - before;
}

void rack_timeout(struct tcp_engine *e, struct tcp_conn *c, bool all)
{
	u64 allowed_ns = c->rack_rtt_us * NS_PER_US + rack_reo_wnd(e, c);
	struct sent_at at;

	all |= !(c->options & TCP_OPT_SACK);
	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at))
		if (all || r->xmit_ns + allowed_ns <= e->now_ns)
			sent_mark_lost(c, r);
}

void rack_recovered(struct tcp_conn *c)
{
	if (c->reo_persist && !--c->reo_persist)
		c->reo_steps = 1;
}

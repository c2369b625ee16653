/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Slow start, and its end before there is loss: HyStart++ (RFC 9406). When the lowest round-trip
 * time of a round rises, slow start goes on at a quarter of its pace for five rounds (conservative
 * slow start), and ends then, unless the delay went back.
 *
 * Only while ssthresh was never set (4.3): a threshold that a loss has set is the better end.
 */
#include "tcp/cc/cc.h"

enum {
	MIN_RTT_THRESH_US = 4000,
	MAX_RTT_THRESH_US = 16000,
	MIN_RTT_DIVISOR = 8,
	N_RTT_SAMPLE = 8,
	CSS_GROWTH_DIVISOR = 4,
	CSS_ROUNDS = 5,
};

/* cc_window.flags */
enum {
	HYSTART_STARTED = 1 << 0,
	HYSTART_CSS = 1 << 1,
};

static void begin_round(struct tcp_conn *c, struct cc_window *w)
{
	w->last_min_rtt_us = w->flags & HYSTART_STARTED ? w->min_rtt_us : UINT32_MAX;
	w->min_rtt_us = UINT32_MAX;
	w->samples = 0;
	w->round_end = c->snd_nxt;
	w->flags |= HYSTART_STARTED;
	if (!(w->flags & HYSTART_CSS) || ++w->css_rounds < CSS_ROUNDS)
		return;
	w->flags &= (u8)~HYSTART_CSS;
	c->ssthresh_bytes = c->cwnd_bytes;
}

static void take_sample(struct cc_window *w, u64 rtt_ns)
{
	u32 rtt_us = (u32)min_of(rtt_ns / NS_PER_US, (u64)UINT32_MAX - 1);
	u32 thresh;

	if (!rtt_ns)
		return;
	w->min_rtt_us = min_of(w->min_rtt_us, rtt_us);
	w->samples += w->samples < N_RTT_SAMPLE;
	if (w->samples < N_RTT_SAMPLE || w->last_min_rtt_us == UINT32_MAX)
		return;
	if (w->flags & HYSTART_CSS) {
		/* It was no queue of ours. */
		if (w->min_rtt_us < w->css_baseline_us)
			w->flags &= (u8)~HYSTART_CSS;
		return;
	}
	thresh = w->last_min_rtt_us / MIN_RTT_DIVISOR;
	thresh = max_of(thresh, (u32)MIN_RTT_THRESH_US);
	thresh = min_of(thresh, (u32)MAX_RTT_THRESH_US);
	if ((u64)w->min_rtt_us < (u64)w->last_min_rtt_us + thresh)
		return;
	w->css_baseline_us = w->min_rtt_us;
	w->css_rounds = 0;
	w->flags |= HYSTART_CSS;
}

u32 tcp_cc_slow_start(struct tcp_conn *c, u32 acked, u64 rtt_ns)
{
	struct cc_window *w = tcp_cc_window(c);
	u32 grow = min_of(acked, c->ssthresh_bytes - c->cwnd_bytes);

	/* RFC 3465 2.3: after a timeout an ACK may cover what the receiver had all along; with SACK
	 * we know, and `acked` leaves that out. Otherwise what is acknowledged counts in full
	 * whatever the ACK covers: where segments are merged there is one for many. */
	if (c->recovery == TCP_RECOVERY_LOSS && !(c->options & TCP_OPT_SACK))
		grow = min_of(grow, (u32)c->mss);
	if (c->ssthresh_bytes < UINT32_MAX) {
		c->cwnd_bytes += grow;
		return c->cwnd_bytes < c->ssthresh_bytes ? 0 : acked - grow;
	}
	if (!(w->flags & HYSTART_STARTED) || seq_geq(c->snd_una, w->round_end))
		begin_round(c, w);
	if (c->cwnd_bytes >= c->ssthresh_bytes)
		return acked;
	take_sample(w, rtt_ns);
	c->cwnd_bytes += w->flags & HYSTART_CSS ? grow / CSS_GROWTH_DIVISOR : grow;
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/rate.h"

#include "tcp/recovery.h"

void rate_measure(const struct tcp_conn *c, const struct sent_delivery *d, struct rate_sample *s)
{
	const struct sent_record *r = &d->newest;
	u64 interval_ns;

	if (!r->xmit_ns)
		return;
	/* The slower of sending and being acknowledged: neither a burst nor ACKs that came together
	 * make the path faster (2.3). */
	interval_ns = max_of(r->xmit_ns - r->first_sent_ns, s->now_ns - r->delivered_ns);
	if (!interval_ns || interval_ns < c->min_rtt_ns)
		return;
	s->prior_delivered = r->delivered;
	s->app_limited = r->flags & SENT_APP_LIMITED;
	s->rate = (u64)(s->delivered - r->delivered) * NS_PER_S / interval_ns;
}

void rate_lacks_data(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 pipe = recovery_pipe(c);

	if (seq_diff(conn_data_end(c), c->snd_nxt) >= (s32)c->mss || c->lost_bytes ||
	    pipe >= c->cwnd_bytes)
		return;
	c->app_limited = max_of(c->delivered + pipe, 1u);
}

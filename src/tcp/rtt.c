/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Round-trip time and retransmission timeout (RFC 6298), in nanoseconds. */
#include "tcp/rtt.h"

/* RFC 6298 2.4, as Linux has it: the lower bound is on the variance's share, so that RTO is at
 * least srtt + min_rto and not merely min_rto. */
static u64 rto_of(const struct tcp_engine *e, const struct tcp_conn *c)
{
	u64 rto = ns_add(c->srtt_ns, max_of(4 * c->rttvar_ns, e->config.min_rto_ns));

	return min_of(rto, e->config.max_rto_ns);
}

void rtt_sample(struct tcp_engine *e, struct tcp_conn *c, u64 rtt_ns)
{
	u64 diff;

	rtt_ns = max_of(rtt_ns, (u64)1);
	e->ack_rtt_ns = rtt_ns;
	if (!c->min_rtt_ns || rtt_ns < c->min_rtt_ns)
		c->min_rtt_ns = rtt_ns;
	if (!c->srtt_ns) {
		c->srtt_ns = rtt_ns;
		c->rttvar_ns = rtt_ns / 2;
	} else {
		diff = rtt_ns > c->srtt_ns ? rtt_ns - c->srtt_ns : c->srtt_ns - rtt_ns;
		c->rttvar_ns = c->rttvar_ns - c->rttvar_ns / 4 + diff / 4;
		c->srtt_ns = c->srtt_ns - c->srtt_ns / 8 + rtt_ns / 8;
	}
	c->rto_ns = rto_of(e, c);
	c->rto_backoff = 0;
}

bool rtt_measure(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                 const struct sent_delivery *d)
{
	u64 tick_ns = c->options & TCP_OPT_USEC_TS ? NS_PER_US : NS_PER_MS;
	u32 ticks;

	/* All of it was sent once (Karn). The oldest, as a receiver may have held its ACK back. */
	if (likely(d->oldest_once_ns && !d->repeated)) {
		rtt_sample(e, c, e->now_ns - d->oldest_once_ns);
		return true;
	}
	if (!d->repeated || !(c->options & TCP_OPT_TIMESTAMPS) || !s->w.options.ts_ecr)
		return false;
	/* RFC 7323 4.1: an echo tells which transmission is acknowledged. */
	ticks = conn_ts_now(e, c) - s->w.options.ts_ecr;
	if (ticks > (u32)(e->config.max_rto_ns / NS_PER_MS) * (u32)(NS_PER_MS / tick_ns))
		return false;
	rtt_sample(e, c, max_of(ticks, 1u) * tick_ns);
	return true;
}

void rtt_at_least(struct tcp_engine *e, struct tcp_conn *c, u64 rtt_ns)
{
	c->srtt_ns = max_of(c->srtt_ns, rtt_ns);
	c->rttvar_ns = max_of(c->rttvar_ns, rtt_ns / 2);
	c->rto_ns = rto_of(e, c);
}

u64 rto_now(const struct tcp_engine *e, const struct tcp_conn *c)
{
	u64 rto = c->rto_ns;

	for (u8 i = 0; i < c->rto_backoff && rto < e->config.max_rto_ns; i++)
		rto *= 2;
	return min_of(rto, e->config.max_rto_ns);
}

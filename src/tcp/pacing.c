/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/pacing.h"

#include "tcp/cc/cc.h"

enum {
	QUANTUM_MAX = 65536,
	QUANTUM_MIN_SEGMENTS = 2,
	/* As Linux has them: in slow start cwnd doubles within the round that is paced. */
	SLOW_START_PERCENT = 200,
	AVOIDANCE_PERCENT = 120,
};

static const u64 slack_ns = NS_PER_MS;

void pacing_configure(struct tcp_conn *c)
{
	if (tcp_cc_of(c)->model || c->settings.max_pacing_rate)
		c->flags |= CONN_PACED;
	else
		c->flags &= (u16)~CONN_PACED;
}

void pacing_for_a_round(struct tcp_conn *c)
{
	c->flags |= CONN_PACED;
}

/* Bytes a second, 0: without limit. A model has written its own. */
static u64 rate_now(struct tcp_conn *c)
{
	u64 limit = c->settings.max_pacing_rate;
	u32 percent;

	if (!tcp_cc_of(c)->model) {
		percent = c->cwnd_bytes < c->ssthresh_bytes / 2 ? SLOW_START_PERCENT
		                                                : AVOIDANCE_PERCENT;
		c->pacing_rate = 0;
		if (c->srtt_ns)
			c->pacing_rate = c->cwnd_bytes * (NS_PER_S / 100) / c->srtt_ns * percent;
		if (limit == UINT64_MAX)
			return c->pacing_rate;
		if (!c->pacing_rate)
			c->pacing_rate = limit;
	}
	if (limit)
		c->pacing_rate = min_of(c->pacing_rate, limit);
	return c->pacing_rate;
}

static u64 time_of(u32 bytes, u64 rate)
{
	return bytes * NS_PER_S / rate;
}

bool pacing_holds(struct tcp_engine *e, struct tcp_conn *c)
{
	if ((c->flags & CONN_RETRANSMIT) || c->pace_at_ns <= e->now_ns)
		return false;
	timer_set(e, c, &c->pace_at_ns, c->pace_at_ns);
	return true;
}

void pacing_sent(struct tcp_engine *e, struct tcp_conn *c, u32 len)
{
	u64 rate = rate_now(c);
	u64 slack, from;

	if (!rate) {
		c->pace_at_ns = 0;
		return;
	}
	/* Two segments may always leave together. */
	slack = max_of(slack_ns, time_of((QUANTUM_MIN_SEGMENTS - 1) * c->mss, rate));
	from = e->now_ns - min_of(slack, e->now_ns);
	c->pace_at_ns = max_of(c->pace_at_ns, from) + time_of(len, rate);
}

u32 pacing_quantum(const struct tcp_conn *c)
{
	u32 bytes = (u32)min_of(c->pacing_rate / 1000, (u64)QUANTUM_MAX);

	bytes = max_of(bytes, (u32)QUANTUM_MIN_SEGMENTS * c->mss);
	return bytes - bytes % c->mss;
}

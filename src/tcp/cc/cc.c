/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/cc/cc.h"

#include "tcp/ecn.h"

enum {
	IW_SEGMENTS = 10,
	IW_BYTES = 14600,
};

static const struct tcp_cc_ops *const algorithms[TCP_CC_ALGORITHMS] = {
	[TCP_CC_NEWRENO] = &tcp_cc_newreno,
	[TCP_CC_CUBIC] = &tcp_cc_cubic,
	[TCP_CC_BBR] = &tcp_cc_bbr,
};

const struct tcp_cc_ops *tcp_cc_of(const struct tcp_conn *c)
{
	u8 which = c->settings.cc_algorithm;

	return which < TCP_CC_ALGORITHMS ? algorithms[which] : &tcp_cc_cubic;
}

/* Whether conn.cc is of the algorithm that runs. */
static bool is_own(const struct tcp_conn *c, const struct tcp_cc_ops *ops)
{
	return c->cc.type == ops->type && c->cc.version == ops->version &&
	       c->cc.len <= CC_PRIVATE_BYTES;
}

void tcp_cc_adopt(struct tcp_conn *c, u64 now_ns)
{
	const struct tcp_cc_ops *ops = tcp_cc_of(c);

	if (is_own(c, ops))
		return;
	memset(&c->cc, 0, sizeof(c->cc));
	c->cc.type = ops->type;
	c->cc.version = ops->version;
	if (!ops->model)
		tcp_cc_window(c)->validated_ms = (u32)(now_ns / NS_PER_MS);
	ops->start(c, now_ns);
}

void tcp_cc_take_over(struct tcp_conn *c, u64 now_ns)
{
	const struct tcp_cc_ops *ops = tcp_cc_of(c);

	if (is_own(c, ops) && ops->taken_over)
		ops->taken_over(c, now_ns);
	else if (ops->model)
		tcp_cc_adopt(c, now_ns);
}

/* What is out; limited transmit's segments do not count (RFC 5681 3.2 step 2). */
static u32 flight_of(const struct tcp_conn *c)
{
	u32 out = (u32)seq_diff(c->snd_max, c->snd_una);

	return min_of(out, max_of(c->cwnd_bytes, 2u * c->mss));
}

void tcp_cc_lost(struct tcp_conn *c, u64 now_ns)
{
	if (unlikely(ecn_has_reduced(c)) && !tcp_cc_of(c)->model)
		return;
	tcp_cc_adopt(c, now_ns);
	c->ssthresh_bytes = tcp_cc_of(c)->lost(c, flight_of(c), now_ns);
	ecn_queue_cwr(c);
}

void tcp_cc_marked(struct tcp_conn *c, u64 now_ns)
{
	tcp_cc_adopt(c, now_ns);
	c->ssthresh_bytes = tcp_cc_of(c)->marked(c, flight_of(c), now_ns);
	ecn_queue_cwr(c);
}

u32 tcp_cc_initial_window(const struct tcp_conn *c)
{
	return min_of((u32)IW_SEGMENTS * c->mss, max_of(2u * c->mss, (u32)IW_BYTES));
}

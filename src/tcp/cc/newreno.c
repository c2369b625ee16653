/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* NewReno's window (RFC 5681 3.1, counted in bytes as RFC 3465 has it). */
#include "tcp/cc/cc.h"

struct newreno {
	struct cc_window window;
	u32 acked; /* bytes acknowledged since cwnd last grew */
};
_Static_assert(sizeof(struct newreno) <= CC_PRIVATE_BYTES, "");

static struct newreno *of(struct tcp_conn *c)
{
	return (struct newreno *)c->cc.bytes;
}

static void start(struct tcp_conn *c, u64 now_ns)
{
	c->cc.len = sizeof(struct newreno);
	of(c)->acked = 0;
}

static void acked(struct tcp_conn *c, u32 bytes, u64 rtt_ns, u64 now_ns)
{
	if (c->cwnd_bytes < c->ssthresh_bytes)
		bytes = tcp_cc_slow_start(c, bytes, rtt_ns);
	of(c)->acked += min_of(bytes, c->cwnd_bytes);
	if (of(c)->acked < c->cwnd_bytes)
		return;
	of(c)->acked -= c->cwnd_bytes;
	c->cwnd_bytes += c->mss;
}

static u32 lost(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	of(c)->acked = 0;
	/* RFC 5681 (4) */
	return max_of(flight / 2, 2u * c->mss);
}

/* RFC 8511 3: beta_ecn is 0.8. A mark comes from a queue that is kept short: there is less to
 * drain.
 */
static u32 marked(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	of(c)->acked = 0;
	return max_of((u32)((u64)flight * 8 / 10), 2u * c->mss);
}

static void idle(struct tcp_conn *c, u64 idle_ns)
{
	of(c)->acked = 0;
}

const struct tcp_cc_ops tcp_cc_newreno = {
	.type = TCP_CC_NEWRENO,
	.version = 2,
	.start = start,
	.acked = acked,
	.lost = lost,
	.marked = marked,
	.idle = idle,
};

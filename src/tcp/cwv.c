/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/cwv.h"

#include "tcp/cc/cc.h"
#include "tcp/pacing.h"

enum {
	LOOK_SHIFT = 16, /* while cwnd is not used, the clock is looked at once in so many bytes */
};

static const u32 nvp_ms = 5 * 60 * 1000; /* 4.2: the non-validated period */

static u32 ms_of(u64 ns)
{
	return (u32)(ns / NS_PER_MS);
}

static void validated(struct tcp_engine *e, struct tcp_conn *c)
{
	tcp_cc_adopt(c, e->now_ns);
	tcp_cc_window(c)->validated_ms = ms_of(e->now_ns);
}

/* 4.4.3: what a period without use leaves of cwnd. */
static void decay(struct tcp_engine *e, struct tcp_conn *c, u64 idle_ns)
{
	u32 floor = tcp_cc_initial_window(c);
	u32 age_ms;

	tcp_cc_adopt(c, e->now_ns);
	/* Of another machine's clock: as if just now. */
	age_ms = (u32)max_of((s32)(ms_of(e->now_ns) - tcp_cc_window(c)->validated_ms), 0);
	age_ms = max_of(age_ms, (u32)min_of(idle_ns / NS_PER_MS, (u64)UINT32_MAX));
	if (age_ms < nvp_ms)
		return;
	for (; age_ms >= nvp_ms && c->cwnd_bytes > floor; age_ms -= nvp_ms) {
		c->ssthresh_bytes = max_of(c->ssthresh_bytes, (u32)(c->cwnd_bytes / 4 * 3ull));
		c->cwnd_bytes = max_of(c->cwnd_bytes / 2, floor);
		e->n.window_decays++;
	}
	tcp_cc_window(c)->validated_ms = ms_of(e->now_ns);
}

bool cwv_may_grow(struct tcp_engine *e, struct tcp_conn *c, u32 flight, u32 acked)
{
	bool slow_start = c->cwnd_bytes < c->ssthresh_bytes;

	if (likely(2 * (u64)flight < c->cwnd_bytes)) {
		if (unlikely((c->delivered ^ (c->delivered - acked)) >> LOOK_SHIFT) &&
		    c->cwnd_bytes > tcp_cc_initial_window(c))
			decay(e, c, 0);
		/* The last segments of a small window. */
		if (flight + c->mss <= c->cwnd_bytes)
			return false;
	}
	validated(e, c);
	return slow_start || flight + c->mss > c->cwnd_bytes;
}

void cwv_resumed(struct tcp_engine *e, struct tcp_conn *c, u64 idle_ns)
{
	if (c->cwnd_bytes <= tcp_cc_initial_window(c))
		return;
	decay(e, c, idle_ns);
	pacing_for_a_round(c);
}

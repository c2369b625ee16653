/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Growth of the receive buffer with the rate (dynamic right-sizing, as the kernel does in
 * tcp_rcv_space_adjust): what the application reads in a round trip is what the peer had in flight,
 * and in slow start it will have twice that in the next. The buffer grows to hold both, as far as
 * rcv_buf_max_bytes and the pool allow. It never shrinks, nor does the window.
 */
#include "tcp/internal.h"

enum {
	ROUND_US_DEFAULT = 10000, /* while no round trip was measured */
	STALE_ROUNDS = 16,
	SLACK_SEGMENTS = 16,
	WINDOW_MAX = 65535,
	POOL_SHARE = 8, /* of what is free, the most that a step promises */
};

/* How many bytes more the pool lets one buffer promise. */
static u64 pool_leaves(const struct tcp_engine *e)
{
	const struct buf_pool *b = e->bufs;

	if (pool_is_low(e))
		return 0;
	return ((u64)b->n_free[BUF_SMALL] * BUF_SMALL_BYTES +
	        (u64)b->n_free[BUF_LARGE] * BUF_LARGE_BYTES) /
	       POOL_SHARE;
}

void receive_buffer_grow(struct tcp_engine *e, struct tcp_conn *c)
{
	tcp_seq read = seq_add(c->rcv_nxt, -c->rcv_queued);
	u32 round_us = c->srtt_ns ? (u32)(c->srtt_ns / NS_PER_US) : (u32)ROUND_US_DEFAULT;
	u32 elapsed_us = e->now_us - c->space_us;
	/* More than the window cannot have been in flight. */
	u64 taken = min_of((u32)max_of(seq_diff(read, c->space_seq), 0), c->rcv_buf_bytes);
	u64 most = min_of((u64)c->settings.rcv_buf_max_bytes, (u64)WINDOW_MAX << c->rcv_wscale);
	u64 want = 2 * taken + (u64)SLACK_SEGMENTS * c->mss;

	if (elapsed_us < round_us)
		return;
	c->space_seq = read;
	c->space_us = e->now_us;
	if (elapsed_us > STALE_ROUNDS * round_us)
		return; /* it was idle in between, or this is the first round */
	if (e->config.rcv_buf_max_bytes)
		most = min_of(most, (u64)e->config.rcv_buf_max_bytes);
	want = min_of(want, c->rcv_buf_bytes + pool_leaves(e));
	c->rcv_buf_bytes = (u32)max_of(min_of(want, most), (u64)c->rcv_buf_bytes);
}

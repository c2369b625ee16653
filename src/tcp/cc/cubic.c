/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * CUBIC (RFC 9438) in integers: windows in bytes, time in milliseconds, C = 0.4, beta = 0.7. With
 * fast convergence (4.7) and the Reno-friendly region (4.3).
 */
#include "tcp/cc/cc.h"

struct cubic {
	struct cc_window window;
	u64 epoch_ns;   /* start of the congestion avoidance stage, 0: not begun */
	u32 w_max;      /* window before the last reduction */
	u32 cwnd_prior; /* the same, without fast convergence */
	u32 k_ms;       /* when the curve comes back to w_max */
	u32 w_est;      /* what Reno would have */
	u32 cwnd_rest;  /* remainders of the divisions by cwnd */
	u32 est_rest;
};
_Static_assert(sizeof(struct cubic) <= CC_PRIVATE_BYTES, "");

enum {
	BETA_PERCENT = 70,
	BETA_ECN_PERCENT = 85, /* RFC 8511 3 */
	TIME_MAX_MS = 1 << 20,
	/* C t^3 segments with t in ms: 0.4 t^3 / 10^9; kept in thousandths of a segment. */
	CURVE_DIVISOR = 2500000,
};

static struct cubic *of(struct tcp_conn *c)
{
	return (void *)c->cc.bytes;
}

static void start(struct tcp_conn *c, u64 now_ns)
{
	struct cubic s = {.window = *tcp_cc_window(c)};

	c->cc.len = sizeof(s);
	memcpy(c->cc.bytes, &s, sizeof(s));
}

/* Largest r with r^3 <= x. */
static u32 cube_root(u64 x)
{
	u64 r = 0;

	for (int bit = 20; bit >= 0; bit--) {
		u64 t = r | 1ull << bit;

		if (t * t * t <= x)
			r = t;
	}
	return (u32)r;
}

/* C (t - K)^3 + w_max in bytes (4.2, figure 1). */
static u64 curve(const struct cubic *s, u64 t_ms, u32 mss)
{
	u64 d = t_ms > s->k_ms ? t_ms - s->k_ms : s->k_ms - t_ms;
	u64 delta;

	d = min_of(d, (u64)TIME_MAX_MS);
	delta = d * d * d / CURVE_DIVISOR * mss / 1000;
	if (t_ms >= s->k_ms)
		return s->w_max + delta;
	return s->w_max > delta ? s->w_max - delta : 0;
}

static void begin_epoch(struct tcp_conn *c, struct cubic *s, u64 now_ns)
{
	s->epoch_ns = now_ns;
	s->w_est = c->cwnd_bytes;
	s->cwnd_rest = s->est_rest = 0;
	if (c->cwnd_bytes >= s->w_max) {
		s->w_max = c->cwnd_bytes;
		s->k_ms = 0;
		return;
	}
	/* K = cbrt((w_max - cwnd) / C) seconds */
	s->k_ms = cube_root((u64)(s->w_max - c->cwnd_bytes) * 2500000000ull / c->mss);
}

/* 4.3: alpha is 3 (1 - beta) / (1 + beta) = 9/17 until Reno would be back where it was, then 1. */
static void grow_reno(struct tcp_conn *c, struct cubic *s, u32 acked)
{
	u64 num = (u64)acked * c->mss;

	if (s->w_est < s->cwnd_prior)
		num = num * 9 / 17;
	num += s->est_rest;
	s->w_est += (u32)(num / c->cwnd_bytes);
	s->est_rest = (u32)(num % c->cwnd_bytes);
}

static void acked(struct tcp_conn *c, u32 bytes, u64 rtt_ns, u64 now_ns)
{
	struct cubic s;
	u64 t_ms, target, num;

	if (c->cwnd_bytes < c->ssthresh_bytes) {
		bytes = tcp_cc_slow_start(c, bytes, rtt_ns);
		if (!bytes)
			return;
	}
	memcpy(&s, of(c), sizeof(s));
	if (!s.epoch_ns || s.epoch_ns > now_ns)
		begin_epoch(c, &s, now_ns);
	t_ms = (now_ns - s.epoch_ns) / NS_PER_MS;
	grow_reno(c, &s, bytes);
	if (curve(&s, t_ms, c->mss) < s.w_est) {
		c->cwnd_bytes = max_of(c->cwnd_bytes, s.w_est);
	} else {
		/* 4.4, 4.5: towards where the curve is one RTT from now, within [cwnd, 1.5 cwnd].
		 */
		target = curve(&s, t_ms + c->srtt_ns / NS_PER_MS, c->mss);
		target = max_of(target, (u64)c->cwnd_bytes);
		target = min_of(target, c->cwnd_bytes + (u64)c->cwnd_bytes / 2);
		num = (target - c->cwnd_bytes) * bytes + s.cwnd_rest;
		s.cwnd_rest = (u32)(num % c->cwnd_bytes);
		c->cwnd_bytes += (u32)(num / c->cwnd_bytes);
	}
	memcpy(of(c), &s, sizeof(s));
}

static u32 reduce(struct tcp_conn *c, u32 flight, u32 beta_percent)
{
	struct cubic s;

	memcpy(&s, of(c), sizeof(s));
	s.cwnd_prior = c->cwnd_bytes;
	/* 4.7: a flow that lost before it was back where it was makes room for others. */
	s.w_max = c->cwnd_bytes < s.w_max ? (u32)((u64)c->cwnd_bytes * (100 + BETA_PERCENT) / 200)
	                                  : c->cwnd_bytes;
	/* 4.8: after a timeout the curve starts from where slow start ends. */
	if (c->recovery == TCP_RECOVERY_LOSS)
		s.w_max = 0;
	s.epoch_ns = 0;
	memcpy(of(c), &s, sizeof(s));
	return max_of((u32)((u64)flight * beta_percent / 100), 2u * c->mss);
}

static u32 lost(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	return reduce(c, flight, BETA_PERCENT);
}

static u32 marked(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	return reduce(c, flight, BETA_ECN_PERCENT);
}

/* 4.2: time without data does not count. */
static void idle(struct tcp_conn *c, u64 idle_ns)
{
	struct cubic s;

	memcpy(&s, of(c), sizeof(s));
	if (s.epoch_ns)
		s.epoch_ns += idle_ns;
	memcpy(of(c), &s, sizeof(s));
}

const struct tcp_cc_ops tcp_cc_cubic = {
	.type = TCP_CC_CUBIC,
	.version = 2,
	.start = start,
	.acked = acked,
	.lost = lost,
	.marked = marked,
	.idle = idle,
};

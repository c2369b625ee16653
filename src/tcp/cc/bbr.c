/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * BBR, version 1 (draft-cardwell-iccrg-bbr-congestion-control-00; section numbers below are its
 * own): cwnd and pacing rate come from a model of the path, the highest bandwidth delivered within
 * ten rounds and the lowest round-trip time within ten seconds. Losses do not shrink the model.
 */
#include "state/bbr.h"
#include "tcp/cc/cc.h"
#include "tcp/pacing.h"
#include "tcp/rate.h"

enum {
	UNIT = 256, /* gains are in 256ths */
	HIGH_GAIN = 739,
	DRAIN_GAIN = 88,
	CWND_GAIN = 512,
	PHASES = 8,
	BW_ROUNDS = 10,
	FULL_BW_ROUNDS = 3,
	MIN_CWND_SEGMENTS = 4,
	MIN_RTT_WINDOW_MS = 10000,
	PROBE_RTT_MS = 200,
	PACING_MARGIN_PERCENT = 1,
	MIN_RTT_MAX_US = 1 << 24,
	WINDOW_MAX = 1 << 30,
	INITIAL_SEGMENTS = 10,
};

static const u16 cycle[PHASES] = {UNIT * 5 / 4, UNIT * 3 / 4, UNIT, UNIT, UNIT, UNIT, UNIT, UNIT};

static u32 ms_of(u64 ns)
{
	return (u32)(ns / NS_PER_MS);
}

static u32 us_of(u64 ns)
{
	return (u32)(ns / NS_PER_US);
}

static u16 pacing_gain(const struct bbr_model *b)
{
	switch (b->mode) {
	case BBR_STARTUP:
		return HIGH_GAIN;
	case BBR_DRAIN:
		return DRAIN_GAIN;
	case BBR_PROBE_BW:
		return cycle[b->phase % PHASES];
	default:
		return UNIT;
	}
}

static u16 cwnd_gain(const struct bbr_model *b)
{
	if (b->mode == BBR_STARTUP || b->mode == BBR_DRAIN)
		return HIGH_GAIN;
	return b->mode == BBR_PROBE_BW ? CWND_GAIN : UNIT;
}

/* -- what the model says ----------------------------------------------------------------------- */

/* 4.2.3.2: the product of bandwidth and delay times a gain, with room for three quanta that are on
 * their way (4.2.3.2 BBRInflight: send quanta, an even number of segments). */
static u32 inflight(const struct tcp_conn *c, const struct bbr_model *b, u16 gain)
{
	u64 bytes;

	if (b->min_rtt_us == UINT32_MAX)
		return INITIAL_SEGMENTS * c->mss;
	bytes = ((u64)b->bw[0] << BBR_BW_SHIFT) * min_of(b->min_rtt_us, (u32)MIN_RTT_MAX_US) /
	        1000000;
	bytes = min_of(bytes, (u64)WINDOW_MAX) * gain / UNIT;
	bytes += 3ull * pacing_quantum(c);
	bytes = (bytes + 2u * c->mss - 1) / (2u * c->mss) * (2u * c->mss);
	if (b->mode == BBR_PROBE_BW && b->phase == 0)
		bytes += 2u * c->mss;
	return (u32)min_of(bytes, (u64)WINDOW_MAX);
}

static u64 rate_of(const struct bbr_model *b, u16 gain)
{
	u64 rate = ((u64)b->bw[0] << BBR_BW_SHIFT) * gain / UNIT;

	return rate / 100 * (100 - PACING_MARGIN_PERCENT);
}

/* 4.2.1: at first from cwnd and what is known of the round-trip time. */
static void init_pacing(struct tcp_conn *c, struct bbr_model *b)
{
	u64 rtt_ns = NS_PER_MS;

	if (c->srtt_ns) {
		rtt_ns = c->srtt_ns;
		b->flags |= BBR_SAW_RTT;
	}
	c->pacing_rate = c->cwnd_bytes * NS_PER_S / rtt_ns * HIGH_GAIN / UNIT;
}

static void set_pacing(struct tcp_conn *c, struct bbr_model *b, u16 gain)
{
	u64 rate = rate_of(b, gain);

	if (!(b->flags & BBR_SAW_RTT) && c->srtt_ns)
		init_pacing(c, b);
	if ((b->flags & BBR_FULL_PIPE) || rate > c->pacing_rate)
		c->pacing_rate = rate;
}

static void save_cwnd(const struct tcp_conn *c, struct bbr_model *b)
{
	/* In recovery or PROBE_RTT cwnd is no longer what it was. */
	if ((b->flags & BBR_SAVED_CWND) &&
	    (b->recovery >= TCP_RECOVERY_FAST || b->mode == BBR_PROBE_RTT))
		b->prior_cwnd = max_of(b->prior_cwnd, c->cwnd_bytes);
	else
		b->prior_cwnd = c->cwnd_bytes;
	b->flags |= BBR_SAVED_CWND;
}

static void restore_cwnd(struct tcp_conn *c, struct bbr_model *b)
{
	if (b->flags & BBR_SAVED_CWND)
		c->cwnd_bytes = max_of(c->cwnd_bytes, min_of(b->prior_cwnd, (u32)WINDOW_MAX));
	b->flags &= (u8)~BBR_SAVED_CWND;
}

/* -- bandwidth: 4.1.1 -------------------------------------------------------------------------- */

static u16 age_of(const struct bbr_model *b, u32 i)
{
	return (u16)(b->round - b->bw_round[i]);
}

static void put_bw(struct bbr_model *b, u32 from, u32 bw)
{
	for (u32 i = from; i < ARRAY_SIZE(b->bw); i++) {
		b->bw[i] = bw;
		b->bw_round[i] = b->round;
	}
}

static void shift_bw(struct bbr_model *b, u32 bw)
{
	for (u32 i = 0; i + 1 < ARRAY_SIZE(b->bw); i++) {
		b->bw[i] = b->bw[i + 1];
		b->bw_round[i] = b->bw_round[i + 1];
	}
	put_bw(b, ARRAY_SIZE(b->bw) - 1, bw);
}

/*
 * The highest of the last BW_ROUNDS rounds without keeping them all: the best, the best since it,
 * the best since that one; each from a part of the window of its own.
 */
static void filter_bw(struct bbr_model *b, u32 bw)
{
	u32 i = 0;

	if (age_of(b, 2) > BW_ROUNDS)
		put_bw(b, 0, bw); /* none of them counts any more */
	while (i < ARRAY_SIZE(b->bw) && bw < b->bw[i])
		i++;
	put_bw(b, i, bw);
	for (i = 0; i < 2 && age_of(b, 0) > BW_ROUNDS; i++)
		shift_bw(b, bw);
	/* A newcomer for each part of the window in which nothing better came. */
	if (b->bw_round[1] == b->bw_round[0] && age_of(b, 0) > BW_ROUNDS / 4)
		put_bw(b, 1, bw);
	else if (b->bw_round[2] == b->bw_round[1] && age_of(b, 1) > BW_ROUNDS / 2)
		put_bw(b, 2, bw);
}

/* Counts rounds and takes the sample in; whether a round began. */
static bool update_bw(struct bbr_model *b, const struct rate_sample *s)
{
	bool began = false;
	u32 bw;

	if (!s->rate)
		return false;
	if ((s32)(s->prior_delivered - b->round_end) >= 0) {
		b->round_end = s->delivered;
		b->round++;
		b->flags &= (u8)~BBR_CONSERVE;
		began = true;
	}
	bw = (u32)min_of(s->rate >> BBR_BW_SHIFT, (u64)UINT32_MAX);
	if (!s->app_limited || bw >= b->bw[0])
		filter_bw(b, bw);
	return began;
}

/* -- the gain cycle: 4.3.4 --------------------------------------------------------------------- */

static void next_phase(struct bbr_model *b, const struct rate_sample *s)
{
	b->phase = (b->phase + 1) % PHASES;
	b->phase_at_us = us_of(s->now_ns);
}

/* Any phase but the one that drains, so that flows that begin together do not probe together. */
static void enter_probe_bw(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	u64 mixed = (s->now_ns ^ c->hash) * 0x9e3779b97f4a7c15ull;

	b->mode = BBR_PROBE_BW;
	b->phase = (u8)(PHASES - 1 - (mixed >> 32) % (PHASES - 1));
	next_phase(b, s);
}

static void cycle_phase(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	bool full = us_of(s->now_ns) - b->phase_at_us > b->min_rtt_us;
	u16 gain = pacing_gain(b);

	if (b->mode != BBR_PROBE_BW)
		return;
	if (gain > UNIT)
		full = full && (s->lost || s->flight_before >= inflight(c, b, gain));
	else if (gain < UNIT)
		full = full || s->flight_before <= inflight(c, b, UNIT);
	if (full)
		next_phase(b, s);
}

/* -- STARTUP and DRAIN: 4.3.2, 4.3.3 ----------------------------------------------------------- */

static void check_full_pipe(struct bbr_model *b, const struct rate_sample *s, bool round_began)
{
	if ((b->flags & BBR_FULL_PIPE) || !round_began || s->app_limited)
		return;
	if (b->bw[0] >= (u64)b->full_bw * 5 / 4) {
		b->full_bw = b->bw[0];
		b->full_bw_rounds = 0;
		return;
	}
	if (++b->full_bw_rounds >= FULL_BW_ROUNDS)
		b->flags |= BBR_FULL_PIPE;
}

static void check_drain(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	if (b->mode == BBR_STARTUP && (b->flags & BBR_FULL_PIPE))
		b->mode = BBR_DRAIN;
	if (b->mode == BBR_DRAIN && s->flight <= inflight(c, b, UNIT))
		enter_probe_bw(c, b, s);
}

/* -- the round-trip time: 4.1.2, 4.3.5 --------------------------------------------------------- */

static void leave_probe_rtt(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	if (!(b->flags & BBR_PROBE_TIMED) || (s32)(ms_of(s->now_ns) - b->probe_rtt_done_ms) <= 0)
		return;
	b->min_rtt_at_ms = ms_of(s->now_ns);
	b->flags &= (u8)~BBR_PROBE_TIMED;
	restore_cwnd(c, b);
	if (b->flags & BBR_FULL_PIPE)
		enter_probe_bw(c, b, s);
	else
		b->mode = BBR_STARTUP;
}

static void probe_rtt(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s,
                      bool round_began)
{
	/* With so small a window no bandwidth is learned. */
	c->app_limited = max_of(s->delivered + s->flight, 1u);
	if (!(b->flags & BBR_PROBE_TIMED)) {
		if (s->flight > MIN_CWND_SEGMENTS * c->mss)
			return;
		b->probe_rtt_done_ms = ms_of(s->now_ns) + PROBE_RTT_MS;
		b->round_end = s->delivered;
		b->flags |= BBR_PROBE_TIMED;
		b->flags &= (u8)~BBR_ROUND_DONE;
		return;
	}
	if (round_began)
		b->flags |= BBR_ROUND_DONE;
	if (b->flags & BBR_ROUND_DONE)
		leave_probe_rtt(c, b, s);
}

static void update_min_rtt(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s,
                           bool round_began)
{
	u32 now_ms = ms_of(s->now_ns);
	bool expired = now_ms - b->min_rtt_at_ms > MIN_RTT_WINDOW_MS;
	u32 rtt_us = (u32)min_of(s->rtt_ns / NS_PER_US, (u64)MIN_RTT_MAX_US);

	if (s->rtt_ns && (expired || rtt_us < b->min_rtt_us)) {
		b->min_rtt_us = max_of(rtt_us, 1u);
		b->min_rtt_at_ms = now_ms;
	}
	if (expired && !(b->flags & BBR_IDLE_RESTART) && b->mode != BBR_PROBE_RTT) {
		save_cwnd(c, b);
		b->mode = BBR_PROBE_RTT;
		b->flags &= (u8)~BBR_PROBE_TIMED;
	}
	if (b->mode == BBR_PROBE_RTT)
		probe_rtt(c, b, s, round_began);
	if (s->acked)
		b->flags &= (u8)~BBR_IDLE_RESTART;
}

/* -- cwnd: 4.2.3 ------------------------------------------------------------------------------- */

/* 4.2.3.4: one round of packet conservation, and all back when the recovery is over. True: cwnd is
 * settled. */
static bool cwnd_in_recovery(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	u8 before = b->recovery;

	b->recovery = c->recovery;
	if (s->lost)
		c->cwnd_bytes = max_of(c->cwnd_bytes - min_of(c->cwnd_bytes, s->lost), (u32)c->mss);
	if (c->recovery == TCP_RECOVERY_FAST && before != TCP_RECOVERY_FAST) {
		b->flags |= BBR_CONSERVE;
		b->round_end = s->delivered;
		c->cwnd_bytes = s->flight + max_of(s->acked, (u32)c->mss);
	} else if (before >= TCP_RECOVERY_FAST && c->recovery < TCP_RECOVERY_FAST) {
		b->flags &= (u8)~BBR_CONSERVE;
		restore_cwnd(c, b);
	}
	if (!(b->flags & BBR_CONSERVE))
		return false;
	c->cwnd_bytes = max_of(c->cwnd_bytes, s->flight + s->acked);
	return true;
}

static void set_cwnd(struct tcp_conn *c, struct bbr_model *b, const struct rate_sample *s)
{
	u32 target = inflight(c, b, cwnd_gain(b));

	if (!cwnd_in_recovery(c, b, s)) {
		if (b->flags & BBR_FULL_PIPE)
			c->cwnd_bytes = min_of(c->cwnd_bytes + s->acked, target);
		else if (c->cwnd_bytes < target || s->delivered < INITIAL_SEGMENTS * (u32)c->mss)
			c->cwnd_bytes += s->acked;
		c->cwnd_bytes = max_of(c->cwnd_bytes, (u32)MIN_CWND_SEGMENTS * c->mss);
	}
	c->cwnd_bytes = min_of(c->cwnd_bytes, (u32)WINDOW_MAX);
	if (b->mode == BBR_PROBE_RTT)
		c->cwnd_bytes = min_of(c->cwnd_bytes, (u32)MIN_CWND_SEGMENTS * c->mss);
}

/* -- the table --------------------------------------------------------------------------------- */

static void load(const struct tcp_conn *c, struct bbr_model *b)
{
	memcpy(b, c->cc.bytes, sizeof(*b));
	if (unlikely(b->mode >= BBR_MODES))
		b->mode = BBR_STARTUP;
}

static void store(struct tcp_conn *c, const struct bbr_model *b)
{
	memcpy(c->cc.bytes, b, sizeof(*b));
}

static void start(struct tcp_conn *c, u64 now_ns)
{
	struct bbr_model b = {
		.min_rtt_us = UINT32_MAX,
		.min_rtt_at_ms = ms_of(now_ns),
		.round_end = c->delivered,
		.recovery = c->recovery,
	};

	if (c->min_rtt_ns)
		b.min_rtt_us =
			max_of((u32)min_of(c->min_rtt_ns / NS_PER_US, (u64)MIN_RTT_MAX_US), 1u);
	c->cc.len = sizeof(b);
	init_pacing(c, &b);
	store(c, &b);
}

/* Rounds are counted by what is delivered here, and that begins at 0. */
static void taken_over(struct tcp_conn *c, u64 now_ns)
{
	struct bbr_model b;

	load(c, &b);
	b.round_end = c->delivered;
	b.recovery = c->recovery;
	b.flags &= (u8)~BBR_CONSERVE;
	if ((s32)(ms_of(now_ns) - b.min_rtt_at_ms) < 0)
		b.min_rtt_at_ms = ms_of(now_ns);
	if (!c->pacing_rate)
		set_pacing(c, &b, pacing_gain(&b));
	if (!c->pacing_rate)
		init_pacing(c, &b);
	store(c, &b);
}

static void model(struct tcp_conn *c, const struct rate_sample *s)
{
	struct bbr_model b;
	bool round_began;

	load(c, &b);
	round_began = update_bw(&b, s);
	cycle_phase(c, &b, s);
	check_full_pipe(&b, s, round_began);
	check_drain(c, &b, s);
	update_min_rtt(c, &b, s, round_began);
	set_pacing(c, &b, pacing_gain(&b));
	set_cwnd(c, &b, s);
	store(c, &b);
}

/* 4.3.4.4: what was learned still holds; the queue is empty, so no faster than it. */
static void resumed(struct tcp_conn *c, u64 now_ns)
{
	const struct rate_sample s = {.now_ns = now_ns};
	struct bbr_model b;

	if (!c->app_limited)
		return;
	load(c, &b);
	b.flags |= BBR_IDLE_RESTART;
	if (b.mode == BBR_PROBE_BW)
		set_pacing(c, &b, UNIT);
	else if (b.mode == BBR_PROBE_RTT)
		leave_probe_rtt(c, &b, &s);
	store(c, &b);
}

/* 4.2.3.4, 4.2.3.3: cwnd is not ssthresh's business; after a timeout STARTUP's test begins anew. */
static u32 lost(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	struct bbr_model b;

	load(c, &b);
	save_cwnd(c, &b);
	if (c->recovery == TCP_RECOVERY_LOSS)
		b.full_bw = 0;
	store(c, &b);
	return c->cwnd_bytes;
}

/* Version 1 does not heed marks; the peer hears CWR all the same. */
static u32 marked(struct tcp_conn *c, u32 flight, u64 now_ns)
{
	return c->cwnd_bytes;
}

const struct tcp_cc_ops tcp_cc_bbr = {
	.type = TCP_CC_BBR,
	.version = BBR_VERSION,
	.start = start,
	.taken_over = taken_over,
	.model = model,
	.lost = lost,
	.marked = marked,
	.resumed = resumed,
};

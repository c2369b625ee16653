/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Timers: one wheel entry a connection, for the earliest of its deadlines. A deadline that moves
 * back (the retransmission timer does with every ACK) leaves the entry alone: it fires early, finds
 * nothing due, and is armed anew.
 */
#include "tcp/reassembly.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"

#include <errno.h>

enum {
	DUE_BATCH = 64,
	KEEPALIVE_PROBES = 9,
	COUNT_MAX = 255,
};

static const u64 keepalive_idle_ns = 7200 * NS_PER_S; /* RFC 9293 3.8.4 MUST-28 */
static const u64 keepalive_interval_ns = 75 * NS_PER_S;
static const u64 max_retransmit_default_ns = 924600 * NS_PER_MS; /* tcp_retries2 = 15 */
static const u64 max_syn_default_ns = 180 * NS_PER_S;            /* RFC 9293 3.8.3 MUST-23 */

void timers_arm(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 at = min_of(c->retransmit_at_ns, c->delayed_ack_at_ns);

	at = min_of(at, min_of(c->persist_at_ns, c->keepalive_at_ns));
	at = min_of(at, min_of(c->fin_wait2_at_ns, c->probe_at_ns));
	if (unlikely(c->flags & CONN_PACED) && c->pace_at_ns > e->now_ns)
		at = min_of(at, c->pace_at_ns);
	c->armed_ns = at;
	wheel_arm(&e->wheel, conn_index(e, c), at);
}

void timers_disarm(struct tcp_engine *e, struct tcp_conn *c)
{
	c->retransmit_at_ns = TIMER_STOPPED;
	c->probe_at_ns = TIMER_STOPPED;
	c->delayed_ack_at_ns = TIMER_STOPPED;
	c->persist_at_ns = TIMER_STOPPED;
	c->keepalive_at_ns = TIMER_STOPPED;
	c->fin_wait2_at_ns = TIMER_STOPPED;
	c->armed_ns = TIMER_STOPPED;
	wheel_cancel(&e->wheel, conn_index(e, c));
}

void timer_start_retransmit(struct tcp_engine *e, struct tcp_conn *c)
{
	timer_set(e, c, &c->retransmit_at_ns, ns_add(e->now_ns, rto_now(e, c)));
}

void timer_start_keepalive(struct tcp_engine *e, struct tcp_conn *c)
{
	const struct tcp_cached *s = &c->settings;
	u64 idle_ns = s->keepalive_idle_ns ? s->keepalive_idle_ns : keepalive_idle_ns;

	if (!s->keepalive)
		c->keepalive_at_ns = TIMER_STOPPED;
	else
		timer_set(e, c, &c->keepalive_at_ns, ns_add(c->received_at_ns, idle_ns));
}

static void count_up(u8 *count)
{
	if (*count < COUNT_MAX)
		(*count)++;
}

/*
 * RFC 9293 3.8.3: R2, or the user's own limit, measured from the last sign of progress.
 * `default_ns` is R2 where the settings say none; `waited_ns` is how long ago the last attempt was,
 * give or take a late timer.
 */
static bool gave_up(struct tcp_engine *e, struct tcp_conn *c, u64 default_ns, u64 waited_ns)
{
	u64 limit_ns = c->settings.max_retransmit_ns ? c->settings.max_retransmit_ns : default_ns;

	/* MUST-37: a peer that keeps its window shut but answers is alive. */
	if (!c->snd_wnd && conn_is_synchronized(c) &&
	    ns_add(c->received_at_ns, waited_ns + waited_ns / 2) >= e->now_ns)
		c->progress_at_ns = e->now_ns;
	if (c->settings.user_timeout_ns)
		limit_ns = c->settings.user_timeout_ns;
	if (e->now_ns - min_of(c->progress_at_ns, e->now_ns) < limit_ns)
		return false;
	conn_close(e, c, TCP_EV_TIMEOUT, ETIMEDOUT);
	return true;
}

static void backed_off(struct tcp_engine *e, struct tcp_conn *c)
{
	c->rto_backoff = (u8)min_of(c->rto_backoff + 1, (int)RTO_BACKOFF_MAX);
	count_up(&c->retransmit_count);
	e->n.timeouts++;
	conn_event(e, c, TCP_EV_LOSS);
	if (c->retransmit_count >= R1_RETRANSMITS && !(c->flags & CONN_R1_SAID)) {
		c->flags |= CONN_R1_SAID;
		conn_event(e, c, TCP_EV_SOFT_ERROR);
	}
	timer_start_retransmit(e, c);
	conn_mark_dirty(e, c);
}

static void retransmit_due(struct tcp_engine *e, struct tcp_conn *c)
{
	c->retransmit_at_ns = TIMER_STOPPED;
	/* Nothing was sent in vain while nothing could be sent. */
	if (!conn_may_transmit(e, c)) {
		conn_park(e, c);
		c->progress_at_ns = e->now_ns;
		timer_start_retransmit(e, c);
		return;
	}
	if (c->state == TCP_SYN_SENT || c->state == TCP_SYN_RECEIVED) {
		if (gave_up(e, c, max_syn_default_ns, rto_now(e, c)))
			return;
		c->snd_nxt = c->iss;
		backed_off(e, c);
		return;
	}
	if (seq_eq(c->snd_una, c->snd_max))
		return;
	if (gave_up(e, c, max_retransmit_default_ns, rto_now(e, c)))
		return;
	recovery_timeout(e, c);
	backed_off(e, c);
}

/* RFC 9293 3.8.6.1 SHLD-30 */
static u64 persist_interval(const struct tcp_engine *e, const struct tcp_conn *c)
{
	u64 interval_ns = c->rto_ns;

	for (u8 i = 0; i < c->persist_count && interval_ns < e->config.max_rto_ns; i++)
		interval_ns *= 2;
	return min_of(interval_ns, e->config.max_rto_ns);
}

/* A probe; or, when the window is merely small, the override of 3.8.6.2.1. */
static void persist_due(struct tcp_engine *e, struct tcp_conn *c)
{
	c->persist_at_ns = TIMER_STOPPED;
	if (!seq_eq(c->snd_una, c->snd_max) || (!c->snd_queued && !(c->fin & TCP_FIN_QUEUED)))
		return;
	conn_mark_dirty(e, c);
	if (c->snd_wnd) {
		c->flags |= CONN_OVERRIDE;
		return;
	}
	if (conn_may_transmit(e, c)) {
		if (gave_up(e, c, max_retransmit_default_ns, persist_interval(e, c)))
			return;
		c->flags |= CONN_PROBE;
		count_up(&c->persist_count);
	}
	timer_set(e, c, &c->persist_at_ns, ns_add(e->now_ns, persist_interval(e, c)));
}

/* RFC 9293 3.8.4 */
static void keepalive_due(struct tcp_engine *e, struct tcp_conn *c)
{
	const struct tcp_cached *s = &c->settings;
	u64 idle_ns = s->keepalive_idle_ns ? s->keepalive_idle_ns : keepalive_idle_ns;
	u64 interval_ns =
		s->keepalive_interval_ns ? s->keepalive_interval_ns : keepalive_interval_ns;
	u8 probes = s->keepalive_probes ? s->keepalive_probes : KEEPALIVE_PROBES;

	c->keepalive_at_ns = TIMER_STOPPED;
	if (!s->keepalive || c->state < TCP_ESTABLISHED || c->state == TCP_TIME_WAIT)
		return;
	/* Something was heard meanwhile; or data is on its way, whose own timer watches. */
	if (e->now_ns - c->received_at_ns < idle_ns) {
		timer_start_keepalive(e, c);
		return;
	}
	if (!seq_eq(c->snd_una, c->snd_max) || !conn_may_transmit(e, c)) {
		timer_set(e, c, &c->keepalive_at_ns, ns_add(e->now_ns, idle_ns));
		return;
	}
	if (c->keepalive_count >= probes) {
		conn_close(e, c, TCP_EV_TIMEOUT, ETIMEDOUT);
		return;
	}
	count_up(&c->keepalive_count);
	c->flags |= CONN_KEEPALIVE;
	conn_mark_dirty(e, c);
	timer_set(e, c, &c->keepalive_at_ns, ns_add(e->now_ns, interval_ns));
}

static void conn_due(struct tcp_engine *e, struct tcp_conn *c)
{
	u64 now = e->now_ns;

	c->armed_ns = TIMER_STOPPED;
	if (c->delayed_ack_at_ns <= now) {
		c->delayed_ack_at_ns = TIMER_STOPPED;
		e->n.acks_delayed++;
		ack_now(e, c);
	}
	if (unlikely(c->flags & CONN_PACED) && c->pace_at_ns <= now)
		conn_mark_dirty(e, c);
	/* First: a loss probe due together with the timeout goes before it. */
	if (c->probe_at_ns <= now)
		recovery_probe_due(e, c);
	if (c->retransmit_at_ns <= now)
		retransmit_due(e, c);
	if (c->persist_at_ns <= now)
		persist_due(e, c);
	if (c->keepalive_at_ns <= now)
		keepalive_due(e, c);
	if (c->fin_wait2_at_ns <= now)
		conn_close(e, c, 0, 0);
	if (c->state != TCP_CLOSED)
		timers_arm(e, c);
}

void tcp_timers(struct tcp_engine *e, u64 now_ns)
{
	u32 due[DUE_BATCH];
	u32 n;

	engine_set_now(e, now_ns);
	/* Also here: with no buffer left nothing is received, and tcp_input() not called. */
	if (unlikely(pool_is_low(e)))
		reassembly_reclaim(e);
	do {
		n = wheel_advance(&e->wheel, now_ns, due, DUE_BATCH);
		for (u32 i = 0; i < n; i++)
			prefetchw(&conn_at(e, due[i])->srtt_ns);
		for (u32 i = 0; i < n; i++)
			conn_due(e, conn_at(e, due[i]));
	} while (n == DUE_BATCH);
}

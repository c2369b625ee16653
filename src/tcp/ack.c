/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The ACK field, the window and SACK blocks of an acceptable segment (RFC 9293 3.10.7.4, fifth). */
#include "tcp/cc/cc.h"
#include "tcp/pacing.h"
#include "tcp/rate.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/sack.h"

/* RFC 9293 3.10.7.4: whether the window field is newer than the one we have; true: it differs. */
static bool update_window(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	u32 wnd = (u32)s->w.wnd << c->snd_wscale;
	bool changed;

	if (seq_gt(c->snd_wl1, s->w.seq) ||
	    (seq_eq(c->snd_wl1, s->w.seq) && seq_gt(c->snd_wl2, s->w.ack)))
		return false;
	changed = wnd != c->snd_wnd;
	c->snd_wnd = wnd;
	c->snd_wl1 = s->w.seq;
	c->snd_wl2 = s->w.ack;
	c->max_snd_wnd = max_of(c->max_snd_wnd, wnd);
	if (unlikely(changed && c->persist_at_ns != TIMER_STOPPED)) {
		c->persist_at_ns = TIMER_STOPPED;
		c->persist_count = 0;
		conn_mark_dirty(e, c);
	}
	return changed;
}

/* Moves snd_una and everything that hangs on it; true: our FIN is acknowledged. */
static bool advance(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                    struct ack_info *a)
{
	bool fin = conn_fin_outstanding(c) && seq_eq(s->w.ack, c->snd_max);

	a->acked = (u32)seq_diff(s->w.ack, c->snd_una);
	sent_delivered(e, c, c->snd_una, s->w.ack, &a->sent);
	rtt_measure(e, c, s, &a->sent);
	queue_release(e, c, a->acked - fin);
	c->snd_una = s->w.ack;
	if (seq_lt(c->snd_nxt, c->snd_una))
		c->snd_nxt = c->snd_una;
	if (unlikely(c->sack_buf != NIL))
		sack_advance(e, c);
	c->retransmit_count = 0;
	c->flags &= (u16)~CONN_R1_SAID;
	/* RFC 4861 7.3.1: forward progress. */
	e->neighbors[e->paths[c->path].neighbor].reachable_at_ns = e->now_ns;
	if (seq_eq(c->snd_una, c->snd_max))
		c->retransmit_at_ns = TIMER_STOPPED; /* RFC 6298 5.2 */
	else
		timer_start_retransmit(e, c); /* 5.3 */
	conn_event(e, c, TCP_EV_ACKED);
	return fin;
}

/* RFC 5681 2, with SACK RFC 6675 2: what counts as a duplicate ACK. */
static bool is_duplicate(const struct tcp_conn *c, const struct ack_info *a)
{
	if (a->acked || seq_eq(c->snd_una, c->snd_max))
		return false;
	return c->options & TCP_OPT_SACK ? a->fresh > 0 : a->pure;
}

/* Latest time at which a repeat left that this ACK can be for (RFC 8985 6.2 step 2): a round trip
 * ago at least, and not after what the timestamp echoes. */
static u64 repeats_until(const struct tcp_engine *e, const struct tcp_conn *c,
                         const struct segment *s)
{
	u64 tick_ns = c->options & TCP_OPT_USEC_TS ? NS_PER_US : NS_PER_MS;
	u64 until_ns = e->now_ns - min_of(c->min_rtt_ns, e->now_ns);
	u64 now = e->now_ns / tick_ns;
	u32 age;

	if (!(c->options & TCP_OPT_TIMESTAMPS) || !s->w.options.ts_ecr)
		return until_ns;
	age = conn_ts_now(e, c) - s->w.options.ts_ecr;
	/* No clock of ours: a mistake of the peer, or of who had the connection before. */
	if (age > now)
		return until_ns;
	return min_of(until_ns, (now - age + 1) * tick_ns - 1);
}

/* Tells the model of the ACK, when recovery has done its part. `pipe`: bytes in the network before.
 */
static void learn(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a, u32 pipe)
{
	const struct tcp_cc_ops *cc = tcp_cc_of(c);
	struct rate_sample s = {
		.now_ns = e->now_ns,
		.rtt_ns = e->ack_rtt_ns,
		.acked = a->delivered,
		.lost = a->lost,
		.flight_before = pipe,
		.flight = recovery_pipe(c),
		.delivered = c->delivered,
	};

	if (!cc->model) {
		pacing_configure(c); /* the round after a rest is over */
		return;
	}
	rate_measure(c, &a->sent, &s);
	tcp_cc_adopt(c, e->now_ns);
	cc->model(c, &s);
}

/* What is delivered, and what follows from it. */
static void work_on_ack(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                        bool window_changed)
{
	struct ack_info a;
	u32 sacked = c->sacked_bytes, pipe = 0;
	bool fin = false;
	s32 delivered;

	a.acked = a.fresh = a.delivered = a.lost = 0;
	a.pure = a.dsack = false;
	a.flight = (u32)seq_diff(c->snd_max, c->snd_una);
	a.echo = (c->options & TCP_OPT_TIMESTAMPS) && s->w.options.ts_ecr;
	a.ts_ecr = s->w.options.ts_ecr;
	if (unlikely(c->flags & CONN_PACED))
		pipe = recovery_pipe(c);
	sent_delivery_init(&a.sent, c->loss & LOSS_REPEATED ? repeats_until(e, c, s) : 0);
	if (unlikely(s->w.options.n_sack && (c->options & TCP_OPT_SACK)))
		sack_update(e, c, s, &a);
	if (seq_gt(s->w.ack, c->snd_una))
		fin = advance(e, c, s, &a);
	else
		a.pure = !s->w.payload_len && !(s->w.flags & WIRE_FIN) && !window_changed;
	a.duplicate = is_duplicate(c, &a);
	delivered = (s32)a.acked + (s32)(c->sacked_bytes - sacked);
	if (delivered > 0) {
		a.delivered = (u32)delivered;
		sent_account(e, c, a.delivered, &a.sent);
	}
	if (a.acked || a.duplicate || a.dsack || unlikely(c->loss & LOSS_TLP))
		recovery_ack(e, c, &a);
	if (unlikely(c->flags & CONN_PACED))
		learn(e, c, &a, pipe);
	if (unlikely(fin))
		close_fin_acked(e, c);
}

/* ACKs that no honest peer sends (RFC 5961 5.2). */
static bool is_absurd(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if (seq_gt(s->w.ack, c->snd_max)) {
		segment_drop(e, TCP_DROP_ACK_FUTURE);
	} else if (seq_lt(s->w.ack, seq_add(c->snd_una, -max_of(c->max_snd_wnd, c->snd_wnd)))) {
		segment_drop(e, TCP_DROP_ACK_OLD);
	} else {
		return false;
	}
	ack_challenge(e, c);
	return true;
}

bool ack_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	bool window_changed;

	if (unlikely(c->state == TCP_SYN_RECEIVED)) {
		if (!seq_eq(s->w.ack, c->snd_max)) {
			segment_drop(e, TCP_DROP_ACK_FUTURE);
			return false;
		}
		syn_received_acked(e, c, s);
	}
	if (unlikely(is_absurd(e, c, s)))
		return false;
	if (unlikely(seq_lt(s->w.ack, c->snd_una)))
		return true;
	e->ack_rtt_ns = 0;
	window_changed = update_window(e, c, s);
	work_on_ack(e, c, s, window_changed);
	/* Something may go out now that could not before. */
	if (seq_lt(c->snd_nxt, conn_data_end(c)) ||
	    (c->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT)) == TCP_FIN_QUEUED)
		conn_mark_dirty(e, c);
	return c->state != TCP_CLOSED;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The ACK field, the window and SACK blocks of an acceptable segment (RFC 9293 3.10.7.4, fifth). */
#include "tcp/cc/cc.h"
#include "tcp/rate.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/sack.h"
#include "tcp/sent.h"

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

/* Moves snd_una and everything that hangs on it. */
static void advance(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                    struct sent_delivery *d)
{
	u32 flight = (u32)seq_diff(c->snd_max, c->snd_una);
	u32 acked = (u32)seq_diff(s->w.ack, c->snd_una);
	bool fin = conn_fin_outstanding(c) && seq_eq(s->w.ack, c->snd_max);

	sent_delivered(e, c, c->snd_una, s->w.ack, d);
	rtt_measure(e, c, s, d);
	queue_release(e, c, acked - fin);
	c->snd_una = s->w.ack;
	if (seq_lt(c->snd_nxt, c->snd_una))
		c->snd_nxt = c->snd_una;
	if (unlikely(c->sack_buf != NIL))
		sack_advance(e, c);
	recovery_acked(e, c, acked, flight);
	c->retransmit_count = 0;
	c->flags &= (u16)~CONN_R1_SAID;
	if (seq_eq(c->snd_una, c->snd_max))
		c->retransmit_at_ns = TIMER_STOPPED; /* RFC 6298 5.2 */
	else
		timer_start_retransmit(e, c); /* 5.3 */
	conn_event(e, c, TCP_EV_ACKED);
	if (unlikely(fin))
		close_fin_acked(e, c);
}

/* RFC 5681 2, with SACK RFC 6675 2: what counts as a duplicate ACK. */
static bool is_duplicate(const struct tcp_conn *c, const struct segment *s, bool window_changed,
                         u32 fresh)
{
	if (seq_eq(c->snd_una, c->snd_max))
		return false;
	if (c->options & TCP_OPT_SACK)
		return fresh > 0;
	return !s->w.payload_len && !(s->w.flags & WIRE_FIN) && !window_changed;
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

/* What the network was like before the ACK, for those who keep a model of it. */
struct before {
	u32 flight;
	u32 lost;
};

static struct before look(struct tcp_engine *e, const struct tcp_conn *c)
{
	if (likely(!(c->flags & CONN_PACED)))
		return (struct before){0, 0};
	return (struct before){recovery_pipe(e, c), c->lost_bytes};
}

/* Tells the model of the ACK, when recovery has done its part. */
static void learn(struct tcp_engine *e, struct tcp_conn *c, u32 acked, const struct before *before,
                  const struct sent_delivery *d)
{
	const struct tcp_cc_ops *cc = tcp_cc_of(c);
	struct rate_sample s = {
		.now_ns = e->now_ns,
		.rtt_ns = e->ack_rtt_ns,
		.acked = acked,
		.lost = c->lost_bytes - min_of(c->lost_bytes, before->lost),
		.flight_before = before->flight,
		.delivered = c->delivered,
	};

	if (!cc->model)
		return;
	s.flight = recovery_pipe(e, c);
	rate_measure(c, d, &s);
	tcp_cc_adopt(c, e->now_ns);
	cc->model(c, &s);
}

bool ack_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	struct sent_delivery d = {.repeats_until_ns = e->now_ns};
	tcp_seq una = c->snd_una;
	u32 sacked = c->sacked_bytes;
	s32 delivered;
	struct before before;
	bool window_changed;
	u32 fresh = 0;

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
	before = look(e, c);
	window_changed = update_window(e, c, s);
	if (unlikely(s->w.options.n_sack && (c->options & TCP_OPT_SACK)))
		fresh = sack_update(e, c, s, &d);
	if (seq_gt(s->w.ack, c->snd_una))
		advance(e, c, s, &d);
	else if (unlikely(is_duplicate(c, s, window_changed, fresh)))
		recovery_duplicate(e, c, fresh);
	delivered = seq_diff(c->snd_una, una) + (s32)(c->sacked_bytes - sacked);
	if (delivered > 0)
		sent_account(e, c, (u32)delivered, &d);
	if (unlikely(c->flags & CONN_PACED))
		learn(e, c, (u32)max_of(delivered, 0), &before, &d);
	/* Something may go out now that could not before. */
	if (seq_lt(c->snd_nxt, conn_data_end(c)) ||
	    (c->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT)) == TCP_FIN_QUEUED)
		conn_mark_dirty(e, c);
	return c->state != TCP_CLOSED;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/undo.h"

#include "tcp/cc/cc.h"
#include "tcp/rtt.h"

/* Something that was sent again may still be on its way. */
static bool repeats_are_out(const struct tcp_conn *c)
{
	return seq_gt(c->high_rxt, c->snd_una);
}

void undo_begin(struct tcp_conn *c)
{
	u32 flight = (u32)seq_diff(c->snd_max, c->snd_una);

	c->loss |= LOSS_UNDO;
	c->loss &= (u16) ~(LOSS_FRTO | LOSS_FRTO_NEW);
	/* What an earlier recovery repeated is not this one's: its DSACKs do not count. */
	c->undo_marker = repeats_are_out(c) ? c->high_rxt : c->snd_una;
	c->undo_bytes = 0;
	/* RFC 4015 3.2: pipe_prev. */
	c->undo_window = max_of(flight, c->ssthresh_bytes);
}

void undo_timeout(struct tcp_conn *c)
{
	/* RFC 5682 3.1 step 1: not out of a recovery, but again while its own repeat is lost. */
	bool frto = (c->options & TCP_OPT_SACK) &&
	            (c->recovery < TCP_RECOVERY_FAST || (c->loss & LOSS_FRTO));

	if (c->recovery < TCP_RECOVERY_FAST)
		undo_begin(c);
	c->loss &= (u16) ~(LOSS_FRTO | LOSS_FRTO_NEW);
	if (frto)
		c->loss |= LOSS_FRTO;
}

void undo_repeated(struct tcp_engine *e, struct tcp_conn *c, u32 bytes)
{
	c->undo_bytes += bytes;
	/* The first of all that are out, whichever recovery it is from. */
	if (!(c->options & TCP_OPT_TIMESTAMPS) ||
	    ((c->loss & LOSS_REPEAT_TS) && repeats_are_out(c)))
		return;
	c->loss |= LOSS_REPEAT_TS;
	c->repeat_ts = conn_ts_now(e, c);
}

/* RFC 4015 3.2: the window that was out, and what the ACK covers up to an initial window; the rest
 * by slow start, so that no burst follows. */
static void undo(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	u32 flight = (u32)seq_diff(c->snd_max, c->snd_una);

	e->n.undos++;
	/* Steps 6 and 7: a timeout that came too early came from a timer that was too short. */
	if (c->recovery == TCP_RECOVERY_LOSS && a->sent.oldest_once_ns)
		rtt_at_least(e, c, e->now_ns - a->sent.oldest_once_ns);
	else if (c->recovery != TCP_RECOVERY_LOSS)
		c->loss |= LOSS_REORDERING;
	sent_unmark_lost(e, c);
	c->cwnd_bytes = max_of(c->cwnd_bytes, flight + min_of(a->acked, tcp_cc_initial_window(c)));
	c->ssthresh_bytes = max_of(c->ssthresh_bytes, c->undo_window);
	c->rto_backoff = 0;
	c->loss &= (u16) ~(LOSS_UNDO | LOSS_FRTO | LOSS_FRTO_NEW);
	c->flags &= (u16)~CONN_RETRANSMIT;
}

/* RFC 3708 2: all that was repeated since the marker came twice. */
static bool all_came_twice(struct tcp_conn *c, const struct ack_info *a)
{
	u32 twice;

	if (!a->dsack || !c->undo_bytes || seq_lt(a->dsack_range.start, c->undo_marker) ||
	    seq_gt(a->dsack_range.end, c->high_rxt))
		return false;
	twice = (u32)seq_diff(a->dsack_range.end, a->dsack_range.start);
	c->undo_bytes -= min_of(c->undo_bytes, twice);
	return !c->undo_bytes;
}

/* RFC 3522 3.2 step 4: the ACK is for an original. */
static bool echo_is_older(const struct tcp_conn *c, const struct ack_info *a)
{
	return c->recovery >= TCP_RECOVERY_FAST && (c->loss & LOSS_REPEAT_TS) && a->acked &&
	       a->echo && (s32)(a->ts_ecr - c->repeat_ts) < 0;
}

static bool new_data_may_go(const struct tcp_conn *c)
{
	return seq_lt(c->snd_max, conn_data_end(c)) &&
	       seq_lt(c->snd_max, seq_add(c->snd_una, c->snd_wnd));
}

/* RFC 5682 3.1 steps 2 and 3. True: the timeout was spurious. */
static bool frto(struct tcp_conn *c, const struct ack_info *a)
{
	if (c->loss & LOSS_FRTO_NEW) {
		/* Step 3: whatever it is, the repeats need not wait for another ACK. */
		c->loss &= (u16) ~(LOSS_FRTO | LOSS_FRTO_NEW);
		return a->sent.oldest_once_ns && seq_leq(a->sent.once_low, c->recovery_point);
	}
	if (!a->acked)
		return false;
	/* Step 2: new data instead of repeats, if there is some. */
	if (seq_lt(c->snd_una, c->recovery_point) && new_data_may_go(c))
		c->loss |= LOSS_FRTO_NEW;
	else
		c->loss &= (u16)~LOSS_FRTO;
	return false;
}

bool undo_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a)
{
	bool needless = false;

	if (likely(!(c->loss & (LOSS_UNDO | LOSS_FRTO))))
		return false;
	if (c->loss & LOSS_UNDO)
		needless = all_came_twice(c, a) || echo_is_older(c, a);
	if (!needless && (c->loss & LOSS_FRTO))
		needless = frto(c, a);
	if (needless)
		undo(e, c, a);
	return needless;
}

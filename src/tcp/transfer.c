/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Taking a connection over and giving it up: nearly plain copies between the schema's structs and
 * the control block, times left against deadlines.
 */
#include "base/assert.h"
#include "tcp/cc/cc.h"
#include "tcp/pmtu.h"
#include "tcp/reassembly.h"
#include "tcp/recovery.h"
#include "tcp/rtt.h"
#include "tcp/sack.h"

#include <errno.h>

/* -- import ------------------------------------------------------------------------------------ */

/* Whether the chain exists in the pool and holds what the reference says. */
static bool ref_exists(struct tcp_engine *e, const struct data_ref *r)
{
	u32 count = e->bufs->count[BUF_SMALL] + e->bufs->count[BUF_LARGE];
	u32 left = r->len, buf = r->buf, off = r->off;

	for (u32 steps = 0; left; steps++) {
		const struct buf *b;
		u32 end;

		if (buf >= count || steps > count)
			return false;
		b = buf_at(e->bufs, buf);
		end = b->off + b->len;
		if (!b->refs || end < b->off || end > buf_capacity(e->bufs, buf))
			return false;
		if (!steps && (off < b->off || off > end))
			return false;
		left -= min_of(left, steps ? b->len : end - off);
		buf = b->next;
	}
	return true;
}

static bool refs_exist(struct tcp_engine *e, const struct tcp_delegated *d)
{
	if (!ref_exists(e, &d->send) || !ref_exists(e, &d->recv))
		return false;
	for (u32 i = 0; i < d->ooo.n; i++)
		if (!ref_exists(e, &d->ooo.seg[i].data))
			return false;
	return true;
}

/* Cuts the descriptors to what the reference names, so that the chain stands for itself. Returns
 * the last buffer. */
static u32 take_ref(struct tcp_engine *e, const struct data_ref *r, u32 *ret_head)
{
	struct buf *b = buf_at(e->bufs, r->buf);

	*ret_head = NIL;
	if (!r->len)
		return NIL;
	b->len -= r->off - b->off;
	b->off = r->off;
	*ret_head = r->buf;
	return chain_truncate(e->bufs, r->buf, r->len);
}

static u64 ago(const struct tcp_engine *e, u64 ns)
{
	return e->now_ns - min_of(ns, e->now_ns);
}

static u64 deadline(const struct tcp_engine *e, u64 left_ns)
{
	return left_ns == TIMER_STOPPED ? TIMER_STOPPED : ns_add(e->now_ns, left_ns);
}

static void import_identity(struct tcp_conn *c, const struct tcp_const *k)
{
	c->local_port = k->local_port;
	c->remote_port = k->remote_port;
	c->options = k->options;
	c->snd_wscale = k->snd_wscale;
	c->rcv_wscale = k->rcv_wscale;
	c->peer_mss = k->peer_mss;
	c->flow_hash = k->flow_hash;
	c->iss = k->iss;
	c->irs = k->irs;
}

static void import_position(struct tcp_conn *c, const struct tcp_delegated *d)
{
	c->state = d->state;
	c->rcv_nxt = d->rcv_nxt;
	c->rcv_adv = d->rcv_adv;
	c->snd_una = d->snd_una;
	c->snd_nxt = d->snd_nxt;
	c->snd_max = d->snd_max;
	c->snd_wnd = d->snd_wnd;
	c->snd_wl1 = d->snd_wl1;
	c->snd_wl2 = d->snd_wl2;
	c->max_snd_wnd = d->max_snd_wnd;
	c->snd_up = d->snd_up;
	c->rcv_up = d->rcv_up;
	c->fin = d->fin;
	c->last_ack_sent = d->last_ack_sent;
}

static void import_congestion(struct tcp_engine *e, struct tcp_conn *c,
                              const struct tcp_delegated *d)
{
	c->cwnd_bytes = max_of(d->cwnd_bytes, (u32)c->mss);
	c->ssthresh_bytes = d->ssthresh_bytes;
	c->srtt_ns = d->srtt_ns;
	c->rttvar_ns = d->rttvar_ns;
	c->min_rtt_ns = d->min_rtt_ns;
	c->rto_ns = d->rto_ns ? d->rto_ns : RTO_INITIAL_NS;
	c->rto_backoff = min_of(d->rto_backoff, (u8)RTO_BACKOFF_MAX);
	c->recovery = d->recovery;
	c->recovery_point = d->recovery_point;
	c->high_rxt = d->high_rxt;
	if (seq_lt(c->high_rxt, c->snd_una) || seq_gt(c->high_rxt, c->snd_max))
		c->high_rxt = c->snd_una;
	if (seq_gt(c->recovery_point, c->snd_max))
		c->recovery_point = c->snd_max;
	c->dup_acks = (u16)min_of(d->dup_acks, (u32)UINT16_MAX);
	c->ecn_state = d->ecn_state;
	c->ecn_point = d->ecn_point;
	c->ts_recent = d->ts_recent;
	c->ts_offset = d->ts_offset;
	c->ts_recent_at_ns = ago(e, d->ts_recent_age_ns);
	c->pacing_rate = d->pacing_rate;
	c->cc = d->cc;
	tcp_cc_take_over(c, e->now_ns);
	for (u32 i = 0; i < d->sacked.n; i++)
		sack_add(e, c, d->sacked.r[i]);
	/* RFC 6582's inflation: each duplicate says that a segment left the network. */
	if (!d->sacked.n && c->recovery >= TCP_RECOVERY_DISORDER &&
	    c->recovery != TCP_RECOVERY_LOSS)
		c->sacked_bytes = (u32)min_of((u64)d->dup_acks * c->mss,
		                              (u64)(u32)seq_diff(c->snd_max, c->snd_una));
}

/* How long there was no progress follows from how often it was sent in vain. */
static u64 stalled_ns(const struct tcp_engine *e, const struct tcp_conn *c,
                      const struct tcp_delegated *d)
{
	u64 rto_ns = c->rto_ns, sum_ns = 0;

	for (u32 i = 0; i < d->retransmit_count; i++) {
		sum_ns = ns_add(sum_ns, rto_ns);
		rto_ns = min_of(2 * rto_ns, e->config.max_rto_ns);
	}
	return d->retransmit_count ? max_of(sum_ns, d->idle_ns) : 0;
}

static void import_timers(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_delegated *d)
{
	c->sent_at_ns = ago(e, d->idle_ns);
	c->received_at_ns = ago(e, d->rcv_idle_ns);
	c->retransmit_count = d->retransmit_count;
	c->persist_count = d->persist_count;
	c->keepalive_count = d->keepalive_count;
	c->progress_at_ns = ago(e, stalled_ns(e, c, d));
	c->retransmit_at_ns = deadline(e, d->retransmit_left_ns);
	c->persist_at_ns = deadline(e, d->persist_left_ns);
	c->keepalive_at_ns = deadline(e, d->keepalive_left_ns);
	c->fin_wait2_at_ns = deadline(e, d->fin_wait2_left_ns);
	c->delayed_ack_at_ns = deadline(e, d->delayed_ack_left_ns);
	if (c->keepalive_at_ns == TIMER_STOPPED && c->settings.keepalive)
		timer_start_keepalive(e, c);
	if (c->retransmit_at_ns == TIMER_STOPPED && !seq_eq(c->snd_una, c->snd_max))
		timer_start_retransmit(e, c);
	/* Without an end it would stay for ever. */
	if (c->state == TCP_TIME_WAIT && c->fin_wait2_at_ns == TIMER_STOPPED)
		c->fin_wait2_at_ns = ns_add(e->now_ns, 2 * e->config.msl_ns);
	timers_arm(e, c);
}

static void import_data(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_delegated *d)
{
	c->snd_tail = take_ref(e, &d->send, &c->snd_head);
	c->snd_queued = d->send.len;
	c->rcv_tail = take_ref(e, &d->recv, &c->rcv_head);
	c->rcv_queued = d->recv.len;
	for (u32 i = 0; i < d->ooo.n; i++) {
		const struct ooo_ref *o = &d->ooo.seg[i];
		u32 head;

		take_ref(e, &o->data, &head);
		reassembly_insert(e, c, o->seq, head, o->data.len, o->fin);
	}
}

/* What is due at once, and what the owner has to hear of. */
static void import_due(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 events = 0;

	if (c->rcv_queued)
		events |= TCP_EV_READABLE;
	if (c->fin & TCP_FIN_RECEIVED)
		events |= TCP_EV_FIN;
	if (events)
		conn_event(e, c, events);
	if (c->delayed_ack_at_ns <= e->now_ns) {
		c->delayed_ack_at_ns = TIMER_STOPPED;
		ack_now(e, c);
	}
	if (!seq_eq(c->snd_nxt, c->snd_max) || c->recovery != TCP_RECOVERY_OPEN ||
	    seq_lt(c->snd_nxt, conn_data_end(c)) ||
	    (c->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT)) == TCP_FIN_QUEUED ||
	    c->state <= TCP_SYN_RECEIVED)
		conn_mark_dirty(e, c);
}

int tcp_conn_import(struct tcp_engine *e, const struct tcp_state *state, u32 path, u64 now_ns,
                    u32 *ret_conn)
{
	struct tcp_conn *c;
	int error;

	if (tcp_state_check(state) || !slots_is_taken(&e->path_slots, path) ||
	    !refs_exist(e, &state->d))
		return -EINVAL;
	engine_set_now(e, now_ns);
	c = conn_alloc(e, path);
	if (!c)
		return -ENOSPC;
	import_identity(c, &state->k);
	error = conn_insert_lookup(e, c);
	if (error) {
		conn_release(e, c);
		return error;
	}
	import_position(c, &state->d);
	conn_apply_settings(e, c, &state->c);
	/* Nobody kept whether a segment that is not full is on its way: only the last can be. */
	c->snd_sml = (u32)seq_diff(c->snd_max, c->snd_una) % c->mss ? c->snd_max : c->snd_una;
	import_congestion(e, c, &state->d);
	import_data(e, c, &state->d);
	import_timers(e, c, &state->d);
	recovery_import(e, c, &state->d);
	import_due(e, c);
	e->n.imports++;
	*ret_conn = conn_index(e, c);
	return 0;
}

/* -- export ------------------------------------------------------------------------------------ */

static u64 left(const struct tcp_engine *e, u64 at_ns)
{
	if (at_ns == TIMER_STOPPED)
		return TIMER_STOPPED;
	return at_ns - min_of(at_ns, e->now_ns);
}

static void export_identity(const struct tcp_conn *c, struct tcp_const *k)
{
	k->local_port = c->local_port;
	k->remote_port = c->remote_port;
	k->options = c->options;
	k->snd_wscale = c->snd_wscale;
	k->rcv_wscale = c->rcv_wscale;
	k->peer_mss = c->peer_mss;
	k->flow_hash = c->flow_hash;
	k->iss = c->iss;
	k->irs = c->irs;
}

static void export_position(const struct tcp_conn *c, struct tcp_delegated *d)
{
	d->state = c->state;
	d->rcv_nxt = c->rcv_nxt;
	d->rcv_wnd = (u32)max_of(seq_diff(c->rcv_adv, c->rcv_nxt), 0);
	d->rcv_adv = c->rcv_adv;
	d->snd_una = c->snd_una;
	d->snd_nxt = c->snd_nxt;
	d->snd_max = c->snd_max;
	d->snd_wnd = c->snd_wnd;
	d->snd_wl1 = c->snd_wl1;
	d->snd_wl2 = c->snd_wl2;
	d->max_snd_wnd = c->max_snd_wnd;
	d->snd_up = c->snd_up;
	d->rcv_up = c->rcv_up;
	d->fin = c->fin;
	d->last_ack_sent = c->last_ack_sent;
}

static void export_congestion(struct tcp_engine *e, const struct tcp_conn *c,
                              struct tcp_delegated *d)
{
	const struct scoreboard *b = sack_board(e, c);

	d->cwnd_bytes = c->cwnd_bytes;
	d->ssthresh_bytes = c->ssthresh_bytes;
	d->srtt_ns = c->srtt_ns;
	d->rttvar_ns = c->rttvar_ns;
	d->min_rtt_ns = c->min_rtt_ns;
	d->rto_ns = c->rto_ns;
	d->rto_backoff = c->rto_backoff;
	d->recovery = c->recovery;
	d->recovery_point = c->recovery_point;
	recovery_export(e, conn_at(e, conn_index(e, c)), d);
	d->dup_acks = c->dup_acks;
	d->ecn_state = c->ecn_state;
	d->ecn_point = c->ecn_point;
	d->cc = c->cc;
	d->ts_recent = c->ts_recent;
	d->ts_offset = c->ts_offset;
	d->ts_recent_age_ns = ago(e, c->ts_recent_at_ns);
	d->pacing_rate = c->pacing_rate;
	d->sacked.n = 0;
	if (!b)
		return;
	/* The lowest ones: what is forgotten of the others is merely sent again. */
	d->sacked.n = min_of(b->n, (u32)SEQ_RANGES_MAX);
	memcpy(d->sacked.r, b->r, d->sacked.n * sizeof(b->r[0]));
}

static void export_timers(struct tcp_engine *e, const struct tcp_conn *c, struct tcp_delegated *d)
{
	d->idle_ns = ago(e, c->sent_at_ns);
	d->rcv_idle_ns = ago(e, c->received_at_ns);
	d->retransmit_count = c->retransmit_count;
	d->persist_count = c->persist_count;
	d->keepalive_count = c->keepalive_count;
	d->retransmit_left_ns = left(e, c->retransmit_at_ns);
	d->persist_left_ns = left(e, c->persist_at_ns);
	d->keepalive_left_ns = left(e, c->keepalive_at_ns);
	d->fin_wait2_left_ns = left(e, c->fin_wait2_at_ns);
	d->delayed_ack_left_ns = left(e, c->delayed_ack_at_ns);
	if (c->flags & CONN_ACK_NOW)
		d->delayed_ack_left_ns = 0;
}

static void export_data(struct tcp_engine *e, const struct tcp_conn *c, struct tcp_delegated *d)
{
	u32 n = 0;

	d->send = (struct data_ref){c->snd_head, 0, c->snd_queued};
	if (c->snd_queued)
		d->send.off = buf_at(e->bufs, c->snd_head)->off;
	d->recv = (struct data_ref){c->rcv_head, 0, c->rcv_queued};
	if (c->rcv_queued)
		d->recv.off = buf_at(e->bufs, c->rcv_head)->off;
	for (u32 buf = c->ooo_head; buf != NIL && n < OOO_REFS_MAX; n++) {
		const struct ooo_node *node = ooo_at(e, buf);

		d->ooo.seg[n] = (struct ooo_ref){
			.seq = node->seq,
			.fin = node->fin,
			.data = {buf, buf_at(e->bufs, buf)->off, node->len},
		};
		buf = node->next;
	}
	d->ooo.n = n;
}

/* As `ago` and `left` count from e->now_ns, the caller's time becomes the engine's. */
void tcp_conn_export(struct tcp_engine *e, u32 conn, u64 now_ns, struct tcp_state *ret_state)
{
	const struct tcp_conn *c = conn_at(e, conn);

	engine_set_now(e, now_ns);
	export_identity(c, &ret_state->k);
	ret_state->c = c->settings;
	export_position(c, &ret_state->d);
	export_congestion(e, c, &ret_state->d);
	export_timers(e, c, &ret_state->d);
	export_data(e, c, &ret_state->d);
	e->n.exports++;
}

/* -- upload: quiesce, resume, free --------------------------------------------------------------
 */

void tcp_conn_quiesce(struct tcp_engine *e, u32 conn, u64 now_ns, struct tx_batch *out)
{
	struct tcp_conn *c = conn_at(e, conn);

	/* The snapshot that follows reads all of it. */
	for (u32 at = 0; at < sizeof(*c); at += CACHE_LINE_BYTES)
		prefetchw((u8 *)c + at);
	prefetchw(&e->wheel.entry[conn]);
	engine_set_now(e, now_ns);
	if (c->flags & CONN_QUIESCED)
		return;
	flowtab_prefetch(&e->lookup, c->hash);
	/* Semantics 5.5: a delayed ACK goes out before the snapshot. */
	if (((c->flags & CONN_ACK_NOW) || c->delayed_ack_at_ns != TIMER_STOPPED) && out &&
	    out->n < out->cap && conn_is_synchronized(c) && conn_may_transmit(e, c))
		output_ack(e, c, out);
	if (c->state != TCP_CLOSED)
		flowtab_remove(&e->lookup, c->hash, conn);
	c->flags |= CONN_QUIESCED;
	c->armed_ns = TIMER_STOPPED;
	wheel_cancel(&e->wheel, conn);
}

int tcp_conn_resume(struct tcp_engine *e, u32 conn, u64 now_ns)
{
	struct tcp_conn *c = conn_at(e, conn);
	int error;

	engine_set_now(e, now_ns);
	if (!(c->flags & CONN_QUIESCED))
		return 0;
	if (c->state != TCP_CLOSED) {
		error = conn_insert_lookup(e, c);
		if (error)
			return error;
		timers_arm(e, c);
	}
	c->flags &= (u16)~CONN_QUIESCED;
	e->n.resumes++;
	conn_mark_dirty(e, c);
	return 0;
}

void tcp_conn_free(struct tcp_engine *e, u32 conn)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (!(c->flags & CONN_QUIESCED) && c->state != TCP_CLOSED)
		flowtab_remove(&e->lookup, c->hash, conn);
	chain_put(e->bufs, c->snd_head, c->snd_tail);
	chain_put(e->bufs, c->rcv_head, c->rcv_tail);
	while (c->ooo_head != NIL) {
		const struct ooo_node node = *ooo_at(e, c->ooo_head);

		chain_put(e->bufs, c->ooo_head, node.tail);
		c->ooo_head = node.next;
	}
	sack_clear(e, c);
	sent_clear(e, c);
	conn_release(e, c);
}

void tcp_conn_disown(struct tcp_engine *e, u32 conn)
{
	struct tcp_conn *c = conn_at(e, conn);

	ASSERT(c->flags & CONN_QUIESCED);
	c->snd_head = c->snd_tail = c->snd_cursor = c->rcv_head = c->rcv_tail = c->ooo_head = NIL;
	c->snd_queued = c->rcv_queued = c->ooo_bytes = 0;
	c->ooo_segs = 0;
}

void tcp_conn_update(struct tcp_engine *e, u32 conn, const struct tcp_cached *cached, u64 now_ns)
{
	struct tcp_conn *c = conn_at(e, conn);
	bool keepalive = c->settings.keepalive;

	engine_set_now(e, now_ns);
	/* The path takes less than before: before the settings make the segments smaller. */
	if (cached->restart_retransmit)
		tcp_conn_resend_big(e, conn, now_ns);
	conn_apply_settings(e, c, cached);
	if (cached->restart_keepalive) {
		c->keepalive_count = 0;
		c->received_at_ns = now_ns;
	}
	if (cached->restart_keepalive || keepalive != !!cached->keepalive)
		timer_start_keepalive(e, c);
	if (cached->restart_retransmit && c->retransmit_at_ns != TIMER_STOPPED) {
		c->rto_backoff = 0;
		c->retransmit_count = 0;
		c->progress_at_ns = now_ns;
		timer_start_retransmit(e, c);
	}
	if (window_update_due(e, c))
		ack_now(e, c);
	conn_mark_dirty(e, c); /* Nagle off, cork pulled, a larger segment: something may go now */
}

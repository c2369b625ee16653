/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Active and passive open (RFC 9293 3.5, 3.10.7.3). */
#include "tcp/cc/cc.h"
#include "tcp/ecn.h"
#include "tcp/rtt.h"

#include <errno.h>

enum { SYN_WINDOW_MAX = 65535, WSCALE_MAX = 14 };

/* RFC 6528: M + F(tuple, secret); M ticks every 4 microseconds. Also where the timestamp clock
 * starts (RFC 7323 7.1), so that it says nothing of our uptime. */
static void draw_numbers(struct tcp_engine *e, struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];
	struct hash_key key = {{e->config.seed ^ e->key.k[1], e->key.k[0]}};
	struct flow_key flow = {p->local, p->remote, c->local_port, c->remote_port};
	u64 h = hash_bytes(&key, &flow, 36);

	c->iss = seq_of((u32)h + (u32)(e->now_ns / (4 * NS_PER_US)));
	c->ts_offset = (u32)(h >> 32);
}

static void start_sending(struct tcp_engine *e, struct tcp_conn *c)
{
	c->snd_una = c->snd_nxt = c->snd_max = c->iss;
	c->recovery_point = c->rack_fack = c->high_rxt = c->snd_sml = c->snd_up = c->iss;
	c->rto_ns = RTO_INITIAL_NS;
	c->ssthresh_bytes = UINT32_MAX;
	c->received_at_ns = c->sent_at_ns = c->progress_at_ns = e->now_ns;
}

static int open_conn(struct tcp_engine *e, const struct tcp_open_params *params,
                     struct tcp_conn **ret)
{
	struct tcp_conn *c;
	int error;

	if (!slots_is_taken(&e->path_slots, params->path))
		return -EINVAL;
	c = conn_alloc(e, params->path);
	if (!c)
		return -ENOSPC;
	c->local_port = params->local_port;
	c->remote_port = params->remote_port;
	c->options = params->options;
	c->rcv_wscale =
		params->options & TCP_OPT_WSCALE ? min_of(params->rcv_wscale, (u8)WSCALE_MAX) : 0;
	error = conn_insert_lookup(e, c);
	if (error) {
		conn_release(e, c);
		return error;
	}
	conn_apply_settings(e, c, &params->settings);
	draw_numbers(e, c);
	if (params->has_iss)
		c->iss = params->iss;
	start_sending(e, c);
	*ret = c;
	return 0;
}

int tcp_open(struct tcp_engine *e, const struct tcp_open_params *params, u64 now_ns, u32 *ret_conn)
{
	struct tcp_conn *c;
	int error;

	engine_set_now(e, now_ns);
	error = open_conn(e, params, &c);
	if (error)
		return error;
	c->state = TCP_SYN_SENT;
	e->n.opens_active++;
	conn_mark_dirty(e, c);
	*ret_conn = conn_index(e, c);
	return 0;
}

/* What both SYNs agree on (RFC 7323 2.2, 3.2, RFC 2018 2, RFC 3168 6.1.1), and where the peer
 * begins. */
static void agree(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	const struct wire_tcp_options *o = &s->w.options;

	if (!(o->present & WIRE_OPT_TIMESTAMPS))
		c->options &= (u8) ~(TCP_OPT_TIMESTAMPS | TCP_OPT_USEC_TS);
	if (!(o->present & WIRE_OPT_SACK_PERMITTED))
		c->options &= (u8)~TCP_OPT_SACK;
	if (!(o->present & WIRE_OPT_WSCALE))
		c->options &= (u8)~TCP_OPT_WSCALE;
	if (c->options & TCP_OPT_WSCALE)
		c->snd_wscale = o->wscale;
	else
		c->rcv_wscale = 0;
	if (c->options & TCP_OPT_TIMESTAMPS) {
		c->ts_recent = o->ts_val;
		c->ts_recent_at_ns = e->now_ns;
	}
	ecn_agree(c, s);
	/* MUST-15: the default of RFC 9293 3.7.1 where the peer says nothing. */
	c->peer_mss = e->paths[c->path].v4 ? 536 : 1220;
	if (o->present & WIRE_OPT_MSS)
		c->peer_mss = o->mss;
	c->irs = s->w.seq;
	c->rcv_nxt = c->rcv_adv = c->rcv_up = c->last_ack_sent = seq_add(s->w.seq, 1);
	c->rcv_adv = seq_add(c->rcv_nxt, min_of(c->rcv_buf_bytes, (u32)SYN_WINDOW_MAX));
	c->snd_wnd = c->max_snd_wnd = s->w.wnd;
	c->snd_wl1 = s->w.seq;
	c->snd_wl2 = s->w.ack;
	conn_derive_mss(e, c);
	c->cwnd_bytes = tcp_cc_initial_window(c);
	tcp_cc_adopt(c, e->now_ns);
}

int tcp_open_passive(struct tcp_engine *e, const struct rx_frame *frame,
                     const struct tcp_open_params *params, u64 now_ns, u32 *ret_conn)
{
	struct segment s;
	struct tcp_conn *c;
	int error;

	engine_set_now(e, now_ns);
	if (frame_parse(e, frame, &s) != WIRE_OK || !frame_csum_ok(e, frame, &s))
		return -EINVAL;
	if ((s.w.flags & (WIRE_SYN | WIRE_ACK | WIRE_RST)) != WIRE_SYN ||
	    s.w.flow.local_port != params->local_port ||
	    s.w.flow.remote_port != params->remote_port)
		return -EINVAL;
	error = open_conn(e, params, &c);
	if (error)
		return error;
	c->state = TCP_SYN_RECEIVED;
	agree(e, c, &s);
	e->n.opens_passive++;
	conn_mark_dirty(e, c);
	*ret_conn = conn_index(e, c);
	return 0;
}

/* The handshake is done. */
static void establish(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	struct sent_delivery d;

	sent_delivery_init(&d, e->now_ns);
	sent_delivered(e, c, c->snd_una, s->w.ack, &d);
	sent_account(e, c, (u32)seq_diff(s->w.ack, c->snd_una), &d);
	rtt_measure(e, c, s, &d);
	/* RFC 6298 5.7, RFC 5681 3.1: a SYN was lost. */
	if (c->retransmit_count) {
		c->rto_ns = max_of(c->rto_ns, RTO_SYN_LOST_NS);
		c->cwnd_bytes = c->mss;
	}
	c->rto_backoff = 0;
	c->retransmit_count = 0;
	c->retransmit_at_ns = TIMER_STOPPED;
	c->snd_una = s->w.ack;
	c->snd_nxt = seq_max(c->snd_nxt, c->snd_una);
	c->snd_sml = c->snd_una;
	c->state = c->fin & TCP_FIN_QUEUED ? TCP_FIN_WAIT_1 : TCP_ESTABLISHED;
	timer_start_keepalive(e, c);
	conn_event(e, c, TCP_EV_ESTABLISHED);
	conn_mark_dirty(e, c);
}

void syn_received_acked(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	establish(e, c, s);
}

void syn_sent_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	bool ack = s->w.flags & WIRE_ACK;

	if (ack && (seq_leq(s->w.ack, c->iss) || seq_gt(s->w.ack, c->snd_max))) {
		segment_drop(e, TCP_DROP_ACK_FUTURE);
		return;
	}
	if (s->w.flags & WIRE_RST) {
		if (!ack) {
			segment_drop(e, TCP_DROP_RST_WINDOW);
			return;
		}
		e->n.rsts_in++;
		conn_close(e, c, TCP_EV_RESET, ECONNREFUSED);
		return;
	}
	if (!(s->w.flags & WIRE_SYN)) {
		segment_drop(e, TCP_DROP_FLAGS);
		return;
	}
	c->received_at_ns = e->now_ns;
	agree(e, c, s);
	if (ack) {
		establish(e, c, s);
		ack_now(e, c);
		return;
	}
	/* MUST-10: both sides opened. */
	c->state = TCP_SYN_RECEIVED;
	c->snd_nxt = c->iss;
	conn_mark_dirty(e, c);
}

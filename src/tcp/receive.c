/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Text and FIN of an acceptable segment (RFC 9293 3.10.7.4, seventh and eighth), and the ACK that
 * they call for (RFC 5681 4.2, RFC 9293 3.8.6.3). */
#include "tcp/reassembly.h"

/* Cuts the frame's chain to the payload and the payload to the window: [seq, seq + len). */
struct text {
	tcp_seq seq;
	u32 len;
	u32 skip; /* from the frame's first byte */
	bool fin;
};

/* Repeated bytes on the left (RFC 2883: reported), bytes beyond the window on the right. */
static void trim_to_window(struct tcp_engine *e, struct tcp_conn *c, struct text *t)
{
	s32 old = seq_diff(c->rcv_nxt, t->seq);
	s32 beyond;

	if (old > 0) {
		u32 n = min_of((u32)old, t->len);

		c->rcv_dsack = n > 0;
		c->dsack_start = t->seq;
		c->dsack_end = seq_add(t->seq, n);
		t->seq = seq_add(t->seq, n);
		t->len -= n;
		t->skip += n;
		ack_now(e, c);
	}
	beyond = seq_diff(seq_add(t->seq, t->len), seq_max(c->rcv_adv, c->rcv_nxt));
	if (beyond > 0) {
		segment_drop(e, TCP_DROP_WINDOW);
		t->len -= min_of((u32)beyond, t->len);
		t->fin = false;
		ack_now(e, c);
	}
}

/*
 * The ACK that in-order bytes call for: at once for every second segment, else within the delay. A
 * second segment counts whatever its size (RFC 5681 4.2 asks for full ones only): a peer with two
 * segments out probes for a lost tail (RFC 8985 7) long before the delay is over.
 */
static void owe_ack(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s)
{
	if (s->pieces > 1 || c->delayed_ack_at_ns != TIMER_STOPPED ||
	    seq_diff(c->rcv_nxt, c->last_ack_sent) >= 2 * (s32)c->mss) {
		ack_now(e, c);
		return;
	}
	c->delayed_ack_at_ns = ns_add(e->now_ns, e->config.delayed_ack_ns);
	conn_mark_dirty(e, c); /* output arms the timer, if no answer took the ACK along */
}

/* Nothing more is taken in these states: CLOSE_WAIT and on have the FIN already. */
static bool receives(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED && !(c->fin & TCP_FIN_RECEIVED);
}

static void in_order(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                     const struct text *t, u32 buf)
{
	bool fin = t->fin;
	u32 drained = 0;

	if (t->len) {
		struct buf_pool *pool = e->bufs;
		u32 tail;

		buf = chain_trim_front(pool, buf, t->skip);
		tail = chain_truncate(pool, buf, t->len);
		c->rcv_nxt = seq_add(c->rcv_nxt, t->len);
		queue_receive(e, c, buf, tail, t->len);
		if (t->len >= c->mss && c->rcv_buf_bytes < c->settings.rcv_buf_max_bytes)
			receive_buffer_grow(e, c);
	}
	if (unlikely(c->ooo_head != NIL)) {
		fin |= reassembly_drain(e, c, &drained);
		ack_now(e, c); /* RFC 5681 4.2: a gap was filled */
	}
	if (t->len + drained) {
		owe_ack(e, c, s);
		conn_event(e, c, TCP_EV_READABLE | (s->w.flags & WIRE_PSH ? TCP_EV_PUSH : 0));
	}
	if (unlikely(fin)) {
		/* Nothing comes behind a FIN; what came before it and says so is wrong. */
		reassembly_prune(e, c);
		close_fin_received(e, c);
	}
}

static bool out_of_order(struct tcp_engine *e, struct tcp_conn *c, const struct text *t, u32 buf)
{
	ack_now(e, c); /* RFC 5681 4.2: at once */
	if (!t->len && !t->fin)
		return false;
	/* Never more than the window that was offered. */
	if (c->ooo_bytes + t->len >
	    c->rcv_buf_bytes + (u32)max_of(seq_diff(c->rcv_adv, c->rcv_nxt), 0)) {
		segment_drop(e, TCP_DROP_BUFFER_FULL);
		return false;
	}
	if (unlikely(pool_is_low(e))) {
		segment_drop(e, TCP_DROP_POOL_DRY);
		return false;
	}
	if (t->len) {
		buf = chain_trim_front(e->bufs, buf, t->skip);
		chain_truncate(e->bufs, buf, t->len);
	} else {
		buf_put_chain(e->bufs, buf);
		buf = NIL;
	}
	reassembly_insert(e, c, t->seq, buf, t->len, t->fin);
	conn_event(e, c, TCP_EV_DISORDER);
	return true;
}

bool receive_input(struct tcp_engine *e, struct tcp_conn *c, struct segment *s, u32 buf)
{
	struct text t = {
		.seq = s->w.seq,
		.len = s->w.payload_len,
		.skip = s->w.payload_off,
		.fin = s->w.flags & WIRE_FIN,
	};

	if (unlikely(!receives(c))) {
		if (t.len)
			segment_drop(e, TCP_DROP_AFTER_FIN);
		ack_now(e, c);
		return false;
	}
	if (unlikely(!seq_eq(t.seq, c->rcv_nxt) || (s32)t.len > seq_diff(c->rcv_adv, c->rcv_nxt)))
		trim_to_window(e, c, &t);
	if (unlikely(seq_gt(t.seq, c->rcv_nxt)))
		return out_of_order(e, c, &t, buf);
	if (!t.len && !t.fin)
		return false;
	in_order(e, c, s, &t, buf);
	return t.len > 0;
}

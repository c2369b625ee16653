/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Closing (RFC 9293 3.6): what a FIN of ours, its ACK, and a FIN of the peer do to the state. */
#include "tcp/internal.h"

static void enter_time_wait(struct tcp_engine *e, struct tcp_conn *c)
{
	c->state = TCP_TIME_WAIT;
	c->retransmit_at_ns = TIMER_STOPPED;
	c->persist_at_ns = TIMER_STOPPED;
	c->keepalive_at_ns = TIMER_STOPPED;
	timer_set(e, c, &c->fin_wait2_at_ns, ns_add(e->now_ns, 2 * e->config.msl_ns));
	conn_event(e, c, TCP_EV_TIME_WAIT);
}

void close_fin_acked(struct tcp_engine *e, struct tcp_conn *c)
{
	c->fin |= TCP_FIN_ACKED;
	conn_event(e, c, TCP_EV_FIN_ACKED);
	switch (c->state) {
	case TCP_FIN_WAIT_1:
		c->state = TCP_FIN_WAIT_2;
		/* Linux's bound on a half-closed peer that never speaks; 0: none. */
		if (c->settings.fin_wait2_ns)
			timer_set(e, c, &c->fin_wait2_at_ns,
			          ns_add(e->now_ns, c->settings.fin_wait2_ns));
		break;
	case TCP_CLOSING:
		enter_time_wait(e, c);
		break;
	case TCP_LAST_ACK:
		conn_close(e, c, 0, 0);
		break;
	default:
		break;
	}
}

void close_fin_received(struct tcp_engine *e, struct tcp_conn *c)
{
	c->rcv_nxt = seq_add(c->rcv_nxt, 1);
	c->fin |= TCP_FIN_RECEIVED;
	ack_now(e, c);
	conn_event(e, c, TCP_EV_FIN);
	switch (c->state) {
	case TCP_ESTABLISHED:
	case TCP_SYN_RECEIVED:
		c->state = TCP_CLOSE_WAIT;
		break;
	case TCP_FIN_WAIT_1:
		c->state = TCP_CLOSING;
		break;
	case TCP_FIN_WAIT_2:
		enter_time_wait(e, c);
		break;
	default:
		break;
	}
}

void tcp_shutdown(struct tcp_engine *e, u32 conn)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (c->fin & TCP_FIN_QUEUED)
		return;
	switch (c->state) {
	case TCP_ESTABLISHED:
	case TCP_SYN_RECEIVED:
		c->state = c->state == TCP_ESTABLISHED ? TCP_FIN_WAIT_1 : c->state;
		break;
	case TCP_CLOSE_WAIT:
		c->state = TCP_LAST_ACK;
		break;
	case TCP_SYN_SENT:
		conn_close(e, c, 0, 0);
		return;
	default:
		return;
	}
	c->fin |= TCP_FIN_QUEUED;
	conn_mark_dirty(e, c);
}

void tcp_abort(struct tcp_engine *e, u32 conn)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (c->state == TCP_CLOSED)
		return;
	/* RFC 9293 3.10.5: a peer that knows of the connection is told. */
	if (c->state >= TCP_SYN_RECEIVED && c->state != TCP_TIME_WAIT) {
		c->flags |= CONN_RST_OWED;
		conn_mark_dirty(e, c);
	}
	conn_close(e, c, 0, 0);
}

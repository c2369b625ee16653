/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The window that we advertise (RFC 9293 3.8.6, RFC 7323 2). Its right edge never moves left. */
#include "tcp/internal.h"

enum { WINDOW_FIELD_MAX = 65535 };

/* Bytes that the receive buffer could still take beyond rcv_nxt. */
static u32 free_space(const struct tcp_conn *c)
{
	return c->rcv_queued < c->rcv_buf_bytes ? c->rcv_buf_bytes - c->rcv_queued : 0;
}

/* Receiver's silly-window avoidance: an edge moves by a segment or half of the buffer, or not. */
static u32 edge_step(const struct tcp_conn *c)
{
	return min_of(c->rcv_buf_bytes / 2, (u32)c->mss);
}

u16 window_advertise(struct tcp_engine *e, struct tcp_conn *c, bool syn)
{
	u8 scale = syn ? 0 : c->rcv_wscale;
	u32 max = (u32)WINDOW_FIELD_MAX << scale;
	u32 open = (u32)max_of(seq_diff(c->rcv_adv, c->rcv_nxt), 0);
	u32 space = free_space(c);
	u32 wnd = open;

	if (space > open && (space - open >= edge_step(c) || syn))
		wnd = space;
	/* What the field cannot express is rounded up, or the edge would move left. */
	wnd = (wnd + (1u << scale) - 1) >> scale << scale;
	wnd = min_of(wnd, max);
	c->rcv_adv = seq_max(c->rcv_adv, seq_add(c->rcv_nxt, wnd));
	return (u16)(wnd >> scale);
}

bool window_update_due(const struct tcp_engine *e, const struct tcp_conn *c)
{
	u32 open = (u32)max_of(seq_diff(c->rcv_adv, c->rcv_nxt), 0);
	u32 space = free_space(c);

	if (!conn_is_synchronized(c) || (c->fin & TCP_FIN_RECEIVED) || space <= open)
		return false;
	/* Twice the step while the peer still has room: an update for every read would be chatter.
	 */
	if (space - open >= c->rcv_buf_bytes / 2)
		return true;
	return open < 2u * c->mss && space - open >= edge_step(c);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/pmtu.h"

#include "tcp/output.h"
#include "tcp/recovery.h"

void tcp_conn_resend_big(struct tcp_engine *e, u32 conn, u64 now_ns)
{
	struct tcp_conn *c = conn_at(e, conn);

	engine_set_now(e, now_ns);
	if (c->mtu <= e->paths[c->path].mtu || !conn_is_synchronized(c))
		return;
	conn_derive_mss(e, c);
	if (c->recovery > TCP_RECOVERY_DISORDER || seq_eq(c->snd_una, c->snd_max))
		return;
	recovery_resend(e, c);
}

/* Headers of every segment of the connection. */
static u32 header_bytes(const struct tcp_engine *e, const struct tcp_conn *c)
{
	return (e->paths[c->path].v4 ? 20 : 40) + 20 + (c->options & TCP_OPT_TIMESTAMPS ? 12 : 0);
}

static bool may_probe(struct tcp_engine *e, const struct tcp_conn *c, u32 len)
{
	u32 flight = (u32)seq_diff(c->snd_max, c->snd_una);

	if ((c->state != TCP_ESTABLISHED && c->state != TCP_CLOSE_WAIT) ||
	    (c->flags & CONN_QUIESCED) || !conn_may_transmit(e, c))
		return false;
	if (c->recovery != TCP_RECOVERY_OPEN || c->lost_bytes)
		return false;
	/* RFC 4821 7.2: not before the peer could tell that the probe, alone, is missing. */
	if (seq_diff(conn_data_end(c), c->snd_nxt) < (s32)(len + DUP_THRESH * c->mss))
		return false;
	return flight + len <= min_of(c->cwnd_bytes, c->snd_wnd) && len > c->mss &&
	       (!c->peer_mss || len + (c->options & TCP_OPT_TIMESTAMPS ? 12 : 0) <= c->peer_mss);
}

bool tcp_conn_probe(struct tcp_engine *e, u32 conn, u32 mtu, u64 now_ns, struct tx_batch *out,
                    tcp_seq *ret_seq, tcp_seq *ret_end)
{
	struct tcp_conn *c = conn_at(e, conn);
	struct segment_out s = {.flags = WIRE_ACK};
	u16 mss = c->mss;

	engine_set_now(e, now_ns);
	s.len = mtu - header_bytes(e, c);
	if (out->n == out->cap || !may_probe(e, c, s.len))
		return false;
	s.seq = *ret_seq = c->snd_nxt;
	*ret_end = seq_add(s.seq, s.len);
	queue_locate(e, c, s.seq, &s.data);
	c->mss = (u16)s.len; /* one segment, not several merged */
	output_emit(e, c, &s, out);
	c->mss = mss;
	return true;
}

void tcp_conn_probe_lost(struct tcp_engine *e, u32 conn, u32 bytes, u32 cwnd_bytes)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (c->recovery != TCP_RECOVERY_FAST || !(c->loss & LOSS_UNDO) || c->lost_bytes > bytes)
		return;
	/* Fast recovery ends with a window of ssthresh. */
	c->ssthresh_bytes = max_of(c->ssthresh_bytes, cwnd_bytes);
	c->loss &= (u16)~LOSS_UNDO;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Whether a state can be imported. Total: a state is a stranger's bytes, and whatever passes here
 * must not be able to lead the engine out of its own bounds.
 */
#include "tcp/engine.h"

enum {
	WSCALE_MAX = 14,
	DATA_MAX = 1 << 30, /* bytes of one queue: half of the sequence space is never reached */
	OPTION_BITS =
		TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE | TCP_OPT_ECN | TCP_OPT_USEC_TS,
};

static const char *check_identity(const struct tcp_const *k)
{
	if (k->options & ~OPTION_BITS)
		return "unknown option bits";
	if (k->snd_wscale > WSCALE_MAX || k->rcv_wscale > WSCALE_MAX)
		return "window scale above 14 (RFC 7323 2.3)";
	if (!(k->options & TCP_OPT_WSCALE) && (k->snd_wscale || k->rcv_wscale))
		return "a window scale without the option";
	if ((k->options & TCP_OPT_USEC_TS) && !(k->options & TCP_OPT_TIMESTAMPS))
		return "a timestamp clock without timestamps";
	if (!k->local_port || !k->remote_port)
		return "port 0";
	return NULL;
}

/* Which FIN bits must and must not be set in a state (RFC 9293 3.6). */
static const struct {
	u8 must;
	u8 must_not;
} fin_rules[TCP_STATES] = {
	[TCP_SYN_SENT] = {0, TCP_FIN_SENT | TCP_FIN_ACKED | TCP_FIN_RECEIVED},
	[TCP_SYN_RECEIVED] = {0, TCP_FIN_SENT | TCP_FIN_ACKED | TCP_FIN_RECEIVED},
	[TCP_ESTABLISHED] = {0, TCP_FIN_QUEUED | TCP_FIN_RECEIVED},
	[TCP_FIN_WAIT_1] = {TCP_FIN_QUEUED, TCP_FIN_ACKED | TCP_FIN_RECEIVED},
	[TCP_FIN_WAIT_2] = {TCP_FIN_ACKED, TCP_FIN_RECEIVED},
	[TCP_CLOSE_WAIT] = {TCP_FIN_RECEIVED, TCP_FIN_QUEUED},
	[TCP_CLOSING] = {TCP_FIN_QUEUED | TCP_FIN_RECEIVED, TCP_FIN_ACKED},
	[TCP_LAST_ACK] = {TCP_FIN_QUEUED | TCP_FIN_RECEIVED, TCP_FIN_ACKED},
	[TCP_TIME_WAIT] = {TCP_FIN_ACKED | TCP_FIN_RECEIVED, 0},
};

static const char *check_fin(const struct tcp_delegated *d)
{
	if (d->state >= TCP_STATES || d->state < TCP_SYN_SENT)
		return "a state that cannot be moved";
	if (d->fin & ~(TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED | TCP_FIN_RECEIVED))
		return "unknown FIN bits";
	if ((d->fin & TCP_FIN_SENT) && !(d->fin & TCP_FIN_QUEUED))
		return "a FIN sent that was not queued";
	if ((d->fin & TCP_FIN_ACKED) && !(d->fin & TCP_FIN_SENT))
		return "a FIN acknowledged that was not sent";
	if ((d->fin & fin_rules[d->state].must) != fin_rules[d->state].must ||
	    (d->fin & fin_rules[d->state].must_not))
		return "FIN bits that do not fit the state";
	return NULL;
}

static bool ref_ok(const struct data_ref *r)
{
	return r->len <= DATA_MAX && (!r->len || r->buf != NIL);
}

static const char *check_send(const struct tcp_delegated *d)
{
	s32 sent = seq_diff(d->snd_max, d->snd_una);
	bool fin = (d->fin & (TCP_FIN_SENT | TCP_FIN_ACKED)) == TCP_FIN_SENT;
	bool syn = d->state == TCP_SYN_SENT || d->state == TCP_SYN_RECEIVED;

	if (!ref_ok(&d->send))
		return "send data without a buffer, or too much";
	if (seq_lt(d->snd_nxt, d->snd_una) || seq_gt(d->snd_nxt, d->snd_max) || sent < 0)
		return "not snd_una <= snd_nxt <= snd_max";
	if (syn)
		return sent <= 1 ? NULL : "more than a SYN sent";
	if ((u32)sent > d->send.len + fin)
		return "more sent than the queue holds";
	if (fin && (u32)sent != d->send.len + 1)
		return "a FIN sent before the data was";
	if ((d->fin & TCP_FIN_ACKED) && d->send.len)
		return "data behind an acknowledged FIN";
	return NULL;
}

/* RFC 9293 3.3.2: what is not acknowledged yet begins with the SYN. */
static const char *check_opening(const struct tcp_state *s)
{
	if (s->d.state != TCP_SYN_SENT && s->d.state != TCP_SYN_RECEIVED)
		return NULL;
	if (!seq_eq(s->d.snd_una, s->k.iss))
		return "a handshake whose SYN is not what is in flight";
	return NULL;
}

static const char *check_receive(const struct tcp_delegated *d)
{
	s32 open = seq_diff(d->rcv_adv, d->rcv_nxt);
	tcp_seq at = d->rcv_nxt;

	if (!ref_ok(&d->recv))
		return "received data without a buffer, or too much";
	/* A FIN is taken at the very edge. */
	if (open < -1 || open > DATA_MAX || d->rcv_wnd > (u32)max_of(open, 0))
		return "rcv_wnd and rcv_adv do not fit rcv_nxt";
	if (d->ooo.n > OOO_REFS_MAX)
		return "too many segments out of order";
	for (u32 i = 0; i < d->ooo.n; i++) {
		const struct ooo_ref *o = &d->ooo.seg[i];

		if (!ref_ok(&o->data) || (!o->data.len && !o->fin))
			return "an empty segment out of order";
		if (!seq_gt(o->seq, d->rcv_nxt) || seq_lt(o->seq, at))
			return "segments out of order overlap";
		at = seq_add(o->seq, o->data.len);
		if (seq_diff(at, d->rcv_adv) > 0)
			return "a segment beyond the window";
	}
	if (d->ooo.n && (d->fin & TCP_FIN_RECEIVED))
		return "segments beyond the FIN";
	return NULL;
}

static const char *check_recovery(const struct tcp_delegated *d)
{
	tcp_seq at = d->snd_una;

	if (d->recovery > TCP_RECOVERY_LOSS)
		return "unknown recovery state";
	if (d->sacked.n > SEQ_RANGES_MAX)
		return "too many SACK ranges";
	for (u32 i = 0; i < d->sacked.n; i++) {
		if (!seq_gt(d->sacked.r[i].start, at) ||
		    !seq_gt(d->sacked.r[i].end, d->sacked.r[i].start) ||
		    seq_gt(d->sacked.r[i].end, d->snd_max))
			return "SACK ranges overlap or lie outside what was sent";
		at = d->sacked.r[i].end;
	}
	if (d->ecn_state & ~TCP_ECN_BITS)
		return "unknown ECN bits";
	if (d->cc.len > CC_PRIVATE_BYTES)
		return "congestion control state too long";
	if (d->cwnd_bytes > DATA_MAX || d->snd_wnd > DATA_MAX || d->max_snd_wnd > DATA_MAX)
		return "a window above 1 GiB";
	return NULL;
}

const char *tcp_state_check(const struct tcp_state *state)
{
	const char *why = check_identity(&state->k);

	if (!why && state->d.ecn_state && !(state->k.options & TCP_OPT_ECN))
		why = "ECN bits without the option";

	if (!why)
		why = check_fin(&state->d);
	if (!why)
		why = check_send(&state->d);
	if (!why)
		why = check_opening(state);
	if (!why)
		why = check_receive(&state->d);
	if (!why)
		why = check_recovery(&state->d);
	return why;
}

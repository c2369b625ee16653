/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SYN cookies (RFC 4987 3.6): under a flood of SYNs nothing is kept. The initial sequence number of
 * the SYN-ACK says how old it is and which MSS the peer has, proven by a keyed hash of the flow;
 * where the peer sends timestamps, the low six bits of ours hold what else was agreed. The ACK
 * brings both back, and the connection begins as established.
 *
 *   cookie = H(0, flow) + irs + (count << 24) + ((H(count, flow) + mss index) mod 2^24)
 *
 * `count` goes up once in 64 s; the present one and the one before are taken, so a cookie lives
 * between 64 and 128 s.
 */
#include "host/soft/priv.h"

enum {
	COUNTS_TAKEN = 2,
	FLOW_BYTES = 36, /* of struct flow_key, without its padding */
	COUNT_SHIFT = 24,
	LOW_MASK = 0xffffff,
	TS_BITS_MASK = 63,
	TS_WSCALE = 15, /* and no scaling at all */
	TS_SACK = 16,
	TS_BYTES = 12, /* of every segment */
	SYN_WINDOW_MAX = 65535,
	INITIAL_WINDOW = 10,
	INITIAL_WINDOW_BYTES = 14600, /* RFC 6928 2 */
	OUR_OPTIONS = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
};

static const u64 count_ns = 64 * NS_PER_S;

/* What peers announce; the largest that is not above theirs is remembered. */
static const u16 mss_table[] = {216, 536, 1220, 1300, 1440, 1460, 4312, 8940};

/* -- the number -------------------------------------------------------------------------------- */

static u32 hash(const struct soft *s, const struct flow_key *flow, u32 count)
{
	u8 in[FLOW_BYTES + sizeof(count)];

	memcpy(in, flow, FLOW_BYTES);
	memcpy(in + FLOW_BYTES, &count, sizeof(count));
	return (u32)hash_bytes(&s->key, in, sizeof(in));
}

static u32 count_now(const struct soft *s)
{
	return (u32)(s->now_ns / count_ns) + 1; /* 0 is the other hash */
}

static u32 mss_index(const struct wire_tcp_segment *seg)
{
	u32 mss = seg->ip_version == 4 ? 536 : 1220;
	u32 i = ARRAY_SIZE(mss_table) - 1;

	if (seg->options.present & WIRE_OPT_MSS)
		mss = seg->options.mss;
	while (i && mss_table[i] > mss)
		i--;
	return i;
}

static tcp_seq make(const struct soft *s, const struct wire_tcp_segment *seg)
{
	u32 count = count_now(s);

	return seq_of(hash(s, &seg->flow, 0) + seg->seq.n + (count << COUNT_SHIFT) +
	              ((hash(s, &seg->flow, count) + mss_index(seg)) & LOW_MASK));
}

/* The MSS that a cookie names; 0: it is none of ours, or too old. */
static u16 check(const struct soft *s, const struct wire_tcp_segment *seg)
{
	u32 cookie = seg->ack.n - 1, irs = seg->seq.n - 1;
	u32 rest = cookie - hash(s, &seg->flow, 0) - irs;
	u32 age = (count_now(s) - (rest >> COUNT_SHIFT)) & 0xff;
	u32 index;

	if (age >= COUNTS_TAKEN)
		return 0;
	index = (rest - hash(s, &seg->flow, count_now(s) - age)) & LOW_MASK;
	return index < ARRAY_SIZE(mss_table) ? mss_table[index] : 0;
}

/* -- timestamps -------------------------------------------------------------------------------- */

static u32 ts_offset(const struct soft *s, const struct flow_key *flow)
{
	return hash(s, flow, UINT32_MAX);
}

static u32 ts_now(const struct soft *s, const struct flow_key *flow)
{
	return (u32)(s->now_ns / NS_PER_MS) + ts_offset(s, flow);
}

/* What is agreed, in the low bits of a clock that is never ahead (RFC 7323 5.4). */
static u32 ts_with(const struct soft *s, const struct wire_tcp_segment *seg, u8 options)
{
	u32 now = ts_now(s, &seg->flow), ts = now & ~(u32)TS_BITS_MASK;

	ts |= options & TCP_OPT_WSCALE ? seg->options.wscale : TS_WSCALE;
	ts |= options & TCP_OPT_SACK ? TS_SACK : 0;
	return (s32)(ts - now) > 0 ? ts - TS_BITS_MASK - 1 : ts;
}

/* -- out --------------------------------------------------------------------------------------- */

/* Without timestamps there is nowhere to keep the rest. */
static u8 agreed(const struct soft *s, const struct wire_tcp_segment *seg)
{
	u8 options = s->config.options & OUR_OPTIONS;

	if (!(seg->options.present & options & WIRE_OPT_TIMESTAMPS))
		return 0;
	if (!(seg->options.present & WIRE_OPT_SACK_PERMITTED))
		options &= (u8)~TCP_OPT_SACK;
	if (!(seg->options.present & WIRE_OPT_WSCALE))
		options &= (u8)~TCP_OPT_WSCALE;
	return options;
}
_Static_assert((int)WIRE_OPT_TIMESTAMPS == (int)TCP_OPT_TIMESTAMPS,
               "agreed() masks one with the other");

static u16 window(const struct soft_listener *l)
{
	return (u16)min_of(l->settings.rcv_buf_bytes, (u32)SYN_WINDOW_MAX);
}

void cookie_send(struct soft *s, struct soft_listener *l, const struct wire_tcp_segment *seg)
{
	const struct soft_route_entry *r = soft_way(s, &seg->flow.remote);
	u8 options = agreed(s, seg);
	struct wire_tcp tcp = {
		.seq = make(s, seg),
		.ack = seq_add(seg->seq, 1),
		.wnd = window(l),
		.flags = WIRE_SYN | WIRE_ACK,
		.options = {.present = WIRE_OPT_MSS, .wscale = s->config.rcv_wscale},
	};

	if (!r)
		return;
	tcp.options.mss = (u16)(r->mtu - (seg->ip_version == 4 ? 40 : 60));
	if (options & TCP_OPT_TIMESTAMPS) {
		tcp.options.present |= WIRE_OPT_TIMESTAMPS;
		tcp.options.ts_val = ts_with(s, seg, options);
		tcp.options.ts_ecr = seg->options.ts_val;
	}
	if (options & TCP_OPT_SACK)
		tcp.options.present |= WIRE_OPT_SACK_PERMITTED;
	if (options & TCP_OPT_WSCALE)
		tcp.options.present |= WIRE_OPT_WSCALE;
	l->cookie_ns = s->now_ns;
	s->counters.cookies_sent++;
	soft_send_segment(s, seg, &tcp);
}

/* -- back -------------------------------------------------------------------------------------- */

static void restore_options(const struct soft *s, const struct wire_tcp_segment *seg,
                            struct tcp_state *state)
{
	u32 bits = seg->options.ts_ecr & TS_BITS_MASK;

	if (!(s->config.options & seg->options.present & TCP_OPT_TIMESTAMPS))
		return;
	state->k.options = TCP_OPT_TIMESTAMPS;
	if (bits & TS_SACK)
		state->k.options |= TCP_OPT_SACK;
	if ((bits & TS_WSCALE) != TS_WSCALE) {
		state->k.options |= TCP_OPT_WSCALE;
		state->k.snd_wscale = bits & TS_WSCALE;
		state->k.rcv_wscale = s->config.rcv_wscale;
	}
	state->d.ts_recent = seg->options.ts_val;
	state->d.ts_offset = ts_offset(s, &seg->flow);
}

static void restore_windows(const struct soft_listener *l, const struct wire_tcp_segment *seg,
                            struct tcp_state *state)
{
	struct tcp_delegated *d = &state->d;
	u32 mss = state->k.peer_mss - (state->k.options & TCP_OPT_TIMESTAMPS ? TS_BYTES : 0);

	d->rcv_nxt = d->rcv_up = d->last_ack_sent = seg->seq;
	d->rcv_wnd = window(l);
	d->rcv_adv = seq_add(d->rcv_nxt, d->rcv_wnd);
	d->snd_una = d->snd_nxt = d->snd_max = d->snd_up = seg->ack;
	d->recovery_point = d->high_rxt = seg->ack;
	d->snd_wnd = d->max_snd_wnd = (u32)seg->wnd << state->k.snd_wscale;
	d->snd_wl1 = seg->seq;
	d->snd_wl2 = seg->ack;
	d->cwnd_bytes = min_of(INITIAL_WINDOW * mss, max_of(2 * mss, (u32)INITIAL_WINDOW_BYTES));
	d->ssthresh_bytes = UINT32_MAX;
}

static struct tcp_state restore(const struct soft *s, const struct soft_listener *l,
                                const struct wire_tcp_segment *seg, u16 mss)
{
	struct tcp_state state;

	memset(&state, 0, sizeof(state));
	state.k.local_port = seg->flow.local_port;
	state.k.remote_port = seg->flow.remote_port;
	state.k.peer_mss = mss;
	state.k.iss = seq_add(seg->ack, (u32)-1);
	state.k.irs = seq_add(seg->seq, (u32)-1);
	state.c = l->settings;
	state.d.state = TCP_ESTABLISHED;
	state.d.rto_ns = NS_PER_S; /* RFC 6298 2.1 */
	state.d.retransmit_left_ns = state.d.persist_left_ns = TIMER_STOPPED;
	state.d.keepalive_left_ns = state.d.fin_wait2_left_ns = TIMER_STOPPED;
	state.d.delayed_ack_left_ns = TIMER_STOPPED;
	state.d.send.buf = state.d.recv.buf = NIL;
	restore_options(s, seg, &state);
	restore_windows(l, seg, &state);
	return state;
}

static bool establish(struct soft *s, struct soft_listener *l, const struct wire_tcp_segment *seg,
                      u16 mss)
{
	const struct soft_route_entry *r = soft_way(s, &seg->flow.remote);
	struct tcp_state state = restore(s, l, seg, mss);
	struct soft_conn *c;
	u64 conn;
	u32 eng;

	if (!r || tcp_conn_import(s->engine, &state, r->path, s->now_ns, &eng))
		return false;
	conn = soft_add(s, soft_route_index(s, r), l->port, seg->flow.remote_port, eng);
	if (conn == SLOT_NO_HANDLE)
		return false;
	c = &s->conn[(u32)conn];
	c->listener = (u32)(l - s->listener);
	c->events = TCP_EV_ESTABLISHED;
	l->n_ready++;
	soft_list_add(s, c, LIST_ACCEPT);
	s->counters.cookies_ok++;
	return true;
}

enum listen_verdict cookie_input(struct soft *s, struct soft_listener *l,
                                 const struct rx_frame *frame, const struct wire_tcp_segment *seg)
{
	u16 mss;

	/* Nobody was given one lately: no forger gets a try. */
	if (l->cookie_ns == TIMER_STOPPED || s->now_ns - l->cookie_ns > COUNTS_TAKEN * count_ns)
		return LISTEN_NOT;
	if (!soft_csum_ok(s, frame, seg))
		return LISTEN_DONE;
	mss = check(s, seg);
	if (!mss) {
		s->counters.cookies_bad++;
		return LISTEN_NOT;
	}
	if (l->n_ready >= l->backlog) {
		s->counters.accept_full++;
		return LISTEN_DONE;
	}
	return establish(s, l, seg, mss) ? LISTEN_AGAIN : LISTEN_DONE;
}

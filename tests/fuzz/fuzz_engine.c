// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * A live connection between a hostile peer, an application, a clock, and somebody who moves it out
 * and back: the input says who does what next. Whatever it says, the connection's invariants hold
 * and every buffer comes back.
 *
 * First two bytes: options agreed, settings. Then one byte an action, and what the action needs.
 */
#include "fuzz.h"

#include "state/payload.h"
#include "tcp_invariants.h"
#include "tcp_script.h"

enum { ACTIONS_MAX = 400 };

struct run {
	struct fuzz_in in;
	struct script s;
	u64 at_ns;
	u32 right_edge; /* the farthest that the peer was promised */
};

static void flush(struct run *r)
{
	struct tx_batch tx = {r->s.tx, 0, SCRIPT_TX};
	bool more;

	do {
		more = tcp_flush(r->s.e, r->s.e->now_ns, &tx);
		for (u32 i = 0; i < tx.n; i++) {
			const struct tx_frame *f = &r->s.tx[i];
			struct wire_tcp_segment seg;

			FUZZ_MUST(!wire_parse_tcp(f->header + f->header_off, f->header_len,
			                          tx_frame_len(f), &seg));
			FUZZ_MUST(f->payload_len == seg.payload_len);
		}
		tx.n = 0;
	} while (more);
}

static struct peer segment(struct run *r, u8 how)
{
	const struct tcp_conn *c = script_conn(&r->s);
	struct fuzz_in *in = &r->in;
	struct peer p = {
		.flags = WIRE_ACK,
		.seq = c->rcv_nxt.n - SCRIPT_IRS,
		.ack = c->snd_una.n - SCRIPT_ISS,
		.wnd = 30000,
	};

	if (how & 1)
		p.len = fuzz_u16(in) % 3000;
	if (how & 2)
		p.seq += (u32)(s32)(s16)fuzz_u16(in);
	if (how & 4)
		p.ack += fuzz_u16(in) % ((u32)seq_diff(c->snd_max, c->snd_una) + 2);
	if (how & 8) {
		p.n_sack = 1 + fuzz_u8(in) % 3;
		for (u32 i = 0; i < p.n_sack; i++) {
			p.sack[i][0] = p.ack + fuzz_u16(in);
			p.sack[i][1] = p.sack[i][0] + fuzz_u16(in) % 4000;
		}
	}
	if (how & 16) {
		p.flags = fuzz_u8(in);
		p.urg = fuzz_u8(in);
		p.ecn = p.urg & 3;
	}
	if (how & 32) {
		p.wnd = fuzz_u16(in);
		p.zero_wnd = p.wnd == 0;
	}
	if (how & 64) {
		p.ts_val = c->ts_recent + (u32)(s32)(s16)fuzz_u16(in);
		p.ts_ecr = fuzz_u32(in);
		p.no_ts = !(p.ts_ecr & 7);
	}
	if (how & 128)
		p.gso_bytes = fuzz_u16(in) % 2000;
	return p;
}

static void raw(struct run *r)
{
	struct peer p = segment(r, fuzz_u8(&r->in));
	u32 edits = fuzz_u8(&r->in) % 8;
	static u8 bytes[65536];
	u32 len = script_build(&r->s, &p, bytes);

	for (u32 i = 0; i < edits; i++) {
		u32 at = fuzz_u8(&r->in);

		bytes[at < len ? at : len - 1] = fuzz_u8(&r->in);
	}
	script_frame(&r->s, bytes, len, FRAME_CSUM_VALID);
}

/* The same bytes in buffers of their own: what another engine would have. */
static struct data_ref copy_of(struct run *r, struct data_ref ref)
{
	struct data_ref copy = {.buf = NIL};
	struct payload_out out;
	struct payload_in in;
	const u8 *bytes;
	u32 n;

	payload_in_init(&in, &r->s.pool, &ref);
	payload_out_init(&out, &r->s.pool, &copy, ref.len);
	while ((n = payload_in_next(&in, &bytes)))
		FUZZ_MUST(!payload_out_write(&out, bytes, n));
	FUZZ_MUST(copy.len == ref.len);
	return copy;
}

/* Out, and back as a new connection. */
static void move(struct run *r)
{
	struct script *s = &r->s;
	struct tcp_state state;
	u32 before = s->conn;

	if (s->pool.n_free[BUF_SMALL] < 600 || s->pool.n_free[BUF_LARGE] < 10)
		return;
	if (script_conn(s)->state < TCP_ESTABLISHED || script_conn(s)->state == TCP_TIME_WAIT)
		return;
	memset(&state, 0, sizeof(state));
	tcp_conn_quiesce(s->e, before, s->e->now_ns, NULL);
	tcp_conn_export(s->e, before, s->e->now_ns, &state);
	if (tcp_state_check(&state))
		fprintf(stderr, "%s\n", tcp_state_check(&state));
	FUZZ_MUST(!tcp_state_check(&state));
	state.k = s->state.k;
	state.c = s->state.c;
	state.d.send = copy_of(r, state.d.send);
	state.d.recv = copy_of(r, state.d.recv);
	for (u32 i = 0; i < state.d.ooo.n; i++)
		state.d.ooo.seg[i].data = copy_of(r, state.d.ooo.seg[i].data);
	script_events(s);
	tcp_conn_free(s->e, before);
	FUZZ_MUST(!tcp_conn_import(s->e, &state, s->path, s->e->now_ns, &s->conn));
}

static void act(struct run *r)
{
	static u8 bytes[8192];
	struct script *s = &r->s;
	u8 what = fuzz_u8(&r->in);

	switch (what % 16) {
	case 0:
		tcp_send(s->e, s->conn, bytes, fuzz_u16(&r->in) % sizeof(bytes));
		break;
	case 1:
		tcp_recv(s->e, s->conn, bytes, fuzz_u16(&r->in) % sizeof(bytes));
		break;
	case 2:
		r->at_ns += (u64)(1 + fuzz_u8(&r->in)) << fuzz_u8(&r->in) % 28;
		script_at(s, r->at_ns);
		break;
	case 3:
		tcp_shutdown(s->e, s->conn);
		break;
	case 4:
		script_events(s);
		break;
	case 5:
		tcp_engine_rebuild(s->e, s->e->now_ns);
		break;
	case 6:
		move(r);
		break;
	case 7:
		if (s->pool.n_free[BUF_SMALL] > 1 && s->pool.n_free[BUF_LARGE])
			raw(r);
		break;
	case 8:
		s->state.c.nodelay = what >> 4 & 1;
		s->state.c.cork = what >> 5 & 1;
		s->state.c.rcv_buf_bytes = 1 + fuzz_u16(&r->in);
		tcp_conn_update(s->e, s->conn, &s->state.c, s->e->now_ns);
		break;
	case 9:
		tcp_path_set_valid(s->e, s->path, what >> 4 & 1);
		break;
	default:
		/* A port that has no buffer has lost the frame. */
		if (s->pool.n_free[BUF_SMALL] < 2 || !s->pool.n_free[BUF_LARGE])
			break;
		script_in(s, segment(r, fuzz_u8(&r->in)));
	}
	if (what & 128)
		flush(r);
}

static void begin(struct run *r)
{
	u8 options = fuzz_u8(&r->in);
	u8 settings = fuzz_u8(&r->in);
	struct script *s = &r->s;

	script_init(s);
	s->state.k.options =
		options & (TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE | TCP_OPT_ECN);
	if (s->state.k.options & TCP_OPT_ECN)
		s->state.d.ecn_state = TCP_ECN_AGREED;
	if (s->state.k.options & TCP_OPT_WSCALE)
		s->state.k.snd_wscale = s->state.k.rcv_wscale = settings % 15;
	s->state.c.nodelay = settings >> 4 & 1;
	s->state.c.keepalive = settings >> 5 & 1;
	s->state.c.keepalive_probes = 3;
	s->state.c.keepalive_idle_ns = NS_PER_S;
	s->state.c.keepalive_interval_ns = NS_PER_S;
	s->state.c.cc_algorithm = (settings >> 6) % TCP_CC_ALGORITHMS;
	s->state.c.max_pacing_rate = options & 128 ? 100000 : 0;
	script_start(s);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct run r;

	r = (struct run){.in = {data, size}};
	begin(&r);
	for (u32 i = 0; i < ACTIONS_MAX && r.in.left; i++) {
		act(&r);
		tcp_invariants(r.s.e, &r.s.pool, script_conn(&r.s));
	}
	tcp_path_set_valid(r.s.e, r.s.path, true);
	flush(&r);
	script_end(&r.s);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * TIME_WAIT: the engine keeps the state and its 2 MSL. Here is what ends it early: a new SYN that
 * cannot be an old one (RFC 6191, RFC 1122 4.2.2.13), or want of room. A RST does not, unless that
 * is asked for (RFC 1337 3, fix 1).
 */
#include "host/soft/priv.h"

enum { ISS_STEP = 65537 }; /* beyond any window that was not scaled */

/* RFC 6191 2: the timestamp is later; or the same, or there is none, and the number is. */
static bool is_new(const struct tcp_state *old, const struct wire_tcp_segment *seg)
{
	bool had = old->k.options & TCP_OPT_TIMESTAMPS;
	bool has = seg->options.present & WIRE_OPT_TIMESTAMPS;

	if (had && has && seg->options.ts_val != old->d.ts_recent)
		return (s32)(seg->options.ts_val - old->d.ts_recent) > 0;
	return seq_gt(seg->seq, old->d.rcv_nxt);
}

static void reuse(struct soft *s, struct soft_conn *c, const struct tcp_state *old)
{
	s->counters.time_wait_reused++;
	s->has_iss = true;
	s->iss = seq_add(old->d.snd_max, ISS_STEP);
	soft_end(s, c, 0);
}

bool time_wait_before(struct soft *s, const struct rx_frame *frame,
                      const struct wire_tcp_segment *seg)
{
	struct soft_conn *c;
	struct tcp_state state;

	s->has_iss = false;
	if (!s->conns[LIST_TIME_WAIT].n || !(seg->flags & (WIRE_SYN | WIRE_RST)))
		return false;
	c = soft_find_flow(s, &seg->flow);
	if (!c || c->eng == NIL || c->list != LIST_TIME_WAIT || c->frozen)
		return false;
	if (seg->flags & WIRE_RST) {
		s->counters.time_wait_rsts++;
		return !s->config.rst_ends_time_wait;
	}
	tcp_conn_export(s->engine, c->eng, s->now_ns, &state);
	if (!(seg->flags & WIRE_ACK) && soft_find_listener(s, seg->flow.local_port) &&
	    is_new(&state, seg) && soft_csum_ok(s, frame, seg))
		reuse(s, c, &state);
	return false;
}

bool time_wait_recycle(struct soft *s)
{
	for (u32 i = s->conns[LIST_TIME_WAIT].head; i != NIL; i = s->conn[i].next) {
		if (!s->conn[i].orphan || s->conn[i].frozen)
			continue;
		s->counters.time_wait_recycled++;
		soft_drop(s, &s->conn[i]);
		return true;
	}
	return false;
}

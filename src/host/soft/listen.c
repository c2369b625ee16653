/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Listeners: two bounded queues each, of half-open connections and of those that wait to be
 * accepted. Once the first is full a SYN is answered with a cookie (cookie.c); once the second is
 * full, SYNs and the last segments of handshakes are dropped, and the peer tries again.
 */
#include <errno.h>

#include "host/soft/priv.h"

enum { FLAGS_OF_OPENING = WIRE_SYN | WIRE_ACK | WIRE_RST };

struct soft_listener *soft_find_listener(const struct soft *s, u16 port)
{
	for (u32 i = 0; port && i < s->config.max_listeners; i++) {
		if (s->listener[i].port == port)
			return &s->listener[i];
	}
	return NULL;
}

int soft_listen_with(struct soft *s, const struct soft_listen_params *params)
{
	if (!params->port)
		return -EINVAL;
	if (soft_find_listener(s, params->port))
		return -EADDRINUSE;
	for (u32 i = 0; i < s->config.max_listeners; i++) {
		struct soft_listener *l = &s->listener[i];

		if (l->port)
			continue;
		*l = (struct soft_listener){
			.port = params->port,
			.cookies = params->cookies,
			.backlog = params->backlog ? params->backlog : UINT32_MAX,
			.half_open = params->half_open ? params->half_open : UINT32_MAX,
			.cookie_ns = TIMER_STOPPED,
			.settings = params->settings ? *params->settings : s->config.settings,
		};
		return 0;
	}
	return -ENOSPC;
}

int soft_listen(struct soft *s, u16 port)
{
	return soft_listen_with(s, &(struct soft_listen_params){.port = port});
}

/* RFC 9293 3.10.4: whoever is in SYN_RECEIVED by it loses the connection; those that are open and
 * will never be accepted are told. */
int soft_unlisten(struct soft *s, u16 port)
{
	struct soft_listener *l = soft_find_listener(s, port);
	u32 index;

	if (!l)
		return -ENOENT;
	index = (u32)(l - s->listener);
	for (u32 i = 0; i < s->config.engine.max_connections; i++) {
		struct soft_conn *c = &s->conn[i];

		if (!slots_is_taken(&s->slots, i) || c->listener != index)
			continue;
		c->listener = NIL;
		soft_list_remove(s, c);
		c->orphan = true;
		tcp_abort(s->engine, c->eng);
	}
	l->port = 0;
	soft_collect(s);
	return 0;
}

/* -- handshakes -------------------------------------------------------------------------------- */

static bool is_full(const struct soft_listener *l)
{
	return l->n_ready >= l->backlog;
}

static int open_engine(struct soft *s, const struct rx_frame *frame,
                       const struct tcp_open_params *p, u32 *ret_eng)
{
	int err = tcp_open_passive(s->engine, frame, p, s->now_ns, ret_eng);

	if (err == -ENOSPC && time_wait_recycle(s))
		err = tcp_open_passive(s->engine, frame, p, s->now_ns, ret_eng);
	return err;
}

static void open_half(struct soft *s, struct soft_listener *l, const struct rx_frame *frame,
                      const struct wire_tcp_segment *seg)
{
	const struct soft_route_entry *r = soft_way(s, &seg->flow.remote);
	struct tcp_open_params p;
	struct soft_conn *c;
	u64 conn;
	u32 eng;

	if (!r)
		return;
	p = soft_open_params(s, soft_route_index(s, r), l->port, seg->flow.remote_port);
	p.settings = l->settings;
	p.has_iss = s->has_iss;
	p.iss = s->iss;
	s->has_iss = false;
	if (open_engine(s, frame, &p, &eng)) {
		s->counters.syn_dropped++;
		return;
	}
	conn = soft_add(s, soft_route_index(s, r), l->port, seg->flow.remote_port, eng);
	if (conn == SLOT_NO_HANDLE) {
		s->counters.syn_dropped++;
		return;
	}
	c = &s->conn[(u32)conn];
	c->opening = true;
	s->n_opening++;
	c->listener = (u32)(l - s->listener);
	l->n_half++;
	soft_list_add(s, c, LIST_HALF);
}

static void syn_input(struct soft *s, struct soft_listener *l, const struct rx_frame *frame,
                      const struct wire_tcp_segment *seg)
{
	bool flood = l->n_half >= l->half_open;

	if (is_full(l) || (flood && l->cookies == SOFT_COOKIES_NEVER)) {
		s->counters.syn_dropped++;
		return;
	}
	if (!flood && l->cookies != SOFT_COOKIES_ALWAYS)
		open_half(s, l, frame, seg);
	else if (soft_csum_ok(s, frame, seg))
		cookie_send(s, l, seg);
}

/* RFC 9293 3.10.7.2, in its order. */
enum listen_verdict listen_input(struct soft *s, const struct rx_frame *frame,
                                 const struct wire_tcp_segment *seg)
{
	struct soft_listener *l = soft_find_listener(s, seg->flow.local_port);

	if (!l)
		return LISTEN_NOT;
	if (seg->flags & WIRE_RST)
		return LISTEN_DONE;
	if (seg->flags & WIRE_ACK)
		return seg->flags & WIRE_SYN ? LISTEN_NOT : cookie_input(s, l, frame, seg);
	if (seg->flags & WIRE_SYN)
		syn_input(s, l, frame, seg);
	return LISTEN_DONE;
}

void listen_established(struct soft *s, struct soft_conn *c)
{
	struct soft_listener *l = &s->listener[c->listener];

	l->n_half--;
	l->n_ready++;
	soft_list_add(s, c, LIST_ACCEPT);
}

/* -- before the engine ------------------------------------------------------------------------- */

static bool in_window(const struct tcp_state *state, const struct wire_tcp_segment *seg)
{
	return seq_geq(seg->seq, state->d.rcv_nxt) && seq_leq(seg->seq, state->d.rcv_adv);
}

/* RFC 9293 3.10.7.3 first, 3.10.7.4 fifth: an ACK of what was never sent is of some other time. */
static bool acks_nothing(const struct tcp_state *state, const struct wire_tcp_segment *seg)
{
	if (!(seg->flags & WIRE_ACK) || seg->flags & WIRE_RST)
		return false;
	if (state->d.state == TCP_SYN_SENT)
		return seq_leq(seg->ack, state->k.iss) || seq_gt(seg->ack, state->d.snd_max);
	return !(seg->flags & WIRE_SYN) && in_window(state, seg) &&
	       !seq_eq(seg->ack, state->d.snd_max);
}

bool listen_before(struct soft *s, const struct rx_frame *frame, const struct wire_tcp_segment *seg)
{
	const struct soft_conn *c;
	struct tcp_state state;
	u8 name;

	if (!s->n_opening)
		return false;
	c = soft_find_flow(s, &seg->flow);
	if (!c || c->eng == NIL || c->frozen)
		return false;
	name = tcp_conn_state(s->engine, c->eng);
	if (name != TCP_SYN_SENT && name != TCP_SYN_RECEIVED)
		return false;
	tcp_conn_export(s->engine, c->eng, s->now_ns, &state);
	if (acks_nothing(&state, seg)) {
		reset_for(s, frame, seg);
		return true;
	}
	/* The connection stays half-open, and is asked for again by either side. */
	if (c->list == LIST_HALF && is_full(&s->listener[c->listener]) &&
	    (seg->flags & FLAGS_OF_OPENING) == WIRE_ACK) {
		s->counters.accept_full++;
		return true;
	}
	return false;
}

/* -- time -------------------------------------------------------------------------------------- */

void listen_timers(struct soft *s)
{
	const struct soft_list *l = &s->conns[LIST_HALF];

	while (l->head != NIL && listen_deadline(s) <= s->now_ns) {
		s->counters.half_expired++;
		soft_drop(s, &s->conn[l->head]);
	}
}

u64 listen_deadline(const struct soft *s)
{
	u32 head = s->conns[LIST_HALF].head;

	return head == NIL ? TIMER_STOPPED : s->conn[head].born_ns + s->config.syn_received_ns;
}

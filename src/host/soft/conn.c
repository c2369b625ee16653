/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Connections: the application's calls, their names, and the lists that they stand on. */
#include <errno.h>

#include "host/soft/priv.h"

enum {
	PORT_FIRST = 32768, /* RFC 6335 6 would have 49152; Linux's range */
	PORT_COUNT = 28232,
};

/* -- lists ------------------------------------------------------------------------------------- */

void soft_list_add(struct soft *s, struct soft_conn *c, enum soft_conn_list list)
{
	struct soft_list *l = &s->conns[list];
	u32 index = (u32)(c - s->conn);

	soft_list_remove(s, c);
	c->list = (u8)list;
	c->prev = l->tail;
	c->next = NIL;
	if (l->tail == NIL)
		l->head = index;
	else
		s->conn[l->tail].next = index;
	l->tail = index;
	l->n++;
}

void soft_list_remove(struct soft *s, struct soft_conn *c)
{
	struct soft_list *l = &s->conns[c->list];

	if (c->list == LIST_NONE)
		return;
	if (c->prev == NIL)
		l->head = c->next;
	else
		s->conn[c->prev].next = c->next;
	if (c->next == NIL)
		l->tail = c->prev;
	else
		s->conn[c->next].prev = c->prev;
	l->n--;
	c->list = LIST_NONE;
}

/* -- names ------------------------------------------------------------------------------------- */

struct soft_conn *soft_find(const struct soft *s, u64 conn)
{
	u32 index = slots_find(&s->slots, conn);

	return index == NIL ? NULL : &s->conn[index];
}

struct soft_conn *soft_find_flow(const struct soft *s, const struct flow_key *flow)
{
	if (!soft_is_local(s, &flow->local))
		return NULL;
	flowtab_for_each (&s->flows, flow_key_hash(&s->key, flow), index) {
		struct soft_conn *c = &s->conn[index];

		if (c->local_port == flow->local_port && c->remote_port == flow->remote_port &&
		    ip_addr_eq(&c->remote, &flow->remote))
			return c;
	}
	return NULL;
}

static struct flow_key flow_of(const struct soft *s, const struct soft_conn *c)
{
	return (struct flow_key){*soft_local_for(s, &c->remote), c->remote, c->local_port,
	                         c->remote_port};
}

/* One that has ended and was not yet closed by the application gives its name on the wire up. */
static void unlink_flow(struct soft *s, struct soft_conn *c)
{
	if (c->in_flows)
		flowtab_remove(&s->flows, c->hash, (u32)(c - s->conn));
	c->in_flows = false;
}

u64 soft_add(struct soft *s, u32 route, u16 local_port, u16 remote_port, u32 eng)
{
	u64 conn = slots_take(&s->slots);
	struct soft_conn *c = &s->conn[(u32)conn], *old;
	struct flow_key flow;

	/* We have as many as the engine, but those that moved away count here too. */
	if (conn == SLOT_NO_HANDLE) {
		tcp_conn_free(s->engine, eng);
		return conn;
	}
	*c = (struct soft_conn){
		.remote = s->route[route].remote,
		.eng = eng,
		.route = route,
		.local_port = local_port,
		.remote_port = remote_port,
		.listener = NIL,
		.born_ns = s->now_ns,
	};
	s->route[route].conns++;
	s->of_engine[eng] = (u32)conn;
	flow = flow_of(s, c);
	old = soft_find_flow(s, &flow);
	if (old)
		unlink_flow(s, old);
	c->hash = flow_key_hash(&s->key, &flow);
	c->in_flows = !flowtab_insert(&s->flows, c->hash, (u32)conn);
	return conn;
}

static void opened(struct soft *s, struct soft_conn *c)
{
	s->n_opening -= c->opening;
	c->opening = false;
}

static void leave_listener(struct soft *s, struct soft_conn *c)
{
	if (c->listener == NIL)
		return;
	if (c->list == LIST_HALF)
		s->listener[c->listener].n_half--;
	else
		s->listener[c->listener].n_ready--;
	c->listener = NIL;
}

void soft_drop(struct soft *s, struct soft_conn *c)
{
	u64 conn = slots_handle(&s->slots, (u32)(c - s->conn));

	opened(s, c);
	leave_listener(s, c);
	soft_list_remove(s, c);
	unlink_flow(s, c);
	if (c->eng != NIL)
		tcp_conn_free(s->engine, c->eng);
	s->route[c->route].conns--;
	(void)!slots_release(&s->slots, conn);
}

/* -- opening ----------------------------------------------------------------------------------- */

struct tcp_open_params soft_open_params(const struct soft *s, u32 route, u16 local_port,
                                        u16 remote_port)
{
	return (struct tcp_open_params){
		.path = s->route[route].path,
		.local_port = local_port,
		.remote_port = remote_port,
		.options = s->config.options,
		.rcv_wscale = s->config.rcv_wscale,
		.mss = s->config.mss,
		.settings = s->config.settings,
	};
}

/* RFC 6056 3.3.3: begin where a keyed hash of the peer says, go on from there. */
static u16 choose_port(struct soft *s, const struct ip_addr *remote, u16 remote_port)
{
	struct flow_key flow = {*soft_local_for(s, remote), *remote, 0, remote_port};
	u32 from = flow_key_hash(&s->key, &flow);

	for (u32 i = 0; i < PORT_COUNT; i++) {
		flow.local_port = (u16)(PORT_FIRST + (from + i) % PORT_COUNT);
		if (!soft_find_flow(s, &flow) && !soft_find_listener(s, flow.local_port))
			return flow.local_port;
	}
	return 0;
}

int soft_connect(struct soft *s, const struct ip_addr *remote, u16 remote_port, u16 local_port,
                 u64 *ret_conn)
{
	const struct soft_route_entry *r;
	struct tcp_open_params p;
	u64 conn;
	u32 eng;
	int err;

	if (soft_is_nobody(s, remote))
		return -ENETUNREACH;
	r = soft_way(s, remote);
	if (!r)
		return -ENOENT;
	if (!local_port)
		local_port = choose_port(s, remote, remote_port);
	if (!local_port)
		return -EADDRNOTAVAIL;
	p = soft_open_params(s, soft_route_index(s, r), local_port, remote_port);
	err = tcp_open(s->engine, &p, s->now_ns, &eng);
	if (err == -ENOSPC && time_wait_recycle(s))
		err = tcp_open(s->engine, &p, s->now_ns, &eng);
	if (err)
		return err;
	conn = soft_add(s, soft_route_index(s, r), local_port, remote_port, eng);
	if (conn == SLOT_NO_HANDLE)
		return -ENOSPC;
	s->conn[(u32)conn].opening = true;
	s->n_opening++;
	*ret_conn = conn;
	return 0;
}

bool soft_accept(struct soft *s, u64 *ret_conn)
{
	u32 index = s->conns[LIST_ACCEPT].head;

	if (index == NIL)
		return false;
	leave_listener(s, &s->conn[index]);
	soft_list_remove(s, &s->conn[index]);
	*ret_conn = slots_handle(&s->slots, index);
	return true;
}

/* -- closing ----------------------------------------------------------------------------------- */

void soft_close(struct soft *s, u64 conn)
{
	struct soft_conn *c = soft_find(s, conn);

	if (c)
		soft_drop(s, c);
}

/* RFC 1122 4.2.2.13, RFC 9293 3.6.1: what nobody will read is lost, and the peer must know. */
static void abort_unread(struct soft *s, struct soft_conn *c)
{
	if (tcp_recv_pending(s->engine, c->eng))
		tcp_abort(s->engine, c->eng);
}

int soft_release(struct soft *s, u64 conn)
{
	struct soft_conn *c = soft_find(s, conn);

	if (!c)
		return -ESTALE;
	if (c->eng == NIL || c->frozen)
		return -ENXIO;
	c->orphan = true;
	if (tcp_conn_state(s->engine, c->eng) == TCP_CLOSED) {
		soft_drop(s, c);
		return 0;
	}
	abort_unread(s, c);
	tcp_shutdown(s->engine, c->eng);
	return 0;
}

/* -- looking ----------------------------------------------------------------------------------- */

u8 soft_state(const struct soft *s, u64 conn)
{
	const struct soft_conn *c = soft_find(s, conn);

	return !c || c->eng == NIL ? TCP_CLOSED : tcp_conn_state(s->engine, c->eng);
}

int soft_error(const struct soft *s, u64 conn)
{
	const struct soft_conn *c = soft_find(s, conn);

	return c ? c->soft_error : 0;
}

u32 soft_take_events(struct soft *s, u64 conn)
{
	struct soft_conn *c = soft_find(s, conn);
	u32 events = c ? c->events : 0;

	if (c)
		c->events = 0;
	return events;
}

bool soft_look(struct soft *s, u64 conn, struct tcp_state *ret_state)
{
	const struct soft_conn *c = soft_find(s, conn);

	if (!c || c->eng == NIL)
		return false;
	tcp_conn_export(s->engine, c->eng, s->now_ns, ret_state);
	return true;
}

/* -- what the engine tells --------------------------------------------------------------------- */

/* Forward progress, or the lack of it (RFC 4861 7.3.1, RFC 9293 3.8.3). */
static void advise(struct soft *s, struct soft_conn *c, u32 events)
{
	struct soft_route_entry *r = &s->route[c->route];
	struct soft_neighbor_entry *n = &s->neighbor[r->neighbor];

	if (events & (TCP_EV_ESTABLISHED | TCP_EV_ACKED | TCP_EV_FIN_ACKED)) {
		neighbor_confirm(s, n);
		pmtu_progress(s, c);
		c->soft_error = 0;
	}
	if (events & TCP_EV_SOFT_ERROR) {
		neighbor_doubt(s, n);
		pmtu_stalled(s, r, tcp_send_pending(s->engine, c->eng));
	}
}

static void closed(struct soft *s, struct soft_conn *c)
{
	opened(s, c);
	unlink_flow(s, c);
	/* RFC 9293 3.10.7.4: one that a listener had opened returns to LISTEN, and nobody knows.
	 * Any other stays until soft_close(): bytes may lie unread. */
	if (c->list == LIST_HALF || c->orphan)
		soft_drop(s, c);
	else if (c->list == LIST_TIME_WAIT)
		soft_list_remove(s, c);
}

void soft_end(struct soft *s, struct soft_conn *c, u32 events)
{
	tcp_conn_free(s->engine, c->eng);
	c->eng = NIL;
	c->events |= events | TCP_EV_CLOSED;
	closed(s, c);
}

void soft_conn_event(struct soft *s, const struct tcp_event *e)
{
	struct soft_conn *c = &s->conn[s->of_engine[e->conn]];

	c->events |= e->events;
	advise(s, c, e->events);
	if (e->events & TCP_EV_ESTABLISHED) {
		opened(s, c);
		if (c->list == LIST_HALF)
			listen_established(s, c);
	}
	if (e->events & TCP_EV_TIME_WAIT)
		soft_list_add(s, c, LIST_TIME_WAIT);
	if (e->events & TCP_EV_CLOSED)
		closed(s, c);
	else if (c->orphan && e->events & TCP_EV_READABLE)
		abort_unread(s, c);
}

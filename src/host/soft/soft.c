/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "host/soft/priv.h"
#include "tcp/verdict.h"
#include "wire/parse.h"

enum {
	PAGE_BYTES = 4096,
	IP_ID_HALF = 32768,
};

/* -- memory ------------------------------------------------------------------------------------ */

struct layout {
	u8 *mem;
	size_t bytes;
};

static void *take(struct layout *l, size_t bytes)
{
	void *at = l->mem ? l->mem + l->bytes : NULL;

	l->bytes += (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
	return at;
}

struct parts {
	struct soft *s;
	void *arena, *slots;
};

static struct parts lay_out(struct layout *l, const struct soft_config *k)
{
	const struct tcp_engine_config *e = &k->engine;
	struct parts p;
	struct soft all;

	memset(&all, 0, sizeof(all));
	p.arena = take(l, tcp_engine_arena_bytes(e)); /* first: it wants a page */
	p.s = take(l, sizeof(*p.s));
	all.engine = take(l, tcp_engine_bytes());
	p.slots = take(l, slots_bytes(e->max_connections));
	all.conn = take(l, e->max_connections * sizeof(*all.conn));
	all.of_engine = take(l, e->max_connections * sizeof(*all.of_engine));
	all.route = take(l, e->max_paths * sizeof(*all.route));
	all.neighbor = take(l, e->max_neighbors * sizeof(*all.neighbor));
	all.listener = take(l, k->max_listeners * sizeof(*all.listener));
	if (p.s)
		*p.s = all;
	return p;
}

size_t soft_bytes(const struct soft_config *config)
{
	struct layout l = {.mem = NULL};

	lay_out(&l, config);
	return (l.bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

struct soft *soft_init(void *mem, const struct soft_config *config, struct buf_pool *pool)
{
	struct layout l = {.mem = mem};
	struct parts p = lay_out(&l, config);
	struct soft *s = p.s;

	s->config = *config;
	s->pool = pool;
	s->accept_head = NIL;
	s->accept_tail = NIL;
	slots_init(&s->slots, p.slots, config->engine.max_connections);
	tcp_engine_init(s->engine, p.arena, &config->engine, pool);
	return s;
}

/* -- routes and neighbors ---------------------------------------------------------------------- */

static struct soft_neighbor_entry *find_neighbor(const struct soft *s, const struct ip_addr *hop)
{
	for (u32 i = 0; i < s->n_neighbors; i++) {
		if (ip_addr_eq(&s->neighbor[i].next_hop, hop))
			return &s->neighbor[i];
	}
	return NULL;
}

struct soft_route_entry *soft_find_route(const struct soft *s, const struct ip_addr *remote)
{
	for (u32 i = 0; i < s->n_routes; i++) {
		if (ip_addr_eq(&s->route[i].remote, remote))
			return &s->route[i];
	}
	return NULL;
}

static struct neighbor_state neighbor_state(const struct soft *s,
                                            const struct soft_neighbor_entry *n)
{
	return (struct neighbor_state){
		.k = {.source_mac = s->config.mac, .port = n->port, .encapsulations = 1},
		.c = {.next_hop_mac = n->mac, .header_format = LINK_DIX},
	};
}

int soft_neighbor(struct soft *s, const struct ip_addr *next_hop, const struct mac_addr *mac,
                  u32 port)
{
	struct soft_neighbor_entry *n = find_neighbor(s, next_hop);
	struct neighbor_state state;
	int err;

	if (n) {
		n->mac = *mac;
		state = neighbor_state(s, n);
		tcp_neighbor_update(s->engine, n->eng, &state.c);
		return 0;
	}
	if (s->n_neighbors == s->config.engine.max_neighbors)
		return -ENOSPC;
	n = &s->neighbor[s->n_neighbors];
	*n = (struct soft_neighbor_entry){.next_hop = *next_hop, .mac = *mac, .port = port};
	state = neighbor_state(s, n);
	err = tcp_neighbor_add(s->engine, &state, &n->eng);
	if (!err)
		s->n_neighbors++;
	return err;
}

static struct path_state path_state(const struct soft *s, const struct soft_route_entry *r)
{
	return (struct path_state){
		.k = {.local_addr = s->config.local,
	              .remote_addr = r->remote,
	              .ip_id_start = r->ip_id_start,
	              .ip_id_confined = s->config.ip_id_confined},
		.c = {.path_mtu = r->mtu},
	};
}

/* Our own half begins where the device's ends (R61). */
static int add_path(struct soft *s, struct soft_route_entry *r)
{
	struct path_state state = path_state(s, r);

	state.k.ip_id_start = (u16)(r->ip_id_start + IP_ID_HALF);
	state.d.next_ip_id = state.k.ip_id_start;
	return tcp_path_add(s->engine, &state, s->neighbor[r->neighbor].eng, &r->path);
}

int soft_route(struct soft *s, const struct ip_addr *remote, const struct ip_addr *next_hop,
               u32 mtu)
{
	const struct soft_neighbor_entry *n = find_neighbor(s, next_hop);
	struct soft_route_entry *r = soft_find_route(s, remote);
	int err;

	if (!n)
		return -ENOENT;
	if (r) {
		r->mtu = mtu;
		r->neighbor = (u32)(n - s->neighbor);
		tcp_path_update(s->engine, r->path, &(struct path_cached){.path_mtu = mtu});
		tcp_path_set_neighbor(s->engine, r->path, n->eng);
		return 0;
	}
	if (s->n_routes == s->config.engine.max_paths)
		return -ENOSPC;
	r = &s->route[s->n_routes];
	*r = (struct soft_route_entry){
		.remote = *remote, .neighbor = (u32)(n - s->neighbor), .mtu = mtu};
	r->ip_id_start = (u16)(0x1234 + 0x3456 * s->n_routes);
	err = add_path(s, r);
	if (!err)
		s->n_routes++;
	return err;
}

int soft_path_key(const struct soft *s, const struct ip_addr *remote, struct path_key *ret_key)
{
	const struct soft_route_entry *r = soft_find_route(s, remote);

	if (!r)
		return -ENOENT;
	*ret_key = (struct path_key){.local = s->config.local, .remote = *remote};
	return 0;
}

int soft_neighbor_key(const struct soft *s, const struct ip_addr *next_hop,
                      struct neighbor_key *ret_key, struct neighbor_state *ret_state)
{
	const struct soft_neighbor_entry *n = find_neighbor(s, next_hop);

	if (!n)
		return -ENOENT;
	*ret_key = (struct neighbor_key){.next_hop = *next_hop, .port = n->port};
	if (ret_state)
		*ret_state = neighbor_state(s, n);
	return 0;
}

/* -- connections ------------------------------------------------------------------------------- */

struct soft_conn *soft_find(const struct soft *s, u64 conn)
{
	u32 index = slots_find(&s->slots, conn);

	return index == NIL ? NULL : &s->conn[index];
}

int soft_listen(struct soft *s, u16 port)
{
	if (s->n_listeners == s->config.max_listeners)
		return -ENOSPC;
	s->listener[s->n_listeners++] = port;
	return 0;
}

static struct tcp_open_params params(const struct soft *s, const struct soft_route_entry *r,
                                     u16 local_port, u16 remote_port)
{
	return (struct tcp_open_params){
		.path = r->path,
		.local_port = local_port,
		.remote_port = remote_port,
		.options = s->config.options,
		.rcv_wscale = s->config.rcv_wscale,
		.mss = s->config.mss,
		.settings = s->config.settings,
	};
}

static u64 add(struct soft *s, const struct ip_addr *remote, const struct tcp_open_params *p,
               u32 eng)
{
	u64 conn = slots_take(&s->slots);

	/* We have as many as the engine, but those that moved away count here too. */
	if (conn == SLOT_NO_HANDLE) {
		tcp_conn_free(s->engine, eng);
		return conn;
	}
	s->conn[(u32)conn] = (struct soft_conn){
		.remote = *remote,
		.eng = eng,
		.local_port = p->local_port,
		.remote_port = p->remote_port,
	};
	s->of_engine[eng] = (u32)conn;
	return conn;
}

int soft_connect(struct soft *s, const struct ip_addr *remote, u16 remote_port, u16 local_port,
                 u64 *ret_conn)
{
	const struct soft_route_entry *r = soft_find_route(s, remote);
	struct tcp_open_params p;
	u64 conn;
	u32 eng;
	int err;

	if (!r)
		return -ENOENT;
	p = params(s, r, local_port, remote_port);
	err = tcp_open(s->engine, &p, s->now_ns, &eng);
	if (err)
		return err;
	conn = add(s, remote, &p, eng);
	if (conn == SLOT_NO_HANDLE)
		return -ENOSPC;
	*ret_conn = conn;
	return 0;
}

static bool listens(const struct soft *s, u16 port)
{
	for (u32 i = 0; i < s->n_listeners; i++) {
		if (s->listener[i] == port)
			return true;
	}
	return false;
}

/* A SYN for a listener; false: it is none. */
static bool open_passive(struct soft *s, const struct rx_frame *frame)
{
	const struct buf *b = buf_at(s->pool, frame->buf);
	const struct soft_route_entry *r;
	struct wire_tcp_segment seg;
	struct tcp_open_params p;
	u64 conn;
	u32 eng;

	if (wire_parse_tcp(buf_data(s->pool, frame->buf), b->len, frame->len, &seg) != WIRE_OK ||
	    (seg.flags & (WIRE_SYN | WIRE_ACK | WIRE_RST)) != WIRE_SYN ||
	    !listens(s, seg.flow.local_port) || !ip_addr_eq(&seg.flow.local, &s->config.local))
		return false;
	r = soft_find_route(s, &seg.flow.remote);
	if (!r)
		return false;
	p = params(s, r, seg.flow.local_port, seg.flow.remote_port);
	if (tcp_open_passive(s->engine, frame, &p, s->now_ns, &eng))
		return true; /* no room: the peer tries again */
	conn = add(s, &seg.flow.remote, &p, eng);
	if (conn != SLOT_NO_HANDLE)
		s->conn[(u32)conn].passive = true;
	return true;
}

bool soft_accept(struct soft *s, u64 *ret_conn)
{
	u32 index = s->accept_head;

	if (index == NIL)
		return false;
	s->accept_head = s->conn[index].accept_next;
	*ret_conn = slots_handle(&s->slots, index);
	return true;
}

void soft_close(struct soft *s, u64 conn)
{
	struct soft_conn *c = soft_find(s, conn);

	if (!c)
		return;
	if (c->eng != NIL)
		tcp_conn_free(s->engine, c->eng);
	(void)!slots_release(&s->slots, conn);
}

u8 soft_state(const struct soft *s, u64 conn)
{
	const struct soft_conn *c = soft_find(s, conn);

	return !c || c->eng == NIL ? TCP_CLOSED : tcp_conn_state(s->engine, c->eng);
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

/* -- the cycle --------------------------------------------------------------------------------- */

void soft_input(struct soft *s, struct rx_frame *frame)
{
	tcp_input(s->engine, frame, 1, s->now_ns);
	if (frame->verdict == FRAME_CONSUMED)
		return;
	if (frame->verdict == FRAME_TO_HOST && !open_passive(s, frame))
		s->counters.strays++;
	buf_put_chain(s->pool, frame->buf);
}

void soft_set_time(struct soft *s, u64 now_ns)
{
	s->now_ns = now_ns;
}

void soft_timers(struct soft *s, u64 now_ns)
{
	s->now_ns = now_ns;
	tcp_timers(s->engine, now_ns);
}

static void event(struct soft *s, const struct tcp_event *e)
{
	u32 index = s->of_engine[e->conn];
	struct soft_conn *c = &s->conn[index];

	c->events |= e->events;
	if (e->events & TCP_EV_ESTABLISHED && c->passive) {
		c->passive = false;
		c->accept_next = NIL;
		if (s->accept_head == NIL)
			s->accept_head = index;
		else
			s->conn[s->accept_tail].accept_next = index;
		s->accept_tail = index;
	}
	/* One that is closed stays until soft_close(): bytes may lie unread. */
}

void soft_events(struct soft *s)
{
	struct tcp_event events[SOFT_EVENTS];
	u32 n;

	while ((n = tcp_events(s->engine, events, SOFT_EVENTS))) {
		for (u32 i = 0; i < n; i++)
			event(s, &events[i]);
	}
}

bool soft_flush(struct soft *s, struct tx_batch *tx, u64 now_ns)
{
	u32 n = min_of(s->n_acks, tx->cap - tx->n);

	s->now_ns = now_ns;
	memcpy(tx->frames + tx->n, s->acks, n * sizeof(s->acks[0]));
	tx->n += n;
	s->n_acks -= n;
	memmove(s->acks, s->acks + n, s->n_acks * sizeof(s->acks[0]));
	return tcp_flush(s->engine, now_ns, tx) || s->n_acks;
}

u64 soft_next_deadline(const struct soft *s)
{
	return tcp_next_deadline(s->engine);
}

void soft_fail(struct soft *s, enum soft_fault fault, u32 nth)
{
	s->fail_in[fault] = nth;
}

const struct soft_counters *soft_counters(const struct soft *s)
{
	return &s->counters;
}

const struct tcp_engine_counters *soft_engine_counters(const struct soft *s)
{
	return tcp_engine_counters(s->engine);
}

struct tcp_engine *soft_engine(struct soft *s)
{
	return s->engine;
}

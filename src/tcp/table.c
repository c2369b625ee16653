/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Slots of neighbors, paths and connections, and what is derived when one of them changes. */
#include "tcp/pacing.h"

#include <errno.h>

enum {
	ETHERTYPE_IPV4 = 0x0800,
	IP_PROTO_TCP = 6,
	MTU_MIN = 256, /* less leaves no room for headers and MIN_MSS */
	MTU_MAX = 65535,
};

static u32 index_of(u64 handle)
{
	return (u32)handle;
}

/* -- neighbors --------------------------------------------------------------------------------- */

static void put_be16(u8 *to, u16 v)
{
	be16 wire = cpu_to_be16(v);

	memcpy(to, &wire, sizeof(wire));
}

/* Makes the Ethernet header that every frame by this neighbor begins with. */
static void neighbor_build_header(struct tcp_neighbor *n)
{
	static const u8 llc_snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	const struct vlan_stack *vlans = &n->state.k.vlans;
	u8 *p = n->header;

	memset(p, 0, sizeof(n->header));
	memcpy(p, n->state.c.next_hop_mac.b, 6);
	memcpy(p + 6, n->state.k.source_mac.b, 6);
	p += 12;
	for (u32 i = 0; i < min_of(vlans->n, (u32)VLAN_DEPTH_MAX); i++) {
		put_be16(p, (u16)(vlans->tag[i] >> 16));
		put_be16(p + 2, (u16)vlans->tag[i]);
		p += 4;
	}
	n->length_off = 0;
	if (n->state.c.header_format == LINK_SNAP) {
		n->length_off = (u8)(p - n->header);
		memcpy(p + 2, llc_snap, sizeof(llc_snap));
		p += 2 + sizeof(llc_snap);
	}
	put_be16(p, ETHERTYPE_IPV4);
	n->header_len = (u8)(p + 2 - n->header);
}

int tcp_neighbor_add(struct tcp_engine *e, const struct neighbor_state *state, u32 *ret_neighbor)
{
	struct tcp_neighbor *n;
	u64 handle;

	if (state->k.vlans.n > VLAN_DEPTH_MAX || state->k.port >= TCP_PORTS_MAX ||
	    state->c.header_format > LINK_SNAP)
		return -EINVAL;
	handle = slots_take(&e->neighbor_slots);
	if (handle == SLOT_NO_HANDLE)
		return -ENOSPC;
	n = &e->neighbors[index_of(handle)];
	memset(n, 0, sizeof(*n));
	n->state = *state;
	n->port = state->k.port;
	n->valid = true;
	n->reachable_at_ns = TIMER_STOPPED;
	if (state->d.device_reachable_ns <= e->now_ns)
		n->reachable_at_ns = e->now_ns - state->d.device_reachable_ns;
	neighbor_build_header(n);
	*ret_neighbor = index_of(handle);
	return 0;
}

void tcp_neighbor_update(struct tcp_engine *e, u32 neighbor, const struct neighbor_cached *cached)
{
	struct tcp_neighbor *n = &e->neighbors[neighbor];

	n->state.c = *cached;
	if (n->state.c.header_format > LINK_SNAP)
		n->state.c.header_format = LINK_DIX;
	neighbor_build_header(n);
}

void tcp_neighbor_export(struct tcp_engine *e, u32 neighbor, u64 now_ns,
                         struct neighbor_state *ret_state)
{
	const struct tcp_neighbor *n = &e->neighbors[neighbor];

	*ret_state = n->state;
	if (n->reachable_at_ns != TIMER_STOPPED && n->reachable_at_ns <= now_ns)
		ret_state->d.device_reachable_ns = now_ns - n->reachable_at_ns;
}

int tcp_neighbor_remove(struct tcp_engine *e, u32 neighbor)
{
	if (e->neighbors[neighbor].refs)
		return -EBUSY;
	return slots_release(&e->neighbor_slots, slots_handle(&e->neighbor_slots, neighbor));
}

/* The clocks of failure start anew: nothing was sent in vain while nothing could be sent. */
static void go_on(struct tcp_engine *e, struct tcp_conn *c)
{
	if (c->flags & CONN_PARKED)
		e->n_parked--;
	c->flags &= (u16)~CONN_PARKED;
	c->progress_at_ns = e->now_ns;
	if (c->retransmit_at_ns != TIMER_STOPPED && !(c->flags & CONN_QUIESCED))
		timer_start_retransmit(e, c);
	conn_mark_dirty(e, c);
}

void conn_park(struct tcp_engine *e, struct tcp_conn *c)
{
	if (!(c->flags & CONN_PARKED))
		e->n_parked++;
	c->flags |= CONN_PARKED;
}

/* One scan for all that became valid since the last flush, so that an update stays one write. */
void conns_unpark(struct tcp_engine *e)
{
	e->unpark = false;
	for (u32 i = 0; e->n_parked && i < e->conn_slots.count; i++) {
		struct tcp_conn *c = conn_at(e, i);

		if (slots_is_taken(&e->conn_slots, i) && (c->flags & CONN_PARKED) &&
		    conn_may_transmit(e, c))
			go_on(e, c);
	}
}

void tcp_neighbor_set_valid(struct tcp_engine *e, u32 neighbor, bool valid)
{
	e->neighbors[neighbor].valid = valid;
	e->unpark |= valid;
}

/* -- paths ------------------------------------------------------------------------------------- */

static u32 clamp_mtu(u32 mtu)
{
	return max_of((u32)MTU_MIN, min_of(mtu, (u32)MTU_MAX));
}

int tcp_path_add(struct tcp_engine *e, const struct path_state *state, u32 neighbor, u32 *ret_path)
{
	bool v4 = ip_addr_is_v4(&state->k.local_addr);
	struct tcp_path *p;
	u64 handle;

	if (v4 != ip_addr_is_v4(&state->k.remote_addr) ||
	    !slots_is_taken(&e->neighbor_slots, neighbor))
		return -EINVAL;
	handle = slots_take(&e->path_slots);
	if (handle == SLOT_NO_HANDLE)
		return -ENOSPC;
	p = &e->paths[index_of(handle)];
	*p = (struct tcp_path){
		.local = state->k.local_addr,
		.remote = state->k.remote_addr,
		.neighbor = neighbor,
		.mtu = clamp_mtu(state->c.path_mtu),
		.next_ip_id = state->d.next_ip_id,
		.ip_id_start = state->k.ip_id_start,
		.ip_id_confined = state->k.ip_id_confined,
		.v4 = v4,
		.valid = true,
	};
	p->pseudo = csum_fold(csum_pseudo(&p->local, &p->remote, IP_PROTO_TCP, 0));
	e->neighbors[neighbor].refs++;
	*ret_path = index_of(handle);
	return 0;
}

void tcp_path_update(struct tcp_engine *e, u32 path, const struct path_cached *cached)
{
	/* Connections derive their MSS from it when they next send: one write (R59). */
	e->paths[path].mtu = clamp_mtu(cached->path_mtu);
}

void tcp_path_set_neighbor(struct tcp_engine *e, u32 path, u32 neighbor)
{
	struct tcp_path *p = &e->paths[path];

	e->neighbors[p->neighbor].refs--;
	e->neighbors[neighbor].refs++;
	p->neighbor = neighbor;
	e->unpark = true;
}

void tcp_path_set_valid(struct tcp_engine *e, u32 path, bool valid)
{
	e->paths[path].valid = valid;
	e->unpark |= valid;
}

void tcp_path_export(struct tcp_engine *e, u32 path, struct path_state *ret_state)
{
	const struct tcp_path *p = &e->paths[path];

	*ret_state = (struct path_state){
		.k.local_addr = p->local,
		.k.remote_addr = p->remote,
		.k.ip_id_start = p->ip_id_start,
		.k.ip_id_confined = p->ip_id_confined,
		.c.path_mtu = p->mtu,
		.d.next_ip_id = p->next_ip_id,
	};
}

int tcp_path_remove(struct tcp_engine *e, u32 path)
{
	if (e->paths[path].refs)
		return -EBUSY;
	e->neighbors[e->paths[path].neighbor].refs--;
	return slots_release(&e->path_slots, slots_handle(&e->path_slots, path));
}

/* -- connections ------------------------------------------------------------------------------- */

struct tcp_conn *conn_alloc(struct tcp_engine *e, u32 path)
{
	u64 handle = slots_take(&e->conn_slots);
	u32 dirty_next = NIL, event_next = NIL;
	struct tcp_conn *c;
	u16 listed = 0;

	if (handle == SLOT_NO_HANDLE)
		return NULL;
	c = conn_at(e, index_of(handle));
	/* A block that was freed while it stood on a list stands there still. */
	if (handle >> 32 > 1) {
		listed = c->flags & (CONN_DIRTY | CONN_EVENT);
		dirty_next = c->dirty_next;
		event_next = c->event_next;
	}
	memset(c, 0, sizeof(*c));
	c->path = path;
	c->flags = listed;
	c->dirty_next = dirty_next;
	c->event_next = event_next;
	c->snd_head = c->snd_tail = c->snd_cursor = NIL;
	c->rcv_head = c->rcv_tail = NIL;
	c->ooo_head = NIL;
	c->sack_buf = NIL;
	c->sent_head = c->sent_tail = NIL;
	c->retransmit_at_ns = TIMER_STOPPED;
	c->probe_at_ns = TIMER_STOPPED;
	c->delayed_ack_at_ns = TIMER_STOPPED;
	c->persist_at_ns = TIMER_STOPPED;
	c->keepalive_at_ns = TIMER_STOPPED;
	c->fin_wait2_at_ns = TIMER_STOPPED;
	c->armed_ns = TIMER_STOPPED;
	e->paths[path].refs++;
	return c;
}

void conn_release(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 index = conn_index(e, c);

	if (c->flags & CONN_PARKED)
		e->n_parked--;
	/* Lists skip what is closed and owes no event: no search for it here. */
	c->state = TCP_CLOSED;
	c->flags &= CONN_DIRTY | CONN_EVENT;
	c->events = 0;
	wheel_cancel(&e->wheel, index);
	e->paths[c->path].refs--;
	ASSERT(slots_release(&e->conn_slots, slots_handle(&e->conn_slots, index)) == 0);
}

u32 conn_hash(const struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];
	struct flow_key key = {
		.local = p->local,
		.remote = p->remote,
		.local_port = c->local_port,
		.remote_port = c->remote_port,
	};

	return flow_key_hash(&e->key, &key);
}

int conn_insert_lookup(struct tcp_engine *e, struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];

	c->hash = conn_hash(e, c);
	flowtab_for_each (&e->lookup, c->hash, other) {
		const struct tcp_conn *o = conn_at(e, other);
		const struct tcp_path *q = &e->paths[o->path];

		if (o->local_port == c->local_port && o->remote_port == c->remote_port &&
		    ip_addr_eq(&p->local, &q->local) && ip_addr_eq(&p->remote, &q->remote))
			return -EEXIST;
	}
	return flowtab_insert(&e->lookup, c->hash, conn_index(e, c));
}

u32 tcp_lookup(const struct tcp_engine *e, const struct ip_addr *local,
               const struct ip_addr *remote, u16 local_port, u16 remote_port)
{
	struct flow_key key = {*local, *remote, local_port, remote_port};

	flowtab_for_each (&e->lookup, flow_key_hash(&e->key, &key), index) {
		const struct tcp_conn *c = &e->conns[index];
		const struct tcp_path *p = &e->paths[c->path];

		if (c->local_port == local_port && c->remote_port == remote_port &&
		    ip_addr_eq(&p->local, local) && ip_addr_eq(&p->remote, remote))
			return index;
	}
	return NIL;
}

static u16 effective_mss(const struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];
	u32 headers = (p->v4 ? 20 : 40) + 20;
	u32 mss = p->mtu - headers;

	if (c->peer_mss)
		mss = min_of(mss, (u32)c->peer_mss);
	if (c->settings.effective_mss)
		mss = min_of(mss, c->settings.effective_mss);
	mss = max_of(mss, (u32)MIN_MSS);
	/* RFC 9293 3.7.1: Eff.snd.MSS allows for the options of every segment. */
	return (u16)(mss - (c->options & TCP_OPT_TIMESTAMPS ? 12 : 0));
}

void conn_derive_mss(struct tcp_engine *e, struct tcp_conn *c)
{
	c->mss = effective_mss(e, c);
	c->mtu = (u16)e->paths[c->path].mtu;
}

bool conn_may_transmit(const struct tcp_engine *e, const struct tcp_conn *c)
{
	const struct tcp_path *p = &e->paths[c->path];

	return !(c->flags & CONN_INVALID) && p->valid && e->neighbors[p->neighbor].valid;
}

void conn_apply_settings(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_cached *s)
{
	c->settings = *s;
	c->settings.restart_keepalive = 0;
	c->settings.restart_retransmit = 0;
	c->flags &= (u16) ~(CONN_NODELAY | CONN_CORK);
	if (s->nodelay)
		c->flags |= CONN_NODELAY;
	if (s->cork)
		c->flags |= CONN_CORK;
	/* What it has grown to by itself stays. */
	c->rcv_buf_bytes = max_of(s->rcv_buf_bytes, min_of(c->rcv_buf_bytes, s->rcv_buf_max_bytes));
	c->snd_buf_bytes = s->snd_buf_bytes;
	c->tos = s->tos & 0xfc; /* the two bits below are ECN's (RFC 3168 5) */
	c->hop_limit = s->hop_limit ? s->hop_limit : 64;
	pacing_configure(c);
	conn_derive_mss(e, c);
}

void conn_close(struct tcp_engine *e, struct tcp_conn *c, u32 events, u8 error)
{
	if (!(c->flags & CONN_QUIESCED) && c->state != TCP_CLOSED)
		flowtab_remove(&e->lookup, c->hash, conn_index(e, c));
	c->state = TCP_CLOSED;
	c->error = error;
	c->flags &= (u16) ~(CONN_ACK_NOW | CONN_PROBE | CONN_KEEPALIVE | CONN_RETRANSMIT);
	timers_disarm(e, c);
	/* An RST that is owed goes first: whoever hears of CLOSED may free the connection. */
	if (!(c->flags & CONN_RST_OWED))
		conn_event(e, c, events | TCP_EV_CLOSED);
}

void tcp_conn_set_valid(struct tcp_engine *e, u32 conn, bool valid)
{
	struct tcp_conn *c = conn_at(e, conn);

	if (!valid) {
		c->flags |= CONN_INVALID;
		return;
	}
	c->flags &= (u16)~CONN_INVALID;
	go_on(e, c);
}

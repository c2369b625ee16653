/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames of our own on their way out: made here, kept while a neighbor's address is being found
 * out (three a neighbor, the oldest goes first), and while the port has no room. A payload that
 * does not fit beside the headers lies in the pool until the port has taken the frame.
 */
#include "host/soft/priv.h"
#include "state/payload.h"

enum {
	IP_ID_HALF = 32768,
	FRAGMENT_UNIT = 8,
};

/* -- packets ----------------------------------------------------------------------------------- */

static void push(struct soft *s, struct soft_list *l, u32 index)
{
	s->packet[index].next = NIL;
	if (l->head == NIL)
		l->head = index;
	else
		s->packet[l->tail].next = index;
	l->tail = index;
	l->n++;
}

static u32 pop(struct soft *s, struct soft_list *l)
{
	u32 index = l->head;

	if (index == NIL)
		return NIL;
	l->head = s->packet[index].next;
	if (l->head == NIL)
		l->tail = NIL;
	l->n--;
	return index;
}

static void free_packet(struct soft *s, u32 index)
{
	struct soft_packet *p = &s->packet[index];

	buf_put_chain(s->pool, p->f.payload_buf);
	p->next = s->packet_free;
	s->packet_free = index;
}

static u32 new_packet(struct soft *s)
{
	u32 index = s->packet_free;

	if (index == NIL) {
		s->counters.packets_full++;
		return NIL;
	}
	s->packet_free = s->packet[index].next;
	s->packet[index].f =
		(struct tx_frame){.header_off = SOFT_HEADER_OFF, .payload_buf = NIL, .conn = NIL};
	return index;
}

/* Bytes behind those that the frame has: beside the headers, then in the pool. */
static bool append(struct soft *s, struct tx_frame *f, const u8 *bytes, u32 len)
{
	u32 beside = min_of(len, (u32)(FRAME_HEADER_BYTES - SOFT_HEADER_OFF - f->header_len));

	memcpy(f->header + SOFT_HEADER_OFF + f->header_len, bytes, beside);
	f->header_len += (u8)beside;
	if (beside == len)
		return true;
	f->payload_buf = soft_chain_of(s, bytes + beside, len - beside);
	if (f->payload_buf == NIL) {
		s->counters.not_taken++;
		return false;
	}
	f->payload_off = buf_at(s->pool, f->payload_buf)->off;
	f->payload_len = len - beside;
	return true;
}

static void put_link(struct soft *s, struct tx_frame *f, const struct mac_addr *dst, u16 type,
                     u32 port)
{
	const struct wire_link link = {.dst = *dst, .src = s->config.mac, .ethertype = type};

	f->port = (u16)port;
	f->header_len = (u8)wire_link_write(f->header + SOFT_HEADER_OFF, &link);
}

/* -- to a neighbor ----------------------------------------------------------------------------- */

static void set_dst(struct soft *s, u32 index, const struct mac_addr *mac)
{
	struct tx_frame *f = &s->packet[index].f;

	memcpy(f->header + f->header_off, mac->b, sizeof(mac->b));
}

static void send_by(struct soft *s, struct soft_neighbor_entry *n, u32 index, bool usable)
{
	if (usable) {
		set_dst(s, index, &n->mac);
		push(s, &s->out, index);
		return;
	}
	if (n->pending.n == SOFT_PENDING) {
		free_packet(s, pop(s, &n->pending));
		s->counters.pending_dropped++;
	}
	push(s, &n->pending, index);
}

void soft_pending_go(struct soft *s, struct soft_neighbor_entry *n)
{
	u32 index;

	while ((index = pop(s, &n->pending)) != NIL) {
		set_dst(s, index, &n->mac);
		push(s, &s->out, index);
		(void)neighbor_use(s, n);
	}
}

void soft_pending_drop(struct soft *s, struct soft_neighbor_entry *n)
{
	u32 index;

	while ((index = pop(s, &n->pending)) != NIL) {
		free_packet(s, index);
		s->counters.pending_dropped++;
	}
}

/* -- datagrams --------------------------------------------------------------------------------- */

/* An identifier matters for fragments only (RFC 6864): of our half, where halves are kept (R61). */
static u32 next_id(struct soft *s, const struct soft_route_entry *r)
{
	s->ip_id++;
	if (!ip_addr_is_v4(&r->remote))
		return s->ip_id ^ (u32)s->key.k[0]; /* RFC 7739: not to be guessed from others' */
	return (u16)(r->ip_id_start + IP_ID_HALF + s->ip_id % IP_ID_HALF);
}

static struct wire_ip ip_of(const struct soft_datagram *d)
{
	return (struct wire_ip){
		.src = d->src,
		.dst = d->dst,
		.version = ip_addr_is_v4(&d->dst) ? 4 : 6,
		.ttl = d->hop_limit ? d->hop_limit : SOFT_HOP_LIMIT,
		.protocol = d->protocol,
		.dont_fragment = 1,
		.payload_bytes = d->len,
	};
}

/* One frame of a datagram: `len` bytes at `bytes`. NIL: no room. */
static u32 make_frame(struct soft *s, const struct wire_ip *ip, const u8 *bytes, u32 port)
{
	static const struct mac_addr unknown;
	u32 index = new_packet(s);
	struct tx_frame *f;

	if (index == NIL)
		return NIL;
	f = &s->packet[index].f;
	put_link(s, f, &unknown, ip->version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6, port);
	f->header_len += (u8)wire_ip_write(f->header + SOFT_HEADER_OFF + f->header_len, ip);
	if (!append(s, f, bytes, ip->payload_bytes)) {
		free_packet(s, index);
		return NIL;
	}
	return index;
}

static bool send_fragments(struct soft *s, const struct soft_datagram *d,
                           const struct soft_route_entry *r, struct wire_ip ip)
{
	struct soft_neighbor_entry *n = &s->neighbor[r->neighbor];
	u32 room = r->mtu - (ip.version == 4 ? WIRE_IP4_BYTES : WIRE_IP6_BYTES);
	u32 at = 0, index;

	if (ip.version == 6)
		room -= WIRE_IP6_FRAG_BYTES;
	room -= room % FRAGMENT_UNIT;
	ip.id = next_id(s, r);
	ip.dont_fragment = 0;
	ip.has_frag_header = 1;
	while (at < d->len) {
		ip.frag_off = (u16)at;
		ip.payload_bytes = min_of(room, d->len - at);
		ip.more_fragments = at + ip.payload_bytes < d->len;
		index = make_frame(s, &ip, d->bytes + at, n->port);
		if (index == NIL)
			return false;
		send_by(s, n, index, neighbor_use(s, n));
		at += ip.payload_bytes;
	}
	return true;
}

bool soft_send_datagram(struct soft *s, const struct soft_datagram *d)
{
	struct soft_route_entry *r = soft_way(s, &d->dst);
	struct wire_ip ip = ip_of(d);
	struct soft_neighbor_entry *n;
	u32 index, headers = ip.version == 4 ? WIRE_IP4_BYTES : WIRE_IP6_BYTES;

	if (!r)
		return false;
	if (headers + d->len > r->mtu)
		return send_fragments(s, d, r, ip);
	n = &s->neighbor[r->neighbor];
	index = make_frame(s, &ip, d->bytes, n->port);
	if (index == NIL)
		return false;
	send_by(s, n, index, neighbor_use(s, n));
	return true;
}

void soft_send_to_mac(struct soft *s, const struct soft_datagram *d, const struct mac_addr *mac,
                      u32 port)
{
	const struct wire_ip ip = ip_of(d);
	u32 index = make_frame(s, &ip, d->bytes, port);

	if (index == NIL)
		return;
	set_dst(s, index, mac);
	push(s, &s->out, index);
}

void soft_send_raw(struct soft *s, const struct mac_addr *dst, u16 ethertype, const u8 *bytes,
                   u32 len, u32 port)
{
	u32 index = new_packet(s);

	if (index == NIL)
		return;
	put_link(s, &s->packet[index].f, dst, ethertype, port);
	(void)append(s, &s->packet[index].f, bytes, len); /* beside the headers: cannot fail */
	push(s, &s->out, index);
}

/* -- the engine's frames ----------------------------------------------------------------------- */

/* Keeps a copy: what the engine's frame refers to may be gone when the address is known. */
static void keep(struct soft *s, struct soft_neighbor_entry *n, const struct tx_frame *f)
{
	u32 index = new_packet(s);
	struct data_ref ref = {.buf = f->payload_buf, .off = f->payload_off, .len = f->payload_len};
	struct data_ref copy = {.buf = NIL};
	struct payload_out out;
	struct payload_in in;
	const u8 *bytes;
	u32 len;

	if (index == NIL)
		return;
	payload_in_init(&in, s->pool, &ref);
	payload_out_init(&out, s->pool, &copy, ref.len);
	while ((len = payload_in_next(&in, &bytes)) && !payload_out_write(&out, bytes, len))
		;
	s->packet[index].f = *f;
	s->packet[index].f.payload_buf = copy.buf;
	s->packet[index].f.payload_off = copy.buf == NIL ? 0 : buf_at(s->pool, copy.buf)->off;
	if (copy.len != ref.len) {
		s->counters.not_taken++;
		free_packet(s, index);
		return;
	}
	send_by(s, n, index, false);
}

void soft_hold_back(struct soft *s, struct tx_batch *tx, u32 from)
{
	u32 to = from;

	for (u32 i = from; i < tx->n; i++) {
		const struct tx_frame *f = &tx->frames[i];
		u32 path = tcp_conn_path(s->engine, f->conn);
		struct soft_neighbor_entry *n =
			neighbor_of_engine(s, tcp_path_neighbor(s->engine, path));

		pmtu_look(s, f);
		if (!neighbor_use(s, n)) {
			keep(s, n, f);
			continue;
		}
		if (to != i)
			tx->frames[to] = *f;
		to++;
	}
	tx->n = to;
}

/* -- the port ---------------------------------------------------------------------------------- */

void soft_link_flush(struct soft *s, struct tx_batch *tx)
{
	while (tx->n < tx->cap && s->out.n) {
		u32 index = pop(s, &s->out);

		tx->frames[tx->n++] = s->packet[index].f;
		if (s->packet[index].f.payload_buf == NIL)
			free_packet(s, index);
		else
			push(s, &s->spent, index);
	}
}

void soft_link_taken(struct soft *s)
{
	u32 index;

	while ((index = pop(s, &s->spent)) != NIL)
		free_packet(s, index);
}

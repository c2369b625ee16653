/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/reassembly.h"

enum {
	RECLAIM_CONNS = 256, /* looked at for each batch while the pool is low */
	OOO_SEGS_MAX = 512,  /* holes of one connection: the list is walked, buffers are held */
};

/* A segment on its way into the list. */
struct arrival {
	tcp_seq seq;
	u32 buf;
	u32 len;
	bool fin;
};

static void cut_front(struct tcp_engine *e, struct arrival *a, tcp_seq to)
{
	u32 n = min_of((u32)max_of(seq_diff(to, a->seq), 0), a->len);

	a->seq = seq_add(a->seq, n);
	a->len -= n;
	a->buf = chain_trim_front(e->bufs, a->buf, n);
}

static void cut_tail(struct tcp_engine *e, struct arrival *a, tcp_seq to)
{
	a->fin = false;
	a->len = (u32)seq_diff(to, a->seq);
	chain_truncate(e->bufs, a->buf, a->len);
}

/* Makes the first buffer able to hold the node: its data must not begin before the node's end. */
static bool make_room(struct tcp_engine *e, struct arrival *a)
{
	u32 front;

	if (a->buf != NIL && buf_at(e->bufs, a->buf)->off >= sizeof(struct ooo_node))
		return true;
	front = buf_alloc(e->bufs, BUF_SMALL);
	if (front == NIL)
		return false;
	buf_at(e->bufs, front)->off = sizeof(struct ooo_node);
	buf_at(e->bufs, front)->next = a->buf;
	a->buf = front;
	return true;
}

static bool may_keep(struct tcp_engine *e, const struct tcp_conn *c, struct arrival *a)
{
	if (c->ooo_segs >= OOO_SEGS_MAX) {
		segment_drop(e, TCP_DROP_BUFFER_FULL);
		return false;
	}
	if (!make_room(e, a)) {
		segment_drop(e, TCP_DROP_POOL_DRY);
		return false;
	}
	return true;
}

static u32 last_of(struct tcp_engine *e, u32 buf)
{
	while (buf_at(e->bufs, buf)->next != NIL)
		buf = buf_at(e->bufs, buf)->next;
	return buf;
}

/* Copies the first buffer of a chain behind the data of `tail` where it is small: a peer that sends
 * byte by byte in disorder must not hold a buffer for each. Returns the rest of the chain. */
static u32 copy_first(struct tcp_engine *e, u32 tail, u32 from)
{
	struct buf *to = buf_at(e->bufs, tail), *b = buf_at(e->bufs, from);
	u32 end = to->off + to->len;
	u32 rest = b->next;

	if (b->len > SMALL_RECEIVE || end + b->len > buf_capacity(e->bufs, tail) || to->refs != 1)
		return from;
	memcpy(buf_bytes(e->bufs, tail) + end, buf_data(e->bufs, from), b->len);
	to->len += b->len;
	buf_put(e->bufs, from);
	return rest;
}

/* Appends `from` to `to`, which it touches. */
static void merge(struct tcp_engine *e, struct tcp_conn *c, struct ooo_node *to, u32 from)
{
	const struct ooo_node *n = ooo_at(e, from);
	u32 tail = n->tail;

	c->ooo_segs--;
	to->len += n->len;
	to->fin |= n->fin;
	to->next = n->next;
	to->stamp = max_of(to->stamp, n->stamp);
	from = copy_first(e, to->tail, from);
	buf_at(e->bufs, to->tail)->next = from;
	if (from != NIL)
		to->tail = tail;
}

static void drop_node(struct tcp_engine *e, struct tcp_conn *c, u32 *link)
{
	u32 buf = *link;

	c->ooo_segs--;
	c->ooo_bytes -= ooo_at(e, buf)->len;
	*link = ooo_at(e, buf)->next;
	buf_put_chain(e->bufs, buf);
}

/* Links the arrival in at *link and merges it with what it touches; prev NIL: it is the first. */
static void link_in(struct tcp_engine *e, struct tcp_conn *c, const struct arrival *a, u32 prev)
{
	u32 *link = prev == NIL ? &c->ooo_head : &ooo_at(e, prev)->next;
	struct ooo_node *n = ooo_at(e, a->buf);

	*n = (struct ooo_node){
		.next = *link,
		.seq = a->seq,
		.len = a->len,
		.tail = last_of(e, a->buf),
		.stamp = ++e->ooo_stamp,
		.fin = a->fin,
	};
	*link = a->buf;
	c->ooo_segs++;
	c->ooo_bytes += a->len;
	e->n.ooo_segs++;
	if (n->next != NIL && seq_eq(ooo_end(n), ooo_at(e, n->next)->seq) && !n->fin)
		merge(e, c, n, n->next);
	if (prev != NIL && seq_eq(ooo_end(ooo_at(e, prev)), n->seq) && !ooo_at(e, prev)->fin)
		merge(e, c, ooo_at(e, prev), a->buf);
}

bool reassembly_insert(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq, u32 buf, u32 len,
                       bool fin)
{
	struct arrival a = {seq, buf, len, fin};
	u32 prev = NIL, *link = &c->ooo_head;

	/* What was there first stays: cut the arrival against it. */
	while (*link != NIL && seq_leq(ooo_at(e, *link)->seq, a.seq)) {
		prev = *link;
		link = &ooo_at(e, prev)->next;
	}
	if (prev != NIL) {
		cut_front(e, &a, ooo_end(ooo_at(e, prev)));
		/* Behind a FIN, or a FIN in front of bytes that came: there is nothing. */
		if (ooo_at(e, prev)->fin || seq_lt(a.seq, ooo_end(ooo_at(e, prev)))) {
			buf_put_chain(e->bufs, a.buf);
			return false;
		}
	}
	while (*link != NIL && seq_geq(seq_add(a.seq, a.len), ooo_end(ooo_at(e, *link))) && a.len) {
		a.fin |= ooo_at(e, *link)->fin;
		drop_node(e, c, link);
	}
	if (*link != NIL && a.len && seq_gt(seq_add(a.seq, a.len), ooo_at(e, *link)->seq))
		cut_tail(e, &a, ooo_at(e, *link)->seq);
	if ((!a.len && !a.fin) || !may_keep(e, c, &a)) {
		buf_put_chain(e->bufs, a.buf);
		return false;
	}
	link_in(e, c, &a, prev);
	return true;
}

bool reassembly_drain(struct tcp_engine *e, struct tcp_conn *c, u32 *ret_len)
{
	bool fin = false;

	*ret_len = 0;
	while (c->ooo_head != NIL && seq_leq(ooo_at(e, c->ooo_head)->seq, c->rcv_nxt)) {
		u32 buf = c->ooo_head;
		struct ooo_node n = *ooo_at(e, buf);
		u32 skip = min_of((u32)seq_diff(c->rcv_nxt, n.seq), n.len);

		c->ooo_head = n.next;
		c->ooo_segs--;
		c->ooo_bytes -= n.len;
		fin |= n.fin && seq_geq(ooo_end(&n), c->rcv_nxt);
		buf = chain_trim_front(e->bufs, buf, skip);
		if (n.len == skip)
			continue;
		queue_receive(e, c, buf, n.tail, n.len - skip);
		c->rcv_nxt = seq_add(c->rcv_nxt, n.len - skip);
		*ret_len += n.len - skip;
	}
	if (fin)
		reassembly_prune(e, c);
	return fin;
}

void reassembly_prune(struct tcp_engine *e, struct tcp_conn *c)
{
	while (c->ooo_head != NIL) {
		segment_drop(e, TCP_DROP_PRUNED);
		drop_node(e, c, &c->ooo_head);
	}
}

void reassembly_reclaim(struct tcp_engine *e)
{
	for (u32 i = 0; i < RECLAIM_CONNS && pool_is_low(e); i++) {
		if (e->reclaim_at >= e->conn_slots.count)
			e->reclaim_at = 0;
		if (slots_is_taken(&e->conn_slots, e->reclaim_at) &&
		    !(conn_at(e, e->reclaim_at)->flags & CONN_QUIESCED))
			reassembly_prune(e, conn_at(e, e->reclaim_at));
		e->reclaim_at++;
	}
}

u32 reassembly_blocks(struct tcp_engine *e, const struct tcp_conn *c, struct seq_range *ret,
                      u32 max)
{
	u32 stamp[WIRE_SACK_MAX];
	u32 n = 0;

	for (u32 buf = c->ooo_head; buf != NIL; buf = ooo_at(e, buf)->next) {
		const struct ooo_node *node = ooo_at(e, buf);
		u32 at = n;

		if (!node->len)
			continue;
		/* Insertion by stamp; what does not fit falls off the end. */
		while (at > 0 && (s32)(stamp[at - 1] - node->stamp) < 0)
			at--;
		if (at == max)
			continue;
		for (u32 i = min_of(n, max - 1); i > at; i--) {
			stamp[i] = stamp[i - 1];
			ret[i] = ret[i - 1];
		}
		stamp[at] = node->stamp;
		ret[at] = (struct seq_range){node->seq, ooo_end(node)};
		n = min_of(n + 1, max);
	}
	return n;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * IP fragments of connections that the device has, or that are in a move: the network layer puts
 * them together and hands the whole on as it does with segments that came by another way (R39,
 * R53). Fragments of all others go to the host's stack as they came.
 *
 * Payload stays in the buffers that the fragments came in. Room and time are bounded: what does not
 * become whole goes to the host's stack, which knows what to answer. Fragments that overlap are
 * given up with all of their datagram (RFC 5722; for IPv4 as well).
 */
#include "host/priv.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/parse.h"

enum { PROTOCOL_TCP = 6, DATAGRAM_BYTES_MAX = 65535 };

/* What is looked at of one fragment. */
struct piece {
	struct wire_link link;
	struct wire_ip ip;
	u32 skip; /* link and IP header */
};

static bool read_piece(struct host *h, const struct rx_frame *frame, struct piece *p)
{
	const struct buf *b = buf_at(h->env.pool, frame->buf);
	const u8 *bytes = buf_data(h->env.pool, frame->buf);

	/* A frame that is cut has its headers and bytes in one buffer. */
	if (b->len != frame->len || wire_link_parse(bytes, b->len, frame->len, &p->link) ||
	    p->link.snap)
		return false;
	if (wire_ip_parse(bytes + p->link.header_bytes, frame->len - p->link.header_bytes, &p->ip))
		return false;
	p->skip = p->link.header_bytes + p->ip.header_bytes;
	return wire_ip_is_fragment(&p->ip) && p->ip.protocol == PROTOCOL_TCP &&
	       !p->ip.has_options && p->ip.payload_bytes &&
	       (!p->ip.more_fragments || p->ip.payload_bytes % 8 == 0) &&
	       p->ip.frag_off + p->ip.payload_bytes <= DATAGRAM_BYTES_MAX - WIRE_IP6_BYTES;
}

/* -- tables ------------------------------------------------------------------------------------ */

void fragments_init(struct host *h)
{
	h->fragment_free = NIL;
	for (u32 i = FRAGMENTS_MAX; i-- > 0;) {
		h->fragment[i].next = h->fragment_free;
		h->fragment_free = i;
	}
}

static void release(struct host *h, u32 index)
{
	h->fragment[index].next = h->fragment_free;
	h->fragment_free = index;
}

/* Frees the datagram; its fragments go to the host's stack, or nowhere. */
static void give_up(struct host *h, struct host_datagram *d, bool to_stack)
{
	u32 index = d->first;

	d->used = false;
	while (index != NIL) {
		struct rx_frame frame = h->fragment[index].frame;
		u32 next = h->fragment[index].next;

		release(h, index);
		index = next;
		if (to_stack)
			park_to_stack(h, &frame, 1);
		else
			buf_put_chain(h->env.pool, frame.buf);
		h->counters.fragments_given_up++;
	}
}

static struct host_datagram *find(struct host *h, const struct piece *p)
{
	struct host_datagram *oldest = &h->datagram[0];

	for (u32 i = 0; i < DATAGRAMS_MAX; i++) {
		struct host_datagram *d = &h->datagram[i];

		if (d->used && d->id == p->ip.id && d->version == p->ip.version &&
		    ip_addr_eq(&d->src, &p->ip.src) && ip_addr_eq(&d->dst, &p->ip.dst))
			return d;
		if (oldest->used && (!d->used || d->until_ns < oldest->until_ns))
			oldest = d;
	}
	if (oldest->used)
		give_up(h, oldest, true);
	*oldest = (struct host_datagram){
		.src = p->ip.src,
		.dst = p->ip.dst,
		.id = p->ip.id,
		.version = p->ip.version,
		.used = true,
		.first = NIL,
		.until_ns = host_now(h) + FRAGMENT_NS,
	};
	return oldest;
}

/* -- one fragment ------------------------------------------------------------------------------ */

enum outcome {
	KEPT,
	TWICE,   /* it is there already */
	NO_ROOM, /* for it */
	OVERLAP, /* the datagram makes no sense */
};

static enum outcome insert(struct host *h, struct host_datagram *d, const struct piece *p,
                           const struct rx_frame *frame)
{
	u32 begin = p->ip.frag_off, end = begin + p->ip.payload_bytes;
	u32 *link = &d->first;
	u32 index = h->fragment_free;
	const struct host_fragment *at;

	while (*link != NIL && h->fragment[*link].off + h->fragment[*link].len <= begin)
		link = &h->fragment[*link].next;
	at = *link == NIL ? NULL : &h->fragment[*link];
	if (at && at->off == begin && at->len == p->ip.payload_bytes)
		return TWICE;
	if ((at && at->off < end) || (d->total && end > d->total) ||
	    (!p->ip.more_fragments && (d->total || (at && at->off >= begin))))
		return OVERLAP;
	if (index == NIL)
		return NO_ROOM;
	h->fragment_free = h->fragment[index].next;
	h->fragment[index] = (struct host_fragment){
		.frame = *frame,
		.next = *link,
		.off = begin,
		.len = p->ip.payload_bytes,
		.skip = (u16)p->skip,
	};
	*link = index;
	d->n++;
	d->bytes += p->ip.payload_bytes;
	if (!p->ip.more_fragments)
		d->total = end;
	return KEPT;
}

/* -- the whole --------------------------------------------------------------------------------- */

/* The connection that it belongs to, when that is not the host stack's. */
static struct host_conn *owner(struct host *h, const struct host_datagram *d)
{
	const struct host_fragment *first = &h->fragment[d->first];
	const u8 *tcp = buf_data(h->env.pool, first->frame.buf) + first->skip;
	struct flow_key flow = {.local = d->dst, .remote = d->src};
	struct host_conn *c;

	/* A header that is itself cut (RFC 3128) is not for a device. */
	if (first->len < WIRE_TCP_BYTES || first->len < (u32)(tcp[12] >> 4) * 4)
		return NULL;
	flow.remote_port = wire_get16(tcp);
	flow.local_port = wire_get16(tcp + 2);
	c = conn_find(h, host_find(h, &flow));
	return c && c->side != HOST_IN_STACK ? c : NULL;
}

/* The header of the first fragment, made that of the whole. */
static void write_header(struct host *h, u32 buf, u32 total)
{
	struct buf *b = buf_at(h->env.pool, buf);
	u8 *at = buf_data(h->env.pool, buf);
	struct wire_link link;
	struct wire_ip ip;
	u32 gone;

	/* It was read before, and nothing has changed. */
	(void)wire_link_parse(at, b->len, b->len, &link);
	(void)wire_ip_parse(at + link.header_bytes, b->len - link.header_bytes, &ip);
	gone = ip.has_frag_header ? WIRE_IP6_FRAG_BYTES : 0;
	memmove(at + gone, at, link.header_bytes);
	b->off += gone;
	b->len -= gone;
	ip.has_frag_header = 0;
	ip.more_fragments = 0;
	ip.frag_off = 0;
	ip.payload_bytes = total;
	wire_ip_write(at + gone + link.header_bytes, &ip);
}

/* One frame whose chain is the fragments' buffers without their headers. */
static struct rx_frame join(struct host *h, struct host_datagram *d)
{
	struct rx_frame whole = h->fragment[d->first].frame;
	u32 index = d->first, tail = NIL;

	while (index != NIL) {
		struct host_fragment f = h->fragment[index];
		struct buf *b = buf_at(h->env.pool, f.frame.buf);

		b->len = f.skip + f.len; /* without what pads a short frame */
		if (tail == NIL) {
			write_header(h, f.frame.buf, d->total);
			whole.len = b->len - f.len + d->total;
		} else {
			b->off += f.skip;
			b->len = f.len;
			buf_at(h->env.pool, tail)->next = f.frame.buf;
		}
		tail = f.frame.buf;
		release(h, index);
		index = f.next;
	}
	d->used = false;
	whole.csum = FRAME_CSUM_UNKNOWN;
	whole.gso_bytes = 0;
	h->counters.fragments_joined += d->n;
	return whole;
}

bool fragments_take(struct host *h, struct rx_frame *frame)
{
	struct host_datagram *d;
	struct piece p;
	enum outcome outcome;

	if (!(h->n_offloaded || h->job.active || h->current) || !read_piece(h, frame, &p))
		return false;
	d = find(h, &p);
	outcome = insert(h, d, &p, frame);
	if (outcome == NO_ROOM) {
		give_up(h, d, true);
		return false;
	}
	if (outcome != KEPT) {
		buf_put_chain(h->env.pool, frame->buf);
		h->counters.fragments_given_up++;
	}
	if (outcome == OVERLAP) {
		give_up(h, d, false);
	} else if (outcome == KEPT && d->total && d->bytes == d->total) {
		struct host_conn *c = owner(h, d);
		u32 n = d->n;

		if (c) {
			struct rx_frame whole = join(h, d);

			park_place(h, c, &whole, (u16)n);
		} else {
			give_up(h, d, true);
		}
	}
	return true;
}

void fragments_expire(struct host *h)
{
	u64 now = 0;

	for (u32 i = 0; i < DATAGRAMS_MAX; i++) {
		if (!h->datagram[i].used)
			continue;
		now = now ? now : host_now(h);
		if (h->datagram[i].until_ns <= now)
			give_up(h, &h->datagram[i], true);
	}
}

u64 fragments_deadline(const struct host *h)
{
	u64 at = UINT64_MAX;

	for (u32 i = 0; i < DATAGRAMS_MAX; i++) {
		if (h->datagram[i].used)
			at = min_of(at, h->datagram[i].until_ns);
	}
	return at;
}

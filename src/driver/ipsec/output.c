/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Frames that leave: superframes are cut, and what a policy protects is sealed (RFC 4301 5.1). */
#include "driver/ipsec/internal.h"

#include "base/csum.h"
#include "wire/tcp.h"

enum {
	IPPROTO_OF_IP4 = 4,
	IPPROTO_OF_TCP = 6,
	IPPROTO_OF_IP6 = 41,
	TCP_SEQ_OFF = 4,
	TCP_FLAGS_OFF = 13,
	TCP_CSUM_OFF = 16,
	HEADER_OFF = 2, /* so that IP is aligned */
};

/* A packet that leaves, and the piece of it that is sealed now. */
struct leaving {
	const struct tx_frame *f;
	struct wire_link link;
	struct wire_ip ip;
	const u8 *ip_at, *upper_at;
	u32 upper_bytes; /* of the upper layer's header */
	u32 off, len;    /* payload */
	bool cut, last;
};

/* -- the device's frame ------------------------------------------------------------------------ */

static u32 read_frame(struct ipsec *d, const struct tx_frame *f, struct leaving *l)
{
	const u8 *p = f->header + f->header_off;
	u32 all = tx_frame_len(f), left;

	l->f = f;
	if (wire_link_parse(p, f->header_len, all, &l->link))
		return IPSEC_DROP_UNREADABLE;
	if (l->link.ethertype != WIRE_ETH_IP4 && l->link.ethertype != WIRE_ETH_IP6) {
		l->ip.version = 0;
		return 0;
	}
	l->ip_at = p + l->link.header_bytes;
	if (f->header_len < l->link.header_bytes + WIRE_IP4_BYTES ||
	    wire_ip_parse(l->ip_at, all - l->link.header_bytes, &l->ip))
		return IPSEC_DROP_UNREADABLE;
	if (l->link.header_bytes + l->ip.header_bytes > f->header_len)
		return IPSEC_DROP_UNREADABLE;
	l->upper_at = l->ip_at + l->ip.header_bytes;
	l->upper_bytes = f->header_len - l->link.header_bytes - l->ip.header_bytes;
	left = f->payload_len - d->inner_off;
	l->cut = f->gso_bytes && f->payload_len > f->gso_bytes;
	l->off = d->inner_off;
	l->len = l->cut ? min_of(left, (u32)f->gso_bytes) : left;
	l->last = l->len == left;
	if (l->ip.protocol == IPPROTO_OF_TCP ? l->upper_bytes < WIRE_TCP_BYTES : l->cut)
		return IPSEC_DROP_UNREADABLE;
	return 0;
}

/* -- a piece ----------------------------------------------------------------------------------- */

/* The piece's own TCP header, in front of its payload at `tcp` (RFC 9293 3.1, RFC 3168 6.1.2). */
static void finish_tcp(const struct leaving *l, u8 *tcp)
{
	u32 bytes = l->upper_bytes + l->len;
	be16 sum;

	if (l->cut) {
		wire_put32(tcp + TCP_SEQ_OFF, wire_get32(tcp + TCP_SEQ_OFF) + l->off);
		if (l->off)
			tcp[TCP_FLAGS_OFF] &= (u8)~WIRE_CWR;
		if (!l->last)
			tcp[TCP_FLAGS_OFF] &= (u8) ~(WIRE_FIN | WIRE_PSH);
	}
	if (!l->cut && !l->f->csum_start)
		return; /* it is right already */
	memset(tcp + TCP_CSUM_OFF, 0, 2);
	sum = csum_finish(
		csum_bytes(csum_pseudo(&l->ip.src, &l->ip.dst, IPPROTO_OF_TCP, bytes), tcp, bytes));
	memcpy(tcp + TCP_CSUM_OFF, &sum, sizeof(sum));
}

/* The packet's own IP header, for a piece. */
static void write_ip(const struct leaving *l, u8 *to, u8 protocol, u32 payload)
{
	memcpy(to, l->ip_at, l->ip.header_bytes);
	if (l->ip.version == 4 && l->off)
		wire_put16(to + WIRE_IP4_ID_OFF, (u16)(l->ip.id + l->off / l->f->gso_bytes));
	ip_patch(to, l->ip.header_bytes, protocol, payload);
}

/* The piece in the clear: in tunnel mode with its IP header. False: the payload's chain is shorter
 * than the frame says. */
static bool write_text(struct ipsec *d, const struct leaving *l, bool tunnel, u8 *to)
{
	u32 header = tunnel ? l->ip.header_bytes : 0;
	u32 upper = l->upper_bytes + l->len;
	struct buf_pool *pool = d->config.pool;

	if (tunnel)
		write_ip(l, to, l->ip.protocol, upper);
	memcpy(to + header, l->upper_at, l->upper_bytes);
	if (l->len) {
		u32 skip = l->f->payload_off - buf_at(pool, l->f->payload_buf)->off + l->off;

		if (buf_chain_copy(pool, l->f->payload_buf, skip, to + header + l->upper_bytes,
		                   l->len) != l->len)
			return false;
	}
	if (l->ip.protocol == IPPROTO_OF_TCP)
		finish_tcp(l, to + header);
	return true;
}

/* -- the sealed packet ------------------------------------------------------------------------- */

/* The header in front of ESP or AH; returns its bytes. */
static u32 write_outer(struct ipsec *d, const struct leaving *l, const struct sa *sa, u8 *to,
                       u32 payload)
{
	const struct ipsec_sa_state *s = &sa->state;
	struct wire_ip ip;

	if (s->mode == IPSEC_TRANSPORT) {
		write_ip(l, to, s->protocol, payload);
		return l->ip.header_bytes;
	}
	ip = (struct wire_ip){
		.src = s->local,
		.dst = s->remote,
		.version = ip_addr_is_v4(&s->local) ? 4 : 6,
		.tos = l->ip.tos, /* DSCP, and ECN in normal mode (RFC 6040 4.1) */
		.ttl = s->hop_limit,
		.protocol = s->protocol,
		.dont_fragment = l->ip.version == 6 || l->ip.dont_fragment,
		.id = d->next_ip_id++,
		.payload_bytes = payload,
	};
	return wire_ip_write(to, &ip);
}

static bool seal_esp(struct ipsec *d, struct sa *sa, u8 *esp, u32 text, u64 seq)
{
	struct ipsec_text x;

	wire_esp_write(esp, &(struct wire_esp){sa->state.spi, (u32)seq});
	text_esp(&x, sa, esp, text, seq);
	return !d->config.cipher.ops->seal(sa->cipher, &x.t);
}

static bool seal_ah(struct ipsec *d, struct sa *sa, const u8 *ip, u32 ip_bytes, u8 *ah,
                    const struct wire_ah *h, u32 text, u64 seq)
{
	struct ipsec_text x;

	wire_ah_write(ah, h);
	if (text_ah(&x, sa, ip, ip_bytes, ah, h->bytes, text, seq) ||
	    d->config.cipher.ops->seal(sa->cipher, &x.t))
		return false;
	memcpy(ah + WIRE_AH_BYTES, x.iv, sa->shape->iv_bytes);
	memcpy(ah + WIRE_AH_BYTES + sa->shape->iv_bytes, x.icv, CIPHER_ICV_BYTES);
	return true;
}

/* Bytes of the packet behind the outer IP header. */
struct layout {
	u32 outer; /* the outer IP header */
	u32 head;  /* ESP header and IV, or AH */
	u32 text;  /* what the algorithm is applied to */
	u32 trailer;
	u32 all;
};

static struct layout layout_of(const struct leaving *l, const struct sa *sa)
{
	bool tunnel = sa->state.mode == IPSEC_TUNNEL, v4 = ip_addr_is_v4(&sa->state.local);
	struct layout y = {.outer = l->ip.header_bytes};

	y.text = (tunnel ? l->ip.header_bytes : 0u) + l->upper_bytes + l->len;
	if (tunnel)
		y.outer = v4 ? WIRE_IP4_BYTES : WIRE_IP6_BYTES;
	if (sa->state.protocol == WIRE_IPPROTO_AH) {
		y.head = wire_ah_bytes(ah_icv_bytes(sa->shape), v4 ? 4 : 6);
		y.all = y.head + y.text;
		return y;
	}
	y.head = WIRE_ESP_BYTES + sa->shape->iv_bytes;
	y.trailer = wire_esp_trailer_bytes(y.text, sa->shape->align);
	y.text += y.trailer;
	y.all = y.head + y.text + CIPHER_ICV_BYTES;
	return y;
}

static void start_frame(struct ipsec *d, const struct leaving *l, const struct layout *y,
                        struct tx_frame *t, u32 buf)
{
	struct buf *b = buf_at(d->config.pool, buf);

	b->off = 0;
	b->len = y->all;
	*t = (struct tx_frame){
		.header_off = HEADER_OFF,
		.port = l->f->port,
		.payload_buf = buf,
		.payload_len = y->all,
		.conn = l->f->conn,
	};
}

/* False: it could not be sealed; its number is used up, and what lies in the buffer may not leave.
 */
static bool seal_piece(struct ipsec *d, struct leaving *l, struct sa *sa, const struct layout *y,
                       struct tx_frame *t, u32 buf)
{
	bool tunnel = sa->state.mode == IPSEC_TUNNEL;
	u8 *at = buf_bytes(d->config.pool, buf);
	u8 next = l->ip.protocol;
	u64 seq = ++sa->state.seq;
	u32 link, ip;
	bool sealed;

	if (tunnel)
		next = l->ip.version == 4 ? IPPROTO_OF_IP4 : IPPROTO_OF_IP6;
	l->link.payload_bytes = y->outer + y->all;
	if (tunnel)
		l->link.ethertype = ip_addr_is_v4(&sa->state.local) ? WIRE_ETH_IP4 : WIRE_ETH_IP6;
	link = wire_link_write(t->header + HEADER_OFF, &l->link);
	ip = write_outer(d, l, sa, t->header + HEADER_OFF + link, y->all);
	t->header_len = (u8)(link + ip);
	if (!write_text(d, l, tunnel, at + y->head))
		return false;
	if (sa->state.protocol == WIRE_IPPROTO_AH) {
		struct wire_ah ah = {sa->state.spi, (u32)seq, next, (u8)y->head};

		sealed = seal_ah(d, sa, t->header + HEADER_OFF + link, ip, at, &ah, y->text, seq);
	} else {
		wire_esp_trailer_write(at + y->head + y->text - y->trailer, y->trailer, next);
		sealed = seal_esp(d, sa, at, y->text, seq);
	}
	if (!sealed)
		return false;
	sa_account(d, sa, y->text);
	d->count.sealed++;
	return true;
}

/* -- one frame --------------------------------------------------------------------------------- */

static void next_frame(struct ipsec *d)
{
	d->inner_at++;
	d->inner_off = 0;
}

static void drop(struct ipsec *d, u32 reason)
{
	d->count.drops[reason]++;
	next_frame(d);
}

static void bypass(struct ipsec *d, struct tx_batch *tx)
{
	tx->frames[tx->n++] = d->inner.frames[d->inner_at];
	d->bypassed = true;
	d->count.bypassed_out++;
	next_frame(d);
}

/* 0 and the association, or why nothing of the frame may leave. *ret_sa NULL: in the clear. */
static u32 decide(struct ipsec *d, const struct leaving *l, struct sa **ret_sa)
{
	const struct flow_entry *e;
	struct ipsec_flow flow;
	struct sa *sa;

	*ret_sa = NULL;
	if (!l->ip.version || !d->n_policies)
		return 0;
	flow_of(l->ip_at, l->ip.header_bytes + l->upper_bytes, &l->ip, true, &flow);
	e = policy_out(d, &flow);
	if (e->policy == NIL || d->policy[e->policy].action == IPSEC_BYPASS)
		return 0;
	if (d->policy[e->policy].action == IPSEC_DISCARD)
		return IPSEC_DROP_DISCARDED;
	if (e->sa == NIL)
		return IPSEC_DROP_NO_SA;
	sa = &d->sa[e->sa];
	if (sa_is_expired(d, sa))
		return IPSEC_DROP_EXPIRED;
	if (sa->state.seq == (sa->state.esn ? UINT64_MAX : UINT32_MAX)) {
		sa_tell(d, sa, IPSEC_SEQUENCE_USED_UP); /* RFC 4303 3.3.3: it never cycles */
		return IPSEC_DROP_SEQUENCE;
	}
	*ret_sa = sa;
	return 0;
}

/* False: no buffer to seal into before the caller's batch has been sent. */
static bool send_one(struct ipsec *d, struct tx_batch *tx)
{
	const struct tx_frame *f = &d->inner.frames[d->inner_at];
	struct leaving l;
	struct layout y;
	struct sa *sa;
	u32 reason = read_frame(d, f, &l), buf;

	if (!reason)
		reason = decide(d, &l, &sa);
	if (reason) {
		drop(d, reason);
		return true;
	}
	if (!sa) {
		bypass(d, tx);
		return true;
	}
	if (d->n_lent == d->config.frames)
		return false;
	y = layout_of(&l, sa);
	buf = d->lent[d->n_lent];
	if (y.outer + y.all > d->config.mtu_bytes || y.all > buf_capacity(d->config.pool, buf)) {
		drop(d, IPSEC_DROP_TOO_LONG);
		return true;
	}
	start_frame(d, &l, &y, &tx->frames[tx->n], buf);
	if (!seal_piece(d, &l, sa, &y, &tx->frames[tx->n], buf)) {
		drop(d, IPSEC_DROP_NOT_SEALED);
		return true;
	}
	tx->n++;
	d->n_lent++;
	d->inner_off += l.len;
	if (l.last) {
		d->count.cut += l.cut;
		next_frame(d);
	}
	return true;
}

/* The caller sends a batch whole before it asks for the next, so when it has fewer frames than we
 * left in it, ours are gone and their buffers are free. */
static void take_back(struct ipsec *d, const struct tx_batch *tx)
{
	if (tx->n && tx->n >= d->lent_at)
		return;
	d->n_lent = 0;
	d->bypassed = false;
}

bool ipsec_flush(void *device, struct tx_batch *tx, u64 now_ns)
{
	struct ipsec *d = device;
	const struct device *below = &d->chain.below;
	bool more = true;

	d->now_ns = now_ns;
	take_back(d, tx);
	while (tx->n < tx->cap) {
		if (d->inner_at < d->inner.n) {
			if (!send_one(d, tx))
				break;
			continue;
		}
		/* What the device lends with a frame that was only passed on it takes back when it
		 * is asked again. */
		if (!more || d->bypassed)
			break;
		d->inner.n = d->inner_at = d->inner_off = 0;
		more = below->frames->flush(below->impl, &d->inner, now_ns);
		if (!d->inner.n)
			break;
	}
	d->lent_at = tx->n;
	return more || d->inner_at < d->inner.n;
}

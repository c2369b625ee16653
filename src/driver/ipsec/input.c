/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Frames that come in: ESP and AH are verified, deciphered and taken off; the rest is looked at by
 * policy only (RFC 4301 5.2). */
#include <errno.h>

#include "driver/ipsec/internal.h"

enum {
	IPPROTO_OF_IP4 = 4,
	IPPROTO_OF_IP6 = 41,
	ECN_BITS = 3,
	ECN_CE = 3,
};

/* A frame that is being opened. */
struct opening {
	u8 *p; /* all of it in one piece */
	struct wire_link link;
	struct wire_ip ip; /* the outer header */
	u32 ip_off;
	/* The result: where the ordinary frame begins, and its bytes. */
	u32 from, bytes;
};

/* -- the frame's buffers ----------------------------------------------------------------------- */

static u8 *in_one_piece(struct ipsec *d, const struct rx_frame *f)
{
	struct buf_pool *pool = d->config.pool;

	if (likely(buf_at(pool, f->buf)->next == NIL))
		return buf_data(pool, f->buf);
	if (f->len > PACKET_BYTES_MAX)
		return NULL;
	buf_chain_copy(pool, f->buf, 0, d->packet, f->len);
	return d->packet;
}

/* The opened frame into the buffers that it came in; what is not needed any more is released. */
static void put_back(struct ipsec *d, struct rx_frame *f, const struct opening *o)
{
	struct buf_pool *pool = d->config.pool;
	const u8 *from = o->p + o->from;
	struct buf *b = buf_at(pool, f->buf);
	u32 left = o->bytes;

	f->len = o->bytes;
	f->csum = FRAME_CSUM_UNKNOWN;
	f->gso_bytes = 0;
	if (likely(o->p != d->packet)) {
		b->off += o->from;
		b->len = o->bytes;
		return;
	}
	for (;;) {
		u32 next = b->next;

		b->len = min_of(b->len, left);
		memcpy(buf_bytes(pool, (u32)(b - pool->descs)) + b->off, from, b->len);
		from += b->len;
		left -= b->len;
		if (!left || next == NIL) {
			b->next = NIL;
			buf_put_chain(pool, next);
			return;
		}
		b = buf_at(pool, next);
	}
}

/* -- numbers and keys -------------------------------------------------------------------------- */

/* 0, and the whole sequence number; or why the packet is dropped without being looked into. */
static u32 admit(struct ipsec *d, const struct sa *sa, u32 low, u64 *ret_seq)
{
	if (!sa)
		return IPSEC_DROP_UNKNOWN_SPI;
	if (sa->leaving)
		return IPSEC_DROP_LEAVING;
	if (sa_is_expired(d, sa))
		return IPSEC_DROP_EXPIRED;
	*ret_seq = replay_extend(sa->state.seq, low, sa->state.esn);
	if (!replay_is_fresh(&sa->state.replay_0, sa->state.seq, *ret_seq))
		return IPSEC_DROP_REPLAYED;
	return 0;
}

static bool opens(struct ipsec *d, struct sa *sa, const struct ipsec_text *x, u64 seq)
{
	const struct cipher_ops *ops = d->config.cipher.ops;

	if (likely(!sa->previous))
		return !ops->open(sa->cipher, &x->t);
	memcpy(d->backup, x->t.data, x->t.len);
	if (!ops->open(sa->cipher, &x->t)) {
		sa->first_of_new = sa->first_of_new ? sa->first_of_new : seq;
		return true;
	}
	memcpy(x->t.data, d->backup, x->t.len);
	return !ops->open(sa->previous, &x->t);
}

/* The packet is authentic: its number is used up, and an old key goes when its time has passed. */
static void accept(struct ipsec *d, struct sa *sa, u64 seq, u32 bytes)
{
	replay_mark(&sa->state.replay_0, &sa->state.seq, seq);
	sa_account(d, sa, bytes);
	d->count.opened++;
	if (sa->previous && sa->first_of_new && sa->state.seq >= sa->first_of_new + IPSEC_WINDOW)
		sa_forget_previous(d, sa);
}

/* -- what was inside --------------------------------------------------------------------------- */

/* The outer header's mark goes in (RFC 6040 4.2). */
static u32 carry_mark(const struct opening *o, u8 *inner, const struct wire_ip *ip)
{
	if (likely((o->ip.tos & ECN_BITS) != ECN_CE))
		return 0;
	if (!(ip->tos & ECN_BITS))
		return IPSEC_DROP_CONGESTION;
	if (ip->version == 6) {
		inner[1] |= ECN_CE << 4; /* the class's low half is the upper half of this byte */
		return 0;
	}
	inner[WIRE_IP4_TOS_OFF] |= ECN_CE;
	ip_patch(inner, (u32)(inner[0] & 15) * 4, inner[9],
	         wire_get16(inner + WIRE_IP4_LENGTH_OFF) - (u32)(inner[0] & 15) * 4);
	return 0;
}

static u32 take_off_tunnel(struct opening *o, u32 at, u32 len, u8 next_header)
{
	u8 *inner = o->p + at;
	struct wire_ip ip;
	u32 reason;

	if (next_header != IPPROTO_OF_IP4 && next_header != IPPROTO_OF_IP6)
		return IPSEC_DROP_MODE;
	reason = next_header == IPPROTO_OF_IP4 ? wire_ip4_parse(inner, len, &ip)
	                                       : wire_ip6_parse(inner, len, &ip);
	if (!reason)
		reason = carry_mark(o, inner, &ip);
	if (reason)
		return reason;
	o->link.ethertype = ip.version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6;
	o->link.payload_bytes = ip.header_bytes + ip.payload_bytes;
	o->from = at - o->ip_off;
	return 0;
}

static u32 take_off_transport(struct opening *o, u32 at, u32 len, u8 next_header)
{
	u32 header = o->ip.header_bytes;

	o->from = at - header - o->ip_off;
	memmove(o->p + at - header, o->p + o->ip_off, header);
	ip_patch(o->p + at - header, header, next_header, len);
	o->link.payload_bytes = header + len;
	return 0;
}

/* `len` bytes at p + at are what the packet carried: makes an ordinary frame of it. */
static u32 take_off(struct opening *o, const struct sa *sa, u32 at, u32 len, u8 next_header)
{
	struct ipsec_selector selector = sa_selector(&sa->state);
	struct ipsec_flow flow;
	struct wire_ip ip;
	u32 reason;
	u8 *inner;

	if (next_header == WIRE_ESP_DUMMY)
		return IPSEC_DROP_DUMMY;
	reason = sa->state.mode == IPSEC_TUNNEL ? take_off_tunnel(o, at, len, next_header)
	                                        : take_off_transport(o, at, len, next_header);
	if (reason)
		return reason;
	wire_link_write(o->p + o->from, &o->link);
	o->bytes = o->ip_off + o->link.payload_bytes;
	inner = o->p + o->from + o->ip_off;
	reason = wire_ip_parse(inner, o->link.payload_bytes, &ip);
	if (reason)
		return reason;
	flow_of(inner, o->link.payload_bytes, &ip, false, &flow);
	return selector_matches(&selector, &flow) ? 0 : IPSEC_DROP_SELECTOR;
}

/* -- ESP and AH -------------------------------------------------------------------------------- */

static u32 open_esp(struct ipsec *d, struct opening *o)
{
	u32 at = o->ip_off + o->ip.header_bytes, len = o->ip.payload_bytes;
	struct wire_esp esp;
	struct ipsec_text x;
	struct sa *sa;
	u32 reason = wire_esp_parse(o->p + at, len, &esp), head, text;
	u8 next_header;
	u64 seq;

	if (reason)
		return reason;
	sa = sa_find(d, esp.spi, &o->ip.dst, WIRE_IPPROTO_ESP);
	reason = admit(d, sa, esp.seq, &seq);
	if (reason)
		return reason;
	head = WIRE_ESP_BYTES + sa->shape->iv_bytes;
	if (len < head + WIRE_ESP_TRAILER_BYTES + CIPHER_ICV_BYTES)
		return WIRE_ESP_SHORT;
	text = len - head - CIPHER_ICV_BYTES;
	if (text % sa->shape->align)
		return WIRE_ESP_PADDING;
	text_esp(&x, sa, o->p + at, text, seq);
	if (!opens(d, sa, &x, seq))
		return IPSEC_DROP_FORGED;
	accept(d, sa, seq, text);
	reason = wire_esp_trailer_parse(x.t.data, text, &len, &next_header);
	return reason ? reason : take_off(o, sa, at + head, len, next_header);
}

static u32 open_ah(struct ipsec *d, struct opening *o)
{
	u32 at = o->ip_off + o->ip.header_bytes, len = o->ip.payload_bytes;
	struct ipsec_text x;
	struct wire_ah ah;
	struct sa *sa;
	u32 reason = wire_ah_parse(o->p + at, len, o->ip.version, &ah);
	u64 seq;

	if (reason)
		return reason;
	sa = sa_find(d, ah.spi, &o->ip.dst, WIRE_IPPROTO_AH);
	reason = admit(d, sa, ah.seq, &seq);
	if (reason)
		return reason;
	if (ah.bytes != wire_ah_bytes(ah_icv_bytes(sa->shape), o->ip.version))
		return WIRE_AH_LENGTH;
	len -= ah.bytes;
	reason = text_ah(&x, sa, o->p + o->ip_off, o->ip.header_bytes, o->p + at, ah.bytes, len,
	                 seq);
	if (reason)
		return reason;
	if (!opens(d, sa, &x, seq))
		return IPSEC_DROP_FORGED;
	accept(d, sa, seq, len);
	return take_off(o, sa, at + ah.bytes, len, ah.next_header);
}

/* -- one frame --------------------------------------------------------------------------------- */

/* Not ESP, not AH: may it come in the clear? */
static u32 look_at_clear(struct ipsec *d, const struct opening *o)
{
	const u8 *p = o->p + o->ip_off;
	struct ipsec_flow flow;
	u32 policy;

	if (d->n_policies) {
		/* The ports lie in the first bytes, which are in one piece. */
		flow_of(p, o->link.payload_bytes, &o->ip, false, &flow);
		policy = policy_find(d, &flow);
		if (policy != NIL && d->policy[policy].action == IPSEC_PROTECT)
			return IPSEC_DROP_UNPROTECTED;
		if (policy != NIL && d->policy[policy].action == IPSEC_DISCARD)
			return IPSEC_DROP_DISCARDED;
	}
	d->count.bypassed_in++;
	return 0;
}

/* 0: it goes to the device below; else why it is dropped. */
static u32 look_at(struct ipsec *d, struct rx_frame *f)
{
	struct buf_pool *pool = d->config.pool;
	u32 avail = buf_at(pool, f->buf)->len;
	struct opening o = {.p = buf_data(pool, f->buf)};
	u32 reason;

	/* What cannot be read is the business of the device below, which counts it. */
	if (wire_link_parse(o.p, avail, f->len, &o.link))
		return 0;
	if (o.link.ethertype != WIRE_ETH_IP4 && o.link.ethertype != WIRE_ETH_IP6)
		return 0;
	o.ip_off = o.link.header_bytes;
	if (avail < f->len && avail < o.ip_off + WIRE_IP4_BYTES_MAX + WIRE_ESP_BYTES)
		return 0;
	if (wire_ip_parse(o.p + o.ip_off, o.link.payload_bytes, &o.ip))
		return 0;
	if (likely(o.ip.protocol != WIRE_IPPROTO_ESP && o.ip.protocol != WIRE_IPPROTO_AH))
		return look_at_clear(d, &o);
	if (wire_ip_is_fragment(&o.ip) || o.ip.has_frag_header)
		return IPSEC_DROP_FRAGMENT;
	o.p = in_one_piece(d, f);
	if (!o.p)
		return IPSEC_DROP_TOO_LONG;
	reason = o.ip.protocol == WIRE_IPPROTO_ESP ? open_esp(d, &o) : open_ah(d, &o);
	if (!reason)
		put_back(d, f, &o);
	return reason;
}

/* Runs of frames that are not dropped go on together. */
void ipsec_input(void *device, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct ipsec *d = device;
	const struct device *below = &d->chain.below;
	u32 first = 0;

	d->now_ns = now_ns;
	for (u32 i = 0; i <= n; i++) {
		u32 reason = i < n ? look_at(d, &frames[i]) : 0;

		if (i < n && !reason)
			continue;
		if (i > first)
			below->frames->input(below->impl, frames + first, i - first, now_ns);
		first = i + 1;
		if (i == n)
			break;
		frames[i].verdict = FRAME_DROPPED;
		frames[i].reason = (u8)reason;
		d->count.drops[reason]++;
	}
}

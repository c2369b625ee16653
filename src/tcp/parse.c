/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * From frame to segment. Every byte is a stranger's: nothing is read that was not counted first,
 * and whatever is not a plain TCP segment goes to the host.
 */
#include "tcp/internal.h"

enum {
	ETH_ADDRS_BYTES = 12,
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_IPV6 = 0x86dd,
	ETHERTYPE_VLAN = 0x8100,
	ETHERTYPE_QINQ = 0x88a8,
	ETHERTYPE_MIN = 0x0600, /* below: a length, IEEE 802.3 */
	LLC_SNAP_BYTES = 6,
	IP_PROTO_TCP = 6,
	IPV4_HEADER_BYTES = 20,
	IPV6_HEADER_BYTES = 40,
	TCP_HEADER_BYTES = 20,
	IPV4_FRAGMENT_MASK = 0x3fff, /* more fragments, offset */
};

enum {
	OPT_END = 0,
	OPT_NOP = 1,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_PERMITTED = 4,
	OPT_SACK = 5,
	OPT_TIMESTAMPS = 8,
};

/* NOP NOP TIMESTAMPS 10, as everybody sends it. */
static const u32 timestamps_only = 0x0101080a;

static inline u16 get_be16(const u8 *p)
{
	be16 v;

	memcpy(&v, p, sizeof(v));
	return be16_to_cpu(v);
}

static inline u32 get_be32(const u8 *p)
{
	be32 v;

	memcpy(&v, p, sizeof(v));
	return be32_to_cpu(v);
}

static enum frame_verdict to_host(u8 *ret_reason, enum tcp_to_host reason)
{
	*ret_reason = reason;
	return FRAME_TO_HOST;
}

static enum frame_verdict drop(u8 *ret_reason, enum tcp_drop reason)
{
	*ret_reason = reason;
	return FRAME_DROPPED;
}

/* Walks tags and LLC/SNAP; writes where IP begins and returns the Ethernet type, 0: not ours. */
static u16 parse_link(const u8 *p, u32 len, u32 *ret_off)
{
	u32 off = ETH_ADDRS_BYTES;
	u16 type;

	if (len < off + 2)
		return 0;
	type = get_be16(p + off);
	for (int tags = 0; type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ; tags++) {
		off += 4;
		if (tags == VLAN_DEPTH_MAX || len < off + 2)
			return 0;
		type = get_be16(p + off);
	}
	off += 2;
	if (unlikely(type < ETHERTYPE_MIN)) {
		static const u8 llc[LLC_SNAP_BYTES] = {0xaa, 0xaa, 0x03, 0, 0, 0};

		if (len < off + LLC_SNAP_BYTES + 2 || memcmp(p + off, llc, LLC_SNAP_BYTES) != 0)
			return 0;
		type = get_be16(p + off + LLC_SNAP_BYTES);
		off += LLC_SNAP_BYTES + 2;
	}
	*ret_off = off;
	return type;
}

/* IPv4 header at `ip`; writes the bytes of TCP. FRAME_PENDING when it is plain TCP. */
static enum frame_verdict parse_ipv4(const u8 *ip, u32 linear, u32 left, u32 *ret_tcp_len,
                                     u8 *ret_reason)
{
	u32 total;

	if (linear < IPV4_HEADER_BYTES)
		return left < IPV4_HEADER_BYTES ? drop(ret_reason, TCP_DROP_SHORT)
		                                : to_host(ret_reason, TCP_TO_HOST_NOT_LINEAR);
	if (unlikely(ip[0] != 0x45)) {
		if (ip[0] >> 4 == 4 && (ip[0] & 15) > 5)
			return to_host(ret_reason, TCP_TO_HOST_IP_OPTIONS);
		return drop(ret_reason, TCP_DROP_IP_HEADER);
	}
	if (ip[9] != IP_PROTO_TCP)
		return to_host(ret_reason, TCP_TO_HOST_NOT_TCP);
	if (get_be16(ip + 6) & IPV4_FRAGMENT_MASK)
		return to_host(ret_reason, TCP_TO_HOST_FRAGMENT);
	total = get_be16(ip + 2);
	if (total > left || total < IPV4_HEADER_BYTES + TCP_HEADER_BYTES)
		return drop(ret_reason, TCP_DROP_SHORT);
	*ret_tcp_len = total - IPV4_HEADER_BYTES;
	return FRAME_PENDING;
}

static enum frame_verdict parse_ipv6(const u8 *ip, u32 linear, u32 left, u32 *ret_tcp_len,
                                     u8 *ret_reason)
{
	u32 payload;

	if (linear < IPV6_HEADER_BYTES)
		return left < IPV6_HEADER_BYTES ? drop(ret_reason, TCP_DROP_SHORT)
		                                : to_host(ret_reason, TCP_TO_HOST_NOT_LINEAR);
	if (ip[0] >> 4 != 6)
		return drop(ret_reason, TCP_DROP_IP_HEADER);
	if (ip[6] != IP_PROTO_TCP)
		return to_host(ret_reason, TCP_TO_HOST_NOT_TCP);
	payload = get_be16(ip + 4);
	if (payload > left - IPV6_HEADER_BYTES || payload < TCP_HEADER_BYTES)
		return drop(ret_reason, TCP_DROP_SHORT);
	*ret_tcp_len = payload;
	return FRAME_PENDING;
}

static u32 hash_segment(struct tcp_engine *e, const struct segment *s)
{
	/* As flow_key_hash(), without the detour by the mapped form for IPv4. */
	if (likely(s->v4)) {
		u8 b[12];

		memcpy(b, s->ip + 16, 4);
		memcpy(b + 4, s->ip + 12, 4);
		memcpy(b + 8, &s->local_port, 2);
		memcpy(b + 10, &s->remote_port, 2);
		return (u32)hash_bytes(&e->key, b, sizeof(b));
	}
	struct flow_key key = {
		.local_port = s->local_port,
		.remote_port = s->remote_port,
	};

	memcpy(key.local.b, s->ip + 24, 16);
	memcpy(key.remote.b, s->ip + 8, 16);
	return flow_key_hash(&e->key, &key);
}

static enum frame_verdict parse_tcp(struct tcp_engine *e, struct segment *s, u32 linear,
                                    u32 tcp_len, u8 *ret_reason)
{
	const u8 *t = s->tcp;
	u32 header;

	if (linear < TCP_HEADER_BYTES)
		return to_host(ret_reason, TCP_TO_HOST_NOT_LINEAR);
	header = (u32)(t[12] >> 4) * 4;
	if (header < TCP_HEADER_BYTES || header > tcp_len)
		return drop(ret_reason, TCP_DROP_TCP_HEADER);
	if (linear < header)
		return to_host(ret_reason, TCP_TO_HOST_NOT_LINEAR);
	s->remote_port = get_be16(t);
	s->local_port = get_be16(t + 2);
	s->seq = seq_of(get_be32(t + 4));
	s->ack = seq_of(get_be32(t + 8));
	s->flags = t[13] & 0x3f;
	s->wnd = get_be16(t + 14);
	s->urgent = get_be16(t + 18);
	s->header_len = (u8)header;
	s->payload_len = tcp_len - header;
	s->payload_off += header;
	s->hash = hash_segment(e, s);
	return FRAME_PENDING;
}

enum frame_verdict segment_parse(struct tcp_engine *e, const struct rx_frame *f,
                                 struct segment *ret, u8 *ret_reason)
{
	const struct buf *b = buf_at(e->bufs, f->buf);
	const u8 *p = buf_data(e->bufs, f->buf);
	u32 linear = min_of(b->len, f->len);
	enum frame_verdict verdict;
	u32 off = 0, tcp_len, ip_len;
	u16 type = parse_link(p, linear, &off);

	ret->v4 = type == ETHERTYPE_IPV4;
	if (!ret->v4 && type != ETHERTYPE_IPV6)
		return to_host(ret_reason, TCP_TO_HOST_NOT_IP);
	ret->ip = p + off;
	ip_len = ret->v4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
	if (likely(ret->v4))
		verdict = parse_ipv4(ret->ip, linear - off, f->len - off, &tcp_len, ret_reason);
	else
		verdict = parse_ipv6(ret->ip, linear - off, f->len - off, &tcp_len, ret_reason);
	if (verdict != FRAME_PENDING)
		return verdict;
	off += ip_len;
	ret->tcp = p + off;
	ret->payload_off = off;
	verdict = parse_tcp(e, ret, linear - off, tcp_len, ret_reason);
	ret->segs = 1;
	if (f->gso_bytes && ret->payload_len > f->gso_bytes)
		ret->segs = (u16)((ret->payload_len + f->gso_bytes - 1) / f->gso_bytes);
	return verdict;
}

static void parse_sack(struct segment *s, const u8 *p, u32 len)
{
	s->options |= TCP_OPT_SACK;
	for (; len >= 8 && s->n_sack < SACK_BLOCKS_IN; len -= 8, p += 8)
		s->sack[s->n_sack++] =
			(struct seq_range){seq_of(get_be32(p)), seq_of(get_be32(p + 4))};
}

/* One option of known kind; false: its length is not the kind's. */
static bool parse_option(struct segment *s, const u8 *p, u8 len)
{
	bool syn = s->flags & TCP_SYN;

	switch (p[0]) {
	case OPT_TIMESTAMPS:
		if (len != 10)
			return false;
		s->options |= TCP_OPT_TIMESTAMPS;
		s->ts_val = get_be32(p + 2);
		s->ts_ecr = get_be32(p + 6);
		return true;
	case OPT_SACK:
		if (len < 10 || (len - 2) % 8)
			return false;
		parse_sack(s, p + 2, len - 2u);
		return true;
	case OPT_MSS:
		if (len != 4)
			return false;
		if (syn)
			s->mss = get_be16(p + 2);
		return true;
	case OPT_WSCALE:
		if (len != 3)
			return false;
		if (syn) {
			s->options |= TCP_OPT_WSCALE;
			s->wscale = min_of(p[2], (u8)14); /* RFC 7323 2.3 */
		}
		return true;
	case OPT_SACK_PERMITTED:
		if (len != 2)
			return false;
		if (syn)
			s->options |= TCP_OPT_SACK;
		return true;
	default:
		return true; /* MUST-6 */
	}
}

bool segment_options(struct segment *s)
{
	const u8 *p = s->tcp + TCP_HEADER_BYTES;
	const u8 *end = s->tcp + s->header_len;

	s->options = 0;
	s->n_sack = 0;
	s->mss = 0;
	s->wscale = 0;
	if (p == end)
		return true;
	if (likely(end - p == 12 && get_be32(p) == timestamps_only)) {
		s->options = TCP_OPT_TIMESTAMPS;
		s->ts_val = get_be32(p + 4);
		s->ts_ecr = get_be32(p + 8);
		return true;
	}
	while (p < end) {
		if (p[0] == OPT_END)
			return true;
		if (p[0] == OPT_NOP) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p || !parse_option(s, p, p[1]))
			return false;
		p += p[1];
	}
	return true;
}

enum tcp_drop segment_verify(struct tcp_engine *e, const struct rx_frame *f,
                             const struct segment *s)
{
	u32 tcp_len = s->header_len + s->payload_len;
	u32 tcp_off = s->payload_off - s->header_len;
	u64 sum;

	if (f->csum != FRAME_CSUM_UNKNOWN)
		return TCP_DROP_NONE;
	if (f->port < TCP_PORTS_MAX && e->config.ports[f->port].rx_trusted)
		return TCP_DROP_NONE;
	sum = (u64)cpu_to_be32(tcp_len) + cpu_to_be32(IP_PROTO_TCP);
	if (s->v4) {
		if (!csum_ok(csum_bytes(0, s->ip, IPV4_HEADER_BYTES)))
			return TCP_DROP_IP_HEADER;
		sum = csum_bytes(sum, s->ip + 12, 8);
	} else {
		sum = csum_bytes(sum, s->ip + 8, 32);
	}
	sum = csum_chain(sum, e->bufs, f->buf, tcp_off, tcp_len);
	return csum_ok(sum) ? TCP_DROP_NONE : TCP_DROP_CHECKSUM;
}

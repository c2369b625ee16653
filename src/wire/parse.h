/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A received frame to a TCP segment in one go: Ethernet (tags, SNAP), IPv4 or IPv6, TCP with its
 * options. The engine calls it for each frame.
 *
 * The verdict is the reason: WIRE_OK, one that sends the frame to the host (wire_reason_is_host()),
 * or one that drops it (wire_reason_is_drop()). Everything is checked against both the lengths that
 * the headers claim and the bytes that are there; any bytes may be given.
 */
#ifndef WIRE_PARSE_H
#define WIRE_PARSE_H

#include "base/csum.h"
#include "base/hash.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/tcp.h"

struct wire_tcp_segment {
	struct flow_key flow; /* local is the destination */
	tcp_seq seq;
	tcp_seq ack;
	u16 wnd;         /* not scaled */
	u8 flags;        /* wire_tcp_flags */
	u8 ip_version;   /* 4 or 6 */
	u32 payload_off; /* from the frame's first byte */
	u32 payload_len; /* by the IP length: padding is not in it */
	u16 ip_off;
	u16 tcp_off;
	u16 urg; /* urgent pointer */
	u8 tos;  /* TOS or traffic class, ECN bits included */
	u8 ttl;  /* or hop limit */
	u8 n_vlan;
	u8 snap;
	u32 vlan[WIRE_VLAN_MAX]; /* outermost first: TPID << 16 | TCI */
	struct wire_tcp_options options;
};

/* Sequence space that the segment takes (RFC 9293 3.4: SEG.LEN). */
static inline u32 wire_segment_len(const struct wire_tcp_segment *s)
{
	return s->payload_len + !!(s->flags & WIRE_SYN) + !!(s->flags & WIRE_FIN);
}

/* Bytes from the TCP header to the end of the payload. */
static inline u32 wire_segment_tcp_bytes(const struct wire_tcp_segment *s)
{
	return s->payload_off + s->payload_len - s->tcp_off;
}

/* Finds the IP header of any but a plain DIX frame; writes ip_off, tags, *ret_type and
 * *ret_bytes, the bytes that the link layer says follow. For wire_parse_tcp(). */
enum wire_reason wire_parse_link(const u8 *p, u32 avail, u32 len, struct wire_tcp_segment *seg,
                                 u16 *ret_type, u32 *ret_bytes);

/* Why an IPv4 header that is not 20 bytes of an unfragmented TCP datagram is not taken. */
enum wire_reason wire_parse_ip4_other(const u8 *ip, u32 avail, u32 bytes);

/* The same for an IPv6 header. */
enum wire_reason wire_parse_ip6_other(const u8 *ip, u32 avail, u32 bytes);

/* True when 20 bytes of IPv4 header have the right checksum. */
static inline bool wire_ip4_csum_ok(const u8 *ip)
{
	u64 a, b;
	u32 c;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	memcpy(&c, ip + 16, 4);
	return csum_ok((a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + c);
}

static inline enum wire_reason wire_parse_ip4(const u8 *ip, u32 avail, u32 bytes,
                                              struct wire_tcp_segment *seg, u32 *ret_tcp_bytes)
{
	u32 total;

	/* More fragments or an offset: 0x3fff; "do not fragment" may be either. */
	if (unlikely(avail < WIRE_IP4_BYTES || ip[0] != 0x45 || (wire_get16(ip + 6) & 0x3fff) ||
	             ip[9] != WIRE_IPPROTO_TCP))
		return wire_parse_ip4_other(ip, avail, bytes);
	total = wire_get16(ip + 2);
	if (unlikely(total < WIRE_IP4_BYTES || total > bytes))
		return WIRE_IP_LENGTH;
	if (unlikely(!wire_ip4_csum_ok(ip)))
		return WIRE_IP_CHECKSUM;
	seg->ip_version = 4;
	seg->tos = ip[1];
	seg->ttl = ip[8];
	seg->tcp_off = seg->ip_off + WIRE_IP4_BYTES;
	wire_get_ip4(ip + 12, &seg->flow.remote);
	wire_get_ip4(ip + 16, &seg->flow.local);
	*ret_tcp_bytes = total - WIRE_IP4_BYTES;
	return WIRE_OK;
}

static inline enum wire_reason wire_parse_ip6(const u8 *ip, u32 avail, u32 bytes,
                                              struct wire_tcp_segment *seg, u32 *ret_tcp_bytes)
{
	u32 payload;

	if (unlikely(avail < WIRE_IP6_BYTES || ip[0] >> 4 != 6 || ip[6] != WIRE_IPPROTO_TCP))
		return wire_parse_ip6_other(ip, avail, bytes);
	payload = wire_get16(ip + 4);
	if (unlikely(payload > bytes - WIRE_IP6_BYTES))
		return WIRE_IP_LENGTH;
	seg->ip_version = 6;
	seg->tos = (u8)(wire_get16(ip) >> 4);
	seg->ttl = ip[7];
	seg->tcp_off = seg->ip_off + WIRE_IP6_BYTES;
	memcpy(seg->flow.remote.b, ip + 8, 16);
	memcpy(seg->flow.local.b, ip + 24, 16);
	*ret_tcp_bytes = payload;
	return WIRE_OK;
}

/* `avail` contiguous bytes at `tcp`, `bytes` by the IP length. */
static inline enum wire_reason wire_parse_tcp_header(const u8 *tcp, u32 avail, u32 bytes,
                                                     struct wire_tcp_segment *seg)
{
	enum wire_reason reason;
	u32 header;

	if (unlikely(bytes < WIRE_TCP_BYTES))
		return WIRE_TCP_SHORT;
	if (unlikely(avail < WIRE_TCP_BYTES))
		return WIRE_HEADER_SPLIT;
	header = (u32)(tcp[12] >> 4) * 4;
	if (unlikely(header < WIRE_TCP_BYTES || header > bytes))
		return WIRE_TCP_HEADER_LENGTH;
	if (unlikely(header > avail))
		return WIRE_HEADER_SPLIT;
	seg->flow.remote_port = wire_get16(tcp);
	seg->flow.local_port = wire_get16(tcp + 2);
	seg->seq = seq_of(wire_get32(tcp + 4));
	seg->ack = seq_of(wire_get32(tcp + 8));
	seg->flags = tcp[13];
	seg->wnd = wire_get16(tcp + 14);
	seg->urg = wire_get16(tcp + 18);
	seg->payload_off = seg->tcp_off + header;
	seg->payload_len = bytes - header;
	reason = wire_tcp_options_fast(tcp + WIRE_TCP_BYTES, header - WIRE_TCP_BYTES,
	                               seg->flags & WIRE_SYN, &seg->options);
	if (unlikely(reason != WIRE_OK))
		return reason;
	return unlikely(seg->flags & WIRE_URG) ? WIRE_TCP_URGENT : WIRE_OK;
}

/*
 * Reads a frame of `len` bytes of which the first `avail` are contiguous at `p` (all of them, or at
 * least FRAME_HEADER_BYTES). `*seg` is complete for WIRE_OK and WIRE_TCP_URGENT, else undefined.
 * The TCP checksum is not verified here: wire_tcp_csum_ok().
 */
static inline enum wire_reason wire_parse_tcp(const u8 *p, u32 avail, u32 len,
                                              struct wire_tcp_segment *seg)
{
	enum wire_reason reason;
	u32 bytes, tcp_bytes = 0;
	u16 type;

	avail = min_of(avail, len);
	type = likely(avail >= WIRE_ETH_BYTES) ? wire_get16(p + 12) : 0;
	if (likely(type == WIRE_ETH_IP4 || type == WIRE_ETH_IP6)) {
		seg->ip_off = WIRE_ETH_BYTES;
		seg->n_vlan = 0;
		seg->snap = 0;
		bytes = len - WIRE_ETH_BYTES;
	} else {
		reason = wire_parse_link(p, avail, len, seg, &type, &bytes);
		if (reason != WIRE_OK)
			return reason;
	}
	avail = min_of(avail - seg->ip_off, bytes);
	reason = likely(type == WIRE_ETH_IP4)
	                 ? wire_parse_ip4(p + seg->ip_off, avail, bytes, seg, &tcp_bytes)
	                 : wire_parse_ip6(p + seg->ip_off, avail, bytes, seg, &tcp_bytes);
	if (unlikely(reason != WIRE_OK))
		return reason;
	avail -= seg->tcp_off - seg->ip_off;
	return wire_parse_tcp_header(p + seg->tcp_off, avail, tcp_bytes, seg);
}

/*
 * True when the TCP checksum of a parsed segment is right. `head` is the chain of the frame that
 * was parsed. Cost grows with the payload: ask only for FRAME_CSUM_UNKNOWN.
 */
bool wire_tcp_csum_ok(const struct wire_tcp_segment *seg, struct buf_pool *pool, u32 head);

#endif

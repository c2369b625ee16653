/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/parse.h"

enum wire_reason wire_parse_link(const u8 *p, u32 avail, u32 len, struct wire_tcp_segment *seg,
                                 u16 *ret_type, u32 *ret_bytes)
{
	struct wire_link link;
	enum wire_reason reason = wire_link_parse(p, avail, len, &link);

	if (reason != WIRE_OK)
		return reason;
	if (link.ethertype != WIRE_ETH_IP4 && link.ethertype != WIRE_ETH_IP6)
		return WIRE_NOT_IP;
	seg->ip_off = (u16)link.header_bytes;
	seg->n_vlan = link.n_vlan;
	seg->snap = link.snap;
	for (u32 i = 0; i < link.n_vlan; i++)
		seg->vlan[i] = link.vlan[i];
	*ret_type = link.ethertype;
	*ret_bytes = link.payload_bytes;
	return WIRE_OK;
}

enum wire_reason wire_parse_ip4_other(const u8 *ip, u32 avail, u32 bytes)
{
	struct wire_ip h;
	enum wire_reason reason;

	if (avail < WIRE_IP4_BYTES)
		return avail < bytes ? WIRE_HEADER_SPLIT : WIRE_IP_SHORT;
	if (ip[0] >> 4 == 4 && (u32)(ip[0] & 15) * 4 > avail && avail < bytes)
		return WIRE_HEADER_SPLIT;
	/* The header lies in the contiguous part, so only lengths look beyond it. */
	reason = wire_ip4_parse(ip, bytes, &h);
	if (reason != WIRE_OK)
		return reason;
	if (wire_ip_is_fragment(&h))
		return WIRE_IP_FRAGMENT;
	return h.protocol != WIRE_IPPROTO_TCP ? WIRE_NOT_TCP : WIRE_IP_OPTIONS;
}

enum wire_reason wire_parse_ip6_other(const u8 *ip, u32 avail, u32 bytes)
{
	if (avail < WIRE_IP6_BYTES)
		return avail < bytes ? WIRE_HEADER_SPLIT : WIRE_IP_SHORT;
	if (ip[0] >> 4 != 6)
		return WIRE_IP_VERSION;
	if (wire_get16(ip + WIRE_IP6_LENGTH_OFF) > bytes - WIRE_IP6_BYTES)
		return WIRE_IP_LENGTH;
	if (ip[6] == WIRE_IPPROTO_IP6_FRAG)
		return WIRE_IP_FRAGMENT;
	return wire_ip6_is_extension(ip[6]) ? WIRE_IP6_EXTENSION : WIRE_NOT_TCP;
}

bool wire_tcp_csum_ok(const struct wire_tcp_segment *seg, struct buf_pool *pool, u32 head)
{
	u32 bytes = wire_segment_tcp_bytes(seg);
	u64 sum = csum_pseudo(&seg->flow.remote, &seg->flow.local, WIRE_IPPROTO_TCP, bytes);

	return csum_ok(csum_chain(sum, pool, head, seg->tcp_off, bytes));
}

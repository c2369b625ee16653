/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/nd.h"

#include "base/csum.h"

enum {
	ND_BYTES = 24,
	HOP_LIMIT = 255,
	OPT_SOURCE_MAC = 1,
	OPT_TARGET_MAC = 2,
	OPT_MAC_BYTES = 8,
	FLAG_ROUTER = 0x80,
	FLAG_SOLICITED = 0x40,
	FLAG_OVERRIDE = 0x20,
};

static u8 mac_option_of(u8 type)
{
	return type == WIRE_ND_SOLICITATION ? OPT_SOURCE_MAC : OPT_TARGET_MAC;
}

static enum wire_reason options_parse(const u8 *p, u32 len, struct wire_nd *nd)
{
	for (u32 at = 0; at < len;) {
		u32 bytes;

		if (len - at < 2)
			return WIRE_ND_OPTION;
		bytes = (u32)p[at + 1] * 8;
		if (bytes == 0 || bytes > len - at)
			return WIRE_ND_OPTION;
		if (p[at] == mac_option_of(nd->type) && bytes == OPT_MAC_BYTES) {
			memcpy(nd->mac.b, p + at + 2, 6);
			nd->has_mac = 1;
		}
		at += bytes;
	}
	return WIRE_OK;
}

enum wire_reason wire_nd_parse(const struct wire_ip *ip, const u8 *p, u32 len,
                               struct wire_nd *ret_nd)
{
	if (len < ND_BYTES)
		return WIRE_ICMP_SHORT;
	if (!csum_ok(csum_bytes(csum_pseudo(&ip->src, &ip->dst, WIRE_IPPROTO_ICMP6, len), p, len)))
		return WIRE_ICMP_CHECKSUM;
	if (p[1] || (p[0] != WIRE_ND_SOLICITATION && p[0] != WIRE_ND_ADVERTISEMENT))
		return WIRE_ICMP_TYPE;
	if (ip->ttl != HOP_LIMIT)
		return WIRE_ND_HOP_LIMIT;
	if (p[8] == 0xff)
		return WIRE_ND_TARGET;
	*ret_nd = (struct wire_nd){
		.type = p[0],
		.router = !!(p[4] & FLAG_ROUTER),
		.solicited = !!(p[4] & FLAG_SOLICITED),
		.override = !!(p[4] & FLAG_OVERRIDE),
	};
	if (p[0] == WIRE_ND_SOLICITATION)
		ret_nd->router = ret_nd->solicited = ret_nd->override = 0;
	memcpy(ret_nd->target.b, p + 8, 16);
	return options_parse(p + ND_BYTES, len - ND_BYTES, ret_nd);
}

u32 wire_nd_write(u8 *to, const struct wire_ip *ip, const struct wire_nd *nd)
{
	u32 len = nd->has_mac ? ND_BYTES + OPT_MAC_BYTES : ND_BYTES;
	be16 csum;

	memset(to, 0, 8);
	to[0] = nd->type;
	if (nd->type == WIRE_ND_ADVERTISEMENT)
		to[4] = (u8)((nd->router ? FLAG_ROUTER : 0) | (nd->solicited ? FLAG_SOLICITED : 0) |
		             (nd->override ? FLAG_OVERRIDE : 0));
	memcpy(to + 8, nd->target.b, 16);
	if (nd->has_mac) {
		to[ND_BYTES] = mac_option_of(nd->type);
		to[ND_BYTES + 1] = 1;
		memcpy(to + ND_BYTES + 2, nd->mac.b, 6);
	}
	csum = csum_finish(
		csum_bytes(csum_pseudo(&ip->src, &ip->dst, WIRE_IPPROTO_ICMP6, len), to, len));
	memcpy(to + 2, &csum, 2);
	return len;
}

void wire_nd_solicited_node(const struct ip_addr *target, struct ip_addr *ret_group)
{
	*ret_group = (struct ip_addr){{0xff, 0x02, [11] = 0x01, [12] = 0xff}};
	memcpy(ret_group->b + 13, target->b + 13, 3);
}

void wire_ip6_multicast_mac(const struct ip_addr *group, struct mac_addr *ret_mac)
{
	ret_mac->b[0] = 0x33;
	ret_mac->b[1] = 0x33;
	memcpy(ret_mac->b + 2, group->b + 12, 4);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/ip.h"

#include "base/csum.h"

enum {
	IP4_DF = 0x4000,
	IP4_MF = 0x2000,
	IP4_OFFSET = 0x1fff,
};

enum wire_reason wire_ip4_parse(const u8 *p, u32 len, struct wire_ip *ret_ip)
{
	u32 header, total;
	u16 frag;

	if (len < WIRE_IP4_BYTES)
		return WIRE_IP_SHORT;
	if (p[0] >> 4 != 4)
		return WIRE_IP_VERSION;
	header = (u32)(p[0] & 15) * 4;
	if (header < WIRE_IP4_BYTES || header > len)
		return WIRE_IP_HEADER_LENGTH;
	total = wire_get16(p + WIRE_IP4_LENGTH_OFF);
	if (total < header || total > len)
		return WIRE_IP_LENGTH;
	if (!csum_ok(csum_bytes(0, p, header)))
		return WIRE_IP_CHECKSUM;
	frag = wire_get16(p + 6);
	*ret_ip = (struct wire_ip){
		.version = 4,
		.tos = p[1],
		.ttl = p[8],
		.protocol = p[9],
		.dont_fragment = !!(frag & IP4_DF),
		.more_fragments = !!(frag & IP4_MF),
		.has_options = header > WIRE_IP4_BYTES,
		.header_bytes = (u16)header,
		.frag_off = (u16)((frag & IP4_OFFSET) * 8),
		.id = wire_get16(p + WIRE_IP4_ID_OFF),
		.payload_bytes = total - header,
	};
	wire_get_ip4(p + WIRE_IP4_SRC_OFF, &ret_ip->src);
	wire_get_ip4(p + WIRE_IP4_DST_OFF, &ret_ip->dst);
	return WIRE_OK;
}

bool wire_ip6_is_extension(u8 next_header)
{
	switch (next_header) {
	case 0:   /* hop-by-hop options */
	case 43:  /* routing */
	case 44:  /* fragment */
	case 51:  /* authentication */
	case 60:  /* destination options */
	case 135: /* mobility */
	case 139: /* host identity */
	case 140: /* shim6 */
	case 253:
	case 254: /* experiments */
		return true;
	default:
		return false;
	}
}

static enum wire_reason frag_header_parse(const u8 *p, struct wire_ip *ip)
{
	u16 frag;

	if (ip->payload_bytes < WIRE_IP6_FRAG_BYTES)
		return WIRE_IP6_FRAGMENT_HEADER;
	frag = wire_get16(p + 2);
	ip->has_frag_header = 1;
	ip->protocol = p[0];
	ip->frag_off = frag & 0xfff8;
	ip->more_fragments = frag & 1;
	ip->id = wire_get32(p + 4);
	ip->header_bytes += WIRE_IP6_FRAG_BYTES;
	ip->payload_bytes -= WIRE_IP6_FRAG_BYTES;
	return WIRE_OK;
}

enum wire_reason wire_ip6_parse(const u8 *p, u32 len, struct wire_ip *ret_ip)
{
	enum wire_reason reason = WIRE_OK;
	u32 payload;

	if (len < WIRE_IP6_BYTES)
		return WIRE_IP_SHORT;
	if (p[0] >> 4 != 6)
		return WIRE_IP_VERSION;
	payload = wire_get16(p + WIRE_IP6_LENGTH_OFF);
	if (payload > len - WIRE_IP6_BYTES)
		return WIRE_IP_LENGTH;
	*ret_ip = (struct wire_ip){
		.version = 6,
		.tos = (u8)(wire_get16(p) >> 4),
		.ttl = p[7],
		.protocol = p[6],
		.header_bytes = WIRE_IP6_BYTES,
		.flow_label = wire_get32(p) & 0xfffff,
		.payload_bytes = payload,
	};
	memcpy(ret_ip->src.b, p + WIRE_IP6_SRC_OFF, 16);
	memcpy(ret_ip->dst.b, p + WIRE_IP6_DST_OFF, 16);
	if (p[6] == WIRE_IPPROTO_IP6_FRAG)
		reason = frag_header_parse(p + WIRE_IP6_BYTES, ret_ip);
	ret_ip->has_options = wire_ip6_is_extension(ret_ip->protocol);
	return reason;
}

enum wire_reason wire_ip_parse(const u8 *p, u32 len, struct wire_ip *ret_ip)
{
	if (len == 0)
		return WIRE_IP_SHORT;
	return p[0] >> 4 == 6 ? wire_ip6_parse(p, len, ret_ip) : wire_ip4_parse(p, len, ret_ip);
}

static u32 ip4_write(u8 *to, const struct wire_ip *ip)
{
	u16 frag = (u16)(ip->frag_off / 8);
	be16 csum;

	if (ip->dont_fragment)
		frag |= IP4_DF;
	if (ip->more_fragments)
		frag |= IP4_MF;
	to[0] = 0x45;
	to[1] = ip->tos;
	wire_put16(to + WIRE_IP4_LENGTH_OFF, (u16)(WIRE_IP4_BYTES + ip->payload_bytes));
	wire_put16(to + WIRE_IP4_ID_OFF, (u16)ip->id);
	wire_put16(to + 6, frag);
	to[8] = ip->ttl;
	to[9] = ip->protocol;
	wire_put16(to + WIRE_IP4_CSUM_OFF, 0);
	wire_put_ip4(to + WIRE_IP4_SRC_OFF, &ip->src);
	wire_put_ip4(to + WIRE_IP4_DST_OFF, &ip->dst);
	csum = csum_finish(csum_bytes(0, to, WIRE_IP4_BYTES));
	memcpy(to + WIRE_IP4_CSUM_OFF, &csum, 2);
	return WIRE_IP4_BYTES;
}

u32 wire_ip_write(u8 *to, const struct wire_ip *ip)
{
	u32 extra = ip->has_frag_header ? WIRE_IP6_FRAG_BYTES : 0;

	if (ip->version == 4)
		return ip4_write(to, ip);
	wire_put32(to, 6u << 28 | (u32)ip->tos << 20 | (ip->flow_label & 0xfffff));
	wire_put16(to + WIRE_IP6_LENGTH_OFF, (u16)(ip->payload_bytes + extra));
	to[6] = extra ? WIRE_IPPROTO_IP6_FRAG : ip->protocol;
	to[7] = ip->ttl;
	memcpy(to + WIRE_IP6_SRC_OFF, ip->src.b, 16);
	memcpy(to + WIRE_IP6_DST_OFF, ip->dst.b, 16);
	if (extra) {
		u8 *f = to + WIRE_IP6_BYTES;

		f[0] = ip->protocol;
		f[1] = 0;
		wire_put16(f + 2, (u16)((ip->frag_off & 0xfff8) | !!ip->more_fragments));
		wire_put32(f + 4, ip->id);
	}
	return WIRE_IP6_BYTES + extra;
}

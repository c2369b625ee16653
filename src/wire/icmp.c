/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/icmp.h"

#include "base/csum.h"
#include "wire/tcp.h"

enum {
	CODE_FRAG_NEEDED = 4,
	QUOTED_TCP_BYTES = 8, /* ports and sequence number: all that RFC 792 promises */
};

struct icmp_type {
	u8 v4, v6;
};

static const struct icmp_type types[WIRE_ICMP_KINDS] = {
	[WIRE_ICMP_ECHO_REQUEST] = {8, 128}, [WIRE_ICMP_ECHO_REPLY] = {0, 129},
	[WIRE_ICMP_UNREACHABLE] = {3, 1},    [WIRE_ICMP_TOO_BIG] = {3, 2},
	[WIRE_ICMP_TIME_EXCEEDED] = {11, 3}, [WIRE_ICMP_PARAMETER_PROBLEM] = {12, 4},
};

static u64 start_sum(const struct wire_ip *ip, u32 len)
{
	return ip->version == 6 ? csum_pseudo(&ip->src, &ip->dst, WIRE_IPPROTO_ICMP6, len) : 0;
}

static u8 type_of(const struct wire_ip *ip, u32 kind)
{
	return ip->version == 6 ? types[kind].v6 : types[kind].v4;
}

static enum wire_reason kind_parse(const struct wire_ip *ip, struct wire_icmp *icmp)
{
	for (u8 kind = 0; kind < WIRE_ICMP_KINDS; kind++) {
		if (type_of(ip, kind) != icmp->type)
			continue;
		icmp->kind = kind;
		if (ip->version == 4 && kind == WIRE_ICMP_UNREACHABLE &&
		    icmp->code == CODE_FRAG_NEEDED)
			icmp->kind = WIRE_ICMP_TOO_BIG;
		return WIRE_OK;
	}
	return WIRE_ICMP_TYPE;
}

/* The quote is cut short and its length fields tell of the whole, so the IP parser does not fit. */
static u32 quoted_ip_header(const u8 *p, u32 len, struct flow_key *flow)
{
	if (len >= WIRE_IP4_BYTES && p[0] >> 4 == 4) {
		u32 header = (u32)(p[0] & 15) * 4;

		wire_get_ip4(p + WIRE_IP4_SRC_OFF, &flow->local);
		wire_get_ip4(p + WIRE_IP4_DST_OFF, &flow->remote);
		return header < WIRE_IP4_BYTES || header > len ? 0 : header;
	}
	if (len >= WIRE_IP6_BYTES && p[0] >> 4 == 6) {
		memcpy(flow->local.b, p + WIRE_IP6_SRC_OFF, 16);
		memcpy(flow->remote.b, p + WIRE_IP6_DST_OFF, 16);
		return WIRE_IP6_BYTES;
	}
	return 0;
}

static bool quotes_first_tcp_bytes(const u8 *p)
{
	if (p[0] >> 4 == 4)
		return p[9] == WIRE_IPPROTO_TCP && !(wire_get16(p + 6) & 0x1fff);
	return p[6] == WIRE_IPPROTO_TCP;
}

static enum wire_reason quote_parse(const struct wire_ip *ip, struct wire_icmp *icmp)
{
	const u8 *p = icmp->data;
	u32 header = quoted_ip_header(p, icmp->data_bytes, &icmp->flow);

	if (header == 0 || p[0] >> 4 != ip->version)
		return WIRE_ICMP_QUOTE;
	if (icmp->data_bytes - header < QUOTED_TCP_BYTES || !quotes_first_tcp_bytes(p))
		return WIRE_OK;
	icmp->flow.local_port = wire_get16(p + header);
	icmp->flow.remote_port = wire_get16(p + header + 2);
	icmp->seq = seq_of(wire_get32(p + header + 4));
	icmp->has_flow = 1;
	return WIRE_OK;
}

enum wire_reason wire_icmp_parse(const struct wire_ip *ip, const u8 *p, u32 len,
                                 struct wire_icmp *ret_icmp)
{
	enum wire_reason reason;

	if (len < WIRE_ICMP_BYTES)
		return WIRE_ICMP_SHORT;
	if (!csum_ok(csum_bytes(start_sum(ip, len), p, len)))
		return WIRE_ICMP_CHECKSUM;
	*ret_icmp = (struct wire_icmp){
		.type = p[0],
		.code = p[1],
		.data = p + WIRE_ICMP_BYTES,
		.data_bytes = len - WIRE_ICMP_BYTES,
	};
	reason = kind_parse(ip, ret_icmp);
	if (reason != WIRE_OK)
		return reason;
	if (ret_icmp->kind == WIRE_ICMP_ECHO_REQUEST || ret_icmp->kind == WIRE_ICMP_ECHO_REPLY) {
		ret_icmp->echo_id = wire_get16(p + 4);
		ret_icmp->echo_seq = wire_get16(p + 6);
		return WIRE_OK;
	}
	if (ret_icmp->kind == WIRE_ICMP_TOO_BIG)
		ret_icmp->mtu = ip->version == 6 ? wire_get32(p + 4) : wire_get16(p + 6);
	if (ret_icmp->kind == WIRE_ICMP_PARAMETER_PROBLEM)
		ret_icmp->pointer = ip->version == 6 ? wire_get32(p + 4) : p[4];
	return quote_parse(ip, ret_icmp);
}

u32 wire_icmp_write(u8 *to, const struct wire_ip *ip, const struct wire_icmp *icmp)
{
	bool echo = icmp->kind == WIRE_ICMP_ECHO_REQUEST || icmp->kind == WIRE_ICMP_ECHO_REPLY;
	u32 data = echo ? icmp->data_bytes : min_of(icmp->data_bytes, (u32)WIRE_ICMP_QUOTE_MAX);
	u32 len = WIRE_ICMP_BYTES + data;
	be16 csum;

	memset(to, 0, WIRE_ICMP_BYTES);
	to[0] = type_of(ip, icmp->kind);
	to[1] = icmp->code;
	if (ip->version == 4 && icmp->kind == WIRE_ICMP_TOO_BIG)
		to[1] = CODE_FRAG_NEEDED;
	if (echo) {
		wire_put16(to + 4, icmp->echo_id);
		wire_put16(to + 6, icmp->echo_seq);
	} else if (icmp->kind == WIRE_ICMP_TOO_BIG && ip->version == 6) {
		wire_put32(to + 4, icmp->mtu);
	} else if (icmp->kind == WIRE_ICMP_TOO_BIG) {
		wire_put16(to + 6, (u16)icmp->mtu);
	} else if (icmp->kind == WIRE_ICMP_PARAMETER_PROBLEM && ip->version == 6) {
		wire_put32(to + 4, icmp->pointer);
	} else if (icmp->kind == WIRE_ICMP_PARAMETER_PROBLEM) {
		to[4] = (u8)icmp->pointer;
	}
	if (data)
		memmove(to + WIRE_ICMP_BYTES, icmp->data, data);
	csum = csum_finish(csum_bytes(start_sum(ip, len), to, len));
	memcpy(to + 2, &csum, 2);
	return len;
}

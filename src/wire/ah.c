/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/ah.h"

/* IPv4 options (RFC 4302 A1): these arrive as they were sent, all others are zeroed whole. */
enum ip4_option {
	IP4_OPT_END = 0,
	IP4_OPT_NOP = 1,
	IP4_OPT_SECURITY = 130,
	IP4_OPT_EXTENDED_SECURITY = 133,
	IP4_OPT_COMMERCIAL_SECURITY = 134,
	IP4_OPT_ROUTER_ALERT = 148,
	IP4_OPT_MULTI_DESTINATION = 149,
};

enum wire_reason wire_ah_parse(const u8 *p, u32 len, u8 ip_version, struct wire_ah *ret_ah)
{
	u32 bytes;

	if (len < WIRE_AH_BYTES)
		return WIRE_AH_SHORT;
	bytes = ((u32)p[1] + 2) * 4;
	if (bytes < WIRE_AH_BYTES || bytes > len || bytes > UINT8_MAX)
		return WIRE_AH_LENGTH;
	if (ip_version == 6 && bytes % 8)
		return WIRE_AH_LENGTH;
	*ret_ah = (struct wire_ah){
		.spi = wire_get32(p + 4),
		.seq = wire_get32(p + 8),
		.next_header = p[0],
		.bytes = (u8)bytes,
	};
	return ret_ah->spi ? WIRE_OK : WIRE_SPI_ZERO;
}

u32 wire_ah_write(u8 *to, const struct wire_ah *ah)
{
	memset(to, 0, ah->bytes);
	to[0] = ah->next_header;
	to[1] = ah->bytes / 4 - 2;
	wire_put32(to + 4, ah->spi);
	wire_put32(to + 8, ah->seq);
	return ah->bytes;
}

static bool option_is_immutable(u8 type)
{
	switch ((enum ip4_option)type) {
	case IP4_OPT_SECURITY:
	case IP4_OPT_EXTENDED_SECURITY:
	case IP4_OPT_COMMERCIAL_SECURITY:
	case IP4_OPT_ROUTER_ALERT:
	case IP4_OPT_MULTI_DESTINATION:
		return true;
	default:
		return false;
	}
}

static enum wire_reason zero_options(u8 *p, u32 len)
{
	u32 i = 0;

	while (i < len && p[i] != IP4_OPT_END) {
		u32 size = 1;

		if (p[i] != IP4_OPT_NOP) {
			size = i + 1 < len ? p[i + 1] : 0;
			if (size < 2 || size > len - i)
				return WIRE_IP_HEADER_LENGTH;
			if (!option_is_immutable(p[i]))
				memset(p + i, 0, size);
		}
		i += size;
	}
	return WIRE_OK;
}

enum wire_reason wire_ah_zero_mutable(u8 *ip, u32 bytes)
{
	if (ip[0] >> 4 == 6) {
		wire_put32(ip, 6u << 28); /* traffic class, flow label */
		ip[7] = 0;                /* hop limit */
		return WIRE_OK;
	}
	ip[WIRE_IP4_TOS_OFF] = 0;
	wire_put16(ip + 6, 0); /* flags, fragment offset */
	ip[WIRE_IP4_TTL_OFF] = 0;
	wire_put16(ip + WIRE_IP4_CSUM_OFF, 0);
	return zero_options(ip + WIRE_IP4_BYTES, bytes - WIRE_IP4_BYTES);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/lacp.h"

enum {
	TLV_ACTOR = 1,
	TLV_PARTNER = 2,
	TLV_COLLECTOR = 3,
	TLV_MARKER = 1,
	TLV_MARKER_RESPONSE = 2,
	INFO_BYTES = 20,
	COLLECTOR_BYTES = 16,
	MARKER_BYTES = 16,
	/* offsets of the TLVs */
	AT_ACTOR = 2,
	AT_PARTNER = AT_ACTOR + INFO_BYTES,
	AT_COLLECTOR = AT_PARTNER + INFO_BYTES,
};

const struct mac_addr wire_slow_address = {{0x01, 0x80, 0xc2, 0, 0, 2}};

static void get_info(const u8 *p, struct wire_lacp_info *info)
{
	info->system_priority = wire_get16(p + 2);
	memcpy(info->system.b, p + 4, 6);
	info->key = wire_get16(p + 10);
	info->port_priority = wire_get16(p + 12);
	info->port = wire_get16(p + 14);
	info->state = p[16];
}

static void put_info(u8 *p, u8 type, const struct wire_lacp_info *info)
{
	p[0] = type;
	p[1] = INFO_BYTES;
	wire_put16(p + 2, info->system_priority);
	memcpy(p + 4, info->system.b, 6);
	wire_put16(p + 10, info->key);
	wire_put16(p + 12, info->port_priority);
	wire_put16(p + 14, info->port);
	p[16] = info->state;
}

static bool is_tlv(const u8 *p, u8 type, u8 bytes)
{
	return p[0] == type && p[1] == bytes;
}

enum wire_reason wire_lacp_parse(const u8 *p, u32 len, struct wire_lacp *ret_lacp)
{
	if (len < WIRE_SLOW_BYTES)
		return WIRE_SLOW_SHORT;
	if (p[0] != WIRE_SLOW_LACP || !is_tlv(p + AT_ACTOR, TLV_ACTOR, INFO_BYTES) ||
	    !is_tlv(p + AT_PARTNER, TLV_PARTNER, INFO_BYTES))
		return WIRE_SLOW_FORMAT;
	ret_lacp->version = p[1];
	get_info(p + AT_ACTOR, &ret_lacp->actor);
	get_info(p + AT_PARTNER, &ret_lacp->partner);
	ret_lacp->max_delay = is_tlv(p + AT_COLLECTOR, TLV_COLLECTOR, COLLECTOR_BYTES)
	                              ? wire_get16(p + AT_COLLECTOR + 2)
	                              : 0;
	return WIRE_OK;
}

u32 wire_lacp_write(u8 *to, const struct wire_lacp *lacp)
{
	memset(to, 0, WIRE_SLOW_BYTES);
	to[0] = WIRE_SLOW_LACP;
	to[1] = lacp->version;
	put_info(to + AT_ACTOR, TLV_ACTOR, &lacp->actor);
	put_info(to + AT_PARTNER, TLV_PARTNER, &lacp->partner);
	to[AT_COLLECTOR] = TLV_COLLECTOR;
	to[AT_COLLECTOR + 1] = COLLECTOR_BYTES;
	wire_put16(to + AT_COLLECTOR + 2, lacp->max_delay);
	return WIRE_SLOW_BYTES;
}

enum wire_reason wire_marker_parse(const u8 *p, u32 len, struct wire_marker *ret_marker)
{
	if (len < WIRE_SLOW_BYTES)
		return WIRE_SLOW_SHORT;
	if (p[0] != WIRE_SLOW_MARKER || (p[2] != TLV_MARKER && p[2] != TLV_MARKER_RESPONSE) ||
	    p[3] != MARKER_BYTES)
		return WIRE_SLOW_FORMAT;
	ret_marker->response = p[2] == TLV_MARKER_RESPONSE;
	ret_marker->port = wire_get16(p + 4);
	memcpy(ret_marker->system.b, p + 6, 6);
	ret_marker->transaction = wire_get32(p + 12);
	return WIRE_OK;
}

u32 wire_marker_write(u8 *to, const struct wire_marker *marker)
{
	memset(to, 0, WIRE_SLOW_BYTES);
	to[0] = WIRE_SLOW_MARKER;
	to[1] = WIRE_LACP_VERSION;
	to[2] = marker->response ? TLV_MARKER_RESPONSE : TLV_MARKER;
	to[3] = MARKER_BYTES;
	wire_put16(to + 4, marker->port);
	memcpy(to + 6, marker->system.b, 6);
	wire_put32(to + 12, marker->transaction);
	return WIRE_SLOW_BYTES;
}

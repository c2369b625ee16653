/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/ethernet.h"

/* DSAP and SSAP SNAP, unnumbered information, organisation 0 (RFC 1042). */
static const u8 snap_header[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};

static enum wire_reason short_by(u32 avail, u32 len)
{
	return avail < len ? WIRE_HEADER_SPLIT : WIRE_FRAME_SHORT;
}

/* Behind the type field, which holds a length: LLC, and SNAP in it or nothing of ours. */
static enum wire_reason snap_parse(const u8 *p, u32 avail, u32 len, struct wire_link *link)
{
	u32 at = link->header_bytes;
	u32 length = link->ethertype;

	if (length > len - at)
		return WIRE_LLC_LENGTH;
	if (length < WIRE_SNAP_BYTES)
		return WIRE_LLC;
	if (avail < at + WIRE_SNAP_BYTES)
		return short_by(avail, len);
	if (memcmp(p + at, snap_header, sizeof(snap_header)))
		return WIRE_LLC;
	link->snap = 1;
	link->ethertype = wire_get16(p + at + sizeof(snap_header));
	link->header_bytes = at + WIRE_SNAP_BYTES;
	link->payload_bytes = length - WIRE_SNAP_BYTES;
	return WIRE_OK;
}

enum wire_reason wire_link_parse(const u8 *p, u32 avail, u32 len, struct wire_link *ret_link)
{
	u32 at = 12;

	avail = min_of(avail, len);
	if (avail < WIRE_ETH_BYTES)
		return short_by(avail, len);
	memcpy(ret_link->dst.b, p, 6);
	memcpy(ret_link->src.b, p + 6, 6);
	ret_link->n_vlan = 0;
	ret_link->snap = 0;
	while (wire_is_vlan_type(wire_get16(p + at))) {
		if (avail < at + WIRE_VLAN_BYTES + 2)
			return short_by(avail, len);
		if (ret_link->n_vlan == WIRE_VLAN_MAX)
			return WIRE_VLAN_DEPTH;
		ret_link->vlan[ret_link->n_vlan++] = wire_get32(p + at);
		at += WIRE_VLAN_BYTES;
	}
	ret_link->ethertype = wire_get16(p + at);
	ret_link->header_bytes = at + 2;
	ret_link->payload_bytes = len - ret_link->header_bytes;
	if (ret_link->ethertype <= WIRE_802_3_LENGTH_MAX)
		return snap_parse(p, avail, len, ret_link);
	return WIRE_OK;
}

u32 wire_link_write(u8 *to, const struct wire_link *link)
{
	u32 at = 12;

	memcpy(to, link->dst.b, 6);
	memcpy(to + 6, link->src.b, 6);
	for (u32 i = 0; i < link->n_vlan && i < WIRE_VLAN_MAX; i++, at += WIRE_VLAN_BYTES)
		wire_put32(to + at, link->vlan[i]);
	if (!link->snap) {
		wire_put16(to + at, link->ethertype);
		return at + 2;
	}
	wire_put16(to + at, (u16)(link->payload_bytes + WIRE_SNAP_BYTES));
	memcpy(to + at + 2, snap_header, sizeof(snap_header));
	wire_put16(to + at + 2 + sizeof(snap_header), link->ethertype);
	return at + 2 + WIRE_SNAP_BYTES;
}

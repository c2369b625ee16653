/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/arp.h"

/* Ethernet, IPv4, and the lengths of their addresses. */
static const u8 arp_start[6] = {0, 1, 0x08, 0x00, 6, 4};

enum wire_reason wire_arp_parse(const u8 *p, u32 len, struct wire_arp *ret_arp)
{
	if (len < WIRE_ARP_BYTES)
		return WIRE_ARP_SHORT;
	if (memcmp(p, arp_start, sizeof(arp_start)))
		return WIRE_ARP_FORMAT;
	ret_arp->op = wire_get16(p + 6);
	memcpy(ret_arp->sha.b, p + 8, 6);
	wire_get_ip4(p + 14, &ret_arp->spa);
	memcpy(ret_arp->tha.b, p + 18, 6);
	wire_get_ip4(p + 24, &ret_arp->tpa);
	return WIRE_OK;
}

u32 wire_arp_write(u8 *to, const struct wire_arp *arp)
{
	memcpy(to, arp_start, sizeof(arp_start));
	wire_put16(to + 6, arp->op);
	memcpy(to + 8, arp->sha.b, 6);
	wire_put_ip4(to + 14, &arp->spa);
	memcpy(to + 18, arp->tha.b, 6);
	wire_put_ip4(to + 24, &arp->tpa);
	return WIRE_ARP_BYTES;
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Any bytes as a frame: every codec below Ethernet is total, reads nothing beyond the frame, and
 * what it understood it writes such that it understands the same again.
 */
#include "fuzz.h"

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/lacp.h"
#include "wire/nd.h"
#include "wire/parse.h"

static void try_link(const struct wire_link *link)
{
	u8 bytes[WIRE_LINK_BYTES_MAX + 2048] = {0};
	struct wire_link again;
	u32 n;

	if (link->payload_bytes > 1500)
		return;
	n = wire_link_write(bytes, link);
	FUZZ_MUST(n <= WIRE_LINK_BYTES_MAX);
	FUZZ_MUST(
		!wire_link_parse(bytes, n + link->payload_bytes, n + link->payload_bytes, &again));
	FUZZ_MUST(again.ethertype == link->ethertype && again.n_vlan == link->n_vlan);
	FUZZ_MUST(!memcmp(&again.dst, &link->dst, sizeof(again.dst)));
	FUZZ_MUST(!memcmp(again.vlan, link->vlan, link->n_vlan * sizeof(again.vlan[0])));
}

static void try_arp(const u8 *p, u32 len)
{
	struct wire_arp arp, again;
	u8 bytes[WIRE_ARP_BYTES];

	memset(&arp, 0, sizeof(arp));
	memset(&again, 0, sizeof(again));
	if (wire_arp_parse(p, len, &arp))
		return;
	FUZZ_MUST(wire_arp_write(bytes, &arp) == WIRE_ARP_BYTES);
	FUZZ_MUST(!wire_arp_parse(bytes, sizeof(bytes), &again));
	FUZZ_MUST(!memcmp(&arp, &again, sizeof(arp)));
}

static void try_slow(const u8 *p, u32 len)
{
	struct wire_lacp lacp, again;
	struct wire_marker marker;
	u8 bytes[WIRE_SLOW_BYTES];

	if (!wire_marker_parse(p, len, &marker))
		FUZZ_MUST(wire_marker_write(bytes, &marker) == WIRE_SLOW_BYTES);
	memset(&lacp, 0, sizeof(lacp));
	memset(&again, 0, sizeof(again));
	if (wire_lacp_parse(p, len, &lacp))
		return;
	FUZZ_MUST(wire_lacp_write(bytes, &lacp) == WIRE_SLOW_BYTES);
	FUZZ_MUST(!wire_lacp_parse(bytes, sizeof(bytes), &again));
	FUZZ_MUST(!memcmp(&lacp, &again, sizeof(lacp)));
}

static void try_nd(const struct wire_ip *ip, const u8 *p, u32 len)
{
	struct wire_nd nd, again;
	u8 bytes[WIRE_ND_BYTES_MAX];
	u32 n;

	memset(&nd, 0, sizeof(nd));
	if (wire_nd_parse(ip, p, len, &nd))
		return;
	n = wire_nd_write(bytes, ip, &nd);
	FUZZ_MUST(n <= sizeof(bytes));
	memset(&again, 0, sizeof(again));
	FUZZ_MUST(!wire_nd_parse(ip, bytes, n, &again));
	FUZZ_MUST(nd.type == again.type && nd.has_mac == again.has_mac);
	FUZZ_MUST(!memcmp(&nd.target, &again.target, sizeof(nd.target)));
}

static void try_icmp(const struct wire_ip *ip, const u8 *p, u32 len)
{
	struct wire_icmp icmp;
	u32 sum = 0;

	if (wire_icmp_parse(ip, p, len, &icmp))
		return;
	FUZZ_MUST(icmp.kind < WIRE_ICMP_KINDS);
	FUZZ_MUST(icmp.data_bytes <= len);
	for (u32 i = 0; i < icmp.data_bytes; i++) /* lies within the frame: ASan looks */
		sum += icmp.data[i];
	FUZZ_MUST(sum <= 255u * icmp.data_bytes);
}

static void try_ip(const u8 *p, u32 len)
{
	struct wire_ip ip;

	memset(&ip, 0, sizeof(ip));
	if (wire_ip_parse(p, len, &ip))
		return;
	FUZZ_MUST(ip.header_bytes <= len);
	FUZZ_MUST(ip.header_bytes + ip.payload_bytes <= len);
	try_icmp(&ip, p + ip.header_bytes, ip.payload_bytes);
	try_nd(&ip, p + ip.header_bytes, ip.payload_bytes);
}

static void try_tcp(const u8 *data, u32 size)
{
	struct wire_tcp_segment seg;

	if (wire_parse_tcp(data, size, size, &seg))
		return;
	FUZZ_MUST(seg.payload_off + seg.payload_len <= size);
	/* A first buffer that holds less than the frame. */
	for (u32 avail = 14; avail < size && avail < 128; avail += 7)
		FUZZ_MUST(wire_parse_tcp(data, avail, size, &seg) < WIRE_REASONS);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct wire_link link;

	if (size > 4096 || size < 1)
		return 0;
	try_tcp(data, (u32)size);
	memset(&link, 0, sizeof(link));
	if (wire_link_parse(data, (u32)size, (u32)size, &link))
		return 0;
	FUZZ_MUST(link.header_bytes + link.payload_bytes <= size);
	try_link(&link);
	if (link.ethertype == WIRE_ETH_ARP)
		try_arp(data + link.header_bytes, link.payload_bytes);
	else if (link.ethertype == WIRE_ETH_SLOW)
		try_slow(data + link.header_bytes, link.payload_bytes);
	else
		try_ip(data + link.header_bytes, link.payload_bytes);
	return 0;
}

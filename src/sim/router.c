/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/router.h"

#include "wire/arp.h"
#include "wire/icmp.h"
#include "wire/nd.h"

enum {
	ETHERNET_BYTES = 14,
	TYPE_ARP = 0x0806,
	TYPE_IP4 = 0x0800,
	TYPE_IP6 = 0x86dd,
	HOP_LIMIT = 255,
	SAID_MAX = 1024,
};

/* A frame of the switch's own under construction. */
struct said {
	u8 bytes[SAID_MAX];
	u32 len;
};

static void say(struct net *net, u32 machine, const struct said *s)
{
	const struct rx_frame f = {.buf = buf_alloc(&net->pool, BUF_SMALL), .len = s->len};

	if (f.buf == NIL)
		return;
	buf_at(&net->pool, f.buf)->off = 0;
	buf_at(&net->pool, f.buf)->len = s->len;
	memcpy(buf_bytes(&net->pool, f.buf), s->bytes, s->len);
	net_send(net, machine, &f);
	buf_put(&net->pool, f.buf);
}

static void ethernet(struct said *s, const struct mac_addr *to, const struct mac_addr *from,
                     u16 type)
{
	memcpy(s->bytes, to->b, 6);
	memcpy(s->bytes + 6, from->b, 6);
	wire_put16(s->bytes + 12, type);
	s->len = ETHERNET_BYTES;
}

/* Which hop has an address; NIL: none. */
static u32 hop_of(const struct ip_addr *addr, bool v6)
{
	for (u32 i = 0; i < NET_HOPS; i++) {
		const struct ip_addr a = net_hop_addr(i, v6);

		if (ip_addr_eq(&a, addr))
			return i;
	}
	return NIL;
}

/* -- ARP --------------------------------------------------------------------------------------- */

static void say_arp(struct net *net, u32 machine, u32 hop, const struct wire_arp *asked)
{
	static const struct mac_addr everybody = {{255, 255, 255, 255, 255, 255}};
	const struct mac_addr *mac = &net->hop[machine][hop].mac;
	struct wire_arp a = {.op = asked ? WIRE_ARP_REPLY : WIRE_ARP_REQUEST,
	                     .spa = net_hop_addr(hop, false),
	                     .sha = *mac};
	struct said s;

	a.tpa = asked ? asked->spa : a.spa;
	if (asked)
		a.tha = asked->sha;
	ethernet(&s, asked ? &asked->sha : &everybody, mac, TYPE_ARP);
	s.len += wire_arp_write(s.bytes + s.len, &a);
	say(net, machine, &s);
}

static void hear_arp(struct net *net, u32 machine, const u8 *frame, u32 len)
{
	struct wire_arp a;
	u32 hop;

	if (wire_arp_parse(frame + ETHERNET_BYTES, len - ETHERNET_BYTES, &a) != WIRE_OK ||
	    a.op != WIRE_ARP_REQUEST)
		return;
	hop = hop_of(&a.tpa, false);
	if (hop != NIL)
		say_arp(net, machine, hop, &a);
}

/* -- neighbor discovery ------------------------------------------------------------------------ */

static void say_nd(struct net *net, u32 machine, u32 hop, const struct ip_addr *to,
                   const struct mac_addr *to_mac)
{
	static const struct ip_addr all_nodes = {{0xff, 2, [15] = 1}};
	const struct mac_addr *mac = &net->hop[machine][hop].mac;
	struct wire_ip ip = {.version = 6,
	                     .src = net_hop_addr(hop, true),
	                     .dst = to ? *to : all_nodes,
	                     .ttl = HOP_LIMIT,
	                     .protocol = WIRE_IPPROTO_ICMP6};
	const struct wire_nd nd = {.type = WIRE_ND_ADVERTISEMENT,
	                           .target = ip.src,
	                           .mac = *mac,
	                           .has_mac = 1,
	                           .router = 1,
	                           .solicited = !!to,
	                           .override = 1};
	struct mac_addr multicast;
	u8 message[WIRE_ND_BYTES_MAX];
	struct said s;

	wire_ip6_multicast_mac(&all_nodes, &multicast);
	ethernet(&s, to ? to_mac : &multicast, mac, TYPE_IP6);
	ip.payload_bytes = wire_nd_write(message, &ip, &nd);
	s.len += wire_ip_write(s.bytes + s.len, &ip);
	memcpy(s.bytes + s.len, message, ip.payload_bytes);
	s.len += ip.payload_bytes;
	say(net, machine, &s);
}

/* True: it was neighbor discovery. */
static bool hear_nd(struct net *net, u32 machine, const u8 *frame, u32 len)
{
	const u8 *at = frame + ETHERNET_BYTES;
	struct mac_addr from;
	struct wire_ip ip;
	struct wire_nd nd;
	u32 hop;

	if (wire_ip6_parse(at, len - ETHERNET_BYTES, &ip) != WIRE_OK ||
	    ip.protocol != WIRE_IPPROTO_ICMP6 || !ip.payload_bytes ||
	    (at[ip.header_bytes] != WIRE_ND_SOLICITATION &&
	     at[ip.header_bytes] != WIRE_ND_ADVERTISEMENT))
		return false;
	if (wire_nd_parse(&ip, at + ip.header_bytes, ip.payload_bytes, &nd) != WIRE_OK ||
	    nd.type != WIRE_ND_SOLICITATION)
		return true;
	hop = hop_of(&nd.target, true);
	memcpy(from.b, frame + 6, sizeof(from));
	if (hop != NIL)
		say_nd(net, machine, hop, &ip.src, &from);
	return true;
}

bool router_frame(struct net *net, u32 machine, const u8 *frame, u32 len)
{
	u16 type = len > ETHERNET_BYTES ? wire_get16(frame + 12) : 0;

	if (type == TYPE_ARP) {
		hear_arp(net, machine, frame, len);
		return true;
	}
	return type == TYPE_IP6 && hear_nd(net, machine, frame, len);
}

void router_announce(struct net *net, u32 machine, u32 hop, bool v6)
{
	if (v6)
		say_nd(net, machine, hop, NULL, NULL);
	else
		say_arp(net, machine, hop, NULL);
}

/* -- ICMP -------------------------------------------------------------------------------------- */

void router_too_big(struct net *net, u32 machine, const u8 *frame, u32 len, u32 mtu)
{
	const bool v6 = wire_get16(frame + 12) == TYPE_IP6;
	const u8 *datagram = frame + ETHERNET_BYTES;
	const struct wire_icmp icmp = {
		.kind = WIRE_ICMP_TOO_BIG,
		.mtu = mtu,
		.data = datagram,
		.data_bytes = min_of(len - ETHERNET_BYTES, (u32)WIRE_ICMP_QUOTE_MAX)};
	struct wire_ip ip = {.version = v6 ? 6 : 4,
	                     .src = net_hop_addr(0, v6),
	                     .ttl = HOP_LIMIT,
	                     .protocol = v6 ? WIRE_IPPROTO_ICMP6 : WIRE_IPPROTO_ICMP};
	struct mac_addr to;
	u8 message[WIRE_ICMP_BYTES + WIRE_ICMP_QUOTE_MAX];
	struct said s;

	if (v6)
		memcpy(ip.dst.b, datagram + WIRE_IP6_SRC_OFF, 16);
	else
		wire_get_ip4(datagram + WIRE_IP4_SRC_OFF, &ip.dst);
	memcpy(to.b, frame + 6, sizeof(to));
	ethernet(&s, &to, &net->hop[machine][0].mac, v6 ? TYPE_IP6 : TYPE_IP4);
	ip.payload_bytes = wire_icmp_write(message, &ip, &icmp);
	s.len += wire_ip_write(s.bytes + s.len, &ip);
	memcpy(s.bytes + s.len, message, ip.payload_bytes);
	s.len += ip.payload_bytes;
	say(net, machine, &s);
}

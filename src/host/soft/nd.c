/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Neighbor discovery: solicitations and advertisements (RFC 4861 7.1, 7.2). */
#include "wire/nd.h"

#include "host/soft/priv.h"

enum { HOP_LIMIT = 255 };

static const struct ip_addr all_nodes = {{0xff, 0x02, [15] = 1}};
static const struct ip_addr unspecified;

static void send(struct soft *s, const struct wire_nd *nd, const struct ip_addr *src,
                 const struct ip_addr *dst, const struct mac_addr *mac, u32 port)
{
	const struct wire_ip ip = {.version = 6, .src = *src, .dst = *dst};
	u8 bytes[WIRE_ND_BYTES_MAX];
	struct mac_addr group;
	struct soft_datagram d = {.src = *src,
	                          .dst = *dst,
	                          .protocol = WIRE_IPPROTO_ICMP6,
	                          .hop_limit = HOP_LIMIT,
	                          .bytes = bytes};

	d.len = wire_nd_write(bytes, &ip, nd);
	wire_ip6_multicast_mac(dst, &group);
	soft_send_to_mac(s, &d, mac ? mac : &group, port);
}

/* RFC 4861 7.2.2 to all that may have it, 7.3.3 to the neighbor itself. */
void nd_ask(struct soft *s, const struct ip_addr *hop, const struct mac_addr *mac, u32 port)
{
	const struct ip_addr *local = soft_local_for(s, hop);
	const struct wire_nd nd = {
		.type = WIRE_ND_SOLICITATION, .target = *hop, .mac = s->config.mac, .has_mac = 1};
	struct ip_addr group;

	if (!local)
		return;
	wire_nd_solicited_node(hop, &group);
	send(s, &nd, local, mac ? hop : &group, mac, port);
}

void nd_announce(struct soft *s, const struct ip_addr *addr, u32 port)
{
	const struct wire_nd nd = {.type = WIRE_ND_ADVERTISEMENT,
	                           .target = *addr,
	                           .mac = s->config.mac,
	                           .has_mac = 1,
	                           .override = 1};

	send(s, &nd, addr, &all_nodes, NULL, port);
}

/* RFC 4861 7.2.4 */
static void answer(struct soft *s, const struct wire_ip *ip, const struct wire_nd *q,
                   struct soft_neighbor_entry *n, u32 port)
{
	bool unknown = ip_addr_eq(&ip->src, &unspecified);
	const struct wire_nd nd = {.type = WIRE_ND_ADVERTISEMENT,
	                           .target = q->target,
	                           .mac = s->config.mac,
	                           .has_mac = 1,
	                           .solicited = !unknown,
	                           .override = 1};

	s->counters.advertised++;
	if (unknown)
		send(s, &nd, &q->target, &all_nodes, NULL, port);
	else if (n && n->state != SOFT_NONE && n->state != SOFT_INCOMPLETE)
		send(s, &nd, &q->target, &ip->src, &n->mac, port);
}

/* 7.2.3 */
static void solicited(struct soft *s, const struct wire_ip *ip, const struct wire_nd *nd, u32 port)
{
	struct soft_neighbor_entry *n = NULL;
	bool unknown = ip_addr_eq(&ip->src, &unspecified);
	struct ip_addr group;

	wire_nd_solicited_node(&nd->target, &group);
	/* 7.1.1: who has no address yet asks the group, and names no link-layer address. */
	if (unknown && (nd->has_mac || !ip_addr_eq(&ip->dst, &group))) {
		s->counters.bad_frames++;
		return;
	}
	if (!soft_is_local(s, &nd->target))
		return;
	if (!unknown) {
		n = nd->has_mac ? neighbor_get(s, &ip->src, port) : neighbor_find(s, &ip->src);
		if (n && nd->has_mac)
			neighbor_asks(s, n, &nd->mac);
	}
	answer(s, ip, nd, n, port);
}

/* 7.2.5 */
static void advertised(struct soft *s, const struct wire_ip *ip, const struct wire_nd *nd)
{
	struct soft_neighbor_entry *n = neighbor_find(s, &nd->target);

	/* 7.1.2 */
	if (ip->dst.b[0] == 0xff && nd->solicited) {
		s->counters.bad_frames++;
		return;
	}
	if (soft_is_local(s, &nd->target)) {
		s->counters.address_conflicts++;
		return;
	}
	if (n)
		neighbor_answered(s, n,
		                  &(struct neighbor_answer){nd->has_mac ? &nd->mac : NULL,
		                                            nd->solicited, nd->override,
		                                            nd->router});
}

void nd_input(struct soft *s, const struct wire_ip *ip, const u8 *p, u32 len, u32 port)
{
	struct wire_nd nd;

	if (wire_nd_parse(ip, p, len, &nd) != WIRE_OK || (nd.has_mac && nd.mac.b[0] & 1)) {
		s->counters.bad_frames++;
		return;
	}
	if (nd.type == WIRE_ND_SOLICITATION)
		solicited(s, ip, &nd, port);
	else
		advertised(s, ip, &nd);
}

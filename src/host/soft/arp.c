/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* ARP (RFC 826), with what RFC 1122 2.3.2 and RFC 5227 2.4 add. */
#include "wire/arp.h"

#include "host/soft/priv.h"

static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const u64 defend_ns = 10 * NS_PER_S; /* RFC 5227 1.1 DEFEND_INTERVAL */

static void send(struct soft *s, const struct wire_arp *arp, const struct mac_addr *to, u32 port)
{
	u8 bytes[WIRE_ARP_BYTES];

	soft_send_raw(s, to, WIRE_ETH_ARP, bytes, wire_arp_write(bytes, arp), port);
}

void arp_ask(struct soft *s, const struct ip_addr *hop, const struct mac_addr *mac, u32 port)
{
	const struct ip_addr *local = soft_local_for(s, hop);
	struct wire_arp arp = {.op = WIRE_ARP_REQUEST, .sha = s->config.mac, .tpa = *hop};

	if (!local)
		return;
	arp.spa = *local;
	if (mac)
		arp.tha = *mac;
	send(s, &arp, mac ? mac : &broadcast, port);
}

/* RFC 5227 3: a request for our own address, to all. */
void arp_announce(struct soft *s, const struct ip_addr *addr, u32 port)
{
	const struct wire_arp arp = {
		.op = WIRE_ARP_REQUEST, .sha = s->config.mac, .spa = *addr, .tpa = *addr};

	send(s, &arp, &broadcast, port);
}

/* RFC 5227 2.4 (b): say once that it is ours, and not again for a while. */
static void conflict(struct soft *s, const struct ip_addr *addr, u32 port)
{
	s->counters.address_conflicts++;
	if (s->defended_ns && s->now_ns - s->defended_ns < defend_ns)
		return;
	s->defended_ns = s->now_ns;
	arp_announce(s, addr, port);
}

static void answer(struct soft *s, const struct wire_arp *q, u32 port)
{
	const struct wire_arp arp = {.op = WIRE_ARP_REPLY,
	                             .sha = s->config.mac,
	                             .spa = q->tpa,
	                             .tha = q->sha,
	                             .tpa = q->spa};

	s->counters.advertised++;
	send(s, &arp, &q->sha, port);
}

static bool is_unspecified(const struct ip_addr *a)
{
	return !wire_get32(a->b + 12);
}

/* RFC 826 "Packet Reception": merge first, then, if we are asked, add and answer. */
void arp_input(struct soft *s, const u8 *p, u32 len, u32 port)
{
	struct soft_neighbor_entry *n;
	struct wire_arp arp;
	bool to_us, reply;

	if (wire_arp_parse(p, len, &arp) != WIRE_OK || arp.sha.b[0] & 1) {
		s->counters.bad_frames++;
		return;
	}
	if (!memcmp(arp.sha.b, s->config.mac.b, 6))
		return; /* our own, come back */
	if (soft_is_local(s, &arp.spa)) {
		conflict(s, &arp.spa, port);
		return;
	}
	to_us = soft_is_local(s, &arp.tpa);
	reply = arp.op == WIRE_ARP_REPLY;
	n = is_unspecified(&arp.spa) ? NULL : neighbor_find(s, &arp.spa);
	if (n && reply && to_us)
		neighbor_answered(s, n, &(struct neighbor_answer){&arp.sha, true, true, n->router});
	else if (n && n->state != SOFT_NONE)
		neighbor_asks(s, n, &arp.sha); /* also a gratuitous one */
	if (!to_us || arp.op != WIRE_ARP_REQUEST)
		return;
	if (!is_unspecified(&arp.spa)) {
		n = neighbor_get(s, &arp.spa, port);
		if (n)
			neighbor_asks(s, n, &arp.sha);
	}
	answer(s, &arp, port);
}

void soft_announce(struct soft *s)
{
	const struct ip_addr *const addrs[] = {&s->config.local, &s->config.local_other};
	static const struct ip_addr none;

	for (u32 i = 0; i < ARRAY_SIZE(addrs); i++) {
		if (ip_addr_is_v4(addrs[i]))
			arp_announce(s, addrs[i], 0);
		else if (!ip_addr_eq(addrs[i], &none))
			nd_announce(s, addrs[i], 0);
	}
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
/* What steering took aside for the host: ICMP errors about offloaded flows, fragments of TCP. */
#include <errno.h>

#include "linux/events_priv.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"

enum {
	FRAMES_AT_ONCE = 256,
	IP4_MTU_MIN = 552, /* the kernel's min_pmtu */
	IP6_MTU_MIN = 1280,
	ICMP4 = 1,
	ICMP6 = 58,
};

/* RFC 1191 7.1: what to try when a router does not tell its MTU. */
static u32 plateau_below(u32 mtu)
{
	static const u16 plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, IP4_MTU_MIN};

	for (u32 i = 0; i < ARRAY_SIZE(plateaus); i++)
		if (plateaus[i] < mtu)
			return plateaus[i];
	return IP4_MTU_MIN;
}

static void learn(struct events *ev, u32 index, u32 mtu, u64 now_ns)
{
	struct path_entry *p = routes_path_at(ev->b->routes, index);
	u32 floor = ip_addr_is_v4(&p->question.remote) ? IP4_MTU_MIN : IP6_MTU_MIN;

	if (!mtu)
		mtu = plateau_below(p->mtu_bytes);
	mtu = max_of(mtu, floor);
	if (mtu >= p->mtu_bytes)
		return;
	p->learned_mtu = mtu;
	p->learned_ns = now_ns;
	p->mtu_bytes = mtu;
	events_mtu(ev, index);
}

/* Every path between the two addresses has the narrow link: mark and TOS do not tell here. */
static void too_big(struct events *ev, const struct wire_icmp *icmp, u64 now_ns)
{
	for (u32 i = 0; i < routes_paths(ev->b->routes); i++) {
		const struct path_key *q = &routes_path_at(ev->b->routes, i)->question;

		if (ip_addr_eq(&q->local, &icmp->flow.local) &&
		    ip_addr_eq(&q->remote, &icmp->flow.remote))
			learn(ev, i, icmp->mtu, now_ns);
	}
}

static void icmp(struct events *ev, const struct wire_ip *ip, const u8 *p, u64 now_ns)
{
	struct wire_icmp m;

	if (wire_icmp_parse(ip, p, ip->payload_bytes, &m) != WIRE_OK || !m.has_flow) {
		ev->counters.icmp_malformed++;
		return;
	}
	/* RFC 5927 4.1: anybody can send an error, only who sees the flow knows the sequence. */
	if (!ev->ops.in_flight || !ev->ops.in_flight(ev->ctx, &m.flow, m.seq)) {
		ev->counters.icmp_refused++;
		return;
	}
	ev->counters.icmp_accepted++;
	/* Others are soft errors of an established connection: its timers decide. */
	if (m.kind == WIRE_ICMP_TOO_BIG)
		too_big(ev, &m, now_ns);
}

static void fragment(struct events *ev, struct hosttap *tap, u32 len, u64 now_ns)
{
	const u8 *whole;
	u32 whole_len;

	ev->counters.fragments++;
	switch (fragments_add(ev->fragments, ev->frame, len, now_ns, &whole, &whole_len)) {
	case FRAGMENT_KEPT:
		break;
	case FRAGMENT_DROPPED:
		ev->counters.fragments_dropped++;
		break;
	case FRAGMENT_WHOLE:
		ev->counters.reassembled++;
		/* Lost like a frame on the wire where the kernel does not take it. */
		(void)!steering_resteer(ev->b->steering, tap, whole, whole_len);
		break;
	}
}

static void taken(struct events *ev, struct hosttap *tap, u32 len, u64 now_ns)
{
	struct wire_link link;
	struct wire_ip ip;
	const u8 *p;

	if (wire_link_parse(ev->frame, len, len, &link) != WIRE_OK)
		return;
	p = ev->frame + link.header_bytes;
	if (wire_ip_parse(p, len - link.header_bytes, &ip) != WIRE_OK ||
	    link.header_bytes + ip.header_bytes + ip.payload_bytes > len) {
		ev->counters.icmp_malformed++;
		return;
	}
	if (wire_ip_is_fragment(&ip))
		fragment(ev, tap, len, now_ns);
	else if (ip.protocol == ICMP4 || ip.protocol == ICMP6)
		icmp(ev, &ip, p + ip.header_bytes, now_ns);
}

void events_taken(struct events *ev, u64 now_ns)
{
	for (u32 i = 0; i < ev->b->n_ports; i++) {
		struct hosttap *tap = steering_hosttap(ev->b->steering, ev->b->ports[i].ifindex);

		for (u32 k = 0; tap && k < FRAMES_AT_ONCE; k++) {
			int n = hosttap_read(tap, ev->frame, sizeof(ev->frame));

			if (n <= 0)
				break;
			taken(ev, tap, (u32)n, now_ns);
		}
	}
}

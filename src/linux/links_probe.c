// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/links_probe.h"

#include <errno.h>

#include "wire/arp.h"
#include "wire/ethernet.h"
#include "wire/nd.h"

enum { DEFAULT_MISSES = 3, HOP_LIMIT = 255, MESSAGE_BYTES = 256, ANSWERS_AT_ONCE = 64 };

static const struct ip_addr unspecified4 = {{[10] = 0xff, [11] = 0xff}};
static const struct ip_addr zero;
static const struct mac_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static bool same_ip(const struct ip_addr *a, const struct ip_addr *b)
{
	return !memcmp(a, b, sizeof(*a));
}

int probe_open(struct probe *p, const struct probe_config *config, u32 ifindex, u64 now_ns)
{
	bool v4 = ip_addr_is_v4(&config->target);
	int err;

	*p = (struct probe){.config = *config, .next_ns = now_ns, .up = true};
	p->socket.fd = -1;
	if (!p->config.interval_ns)
		p->config.interval_ns = NS_PER_S;
	if (!p->config.misses)
		p->config.misses = DEFAULT_MISSES;
	if (same_ip(&p->config.source, &zero)) {
		if (!v4)
			return -EINVAL;
		p->config.source = unspecified4;
	}
	if (v4 != ip_addr_is_v4(&p->config.source))
		return -EINVAL;
	err = link_socket_open(&p->socket, ifindex, v4 ? WIRE_ETH_ARP : WIRE_ETH_IP6, NULL);
	if (!err && !v4)
		err = link_socket_only_advertisements(&p->socket);
	if (err)
		probe_close(p);
	return err;
}

void probe_close(struct probe *p)
{
	link_socket_close(&p->socket);
}

static int ask_arp(struct probe *p)
{
	struct wire_arp arp = {.spa = p->config.source,
	                       .tpa = p->config.target,
	                       .sha = p->socket.mac,
	                       .op = WIRE_ARP_REQUEST};
	u8 buf[WIRE_ARP_BYTES];

	return link_socket_send(&p->socket, &everybody, buf, wire_arp_write(buf, &arp));
}

static int ask_nd(struct probe *p)
{
	struct wire_nd nd = {.target = p->config.target,
	                     .mac = p->socket.mac,
	                     .has_mac = 1,
	                     .type = WIRE_ND_SOLICITATION};
	struct wire_ip ip = {.src = p->config.source,
	                     .version = 6,
	                     .ttl = HOP_LIMIT,
	                     .protocol = WIRE_IPPROTO_ICMP6};
	u8 buf[WIRE_IP6_BYTES + WIRE_ND_BYTES_MAX];
	struct mac_addr to;

	wire_nd_solicited_node(&p->config.target, &ip.dst);
	wire_ip6_multicast_mac(&ip.dst, &to);
	ip.payload_bytes = wire_nd_write(buf + WIRE_IP6_BYTES, &ip, &nd);
	wire_ip_write(buf, &ip);
	return link_socket_send(&p->socket, &to, buf, WIRE_IP6_BYTES + ip.payload_bytes);
}

static bool is_answer(const struct probe *p, const u8 *buf, u32 len)
{
	struct wire_arp arp;
	struct wire_ip ip;
	struct wire_nd nd;

	if (p->socket.ethertype == WIRE_ETH_ARP)
		return wire_arp_parse(buf, len, &arp) == WIRE_OK && arp.op == WIRE_ARP_REPLY &&
		       same_ip(&arp.spa, &p->config.target);
	if (wire_ip6_parse(buf, len, &ip) != WIRE_OK || ip.protocol != WIRE_IPPROTO_ICMP6)
		return false;
	return wire_nd_parse(&ip, buf + ip.header_bytes, ip.payload_bytes, &nd) == WIRE_OK &&
	       nd.type == WIRE_ND_ADVERTISEMENT && same_ip(&nd.target, &p->config.target);
}

void probe_serve(struct probe *p)
{
	u8 buf[MESSAGE_BYTES];
	u32 len;

	for (u32 i = 0; i < ANSWERS_AT_ONCE; i++) {
		len = link_socket_receive(&p->socket, buf, sizeof(buf));
		if (!len)
			return;
		if (!is_answer(p, buf, len))
			continue;
		p->counters.answered++;
		p->unanswered = 0;
		p->up = true;
	}
}

void probe_timer(struct probe *p, u64 now_ns)
{
	if (now_ns < p->next_ns)
		return;
	/* An answer that waits to be read is no miss. */
	probe_serve(p);
	if (p->unanswered >= p->config.misses)
		p->up = false;
	else
		p->unanswered++;
	p->counters.asked++;
	/* What could not leave is a question without an answer as well. */
	if (p->socket.ethertype == WIRE_ETH_ARP ? ask_arp(p) : ask_nd(p))
		p->counters.unsent++;
	p->next_ns = now_ns + p->config.interval_ns;
}

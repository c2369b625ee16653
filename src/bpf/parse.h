/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The parser of the steering programs: Ethernet (DIX or SNAP, up to two VLAN tags in the data),
 * IPv4, IPv6, TCP, and the TCP packet quoted in an ICMP error. LOAD(ctx, off, to, len) is defined
 * by the program that includes this file, before it does.
 */
#ifndef BPF_PARSE_H
#define BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/flow.h"

enum pkt_kind {
	PKT_OTHER,
	PKT_TCP,
	PKT_FRAGMENT,   /* of a TCP packet: no ports */
	PKT_ICMP_ERROR, /* key: the flow quoted */
};

struct pkt {
	struct steer_key key;
	__u32 kind;
	__u32 flags; /* TCP's */
};

enum {
	PARSE_IPV4 = 0x0800,
	PARSE_IPV6 = 0x86dd,
	PARSE_8021Q = 0x8100,
	PARSE_8021AD = 0x88a8,
	PARSE_ETHER_MIN = 0x0600,
	PARSE_TCP_RST = 0x04,
	PARSE_IPV6_FRAGMENT = 44,
	PARSE_ICMPV6 = 58,
};

static __always_inline void parse_map_v4(__u8 *to, const __u8 *from)
{
	__builtin_memset(to, 0, 10);
	to[10] = 0xff;
	to[11] = 0xff;
	__builtin_memcpy(to + 12, from, 4);
}

/* Addresses and ports in packet order into the key; `out`: the packet's source is this host. */
static __always_inline void parse_ports(struct steer_key *key, const __u8 *ports, int out)
{
	__be16 sport, dport;

	__builtin_memcpy(&sport, ports, 2);
	__builtin_memcpy(&dport, ports + 2, 2);
	key->local_port = out ? sport : dport;
	key->remote_port = out ? dport : sport;
}

/* The packet quoted at `off`: its addresses and ports make the key. */
static __always_inline int parse_quote_v4(void *ctx, __u32 off, struct pkt *p)
{
	__u8 ip[20], ports[4];

	if (LOAD(ctx, off, ip, 20) || (ip[0] >> 4) != 4 || ip[9] != IPPROTO_TCP)
		return PKT_OTHER;
	if (LOAD(ctx, off + (ip[0] & 15) * 4, ports, 4))
		return PKT_OTHER;
	parse_map_v4(p->key.local, ip + 12);
	parse_map_v4(p->key.remote, ip + 16);
	parse_ports(&p->key, ports, 1);
	return PKT_ICMP_ERROR;
}

static __always_inline int parse_quote_v6(void *ctx, __u32 off, struct pkt *p)
{
	__u8 ip[40], ports[4];

	if (LOAD(ctx, off, ip, 40) || (ip[0] >> 4) != 6 || ip[6] != IPPROTO_TCP)
		return PKT_OTHER;
	if (LOAD(ctx, off + 40, ports, 4))
		return PKT_OTHER;
	__builtin_memcpy(p->key.local, ip + 8, 16);
	__builtin_memcpy(p->key.remote, ip + 24, 16);
	parse_ports(&p->key, ports, 1);
	return PKT_ICMP_ERROR;
}

static __always_inline int parse_tcp(void *ctx, __u32 off, struct pkt *p, int out)
{
	__u8 tcp[14];

	if (LOAD(ctx, off, tcp, 14))
		return PKT_OTHER;
	parse_ports(&p->key, tcp, out);
	p->flags = tcp[13];
	return PKT_TCP;
}

static __always_inline int parse_v4(void *ctx, __u32 off, struct pkt *p, int out)
{
	__u8 ip[20], type;
	__u32 hlen;

	if (LOAD(ctx, off, ip, 20))
		return PKT_OTHER;
	hlen = (ip[0] & 15) * 4;
	if (hlen < 20)
		return PKT_OTHER;
	if (ip[9] == IPPROTO_ICMP) {
		if (LOAD(ctx, off + hlen, &type, 1))
			return PKT_OTHER;
		/* unreachable, redirect, time exceeded, parameter problem */
		if (type != 3 && type != 5 && type != 11 && type != 12)
			return PKT_OTHER;
		return parse_quote_v4(ctx, off + hlen + 8, p);
	}
	if (ip[9] != IPPROTO_TCP)
		return PKT_OTHER;
	parse_map_v4(out ? p->key.local : p->key.remote, ip + 12);
	parse_map_v4(out ? p->key.remote : p->key.local, ip + 16);
	if ((ip[6] & 0x3f) || ip[7])
		return PKT_FRAGMENT;
	return parse_tcp(ctx, off + hlen, p, out);
}

static __always_inline int parse_v6(void *ctx, __u32 off, struct pkt *p, int out)
{
	__u8 ip[40], next;

	if (LOAD(ctx, off, ip, 40))
		return PKT_OTHER;
	if (ip[6] == PARSE_ICMPV6) {
		if (LOAD(ctx, off + 40, &next, 1) || next < 1 || next > 4)
			return PKT_OTHER;
		return parse_quote_v6(ctx, off + 48, p);
	}
	__builtin_memcpy(out ? p->key.local : p->key.remote, ip + 8, 16);
	__builtin_memcpy(out ? p->key.remote : p->key.local, ip + 24, 16);
	if (ip[6] == PARSE_IPV6_FRAGMENT) {
		if (LOAD(ctx, off + 40, &next, 1) || next != IPPROTO_TCP)
			return PKT_OTHER;
		return PKT_FRAGMENT;
	}
	if (ip[6] != IPPROTO_TCP)
		return PKT_OTHER;
	return parse_tcp(ctx, off + 40, p, out);
}

/* Skips tags that are still in the data; returns the EtherType, with *off behind it. */
static __always_inline __u32 parse_link(void *ctx, __u32 *off, struct pkt *p, __u32 n_tags)
{
	__u8 b[8];
	__u32 type;

	if (LOAD(ctx, 12, b, 2))
		return 0;
	type = b[0] << 8 | b[1];
	*off = 14;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		if (type != PARSE_8021Q && type != PARSE_8021AD)
			break;
		if (LOAD(ctx, *off, b, 4))
			return 0;
		if (n_tags == 0)
			p->key.vlan[0] = (b[0] << 8 | b[1]) & 0xfff;
		else if (n_tags == 1)
			p->key.vlan[1] = (b[0] << 8 | b[1]) & 0xfff;
		barrier();
		n_tags++;
		type = b[2] << 8 | b[3];
		*off += 4;
	}
	if (type < PARSE_ETHER_MIN) {
		if (LOAD(ctx, *off, b, 8) || b[0] != 0xaa || b[1] != 0xaa)
			return 0;
		type = b[6] << 8 | b[7];
		*off += 8;
	}
	return type;
}

/* `tci`: a tag that the kernel has taken out of the data already, with bit 16 set; 0: none. */
static __always_inline void parse(void *ctx, __u32 tci, int out, struct pkt *p)
{
	__u32 off, type;

	__builtin_memset(p, 0, sizeof(*p));
	if (tci)
		p->key.vlan[0] = tci & 0xfff;
	type = parse_link(ctx, &off, p, tci ? 1 : 0);
	if (type == PARSE_IPV4)
		p->kind = parse_v4(ctx, off, p, out);
	else if (type == PARSE_IPV6)
		p->kind = parse_v6(ctx, off, p, out);
}

#endif

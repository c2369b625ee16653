// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/synth.h"

#include "base/csum.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/tcp.h"

static u64 pseudo_sum(const struct wire_ip *ip, u32 tcp_bytes)
{
	const u8 *src = ip->version == 4 ? ip->src.b + 12 : ip->src.b;
	const u8 *dst = ip->version == 4 ? ip->dst.b + 12 : ip->dst.b;
	size_t len = ip->version == 4 ? 4 : 16;
	u64 sum = csum_bytes(csum_bytes(0, src, len), dst, len);

	sum = csum_add(sum, cpu_to_be16((u16)tcp_bytes));
	return csum_add(sum, cpu_to_be16(WIRE_IPPROTO_TCP));
}

u32 synth_write(const struct synth_segment *s, u8 *to)
{
	struct wire_tcp tcp = {
		.src_port = be16_to_cpu(s->flow->remote_port),
		.dst_port = be16_to_cpu(s->flow->local_port),
		.seq = s->seq,
		.ack = s->ack,
		.wnd = s->wnd,
		.flags = s->flags,
	};
	struct wire_ip ip = {.ttl = 64, .protocol = WIRE_IPPROTO_TCP, .dont_fragment = 1};
	struct wire_link link = {.dst = s->port_mac, .src = s->port_mac};
	u8 segment[WIRE_TCP_BYTES + WIRE_TCP_OPTIONS_MAX];
	u32 n, tcp_bytes;
	be16 csum;

	memcpy(ip.src.b, s->flow->remote, 16);
	memcpy(ip.dst.b, s->flow->local, 16);
	ip.version = ip_addr_is_v4(&ip.src) ? 4 : 6;
	link.ethertype = ip.version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6;
	if (s->timestamps) {
		tcp.options.present = WIRE_OPT_TIMESTAMPS;
		tcp.options.ts_val = s->ts_val;
		tcp.options.ts_ecr = s->ts_ecr;
	}
	tcp_bytes = wire_tcp_write(segment, &tcp);
	csum = csum_finish(csum_bytes(pseudo_sum(&ip, tcp_bytes), segment, tcp_bytes));
	memcpy(segment + 16, &csum, sizeof(csum));
	ip.payload_bytes = tcp_bytes;
	n = wire_link_write(to, &link);
	n += wire_ip_write(to + n, &ip);
	memcpy(to + n, segment, tcp_bytes);
	return n + tcp_bytes;
}

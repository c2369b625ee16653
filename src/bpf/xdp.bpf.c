// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Steering at XDP, for a port in XDP mode: a frame of an offloaded flow goes to the AF_XDP socket
 * of the queue on which it arrived, everything else passes (fragments and ICMP errors too: the tc
 * program of the same port sees them). Shares its maps with steer.bpf.c.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LOAD(ctx, off, to, len) bpf_xdp_load_bytes((struct xdp_md *)(ctx), off, to, len)

#include "bpf/maps.h"

/* Key: queue; value: descriptor of the AF_XDP socket bound to it. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

SEC("xdp")
int steer_xdp(struct xdp_md *ctx)
{
	struct steer_value *flow;
	struct pkt p;
	long action;

	parse(ctx, 0, 0, &p);
	if (p.kind != PKT_TCP)
		return XDP_PASS;
	flow = bpf_map_lookup_elem(&flows, &p.key);
	if (!flow || flow_state_of(flow) == FLOW_FREE)
		return XDP_PASS;
	action = bpf_redirect_map(&xsks, ctx->rx_queue_index, XDP_PASS);
	count(action == XDP_REDIRECT ? STEER_XDP_HITS : STEER_XDP_NO_SOCKET);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

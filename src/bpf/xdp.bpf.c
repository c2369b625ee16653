// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Steering at XDP, for a port in XDP mode: a frame of a flow that is offloaded to the lane which
 * serves its queue goes to that lane's AF_XDP socket, everything else passes (flows of other lanes,
 * fragments and ICMP errors too: the tc programs of the lanes see them).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LOAD(ctx, off, to, len) bpf_xdp_load_bytes((struct xdp_md *)(ctx), off, to, len)

#include "bpf/maps.h"

enum { XDP_QUEUES = 64 };

/* Of each queue: its AF_XDP socket, and the maps of the lane that serves it (what they look like is
 * said when the program is loaded). */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, XDP_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDP_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} queue_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, XDP_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} queue_states SEC(".maps");

SEC("xdp")
int steer_xdp(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index;
	struct steer_value *flow;
	void *flows, *states;
	struct pkt p;
	long action;

	parse(ctx, 0, 0, &p);
	if (p.kind != PKT_TCP)
		return XDP_PASS;
	flows = bpf_map_lookup_elem(&queue_flows, &queue);
	states = bpf_map_lookup_elem(&queue_states, &queue);
	if (!flows || !states)
		return XDP_PASS;
	flow = bpf_map_lookup_elem(flows, &p.key);
	if (!flow || flow_state_in(states, flow) == FLOW_FREE)
		return XDP_PASS;
	action = bpf_redirect_map(&xsks, queue, XDP_PASS);
	count(action == XDP_REDIRECT ? STEER_XDP_HITS : STEER_XDP_NO_SOCKET);
	return action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

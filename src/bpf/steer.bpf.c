// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Steering at tc: frames of offloaded flows go to a lane's TAP, everything else passes untouched.
 *
 *   steer_in    ingress of a managed port: hit -> lane's TAP, ICMP errors about a hit and fragments
 *               of TCP -> host's TAP, the rest passes
 *   steer_out   egress of a managed port: drops what the kernel emits for a flow that is not its;
 *               what a lane sends bears a mark or comes from its TAP
 *   lane_out    ingress of a lane's TAP (what the lane writes): out by the port
 *   inject      ingress of the host's TAP (what the host writes): up the kernel's stack, as if it
 *               had come in by the port; a mark makes steer_in let it pass, and is taken off there
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LOAD(ctx, off, to, len) bpf_skb_load_bytes((struct __sk_buff *)(ctx), off, to, len)

#include "bpf/maps.h"

/* "Not mine": the next program, or the stack, sees the frame (TC_ACT_UNSPEC, TCX_NEXT). */
#define PASS (-1)
#define DROP 2

/* Capacities are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct steer_key);
	__type(value, struct steer_value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64); /* eight slots: array values are padded to eight bytes */
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct port_value);
} ports SEC(".maps");

/* Random for each start, so that no mark of the administrator's means it. */
const volatile __u32 inject_mark = 0;

/* Source address of frames on the host's TAP that are to be steered: datagrams put together again
 * from fragments. */
const volatile __u8 resteer_mac[8] = {};

static __always_inline __u32 tag_of(const struct __sk_buff *skb)
{
	return skb->vlan_present ? (1 << 16 | (skb->vlan_tci & 0xffff)) : 0;
}

static __always_inline int to_host(struct __sk_buff *skb, int clone, __u32 counter)
{
	__u32 ifindex = skb->ifindex;
	struct port_value *port = bpf_map_lookup_elem(&ports, &ifindex);

	if (!port || !port->host_tap)
		return PASS;
	count(counter);
	if (!clone)
		return bpf_redirect(port->host_tap, 0);
	bpf_clone_redirect(skb, port->host_tap, 0);
	return PASS;
}

SEC("tc")
int steer_in(struct __sk_buff *skb)
{
	struct steer_value *flow;
	struct pkt p;

	if (skb->mark == inject_mark) {
		skb->mark = 0;
		count(STEER_INJECTED);
		return PASS;
	}
	if (skb->pkt_type != 0) /* PACKET_HOST */
		return PASS;
	parse(skb, tag_of(skb), 0, &p);
	if (p.kind == PKT_OTHER)
		return PASS;
	if (p.kind == PKT_FRAGMENT)
		return to_host(skb, 0, STEER_FRAGMENTS);
	flow = bpf_map_lookup_elem(&flows, &p.key);
	if (!flow || flow_state_in(&states, flow) == FLOW_FREE)
		return PASS;
	if (p.kind == PKT_ICMP_ERROR)
		return to_host(skb, 1, STEER_ICMP);
	if (!flow->tap)
		return PASS;
	count(STEER_HITS);
	return bpf_redirect(flow->tap, 0);
}

SEC("tc")
int steer_out(struct __sk_buff *skb)
{
	__u32 from = skb->ingress_ifindex, state;
	struct steer_value *flow;
	struct pkt p;

	/* The mark stays: another process's guard may follow. */
	if (skb->mark == STEER_LANE_MARK || (from && bpf_map_lookup_elem(&ports, &from)))
		return PASS;
	parse(skb, tag_of(skb), 1, &p);
	if (p.kind != PKT_TCP)
		return PASS;
	flow = bpf_map_lookup_elem(&flows, &p.key);
	if (!flow)
		return PASS;
	state = flow_state_in(&states, flow);
	if (state == FLOW_FREE)
		return PASS;
	if (p.flags & PARSE_TCP_RST) {
		count(STEER_GUARD_RESETS);
		return DROP;
	}
	if (state == FLOW_HOLD)
		return PASS;
	count(STEER_GUARD_DROPS);
	return DROP;
}

SEC("tc")
int lane_out(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex;
	struct port_value *tap = bpf_map_lookup_elem(&ports, &ifindex);

	if (!tap)
		return DROP;
	count(STEER_LANE_SENT);
	return bpf_redirect(tap->port, 0);
}

static __always_inline int to_be_steered(const __u8 *mac)
{
#pragma unroll
	for (int i = 0; i < 6; i++)
		if (mac[i] != resteer_mac[i])
			return 0;
	return 1;
}

SEC("tc")
int inject(struct __sk_buff *skb)
{
	__u8 mac[6];
	__u32 ifindex = skb->ifindex;
	struct port_value *tap = bpf_map_lookup_elem(&ports, &ifindex);

	if (!tap || bpf_skb_load_bytes(skb, 6, mac, 6))
		return DROP;
	if (!to_be_steered(mac)) {
		skb->mark = inject_mark;
		return bpf_redirect(tap->port, BPF_F_INGRESS);
	}
	/* Once only: should the host inject it later as a parked frame, it is the kernel's. */
	mac[5] ^= 1;
	if (bpf_skb_store_bytes(skb, 6, mac, 6, 0))
		return DROP;
	return bpf_redirect(tap->port, BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

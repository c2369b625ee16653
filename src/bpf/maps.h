/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps of the steering programs; xdp.bpf.c uses those of steer.bpf.c (reused by descriptor). */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include "bpf/parse.h"

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
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, STEER_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&counters, &which);

	if (n)
		*n += 1;
}

/* State of the flow's slot; FLOW_FREE when the slot is out of range. */
static __always_inline __u32 flow_state_of(const struct steer_value *v)
{
	__u32 word = v->slot / 8;
	__u64 *w = bpf_map_lookup_elem(&states, &word);

	return w ? (*w >> (v->slot % 8 * 8)) & 0xff : FLOW_FREE;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the steering programs share: the counters (reused by descriptor), the state of a flow. */
#ifndef BPF_MAPS_H
#define BPF_MAPS_H

#include "bpf/parse.h"

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
static __always_inline __u32 flow_state_in(void *states, const struct steer_value *v)
{
	__u32 word = v->slot / 8;
	__u64 *w = bpf_map_lookup_elem(states, &word);

	return w ? (*w >> (v->slot % 8 * 8)) & 0xff : FLOW_FREE;
}

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the steering programs and user space share: keys and values of the maps. Both sides include
 * this header, so it uses the kernel's fixed-size types only.
 */
#ifndef BPF_FLOW_H
#define BPF_FLOW_H

#include <linux/types.h>

/* A flow as seen from this host. IPv4 addresses are held as ::ffff:a.b.c.d. */
struct steer_key {
	__u8 remote[16];
	__u8 local[16];
	__be16 remote_port;
	__be16 local_port;
	__u16 vlan[2]; /* VLAN ids outermost first, 0: no tag */
};

struct steer_value {
	__u32 slot; /* index into the array of states */
	__u32 tap;  /* ifindex of the lane's TAP; 0: none (XDP mode, all queues the lane's) */
};

/* One byte a slot, in an array that user space has mapped: a change of state costs a store. */
enum flow_state {
	FLOW_FREE, /* as if the flow were not in the map */
	FLOW_HOLD, /* frames go to the lane, which parks them; the kernel may still send */
	FLOW_MUTE, /* as HOLD, and what the kernel emits for the flow is dropped (import) */
	FLOW_OWN,  /* the target's: what the kernel emits is dropped */
};

/* Mark of the frames that a lane's port sends through the managed interface itself (a packet
 * socket): the guard at egress lets them pass. */
#define STEER_LANE_MARK 0x63680000

enum steer_counter {
	STEER_HITS,          /* frames redirected to a lane */
	STEER_INJECTED,      /* frames handed back to the kernel */
	STEER_GUARD_DROPS,   /* kernel's segments for a muted or owned flow */
	STEER_GUARD_RESETS,  /* kernel's resets for a flow in the map */
	STEER_ICMP,          /* ICMP errors copied to the host's TAP */
	STEER_FRAGMENTS,     /* IP fragments sent to the host's TAP */
	STEER_LANE_SENT,     /* frames from a lane's TAP to its port */
	STEER_XDP_HITS,      /* frames redirected to an AF_XDP socket */
	STEER_XDP_NO_SOCKET, /* hits whose queue has no AF_XDP socket: left to tc */
	STEER_COUNTERS,
};

/* What the programs need to know of a TAP or of a managed port, keyed by its ifindex. */
struct port_value {
	__u32 port;     /* of a TAP: the port that it serves */
	__u32 host_tap; /* of a port: the TAP on which the host reads ICMP errors and fragments */
};

#endif

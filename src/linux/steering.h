/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Steering: which flows of the managed ports go to a lane, and the tc programs that see to it.
 *
 * Everything hangs on descriptors (tcx links, TAPs), so nothing is left behind when the process
 * ends, however it ends. Where the kernel has no tcx (before 6.6), filters on a clsact qdisc are
 * used instead; steering_attach removes what a killed predecessor left there.
 *
 * Not thread-safe, but for the states of slots, which are single bytes.
 */
#ifndef LINUX_STEERING_H
#define LINUX_STEERING_H

#include "base/types.h"

#include "bpf/flow.h"

struct steering;
struct hosttap;

/* Loads the programs, with room for `flows` flows, into the calling thread's network namespace.
 * -Exxx, with the failing step in *ret_step (a string that is never freed). */
int steering_create(u32 flows, struct steering **ret_steering, const char **ret_step) MUST_CHECK;
void steering_destroy(struct steering *s);

/* Manages interface `ifindex`: programs at its ingress and egress, a host's TAP. -EEXIST, -ENODEV,
 * -ENOSPC (16 ports). */
int steering_add_port(struct steering *s, u32 ifindex) MUST_CHECK;

/* What is written to interface `tap_ifindex` goes out by `port_ifindex`. */
int steering_add_tap(struct steering *s, u32 tap_ifindex, u32 port_ifindex) MUST_CHECK;

void steering_remove_port(struct steering *s, u32 ifindex);

/* The host's TAP of a managed port, NULL: not managed. */
struct hosttap *steering_hosttap(struct steering *s, u32 port_ifindex);
u32 steering_ports(const struct steering *s);
u32 steering_port_at(const struct steering *s, u32 i);
/* The port's Ethernet address as of steering_add_port(). */
void steering_port_mac(const struct steering *s, u32 ifindex, struct mac_addr *ret_mac);

/* A free slot, NIL: no room. Its state is FLOW_FREE. */
u32 steering_slot_alloc(struct steering *s);
void steering_slot_free(struct steering *s, u32 slot);

static inline void steering_state_set(u8 *states, u32 slot, enum flow_state state)
{
	__atomic_store_n(&states[slot], (u8)state, __ATOMIC_RELEASE);
}
/* One byte a slot. */
u8 *steering_states(struct steering *s);

/* Enters or removes n flows. The state of a slot decides what becomes of its frames. -Exxx: none
 * or some of them were entered. */
int steering_enter(struct steering *s, const struct steer_key *keys,
                   const struct steer_value *values, u32 n) MUST_CHECK;
int steering_remove(struct steering *s, const struct steer_key *keys, u32 n) MUST_CHECK;

/* Sends a frame up the port once more, past steering as if it had just come in: for datagrams that
 * the host reassembled. -Exxx as hosttap_inject(). */
int steering_resteer(struct steering *s, struct hosttap *tap, const u8 *frame, u32 len) MUST_CHECK;

/* Sums of the programs' counters. */
void steering_counters(struct steering *s, u64 ret_counters[STEER_COUNTERS]);

/* Descriptors of the maps, for the XDP program: see linux/xdp.h. */
int steering_flows_fd(const struct steering *s);
int steering_states_fd(const struct steering *s);
int steering_counters_fd(const struct steering *s);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the export program tells, in the words of the schema. Pure functions. */
#ifndef LINUX_SOCKSTATE_H
#define LINUX_SOCKSTATE_H

#include "state/state.h"

#include "bpf/export.h"

/* Of ecn_flags: what the target knows too, and the kernel takes back. */
enum {
	ECN_KERNEL_BITS = TCP_ECN_AGREED | TCP_ECN_QUEUE_CWR | TCP_ECN_DEMAND_CWR | TCP_ECN_SEEN,
};

/* What a socket falls back to where it has no setting of its own; from the namespace. */
struct sock_defaults {
	u64 keepalive_idle_ns, keepalive_interval_ns;
	u64 fin_timeout_ns;
	u32 keepalive_probes;
	u32 retries2;
	u32 ttl, hop_limit;
	u32 rcvbuf_max; /* how far the kernel sizes a receive buffer by itself (tcp_rmem) */
};

/* Reads them from /proc/sys of the calling thread's network namespace; what cannot be read gets
 * the kernel's documented default. */
void sock_defaults_read(struct sock_defaults *ret);

/* Fills all of *ret but the buffers of send and recv, whose `len` is set and `buf` is NIL.
 * `now_ns` is CLOCK_MONOTONIC (ages of timestamps). */
void sock_to_state(const struct sock_export *e, const struct sock_defaults *defaults, u64 now_ns,
                   struct tcp_state *ret);

/* BBR's model as TCP_CC_INFO tells it: bandwidth, round-trip time, and the mode by its gains. When
 * it was learned is not told: it counts as fresh. */
struct tcp_bbr_info;
void sock_bbr_to_state(const struct tcp_bbr_info *info, u64 now_ns, struct cc_private *ret);
/* The bandwidth of a model, bytes a second. */
u64 sock_bbr_bandwidth(const struct cc_private *cc);

/* The state of RFC 9293 for one of the kernel's; TCP_CLOSED for what has no counterpart. */
enum tcp_state_name sock_state_name(u8 kernel_state);

/* Bytes from snd_una on that are data, no FIN. */
u32 sock_send_bytes(const struct sock_export *e);
/* Bytes received and not read, no FIN. */
u32 sock_recv_bytes(const struct sock_export *e);
/* True when the peer's FIN was received, acknowledged, and counts in rcv_nxt. */
bool sock_fin_received(u8 kernel_state);

enum tcp_cc_algorithm sock_cc_algorithm(const char *name);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A soft host on a link, and everybody else on that link written down frame by frame. We are
 * 10.0.0.1 and fd00::1; 10.0.0.0/24 and fd00::/64 are on the link, the rest is behind .254 and
 * ::fe. Times count from the start, in nanoseconds.
 */
#ifndef SOFT_NET_H
#define SOFT_NET_H

#include "host/soft/priv.h"
#include "tcp/verdict.h"
#include "wire/arp.h"
#include "wire/nd.h"

enum {
	NET_OUT = 64,
	NET_BYTES = 2048,
	NET_MTU = 1500,
	NET_CONNS = 32,
	NET_PORT = 80,
	NET_MSL_S = 30,
};

struct net_frame {
	u32 len;
	u32 conn; /* of the engine; NIL: the host's own */
	u8 bytes[NET_BYTES];
};

struct net {
	struct soft *s;
	struct buf_pool pool;
	struct soft_config config;
	void *mem, *pool_mem;
	u64 start_ns, now_ns;
	struct net_frame out[NET_OUT]; /* of the last net_run() */
	u32 n_out;
	u32 baseline;
};

/* Addresses of the link: 10.0.0.i, fd00::i; and 192.0.2.i, 2001:db8::i far away. */
struct ip_addr net_ip4(u8 i);
struct ip_addr net_ip6(u8 i);
struct ip_addr net_far4(u8 i);
struct ip_addr net_far6(u8 i);
/* The address of an address that a call has returned. */
#define ADDR(call) ((struct ip_addr[]){call})
struct mac_addr net_mac(u8 i);

/* Fills n->config in; change it, then net_start(). */
void net_config(struct net *n);
void net_start(struct net *n);
void net_init(struct net *n);
/* Checks that no buffer is missing once every connection is dropped, frees all. */
void net_end(struct net *n);

/* Runs timers at a time, takes events, and gathers what is sent into n->out. Returns how many. */
u32 net_at(struct net *n, u64 at_ns);
u32 net_run(struct net *n);
/* A frame arrives; nothing is sent before net_run(). */
void net_frame_in(struct net *n, const u8 *bytes, u32 len);

/* What others send. `mac` is who: net_mac(). */
void net_arp(struct net *n, u16 op, u8 mac, struct ip_addr spa, struct ip_addr tpa);
void net_nd(struct net *n, const struct wire_nd *nd, u8 mac, struct ip_addr src,
            struct ip_addr dst);
/* A datagram with these bytes behind its header; ip->payload_bytes is `len`. */
void net_ip_in(struct net *n, struct wire_ip ip, const u8 *bytes, u32 len);
void net_icmp_in(struct net *n, const struct wire_ip *ip, const struct wire_icmp *icmp);

/* A segment from `from` to us. */
struct net_seg {
	struct ip_addr from;
	u16 src_port, dst_port; /* 0: 40000 and NET_PORT */
	u8 flags;
	u32 seq, ack, len, wnd; /* wnd 0: 60000 */
	struct wire_tcp_options options;
	u16 urg;
	bool bad_csum;
};
void net_seg_in(struct net *n, struct net_seg seg);
#define SEG(n, ...) net_seg_in((n), (struct net_seg){__VA_ARGS__})
/* TCP header and payload of a segment as bytes; returns their length. */
u32 net_seg_bytes(const struct net_seg *seg, u8 *to);

/* What frame i was. Fails the test when it is something else. */
struct wire_tcp_segment net_tcp(const struct net *n, u32 i);
struct wire_arp net_arp_out(const struct net *n, u32 i);
struct wire_nd net_nd_out(const struct net *n, u32 i, struct wire_ip *ret_ip);
struct wire_icmp net_icmp_out(const struct net *n, u32 i, struct wire_ip *ret_ip);
const struct mac_addr *net_dst(const struct net *n, u32 i);

/* Makes the address known, as REACHABLE. */
void net_resolve(struct net *n, struct ip_addr hop, u8 mac);
/* A connection that we open to `remote`, or accept from it; established. Numbers go out by the
 * pointers: our next, and the peer's. */
u64 net_connect(struct net *n, struct ip_addr remote, u8 options, u32 *ret_ours);
u64 net_accept(struct net *n, struct ip_addr remote, u8 options, u32 *ret_ours);

const struct soft_counters *net_counters(const struct net *n);
u8 net_reach(const struct net *n, struct ip_addr hop);

#endif

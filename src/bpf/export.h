/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the export programs write for a socket: getsockopt(fd, EXPORT_LEVEL, EXPORT_NAME, ...) for
 * one, a run of batch.bpf.c for many.
 * Units are the kernel's; user space turns them into those of state/schema.def.
 */
#ifndef BPF_EXPORT_H
#define BPF_EXPORT_H

#include <linux/types.h>

#define EXPORT_LEVEL 0x63686d6e /* no protocol's: the kernel alone answers ENOPROTOOPT */
#define EXPORT_NAME  1

#define EXPORT_NO_TIMER (~0ull)

/* Facts about a socket, most of them reasons why it cannot move. */
enum export_facts {
	EXPORT_ULP = 1 << 0,
	EXPORT_MPTCP = 1 << 1,
	EXPORT_SOCKMAP = 1 << 2,
	EXPORT_ZERO_COPY = 1 << 3, /* zero-copy sends in flight or not reaped */
	EXPORT_URGENT = 1 << 4,
	EXPORT_IP_OPTIONS = 1 << 5,
	EXPORT_SIGNED = 1 << 6, /* TCP-MD5 or TCP-AO */
	EXPORT_TRANSPARENT = 1 << 7,
	EXPORT_XFRM = 1 << 8,        /* a policy of the socket, or a transformed cached route */
	EXPORT_XFRM_UNSURE = 1 << 9, /* the namespace has policies, in or out */
	EXPORT_WAITERS = 1 << 10,    /* a thread is blocked on it, or io_uring polls it */
	EXPORT_EPOLL = 1 << 11,      /* it is in some epoll */
	EXPORT_CGROUP_BPF = 1 << 12, /* cgroup_skb programs or a socket filter see its packets */
	EXPORT_OUT_OF_ORDER = 1 << 13,
	EXPORT_BACKLOG = 1 << 14,
	EXPORT_KEEPALIVE = 1 << 15,
	EXPORT_TSTAMPS = 1 << 16,
	EXPORT_SACK = 1 << 17,
	EXPORT_WSCALE = 1 << 18,
	EXPORT_USEC_TS = 1 << 19,
	EXPORT_REUSEADDR = 1 << 20,
	EXPORT_LOOPBACK = 1 << 21, /* the cached route leaves by a loopback device */
	EXPORT_IN_REPAIR = 1 << 22,
	EXPORT_DELACK = 1 << 23,        /* an ACK is scheduled */
	EXPORT_RCVBUF_LOCKED = 1 << 24, /* SO_RCVBUF was set: the kernel does not size it */
	EXPORT_PORT_BOUND = 1 << 25,    /* by bind: the socket keeps its port */
	EXPORT_PACED = 1 << 26,         /* sk_pacing_status: its data is paced */
};

struct sock_export {
	__u64 now_jiffies;
	__u64 retransmit_expires; /* jiffies, EXPORT_NO_TIMER: not pending */
	__u64 delack_expires;
	__u64 keepalive_expires;
	__u64 pacing_rate;
	__u64 max_pacing_rate;
	__u64 file_refs;
	__u32 facts;
	__u32 hz;
	__u8 local[16], remote[16];
	__u16 local_port, remote_port; /* host order */
	__u16 protocol, family;
	__u8 state; /* the kernel's TCP_xxx */
	__u8 shutdown;
	__u8 ca_state;
	__u8 pending; /* which timer retransmit_expires is: 1 RTO, 3 probe, 5 TLP, 6 reordering */
	__u8 backoff;
	__u8 retransmits;
	__u8 probes_out;
	__u8 nonagle;
	__u8 ecn_flags;
	__u8 snd_wscale, rcv_wscale;
	__u8 keepalive_probes;
	__u8 tos;
	__u8 tclass;
	__s16 ttl;
	__s16 hop_limit;
	__u16 mss_clamp;
	__u16 user_mss;
	__u16 advmss;
	char cc[16];
	char qdisc[8];    /* of the cached route's device */
	__u32 flow_label; /* network order */
	__u32 ifindex;    /* of the cached route, 0: none */
	__u32 bound_ifindex;
	__u32 mark, uid, priority;
	__u32 error_queue;
	__u32 rcvbuf, sndbuf;
	__u32 snd_una, snd_nxt, write_seq, snd_wnd, snd_wl1, max_window, snd_up, high_seq;
	__u32 rcv_nxt, copied_seq, rcv_wup, rcv_wnd, rcv_ssthresh, window_clamp;
	__u32 snd_cwnd, snd_ssthresh, mss_cache;
	__u32 srtt_us, rttvar_us, mdev_us, min_rtt_us, rto_jiffies; /* srtt 8 times, mdev 4 times */
	__u32 packets_out, sacked_out, lost_out, retrans_out;
	__u32 prr_delivered, prr_out, prior_cwnd, prior_ssthresh; /* segments */
	__u32 undo_marker, retrans_stamp;                         /* 0: none */
	__s32 undo_retrans;                                       /* segments */
	__u8 reordering;                                          /* bool */
	__u8 reo_wnd_steps, reo_wnd_persist;
	__u8 pad_rack;
	__u32 tsoffset, ts_recent;
	__s32 ts_recent_stamp;                 /* seconds of the monotonic clock, 0: never */
	__u32 lsndtime, rcv_tstamp;            /* low half of jiffies */
	__u32 keepalive_time, keepalive_intvl; /* jiffies, 0: the namespace's default */
	__u32 user_timeout_ms;
	__s32 linger2;
	__s32 err;
	__u32 pad;
};

#define EXPORT_BATCH 64

/* What user space and batch.bpf.c share. */
struct export_batch {
	__u32 n;
	__u32 fd[EXPORT_BATCH];
	__s32 err[EXPORT_BATCH]; /* 0, -EBADF, -ENOTSOCK */
	struct sock_export sock[EXPORT_BATCH];
};

#endif

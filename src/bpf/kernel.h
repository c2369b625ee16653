/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The members of kernel structs that the export programs read, and no others: CO-RE finds their
 * real places when the program is loaded, so neither order nor neighbors matter here.
 */
#ifndef BPF_KERNEL_H
#define BPF_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long long counter;
} atomic64_t;

typedef struct {
	atomic64_t refcnt;
} file_ref_t;

struct list_head {
	struct list_head *next;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct rb_root {
	void *rb_node;
};

struct in6_addr {
	__u8 bytes[16];
};

struct netns_xfrm {
	unsigned int policy_count[6];
};

struct net {
	struct netns_xfrm xfrm;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct proto;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	int skc_bound_dev_if;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	possible_net_t skc_net;
	unsigned long skc_flags;
	__u32 skc_rxhash;
};

struct sk_buff_head {
	__u32 qlen;
};

struct wait_queue_entry {
	void *private;
	void *func; /* compared only */
	struct list_head entry;
};

struct wait_queue_head {
	struct list_head head;
};

typedef struct wait_queue_head wait_queue_head_t;

struct socket_wq {
	wait_queue_head_t wait;
};

struct inode {
	unsigned short i_mode;
};

struct file {
	file_ref_t f_ref;
	struct inode *f_inode;
	void *private_data;
};

struct file___old {
	atomic64_t f_count;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct task_struct {
	struct files_struct *files;
};

struct sock;

struct socket {
	struct file *file;
	struct sock *sk;
};

struct Qdisc_ops {
	char id[16];
};

struct Qdisc {
	const struct Qdisc_ops *ops;
};

struct net_device {
	int ifindex;
	unsigned int flags;
	struct Qdisc *qdisc;
};

struct dst_entry {
	struct net_device *dev;
	void *xfrm;
};

struct bpf_prog_array_item {
	void *prog;
};

struct bpf_prog_array {
	struct bpf_prog_array_item items[1];
};

struct cgroup_bpf {
	struct bpf_prog_array *effective[38];
};

struct cgroup {
	struct cgroup_bpf bpf;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct timer_list {
	struct hlist_node entry;
	unsigned long expires;
};

typedef struct {
	__u32 val;
} kuid_t;

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_error_queue;
	struct {
		int len;
	} sk_backlog;
	int sk_rcvbuf;
	__u8 sk_userlocks;
	void *sk_filter;
	struct socket_wq *sk_wq;
	int sk_err;
	struct socket *sk_socket;
	void *sk_policy[2];
	atomic_t sk_omem_alloc;
	struct timer_list sk_timer;
	unsigned long sk_pacing_rate;
	unsigned long sk_max_pacing_rate;
	__u32 sk_pacing_status;
	atomic_t sk_zckey;
	__u32 sk_priority;
	__u32 sk_mark;
	kuid_t sk_uid;
	__u16 sk_protocol;
	struct dst_entry *sk_dst_cache;
	int sk_sndbuf;
	__u8 sk_shutdown;
	void *sk_user_data;
	struct sock_cgroup_data sk_cgrp_data;
};

struct ip_options {
	unsigned char optlen;
};

struct ip_options_rcu {
	struct ip_options opt;
};

struct ipv6_txoptions {
	int tot_len;
};

struct ipv6_pinfo {
	__be32 flow_label;
	struct ipv6_txoptions *opt;
	__s16 hop_limit;
	__u8 tclass;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	unsigned long inet_flags;
	__s16 uc_ttl;
	struct ip_options_rcu *inet_opt;
	__u8 tos;
};

struct tcp_congestion_ops {
	char name[16];
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct timer_list icsk_retransmit_timer;
	struct timer_list icsk_delack_timer;
	__u32 icsk_rto;
	__u32 icsk_user_timeout;
	const struct tcp_congestion_ops *icsk_ca_ops;
	void *icsk_ulp_ops;
	__u8 icsk_ca_state : 5;
	__u8 icsk_retransmits;
	__u8 icsk_pending;
	__u8 icsk_backoff;
	__u8 icsk_probes_out;
	struct {
		__u8 pending;
	} icsk_ack;
};

struct tcp_options_received {
	int ts_recent_stamp;
	__u32 ts_recent;
	__u16 saw_tstamp : 1;
	__u16 tstamp_ok : 1;
	__u16 wscale_ok : 1;
	__u16 sack_ok : 3;
	__u16 snd_wscale : 4;
	__u16 rcv_wscale : 4;
	__u16 user_mss;
	__u16 mss_clamp;
};

struct minmax_sample {
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_rack {
	__u8 reo_wnd_steps;
	__u8 reo_wnd_persist : 5;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 max_window;
	__u32 rcv_ssthresh;
	__u32 tsoffset;
	__u32 snd_wnd;
	__u32 mss_cache;
	__u32 snd_cwnd;
	__u32 lost_out;
	__u32 sacked_out;
	__u8 repair : 1;
	__u8 tcp_usec_ts : 1;
	__u32 copied_seq;
	__u32 snd_wl1;
	__u32 rttvar_us;
	__u32 retrans_out;
	__u16 advmss;
	__u16 urg_data;
	__u32 snd_ssthresh;
	struct minmax rtt_min;
	struct rb_root out_of_order_queue;
	__u32 write_seq;
	__u32 lsndtime;
	__u32 mdev_us;
	__u8 ecn_flags;
	__u8 nonagle : 4;
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 snd_una;
	__u32 window_clamp;
	__u32 srtt_us;
	__u32 packets_out;
	__u32 snd_up;
	__u32 rcv_wnd;
	__u32 rcv_tstamp;
	struct tcp_options_received rx_opt;
	__u32 rcv_wup;
	__u32 high_seq;
	struct tcp_rack rack;
	__u32 reord_seen;
	__u32 prior_cwnd;
	__u32 prior_ssthresh;
	__u32 prr_delivered;
	__u32 prr_out;
	__u32 retrans_stamp;
	__u32 undo_marker;
	int undo_retrans;
	unsigned int keepalive_time;
	unsigned int keepalive_intvl;
	__u8 keepalive_probes;
	int linger2;
	bool is_mptcp;
	void *md5sig_info;
	void *ao_info;
};

#pragma clang attribute pop

enum sock_flags {
	SOCK_KEEPOPEN = 3,
	SOCK_ZEROCOPY = 18,
};

#endif

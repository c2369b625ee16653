/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads everything about a TCP socket that a move needs and that TCP_REPAIR and TCP_INFO do not
 * tell. Shared by the programs that differ in how they come to the socket.
 */
#ifndef BPF_READSOCK_H
#define BPF_READSOCK_H

#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/export.h"
#include "bpf/kernel.h"

#define FLAGS_TRANSPARENT 15 /* INET_FLAGS_TRANSPARENT, in an enum without a name */
#define USER_DATA_PSOCK   4  /* SK_USER_DATA_PSOCK */
#define DEV_LOOPBACK      8  /* IFF_LOOPBACK */
#define MPTCP_PROTOCOL    262
#define FAMILY_INET6      10
#define LOCKS_RCVBUF      2 /* SOCK_RCVBUF_LOCK */
#define LOCKS_PORT        8 /* SOCK_BINDPORT_LOCK */
#define ACK_SCHEDULED     1 /* ICSK_ACK_SCHED */

extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym;
extern const void ep_poll_callback __ksym __weak;
extern int CONFIG_HZ __kconfig __weak;

#define as_kernel(ptr, type) \
	((struct type *)bpf_rdonly_cast((void *)(ptr), bpf_core_type_id_kernel(struct type)))

static __always_inline void put_v4(__u8 *to, __be32 addr)
{
	to[10] = 0xff;
	to[11] = 0xff;
	__builtin_memcpy(to + 12, &addr, 4);
}

static __always_inline void export_identity(struct sock *sk, struct sock_export *e)
{
	struct sock_common *c = &sk->__sk_common;

	e->family = c->skc_family;
	e->protocol = sk->sk_protocol;
	e->state = c->skc_state;
	e->local_port = c->skc_num;
	e->remote_port = __builtin_bswap16(c->skc_dport);
	e->bound_ifindex = c->skc_bound_dev_if;
	if (c->skc_family == FAMILY_INET6) {
		BPF_CORE_READ_INTO(&e->remote, c, skc_v6_daddr);
		BPF_CORE_READ_INTO(&e->local, c, skc_v6_rcv_saddr);
	} else {
		put_v4(e->remote, c->skc_daddr);
		put_v4(e->local, c->skc_rcv_saddr);
	}
	e->mark = sk->sk_mark;
	e->uid = sk->sk_uid.val;
	e->priority = sk->sk_priority;
	e->rcvbuf = sk->sk_rcvbuf;
	e->sndbuf = sk->sk_sndbuf;
	if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & LOCKS_RCVBUF)
		e->facts |= EXPORT_RCVBUF_LOCKED;
	if (BPF_CORE_READ_BITFIELD(sk, sk_userlocks) & LOCKS_PORT)
		e->facts |= EXPORT_PORT_BOUND;
	e->shutdown = sk->sk_shutdown;
	e->err = sk->sk_err;
	e->pacing_rate = sk->sk_pacing_rate;
	e->max_pacing_rate = sk->sk_max_pacing_rate;
	if (sk->sk_pacing_status)
		e->facts |= EXPORT_PACED;
	e->error_queue = sk->sk_error_queue.qlen;
	/* By when the connection opened the administrator's default counts, not TCP_REPAIR's. */
	if (BPF_CORE_READ_BITFIELD(c, skc_reuse))
		e->facts |= EXPORT_REUSEADDR;
	if (c->skc_flags & 1ul << bpf_core_enum_value(enum sock_flags, SOCK_KEEPOPEN))
		e->facts |= EXPORT_KEEPALIVE;
}

/* Which kinds of waiter sleep on the socket; up to four are looked at, then "waiters" is said. */
static __always_inline void export_waiters(struct sock *sk, struct sock_export *e)
{
	struct socket_wq *wq = sk->sk_wq;
	struct list_head *at;
	__u64 head;

	if (!wq)
		return;
	head = (__u64)wq + bpf_core_field_offset(struct socket_wq, wait) +
	       bpf_core_field_offset(struct wait_queue_head, head);
	at = wq->wait.head.next;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		struct wait_queue_entry *w;

		if (!at || (__u64)at == head)
			return;
		w = as_kernel((__u64)at - bpf_core_field_offset(struct wait_queue_entry, entry),
		              wait_queue_entry);
		if (&ep_poll_callback && (__u64)w->func == (__u64)&ep_poll_callback)
			e->facts |= EXPORT_EPOLL;
		else
			e->facts |= EXPORT_WAITERS;
		at = w->entry.next;
	}
	if ((__u64)at != head)
		e->facts |= EXPORT_WAITERS;
}

static __always_inline bool cgroup_filters(struct sock *sk)
{
	struct cgroup *cg = sk->sk_cgrp_data.cgroup;
	struct bpf_prog_array *in, *out;

	if (sk->sk_filter)
		return true;
	if (!cg)
		return false;
	in = cg->bpf.effective[0];  /* CGROUP_INET_INGRESS */
	out = cg->bpf.effective[1]; /* CGROUP_INET_EGRESS */
	return (in && in->items[0].prog) || (out && out->items[0].prog);
}

static __always_inline void export_route(struct sock *sk, struct sock_export *e)
{
	struct dst_entry *dst = sk->sk_dst_cache;
	struct net *net = sk->__sk_common.skc_net.net;
	struct net_device *dev;

	if (sk->sk_policy[0] || sk->sk_policy[1])
		e->facts |= EXPORT_XFRM;
	/* The cached route may be older than a policy: user space has a look at them. */
	if (bpf_core_field_exists(net->xfrm) &&
	    (net->xfrm.policy_count[0] || net->xfrm.policy_count[1]))
		e->facts |= EXPORT_XFRM_UNSURE;
	if (!dst)
		return;
	if (bpf_core_field_exists(dst->xfrm) && dst->xfrm)
		e->facts |= EXPORT_XFRM;
	dev = dst->dev;
	if (!dev)
		return;
	e->ifindex = dev->ifindex;
	if (dev->flags & DEV_LOOPBACK)
		e->facts |= EXPORT_LOOPBACK;
	if (dev->qdisc && dev->qdisc->ops)
		bpf_probe_read_kernel(e->qdisc, sizeof(e->qdisc) - 1,
		                      (const void *)dev->qdisc->ops +
		                              bpf_core_field_offset(struct Qdisc_ops, id));
}

static __always_inline void export_file(struct sock *sk, struct sock_export *e)
{
	struct socket *socket = sk->sk_socket;
	struct file *file;

	if (!socket || !socket->file)
		return;
	file = socket->file;
	if (bpf_core_field_exists(struct file, f_ref))
		e->file_refs = file->f_ref.refcnt.counter + 1;
	else
		e->file_refs = as_kernel(file, file___old)->f_count.counter;
}

static __always_inline bool has_ip_options(struct inet_sock *inet)
{
	/* Options that were cleared leave a struct without any. */
	if (inet->inet_opt && inet->inet_opt->opt.optlen)
		return true;
	return inet->pinet6 && inet->pinet6->opt && inet->pinet6->opt->tot_len;
}

static __always_inline void export_facts(struct sock *sk, struct tcp_sock *tp,
                                         struct sock_export *e)
{
	struct inet_sock *inet = &tp->inet_conn.icsk_inet;

	if (tp->inet_conn.icsk_ulp_ops)
		e->facts |= EXPORT_ULP;
	if (bpf_core_field_exists(tp->is_mptcp) && tp->is_mptcp)
		e->facts |= EXPORT_MPTCP;
	if ((__u64)sk->sk_user_data & USER_DATA_PSOCK)
		e->facts |= EXPORT_SOCKMAP;
	if ((sk->__sk_common.skc_flags &
	     1ul << bpf_core_enum_value(enum sock_flags, SOCK_ZEROCOPY)) &&
	    sk->sk_zckey.counter && sk->sk_omem_alloc.counter)
		e->facts |= EXPORT_ZERO_COPY;
	if (tp->urg_data || tp->snd_up != tp->snd_una)
		e->facts |= EXPORT_URGENT;
	if (has_ip_options(inet))
		e->facts |= EXPORT_IP_OPTIONS;
	if (bpf_core_field_exists(tp->md5sig_info) && tp->md5sig_info)
		e->facts |= EXPORT_SIGNED;
	if (bpf_core_field_exists(tp->ao_info) && tp->ao_info)
		e->facts |= EXPORT_SIGNED;
	if (inet->inet_flags & 1ul << FLAGS_TRANSPARENT)
		e->facts |= EXPORT_TRANSPARENT;
	if (tp->out_of_order_queue.rb_node)
		e->facts |= EXPORT_OUT_OF_ORDER;
	if (sk->sk_backlog.len)
		e->facts |= EXPORT_BACKLOG;
	if (cgroup_filters(sk))
		e->facts |= EXPORT_CGROUP_BPF;
}

static __always_inline void export_options(struct tcp_sock *tp, struct sock_export *e)
{
	struct tcp_options_received *o = &tp->rx_opt;
	struct inet_sock *inet = &tp->inet_conn.icsk_inet;

	if (BPF_CORE_READ_BITFIELD(o, tstamp_ok))
		e->facts |= EXPORT_TSTAMPS;
	if (BPF_CORE_READ_BITFIELD(o, sack_ok))
		e->facts |= EXPORT_SACK;
	if (BPF_CORE_READ_BITFIELD(o, wscale_ok))
		e->facts |= EXPORT_WSCALE;
	if (BPF_CORE_READ_BITFIELD(tp, repair))
		e->facts |= EXPORT_IN_REPAIR;
	if (bpf_core_field_exists(struct tcp_sock, tcp_usec_ts) &&
	    BPF_CORE_READ_BITFIELD(tp, tcp_usec_ts))
		e->facts |= EXPORT_USEC_TS;
	e->snd_wscale = BPF_CORE_READ_BITFIELD(o, snd_wscale);
	e->rcv_wscale = BPF_CORE_READ_BITFIELD(o, rcv_wscale);
	e->nonagle = BPF_CORE_READ_BITFIELD(tp, nonagle);
	e->mss_clamp = o->mss_clamp;
	e->user_mss = o->user_mss;
	e->ts_recent = o->ts_recent;
	e->ts_recent_stamp = o->ts_recent_stamp;
	e->tos = inet->tos;
	e->ttl = inet->uc_ttl;
	e->hop_limit = -1;
	if (inet->pinet6) {
		e->hop_limit = inet->pinet6->hop_limit;
		e->tclass = inet->pinet6->tclass;
		e->flow_label = inet->pinet6->flow_label;
	}
}

static __always_inline void export_position(struct tcp_sock *tp, struct sock_export *e)
{
	e->snd_una = tp->snd_una;
	e->snd_nxt = tp->snd_nxt;
	e->write_seq = tp->write_seq;
	e->snd_wnd = tp->snd_wnd;
	e->snd_wl1 = tp->snd_wl1;
	e->max_window = tp->max_window;
	e->snd_up = tp->snd_up;
	e->high_seq = tp->high_seq;
	e->rcv_nxt = tp->rcv_nxt;
	e->copied_seq = tp->copied_seq;
	e->rcv_wup = tp->rcv_wup;
	e->rcv_wnd = tp->rcv_wnd;
	e->rcv_ssthresh = tp->rcv_ssthresh;
	e->window_clamp = tp->window_clamp;
	e->advmss = tp->advmss;
	e->ecn_flags = tp->ecn_flags;
	e->packets_out = tp->packets_out;
	e->sacked_out = tp->sacked_out;
	e->lost_out = tp->lost_out;
	e->retrans_out = tp->retrans_out;
	e->snd_cwnd = tp->snd_cwnd;
	e->snd_ssthresh = tp->snd_ssthresh;
	e->mss_cache = tp->mss_cache;
	e->tsoffset = tp->tsoffset;
}

static __always_inline void export_recovery(struct tcp_sock *tp, struct sock_export *e)
{
	e->reordering = tp->reord_seen != 0;
	e->reo_wnd_steps = tp->rack.reo_wnd_steps;
	e->reo_wnd_persist = BPF_CORE_READ_BITFIELD(tp, rack.reo_wnd_persist);
	e->prr_delivered = tp->prr_delivered;
	e->prr_out = tp->prr_out;
	e->prior_cwnd = tp->prior_cwnd;
	e->prior_ssthresh = tp->prior_ssthresh;
	e->undo_marker = tp->undo_marker;
	e->undo_retrans = tp->undo_retrans;
	e->retrans_stamp = tp->retrans_stamp;
}

static __always_inline void export_time(struct sock *sk, struct tcp_sock *tp, struct sock_export *e)
{
	struct inet_connection_sock *icsk = &tp->inet_conn;

	e->now_jiffies = bpf_jiffies64();
	e->hz = CONFIG_HZ;
	e->retransmit_expires = EXPORT_NO_TIMER;
	e->delack_expires = EXPORT_NO_TIMER;
	e->keepalive_expires = EXPORT_NO_TIMER;
	e->pending = icsk->icsk_pending;
	if (e->pending)
		e->retransmit_expires = icsk->icsk_retransmit_timer.expires;
	if (icsk->icsk_ack.pending & ACK_SCHEDULED) {
		e->facts |= EXPORT_DELACK;
		e->delack_expires = icsk->icsk_delack_timer.expires;
	}
	if (sk->sk_timer.entry.pprev)
		e->keepalive_expires = sk->sk_timer.expires;
	e->ca_state = BPF_CORE_READ_BITFIELD(icsk, icsk_ca_state);
	e->backoff = icsk->icsk_backoff;
	e->retransmits = icsk->icsk_retransmits;
	e->probes_out = icsk->icsk_probes_out;
	e->rto_jiffies = icsk->icsk_rto;
	e->user_timeout_ms = icsk->icsk_user_timeout;
	e->srtt_us = tp->srtt_us;
	e->rttvar_us = tp->rttvar_us;
	e->mdev_us = tp->mdev_us;
	e->min_rtt_us = tp->rtt_min.s[0].v;
	e->lsndtime = tp->lsndtime;
	e->rcv_tstamp = tp->rcv_tstamp;
	e->keepalive_time = tp->keepalive_time;
	e->keepalive_intvl = tp->keepalive_intvl;
	e->keepalive_probes = tp->keepalive_probes;
	e->linger2 = tp->linger2;
	if (icsk->icsk_ca_ops)
		bpf_probe_read_kernel(
			e->cc, sizeof(e->cc),
			(const void *)icsk->icsk_ca_ops +
				bpf_core_field_offset(struct tcp_congestion_ops, name));
}

/* Fills *e; `socket` is the kernel's struct sock or struct bpf_sock. */
static __always_inline void export_read(void *socket, struct sock_export *e)
{
	struct sock *sk = as_kernel(socket, sock);
	struct tcp_sock *tp;

	__builtin_memset(e, 0, sizeof(*e));
	export_identity(sk, e);
	if (e->protocol == MPTCP_PROTOCOL)
		e->facts |= EXPORT_MPTCP;
	if (e->protocol != 6)
		return;
	tp = as_kernel(socket, tcp_sock);
	export_waiters(sk, e);
	export_route(sk, e);
	export_file(sk, e);
	export_facts(sk, tp, e);
	export_options(tp, e);
	export_position(tp, e);
	export_recovery(tp, e);
	export_time(sk, tp, e);
}

#endif

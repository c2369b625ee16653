// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A congestion control that exists to be selected for an instant: its init() writes the congestion
 * window and threshold that the connection had, and the ECN state; selecting the real algorithm
 * right after leaves them as they are. The kernel offers no other way to write them.
 */
#include <stdbool.h>

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/cc.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct sock_common {
	__be16 skc_dport;
	__u16 skc_num;
};
struct sock {
	struct sock_common __sk_common;
};
struct inet_sock {
	struct sock sk;
};
struct inet_connection_sock {
	struct inet_sock icsk_inet;
};
struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 snd_cwnd;
	__u32 snd_ssthresh;
	__u8 ecn_flags;
};
struct tcp_congestion_ops {
	char name[16];
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	__u32 (*undo_cwnd)(struct sock *sk);
	void (*init)(struct sock *sk);
};
#pragma clang attribute pop

/* Written by user space right before it selects the algorithm, read here in the same thread. */
struct cc_restore restore;

SEC("struct_ops/restore_init")
void BPF_PROG(restore_init, struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	if (!restore.armed || sk->__sk_common.skc_num != restore.local_port)
		return;
	tp->snd_cwnd = restore.snd_cwnd;
	tp->snd_ssthresh = restore.snd_ssthresh;
	if (restore.set_ecn)
		tp->ecn_flags = restore.ecn_flags;
	restore.armed = 0;
}

SEC("struct_ops/restore_ssthresh")
__u32 BPF_PROG(restore_ssthresh, struct sock *sk)
{
	return ((struct tcp_sock *)sk)->snd_ssthresh;
}

SEC("struct_ops/restore_undo_cwnd")
__u32 BPF_PROG(restore_undo_cwnd, struct sock *sk)
{
	return ((struct tcp_sock *)sk)->snd_cwnd;
}

SEC("struct_ops/restore_cong_avoid")
void BPF_PROG(restore_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
}

SEC(".struct_ops")
struct tcp_congestion_ops restore_ops = {
	.ssthresh = (void *)restore_ssthresh,
	.cong_avoid = (void *)restore_cong_avoid,
	.undo_cwnd = (void *)restore_undo_cwnd,
	.init = (void *)restore_init,
	.name = CC_PLACEHOLDER,
};

char LICENSE[] SEC("license") = "Dual BSD/GPL";

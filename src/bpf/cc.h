/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space tells the restoring congestion control (cc.bpf.c). */
#ifndef BPF_CC_H
#define BPF_CC_H

#include <linux/types.h>

/* Names are global to the machine: the loader writes "chimney_<pid>" over this one. */
#define CC_PLACEHOLDER "chimney_pppppp"

struct cc_restore {
	__u32 armed;
	__u32 snd_cwnd; /* segments */
	__u32 snd_ssthresh;
	__u16 local_port; /* host order: a check against a stranger's socket */
	__u8 set_ecn;
	__u8 ecn_flags;
};

#endif

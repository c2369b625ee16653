// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A getsockopt that the kernel does not have: everything about a TCP socket that a move needs and
 * that TCP_REPAIR and TCP_INFO do not tell, in one call and under the socket's lock.
 */
#include "bpf/readsock.h"

SEC("cgroup/getsockopt")
int export_sock(struct bpf_sockopt *ctx)
{
	struct sock_export *e = ctx->optval;

	if (ctx->level != EXPORT_LEVEL || ctx->optname != EXPORT_NAME)
		return 1;
	if (ctx->optval + sizeof(*e) > ctx->optval_end || !ctx->sk)
		return 1;
	export_read(ctx->sk, e);
	/* Apart, lest the compiler make one store of two, which the verifier refuses. */
	*(volatile __s32 *)&ctx->optlen = sizeof(*e);
	*(volatile __s32 *)&ctx->retval = 0;
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

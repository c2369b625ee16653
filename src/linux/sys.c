// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/sys.h"

#include <errno.h>

#include <bpf/bpf.h>

static int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

static int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len);
}

static int sys_run(int program)
{
	struct bpf_test_run_opts opts = {.sz = sizeof(opts)};
	int err = bpf_prog_test_run_opts(program, &opts);

	errno = -err;
	return err ? -1 : 0;
}

const struct linux_sys linux_sys_direct = {
	.setsockopt = setsockopt,
	.getsockopt = getsockopt,
	.connect = sys_connect,
	.bind = sys_bind,
	.recv = recv,
	.send = send,
	.shutdown = shutdown,
	.run = sys_run,
};

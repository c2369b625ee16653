// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/sys.h"

static int sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return connect(fd, addr, len);
}

static int sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return bind(fd, addr, len);
}

const struct linux_sys linux_sys_direct = {
	.setsockopt = setsockopt,
	.getsockopt = getsockopt,
	.connect = sys_connect,
	.bind = sys_bind,
	.recv = recv,
	.send = send,
	.shutdown = shutdown,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The system calls by which connections are moved, as a table: tests put a failing call in place
 * of the n-th one; everything else uses linux_sys_direct.
 */
#ifndef LINUX_SYS_H
#define LINUX_SYS_H

#include <sys/socket.h>
#include <sys/types.h>

struct linux_sys {
	int (*setsockopt)(int fd, int level, int name, const void *value, socklen_t len);
	int (*getsockopt)(int fd, int level, int name, void *value, socklen_t *len);
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*recv)(int fd, void *to, size_t len, int flags);
	ssize_t (*send)(int fd, const void *from, size_t len, int flags);
	int (*shutdown)(int fd, int how);
	int (*run)(int program); /* of BPF, once */
};

extern const struct linux_sys linux_sys_direct;

#endif

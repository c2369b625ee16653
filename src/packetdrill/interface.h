/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What packetdrill asks of a shared object that it loads with --so_filename: one symbol that fills
 * a table of functions in. The order of the pointers is packetdrill's; each call has the meaning,
 * the result and the errno of the Linux call of the same name.
 */
#ifndef PACKETDRILL_INTERFACE_H
#define PACKETDRILL_INTERFACE_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

struct packetdrill_interface {
	void *userdata; /* first argument of all the others */
	void (*free)(void *userdata);
	int (*socket)(void *userdata, int domain, int type, int protocol);
	int (*bind)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(void *userdata, int fd, int backlog);
	int (*accept)(void *userdata, int fd, struct sockaddr *addr, socklen_t *len);
	int (*connect)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
	ssize_t (*read)(void *userdata, int fd, void *to, size_t n);
	ssize_t (*readv)(void *userdata, int fd, const struct iovec *iov, int n);
	ssize_t (*recv)(void *userdata, int fd, void *to, size_t n, int flags);
	ssize_t (*recvfrom)(void *userdata, int fd, void *to, size_t n, int flags,
	                    struct sockaddr *addr, socklen_t *len);
	ssize_t (*recvmsg)(void *userdata, int fd, struct msghdr *msg, int flags);
	ssize_t (*write)(void *userdata, int fd, const void *data, size_t n);
	ssize_t (*writev)(void *userdata, int fd, const struct iovec *iov, int n);
	ssize_t (*send)(void *userdata, int fd, const void *data, size_t n, int flags);
	ssize_t (*sendto)(void *userdata, int fd, const void *data, size_t n, int flags,
	                  const struct sockaddr *addr, socklen_t len);
	ssize_t (*sendmsg)(void *userdata, int fd, const struct msghdr *msg, int flags);
	int (*fcntl)(void *userdata, int fd, int cmd, ...);
	int (*ioctl)(void *userdata, int fd, unsigned long request, ...);
	int (*close)(void *userdata, int fd);
	int (*shutdown)(void *userdata, int fd, int how);
	int (*getsockopt)(void *userdata, int fd, int level, int name, void *value, socklen_t *len);
	int (*setsockopt)(void *userdata, int fd, int level, int name, const void *value,
	                  socklen_t len);
	int (*poll)(void *userdata, struct pollfd *fds, nfds_t n, int timeout_ms);
	/* An IP packet into the stack: 0 or -1. */
	int (*netdev_send)(void *userdata, const void *packet, size_t len);
	/* The next packet out of it, with the time of gettimeofday at which it left. *count is the
	 * buffer's size, then the packet's; 0: none will ever come. */
	int (*netdev_receive)(void *userdata, void *buffer, size_t *count, long long *time_usecs);
	int (*usleep)(void *userdata, useconds_t usecs);
	int (*gettimeofday)(void *userdata, struct timeval *tv, struct timezone *tz);
	int (*epoll_create)(void *userdata, int size);
	int (*epoll_ctl)(void *userdata, int epfd, int op, int fd, struct epoll_event *event);
	int (*epoll_wait)(void *userdata, int epfd, struct epoll_event *events, int max,
	                  int timeout_ms);
	int (*pipe)(void *userdata, int fds[2]);
	int (*splice)(void *userdata, int in, loff_t *in_off, int out, loff_t *out_off, size_t len,
	              unsigned flags);
};
_Static_assert(sizeof(struct packetdrill_interface) == 264, "packetdrill's own layout");

#define PACKETDRILL_EXPORT __attribute__((visibility("default")))

/*
 * Makes a stack and fills the table in. `flags` (may be NULL) is a list "name=value,...":
 *
 *   local=ADDRESS   of the stack (192.168.0.1, or fd3d:0a0b:17d6::1 in a table for IPv6)
 *   mtu=BYTES       1500
 *   offload=N       all connections change sides (host stack, target) after each N events
 *   sysctl=off      do not read /proc/sys/net/ipv4 at the first socket()
 *   tcp_NAME=N      the value of a sysctl, whatever the kernel's is
 *
 * A flag that is not understood is said on stderr and ends the process, as packetdrill's own do.
 */
PACKETDRILL_EXPORT void packetdrill_interface_init(const char *flags,
                                                   struct packetdrill_interface *ifc);

/* Not packetdrill's: moves all connections to the target (or back) now; how many are there. */
PACKETDRILL_EXPORT int chimney_packetdrill_move(void *userdata, int to_target);

/* Not packetdrill's: 1 while a call of another thread waits in the stack. */
PACKETDRILL_EXPORT int chimney_packetdrill_waits(void *userdata);

#endif

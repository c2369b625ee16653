/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The kernel's server: one thread, epoll, echoes what arrives or swallows it. */
#include "kernel_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { EVENTS = 256 };

static int fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "server: %s", what);
	return err;
}

static int op_listen(struct load_state *s, struct bench_msg *msg)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_port = htons((u16)msg->v[1]),
	                         .sin_addr.s_addr = htonl((u32)msg->v[0])};
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = bench_child_ctl()};
	int one = 1;

	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->listener < 0 || s->epoll < 0)
		return fail(msg, -errno, "socket or epoll");
	setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(s->listener, 20000) < 0)
		return fail(msg, -errno, "bind and listen");
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, bench_child_ctl(), &ev) < 0)
		return fail(msg, -errno, "epoll_ctl");
	return 0;
}

static int op_accept(struct load_state *s, struct bench_msg *msg)
{
	s->fds = calloc(msg->v[0], sizeof(*s->fds));
	if (!s->fds)
		return fail(msg, -ENOMEM, "memory for the connections");
	for (u32 i = 0; i < msg->v[0]; i++) {
		struct pollfd p = {.fd = s->listener, .events = POLLIN};
		struct epoll_event ev = {.events = EPOLLIN};
		int one = 1;

		if (poll(&p, 1, 20000) != 1)
			return fail(msg, -ETIMEDOUT, "a connection did not arrive in 20 s");
		ev.data.fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
		if (ev.data.fd < 0)
			return fail(msg, -errno, "accept");
		s->fds[s->n++] = ev.data.fd;
		setsockopt(ev.data.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, ev.data.fd, &ev) < 0)
			return fail(msg, -errno, "epoll_ctl");
	}
	return 0;
}

/* Reads what is there and echoes it or not; bytes read, 0 for nothing, -Exxx. */
static ssize_t serve_one(int fd, bool echo)
{
	static u8 buf[LOAD_WRITE_BYTES * 4];
	ssize_t n = recv(fd, buf, echo ? 4096 : sizeof(buf), 0);

	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (echo && send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		return -EPIPE;
	return n;
}

static int op_serve(struct load_state *s, struct bench_msg *msg, bool echo)
{
	struct epoll_event events[EVENTS];
	u64 cpu = bench_cpu_ns(), bytes = 0;
	bool stop = false;

	while (!stop) {
		int n = epoll_wait(s->epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			ssize_t got = 0;

			if (events[i].data.fd == bench_child_ctl())
				stop = true;
			else
				got = serve_one(events[i].data.fd, echo);
			if (got < 0)
				return fail(msg, (int)got, "a connection ended");
			bytes += (u64)got;
		}
	}
	msg->v[0] = echo ? bytes / LOAD_MSG_BYTES : bytes;
	msg->v[1] = bench_cpu_ns() - cpu;
	return 0;
}

int load_server_handle(void *state, struct bench_msg *msg)
{
	switch (msg->op) {
	case LOAD_OP_LISTEN:
		return op_listen(state, msg);
	case LOAD_OP_ACCEPT:
		return op_accept(state, msg);
	case LOAD_OP_ECHO:
		return op_serve(state, msg, true);
	case LOAD_OP_SWALLOW:
		return op_serve(state, msg, false);
	case LOAD_OP_STOP:
		return 0;
	default:
		return fail(msg, -ENOSYS, "unknown operation");
	}
}

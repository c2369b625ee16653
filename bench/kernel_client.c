/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The client: keeps one request of 64 bytes outstanding on each connection, or writes one stream.
 *
 * With one connection it blocks in recv() instead of epoll_wait(), which is the kernel's shortest
 * way; with more it uses epoll. It ends with nothing outstanding, so that the next run starts
 * clean.
 */
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

enum { EVENTS = 256, STALL_MS = 10000 };

static int fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "client: %s", what);
	return err;
}

static int connect_one(struct load_state *s, const struct sockaddr_in *to)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct timeval limit = {.tv_sec = STALL_MS / 1000};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return -errno;
	ev.data.fd = s->fds[s->n++] = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
		return -errno;
	return 0;
}

static int op_connect(struct load_state *s, struct bench_msg *msg)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons((u16)msg->v[2]),
	                         .sin_addr.s_addr = htonl((u32)msg->v[1])};
	u32 n = (u32)msg->v[0];
	int err = 0;

	s->fds = calloc(n, sizeof(*s->fds));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!s->fds || s->epoll < 0)
		return fail(msg, -ENOMEM, "memory or epoll");
	for (u32 i = 0; err == 0 && i < n; i++)
		err = connect_one(s, &to);
	return err ? fail(msg, err, "connect") : 0;
}

static bool send_request(int fd)
{
	static const u8 request[LOAD_MSG_BYTES] = "request";

	return send(fd, request, sizeof(request), MSG_NOSIGNAL) == sizeof(request);
}

/* A response is 64 bytes; a server may cut it, so what is missing is waited for. */
static bool read_response(int fd)
{
	u8 response[LOAD_MSG_BYTES];
	ssize_t n = recv(fd, response, sizeof(response), 0);

	while (n > 0 && n < LOAD_MSG_BYTES) {
		ssize_t more = recv(fd, response + n, sizeof(response) - (size_t)n, 0);

		if (more <= 0)
			return false;
		n += more;
	}
	return n == LOAD_MSG_BYTES;
}

static int rr_one(int fd, u64 end_ns, u64 *ret_requests)
{
	u64 n = 0;

	do {
		if (!send_request(fd) || !read_response(fd))
			return -EPIPE;
		n++;
	} while (n % 16 || bench_now_ns() < end_ns);
	*ret_requests = n;
	return 0;
}

static int rr_many(struct load_state *s, u64 end_ns, u64 *ret_requests)
{
	struct epoll_event events[EVENTS];
	u32 outstanding = s->n;
	u64 done = 0;
	bool more = true;

	for (u32 i = 0; i < s->n; i++)
		if (!send_request(s->fds[i]))
			return -EPIPE;
	while (outstanding) {
		int n = epoll_wait(s->epoll, events, EVENTS, STALL_MS);

		if (n <= 0)
			return n ? -errno : -ETIMEDOUT;
		more = more && bench_now_ns() < end_ns;
		for (int i = 0; i < n; i++) {
			if (!read_response(events[i].data.fd) ||
			    (more && !send_request(events[i].data.fd)))
				return -EPIPE;
			done++;
			outstanding -= !more;
		}
	}
	*ret_requests = done;
	return 0;
}

static int op_rr(struct load_state *s, struct bench_msg *msg)
{
	u64 start = bench_now_ns(), cpu = bench_cpu_ns(), requests = 0;
	u64 end = start + msg->v[0];
	int err = s->n == 1 ? rr_one(s->fds[0], end, &requests) : rr_many(s, end, &requests);

	if (err)
		return fail(msg, err, "a response did not arrive");
	msg->v[0] = requests;
	msg->v[1] = bench_now_ns() - start;
	msg->v[2] = bench_cpu_ns() - cpu;
	return 0;
}

static int op_bulk(struct load_state *s, struct bench_msg *msg)
{
	static const u8 bytes[LOAD_WRITE_BYTES];
	u64 start = bench_now_ns(), cpu = bench_cpu_ns(), total = 0;
	u64 end = start + msg->v[0];

	do {
		ssize_t n = send(s->fds[0], bytes, sizeof(bytes), MSG_NOSIGNAL);

		if (n <= 0)
			return fail(msg, -EPIPE, "the stream does not take bytes");
		total += (u64)n;
	} while (bench_now_ns() < end);
	msg->v[0] = total;
	msg->v[1] = bench_now_ns() - start;
	msg->v[2] = bench_cpu_ns() - cpu;
	return 0;
}

int load_client_handle(void *state, struct bench_msg *msg)
{
	switch (msg->op) {
	case LOAD_OP_CONNECT:
		return op_connect(state, msg);
	case LOAD_OP_RR:
		return op_rr(state, msg);
	case LOAD_OP_BULK:
		return op_bulk(state, msg);
	default:
		return fail(msg, -ENOSYS, "unknown operation");
	}
}

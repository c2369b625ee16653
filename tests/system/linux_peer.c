// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/tcp.h>

enum {
	EVENTS = 256,
	CHUNK_BYTES = 700,
	BURST_BYTES = 48000,
};

struct peer {
	struct env_shared *shared;
	int epoll, listener;
	int fd[ENV_CONNS_MAX];
};

u8 env_pattern(u32 id, u64 offset)
{
	return (u8)(offset * 131 + (offset >> 8) * 17 + (offset >> 16) + id * 7);
}

static int listener_open(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(ENV_PORT)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		exit(2);
	return fd;
}

static void peer_accept(struct peer *p)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	int fd;

	while ((fd = accept4(p->listener, (struct sockaddr *)&from, &len,
	                     SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		u32 id = (u32)(ntohs(from.sin6_port) - ENV_FIRST_PORT);
		struct epoll_event ev = {.events = EPOLLIN, .data.u32 = id};

		if (id >= ENV_CONNS_MAX)
			exit(3);
		p->fd[id] = fd;
		epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev);
		p->shared->accepted++;
		len = sizeof(from);
	}
}

static void peer_read(struct peer *p, u32 id)
{
	struct env_shared *s = p->shared;
	u8 buf[16384];
	ssize_t n;

	while ((n = recv(p->fd[id], buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != env_pattern(id, s->received[id] + (u64)i))
				s->mismatches++;
		s->received[id] += (u64)n;
	}
	if (n == 0) {
		s->eofs++;
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, p->fd[id], NULL);
	} else if (errno != EAGAIN) {
		s->errors++;
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, p->fd[id], NULL);
	}
}

static void peer_send(struct peer *p, u32 id)
{
	struct env_shared *s = p->shared;
	u8 buf[BURST_BYTES];
	u32 len = s->burst ? BURST_BYTES : CHUNK_BYTES;
	ssize_t n;

	for (u32 i = 0; i < len; i++)
		buf[i] = env_pattern(id, s->sent[id] + i);
	n = send(p->fd[id], buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		s->sent[id] += (u64)n;
}

static void peer_closes(struct peer *p)
{
	struct env_shared *s = p->shared;

	for (u32 i = 0; i < ARRAY_SIZE(s->shut); i++) {
		if (s->shut[i] == 1 && p->fd[i] >= 0) {
			shutdown(p->fd[i], SHUT_WR);
			s->shut[i] = 2;
		}
		if (s->close[i] == 1 && p->fd[i] >= 0) {
			close(p->fd[i]);
			p->fd[i] = -1;
			s->close[i] = 2;
		}
	}
}

void peer_run(struct env_shared *shared)
{
	static struct peer p;
	struct epoll_event ev[EVENTS] = {{.events = EPOLLIN, .data.u32 = NIL}};

	p.shared = shared;
	memset(p.fd, 0xff, sizeof(p.fd));
	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	p.listener = listener_open();
	epoll_ctl(p.epoll, EPOLL_CTL_ADD, p.listener, &ev[0]);
	while (!shared->stop) {
		int n = epoll_wait(p.epoll, ev, EVENTS, 1);

		for (int i = 0; i < n; i++) {
			if (ev[i].data.u32 == NIL)
				peer_accept(&p);
			else
				peer_read(&p, ev[i].data.u32);
		}
		peer_closes(&p);
		for (u32 i = 0; !shared->pause && i < shared->talkers; i++)
			if (p.fd[i] >= 0)
				peer_send(&p, i);
		shared->turns++;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PEER_MAX = 12000, ECHO_BYTES = 65536 };

/* -- the peer
 * -------------------------------------------------------------------------------------- */

struct peer_conn {
	int fd;
	bool silent, ended;
	uint64_t received;
	uint32_t have, sent; /* of buf */
	char *buf;
};

static struct peer_conn conns[PEER_MAX];
static uint32_t n_conns;
static int peer_epoll;

static void peer_watch(struct peer_conn *c, int op)
{
	struct epoll_event ev = {.data.ptr = c};

	if (!c->silent && !c->ended)
		ev.events = c->have > c->sent ? EPOLLOUT : EPOLLIN;
	epoll_ctl(peer_epoll, op, c->fd, &ev);
}

static void peer_echo(struct peer_conn *c)
{
	ssize_t n;

	if (c->silent)
		return;
	if (c->have == c->sent) {
		n = recv(c->fd, c->buf, ECHO_BYTES, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			c->ended = true;
			peer_watch(c, EPOLL_CTL_MOD);
			return;
		}
		if (n < 0)
			return;
		c->received += (uint64_t)n;
		c->have = (uint32_t)n;
		c->sent = 0;
	}
	n = send(c->fd, c->buf + c->sent, c->have - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		c->sent += (uint32_t)n;
	else if (n < 0 && errno != EAGAIN)
		c->have = c->sent; /* our side was shut down: swallow */
	peer_watch(c, EPOLL_CTL_MOD);
}

static uint64_t peer_connect(uint32_t port, bool v6)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct peer_conn *c = &conns[n_conns];

	inet_pton(AF_INET6, PAIR_LOCAL6, &a6.sin6_addr);
	inet_pton(AF_INET, PAIR_LOCAL4, &a4.sin_addr);
	c->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	if (connect(c->fd, v6 ? (struct sockaddr *)&a6 : (struct sockaddr *)&a4,
	            v6 ? sizeof(a6) : sizeof(a4)))
		return UINT64_MAX;
	c->buf = malloc(ECHO_BYTES);
	peer_watch(c, EPOLL_CTL_ADD);
	return n_conns++;
}

static uint64_t peer_obey(const struct pair_order *o)
{
	struct peer_conn *c = &conns[o->arg % PEER_MAX];
	struct linger now = {1, 0};
	struct tcp_info info;
	socklen_t len = sizeof(info);

	switch (o->kind) {
	case PAIR_CONNECT:
		return peer_connect(o->arg, o->v6);
	case PAIR_FIN:
		return (uint64_t)shutdown(c->fd, SHUT_WR);
	case PAIR_RESET:
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		return (uint64_t)close(c->fd);
	case PAIR_CLOSE:
		return (uint64_t)close(c->fd);
	case PAIR_SILENT:
	case PAIR_ECHO:
		c->silent = o->kind == PAIR_SILENT;
		peer_watch(c, EPOLL_CTL_MOD);
		return 0;
	case PAIR_RETRANS:
		getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len);
		return info.tcpi_total_retrans;
	case PAIR_RESETS:
		return pair_own_resets();
	case PAIR_EOF:
		return c->ended ? c->received : UINT64_MAX;
	default:
		return UINT64_MAX;
	}
}

static void peer_main(int control)
{
	struct epoll_event events[64], ev = {.events = EPOLLIN};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	peer_epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(peer_epoll, EPOLL_CTL_ADD, control, &ev);
	for (;;) {
		int n = epoll_wait(peer_epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			struct pair_order o;
			uint64_t answer;

			if (events[i].data.ptr) {
				peer_echo(events[i].data.ptr);
				continue;
			}
			if (read(control, &o, sizeof(o)) != sizeof(o))
				_exit(0);
			answer = peer_obey(&o);
			if (write(control, &answer, sizeof(answer)) != sizeof(answer))
				_exit(0);
		}
	}
}

/* -- the test's side
 * ------------------------------------------------------------------------------- */

uint64_t pair_own_resets(void)
{
	char names[2048], values[2048];
	uint64_t sum = 0;
	FILE *f = fopen("/proc/thread-self/net/snmp", "re");

	while (f && fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		char *ns, *vs, *n = strtok_r(names, " \n", &ns), *v = strtok_r(values, " \n", &vs);

		if (strcmp(n, "Tcp:"))
			continue;
		for (; n && v; n = strtok_r(NULL, " \n", &ns), v = strtok_r(NULL, " \n", &vs)) {
			if (!strcmp(n, "EstabResets") || !strcmp(n, "OutRsts"))
				sum += strtoull(v, NULL, 10);
		}
	}
	if (f)
		fclose(f);
	return sum;
}

int pair_ip(const struct pair *p, bool in_peer, const char *words)
{
	char line[512];

	if (in_peer)
		snprintf(line, sizeof(line), "nsenter -t %d -n ip %s", p->peer, words);
	else
		snprintf(line, sizeof(line), "ip %s", words);
	return system(line);
}

static bool setup_links(struct pair *p)
{
	char words[256];
	int bad;

	snprintf(words, sizeof(words),
	         "link add " PAIR_IF " numtxqueues 2 numrxqueues 2 type veth "
	         "peer name sys1 netns %d numtxqueues 2 numrxqueues 2",
	         p->peer);
	bad = pair_ip(p, false, words);
	bad |= pair_ip(p, false, "link set lo up");
	bad |= pair_ip(p, true, "link set lo up");
	bad |= pair_ip(p, false, "link set " PAIR_IF " txqueuelen 10000 up");
	bad |= pair_ip(p, true, "link set sys1 txqueuelen 10000 up");
	bad |= pair_ip(p, false, "addr add " PAIR_LOCAL4 "/24 dev " PAIR_IF);
	bad |= pair_ip(p, true, "addr add " PAIR_REMOTE4 "/24 dev sys1");
	bad |= pair_ip(p, false, "addr add " PAIR_LOCAL6 "/64 dev " PAIR_IF " nodad");
	bad |= pair_ip(p, true, "addr add " PAIR_REMOTE6 "/64 dev sys1 nodad");
	return !bad;
}

bool pair_setup(struct pair *p)
{
	uint64_t ready = 0;
	int fds[2];

	if (geteuid() != 0) {
		printf("skipped: network namespaces need root\n");
		return false;
	}
	if (unshare(CLONE_NEWNET) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
		printf("skipped: no network namespace can be made: %s\n", strerror(errno));
		return false;
	}
	p->peer = fork();
	if (!p->peer) {
		close(fds[0]);
		ready = unshare(CLONE_NEWNET) == 0;
		if (write(fds[1], &ready, sizeof(ready)) != sizeof(ready))
			_exit(1);
		peer_main(fds[1]);
	}
	close(fds[1]);
	p->control = fds[0];
	if (read(p->control, &ready, sizeof(ready)) != sizeof(ready) || !ready)
		return false;
	return setup_links(p);
}

void pair_teardown(struct pair *p)
{
	close(p->control);
	kill(p->peer, SIGKILL);
	waitpid(p->peer, NULL, 0);
}

uint64_t pair_ask(struct pair *p, uint32_t kind, uint32_t arg, bool v6)
{
	struct pair_order o = {kind, arg, v6};
	uint64_t answer;

	if (write(p->control, &o, sizeof(o)) != sizeof(o) ||
	    read(p->control, &answer, sizeof(answer)) != sizeof(answer)) {
		fprintf(stderr, "the peer process is gone\n");
		abort();
	}
	return answer;
}

int pair_listen(uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), zero = 0;

	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) || listen(fd, 4096))
		return -1;
	return fd;
}

int pair_accept(struct pair *p, int listener, uint16_t port, bool v6)
{
	if (pair_ask(p, PAIR_CONNECT, port, v6) == UINT64_MAX)
		return -1;
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

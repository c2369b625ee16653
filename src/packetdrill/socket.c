/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sockets: opening, closing, and what the stack tells of their connections. */
#include "packetdrill/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

static const u64 fin_wait2_ns = 60 * NS_PER_S; /* tcp_fin_timeout, once nobody can read any more */

/* -- the list ---------------------------------------------------------------------------------- */

struct sock *sock_find(struct sockets *t, int fd)
{
	for (struct sock *s = t->list; s; s = s->next) {
		if (s->fd == fd && fd >= 0)
			return s;
	}
	return NULL;
}

static struct sock *add(struct sockets *t, u8 kind)
{
	struct sock *s = calloc(1, sizeof(*s)), **at = &t->list;

	if (!s)
		return NULL;
	s->kind = kind;
	s->fd = -1;
	s->settings = stack_default_settings(&t->stack.config);
	while (*at)
		at = &(*at)->next;
	*at = s;
	return s;
}

struct sock *sock_new(struct sockets *t, u8 kind)
{
	struct sock *s = add(t, kind);

	if (!s)
		return NULL;
	s->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (s->fd >= 0)
		return s;
	for (struct sock **at = &t->list; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = NULL;
			free(s);
			return NULL;
		}
	}
	return NULL;
}

static void drop_pipe(struct sock *s)
{
	if (!s->pipe || --s->pipe->ends)
		return;
	free(s->pipe->bytes);
	free(s->pipe);
}

static void remove_sock(struct sockets *t, struct sock *s)
{
	struct sock **at = &t->list;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	sock_epoll_forget(t, s);
	drop_pipe(s);
	free(s->stash);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static bool has_conn(const struct sock *s)
{
	return s->kind == SOCK_CONN && s->host;
}

/* -- what the stack tells ---------------------------------------------------------------------- */

static void fail(struct sock *s, int error)
{
	if (!s->dead)
		s->error = error;
	s->dead = true;
	s->generation++;
}

static void abort_conn(struct sockets *t, struct sock *s)
{
	const struct disconnect_call d = {.conn = s->host, .abortive = true};

	(void)!host_disconnect(t->stack.machine->host, &d);
	host_pump(t->stack.machine->host, s->host);
	s->ending = soft_look(t->stack.machine->soft, s->soft, &(struct tcp_state){0});
}

/* Advice that ICMP gave says why nothing came (RFC 9293 3.9.2.2 SHLD-25). */
static int timeout_error(const struct sockets *t, const struct sock *s)
{
	int advice = soft_error(t->stack.machine->soft, s->soft);

	return advice ? advice : ETIMEDOUT;
}

static void look_at_events(struct sockets *t, struct sock *s)
{
	u32 ev = soft_take_events(t->stack.machine->soft, s->soft);

	if (ev & (TCP_EV_ESTABLISHED | TCP_EV_FIN))
		s->generation++;
	if (ev & TCP_EV_ESTABLISHED)
		s->established = true;
	if (ev & TCP_EV_FIN)
		s->peer_fin = true;
	/* As Linux's tcp_reset(): by the state that it was in. */
	if (ev & TCP_EV_RESET)
		fail(s, !s->established ? ECONNREFUSED : s->peer_fin ? EPIPE : ECONNRESET);
	if (ev & TCP_EV_TIMEOUT)
		fail(s, timeout_error(t, s));
	if (ev & TCP_EV_CLOSED) {
		s->dead = s->ended = true;
		s->generation++;
	}
}

/* Bytes arrived, or were acknowledged: readiness is new, for epoll's edges. */
static void look_at_queues(struct sockets *t, struct sock *s)
{
	struct tcp_state state;

	if (!stack_look(&t->stack, s->soft, s->host, &state))
		return;
	if (state.d.recv.len > s->was_recv || state.d.send.len < s->was_send)
		s->generation++;
	s->was_recv = state.d.recv.len;
	s->was_send = state.d.send.len;
}

/* A connection whose application has gone: data for it is answered with a RST (RFC 9293 3.6.1, RFC
 * 2525 2.17), and it is forgotten once it has ended. */
static void tend_orphan(struct sockets *t, struct sock *s)
{
	struct tcp_state state;

	if (stack_look(&t->stack, s->soft, s->host, &state) && state.d.state != TCP_CLOSED) {
		if (state.d.recv.len && !s->dead)
			abort_conn(t, s);
		return;
	}
	/* Aborted at the target by ourselves: that tells nobody, it must be called home. */
	if (stack_is_at_target(&t->stack, s->host)) {
		bool first = !s->move.conn;

		if (host_busy(t->stack.machine->host))
			return;
		s->move = (struct host_move){.conn = s->host};
		t->stack.again |= !host_upload(t->stack.machine->host, &s->move, 1) && first;
		return;
	}
	/* A RST that is owed leaves before the end is told. */
	if (s->ending && !s->ended)
		return;
	if (host_release(t->stack.machine->host, s->host))
		return; /* still on its way */
	soft_close(t->stack.machine->soft, s->soft);
	remove_sock(t, s);
}

static bool any_queued(const struct sockets *t)
{
	for (const struct sock *s = t->list; s; s = s->next) {
		if (s->queued)
			return true;
	}
	return false;
}

/*
 * Accepted by the stack: sockets without descriptors, queued at their listener. One at a time,
 * unless a listener asks: the others wait in the stack, where the backlog bounds them (as Linux,
 * one more than listen() said).
 */
static void take_accepted(struct sockets *t, bool all)
{
	struct stack_accepted a;

	while ((all || !any_queued(t)) && stack_accept(&t->stack, &a)) {
		struct sock *l = t->list, *s, **at;

		while (l && (l->kind != SOCK_LISTEN || l->local_port != a.local_port))
			l = l->next;
		s = l ? add(t, SOCK_CONN) : NULL;
		if (!s || host_adopt(t->stack.machine->host, a.soft, s, &s->host)) {
			soft_close(t->stack.machine->soft, a.soft);
			if (s)
				remove_sock(t, s);
			continue;
		}
		s->soft = a.soft;
		s->domain = l->domain;
		s->local = t->stack.config.local;
		s->local_port = a.local_port;
		s->remote = a.remote;
		s->remote_port = a.remote_port;
		s->established = true;
		s->settings = l->settings;
		s->queued = true;
		stack_settings(&t->stack, s->soft, s->host, &s->settings);
		for (at = &l->accept_next; *at; at = &(*at)->accept_next)
			;
		*at = s;
		l->generation++;
	}
}

static void turned(void *ctx)
{
	struct sockets *t = ctx;
	struct sock *next;

	take_accepted(t, false);
	for (struct sock *s = t->list; s; s = s->next) {
		if (has_conn(s)) {
			look_at_events(t, s);
			look_at_queues(t, s);
		}
	}
	for (struct sock *s = t->list; s; s = next) {
		next = s->next;
		if (has_conn(s) && s->fd < 0 && !s->queued)
			tend_orphan(t, s);
	}
}

static void on_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	struct sockets *t = ctx;

	for (u32 i = 0; i < n; i++) {
		struct sock *s = notices[i].owner;

		if (notices[i].kind == IND_PEER_CLOSED) {
			s->peer_fin = true;
			s->generation++;
		}
		if (notices[i].kind != IND_ABORTED)
			continue;
		sock_stash(t, s);
		if (notices[i].detail == ECONNRESET)
			fail(s, s->peer_fin ? EPIPE : ECONNRESET);
		else
			fail(s, timeout_error(t, s));
	}
}

static u32 connections(void *ctx, handle *ret, u32 cap)
{
	const struct sockets *t = ctx;
	u32 n = 0;

	for (const struct sock *s = t->list; s && n < cap; s = s->next) {
		if (has_conn(s) && !s->dead)
			ret[n++] = s->host;
	}
	return n;
}

void sockets_init(struct sockets *t, const struct stack_config *config)
{
	*t = (struct sockets){.list = NULL};
	stack_init(&t->stack, config);
	t->stack.ctx = t;
	t->stack.turned = turned;
	t->stack.connections = connections;
	t->stack.notice = on_notice;
}

void sockets_free(struct sockets *t)
{
	while (t->list)
		remove_sock(t, t->list);
	stack_free(&t->stack);
}

/* -- addresses --------------------------------------------------------------------------------- */

static int read_addr(const struct sock *s, const struct sockaddr *addr, socklen_t len,
                     struct ip_addr *ret_ip, u16 *ret_port)
{
	if (len >= sizeof(struct sockaddr_in6) && addr->sa_family == AF_INET6 &&
	    s->domain == AF_INET6) {
		struct sockaddr_in6 a;

		memcpy(&a, addr, sizeof(a));
		memcpy(ret_ip->b, &a.sin6_addr, 16);
		*ret_port = ntohs(a.sin6_port);
		return 0;
	}
	if (len >= sizeof(struct sockaddr_in) && addr->sa_family == AF_INET) {
		struct sockaddr_in a;

		memcpy(&a, addr, sizeof(a));
		*ret_ip = (struct ip_addr){.b = {[10] = 0xff, [11] = 0xff}};
		memcpy(ret_ip->b + 12, &a.sin_addr, 4);
		*ret_port = ntohs(a.sin_port);
		return 0;
	}
	return len < sizeof(struct sockaddr_in) ? -EINVAL : -EAFNOSUPPORT;
}

void sock_write_addr(const struct sock *s, const struct ip_addr *ip, u16 port,
                     struct sockaddr *addr, socklen_t *len)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	bool v6 = s->domain == AF_INET6;
	socklen_t size = v6 ? sizeof(a6) : sizeof(a4);

	if (!addr || !len)
		return;
	memcpy(&a6.sin6_addr, ip->b, 16);
	memcpy(&a4.sin_addr, ip->b + 12, 4);
	memcpy(addr, v6 ? (const void *)&a6 : (const void *)&a4, min_of(size, *len));
	*len = size;
}

static bool is_any(const struct ip_addr *ip)
{
	static const struct ip_addr any6, any4 = {.b = {[10] = 0xff, [11] = 0xff}};

	return ip_addr_eq(ip, &any6) || ip_addr_eq(ip, &any4);
}

/* -- calls ------------------------------------------------------------------------------------- */

int sock_socket(struct sockets *t, int domain, int type, int protocol)
{
	struct sock *s;
	int err;

	if (domain != AF_INET && domain != AF_INET6)
		return -EAFNOSUPPORT;
	if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
	    (protocol && protocol != IPPROTO_TCP))
		return -EPROTONOSUPPORT;
	err = stack_start(&t->stack);
	if (err)
		return err;
	s = sock_new(t, SOCK_NEW);
	if (!s)
		return -EMFILE;
	s->domain = domain;
	s->flags = type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
	return s->fd;
}

static bool port_is_taken(const struct sockets *t, const struct sock *me, u16 port)
{
	for (const struct sock *s = t->list; s; s = s->next) {
		if (s != me && s->local_port == port && s->fd >= 0 &&
		    (s->kind == SOCK_LISTEN || (s->bound && !(s->reuse_addr && me->reuse_addr))))
			return true;
	}
	return false;
}

static u16 pick_port(struct sockets *t, const struct sock *s)
{
	do
		t->stack.next_port++;
	while (port_is_taken(t, s, t->stack.next_port));
	return t->stack.next_port;
}

int sock_bind(struct sockets *t, struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	struct ip_addr ip;
	u16 port;
	int err = read_addr(s, addr, len, &ip, &port);

	if (err)
		return err;
	if (s->kind != SOCK_NEW || s->bound)
		return -EINVAL;
	if (!is_any(&ip) && !ip_addr_eq(&ip, &t->stack.config.local))
		return -EADDRNOTAVAIL;
	if (port && port_is_taken(t, s, port))
		return -EADDRINUSE;
	s->local = ip;
	s->local_port = port ? port : pick_port(t, s);
	s->bound = true;
	return 0;
}

int sock_listen(struct sockets *t, struct sock *s, int backlog)
{
	struct soft_listen_params params = {.cookies = SOFT_COOKIES_FLOOD};
	int err;

	if (s->kind == SOCK_LISTEN)
		return 0;
	if (s->kind != SOCK_NEW)
		return -EINVAL;
	if (!s->bound)
		s->local_port = pick_port(t, s);
	if (port_is_taken(t, s, s->local_port))
		return -EADDRINUSE;
	params.port = s->local_port;
	params.settings = &s->settings;
	params.backlog = (u32)max_of(backlog, 1);
	err = soft_listen_with(t->stack.machine->soft, &params);
	if (!err)
		s->kind = SOCK_LISTEN;
	return err;
}

int sock_accept(struct sockets *t, struct sock *s, struct sockaddr *addr, socklen_t *len)
{
	struct sock *c;

	if (s->kind != SOCK_LISTEN)
		return -EINVAL;
	if (!s->accept_next)
		take_accepted(t, true);
	c = s->accept_next;
	if (!c)
		return -EAGAIN;
	c->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (c->fd < 0)
		return -EMFILE;
	c->queued = false;
	s->accept_next = c->accept_next;
	c->accept_next = NULL;
	sock_write_addr(c, &c->remote, c->remote_port, addr, len);
	take_accepted(t, false);
	return c->fd;
}

static int start_connect(struct sockets *t, struct sock *s)
{
	struct soft *soft = t->stack.machine->soft;
	int err = stack_route(&t->stack, &s->remote);

	if (!err)
		err = soft_connect(soft, &s->remote, s->remote_port, s->local_port, &s->soft);
	if (err)
		return err == -EEXIST ? -EADDRNOTAVAIL : err;
	err = host_adopt(t->stack.machine->host, s->soft, s, &s->host);
	if (err) {
		soft_close(soft, s->soft);
		return err;
	}
	s->kind = SOCK_CONN;
	stack_settings(&t->stack, s->soft, s->host, &s->settings);
	stack_turn(&t->stack);
	return -EINPROGRESS;
}

int sock_connect(struct sockets *t, struct sock *s, const struct sockaddr *addr, socklen_t len)
{
	int err;

	if (s->kind == SOCK_CONN) {
		err = -s->error;
		s->error = 0;
		if (err)
			return err;
		return s->established ? s->connect_said ? -EISCONN : (s->connect_said = true, 0)
		                      : -EALREADY;
	}
	if (s->kind != SOCK_NEW)
		return -EISCONN;
	err = read_addr(s, addr, len, &s->remote, &s->remote_port);
	if (err)
		return err;
	if (ip_addr_is_v4(&s->remote) != ip_addr_is_v4(&t->stack.config.local))
		return -ENETUNREACH;
	s->local = t->stack.config.local;
	if (!s->bound)
		s->local_port = pick_port(t, s);
	return start_connect(t, s);
}

static int close_conn(struct sockets *t, struct sock *s)
{
	struct stack *k = &t->stack;
	const struct disconnect_call d = {.conn = s->host};
	struct tcp_state state;
	bool here = stack_look(k, s->soft, s->host, &state);

	if (s->dead || !here)
		return 0;
	if ((s->linger && !s->linger_s) || state.d.recv.len) {
		abort_conn(t, s);
		return 0;
	}
	s->settings.fin_wait2_ns =
		s->settings.fin_wait2_ns ? s->settings.fin_wait2_ns : fin_wait2_ns;
	stack_settings(k, s->soft, s->host, &s->settings);
	if (!s->wr_shut) {
		(void)!host_disconnect(k->machine->host, &d);
		host_pump(k->machine->host, s->host);
	}
	return 0;
}

int sock_close(struct sockets *t, struct sock *s)
{
	close(s->fd);
	s->fd = -1;
	sock_epoll_forget(t, s);
	if (s->kind == SOCK_LISTEN) {
		/* Nobody will accept these (RFC 9293 3.10.4). */
		while (s->accept_next) {
			struct sock *c = s->accept_next;

			s->accept_next = c->accept_next;
			c->queued = false;
			abort_conn(t, c);
		}
		(void)!soft_unlisten(t->stack.machine->soft, s->local_port);
	}
	if (!has_conn(s)) {
		remove_sock(t, s);
		stack_turn(&t->stack);
		return 0;
	}
	(void)!host_discard(t->stack.machine->host, s->host);
	close_conn(t, s);
	stack_turn(&t->stack);
	return 0;
}

int sock_shutdown(struct sockets *t, struct sock *s, int how)
{
	const struct disconnect_call d = {.conn = s->host};

	if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR)
		return -EINVAL;
	if (!has_conn(s) || !s->established || s->dead)
		return -ENOTCONN;
	if (how != SHUT_WR)
		s->rd_shut = true;
	if (how != SHUT_RD && !s->wr_shut) {
		s->wr_shut = true;
		(void)!host_disconnect(t->stack.machine->host, &d);
		host_pump(t->stack.machine->host, s->host);
	}
	s->generation++;
	stack_turn(&t->stack);
	return 0;
}

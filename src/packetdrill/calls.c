/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The socket calls that packetdrill makes: find the socket, do it, wait where it would block. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stdlib.h>

#include "packetdrill/object.h"

enum {
	CLOSE_LINGER_MAX_S = 32767,
	VECTOR_MAX = 64,
};

/* What a call that waits looks at. */
struct want {
	struct sock *s;
	u32 events; /* POLL bits */
};

static bool is_ready(struct sockets *t, void *what)
{
	const struct want *w = what;

	return sock_poll(t, w->s) & (w->events | POLLERR | POLLHUP);
}

/* Takes the lock and finds the socket; NULL: EBADF, no lock. */
static struct sock *enter(struct object *o, int fd)
{
	struct sock *s;

	object_lock(o);
	s = sock_find(&o->sockets, fd);
	if (s)
		return s;
	object_unlock(o);
	errno = EBADF;
	return NULL;
}

/* Ends a call: the event is counted where something happened to the stack. */
static s64 leave(struct object *o, s64 result, bool event)
{
	if (event && result != -EAGAIN && result != -EBADF)
		stack_event(&o->sockets.stack);
	object_unlock(o);
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

static bool may_block(const struct sock *s, int flags)
{
	return !(s->flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}

/* -- opening and closing ----------------------------------------------------------------------- */

static int call_socket(void *userdata, int domain, int type, int protocol)
{
	struct object *o = userdata;

	object_lock(o);
	return (int)leave(o, sock_socket(&o->sockets, domain, type, protocol), false);
}

static int call_bind(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);

	return s ? (int)leave(o, sock_bind(&o->sockets, s, addr, len), false) : -1;
}

static int call_listen(void *userdata, int fd, int backlog)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);

	return s ? (int)leave(o, sock_listen(&o->sockets, s, backlog), false) : -1;
}

static int call_accept(void *userdata, int fd, struct sockaddr *addr, socklen_t *len)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);
	struct want w = {s, POLLIN};
	int n;

	if (!s)
		return -1;
	while ((n = sock_accept(&o->sockets, s, addr, len)) == -EAGAIN && may_block(s, 0)) {
		if (!object_wait(o, is_ready, &w, UINT64_MAX))
			break;
	}
	return (int)leave(o, n, true);
}

static bool is_connected(struct sockets *t, void *what)
{
	const struct sock *s = what;

	return s->established || s->dead;
}

static int call_connect(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);
	int err;

	if (!s)
		return -1;
	err = sock_connect(&o->sockets, s, addr, len);
	if (err == -EINPROGRESS && may_block(s, 0)) {
		object_wait(o, is_connected, s, UINT64_MAX);
		err = sock_connect(&o->sockets, s, addr, len);
	}
	return (int)leave(o, err, true);
}

static bool is_sent(struct sockets *t, void *what)
{
	struct sock *s = what;
	struct tcp_state state;

	return s->dead || !stack_look(&t->stack, s->soft, s->host, &state) ||
	       (!state.d.send.len && (state.d.fin & TCP_FIN_ACKED));
}

static int call_close(void *userdata, int fd)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);
	u64 until;

	if (!s)
		return -1;
	/* SO_LINGER with a time: close() returns once all is acknowledged. */
	if (s->kind == SOCK_CONN && s->linger && s->linger_s && may_block(s, 0)) {
		until = o->sockets.stack.now_ns +
		        min_of(s->linger_s, (u32)CLOSE_LINGER_MAX_S) * NS_PER_S;
		sock_shutdown(&o->sockets, s, SHUT_WR);
		object_wait(o, is_sent, s, until);
	}
	return (int)leave(o, sock_close(&o->sockets, s), true);
}

static int call_shutdown(void *userdata, int fd, int how)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);

	return s ? (int)leave(o, sock_shutdown(&o->sockets, s, how), true) : -1;
}

/* -- bytes ------------------------------------------------------------------------------------- */

static ssize_t read_iov(struct object *o, int fd, const struct iovec *iov, u32 n, int flags)
{
	struct sock *s = enter(o, fd);
	struct want w = {s, POLLIN};
	s64 got;

	if (!s)
		return -1;
	while ((got = sock_read(&o->sockets, s, iov, n, flags)) == -EAGAIN && may_block(s, flags)) {
		if (!object_wait(o, is_ready, &w, UINT64_MAX))
			break;
	}
	return (ssize_t)leave(o, got, true);
}

/* What of a vector is left behind its first `at` bytes. */
static u32 rest_of(const struct iovec *iov, u32 n, size_t at, struct iovec ret[VECTOR_MAX])
{
	u32 left = 0;

	for (u32 i = 0; i < n && left < VECTOR_MAX; i++) {
		size_t skip = min_of(at, iov[i].iov_len);

		at -= skip;
		if (iov[i].iov_len > skip)
			ret[left++] =
				(struct iovec){(u8 *)iov[i].iov_base + skip, iov[i].iov_len - skip};
	}
	return left;
}

/* A blocking write returns when all of it is in the send queue. */
static s64 write_all(struct object *o, struct sock *s, const struct iovec *iov, u32 n, int flags)
{
	struct iovec rest[VECTOR_MAX];
	struct want w = {s, POLLOUT};
	s64 done = 0;

	for (;;) {
		u32 left = rest_of(iov, n, (size_t)done, rest);
		s64 took = left || !done ? sock_write(&o->sockets, s, rest, left, flags) : 0;

		if (took == -EAGAIN && object_wait(o, is_ready, &w, UINT64_MAX))
			continue;
		if (took <= 0)
			return done ? done : took;
		done += took;
	}
}

static ssize_t write_iov(struct object *o, int fd, const struct iovec *iov, u32 n, int flags)
{
	struct sock *s = enter(o, fd);

	if (!s)
		return -1;
	if (may_block(s, flags))
		return (ssize_t)leave(o, write_all(o, s, iov, n, flags), true);
	return (ssize_t)leave(o, sock_write(&o->sockets, s, iov, n, flags), true);
}

static ssize_t call_read(void *userdata, int fd, void *to, size_t n)
{
	const struct iovec iov = {to, n};

	return read_iov(userdata, fd, &iov, 1, 0);
}

static ssize_t call_readv(void *userdata, int fd, const struct iovec *iov, int n)
{
	return read_iov(userdata, fd, iov, (u32)n, 0);
}

static ssize_t call_recv(void *userdata, int fd, void *to, size_t n, int flags)
{
	const struct iovec iov = {to, n};

	return read_iov(userdata, fd, &iov, 1, flags);
}

static void write_peer(struct object *o, int fd, struct sockaddr *addr, socklen_t *len)
{
	const struct sock *s;

	object_lock(o);
	s = sock_find(&o->sockets, fd);
	if (s)
		sock_write_addr(s, &s->remote, s->remote_port, addr, len);
	object_unlock(o);
}

static ssize_t call_recvfrom(void *userdata, int fd, void *to, size_t n, int flags,
                             struct sockaddr *addr, socklen_t *len)
{
	const struct iovec iov = {to, n};
	ssize_t got = read_iov(userdata, fd, &iov, 1, flags);

	if (got >= 0)
		write_peer(userdata, fd, addr, len);
	return got;
}

static ssize_t call_recvmsg(void *userdata, int fd, struct msghdr *msg, int flags)
{
	ssize_t got = read_iov(userdata, fd, msg->msg_iov, (u32)msg->msg_iovlen, flags);

	if (got < 0)
		return got;
	msg->msg_namelen = 0; /* as TCP does */
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	return got;
}

static ssize_t call_write(void *userdata, int fd, const void *data, size_t n)
{
	const struct iovec iov = {(void *)data, n};

	return write_iov(userdata, fd, &iov, 1, 0);
}

static ssize_t call_writev(void *userdata, int fd, const struct iovec *iov, int n)
{
	return write_iov(userdata, fd, iov, (u32)n, 0);
}

static ssize_t call_send(void *userdata, int fd, const void *data, size_t n, int flags)
{
	const struct iovec iov = {(void *)data, n};

	return write_iov(userdata, fd, &iov, 1, flags);
}

/* A TCP socket that is connected does not look at the address. */
static ssize_t call_sendto(void *userdata, int fd, const void *data, size_t n, int flags,
                           const struct sockaddr *addr, socklen_t len)
{
	return call_send(userdata, fd, data, n, flags);
}

static ssize_t call_sendmsg(void *userdata, int fd, const struct msghdr *msg, int flags)
{
	return write_iov(userdata, fd, msg->msg_iov, (u32)msg->msg_iovlen, flags);
}

/* -- options ----------------------------------------------------------------------------------- */

static int call_fcntl(void *userdata, int fd, int cmd, ...)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);
	int result = -EINVAL, arg;
	va_list args;

	if (!s)
		return -1;
	va_start(args, cmd);
	arg = cmd == F_SETFL || cmd == F_SETFD ? va_arg(args, int) : 0;
	va_end(args);
	if (cmd == F_GETFL) {
		result = O_RDWR | s->flags;
	} else if (cmd == F_SETFL) {
		s->flags = arg & O_NONBLOCK;
		result = 0;
	} else if (cmd == F_GETFD || cmd == F_SETFD) {
		result = 0;
	}
	return (int)leave(o, result, false);
}

static int call_ioctl(void *userdata, int fd, unsigned long request, ...)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);
	va_list args;
	int *arg;

	if (!s)
		return -1;
	va_start(args, request);
	arg = va_arg(args, int *);
	va_end(args);
	return (int)leave(o, sock_ioctl(&o->sockets, s, request, arg), false);
}

static int call_getsockopt(void *userdata, int fd, int level, int name, void *value, socklen_t *len)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);

	return s ? (int)leave(o, sock_getsockopt(&o->sockets, s, level, name, value, len), false)
	         : -1;
}

static int call_setsockopt(void *userdata, int fd, int level, int name, const void *value,
                           socklen_t len)
{
	struct object *o = userdata;
	struct sock *s = enter(o, fd);

	return s ? (int)leave(o, sock_setsockopt(&o->sockets, s, level, name, value, len), true)
	         : -1;
}

/* -- readiness --------------------------------------------------------------------------------- */

struct poll_want {
	struct pollfd *fds;
	nfds_t n;
	int ready;
};

static bool poll_is_ready(struct sockets *t, void *what)
{
	struct poll_want *w = what;

	w->ready = 0;
	for (nfds_t i = 0; i < w->n; i++) {
		struct pollfd *p = &w->fds[i];
		struct sock *s = sock_find(t, p->fd);
		u32 always = POLLERR | POLLHUP;

		p->revents = 0;
		if (p->fd < 0)
			continue;
		p->revents = s ? (short)(sock_poll(t, s) & ((u32)p->events | always)) : POLLNVAL;
		w->ready += p->revents != 0;
	}
	return w->ready;
}

static u64 deadline(const struct object *o, int timeout_ms)
{
	return timeout_ms < 0 ? UINT64_MAX : o->sockets.stack.now_ns + (u64)timeout_ms * NS_PER_MS;
}

static int call_poll(void *userdata, struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct object *o = userdata;
	struct poll_want w = {fds, n, 0};

	object_lock(o);
	object_wait(o, poll_is_ready, &w, deadline(o, timeout_ms));
	return (int)leave(o, w.ready, false);
}

static int call_epoll_create(void *userdata, int size)
{
	struct object *o = userdata;

	object_lock(o);
	return (int)leave(o, sock_epoll_create(&o->sockets, size), false);
}

static int call_epoll_ctl(void *userdata, int epfd, int op, int fd, struct epoll_event *event)
{
	struct object *o = userdata;
	struct sock *s = enter(o, epfd);

	return s ? (int)leave(o, sock_epoll_ctl(&o->sockets, s, op, fd, event), false) : -1;
}

struct epoll_want {
	struct sock *ep;
	struct epoll_event *events;
	int max, n;
};

static bool epoll_is_ready(struct sockets *t, void *what)
{
	struct epoll_want *w = what;

	if (w->n <= 0)
		w->n = sock_epoll_wait(t, w->ep, w->events, w->max);
	return w->n != 0;
}

static int call_epoll_wait(void *userdata, int epfd, struct epoll_event *events, int max,
                           int timeout_ms)
{
	struct object *o = userdata;
	struct sock *s = enter(o, epfd);
	struct epoll_want w = {s, events, max, 0};

	if (!s)
		return -1;
	object_wait(o, epoll_is_ready, &w, deadline(o, timeout_ms));
	return (int)leave(o, w.n, false);
}

static int call_pipe(void *userdata, int fds[2])
{
	struct object *o = userdata;

	object_lock(o);
	return (int)leave(o, sock_pipe_create(&o->sockets, fds), false);
}

static int call_splice(void *userdata, int in, loff_t *in_off, int out, loff_t *out_off, size_t len,
                       unsigned flags)
{
	struct object *o = userdata;
	struct sock *from = enter(o, in), *to;

	if (!from)
		return -1;
	to = sock_find(&o->sockets, out);
	if (!to)
		return (int)leave(o, -EBADF, false);
	if (in_off || out_off)
		return (int)leave(o, -ESPIPE, false);
	return (int)leave(o, sock_splice(&o->sockets, from, to, len), true);
}

void object_fill_calls(struct packetdrill_interface *ifc)
{
	ifc->socket = call_socket;
	ifc->bind = call_bind;
	ifc->listen = call_listen;
	ifc->accept = call_accept;
	ifc->connect = call_connect;
	ifc->read = call_read;
	ifc->readv = call_readv;
	ifc->recv = call_recv;
	ifc->recvfrom = call_recvfrom;
	ifc->recvmsg = call_recvmsg;
	ifc->write = call_write;
	ifc->writev = call_writev;
	ifc->send = call_send;
	ifc->sendto = call_sendto;
	ifc->sendmsg = call_sendmsg;
	ifc->fcntl = call_fcntl;
	ifc->ioctl = call_ioctl;
	ifc->close = call_close;
	ifc->shutdown = call_shutdown;
	ifc->getsockopt = call_getsockopt;
	ifc->setsockopt = call_setsockopt;
	ifc->poll = call_poll;
	ifc->epoll_create = call_epoll_create;
	ifc->epoll_ctl = call_epoll_ctl;
	ifc->epoll_wait = call_epoll_wait;
	ifc->pipe = call_pipe;
	ifc->splice = call_splice;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Connections: adopted, released, closed; bytes sent and received on whichever side they run. */
#include "lib/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int check_socket(int fd)
{
	int type = 0, protocol = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return lib_fail(-errno, "descriptor %d is no socket", fd);
	len = sizeof(protocol);
	if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len))
		return lib_fail(-errno, "descriptor %d: its protocol cannot be read", fd);
	if (type != SOCK_STREAM || protocol != IPPROTO_TCP)
		return lib_fail(-EPROTOTYPE, "descriptor %d is no TCP socket", fd);
	return 0;
}

EXPORT int chimney_conn_adopt(struct chimney_context *context, int fd, int lane, void *user,
                              struct chimney_conn **ret_conn)
{
	struct chimney_conn *conn;
	struct lib_lane *l;
	int err = check_socket(fd);

	if (err)
		return err;
	if (lane >= (int)context->n_lanes || lane < -1)
		return lib_fail(-EINVAL, "lane %d: there are %u", lane, context->n_lanes);
	if (lane < 0)
		lane = (int)(atomic_fetch_add(&context->next_lane, 1) % context->n_lanes);
	l = &context->lanes[lane];
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return lib_fail(-ENOMEM, "no memory for a connection object");
	conn->lane = l;
	conn->fd = fd;
	conn->user = user;
	conn->side = HOST_IN_STACK;
	conn->avail = CHIMNEY_READABLE | CHIMNEY_WRITABLE;
	conn->fd_flags = fcntl(fd, F_GETFL);
	lane_lock(l->lane);
	err = host_adopt(l->host, (u64)fd, conn, &conn->host);
	if (!err)
		lib_list_push(&l->all, lib_link_all, conn);
	lane_unlock(l->lane);
	if (err) {
		free(conn);
		return lib_fail(-ENOMEM,
		                "lane %d holds as many connections as it can: raise "
		                "max_connections",
		                lane);
	}
	fcntl(fd, F_SETFL, conn->fd_flags | O_NONBLOCK);
	*ret_conn = conn;
	return 0;
}

void lib_conn_free(struct chimney_conn *conn, bool close_fd)
{
	struct lib_lane *l = conn->lane;

	lib_list_remove(&l->ready, lib_link_ready, conn);
	lib_list_remove(&l->all, lib_link_all, conn);
	if (conn->closing)
		l->closing--;
	if (conn->in_epoll) {
		l->kernel_watched--;
		if (!close_fd)
			epoll_ctl(l->kernel_epoll, EPOLL_CTL_DEL, conn->fd, NULL);
	}
	if (close_fd)
		close(conn->fd);
	free(conn);
}

EXPORT int chimney_conn_release(struct chimney_conn *conn, int *ret_fd)
{
	struct lib_lane *l = conn->lane;
	int fd = conn->fd, flags = conn->fd_flags;
	int err;

	lane_lock(l->lane);
	err = host_release(l->host, conn->host);
	if (!err)
		lib_conn_free(conn, false);
	lane_unlock(l->lane);
	if (err)
		return lib_fail(-EBUSY,
		                "the connection is offloaded or in a move: upload it first");
	fcntl(fd, F_SETFL, flags);
	*ret_fd = fd;
	return 0;
}

/*
 * A connection that is offloaded comes home first, many at a time (lib_move_step), so that the
 * kernel does what follows a close: FIN_WAIT, TIME_WAIT, RST for late data.
 */
EXPORT void chimney_conn_close(struct chimney_conn *conn)
{
	struct lib_lane *l = conn->lane;

	lane_lock(l->lane);
	conn->watch = 0;
	lib_list_remove(&l->ready, lib_link_ready, conn);
	conn->closing = true;
	(void)!host_discard(l->host, conn->host); /* what it has not read it never will */
	l->closing++;
	if (!host_release(l->host, conn->host))
		lib_conn_free(conn, true);
	else
		lane_wake(l->lane);
	lib_unsignal(l);
	lane_unlock(l->lane);
}

EXPORT void *chimney_conn_user(const struct chimney_conn *conn)
{
	return conn->user;
}

EXPORT unsigned int chimney_conn_lane(const struct chimney_conn *conn)
{
	return conn->lane->index;
}

EXPORT int chimney_conn_fd(const struct chimney_conn *conn)
{
	return conn->fd;
}

/* -- bytes ---------------------------------------------------------------------------------------
 */

static ssize_t send_now(struct chimney_conn *conn, const void *data, size_t len)
{
	struct send_call call = {.conn = conn->host,
	                         .data = data,
	                         .len = (u32)min_of(len, (size_t)INT32_MAX),
	                         .flags = SEND_BUFFERED};
	ssize_t n;

	if (conn->error)
		return -conn->error;
	host_send(conn->lane->host, &call, 1);
	n = call.taken;
	if (n > 0)
		lane_touch(conn->lane->lane);
	if (n == -EINPROGRESS || (!n && len))
		n = -EAGAIN;
	if (n == -EAGAIN || (n >= 0 && (size_t)n < len))
		conn->avail &= ~(u32)CHIMNEY_WRITABLE;
	return n;
}

EXPORT ssize_t chimney_conn_send(struct chimney_conn *conn, const void *data, size_t len, int flags)
{
	struct lib_lane *l = conn->lane;

	for (;;) {
		ssize_t n;

		lane_lock(l->lane);
		n = send_now(conn, data, len);
		lane_unlock(l->lane);
		if (n != -EAGAIN || flags & CHIMNEY_DONTWAIT)
			return n;
		lib_wait(conn, CHIMNEY_WRITABLE);
	}
}

static ssize_t recv_now(struct chimney_conn *conn, void *data, size_t len, bool peek)
{
	struct recv_call call = {.conn = conn->host,
	                         .data = data,
	                         .len = (u32)min_of(len, (size_t)INT32_MAX),
	                         .flags = RECV_NOW | (peek ? RECV_PEEK : 0)};
	ssize_t n;

	if (conn->posted_recv)
		return -EBUSY;
	host_receive(conn->lane->host, &call, 1);
	n = call.taken;
	if (n > 0 && !peek)
		lane_touch(conn->lane->lane);
	/* The device's word for "nothing there" is 0, and for the end an error of its own. */
	if (n == -EINPROGRESS || !n)
		n = -EAGAIN;
	else if (n == -ESHUTDOWN)
		n = 0;
	if (n == -EAGAIN && conn->error)
		n = -conn->error;
	/* A short read has drained it: the next arrival tells. The FIN behind it tells, too. */
	if (n == -EAGAIN || (n > 0 && (size_t)n < len && !peek))
		conn->avail &= ~(u32)CHIMNEY_READABLE;
	return n;
}

EXPORT ssize_t chimney_conn_recv(struct chimney_conn *conn, void *data, size_t len, int flags)
{
	struct lib_lane *l = conn->lane;

	if (!len)
		return 0;
	for (;;) {
		ssize_t n;

		lane_lock(l->lane);
		n = recv_now(conn, data, len, flags & CHIMNEY_PEEK);
		lane_unlock(l->lane);
		if (n != -EAGAIN || flags & CHIMNEY_DONTWAIT)
			return n;
		lib_wait(conn, CHIMNEY_READABLE);
	}
}

EXPORT int chimney_conn_shutdown(struct chimney_conn *conn)
{
	struct lib_lane *l = conn->lane;
	struct disconnect_call call = {.conn = conn->host, .cookie = UINT64_MAX};
	int err;

	lane_lock(l->lane);
	err = host_disconnect(l->host, &call);
	if (!err)
		host_pump(l->host, conn->host);
	lane_touch(l->lane);
	lane_unlock(l->lane);
	return err;
}

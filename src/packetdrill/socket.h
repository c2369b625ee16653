/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Sockets as Linux has them, on top of the stack: descriptors, the calls, readiness. Calls here
 * never wait: what would block answers -EAGAIN (accept, read, write) or -EINPROGRESS (connect), and
 * object.c waits where the descriptor is blocking. Results are those of the kernel: negative errno.
 */
#ifndef PACKETDRILL_SOCKET_H
#define PACKETDRILL_SOCKET_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "packetdrill/stack.h"

enum sock_kind {
	SOCK_NEW, /* socket(), perhaps bound */
	SOCK_LISTEN,
	SOCK_CONN, /* connecting, connected, or ended */
	SOCK_EPOLL,
	SOCK_PIPE,
};

struct sock_watch {
	struct sock_watch *next;
	int fd;
	u32 said, generation; /* edge triggered: what was reported, and of which readiness */
	bool disarmed;        /* EPOLLONESHOT */
	struct epoll_event event;
};

struct sock_pipe {
	u8 *bytes;
	u32 n, cap;
	u32 ends; /* descriptors that refer to it */
};

struct sock {
	struct sock *next;
	int fd; /* -1: closed by the application, the connection goes on */
	u8 kind;
	int domain;
	int flags; /* O_NONBLOCK */
	bool bound, reuse_addr;
	bool established;
	bool connect_said; /* a connect() returned 0 */
	bool peer_fin;     /* it arrived */
	bool queued;       /* at a listener, not accepted */
	bool eof;          /* the peer's FIN was read */
	bool rd_shut, wr_shut;
	bool more;          /* the last send had MSG_MORE */
	int error;          /* not reported yet */
	bool dead;          /* reset, timed out, or aborted */
	bool ending, ended; /* aborted in the stack of the host; and that is done */
	bool linger;
	u32 linger_s;
	u32 generation; /* of readiness: bytes or room arrived since */
	u8 *stash; /* unread bytes of a connection that the target aborted: it goes, they stay */
	u32 stash_at, stash_n;
	u32 was_recv, was_send; /* queues when it was looked at last */
	struct ip_addr local, remote;
	u16 local_port, remote_port;
	u64 soft;
	handle host;
	struct host_move move; /* home, to end */
	struct tcp_cached settings;
	u32 max_seg;              /* TCP_MAXSEG, 0: none */
	struct sock *accept_next; /* LISTEN: first to be accepted; CONN: the next one */
	struct sock_watch *watches;
	struct sock_pipe *pipe;
	bool pipe_write;
};

struct sockets {
	struct stack stack;
	struct sock *list;
};

void sockets_init(struct sockets *t, const struct stack_config *config);
void sockets_free(struct sockets *t);
/* NULL: no such descriptor here. */
struct sock *sock_find(struct sockets *t, int fd);
/* A new descriptor: a placeholder of the kernel's, so that closing it by libc is harmless. NULL:
 * errno says why. */
struct sock *sock_new(struct sockets *t, u8 kind);

int sock_socket(struct sockets *t, int domain, int type, int protocol);
int sock_bind(struct sockets *t, struct sock *s, const struct sockaddr *addr, socklen_t len);
int sock_listen(struct sockets *t, struct sock *s, int backlog);
int sock_accept(struct sockets *t, struct sock *s, struct sockaddr *addr, socklen_t *len);
int sock_connect(struct sockets *t, struct sock *s, const struct sockaddr *addr, socklen_t len);
int sock_close(struct sockets *t, struct sock *s);
int sock_shutdown(struct sockets *t, struct sock *s, int how);

/* An address of ours in the form of its family. */
void sock_write_addr(const struct sock *s, const struct ip_addr *ip, u16 port,
                     struct sockaddr *addr, socklen_t *len);

/* sockdata.c */
/* Takes all unread bytes out of a connection that is about to go. */
void sock_stash(struct sockets *t, struct sock *s);
s64 sock_read(struct sockets *t, struct sock *s, const struct iovec *iov, u32 n, int flags);
s64 sock_write(struct sockets *t, struct sock *s, const struct iovec *iov, u32 n, int flags);
/* POLL bits that hold now. */
u32 sock_poll(struct sockets *t, struct sock *s);
int sock_ioctl(struct sockets *t, struct sock *s, unsigned long request, int *arg);
int sock_splice(struct sockets *t, struct sock *in, struct sock *out, size_t len);

/* sockopt.c */
int sock_getsockopt(struct sockets *t, struct sock *s, int level, int name, void *value,
                    socklen_t *len);
int sock_setsockopt(struct sockets *t, struct sock *s, int level, int name, const void *value,
                    socklen_t len);
/* tcpinfo.c: struct tcp_info, 0 or negative errno. */
int sock_tcp_info(struct sockets *t, struct sock *s, void *value, socklen_t *len);

/* epoll.c */
int sock_epoll_create(struct sockets *t, int size);
int sock_epoll_ctl(struct sockets *t, struct sock *ep, int op, int fd, struct epoll_event *event);
int sock_epoll_wait(struct sockets *t, struct sock *ep, struct epoll_event *events, int max);
int sock_pipe_create(struct sockets *t, int fds[2]);
void sock_epoll_forget(struct sockets *t, struct sock *s);

#endif

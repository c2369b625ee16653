/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The names that scripts use for numbers. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "packetdrill/script.h"

#define SYMBOL(name)        \
	{                   \
#name, name \
	}

static const struct symbol {
	const char *name;
	s64 value;
} symbols[] = {
	SYMBOL(AF_INET),          SYMBOL(AF_INET6),         SYMBOL(PF_INET),
	SYMBOL(PF_INET6),         SYMBOL(SOCK_STREAM),      SYMBOL(SOCK_DGRAM),
	SYMBOL(SOCK_NONBLOCK),    SYMBOL(SOCK_CLOEXEC),     SYMBOL(IPPROTO_TCP),
	SYMBOL(IPPROTO_IP),       SYMBOL(IPPROTO_IPV6),     SYMBOL(IPPROTO_UDP),
	{"SOL_TCP", IPPROTO_TCP}, {"SOL_IP", IPPROTO_IP},   {"SOL_IPV6", IPPROTO_IPV6},
	SYMBOL(SOL_SOCKET),       SYMBOL(SO_REUSEADDR),     SYMBOL(SO_REUSEPORT),
	SYMBOL(SO_KEEPALIVE),     SYMBOL(SO_LINGER),        SYMBOL(SO_ERROR),
	SYMBOL(SO_RCVBUF),        SYMBOL(SO_SNDBUF),        SYMBOL(SO_TYPE),
	SYMBOL(SO_DOMAIN),        SYMBOL(SO_PROTOCOL),      SYMBOL(SO_ACCEPTCONN),
	SYMBOL(SO_PRIORITY),      SYMBOL(SO_RCVLOWAT),      SYMBOL(SO_OOBINLINE),
	SYMBOL(SO_MARK),          SYMBOL(SO_ZEROCOPY),      SYMBOL(TCP_NODELAY),
	SYMBOL(TCP_CORK),         SYMBOL(TCP_MAXSEG),       SYMBOL(TCP_KEEPIDLE),
	SYMBOL(TCP_KEEPINTVL),    SYMBOL(TCP_KEEPCNT),      SYMBOL(TCP_SYNCNT),
	SYMBOL(TCP_LINGER2),      SYMBOL(TCP_DEFER_ACCEPT), SYMBOL(TCP_WINDOW_CLAMP),
	SYMBOL(TCP_INFO),         SYMBOL(TCP_QUICKACK),     SYMBOL(TCP_CONGESTION),
	SYMBOL(TCP_USER_TIMEOUT), SYMBOL(TCP_FASTOPEN),     SYMBOL(TCP_NOTSENT_LOWAT),
	SYMBOL(TCP_INQ),          SYMBOL(TCP_CC_INFO),      SYMBOL(IP_TOS),
	SYMBOL(IP_TTL),           SYMBOL(IP_MTU),           SYMBOL(IP_MTU_DISCOVER),
	SYMBOL(IP_RECVERR),       SYMBOL(IPV6_TCLASS),      SYMBOL(IPV6_UNICAST_HOPS),
	SYMBOL(F_GETFL),          SYMBOL(F_SETFL),          SYMBOL(F_GETFD),
	SYMBOL(F_SETFD),          SYMBOL(O_RDWR),           SYMBOL(O_RDONLY),
	SYMBOL(O_WRONLY),         SYMBOL(O_NONBLOCK),       SYMBOL(POLLIN),
	SYMBOL(POLLOUT),          SYMBOL(POLLPRI),          SYMBOL(POLLERR),
	SYMBOL(POLLHUP),          SYMBOL(POLLRDHUP),        SYMBOL(POLLNVAL),
	SYMBOL(POLLRDNORM),       SYMBOL(POLLWRNORM),       SYMBOL(EPOLLIN),
	SYMBOL(EPOLLOUT),         SYMBOL(EPOLLERR),         SYMBOL(EPOLLHUP),
	SYMBOL(EPOLLRDHUP),       SYMBOL(EPOLLET),          SYMBOL(EPOLLONESHOT),
	SYMBOL(EPOLL_CTL_ADD),    SYMBOL(EPOLL_CTL_MOD),    SYMBOL(EPOLL_CTL_DEL),
	SYMBOL(MSG_PEEK),         SYMBOL(MSG_DONTWAIT),     SYMBOL(MSG_MORE),
	SYMBOL(MSG_OOB),          SYMBOL(MSG_NOSIGNAL),     SYMBOL(MSG_WAITALL),
	SYMBOL(MSG_ERRQUEUE),     SYMBOL(MSG_FASTOPEN),     SYMBOL(MSG_ZEROCOPY),
	SYMBOL(SHUT_RD),          SYMBOL(SHUT_WR),          SYMBOL(SHUT_RDWR),
	SYMBOL(SIOCINQ),          SYMBOL(SIOCOUTQ),         SYMBOL(SIOCOUTQNSD),
	SYMBOL(FIONREAD),         SYMBOL(INADDR_ANY),       {"NULL", 0},
};

static const struct symbol errors[] = {
	SYMBOL(EAGAIN),        {"EWOULDBLOCK", EAGAIN}, SYMBOL(EINPROGRESS),
	SYMBOL(EALREADY),      SYMBOL(EISCONN),         SYMBOL(ENOTCONN),
	SYMBOL(ECONNREFUSED),  SYMBOL(ECONNRESET),      SYMBOL(ECONNABORTED),
	SYMBOL(ETIMEDOUT),     SYMBOL(EPIPE),           SYMBOL(EINVAL),
	SYMBOL(EBADF),         SYMBOL(ENOPROTOOPT),     SYMBOL(EADDRINUSE),
	SYMBOL(EADDRNOTAVAIL), SYMBOL(ENETUNREACH),     SYMBOL(EHOSTUNREACH),
	SYMBOL(EAFNOSUPPORT),  SYMBOL(EPROTONOSUPPORT), SYMBOL(EOPNOTSUPP),
	SYMBOL(EMSGSIZE),      SYMBOL(ENOENT),          SYMBOL(EEXIST),
	SYMBOL(EACCES),        SYMBOL(EPERM),           SYMBOL(ENOTTY),
	SYMBOL(EPROTO),        SYMBOL(EINTR),           SYMBOL(ENOBUFS),
	SYMBOL(ENOMEM),        SYMBOL(EHOSTDOWN),       SYMBOL(ENETDOWN),
	SYMBOL(EMFILE),        SYMBOL(ESPIPE),
};

bool symbol_value(const char *name, s64 *ret)
{
	for (u32 i = 0; i < ARRAY_SIZE(symbols); i++) {
		if (!strcmp(symbols[i].name, name)) {
			*ret = symbols[i].value;
			return true;
		}
	}
	return false;
}

int symbol_errno(const char *name)
{
	for (u32 i = 0; i < ARRAY_SIZE(errors); i++) {
		if (!strcmp(errors[i].name, name))
			return (int)errors[i].value;
	}
	return -1;
}

const char *symbol_errno_name(int error)
{
	for (u32 i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i].value == error)
			return errors[i].name;
	}
	return strerror(error);
}

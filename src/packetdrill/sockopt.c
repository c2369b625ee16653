/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Socket options: most are one field of the connection's settings. */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>

#include "packetdrill/socket.h"

enum {
	MEMINFO_BYTES = 36, /* SO_MEMINFO */
	MAXSEG_MIN = 88,    /* TCP_MIN_MSS of Linux */
	MAXSEG_MAX = 32767,
	BUF_MIN = 2304, /* SOCK_MIN_RCVBUF of Linux */
};

#define FIELD(m) offsetof(struct tcp_cached, m), sizeof(((struct tcp_cached *)0)->m)

/* Options that are a field of the settings: value * unit = field. */
static const struct setting {
	int level, name;
	size_t off, size;
	u64 unit;
	u32 min, max;
} setting_table[] = {
	{IPPROTO_TCP, TCP_NODELAY, FIELD(nodelay), 1, 0, 1},
	{IPPROTO_TCP, TCP_CORK, FIELD(cork), 1, 0, 1},
	{SOL_SOCKET, SO_KEEPALIVE, FIELD(keepalive), 1, 0, 1},
	{SOL_SOCKET, SO_PRIORITY, FIELD(priority), 1, 0, 6},
	{IPPROTO_TCP, TCP_KEEPCNT, FIELD(keepalive_probes), 1, 1, 127},
	{IPPROTO_TCP, TCP_KEEPIDLE, FIELD(keepalive_idle_ns), NS_PER_S, 1, 32767},
	{IPPROTO_TCP, TCP_KEEPINTVL, FIELD(keepalive_interval_ns), NS_PER_S, 1, 32767},
	{IPPROTO_TCP, TCP_USER_TIMEOUT, FIELD(user_timeout_ns), NS_PER_MS, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_LINGER2, FIELD(fin_wait2_ns), NS_PER_S, 0, 120},
	{IPPROTO_IP, IP_TOS, FIELD(tos), 1, 0, 255},
	{IPPROTO_IPV6, IPV6_TCLASS, FIELD(tos), 1, 0, 255},
	{IPPROTO_IP, IP_TTL, FIELD(hop_limit), 1, 1, 255},
	{IPPROTO_IPV6, IPV6_UNICAST_HOPS, FIELD(hop_limit), 1, 1, 255},
	{SOL_SOCKET, SO_RCVBUF, FIELD(rcv_buf_bytes), 1, 0, INT32_MAX},
	{SOL_SOCKET, SO_SNDBUF, FIELD(snd_buf_bytes), 1, 0, INT32_MAX},
	{IPPROTO_TCP, TCP_MAXSEG, FIELD(effective_mss), 1, MAXSEG_MIN, MAXSEG_MAX},
};

static const char *const cc_names[TCP_CC_ALGORITHMS] = {
	[TCP_CC_NEWRENO] = "reno", [TCP_CC_CUBIC] = "cubic", [TCP_CC_BBR] = "bbr"};

static const struct setting *find_setting(int level, int name)
{
	for (u32 i = 0; i < ARRAY_SIZE(setting_table); i++) {
		if (setting_table[i].level == level && setting_table[i].name == name)
			return &setting_table[i];
	}
	return NULL;
}

static u64 get_field(const struct tcp_cached *c, const struct setting *f)
{
	u64 v = 0;

	memcpy(&v, (const u8 *)c + f->off, f->size); /* little endian, as everything here */
	return v / f->unit;
}

static void set_field(struct tcp_cached *c, const struct setting *f, u64 value)
{
	u64 v = value * f->unit;

	memcpy((u8 *)c + f->off, &v, f->size);
}

static int put_int(int v, void *value, socklen_t *len)
{
	*len = min_of(*len, (socklen_t)sizeof(v));
	memcpy(value, &v, *len);
	return 0;
}

static void apply(struct sockets *t, struct sock *s)
{
	if (s->kind != SOCK_CONN)
		return;
	stack_settings(&t->stack, s->soft, s->host, &s->settings);
	stack_turn(&t->stack);
}

/* -- get --------------------------------------------------------------------------------------- */

static int get_mss(struct sockets *t, struct sock *s, void *value, socklen_t *len)
{
	struct tcp_info info;
	socklen_t n = sizeof(info);

	if (s->kind != SOCK_CONN)
		return put_int(s->settings.effective_mss ? (int)s->settings.effective_mss : 536,
		               value, len);
	sock_tcp_info(t, s, &info, &n);
	return put_int((int)info.tcpi_snd_mss, value, len);
}

static int get_tcp(struct sockets *t, struct sock *s, int name, void *value, socklen_t *len)
{
	const char *cc;

	switch (name) {
	case TCP_INFO:
		return sock_tcp_info(t, s, value, len);
	case TCP_CC_INFO:
		*len = 0;
		return 0;
	case TCP_CONGESTION:
		cc = cc_names[s->settings.cc_algorithm];
		*len = min_of(*len, (socklen_t)strlen(cc) + 1);
		memcpy(value, cc, *len);
		return 0;
	case TCP_MAXSEG:
		return get_mss(t, s, value, len);
	default:
		return -ENOPROTOOPT;
	}
}

static int get_socket(struct sock *s, int name, void *value, socklen_t *len)
{
	struct linger linger = {s->linger, (int)s->linger_s};
	int error = s->error;

	switch (name) {
	case SO_ERROR:
		s->error = 0;
		return put_int(error, value, len);
	case SO_TYPE:
		return put_int(SOCK_STREAM, value, len);
	case SO_DOMAIN:
		return put_int(s->domain, value, len);
	case SO_PROTOCOL:
		return put_int(IPPROTO_TCP, value, len);
	case SO_ACCEPTCONN:
		return put_int(s->kind == SOCK_LISTEN, value, len);
	case SO_REUSEADDR:
		return put_int(s->reuse_addr, value, len);
	case SO_LINGER:
		*len = min_of(*len, (socklen_t)sizeof(linger));
		memcpy(value, &linger, *len);
		return 0;
	case SO_MEMINFO:
		*len = min_of(*len, (socklen_t)MEMINFO_BYTES);
		memset(value, 0, *len);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

int sock_getsockopt(struct sockets *t, struct sock *s, int level, int name, void *value,
                    socklen_t *len)
{
	const struct setting *f = find_setting(level, name);

	if (f && name != TCP_MAXSEG)
		return put_int((int)get_field(&s->settings, f), value, len);
	if (level == SOL_SOCKET)
		return get_socket(s, name, value, len);
	if (level == IPPROTO_TCP)
		return get_tcp(t, s, name, value, len);
	if (level == IPPROTO_IP && name == IP_MTU)
		return s->kind == SOCK_CONN ? put_int((int)t->stack.config.mtu, value, len)
		                            : -ENOTCONN;
	return -ENOPROTOOPT;
}

/* -- set --------------------------------------------------------------------------------------- */

static int set_congestion(struct sock *s, const char *value, socklen_t len)
{
	char name[16] = {0};

	memcpy(name, value, min_of(len, (socklen_t)sizeof(name) - 1));
	for (u32 i = 0; i < TCP_CC_ALGORITHMS; i++) {
		if (!strcmp(name, cc_names[i])) {
			s->settings.cc_algorithm = (u8)i;
			return 0;
		}
	}
	return -ENOENT;
}

static int set_linger(struct sock *s, const void *value, socklen_t len)
{
	struct linger l;

	if (len < sizeof(l))
		return -EINVAL;
	memcpy(&l, value, sizeof(l));
	s->linger = l.l_onoff;
	s->linger_s = (u32)l.l_linger;
	return 0;
}

static int set_setting(struct sock *s, const struct setting *f, int v)
{
	/* Linux doubles what it is given, for its own overhead; ours is not in the buffer. */
	bool buffer = f->level == SOL_SOCKET && (f->name == SO_RCVBUF || f->name == SO_SNDBUF);

	if (f->max == 1)
		v = !!v;
	if (buffer)
		v = max_of(v, (int)BUF_MIN);
	if (v < (int)f->min || (f->max < INT32_MAX && v > (int)f->max))
		return -EINVAL;
	set_field(&s->settings, f, (u64)v);
	return 0;
}

int sock_setsockopt(struct sockets *t, struct sock *s, int level, int name, const void *value,
                    socklen_t len)
{
	const struct setting *f = find_setting(level, name);
	int v, err = 0;

	if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
		err = set_congestion(s, value, len);
		if (!err)
			apply(t, s);
		return err;
	}
	if (level == SOL_SOCKET && name == SO_LINGER)
		return set_linger(s, value, len);
	if (len < sizeof(v))
		return -EINVAL;
	memcpy(&v, value, sizeof(v));
	if (level == SOL_SOCKET && (name == SO_REUSEADDR || name == SO_REUSEPORT)) {
		s->reuse_addr = v;
		return 0;
	}
	if (!f)
		return -ENOPROTOOPT;
	err = set_setting(s, f, v);
	if (!err)
		apply(t, s);
	return err;
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/nat.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

enum { REPLY_BYTES = 8192 };

/* One direction of a connection as the kernel tracks it. */
struct tuple {
	u8 src[16], dst[16]; /* IPv4 in the last four bytes */
	be16 sport, dport;
};

void nat_init(struct nat *nat)
{
	nat->netlink = NULL;
}

void nat_finish(struct nat *nat)
{
	if (nat->netlink)
		mnl_socket_close(nat->netlink);
	nat->netlink = NULL;
}

bool nat_tracking(void)
{
	char text[16] = {0};
	int fd = open("/proc/sys/net/netfilter/nf_conntrack_count", O_RDONLY | O_CLOEXEC);
	bool some;

	if (fd < 0)
		return false;
	some = read(fd, text, sizeof(text) - 1) > 0 && atoi(text) > 0;
	close(fd);
	return some;
}

static void put_tuple(struct nlmsghdr *h, const struct sock_export *e, bool v4)
{
	struct nlattr *tuple = mnl_attr_nest_start(h, CTA_TUPLE_ORIG), *part;

	part = mnl_attr_nest_start(h, CTA_TUPLE_IP);
	if (v4) {
		mnl_attr_put(h, CTA_IP_V4_SRC, 4, e->local + 12);
		mnl_attr_put(h, CTA_IP_V4_DST, 4, e->remote + 12);
	} else {
		mnl_attr_put(h, CTA_IP_V6_SRC, 16, e->local);
		mnl_attr_put(h, CTA_IP_V6_DST, 16, e->remote);
	}
	mnl_attr_nest_end(h, part);
	part = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(h, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, cpu_to_be16(e->local_port));
	mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, cpu_to_be16(e->remote_port));
	mnl_attr_nest_end(h, part);
	mnl_attr_nest_end(h, tuple);
}

static void get_part(const struct nlattr *nest, struct tuple *t, bool ip)
{
	const struct nlattr *a;

	mnl_attr_for_each_nested(a, nest)
	{
		u16 type = mnl_attr_get_type(a), len = mnl_attr_get_payload_len(a);
		const void *p = mnl_attr_get_payload(a);

		if (ip && (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC) && len <= 16)
			memcpy(t->src + 16 - len, p, len);
		else if (ip && (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST) && len <= 16)
			memcpy(t->dst + 16 - len, p, len);
		else if (!ip && type == CTA_PROTO_SRC_PORT && len == 2)
			memcpy(&t->sport, p, 2);
		else if (!ip && type == CTA_PROTO_DST_PORT && len == 2)
			memcpy(&t->dport, p, 2);
	}
}

static void get_tuple(const struct nlattr *nest, struct tuple *t)
{
	const struct nlattr *a;

	memset(t, 0, sizeof(*t));
	mnl_attr_for_each_nested(a, nest)
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
			get_part(a, t, true);
		else if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
			get_part(a, t, false);
	}
}

static int entry(const struct nlmsghdr *h, void *arg)
{
	struct tuple there = {0}, back = {0};
	const struct nlattr *a;
	bool *translated = arg;

	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG)
			get_tuple(a, &there);
		else if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY)
			get_tuple(a, &back);
	}
	*translated = memcmp(there.src, back.dst, 16) || memcmp(there.dst, back.src, 16) ||
	              there.sport != back.dport || there.dport != back.sport;
	return MNL_CB_STOP;
}

bool nat_applies(struct nat *nat, const struct sock_export *e)
{
	bool v4 = memcmp(e->local, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0, translated = false;
	char buf[REPLY_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nf;
	ssize_t n;

	h->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	h->nlmsg_flags = NLM_F_REQUEST;
	nf = mnl_nlmsg_put_extra_header(h, sizeof(*nf));
	nf->nfgen_family = v4 ? AF_INET : AF_INET6;
	put_tuple(h, e, v4);
	if (!nat->netlink) {
		nat->netlink = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
		if (!nat->netlink || mnl_socket_bind(nat->netlink, 0, MNL_SOCKET_AUTOPID) < 0) {
			nat_finish(nat);
			return false; /* no ctnetlink: then nobody tracks by it either */
		}
	}
	if (mnl_socket_sendto(nat->netlink, h, h->nlmsg_len) < 0)
		return false;
	n = mnl_socket_recvfrom(nat->netlink, buf, sizeof(buf));
	if (n > 0)
		(void)mnl_cb_run(buf, (size_t)n, 0, 0, entry, &translated);
	return translated;
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/rtnl.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#ifndef RTM_F_FIB_MATCH
#define RTM_F_FIB_MATCH 0x2000
#endif
#ifndef NTF_EXT_MANAGED
#define NTF_EXT_MANAGED (1 << 0)
#define NDA_FLAGS_EXT   15
#endif

enum { REPLY_BYTES = 32768 };

static u32 next_seq(void)
{
	static u32 seq;

	return __atomic_add_fetch(&seq, 1, __ATOMIC_RELAXED);
}

int rtnl_open(u64 groups, int rcvbuf, struct mnl_socket **ret_socket)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int err = 0;

	if (!s)
		return -errno;
	if (rcvbuf)
		(void)setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &rcvbuf,
		                 sizeof(rcvbuf));
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0)
		err = -errno;
	for (int g = 1; !err && g < 64; g++)
		if ((groups >> g & 1) &&
		    mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &g, sizeof(g)) < 0)
			err = -errno;
	if (err)
		mnl_socket_close(s);
	else
		*ret_socket = s;
	return err;
}

static int talk(struct mnl_socket *s, struct nlmsghdr *h, mnl_cb_t cb, void *arg)
{
	char buf[REPLY_BYTES];
	u32 seq = next_seq(), port = mnl_socket_get_portid(s);
	int n;

	h->nlmsg_seq = seq;
	if (mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return -errno;
	do {
		n = (int)mnl_socket_recvfrom(s, buf, sizeof(buf));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* A late answer to a request that was given up is not ours. */
		if (((struct nlmsghdr *)buf)->nlmsg_seq != seq)
			continue;
		n = mnl_cb_run(buf, (size_t)n, seq, port, cb, arg);
		if (n < 0)
			return -errno;
	} while (n > MNL_CB_STOP);
	return 0;
}

static void put_addr(struct nlmsghdr *h, u16 type, const struct ip_addr *a)
{
	if (ip_addr_is_v4(a))
		mnl_attr_put(h, type, 4, a->b + 12);
	else
		mnl_attr_put(h, type, 16, a->b);
}

static bool get_addr(const struct nlattr *attr, struct ip_addr *ret)
{
	static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	if (mnl_attr_get_payload_len(attr) == 4) {
		memcpy(ret->b, mapped, 12);
		memcpy(ret->b + 12, mnl_attr_get_payload(attr), 4);
		return true;
	}
	if (mnl_attr_get_payload_len(attr) != 16)
		return false;
	memcpy(ret->b, mnl_attr_get_payload(attr), 16);
	return true;
}

static void route_metrics(const struct nlattr *nest, struct route_answer *r)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		switch (mnl_attr_get_type(attr)) {
		case RTAX_MTU:
			r->mtu_bytes = mnl_attr_get_u32(attr);
			break;
		case RTAX_CWND:
		case RTAX_INITCWND:
		case RTAX_SSTHRESH:
			r->congestion = true;
			break;
		}
	}
}

/* RTA_VIA: a next hop of the other family. */
static void route_via(const struct nlattr *attr, struct route_answer *r)
{
	const struct rtvia *via = mnl_attr_get_payload(attr);

	if (mnl_attr_get_payload_len(attr) == sizeof(*via) + 16)
		memcpy(r->next_hop.b, via->rtvia_addr, 16);
}

static int route_cb(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rt = mnl_nlmsg_get_payload(h);
	struct route_answer *r = arg;
	const struct nlattr *attr;

	if (h->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	r->type = rt->rtm_type;
	mnl_attr_for_each(attr, h, sizeof(*rt))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF:
			r->ifindex = mnl_attr_get_u32(attr);
			break;
		case RTA_GATEWAY:
			get_addr(attr, &r->next_hop);
			break;
		case RTA_VIA:
			route_via(attr, r);
			break;
		case RTA_METRICS:
			route_metrics(attr, r);
			break;
		case RTA_MULTIPATH:
			r->multipath = true;
			break;
		}
	}
	return MNL_CB_STOP;
}

static struct nlmsghdr *route_request(char *buf, const struct path_key *key, u16 local_port,
                                      u16 remote_port)
{
	bool v4 = ip_addr_is_v4(&key->remote);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rt;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	rt = mnl_nlmsg_put_extra_header(h, sizeof(*rt));
	rt->rtm_family = v4 ? AF_INET : AF_INET6;
	rt->rtm_dst_len = v4 ? 32 : 128;
	rt->rtm_src_len = v4 ? 32 : 128;
	rt->rtm_tos = key->tos & 0x1e;
	put_addr(h, RTA_DST, &key->remote);
	put_addr(h, RTA_SRC, &key->local);
	if (key->ifindex)
		mnl_attr_put_u32(h, RTA_OIF, key->ifindex);
	if (key->mark)
		mnl_attr_put_u32(h, RTA_MARK, key->mark);
	mnl_attr_put_u32(h, RTA_UID, key->uid);
	if (key->hash) {
		mnl_attr_put_u8(h, RTA_IP_PROTO, 6);
		mnl_attr_put_u16(h, RTA_SPORT, cpu_to_be16(local_port));
		mnl_attr_put_u16(h, RTA_DPORT, cpu_to_be16(remote_port));
	}
	return h;
}

int rtnl_route(struct mnl_socket *s, const struct path_key *key, u16 local_port, u16 remote_port,
               struct route_answer *ret)
{
	struct route_answer entry = {0};
	char buf[512];
	struct nlmsghdr *h = route_request(buf, key, local_port, remote_port);
	int err;

	*ret = (struct route_answer){.next_hop = key->remote};
	err = talk(s, h, route_cb, ret);
	if (err || key->hash)
		return err;
	/* The entry of the table itself tells whether there are several next hops. */
	h = route_request(buf, key, 0, 0);
	((struct rtmsg *)mnl_nlmsg_get_payload(h))->rtm_flags = RTM_F_FIB_MATCH;
	if (talk(s, h, route_cb, &entry) == 0)
		ret->multipath = entry.multipath;
	return 0;
}

bool rtnl_parse_neighbor(const struct nlmsghdr *h, struct neighbor_answer *ret)
{
	const struct ndmsg *nd = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr;
	bool found = false;

	memset(ret, 0, sizeof(*ret));
	if (nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6)
		return false;
	ret->ifindex = (u32)nd->ndm_ifindex;
	ret->nud = nd->ndm_state;
	ret->gone = h->nlmsg_type == RTM_DELNEIGH;
	mnl_attr_for_each(attr, h, sizeof(*nd))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			found = get_addr(attr, &ret->next_hop);
		if (mnl_attr_get_type(attr) == NDA_LLADDR && mnl_attr_get_payload_len(attr) == 6) {
			memcpy(ret->mac.b, mnl_attr_get_payload(attr), 6);
			ret->has_mac = true;
		}
		if (mnl_attr_get_type(attr) == NDA_FLAGS_EXT)
			ret->managed = (mnl_attr_get_u32(attr) & NTF_EXT_MANAGED) != 0;
	}
	return found;
}

static int neighbor_cb(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == RTM_NEWNEIGH)
		rtnl_parse_neighbor(h, arg);
	return MNL_CB_OK;
}

static struct nlmsghdr *neighbor_request(char *buf, u16 type, u16 flags,
                                         const struct ip_addr *next_hop, u32 ifindex)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ndmsg *nd;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	nd = mnl_nlmsg_put_extra_header(h, sizeof(*nd));
	nd->ndm_family = ip_addr_is_v4(next_hop) ? AF_INET : AF_INET6;
	nd->ndm_ifindex = (int)ifindex;
	put_addr(h, NDA_DST, next_hop);
	return h;
}

int rtnl_neighbor(struct mnl_socket *s, const struct ip_addr *next_hop, u32 ifindex,
                  struct neighbor_answer *ret)
{
	char buf[256];
	struct nlmsghdr *h = neighbor_request(buf, RTM_GETNEIGH, 0, next_hop, ifindex);

	memset(ret, 0, sizeof(*ret));
	return talk(s, h, neighbor_cb, ret);
}

int rtnl_manage_neighbor(struct mnl_socket *s, const struct ip_addr *next_hop, u32 ifindex, bool on)
{
	char buf[256];
	struct nlmsghdr *h = neighbor_request(buf, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
	                                      next_hop, ifindex);

	((struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_flags = NTF_USE;
	if (on)
		mnl_attr_put_u32(h, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return talk(s, h, NULL, NULL);
}

int rtnl_confirm_neighbor(struct mnl_socket *s, const struct neighbor_answer *n)
{
	char buf[256];
	struct nlmsghdr *h =
		neighbor_request(buf, RTM_NEWNEIGH, NLM_F_REPLACE, &n->next_hop, n->ifindex);
	int err;

	((struct ndmsg *)mnl_nlmsg_get_payload(h))->ndm_state = NUD_REACHABLE;
	mnl_attr_put(h, NDA_LLADDR, 6, n->mac.b);
	err = talk(s, h, NULL, NULL);
	return err ? err : rtnl_manage_neighbor(s, &n->next_hop, n->ifindex, true);
}

struct dump {
	void (*each)(void *arg, const struct neighbor_answer *n);
	void *arg;
};

static int dump_cb(const struct nlmsghdr *h, void *arg)
{
	struct neighbor_answer n;
	struct dump *d = arg;

	if (h->nlmsg_type == RTM_NEWNEIGH && rtnl_parse_neighbor(h, &n))
		d->each(d->arg, &n);
	return MNL_CB_OK;
}

int rtnl_dump_neighbors(struct mnl_socket *s,
                        void (*each)(void *arg, const struct neighbor_answer *n), void *arg)
{
	char buf[128];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct dump d = {each, arg};

	h->nlmsg_type = RTM_GETNEIGH;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	((struct ndmsg *)mnl_nlmsg_put_extra_header(h, sizeof(struct ndmsg)))->ndm_family =
		AF_UNSPEC;
	return talk(s, h, dump_cb, &d);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/link.h"

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

enum { LINK_BUFFER_BYTES = 32768 };

int link_open(void)
{
	struct sockaddr_nl local = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err;

	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&local, sizeof(local)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static struct nlmsghdr *request(void *buf, u16 type, u16 flags, u32 ifindex)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info;

	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	info = mnl_nlmsg_put_extra_header(h, sizeof(*info));
	info->ifi_index = (int)ifindex;
	return h;
}

/* Sends the request and waits for its answer: the message, or an acknowledgement (NULL). */
static int converse(int fd, struct nlmsghdr *h, void *buf, const struct nlmsghdr **ret_answer)
{
	const struct nlmsgerr *e;
	ssize_t n;

	if (send(fd, h, h->nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, buf, LINK_BUFFER_BYTES, 0);
	if (n < 0)
		return -errno;
	h = buf;
	if (!mnl_nlmsg_ok(h, (int)n))
		return -EPROTO;
	if (ret_answer)
		*ret_answer = h;
	if (h->nlmsg_type != NLMSG_ERROR)
		return 0;
	e = mnl_nlmsg_get_payload(h);
	return e->error;
}

static int facts_attribute(const struct nlattr *a, void *data)
{
	struct link_facts *facts = data;
	struct rtnl_link_stats64 stats;

	switch (mnl_attr_get_type(a)) {
	case IFLA_MTU:
		facts->mtu_bytes = mnl_attr_get_u32(a);
		break;
	case IFLA_ADDRESS:
		if (mnl_attr_get_payload_len(a) == sizeof(facts->mac))
			memcpy(&facts->mac, mnl_attr_get_payload(a), sizeof(facts->mac));
		break;
	case IFLA_STATS64:
		memset(&stats, 0, sizeof(stats));
		memcpy(&stats, mnl_attr_get_payload(a),
		       min_of(sizeof(stats), (size_t)mnl_attr_get_payload_len(a)));
		facts->tx_dropped = stats.tx_dropped;
		facts->rx_dropped = stats.rx_dropped;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

int link_facts(int netlink_fd, u32 ifindex, struct link_facts *ret)
{
	u8 out[256] ALIGNED(8), in[LINK_BUFFER_BYTES] ALIGNED(8);
	const struct nlmsghdr *answer;
	int err = converse(netlink_fd, request(out, RTM_GETLINK, 0, ifindex), in, &answer);

	if (err)
		return err;
	*ret = (struct link_facts){0};
	mnl_attr_parse(answer, sizeof(struct ifinfomsg), facts_attribute, ret);
	return 0;
}

int link_bring_up(int netlink_fd, u32 ifindex, u32 queue_frames)
{
	u8 out[256] ALIGNED(8), in[LINK_BUFFER_BYTES] ALIGNED(8);
	struct nlmsghdr *h = request(out, RTM_SETLINK, NLM_F_ACK, ifindex);
	struct nlattr *spec, *inet6;
	struct ifinfomsg *info;
	int err;

	mnl_attr_put_u32(h, IFLA_TXQLEN, queue_frames);
	err = converse(netlink_fd, h, in, NULL);
	if (err)
		return err;
	/* Before it is up, or an address is made. A kernel without IPv6 refuses, rightly. */
	h = request(out, RTM_SETLINK, NLM_F_ACK, ifindex);
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	err = converse(netlink_fd, h, in, NULL);
	if (err && err != -EAFNOSUPPORT && err != -EOPNOTSUPP)
		return err;
	h = request(out, RTM_SETLINK, NLM_F_ACK, ifindex);
	info = mnl_nlmsg_get_payload(h);
	info->ifi_flags = IFF_UP | IFF_NOARP;
	info->ifi_change = IFF_UP | IFF_NOARP;
	return converse(netlink_fd, h, in, NULL);
}

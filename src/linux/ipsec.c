// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/ipsec.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/xfrm.h>

enum { REPLY_BYTES = 32768 };

struct question {
	const struct sock_export *e;
	bool applies;
};

/* `prefix` bits of `rule` against an address that holds IPv4 mapped. */
static bool covers(const xfrm_address_t *rule, u32 prefix, u32 family, const u8 addr[16])
{
	const u8 *a = family == AF_INET ? addr + 12 : addr;
	const u8 *r = (const u8 *)rule;

	if (memcmp(r, a, prefix / 8) != 0)
		return false;
	return prefix % 8 == 0 || ((r[prefix / 8] ^ a[prefix / 8]) >> (8 - prefix % 8)) == 0;
}

static bool port_matches(u16 rule, u16 mask, u16 port)
{
	return ((rule ^ cpu_to_be16(port)) & mask) == 0;
}

/* `out`: the connection's local end is the selector's source. */
static bool selects(const struct xfrm_selector *s, const struct sock_export *e, bool out)
{
	bool v4 = memcmp(e->local, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
	u16 sport = out ? e->local_port : e->remote_port;
	u16 dport = out ? e->remote_port : e->local_port;

	if (s->family != (v4 ? AF_INET : AF_INET6) || (s->proto && s->proto != IPPROTO_TCP))
		return false;
	if (s->prefixlen_s > (v4 ? 32 : 128) || s->prefixlen_d > (v4 ? 32 : 128))
		return true;
	return covers(&s->saddr, s->prefixlen_s, s->family, out ? e->local : e->remote) &&
	       covers(&s->daddr, s->prefixlen_d, s->family, out ? e->remote : e->local) &&
	       port_matches(s->sport, s->sport_mask, sport) &&
	       port_matches(s->dport, s->dport_mask, dport);
}

static int policy(const struct nlmsghdr *h, void *arg)
{
	const struct xfrm_userpolicy_info *p = mnl_nlmsg_get_payload(h);
	struct question *q = arg;

	if (h->nlmsg_type != XFRM_MSG_NEWPOLICY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*p)))
		return MNL_CB_OK;
	if (p->dir <= XFRM_POLICY_OUT && selects(&p->sel, q->e, p->dir == XFRM_POLICY_OUT))
		q->applies = true;
	return MNL_CB_OK;
}

static bool dump(struct mnl_socket *s, struct question *q)
{
	char buf[REPLY_BYTES];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	int n = 1;

	h->nlmsg_type = XFRM_MSG_GETPOLICY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, sizeof(struct xfrm_userpolicy_id));
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(s, h, h->nlmsg_len) < 0)
		return false;
	while (n > MNL_CB_STOP) {
		ssize_t len = mnl_socket_recvfrom(s, buf, sizeof(buf));

		if (len <= 0)
			return false;
		n = mnl_cb_run(buf, (size_t)len, 0, 0, policy, q);
	}
	return n == MNL_CB_STOP;
}

bool ipsec_applies(const struct sock_export *e)
{
	struct question q = {.e = e};
	struct mnl_socket *s = mnl_socket_open2(NETLINK_XFRM, SOCK_CLOEXEC);
	bool read;

	if (!s)
		return true;
	read = dump(s, &q);
	mnl_socket_close(s);
	return !read || q.applies;
}

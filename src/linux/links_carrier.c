// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/links_carrier.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "linux/rtnl.h"

enum { RECEIVE_BUFFER = 1 << 20, MESSAGE_BYTES = 32768 };

struct carrier {
	struct mnl_socket *socket;
	carrier_fn fn;
	void *ctx;
	bool dumped; /* the answer to the last question is complete */
};

static int on_message(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(h);
	struct carrier *c = arg;

	/* IFF_LOWER_UP is the carrier itself; IFF_RUNNING may come up to a second later. */
	if (h->nlmsg_type == RTM_NEWLINK)
		c->fn(c->ctx, (u32)ifi->ifi_index,
		      (ifi->ifi_flags & IFF_UP) && (ifi->ifi_flags & IFF_LOWER_UP));
	else if (h->nlmsg_type == RTM_DELLINK)
		c->fn(c->ctx, (u32)ifi->ifi_index, false);
	return MNL_CB_OK;
}

static int ask(struct carrier *c)
{
	char buf[MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct ifinfomsg))];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *ifi;

	h->nlmsg_type = RTM_GETLINK;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ifi = mnl_nlmsg_put_extra_header(h, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	c->dumped = false;
	return mnl_socket_sendto(c->socket, h, h->nlmsg_len) < 0 ? -errno : 0;
}

/* One datagram; -EAGAIN: there is none. */
static int take(struct carrier *c, int flags)
{
	u8 buf[MESSAGE_BYTES] ALIGNED(8);
	ssize_t n = recv(mnl_socket_get_fd(c->socket), buf, sizeof(buf), flags);

	if (n < 0 && errno == EINTR)
		return 0;
	if (n < 0 && errno == ENOBUFS)
		return ask(c);
	if (n < 0)
		return -errno;
	if (mnl_cb_run(buf, (size_t)n, 0, 0, on_message, c) == MNL_CB_STOP)
		c->dumped = true;
	return 0;
}

int carrier_open(struct carrier **ret, carrier_fn fn, void *ctx)
{
	struct carrier *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->fn = fn;
	c->ctx = ctx;
	err = rtnl_open(1ull << RTNLGRP_LINK, RECEIVE_BUFFER, &c->socket);
	if (err) {
		free(c);
		return err;
	}
	err = ask(c);
	while (!err && !c->dumped)
		err = take(c, 0);
	if (err) {
		carrier_close(c);
		return err;
	}
	*ret = c;
	return 0;
}

void carrier_close(struct carrier *c)
{
	mnl_socket_close(c->socket);
	free(c);
}

int carrier_fd(const struct carrier *c)
{
	return mnl_socket_get_fd(c->socket);
}

void carrier_serve(struct carrier *c)
{
	while (take(c, MSG_DONTWAIT) == 0)
		;
}

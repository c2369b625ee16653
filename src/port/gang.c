/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/gang.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct gang {
	struct port port;
	int epoll_fd;
	u32 n;
	u32 next; /* whose turn it is: nobody starves behind a busy queue */
	struct port *members[PORT_GANG_MAX];
};

static int gang_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct gang *g = (struct gang *)port;
	u32 done = 0;

	for (u32 i = 0; i < g->n && done < n; i++) {
		struct port *m = g->members[g->next];
		int k = m->ops->receive(m, frames + done, n - done);

		if (k < 0)
			return done ? (int)done : k;
		done += (u32)k;
		g->next = g->next + 1 < g->n ? g->next + 1 : 0;
	}
	return (int)done;
}

static int gang_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct gang *g = (struct gang *)port;

	return g->members[0]->ops->transmit(g->members[0], frames, n);
}

static void gang_info(const struct port *port, struct port_info *ret)
{
	const struct gang *g = (const struct gang *)port;

	g->members[0]->ops->info(g->members[0], ret);
	ret->fd = g->epoll_fd;
}

static void gang_counters(const struct port *port, struct port_counters *ret)
{
	const struct gang *g = (const struct gang *)port;

	*ret = (struct port_counters){0};
	for (u32 i = 0; i < g->n; i++) {
		struct port_counters c;

		g->members[i]->ops->counters(g->members[i], &c);
		ret->rx_frames += c.rx_frames;
		ret->rx_bytes += c.rx_bytes;
		ret->rx_no_buffer += c.rx_no_buffer;
		ret->rx_bad += c.rx_bad;
		ret->rx_queue_drops += c.rx_queue_drops;
		ret->tx_frames += c.tx_frames;
		ret->tx_bytes += c.tx_bytes;
		ret->tx_busy += c.tx_busy;
		ret->tx_failed += c.tx_failed;
	}
}

static void gang_destroy(struct port *port)
{
	struct gang *g = (struct gang *)port;

	/* The first one attached the program: last. */
	for (u32 i = g->n; i-- > 0;)
		g->members[i]->ops->destroy(g->members[i]);
	close(g->epoll_fd);
	free(g);
}

static const struct port_ops gang_ops = {
	.receive = gang_receive,
	.transmit = gang_transmit,
	.info = gang_info,
	.counters = gang_counters,
	.destroy = gang_destroy,
};

static int watch(struct gang *g, struct port *member)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct port_info info;

	member->ops->info(member, &info);
	if (info.fd < 0)
		return 0;
	return epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, info.fd, &ev) ? -errno : 0;
}

int port_gang_create(struct port *const *ports, u32 n, struct port **ret_port)
{
	struct gang *g;
	int err = 0;

	if (!n || n > PORT_GANG_MAX)
		return -EINVAL;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->port.ops = &gang_ops;
	g->n = n;
	g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (g->epoll_fd < 0)
		err = -errno;
	for (u32 i = 0; i < n && !err; i++) {
		g->members[i] = ports[i];
		err = watch(g, ports[i]);
	}
	if (err) {
		if (g->epoll_fd >= 0)
			close(g->epoll_fd);
		free(g);
		return err;
	}
	*ret_port = &g->port;
	return 0;
}

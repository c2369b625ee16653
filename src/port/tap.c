/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making a port in TAP mode. */
#include "port/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "port/link.h"
#include "port/tap_internal.h"

enum {
	QUEUE_FRAMES = 4096,
	/* An IP packet has at most 65,535 bytes: 20 of IPv4 and 60 of TCP are not payload. */
	GSO_MAX_BYTES = 65535 - 80,
};

static void tap_info(const struct port *port, struct port_info *ret)
{
	const struct tap_port *p = (const struct tap_port *)port;

	*ret = (struct port_info){
		.gso_max_bytes = GSO_MAX_BYTES,
		.tx_csum = true,
		.fd = p->rx.fd,
		.mtu_bytes = p->managed_mtu,
		.mode = "tap",
	};
}

static void tap_counters(const struct port *port, struct port_counters *ret)
{
	const struct tap_port *p = (const struct tap_port *)port;
	struct link_facts facts;

	*ret = p->counters;
	if (link_facts(p->netlink_fd, p->tap_ifindex, &facts) == 0)
		ret->rx_queue_drops = facts.tx_dropped;
}

static void tap_destroy(struct port *port)
{
	struct tap_port *p = (struct tap_port *)port;

	tap_rx_finish(&p->rx, p->pool);
	if (p->rx.fd >= 0)
		close(p->rx.fd);
	if (p->tx.fd >= 0)
		close(p->tx.fd);
	if (p->netlink_fd >= 0)
		close(p->netlink_fd);
	free(p);
}

static const struct port_ops tap_ops = {
	.receive = tap_receive,
	.transmit = tap_transmit,
	.info = tap_info,
	.counters = tap_counters,
	.destroy = tap_destroy,
};

static int open_tap(struct tap_port *p, const struct port_tap_config *config, const char **ret_step)
{
	struct ifreq ifr = {0};

	*ret_step = "/dev/net/tun";
	p->rx.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (p->rx.fd < 0)
		return -errno;
	*ret_step = "TUNSETIFF";
	strncpy(ifr.ifr_name, config->name ? config->name : "chimney%d", IFNAMSIZ - 1);
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(p->rx.fd, TUNSETIFF, &ifr))
		return -errno;
	memcpy(p->name, ifr.ifr_name, sizeof(p->name));
	*ret_step = "TUNSETOFFLOAD";
	if (ioctl(p->rx.fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN))
		return -errno;
	*ret_step = "if_nametoindex";
	p->tap_ifindex = if_nametoindex(p->name);
	return p->tap_ifindex ? 0 : -errno;
}

static int open_all(struct tap_port *p, const struct port_tap_config *config, const char **ret_step)
{
	u32 queue = config->queue_frames ? config->queue_frames : QUEUE_FRAMES;
	struct link_facts facts;
	int err;

	*ret_step = "netlink";
	p->netlink_fd = link_open();
	if (p->netlink_fd < 0)
		return p->netlink_fd;
	*ret_step = "managed interface";
	err = link_facts(p->netlink_fd, config->ifindex, &facts);
	if (err)
		return err;
	p->managed_mtu = facts.mtu_bytes;
	err = open_tap(p, config, ret_step);
	if (err)
		return err;
	*ret_step = "TAP up";
	err = link_bring_up(p->netlink_fd, p->tap_ifindex, queue);
	if (err)
		return err;
	*ret_step = "packet socket";
	return tap_tx_init(&p->tx, config->ifindex, config->mark);
}

int port_tap_create(const struct port_tap_config *config, struct port **ret_port,
                    const char **ret_step)
{
	struct tap_port *p = calloc(1, sizeof(*p));
	const char *step = "memory";
	int err = -ENOMEM;

	if (p) {
		p->port.ops = &tap_ops;
		p->pool = config->pool;
		p->ifindex = config->ifindex;
		p->netlink_fd = p->rx.fd = p->tx.fd = -1;
		tap_rx_init(&p->rx, !config->no_uring);
		err = open_all(p, config, &step);
	}
	if (ret_step)
		*ret_step = step;
	if (!err)
		*ret_port = &p->port;
	else if (p)
		tap_destroy(&p->port);
	return err;
}

u32 port_tap_ifindex(const struct port *port)
{
	return ((const struct tap_port *)port)->tap_ifindex;
}

const char *port_tap_name(const struct port *port)
{
	return ((const struct tap_port *)port)->name;
}

bool port_tap_batched(const struct port *port)
{
	return ((const struct tap_port *)port)->rx.batched;
}

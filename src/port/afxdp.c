/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making a port in XDP mode: which of the kernel's modes works. */
#include "port/afxdp.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>

#include "port/afxdp_internal.h"
#include "port/link.h"

enum {
	RING_FRAMES = 2048,
	BUSY_RETRIES = 100, /* a killed owner's queue is busy for some 100 ms */
	BUSY_WAIT_NS = 10 * 1000 * 1000,
	/* What a buffer holds behind the kernel's headroom, Ethernet and two VLAN tags. */
	MTU_MAX = BUF_SMALL_BYTES - 256 - 14 - 8,
	TEST_FRAME_BYTES = 60,
	TEST_ROUNDS = 100,
	TEST_WAIT_NS = 1000 * 1000,
};

static void afxdp_info(const struct port *port, struct port_info *ret)
{
	const struct afxdp_port *p = (const struct afxdp_port *)port;

	*ret = (struct port_info){
		.rx_trusted = p->rx_trusted,
		.fd = p->fd,
		.mtu_bytes = p->mtu_bytes,
		.mode = p->native ? "xdp-native" : "xdp-generic",
	};
}

static void afxdp_counters(const struct port *port, struct port_counters *ret)
{
	const struct afxdp_port *p = (const struct afxdp_port *)port;
	struct xdp_statistics s = {0};
	socklen_t len = sizeof(s);

	*ret = p->counters;
	if (getsockopt(p->fd, SOL_XDP, XDP_STATISTICS, &s, &len))
		return;
	ret->rx_queue_drops = s.rx_dropped + s.rx_ring_full;
	ret->rx_no_buffer = s.rx_fill_ring_empty_descs;
	ret->tx_failed += s.tx_invalid_descs;
}

/* Closes the socket and takes every buffer back that the kernel had. */
static void close_socket(struct afxdp_port *p)
{
	if (p->socket)
		xsk_socket__delete(p->socket);
	if (p->umem)
		xsk_umem__delete(p->umem);
	p->socket = NULL;
	p->umem = NULL;
	p->fd = -1;
	p->filling = p->sending = 0;
	for (u32 b = 0; p->in_kernel && b < p->pool->count[BUF_SMALL]; b++) {
		if (p->in_kernel[b])
			buf_put(p->pool, b);
		p->in_kernel[b] = 0;
	}
}

static void detach(struct afxdp_port *p)
{
	if (p->link_fd >= 0)
		close(p->link_fd);
	p->link_fd = -1;
}

static void afxdp_destroy(struct port *port)
{
	struct afxdp_port *p = (struct afxdp_port *)port;

	detach(p);
	close_socket(p);
	free(p->in_kernel);
	free(p);
}

static const struct port_ops afxdp_ops = {
	.receive = afxdp_receive,
	.transmit = afxdp_transmit,
	.info = afxdp_info,
	.counters = afxdp_counters,
	.destroy = afxdp_destroy,
};

static int attach(struct afxdp_port *p, int prog_fd, bool native)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
	            .flags = native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE);

	p->native = native;
	if (prog_fd < 0)
		return 0;
	p->link_fd = bpf_link_create(prog_fd, (int)p->ifindex, BPF_XDP, &opts);
	return p->link_fd < 0 ? -errno : 0;
}

static int make_socket(struct afxdp_port *p, u32 queue, bool zerocopy)
{
	const struct xsk_umem_config umem = {
		.fill_size = p->ring_frames,
		.comp_size = p->ring_frames,
		.frame_size = BUF_SMALL_BYTES,
	};
	const struct xsk_socket_config config = {
		.rx_size = p->ring_frames,
		.tx_size = p->ring_frames,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = (u16)((zerocopy ? XDP_ZEROCOPY : XDP_COPY) | XDP_USE_NEED_WAKEUP),
	};
	int err = xsk_umem__create(&p->umem, p->pool->bytes[BUF_SMALL],
	                           (u64)p->pool->count[BUF_SMALL] * BUF_SMALL_BYTES, &p->fill,
	                           &p->completion, &umem);

	if (err)
		return err;
	err = xsk_socket__create(&p->socket, p->name, queue, p->umem, &p->rx, &p->tx, &config);
	if (err)
		return err;
	p->fd = xsk_socket__fd(p->socket);
	p->zerocopy = zerocopy;
	afxdp_refill(p);
	return 0;
}

static int make_socket_when_free(struct afxdp_port *p, u32 queue, bool zerocopy)
{
	const struct timespec wait = {.tv_nsec = BUSY_WAIT_NS};
	int err = -EBUSY;

	for (u32 i = 0; i < BUSY_RETRIES && err == -EBUSY; i++) {
		if (i)
			nanosleep(&wait, NULL);
		err = make_socket(p, queue, zerocopy);
		if (err)
			close_socket(p);
	}
	return err;
}

/* Sends one frame that means nothing to anybody; a mode that does not send it is of no use. */
static bool sends_test_frame(struct afxdp_port *p, const struct mac_addr *mac)
{
	const struct timespec wait = {.tv_nsec = TEST_WAIT_NS};
	struct tx_frame f = {.header_len = TEST_FRAME_BYTES, .payload_buf = NIL};

	memcpy(f.header, mac, sizeof(*mac));
	memcpy(f.header + 6, mac, sizeof(*mac));
	f.header[12] = 0x88; /* IEEE Std 802 local experimental EtherType 1 */
	f.header[13] = 0xb5;
	if (afxdp_transmit(&p->port, &f, 1) != 1)
		return false;
	for (u32 i = 0; i < TEST_ROUNDS && p->sending; i++) {
		if (i)
			nanosleep(&wait, NULL);
		afxdp_kick(p);
		afxdp_complete(p);
	}
	return !p->sending;
}

/* One of the kernel's modes; everything of it is undone when it does not work. */
static int try_mode(struct afxdp_port *p, const struct port_afxdp_config *config,
                    const struct mac_addr *mac, bool native, bool zerocopy)
{
	int err = attach(p, config->prog_fd, native);

	if (!err)
		err = make_socket_when_free(p, config->queue, zerocopy);
	if (!err && !sends_test_frame(p, mac))
		err = -EIO;
	if (!err && config->xsks_fd >= 0)
		err = xsk_socket__update_xskmap(p->socket, config->xsks_fd);
	if (err) {
		close_socket(p);
		detach(p);
	}
	return err;
}

static int try_modes(struct afxdp_port *p, const struct port_afxdp_config *config,
                     const struct mac_addr *mac)
{
	int err = -EOPNOTSUPP;

	if (!config->no_native && !config->no_zerocopy)
		err = try_mode(p, config, mac, true, true);
	if (err && err != -EBUSY && !config->no_native)
		err = try_mode(p, config, mac, true, false);
	if (err && err != -EBUSY)
		err = try_mode(p, config, mac, false, false);
	return err;
}

static int look_at_interface(struct afxdp_port *p, struct mac_addr *ret_mac)
{
	struct link_facts facts;
	int fd = link_open(), err;

	if (fd < 0)
		return fd;
	err = link_facts(fd, p->ifindex, &facts);
	close(fd);
	if (err)
		return err;
	if (!if_indextoname(p->ifindex, p->name))
		return -errno;
	if (facts.mtu_bytes > MTU_MAX)
		return -EMSGSIZE;
	p->mtu_bytes = facts.mtu_bytes;
	*ret_mac = facts.mac;
	return 0;
}

static int open_all(struct afxdp_port *p, const struct port_afxdp_config *config,
                    const char **ret_step)
{
	struct mac_addr mac;
	int err;

	*ret_step = "memory";
	p->in_kernel = calloc(1, p->pool->count[BUF_SMALL]);
	if (!p->in_kernel)
		return -ENOMEM;
	*ret_step = "managed interface";
	err = look_at_interface(p, &mac);
	if (err)
		return err;
	*ret_step = "AF_XDP socket";
	return try_modes(p, config, &mac);
}

int port_afxdp_create(const struct port_afxdp_config *config, struct port **ret_port,
                      const char **ret_step)
{
	struct afxdp_port *p = calloc(1, sizeof(*p));
	const char *step = "memory";
	int err = -ENOMEM;

	if (p) {
		p->port.ops = &afxdp_ops;
		p->pool = config->pool;
		p->ifindex = config->ifindex;
		p->rx_trusted = config->rx_trusted;
		p->fd = p->link_fd = -1;
		p->ring_frames = config->ring_frames ? config->ring_frames : RING_FRAMES;
		p->fill_frames =
			config->fill_frames ? config->fill_frames : p->pool->count[BUF_SMALL] / 4;
		p->fill_frames = min_of(p->fill_frames, p->ring_frames);
		err = open_all(p, config, &step);
	}
	if (ret_step)
		*ret_step = step;
	if (!err)
		*ret_port = &p->port;
	else if (p)
		afxdp_destroy(&p->port);
	return err;
}

int port_afxdp_fd(const struct port *port)
{
	return ((const struct afxdp_port *)port)->fd;
}

bool port_afxdp_is_zerocopy(const struct port *port)
{
	return ((const struct afxdp_port *)port)->zerocopy;
}

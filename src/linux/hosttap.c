// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/hosttap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "wire/parse.h"

enum {
	IOV_MAX_CHAIN = 64, /* a 64 KiB frame in small buffers needs 33 */
	TCP_CSUM_OFFSET = 16,
	L4_TCP = 6,
};

/* An interface that never speaks by itself: no router solicitation may reach the port. */
static void silence(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* no IPv6 in this kernel */
	(void)!write(fd, "1", 1);
	close(fd);
}

static int bring_up(struct hosttap *tap, u32 queue_frames)
{
	struct ifreq ifr = {0};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;

	if (s < 0)
		return -errno;
	memcpy(ifr.ifr_name, tap->name, sizeof(ifr.ifr_name));
	ifr.ifr_qlen = (int)queue_frames;
	if (ioctl(s, SIOCSIFTXQLEN, &ifr) == 0) {
		silence(tap->name);
		ifr.ifr_flags = IFF_UP | IFF_NOARP;
		if (ioctl(s, SIOCSIFFLAGS, &ifr) == 0 && ioctl(s, SIOCGIFINDEX, &ifr) == 0) {
			tap->ifindex = (u32)ifr.ifr_ifindex;
			close(s);
			return 0;
		}
	}
	err = -errno;
	close(s);
	return err;
}

int hosttap_open(struct hosttap *tap, u32 queue_frames)
{
	struct ifreq ifr = {0};
	int err;

	memset(tap, 0, sizeof(*tap));
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "chimneyh%%d");
	ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0 ||
	    ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0) {
		err = -errno;
		close(tap->fd);
		return err;
	}
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	err = bring_up(tap, queue_frames);
	if (err)
		close(tap->fd);
	return err;
}

void hosttap_close(struct hosttap *tap)
{
	close(tap->fd);
	tap->fd = -1;
}

u32 hosttap_l4_offset(const u8 *p, u32 avail, bool *ret_v6, u8 *ret_protocol)
{
	struct wire_link link;
	const u8 *ip;
	u32 off;

	if (wire_link_parse(p, avail, avail, &link) != WIRE_OK)
		return 0;
	ip = p + link.header_bytes;
	off = link.header_bytes;
	if (link.ethertype == WIRE_ETH_IP4 && avail >= off + 20) {
		*ret_v6 = false;
		*ret_protocol = ip[9];
		off += (ip[0] & 15) * 4u;
	} else if (link.ethertype == WIRE_ETH_IP6 && avail >= off + 40) {
		*ret_v6 = true;
		*ret_protocol = ip[6];
		off += 40;
	} else {
		return 0;
	}
	return off < avail ? off : 0;
}

static int fill_vnet(struct virtio_net_hdr *h, const struct rx_frame *f, const u8 *p, u32 avail)
{
	bool v6;
	u8 protocol;
	u32 l4;

	memset(h, 0, sizeof(*h));
	if (f->csum == FRAME_CSUM_UNKNOWN && !f->gso_bytes)
		return 0;
	l4 = hosttap_l4_offset(p, avail, &v6, &protocol);
	if (!l4 || protocol != L4_TCP || avail < l4 + 20)
		return f->gso_bytes ? -EINVAL : 0;
	h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h->csum_start = (u16)l4;
	h->csum_offset = TCP_CSUM_OFFSET;
	if (!f->gso_bytes)
		return 0;
	h->gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	/* CWR belongs on the first segment only; whoever cuts has to know (RFC 3168 6.1.2). */
	if (p[l4 + 13] & WIRE_CWR)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h->gso_size = f->gso_bytes;
	h->hdr_len = (u16)(l4 + (p[l4 + 12] >> 4) * 4u);
	return 0;
}

static int write_out(struct hosttap *tap, const struct iovec *iov, int n)
{
	if (writev(tap->fd, iov, n) < 0) {
		tap->refused++;
		return -errno;
	}
	tap->written++;
	return 0;
}

int hosttap_inject(struct hosttap *tap, const struct rx_frame *frame, struct buf_pool *pool)
{
	struct iovec iov[IOV_MAX_CHAIN + 1];
	struct virtio_net_hdr h;
	int n = 1, err;

	err = fill_vnet(&h, frame, buf_data(pool, frame->buf), buf_at(pool, frame->buf)->len);
	if (err)
		return err;
	iov[0] = (struct iovec){&h, sizeof(h)};
	buf_for_each (pool, at, frame->buf) {
		if (n > IOV_MAX_CHAIN)
			return -EINVAL;
		iov[n++] = (struct iovec){buf_data(pool, at), buf_at(pool, at)->len};
	}
	return write_out(tap, iov, n);
}

int hosttap_inject_bytes(struct hosttap *tap, const void *bytes, u32 len, bool trusted)
{
	struct rx_frame f = {.csum = trusted ? FRAME_CSUM_VALID : FRAME_CSUM_UNKNOWN};
	struct virtio_net_hdr h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)bytes, len}};
	int err = fill_vnet(&h, &f, bytes, len);

	return err ? err : write_out(tap, iov, 2);
}

int hosttap_read(struct hosttap *tap, void *to, u32 cap)
{
	struct virtio_net_hdr h;
	struct iovec iov[2] = {{&h, sizeof(h)}, {to, cap}};
	ssize_t n = readv(tap->fd, iov, 2);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n > (ssize_t)sizeof(h) ? (int)(n - (ssize_t)sizeof(h)) : 0;
}

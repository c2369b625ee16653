/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sending through a packet socket with a virtio-net header, many frames a system call. */
#include <errno.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "port/gather.h"
#include "port/tap_internal.h"
#include "wire/tcp.h"

enum {
	SEND_BUFFER_BYTES = 16 << 20,
	TCP_FLAGS_OFF = 13,
};

int tap_tx_init(struct tap_tx *tx, u32 ifindex, u32 mark)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)ifindex};
	int one = 1, bytes = SEND_BUFFER_BYTES;

	tx->fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (tx->fd < 0 || setsockopt(tx->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    bind(tx->fd, (struct sockaddr *)&to, sizeof(to)))
		return -errno;
	if (mark ? setsockopt(tx->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark))
	         : setsockopt(tx->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		return -errno;
	/* Only a wish: a smaller buffer makes the port busy earlier. */
	(void)setsockopt(tx->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes));
	for (u32 i = 0; i < TAP_TX_BATCH; i++)
		tx->msgs[i] = (struct mmsghdr){0};
	return 0;
}

static void describe(const struct tx_frame *f, struct virtio_net_hdr *v)
{
	*v = (struct virtio_net_hdr){0};
	if (!f->csum_start)
		return;
	v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	v->csum_start = f->csum_start;
	v->csum_offset = f->csum_offset;
	if (!f->gso_bytes || f->payload_len <= f->gso_bytes)
		return;
	v->gso_type = f->gso_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	/* CWR belongs on the first segment only; whoever cuts has to know (RFC 3168 6.1.2). */
	if (f->header[f->header_off + f->csum_start + TCP_FLAGS_OFF] & WIRE_CWR)
		v->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	v->gso_size = f->gso_bytes;
	v->hdr_len = f->header_len;
}

/* Points iovecs at the payload; how many, 0 when it is in too many slices for `room`. */
static u32 point_at_payload(struct buf_pool *pool, const struct tx_frame *f, struct iovec *iov,
                            u32 room)
{
	struct payload_walk w;
	const u8 *data;
	u32 len, n = 0;

	payload_walk_init(&w, pool, f);
	while ((data = payload_walk_next(&w, UINT32_MAX, &len))) {
		if (n == room)
			return 0;
		iov[n++] = (struct iovec){(void *)data, len};
	}
	return n;
}

static bool chain_is_long_enough(struct buf_pool *pool, const struct tx_frame *f)
{
	struct payload_walk w;
	u32 len;

	payload_walk_init(&w, pool, f);
	while (payload_walk_next(&w, UINT32_MAX, &len))
		;
	return !w.left;
}

/* Adds message `i`; false: no room for it in this batch. */
static bool add_message(struct tap_port *p, const struct tx_frame *f, u32 i)
{
	struct tap_tx *tx = &p->tx;
	struct iovec *iov = tx->iov + tx->n_iov;
	u32 room = TAP_TX_IOVS - tx->n_iov;
	u32 n = 2;

	if (room < 3)
		return false;
	describe(f, &tx->vnet[i]);
	iov[0] = (struct iovec){&tx->vnet[i], sizeof(tx->vnet[i])};
	iov[1] = (struct iovec){(void *)(f->header + f->header_off), f->header_len};
	if (f->payload_len) {
		u32 slices =
			point_at_payload(p->pool, f, iov + 2, min_of(room - 2, (u32)TAP_TX_SLICES));

		if (!slices && i)
			return false;
		if (!slices) { /* alone in its batch */
			iov[1] = (struct iovec){tx->bounce, frame_gather(p->pool, f, tx->bounce)};
			tx->n_iov = TAP_TX_IOVS;
		}
		n += slices;
	}
	tx->msgs[i].msg_hdr.msg_iov = iov;
	tx->msgs[i].msg_hdr.msg_iovlen = n;
	tx->n_iov = min_of(tx->n_iov + n, (u32)TAP_TX_IOVS);
	return true;
}

/* Messages for the first frames of the array; a frame that its chain does not fill ends it. */
static u32 build_batch(struct tap_port *p, const struct tx_frame *frames, u32 n)
{
	u32 i;

	p->tx.n_iov = 0;
	n = min_of(n, (u32)TAP_TX_BATCH);
	for (i = 0; i < n; i++) {
		if (frames[i].payload_len && !chain_is_long_enough(p->pool, &frames[i]))
			break;
		if (!add_message(p, &frames[i], i))
			break;
	}
	return i;
}

static void count_sent(struct tap_port *p, const struct tx_frame *frames, u32 n)
{
	p->counters.tx_frames += n;
	for (u32 i = 0; i < n; i++)
		p->counters.tx_bytes += tx_frame_len(&frames[i]);
}

int tap_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct tap_port *p = (struct tap_port *)port;
	u32 done = 0;

	while (done < n) {
		u32 k = build_batch(p, frames + done, n - done);
		int sent = k ? sendmmsg(p->tx.fd, p->tx.msgs, k, MSG_DONTWAIT) : -1;

		if (sent > 0) {
			count_sent(p, frames + done, (u32)sent);
			done += (u32)sent;
			continue;
		}
		if (k && errno == EAGAIN) {
			p->counters.tx_busy++;
			break;
		}
		if (k && errno == EINTR)
			continue;
		if (k && (errno == ENXIO || errno == EBADF))
			return done ? (int)done : -errno;
		/* Interface down, frame too long since the MTU shrank, queue overrun: lost, as on
		 * any line. */
		p->counters.tx_failed++;
		done++;
	}
	return (int)done;
}

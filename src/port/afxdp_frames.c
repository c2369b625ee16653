/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Frames through the rings of an AF_XDP socket. */
#include <errno.h>
#include <sys/socket.h>

#include "port/afxdp_internal.h"
#include "port/gather.h"

enum {
	COMPLETE_BATCH = 256,
	KICKS_MAX = 64, /* the kernel sends 32 frames a kick in copy mode */
};

/* -- buffers between pool and kernel ----------------------------------------------------------- */

static u32 buffer_of(u64 addr)
{
	return (u32)(addr / BUF_SMALL_BYTES);
}

static u64 address_of(u32 buffer)
{
	return (u64)buffer * BUF_SMALL_BYTES;
}

void afxdp_refill(struct afxdp_port *p)
{
	u32 want = p->fill_frames > p->filling ? p->fill_frames - p->filling : 0;
	u32 at = 0, n;

	want = min_of(want, p->pool->n_free[BUF_SMALL]);
	if (!want)
		return;
	n = xsk_prod_nb_free(&p->fill, want);
	n = min_of(n, want);
	n = xsk_ring_prod__reserve(&p->fill, n, &at);
	for (u32 i = 0; i < n; i++) {
		u32 b = buf_alloc(p->pool, BUF_SMALL);

		p->in_kernel[b] = 1;
		*xsk_ring_prod__fill_addr(&p->fill, at + i) = address_of(b);
	}
	xsk_ring_prod__submit(&p->fill, n);
	p->filling += n;
}

void afxdp_complete(struct afxdp_port *p)
{
	u32 at = 0;
	u32 n = xsk_ring_cons__peek(&p->completion, COMPLETE_BATCH, &at);

	for (u32 i = 0; i < n; i++) {
		u32 b = buffer_of(*xsk_ring_cons__comp_addr(&p->completion, at + i));

		p->in_kernel[b] = 0;
		buf_put(p->pool, b);
	}
	xsk_ring_cons__release(&p->completion, n);
	p->sending -= n;
}

/* -- receiving --------------------------------------------------------------------------------- */

static void take(struct afxdp_port *p, const struct xdp_desc *d, struct rx_frame *f)
{
	u32 b = buffer_of(d->addr);

	p->in_kernel[b] = 0;
	buf_at(p->pool, b)->off = (u32)(d->addr % BUF_SMALL_BYTES);
	buf_at(p->pool, b)->len = d->len;
	prefetch(buf_data(p->pool, b));
	*f = (struct rx_frame){
		.buf = b,
		.len = d->len,
		.csum = p->rx_trusted ? FRAME_CSUM_PARTIAL : FRAME_CSUM_UNKNOWN,
	};
	p->counters.rx_bytes += d->len;
}

int afxdp_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct afxdp_port *p = (struct afxdp_port *)port;
	u32 at = 0;
	u32 got = xsk_ring_cons__peek(&p->rx, n, &at);

	for (u32 i = 0; i < got; i++)
		take(p, xsk_ring_cons__rx_desc(&p->rx, at + i), &frames[i]);
	xsk_ring_cons__release(&p->rx, got);
	p->filling -= got;
	p->counters.rx_frames += got;
	afxdp_refill(p);
	if (!got && xsk_ring_prod__needs_wakeup(&p->fill))
		(void)recvfrom(p->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	return (int)got;
}

/* -- sending ----------------------------------------------------------------------------------- */

void afxdp_kick(struct afxdp_port *p)
{
	for (u32 i = 0; i < KICKS_MAX && xsk_ring_prod__needs_wakeup(&p->tx); i++) {
		if (sendto(p->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || errno != EAGAIN)
			return;
		/* In copy mode EAGAIN after a full burst: there is more. */
		afxdp_complete(p);
		if (!p->sending)
			return;
	}
}

/* Copies a frame into a buffer of its own and describes it. -ENOBUFS, -EINVAL: cannot be sent. */
static int prepare(struct afxdp_port *p, const struct tx_frame *f, struct xdp_desc *d)
{
	u32 len = tx_frame_len(f), b;

	if (len > BUF_SMALL_BYTES || f->csum_start)
		return -EINVAL;
	b = buf_alloc(p->pool, BUF_SMALL);
	if (b == NIL)
		return -ENOBUFS;
	if (frame_gather(p->pool, f, buf_bytes(p->pool, b)) != len) {
		buf_put(p->pool, b);
		return -EINVAL;
	}
	p->in_kernel[b] = 1;
	*d = (struct xdp_desc){.addr = address_of(b), .len = len};
	return 0;
}

int afxdp_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct afxdp_port *p = (struct afxdp_port *)port;
	u32 done = 0, queued = 0;

	afxdp_complete(p);
	for (; done < n; done++) {
		struct xdp_desc d;
		u32 at = 0;
		int err;

		if (!xsk_prod_nb_free(&p->tx, 1) || p->sending >= p->ring_frames)
			break;
		err = prepare(p, &frames[done], &d);
		if (err == -ENOBUFS)
			break;
		if (err) {
			p->counters.tx_failed++;
			continue;
		}
		xsk_ring_prod__reserve(&p->tx, 1, &at);
		*xsk_ring_prod__tx_desc(&p->tx, at) = d;
		p->counters.tx_bytes += d.len;
		p->sending++;
		queued++;
	}
	xsk_ring_prod__submit(&p->tx, queued);
	p->counters.tx_frames += queued;
	if (done < n)
		p->counters.tx_busy++;
	if (p->sending)
		afxdp_kick(p);
	return (int)done;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Receiving from a TAP: several reads a system call by io_uring, or one. */
#include <errno.h>
#include <unistd.h>

#include "port/tap_internal.h"

enum {
	GUESS_MIN = 2,
	/* Of a call: what stays in the cache until the application has taken it, and its buffers
	 * are read into once more. With all that waits bulk over veth is a fifth slower, with
	 * half of this a tenth (more ACKs). */
	CALL_BYTES = 128 << 10,
};

void tap_rx_init(struct tap_rx *rx, bool batched)
{
	for (u32 i = 0; i < TAP_RX_SLOTS; i++) {
		struct tap_slot *s = &rx->slots[i];

		s->small = s->large = NIL;
		s->iov[0] = (struct iovec){&s->vnet, sizeof(s->vnet)};
		s->iov[1].iov_len = BUF_SMALL_BYTES;
		s->iov[2].iov_len = BUF_LARGE_BYTES;
	}
	rx->guess = GUESS_MIN;
	rx->batched = batched && io_uring_queue_init(TAP_RX_SLOTS, &rx->ring, 0) == 0;
}

void tap_rx_finish(struct tap_rx *rx, struct buf_pool *pool)
{
	if (rx->batched)
		io_uring_queue_exit(&rx->ring);
	for (u32 i = 0; i < TAP_RX_SLOTS; i++) {
		if (rx->slots[i].small != NIL)
			buf_put(pool, rx->slots[i].small);
		if (rx->slots[i].large != NIL)
			buf_put(pool, rx->slots[i].large);
	}
}

/* Gives the slot the buffers that it lacks; how many iovecs to read into, 0: no buffer. Without a
 * large one small frames still come through. */
static int slot_arm(struct tap_slot *s, struct buf_pool *pool)
{
	if (s->small == NIL) {
		s->small = buf_alloc(pool, BUF_SMALL);
		if (s->small == NIL)
			return 0;
		s->iov[1].iov_base = buf_bytes(pool, s->small);
	}
	if (s->large == NIL) {
		s->large = buf_alloc(pool, BUF_LARGE);
		if (s->large == NIL)
			return 2;
		s->iov[2].iov_base = buf_bytes(pool, s->large);
	}
	return 3;
}

static void slot_describe(const struct tap_slot *s, struct rx_frame *f)
{
	*f = (struct rx_frame){.buf = s->small};
	if (s->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		f->csum = FRAME_CSUM_PARTIAL;
	else if (s->vnet.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		f->csum = FRAME_CSUM_VALID;
	if (s->vnet.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		f->gso_bytes = s->vnet.gso_size;
}

/* Makes a frame of what a read of `bytes` left in the slot; false: it is lost, and counted. */
static bool slot_take(struct tap_port *p, struct tap_slot *s, u32 bytes, struct rx_frame *f)
{
	u32 room = BUF_SMALL_BYTES + (s->large != NIL ? BUF_LARGE_BYTES : 0);
	struct buf *head = buf_at(p->pool, s->small);
	u32 len = bytes - (u32)sizeof(s->vnet);

	if (bytes <= sizeof(s->vnet)) {
		p->counters.rx_bad++;
		return false;
	}
	if (len >= room) { /* cut off: the kernel says no more than what it copied */
		p->counters.rx_no_buffer++;
		return false;
	}
	slot_describe(s, f);
	f->len = len;
	head->len = min_of(len, (u32)BUF_SMALL_BYTES);
	s->small = NIL;
	if (len > BUF_SMALL_BYTES) {
		head->next = s->large;
		buf_at(p->pool, s->large)->len = len - BUF_SMALL_BYTES;
		s->large = NIL;
	}
	p->counters.rx_frames++;
	p->counters.rx_bytes += len;
	return true;
}

static bool is_gone(int err)
{
	return err != EAGAIN && err != EINTR;
}

/* One read a frame. */
static int receive_singly(struct tap_port *p, struct rx_frame *frames, u32 n)
{
	struct tap_slot *s = &p->rx.slots[0];
	u32 done = 0, sum = 0;

	while (done < n && sum < (u32)CALL_BYTES) {
		int n_iov = slot_arm(s, p->pool);
		ssize_t bytes;

		if (!n_iov)
			break;
		bytes = readv(p->rx.fd, s->iov, n_iov);
		if (bytes < 0 && is_gone(errno) && !done)
			return -errno;
		if (bytes < 0)
			break;
		done += slot_take(p, s, (u32)bytes, &frames[done]);
		sum += (u32)bytes;
	}
	return (int)done;
}

/* Hands up to n reads to the kernel; how many. Each completes within the system call, with a frame
 * or -EAGAIN, in order. */
static u32 submit_reads(struct tap_port *p, u32 n)
{
	struct tap_rx *rx = &p->rx;
	u32 k;
	int done;

	for (k = 0; k < n; k++) {
		struct tap_slot *s = &rx->slots[k];
		int n_iov = slot_arm(s, p->pool);
		struct io_uring_sqe *sqe;

		if (!n_iov)
			break;
		sqe = io_uring_get_sqe(&rx->ring);
		io_uring_prep_readv2(sqe, rx->fd, s->iov, (unsigned)n_iov, 0, RWF_NOWAIT);
		io_uring_sqe_set_data64(sqe, k);
	}
	if (!k)
		return 0;
	done = io_uring_submit(&rx->ring);
	return done < 0 ? 0 : (u32)done;
}

struct reaped {
	u32 frames, bytes;
	int err; /* 0, EAGAIN, or what ends io_uring for this port */
};

static struct reaped reap_reads(struct tap_port *p, u32 submitted, struct rx_frame *frames)
{
	struct reaped r = {0};
	struct io_uring_cqe *cqe;

	while (submitted-- && io_uring_peek_cqe(&p->rx.ring, &cqe) == 0) {
		struct tap_slot *s = &p->rx.slots[io_uring_cqe_get_data64(cqe)];
		int res = cqe->res;

		io_uring_cqe_seen(&p->rx.ring, cqe);
		if (res < 0) {
			r.err = -res;
			continue;
		}
		r.bytes += (u32)res;
		r.frames += slot_take(p, s, (u32)res, &frames[r.frames]);
	}
	return r;
}

/* The kernel refuses something that works singly, as RWF_NOWAIT on a TAP before Linux 6.4. */
static void give_ring_up(struct tap_rx *rx)
{
	io_uring_queue_exit(&rx->ring);
	rx->batched = false;
}

/* Twice what was there, as far as frames of that size fit into a call. */
static u32 next_guess(const struct reaped *r)
{
	u32 most = r->bytes ? (u32)((u64)CALL_BYTES * r->frames / r->bytes) : TAP_RX_SLOTS;

	most = min_of(most, (u32)TAP_RX_SLOTS);
	return max_of(min_of(2 * r->frames, most), (u32)GUESS_MIN);
}

static int receive_batched(struct tap_port *p, struct rx_frame *frames, u32 n)
{
	u32 done = 0, bytes = 0;

	while (done < n && bytes < (u32)CALL_BYTES) {
		u32 want = min_of(n - done, p->rx.guess);
		u32 submitted = submit_reads(p, want);
		struct reaped r = reap_reads(p, submitted, frames + done);

		done += r.frames;
		bytes += r.bytes;
		p->rx.guess = next_guess(&r);
		if (!submitted && p->rx.slots[0].small == NIL)
			break; /* no buffers */
		if (!submitted || (r.err && is_gone(r.err))) {
			give_ring_up(&p->rx);
			return done ? (int)done : receive_singly(p, frames, n);
		}
		if (r.err)
			break;
	}
	return (int)done;
}

int tap_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct tap_port *p = (struct tap_port *)port;

	return p->rx.batched ? receive_batched(p, frames, n) : receive_singly(p, frames, n);
}

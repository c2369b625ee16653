/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Walking the payload of a frame to be sent, and copying whole frames between pools.
 */
#ifndef PORT_GATHER_H
#define PORT_GATHER_H

#include "base/buf.h"
#include "base/frame.h"

/* The slices of payload of one tx_frame, from first to last. */
struct payload_walk {
	struct buf_pool *pool;
	u32 buf;  /* NIL: the chain has ended */
	u32 off;  /* of the next byte within `buf` */
	u32 left; /* payload bytes not yet walked over */
};

static inline void payload_walk_init(struct payload_walk *w, struct buf_pool *pool,
                                     const struct tx_frame *f)
{
	*w = (struct payload_walk){pool, f->payload_buf, f->payload_off, f->payload_len};
}

/* The next slice, at most `max` bytes of it; NULL when there are no more bytes. `left` is not 0
 * then only if the chain is shorter than the frame says, which is a bug of the sender. */
static inline const u8 *payload_walk_next(struct payload_walk *w, u32 max, u32 *ret_len)
{
	while (w->left && w->buf != NIL) {
		const struct buf *b = buf_at(w->pool, w->buf);
		u32 end = b->off + b->len;
		u32 len = w->off < end ? end - w->off : 0;
		const u8 *at = buf_bytes(w->pool, w->buf) + w->off;

		len = min_of(len, min_of(w->left, max));
		w->off += len;
		w->left -= len;
		if (w->off >= end) {
			w->buf = b->next;
			w->off = w->buf != NIL ? buf_at(w->pool, w->buf)->off : 0;
		}
		if (len) {
			*ret_len = len;
			return at;
		}
	}
	return NULL;
}

/* Copies header and payload to `to` (tx_frame_len() bytes); returns bytes copied, fewer when the
 * chain is shorter than the frame says. */
u32 frame_gather(struct buf_pool *from, const struct tx_frame *f, u8 *to);

/*
 * Makes a received frame of one to be sent: first buffer small, what it cannot hold in large ones.
 * Checksum knowledge and gso_bytes carry over. Header and payload are copied once.
 *
 * -ENOBUFS: `to` is empty, nothing is held. -EINVAL: the payload's chain is too short.
 */
int frame_copy_across(struct buf_pool *to, struct buf_pool *from, const struct tx_frame *f,
                      struct rx_frame *ret_frame) MUST_CHECK;

/* A copy of a received frame in another (or the same) pool; the original stays. -ENOBUFS. */
int frame_clone(struct buf_pool *to, struct buf_pool *from, const struct rx_frame *f,
                struct rx_frame *ret_frame) MUST_CHECK;

#endif

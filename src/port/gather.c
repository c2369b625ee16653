/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/gather.h"

#include <errno.h>

u32 frame_gather(struct buf_pool *from, const struct tx_frame *f, u8 *to)
{
	struct payload_walk w;
	const u8 *data;
	u32 len, at = f->header_len;

	memcpy(to, f->header + f->header_off, f->header_len);
	payload_walk_init(&w, from, f);
	while ((data = payload_walk_next(&w, UINT32_MAX, &len))) {
		memcpy(to + at, data, len);
		at += len;
	}
	return at;
}

/* Appends bytes to a chain of which `*tail` is the last buffer; adds large buffers as needed. */
static int chain_append(struct buf_pool *pool, u32 *tail, const u8 *data, u32 len)
{
	while (len) {
		struct buf *b = buf_at(pool, *tail);
		u32 room = buf_capacity(pool, *tail) - b->off - b->len;
		u32 n = min_of(room, len);

		memcpy(buf_data(pool, *tail) + b->len, data, n);
		b->len += n;
		data += n;
		len -= n;
		if (!len)
			return 0;
		b->next = buf_alloc(pool, BUF_LARGE);
		if (b->next == NIL)
			return -ENOBUFS;
		*tail = b->next;
	}
	return 0;
}

int frame_copy_across(struct buf_pool *to, struct buf_pool *from, const struct tx_frame *f,
                      struct rx_frame *ret_frame)
{
	u32 head = buf_alloc(to, BUF_SMALL);
	u32 tail = head;
	struct payload_walk w;
	const u8 *data;
	u32 len;
	int err;

	if (unlikely(head == NIL))
		return -ENOBUFS;
	memcpy(buf_bytes(to, head), f->header + f->header_off, f->header_len);
	buf_at(to, head)->len = f->header_len;
	payload_walk_init(&w, from, f);
	while ((data = payload_walk_next(&w, UINT32_MAX, &len))) {
		err = chain_append(to, &tail, data, len);
		if (err)
			goto undo;
	}
	err = -EINVAL;
	if (unlikely(w.left))
		goto undo;
	*ret_frame = (struct rx_frame){
		.buf = head,
		.len = tx_frame_len(f),
		.gso_bytes = f->gso_bytes,
		.csum = f->csum_start ? FRAME_CSUM_PARTIAL : FRAME_CSUM_UNKNOWN,
	};
	return 0;
undo:
	buf_put_chain(to, head);
	return err;
}

int frame_clone(struct buf_pool *to, struct buf_pool *from, const struct rx_frame *f,
                struct rx_frame *ret_frame)
{
	u32 head = buf_alloc(to, BUF_SMALL);
	u32 tail = head;

	if (unlikely(head == NIL))
		return -ENOBUFS;
	buf_for_each (from, i, f->buf) {
		if (chain_append(to, &tail, buf_data(from, i), buf_at(from, i)->len)) {
			buf_put_chain(to, head);
			return -ENOBUFS;
		}
	}
	*ret_frame = *f;
	ret_frame->buf = head;
	return 0;
}

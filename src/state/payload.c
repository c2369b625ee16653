/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/payload.h"

#include <errno.h>

void payload_in_init(struct payload_in *in, const struct buf_pool *pool, const struct data_ref *ref)
{
	*in = (struct payload_in){
		.pool = pool,
		.index = ref->buf,
		.off = ref->off,
		.left = ref->len,
		.steps = pool ? pool->count[BUF_SMALL] + pool->count[BUF_LARGE] : 0,
		.first = true,
	};
}

u32 payload_in_next(struct payload_in *in, const u8 **ret_bytes)
{
	const struct buf_pool *pool = in->pool;
	u32 total = pool ? pool->count[BUF_SMALL] + pool->count[BUF_LARGE] : 0;

	while (in->left && in->steps && in->index < total) {
		const struct buf *b = &pool->descs[in->index];
		u32 off = in->first ? in->off : b->off;
		u64 end = (u64)b->off + b->len;
		u32 n;

		if (off < b->off || off > end || end > buf_capacity(pool, in->index))
			return 0;
		n = min_of((u32)end - off, in->left);
		*ret_bytes = buf_bytes(pool, in->index) + off;
		in->index = b->next;
		in->first = false;
		in->steps--;
		in->left -= n;
		if (n)
			return n;
	}
	return 0;
}

void payload_out_init(struct payload_out *out, struct buf_pool *pool, struct data_ref *ref,
                      u32 expected)
{
	*ref = (struct data_ref){.buf = NIL};
	*out = (struct payload_out){.pool = pool, .ref = ref, .tail = NIL, .expected = expected};
}

/* A large buffer for much, a small one for little, what there is when the pool runs dry. */
static u32 alloc_for(struct buf_pool *pool, u32 bytes)
{
	enum buf_class first = bytes > 4 * BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL;

	if (pool->free[first] == NIL)
		first = first == BUF_SMALL ? BUF_LARGE : BUF_SMALL;
	return buf_alloc(pool, first);
}

static int add_buffer(struct payload_out *out)
{
	u32 index = out->pool ? alloc_for(out->pool, out->expected) : NIL;

	if (index == NIL)
		return -ENOSPC;
	if (out->tail == NIL)
		out->ref->buf = index;
	else
		buf_at(out->pool, out->tail)->next = index;
	out->tail = index;
	return 0;
}

int payload_out_write(struct payload_out *out, const u8 *bytes, u32 len)
{
	while (len) {
		struct buf *b = out->tail == NIL ? NULL : buf_at(out->pool, out->tail);
		u32 n;

		if (!b || b->len == buf_capacity(out->pool, out->tail)) {
			int r = add_buffer(out);

			if (r)
				return r;
			b = buf_at(out->pool, out->tail);
		}
		n = min_of(len, buf_capacity(out->pool, out->tail) - b->len);
		memcpy(buf_data(out->pool, out->tail) + b->len, bytes, n);
		b->len += n;
		out->ref->len += n;
		out->expected -= min_of(out->expected, n);
		bytes += n;
		len -= n;
	}
	return 0;
}

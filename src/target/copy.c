/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Payload of a state that lies in another pool: it is copied into ours, counted. */
#include "target/internal.h"

/* Reads `len` bytes on from a position in a chain of the other pool. */
struct source {
	const struct buf_pool *pool;
	u32 buf;
	u32 off; /* absolute in the buffer */
};

static void read_bytes(struct source *s, u8 *to, u32 len)
{
	while (len) {
		const struct buf *b = &s->pool->descs[s->buf];
		u32 n = min_of(len, b->off + b->len - s->off);

		memcpy(to, buf_bytes(s->pool, s->buf) + s->off, n);
		to += n;
		len -= n;
		s->off += n;
		if (s->off == b->off + b->len && b->next != NIL) {
			s->buf = b->next;
			s->off = s->pool->descs[s->buf].off;
		}
	}
}

static u32 alloc_for(struct target *t, u32 len)
{
	u32 i = len > BUF_SMALL_BYTES ? buf_alloc(t->pool, BUF_LARGE) : NIL;

	if (i == NIL)
		i = buf_alloc(t->pool, BUF_SMALL);
	if (i == NIL)
		i = buf_alloc(t->pool, BUF_LARGE);
	return i;
}

static bool copy_ref(struct target *t, const struct buf_pool *from, struct data_ref *ref)
{
	struct source s = {from, ref->buf, ref->off};
	struct data_ref copy = {.buf = NIL};
	u32 tail = NIL;

	while (copy.len < ref->len) {
		u32 i = alloc_for(t, ref->len - copy.len);
		struct buf *b;

		if (i == NIL) {
			buf_put_chain(t->pool, copy.buf);
			return false;
		}
		b = buf_at(t->pool, i);
		b->len = min_of(ref->len - copy.len, buf_capacity(t->pool, i));
		read_bytes(&s, buf_bytes(t->pool, i), b->len);
		if (tail == NIL)
			copy.buf = i;
		else
			buf_at(t->pool, tail)->next = i;
		tail = i;
		copy.len += b->len;
	}
	t->stats.bytes_imported += copy.len;
	*ref = copy;
	return true;
}

void copy_release(struct target *t, struct tcp_state *s)
{
	buf_put_chain(t->pool, s->d.send.buf);
	buf_put_chain(t->pool, s->d.recv.buf);
	for (u32 i = 0; i < s->d.ooo.n; i++)
		buf_put_chain(t->pool, s->d.ooo.seg[i].data.buf);
}

enum status copy_payload(struct target *t, const struct buf_pool *from, struct tcp_state *s)
{
	u32 n_ooo = s->d.ooo.n;

	if (!copy_ref(t, from, &s->d.send))
		return STATUS_NO_SEND_BUFFERS;
	if (!copy_ref(t, from, &s->d.recv)) {
		buf_put_chain(t->pool, s->d.send.buf);
		return STATUS_NO_RECEIVE_BUFFERS;
	}
	for (s->d.ooo.n = 0; s->d.ooo.n < n_ooo; s->d.ooo.n++) {
		if (!copy_ref(t, from, &s->d.ooo.seg[s->d.ooo.n].data)) {
			copy_release(t, s);
			return STATUS_NO_RECEIVE_BUFFERS;
		}
	}
	return STATUS_OK;
}

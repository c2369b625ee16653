/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Pools and frames for tests of ports. */
#ifndef PORT_TEST_UTIL_H
#define PORT_TEST_UTIL_H

#include "unit.h"

#include "port/port.h"

struct test_pool {
	struct buf_pool pool;
	struct buf_pool_config config;
	void *mem;
};

static inline void test_pool_init(struct test_pool *p, u32 small, u32 large)
{
	p->config = (struct buf_pool_config){.small = small, .large = large};
	p->mem = aligned_alloc(4096, buf_pool_bytes(&p->config));
	assert_non_null(p->mem);
	buf_pool_init(&p->pool, p->mem, &p->config);
}

/* Fails when a buffer is still held. */
static inline void test_pool_finish(struct test_pool *p)
{
	assert_int_equal(p->pool.n_free[BUF_SMALL], p->config.small);
	assert_int_equal(p->pool.n_free[BUF_LARGE], p->config.large);
	free(p->mem);
}

/* Byte i of the test stream. */
static inline u8 pattern_at(u32 i)
{
	return (u8)(i * 31 + (i >> 8) * 7 + 3);
}

/* A chain of large buffers that holds `len` pattern bytes, the first beginning at `off`. */
static inline u32 pattern_chain(struct buf_pool *pool, u32 off, u32 len)
{
	u32 head = NIL, tail = NIL, at = 0;

	while (at < len) {
		u32 i = buf_alloc(pool, BUF_LARGE);
		struct buf *b = buf_at(pool, i);

		assert_int_not_equal(i, NIL);
		b->off = off;
		b->len = min_of(len - at, BUF_LARGE_BYTES - off);
		for (u32 k = 0; k < b->len; k++)
			buf_data(pool, i)[k] = pattern_at(at + k);
		at += b->len;
		if (head == NIL)
			head = i;
		else
			buf_at(pool, tail)->next = i;
		tail = i;
		off = 0;
	}
	return head;
}

/* A frame with `header_len` bytes of header of which each is `tag`. */
static inline struct tx_frame test_frame(u8 tag, u8 header_len)
{
	struct tx_frame f = {.header_off = 2, .header_len = header_len, .payload_buf = NIL};

	memset(f.header + f.header_off, tag, header_len);
	return f;
}

static inline u8 frame_byte(struct buf_pool *pool, const struct rx_frame *f, u32 at)
{
	u8 b;

	assert_int_equal(buf_chain_copy(pool, f->buf, at, &b, 1), 1);
	return b;
}

#endif

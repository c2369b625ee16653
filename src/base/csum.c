/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/csum.h"

static u64 load64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

/* Two 64-bit lanes: one vector register of the smallest kind that every machine has. */
typedef u64 lanes __attribute__((vector_size(16)));

static lanes load_lanes(const u8 *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Sums 32-bit words in 64-bit lanes: no carry chain, and 2^32 words before one overflows. */
static u64 sum_words(const u8 *p, size_t words)
{
	const lanes low = {0xffffffff, 0xffffffff};
	lanes a = {0, 0}, b = {0, 0}, c = {0, 0}, d = {0, 0}, sum;
	u64 tail = 0;

	for (; words >= 4; words -= 4, p += 32) {
		lanes v = load_lanes(p), w = load_lanes(p + 16);

		a += v & low;
		b += v >> 32;
		c += w & low;
		d += w >> 32;
	}
	for (; words; words--, p += 8)
		tail += (load64(p) & 0xffffffff) + (load64(p) >> 32);
	sum = (a + b) + (c + d);
	return sum[0] + sum[1] + tail;
}

u64 csum_bytes(u64 sum, const void *data, size_t len)
{
	const u8 *p = data;
	u8 tail[8] = {0};

	sum = csum_add(sum, sum_words(p, len / 8));
	if (len % 8) {
		p += len & ~(size_t)7;
		for (size_t i = 0; i < len % 8; i++)
			tail[i] = p[i];
		sum = csum_add(sum, load64(tail));
	}
	return sum;
}

u64 csum_chain(u64 sum, struct buf_pool *pool, u32 head, u32 skip, u32 len)
{
	u32 done = 0;

	buf_for_each (pool, i, head) {
		const struct buf *b = buf_at(pool, i);
		u64 part;
		u32 n;

		if (skip >= b->len) {
			skip -= b->len;
			continue;
		}
		n = min_of(b->len - skip, len - done);
		part = csum_bytes(0, buf_data(pool, i) + skip, n);
		sum = csum_add(sum, done % 2 ? csum_swap(part) : part);
		skip = 0;
		done += n;
		if (done == len)
			break;
	}
	return sum;
}

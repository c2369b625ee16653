/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/csum.h"

static u64 load64(const u8 *p)
{
	u64 v;

	memcpy(&v, p, 8);
	return v;
}

/* Four lanes of 32-bit words in 64-bit sums: no carry chain, and 2^32 words before one overflows.
 */
static u64 sum_words(const u8 *p, size_t words)
{
	u64 a = 0, b = 0, c = 0, d = 0;

	for (; words >= 2; words -= 2, p += 16) {
		u64 v = load64(p), w = load64(p + 8);

		a += (u32)v;
		b += v >> 32;
		c += (u32)w;
		d += w >> 32;
	}
	if (words) {
		a += (u32)load64(p);
		b += load64(p) >> 32;
	}
	return a + b + c + d;
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

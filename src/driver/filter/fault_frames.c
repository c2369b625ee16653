/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What happens to frames between a lane and its device. */
#include "driver/filter/fault_internal.h"

static bool chance(struct fault *f, u32 ppm)
{
	return ppm && prng_chance(&f->random, ppm);
}

/* -- in ---------------------------------------------------------------------------------------- */

static void lose(struct fault *f, struct rx_frame *frame)
{
	buf_put_chain(f->config.pool, frame->buf);
	frame->verdict = FRAME_CONSUMED;
}

/* A frame that the caller knows nothing of any more. */
static void give(struct fault *f, struct rx_frame *frame)
{
	frame->verdict = FRAME_PENDING;
	if (f->life == FAULT_ALIVE)
		f->chain.below.frames->input(f->chain.below.impl, frame, 1, f->now_ns);
	if (frame->verdict == FRAME_CONSUMED)
		return;
	f->count.lost++;
	lose(f, frame);
}

void fault_deliver(struct fault *f, u64 now_ns)
{
	u32 n = f->n_held, kept = 0;

	for (u32 i = 0; i < n; i++) {
		struct rx_frame frame = f->held[i].frame;

		if (f->held[i].due_ns > now_ns)
			f->held[kept++] = f->held[i];
		else
			give(f, &frame);
	}
	f->n_held = kept;
}

static bool hold(struct fault *f, struct rx_frame *frame, u64 due_ns)
{
	if (f->n_held == FAULT_HELD)
		return false;
	f->held[f->n_held++] = (struct fault_held){*frame, due_ns};
	frame->verdict = FRAME_CONSUMED;
	return true;
}

/* Into a buffer of its own, when there is one that is long enough. */
static void duplicate(struct fault *f, const struct rx_frame *frame)
{
	struct buf_pool *pool = f->config.pool;
	enum buf_class cls = frame->len <= BUF_SMALL_BYTES ? BUF_SMALL : BUF_LARGE;
	struct rx_frame copy = *frame;

	if (frame->len > BUF_LARGE_BYTES || !buf_spare(pool, cls))
		return;
	copy.buf = buf_alloc(pool, cls);
	buf_at(pool, copy.buf)->len =
		buf_chain_copy(pool, frame->buf, 0, buf_bytes(pool, copy.buf), frame->len);
	f->count.duplicated++;
	if (!hold(f, &copy, f->now_ns))
		buf_put_chain(pool, copy.buf);
}

/* A checksum would tell; where there is none the frame is lost instead. */
static bool corrupt(struct fault *f, struct rx_frame *frame)
{
	u32 at = prng_below(&f->random, frame->len);

	f->count.corrupted++;
	if (frame->csum == FRAME_CSUM_PARTIAL)
		return false;
	frame->csum = FRAME_CSUM_UNKNOWN;
	buf_for_each (f->config.pool, i, frame->buf) {
		u32 len = buf_at(f->config.pool, i)->len;

		if (at < len) {
			buf_data(f->config.pool, i)[at] ^= (u8)(1 << prng_below(&f->random, 8));
			break;
		}
		at -= len;
	}
	return true;
}

/* True: the frame goes down now. */
static bool harm(struct fault *f, struct rx_frame *frame)
{
	const struct fault_frames *c = &f->config.in;

	if (f->life != FAULT_ALIVE) {
		f->count.lost++;
		lose(f, frame);
		return false;
	}
	if (chance(f, c->drop_ppm)) {
		f->count.dropped++;
		lose(f, frame);
		return false;
	}
	if (chance(f, c->corrupt_ppm) && !corrupt(f, frame)) {
		lose(f, frame);
		return false;
	}
	if (chance(f, c->duplicate_ppm))
		duplicate(f, frame);
	if (chance(f, c->delay_ppm) &&
	    hold(f, frame, f->now_ns + prng_between(&f->random, 1, max_of(c->delay_ns, 1ull)))) {
		f->count.delayed++;
		return false;
	}
	if (chance(f, c->reorder_ppm) && hold(f, frame, f->now_ns)) {
		f->count.reordered++;
		return false;
	}
	return true;
}

static void input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct fault *f = impl;

	f->now_ns = now_ns;
	for (u32 i = 0; i < n; i++) {
		u32 behind = f->n_held; /* what this frame overtakes */

		if (!harm(f, &frames[i]))
			continue;
		f->chain.below.frames->input(f->chain.below.impl, &frames[i], 1, now_ns);
		if (behind)
			fault_deliver(f, now_ns);
	}
}

/* -- out --------------------------------------------------------------------------------------- */

static void harm_sent(struct fault *f, struct tx_batch *tx, u32 first)
{
	const struct fault_frames *c = &f->config.out;
	u32 n = tx->n, kept = first;

	for (u32 i = first; i < n; i++) {
		if (chance(f, c->drop_ppm)) {
			f->count.dropped++;
			continue;
		}
		if (kept != i)
			tx->frames[kept] = tx->frames[i];
		if (kept > first && chance(f, c->reorder_ppm)) {
			struct tx_frame before = tx->frames[kept - 1];

			tx->frames[kept - 1] = tx->frames[kept];
			tx->frames[kept] = before;
			f->count.reordered++;
		}
		kept++;
	}
	tx->n = kept;
	for (u32 i = first; i < kept && tx->n < tx->cap; i++) {
		if (!chance(f, c->duplicate_ppm))
			continue;
		tx->frames[tx->n++] = tx->frames[i];
		f->count.duplicated++;
	}
}

static bool flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	struct fault *f = impl;
	u32 first = tx->n;
	bool more;

	if (f->life != FAULT_ALIVE)
		return false;
	more = f->chain.below.frames->flush(f->chain.below.impl, tx, now_ns);
	harm_sent(f, tx, first);
	return more;
}

/* -- the rest ---------------------------------------------------------------------------------- */

static void set_time(void *impl, u64 now_ns)
{
	struct fault *f = impl;

	f->now_ns = now_ns;
	frame_pass_ops.set_time(impl, now_ns);
}

static void timers(void *impl, u64 now_ns)
{
	struct fault *f = impl;

	f->now_ns = now_ns;
	fault_deliver(f, now_ns);
	if (f->life == FAULT_ALIVE)
		frame_pass_ops.timers(impl, now_ns);
}

static u32 events(void *impl, u64 now_ns)
{
	struct fault *f = impl;

	return f->life == FAULT_ALIVE ? frame_pass_ops.events(impl, now_ns) : 0;
}

static u64 next_deadline(const void *impl)
{
	const struct fault *f = impl;
	u64 next = f->life == FAULT_ALIVE ? frame_pass_ops.next_deadline(impl) : UINT64_MAX;

	for (u32 i = 0; i < f->n_held; i++)
		next = min_of(next, f->held[i].due_ns);
	return next;
}

static void link_changed(void *impl, u32 port, bool up)
{
	frame_pass_ops.link_changed(impl, port, up);
}

const struct frame_ops fault_frame_ops = {
	.set_time = set_time,
	.input = input,
	.timers = timers,
	.events = events,
	.flush = flush,
	.next_deadline = next_deadline,
	.link_changed = link_changed,
};

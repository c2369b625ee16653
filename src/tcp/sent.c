/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/sent.h"

#include "tcp/sack.h"

enum { TRANSMITS_MAX = 255 };

static struct sent_block *block_at(const struct tcp_engine *e, u32 buf)
{
	return (struct sent_block *)buf_bytes(e->bufs, buf);
}

static u32 record_bytes(const struct sent_record *r)
{
	return (u32)seq_diff(r->end, r->start);
}

/* -- walking ----------------------------------------------------------------------------------- */

/* The record at the place; NULL at the end. Steps over to the next block. */
static struct sent_record *record_at(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	struct sent_block *b;

	if (c->sent_head == NIL)
		return at->i || sent_is_empty(c) ? NULL : &c->sent;
	for (b = block_at(e, at->buf); at->i >= b->n; b = block_at(e, at->buf)) {
		u32 next = buf_at(e->bufs, at->buf)->next;

		if (next == NIL)
			return NULL;
		*at = (struct sent_at){next, 0};
	}
	return &b->r[b->first + at->i];
}

struct sent_record *sent_first(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *ret)
{
	*ret = (struct sent_at){c->sent_head, 0};
	return record_at(e, c, ret);
}

struct sent_record *sent_next(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	at->i++;
	return record_at(e, c, at);
}

/* The first record that ends right of `seq`, or the end; blocks left of it are skipped whole. */
static struct sent_record *find(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq,
                                struct sent_at *at)
{
	struct sent_record *r;

	*at = (struct sent_at){c->sent_head, 0};
	while (at->buf != NIL) {
		const struct sent_block *b = block_at(e, at->buf);
		u32 next = buf_at(e->bufs, at->buf)->next;

		if (next == NIL || (b->n && seq_gt(b->r[b->first + b->n - 1].end, seq)))
			break;
		at->buf = next;
	}
	for (r = record_at(e, c, at); r && seq_leq(r->end, seq);)
		r = sent_next(e, c, at);
	return r;
}

/* -- adding and removing ----------------------------------------------------------------------- */

/* A new block behind `after` (NIL: the first one); NIL when there is no buffer. */
static u32 add_block(struct tcp_engine *e, struct tcp_conn *c, u32 after)
{
	u32 buf = buf_to_remember(e);

	if (unlikely(buf == NIL))
		return NIL;
	block_at(e, buf)->first = block_at(e, buf)->n = 0;
	if (after == NIL) {
		c->sent_head = c->sent_tail = buf;
		return buf;
	}
	buf_at(e->bufs, buf)->next = buf_at(e->bufs, after)->next;
	buf_at(e->bufs, after)->next = buf;
	if (c->sent_tail == after)
		c->sent_tail = buf;
	return buf;
}

/* From the control block to the first buffer. */
static bool spill(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 buf = add_block(e, c, NIL);

	if (unlikely(buf == NIL))
		return false;
	block_at(e, buf)->r[0] = c->sent;
	block_at(e, buf)->n = 1;
	c->sent.start = c->sent.end;
	return true;
}

/* Moves the upper half of a full block into a new one. */
static bool divide(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	u32 buf = add_block(e, c, at->buf);
	struct sent_block *low = block_at(e, at->buf), *high;
	u16 keep = low->n / 2;

	if (unlikely(buf == NIL))
		return false;
	high = block_at(e, buf);
	high->n = low->n - keep;
	memcpy(high->r, &low->r[low->first + keep], high->n * sizeof(high->r[0]));
	low->n = keep;
	if (at->i > keep)
		*at = (struct sent_at){buf, at->i - keep};
	return true;
}

/* What comes behind a block that is used to its end begins a new one. */
static void append_block(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	u32 buf = add_block(e, c, at->buf);

	if (likely(buf != NIL))
		*at = (struct sent_at){buf, 0};
}

/* Inserts at a place; false: no buffer, nothing changed. `r` does not lie in the log. */
static bool insert(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at,
                   const struct sent_record *r)
{
	struct sent_block *b;

	if (c->sent_head == NIL) {
		if (sent_is_empty(c)) {
			c->sent = *r;
			return true;
		}
		if (!spill(e, c))
			return false;
		at->buf = c->sent_head;
	}
	b = block_at(e, at->buf);
	if (at->i == b->n && b->first + b->n == SENT_BLOCK_RECORDS)
		append_block(e, c, at);
	b = block_at(e, at->buf);
	if (b->n == SENT_BLOCK_RECORDS) {
		if (!divide(e, c, at))
			return false;
		b = block_at(e, at->buf);
	}
	if (b->first && b->first + b->n == SENT_BLOCK_RECORDS) {
		memmove(&b->r[0], &b->r[b->first], b->n * sizeof(b->r[0]));
		b->first = 0;
	}
	memmove(&b->r[b->first + at->i + 1], &b->r[b->first + at->i],
	        (b->n - at->i) * sizeof(b->r[0]));
	b->r[b->first + at->i] = *r;
	b->n++;
	return true;
}

/* Takes an empty block out of the chain; `at` goes on to what follows. */
static void drop_block(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	u32 next = buf_at(e->bufs, at->buf)->next, before = NIL;

	if (c->sent_head == at->buf) {
		c->sent_head = next;
	} else {
		for (before = c->sent_head; buf_at(e->bufs, before)->next != at->buf;)
			before = buf_at(e->bufs, before)->next;
		buf_at(e->bufs, before)->next = next;
	}
	if (c->sent_tail == at->buf)
		c->sent_tail = before;
	buf_put(e->bufs, at->buf);
	*at = (struct sent_at){next, 0};
	if (next == NIL && before != NIL)
		*at = (struct sent_at){before, block_at(e, before)->n};
}

static void remove_record(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at)
{
	struct sent_block *b;

	if (c->sent_head == NIL) {
		c->sent.start = c->sent.end;
		return;
	}
	b = block_at(e, at->buf);
	b->n--;
	if (!at->i)
		b->first++;
	else
		memmove(&b->r[b->first + at->i], &b->r[b->first + at->i + 1],
		        (b->n - at->i) * sizeof(b->r[0]));
	if (!b->n)
		drop_block(e, c, at);
}

/* Adds a record at its place, to the one before it when both left together. */
static void add(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at,
                const struct sent_record *r)
{
	struct sent_record *before = NULL;

	if (c->sent_head == NIL)
		before = at->i && !sent_is_empty(c) ? &c->sent : NULL;
	else if (at->i)
		before = &block_at(e, at->buf)->r[block_at(e, at->buf)->first + at->i - 1];
	if (before && seq_eq(before->end, r->start) && before->xmit_ns == r->xmit_ns &&
	    before->flags == r->flags && before->transmits == r->transmits) {
		before->end = r->end;
		return;
	}
	if (unlikely(!insert(e, c, at, r)))
		c->flags |= CONN_UNLOGGED;
}

/* -- taking out -------------------------------------------------------------------------------- */

/* Takes [start, end) out of one record; returns whether a part right of it stays. */
static bool cut_record(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *at,
                       struct sent_record *r, struct seq_range cut)
{
	struct sent_record right = *r;

	if (r->flags & SENT_LOST)
		c->lost_bytes -= (u32)seq_diff(cut.end, cut.start);
	if (seq_eq(cut.start, r->start)) {
		if (seq_eq(cut.end, r->end)) {
			remove_record(e, c, at);
			return false;
		}
		r->start = cut.end;
		return true;
	}
	r->end = cut.start;
	at->i++;
	if (seq_eq(cut.end, right.end))
		return false;
	right.start = cut.end;
	if (unlikely(!insert(e, c, at, &right))) {
		c->flags |= CONN_UNLOGGED;
		if (right.flags & SENT_LOST)
			c->lost_bytes -= record_bytes(&right);
	}
	return true;
}

static void sum_up(const struct sent_record *r, struct seq_range part, struct sent_delivery *d)
{
	if (unlikely(r->transmits > 1)) {
		d->repeated = true;
		if (r->xmit_ns > d->repeats_until_ns)
			return;
	} else {
		if (!d->oldest_once_ns) {
			d->once_low = part.end;
			d->oldest_once_ns = r->xmit_ns;
		}
		d->oldest_once_ns = min_of(d->oldest_once_ns, r->xmit_ns);
		d->once_low = seq_min(d->once_low, part.end);
	}
	if (!d->newest.xmit_ns ||
	    sent_after(r->xmit_ns, part.end, d->newest.xmit_ns, d->newest.end)) {
		d->newest = *r;
		d->newest.start = part.start;
		d->newest.end = part.end;
	}
}

/* Takes [start, end) out. `d`: what is to be summed up, NULL: nothing, it is sent again. Returns
 * how often it was sent, and where it stood. */
static u8 take_out(struct tcp_engine *e, struct tcp_conn *c, struct seq_range range,
                   struct sent_delivery *d, struct sent_at *at)
{
	struct sent_record *r = find(e, c, range.start, at);
	u8 transmits = 0;

	while (r && seq_lt(r->start, range.end)) {
		struct seq_range cut = {seq_max(r->start, range.start), seq_min(r->end, range.end)};

		if (d)
			sum_up(r, cut, d);
		transmits = max_of(transmits, r->transmits);
		if (cut_record(e, c, at, r, cut))
			break;
		r = record_at(e, c, at);
	}
	return transmits;
}

/* -- the interface ----------------------------------------------------------------------------- */

/* Nothing was in flight: one record, in its place. Field by field, as it is read again soon. */
static void begin_flight(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end)
{
	c->first_sent_ns = c->progress_at_ns = e->now_ns;
	c->flags &= (u16)~CONN_UNLOGGED;
	c->loss &= (u16)~LOSS_REPEATED;
	c->sent.start = start;
	c->sent.end = end;
	c->sent.xmit_ns = c->sent.first_sent_ns = c->sent.delivered_ns = e->now_ns;
	c->sent.delivered = c->delivered;
	c->sent.flags = c->app_limited ? SENT_APP_LIMITED : 0;
	c->sent.transmits = 1;
}

/* A segment that is sent again may hold bytes that the peer has sacked: those have no record. */
static void add_holes(struct tcp_engine *e, struct tcp_conn *c, struct sent_record r)
{
	tcp_seq end = r.end, hole_end;
	struct sent_at at;

	for (r.start = sack_skip(e, c, r.start, &hole_end); seq_lt(r.start, end);
	     r.start = sack_skip(e, c, r.end, &hole_end)) {
		/* Beyond snd_max nothing can be sacked: the last hole has no end. */
		r.end = seq_eq(hole_end, c->snd_max) ? end : seq_min(hole_end, end);
		find(e, c, r.start, &at);
		add(e, c, &at, &r);
	}
}

static void add_flight(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end)
{
	struct sent_record r = {
		.start = start,
		.end = end,
		.xmit_ns = e->now_ns,
		.first_sent_ns = c->first_sent_ns,
		.delivered_ns = c->progress_at_ns,
		.delivered = c->delivered,
		.flags = c->app_limited ? SENT_APP_LIMITED : 0,
		.transmits = 1,
	};
	struct sent_at at;
	u8 before;

	if (likely(seq_geq(start, c->snd_max))) {
		at = (struct sent_at){c->sent_tail, 1};
		if (c->sent_head != NIL)
			at.i = block_at(e, at.buf)->n;
		add(e, c, &at, &r);
		return;
	}
	before = take_out(e, c, (struct seq_range){start, end}, NULL, &at);
	c->high_rxt = seq_max(c->high_rxt, end);
	c->loss |= LOSS_REPEATED;
	/* Without a record it was sent once at least. */
	r.transmits = (u8)min_of(max_of(before, (u8)1) + 1, (int)TRANSMITS_MAX);
	add_holes(e, c, r);
}

/* New data behind what the same flush sent already: the record grows. */
static bool grow_last(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end)
{
	u8 flags = c->app_limited ? SENT_APP_LIMITED : 0;
	struct sent_record *r = &c->sent;

	if (c->sent_head != NIL) {
		struct sent_block *b = block_at(e, c->sent_tail);

		r = &b->r[b->first + b->n - 1];
	}
	if (!seq_eq(r->end, start) || seq_lt(start, c->snd_max) || r->xmit_ns != e->now_ns ||
	    r->transmits != 1 || r->flags != flags || seq_eq(r->start, r->end))
		return false;
	r->end = end;
	return true;
}

void sent_transmitted(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end)
{
	if (seq_eq(c->snd_una, c->snd_max))
		begin_flight(e, c, start, end);
	else if (!grow_last(e, c, start, end))
		add_flight(e, c, start, end);
}

void sent_delivered(struct tcp_engine *e, struct tcp_conn *c, tcp_seq start, tcp_seq end,
                    struct sent_delivery *d)
{
	struct sent_at at;

	/* Request and answer: all that is in flight is one record. */
	if (likely(c->sent_head == NIL && seq_eq(start, c->sent.start) &&
	           seq_eq(end, c->sent.end) && !(c->sent.flags & SENT_LOST))) {
		sum_up(&c->sent, (struct seq_range){start, end}, d);
		c->sent.start = end;
		return;
	}
	take_out(e, c, (struct seq_range){start, end}, d, &at);
}

void sent_account(struct tcp_engine *e, struct tcp_conn *c, u32 bytes,
                  const struct sent_delivery *d)
{
	c->delivered += bytes;
	c->progress_at_ns = e->now_ns;
	if (d->newest.xmit_ns)
		c->first_sent_ns = d->newest.xmit_ns;
	if (unlikely(c->app_limited) && (s32)(c->delivered - c->app_limited) > 0)
		c->app_limited = 0;
}

void sent_mark_lost(struct tcp_conn *c, struct sent_record *r)
{
	if (r->flags & SENT_LOST)
		return;
	if (!c->lost_bytes || seq_lt(r->start, c->lost_from))
		c->lost_from = r->start;
	r->flags |= SENT_LOST;
	c->lost_bytes += record_bytes(r);
}

void sent_unmark_lost(struct tcp_engine *e, struct tcp_conn *c)
{
	struct sent_at at;

	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at))
		r->flags &= (u8)~SENT_LOST;
	c->lost_bytes = 0;
}

struct sent_record *sent_first_lost(struct tcp_engine *e, struct tcp_conn *c, struct sent_at *ret)
{
	struct sent_record *r;

	if (likely(!c->lost_bytes))
		return NULL;
	for (r = find(e, c, c->lost_from, ret); r && !(r->flags & SENT_LOST);)
		r = sent_next(e, c, ret);
	if (r)
		c->lost_from = r->start;
	return r;
}

void sent_cut(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq)
{
	struct sent_at at;
	struct sent_record *r = find(e, c, seq, &at), right;

	if (!r || seq_geq(r->start, seq))
		return;
	right = *r;
	right.start = seq;
	r->end = seq;
	at.i++;
	if (!insert(e, c, &at, &right))
		r->end = right.end;
}

/* Left of it something may have been sent again, who knows when. */
static tcp_seq repeated_end(const struct tcp_conn *c)
{
	return c->recovery >= TCP_RECOVERY_FAST && seq_eq(c->high_rxt, c->snd_una) ? c->snd_max
	                                                                           : c->high_rxt;
}

void sent_rebuild(struct tcp_engine *e, struct tcp_conn *c)
{
	struct sent_record r = {
		.delivered = c->delivered,
		.transmits = 2, /* nobody knows: no measurement from it */
	};
	tcp_seq repeated = repeated_end(c), end;
	struct sent_at at;

	sent_clear(e, c);
	c->flags &= (u16)~CONN_UNLOGGED;
	c->loss |= LOSS_REPEATED;
	for (r.start = sack_skip(e, c, c->snd_una, &end); seq_lt(r.start, c->snd_max);
	     r.start = sack_skip(e, c, r.end, &end)) {
		bool old = seq_lt(r.start, repeated);

		/* Of what was sent once, the last left when new data did. */
		r.end = old ? seq_min(end, repeated) : end;
		r.xmit_ns = r.first_sent_ns = r.delivered_ns = old ? e->now_ns : c->sent_at_ns;
		at = (struct sent_at){c->sent_tail, 1};
		if (c->sent_head != NIL)
			at.i = block_at(e, at.buf)->n;
		add(e, c, &at, &r);
	}
}

void sent_clear(struct tcp_engine *e, struct tcp_conn *c)
{
	buf_put_chain(e->bufs, c->sent_head);
	c->sent_head = c->sent_tail = NIL;
	c->sent.start = c->sent.end;
	c->lost_bytes = 0;
}

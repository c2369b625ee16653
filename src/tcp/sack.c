/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/sack.h"

static struct scoreboard *board_make(struct tcp_engine *e, struct tcp_conn *c)
{
	if (c->sack_buf == NIL) {
		c->sack_buf = buf_to_remember(e);
		if (c->sack_buf == NIL)
			return NULL;
		sack_board(e, c)->n = 0;
		c->sacked_bytes = 0; /* a guess until now, from duplicate ACKs without a board */
	}
	return sack_board(e, c);
}

void sack_clear(struct tcp_engine *e, struct tcp_conn *c)
{
	if (c->sack_buf != NIL)
		buf_put(e->bufs, c->sack_buf);
	c->sack_buf = NIL;
	c->sacked_bytes = 0;
}

static u32 range_bytes(struct seq_range r)
{
	return (u32)seq_diff(r.end, r.start);
}

static void remove_ranges(struct scoreboard *b, u32 at, u32 n)
{
	memmove(&b->r[at], &b->r[at + n], (b->n - at - n) * sizeof(b->r[0]));
	b->n -= n;
}

/* Makes room at `at`; the highest range goes when there is none: it will be sent again. */
static void insert_range(struct tcp_engine *e, struct tcp_conn *c, u32 at, struct seq_range r)
{
	struct scoreboard *b = sack_board(e, c);

	if (b->n == SCOREBOARD_RANGES) {
		e->n.sack_ranges_lost++;
		c->flags |= CONN_UNLOGGED;
		if (at == b->n)
			return;
		c->sacked_bytes -= range_bytes(b->r[--b->n]);
	}
	memmove(&b->r[at + 1], &b->r[at], (b->n - at) * sizeof(b->r[0]));
	b->r[at] = r;
	b->n++;
	c->sacked_bytes += range_bytes(r);
}

u32 sack_add(struct tcp_engine *e, struct tcp_conn *c, struct seq_range range)
{
	struct scoreboard *b = board_make(e, c);
	u32 before = c->sacked_bytes;
	u32 at, last;

	if (!b) {
		/* Unknown which, but something left the network: a duplicate ACK as without SACK.
		 */
		e->n.sack_ranges_lost++;
		return range_bytes(range);
	}
	for (at = b->n; at > 0 && seq_geq(b->r[at - 1].end, range.start);)
		at--;
	/* [at, last): ranges that touch the new one and are merged into it. */
	for (last = at; last < b->n && seq_leq(b->r[last].start, range.end); last++) {
		range.start = seq_min(range.start, b->r[last].start);
		range.end = seq_max(range.end, b->r[last].end);
		c->sacked_bytes -= range_bytes(b->r[last]);
	}
	remove_ranges(b, at, last - at);
	insert_range(e, c, at, range);
	return c->sacked_bytes > before ? c->sacked_bytes - before : 0;
}

/* RFC 2883 4: the first block reports bytes received twice. */
static bool is_dsack(const struct tcp_conn *c, const struct segment *s)
{
	const struct wire_sack *first = &s->w.options.sack[0];

	if (!seq_lt(first->start, first->end) ||
	    (s64)seq_diff(s->w.ack, first->start) > (s64)c->max_snd_wnd ||
	    seq_gt(first->end, c->snd_max))
		return false;
	if (seq_leq(s->w.options.sack[0].end, s->w.ack))
		return true;
	return s->w.options.n_sack > 1 &&
	       seq_geq(s->w.options.sack[0].start, s->w.options.sack[1].start) &&
	       seq_leq(s->w.options.sack[0].end, s->w.options.sack[1].end);
}

void sack_update(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                 struct ack_info *a)
{
	u32 first = 0;

	if (is_dsack(c, s)) {
		e->n.dsacks_in++;
		a->dsack = true;
		a->dsack_range =
			(struct seq_range){s->w.options.sack[0].start, s->w.options.sack[0].end};
		first = 1;
	}
	for (u32 i = first; i < s->w.options.n_sack; i++) {
		struct seq_range r = {s->w.options.sack[i].start, s->w.options.sack[i].end};

		if (!seq_lt(r.start, r.end) || seq_gt(r.end, c->snd_max)) {
			e->n.sack_invalid++;
			continue;
		}
		/* Left of snd_una: an old ACK, or the peer is confused. */
		if (seq_leq(r.start, c->snd_una)) {
			e->n.sack_invalid += seq_gt(r.end, c->snd_una);
			continue;
		}
		sent_delivered(e, c, r.start, r.end, &a->sent);
		a->fresh += sack_add(e, c, r);
	}
}

void sack_advance(struct tcp_engine *e, struct tcp_conn *c)
{
	struct scoreboard *b = sack_board(e, c);
	u32 gone = 0;

	if (!b)
		return;
	while (gone < b->n && seq_leq(b->r[gone].end, c->snd_una))
		c->sacked_bytes -= range_bytes(b->r[gone++]);
	remove_ranges(b, 0, gone);
	/* The ACK would cover a range that begins at it, if the peer still had that: it has given
	 * bytes up (RFC 2018 8), as it may when it moved. Nothing of what it said holds any more.
	 */
	if (b->n && seq_leq(b->r[0].start, c->snd_una)) {
		e->n.sack_ranges_lost += b->n;
		c->flags |= CONN_UNLOGGED;
		b->n = 0;
	}
	if (!b->n)
		sack_clear(e, c);
}

tcp_seq sack_lost_end(struct tcp_engine *e, const struct tcp_conn *c)
{
	struct scoreboard *b = sack_board(e, c);
	u32 above = 0;

	if (!b)
		return c->snd_una;
	for (u32 i = b->n; i-- > 0;) {
		above += range_bytes(b->r[i]);
		if (b->n - i >= DUP_THRESH || above > (DUP_THRESH - 1u) * c->mss)
			return b->r[i].start;
	}
	return c->snd_una;
}

u32 sack_holes(struct tcp_engine *e, const struct tcp_conn *c, tcp_seq from, tcp_seq to)
{
	struct scoreboard *b = sack_board(e, c);
	s32 bytes = seq_diff(to, from);

	if (bytes <= 0)
		return 0;
	for (u32 i = 0; b && i < b->n; i++) {
		s32 covered = seq_diff(seq_min(b->r[i].end, to), seq_max(b->r[i].start, from));

		bytes -= max_of(covered, 0);
	}
	return (u32)bytes;
}

tcp_seq sack_skip(struct tcp_engine *e, const struct tcp_conn *c, tcp_seq seq, tcp_seq *ret_end)
{
	struct scoreboard *b = sack_board(e, c);

	*ret_end = c->snd_max;
	for (u32 i = 0; b && i < b->n; i++) {
		if (seq_lt(seq, b->r[i].start)) {
			*ret_end = b->r[i].start;
			break;
		}
		seq = seq_max(seq, b->r[i].end);
	}
	return seq;
}

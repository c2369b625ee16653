/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The sent log: records made, cut, joined, taken out; what an ACK sums up; no buffer. */
#include "unit.h"

#include "base/prng.h"
#include "tcp/sack.h"
#include "tcp/sent.h"
#include "tcp_script.h"

enum { MSS = SCRIPT_MSS, MODEL = 4000 };

static tcp_seq at(struct script *s, u32 offset)
{
	return seq_of(SCRIPT_ISS + offset);
}

static u32 records(struct script *s)
{
	struct sent_at a;
	u32 n = 0;

	for (struct sent_record *r = sent_first(s->e, script_conn(s), &a); r;
	     r = sent_next(s->e, script_conn(s), &a))
		n++;
	return n;
}

static u32 free_small(struct script *s)
{
	return s->pool.n_free[BUF_SMALL];
}

/* One record is free of charge, a flush is one record, later ones need a buffer, and it goes.
 * RFC8985-4b, RFC8985-6.1. */
static void test_one_and_many(void **state)
{
	struct script s;
	struct tcp_conn *c;
	u32 before;

	script_begin(&s, 0);
	c = script_conn(&s);
	assert_true(sent_is_empty(c));
	script_send(&s, 3 * MSS);
	before = free_small(&s);
	assert_int_equal(script_flush(&s), 3);
	assert_int_equal(records(&s), 1);
	assert_int_equal(c->sent.xmit_ns, s.start_ns);
	assert_int_equal(c->sent.first_sent_ns, s.start_ns);
	assert_int_equal(c->sent.transmits, 1);
	assert_int_equal(free_small(&s), before);
	/* Acknowledged in part: the rest is what it was. */
	script_at(&s, 10 * NS_PER_MS);
	IN(&s, .ack = MSS);
	assert_int_equal(c->sent.start.n, at(&s, MSS).n);
	assert_int_equal(c->sent.xmit_ns, s.start_ns);
	assert_int_equal(c->delivered, MSS);
	assert_int_equal(c->progress_at_ns, s.start_ns + 10 * NS_PER_MS);
	/* More, at another time: a chain. */
	script_send(&s, MSS);
	before = free_small(&s);
	assert_int_equal(script_flush(&s), 1);
	assert_int_equal(records(&s), 2);
	assert_int_equal(free_small(&s), before - 1);
	/* draft-cheng: the record tells how much had been delivered when it left, and when. */
	struct sent_at a;
	sent_first(s.e, c, &a);
	const struct sent_record *r = sent_next(s.e, c, &a);
	assert_int_equal(r->delivered, MSS);
	assert_int_equal(r->delivered_ns, s.start_ns + 10 * NS_PER_MS);
	assert_int_equal(r->first_sent_ns, s.start_ns);
	script_at(&s, 20 * NS_PER_MS);
	IN(&s, .ack = 4 * MSS);
	assert_true(sent_is_empty(c));
	assert_int_equal(c->sent_head, NIL);
	assert_int_equal(c->delivered, 4 * MSS);
	/* The newest of what was delivered left at 10 ms. */
	assert_int_equal(c->first_sent_ns, s.start_ns + 10 * NS_PER_MS);
	script_end(&s);
}

/* What is sacked leaves the log and cuts the record; a repeat has its own time. RFC8985-4c,
 * RFC8985-6.1. */
static void test_cut_and_repeat(void **state)
{
	struct script s;
	struct tcp_conn *c;
	struct sent_at a;
	struct sent_record *r;

	script_begin(&s, TCP_OPT_SACK);
	c = script_conn(&s);
	script_send(&s, 10 * MSS);
	script_flush(&s);
	script_at(&s, 50 * NS_PER_MS);
	IN(&s, .ack = 0, .n_sack = 1, .sack = {{4 * MSS, 6 * MSS}});
	assert_int_equal(records(&s), 2);
	r = sent_first(s.e, c, &a);
	assert_int_equal(r->end.n, at(&s, 4 * MSS).n);
	r = sent_next(s.e, c, &a);
	assert_int_equal(r->start.n, at(&s, 6 * MSS).n);
	assert_int_equal(r->end.n, at(&s, 10 * MSS).n);
	/* A lost one, repeated in part: lost_bytes follows. */
	sent_mark_lost(c, sent_first(s.e, c, &a));
	sent_mark_lost(c, sent_first(s.e, c, &a));
	assert_int_equal(c->lost_bytes, 4 * MSS);
	sent_transmitted(s.e, c, at(&s, MSS), at(&s, 2 * MSS));
	assert_int_equal(c->lost_bytes, 3 * MSS);
	assert_int_equal(records(&s), 4);
	sent_first(s.e, c, &a);
	r = sent_next(s.e, c, &a);
	assert_int_equal(r->start.n, at(&s, MSS).n);
	assert_int_equal(r->transmits, 2);
	assert_int_equal(r->flags, 0);
	assert_int_equal(r->xmit_ns, s.start_ns + 50 * NS_PER_MS);
	/* Two repeats of one flush, side by side, are one record. */
	sent_transmitted(s.e, c, at(&s, 2 * MSS), at(&s, 3 * MSS));
	assert_int_equal(records(&s), 4);
	assert_int_equal(c->lost_bytes, 2 * MSS);
	IN(&s, .ack = 10 * MSS);
	assert_int_equal(c->lost_bytes, 0);
	script_end(&s);
}

/* RFC 8985 6.2 step 2: the newest, but no repeat that left after what the ACK can be for.
 * RFC8985-6.2b. */
static void test_newest(void **state)
{
	struct sent_delivery d;
	struct script s;
	struct tcp_conn *c;

	script_begin(&s, 0);
	c = script_conn(&s);
	sent_delivery_init(&d, s.start_ns + 25 * NS_PER_MS);
	script_send(&s, 4 * MSS);
	script_flush(&s);
	script_at(&s, 10 * NS_PER_MS);
	sent_transmitted(s.e, c, at(&s, MSS), at(&s, 2 * MSS));
	script_at(&s, 20 * NS_PER_MS);
	sent_transmitted(s.e, c, at(&s, 0), at(&s, MSS));
	script_at(&s, 30 * NS_PER_MS);
	sent_transmitted(s.e, c, at(&s, 2 * MSS), at(&s, 3 * MSS));
	sent_delivered(s.e, c, at(&s, 0), at(&s, 4 * MSS), &d);
	assert_int_equal(d.newest.xmit_ns, s.start_ns + 20 * NS_PER_MS);
	assert_int_equal(d.newest.end.n, at(&s, MSS).n);
	assert_int_equal(d.oldest_once_ns, s.start_ns);
	assert_int_equal(d.once_low.n, at(&s, 4 * MSS).n);
	assert_true(d.repeated);
	assert_true(sent_is_empty(c));
	/* At the same time the higher one counts as later. */
	assert_true(sent_after(5, at(&s, 2), 5, at(&s, 1)));
	assert_false(sent_after(5, at(&s, 2), 5, at(&s, 2)));
	assert_false(sent_after(4, at(&s, 2), 5, at(&s, 1)));
	script_end(&s);
}

static u32 take_all(struct script *s, u32 *ret_bufs)
{
	u32 n = 0, buf;

	while ((buf = buf_alloc(&s->pool, BUF_SMALL)) != NIL)
		ret_bufs[n++] = buf;
	return n;
}

static void put_all(struct script *s, const u32 *bufs, u32 n)
{
	for (u32 i = 0; i < n; i++)
		buf_put(&s->pool, bufs[i]);
}

/* Without a buffer what exists stays right, what is new goes without, the timer makes it anew. */
static void test_no_buffer(void **state)
{
	static u32 bufs[1024];
	struct script s;
	struct tcp_conn *c;
	u32 n;

	script_begin(&s, TCP_OPT_SACK);
	c = script_conn(&s);
	script_send(&s, 9 * MSS);
	c->cwnd_bytes = 5 * MSS;
	script_flush(&s);
	n = take_all(&s, bufs);
	script_at(&s, NS_PER_MS);
	c->cwnd_bytes = 9 * MSS;
	conn_mark_dirty(s.e, c);
	assert_int_equal(script_flush(&s), 4);
	assert_int_equal(records(&s), 1);
	assert_int_equal(c->sent.end.n, at(&s, 5 * MSS).n);
	assert_true(c->flags & CONN_UNLOGGED);
	/* Cut in the middle: the left part stays. */
	sent_mark_lost(c, &c->sent);
	sent_transmitted(s.e, c, at(&s, MSS), at(&s, 2 * MSS));
	assert_int_equal(records(&s), 1);
	assert_int_equal(c->sent.end.n, at(&s, MSS).n);
	assert_int_equal(c->lost_bytes, MSS);
	put_all(&s, bufs, n);
	sent_rebuild(s.e, c);
	assert_false(c->flags & CONN_UNLOGGED);
	assert_int_equal(records(&s), 1);
	assert_int_equal(c->sent.end.n, at(&s, 9 * MSS).n);
	assert_int_equal(c->lost_bytes, 0);
	IN(&s, .ack = 9 * MSS);
	assert_true(sent_is_empty(c));
	script_end(&s);
}

/* After an import everything in flight has a record, one a hole, with that time. */
static void test_import(void **state)
{
	struct script s;
	struct tcp_conn *c;
	struct sent_at a;
	struct sent_record *r;

	script_init(&s);
	s.state.k.options = TCP_OPT_SACK;
	s.state.d.send.buf = buf_alloc(&s.pool, BUF_LARGE);
	s.state.d.send.len = buf_at(&s.pool, s.state.d.send.buf)->len = 8 * MSS;
	s.state.d.snd_nxt = s.state.d.snd_max = at(&s, 8 * MSS);
	s.state.d.sacked.n = 1;
	s.state.d.sacked.r[0] = (struct seq_range){at(&s, 2 * MSS), at(&s, 3 * MSS)};
	script_at(&s, 7 * NS_PER_MS);
	script_start(&s);
	c = script_conn(&s);
	assert_int_equal(records(&s), 2);
	r = sent_first(s.e, c, &a);
	assert_int_equal(r->start.n, at(&s, 0).n);
	assert_int_equal(r->end.n, at(&s, 2 * MSS).n);
	assert_int_equal(r->xmit_ns, s.start_ns + 7 * NS_PER_MS);
	r = sent_next(s.e, c, &a);
	assert_int_equal(r->start.n, at(&s, 3 * MSS).n);
	assert_int_equal(r->end.n, at(&s, 8 * MSS).n);
	/* Nobody knows when it really left: no measurement. */
	script_at(&s, 9 * NS_PER_MS);
	IN(&s, .ack = 8 * MSS);
	assert_int_equal(c->srtt_ns, 100 * NS_PER_MS);
	script_end(&s);
}

/* Against a model that keeps every byte by itself; enough records for many blocks. */
static void test_model(void **state)
{
	static struct {
		u64 xmit_ns;
		u8 transmits;
		bool lost, gone;
	} m[MODEL];
	struct script s;
	struct tcp_conn *c;
	struct prng prng;
	u32 sent = 0;

	memset(m, 0, sizeof(m));
	script_begin(&s, 0);
	c = script_conn(&s);
	prng_seed(&prng, 11);
	for (u32 step = 0; step < 6000; step++) {
		u32 what = prng_below(&prng, 8), a, b, lost = 0;
		struct sent_delivery d = {.repeats_until_ns = UINT64_MAX};
		struct sent_at place;

		s.e->now_ns += prng_below(&prng, 3);
		a = prng_below(&prng, sent + 1);
		b = min_of(a + 1 + prng_below(&prng, 9), sent);
		if (what < 3 && sent + 10 < MODEL) {
			a = sent;
			b = sent += 1 + prng_below(&prng, 9);
		} else if (what == 7) {
			struct sent_record *r = sent_first(s.e, c, &place);

			for (u32 i = prng_below(&prng, 50); r && i; i--)
				r = sent_next(s.e, c, &place);
			if (r)
				sent_mark_lost(c, r);
			for (u32 i = r ? r->start.n - SCRIPT_ISS : 0;
			     r && i < r->end.n - SCRIPT_ISS; i++)
				m[i].lost = true;
			continue;
		} else if (what >= 5) {
			u64 newest = 0;

			for (u32 i = a; i < b; i++) {
				newest = m[i].gone ? newest : max_of(newest, m[i].xmit_ns);
				m[i].gone = true;
			}
			if (a < b)
				sent_delivered(s.e, c, at(&s, a), at(&s, b), &d);
			assert_int_equal(d.newest.xmit_ns, newest);
			a = b;
		}
		/* The peer keeps what it has: nothing of it is sent again. */
		for (u32 i = a; i < b; i++)
			b = m[i].gone ? i : b;
		if (a < b) {
			sent_transmitted(s.e, c, at(&s, a), at(&s, b));
			c->snd_max = seq_max(c->snd_max, at(&s, b));
		}
		for (u32 i = a; i < b; i++) {
			m[i].xmit_ns = s.e->now_ns;
			m[i].transmits++;
			m[i].lost = false;
		}
		if (step % 16)
			continue;
		u32 i = 0;
		for (struct sent_record *r = sent_first(s.e, c, &place); r;
		     r = sent_next(s.e, c, &place)) {
			for (; i < r->start.n - SCRIPT_ISS; i++)
				assert_true(m[i].gone);
			for (; i < r->end.n - SCRIPT_ISS; i++) {
				assert_false(m[i].gone);
				assert_int_equal(m[i].xmit_ns, r->xmit_ns);
				assert_int_equal(m[i].lost, !!(r->flags & SENT_LOST));
				lost += m[i].lost;
			}
		}
		for (; i < sent; i++)
			assert_true(m[i].gone);
		assert_int_equal(c->lost_bytes, lost);
	}
	assert_true(sent > 3000);
	c->snd_max = c->snd_una;
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_and_many), cmocka_unit_test(test_cut_and_repeat),
		cmocka_unit_test(test_newest),       cmocka_unit_test(test_no_buffer),
		cmocka_unit_test(test_import),       cmocka_unit_test(test_model),
	};

	return RUN_TESTS(tests);
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "unit.h"

#include "tcp/reassembly.h"
#include "tcp/recovery.h"
#include "tcp/sack.h"
#include "tcp/sent.h"
#include "tcp_invariants.h"

/* The sent log and the scoreboard share [snd_una, snd_max) between them. */
static void sent_log(struct tcp_engine *e, struct tcp_conn *c)
{
	u32 flight = (u32)seq_diff(c->snd_max, c->snd_una), bytes = 0, lost = 0;
	tcp_seq end = c->snd_una;
	struct sent_at at;

	for (struct sent_record *r = sent_first(e, c, &at); r; r = sent_next(e, c, &at)) {
		u32 len = (u32)seq_diff(r->end, r->start);

		assert_true(seq_geq(r->start, end) && seq_lt(r->start, r->end));
		assert_int_equal(sack_holes(e, c, r->start, r->end), len);
		assert_true(r->xmit_ns <= e->now_ns && r->transmits);
		end = r->end;
		bytes += len;
		lost += r->flags & SENT_LOST ? len : 0;
	}
	assert_true(seq_leq(end, c->snd_max));
	assert_int_equal(lost, c->lost_bytes);
	if (!(c->flags & CONN_UNLOGGED))
		assert_int_equal(bytes, sack_holes(e, c, c->snd_una, c->snd_max));
	assert_true(recovery_pipe(c) <= flight);
}

void tcp_invariants(struct tcp_engine *e, struct buf_pool *pool, const struct tcp_conn *c)
{
	u32 fin = conn_fin_outstanding(c);
	u32 segs = 0, bytes = 0;

	if (c->state < TCP_ESTABLISHED)
		return;
	assert_true(seq_leq(c->snd_una, c->snd_nxt) && seq_leq(c->snd_nxt, c->snd_max));
	assert_true((u32)seq_diff(c->snd_max, c->snd_una) <= c->snd_queued + fin);
	assert_int_equal(buf_chain_len(pool, c->snd_head), c->snd_queued);
	assert_int_equal(buf_chain_len(pool, c->rcv_head), c->rcv_queued);
	assert_true(c->sacked_bytes <= (u32)seq_diff(c->snd_max, c->snd_una));
	sent_log(e, conn_at(e, conn_index(e, c)));
	assert_true(seq_diff(c->rcv_adv, c->rcv_nxt) >= -1);
	assert_true(c->cwnd_bytes >= c->mss);
	for (u32 buf = c->ooo_head; buf != NIL; buf = ooo_at(e, buf)->next) {
		assert_true(seq_gt(ooo_at(e, buf)->seq, c->rcv_nxt));
		bytes += ooo_at(e, buf)->len;
		segs++;
	}
	assert_int_equal(segs, c->ooo_segs);
	assert_int_equal(bytes, c->ooo_bytes);
}

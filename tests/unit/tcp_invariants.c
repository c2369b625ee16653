// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "unit.h"

#include "tcp/reassembly.h"
#include "tcp_invariants.h"

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

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Moves of connections with traffic: nothing lost, and the congestion window goes on. */
#include "base/prng.h"
#include "tcp_pair.h"
#include "tcp_script.h"
#include "unit.h"
#include <errno.h>

/* Copies what a reference names, as a transfer between pools does. */
static void copy_ref(struct buf_pool *pool, struct data_ref *r)
{
	struct data_ref copy = {NIL, 0, 0};
	u32 tail = NIL, buf = r->buf, off = r->off;

	while (copy.len < r->len) {
		const struct buf *b = buf_at(pool, buf);
		u32 n = min_of(min_of(b->off + b->len - off, r->len - copy.len), 2048u);
		u32 to = buf_alloc(pool, BUF_SMALL);

		assert_int_not_equal(to, NIL);
		memcpy(buf_bytes(pool, to), buf_bytes(pool, buf) + off, n);
		buf_at(pool, to)->len = n;
		if (tail == NIL)
			copy.buf = to;
		else
			buf_at(pool, tail)->next = to;
		tail = to;
		copy.len += n;
		off += n;
		if (off == b->off + b->len && b->next != NIL) {
			buf = b->next;
			off = buf_at(pool, buf)->off;
		}
	}
	*r = copy;
}

/* Moves connection i of `end` out and in again; now and then the import "fails" and it resumes. */
static void move(struct pair *p, u32 end, u32 i, bool fail)
{
	struct pair_end *n = &p->end[end];
	struct tcp_state s;
	u32 old = n->conn[i];

	if (old == NIL || tcp_conn_state(n->e, old) < TCP_ESTABLISHED ||
	    tcp_conn_state(n->e, old) == TCP_TIME_WAIT)
		return;
	tcp_conn_quiesce(n->e, old, p->now_ns, NULL);
	tcp_conn_export(n->e, old, p->now_ns, &s);
	if (tcp_state_check(&s))
		fail_msg("%s", tcp_state_check(&s));
	if (fail) {
		assert_int_equal(tcp_conn_resume(n->e, old, p->now_ns), 0);
		return;
	}
	copy_ref(&n->pool, &s.d.send);
	copy_ref(&n->pool, &s.d.recv);
	for (u32 k = 0; k < s.d.ooo.n; k++)
		copy_ref(&n->pool, &s.d.ooo.seg[k].data);
	assert_int_equal(tcp_conn_import(n->e, &s, n->path, p->now_ns, &n->conn[i]), 0);
	tcp_conn_free(n->e, old);
}

/* R10, R42: moves at random moments under loss, reorder and duplication: byte-exact. */
static void test_move_storm(void **state)
{
	u32 moves = 0;

	for (u64 seed = 1; seed <= 6; seed++) {
		struct pair_options o = {
			.seed = seed,
			.delay_ns = NS_PER_MS * (1 + seed % 5),
			.loss_ppm = 5000 * (seed % 5),
			.reorder_ppm = 30000 * (seed % 3),
			.duplicate_ppm = 10000 * (seed % 2),
			.options = seed % 4 == 1
		                           ? TCP_OPT_TIMESTAMPS
		                           : TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
			.wscale = seed % 4 == 1 ? 0 : 6,
			.rcv_buf = 60000,
			.gso_max_bytes = seed % 3 ? 0 : 65535,
			.tx_csum = true,
			.cc = (u8)(seed % 2),
		};
		struct pair p;

		pair_init(&p, &o);
		for (u32 i = 0; i < 6; i++) {
			pair_import(&p, i);
			for (u32 end = 0; end < 2; end++) {
				p.end[end].stream[i].to_send = 150000 << end;
				p.end[end].stream[i].close = true;
			}
		}
		pair_work(&p);
		for (u32 n = 0; n < 4000 && pair_step(&p, p.now_ns + 10 * NS_PER_S); n++) {
			move(&p, prng_below(&p.prng, 2), prng_below(&p.prng, 6),
			     prng_chance(&p.prng, 200000));
			moves++;
		}
		assert_true(pair_run_streams(&p, 1000 * NS_PER_S));
		for (u32 i = 0; i < 6; i++)
			for (u32 end = 0; end < 2; end++) {
				assert_int_equal(p.end[end].stream[i].wrong, 0);
				assert_false(p.end[end].stream[i].events &
				             (TCP_EV_RESET | TCP_EV_TIMEOUT));
				tcp_conn_free(p.end[end].e, p.end[end].conn[i]);
			}
		for (u32 end = 0; end < 2; end++)
			assert_int_equal(pair_free_buffers(&p.end[end]),
			                 pair_total_buffers(&p.end[end]));
		pair_finish(&p);
	}
	assert_true(moves > 1000);
}

/* R98: cwnd goes on as it was: no burst, no fall to the initial window. */
static void test_window_goes_on(void **state)
{
	struct tcp_state out;
	struct script s;

	script_init(&s);
	s.state.d.cwnd_bytes = 25 * SCRIPT_MSS;
	s.state.d.ssthresh_bytes = 20 * SCRIPT_MSS;
	s.state.d.snd_max = s.state.d.snd_nxt = seq_add(s.state.d.snd_una, 20 * SCRIPT_MSS);
	s.state.d.send.len = 40 * SCRIPT_MSS;
	s.state.d.send.buf = buf_alloc(&s.pool, BUF_LARGE);
	buf_at(&s.pool, s.state.d.send.buf)->len = 40 * SCRIPT_MSS;
	s.state.d.retransmit_left_ns = 200 * NS_PER_MS;
	script_start(&s);
	assert_int_equal(script_flush(&s), 5);
	EXPECT(&s, 0, WIRE_ACK, 20 * SCRIPT_MSS, 0, SCRIPT_MSS);
	IN(&s, .ack = 2 * SCRIPT_MSS);
	assert_int_equal(script_flush(&s), 2);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
	assert_true(out.d.cwnd_bytes >= 25 * SCRIPT_MSS);
	assert_int_equal(out.d.ssthresh_bytes, 20 * SCRIPT_MSS);
	assert_int_equal(out.d.srtt_ns, 100 * NS_PER_MS);
	script_end(&s);
}

/* R98: in slow start, moved after every round trip: the window doubles each time, and after each
 * move no more leaves than the ACKs allow. */
static void test_slow_start_goes_on(void **state)
{
	u32 acked = 0;
	u64 at = 0;
	struct script s;

	script_init(&s);
	s.state.d.cwnd_bytes = 2 * SCRIPT_MSS;
	s.state.d.ssthresh_bytes = UINT32_MAX;
	s.state.d.send.len = 31 * SCRIPT_MSS;
	s.state.d.send.buf = buf_alloc(&s.pool, BUF_LARGE);
	buf_at(&s.pool, s.state.d.send.buf)->len = 31 * SCRIPT_MSS;
	script_start(&s);
	assert_int_equal(script_flush(&s), 2);
	for (u32 flight = 2; flight <= 8; flight *= 2) {
		at += 50 * NS_PER_MS;
		script_at(&s, at);
		for (u32 i = 0; i < flight; i++) {
			IN(&s, .ack = ++acked * SCRIPT_MSS);
			assert_int_equal(script_flush(&s), 2);
		}
		tcp_conn_quiesce(s.e, s.conn, s.e->now_ns, NULL);
		tcp_conn_export(s.e, s.conn, s.e->now_ns, &s.state);
		assert_int_equal(s.state.d.cwnd_bytes, 2 * flight * SCRIPT_MSS);
		assert_int_equal(s.state.d.ssthresh_bytes, UINT32_MAX);
		copy_ref(&s.pool, &s.state.d.send);
		tcp_conn_free(s.e, s.conn);
		assert_int_equal(tcp_conn_import(s.e, &s.state, s.path, s.e->now_ns, &s.conn), 0);
		EXPECT_NONE(&s);
	}
	script_end(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move_storm),
		cmocka_unit_test(test_window_goes_on),
		cmocka_unit_test(test_slow_start_goes_on),
	};

	return RUN_TESTS(tests);
}

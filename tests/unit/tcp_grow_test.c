/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The receive buffer grows with what is read in a round trip, and only then. */
#include "unit.h"

#include "tcp_script.h"

enum { RTT_MS = 100, BUF = 10000, MOST = 200000 };

static void begin(struct script *s, u32 most)
{
	script_init(s);
	s->state.k.options = TCP_OPT_WSCALE;
	s->state.k.rcv_wscale = 7;
	s->state.c.rcv_buf_bytes = BUF;
	s->state.c.rcv_buf_max_bytes = most;
	s->state.d.rcv_wnd = BUF;
	s->state.d.rcv_adv = seq_add(s->state.d.rcv_nxt, BUF);
	script_start(s);
}

/* `n` full segments within each of `rounds` round trips, read at once if `reads`; the edge that was
 * advertised never moves left. */
static u32 stream(struct script *s, u32 rounds, u32 n, u32 *seq, bool reads)
{
	u32 edge = 0;

	for (u32 i = 0; i < rounds * n; i++) {
		u64 now_ns = s->e->now_ns - s->start_ns;

		script_at(s, now_ns + RTT_MS * NS_PER_MS / n);
		IN(s, .seq = *seq, .len = SCRIPT_MSS);
		*seq += SCRIPT_MSS;
		if (reads)
			tcp_recv_skip(s->e, s->conn, SCRIPT_MSS);
		script_flush(s);
		for (u32 k = 0; k < s->n_tx; k++) {
			u32 right = s->out_ack[k] + ((u32)s->out[k].wnd << 7);

			assert_true(right >= edge);
			edge = right;
		}
	}
	return script_conn(s)->rcv_buf_bytes;
}

static void test_doubles_with_a_window_a_round_trip(void **state)
{
	struct script s;
	u32 seq = 0, buf;

	begin(&s, MOST);
	assert_int_equal(stream(&s, 1, 10, &seq, true), BUF); /* the first round only measures */
	buf = stream(&s, 2, 10, &seq, true);
	assert_in_range(buf, 2 * BUF, 2 * BUF + 16 * SCRIPT_MSS);
	buf = stream(&s, 3, 40, &seq, true);
	assert_in_range(buf, 60000, 120000);
	assert_int_equal(stream(&s, 6, 400, &seq, true), MOST);
	script_end(&s);
}

static void test_a_fixed_one_stays(void **state)
{
	struct script s;
	u32 seq = 0;

	begin(&s, 0);
	assert_int_equal(stream(&s, 6, 10, &seq, true), BUF);
	script_end(&s);
}

/* What is not read takes no more room than it has. */
static void test_does_not_grow_for_who_does_not_read(void **state)
{
	struct script s;
	u32 seq = 0;

	begin(&s, MOST);
	assert_true(stream(&s, 2, 5, &seq, false) < 2 * BUF);
	assert_true(stream(&s, 20, 1, &seq, false) < 3 * BUF);
	script_end(&s);
}

static void test_an_empty_pool_stops_it(void **state)
{
	struct script s;
	u32 seq = 0, held[1024], n = 0;

	begin(&s, MOST);
	while (s.pool.n_free[BUF_SMALL] > 24)
		held[n++] = buf_alloc(&s.pool, BUF_SMALL);
	assert_int_equal(stream(&s, 6, 10, &seq, true), BUF);
	while (n)
		buf_put(&s.pool, held[--n]);
	assert_true(stream(&s, 3, 10, &seq, true) > BUF);
	script_end(&s);
}

/* An update of other settings does not take back what it has grown to. */
static void test_an_update_leaves_it(void **state)
{
	struct script s;
	struct tcp_cached c;
	u32 seq = 0, buf;

	begin(&s, MOST);
	buf = stream(&s, 4, 10, &seq, true);
	assert_true(buf > BUF);
	c = s.state.c;
	c.tos = 8;
	tcp_conn_update(s.e, s.conn, &c, s.e->now_ns);
	assert_int_equal(script_conn(&s)->rcv_buf_bytes, buf);
	c.rcv_buf_max_bytes = 0; /* SO_RCVBUF was set */
	tcp_conn_update(s.e, s.conn, &c, s.e->now_ns);
	assert_int_equal(script_conn(&s)->rcv_buf_bytes, BUF);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_with_a_window_a_round_trip),
		cmocka_unit_test(test_a_fixed_one_stays),
		cmocka_unit_test(test_does_not_grow_for_who_does_not_read),
		cmocka_unit_test(test_an_empty_pool_stops_it),
		cmocka_unit_test(test_an_update_leaves_it),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Opening (RFC 9293 3.5): both ways, at once, with lost SYNs, with what the peer does not offer. */
#include "unit.h"

#include "tcp_pair.h"
#include "tcp_script.h"

enum { ALL = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE };

static struct pair_options plain(void)
{
	return (struct pair_options){
		.seed = 3, .delay_ns = NS_PER_MS, .options = ALL, .wscale = 7, .rcv_buf = 200000};
}

static void test_options_agreed(void **state)
{
	struct pair_options o = plain();
	struct pair p;

	pair_init(&p, &o);
	pair_open(&p, 0);
	pair_run(&p, p.now_ns + 10 * NS_PER_MS);
	for (u32 end = 0; end < 2; end++) {
		struct tcp_conn *c = pair_conn(&p, end, 0);

		assert_int_equal(c->state, TCP_ESTABLISHED);
		assert_int_equal(c->options, ALL);
		assert_int_equal(c->snd_wscale, 7);
		assert_int_equal(c->peer_mss, 1460);
		assert_int_equal(c->mss, 1448);
		assert_true(p.end[end].stream[0].events & TCP_EV_ESTABLISHED);
		assert_in_range(c->srtt_ns, 2 * NS_PER_MS, 3 * NS_PER_MS);
		assert_int_equal(c->cwnd_bytes, 14480);
	}
	assert_int_equal(pair_conn(&p, 0, 0)->snd_wnd, 65535); /* a SYN's window is not scaled */
	pair_finish(&p);
}

/* The order of options is the one that everybody sends. */
static void test_syn_bytes(void **state)
{
	static const u8 want[] = {2, 4, 5, 0xb4, 4, 2, 8, 10};
	struct pair_options o = plain();
	struct tx_frame f;
	struct tx_batch tx = {&f, 0, 1};
	struct pair p;
	const u8 *tcp;

	pair_init(&p, &o);
	pair_open(&p, 0);
	tcp_flush(p.end[0].e, p.now_ns, &tx);
	assert_int_equal(tx.n, 1);
	tcp = f.header + f.header_off + 34;
	assert_int_equal(f.header_len, 34 + 40);
	assert_memory_equal(tcp + 20, want, sizeof(want));
	assert_memory_equal(tcp + 36, ((u8[]){1, 3, 3, 7}), 4);
	assert_int_equal(tcp[13], WIRE_SYN);
	pair_finish(&p);
}

static bool lose_first_three(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	u32 *n = p->context;

	return ++*n > 3;
}

/* RFC 6298 2.1, 5.7: 1 s, 2 s, 4 s; then a fresh start with 3 s and one segment. RFC6298-2.1,
 * RFC6298-5.7. */
static void test_lost_syn(void **state)
{
	struct pair_options o = plain();
	struct pair p;
	u32 n = 0;

	pair_init(&p, &o);
	p.filter = lose_first_three;
	p.context = &n;
	pair_open(&p, 0);
	pair_run(&p, p.now_ns + 6900 * NS_PER_MS);
	assert_int_equal(pair_conn(&p, 0, 0)->state, TCP_SYN_SENT);
	assert_int_equal(n, 3);
	pair_run(&p, p.now_ns + 200 * NS_PER_MS);
	assert_int_equal(pair_conn(&p, 0, 0)->state, TCP_ESTABLISHED);
	assert_int_equal(pair_conn(&p, 0, 0)->cwnd_bytes, 1448);
	assert_int_equal(pair_conn(&p, 0, 0)->rto_ns, 3 * NS_PER_S);
	assert_int_equal(pair_conn(&p, 1, 0)->cwnd_bytes, 14480);
	pair_finish(&p);
}

static bool lose_all(struct pair *p, u32 from, const u8 *frame, u32 len)
{
	return false;
}

/* MUST-23: at least three minutes for a SYN. */
static void test_syn_gives_up(void **state)
{
	struct pair_options o = plain();
	struct pair p;

	pair_init(&p, &o);
	p.filter = lose_all;
	pair_open(&p, 0);
	pair_run(&p, p.now_ns + 180 * NS_PER_S);
	assert_int_equal(pair_conn(&p, 0, 0)->state, TCP_SYN_SENT);
	pair_run(&p, p.now_ns + 400 * NS_PER_S);
	assert_int_equal(pair_conn(&p, 0, 0)->state, TCP_CLOSED);
	assert_true(p.end[0].stream[0].events & TCP_EV_TIMEOUT);
	pair_finish(&p);
}

/* MUST-10: both open at once. */
static void test_simultaneous(void **state)
{
	struct pair_options o = plain();
	struct pair p;
	struct tcp_open_params back;

	pair_init(&p, &o);
	pair_open(&p, 0);
	back = (struct tcp_open_params){
		.path = p.end[1].path,
		.local_port = 80,
		.remote_port = 40000,
		.options = ALL,
		.rcv_wscale = 7,
		.settings = {.rcv_buf_bytes = 100000, .snd_buf_bytes = 100000, .nodelay = 1},
	};
	assert_int_equal(tcp_open(p.end[1].e, &back, p.now_ns, &p.end[1].conn[0]), 0);
	p.end[0].stream[0].to_send = p.end[1].stream[0].to_send = 50000;
	assert_true(pair_run_streams(&p, 60 * NS_PER_S));
	for (u32 end = 0; end < 2; end++) {
		assert_int_equal(pair_conn(&p, end, 0)->state, TCP_ESTABLISHED);
		assert_int_equal(p.end[end].stream[0].wrong, 0);
	}
	pair_finish(&p);
}

/* The first number of a connection that opens then, and where its timestamps begin. */
static u32 first_number(u64 seed, u16 port, u64 after_ns, u32 *ret_ts)
{
	struct tcp_open_params params = {
		.local_port = SCRIPT_LOCAL_PORT, .remote_port = port, .options = ALL, .mss = 1460};
	struct script s;
	u32 conn, iss;

	script_init(&s);
	s.e->config.seed = seed;
	script_start(&s);
	params.path = s.path;
	params.settings = s.state.c;
	assert_int_equal(tcp_open(s.e, &params, s.start_ns + after_ns, &conn), 0);
	iss = conn_at(s.e, conn)->iss.n;
	*ret_ts = conn_at(s.e, conn)->ts_offset;
	tcp_conn_free(s.e, conn);
	script_end(&s);
	return iss;
}

/* MUST-8, SHLD-1, MUST-9, RFC7323-7: a clock of 4 us, and a hash of ports and addresses under a key
 * that nobody else has. */
static void test_first_numbers(void **state)
{
	u32 ts, other_ts, iss = first_number(1, 5000, 0, &ts);

	assert_int_equal(first_number(1, 5000, 0, &other_ts), iss);
	assert_int_equal(other_ts, ts);
	assert_int_equal(first_number(1, 5000, 4 * NS_PER_MS, &other_ts), iss + 1000);
	assert_int_equal(other_ts, ts);
	/* Another connection, another key. */
	assert_int_not_equal(first_number(1, 5001, 0, &other_ts), iss);
	assert_int_not_equal(other_ts, ts);
	assert_int_not_equal(first_number(2, 5000, 0, &other_ts), iss);
	assert_int_not_equal(other_ts, ts);
}

/* -- SYN_SENT, segment by segment -------------------------------------------------------------- */

static void begin_open(struct script *s)
{
	struct tcp_open_params params;

	script_init(s);
	params = (struct tcp_open_params){
		.path = s->path,
		.local_port = SCRIPT_LOCAL_PORT,
		.remote_port = SCRIPT_REMOTE_PORT,
		.settings = s->state.c,
	};
	assert_int_equal(tcp_open(s->e, &params, s->e->now_ns, &s->conn), 0);
	EXPECT_ONE(s);
	assert_int_equal(s->out[0].flags, WIRE_SYN);
}

static u32 rel(struct script *s, u32 from_iss)
{
	return script_conn(s)->iss.n + from_iss - SCRIPT_ISS;
}

static void test_syn_sent(void **state)
{
	struct script s;

	begin_open(&s);
	/* An ACK that acknowledges nothing of ours; an RST without or with a wrong one. */
	IN(&s, .flags = WIRE_SYN | WIRE_ACK, .ack = rel(&s, 0));
	IN(&s, .flags = WIRE_SYN | WIRE_ACK, .ack = rel(&s, 2));
	IN(&s, .flags = WIRE_RST, .ack = rel(&s, 1));
	IN(&s, .flags = WIRE_RST | WIRE_ACK, .ack = rel(&s, 9));
	IN(&s, .flags = WIRE_ACK, .ack = rel(&s, 1));
	assert_int_equal(script_conn(&s)->state, TCP_SYN_SENT);
	EXPECT_NONE(&s);
	/* MUST-15a: without an MSS option 536. */
	IN(&s, .flags = WIRE_SYN | WIRE_ACK, .seq = 7, .ack = rel(&s, 1), .wnd = 3000);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	assert_int_equal(script_conn(&s)->peer_mss, 536);
	assert_int_equal(script_conn(&s)->snd_wnd, 3000);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, rel(&s, 1), 8, 0);
	script_end(&s);

	begin_open(&s);
	IN(&s, .flags = WIRE_RST | WIRE_ACK, .ack = rel(&s, 1));
	assert_int_equal(script_conn(&s)->state, TCP_CLOSED);
	assert_int_equal(script_events(&s), TCP_EV_RESET | TCP_EV_CLOSED);
	assert_int_equal(tcp_send(s.e, s.conn, "x", 1), -111); /* ECONNREFUSED */
	script_end(&s);
}

/* A SYN that is given back to the owner, who accepts it; and what is not one. */
static void test_passive(void **state)
{
	struct tcp_open_params params;
	struct rx_frame f = {0};
	struct peer syn = {.flags = WIRE_SYN, .wnd = 1234};
	struct script s;
	u8 bytes[2048];

	script_begin(&s, 0); /* only for its numbers */
	f.len = script_build(&s, &syn, bytes);
	tcp_conn_free(s.e, s.conn);
	f.buf = buf_alloc(&s.pool, BUF_SMALL);
	memcpy(buf_bytes(&s.pool, f.buf), bytes, f.len);
	buf_at(&s.pool, f.buf)->len = f.len;
	params = (struct tcp_open_params){
		.path = s.path,
		.local_port = SCRIPT_LOCAL_PORT,
		.remote_port = SCRIPT_REMOTE_PORT + 1,
		.options = ALL,
		.settings = s.state.c,
	};
	assert_int_equal(tcp_open_passive(s.e, &f, &params, s.e->now_ns, &s.conn), -22);
	params.remote_port = SCRIPT_REMOTE_PORT;
	assert_int_equal(tcp_open_passive(s.e, &f, &params, s.e->now_ns, &s.conn), 0);
	buf_put(&s.pool, f.buf);
	assert_int_equal(script_conn(&s)->options, 0);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].flags, WIRE_SYN | WIRE_ACK);
	assert_int_equal(s.out_ack[0], 1);
	/* The SYN again: so was the answer lost. */
	IN(&s, .flags = WIRE_SYN);
	EXPECT_ONE(&s);
	assert_int_equal(s.out[0].flags, WIRE_SYN | WIRE_ACK);
	/* A wrong ACK does not establish. */
	IN(&s, .seq = 1, .ack = rel(&s, 2));
	assert_int_equal(script_conn(&s)->state, TCP_SYN_RECEIVED);
	IN(&s, .seq = 1, .ack = rel(&s, 1), .len = 10);
	assert_int_equal(script_conn(&s)->state, TCP_ESTABLISHED);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 10);
	script_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_agreed), cmocka_unit_test(test_syn_bytes),
		cmocka_unit_test(test_lost_syn),       cmocka_unit_test(test_syn_gives_up),
		cmocka_unit_test(test_simultaneous),   cmocka_unit_test(test_first_numbers),
		cmocka_unit_test(test_syn_sent),       cmocka_unit_test(test_passive),
	};

	return RUN_TESTS(tests);
}

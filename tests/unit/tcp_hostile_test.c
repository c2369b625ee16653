/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Segments that no honest peer sends: they never crash anything, and what is wrong advances
 * nothing. */
#include "unit.h"

#include "base/prng.h"
#include "tcp/reassembly.h"
#include "tcp_invariants.h"
#include "tcp_pair.h"
#include "tcp_script.h"

enum { ALL = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE };

static void check_invariants(struct script *s)
{
	tcp_invariants(s->e, &s->pool, script_conn(s));
}

/* Every bit of a frame wrong in turn: with the checksum looked at, nothing advances. */
static void test_bit_errors(void **state)
{
	struct peer p = {.flags = WIRE_ACK | WIRE_PSH, .len = 40, .ack = 5};
	struct script s;
	u8 bytes[2048];
	u32 len;

	script_begin(&s, ALL);
	script_send(&s, 10);
	script_flush(&s);
	len = script_build(&s, &p, bytes);
	for (u32 bit = 14 * 8; bit < len * 8; bit++) {
		struct tcp_conn before = *script_conn(&s);

		bytes[bit / 8] ^= (u8)(1 << bit % 8);
		script_frame(&s, bytes, len, FRAME_CSUM_UNKNOWN);
		bytes[bit / 8] ^= (u8)(1 << bit % 8);
		assert_int_not_equal(s.verdict, FRAME_CONSUMED);
		assert_memory_equal(&before, script_conn(&s), sizeof(before));
	}
	/* The same without an error is taken. */
	script_frame(&s, bytes, len, FRAME_CSUM_UNKNOWN);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 40);
	assert_int_equal(script_conn(&s)->snd_una.n - SCRIPT_ISS, 5);
	script_end(&s);
}

/* Every truncation, with and without the IP length saying so. */
static void test_truncation(void **state)
{
	struct peer p = {.len = 40, .n_sack = 2, .sack = {{1, 2}, {3, 4}}};
	struct script s;
	u8 bytes[2048];
	u32 len;

	script_begin(&s, ALL);
	len = script_build(&s, &p, bytes);
	for (u32 n = 0; n < len; n++) {
		script_frame(&s, bytes, n ? n : 1, FRAME_CSUM_VALID);
		assert_int_not_equal(s.verdict, FRAME_CONSUMED);
	}
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 0);
	script_end(&s);
}

/* Headers cut over buffers are the host's affair. */
static void test_not_linear(void **state)
{
	struct peer p = {.len = 40};
	struct rx_frame f = {.csum = FRAME_CSUM_VALID};
	struct script s;
	u8 bytes[2048];
	u32 rest;

	script_begin(&s, 0);
	f.len = script_build(&s, &p, bytes);
	f.buf = buf_alloc(&s.pool, BUF_SMALL);
	rest = buf_alloc(&s.pool, BUF_SMALL);
	*buf_at(&s.pool, f.buf) = (struct buf){rest, 0, 40, 1};
	memcpy(buf_bytes(&s.pool, f.buf), bytes, 40);
	*buf_at(&s.pool, rest) = (struct buf){NIL, 0, f.len - 40, 1};
	memcpy(buf_bytes(&s.pool, rest), bytes + 40, f.len - 40);
	tcp_input(s.e, &f, 1, s.e->now_ns);
	assert_int_equal(f.verdict, FRAME_TO_HOST);
	assert_int_equal(f.reason, WIRE_HEADER_SPLIT);
	buf_put_chain(&s.pool, f.buf);
	script_end(&s);
}

static struct peer random_peer(struct prng *r, const struct tcp_conn *c)
{
	struct peer p = {
		.flags = (u8)prng_u32(r),
		.len = prng_below(r, 3) ? prng_below(r, 3000) : 0,
		.wnd = prng_below(r, 65536),
		.zero_wnd = prng_below(r, 8) == 0,
		.no_ts = prng_below(r, 16) == 0,
		.urg = (u16)prng_u32(r),
		.gso_bytes = prng_below(r, 4) ? 0 : (u16)prng_below(r, 2000),
		.n_sack = prng_below(r, 3),
	};

	if (prng_below(r, 8))
		p.flags = WIRE_ACK | (prng_below(r, 2) ? WIRE_PSH : 0) |
		          (prng_below(r, 4) ? 0 : WIRE_ECE) | (prng_below(r, 4) ? 0 : WIRE_CWR) |
		          (prng_below(r, 40) ? 0 : WIRE_FIN);
	p.ecn = prng_below(r, 4);
	p.seq = c->rcv_nxt.n - SCRIPT_IRS;
	p.ack = c->snd_una.n - SCRIPT_ISS;
	if (prng_below(r, 2))
		p.seq += prng_below(r, 5) ? prng_below(r, 6000) - 2000 : prng_u32(r);
	if (prng_below(r, 2))
		p.ack += prng_below(r, 5) ? prng_below(r, (u32)seq_diff(c->snd_max, c->snd_una) + 2)
		                          : prng_u32(r);
	for (u32 i = 0; i < p.n_sack; i++) {
		p.sack[i][0] = p.ack + prng_below(r, 9000);
		p.sack[i][1] = p.sack[i][0] + prng_below(r, 3000);
	}
	if (!prng_below(r, 6))
		p.ts_val = prng_u32(r);
	if (!prng_below(r, 6))
		p.ts_ecr = prng_u32(r);
	return p;
}

static void act(struct script *s, struct prng *r, u64 *at_ns)
{
	static u8 bytes[10000];

	switch (prng_below(r, 12)) {
	case 0:
	case 1:
		tcp_send(s->e, s->conn, bytes, prng_below(r, 6000));
		break;
	case 2:
		tcp_recv(s->e, s->conn, bytes, prng_below(r, sizeof(bytes)));
		break;
	case 3:
		*at_ns += prng_below(r, 1u << 30);
		script_at(s, *at_ns);
		break;
	case 4:
		if (!prng_below(r, 50))
			tcp_shutdown(s->e, s->conn);
		break;
	case 5:
		script_events(s);
		break;
	case 6:
		if (!prng_below(r, 10))
			tcp_engine_rebuild(s->e, s->e->now_ns);
		break;
	default:
		IN(s, .flags = 0);
		script_in(s, random_peer(r, script_conn(s)));
	}
}

static void flush_all(struct script *s)
{
	struct tx_batch tx = {s->tx, 0, SCRIPT_TX};

	while (tcp_flush(s->e, s->e->now_ns, &tx))
		tx.n = 0;
}

static void test_random_segments(void **state)
{
	for (u64 seed = 1; seed <= 60; seed++) {
		struct script s;
		struct prng r;
		u64 at_ns = 0;

		prng_seed(&r, seed);
		script_init(&s);
		s.state.k.options = seed % 3 ? ALL : 0;
		s.state.k.snd_wscale = s.state.k.rcv_wscale = seed % 3 ? seed % 15 : 0;
		s.state.c.nodelay = seed % 2;
		s.state.c.cc_algorithm = seed / 2 % TCP_CC_ALGORITHMS;
		s.state.c.max_pacing_rate = seed % 7 ? 0 : 1000000;
		if (seed % 5 == 0) {
			s.state.k.options |= TCP_OPT_ECN;
			s.state.d.ecn_state = TCP_ECN_AGREED;
		}
		script_start(&s);
		for (u32 i = 0; i < 3000; i++) {
			act(&s, &r, &at_ns);
			if (!prng_below(&r, 4))
				flush_all(&s);
			check_invariants(&s);
		}
		script_end(&s);
	}
}

/* Random bytes, and a valid frame with random bytes in it, without checksums in the way. */
static void test_random_bytes(void **state)
{
	struct script s;
	struct prng r;
	u8 bytes[2048];

	prng_seed(&r, 4);
	script_begin(&s, ALL);
	for (u32 i = 0; i < 100000; i++) {
		struct peer p = {.len = prng_below(&r, 200)};
		u32 len = script_build(&s, &p, bytes);

		if (i % 4 == 0) {
			len = 1 + prng_below(&r, 200);
			for (u32 k = 0; k < len; k++)
				bytes[k] = (u8)prng_u32(&r);
		}
		for (u32 edits = prng_below(&r, 6); edits > 0; edits--)
			bytes[prng_below(&r, min_of(len, 90u))] = (u8)prng_u32(&r);
		script_frame(&s, bytes, len, FRAME_CSUM_VALID);
		if (i % 16 == 0)
			flush_all(&s);
		check_invariants(&s);
		if (script_conn(&s)->state == TCP_CLOSED) { /* a lucky RST */
			tcp_conn_free(s.e, s.conn);
			script_start(&s);
		}
		tcp_recv_skip(s.e, s.conn, UINT32_MAX);
	}
	script_end(&s);
}

/* R64, semantics 5.6: pools that run dry again and again; every byte arrives, the edge stays. */
static void test_dry_pools(void **state)
{
	for (u64 seed = 1; seed <= 4; seed++) {
		struct pair_options o = {
			.seed = seed,
			.delay_ns = NS_PER_MS,
			.loss_ppm = 20000,
			.reorder_ppm = 50000,
			.options = ALL,
			.wscale = 7,
			.small = 128,
			.large = 4,
			.snd_buf = 100000,
		};
		struct pair p;

		pair_init(&p, &o);
		for (u32 i = 0; i < 12; i++) {
			pair_import(&p, i);
			p.end[0].stream[i].to_send = p.end[1].stream[i].to_send = 40000;
		}
		assert_true(pair_run_streams(&p, 2000 * NS_PER_S));
		assert_true(p.end[0].pool.exhausted[BUF_SMALL] +
		                    p.end[1].pool.exhausted[BUF_SMALL] >
		            0);
		for (u32 i = 0; i < 12; i++)
			for (u32 end = 0; end < 2; end++) {
				assert_int_equal(p.end[end].stream[i].wrong, 0);
				tcp_conn_free(p.end[end].e, p.end[end].conn[i]);
			}
		for (u32 end = 0; end < 2; end++)
			assert_int_equal(pair_free_buffers(&p.end[end]),
			                 pair_total_buffers(&p.end[end]));
		pair_finish(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bit_errors),   cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_not_linear),   cmocka_unit_test(test_random_segments),
		cmocka_unit_test(test_random_bytes), cmocka_unit_test(test_dry_pools),
	};

	return RUN_TESTS(tests);
}

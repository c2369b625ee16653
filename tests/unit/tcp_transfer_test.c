/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Taking connections over and giving them up: every variable, every state, every refusal. */
#include "unit.h"

#include <errno.h>

#include "base/prng.h"
#include "tcp/reassembly.h"
#include "tcp_pair.h"
#include "tcp_script.h"

/* Compares every variable of the schema; names the one that differs. */
static void assert_state_equal(const struct tcp_state *a, const struct tcp_state *b)
{
	const char *differs = NULL;

#define SAME_TCP_CONST(n)          memcmp(&a->k.n, &b->k.n, sizeof(a->k.n))
#define SAME_TCP_CACHED(n)         memcmp(&a->c.n, &b->c.n, sizeof(a->c.n))
#define SAME_TCP_DELEGATED(n)      memcmp(&a->d.n, &b->d.n, sizeof(a->d.n))
#define SAME_NEIGHBOR_CONST(n)     0
#define SAME_NEIGHBOR_CACHED(n)    0
#define SAME_NEIGHBOR_DELEGATED(n) 0
#define SAME_PATH_CONST(n)         0
#define SAME_PATH_CACHED(n)        0
#define SAME_PATH_DELEGATED(n)     0
#define VAR(layer, cls, type, name, unit, source) \
	if (SAME_##layer##_##cls(name))           \
		differs = #name;
#include "state/schema.def"
#undef VAR
	if (differs)
		fail_msg("%s differs", differs);
}

/* Bytes in the pool, `len` of them behind `off`. */
static struct data_ref make_data(struct script *s, struct prng *prng, u32 len)
{
	struct data_ref r = {NIL, 0, len};
	u32 off = 32 + prng_below(prng, 100), tail = NIL;

	if (!len)
		return r;
	for (u32 done = 0; done < len;) {
		u32 buf = buf_alloc(&s->pool, BUF_SMALL);
		u32 n = min_of(len - done, 200 + prng_below(prng, 1000));

		assert_int_not_equal(buf, NIL);
		*buf_at(&s->pool, buf) = (struct buf){NIL, off, n, 1};
		if (tail == NIL) {
			r.buf = buf;
			r.off = off;
		} else {
			buf_at(&s->pool, tail)->next = buf;
		}
		tail = buf;
		done += n;
		off = prng_below(prng, 64);
	}
	return r;
}

static const struct {
	u8 state;
	u8 fin;
} states[] = {
	{TCP_ESTABLISHED, 0},
	{TCP_FIN_WAIT_1, TCP_FIN_QUEUED},
	{TCP_FIN_WAIT_1, TCP_FIN_QUEUED | TCP_FIN_SENT},
	{TCP_FIN_WAIT_2, TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED},
	{TCP_CLOSE_WAIT, TCP_FIN_RECEIVED},
	{TCP_CLOSING, TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_RECEIVED},
	{TCP_LAST_ACK, TCP_FIN_QUEUED | TCP_FIN_RECEIVED},
	{TCP_LAST_ACK, TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_RECEIVED},
};

static u64 some_time(struct prng *p)
{
	return prng_below(p, 4) ? 1000 + prng_below(p, 1u << 31) : TIMER_STOPPED;
}

static void fill_settings(struct prng *p, struct tcp_cached *c)
{
	*c = (struct tcp_cached){
		.nodelay = (u8)prng_below(p, 2),
		.cork = (u8)prng_below(p, 2),
		.keepalive_probes = (u8)prng_u32(p),
		.keepalive_idle_ns = prng_u64(p),
		.keepalive_interval_ns = prng_u64(p),
		.effective_mss = 500 + prng_below(p, 500),
		.rcv_buf_bytes = 100000 + prng_below(p, 1000000),
		.snd_buf_bytes = prng_u32(p),
		.rcv_indication_bytes = prng_u32(p),
		.max_retransmit_ns = prng_u64(p),
		.user_timeout_ns = prng_u64(p),
		.fin_wait2_ns = prng_u64(p),
		.tos = (u8)prng_u32(p),
		.hop_limit = (u8)prng_u32(p),
		.flow_label = prng_u32(p),
		.priority = (u8)prng_u32(p),
		.cc_algorithm = (u8)prng_below(p, 2),
	};
}

static void fill_send(struct script *s, struct prng *p, struct tcp_delegated *d)
{
	bool fin = (d->fin & (TCP_FIN_SENT | TCP_FIN_ACKED)) == TCP_FIN_SENT;
	u32 len = d->fin & TCP_FIN_ACKED ? 0 : prng_below(p, 8000);
	u32 sent = fin ? len + 1 : prng_below(p, len + 1);

	d->send = make_data(s, p, len);
	d->snd_una = seq_of(prng_u32(p));
	d->snd_max = seq_add(d->snd_una, sent);
	d->snd_up = d->snd_una;
	/* What is lost begins outside of what is sacked. */
	d->high_rxt = seq_add(d->snd_una, min_of(sent, 30u + prng_below(p, 300)));
	d->recovery = (u8)prng_below(p, 4);
	d->snd_nxt = d->recovery == TCP_RECOVERY_LOSS ? d->high_rxt : d->snd_max;
	if (seq_eq(d->high_rxt, d->snd_max))
		d->recovery = TCP_RECOVERY_OPEN;
	d->recovery_point = seq_add(d->snd_una, prng_below(p, sent + 1));
	d->retransmit_left_ns = sent ? prng_below(p, 1u << 30) : TIMER_STOPPED;
	for (u32 at = 1; at + 20 < sent && d->sacked.n < SEQ_RANGES_MAX; at += 400)
		d->sacked.r[d->sacked.n++] =
			(struct seq_range){seq_add(d->snd_una, at), seq_add(d->snd_una, at + 20)};
}

static void fill_receive(struct script *s, struct prng *p, struct tcp_delegated *d)
{
	d->rcv_nxt = seq_of(prng_u32(p));
	d->rcv_wnd = 20000 + prng_below(p, 10000);
	d->rcv_adv = seq_add(d->rcv_nxt, d->rcv_wnd);
	d->recv = make_data(s, p, prng_below(p, 5000));
	d->last_ack_sent = seq_add(d->rcv_nxt, -prng_below(p, 1000));
	d->rcv_up = d->rcv_nxt;
	if (d->fin & TCP_FIN_RECEIVED)
		return;
	for (u32 at = 100; d->ooo.n < prng_below(p, OOO_REFS_MAX); at += 1000)
		d->ooo.seg[d->ooo.n++] = (struct ooo_ref){seq_add(d->rcv_nxt, at), 0,
		                                          make_data(s, p, 1 + prng_below(p, 900))};
	if (d->ooo.n)
		d->ooo.seg[d->ooo.n - 1].fin = prng_below(p, 2);
}

static void fill_state(struct script *s, struct prng *p, u32 which, struct tcp_state *t)
{
	struct tcp_delegated *d = &t->d;

	memset(t, 0, sizeof(*t));
	fill_settings(p, &t->c);
	t->k = (struct tcp_const){
		.local_port = 1 + (u16)prng_below(p, 60000),
		.remote_port = 1 + (u16)prng_below(p, 60000),
		.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE | TCP_OPT_ECN,
		.snd_wscale = (u8)prng_below(p, 15),
		.rcv_wscale = (u8)prng_below(p, 15),
		.peer_mss = 1460,
		.flow_hash = prng_u32(p),
		.iss = seq_of(prng_u32(p)),
		.irs = seq_of(prng_u32(p)),
	};
	d->state = states[which].state;
	d->fin = states[which].fin;
	fill_send(s, p, d);
	fill_receive(s, p, d);
	d->snd_wnd = prng_below(p, 1u << 30);
	d->max_snd_wnd = prng_below(p, 1u << 30);
	d->snd_wl1 = seq_of(prng_u32(p));
	d->snd_wl2 = seq_of(prng_u32(p));
	d->cwnd_bytes = 3000 + prng_below(p, 1u << 29);
	d->ssthresh_bytes = prng_u32(p);
	d->srtt_ns = prng_u32(p);
	d->rttvar_ns = prng_u32(p);
	d->min_rtt_ns = prng_u32(p);
	d->rto_ns = NS_PER_MS + prng_u32(p);
	d->rto_backoff = (u8)prng_below(p, 17);
	d->dup_acks = prng_below(p, 100);
	d->reordering = (u8)prng_below(p, 2);
	d->reo_steps = (u8)prng_u32(p);
	d->reo_persist = (u8)prng_u32(p);
	d->prr_delivered = prng_u32(p);
	d->prr_out = prng_u32(p);
	d->prr_flight = 1 + prng_below(p, 1000000);
	d->undo_window = prng_u32(p);
	d->undo_marker = seq_of(prng_u32(p));
	d->undo_bytes = prng_u32(p);
	d->repeat_ts = prng_u32(p);
	d->ecn_state = (u8)prng_u32(p) & TCP_ECN_BITS;
	d->ecn_point = seq_of(prng_u32(p));
	d->cc.type = t->c.cc_algorithm;
	d->cc.version = 1;
	d->cc.len = CC_PRIVATE_BYTES;
	for (u32 i = 0; i < CC_PRIVATE_BYTES; i++)
		d->cc.bytes[i] = (u8)prng_u32(p);
	d->ts_recent = prng_u32(p);
	d->ts_recent_age_ns = prng_u32(p);
	d->ts_offset = prng_u32(p);
	d->pacing_rate = prng_u64(p);
	d->idle_ns = prng_u32(p);
	d->rcv_idle_ns = prng_u32(p);
	d->persist_left_ns = some_time(p);
	d->keepalive_left_ns = some_time(p);
	d->fin_wait2_left_ns = some_time(p);
	d->delayed_ack_left_ns = some_time(p);
	d->retransmit_count = (u8)prng_u32(p);
	d->persist_count = (u8)prng_u32(p);
	d->keepalive_count = (u8)prng_u32(p);
}

/* R58, R31 to R33: what went in comes out, variable by variable, in every state of semantics 5.2.
 */
static void test_round_trip(void **state)
{
	struct script s;
	struct prng prng;

	prng_seed(&prng, 42);
	for (u32 i = 0; i < 160; i++) {
		struct tcp_state in, out;
		u32 which = i % ARRAY_SIZE(states);

		script_init(&s);
		fill_state(&s, &prng, which, &in);
		assert_null(tcp_state_check(&in));
		assert_int_equal(tcp_conn_import(s.e, &in, s.path, s.e->now_ns, &s.conn), 0);
		assert_int_equal(tcp_conn_state(s.e, s.conn), states[which].state);
		tcp_conn_quiesce(s.e, s.conn, s.e->now_ns, NULL);
		memset(&out, 0, sizeof(out));
		tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
		assert_state_equal(&in, &out);
		script_end(&s);
	}
}

/* Times run on between import and export. */
static void test_times_run(void **state)
{
	struct tcp_state out;
	struct script s;

	script_init(&s);
	s.state.d.keepalive_left_ns = 10 * NS_PER_S;
	s.state.c.keepalive = 1;
	s.state.d.idle_ns = NS_PER_S;
	s.state.d.ts_recent_age_ns = 2 * NS_PER_S;
	script_start(&s);
	script_at(&s, 3 * NS_PER_S);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
	assert_int_equal(out.d.keepalive_left_ns, 7 * NS_PER_S);
	assert_int_equal(out.d.idle_ns, 4 * NS_PER_S);
	assert_int_equal(out.d.ts_recent_age_ns, 5 * NS_PER_S);
	assert_int_equal(out.d.retransmit_left_ns, TIMER_STOPPED);
	script_end(&s);
}

/* Semantics 5.3: [snd_nxt, snd_max) again, then what was never sent; the FIN behind it. */
static void test_sent_parts(void **state)
{
	struct script s;
	struct prng prng;

	prng_seed(&prng, 1);
	script_init(&s);
	s.state.d.send = make_data(&s, &prng, 5000);
	s.state.d.snd_nxt = seq_add(s.state.d.snd_una, 1000);
	s.state.d.snd_max = seq_add(s.state.d.snd_una, 3000);
	s.state.d.state = TCP_FIN_WAIT_1;
	s.state.d.fin = TCP_FIN_QUEUED;
	s.state.d.retransmit_left_ns = 100 * NS_PER_MS;
	script_start(&s);
	assert_int_equal(script_flush(&s), 4);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(s.out_seq[i], 1000 + 1000 * i);
	assert_int_equal(s.out[3].flags, WIRE_ACK | WIRE_PSH | WIRE_FIN);
	assert_int_equal(tcp_engine_counters(s.e)->retransmit_segs, 2);
	/* The timer goes on from what was left of it. */
	script_at(&s, 102 * NS_PER_MS);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK, 0, 0, 1000);
	IN(&s, .ack = 5001);
	assert_int_equal(script_conn(&s)->state, TCP_FIN_WAIT_2);
	script_end(&s);
}

/* R83: unread bytes come first, at once; a FIN behind them. */
static void test_unread_first(void **state)
{
	struct script s;
	struct prng prng;
	u8 bytes[4000];

	prng_seed(&prng, 2);
	script_init(&s);
	s.state.d.recv = make_data(&s, &prng, 3000);
	for (u32 i = 0, buf = s.state.d.recv.buf; buf != NIL; buf = buf_at(&s.pool, buf)->next)
		for (u32 k = 0; k < buf_at(&s.pool, buf)->len; k++)
			buf_data(&s.pool, buf)[k] = (u8)(i++ - 3000);
	script_start(&s);
	assert_int_equal(script_events(&s), TCP_EV_READABLE);
	IN(&s, .seq = 0, .len = 100);
	assert_int_equal(tcp_recv(s.e, s.conn, bytes, sizeof(bytes)), 3100);
	for (u32 i = 0; i < 3100; i++)
		assert_int_equal(bytes[i], (u8)(i - 3000));
	script_end(&s);
}

/* Semantics 5.5: the owed ACK leaves before the snapshot, frames are the host's afterwards, nothing
 * more is sent (R81). */
static void test_quiesce(void **state)
{
	struct tx_frame frame;
	struct tx_batch tx = {&frame, 0, 1};
	struct tcp_state out;
	struct script s;

	script_begin(&s, 0);
	IN(&s, .len = 10);
	script_send(&s, 500);
	tcp_conn_quiesce(s.e, s.conn, s.e->now_ns, &tx);
	assert_int_equal(tx.n, 1);
	assert_int_equal(frame.payload_len, 0);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
	assert_int_equal(out.d.last_ack_sent.n - SCRIPT_IRS, 10);
	assert_int_equal(out.d.delayed_ack_left_ns, TIMER_STOPPED);
	IN(&s, .seq = 10, .len = 10);
	assert_int_equal(s.verdict, FRAME_TO_HOST);
	script_at(&s, 10 * NS_PER_S);
	EXPECT_NONE(&s);
	assert_int_equal(script_events(&s), TCP_EV_READABLE);
	/* Roll-back: as if nothing had happened. */
	assert_int_equal(tcp_conn_resume(s.e, s.conn, s.e->now_ns), 0);
	EXPECT_ONE(&s);
	EXPECT(&s, 0, WIRE_ACK | WIRE_PSH, 0, 10, 500);
	IN(&s, .seq = 10, .ack = 500, .len = 10);
	assert_int_equal(tcp_recv_pending(s.e, s.conn), 20);
	script_end(&s);
}

/* Without room for the ACK it stays owed, and the state says so. */
static void test_quiesce_without_room(void **state)
{
	struct tcp_state out;
	struct script s;

	script_begin(&s, 0);
	IN(&s, .seq = 0, .len = 1000);
	IN(&s, .seq = 1000, .len = 1000);
	tcp_conn_quiesce(s.e, s.conn, s.e->now_ns, NULL);
	tcp_conn_export(s.e, s.conn, s.e->now_ns, &out);
	assert_int_equal(out.d.delayed_ack_left_ns, 0);
	script_end(&s);
}

static void test_import_refused(void **state)
{
	struct tcp_state bad;
	struct script s;
	u32 conn, other[8];

	script_begin(&s, 0);
	assert_int_equal(tcp_conn_import(s.e, &s.state, s.path, s.e->now_ns, &conn), -EEXIST);
	assert_int_equal(tcp_conn_import(s.e, &s.state, 3, s.e->now_ns, &conn), -EINVAL);
	bad = s.state;
	bad.k.remote_port = 1;
	bad.d.state = TCP_LISTEN;
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -EINVAL);
	/* References into nowhere, into free buffers, longer than the chain. */
	bad = s.state;
	bad.k.remote_port = 1;
	bad.d.send = (struct data_ref){100000, 0, 10};
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -EINVAL);
	bad.d.send.buf = 5;
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -EINVAL);
	bad.d.send.buf = buf_alloc(&s.pool, BUF_SMALL);
	buf_at(&s.pool, bad.d.send.buf)->len = 9;
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -EINVAL);
	buf_at(&s.pool, bad.d.send.buf)->next = bad.d.send.buf; /* a circle */
	buf_at(&s.pool, bad.d.send.buf)->len = 0;
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -EINVAL);
	buf_put(&s.pool, bad.d.send.buf);
	/* The table is full: nothing is left behind. */
	bad = s.state;
	for (u32 i = 0; i < 7; i++) {
		bad.k.remote_port = (u16)(100 + i);
		assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &other[i]), 0);
	}
	bad.k.remote_port = 200;
	assert_int_equal(tcp_conn_import(s.e, &bad, s.path, s.e->now_ns, &conn), -ENOSPC);
	assert_int_equal(tcp_path_remove(s.e, s.path), -EBUSY);
	for (u32 i = 0; i < 7; i++)
		tcp_conn_free(s.e, other[i]);
	script_end(&s);
}

/* Total: any bytes; and what passes does no harm. */
static void test_hostile_states(void **state)
{
	struct script s;
	struct prng prng;
	u32 passed = 0;

	prng_seed(&prng, 99);
	for (u32 i = 0; i < 4000; i++) {
		struct tcp_state t;
		u32 edits = 1 + prng_below(&prng, 3);

		script_init(&s);
		t = s.state;
		t.k.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE;
		for (u32 k = 0; k < edits; k++)
			((u8 *)&t)[prng_below(&prng, sizeof(t))] = (u8)prng_u32(&prng);
		s.conn = NIL;
		if (tcp_conn_import(s.e, &t, s.path, s.e->now_ns, &s.conn) == 0) {
			passed++;
			IN(&s, .seq = 0, .len = 100);
			tcp_send(s.e, s.conn, "abc", 3);
			script_flush(&s);
			script_at(&s, 10 * NS_PER_S);
			script_flush(&s);
			IN(&s, .seq = 100, .ack = 3, .len = 100);
			script_end(&s);
			continue;
		}
		script_discard(&s);
	}
	assert_true(passed > 500); /* most bytes of a state are nobody's invariant */
}

/* Lookup, free lists and timers are made anew under traffic, and nobody notices. */
static void test_rebuild_under_traffic(void **state)
{
	struct pair_options o = {
		.seed = 5,
		.delay_ns = NS_PER_MS,
		.loss_ppm = 10000,
		.reorder_ppm = 20000,
		.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
		.wscale = 7,
	};
	struct pair p;
	u32 n = 0;

	pair_init(&p, &o);
	for (u32 i = 0; i < 8; i++) {
		pair_import(&p, i);
		for (u32 end = 0; end < 2; end++) {
			p.end[end].stream[i].to_send = 300000;
			p.end[end].stream[i].close = true;
		}
	}
	pair_work(&p);
	while (!p.end[0].stream[7].events || n < 1000) {
		if (!pair_step(&p, p.now_ns + 100 * NS_PER_S))
			break;
		if (n++ % 7 == 0)
			tcp_engine_rebuild(p.end[n % 2].e, p.now_ns);
		if (n % 31 == 0) {
			struct pair_end *end = &p.end[n / 31 % 2];
			struct tcp_engine_counters counters = *tcp_engine_counters(end->e);

			/* The owner died: another one attaches to the arena. */
			memset(end->e, 0xee, tcp_engine_bytes());
			buf_pool_attach(&end->pool, end->pool_mem, &end->pool_config);
			tcp_engine_attach(end->e, end->arena, &end->config, &end->pool, p.now_ns);
			end->e->n = counters;
		}
	}
	assert_true(pair_run_streams(&p, 1000 * NS_PER_S));
	assert_true(n > 300);
	for (u32 i = 0; i < 8; i++)
		for (u32 end = 0; end < 2; end++) {
			assert_int_equal(p.end[end].stream[i].wrong, 0);
			tcp_conn_free(p.end[end].e, p.end[end].conn[i]);
		}
	for (u32 end = 0; end < 2; end++)
		assert_int_equal(pair_free_buffers(&p.end[end]), pair_total_buffers(&p.end[end]));
	pair_finish(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_times_run),
		cmocka_unit_test(test_sent_parts),
		cmocka_unit_test(test_unread_first),
		cmocka_unit_test(test_quiesce),
		cmocka_unit_test(test_quiesce_without_room),
		cmocka_unit_test(test_import_refused),
		cmocka_unit_test(test_hostile_states),
		cmocka_unit_test(test_rebuild_under_traffic),
	};

	return RUN_TESTS(tests);
}

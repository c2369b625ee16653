/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The end of connections of the soft host: closing, TIME_WAIT and what comes after it. */
#include <errno.h>

#include "unit.h"

#include "soft_net.h"

static const u32 irs = 5000;

static void begin(struct net *n)
{
	net_start(n);
	net_resolve(n, net_ip4(2), 2);
	assert_int_equal(soft_listen(n->s, NET_PORT), 0);
}

static struct wire_tcp_options ts(u8 options, u32 val)
{
	return (struct wire_tcp_options){
		.present = options & TCP_OPT_TIMESTAMPS ? WIRE_OPT_TIMESTAMPS : 0, .ts_val = val};
}

/* An accepted connection in TIME_WAIT since now. *ret_ours: our number behind the FIN. */
static u64 into_time_wait(struct net *n, u8 options, bool orphan, u32 *ret_ours)
{
	u64 conn = net_accept(n, net_ip4(2), options, ret_ours);

	if (orphan)
		assert_int_equal(soft_release(n->s, conn), 0);
	else
		tcp_shutdown(n->s->engine, soft_find(n->s, conn)->eng);
	assert_int_equal(net_run(n), 1);
	assert_int_equal(net_tcp(n, 0).flags, WIRE_FIN | WIRE_ACK);
	*ret_ours += 1;
	SEG(n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = irs + 1, .ack = *ret_ours,
	    .options = ts(options, 2000));
	assert_int_equal(soft_state(n->s, conn), TCP_FIN_WAIT_2);
	SEG(n, .from = net_ip4(2), .flags = WIRE_FIN | WIRE_ACK, .seq = irs + 1, .ack = *ret_ours,
	    .options = ts(options, 2001));
	assert_int_equal(net_run(n), 1);
	assert_int_equal(soft_state(n->s, conn), TCP_TIME_WAIT);
	return conn;
}

/* RFC 9293 3.4.2: 2 MSL, and again from each FIN that comes once more. */
static void two_msl(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_config(&n);
	begin(&n);
	conn = into_time_wait(&n, 0, false, &ours);
	net_at(&n, 59 * NS_PER_S);
	assert_int_equal(soft_state(n.s, conn), TCP_TIME_WAIT);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_FIN | WIRE_ACK, .seq = irs + 1, .ack = ours);
	assert_int_equal(net_run(&n), 1);
	net_at(&n, 118 * NS_PER_S);
	assert_int_equal(soft_state(n.s, conn), TCP_TIME_WAIT);
	net_at(&n, 119 * NS_PER_S + 2 * NS_PER_MS);
	assert_int_equal(soft_state(n.s, conn), TCP_CLOSED);
	/* The name is the application's still. */
	assert_true(soft_take_events(n.s, conn) & TCP_EV_CLOSED);
	soft_close(n.s, conn);
	net_end(&n);
}

/* One that the application has let go of frees itself. */
static void orphan(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_config(&n);
	begin(&n);
	conn = into_time_wait(&n, 0, true, &ours);
	assert_int_equal(n.s->slots.n_taken, 1);
	net_at(&n, 60 * NS_PER_S + 2 * NS_PER_MS);
	assert_int_equal(n.s->slots.n_taken, 0);
	assert_int_equal(soft_release(n.s, conn), -ESTALE);
	net_end(&n);
}

/* RFC 1122 4.2.2.13: what arrives for one that nobody reads, or lies unread, means RST. */
static void unread(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_config(&n);
	begin(&n);
	conn = net_accept(&n, net_ip4(2), 0, &ours);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = irs + 1, .ack = ours, .len = 5);
	assert_int_equal(soft_release(n.s, conn), 0);
	assert_int_equal(net_run(&n), 1);
	assert_true(net_tcp(&n, 0).flags & WIRE_RST);
	net_run(&n);
	assert_int_equal(n.s->slots.n_taken, 0);
	conn = net_accept(&n, net_ip4(2), 0, &ours);
	assert_int_equal(soft_release(n.s, conn), 0);
	assert_int_equal(net_run(&n), 1);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = irs + 1, .ack = ours + 1, .len = 5);
	net_run(&n);
	assert_true(net_tcp(&n, n.n_out - 1).flags & WIRE_RST);
	net_end(&n);
}

/* RFC 9293 figure 13: both FINs cross. */
static void simultaneous_close(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_config(&n);
	begin(&n);
	conn = net_accept(&n, net_ip4(2), 0, &ours);
	tcp_shutdown(n.s->engine, soft_find(n.s, conn)->eng);
	net_run(&n);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_FIN | WIRE_ACK, .seq = irs + 1, .ack = ours);
	assert_int_equal(soft_state(n.s, conn), TCP_CLOSING);
	net_run(&n);
	SEG(&n, .from = net_ip4(2), .flags = WIRE_ACK, .seq = irs + 2, .ack = ours + 1);
	net_run(&n);
	assert_int_equal(soft_state(n.s, conn), TCP_TIME_WAIT);
	net_at(&n, 61 * NS_PER_S);
	assert_int_equal(soft_state(n.s, conn), TCP_CLOSED);
	net_end(&n);
}

/* RFC 1337 3 fix 1: a RST of old times does not end it; unless that is asked for. */
static void rst(void **state)
{
	for (u32 ends = 0; ends < 2; ends++) {
		struct net n;
		u64 conn;
		u32 ours;

		net_config(&n);
		n.config.rst_ends_time_wait = ends;
		begin(&n);
		conn = into_time_wait(&n, 0, false, &ours);
		SEG(&n, .from = net_ip4(2), .flags = WIRE_RST, .seq = irs + 2);
		assert_int_equal(net_run(&n), 0);
		assert_int_equal(soft_state(n.s, conn), ends ? TCP_CLOSED : TCP_TIME_WAIT);
		assert_int_equal(net_counters(&n)->time_wait_rsts, 1);
		net_end(&n);
	}
}

/* RFC 6191 2: which SYN begins anew. The old timestamp is 2001, the old number irs + 2. SHLD-4. */
static void new_syn(void **state)
{
	static const struct {
		u8 options; /* of the old connection, and of the SYN */
		u32 seq, ts;
		bool taken;
	} rows[] = {
		{TCP_OPT_TIMESTAMPS, 1, 2002, true},
		{TCP_OPT_TIMESTAMPS, 9000, 2000, false},
		{TCP_OPT_TIMESTAMPS, 9000, 2001, true},
		{TCP_OPT_TIMESTAMPS, 1, 2001, false},
		{0, 5003, 0, true},
		{0, 5002, 0, false},
		{0, 1, 0, false},
	};

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		struct wire_tcp_segment seg;
		struct net n;
		u64 conn;
		u32 ours;

		net_config(&n);
		begin(&n);
		conn = into_time_wait(&n, rows[i].options, false, &ours);
		SEG(&n, .from = net_ip4(2), .flags = WIRE_SYN, .seq = rows[i].seq,
		    .options = ts(rows[i].options, rows[i].ts));
		if (net_run(&n) != 1)
			fail_msg("row %u: %u frames", i, n.n_out);
		seg = net_tcp(&n, 0);
		if (seg.flags != (rows[i].taken ? WIRE_SYN | WIRE_ACK : WIRE_ACK))
			fail_msg("row %u: flags %x", i, seg.flags);
		assert_int_equal(soft_state(n.s, conn), rows[i].taken ? TCP_CLOSED : TCP_TIME_WAIT);
		/* Beyond all that the old one has sent. */
		if (rows[i].taken)
			assert_true(seq_gt(seg.seq, seq_of(ours)));
		net_end(&n);
	}
}

/* A full table gives the oldest up, of those that nobody asks for any more. */
static void recycled(void **state)
{
	struct net n;
	u64 conn;
	u32 ours;

	net_config(&n);
	n.config.engine.max_connections = 1;
	begin(&n);
	(void)into_time_wait(&n, 0, true, &ours);
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 9, 0, &conn), 0);
	assert_int_equal(net_counters(&n)->time_wait_recycled, 1);
	/* A live one is not given up. */
	assert_int_equal(soft_connect(n.s, ADDR(net_ip4(2)), 10, 0, &conn), -ENOSPC);
	net_end(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_msl),  cmocka_unit_test(orphan),
		cmocka_unit_test(unread),   cmocka_unit_test(simultaneous_close),
		cmocka_unit_test(rst),      cmocka_unit_test(new_syn),
		cmocka_unit_test(recycled),
	};

	return RUN_TESTS(tests);
}

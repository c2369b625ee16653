/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Byte streams between two engines arrive exact, whatever the wire does. */
#include "unit.h"

#include "tcp_pair.h"

enum { ALL_OPTIONS = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE };

static void run_both_ways(const struct pair_options *o, u32 conns, u64 bytes, bool open)
{
	struct pair p;

	pair_init(&p, o);
	for (u32 i = 0; i < conns; i++) {
		if (open)
			pair_open(&p, i);
		else
			pair_import(&p, i);
		for (u32 end = 0; end < 2; end++) {
			p.end[end].stream[i].to_send = bytes >> end;
			p.end[end].stream[i].close = true;
		}
	}
	assert_true(pair_run_streams(&p, 3600 * NS_PER_S));
	for (u32 i = 0; i < conns; i++)
		for (u32 end = 0; end < 2; end++)
			assert_int_equal(p.end[end].stream[i].wrong, 0);
	/* TIME_WAIT ends, and everything that was borrowed is back. */
	pair_run(&p, p.now_ns + 1000 * NS_PER_S);
	for (u32 i = 0; i < conns; i++)
		for (u32 end = 0; end < 2; end++) {
			assert_true(p.end[end].stream[i].events & TCP_EV_CLOSED);
			tcp_conn_free(p.end[end].e, p.end[end].conn[i]);
		}
	for (u32 end = 0; end < 2; end++)
		assert_int_equal(pair_free_buffers(&p.end[end]), pair_total_buffers(&p.end[end]));
	pair_finish(&p);
}

static struct pair_options lan(void)
{
	return (struct pair_options){
		.seed = 1,
		.delay_ns = 50 * NS_PER_US,
		.options = ALL_OPTIONS,
		.wscale = 7,
	};
}

static void test_open_and_transfer(void **state)
{
	struct pair_options o = lan();

	run_both_ways(&o, 1, 300000, true);
}

static void test_import_and_transfer(void **state)
{
	struct pair_options o = lan();

	run_both_ways(&o, 4, 300000, false);
}

static void test_superframes(void **state)
{
	struct pair_options o = lan();

	o.gso_max_bytes = 65535;
	o.tx_csum = true;
	run_both_ways(&o, 2, 3000000, true);
}

static void test_headers(void **state)
{
	for (u32 vlans = 0; vlans <= 2; vlans++)
		for (int snap = 0; snap < 2; snap++)
			for (int v6 = 0; v6 < 2; v6++) {
				struct pair_options o = lan();

				o.vlans = vlans;
				o.snap = snap;
				o.v6 = v6;
				o.mtu = snap ? 1492 : 1500; /* IEEE 802.3 counts LLC and SNAP in its
				                               1500 */
				o.loss_ppm = 20000;
				run_both_ways(&o, 1, 60000, true);
			}
}

static void test_plain_options(void **state)
{
	struct pair_options o = lan();

	for (u8 options = 0; options < 8; options++) {
		o.options = options;
		o.wscale = options & TCP_OPT_WSCALE ? 7 : 0;
		o.loss_ppm = 10000;
		o.rcv_buf = 60000;
		run_both_ways(&o, 1, 200000, true);
	}
}

static void test_hostile_wire(void **state)
{
	for (u64 seed = 1; seed <= 24; seed++) {
		struct pair_options o = lan();

		o.seed = seed;
		o.delay_ns = NS_PER_MS * (1 + seed % 7);
		o.loss_ppm = 1000u << seed % 6;
		o.reorder_ppm = 50000 * (seed % 3);
		o.duplicate_ppm = 20000 * (seed % 2);
		o.corrupt_ppm = 10000 * (seed % 4 == 0);
		o.cc = (u8)(seed / 2 % TCP_CC_ALGORITHMS);
		o.nagle = seed % 5 == 0;
		if (seed % 3 == 0)
			o.options = TCP_OPT_TIMESTAMPS | TCP_OPT_WSCALE | TCP_OPT_ECN;
		if (seed % 4 == 3) {
			o.gso_max_bytes = 65535;
			o.tx_csum = true;
		}
		run_both_ways(&o, 1 + seed % 3, 400000, seed % 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_and_transfer),
		cmocka_unit_test(test_import_and_transfer),
		cmocka_unit_test(test_superframes),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_plain_options),
		cmocka_unit_test(test_hostile_wire),
	};

	return RUN_TESTS(tests);
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Two systems with links between them, in virtual time (IEEE 802.1AX 6.4; R87, R99). */
#include "unit.h"

#include "base/prng.h"
#include "driver/team/lacp.h"

enum { LINKS = 4, LATENCY_MS = 1, IN_FLIGHT = 64 };

struct pdu {
	u64 at_ns;
	u32 to, port;
	u8 bytes[WIRE_SLOW_BYTES];
};

struct net {
	struct lacp side[3]; /* the third is another system, for links that are wired wrongly */
	u32 far_side[LINKS]; /* where link i of side 0 leads: 1, 2, or 0 for a loop */
	bool cut[LINKS];     /* carries nothing, carrier stays */
	struct pdu wire[IN_FLIGHT];
	u32 n_wire;
	u64 now_ns;
	u32 sent[3][LINKS];
	u32 most_in_a_second;
	u64 recent[3][LINKS][4]; /* when the last four were sent */
};

static struct lacp_config config(u8 who, u32 links)
{
	return (struct lacp_config){
		.system.b = {2, 0, 0, 0, 0, who},
		.key = 7,
		.active = true,
		.fast = true,
		.ports = links,
	};
}

static void net_init(struct net *n)
{
	memset(n, 0, sizeof(*n));
	n->now_ns = NS_PER_S;
	for (u32 i = 0; i < 3; i++) {
		struct lacp_config c = config((u8)(i + 1), LINKS);

		lacp_init(&n->side[i], &c);
	}
	for (u32 i = 0; i < LINKS; i++)
		n->far_side[i] = 1;
}

static void carrier(struct net *n, u32 link, bool up)
{
	lacp_carrier(&n->side[0], link, up, n->now_ns);
	if (n->far_side[link])
		lacp_carrier(&n->side[n->far_side[link]], link, up, n->now_ns);
}

static void all_up(struct net *n, u32 links)
{
	for (u32 i = 0; i < links; i++)
		carrier(n, i, true);
}

static void note_sent(struct net *n, u32 from, u32 port)
{
	u64 *r = n->recent[from][port];
	u32 k = n->sent[from][port]++;
	u32 in_a_second = 1;

	for (u32 i = 0; i < min_of(k, 4u); i++)
		in_a_second += n->now_ns < r[i] + NS_PER_S;
	n->most_in_a_second = max_of(n->most_in_a_second, in_a_second);
	r[k % 4] = n->now_ns;
}

static u32 other_end(struct net *n, u32 from, u32 port)
{
	return from == 0 ? n->far_side[port] : 0;
}

static void emit(struct net *n)
{
	for (u32 from = 0; from < 3; from++)
		for (u32 port = 0; port < LINKS; port++) {
			struct pdu p = {.at_ns = n->now_ns + LATENCY_MS * NS_PER_MS,
			                .to = other_end(n, from, port),
			                .port = port};

			while (lacp_transmit(&n->side[from], port, p.bytes, n->now_ns)) {
				note_sent(n, from, port);
				assert_true(n->n_wire < IN_FLIGHT);
				if (!n->cut[port])
					n->wire[n->n_wire++] = p;
			}
		}
}

static u64 next_ns(const struct net *n)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < 3; i++)
		next = min_of(next, lacp_next_ns(&n->side[i]));
	for (u32 i = 0; i < n->n_wire; i++)
		next = min_of(next, n->wire[i].at_ns);
	return next;
}

static void arrive(struct net *n)
{
	for (u32 i = 0; i < n->n_wire;) {
		struct pdu p = n->wire[i];

		if (p.at_ns > n->now_ns) {
			i++;
			continue;
		}
		memmove(n->wire + i, n->wire + i + 1, (--n->n_wire - i) * sizeof(p));
		assert_int_equal(
			lacp_receive(&n->side[p.to], p.port, p.bytes, sizeof(p.bytes), n->now_ns),
			WIRE_OK);
	}
}

static void run(struct net *n, u64 ns)
{
	u64 until = n->now_ns + ns;

	while (next_ns(n) <= until) {
		n->now_ns = max_of(n->now_ns, next_ns(n));
		arrive(n);
		for (u32 i = 0; i < 3; i++)
			lacp_timers(&n->side[i], n->now_ns);
		emit(n);
	}
	n->now_ns = until;
}

static u32 links_up(const struct net *n, u32 side)
{
	u32 up = 0;

	for (u32 i = 0; i < LINKS; i++)
		up |= (u32)lacp_is_up(&n->side[side], i) << i;
	return up;
}

static void negotiates(void **state)
{
	struct net n;

	net_init(&n);
	all_up(&n, LINKS);
	run(&n, 1900 * NS_PER_MS);
	assert_int_equal(links_up(&n, 0), 0); /* two seconds of waiting for the others */
	assert_int_equal(n.side[0].port[0].why, LACP_NOT_YET);
	run(&n, 400 * NS_PER_MS);
	assert_int_equal(links_up(&n, 0), 15);
	assert_int_equal(links_up(&n, 1), 15);
	assert_int_equal(n.side[0].port[0].why, LACP_UP);
	assert_int_equal(n.side[0].port[2].partner.port, 3);
	assert_true(n.most_in_a_second <= 3);
	/* Then one a second each way, no more, and nothing flaps. */
	memset(n.sent, 0, sizeof(n.sent));
	run(&n, 60 * NS_PER_S);
	assert_in_range(n.sent[0][0], 59, 61);
	assert_int_equal(n.side[0].changes, LINKS);
}

static void slow_partner_is_told_each_half_minute(void **state)
{
	struct lacp_config c = config(2, LINKS);
	struct net n;

	net_init(&n);
	c.fast = false;
	lacp_init(&n.side[1], &c);
	all_up(&n, 1);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 1);
	memset(n.sent, 0, sizeof(n.sent));
	run(&n, 300 * NS_PER_S);
	assert_in_range(n.sent[0][0], 9, 11);    /* its partner wants it slow */
	assert_in_range(n.sent[1][0], 299, 301); /* and we want it fast */
	assert_int_equal(n.side[1].changes, 1);
}

static void passive_answers_active_only(void **state)
{
	struct lacp_config c = config(2, LINKS);
	struct net n;

	net_init(&n);
	c.active = false;
	lacp_init(&n.side[1], &c);
	all_up(&n, 1);
	run(&n, 5 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 1);
	c = config(1, LINKS);
	c.active = false;
	lacp_init(&n.side[0], &c);
	lacp_carrier(&n.side[1], 0, false, n.now_ns);
	memset(n.sent, 0, sizeof(n.sent));
	n.n_wire = 0;
	all_up(&n, 1);
	run(&n, 100 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 0);
	assert_int_equal(n.sent[0][0] + n.sent[1][0], 0);
	assert_int_equal(n.side[0].port[0].why, LACP_NO_PARTNER);
}

/* Carrier ends a link at once; the other side hears of it or sees it itself. */
static void carrier_loss(void **state)
{
	struct net n;

	net_init(&n);
	all_up(&n, 2);
	run(&n, 5 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 3);
	lacp_carrier(&n.side[0], 1, false, n.now_ns);
	assert_int_equal(links_up(&n, 0), 1);
	assert_int_equal(n.side[0].port[1].why, LACP_NO_CARRIER);
	lacp_carrier(&n.side[0], 1, true, n.now_ns);
	run(&n, 5 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 3);
	assert_int_equal(links_up(&n, 1), 3);
}

/* R113's like at this level: the carrier stays, the PDUs do not. Fast: out after three seconds. */
static void silence(void **state)
{
	struct net n;

	net_init(&n);
	all_up(&n, 2);
	run(&n, 10 * NS_PER_S);
	n.cut[1] = true;
	run(&n, 1900 * NS_PER_MS);
	assert_int_equal(links_up(&n, 0), 3);
	run(&n, 1200 * NS_PER_MS);
	assert_int_equal(links_up(&n, 0), 1);
	assert_int_equal(n.side[0].port[1].counters.expired, 1);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(n.side[0].port[1].why, LACP_NO_PARTNER);
	assert_true(n.side[0].port[1].actor.state & LACP_DEFAULTED);
	n.cut[1] = false;
	run(&n, 5 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 3);
}

/* A link that was plugged in elsewhere carries nothing, until the aggregate has no other. */
static void other_partner(void **state)
{
	struct net n;

	net_init(&n);
	n.far_side[2] = 2;
	all_up(&n, 3);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 3);
	assert_int_equal(n.side[0].port[2].why, LACP_OTHER_PARTNER);
	carrier(&n, 0, false);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 2);
	carrier(&n, 1, false);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 4);
	/* It stays there: one that comes back is no reason to move all. */
	carrier(&n, 0, true);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 4);
	assert_int_equal(n.side[0].port[0].why, LACP_OTHER_PARTNER);
}

static void best_priority_chooses(void **state)
{
	struct lacp_config c = config(1, LINKS);
	struct net n;

	net_init(&n);
	n.far_side[3] = 2;
	c.port_priority[3] = 1;
	lacp_init(&n.side[0], &c);
	all_up(&n, LINKS);
	run(&n, 1 * NS_PER_MS); /* all are heard before the aggregate is chosen for good */
	run(&n, 10 * NS_PER_S);
	assert_true(links_up(&n, 0) == 8 || links_up(&n, 0) == 7);
	carrier(&n, 0, false);
	carrier(&n, 1, false);
	carrier(&n, 2, false);
	run(&n, 10 * NS_PER_S);
	assert_int_equal(links_up(&n, 0), 8);
}

static void what_may_not_be_aggregated(void **state)
{
	struct lacp_config c = config(1, LINKS);
	struct net n;

	net_init(&n);
	n.far_side[0] = 0; /* a loop */
	c.port_key[1] = 9; /* another speed */
	lacp_init(&n.side[0], &c);
	n.side[1].port[2].actor.state &= (u8)~LACP_AGGREGATION;
	all_up(&n, LINKS);
	run(&n, 20 * NS_PER_S);
	assert_int_equal(n.side[0].port[0].why, LACP_LOOPED);
	assert_int_equal(n.side[0].port[1].why, LACP_OTHER_KEY);
	assert_int_equal(n.side[0].port[2].why, LACP_INDIVIDUAL);
	assert_int_equal(links_up(&n, 0), 8);
	for (u32 why = 0; why < LACP_WHYS; why++)
		assert_non_null(strchr(lacp_why_sentence(why), '.'));
	assert_string_equal(lacp_why_sentence(LACP_WHYS), "Unknown.");
}

/* An administrator takes a link out: the partner stops using it although it works. */
static void held(void **state)
{
	struct net n;

	net_init(&n);
	all_up(&n, 2);
	run(&n, 5 * NS_PER_S);
	lacp_hold(&n.side[0], 0, true, n.now_ns);
	assert_int_equal(links_up(&n, 0), 2);
	assert_int_equal(n.side[0].port[0].why, LACP_HELD);
	run(&n, 10 * NS_PER_MS);
	assert_int_equal(links_up(&n, 1), 2);
	lacp_hold(&n.side[0], 0, false, n.now_ns);
	run(&n, 5 * NS_PER_S);
	assert_int_equal(links_up(&n, 1), 3);
}

static void marker_is_answered(void **state)
{
	struct wire_marker marker = {
		.port = 3, .system.b = {2, 0, 0, 0, 0, 2}, .transaction = 0xdeadbeef};
	struct wire_marker answer;
	u8 pdu[WIRE_SLOW_BYTES], out[WIRE_SLOW_BYTES];
	struct net n;

	net_init(&n);
	all_up(&n, 1);
	run(&n, 5 * NS_PER_S);
	wire_marker_write(pdu, &marker);
	assert_int_equal(lacp_receive(&n.side[0], 0, pdu, sizeof(pdu), n.now_ns), WIRE_OK);
	assert_int_equal(lacp_next_ns(&n.side[0]), 0);
	assert_int_equal(lacp_transmit(&n.side[0], 0, out, n.now_ns), WIRE_SLOW_BYTES);
	assert_int_equal(wire_marker_parse(out, sizeof(out), &answer), WIRE_OK);
	assert_true(answer.response);
	assert_int_equal(answer.transaction, marker.transaction);
	assert_int_equal(answer.port, 3);
	/* An answer is not answered. */
	assert_int_equal(lacp_receive(&n.side[0], 0, out, sizeof(out), n.now_ns), WIRE_OK);
	assert_int_equal(lacp_transmit(&n.side[0], 0, out, n.now_ns), 0);
}

static void bad_pdus(void **state)
{
	struct wire_lacp pdu = {.version = 1, .actor.key = 1};
	u8 bytes[WIRE_SLOW_BYTES];
	struct net n;

	net_init(&n);
	all_up(&n, 1);
	wire_lacp_write(bytes, &pdu);
	for (u32 len = 0; len < WIRE_SLOW_BYTES; len++)
		assert_int_equal(lacp_receive(&n.side[0], 0, bytes, len, n.now_ns),
		                 WIRE_SLOW_SHORT);
	bytes[2] = 9;
	assert_int_equal(lacp_receive(&n.side[0], 0, bytes, sizeof(bytes), n.now_ns),
	                 WIRE_SLOW_FORMAT);
	bytes[0] = WIRE_SLOW_MARKER;
	assert_int_equal(lacp_receive(&n.side[0], 0, bytes, sizeof(bytes), n.now_ns),
	                 WIRE_SLOW_FORMAT);
	assert_int_equal(n.side[0].port[0].counters.rx_bad, WIRE_SLOW_BYTES + 2);
	assert_int_equal(n.side[0].port[0].counters.rx_pdus, 0);
	/* A link without carrier hears nothing. */
	bytes[0] = WIRE_SLOW_LACP;
	bytes[2] = 1;
	assert_int_equal(lacp_receive(&n.side[0], 1, bytes, sizeof(bytes), n.now_ns), WIRE_OK);
	assert_int_equal(n.side[0].port[1].counters.rx_pdus, 0);
}

/* The bytes of 802.1AX figure 6-7, spelled out. */
static void bytes_on_the_wire(void **state)
{
	static const u8 want[] = {
		1, 1, 1, 20, 0x80, 0,    2, 0, 0, 0, 0, 1, 0, 7, 0x80, 0, 0, 1,  0x3d, 0,
		0, 0, 2, 20, 0x12, 0x34, 2, 0, 0, 0, 0, 2, 0, 8, 0,    9, 0, 10, 0x45, 0,
		0, 0, 3, 16, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0,  0,    0,
	};
	struct wire_lacp pdu = {
		.version = 1,
		.actor = {0x8000, {{2, 0, 0, 0, 0, 1}}, 7, 0x8000, 1, 0x3d},
		.partner = {0x1234, {{2, 0, 0, 0, 0, 2}}, 8, 9, 10, 0x45},
		.max_delay = 0x102,
	};
	struct wire_lacp back;
	u8 bytes[WIRE_SLOW_BYTES];

	assert_int_equal(wire_lacp_write(bytes, &pdu), WIRE_SLOW_BYTES);
	assert_memory_equal(bytes, want, sizeof(want));
	for (u32 i = sizeof(want); i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], 0);
	memset(&back, 0, sizeof(back));
	assert_int_equal(wire_lacp_parse(bytes, sizeof(bytes), &back), WIRE_OK);
	assert_memory_equal(&back.actor.system, &pdu.actor.system, 6);
	assert_int_equal(back.partner.state, 0x45);
	assert_int_equal(back.max_delay, 0x102);
}

/* Whatever happened, a quiet minute later both sides use the same links: those that work. */
static void storm(void **state)
{
	for (u64 seed = 1; seed <= 40; seed++) {
		struct prng r;
		struct net n;
		u32 works = 0;

		prng_seed(&r, seed);
		net_init(&n);
		for (u32 i = 0; i < 300; i++) {
			u32 link = prng_below(&r, LINKS);

			switch (prng_below(&r, 4)) {
			case 0:
				carrier(&n, link, prng_below(&r, 2));
				break;
			case 1:
				n.cut[link] = prng_below(&r, 2);
				break;
			case 2:
				lacp_hold(&n.side[0], link, prng_below(&r, 4) == 0, n.now_ns);
				break;
			}
			run(&n, prng_below(&r, 3000) * NS_PER_MS);
			assert_true(n.most_in_a_second <= 4); /* windows, not a sliding second */
		}
		run(&n, 60 * NS_PER_S);
		for (u32 i = 0; i < LINKS; i++)
			works |= (u32)(n.side[0].port[i].enabled && !n.cut[i] &&
			               !n.side[0].port[i].held)
			         << i;
		assert_int_equal(links_up(&n, 0), works);
		assert_int_equal(links_up(&n, 1), works);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(negotiates),
		cmocka_unit_test(slow_partner_is_told_each_half_minute),
		cmocka_unit_test(passive_answers_active_only),
		cmocka_unit_test(carrier_loss),
		cmocka_unit_test(silence),
		cmocka_unit_test(other_partner),
		cmocka_unit_test(best_priority_chooses),
		cmocka_unit_test(what_may_not_be_aggregated),
		cmocka_unit_test(held),
		cmocka_unit_test(marker_is_answered),
		cmocka_unit_test(bad_pdus),
		cmocka_unit_test(bytes_on_the_wire),
		cmocka_unit_test(storm),
	};

	return RUN_TESTS(tests);
}

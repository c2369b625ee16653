/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Packets that must not get through: each is dropped and counted with one reason. And the numbers
 * by which replays are found. */
#include "ipsec_net.h"

#include "base/prng.h"
#include "driver/ipsec/internal.h"

static const struct net_how esp = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_GCM};

static u64 drops_of(const struct net_end *e, u32 reason)
{
	return ipsec_counters(e->d)->drops[reason];
}

/* Seals one segment; it lies in end[from]->out[0]. */
static const struct net_frame *seal_one(struct net_pair *p, u32 from)
{
	net_emit(p->end[from], &p->how, from, 1, 200, 0);
	net_send(p->end[from], 16);
	assert_int_equal(p->end[from]->n_out, 1);
	return &p->end[from]->out[0];
}

/* The checksum of an IPv4 header that was changed. */
static void mend(struct net_frame *f)
{
	be16 sum;

	if (f->b[14] >> 4 != 4)
		return;
	f->b[24] = f->b[25] = 0;
	sum = csum_finish(csum_bytes(0, f->b + 14, 20));
	memcpy(f->b + 24, &sum, 2);
}

static void set_seq(struct net_pair *p, u64 seq)
{
	struct ipsec_sa_state s = net_sa(&p->how, 0, 0, 0x1000, p->key[0]);

	(void)net_sa_upload(p->end[0], p->out[0], false);
	s.seq = seq;
	p->out[0] = net_sa_add(p->end[0], &s);
}

/* -- the window ---------------------------------------------------------------------------------
 */

enum { MODEL = 8192 };

/* Against a window that remembers everything. */
static void window_against_a_model(void **state)
{
	struct prng r;
	u64 window[IPSEC_WINDOW_WORDS] = {0}, top = 0;
	static bool seen[MODEL];

	prng_seed(&r, 4);
	memset(seen, 0, sizeof(seen));
	for (u32 i = 0; i < 200000; i++) {
		u64 base = i / 40 > MODEL - 1300 ? MODEL - 1300 : i / 40;
		u64 seq = base + prng_below(&r, 1300);
		bool fresh = seq && !seen[seq] && (seq > top || top - seq < IPSEC_WINDOW);

		assert_int_equal(replay_is_fresh(window, top, seq), fresh);
		if (!fresh || prng_below(&r, 3))
			continue;
		replay_mark(window, &top, seq);
		seen[seq] = true;
	}
}

/* Jumps of every length around the window's size leave nothing behind in it. */
static void window_after_jumps(void **state)
{
	for (u64 jump = 1; jump < 3 * IPSEC_WINDOW; jump++) {
		u64 window[IPSEC_WINDOW_WORDS], top = 5000;

		memset(window, 0xff, sizeof(window));
		replay_mark(window, &top, 5000 + jump);
		for (u64 d = 0; d < IPSEC_WINDOW; d++) {
			u64 seq = top - d;
			bool was_seen = seq == top || seq <= 5000;

			assert_int_equal(replay_is_fresh(window, top, seq), !was_seen);
		}
		assert_false(replay_is_fresh(window, top, top - IPSEC_WINDOW));
	}
}

/* Every number that lies within the window or less than half a span ahead is found by its low half.
 */
static void whole_numbers(void **state)
{
	static const u64 tops[] = {1,           5,           1022,        1023,        1024,
	                           0xffffff00,  0xffffffff,  0x100000000, 0x100000005, 0x1000003fe,
	                           0x1000003ff, 0x100000400, 0x7fffffff0};

	for (u32 i = 0; i < ARRAY_SIZE(tops); i++) {
		for (s64 d = -(s64)IPSEC_WINDOW + 1; d < 5000; d++) {
			u64 seq = tops[i] + (u64)d;

			if ((s64)seq > 0)
				assert_int_equal(replay_extend(tops[i], (u32)seq, true), seq);
		}
		assert_int_equal(replay_extend(tops[i], 77, false), 77);
	}
	/* There is none before the first. */
	assert_int_equal(replay_extend(3, 0xffffffff, true), 0);
}

/* RFC 4303 3.4.3, through the driver: the lowest number of the window is taken, once; the one below
 * is not; order within the window does not matter. */
static void window_edges(void **state)
{
	struct net_frame a, b, c;
	struct net_pair p;

	net_pair_make(&p, &esp);
	set_seq(&p, 9999);
	a = *seal_one(&p, 0); /* 10,000 */
	b = *seal_one(&p, 0);
	set_seq(&p, 10000 + IPSEC_WINDOW - 1);
	c = *seal_one(&p, 0); /* 10,000 + 1,024 */
	assert_true(net_receive(p.end[1], c.b, c.len, 0));
	assert_false(net_receive(p.end[1], a.b, a.len, 0));
	assert_true(net_receive(p.end[1], b.b, b.len, 0));
	assert_false(net_receive(p.end[1], b.b, b.len, 0));
	assert_false(net_receive(p.end[1], c.b, c.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_REPLAYED), 3);
	net_pair_free(&p);
}

/* 200 packets in any order, each twice: each arrives once. */
static void reordered_and_replayed(void **state)
{
	struct net_pair p;
	struct prng r;
	u32 order[400], arrived = 0;

	prng_seed(&r, 8);
	net_pair_make(&p, &esp);
	for (u32 i = 0; i < 200; i++)
		net_emit(p.end[0], &esp, 0, i, 64, 0);
	net_send(p.end[0], 64);
	for (u32 i = 0; i < 400; i++) {
		u32 j = prng_below(&r, i + 1);

		order[i] = order[j];
		order[j] = i % 200;
	}
	for (u32 i = 0; i < 400; i++) {
		const struct net_frame *o = &p.end[0]->out[order[i]];

		arrived += net_receive(p.end[1], o->b, o->len, 0);
	}
	assert_int_equal(arrived, 200);
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_REPLAYED), 200);
	net_pair_free(&p);
}

/* RFC 4304: the numbers go on beyond 32 bits, out of order too, and the high half counts: what is
 * of another span is forged. */
static void extended_numbers_wrap(void **state)
{
	static const u8 suites[] = {CIPHER_AES_128_GCM, CIPHER_AES_128_CBC_HMAC_SHA_256,
	                            CIPHER_AES_128_GMAC};

	for (u32 i = 0; i < ARRAY_SIZE(suites); i++) {
		struct net_how h = {.protocol = i == 2 ? WIRE_IPPROTO_AH : WIRE_IPPROTO_ESP,
		                    .suite = suites[i],
		                    .esn = true};
		const struct net_frame *last;
		struct ipsec_sa_state s;
		struct net_pair p;

		net_pair_make(&p, &h);
		set_seq(&p, 0xfffffff0);
		(void)net_sa_upload(p.end[1], p.in[1], false);
		s = net_sa(&h, 1, 0, 0x1000, p.key[1]);
		s.seq = 0xfffffff0;
		p.in[1] = net_sa_add(p.end[1], &s);
		for (u32 k = 0; k < 40; k++)
			net_emit(p.end[0], &h, 0, k, 64, 0);
		net_send(p.end[0], 64);
		for (u32 k = 0; k < 40; k++) { /* in pairs, the later one first */
			const struct net_frame *o = &p.end[0]->out[k ^ 1];

			assert_true(net_receive(p.end[1], o->b, o->len, 0));
			assert_false(net_receive(p.end[1], o->b, o->len, 0));
		}
		assert_int_equal(drops_of(p.end[1], IPSEC_DROP_REPLAYED), 40);
		assert_int_equal(net_sa_query(p.end[1], p.in[1]).seq, 0xfffffff0 + 40ull);
		set_seq(&p, 0x300000100); /* as if two spans had passed unseen */
		last = seal_one(&p, 0);
		assert_false(net_receive(p.end[1], last->b, last->len, 0));
		assert_int_equal(drops_of(p.end[1], IPSEC_DROP_FORGED), 1);
		net_pair_free(&p);
	}
}

/* RFC 4303 3.3.3: without extended numbers the association ends, and is told of. */
static void numbers_never_cycle(void **state)
{
	struct net_pair p;
	struct net_end *e;

	net_pair_make(&p, &esp);
	e = p.end[0];
	set_seq(&p, 0xfffffffe);
	(void)seal_one(&p, 0);
	for (u32 i = 0; i < 3; i++) {
		net_emit(e, &esp, 0, 1, 10, 0);
		net_send(e, 16);
		assert_int_equal(e->n_out, 0);
	}
	assert_int_equal(drops_of(e, IPSEC_DROP_SEQUENCE), 3);
	assert_int_equal(e->hook.frames->events(e->hook.impl, e->now), 1);
	assert_int_equal(e->events[IPSEC_SEQUENCE_USED_UP], 1);
	net_pair_free(&p);
}

/* -- packets that are not what they should be ----------------------------------------------------
 */

/* Any bit of what is protected may not change; what routers change may. */
static void forged(void **state)
{
	static const struct net_how hows[] = {
		{WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_256_GCM},
		{WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_AES_256_CBC_HMAC_SHA_256, true},
		{WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_HMAC_SHA_256},
		{WIRE_IPPROTO_AH, IPSEC_TRANSPORT, CIPHER_HMAC_SHA_256},
		{WIRE_IPPROTO_AH, IPSEC_TUNNEL, CIPHER_AES_128_GMAC, false, true},
	};

	for (u32 i = 0; i < ARRAY_SIZE(hows); i++) {
		bool v6 = hows[i].inner_v6 || hows[i].outer_v6;
		u32 ip = v6 ? 40 : 20, from = 14 + ip;
		struct net_pair p;
		struct net_frame f;

		net_pair_make(&p, &hows[i]);
		f = *seal_one(&p, 0);
		for (u32 at = from; at < f.len; at++) {
			u64 before = net_drops(p.end[1]);
			struct net_frame g = f;

			g.b[at] ^= 0x40;
			if (net_receive(p.end[1], g.b, g.len, 0))
				fail_msg("way %u byte %u", i, at);
			assert_int_equal(net_drops(p.end[1]), before + 1);
		}
		assert_true(drops_of(p.end[1], IPSEC_DROP_FORGED) > 100);
		if (hows[i].protocol == WIRE_IPPROTO_AH) {
			struct net_frame g = f;

			g.b[14 + (v6 ? 8 : 12)] ^= 1; /* the source address is protected */
			mend(&g);
			assert_false(net_receive(p.end[1], g.b, g.len, 0));
		}
		f.b[14 + (v6 ? 7 : 8)]--; /* the hop limit is a router's */
		mend(&f);
		assert_true(net_receive(p.end[1], f.b, f.len, 0));
		net_pair_free(&p);
	}
}

/* Cut to every length, with an IP header that says so: never let through. */
static void truncated(void **state)
{
	for (u32 v6 = 0; v6 < 2; v6++) {
		for (u32 ah = 0; ah < 2; ah++) {
			struct net_how h = {.protocol = ah ? WIRE_IPPROTO_AH : WIRE_IPPROTO_ESP,
			                    .suite = ah ? CIPHER_HMAC_SHA_256 : CIPHER_AES_128_GCM,
			                    .inner_v6 = v6};
			u32 ip = v6 ? 40 : 20;
			struct net_pair p;
			struct net_frame f;

			net_pair_make(&p, &h);
			f = *seal_one(&p, 0);
			for (u32 len = ip; len < f.len - 14; len++) {
				u64 before = net_drops(p.end[1]);
				struct net_frame g = f;

				wire_put16(g.b + 14 + (v6 ? 4 : 2), (u16)(len - (v6 ? 40 : 0)));
				mend(&g);
				assert_false(net_receive(p.end[1], g.b, 14 + len, 0));
				assert_int_equal(net_drops(p.end[1]), before + 1);
			}
			assert_int_equal(
				drops_of(p.end[1], ah ? WIRE_AH_SHORT : WIRE_ESP_SHORT) >= 8, 1);
			assert_true(net_receive(p.end[1], f.b, f.len, 0));
			net_pair_free(&p);
		}
	}
}

/* RFC 4301 5.2: what must be protected is not taken in the clear, fragments of it included; what
 * came protected but is not of the association is not taken either. */
static void policy_holds(void **state)
{
	struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_AES_128_GCM};
	struct ipsec_policy policy = net_policy(&h, 0);
	struct ipsec_sa_state s;
	struct net_frame clear;
	struct net_pair p;

	net_pair_make(&p, &h);
	assert_int_equal(ipsec_set_policies(p.end[0]->d, NULL, 0), 0);
	clear = *seal_one(&p, 0); /* bypassed */
	assert_false(net_receive(p.end[1], clear.b, clear.len, 0));
	clear.b[20] = 0x20; /* more fragments follow */
	mend(&clear);
	assert_false(net_receive(p.end[1], clear.b, clear.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_UNPROTECTED), 2);

	policy.action = IPSEC_DISCARD;
	assert_int_equal(ipsec_set_policies(p.end[0]->d, &policy, 1), 0);
	net_emit(p.end[0], &h, 0, 1, 10, 0);
	net_send(p.end[0], 16);
	assert_int_equal(p.end[0]->n_out, 0);
	assert_int_equal(drops_of(p.end[0], IPSEC_DROP_DISCARDED), 1);

	/* The receiver's association is for another port. */
	policy = net_policy(&h, 0);
	assert_int_equal(ipsec_set_policies(p.end[0]->d, &policy, 1), 0);
	(void)net_sa_upload(p.end[1], p.in[1], false);
	s = net_sa(&h, 1, 0, 0x1000, p.key[1]);
	s.inner_local_port = 80;
	p.in[1] = net_sa_add(p.end[1], &s);
	clear = *seal_one(&p, 0);
	assert_false(net_receive(p.end[1], clear.b, clear.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_SELECTOR), 1);

	/* A policy that no association serves: another suite is asked for. */
	policy.suite = CIPHER_AES_256_GCM;
	assert_int_equal(ipsec_set_policies(p.end[0]->d, &policy, 1), 0);
	net_emit(p.end[0], &h, 0, 1, 10, 0);
	net_send(p.end[0], 16);
	assert_int_equal(p.end[0]->n_out, 0);
	assert_int_equal(drops_of(p.end[0], IPSEC_DROP_NO_SA), 1);
	policy.suite = CIPHER_SUITES;
	assert_int_equal(ipsec_set_policies(p.end[0]->d, &policy, 1), -EINVAL);
	net_pair_free(&p);
}

/* Tunnel in transport mode and the like, fragments of ESP, and what would be too long. */
static void odd_packets(void **state)
{
	struct net_how h = esp;
	struct ipsec_sa_state s;
	struct net_frame f;
	struct net_pair p;

	net_pair_make(&p, &h);
	f = *seal_one(&p, 0);
	f.b[20] = 0x20;
	mend(&f);
	assert_false(net_receive(p.end[1], f.b, f.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_FRAGMENT), 1);

	net_emit(p.end[0], &h, 0, 1, 1448, 0);
	net_send(p.end[0], 16);
	assert_int_equal(p.end[0]->n_out, 0);
	assert_int_equal(drops_of(p.end[0], IPSEC_DROP_TOO_LONG), 1);

	/* The sender means transport, the receiver tunnel. */
	(void)net_sa_upload(p.end[1], p.in[1], false);
	h.mode = IPSEC_TRANSPORT;
	net_pair_free(&p);
	net_pair_make(&p, &h);
	(void)net_sa_upload(p.end[1], p.in[1], false);
	h.mode = IPSEC_TUNNEL;
	s = net_sa(&h, 1, 0, 0x1000, p.key[1]);
	s.local = net_inner(&h, 1);
	s.remote = net_inner(&h, 0);
	(void)net_sa_add(p.end[1], &s);
	f = *seal_one(&p, 0);
	assert_false(net_receive(p.end[1], f.b, f.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_MODE), 1);
	net_pair_free(&p);
}

static int seal_fails(struct cipher *c, const struct cipher_text *text)
{
	return -EINVAL;
}

/* A cipher that fails, or a device that says more than it has, lets nothing out in the clear. */
static void not_sealed(void **state)
{
	for (u32 ah = 0; ah < 2; ah++) {
		struct net_how h = {.protocol = ah ? WIRE_IPPROTO_AH : WIRE_IPPROTO_ESP,
		                    .suite = CIPHER_HMAC_SHA_256};
		struct cipher_ops broken;
		struct tx_frame *f;
		struct net_pair p;
		struct net_end *e;

		net_pair_make(&p, &h);
		e = p.end[0];
		f = net_emit(e, &h, 0, 1, 200, 0);
		f->payload_len = 201;
		wire_put16(f->header + 2 + 14 + 2, 20 + 32 + 201);
		memset(f->header + 2 + 14 + 10, 0, 2);
		wire_put16(f->header + 2 + 14 + 10,
		           be16_to_cpu(csum_finish(csum_bytes(0, f->header + 2 + 14, 20))));
		net_send(e, 16);
		assert_int_equal(e->n_out, 0);
		broken = *e->d->config.cipher.ops;
		broken.seal = seal_fails;
		e->d->config.cipher.ops = &broken;
		net_emit(e, &h, 0, 1, 200, 0);
		net_send(e, 16);
		assert_int_equal(e->n_out, 0);
		assert_int_equal(drops_of(e, IPSEC_DROP_NOT_SEALED), 2);
		assert_int_equal(ipsec_counters(e->d)->sealed, 0);
		net_pair_free(&p);
	}
}

static void reasons_have_words(void **state)
{
	for (u32 i = 0; i < IPSEC_REASONS; i++) {
		assert_true(strlen(ipsec_reason_sentence(i)) > 5);
		assert_string_not_equal(ipsec_reason_word(i), "unknown");
	}
	assert_string_equal(ipsec_reason_word(IPSEC_REASONS), "unknown");
	assert_true(IPSEC_REASONS <= UINT8_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_against_a_model),
		cmocka_unit_test(window_after_jumps),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(window_edges),
		cmocka_unit_test(reordered_and_replayed),
		cmocka_unit_test(extended_numbers_wrap),
		cmocka_unit_test(numbers_never_cycle),
		cmocka_unit_test(forged),
		cmocka_unit_test(truncated),
		cmocka_unit_test(policy_holds),
		cmocka_unit_test(odd_packets),
		cmocka_unit_test(not_sealed),
		cmocka_unit_test(reasons_have_words),
	};

	return RUN_TESTS(tests);
}

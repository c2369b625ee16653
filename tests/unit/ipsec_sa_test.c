/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Associations as state objects: their calls, limits, keys, and moves under traffic (R21). */
#include "ipsec_net.h"

#include <stdio.h>

#include "offload/request.h"
#include "state/binary.h"
#include "state/json.h"

static const struct net_how esp = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_GCM};

/* One segment from an end to the other; true: it arrived. */
static bool one(struct net_pair *p, u32 from)
{
	struct net_end *a = p->end[from], *b = p->end[!from];
	u32 got = b->n_got;

	net_emit(a, &p->how, from, got * 100, 100, 0);
	net_send(a, 16);
	if (!a->n_out)
		return false;
	return net_receive(b, a->out[0].b, a->out[0].len, 0) && b->n_got == got + 1;
}

static u64 drops_of(const struct net_end *e, u32 reason)
{
	return ipsec_counters(e->d)->drops[reason];
}

/* Each refusal has its status, and leaves nothing behind. */
static void offload_refuses(void **state)
{
	struct net_end *e = net_make();
	u64 key = net_key(e, esp.suite, 0);
	struct ipsec_sa_state good = net_sa(&esp, 0, 1, 0x2000, key), s;
	handle h, first = net_sa_add(e, &good);

	assert_int_equal(net_sa_try(e, &good, &h), STATUS_SPI_IN_USE);
	s = good;
	s.key = key + 1;
	s.spi++;
	assert_int_equal(net_sa_try(e, &s, &h), STATUS_NO_KEY);
	s.key = key;
	s.suite = CIPHER_AES_256_GCM; /* a key of another suite */
	assert_int_equal(net_sa_try(e, &s, &h), STATUS_NO_KEY);
	s = good;
	s.spi = 255;
	assert_int_equal(net_sa_try(e, &s, &h), STATUS_MALFORMED);
	for (u32 i = 1; i < 64; i++) {
		s.spi = 0x3000 + i;
		(void)net_sa_add(e, &s);
	}
	s.spi = 0x4000;
	assert_int_equal(net_sa_try(e, &s, &h), STATUS_NO_SAS);
	(void)net_sa_upload(e, first, false);
	assert_int_equal(net_sa_update(e, first, &s), STATUS_STALE_HANDLE);
	assert_int_equal(net_sa_try(e, &s, &h), STATUS_OK);
	net_free(e);
}

static const char *check_with(void (*change)(struct ipsec_sa_state *s))
{
	struct ipsec_sa_state s = net_sa(&esp, 0, 0, 0x2000, 1);

	change(&s);
	return ipsec_sa_check(&s, NET_ALL);
}

static void spoil_protocol(struct ipsec_sa_state *s)
{
	s->protocol = 6;
}

static void spoil_mode(struct ipsec_sa_state *s)
{
	s->mode = IPSEC_MODES;
}

static void spoil_suite(struct ipsec_sa_state *s)
{
	s->suite = CIPHER_SUITES;
}

static void spoil_ah(struct ipsec_sa_state *s)
{
	s->protocol = WIRE_IPPROTO_AH;
}

static void spoil_gmac(struct ipsec_sa_state *s)
{
	s->suite = CIPHER_AES_128_GMAC;
}

static void spoil_family(struct ipsec_sa_state *s)
{
	s->remote = net_v6(1, 1);
}

static void spoil_transport(struct ipsec_sa_state *s)
{
	s->mode = IPSEC_TRANSPORT;
	s->local = s->remote = net_v6(1, 1);
}

static void spoil_prefix(struct ipsec_sa_state *s)
{
	s->inner_local_bits = 33;
}

static void spoil_key(struct ipsec_sa_state *s)
{
	s->key = 0;
}

static void spoil_hops(struct ipsec_sa_state *s)
{
	s->hop_limit = 0;
}

static void spoil_number(struct ipsec_sa_state *s)
{
	s->seq = 1ull << 32;
}

static void nothing(struct ipsec_sa_state *s)
{
}

static void impossible_states_are_refused(void **state)
{
	static void (*const spoil[])(struct ipsec_sa_state *) = {
		spoil_protocol,  spoil_mode,   spoil_suite, spoil_ah,   spoil_gmac,   spoil_family,
		spoil_transport, spoil_prefix, spoil_key,   spoil_hops, spoil_number,
	};

	assert_null(check_with(nothing));
	for (u32 i = 0; i < ARRAY_SIZE(spoil); i++)
		assert_non_null(check_with(spoil[i]));
}

/* Counts are the device's; a query shows them, an upload takes them along. */
static void counts_and_age_travel(void **state)
{
	struct ipsec_sa_state s;
	struct net_pair p;

	net_pair_make(&p, &esp);
	for (u32 i = 0; i < 5; i++)
		assert_true(one(&p, 0));
	p.end[0]->now += 3 * NS_PER_S;
	p.end[0]->hook.frames->set_time(p.end[0]->hook.impl, p.end[0]->now);
	s = net_sa_query(p.end[0], p.out[0]);
	assert_int_equal(s.seq, 5);
	assert_int_equal(s.packets, 5);
	assert_int_equal(s.bytes, 5 * 156); /* 20 + 32 + 100, a trailer of 2, padding of 2 */
	assert_int_equal(s.age_ns, 3 * NS_PER_S);
	assert_int_equal(s.spi, 0x1000);
	s = net_sa_query(p.end[1], p.in[1]);
	assert_int_equal(s.seq, 5);
	assert_int_equal(s.replay_0, 0x3e);
	net_pair_free(&p);
}

/* A soft limit is told once and stops nothing; a hard one stops. */
static void limits(void **state)
{
	struct ipsec_sa_state s;
	struct net_pair p;
	struct net_end *e;

	net_pair_make(&p, &esp);
	e = p.end[0];
	s = net_sa_query(e, p.out[0]);
	s.soft_packets = 3;
	s.hard_packets = 5;
	assert_int_equal(net_sa_update(e, p.out[0], &s), STATUS_OK);
	for (u32 i = 0; i < 8; i++) {
		assert_int_equal(one(&p, 0), i < 5);
		(void)e->hook.frames->events(e->hook.impl, e->now);
		assert_int_equal(e->events[IPSEC_SOFT_EXPIRED], i >= 2);
		assert_int_equal(e->events[IPSEC_HARD_EXPIRED], i >= 4);
	}
	assert_int_equal(drops_of(e, IPSEC_DROP_EXPIRED), 3);
	s.hard_packets = 0; /* raised: it goes on */
	s.soft_packets = 0;
	s.soft_ns = 2 * NS_PER_S;
	s.hard_ns = 3 * NS_PER_S;
	assert_int_equal(net_sa_update(e, p.out[0], &s), STATUS_OK);
	assert_true(one(&p, 0));
	e->hook.frames->timers(e->hook.impl, e->now);
	assert_int_equal(e->hook.frames->next_deadline(e->hook.impl), 1002 * NS_PER_S);
	e->now += 2 * NS_PER_S;
	e->hook.frames->timers(e->hook.impl, e->now);
	assert_int_equal(e->hook.frames->next_deadline(e->hook.impl), 0);
	assert_int_equal(e->hook.frames->events(e->hook.impl, e->now), 1);
	assert_int_equal(e->events[IPSEC_SOFT_EXPIRED], 2);
	assert_int_equal(e->hook.frames->next_deadline(e->hook.impl), 1003 * NS_PER_S);
	e->now += NS_PER_S;
	assert_false(one(&p, 0));
	e->hook.frames->timers(e->hook.impl, e->now);
	assert_int_equal(e->hook.frames->events(e->hook.impl, e->now), 1);
	/* Inbound as well. */
	s = net_sa_query(p.end[0], p.in[0]);
	s.hard_packets = 1;
	assert_int_equal(net_sa_update(e, p.in[0], &s), STATUS_OK);
	assert_true(one(&p, 1));
	assert_false(one(&p, 1));
	net_pair_free(&p);
}

/* A key is changed under traffic: the receiver first; what the old one sealed is taken as well,
 * until a window of packets came with the new one. No packet is lost. */
static void new_key_under_traffic(void **state)
{
	static const u8 suites[] = {CIPHER_AES_256_GCM, CIPHER_AES_128_CBC_HMAC_SHA_256,
	                            CIPHER_HMAC_SHA_256};

	for (u32 i = 0; i < ARRAY_SIZE(suites); i++) {
		struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, suites[i]};
		struct ipsec_sa_state s;
		struct net_frame late[2];
		struct net_pair p;

		net_pair_make(&p, &h);
		for (u32 k = 0; k < 2; k++) {
			net_emit(p.end[0], &h, 0, 50 + k, 100, 0);
			net_send(p.end[0], 16);
			late[k] = p.end[0]->out[0];
		}
		assert_true(one(&p, 0));
		s = net_sa_query(p.end[1], p.in[1]);
		s.key = net_key(p.end[1], h.suite, 1);
		assert_int_equal(net_sa_update(p.end[1], p.in[1], &s), STATUS_OK);
		assert_true(one(&p, 0)); /* still the old one */
		s = net_sa_query(p.end[0], p.out[0]);
		s.key = net_key(p.end[0], h.suite, 1);
		assert_int_equal(net_sa_update(p.end[0], p.out[0], &s), STATUS_OK);
		assert_true(one(&p, 0));
		assert_true(net_receive(p.end[1], late[0].b, late[0].len, 0)); /* overtaken */
		for (u32 k = 0; k < IPSEC_WINDOW; k++)
			assert_true(one(&p, 0));
		assert_int_equal(net_drops(p.end[1]), 0);
		/* The old key is gone: nobody can still use it. */
		s = net_sa_query(p.end[0], p.out[0]);
		s.key = p.key[0];
		assert_int_equal(net_sa_update(p.end[0], p.out[0], &s), STATUS_OK);
		assert_false(one(&p, 0));
		assert_int_equal(drops_of(p.end[1], IPSEC_DROP_FORGED), 1);
		net_pair_free(&p);
	}
}

/* The usual way: a new pair of associations. The newest seals; the old one is still taken. */
static void newest_association_seals(void **state)
{
	struct ipsec_sa_state s;
	struct net_frame late;
	struct net_pair p;
	handle old;

	net_pair_make(&p, &esp);
	net_emit(p.end[0], &esp, 0, 7, 100, 0);
	net_send(p.end[0], 16);
	late = p.end[0]->out[0];
	assert_true(one(&p, 0));
	s = net_sa(&esp, 1, 0, 0x7777, net_key(p.end[1], esp.suite, 2));
	(void)net_sa_add(p.end[1], &s);
	assert_true(one(&p, 0));
	s = net_sa(&esp, 0, 0, 0x7777, net_key(p.end[0], esp.suite, 2));
	(void)net_sa_add(p.end[0], &s);
	assert_true(one(&p, 0));
	assert_int_equal(wire_get32(p.end[0]->out[0].b + 34), 0x7777);
	assert_true(net_receive(p.end[1], late.b, late.len, 0));
	old = p.out[0];
	(void)net_sa_upload(p.end[0], old, false);
	(void)net_sa_upload(p.end[1], p.in[1], false);
	assert_true(one(&p, 0));
	assert_false(net_receive(p.end[1], late.b, late.len, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_UNKNOWN_SPI), 1);
	net_pair_free(&p);
}

/* R21: uploaded in the middle of traffic and offloaded to other drivers, an association goes on: no
 * number is used twice, and what was received before the move is still known. */
static void moved_under_traffic(void **state)
{
	struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_CHACHA20_POLY1305, .esn = true};
	struct net_pair p, q;
	struct net_frame before, lost;

	net_pair_make(&p, &h);
	for (u32 round = 0; round < 4; round++) {
		struct ipsec_sa_state s;

		for (u32 i = 0; i < 30; i++)
			assert_true(one(&p, i & 1));
		before = p.end[0]->out[0];
		net_emit(p.end[0], &h, 0, 9, 100, 0);
		net_send(p.end[0], 16);
		lost = p.end[0]->out[0]; /* on its way during the move */
		net_pair_make(&q, &h);
		for (u32 i = 0; i < 2; i++) {
			(void)net_sa_upload(q.end[i], q.out[i], false);
			(void)net_sa_upload(q.end[i], q.in[i], false);
			s = net_sa(&h, i, i, 0x1000 + i, q.key[i]);
			schema_apply(ipsec_schema.layer[LAYER_SA], CLASS_DELEGATED, UINT64_MAX, &s,
			             &(struct ipsec_sa_state){0});
			for (u32 in = 0; in < 2; in++) {
				struct ipsec_sa_state moved =
					net_sa_upload(p.end[i], in ? p.in[i] : p.out[i], false);

				s = net_sa(&h, i, in ? !i : i, 0x1000 + (in ? !i : i), q.key[i]);
				schema_apply(ipsec_schema.layer[LAYER_SA], CLASS_DELEGATED,
				             UINT64_MAX, &s, &moved);
				*(in ? &q.in[i] : &q.out[i]) = net_sa_add(q.end[i], &s);
			}
		}
		net_pair_free(&p);
		p = q;
		assert_true(net_receive(p.end[1], lost.b, lost.len, 0));
		assert_false(net_receive(p.end[1], lost.b, lost.len, 0));
		assert_false(net_receive(p.end[1], before.b, before.len, 0));
		assert_int_equal(drops_of(p.end[1], IPSEC_DROP_REPLAYED), 2);
		assert_true(one(&p, 0));
		assert_true(one(&p, 1));
		assert_int_equal(net_sa_query(p.end[0], p.out[0]).seq, 17 + 17 * round);
	}
	net_pair_free(&p);
}

/* An upload that is rolled back changes nothing; meanwhile nothing leaves in the clear. */
static void rolled_back(void **state)
{
	struct ipsec_sa_state s;
	struct net_list l;
	struct net_pair p;

	net_pair_make(&p, &esp);
	assert_true(one(&p, 0));
	s = net_sa_query(p.end[0], p.out[0]);
	net_list_make(&l, 0, p.out[0]);
	assert_int_equal(ipsec_sa_upload(p.end[0]->d, &l.list), 0);
	assert_false(one(&p, 0));
	assert_int_equal(drops_of(p.end[0], IPSEC_DROP_NO_SA), 1);
	assert_int_equal(net_sa_update(p.end[0], p.out[0], &s), STATUS_BAD_STATE);
	l.b->status = STATUS_FAILED;
	ipsec_sa_commit(p.end[0]->d, &l.list);
	net_list_free(&l);
	assert_true(one(&p, 0));
	net_list_make(&l, 0, p.in[1]);
	assert_int_equal(ipsec_sa_upload(p.end[1]->d, &l.list), 0);
	assert_false(one(&p, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_LEAVING), 1);
	ipsec_sa_commit(p.end[1]->d, &l.list);
	net_list_free(&l);
	assert_false(one(&p, 0));
	assert_int_equal(drops_of(p.end[1], IPSEC_DROP_UNKNOWN_SPI), 1);
	net_pair_free(&p);
}

/* -- written forms ------------------------------------------------------------------------------
 */

struct text {
	u32 len;
	char b[16384];
};

static int sink(void *context, const char *piece, size_t len)
{
	struct text *t = context;

	assert_true(t->len + len <= sizeof(t->b));
	memcpy(t->b + t->len, piece, len);
	t->len += (u32)len;
	return 0;
}

/* Any 8 bytes of the key, as they are or in hexadecimal digits. */
static void assert_no_key(const void *form, u32 len, const u8 *key, u32 key_len)
{
	char hex[17];

	for (u32 k = 0; k + 8 <= key_len; k++) {
		for (u32 i = 0; i < 8; i++)
			snprintf(hex + 2 * i, 3, "%02x", key[k + i]);
		assert_null(memmem(form, len, key + k, 8));
		assert_null(memmem(form, len, hex, 16));
	}
}

/* No key is in a state, its binary form, its JSON, or any byte of the driver's memory. */
static void keys_are_nowhere(void **state)
{
	for (u32 suite = 0; suite < CIPHER_SUITES; suite++) {
		struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, (u8)suite};
		u8 key[CIPHER_KEY_BYTES_MAX], form[4096];
		struct text text = {0};
		struct ipsec_config config;
		struct net_list l, back;
		struct net_pair p;
		u64 bytes;

		if (suite == CIPHER_AES_128_GMAC)
			h.protocol = WIRE_IPPROTO_AH;
		for (u32 i = 0; i < sizeof(key); i++)
			key[i] = net_key_byte(0, i);
		net_pair_make(&p, &h);
		assert_true(one(&p, 0));
		net_list_make(&l, NET_ALL, p.out[0]);
		assert_int_equal(ipsec_sa_query(p.end[0]->d, &l.list), 0);
		assert_int_equal(binary_encode(&l.list, form, sizeof(form), &bytes), 0);
		assert_int_equal(json_write_list(&l.list, sink, &text), 0);
		assert_non_null(memmem(text.b, text.len, "\"layer\":\"sa\"", 12));
		assert_non_null(memmem(text.b, text.len, "\"replay_15\"", 11));
		config = net_config(p.end[0]);
		assert_no_key(form, (u32)bytes, key, cipher_shape(suite)->key_bytes);
		assert_no_key(text.b, text.len, key, cipher_shape(suite)->key_bytes);
		assert_no_key(p.end[0]->mem, (u32)ipsec_bytes(&config), key,
		              cipher_shape(suite)->key_bytes);
		/* Both forms are read again as they were written. */
		net_list_make(&back, NET_ALL, HANDLE_NONE);
		block_list_reset(&back.list);
		assert_int_equal(binary_decode(&back.list, form, bytes, NULL), 0);
		assert_memory_equal(block_sa(&back.list, block_at(&back.list, 0)), l.s,
		                    sizeof(*l.s));
		block_list_reset(&back.list);
		assert_int_equal(json_read_list(&back.list, (u8 *)text.b, text.len, NULL), 0);
		assert_memory_equal(block_sa(&back.list, block_at(&back.list, 0)), l.s,
		                    sizeof(*l.s));
		net_list_free(&back);
		net_list_free(&l);
		net_pair_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offload_refuses),
		cmocka_unit_test(impossible_states_are_refused),
		cmocka_unit_test(counts_and_age_travel),
		cmocka_unit_test(limits),
		cmocka_unit_test(new_key_under_traffic),
		cmocka_unit_test(newest_association_seals),
		cmocka_unit_test(moved_under_traffic),
		cmocka_unit_test(rolled_back),
		cmocka_unit_test(keys_are_nowhere),
	};

	return RUN_TESTS(tests);
}

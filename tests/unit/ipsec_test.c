/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Two drivers that face each other: every suite, mode and family, byte for byte. */
#include "ipsec_net.h"

enum { MSS = 1300 };

/* Each way that a packet can be protected. */
static u32 all_ways(struct net_how *ret)
{
	u32 n = 0;

	for (u32 i = 0; i < CIPHER_SUITES * 64; i++) {
		u32 suite = i / 64;
		struct net_how h = {
			.protocol = i & 1 ? WIRE_IPPROTO_AH : WIRE_IPPROTO_ESP,
			.mode = i >> 1 & 1,
			.suite = (u8)suite,
			.inner_v6 = i >> 2 & 1,
			.outer_v6 = i >> 3 & 1,
			.esn = i >> 4 & 1,
			.n_vlan = i >> 5 & 1 ? 2 : 0,
		};

		if (h.protocol == WIRE_IPPROTO_AH && cipher_shape(suite)->enciphers)
			continue;
		if (h.protocol == WIRE_IPPROTO_ESP && suite == CIPHER_AES_128_GMAC)
			continue;
		if (h.mode == IPSEC_TRANSPORT && h.outer_v6)
			continue;
		ret[n++] = h;
	}
	return n;
}

/* A received segment: intact, and it continues the stream. */
static u32 check_segment(const struct net_frame *g, const struct net_how *h, u32 from, u32 seq)
{
	struct wire_tcp_segment s;
	struct ip_addr src = net_inner(h, from), dst = net_inner(h, !from);
	u64 sum;

	assert_int_equal(wire_parse_tcp(g->b, g->len, g->len, &s), WIRE_OK);
	assert_int_equal(s.seq.n, seq);
	assert_true(ip_addr_eq(&s.flow.remote, &src) && ip_addr_eq(&s.flow.local, &dst));
	assert_int_equal(s.n_vlan, h->n_vlan);
	assert_int_equal(s.ttl, 61);
	assert_int_equal(s.tos, 0x12);
	sum = csum_pseudo(&src, &dst, 6, wire_segment_tcp_bytes(&s));
	assert_true(csum_ok(csum_bytes(sum, g->b + s.tcp_off, wire_segment_tcp_bytes(&s))));
	assert_int_equal(s.payload_off + s.payload_len, g->len); /* no padding is left */
	for (u32 i = 0; i < s.payload_len; i++)
		assert_int_equal(g->b[s.payload_off + i], net_byte(seq + i));
	return s.payload_len;
}

/* No 16 bytes of the clear text are seen in a packet that is enciphered. */
static void check_secret(const struct net_frame *o, const struct net_how *h, u32 seq, u32 len)
{
	u8 clear[16];

	if (!cipher_shape(h->suite)->enciphers || len < 16)
		return;
	for (u32 i = 0; i < 16; i++)
		clear[i] = net_byte(seq + i);
	for (u32 i = 0; i + 16 <= o->len; i++)
		assert_memory_not_equal(o->b + i, clear, 16);
}

/* R20, R105: every suite, mode, family, with tags and without; lengths at which padding changes. */
static void every_way_there_and_back(void **state)
{
	static const u32 lens[] = {0, 1, 2, 3, 4, 13, 14, 15, 16, 17, 500, MSS};
	struct net_how ways[512];
	u32 n = all_ways(ways);

	assert_true(n > 100);
	for (u32 w = 0; w < n; w++) {
		struct net_pair p;
		u32 seq = 1000;

		net_pair_make(&p, &ways[w]);
		for (u32 i = 0; i < ARRAY_SIZE(lens); i++) {
			u32 from = i & 1;

			net_emit(p.end[from], &p.how, from, seq, lens[i], 0);
			net_send(p.end[from], 16);
			assert_int_equal(p.end[from]->n_out, 1);
			check_secret(&p.end[from]->out[0], &p.how, seq, lens[i]);
			p.end[!from]->n_got = 0;
			assert_true(net_receive(p.end[!from], p.end[from]->out[0].b,
			                        p.end[from]->out[0].len, i % 3 ? 0 : 128));
			assert_int_equal(check_segment(&p.end[!from]->got[0], &p.how, from, seq),
			                 lens[i]);
			seq += lens[i];
		}
		assert_int_equal(net_drops(p.end[0]) + net_drops(p.end[1]), 0);
		net_pair_free(&p);
	}
}

/* A superframe is cut before it is sealed, and no piece is longer than the MTU, whatever room the
 * port has. */
static void superframes_are_cut(void **state)
{
	struct net_how ways[512];
	u32 n = all_ways(ways);

	for (u32 w = 0; w < n; w++) {
		struct net_pair p;
		u32 seq = 0xfffff000, end = seq + 30000;

		net_pair_make(&p, &ways[w]);
		net_emit(p.end[0], &p.how, 0, seq, 30000, MSS);
		net_send(p.end[0], 1 + w % 40);
		assert_int_equal(p.end[0]->n_out, (30000 + MSS - 1) / MSS);
		for (u32 i = 0; i < p.end[0]->n_out; i++) {
			struct net_frame *o = &p.end[0]->out[i];
			struct wire_tcp_segment s;

			assert_true(o->len <= 14 + 4u * p.how.n_vlan + 1500);
			assert_true(net_receive(p.end[1], o->b, o->len, 0));
			seq += check_segment(&p.end[1]->got[i], &p.how, 0, seq);
			(void)!wire_parse_tcp(p.end[1]->got[i].b, p.end[1]->got[i].len,
			                      p.end[1]->got[i].len, &s);
			assert_int_equal(!!(s.flags & WIRE_PSH), seq == end);
		}
		assert_int_equal(seq, end);
		assert_int_equal(ipsec_counters(p.end[0]->d)->cut, 1);
		net_pair_free(&p);
	}
}

/* More frames than buffers to seal into: the rest follows when the batch was sent. */
static void buffers_are_lent_a_batch(void **state)
{
	struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_GCM};
	struct net_pair p;

	net_pair_make(&p, &h);
	for (u32 i = 0; i < 200; i++)
		net_emit(p.end[0], &h, 0, i * 100, 100, 0);
	net_send(p.end[0], NET_FRAMES); /* 64 are lent at once */
	assert_int_equal(p.end[0]->n_out, 200);
	for (u32 i = 0; i < 200; i++)
		assert_true(net_receive(p.end[1], p.end[0]->out[i].b, p.end[0]->out[i].len, 0));
	for (u32 i = 0; i < 200; i++)
		check_segment(&p.end[1]->got[i], &h, 0, i * 100);
	net_pair_free(&p);
}

/* What no policy names passes as it came, in its order, in both directions. */
static void others_pass_in_the_clear(void **state)
{
	struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_AES_128_GCM};
	struct net_how other = h;
	struct net_pair p;

	other.inner_v6 = true;
	net_pair_make(&p, &h);
	for (u32 i = 0; i < 6; i++)
		net_emit(p.end[0], i & 1 ? &h : &other, 0, i * 100, 100, 0);
	net_send(p.end[0], 16);
	assert_int_equal(p.end[0]->n_out, 6);
	for (u32 i = 0; i < 6; i++) {
		struct wire_tcp_segment s;
		struct net_frame *o = &p.end[0]->out[i];

		assert_int_equal(wire_parse_tcp(o->b, o->len, o->len, &s),
		                 i & 1 ? WIRE_NOT_TCP : WIRE_OK);
		assert_true(net_receive(p.end[1], o->b, o->len, 0));
	}
	assert_int_equal(ipsec_counters(p.end[0]->d)->bypassed_out, 3);
	assert_int_equal(ipsec_counters(p.end[1]->d)->bypassed_in, 3);
	net_pair_free(&p);
}

/* A second driver in front of the first: AH around what that one seals. */
struct second {
	struct ipsec *d;
	void *mem;
};

static struct second second_make(struct net_end *e, const struct net_how *how, u32 side)
{
	struct net_how h = *how;
	struct ipsec_config config = net_config(e);
	struct ipsec_policy policy;
	struct ipsec_sa_state s;
	struct second two;
	struct ipsec *first = e->d;

	h.protocol = WIRE_IPPROTO_AH;
	h.mode = IPSEC_TRANSPORT;
	h.suite = CIPHER_AES_128_GMAC;
	two.mem = net_alloc(64, ipsec_bytes(&config));
	assert_int_equal(ipsec_init(two.mem, &config, &two.d), 0);
	assert_int_equal(ipsec_insert(two.d, &e->hook), 0);
	policy = net_policy(&h, side);
	policy.selector.protocol = WIRE_IPPROTO_ESP;
	assert_int_equal(ipsec_set_policies(two.d, &policy, 1), 0);
	e->d = two.d;
	for (u32 in = 0; in < 2; in++) {
		u32 from = in ? !side : side;

		s = net_sa(&h, side, from, 0x1000 + from, net_key(e, h.suite, 3));
		s.inner_protocol = WIRE_IPPROTO_ESP;
		(void)net_sa_add(e, &s);
	}
	e->d = first;
	return two;
}

static void second_free(struct second *two)
{
	assert_int_equal(ipsec_remove(two->d), 0);
	ipsec_finish(two->d);
	free(two->mem);
}

/* R105: both at once, ESP inside AH, by two drivers in a stack; with tags and without. Then the
 * outer one passes on what the inner one seals: what is lent to a batch stays as it is until it was
 * sent. */
static void esp_inside_ah(void **state)
{
	for (u32 i = 0; i < 4; i++) {
		struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TRANSPORT, CIPHER_AES_128_GCM, i & 1,
		                    .n_vlan = i & 2};
		struct second two[2];
		struct net_pair p;
		u32 seq = 0;

		net_pair_make(&p, &h);
		for (u32 e = 0; e < 2; e++)
			two[e] = second_make(p.end[e], &h, e);
		assert_int_equal(ipsec_remove(p.end[0]->d), -EBUSY); /* one is above it */
		for (u32 clear = 0; clear < 2; clear++) {
			if (clear) {
				assert_int_equal(ipsec_counters(two[1].d)->opened, 175);
				assert_int_equal(ipsec_set_policies(two[0].d, NULL, 0), 0);
				second_free(&two[1]);
			}
			net_emit(p.end[0], &h, 0, seq, 30000, 1200);
			for (u32 k = 0; k < 150; k++)
				net_emit(p.end[0], &h, 0, seq + 30000 + k * 100, 100, 0);
			net_send(p.end[0], NET_FRAMES);
			assert_int_equal(p.end[0]->n_out, 175);
			p.end[1]->n_got = 0;
			for (u32 k = 0; k < 175; k++) {
				struct net_frame *o = &p.end[0]->out[k];
				u32 ip = 14 + 4u * h.n_vlan;

				assert_int_equal(o->b[ip + (h.inner_v6 ? 6 : 9)],
				                 clear ? WIRE_IPPROTO_ESP : WIRE_IPPROTO_AH);
				assert_true(net_receive(p.end[1], o->b, o->len, 0));
				seq += check_segment(&p.end[1]->got[k], &h, 0, seq);
			}
			assert_int_equal(seq, (clear + 1) * 45000);
		}
		assert_int_equal(ipsec_counters(two[0].d)->bypassed_out, 175);
		assert_int_equal(net_drops(p.end[0]) + net_drops(p.end[1]), 0);
		second_free(&two[0]);
		net_pair_free(&p);
	}
}

/* The outer mark goes in, and what cannot carry it is dropped (RFC 6040). */
static void marks_go_in(void **state)
{
	for (u32 v6 = 0; v6 < 2; v6++) {
		struct net_how h = {WIRE_IPPROTO_ESP, IPSEC_TUNNEL, CIPHER_AES_128_GCM, v6};
		struct wire_tcp_segment s;
		struct net_frame *o;
		struct net_pair p;
		be16 sum;

		net_pair_make(&p, &h);
		net_emit(p.end[0], &h, 0, 1, 100, 0);
		net_send(p.end[0], 16);
		o = &p.end[0]->out[0];
		o->b[15] |= 3;
		o->b[24] = o->b[25] = 0;
		sum = csum_finish(csum_bytes(0, o->b + 14, 20));
		memcpy(o->b + 24, &sum, 2);
		assert_true(net_receive(p.end[1], o->b, o->len, 0));
		assert_int_equal(wire_parse_tcp(p.end[1]->got[0].b, p.end[1]->got[0].len,
		                                p.end[1]->got[0].len, &s),
		                 WIRE_OK);
		assert_int_equal(s.tos, 0x13);
		net_pair_free(&p);
	}
}

/* R101: who looks for a device for such connections sees what this one can do. */
static void suites_are_advertised(void **state)
{
	struct net_end *e = net_make();
	struct capabilities caps;

	e->hook.ops->capabilities(e->hook.impl, &caps);
	assert_int_equal(caps.ipsec_suites, (1 << CIPHER_SUITES) - 1);
	assert_int_equal(caps.max_mtu_bytes, 1500);
	net_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_way_there_and_back),
		cmocka_unit_test(superframes_are_cut),
		cmocka_unit_test(buffers_are_lent_a_batch),
		cmocka_unit_test(others_pass_in_the_clear),
		cmocka_unit_test(esp_inside_ah),
		cmocka_unit_test(marks_go_in),
		cmocka_unit_test(suites_are_advertised),
	};

	return RUN_TESTS(tests);
}

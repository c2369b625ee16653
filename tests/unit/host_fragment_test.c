/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* IP fragments in the network layer of the host: joined for connections that are offloaded or in a
 * move, left to the host's stack for all others (R39, R53). */
#include "base/csum.h"
#include "base/prng.h"
#include "host_fake.h"

enum { DATA = 3000, WHOLE = WIRE_TCP_BYTES + DATA };

static u8 segment[WHOLE];

/* A segment of a connection's peer: 3,000 bytes of data, its checksum right. */
static void make_segment(struct fake *f, u32 conn, u32 seq)
{
	struct ip_addr src = fake_addr(1, fake_path_of(f, conn) + 1), dst = fake_addr(0, 1);
	be16 sum;

	memset(segment, 0, sizeof(segment));
	for (u32 i = 0; i < DATA; i++)
		segment[WIRE_TCP_BYTES + i] = (u8)(i * 7 + (i >> 8));
	wire_put16(segment, FAKE_REMOTE_PORT);
	wire_put16(segment + 2, (u16)(FAKE_LOCAL_PORT + conn));
	wire_put32(segment + 4, seq);
	segment[12] = 5 << 4;
	segment[13] = 0x10;
	sum = csum_finish(csum_bytes(csum_pseudo(&src, &dst, 6, WHOLE), segment, WHOLE));
	memcpy(segment + 16, &sum, 2);
}

/* Bytes [from, to) of the segment as a fragment with this identification, in a frame of its own. */
static struct rx_frame fragment(struct fake *f, u32 conn, u8 version, u32 id, u32 from, u32 to)
{
	u32 buf = buf_alloc(&f->pool, BUF_SMALL);
	struct wire_ip ip = {
		.version = version,
		.ttl = 64,
		.protocol = 6,
		.id = id,
		.more_fragments = to < WHOLE,
		.has_frag_header = version == 6,
		.frag_off = (u16)from,
		.src = fake_addr(1, fake_path_of(f, conn) + 1),
		.dst = fake_addr(0, 1),
		.payload_bytes = to - from,
	};
	u8 *p = buf_bytes(&f->pool, buf);
	u32 len;

	assert_int_not_equal(buf, NIL);
	memset(p, 0, BUF_SMALL_BYTES);
	wire_put16(p + 12, version == 4 ? 0x0800 : 0x86dd);
	len = 14 + wire_ip_write(p + 14, &ip);
	memcpy(p + len, segment + from, to - from);
	len = max_of(len + to - from, 60u); /* a short frame is padded */
	buf_at(&f->pool, buf)->len = len;
	return (struct rx_frame){.buf = buf, .len = len, .csum = FRAME_CSUM_VALID};
}

static void give(struct fake *f, struct rx_frame frame)
{
	host_frames(f->host, &frame, 1);
	assert_int_equal(frame.verdict, FRAME_CONSUMED);
}

static void expect_whole(struct fake *f, u8 version, u32 fragments)
{
	u32 header = 14 + (version == 4 ? 20 : 40);

	assert_int_equal(f->joined_len, header + WHOLE);
	assert_memory_equal(f->joined + header, segment, WHOLE);
	assert_int_equal(f->joined_fragments, fragments);
	assert_true(f->joined_ok);
}

static struct fake *offloaded(u32 conns)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = conns});

	fake_offload(f, 0, conns - 1, STATUS_OK); /* the last one stays in the host */
	return f;
}

/* R39, R53: in any order, one frame reaches the device, with the bytes and the checksum of the
 * whole. A fragment that comes twice changes nothing. */
static void joined_in_any_order(void **state)
{
	static const u32 cut[] = {0, 1000, 1008, 1480, 2960, WHOLE};
	struct prng rng;

	prng_seed(&rng, 7);
	for (u32 round = 0; round < 64; round++) {
		u8 version = round & 1 ? 6 : 4;
		struct fake *f = offloaded(4);
		u32 order[5] = {0, 1, 2, 3, 4};

		make_segment(f, 1, 5000 + round);
		for (u32 i = 5; i-- > 1;) {
			u32 k = prng_below(&rng, i + 1), t = order[i];

			order[i] = order[k];
			order[k] = t;
		}
		for (u32 i = 0; i < 5; i++) {
			u32 o = order[i];

			assert_int_equal(f->n_forwarded, 0);
			give(f, fragment(f, 1, version, 77, cut[o], cut[o + 1]));
			if (i < 4)
				give(f, fragment(f, 1, version, 77, cut[o], cut[o + 1]));
		}
		assert_int_equal(f->n_forwarded, 1);
		assert_int_equal(f->forwarded[0], version == 4 ? 5000 + round : f->forwarded[0]);
		expect_whole(f, version, 5);
		assert_int_equal(f->n_injected, 0);
		assert_int_equal(host_counters(f->host)->fragments_joined, 5);
		assert_int_equal(host_counters(f->host)->fragments_given_up, 4);
		fake_upload(f, 0, 3, STATUS_OK);
		fake_destroy(f);
	}
}

/* R53: during an offload the whole waits in order with what else came, and is forwarded after it.
 */
static void joined_during_a_move(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 1});

	f->async = true;
	f->moves[0] = (struct host_move){.conn = f->handles[0]};
	assert_int_equal(host_offload(f->host, f->moves, 1, false), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
	make_segment(f, 0, 20);
	give(f, fake_frame(f, 0, 10));
	give(f, fragment(f, 0, 4, 1, 1480, WHOLE));
	give(f, fragment(f, 0, 4, 1, 0, 1480));
	give(f, fake_frame(f, 0, 30));
	f->async = false;
	while (fake_complete(f))
		;
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->n_forwarded, 3);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(f->forwarded[i], 10 * (i + 1));
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* Of a connection in the host, of nobody, and of anybody when nothing is offloaded: as they came.
 */
static void of_others_they_go_to_the_stack(void **state)
{
	struct fake *f = offloaded(2);

	make_segment(f, 1, 1);
	give(f, fragment(f, 1, 4, 1, 0, 1480));
	assert_int_equal(f->n_injected, 0); /* not known yet whose it is */
	give(f, fragment(f, 1, 4, 1, 1480, WHOLE));
	assert_int_equal(f->n_injected, 2);
	make_segment(f, 40, 1);
	give(f, fragment(f, 40, 4, 2, 0, 1480));
	give(f, fragment(f, 40, 4, 2, 1480, WHOLE));
	assert_int_equal(f->n_injected, 4);
	assert_int_equal(f->n_forwarded, 0);
	fake_upload(f, 0, 1, STATUS_OK);
	make_segment(f, 0, 1);
	give(f, fragment(f, 0, 4, 3, 0, 1480));
	assert_int_equal(f->n_injected, 5);
	fake_destroy(f);
}

/* A datagram whose parts overlap is given up whole, and nothing of it reaches anybody. */
static void overlaps_are_given_up(void **state)
{
	static const u32 bad[][2] = {
		{1472, WHOLE}, {8, 1480}, {0, 1472}, {1480, 2000}, {2000, 3024}};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fake *f = offloaded(2);

		make_segment(f, 0, 1);
		if (i == 3) /* another end */
			give(f, fragment(f, 0, 4, 1, 2000, WHOLE));
		else
			give(f, fragment(f, 0, 4, 1, 0, 1480));
		if (i == 4)
			give(f, fragment(f, 0, 4, 1, 2008, WHOLE));
		else if (i == 3)
			give(f, fragment(f, 0, 4, 1, 1480, 2008));
		else
			give(f, fragment(f, 0, 4, 1, bad[i][0], bad[i][1]));
		if (i == 4)
			give(f, fragment(f, 0, 4, 1, bad[i][0], 2016));
		assert_int_equal(f->n_forwarded + f->n_injected, 0);
		assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
		fake_upload(f, 0, 1, STATUS_OK);
		fake_destroy(f);
	}
}

/* Room and time have an end; what waits longer is the stack's, which answers for it. */
static void what_never_becomes_whole(void **state)
{
	struct fake *f = offloaded(2);

	make_segment(f, 0, 1);
	give(f, fragment(f, 0, 4, 1, 0, 1480));
	assert_in_range(host_next_deadline(f->host), f->now_ns + 29 * NS_PER_S,
	                f->now_ns + 30 * NS_PER_S);
	f->now_ns += 31 * NS_PER_S;
	assert_int_equal(host_step(f->host), HOST_IDLE);
	assert_int_equal(f->n_injected, 1);
	assert_int_equal(host_next_deadline(f->host), UINT64_MAX);
	/* More datagrams than there is room for: the oldest goes. */
	for (u32 i = 0; i < 17; i++)
		give(f, fragment(f, 0, 4, 100 + i, 0, 1480));
	assert_int_equal(f->n_injected, 2);
	give(f, fragment(f, 0, 4, 116, 1480, WHOLE));
	assert_int_equal(f->n_forwarded, 1);
	/* Fragments as small as can be, more than the table holds. */
	for (u32 i = 0; i < 15 * 4; i++)
		give(f, fragment(f, 0, 4, 101 + i % 15, 1480 + i / 15 * 8, 1488 + i / 15 * 8));
	assert_true(host_counters(f->host)->fragments_given_up > 2); /* the table was full */
	f->now_ns += 31 * NS_PER_S;
	assert_int_equal(host_step(f->host), HOST_IDLE);
	assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* A TCP header that is cut itself is no device's (RFC 3128). */
static void a_header_in_pieces(void **state)
{
	struct fake *f = offloaded(2);

	make_segment(f, 0, 1);
	give(f, fragment(f, 0, 4, 1, 0, 16));
	give(f, fragment(f, 0, 4, 1, 16, 1480));
	give(f, fragment(f, 0, 4, 1, 1480, WHOLE));
	assert_int_equal(f->n_injected, 3);
	assert_int_equal(f->n_forwarded, 0);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(joined_in_any_order),
		cmocka_unit_test(joined_during_a_move),
		cmocka_unit_test(of_others_they_go_to_the_stack),
		cmocka_unit_test(overlaps_are_given_up),
		cmocka_unit_test(what_never_becomes_whole),
		cmocka_unit_test(a_header_in_pieces),
	};

	return RUN_TESTS(tests);
}

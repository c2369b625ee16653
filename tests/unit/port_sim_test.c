/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/sim.h"

#include "base/csum.h"
#include "port_test_util.h"

struct rig {
	struct test_pool pools[2];
	struct sim_wire *wire;
	struct port *ports[2];
};

static struct sim_wire_config plain(void)
{
	return (struct sim_wire_config){
		.seed = 1, .mtu_bytes = 1500, .frames_max = 64, .superframes_max = 8};
}

static void rig_init(struct rig *r, const struct sim_wire_config *config)
{
	struct buf_pool *pools[2];
	void *mem = aligned_alloc(4096, (sim_wire_bytes(config) + 4095) & ~(size_t)4095);

	assert_non_null(mem);
	for (int i = 0; i < 2; i++) {
		test_pool_init(&r->pools[i], 256, 16);
		pools[i] = &r->pools[i].pool;
	}
	r->wire = sim_wire_init(mem, config, pools);
	for (u32 i = 0; i < 2; i++)
		r->ports[i] = sim_wire_port(r->wire, i);
}

static void rig_finish(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		r->ports[i]->ops->destroy(r->ports[i]);
		test_pool_finish(&r->pools[i]);
	}
	free(r->wire);
}

static void send_one(struct rig *r, u32 end, u8 tag, u8 len)
{
	struct tx_frame f = test_frame(tag, len);

	assert_int_equal(r->ports[end]->ops->transmit(r->ports[end], &f, 1), 1);
}

/* Takes what has arrived by `now`: the first byte of each frame goes into `tags`. */
static u32 take(struct rig *r, u32 end, u64 now, u8 *tags, u32 max)
{
	struct rx_frame frames[64];
	int n;

	sim_wire_set_now(r->wire, now);
	n = r->ports[end]->ops->receive(r->ports[end], frames, min_of(max, 64u));
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		tags[i] = frame_byte(&r->pools[end].pool, &frames[i], 0);
		buf_put_chain(&r->pools[end].pool, frames[i].buf);
	}
	return (u32)n;
}

static struct sim_link_counters counters(struct rig *r, u32 direction)
{
	struct sim_link_counters c;

	sim_wire_counters(r->wire, direction, &c);
	return c;
}

static void test_delay_and_rate(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u8 tags[8];

	/* 100 bytes at 8 Mbit/s: 100 us each on the line, 1 ms of propagation. */
	config.link[0] = (struct sim_link){.delay_ns = 1000000, .bits_per_s = 8000000};
	rig_init(&r, &config);
	sim_wire_set_now(r.wire, 5000);
	send_one(&r, 0, 1, 100);
	send_one(&r, 0, 2, 100);
	assert_true(sim_wire_next_ns(r.wire, 1) == 1105000);
	assert_true(sim_wire_next_ns(r.wire, 0) == UINT64_MAX);
	assert_int_equal(take(&r, 1, 1104999, tags, 8), 0);
	assert_int_equal(take(&r, 1, 1105000, tags, 8), 1);
	assert_int_equal(tags[0], 1);
	assert_true(sim_wire_next_ns(r.wire, 1) == 1205000);
	assert_int_equal(take(&r, 1, 1205000, tags, 8), 1);
	assert_int_equal(tags[0], 2);
	/* The other direction is another line: nothing delays it. */
	send_one(&r, 1, 3, 100);
	assert_int_equal(take(&r, 0, 1205000, tags, 8), 1);
	rig_finish(&r);
}

static void test_queue_drops_at_its_tail(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u8 tags[8];

	config.link[0] = (struct sim_link){.bits_per_s = 8000000, .queue_bytes = 250};
	rig_init(&r, &config);
	for (u8 i = 0; i < 4; i++)
		send_one(&r, 0, i, 100);
	assert_int_equal(counters(&r, 0).overflow, 2);
	assert_int_equal(take(&r, 1, 1000000, tags, 8), 2);
	assert_int_equal(tags[0], 0);
	assert_int_equal(tags[1], 1);
	/* Drained: there is room again. */
	send_one(&r, 0, 9, 100);
	assert_int_equal(take(&r, 1, 2000000, tags, 8), 1);
	assert_int_equal(tags[0], 9);
	rig_finish(&r);
}

/* Runs 2000 frames over a bad link and hashes what arrives and when. */
static u64 storm(u64 seed, struct sim_link_counters *ret)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u64 hash = 0;
	u8 tags[64];

	config.seed = seed;
	config.link[0] = (struct sim_link){
		.delay_ns = 100000,
		.jitter_ns = 50000,
		.bits_per_s = 100000000,
		.loss_ppm = 20000,
		.burst_ppm = 5000,
		.burst_end_ppm = 300000,
		.reorder_ppm = 30000,
		.reorder_ns = 400000,
		.duplicate_ppm = 20000,
		.corrupt_ppm = 20000,
	};
	rig_init(&r, &config);
	for (u32 i = 0; i < 2000; i++) {
		u32 n = take(&r, 1, (u64)i * 10000, tags, 64);

		for (u32 k = 0; k < n; k++)
			hash = (hash ^ tags[k] ^ (u64)i << 8) * 0x100000001b3ull;
		send_one(&r, 0, (u8)i, 64);
	}
	while (sim_wire_next_ns(r.wire, 1) != UINT64_MAX)
		take(&r, 1, UINT64_MAX, tags, 64);
	*ret = counters(&r, 0);
	rig_finish(&r);
	return hash;
}

static void test_same_seed_same_bytes(void **state)
{
	struct sim_link_counters a, b, c;

	assert_true(storm(7, &a) == storm(7, &b));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(storm(8, &c) != storm(7, &b));
}

static void test_every_fault_happens_and_is_counted(void **state)
{
	struct sim_link_counters c;

	storm(7, &c);
	assert_int_equal(c.entered, 2000);
	assert_in_range(c.lost, 20, 70);
	assert_in_range(c.burst_lost, 15, 80);
	assert_in_range(c.reordered, 30, 100);
	assert_in_range(c.duplicated, 20, 70);
	assert_in_range(c.corrupted, 20, 70);
	assert_int_equal(c.overflow, 0);
	assert_int_equal(c.delivered, c.entered - c.lost - c.burst_lost + c.duplicated);
}

static void test_reorder_lets_later_frames_pass(void **state)
{
	struct sim_wire_config config = plain();
	struct sim_link held = {.reorder_ppm = 1000000, .reorder_ns = 500};
	struct rig r;
	u8 tags[8];

	rig_init(&r, &config);
	sim_wire_set_link(r.wire, 0, &held);
	send_one(&r, 0, 1, 64);
	sim_wire_set_link(r.wire, 0, &(struct sim_link){0});
	send_one(&r, 0, 2, 64);
	assert_int_equal(take(&r, 1, 0, tags, 8), 1);
	assert_int_equal(tags[0], 2);
	assert_int_equal(take(&r, 1, 500, tags, 8), 1);
	assert_int_equal(tags[0], 1);
	rig_finish(&r);
}

static void test_duplicate_is_the_same_frame_twice(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u8 tags[8];

	config.link[0].duplicate_ppm = 1000000;
	rig_init(&r, &config);
	send_one(&r, 0, 5, 64);
	assert_int_equal(take(&r, 1, 0, tags, 8), 2);
	assert_int_equal(tags[0], 5);
	assert_int_equal(tags[1], 5);
	rig_finish(&r);
}

/* The checksum was right when the sender's card filled it in; one bit is wrong on arrival. */
static void test_corruption_is_one_bit_and_detectable(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	struct rx_frame got;

	config.link[0].corrupt_ppm = 1000000;
	config.tx_csum = true;
	rig_init(&r, &config);
	for (u32 round = 0; round < 50; round++) {
		struct tx_frame f = test_frame(0, 64);
		u8 bytes[64];
		u32 ones = 0;

		f.csum_start = 34;
		f.csum_offset = 16;
		f.header[f.header_off + 34] = 0x12;
		assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
		assert_int_equal(r.ports[1]->ops->receive(r.ports[1], &got, 1), 1);
		assert_int_equal(got.csum, FRAME_CSUM_UNKNOWN);
		assert_int_equal(buf_chain_copy(&r.pools[1].pool, got.buf, 0, bytes, 64), 64);
		f.header[f.header_off + 50] = 0xed; /* ~0x1200 */
		f.header[f.header_off + 51] = 0xff;
		for (u32 i = 0; i < 64; i++)
			ones += (u32)__builtin_popcount(bytes[i] ^ f.header[f.header_off + i]);
		assert_int_equal(ones, 1);
		buf_put_chain(&r.pools[1].pool, got.buf);
	}
	rig_finish(&r);
}

static void test_superframe_arrives_whole(void **state)
{
	struct sim_wire_config config = plain();
	struct tx_frame f = test_frame(0xaa, 66);
	struct rx_frame got;
	struct rig r;

	config.tx_csum = true;
	config.gso_max_bytes = 65535;
	rig_init(&r, &config);
	f.payload_buf = pattern_chain(&r.pools[0].pool, 30000, 70000);
	f.payload_off = 30100; /* 100 bytes into it, over the end of the first buffer */
	f.payload_len = 65160;
	f.gso_bytes = 1448;
	f.csum_start = 34;
	f.csum_offset = 16;
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
	buf_put_chain(&r.pools[0].pool, f.payload_buf);
	assert_int_equal(r.ports[1]->ops->receive(r.ports[1], &got, 1), 1);
	assert_int_equal(got.len, 66 + 65160);
	assert_int_equal(buf_chain_len(&r.pools[1].pool, got.buf), 66 + 65160);
	assert_int_equal(got.gso_bytes, 1448);
	assert_int_equal(got.csum, FRAME_CSUM_PARTIAL);
	assert_true(buf_at(&r.pools[1].pool, got.buf)->len >= 128);
	for (u32 i = 0; i < 65160; i += 13)
		assert_int_equal(frame_byte(&r.pools[1].pool, &got, 66 + i), pattern_at(100 + i));
	buf_put_chain(&r.pools[1].pool, got.buf);
	rig_finish(&r);
}

static void test_link_down_loses_what_is_under_way(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u8 tags[8];

	config.link[0].delay_ns = 1000;
	rig_init(&r, &config);
	send_one(&r, 0, 1, 64);
	sim_wire_set_up(r.wire, false);
	send_one(&r, 0, 2, 64);
	sim_wire_set_up(r.wire, true);
	send_one(&r, 0, 3, 64);
	assert_int_equal(take(&r, 1, 1000, tags, 8), 1);
	assert_int_equal(tags[0], 3);
	assert_int_equal(counters(&r, 0).down, 2);
	rig_finish(&r);
}

static bool refuse_tag_2(void *context, u32 direction, struct buf_pool *pool,
                         const struct rx_frame *frame, u64 now_ns)
{
	u32 *seen = context;

	seen[direction]++;
	return frame_byte(pool, frame, 0) != 2;
}

static void test_filter_sees_all_and_drops_what_it_refuses(void **state)
{
	struct sim_wire_config config = plain();
	u32 seen[2] = {0};
	struct rig r;
	u8 tags[8];

	rig_init(&r, &config);
	sim_wire_set_filter(r.wire, refuse_tag_2, seen);
	send_one(&r, 0, 1, 64);
	send_one(&r, 0, 2, 64);
	send_one(&r, 1, 2, 64);
	assert_int_equal(take(&r, 1, 0, tags, 8), 1);
	assert_int_equal(take(&r, 0, 0, tags, 8), 0);
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 1);
	assert_int_equal(counters(&r, 0).filtered, 1);
	rig_finish(&r);
}

static void test_receiver_without_buffers_counts(void **state)
{
	struct sim_wire_config config = plain();
	struct port_counters c;
	struct rig r;
	u32 held[256];
	u8 tags[8];

	rig_init(&r, &config);
	for (u32 i = 0; i < 256; i++)
		held[i] = buf_alloc(&r.pools[1].pool, BUF_SMALL);
	send_one(&r, 0, 1, 64);
	assert_int_equal(take(&r, 1, 0, tags, 8), 0);
	r.ports[1]->ops->counters(r.ports[1], &c);
	assert_int_equal(c.rx_no_buffer, 1);
	assert_int_equal(c.rx_frames, 0);
	for (u32 i = 0; i < 256; i++)
		buf_put(&r.pools[1].pool, held[i]);
	rig_finish(&r);
}

static void test_too_many_under_way_are_dropped(void **state)
{
	struct sim_wire_config config = plain();
	struct rig r;
	u8 tags[64];

	config.frames_max = 4;
	config.link[0].delay_ns = 1000;
	rig_init(&r, &config);
	for (u8 i = 0; i < 6; i++)
		send_one(&r, 0, i, 64);
	assert_int_equal(counters(&r, 0).overflow, 2);
	assert_int_equal(take(&r, 1, 1000, tags, 64), 4);
	for (u8 i = 0; i < 4; i++)
		assert_int_equal(tags[i], i);
	rig_finish(&r);
}

/* A frame whose payload chain is shorter than it says is our bug: counted, nothing is sent. */
static void test_short_chain_is_not_sent(void **state)
{
	struct sim_wire_config config = plain();
	struct tx_frame f = test_frame(1, 66);
	struct port_counters c;
	struct rig r;

	rig_init(&r, &config);
	f.payload_buf = pattern_chain(&r.pools[0].pool, 0, 10);
	f.payload_len = 11;
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
	r.ports[0]->ops->counters(r.ports[0], &c);
	assert_int_equal(c.tx_failed, 1);
	assert_int_equal(c.tx_frames, 0);
	assert_int_equal(counters(&r, 0).entered, 0);
	buf_put_chain(&r.pools[0].pool, f.payload_buf);
	rig_finish(&r);
}

/* A segment without data; `tos` stands where the IP version has it. */
static struct tx_frame segment(bool v6, u8 tos)
{
	u8 tcp_at = v6 ? 54 : 34;
	struct tx_frame f = test_frame(0, (u8)(tcp_at + 20));
	u8 *p = f.header + f.header_off;
	be16 sum;

	p[12] = v6 ? 0x86 : 0x08;
	p[13] = v6 ? 0xdd : 0;
	if (v6) {
		p[14] = 0x60 | tos >> 4;
		p[15] = (u8)(tos << 4);
		p[19] = 20;
		p[20] = 6;
	} else {
		p[14] = 0x45;
		p[15] = tos;
		p[17] = 40;
		p[22] = 64;
		p[23] = 6;
		sum = csum_finish(csum_bytes(0, p + 14, 20));
		memcpy(p + 24, &sum, 2);
	}
	p[tcp_at + 12] = 5 << 4;
	p[tcp_at + 13] = 0x10;
	return f;
}

/* RFC 3168 5: what says ECT gets CE, nothing else does, and IPv4's checksum is right again. */
static void test_marking(void **state)
{
	static const struct {
		u8 before, after;
	} t[] = {{0xb8, 0xb8}, {0xb8 | 2, 0xb8 | 3}, {1, 3}, {3, 3}};
	struct sim_wire_config config = plain();
	struct rig r;

	config.link[0].mark_ppm = 1000000;
	rig_init(&r, &config);
	for (u32 i = 0; i < 2 * ARRAY_SIZE(t); i++) {
		bool v6 = i >= ARRAY_SIZE(t);
		struct tx_frame f = segment(v6, t[i % ARRAY_SIZE(t)].before);
		struct rx_frame got;
		const u8 *ip;

		assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
		assert_int_equal(r.ports[1]->ops->receive(r.ports[1], &got, 1), 1);
		ip = buf_data(&r.pools[1].pool, got.buf) + 14;
		if (v6)
			assert_int_equal((ip[0] << 4 | ip[1] >> 4) & 0xff,
			                 t[i % ARRAY_SIZE(t)].after);
		else
			assert_int_equal(ip[1], t[i].after);
		if (!v6)
			assert_int_equal(csum_finish(csum_bytes(0, ip, 20)), 0);
		buf_put_chain(&r.pools[1].pool, got.buf);
	}
	assert_int_equal(counters(&r, 0).marked, 6);
	rig_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay_and_rate),
		cmocka_unit_test(test_queue_drops_at_its_tail),
		cmocka_unit_test(test_same_seed_same_bytes),
		cmocka_unit_test(test_every_fault_happens_and_is_counted),
		cmocka_unit_test(test_reorder_lets_later_frames_pass),
		cmocka_unit_test(test_duplicate_is_the_same_frame_twice),
		cmocka_unit_test(test_corruption_is_one_bit_and_detectable),
		cmocka_unit_test(test_marking),
		cmocka_unit_test(test_superframe_arrives_whole),
		cmocka_unit_test(test_link_down_loses_what_is_under_way),
		cmocka_unit_test(test_filter_sees_all_and_drops_what_it_refuses),
		cmocka_unit_test(test_receiver_without_buffers_counts),
		cmocka_unit_test(test_too_many_under_way_are_dropped),
		cmocka_unit_test(test_short_chain_is_not_sent),
	};

	return RUN_TESTS(tests);
}

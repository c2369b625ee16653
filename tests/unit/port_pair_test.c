/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/pair.h"

#include "port_test_util.h"

struct rig {
	struct test_pool pools[2];
	struct port_pair *pair;
	struct port *ports[2];
};

static const struct port_pair_config config = {
	.ring_frames = 4, .mtu_bytes = 1500, .gso_max_bytes = 65535};

static void rig_init(struct rig *r)
{
	struct buf_pool *pools[2];
	void *mem = aligned_alloc(64, (port_pair_bytes(&config) + 63) & ~(size_t)63);

	assert_non_null(mem);
	for (int i = 0; i < 2; i++) {
		test_pool_init(&r->pools[i], 6, 3);
		pools[i] = &r->pools[i].pool;
	}
	r->pair = port_pair_init(mem, &config, pools);
	for (u32 i = 0; i < 2; i++)
		r->ports[i] = port_pair_end(r->pair, i);
}

static void rig_finish(struct rig *r)
{
	for (int i = 0; i < 2; i++) {
		r->ports[i]->ops->destroy(r->ports[i]);
		test_pool_finish(&r->pools[i]);
	}
	free(r->pair);
}

static void test_frames_cross_in_order(void **state)
{
	struct tx_frame out[3] = {test_frame(1, 60), test_frame(2, 61), test_frame(3, 62)};
	struct rx_frame in[8];
	struct port_counters c;
	struct rig r;

	rig_init(&r);
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], out, 3), 3);
	assert_int_equal(r.ports[0]->ops->receive(r.ports[0], in, 8), 0);
	assert_int_equal(r.ports[1]->ops->receive(r.ports[1], in, 2), 2);
	assert_int_equal(r.ports[1]->ops->receive(r.ports[1], in + 2, 6), 1);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(in[i].len, 60 + i);
		assert_int_equal(frame_byte(&r.pools[1].pool, &in[i], 59 + i), 1 + i);
		buf_put_chain(&r.pools[1].pool, in[i].buf);
	}
	r.ports[1]->ops->counters(r.ports[1], &c);
	assert_int_equal(c.rx_frames, 3);
	assert_int_equal(c.rx_bytes, 183);
	rig_finish(&r);
}

static void test_full_ring_takes_a_part(void **state)
{
	struct tx_frame out[6];
	struct port_counters c;
	struct rig r;

	rig_init(&r);
	for (u32 i = 0; i < 6; i++)
		out[i] = test_frame((u8)i, 60);
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], out, 6), 4);
	r.ports[0]->ops->counters(r.ports[0], &c);
	assert_int_equal(c.tx_busy, 1);
	assert_int_equal(c.tx_frames, 4);
	rig_finish(&r); /* releases the four that were not received */
}

static void test_no_buffer_loses_the_frame(void **state)
{
	struct tx_frame f = test_frame(1, 60);
	struct port_counters c;
	struct rig r;
	u32 held[6];

	rig_init(&r);
	for (u32 i = 0; i < 6; i++)
		held[i] = buf_alloc(&r.pools[1].pool, BUF_SMALL);
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
	r.ports[1]->ops->counters(r.ports[1], &c);
	assert_int_equal(c.rx_no_buffer, 1);
	for (u32 i = 0; i < 6; i++)
		buf_put(&r.pools[1].pool, held[i]);
	rig_finish(&r);
}

static void test_superframe(void **state)
{
	struct tx_frame f = test_frame(1, 66);
	struct rx_frame in;
	struct rig r;

	rig_init(&r);
	f.payload_buf = pattern_chain(&r.pools[1].pool, 0, 65160);
	f.payload_len = 65160;
	f.gso_bytes = 1448;
	f.csum_start = 34;
	assert_int_equal(r.ports[1]->ops->transmit(r.ports[1], &f, 1), 1);
	buf_put_chain(&r.pools[1].pool, f.payload_buf);
	assert_int_equal(r.ports[0]->ops->receive(r.ports[0], &in, 1), 1);
	assert_int_equal(in.len, 65226);
	assert_int_equal(in.gso_bytes, 1448);
	assert_int_equal(in.csum, FRAME_CSUM_PARTIAL);
	for (u32 i = 0; i < 65160; i += 7)
		assert_int_equal(frame_byte(&r.pools[0].pool, &in, 66 + i), pattern_at(i));
	buf_put_chain(&r.pools[0].pool, in.buf);
	rig_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_cross_in_order),
		cmocka_unit_test(test_full_ring_takes_a_part),
		cmocka_unit_test(test_no_buffer_loses_the_frame),
		cmocka_unit_test(test_superframe),
	};

	return RUN_TESTS(tests);
}

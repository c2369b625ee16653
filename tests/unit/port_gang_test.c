/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/gang.h"

#include <errno.h>

#include "port/pair.h"
#include "port_test_util.h"

enum { MEMBERS = 2 };

struct rig {
	struct test_pool pool, far_pool;
	struct port_pair *pairs[MEMBERS];
	struct port *gang;
};

static void rig_init(struct rig *r)
{
	const struct port_pair_config config = {.ring_frames = 64, .mtu_bytes = 1500};
	struct port *near[MEMBERS];

	test_pool_init(&r->pool, 128, 2);
	test_pool_init(&r->far_pool, 128, 2);
	for (u32 i = 0; i < MEMBERS; i++) {
		struct buf_pool *pools[2] = {&r->pool.pool, &r->far_pool.pool};
		void *mem = aligned_alloc(64, (port_pair_bytes(&config) + 63) & ~(size_t)63);

		r->pairs[i] = port_pair_init(mem, &config, pools);
		near[i] = port_pair_end(r->pairs[i], 0);
	}
	assert_int_equal(port_gang_create(near, MEMBERS, &r->gang), 0);
}

static void rig_finish(struct rig *r)
{
	r->gang->ops->destroy(r->gang);
	for (u32 i = 0; i < MEMBERS; i++) {
		struct port *far = port_pair_end(r->pairs[i], 1);

		far->ops->destroy(far);
		free(r->pairs[i]);
	}
	test_pool_finish(&r->pool);
	test_pool_finish(&r->far_pool);
}

static void far_send(struct rig *r, u32 member, u8 tag)
{
	struct port *far = port_pair_end(r->pairs[member], 1);
	struct tx_frame f = test_frame(tag, 60);

	assert_int_equal(far->ops->transmit(far, &f, 1), 1);
}

static u32 receive_tags(struct rig *r, u8 *tags, u32 max)
{
	struct rx_frame in[16];
	int n = r->gang->ops->receive(r->gang, in, max);

	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		tags[i] = frame_byte(&r->pool.pool, &in[i], 0);
		buf_put_chain(&r->pool.pool, in[i].buf);
	}
	return (u32)n;
}

static void test_receives_from_all(void **state)
{
	struct port_counters c;
	struct rig r;
	u8 tags[16];

	rig_init(&r);
	far_send(&r, 0, 1);
	far_send(&r, 1, 2);
	far_send(&r, 0, 3);
	assert_int_equal(receive_tags(&r, tags, 16), 3);
	assert_int_equal(tags[0], 1);
	assert_int_equal(tags[1], 3);
	assert_int_equal(tags[2], 2);
	r.gang->ops->counters(r.gang, &c);
	assert_int_equal(c.rx_frames, 3);
	rig_finish(&r);
}

/* Trap 26: a queue that is never empty does not keep the others from being served. */
static void test_a_busy_member_does_not_starve_the_other(void **state)
{
	struct rig r;
	u8 tags[16];

	rig_init(&r);
	for (u8 i = 0; i < 8; i++)
		far_send(&r, 0, 1);
	far_send(&r, 1, 2);
	assert_int_equal(receive_tags(&r, tags, 4), 4);
	assert_int_equal(tags[3], 1);
	assert_int_equal(receive_tags(&r, tags, 4), 4);
	assert_int_equal(tags[0], 2);
	assert_int_equal(tags[1], 1);
	rig_finish(&r);
}

static void test_sends_by_the_first(void **state)
{
	struct port *far;
	struct rx_frame in;
	struct tx_frame f = test_frame(7, 60);
	struct rig r;

	rig_init(&r);
	assert_int_equal(r.gang->ops->transmit(r.gang, &f, 1), 1);
	far = port_pair_end(r.pairs[1], 1);
	assert_int_equal(far->ops->receive(far, &in, 1), 0);
	far = port_pair_end(r.pairs[0], 1);
	assert_int_equal(far->ops->receive(far, &in, 1), 1);
	buf_put_chain(&r.far_pool.pool, in.buf);
	rig_finish(&r);
}

static void test_none_or_too_many(void **state)
{
	struct port *ports[1] = {NULL}, *gang;

	assert_int_equal(port_gang_create(ports, 0, &gang), -EINVAL);
	assert_int_equal(port_gang_create(ports, PORT_GANG_MAX + 1, &gang), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receives_from_all),
		cmocka_unit_test(test_a_busy_member_does_not_starve_the_other),
		cmocka_unit_test(test_sends_by_the_first),
		cmocka_unit_test(test_none_or_too_many),
	};

	return RUN_TESTS(tests);
}

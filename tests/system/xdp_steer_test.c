/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The XDP program and a port in XDP mode: what is offloaded comes to the port, the rest passes. */
#include "unit/port_test_util.h"

#include "linux/steering.h"
#include "linux/xdp.h"
#include "port/afxdp.h"
#include "wire.h"

struct rig {
	struct wire wire;
	struct test_pool pool;
	struct steering *steering;
	struct xdp_program *program;
	struct port *port;
	struct steer_key key;
	u32 slot;
};

static void map_v4(u8 *to, u8 last)
{
	const u8 addr[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, last};

	memcpy(to, addr, sizeof(addr));
}

static bool rig_init(struct rig *r)
{
	struct port_afxdp_config config = {.ring_frames = 256, .fill_frames = 128};
	const char *step = "?";

	memset(r, 0, sizeof(*r));
	if (!wire_setup(&r->wire, 1))
		return false;
	test_pool_init(&r->pool, 512, 2);
	assert_int_equal(steering_create(64, &r->steering, &step), 0);
	assert_int_equal(steering_add_port(r->steering, r->wire.near_ifindex), 0);
	assert_int_equal(xdp_program_load(r->steering, &r->program), 0);
	assert_int_equal(xdp_program_serve(r->program, 0, r->steering), 0);
	config.pool = &r->pool.pool;
	config.ifindex = r->wire.near_ifindex;
	config.prog_fd = xdp_program_fd(r->program);
	config.xsks_fd = xdp_program_xsks_fd(r->program);
	config.rx_trusted = xdp_link_is_local(r->wire.near_ifindex);
	assert_int_equal(port_afxdp_create(&config, &r->port, &step), 0);
	r->slot = steering_slot_alloc(r->steering);
	map_v4(r->key.remote, 2);
	map_v4(r->key.local, 1);
	r->key.remote_port = r->key.local_port = cpu_to_be16(0x1000);
	return true;
}

static void enter(struct rig *r, enum flow_state state)
{
	struct steer_value value = {.slot = r->slot};

	steering_state_set(steering_states(r->steering), r->slot, state);
	assert_int_equal(steering_enter(r->steering, &r->key, &value, 1), 0);
}

static void rig_finish(struct rig *r)
{
	r->port->ops->destroy(r->port);
	xdp_program_unload(r->program);
	steering_destroy(r->steering);
	test_pool_finish(&r->pool);
	wire_teardown(&r->wire);
}

static u64 counter(struct rig *r, enum steer_counter which)
{
	u64 all[STEER_COUNTERS];

	steering_counters(r->steering, all);
	return all[which];
}

static u32 received(struct rig *r, struct rx_frame *ret)
{
	int n = r->port->ops->receive(r->port, ret, 1);

	assert_true(n >= 0);
	return (u32)n;
}

static void test_a_flow_in_the_map_comes_to_the_port(void **state)
{
	struct rx_frame got;
	struct rig r;

	if (!rig_init(&r))
		skip();
	enter(&r, FLOW_OWN);
	wire_far_send_tcp(&r.wire, 100);
	wire_wait(port_afxdp_fd(r.port));
	assert_int_equal(received(&r, &got), 1);
	assert_int_equal(got.len, WIRE_TCP_HEADERS + 100);
	/* Trap 25: its checksum was never filled in, and nobody may look at it. */
	assert_int_equal(got.csum, FRAME_CSUM_PARTIAL);
	assert_int_equal(counter(&r, STEER_XDP_HITS), 1);
	buf_put_chain(&r.pool.pool, got.buf);
	rig_finish(&r);
}

/* Frames of others, of freed slots and of removed flows go to the kernel. */
static void test_the_rest_passes(void **state)
{
	struct rx_frame got;
	struct rig r;

	if (!rig_init(&r))
		skip();
	wire_far_send_tcp(&r.wire, 1);
	enter(&r, FLOW_FREE);
	wire_far_send_tcp(&r.wire, 2);
	enter(&r, FLOW_HOLD);
	wire_far_send_tcp(&r.wire, 3);
	wire_wait(port_afxdp_fd(r.port));
	assert_int_equal(received(&r, &got), 1);
	assert_int_equal(got.len, WIRE_TCP_HEADERS + 3);
	buf_put_chain(&r.pool.pool, got.buf);
	assert_int_equal(steering_remove(r.steering, &r.key, 1), 0);
	wire_far_send_tcp(&r.wire, 4);
	wire_far_send(&r.wire, 1, 60);
	assert_int_equal(received(&r, &got), 0);
	assert_int_equal(counter(&r, STEER_XDP_HITS), 1);
	rig_finish(&r);
}

static void test_link_facts(void **state)
{
	struct rig r;

	if (!rig_init(&r))
		skip();
	assert_true(xdp_link_is_local(r.wire.near_ifindex));
	assert_false(xdp_link_is_local(1)); /* lo */
	assert_int_equal(xdp_queues(r.wire.near_ifindex), 1);
	rig_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_in_the_map_comes_to_the_port),
		cmocka_unit_test(test_the_rest_passes),
		cmocka_unit_test(test_link_facts),
	};

	return RUN_TESTS(tests);
}

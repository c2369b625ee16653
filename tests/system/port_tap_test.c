/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A port in TAP mode between two real network namespaces. */
#include "unit/port_test_util.h"

#include <errno.h>
#include <stdio.h>

#include "base/csum.h"
#include "port/tap.h"
#include "wire.h"

struct rig {
	struct wire wire;
	struct test_pool pool;
	struct port *port;
	struct port_info info;
};

static bool rig_init(struct rig *r, struct port_tap_config config)
{
	const char *step;

	if (!wire_setup(&r->wire, 1))
		return false;
	test_pool_init(&r->pool, 128, 64);
	config.pool = &r->pool.pool;
	config.ifindex = r->wire.near_ifindex;
	assert_int_equal(port_tap_create(&config, &r->port, &step), 0);
	r->port->ops->info(r->port, &r->info);
	wire_redirect(&r->wire, port_tap_ifindex(r->port));
	return true;
}

static void rig_finish(struct rig *r)
{
	r->port->ops->destroy(r->port);
	test_pool_finish(&r->pool);
	wire_teardown(&r->wire);
}

static struct port_counters counters(struct rig *r)
{
	struct port_counters c;

	r->port->ops->counters(r->port, &c);
	return c;
}

/* Receives until n frames are there. */
static void receive_all(struct rig *r, struct rx_frame *frames, u32 n)
{
	u32 done = 0;

	while (done < n) {
		int k = r->port->ops->receive(r->port, frames + done, n - done);

		assert_true(k >= 0);
		if (!k)
			wire_wait(r->info.fd);
		done += (u32)k;
	}
}

static void check_small_frames(struct rig *r)
{
	static const u32 lengths[] = {60, 100, 700, 1514};
	struct rx_frame got[40];

	for (u32 i = 0; i < 40; i++)
		wire_far_send(&r->wire, (u8)i, lengths[i % 4]);
	receive_all(r, got, 40);
	for (u32 i = 0; i < 40; i++) {
		assert_int_equal(got[i].len, lengths[i % 4]);
		assert_int_equal(got[i].gso_bytes, 0);
		assert_int_equal(frame_byte(&r->pool.pool, &got[i], 14), i);
		for (u32 k = 15; k < got[i].len; k += 9)
			assert_int_equal(frame_byte(&r->pool.pool, &got[i], k), wire_pattern(k));
		assert_int_equal(buf_at(&r->pool.pool, got[i].buf)->next, NIL);
		buf_put_chain(&r->pool.pool, got[i].buf);
	}
	assert_int_equal(r->port->ops->receive(r->port, got, 40), 0);
	assert_int_equal(counters(r).rx_frames, 40);
}

static void test_small_frames_one_buffer_each(void **state)
{
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	check_small_frames(&r);
	rig_finish(&r);
}

/* The way without io_uring behaves the same. */
static void test_small_frames_one_call_each(void **state)
{
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){.no_uring = true}))
		skip();
	assert_false(port_tap_batched(r.port));
	check_small_frames(&r);
	rig_finish(&r);
}

static void test_superframe_arrives_whole(void **state)
{
	enum { PAYLOAD = 60000 };
	struct rx_frame got;
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	wire_far_send_super(&r.wire, PAYLOAD);
	receive_all(&r, &got, 1);
	assert_int_equal(got.len, WIRE_TCP_HEADERS + PAYLOAD);
	assert_int_equal(got.gso_bytes, 1448);
	assert_int_equal(got.csum, FRAME_CSUM_PARTIAL);
	assert_int_equal(buf_at(&r.pool.pool, got.buf)->len, BUF_SMALL_BYTES);
	assert_int_equal(buf_chain_len(&r.pool.pool, got.buf), got.len);
	for (u32 i = 0; i < PAYLOAD; i += 11)
		assert_int_equal(frame_byte(&r.pool.pool, &got, WIRE_TCP_HEADERS + i),
		                 wire_pattern(i));
	buf_put_chain(&r.pool.pool, got.buf);
	rig_finish(&r);
}

/* Without a large buffer a superframe is lost and counted, small frames go on. */
static void test_no_large_buffer(void **state)
{
	struct rx_frame got;
	struct rig r;
	u32 held[64];

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	for (u32 i = 0; i < 64; i++)
		held[i] = buf_alloc(&r.pool.pool, BUF_LARGE);
	wire_far_send_super(&r.wire, 60000);
	wire_far_send(&r.wire, 7, 60);
	receive_all(&r, &got, 1);
	assert_int_equal(frame_byte(&r.pool.pool, &got, 14), 7);
	assert_int_equal(counters(&r).rx_no_buffer, 1);
	buf_put_chain(&r.pool.pool, got.buf);
	for (u32 i = 0; i < 64; i++)
		buf_put(&r.pool.pool, held[i]);
	rig_finish(&r);
}

/* Without any buffer frames wait in the TAP's queue, and are not lost. */
static void test_no_small_buffer_waits(void **state)
{
	struct rx_frame got;
	struct rig r;
	u32 held[128];

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	for (u32 i = 0; i < 128; i++)
		held[i] = buf_alloc(&r.pool.pool, BUF_SMALL);
	wire_far_send(&r.wire, 7, 60);
	wire_wait(r.info.fd);
	assert_int_equal(r.port->ops->receive(r.port, &got, 1), 0);
	for (u32 i = 0; i < 128; i++)
		buf_put(&r.pool.pool, held[i]);
	receive_all(&r, &got, 1);
	buf_put_chain(&r.pool.pool, got.buf);
	rig_finish(&r);
}

/* What does not fit the queue is in the statistics (trap 27). */
static void test_queue_overrun_is_counted(void **state)
{
	struct rx_frame got[64];
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){.queue_frames = 16}))
		skip();
	for (u32 i = 0; i < 40; i++)
		wire_far_send(&r.wire, (u8)i, 60);
	receive_all(&r, got, 16);
	assert_int_equal(r.port->ops->receive(r.port, got + 16, 48), 0);
	assert_int_equal(counters(&r).rx_queue_drops, 24);
	for (u32 i = 0; i < 16; i++)
		buf_put_chain(&r.pool.pool, got[i].buf);
	rig_finish(&r);
}

static struct tx_frame tagged_frame(u32 i)
{
	struct tx_frame f = test_frame((u8)i, 60);

	f.header[f.header_off + 12] = WIRE_ETHERTYPE >> 8;
	f.header[f.header_off + 13] = WIRE_ETHERTYPE & 0xff;
	return f;
}

static void check_far_gets_in_order(struct rig *r, u32 n)
{
	u8 bytes[2048];

	for (u32 i = 0; i < n; i++) {
		assert_int_equal(wire_far_receive(&r->wire, bytes, sizeof(bytes), NULL), 60);
		assert_int_equal(bytes[20], (u8)i);
	}
}

static void test_transmit_in_order(void **state)
{
	struct tx_frame out[200];
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	for (u32 i = 0; i < 200; i++)
		out[i] = tagged_frame(i);
	assert_int_equal(r.port->ops->transmit(r.port, out, 200), 200);
	check_far_gets_in_order(&r, 200);
	assert_int_equal(counters(&r).tx_frames, 200);
	assert_int_equal(counters(&r).tx_bytes, 200 * 60);
	rig_finish(&r);
}

/* With a mark frames take the ordinary way; they arrive all the same. */
static void test_transmit_with_mark(void **state)
{
	struct tx_frame out[20];
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){.mark = 0x1234}))
		skip();
	for (u32 i = 0; i < 20; i++)
		out[i] = tagged_frame(i);
	assert_int_equal(r.port->ops->transmit(r.port, out, 20), 20);
	check_far_gets_in_order(&r, 20);
	rig_finish(&r);
}

static struct tx_frame superframe(u32 buf, u32 off, u32 len)
{
	struct tx_frame f = {.header_off = 2, .header_len = WIRE_TCP_HEADERS};

	wire_tcp_headers(f.header + 2, len, false);
	f.payload_buf = buf;
	f.payload_off = off;
	f.payload_len = len;
	f.gso_bytes = 1448;
	f.csum_start = 34;
	f.csum_offset = 16;
	return f;
}

static void check_superframe(struct rig *r, u32 first, u32 len)
{
	static u8 bytes[WIRE_FRAME_MAX];
	u16 gso;

	assert_int_equal(wire_far_receive(&r->wire, bytes, sizeof(bytes), &gso),
	                 WIRE_TCP_HEADERS + len);
	assert_int_equal(gso, 1448);
	for (u32 i = 0; i < len; i++)
		assert_int_equal(bytes[WIRE_TCP_HEADERS + i], pattern_at(first + i));
}

static void test_transmit_superframe_from_a_chain(void **state)
{
	struct tx_frame f;
	struct rig r;
	u32 chain;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	chain = pattern_chain(&r.pool.pool, 40000, 70000);
	f = superframe(chain, 40010, 65000);
	assert_int_equal(r.port->ops->transmit(r.port, &f, 1), 1);
	check_superframe(&r, 10, 65000);
	buf_put_chain(&r.pool.pool, chain);
	rig_finish(&r);
}

/* Payload in more slices than an iovec array holds is copied together. */
static void test_transmit_superframe_of_crumbs(void **state)
{
	enum { CRUMBS = 100, CRUMB = 50 };
	struct tx_frame out[3];
	u32 head = NIL;
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	for (u32 i = CRUMBS; i-- > 0;) {
		u32 b = buf_alloc(&r.pool.pool, BUF_SMALL);

		*buf_at(&r.pool.pool, b) =
			(struct buf){.next = head, .off = i, .len = CRUMB, .refs = 1};
		for (u32 k = 0; k < CRUMB; k++)
			buf_data(&r.pool.pool, b)[k] = pattern_at(i * CRUMB + k);
		head = b;
	}
	for (u32 i = 0; i < 3; i++)
		out[i] = superframe(head, 0, CRUMBS * CRUMB);
	assert_int_equal(r.port->ops->transmit(r.port, out, 3), 3);
	for (u32 i = 0; i < 3; i++)
		check_superframe(&r, 0, CRUMBS * CRUMB);
	buf_put_chain(&r.pool.pool, head);
	rig_finish(&r);
}

/* The far host can verify what was left to the port: the frame arrives with a right checksum, or
 * with a partial one that says so. */
static void test_partial_checksum_is_carried(void **state)
{
	struct rx_frame got;
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	wire_far_send_super(&r.wire, 3000);
	receive_all(&r, &got, 1);
	assert_int_equal(got.csum, FRAME_CSUM_PARTIAL);
	buf_put_chain(&r.pool.pool, got.buf);
	wire_far_send(&r.wire, 1, 60);
	receive_all(&r, &got, 1);
	assert_int_equal(got.csum, FRAME_CSUM_UNKNOWN);
	buf_put_chain(&r.pool.pool, got.buf);
	rig_finish(&r);
}

/* A link that is down loses frames, counted; it is not an error of the port. */
static void test_link_down_loses(void **state)
{
	struct tx_frame f = tagged_frame(0);
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	wire_ip("link set " WIRE_NEAR " down");
	assert_int_equal(r.port->ops->transmit(r.port, &f, 1), 1);
	assert_int_equal(counters(&r).tx_failed, 1);
	wire_ip("link set " WIRE_NEAR " up");
	assert_int_equal(r.port->ops->transmit(r.port, &f, 1), 1);
	check_far_gets_in_order(&r, 1);
	rig_finish(&r);
}

static void test_interface_gone(void **state)
{
	struct tx_frame f = tagged_frame(0);
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){0}))
		skip();
	wire_ip("link del " WIRE_NEAR);
	assert_int_equal(r.port->ops->transmit(r.port, &f, 1), -ENXIO);
	rig_finish(&r);
}

static void test_create_says_what_failed(void **state)
{
	struct port_tap_config config = {.ifindex = 99999};
	const char *step = NULL;
	struct port *port;
	struct wire wire;

	if (!wire_setup(&wire, 1))
		skip();
	assert_int_equal(port_tap_create(&config, &port, &step), -ENODEV);
	assert_string_equal(step, "managed interface");
	wire_teardown(&wire);
}

/* Nothing of its own accord: no address, no ARP, no router solicitation. */
static void test_tap_is_silent(void **state)
{
	char line[128];
	struct rig r;

	if (!rig_init(&r, (struct port_tap_config){.name = "lane7"}))
		skip();
	assert_string_equal(port_tap_name(r.port), "lane7");
	snprintf(line, sizeof(line), "test -z \"$(ip -o addr show dev lane7)\"");
	assert_int_equal(system(line), 0);
	snprintf(line, sizeof(line), "ip link show dev lane7 | grep -q NOARP,UP");
	assert_int_equal(system(line), 0);
	rig_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_frames_one_buffer_each),
		cmocka_unit_test(test_small_frames_one_call_each),
		cmocka_unit_test(test_superframe_arrives_whole),
		cmocka_unit_test(test_no_large_buffer),
		cmocka_unit_test(test_no_small_buffer_waits),
		cmocka_unit_test(test_queue_overrun_is_counted),
		cmocka_unit_test(test_transmit_in_order),
		cmocka_unit_test(test_transmit_with_mark),
		cmocka_unit_test(test_transmit_superframe_from_a_chain),
		cmocka_unit_test(test_transmit_superframe_of_crumbs),
		cmocka_unit_test(test_partial_checksum_is_carried),
		cmocka_unit_test(test_link_down_loses),
		cmocka_unit_test(test_interface_gone),
		cmocka_unit_test(test_create_says_what_failed),
		cmocka_unit_test(test_tap_is_silent),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A port in XDP mode between two real network namespaces. */
#include "unit/port_test_util.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "port/afxdp.h"
#include "wire.h"

enum { POOL_SMALL = 512 };

struct rig {
	struct wire wire;
	struct test_pool pool;
	int xsks_fd, prog_fd;
	struct port *ports[2];
	u32 n_ports;
};

/* return bpf_redirect_map(xsks, ctx->rx_queue_index, XDP_PASS); */
static int load_program(int xsks_fd)
{
	const struct bpf_insn program[] = {
		{BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0},
		{BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, xsks_fd},
		{0, 0, 0, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 2},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "test_xdp", "GPL", program, ARRAY_SIZE(program),
	                       NULL);

	assert_true(fd >= 0);
	return fd;
}

static bool rig_init(struct rig *r, u32 queues, struct port_afxdp_config config)
{
	const char *step = "?";

	if (!wire_setup(&r->wire, queues))
		return false;
	test_pool_init(&r->pool, POOL_SMALL, 2);
	r->xsks_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 4, NULL);
	assert_true(r->xsks_fd >= 0);
	r->prog_fd = load_program(r->xsks_fd);
	r->n_ports = queues;
	config.pool = &r->pool.pool;
	config.ifindex = r->wire.near_ifindex;
	config.ring_frames = 256;
	config.fill_frames = 128;
	config.xsks_fd = r->xsks_fd;
	for (u32 i = 0; i < queues; i++) {
		config.queue = i;
		config.prog_fd = i ? -1 : r->prog_fd;
		assert_int_equal(port_afxdp_create(&config, &r->ports[i], &step), 0);
	}
	return true;
}

static void rig_finish(struct rig *r)
{
	for (u32 i = r->n_ports; i-- > 0;)
		r->ports[i]->ops->destroy(r->ports[i]);
	close(r->prog_fd);
	close(r->xsks_fd);
	test_pool_finish(&r->pool);
	wire_teardown(&r->wire);
}

static struct port_info info(struct port *port)
{
	struct port_info i;

	port->ops->info(port, &i);
	return i;
}

static struct port_counters counters(struct port *port)
{
	struct port_counters c;

	port->ops->counters(port, &c);
	return c;
}

static void receive_all(struct port *port, struct rx_frame *frames, u32 n)
{
	u32 done = 0;

	while (done < n) {
		int k = port->ops->receive(port, frames + done, n - done);

		assert_true(k >= 0);
		if (!k)
			wire_wait(info(port).fd);
		done += (u32)k;
	}
}

/* More frames than buffers in the kernel's hands, in bursts that it can hold. */
static void check_receive(struct rig *r)
{
	static const u32 lengths[] = {60, 100, 700, 1514};
	struct rx_frame got[100];

	for (u32 round = 0; round < 20; round++) {
		for (u32 i = 0; i < 100; i++)
			wire_far_send(&r->wire, (u8)(round + i), lengths[i % 4]);
		receive_all(r->ports[0], got, 100);
		for (u32 i = 0; i < 100; i++) {
			assert_int_equal(got[i].len, lengths[i % 4]);
			assert_int_equal(frame_byte(&r->pool.pool, &got[i], 14), (u8)(round + i));
			assert_int_equal(frame_byte(&r->pool.pool, &got[i], got[i].len - 1),
			                 wire_pattern(got[i].len - 1));
			assert_int_equal(got[i].csum, FRAME_CSUM_UNKNOWN);
			buf_put_chain(&r->pool.pool, got[i].buf);
		}
	}
	assert_int_equal(counters(r->ports[0]).rx_frames, 2000);
	assert_int_equal(counters(r->ports[0]).rx_queue_drops, 0);
}

static void check_transmit(struct rig *r)
{
	struct tx_frame f = test_frame(0, 100);
	u8 bytes[2048];

	f.header[f.header_off + 12] = WIRE_ETHERTYPE >> 8;
	f.header[f.header_off + 13] = WIRE_ETHERTYPE & 0xff;
	f.payload_buf = pattern_chain(&r->pool.pool, 100, 1400);
	f.payload_off = 100;
	f.payload_len = 1400;
	for (u32 i = 0; i < 1000; i++) {
		f.header[f.header_off + 20] = (u8)i;
		assert_int_equal(r->ports[0]->ops->transmit(r->ports[0], &f, 1), 1);
		do
			assert_int_equal(
				wire_far_receive(&r->wire, bytes, sizeof(bytes), NULL) >= 60, 1);
		while (bytes[6] != 0); /* the test frame of the port's creation */
		assert_int_equal(bytes[20], (u8)i);
		assert_int_equal(bytes[100 + 1399], pattern_at(1399));
	}
	buf_put_chain(&r->pool.pool, f.payload_buf);
}

static void test_native_frames(void **state)
{
	struct rig r;

	if (!rig_init(&r, 1, (struct port_afxdp_config){0}))
		skip();
	assert_string_equal(info(r.ports[0]).mode, "xdp-native");
	assert_false(info(r.ports[0]).tx_csum);
	assert_int_equal(info(r.ports[0]).gso_max_bytes, 0);
	check_receive(&r);
	check_transmit(&r);
	rig_finish(&r);
}

static void test_generic_frames(void **state)
{
	struct rig r;

	if (!rig_init(&r, 1, (struct port_afxdp_config){.no_native = true}))
		skip();
	assert_string_equal(info(r.ports[0]).mode, "xdp-generic");
	assert_false(port_afxdp_is_zerocopy(r.ports[0]));
	check_receive(&r);
	check_transmit(&r);
	rig_finish(&r);
}

/* A batch larger than the rings goes in parts, and nothing is lost. */
static void test_transmit_batches(void **state)
{
	struct tx_frame out[400];
	struct rig r;
	u8 bytes[2048];
	u32 done = 0;

	if (!rig_init(&r, 1, (struct port_afxdp_config){0}))
		skip();
	for (u32 i = 0; i < 400; i++) {
		out[i] = test_frame((u8)i, 60);
		out[i].header[2 + 12] = WIRE_ETHERTYPE >> 8;
		out[i].header[2 + 13] = WIRE_ETHERTYPE & 0xff;
	}
	while (done < 400) {
		int n = r.ports[0]->ops->transmit(r.ports[0], out + done, 400 - done);

		assert_true(n >= 0);
		done += (u32)n;
	}
	for (u32 i = 0; i < 400;) {
		assert_int_equal(wire_far_receive(&r.wire, bytes, sizeof(bytes), NULL), 60);
		if (bytes[0] == 0x02 && bytes[6] == 0x02 && bytes[20] == 0)
			continue; /* the test frame of the port's creation */
		assert_int_equal(bytes[20], (u8)i);
		i++;
	}
	rig_finish(&r);
}

/* Trap 25: partial checksums of a trusted sender are marked, so that nobody verifies them. */
static void test_trusted_sender(void **state)
{
	struct rx_frame got;
	struct rig r;

	if (!rig_init(&r, 1, (struct port_afxdp_config){.rx_trusted = true}))
		skip();
	assert_true(info(r.ports[0]).rx_trusted);
	wire_far_send(&r.wire, 1, 60);
	receive_all(r.ports[0], &got, 1);
	assert_int_equal(got.csum, FRAME_CSUM_PARTIAL);
	buf_put_chain(&r.pool.pool, got.buf);
	rig_finish(&r);
}

/* Trap 26: a frame comes to the socket of the queue it arrived on; one lane serves two queues out
 * of one pool. */
static void test_two_queues_one_pool(void **state)
{
	u32 seen[2] = {0};
	struct rig r;

	if (!rig_init(&r, 2, (struct port_afxdp_config){0}))
		skip();
	for (u32 queue = 0; queue < 2; queue++) {
		if (!wire_far_queue(&r.wire, queue))
			break; /* a machine of one processor */
		for (u32 i = 0; i < 10; i++)
			wire_far_send(&r.wire, (u8)queue, 60);
		for (u32 i = 0; i < 10; i++) {
			struct rx_frame got;

			receive_all(r.ports[queue], &got, 1);
			assert_int_equal(frame_byte(&r.pool.pool, &got, 14), queue);
			buf_put_chain(&r.pool.pool, got.buf);
			seen[queue]++;
		}
	}
	assert_int_equal(seen[0], 10);
	assert_int_equal(counters(r.ports[1]).rx_frames, seen[1]);
	rig_finish(&r);
}

/* The owner of a queue was killed: the next one gets it, after a while. */
static void test_queue_of_a_killed_owner(void **state)
{
	struct port_afxdp_config config = {0};
	const char *step = "?";
	struct rig r;
	pid_t pid;
	int ready[2];
	char byte;

	if (!rig_init(&r, 1, config))
		skip();
	r.ports[0]->ops->destroy(r.ports[0]);
	config.pool = &r.pool.pool;
	config.ifindex = r.wire.near_ifindex;
	config.prog_fd = r.prog_fd;
	config.xsks_fd = r.xsks_fd;
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct port *port;

		byte = port_afxdp_create(&config, &port, NULL) == 0;
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(byte);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(port_afxdp_create(&config, &r.ports[0], &step), 0);
	close(ready[0]);
	close(ready[1]);
	rig_finish(&r);
}

static void test_too_long_or_partial_is_not_sent(void **state)
{
	struct tx_frame f = test_frame(0, 100);
	struct rig r;

	if (!rig_init(&r, 1, (struct port_afxdp_config){0}))
		skip();
	f.payload_buf = pattern_chain(&r.pool.pool, 0, 2000);
	f.payload_len = 2000;
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
	f.payload_len = 100;
	f.csum_start = 34;
	assert_int_equal(r.ports[0]->ops->transmit(r.ports[0], &f, 1), 1);
	assert_int_equal(counters(r.ports[0]).tx_failed, 2);
	buf_put_chain(&r.pool.pool, f.payload_buf);
	rig_finish(&r);
}

/* A frame has to fit a small buffer. */
static void test_mtu_too_large(void **state)
{
	struct port_afxdp_config config = {.prog_fd = -1, .xsks_fd = -1};
	struct test_pool pool;
	struct wire wire;
	struct port *port;

	if (!wire_setup(&wire, 1))
		skip();
	test_pool_init(&pool, 64, 2);
	config.pool = &pool.pool;
	config.ifindex = wire.near_ifindex;
	wire_ip("link set " WIRE_NEAR " mtu 1771");
	assert_int_equal(port_afxdp_create(&config, &port, NULL), -EMSGSIZE);
	test_pool_finish(&pool);
	wire_teardown(&wire);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_native_frames),
		cmocka_unit_test(test_generic_frames),
		cmocka_unit_test(test_transmit_batches),
		cmocka_unit_test(test_trusted_sender),
		cmocka_unit_test(test_two_queues_one_pool),
		cmocka_unit_test(test_queue_of_a_killed_owner),
		cmocka_unit_test(test_mtu_too_large),
		cmocka_unit_test(test_too_long_or_partial_is_not_sent),
	};

	return RUN_TESTS(tests);
}

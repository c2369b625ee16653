/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a frame of 64 bytes costs through a port over veth: batches go to and fro between two ports
 * of one mode, in one thread, so that processor time is what is measured, the kernel's part
 * included. Not a test: a tool to look at the ports alone.
 *
 *   port_rate MODE [BATCH]     MODE: tap tap-singly xdp xdp-generic
 */
#include "unit/port_test_util.h"

#include <net/if.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "port/afxdp.h"
#include "port/tap.h"
#include "wire.h"

enum { FRAME_BYTES = 64, BATCH = 64 };

struct side {
	const char *mode;
	const char *interface;
	struct test_pool pool;
	struct port *port;
	struct tx_frame out[BATCH];
	u64 calls;
};

static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static int load_xdp(int xsks_fd)
{
	const struct bpf_insn program[] = {
		{BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0},
		{BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, xsks_fd},
		{0, 0, 0, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 2},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "rate_xdp", "GPL", program, ARRAY_SIZE(program),
	                     NULL);
}

static void open_port(struct side *s)
{
	u32 ifindex = if_nametoindex(s->interface);
	const char *step = "?";
	int err;

	test_pool_init(&s->pool, 4096, 128);
	if (s->mode[0] == 't') {
		struct port_tap_config c = {.pool = &s->pool.pool, .ifindex = ifindex};

		c.no_uring = !strcmp(s->mode, "tap-singly");
		err = port_tap_create(&c, &s->port, &step);
		if (!err)
			wire_redirect_at(ifindex, port_tap_ifindex(s->port));
	} else {
		struct port_afxdp_config c = {.pool = &s->pool.pool, .ifindex = ifindex};

		c.xsks_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 4, NULL);
		c.prog_fd = load_xdp(c.xsks_fd);
		c.no_native = !strcmp(s->mode, "xdp-generic");
		err = port_afxdp_create(&c, &s->port, &step);
	}
	if (err) {
		fprintf(stderr, "%s: %s\n", step, strerror(-err));
		exit(1);
	}
}

static void prepare(struct side *s)
{
	for (u32 i = 0; i < BATCH; i++) {
		s->out[i] = test_frame(0, FRAME_BYTES);
		memset(s->out[i].header + 2, 0xff, 6);
		s->out[i].header[2 + 12] = WIRE_ETHERTYPE >> 8;
		s->out[i].header[2 + 13] = WIRE_ETHERTYPE & 0xff;
	}
}

static void send_all(struct side *s, u32 n)
{
	u32 done = 0;

	while (done < n) {
		int k = s->port->ops->transmit(s->port, s->out + done, n - done);

		if (k < 0)
			exit(1);
		done += (u32)k;
	}
}

/* Takes n frames that are there; false: they are not. */
static bool receive_all(struct side *s, u32 n)
{
	struct rx_frame in[BATCH];
	u32 done = 0, tries = 0;

	while (done < n && tries++ < 100000) {
		int k = s->port->ops->receive(s->port, in, n - done);

		for (int i = 0; i < k; i++)
			buf_put_chain(&s->pool.pool, in[i].buf);
		done += k > 0 ? (u32)k : 0;
		s->calls++;
	}
	return done == n;
}

int main(int argc, char **argv)
{
	struct side sides[2] = {{.interface = WIRE_NEAR}, {.interface = WIRE_FAR}};
	u32 batch = argc > 2 ? (u32)atoi(argv[2]) : 1;
	u32 rounds = 200000 / batch;
	struct wire wire;
	u64 wall_ns, cpu_ns;

	if (argc < 2 || batch > BATCH || !wire_setup(&wire, 1))
		return 77;
	for (u32 i = 0; i < 2; i++) {
		sides[i].mode = argv[1];
		if (i)
			wire_enter_far(&wire);
		open_port(&sides[i]);
		prepare(&sides[i]);
	}
	wall_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (u32 r = 0; r < rounds; r++) {
		for (u32 i = 0; i < 2; i++) {
			send_all(&sides[i], batch);
			if (!receive_all(&sides[1 - i], batch)) {
				fprintf(stderr, "frames were lost\n");
				return 1;
			}
		}
	}
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	printf("%s, batches of %u: %.0f ns of processor a frame sent and received (wall %.0f), "
	       "%.2f receive calls a batch\n",
	       argv[1], batch, (double)cpu_ns / rounds / batch / 2,
	       (double)wall_ns / rounds / batch / 2, (double)sides[0].calls / rounds);
	return 0;
}

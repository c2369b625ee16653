/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What a request and its answer of 64 bytes cost over veth: kernel clients against our engine on a
 * port, or against the kernel. Processor time of the server's and of the client's thread, so that
 * the figures mean something on a busy machine: with a processor each, the slower side sets the
 * rate. Not a test: a tool.
 *
 *   tcp_rate MODE CONNECTIONS [SECONDS]     MODE: tap tap-singly xdp xdp-generic kernel
 */
#include "unit/port_test_util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "port/afxdp.h"
#include "port/tap.h"
#include "tcp/engine.h"
#include "wire.h"

enum { BYTES = 64, PORT = 7000, CONNS_MAX = 4096, BATCH = 64, BACKLOG = 4096 };

/* netinet/tcp.h has names that are ours. */
enum { KERNEL_TCP_NODELAY = 1 };

struct load {
	struct wire wire;
	const char *mode;
	u32 n;
	volatile bool stop;
	volatile bool connected;
	pthread_barrier_t ready;
	u64 requests;
	u64 server_from_ns, server_ns, client_ns, wall_ns;
	/* our server */
	struct test_pool pool;
	struct port *port;
	struct port_info info;
	struct tcp_engine *e;
	u32 path;
	u64 batches;
};

static u64 clock_ns(clockid_t id);

/* Called by the server again and again: its time counts from when all are connected. */
static bool goes_on(struct load *l)
{
	if (l->connected && !l->server_from_ns)
		l->server_from_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	return !l->stop;
}

static u64 clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void pin(u32 cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* -- our server -------------------------------------------------------------------------------- */

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

static void open_port(struct load *l)
{
	const char *step = "?";
	int err;

	if (l->mode[0] == 't') {
		struct port_tap_config c = {.pool = &l->pool.pool, .ifindex = l->wire.near_ifindex};

		c.no_uring = !strcmp(l->mode, "tap-singly");
		err = port_tap_create(&c, &l->port, &step);
		if (!err)
			wire_redirect(&l->wire, port_tap_ifindex(l->port));
	} else {
		struct port_afxdp_config c = {
			.pool = &l->pool.pool, .ifindex = l->wire.near_ifindex, .rx_trusted = true};

		c.xsks_fd = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks", 4, 4, 4, NULL);
		c.prog_fd = load_xdp(c.xsks_fd);
		c.no_native = !strcmp(l->mode, "xdp-generic");
		err = port_afxdp_create(&c, &l->port, &step);
	}
	if (err) {
		fprintf(stderr, "%s: %s\n", step, strerror(-err));
		exit(1);
	}
	l->port->ops->info(l->port, &l->info);
}

static void open_engine(struct load *l)
{
	struct neighbor_state neighbor = {.k.source_mac = {{2, 0, 0, 0, 0, 1}},
	                                  .c.next_hop_mac = {{2, 0, 0, 0, 0, 2}}};
	struct path_state path = {
		.k.local_addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1}},
		.k.remote_addr = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 2}},
		.c.path_mtu = 1500,
	};
	struct tcp_engine_config config = {
		.max_connections = CONNS_MAX,
		.max_paths = 4,
		.max_neighbors = 4,
		.ports[0] = {l->info.gso_max_bytes, l->info.tx_csum, l->info.rx_trusted},
	};
	u32 n;

	l->e = aligned_alloc(64, (tcp_engine_bytes() + 63) & ~(size_t)63);
	tcp_engine_init(l->e, aligned_alloc(4096, tcp_engine_arena_bytes(&config)), &config,
	                &l->pool.pool);
	tcp_timers(l->e, clock_ns(CLOCK_MONOTONIC));
	if (tcp_neighbor_add(l->e, &neighbor, &n) || tcp_path_add(l->e, &path, n, &l->path))
		exit(1);
}

static void accept_frame(struct load *l, const struct rx_frame *f, u64 now_ns)
{
	struct tcp_open_params p = {
		.path = l->path,
		.local_port = PORT,
		.options = TCP_OPT_SACK | TCP_OPT_TIMESTAMPS,
		.mss = 1460,
		.settings = {.nodelay = 1,
	                     .rcv_buf_bytes = 65536,
	                     .snd_buf_bytes = 65536,
	                     .hop_limit = 64},
	};
	u8 ports[4];
	u32 conn;

	if (f->len < 54 || frame_byte(&l->pool.pool, f, 23) != 6)
		return;
	buf_chain_copy(&l->pool.pool, f->buf, 34, ports, 4);
	p.remote_port = (u16)(ports[0] << 8 | ports[1]);
	(void)!tcp_open_passive(l->e, f, &p, now_ns, &conn);
}

static void answer(struct load *l)
{
	struct tcp_event events[BATCH];
	u32 n;

	while ((n = tcp_events(l->e, events, BATCH))) {
		for (u32 i = 0; i < n; i++) {
			u8 bytes[BYTES];

			if (!(events[i].events & TCP_EV_READABLE))
				continue;
			while (tcp_recv(l->e, events[i].conn, bytes, BYTES) == BYTES)
				tcp_send(l->e, events[i].conn, bytes, BYTES);
		}
	}
}

static void send_out(struct load *l, u64 now_ns)
{
	static struct tx_frame frames[BATCH];
	struct tx_batch tx = {.frames = frames, .cap = BATCH};
	bool more = true;

	while (more) {
		u32 done = 0;

		tx.n = 0;
		more = tcp_flush(l->e, now_ns, &tx);
		while (done < tx.n && !l->stop) {
			int k = l->port->ops->transmit(l->port, frames + done, tx.n - done);

			if (k < 0)
				exit(1);
			done += (u32)k;
		}
	}
}

static void serve_ours(struct load *l)
{
	struct rx_frame in[BATCH];

	while (goes_on(l)) {
		int n = l->port->ops->receive(l->port, in, BATCH);
		u64 now_ns = clock_ns(CLOCK_MONOTONIC);

		if (n > 0)
			tcp_input(l->e, in, (u32)n, now_ns);
		for (int i = 0; i < n; i++) {
			if (in[i].verdict == FRAME_TO_HOST)
				accept_frame(l, &in[i], now_ns);
			if (in[i].verdict != FRAME_CONSUMED)
				buf_put_chain(&l->pool.pool, in[i].buf);
		}
		tcp_timers(l->e, now_ns);
		answer(l);
		send_out(l, now_ns);
		l->batches += n > 0;
		if (n <= 0) {
			struct pollfd p = {.fd = l->info.fd, .events = POLLIN};

			poll(&p, 1, 10);
		}
	}
}

/* -- the kernel -------------------------------------------------------------------------------- */

static int tcp_socket(bool server, u8 last)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	a.sin_addr.s_addr = htonl(0xc0000200u + last);
	setsockopt(fd, IPPROTO_TCP, KERNEL_TCP_NODELAY, &one, sizeof(one));
	if (server ? bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, BACKLOG)
	           : connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror(server ? "listen" : "connect");
		exit(1);
	}
	return fd;
}

static void watch(int epoll_fd, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

/* Answers, or asks again, what came; how many messages. */
static u32 echo_ready(int epoll_fd, int listener)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(epoll_fd, ev, BATCH, 10);
	u32 messages = 0;
	u8 bytes[BYTES];

	for (int i = 0; i < n; i++) {
		if (ev[i].data.fd == listener) {
			watch(epoll_fd, accept(listener, NULL, NULL));
		} else if (recv(ev[i].data.fd, bytes, BYTES, 0) == BYTES) {
			messages++;
			if (send(ev[i].data.fd, bytes, BYTES, MSG_NOSIGNAL) != BYTES)
				exit(1);
		}
	}
	return messages;
}

static void *server(void *arg)
{
	struct load *l = arg;
	bool kernel = !strcmp(l->mode, "kernel");
	int listener = -1, epoll_fd = epoll_create1(0);

	pin(0);
	if (kernel) {
		listener = tcp_socket(true, 1);
		watch(epoll_fd, listener);
	} else {
		test_pool_init(&l->pool, 8192, 256);
		open_port(l);
		open_engine(l);
	}
	pthread_barrier_wait(&l->ready);
	if (!kernel)
		serve_ours(l);
	while (goes_on(l))
		echo_ready(epoll_fd, listener);
	l->server_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - l->server_from_ns;
	return NULL;
}

static void client(struct load *l, double seconds)
{
	int epoll_fd = epoll_create1(0);
	u8 bytes[BYTES] = {0};
	u64 end_ns, cpu_ns;

	pin(1);
	wire_enter_far(&l->wire);
	for (u32 i = 0; i < l->n; i++) {
		int fd = tcp_socket(false, 1);

		watch(epoll_fd, fd);
		if (send(fd, bytes, BYTES, 0) != BYTES)
			exit(1);
	}
	l->connected = true;
	l->wall_ns = clock_ns(CLOCK_MONOTONIC);
	end_ns = l->wall_ns + (u64)(seconds * 1e9);
	cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (clock_ns(CLOCK_MONOTONIC) < end_ns)
		l->requests += echo_ready(epoll_fd, -1);
	l->client_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	l->wall_ns = clock_ns(CLOCK_MONOTONIC) - l->wall_ns;
	l->stop = true;
}

int main(int argc, char **argv)
{
	static struct load l;
	double seconds = argc > 3 ? atof(argv[3]) : 1;
	pthread_t thread;

	if (argc < 3 || !wire_setup(&l.wire, 1))
		return 77;
	l.mode = argv[1];
	l.n = (u32)atoi(argv[2]);
	if (!strcmp(l.mode, "kernel"))
		wire_ip("addr add 192.0.2.1/24 dev " WIRE_NEAR);
	wire_ip("neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev " WIRE_NEAR);
	wire_far_ip(&l.wire, "addr add 192.0.2.2/24 dev " WIRE_FAR);
	wire_far_ip(&l.wire, "neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev " WIRE_FAR);
	close(l.wire.far_fd); /* a packet socket would clone every frame */
	pthread_barrier_init(&l.ready, NULL, 2);
	pthread_create(&thread, NULL, server, &l);
	pthread_barrier_wait(&l.ready);
	client(&l, seconds);
	pthread_join(thread, NULL);
	printf("%-11s %5u connections: %7.0f requests/s; server %5.2f us, client %5.2f us of "
	       "processor a request, batches of %.1f\n",
	       l.mode, l.n, (double)l.requests / (double)l.wall_ns * 1e9,
	       (double)l.server_ns / (double)l.requests / 1e3,
	       (double)l.client_ns / (double)l.requests / 1e3,
	       l.batches ? (double)l.requests / (double)l.batches : 0.0);
	return 0;
}

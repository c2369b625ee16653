// SPDX-License-Identifier: BSD-2-Clause-Patent
/* trap 23: each kind of socket that cannot move, with its reason, and that it goes on unharmed. */
#include "linux_env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/tcp.h>
#include <linux/xfrm.h>

struct fixture {
	struct env e;
	struct env_conn c;
};

static void start_with(struct fixture *f, int how)
{
	env_start(&f->e, how);
	env_backend(&f->e, NULL);
	env_connect(&f->e, &f->c, 1);
}

static void start(struct fixture *f)
{
	start_with(f, 0);
}

static struct move inspect(struct fixture *f, int fd)
{
	struct move m = {.conn = (u64)fd};

	f->e.ops.inspect(f->e.backend, &m, 1);
	return m;
}

/* The connection goes on, whatever was found. */
static void stop(struct fixture *f)
{
	env_send(&f->c, 1000);
	env_drained_peer(&f->e, &f->c);
	env_close(&f->c, 1);
	env_stop(&f->e);
}

static void expect(struct fixture *f, int fd, enum status status)
{
	struct move m = inspect(f, fd);

	if (m.status != status)
		fail_msg("status %u (detail %llu) instead of %u", m.status,
		         (unsigned long long)m.detail, status);
}

static void test_plain_socket_moves(void **state)
{
	struct fixture f;

	start(&f);
	expect(&f, f.c.fd, STATUS_OK);
	stop(&f);
}

static void test_not_tcp(void **state)
{
	int udp = socket(AF_INET, SOCK_DGRAM, 0), un = socket(AF_UNIX, SOCK_STREAM, 0), p[2];
	struct fixture f;

	start(&f);
	assert_int_equal(pipe(p), 0);
	expect(&f, udp, STATUS_NOT_TCP);
	expect(&f, un, STATUS_NOT_TCP);
	expect(&f, p[0], STATUS_NOT_TCP);
	expect(&f, 19000, STATUS_FAILED); /* no descriptor at all: EBADF */
	expect(&f, -1, STATUS_NOT_TCP);
	close(udp);
	close(un);
	close(p[0]);
	close(p[1]);
	stop(&f);
}

static void test_states(void **state)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(9)};
	int listener, closed, opening;
	struct fixture f;

	start(&f);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	closed = socket(AF_INET, SOCK_STREAM, 0);
	opening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	assert_int_equal(listen(listener, 1), 0);
	inet_pton(AF_INET, "10.9.0.99", &there.sin_addr);
	connect(opening, (struct sockaddr *)&there, sizeof(there));
	expect(&f, listener, STATUS_NOT_ESTABLISHED);
	expect(&f, closed, STATUS_NOT_ESTABLISHED);
	expect(&f, opening, STATUS_NOT_ESTABLISHED);
	assert_int_equal(inspect(&f, listener).detail, TCP_LISTEN);
	assert_int_equal(inspect(&f, opening).detail, TCP_SYN_SENT);
	close(listener);
	close(closed);
	close(opening);
	stop(&f);
}

static void test_mptcp(void **state)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(ENV_PORT)};
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(ENV_FIRST_PORT + 1)};
	int fd = socket(AF_INET, SOCK_STREAM, 262);
	struct fixture f;

	if (fd < 0)
		skip();
	close(fd);
	start(&f);
	fd = socket(AF_INET, SOCK_STREAM, 262);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	inet_pton(AF_INET, "10.9.0.2", &there.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	expect(&f, fd, STATUS_MPTCP);
	close(fd);
	stop(&f);
}

static void test_upper_layer_protocol(void **state)
{
	struct fixture f;

	start(&f);
	if (setsockopt(f.c.fd, IPPROTO_TCP, TCP_ULP, "tls", 3)) {
		stop(&f);
		skip(); /* this kernel has no kTLS */
	}
	expect(&f, f.c.fd, STATUS_ULP);
	stop(&f);
}

static void test_sockmap(void **state)
{
	int map = bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "t", 4, 4, 1, NULL);
	struct fixture f;
	u32 key = 0;

	if (map < 0)
		skip();
	start(&f);
	assert_int_equal(bpf_map_update_elem(map, &key, &f.c.fd, BPF_ANY), 0);
	expect(&f, f.c.fd, STATUS_SOCKMAP);
	assert_int_equal(bpf_map_delete_elem(map, &key), 0);
	close(map);
	stop(&f);
}

static void test_zero_copy(void **state)
{
	static u8 page[65536];
	struct fixture f;
	int one = 1;

	start_with(&f, ENV_RETRANSMITS);
	assert_int_equal(setsockopt(f.c.fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), 0);
	expect(&f, f.c.fd, STATUS_OK); /* the setting alone is no obstacle */
	/* The peer's host loses it: the pages stay in use. */
	env_run_peer(&f.e,
	             "nft 'add table ip t; add chain ip t c { type filter hook input priority "
	             "0; }; add rule ip t c tcp dport %d drop'",
	             ENV_PORT);
	for (u32 i = 0; i < sizeof(page); i++)
		page[i] = env_pattern(0, i);
	f.c.sent = (u64)send(f.c.fd, page, 9000, MSG_ZEROCOPY | MSG_DONTWAIT);
	assert_int_equal(f.c.sent, 9000);
	expect(&f, f.c.fd, STATUS_ZERO_COPY);
	env_run_peer(&f.e, "nft delete table ip t");
	stop(&f);
}

static void test_urgent(void **state)
{
	struct fixture f;

	start(&f);
	env_run_peer(&f.e,
	             "nft 'add table ip t; add chain ip t c { type filter hook input priority "
	             "0; }; add rule ip t c tcp dport %d drop'",
	             ENV_PORT);
	assert_int_equal(send(f.c.fd, "!", 1, MSG_OOB), 1);
	expect(&f, f.c.fd, STATUS_URGENT);
	env_close(&f.c, 1);
	env_stop(&f.e);
}

static void test_ip_options(void **state)
{
	static const u8 record_route[] = {7, 7, 4, 0, 0, 0, 0, 0};
	struct fixture f;

	start(&f);
	assert_int_equal(
		setsockopt(f.c.fd, IPPROTO_IP, IP_OPTIONS, record_route, sizeof(record_route)), 0);
	expect(&f, f.c.fd, STATUS_IP_OPTIONS);
	assert_int_equal(setsockopt(f.c.fd, IPPROTO_IP, IP_OPTIONS, NULL, 0), 0);
	expect(&f, f.c.fd, STATUS_OK);
	stop(&f);
}

static void test_md5(void **state)
{
	struct tcp_md5sig sig = {.tcpm_keylen = 3, .tcpm_key = "key"};
	struct sockaddr_in *to = (struct sockaddr_in *)&sig.tcpm_addr;
	struct fixture f;

	start(&f);
	to->sin_family = AF_INET;
	inet_pton(AF_INET, "10.9.0.77", &to->sin_addr); /* nobody's: the connection goes on */
	if (setsockopt(f.c.fd, IPPROTO_TCP, TCP_MD5SIG, &sig, sizeof(sig))) {
		stop(&f);
		skip();
	}
	expect(&f, f.c.fd, STATUS_TCP_SIGNED);
	stop(&f);
}

static void test_loopback(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	socklen_t len = sizeof(any);
	struct fixture f;
	int l, c;

	start(&f);
	l = socket(AF_INET, SOCK_STREAM, 0);
	c = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, "10.9.0.1", &any.sin_addr);
	assert_int_equal(bind(l, (struct sockaddr *)&any, sizeof(any)) | listen(l, 1), 0);
	getsockname(l, (struct sockaddr *)&any, &len);
	assert_int_equal(connect(c, (struct sockaddr *)&any, sizeof(any)), 0);
	expect(&f, c, STATUS_LOOPBACK);
	close(c);
	close(l);
	stop(&f);
}

static void test_not_managed(void **state)
{
	struct move m;
	struct fixture f;

	start_with(&f, ENV_RETRANSMITS);
	linux_backend_remove_port(f.e.backend, f.e.ifindex);
	m = inspect(&f, f.c.fd);
	assert_int_equal(m.status, STATUS_NOT_MANAGED);
	assert_int_equal(m.detail, f.e.ifindex);
	stop(&f);
}

static void test_no_route(void **state)
{
	struct fixture f;

	start(&f);
	env_run("ip route add unreachable 10.9.0.2/32");
	expect(&f, f.c.fd, STATUS_FAILED);
	env_run("ip route del unreachable 10.9.0.2/32");
	expect(&f, f.c.fd, STATUS_OK);
	stop(&f);
}

static void test_no_neighbor(void **state)
{
	struct linux_backend_config config = {.resolve_wait_ms = 20};
	struct fixture f;

	env_start(&f.e, 0);
	env_backend(&f.e, &config);
	env_connect(&f.e, &f.c, 1);
	env_run("ip route add 10.9.0.2/32 via 10.9.0.55");
	expect(&f, f.c.fd, STATUS_NO_NEIGHBOR);
	env_run("ip route del 10.9.0.2/32");
	stop(&f);
}

static void test_xfrm_policy(void **state)
{
	struct fixture f;

	start(&f);
	env_run("ip xfrm policy add src 10.9.0.1 dst 10.9.0.2 dir out tmpl proto esp reqid 1 mode "
	        "transport level use");
	expect(&f, f.c.fd, STATUS_XFRM);
	env_run("ip xfrm policy flush");
	env_send(&f.c, 10); /* the kernel routes anew */
	expect(&f, f.c.fd, STATUS_OK);
	stop(&f);
}

static void test_transparent(void **state)
{
	struct fixture f;
	int one = 1;

	start(&f);
	assert_int_equal(setsockopt(f.c.fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)), 0);
	expect(&f, f.c.fd, STATUS_TPROXY);
	stop(&f);
}

static void test_shared_descriptor(void **state)
{
	struct fixture f;
	int copy, go[2];
	pid_t pid;

	start(&f);
	copy = dup(f.c.fd);
	expect(&f, f.c.fd, STATUS_SHARED);
	close(copy);
	expect(&f, f.c.fd, STATUS_OK);
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		close(go[1]);
		_exit(read(go[0], &c, 1) < 0);
	}
	expect(&f, f.c.fd, STATUS_SHARED);
	close(go[1]);
	waitpid(pid, NULL, 0);
	close(go[0]);
	expect(&f, f.c.fd, STATUS_OK);
	stop(&f);
}

static void *blocked_reader(void *arg)
{
	struct fixture *f = arg;
	u8 b;

	assert_int_equal(recv(f->c.fd, &b, 1, MSG_PEEK), 1);
	return NULL;
}

/* A thread that sleeps in recv would wake up on a socket that is closed. An epoll does not count:
 * the library takes the descriptor out of it. */
static void test_blocked_thread(void **state)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct fixture f;
	pthread_t thread;
	int epoll;
	enum status status;

	start(&f);
	epoll = epoll_create1(0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, f.c.fd, &ev), 0);
	expect(&f, f.c.fd, STATUS_OK);
	assert_true(env_export(f.c.fd).facts & EXPORT_EPOLL);
	close(epoll);
	assert_int_equal(fcntl(f.c.fd, F_SETFL, 0), 0);
	pthread_create(&thread, NULL, blocked_reader, &f);
	do
		status = inspect(&f, f.c.fd).status;
	while (status == STATUS_OK || status == STATUS_SHARED);
	assert_int_equal(status, STATUS_IN_USE);
	f.e.shared->talkers = 1;
	pthread_join(thread, NULL);
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	stop(&f);
}

static void test_error_queue(void **state)
{
	int stamps = 1 << 1 /* TX_SOFTWARE */ | 1 << 4 /* SOFTWARE */;
	struct fixture f;
	u8 buf[512];

	start(&f);
	assert_int_equal(setsockopt(f.c.fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps)),
	                 0);
	env_send(&f.c, 10);
	while (!env_export(f.c.fd).error_queue)
		env_sleep_ms(1);
	expect(&f, f.c.fd, STATUS_ERROR_QUEUE);
	while (recv(f.c.fd, buf, sizeof(buf), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
		;
	expect(&f, f.c.fd, STATUS_OK);
	stamps = 0;
	setsockopt(f.c.fd, SOL_SOCKET, SO_TIMESTAMPING, &stamps, sizeof(stamps));
	stop(&f);
}

static void test_shaping(void **state)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog prog = {1, &pass};
	u64 rate = 1000000, unlimited = ~0ull;
	struct fixture f;

	start(&f);
	assert_int_equal(setsockopt(f.c.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)),
	                 0);
	expect(&f, f.c.fd, STATUS_OK); /* the target paces too */
	setsockopt(f.c.fd, SOL_SOCKET, SO_MAX_PACING_RATE, &unlimited, sizeof(unlimited));
	expect(&f, f.c.fd, STATUS_OK);
	assert_int_equal(setsockopt(f.c.fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)), 0);
	expect(&f, f.c.fd, STATUS_SHAPED);
	stop(&f);
}

/* trap 17: segments out of order: later; or now, when the caller says so. */
static void test_not_quiet(void **state)
{
	struct move m;
	struct fixture f;

	start_with(&f, ENV_RETRANSMITS);
	f.e.shared->talkers = 1;
	while (!env_read(&f.c))
		env_sleep_ms(1);
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	/* The segment that comes next is lost however often it is sent. */
	env_run("nft 'add table ip t; add chain ip t c { type filter hook input priority 0; };"
	        "add rule ip t c tcp sport %d tcp sequence %u drop'",
	        ENV_PORT, env_export(f.c.fd).rcv_nxt);
	f.e.shared->pause = 0;
	do {
		env_sleep_ms(1);
		m = inspect(&f, f.c.fd);
	} while (m.status == STATUS_OK);
	assert_int_equal(m.status, STATUS_NOT_QUIET);
	assert_true(env_export(f.c.fd).facts & EXPORT_OUT_OF_ORDER);
	m = (struct move){.conn = (u64)f.c.fd, .flags = MOVE_UNQUIET};
	f.e.ops.inspect(f.e.backend, &m, 1);
	assert_int_equal(m.status, STATUS_OK);
	env_run("nft delete table ip t");
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	stop(&f);
}

/* Local NAT: the peer sees other addresses than the socket does. */
static void test_nat(void **state)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(ENV_PORT)};
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(ENV_FIRST_PORT + 1)};
	struct fixture f;
	int fd;

	start(&f);
	env_run("nft 'add table ip n; add chain ip n c { type nat hook output priority -100; };"
	        "add rule ip n c ip daddr 10.9.0.42 dnat to 10.9.0.2'");
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	inet_pton(AF_INET, "10.9.0.42", &there.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	expect(&f, fd, STATUS_NAT);
	expect(&f, f.c.fd, STATUS_OK); /* tracked or not, its addresses are those of the wire */
	close(fd);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_socket_moves),
		cmocka_unit_test(test_not_tcp),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_mptcp),
		cmocka_unit_test(test_upper_layer_protocol),
		cmocka_unit_test(test_sockmap),
		cmocka_unit_test(test_zero_copy),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_ip_options),
		cmocka_unit_test(test_md5),
		cmocka_unit_test(test_loopback),
		cmocka_unit_test(test_not_managed),
		cmocka_unit_test(test_no_route),
		cmocka_unit_test(test_no_neighbor),
		cmocka_unit_test(test_xfrm_policy),
		cmocka_unit_test(test_transparent),
		cmocka_unit_test(test_shared_descriptor),
		cmocka_unit_test(test_blocked_thread),
		cmocka_unit_test(test_error_queue),
		cmocka_unit_test(test_shaping),
		cmocka_unit_test(test_not_quiet),
		cmocka_unit_test(test_nat),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

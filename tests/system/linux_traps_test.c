// SPDX-License-Identifier: BSD-2-Clause-Patent
/* The traps of repair mode and of the kernel around it that have no test elsewhere. */
#include "linux_env.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/io_uring.h>
#include <linux/tcp.h>

#include "linux/rtnl.h"

struct fixture {
	struct env e;
	struct env_conn c;
	struct env_moves m;
};

static void start(struct fixture *f)
{
	env_start(&f->e, 0);
	env_backend(&f->e, NULL);
	env_connect(&f->e, &f->c, 1);
	env_moves_init(&f->m, &f->c, 1);
	env_mark(&f->e);
}

static void stop(struct fixture *f)
{
	env_send(&f->c, 500);
	env_drained_peer(&f->e, &f->c);
	env_unnoticed(&f->e);
	env_moves_free(&f->e, &f->m);
	env_close(&f->c, 1);
	env_stop(&f->e);
}

/* trap 1: repair mode does not stop the kernel from receiving and acknowledging; steering does. */
static void test_steering_stops_the_kernel(void **state)
{
	struct sock_export before, after;
	struct fixture f;
	int on = 1, off = -1;

	start(&f);
	assert_int_equal(setsockopt(f.c.fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
	before = env_export(f.c.fd);
	f.e.shared->talkers = 1;
	while (env_export(f.c.fd).rcv_nxt == before.rcv_nxt)
		env_sleep_ms(1);
	assert_int_equal(setsockopt(f.c.fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
	f.e.ops.inspect(f.e.backend, f.m.move, 1);
	f.e.ops.hold(f.e.backend, f.m.move, 1);
	env_fence(&f.e);
	before = env_export(f.c.fd);
	while (!env_park(&f.e))
		env_sleep_ms(1);
	after = env_export(f.c.fd);
	assert_int_equal(after.rcv_nxt, before.rcv_nxt);
	f.e.ops.release(f.e.backend, f.m.move, 1);
	env_fence(&f.e);
	env_inject(&f.e);
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	env_mark(&f.e); /* frames lay for as long as this process was not run */
	stop(&f);
}

/* trap 12: a detached socket reports EPOLLHUP for ever; after the import it does not. */
static void test_hangup_while_detached(void **state)
{
	struct pollfd p = {.events = POLLIN | POLLOUT};
	struct fixture f;

	start(&f);
	p.fd = f.c.fd;
	env_offload(&f.e, &f.m, 0, 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_true(p.revents & POLLHUP);
	env_upload(&f.e, &f.m, 0, 1);
	assert_int_equal(poll(&p, 1, 0), 1);
	assert_int_equal(p.revents, POLLOUT);
	stop(&f);
}

/* trap 13, trap 4: the port stays taken, so no second socket can get the same pair of addresses. */
static void test_port_stays_taken(void **state)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(ENV_FIRST_PORT)};
	struct fixture f;
	int fd;

	start(&f);
	env_offload(&f.e, &f.m, 0, 1);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&here, sizeof(here)), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	env_upload(&f.e, &f.m, 0, 1);
	stop(&f);
}

/* trap 8: no window probe, no other segment leaves at an upload with empty queues. trap 6: options
 * are restored before the first byte (a failure would be EPERM). */
static void test_upload_is_silent(void **state)
{
	struct fixture f;
	u64 before;

	start(&f);
	env_send(&f.c, 100);
	env_drained_peer(&f.e, &f.c);
	env_sleep_ms(60);
	before = env_counter(&f.e, 0, "snmp", "OutSegs");
	env_offload(&f.e, &f.m, 0, 1);
	env_upload(&f.e, &f.m, 0, 1);
	assert_int_equal(env_counter(&f.e, 0, "snmp", "OutSegs"), before);
	stop(&f);
}

/* trap 22: the kernel's IP IDs cannot be confined to one half, and need not be: it sets DF. */
static void test_ip_ids_are_immaterial(void **state)
{
	struct fixture f;

	start(&f);
	f.e.ops.inspect(f.e.backend, f.m.move, 1);
	env_all_ok(&f.m, 0, 1, "inspect");
	assert_int_equal(f.m.path[0].k.ip_id_confined, 0);
	stop(&f);
}

/* More in the target's queues than the kernel's buffers let in: they are widened for it. */
static void test_queues_larger_than_buffers(void **state)
{
	const u32 bytes = 3000000;
	struct tcp_delegated *d;
	struct fixture f;
	u32 head = NIL, sndbuf = 20000, at_least;
	socklen_t len = sizeof(at_least);

	start(&f);
	setsockopt(f.c.fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	env_offload(&f.e, &f.m, 0, 1);
	d = &f.m.tcp[0].d;
	for (u32 done = 0; done < bytes;) {
		u32 index = buf_alloc(&f.e.pool, BUF_LARGE), n = min_of(bytes - done, 65536u);

		assert_true(index != NIL);
		for (u32 i = 0; i < n; i++)
			buf_bytes(&f.e.pool, index)[i] = env_pattern(0, bytes - done - n + i);
		buf_at(&f.e.pool, index)->len = n;
		buf_at(&f.e.pool, index)->next = head; /* built from its end */
		head = index;
		done += n;
	}
	d->send = (struct data_ref){.buf = head, .len = bytes};
	f.c.sent = bytes;
	env_upload(&f.e, &f.m, 0, 1);
	env_drained_peer(&f.e, &f.c);
	assert_int_equal(getsockopt(f.c.fd, SOL_SOCKET, SO_SNDBUF, &at_least, &len), 0);
	assert_true(at_least > 40000);
	stop(&f);
}

/* trap 29: without privileges the backend says which step they are missing for. */
static void test_unprivileged(void **state)
{
	struct linux_backend_config config = {.capacity = 16};
	struct linux_backend *b;
	const char *step = NULL;
	pid_t pid = fork();
	int status, err;

	if (pid == 0) {
		if (setgid(65534) || setuid(65534))
			_exit(3);
		err = linux_backend_create(&config, &b, &step);
		_exit((err == -EPERM || err == -EACCES) && step && step[0] ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* trap 24: conntrack has not seen the packets; with its liberal setting the connection goes on
 * behind a rule that drops what it calls invalid. */
static void test_conntrack(void **state)
{
	struct fixture f;

	env_start(&f.e, 0);
	env_run("sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1");
	env_run("nft 'add table ip t; add chain ip t c { type filter hook input priority 0; };"
	        "add rule ip t c ct state invalid drop'");
	env_backend(&f.e, NULL);
	env_connect(&f.e, &f.c, 1);
	env_moves_init(&f.m, &f.c, 1);
	env_mark(&f.e);
	f.e.shared->talkers = 1;
	env_sleep_ms(5);
	env_offload(&f.e, &f.m, 0, 1);
	env_sleep_ms(10);
	env_park(&f.e);
	env_upload(&f.e, &f.m, 0, 1);
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	stop(&f);
}

/* trap 20: with several next hops the ports choose, and the answer is the kernel's. */
static void test_multipath(void **state)
{
	enum { N = 24 };
	struct env_conn c[N];
	struct env_moves m;
	struct env e;
	u32 by_2 = 0, by_3 = 0;

	env_start(&e, 0);
	env_backend(&e, NULL);
	env_run_peer(&e, "sh -c 'ip addr add 10.9.0.3/24 dev p0; ip addr add 10.9.0.4/24 dev p0'");
	env_run("sysctl -qw net.ipv4.fib_multipath_hash_policy=1");
	env_connect(&e, c, N);
	env_run("ip route add 10.9.0.2/32 nexthop via 10.9.0.3 nexthop via 10.9.0.4");
	env_moves_init(&m, c, N);
	e.ops.inspect(e.backend, m.move, N);
	env_all_ok(&m, 0, N, "inspect");
	for (u32 i = 0; i < N; i++) {
		by_2 += m.move[i].neighbor.next_hop.b[15] == 3;
		by_3 += m.move[i].neighbor.next_hop.b[15] == 4;
		assert_true(m.move[i].path.hash != 0);
		env_run("ip route get 10.9.0.2 from 10.9.0.1 ipproto tcp sport %u dport %u | "
		        "grep -q 'via 10.9.0.%u '",
		        ENV_FIRST_PORT + i, ENV_PORT, m.move[i].neighbor.next_hop.b[15]);
	}
	assert_true(by_2 && by_3);
	assert_int_equal(by_2 + by_3, N);
	env_moves_free(&e, &m);
	env_close(c, N);
	env_stop(&e);
}

/* trap 23: io_uring has a receive pending on the socket. */
static void test_io_uring(void **state)
{
	struct io_uring_params params = {0};
	struct io_uring_sqe *sqe;
	struct fixture f;
	u8 *sq, *tail, buf[16];
	int ring;

	start(&f);
	ring = (int)syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0) {
		stop(&f);
		skip();
	}
	sq = mmap(NULL, params.sq_off.array + 4 * sizeof(u32), PROT_READ | PROT_WRITE, MAP_SHARED,
	          ring, IORING_OFF_SQ_RING);
	sqe = mmap(NULL, 4 * sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
	           IORING_OFF_SQES);
	assert_true(sq != MAP_FAILED && (void *)sqe != MAP_FAILED);
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_RECV;
	sqe->fd = f.c.fd;
	sqe->addr = (u64)(uintptr_t)buf;
	sqe->len = sizeof(buf);
	((u32 *)(sq + params.sq_off.array))[0] = 0;
	tail = sq + params.sq_off.tail;
	__atomic_store_n((u32 *)tail, 1, __ATOMIC_RELEASE);
	assert_int_equal(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0), 1);
	f.e.ops.inspect(f.e.backend, f.m.move, 1);
	assert_int_equal(f.m.move[0].status, STATUS_IN_USE);
	close(ring);
	munmap(sq, params.sq_off.array + 4 * sizeof(u32));
	munmap(sqe, 4 * sizeof(*sqe));
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steering_stops_the_kernel),
		cmocka_unit_test(test_hangup_while_detached),
		cmocka_unit_test(test_port_stays_taken),
		cmocka_unit_test(test_upload_is_silent),
		cmocka_unit_test(test_ip_ids_are_immaterial),
		cmocka_unit_test(test_queues_larger_than_buffers),
		cmocka_unit_test(test_unprivileged),
		cmocka_unit_test(test_conntrack),
		cmocka_unit_test(test_multipath),
		cmocka_unit_test(test_io_uring),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

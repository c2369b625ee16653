// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Every system call of a move fails once, at each place where it is made: the status says so, no
 * buffer is lost, and the connection goes on where it was.
 */
#include "linux_env.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "linux/programs.h"
#include "linux/sys.h"

/* The n-th call from now on fails; 0: none does. */
static u32 fail_at, calls;

static int fails(void)
{
	calls++;
	if (fail_at && calls == fail_at) {
		errno = ENETDOWN;
		return 1;
	}
	return 0;
}

static int f_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	return fails() ? -1 : setsockopt(fd, level, name, value, len);
}

static int f_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	return fails() ? -1 : getsockopt(fd, level, name, value, len);
}

static int f_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return fails() ? -1 : connect(fd, addr, len);
}

static int f_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	return fails() ? -1 : bind(fd, addr, len);
}

static ssize_t f_recv(int fd, void *to, size_t len, int flags)
{
	return fails() ? -1 : recv(fd, to, len, flags);
}

static ssize_t f_send(int fd, const void *from, size_t len, int flags)
{
	return fails() ? -1 : send(fd, from, len, flags);
}

static int f_run(int program)
{
	return fails() ? -1 : linux_sys_direct.run(program);
}

static int f_shutdown(int fd, int how)
{
	return fails() ? -1 : shutdown(fd, how);
}

static const struct linux_sys failing = {
	.setsockopt = f_setsockopt,
	.getsockopt = f_getsockopt,
	.connect = f_connect,
	.bind = f_bind,
	.recv = f_recv,
	.send = f_send,
	.shutdown = f_shutdown,
	.run = f_run,
};

struct fixture {
	struct env e;
	struct env_conn c;
	struct env_moves m;
};

static u32 buffers(const struct env *e)
{
	return e->pool.n_free[BUF_SMALL] + e->pool.n_free[BUF_LARGE];
}

/* Bytes in both queues: some received and not read, some sent and not acknowledged. */
static void fill_queues(struct fixture *f)
{
	f->e.shared->talkers = 1;
	f->e.shared->pause = 0;
	env_sleep_ms(5);
	env_pause(&f->e);
	env_run_peer(&f->e,
	             "nft 'add table ip t; add chain ip t c { type filter hook output priority "
	             "0; }; add rule ip t c tcp sport %d drop'",
	             ENV_PORT);
	env_send(&f->c, 3000);
	env_sleep_ms(5);
}

static void empty_queues(struct fixture *f)
{
	env_run_peer(&f->e, "nft delete table ip t");
	f->e.shared->pause = 0; /* what the peer sends acknowledges; until then Nagle waits */
	while (env_export(f->c.fd).snd_una != env_export(f->c.fd).snd_nxt)
		env_sleep_ms(1);
	env_pause(&f->e);
	env_send(&f->c, 10);
	env_drain(&f->e, &f->c);
	env_drained_peer(&f->e, &f->c);
}

static void start_with(struct fixture *f, int how)
{
	struct linux_backend_config config = {.resolve_wait_ms = 1000, .sys = &failing};

	fail_at = calls = 0;
	env_start(&f->e, how);
	env_backend(&f->e, &config);
	env_connect(&f->e, &f->c, 1);
	env_moves_init(&f->m, &f->c, 1);
}

static void start(struct fixture *f)
{
	start_with(f, 0);
}

static void stop(struct fixture *f)
{
	assert_int_equal(f->e.shared->errors, 0);
	assert_int_equal(env_counter(&f->e, 0, "snmp", "OutRsts"), 0);
	assert_int_equal(env_counter(&f->e, 1, "snmp", "OutRsts"), 0);
	env_moves_free(&f->e, &f->m);
	env_close(&f->c, 1);
	env_stop(&f->e);
}

/* Freezes with the n-th call failing; true when it failed. */
static int freeze_failing(struct fixture *f, u32 n)
{
	struct move *m = f->m.move;
	u32 before = buffers(&f->e);

	m->status = STATUS_OK;
	m->flags = 0;
	f->e.ops.inspect(f->e.backend, m, 1);
	env_all_ok(&f->m, 0, 1, "inspect");
	f->e.ops.hold(f->e.backend, m, 1);
	env_fence(&f->e);
	calls = 0;
	fail_at = n;
	f->e.ops.freeze(f->e.backend, m, 1, &f->e.pool);
	fail_at = 0;
	if (m->status == STATUS_OK)
		return 0;
	assert_int_equal(m->status, STATUS_FAILED);
	assert_int_equal(m->detail, ENETDOWN);
	assert_int_equal(m->flags & MOVE_FROZEN, 0);
	assert_int_equal(env_export(f->c.fd).facts & EXPORT_IN_REPAIR, 0);
	assert_int_equal(buffers(&f->e), before);
	m->status = STATUS_OK;
	f->e.ops.release(f->e.backend, m, 1);
	env_fence(&f->e);
	env_park(&f->e);
	env_inject(&f->e);
	return 1;
}

static void thaw(struct fixture *f)
{
	struct move *m = f->m.move;

	f->e.ops.thaw(f->e.backend, m, 1);
	assert_int_equal(m->flags & MOVE_FROZEN, 0);
	assert_int_equal(env_export(f->c.fd).facts & EXPORT_IN_REPAIR, 0);
	f->e.ops.release(f->e.backend, m, 1);
	env_fence(&f->e);
	env_park(&f->e);
	env_inject(&f->e);
	buf_put_chain(&f->e.pool, f->m.tcp[0].d.send.buf);
	buf_put_chain(&f->e.pool, f->m.tcp[0].d.recv.buf);
}

static void test_freeze(void **state)
{
	struct fixture f;
	u32 n = 1;

	start(&f);
	fill_queues(&f);
	while (freeze_failing(&f, n))
		n++;
	printf("freeze: %u calls failed in turn\n", n - 1);
	assert_true(n > 5);
	thaw(&f);
	empty_queues(&f);
	stop(&f);
}

static void test_pool_is_too_small(void **state)
{
	struct buf_pool_config config = {.small = 1, .large = 0};
	struct fixture f;
	struct buf_pool pool;
	void *mem = NULL;

	start(&f);
	fill_queues(&f);
	assert_int_equal(posix_memalign(&mem, 4096, buf_pool_bytes(&config)), 0);
	buf_pool_init(&pool, mem, &config);
	f.e.ops.inspect(f.e.backend, f.m.move, 1);
	f.e.ops.hold(f.e.backend, f.m.move, 1);
	env_fence(&f.e);
	f.e.ops.freeze(f.e.backend, f.m.move, 1, &pool);
	assert_int_equal(f.m.move[0].status, STATUS_NO_SEND_BUFFERS);
	assert_int_equal(pool.n_free[BUF_SMALL], 1);
	assert_int_equal(env_export(f.c.fd).facts & EXPORT_IN_REPAIR, 0);
	f.m.move[0].status = STATUS_OK;
	f.e.ops.release(f.e.backend, f.m.move, 1);
	env_fence(&f.e);
	env_park(&f.e);
	env_inject(&f.e);
	empty_queues(&f);
	free(mem);
	stop(&f);
}

/* Detach: whatever call fails once, the connection comes back unharmed; a failed bind is made up
 * for at import. */
static void test_detach(void **state)
{
	struct linux_backend_counters counters;
	struct fixture f;
	u64 delayed = 0;
	u32 n, made;

	for (n = 1;; n++) {
		start_with(&f, ENV_UNBOUND);
		assert_int_equal(freeze_failing(&f, 0), 0);
		calls = 0;
		fail_at = n;
		f.e.ops.detach(f.e.backend, f.m.move, 1);
		fail_at = 0;
		made = calls;
		assert_int_equal(f.m.move[0].status, STATUS_OK);
		assert_true(f.m.move[0].flags & MOVE_DETACHED);
		f.e.ops.own(f.e.backend, f.m.move, 1);
		env_upload(&f.e, &f.m, 0, 1);
		env_send(&f.c, 1000);
		env_drained_peer(&f.e, &f.c);
		linux_backend_counters(f.e.backend, &counters);
		delayed += counters.delayed_binds;
		stop(&f);
		if (made < n)
			break;
	}
	printf("detach: %u calls failed in turn\n", n - 1);
	assert_int_equal(delayed, 1);
}

/* Import: whatever fails, the socket is detached again and the next try succeeds. */
static void import_failing(u32 half_closed)
{
	struct fixture f;
	u32 n = 1, before;
	int failed;

	start(&f);
	fill_queues(&f);
	if (half_closed) {
		env_run_peer(&f.e, "nft delete table ip t");
		env_drained_peer(&f.e, &f.c);
		f.e.shared->shut[0] = 1;
		while (env_export(f.c.fd).state != 8) /* CLOSE_WAIT */
			env_sleep_ms(1);
	}
	env_offload(&f.e, &f.m, 0, 1);
	before = buffers(&f.e);
	do {
		f.m.move[0].status = STATUS_OK;
		f.e.ops.hold(f.e.backend, f.m.move, 1);
		calls = 0;
		fail_at = n;
		f.e.ops.import(f.e.backend, f.m.move, 1, &f.e.pool);
		fail_at = 0;
		failed = f.m.move[0].status != STATUS_OK;
		if (failed) {
			assert_int_equal(f.m.move[0].status, STATUS_FAILED);
			assert_int_equal(f.m.move[0].detail, ENETDOWN);
			assert_true(f.m.move[0].flags & MOVE_DETACHED);
			assert_int_equal(env_export(f.c.fd).state, 7); /* CLOSE */
			f.m.move[0].status = STATUS_OK;
			f.e.ops.own(f.e.backend, f.m.move, 1);
		}
		n++;
	} while (failed);
	printf("import: %u calls failed in turn\n", n - 2);
	assert_true(n > 10);
	assert_int_equal(buffers(&f.e), before);
	f.e.ops.release(f.e.backend, f.m.move, 1);
	env_fence(&f.e);
	env_park(&f.e);
	env_inject(&f.e);
	if (half_closed) {
		env_send(&f.c, 10);
		env_drain(&f.e, &f.c);
		env_drained_peer(&f.e, &f.c);
	} else {
		empty_queues(&f);
	}
	stop(&f);
}

static void test_import(void **state)
{
	import_failing(0);
}

static void test_import_half_closed(void **state)
{
	import_failing(1);
}

/* The BPF links and programs that a process holds, by id. */
struct held {
	u32 links[64], progs[64];
	u32 n_links, n_progs;
};

static void held_read(struct held *h, pid_t pid)
{
	memset(h, 0, sizeof(*h));
	for (u32 fd = 3; fd < 512; fd++) {
		char path[64], line[256];
		u32 id, link = 0, prog = 0;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%u", (int)pid, fd);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "link_id: %u", &id) == 1)
				link = id;
			if (sscanf(line, "prog_id: %u", &id) == 1)
				prog = id;
		}
		if (f)
			fclose(f);
		if (link && h->n_links < ARRAY_SIZE(h->links))
			h->links[h->n_links++] = link;
		else if (prog && h->n_progs < ARRAY_SIZE(h->progs))
			h->progs[h->n_progs++] = prog;
	}
}

static u32 still_there(const struct held *h)
{
	u32 left = 0;

	for (u32 i = 0; i < h->n_links + h->n_progs; i++) {
		int fd = i < h->n_links ? bpf_link_get_fd_by_id(h->links[i])
		                        : bpf_prog_get_fd_by_id(h->progs[i - h->n_links]);

		if (fd >= 0) {
			left++;
			close(fd);
		}
	}
	return left;
}

/* What must be gone after the end, however it comes (trap 30): programs and links of tc, cgroup and
 * struct_ops, the name of the congestion control, filters, TAPs. */
static u32 left_behind(const struct held *h, pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command),
	         "sysctl -n net.ipv4.tcp_available_congestion_control | grep -q chimney_%d",
	         (int)pid);
	if (system(command) == 0 || system("ip -o link | grep -q chimney") == 0)
		return 1000;
	if (system("tc filter show dev h0 ingress | grep -q . || "
	           "tc filter show dev h0 egress | grep -q .") == 0)
		return 2000;
	return still_there(h);
}

static void wait_gone(const struct held *h, pid_t pid)
{
	/* Links are freed behind an RCU grace period. */
	for (u32 i = 0; i < 500 && left_behind(h, pid); i++)
		env_sleep_ms(20);
	assert_int_equal(left_behind(h, pid), 0);
}

static void child_runs(struct env *e, int ready)
{
	struct env_moves m;
	struct env_conn c;
	char byte = 0;

	env_backend(e, NULL);
	env_connect(e, &c, 1);
	env_moves_init(&m, &c, 1);
	env_offload(e, &m, 0, 1);
	if (write(ready, &byte, 1) != 1)
		_exit(1);
	pause();
}

/* A process is killed while it holds an offloaded connection. */
static void test_nothing_is_left_after_kill(void **state)
{
	struct held held;
	struct env e;
	int ready[2];
	pid_t pid;
	char byte;

	env_start(&e, 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		child_runs(&e, ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	held_read(&held, pid);
	/* inject, steer_in, steer_out, lane_out, export, congestion control */
	assert_true(held.n_links >= 6 && held.n_progs >= 6);
	assert_int_equal(still_there(&held), held.n_links + held.n_progs);
	assert_int_equal(left_behind(&held, pid), 1000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	wait_gone(&held, pid);
	close(ready[0]);
	close(ready[1]);
	env_stop(&e);
}

static void test_nothing_is_left_after_exit(void **state)
{
	struct held held;
	struct env_conn c;
	struct env e;

	env_start(&e, 0);
	env_backend(&e, NULL);
	env_connect(&e, &c, 1);
	held_read(&held, getpid());
	linux_backend_destroy(e.backend);
	hosttap_close(&e.lane);
	e.backend = NULL;
	wait_gone(&held, getpid());
	env_close(&c, 1);
	env_stop(&e);
}

/* trap 3: the kernel, which knows nothing of an offloaded flow, sends no reset for it; trap 13: its
 * port stays taken. */
static void test_owned_flow_is_guarded(void **state)
{
	struct linux_backend_counters counters;
	struct fixture f;
	u64 frames;

	start(&f);
	env_offload(&f.e, &f.m, 0, 1);
	f.e.shared->talkers = 1;
	while (!env_park(&f.e))
		env_sleep_ms(1);
	env_pause(&f.e);
	/* Frames that reach the kernel all the same: it answers with a reset, which goes nowhere.
	 */
	frames = f.e.n_parked;
	env_inject(&f.e);
	do {
		env_sleep_ms(1);
		linux_backend_counters(f.e.backend, &counters);
	} while (counters.steer[STEER_GUARD_RESETS] < frames);
	assert_int_equal(counters.steer[STEER_GUARD_RESETS], frames);
	assert_int_equal(env_counter(&f.e, 0, "snmp", "OutRsts"), frames);
	assert_int_equal(f.e.shared->errors, 0);
	env_moves_free(&f.e, &f.m);
	env_close(&f.c, 1);
	env_stop(&f.e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_freeze),
		cmocka_unit_test(test_pool_is_too_small),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_import_half_closed),
		cmocka_unit_test(test_nothing_is_left_after_exit),
		cmocka_unit_test(test_nothing_is_left_after_kill),
		cmocka_unit_test(test_owned_flow_is_guarded),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

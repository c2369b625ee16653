/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A process without privileges: what it has, what it has not, and how its end is seen. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/process.h"

enum { STALL_NS = 1000 };

/* Shared with the process. */
struct shared {
	struct ipc_heart heart;
	u32 uid, groups, caps, no_new_privs, open_fds;
	char got;
};

static struct shared *shared_make(void)
{
	void *mem = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
	                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(mem, MAP_FAILED);
	return mem;
}

/* Writes down what it is, then says so on its second descriptor, and waits on its first. */
static int look_round(void *ctx)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2] = {{1, 1, 1}};
	struct shared *s = ctx;
	char c = 'x';

	s->uid = geteuid();
	s->groups = (u32)getgroups(0, NULL);
	s->no_new_privs = (u32)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	syscall(SYS_capget, &head, caps);
	s->caps = caps[0].effective | caps[0].permitted | caps[1].effective | caps[1].permitted;
	for (int fd = 3; fd < 1024; fd++)
		s->open_fds += fcntl(fd, F_GETFD) >= 0;
	ipc_beat(&s->heart);
	if (write(4, &c, 1) != 1)
		return 1;
	return read(3, &s->got, 1) == 1 ? 42 : 1;
}

/* It has the descriptors that it was given, and no privilege */
static void nothing_but_what_it_was_given(void **state)
{
	struct shared *s = shared_make();
	struct ipc_process p;
	int to[2], from[2], other = open("/dev/null", O_RDONLY);
	char c = 0;

	assert_int_equal(pipe(to) | pipe(from), 0);
	assert_int_equal(ipc_start(&p,
	                           &(struct ipc_start){.run = look_round,
	                                               .ctx = s,
	                                               .fds = (int[]){to[0], from[1]},
	                                               .n_fds = 2,
	                                               .heart = &s->heart},
	                           0),
	                 0);
	assert_int_equal(read(from[0], &c, 1), 1);
	assert_int_equal(c, 'x');
	assert_int_equal(s->uid, geteuid() ? geteuid() : 65534);
	assert_true(geteuid() != 0 || s->groups == 0);
	assert_int_equal(s->caps, 0);
	assert_int_equal(s->no_new_privs, 1);
	assert_int_equal(s->open_fds, 2);
	assert_int_equal(ipc_look(&p, STALL_NS, STALL_NS), IPC_ALIVE);
	assert_int_equal(write(to[1], "y", 1), 1);
	assert_int_equal(poll(&(struct pollfd){.fd = p.pidfd, .events = POLLIN}, 1, -1), 1);
	assert_int_equal(ipc_look(&p, STALL_NS, STALL_NS), IPC_DEAD);
	assert_int_equal(s->got, 'y');
	assert_int_equal(WEXITSTATUS(ipc_end(&p)), 42);
	for (u32 i = 0; i < 2; i++)
		close(to[i]), close(from[i]);
	close(other);
	munmap(s, sizeof(*s));
}

/* R113: the counter moves or it does not, by the caller's clock; a kill is seen without it. */
static void heartbeat_and_death(void **state)
{
	struct shared *s = shared_make();
	struct ipc_process p;
	int to[2], from[2];
	char c;

	assert_int_equal(pipe(to) | pipe(from), 0);
	assert_int_equal(ipc_start(&p,
	                           &(struct ipc_start){.run = look_round,
	                                               .ctx = s,
	                                               .fds = (int[]){to[0], from[1]},
	                                               .n_fds = 2,
	                                               .heart = &s->heart},
	                           100),
	                 0);
	assert_int_equal(read(from[0], &c, 1), 1);
	assert_int_equal(ipc_look(&p, 5000, STALL_NS), IPC_ALIVE); /* it has moved */
	assert_int_equal(ipc_look(&p, 5000 + STALL_NS - 1, STALL_NS), IPC_ALIVE);
	assert_int_equal(ipc_look(&p, 5000 + STALL_NS, STALL_NS), IPC_STALLED);
	s->heart.beats = 0; /* anything else is a beat */
	assert_int_equal(ipc_look(&p, 9000, STALL_NS), IPC_ALIVE);
	assert_int_equal(kill(p.pid, SIGKILL), 0);
	assert_int_equal(poll(&(struct pollfd){.fd = p.pidfd, .events = POLLIN}, 1, -1), 1);
	assert_int_equal(ipc_look(&p, 9000, STALL_NS), IPC_DEAD);
	assert_int_equal(WTERMSIG(ipc_end(&p)), SIGKILL);
	for (u32 i = 0; i < 2; i++)
		close(to[i]), close(from[i]);
	munmap(s, sizeof(*s));
}

/* What cannot be handed over is an error of the start, and no process is left */
static void what_cannot_be_started(void **state)
{
	struct shared *s = shared_make();
	struct ipc_start start = {
		.run = look_round, .ctx = s, .fds = (int[]){1023}, .n_fds = 1, .heart = &s->heart};
	struct ipc_process p;

	assert_int_equal(ipc_start(&p, &start, 0), -EBADF);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	start.n_fds = IPC_FDS_MAX + 1;
	assert_int_equal(ipc_start(&p, &start, 0), -EINVAL);
	munmap(s, sizeof(*s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_but_what_it_was_given),
		cmocka_unit_test(heartbeat_and_death),
		cmocka_unit_test(what_cannot_be_started),
	};

	return RUN_TESTS(tests);
}

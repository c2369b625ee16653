/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "ipc/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	NOBODY = 65534,
	FIRST_FD = 3,
	/* Above all that the process keeps: where copies lie while they are put in order. */
	SPARE_FD = FIRST_FD + IPC_FDS_MAX + 1,
};

/* -- in the process -----------------------------------------------------------------------------
 */

/* Afterwards the named descriptors are 3, 4, ..., the report's is the next, and none is above. */
static int keep_fds(const struct ipc_start *s, int *report)
{
	int copy[IPC_FDS_MAX + 1];
	u32 n = s->n_fds;

	for (u32 i = 0; i <= n; i++) {
		copy[i] = fcntl(i < n ? s->fds[i] : *report, F_DUPFD, SPARE_FD);
		if (copy[i] < 0)
			return -errno;
	}
	for (u32 i = 0; i <= n; i++) {
		if (dup2(copy[i], FIRST_FD + (int)i) < 0)
			return -errno;
	}
	*report = FIRST_FD + (int)n;
	return syscall(SYS_close_range, FIRST_FD + n + 1, ~0u, 0) ? -errno : 0;
}

/* Groups, user, capabilities (a program file or the environment may have given some), and the ways
 * to have them again. */
static int drop_privileges(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	if (geteuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	                       setresuid(NOBODY, NOBODY, NOBODY)))
		return -errno;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
		return -errno;
	return syscall(SYS_capset, &head, none) ? -errno : 0;
}

static _Noreturn void run_process(const struct ipc_start *s, int report)
{
	int err = keep_fds(s, &report);

	err = err ? err : drop_privileges();
	if (err) {
		ssize_t told = write(report, &err, sizeof(err));

		_exit(told == sizeof(err) ? 1 : 2);
	}
	close(report);
	_exit(s->run(s->ctx));
}

/* -- in the parent ------------------------------------------------------------------------------
 */

/* 0: it closed its end without a word. */
static int await_report(int fd)
{
	int err = 0;
	ssize_t n;

	do
		n = read(fd, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == sizeof(err) ? err : 0;
}

int ipc_start(struct ipc_process *p, const struct ipc_start *s, u64 now_ns)
{
	int report[2], err;

	if (s->n_fds > IPC_FDS_MAX)
		return -EINVAL;
	if (pipe2(report, O_CLOEXEC))
		return -errno;
	*p = (struct ipc_process){.heart = s->heart, .moved_ns = now_ns};
	p->beats = __atomic_load_n(&s->heart->beats, __ATOMIC_RELAXED);
	p->pid = fork();
	if (p->pid == 0)
		run_process(s, report[1]);
	err = p->pid < 0 ? -errno : 0;
	close(report[1]);
	if (!err) {
		p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
		err = p->pidfd < 0 ? -errno : await_report(report[0]);
		if (err)
			(void)ipc_end(p);
	}
	close(report[0]);
	return err;
}

enum ipc_life ipc_look(struct ipc_process *p, u64 now_ns, u64 stall_ns)
{
	struct pollfd ended = {.fd = p->pidfd, .events = POLLIN};
	u64 beats = __atomic_load_n(&p->heart->beats, __ATOMIC_RELAXED);

	if (poll(&ended, 1, 0) > 0)
		return IPC_DEAD;
	if (beats != p->beats) {
		p->beats = beats;
		p->moved_ns = now_ns;
	}
	return now_ns - p->moved_ns >= stall_ns ? IPC_STALLED : IPC_ALIVE;
}

int ipc_end(struct ipc_process *p)
{
	int status = 0;
	pid_t got;

	(void)kill(p->pid, SIGKILL);
	do
		got = waitpid(p->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
	return status;
}

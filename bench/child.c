/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child's end of the control socket, for bench_child_ctl(). */
static int child_ctl = -1;

static int wait_exit(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int bench_net_shell(int ns, const char *command)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (setns(ns, CLONE_NEWNET) < 0)
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return wait_exit(pid);
}

static int new_namespace(int *ret_fd)
{
	int self = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int err = 0;

	if (self < 0)
		return -errno;
	if (unshare(CLONE_NEWNET) < 0) {
		err = -errno;
	} else {
		*ret_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (*ret_fd < 0)
			err = -errno;
		if (setns(self, CLONE_NEWNET) < 0)
			err = -errno;
	}
	close(self);
	return err;
}

static int configure_end(int ns, u32 end)
{
	char command[1024];

	snprintf(command, sizeof(command),
	         "exec 2>/dev/null; cd /proc/sys/net && "
	         "echo 1024 65535 > ipv4/ip_local_port_range && "
	         "echo reno > ipv4/tcp_congestion_control && "
	         "echo 20000 > core/somaxconn && echo 20000 > ipv4/tcp_max_syn_backlog && "
	         "echo 0 > ipv4/tcp_syncookies && "
	         "{ [ ! -d ipv6 ] || echo 1 > ipv6/conf/cb%u/disable_ipv6; } && "
	         "ip link set lo up && ip link set cb%u up txqueuelen 20000 && "
	         "ip addr add 10.77.0.%u/24 dev cb%u && "
	         "ip neigh replace 10.77.0.%u lladdr 02:00:00:00:00:0%u dev cb%u nud permanent",
	         end, end, end + 1, end, 2 - end, 2 - end, end);
	return bench_net_shell(ns, command);
}

int bench_net_open(struct bench_net *net, struct bench_run *run)
{
	char command[256];
	int err;

	net->ns[BENCH_LOCAL] = net->ns[BENCH_REMOTE] = -1;
	err = new_namespace(&net->ns[BENCH_LOCAL]);
	if (err == 0)
		err = new_namespace(&net->ns[BENCH_REMOTE]);
	if (err)
		return bench_fail(run, err, "cannot make network namespaces (root is needed): %s",
		                  strerror(-err));
	snprintf(command, sizeof(command),
	         "ip link add cb0 address 02:00:00:00:00:01 type veth peer name cb1 "
	         "address 02:00:00:00:00:02 netns /proc/%d/fd/%d",
	         getpid(), net->ns[BENCH_REMOTE]);
	err = bench_net_shell(net->ns[BENCH_LOCAL], command);
	for (u32 end = 0; err == 0 && end < BENCH_ENDS; end++)
		err = configure_end(net->ns[end], end);
	if (err)
		return bench_fail(run, err, "cannot set up a veth pair (iproute2, module veth)");
	return 0;
}

void bench_net_close(struct bench_net *net)
{
	for (u32 end = 0; end < BENCH_ENDS; end++) {
		if (net->ns[end] >= 0)
			close(net->ns[end]);
		net->ns[end] = -1;
	}
}

int bench_child_ctl(void)
{
	return child_ctl;
}

static void serve(const struct bench_child_config *config)
{
	struct bench_msg msg;

	while (recv(child_ctl, &msg, sizeof(msg), 0) == sizeof(msg)) {
		msg.why[0] = '\0';
		msg.err = config->handle(config->state, &msg);
		if (send(child_ctl, &msg, sizeof(msg), MSG_NOSIGNAL) != sizeof(msg))
			return;
	}
}

static void child_main(const struct bench_child_config *config, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (config->ns >= 0 && setns(config->ns, CLONE_NEWNET) < 0)
		_exit(1);
	if (config->cpu >= 0 && bench_pin((u32)config->cpu) < 0)
		_exit(1);
	serve(config);
	_exit(0);
}

int bench_child_start(struct bench_child *child, const struct bench_child_config *config)
{
	pid_t parent = getpid();
	int sv[2];

	*child = (struct bench_child){0};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -errno;
	fflush(stdout);
	child->pid = fork();
	if (child->pid < 0) {
		int err = -errno;

		child->pid = 0;
		close(sv[0]);
		close(sv[1]);
		return err;
	}
	if (child->pid == 0) {
		close(sv[0]);
		child_ctl = sv[1];
		child_main(config, parent);
	}
	close(sv[1]);
	child->ctl = sv[0];
	return 0;
}

int bench_child_send(struct bench_child *child, const struct bench_msg *msg)
{
	if (send(child->ctl, msg, sizeof(*msg), MSG_NOSIGNAL) != sizeof(*msg))
		return -EPIPE;
	return 0;
}

int bench_child_wait(struct bench_child *child, struct bench_msg *ret_msg, struct bench_run *run)
{
	struct pollfd p = {.fd = child->ctl, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, 120 * 1000);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return bench_fail(run, -ETIMEDOUT, "a child process did not answer in 120 s");
	if (n < 0 || recv(child->ctl, ret_msg, sizeof(*ret_msg), 0) != sizeof(*ret_msg))
		return bench_fail(run, -EPIPE, "a child process died");
	if (ret_msg->err)
		bench_fail(run, ret_msg->err, "%s: %s", ret_msg->why, strerror(-ret_msg->err));
	return ret_msg->err;
}

int bench_child_call(struct bench_child *child, struct bench_msg *msg, struct bench_run *run)
{
	if (bench_child_send(child, msg) < 0)
		return bench_fail(run, -EPIPE, "a child process died");
	return bench_child_wait(child, msg, run);
}

void bench_child_stop(struct bench_child *child)
{
	if (child->pid == 0)
		return;
	close(child->ctl);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	*child = (struct bench_child){0};
}

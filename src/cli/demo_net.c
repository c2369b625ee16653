/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The two hosts of `chimney demo`: veth, addresses, routes; by the ordinary tools. */
#include "cli/demo.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IP_WORDS_MAX = 24 };

static void ip_child(pid_t pid, int out, const char *const words[])
{
	char *argv[IP_WORDS_MAX + 2] = {"ip"};
	char path[64];

	for (int i = 0; words[i] && i < IP_WORDS_MAX; i++)
		argv[i + 1] = (char *)words[i];
	if (pid) {
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || setns(fd, CLONE_NEWNET))
			_exit(126);
	}
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	execvp("ip", argv);
	_exit(127);
}

int demo_ip(pid_t pid, char *text, size_t text_len, const char *const words[])
{
	int fds[2], status;
	size_t used = 0;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		close(fds[0]);
		close(fds[1]);
		return -errno;
	}
	if (!child)
		ip_child(pid, fds[1], words);
	close(fds[1]);
	for (;;) {
		char scrap[256];
		bool full = used + 1 >= text_len;
		ssize_t n = read(fds[0], full ? scrap : text + used,
		                 full ? sizeof(scrap) : text_len - used - 1);

		if (n <= 0)
			break;
		if (!full)
			used += (size_t)n;
	}
	if (text_len)
		text[used] = 0;
	close(fds[0]);
	if (waitpid(child, &status, 0) < 0)
		return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127) {
		snprintf(text, text_len, "the program ip is missing: install iproute2");
		return -ENOENT;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

#define IP(pid, ...)                                                    \
	do {                                                            \
		static const char *const words[] = {__VA_ARGS__, NULL}; \
		int _err = demo_ip((pid), text, text_len, words);       \
		if (_err)                                               \
			return _err;                                    \
	} while (0)

static int setup_link(pid_t server, pid_t client, char *text, size_t text_len)
{
	char s[16], c[16];
	const char *const add[] = {"link", "add",  DEMO_SERVER_IF, "netns", s, "type", "veth",
	                           "peer", "name", DEMO_CLIENT_IF, "netns", c, NULL};
	int err;

	snprintf(s, sizeof(s), "%d", server);
	snprintf(c, sizeof(c), "%d", client);
	err = demo_ip(0, text, text_len, add);
	if (err)
		return err;
	IP(server, "link", "set", "lo", "up");
	IP(client, "link", "set", "lo", "up");
	IP(server, "link", "set", DEMO_SERVER_IF, "txqueuelen", "10000", "up");
	IP(client, "link", "set", DEMO_CLIENT_IF, "txqueuelen", "10000", "up");
	return 0;
}

static int setup_addresses(pid_t server, pid_t client, char *text, size_t text_len)
{
	IP(server, "addr", "add", DEMO_SERVER_IP4 "/24", "dev", DEMO_SERVER_IF);
	IP(server, "addr", "add", DEMO_SERVER_IP6 "/64", "dev", DEMO_SERVER_IF, "nodad");
	IP(client, "addr", "add", DEMO_GATEWAY_IP4 "/24", "dev", DEMO_CLIENT_IF);
	IP(client, "addr", "add", DEMO_GATEWAY_IP6 "/64", "dev", DEMO_CLIENT_IF, "nodad");
	IP(client, "addr", "add", DEMO_CLIENT_IP6 "/128", "dev", "lo", "nodad");
	for (int i = 1; i <= DEMO_CLIENT_ADDRS; i++) {
		char addr[32];
		const char *const add[] = {"addr", "add", addr, "dev", "lo", NULL};
		int err;

		snprintf(addr, sizeof(addr), DEMO_CLIENT_NET4 "%d/32", i);
		err = demo_ip(client, text, text_len, add);
		if (err)
			return err;
	}
	IP(server, "route", "add", DEMO_CLIENT_NET4 "0/24", "via", DEMO_GATEWAY_IP4);
	IP(server, "-6", "route", "add", "fd78::/64", "via", DEMO_GATEWAY_IP6);
	return 0;
}

int demo_net_setup(pid_t server, pid_t client, char *text, size_t text_len)
{
	int err = setup_link(server, client, text, text_len);

	return err ? err : setup_addresses(server, client, text, text_len);
}

int demo_net_accept_any_mac(const char *interface)
{
	/* bpf_skb_change_type(skb, PACKET_HOST); return TC_ACT_UNSPEC; */
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 0},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_change_type},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(interface),
	            .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1);
	int err;

	opts.prog_fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "any_mac", "GPL", insns,
	                             ARRAY_SIZE(insns), NULL);
	if (opts.prog_fd < 0)
		return opts.prog_fd;
	err = bpf_tc_hook_create(&hook);
	if (!err)
		err = bpf_tc_attach(&hook, &opts);
	close(opts.prog_fd);
	return err;
}

u64 demo_read_resets(void)
{
	char names[2048], values[2048];
	u64 sum = 0;
	FILE *f = fopen("/proc/thread-self/net/snmp", "re");

	if (!f)
		return 0;
	while (fgets(names, sizeof(names), f) && fgets(values, sizeof(values), f)) {
		char *n_save, *v_save, *n, *v;

		if (strncmp(names, "Tcp:", 4))
			continue;
		n = strtok_r(names, " \n", &n_save);
		v = strtok_r(values, " \n", &v_save);
		for (; n && v;
		     n = strtok_r(NULL, " \n", &n_save), v = strtok_r(NULL, " \n", &v_save)) {
			if (!strcmp(n, "EstabResets") || !strcmp(n, "OutRsts"))
				sum += strtoull(v, NULL, 10);
		}
	}
	fclose(f);
	return sum;
}

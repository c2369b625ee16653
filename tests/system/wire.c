/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire.h"

#include "unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include "base/csum.h"

static const u8 mac_near[6] = {0x02, 0, 0, 0, 0, 1};
static const u8 mac_far[6] = {0x02, 0, 0, 0, 0, 2};

void wire_ip(const char *words)
{
	char line[512];

	snprintf(line, sizeof(line), "ip %s", words);
	assert_int_equal(system(line), 0);
}

/* A process in a namespace of its own, which lasts as long as somebody uses it. */
static pid_t spawn_namespace(void)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		byte = unshare(CLONE_NEWNET) == 0;
		if (write(ready[1], &byte, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(byte);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1, bytes = 32 << 20;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)), 0);
	at.sll_ifindex = (int)if_nametoindex(name);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void set_up_far(struct wire *w, pid_t far)
{
	char path[64];
	int near_ns, far_ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", far);
	near_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	far_ns = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(far_ns, CLONE_NEWNET), 0);
	wire_ip("link set " WIRE_FAR " address 02:00:00:00:00:02 addrgenmode none arp off up");
	w->far_fd = packet_socket(WIRE_FAR);
	assert_int_equal(setns(near_ns, CLONE_NEWNET), 0);
	close(near_ns);
	w->far_ns_fd = far_ns;
}

bool wire_setup(struct wire *w, u32 queues)
{
	char words[256];
	pid_t far;

	*w = (struct wire){.far_fd = -1, .attached_fd = -1, .queues = queues};
	if (unshare(CLONE_NEWNET)) {
		printf("skipped: no network namespace can be made: %s\n", strerror(errno));
		return false;
	}
	far = spawn_namespace();
	snprintf(words, sizeof(words),
	         "link add " WIRE_NEAR
	         " numrxqueues %u numtxqueues %u type veth peer name " WIRE_FAR
	         " numrxqueues %u numtxqueues %u netns %d",
	         queues, queues, queues, queues, far);
	wire_ip(words);
	wire_ip("link set " WIRE_NEAR " address 02:00:00:00:00:01 addrgenmode none arp off up");
	w->near_ifindex = if_nametoindex(WIRE_NEAR);
	set_up_far(w, far);
	kill(far, SIGKILL);
	waitpid(far, NULL, 0);
	return true;
}

void wire_teardown(struct wire *w)
{
	close(w->far_fd);
	close(w->far_ns_fd);
	if (w->attached_fd >= 0)
		close(w->attached_fd);
	/* The namespaces go with the last descriptor and with this one left. */
	assert_int_equal(unshare(CLONE_NEWNET), 0);
}

/* if (protocol is ours or IPv4) return bpf_redirect(to, 0); return TC_ACT_OK; */
int wire_redirect_at(u32 from_ifindex, u32 to_ifindex)
{
	const struct bpf_insn program[] = {
		{BPF_LDX | BPF_MEM | BPF_W, 2, 1, 16, 0}, /* skb->protocol */
		{BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 3, htons(WIRE_ETHERTYPE)},
		{BPF_JMP | BPF_JEQ | BPF_K, 2, 0, 2, htons(ETH_P_IP)},
		{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
		{BPF_ALU64 | BPF_MOV | BPF_K, 1, 0, 0, (s32)to_ifindex},
		{BPF_ALU64 | BPF_MOV | BPF_K, 2, 0, 0, 0},
		{BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)from_ifindex,
	                    .attach_point = BPF_TC_INGRESS);
	DECLARE_LIBBPF_OPTS(bpf_tc_opts, opts);
	int fd;

	fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "wire_redirect", "GPL", program,
	                   ARRAY_SIZE(program), NULL);
	assert_true(fd >= 0);
	opts.prog_fd = fd;
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
	return fd;
}

void wire_redirect(struct wire *w, u32 to_ifindex)
{
	w->attached_fd = wire_redirect_at(w->near_ifindex, to_ifindex);
}

void wire_enter_far(const struct wire *w)
{
	assert_int_equal(setns(w->far_ns_fd, CLONE_NEWNET), 0);
}

void wire_wait(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, 10000), 1);
}

bool wire_far_queue(struct wire *w, u32 queue)
{
	int one = 1;
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(queue, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		return false;
	assert_int_equal(setsockopt(w->far_fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)),
	                 0);
	return true;
}

static void far_write(struct wire *w, struct virtio_net_hdr *v, u8 *frame, u32 len)
{
	struct iovec iov[2] = {{v, sizeof(*v)}, {frame, len}};

	assert_int_equal(writev(w->far_fd, iov, 2), (ssize_t)(sizeof(*v) + len));
}

void wire_far_send(struct wire *w, u8 tag, u32 len)
{
	static u8 frame[WIRE_FRAME_MAX];
	struct virtio_net_hdr v = {0};

	memcpy(frame, mac_near, 6);
	memcpy(frame + 6, mac_far, 6);
	frame[12] = WIRE_ETHERTYPE >> 8;
	frame[13] = WIRE_ETHERTYPE & 0xff;
	for (u32 i = 14; i < len; i++)
		frame[i] = wire_pattern(i);
	frame[14] = tag;
	far_write(w, &v, frame, len);
}

static void ipv4_header(u8 *ip, u32 len, bool from_far)
{
	static const u8 near[4] = {192, 0, 2, 1}, far[4] = {192, 0, 2, 2};
	u16 check;

	ip[0] = 0x45;
	ip[2] = (u8)(len >> 8);
	ip[3] = (u8)len;
	ip[6] = 0x40;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, from_far ? far : near, 4);
	memcpy(ip + 16, from_far ? near : far, 4);
	check = csum_finish(csum_bytes(0, ip, 20));
	memcpy(ip + 10, &check, 2);
}

void wire_tcp_headers(u8 *to, u32 payload, bool from_far)
{
	u8 *ip = to + 14, *tcp = to + 34;
	u16 pseudo;

	memset(to, 0, WIRE_TCP_HEADERS);
	memcpy(to, from_far ? mac_near : mac_far, 6);
	memcpy(to + 6, from_far ? mac_far : mac_near, 6);
	to[12] = 8;
	ipv4_header(ip, 20 + 32 + payload, from_far);
	tcp[0] = tcp[2] = 0x10;
	tcp[12] = 0x80;
	tcp[13] = 0x10;
	tcp[14] = 0xff;
	memset(tcp + 20, 1, 12); /* options: padding */
	pseudo = csum_fold(csum_bytes(0, ip + 12, 8) + cpu_to_be16(6) +
	                   cpu_to_be16((u16)(32 + payload)));
	memcpy(tcp + 16, &pseudo, 2);
}

static void far_send_tcp(struct wire *w, u32 payload, struct virtio_net_hdr *v)
{
	static u8 frame[WIRE_FRAME_MAX];

	wire_tcp_headers(frame, payload, true);
	for (u32 i = 0; i < payload; i++)
		frame[WIRE_TCP_HEADERS + i] = wire_pattern(i);
	v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	v->csum_start = 34;
	v->csum_offset = 16;
	far_write(w, v, frame, WIRE_TCP_HEADERS + payload);
}

void wire_far_send_super(struct wire *w, u32 payload)
{
	struct virtio_net_hdr v = {
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = WIRE_TCP_HEADERS,
		.gso_size = 1448,
	};

	far_send_tcp(w, payload, &v);
}

void wire_far_send_tcp(struct wire *w, u32 payload)
{
	struct virtio_net_hdr v = {0};

	far_send_tcp(w, payload, &v);
}

u32 wire_far_receive(struct wire *w, u8 *to, u32 cap, u16 *ret_gso_bytes)
{
	struct virtio_net_hdr v;
	struct iovec iov[2] = {{&v, sizeof(v)}, {to, cap}};
	ssize_t n;

	wire_wait(w->far_fd);
	n = readv(w->far_fd, iov, 2);
	assert_true(n > (ssize_t)sizeof(v));
	if (ret_gso_bytes)
		*ret_gso_bytes = v.gso_type == VIRTIO_NET_HDR_GSO_NONE ? 0 : v.gso_size;
	return (u32)n - (u32)sizeof(v);
}

void wire_far_ip(const struct wire *w, const char *words)
{
	int near_ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

	wire_enter_far(w);
	wire_ip(words);
	assert_int_equal(setns(near_ns, CLONE_NEWNET), 0);
	close(near_ns);
}

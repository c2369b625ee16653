// SPDX-License-Identifier: BSD-2-Clause-Patent
/* What the host takes of a managed port beside whole segments: ICMP errors about offloaded flows
 * (trap 19) and IP fragments (semantics 5.9); and what steering must leave alone. */
#include "linux_env.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include "base/csum.h"
#include "linux/events.h"
#include "linux/routes.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/tcp.h"

struct seen {
	tcp_seq snd_una, snd_nxt;
	u32 mtu_changes, mtu;
};

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void on_mtu(void *ctx, const struct path_key *path, u32 mtu)
{
	struct seen *s = ctx;

	s->mtu_changes++;
	s->mtu = mtu;
}

static bool in_flight(void *ctx, const struct flow_key *flow, tcp_seq seq)
{
	struct seen *s = ctx;

	return seq_geq(seq, s->snd_una) && seq_lt(seq, s->snd_nxt);
}

static const struct events_ops ops = {.path_mtu = on_mtu, .in_flight = in_flight};

struct fixture {
	struct env e;
	struct env_conn c;
	struct env_moves m;
	struct events *events;
	struct seen seen;
};

static void start(struct fixture *f)
{
	env_start(&f->e, 0);
	env_backend(&f->e, NULL);
	memset(&f->seen, 0, sizeof(f->seen));
	assert_int_equal(events_create(f->e.backend, &ops, &f->seen, &f->events), 0);
}

static void stop(struct fixture *f)
{
	events_destroy(f->events);
	env_moves_free(&f->e, &f->m);
	env_close(&f->c, 1);
	env_stop(&f->e);
}

/* A segment from `src` to `dst` with the connection's ports, its checksum right. */
struct segment {
	struct ip_addr src, dst;
	u16 sport, dport;
	tcp_seq seq, ack;
	u32 bytes;
	u32 ts_val, ts_ecr;
};

static u32 tcp_bytes(const struct segment *s, u8 *to)
{
	struct wire_tcp tcp = {.src_port = s->sport,
	                       .dst_port = s->dport,
	                       .seq = s->seq,
	                       .ack = s->ack,
	                       .wnd = 500,
	                       .flags = WIRE_ACK | WIRE_PSH};
	u32 n;
	u64 sum;
	be16 csum;

	tcp.options.present = WIRE_OPT_TIMESTAMPS;
	tcp.options.ts_val = s->ts_val;
	tcp.options.ts_ecr = s->ts_ecr;
	n = wire_tcp_write(to, &tcp);
	for (u32 i = 0; i < s->bytes; i++)
		to[n + i] = (u8)(i * 3);
	n += s->bytes;
	sum = csum_bytes(csum_bytes(0, s->src.b + 12, 4), s->dst.b + 12, 4);
	sum = csum_add(csum_add(sum, cpu_to_be16((u16)n)), cpu_to_be16(6));
	csum = csum_finish(csum_bytes(sum, to, n));
	memcpy(to + 16, &csum, 2);
	return n;
}

static struct ip_addr v4(const char *text)
{
	struct ip_addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};

	inet_pton(AF_INET, text, a.b + 12);
	return a;
}

/* -- ICMP: a router with a narrow link behind it -------------------------------------------------
 */

/* The peer's namespace becomes the router; behind it a third one, 10.8.0.2, with MTU 1000. */
static pid_t behind_router(struct env *e)
{
	int ready[2];
	char c = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], &c, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	env_run_peer(e,
	             "sh -c 'sysctl -qw net.ipv4.ip_forward=1; ip link add q0 type veth peer name "
	             "r0 netns %d; ip link set q0 mtu 1000 up; ip addr add 10.8.0.1/24 dev q0'",
	             (int)pid);
	env_run("nsenter -t %d -n sh -c 'ip link set r0 mtu 1000 up; ip addr add 10.8.0.2/24 dev "
	        "r0; "
	        "ip route add default via 10.8.0.1'",
	        (int)pid);
	env_run("ip route add 10.8.0.0/24 via 10.9.0.2");
	return pid;
}

static void listen_behind(struct env *e, pid_t pid, int *ret_listener)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(ENV_PORT)};
	char path[64];
	FILE *ns;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	ns = fopen(path, "r");
	assert_non_null(ns);
	assert_int_equal(setns(fileno(ns), CLONE_NEWNET), 0);
	*ret_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*ret_listener, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(*ret_listener, 4), 0);
	assert_int_equal(setns(e->host_ns, CLONE_NEWNET), 0);
	fclose(ns);
}

/* The lane sends a segment of 1400 bytes with DF: too long for the link behind the router. */
static void lane_sends(struct fixture *f, tcp_seq seq)
{
	u8 frame[2000], *p = frame;
	struct virtio_net_hdr h = {0};
	struct wire_link link = {.ethertype = WIRE_ETH_IP4};
	struct wire_ip ip = {.version = 4, .ttl = 64, .protocol = 6, .dont_fragment = 1};
	struct segment s = {.seq = seq, .bytes = 1400, .ts_val = 1};
	struct iovec iov[2] = {{&h, sizeof(h)}, {frame, 0}};
	u8 tcp[1600];
	u32 n;

	s.src = f->m.move[0].path.local;
	s.dst = f->m.move[0].path.remote;
	s.sport = f->m.move[0].local_port;
	s.dport = f->m.move[0].remote_port;
	n = tcp_bytes(&s, tcp);
	link.dst = f->m.neighbor[0].c.next_hop_mac;
	link.src = f->m.neighbor[0].k.source_mac;
	ip.src = s.src;
	ip.dst = s.dst;
	ip.payload_bytes = n;
	p += wire_link_write(p, &link);
	p += wire_ip_write(p, &ip);
	memcpy(p, tcp, n);
	iov[1].iov_len = (size_t)(p - frame) + n;
	assert_true(writev(f->e.lane.fd, iov, 2) > 0);
}

static void serve_until(struct fixture *f, const u64 *counter)
{
	struct events_counters c;
	u64 want;

	events_counters(f->events, &c);
	want = *(const u64 *)((const char *)&c + (size_t)counter) + 1;
	for (;;) {
		struct pollfd p = {.fd = events_fd(f->events), .events = POLLIN};

		events_serve(f->events, now_ns());
		events_counters(f->events, &c);
		if (*(const u64 *)((const char *)&c + (size_t)counter) >= want)
			return;
		assert_true(poll(&p, 1, 10000) == 1);
	}
}

#define COUNTER(name) ((const u64 *)offsetof(struct events_counters, name))

/* trap 19: the router's answer finds no socket; the host takes it, checks the quoted sequence (RFC
 * 5927) and the path's MTU is another one. */
static void test_path_mtu(void **state)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(ENV_PORT)};
	struct fixture f;
	int listener, fd;
	u64 later;
	pid_t pid;

	start(&f);
	pid = behind_router(&f.e);
	listen_behind(&f.e, pid, &listener);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	inet_pton(AF_INET, "10.8.0.2", &there.sin_addr);
	assert_int_equal(connect(fd, (struct sockaddr *)&there, sizeof(there)), 0);
	f.c = (struct env_conn){.fd = fd};
	env_moves_init(&f.m, &f.c, 1);
	env_offload(&f.e, &f.m, 0, 1);
	assert_int_equal(f.m.path[0].c.path_mtu, 1500);
	f.seen.snd_una = f.m.tcp[0].d.snd_nxt;
	f.seen.snd_nxt = seq_add(f.seen.snd_una, 1400);

	lane_sends(&f, seq_add(f.seen.snd_nxt, 1000000)); /* not ours: a forger's guess */
	serve_until(&f, COUNTER(icmp_refused));
	assert_int_equal(f.seen.mtu_changes, 0);
	lane_sends(&f, f.seen.snd_una);
	serve_until(&f, COUNTER(icmp_accepted));
	assert_int_equal(f.seen.mtu_changes, 1);
	assert_int_equal(f.seen.mtu, 1000);
	/* RFC 1191 6.3: after ten minutes the path is tried with its own MTU again. */
	later = now_ns() + 601 * NS_PER_S;
	events_serve(f.events, later);
	assert_int_equal(f.seen.mtu, 1500);
	close(listener);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	stop(&f);
}

/* -- fragments ------------------------------------------------------------------------------------
 */

static int peer_packet_socket(struct env *e)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd;

	assert_int_equal(setns(e->peer_ns, CLONE_NEWNET), 0);
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	at.sll_ifindex = (int)if_nametoindex("p0");
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(setns(e->host_ns, CLONE_NEWNET), 0);
	return fd;
}

static void send_fragment(int fd, const struct wire_link *link, struct wire_ip ip,
                          const u8 *payload, u32 total, u32 from, u32 len)
{
	u8 frame[2000];
	u32 n;

	ip.frag_off = (u16)from;
	ip.more_fragments = from + len < total;
	ip.payload_bytes = len;
	n = wire_link_write(frame, link);
	n += wire_ip_write(frame + n, &ip);
	memcpy(frame + n, payload + from, len);
	assert_int_equal(send(fd, frame, n + len, 0), n + len);
}

/* The peer sends `bytes` in three fragments, the last first. */
static void peer_sends_fragments(struct fixture *f, const struct sock_export *at, u32 bytes)
{
	struct wire_link link = {.ethertype = WIRE_ETH_IP4};
	struct wire_ip ip = {.version = 4, .ttl = 64, .protocol = 6, .id = 4711};
	struct segment s = {.src = v4("10.9.0.2"),
	                    .dst = v4("10.9.0.1"),
	                    .sport = at->remote_port,
	                    .dport = at->local_port,
	                    .seq = seq_of(at->rcv_nxt),
	                    .ack = seq_of(at->snd_una),
	                    .bytes = bytes,
	                    .ts_val = at->ts_recent};
	int fd = peer_packet_socket(&f->e);
	u8 tcp[4096];
	u32 n = tcp_bytes(&s, tcp);

	assert_true(routes_interface_mac(f->e.ifindex, &link.dst));
	ip.src = s.src;
	ip.dst = s.dst;
	send_fragment(fd, &link, ip, tcp, n, 1600, n - 1600);
	send_fragment(fd, &link, ip, tcp, n, 0, 800);
	send_fragment(fd, &link, ip, tcp, n, 800, 800);
	close(fd);
}

/* Semantics 5.9: the host puts fragments together and forwards them to the target. */
static void test_fragments_of_an_offloaded_flow(void **state)
{
	struct sock_export before;
	struct fixture f;

	start(&f);
	env_connect(&f.e, &f.c, 1);
	env_moves_init(&f.m, &f.c, 1);
	before = env_export(f.c.fd);
	env_offload(&f.e, &f.m, 0, 1);
	peer_sends_fragments(&f, &before, 2000);
	serve_until(&f, COUNTER(reassembled));
	while (!env_park(&f.e))
		env_sleep_ms(1);
	assert_int_equal(f.e.n_parked, 1);
	assert_int_equal(f.e.parked[0].len, 14 + 20 + 32 + 2000);
	/* And the kernel takes it when it is handed over as a parked frame. */
	env_upload(&f.e, &f.m, 0, 1);
	while (env_export(f.c.fd).rcv_nxt != before.rcv_nxt + 2000)
		env_sleep_ms(1);
	assert_int_equal(env_counter(&f.e, 0, "snmp", "OutRsts"), 0);
	stop(&f);
}

/* Those of the kernel's own connections still reach it. */
static void test_fragments_of_a_kernel_flow(void **state)
{
	struct sock_export before;
	struct fixture f;

	start(&f);
	env_connect(&f.e, &f.c, 1);
	env_moves_init(&f.m, &f.c, 1);
	before = env_export(f.c.fd);
	peer_sends_fragments(&f, &before, 2000);
	serve_until(&f, COUNTER(reassembled));
	while (env_export(f.c.fd).rcv_nxt != before.rcv_nxt + 2000)
		env_sleep_ms(1);
	assert_int_equal(env_park(&f.e), 0);
	stop(&f);
}

/* RFC 5722: an overlap ends the datagram. */
static void test_overlapping_fragments(void **state)
{
	struct wire_link link = {.ethertype = WIRE_ETH_IP4};
	struct wire_ip ip = {.version = 4, .ttl = 64, .protocol = 6, .id = 1};
	struct events_counters counters;
	u8 payload[1600] = {0};
	struct fixture f;
	int fd;

	start(&f);
	env_connect(&f.e, &f.c, 1);
	env_moves_init(&f.m, &f.c, 1);
	fd = peer_packet_socket(&f.e);
	assert_true(routes_interface_mac(f.e.ifindex, &link.dst));
	ip.src = v4("10.9.0.2");
	ip.dst = v4("10.9.0.1");
	send_fragment(fd, &link, ip, payload, 1600, 0, 800);
	send_fragment(fd, &link, ip, payload, 1600, 400, 1200);
	serve_until(&f, COUNTER(fragments_dropped));
	events_counters(f.events, &counters);
	assert_int_equal(counters.reassembled, 0);
	close(fd);
	stop(&f);
}

/* Superframes of 64 KiB are parked whole and handed to the kernel whole. */
static void test_superframes_are_injected_whole(void **state)
{
	struct fixture f;
	u32 longest = 0;

	start(&f);
	env_connect(&f.e, &f.c, 1);
	env_run_peer(&f.e, "ip link set p0 gso_max_size 65536");
	env_moves_init(&f.m, &f.c, 1);
	env_mark(&f.e);
	f.e.shared->burst = 1;
	f.e.shared->talkers = 1;
	for (u32 turn = 0; turn < 500 && longest < 30000; turn++) {
		for (u32 i = 0; i < 20; i++) {
			env_sleep_ms(1);
			env_read(&f.c);
		}
		env_moves_free(&f.e, &f.m);
		env_moves_init(&f.m, &f.c, 1);
		env_offload(&f.e, &f.m, 0, 1);
		env_sleep_ms(5);
		env_park(&f.e);
		for (u32 i = 0; i < f.e.n_parked; i++)
			longest = max_of(longest, f.e.parked[i].len);
		env_upload(&f.e, &f.m, 0, 1);
	}
	printf("longest frame parked: %u bytes\n", longest);
	assert_true(longest >= 30000);
	env_pause(&f.e);
	env_drain(&f.e, &f.c);
	env_unnoticed(&f.e);
	stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_mtu),
		cmocka_unit_test(test_fragments_of_an_offloaded_flow),
		cmocka_unit_test(test_fragments_of_a_kernel_flow),
		cmocka_unit_test(test_overlapping_fragments),
		cmocka_unit_test(test_superframes_are_injected_whole),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

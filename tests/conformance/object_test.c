/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The shared object as packetdrill sees it: loaded, all pointers there, one connection driven
 * through its functions, a call that waits in a second thread, libc's getsockopt().
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/csum.h"
#include "packetdrill/interface.h"
#include "wire/ip.h"
#include "wire/tcp.h"

enum {
	PORT = 8080,
	PEER_PORT = 33000,
	HEADERS = 40,
};

static const char *object_path;
static void (*init)(const char *flags, struct packetdrill_interface *ifc);
static int (*move)(void *userdata, int to_target);
static int (*object_getsockopt)(int fd, int level, int name, void *value, socklen_t *len);

struct stack {
	struct packetdrill_interface i;
	int listener, fd;
	u32 iss, acked; /* the stack's first number, and what we acknowledge */
	u32 sent;       /* our bytes */
};

static int open_object(void **state)
{
	void *so = dlopen(object_path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!so)
		return -1;
	*(void **)&init = dlsym(so, "packetdrill_interface_init");
	*(void **)&move = dlsym(so, "chimney_packetdrill_move");
	*(void **)&object_getsockopt = dlsym(so, "getsockopt");
	return init && move && object_getsockopt ? 0 : -1;
}

static struct ip_addr addr4(const u8 b[4])
{
	return (struct ip_addr){.b = {[10] = 0xff,
	                              [11] = 0xff,
	                              [12] = b[0],
	                              [13] = b[1],
	                              [14] = b[2],
	                              [15] = b[3]}};
}

/* A segment of the peer 10.0.0.2 to 10.0.0.1. */
static void inject(struct stack *s, u8 flags, u32 seq, u32 ack, const char *text)
{
	const struct ip_addr src = addr4((const u8[]){10, 0, 0, 2}),
			     dst = addr4((const u8[]){10, 0, 0, 1});
	u32 n = (u32)strlen(text);
	const struct wire_ip ip = {.src = src,
	                           .dst = dst,
	                           .version = 4,
	                           .ttl = 64,
	                           .protocol = WIRE_IPPROTO_TCP,
	                           .payload_bytes = WIRE_TCP_BYTES + n};
	struct wire_tcp tcp = {.src_port = PEER_PORT,
	                       .dst_port = PORT,
	                       .seq = seq_of(seq),
	                       .ack = seq_of(ack),
	                       .wnd = 8192,
	                       .flags = flags};
	u8 packet[256];
	u32 at = wire_ip_write(packet, &ip);
	be16 csum;

	wire_tcp_write(packet + at, &tcp);
	memcpy(packet + at + WIRE_TCP_BYTES, text, n);
	csum = csum_finish(csum_bytes(csum_pseudo(&src, &dst, WIRE_IPPROTO_TCP, WIRE_TCP_BYTES + n),
	                              packet + at, WIRE_TCP_BYTES + n));
	memcpy(packet + at + 16, &csum, 2);
	assert_int_equal(s->i.netdev_send(s->i.userdata, packet, at + WIRE_TCP_BYTES + n), 0);
}

/* The next segment of the stack; its payload is in `text`. */
static struct wire_tcp receive(struct stack *s, char text[256])
{
	static u8 packet[65536];
	struct wire_ip ip;
	struct wire_tcp tcp;
	size_t n = sizeof(packet);
	long long usecs;

	assert_int_equal(s->i.netdev_receive(s->i.userdata, packet, &n, &usecs), 0);
	assert_true(n > 0);
	assert_int_equal(wire_ip_parse(packet, (u32)n, &ip), WIRE_OK);
	assert_int_equal(wire_tcp_parse(packet + ip.header_bytes, ip.payload_bytes, &tcp), WIRE_OK);
	n -= ip.header_bytes + tcp.header_bytes;
	memcpy(text, packet + ip.header_bytes + tcp.header_bytes, n);
	text[n] = 0;
	return tcp;
}

static void start(struct stack *s, const char *flags)
{
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in peer = {0};
	socklen_t len = sizeof(peer);
	struct wire_tcp tcp;
	char text[256];

	*s = (struct stack){.sent = 0};
	init(flags, &s->i);
	for (void **p = (void **)&s->i.free; p < (void **)(&s->i + 1); p++)
		assert_non_null(*p);
	s->listener = s->i.socket(s->i.userdata, AF_INET, SOCK_STREAM, 0);
	assert_true(s->listener >= 0);
	assert_int_equal(s->i.bind(s->i.userdata, s->listener, (void *)&any, sizeof(any)), 0);
	assert_int_equal(s->i.listen(s->i.userdata, s->listener, 5), 0);
	inject(s, WIRE_SYN, 999, 0, "");
	tcp = receive(s, text);
	assert_int_equal(tcp.flags, WIRE_SYN | WIRE_ACK);
	assert_int_equal(tcp.ack.n, 1000);
	s->iss = tcp.seq.n;
	s->acked = s->iss + 1;
	inject(s, WIRE_ACK, 1000, s->acked, "");
	s->fd = s->i.accept(s->i.userdata, s->listener, (void *)&peer, &len);
	assert_true(s->fd >= 0);
	assert_int_equal(ntohs(peer.sin_port), PEER_PORT);
	assert_int_equal(ntohl(peer.sin_addr.s_addr), 0x0a000002);
}

static void drives_a_connection(void **state)
{
	struct stack s;
	struct wire_tcp tcp;
	char text[256];

	start(&s, "local=10.0.0.1,sysctl=off");
	assert_int_equal(move(s.i.userdata, 1), 1);
	inject(&s, WIRE_ACK | WIRE_PSH, 1000, s.acked, "question");
	assert_int_equal(s.i.read(s.i.userdata, s.fd, text, sizeof(text)), 8);
	assert_memory_equal(text, "question", 8);
	assert_int_equal(s.i.write(s.i.userdata, s.fd, "answer", 6), 6);
	tcp = receive(&s, text);
	assert_string_equal(text, "answer");
	assert_int_equal(tcp.ack.n, 1008);
	assert_int_equal(move(s.i.userdata, 0), 0);
	inject(&s, WIRE_ACK | WIRE_FIN, 1008, s.acked + 6, "");
	assert_int_equal(s.i.read(s.i.userdata, s.fd, text, sizeof(text)), 0);
	s.i.free(s.i.userdata);
}

static void clock_runs_on(void **state)
{
	struct timeval a, b, c;
	struct stack s;

	start(&s, "local=10.0.0.1,sysctl=off");
	s.i.gettimeofday(s.i.userdata, &a, NULL);
	s.i.gettimeofday(s.i.userdata, &b, NULL);
	assert_true(timercmp(&a, &b, <));
	s.i.usleep(s.i.userdata, 500000000);
	s.i.gettimeofday(s.i.userdata, &c, NULL);
	assert_in_range(c.tv_sec - b.tv_sec, 499, 501);
	s.i.free(s.i.userdata);
}

/* Nothing will come: count 0, at once. */
static void says_that_no_packet_comes(void **state)
{
	static u8 packet[65536];
	size_t n = sizeof(packet);
	struct stack s;
	long long usecs;

	start(&s, "local=10.0.0.1,sysctl=off");
	assert_int_equal(s.i.netdev_receive(s.i.userdata, packet, &n, &usecs), 0);
	assert_int_equal(n, 0);
	s.i.free(s.i.userdata);
}

struct reader {
	struct stack *s;
	struct timeval end;
	char text[64];
	ssize_t n;
};

static void *read_in_thread(void *ctx)
{
	struct reader *r = ctx;

	r->n = r->s->i.read(r->s->i.userdata, r->s->fd, r->text, sizeof(r->text));
	r->s->i.gettimeofday(r->s->i.userdata, &r->end, NULL);
	return NULL;
}

/* The clock waits until the thread that was woken has read it. */
static void wakes_the_other_thread_in_time(void **state)
{
	struct reader r = {0};
	struct timeval sent;
	struct stack s;
	pthread_t thread;

	start(&s, "local=10.0.0.1,sysctl=off");
	r.s = &s;
	assert_int_equal(pthread_create(&thread, NULL, read_in_thread, &r), 0);
	usleep(50000); /* most often it is asleep by then; the result is the same if not */
	s.i.usleep(s.i.userdata, 1000);
	s.i.gettimeofday(s.i.userdata, &sent, NULL);
	inject(&s, WIRE_ACK | WIRE_PSH, 1000, s.acked, "bytes");
	s.i.usleep(s.i.userdata, 5000000);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.n, 5);
	assert_memory_equal(r.text, "bytes", 5);
	s.i.free(s.i.userdata);
}

static void answers_for_libc(void **state)
{
	struct tcp_info info = {0};
	socklen_t len = sizeof(info);
	struct stack s;
	int type, real = socket(AF_INET, SOCK_STREAM, 0);

	start(&s, "local=10.0.0.1,sysctl=off");
	assert_int_equal(object_getsockopt(s.fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_state, 1);
	assert_true(len >= 232);
	len = sizeof(type);
	assert_int_equal(object_getsockopt(real, SOL_SOCKET, SO_TYPE, &type, &len), 0);
	assert_int_equal(type, SOCK_STREAM);
	assert_int_equal(object_getsockopt(-1, SOL_SOCKET, SO_TYPE, &type, &len), -1);
	assert_int_equal(errno, EBADF);
	close(real);
	s.i.free(s.i.userdata);
}

static void descriptors_are_real(void **state)
{
	struct stack s;

	start(&s, "local=10.0.0.1,sysctl=off");
	assert_int_equal(s.i.close(s.i.userdata, s.fd), 0);
	assert_int_equal(s.i.close(s.i.userdata, s.fd), -1);
	assert_int_equal(errno, EBADF);
	/* What a script leaves open is closed by libc's close. */
	assert_int_equal(close(s.listener), 0);
	s.i.free(s.i.userdata);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drives_a_connection),
		cmocka_unit_test(clock_runs_on),
		cmocka_unit_test(says_that_no_packet_comes),
		cmocka_unit_test(wakes_the_other_thread_in_time),
		cmocka_unit_test(answers_for_libc),
		cmocka_unit_test(descriptors_are_real),
	};

	object_path = argc > 1 ? argv[1] : "libchimney-packetdrill.so";
	return cmocka_run_group_tests(tests, open_object, NULL);
}

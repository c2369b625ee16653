/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "conns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CHUNK = 65536,
	SETTLE_ROUNDS = 200,
	VERIFY_BYTES = 64,
	WRITTEN_BYTES = 65536 * BENCH_ENDS * sizeof(u32),
};

static int fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

static void pattern(u8 *to, u32 len, u16 id, u32 from, enum bench_end sender)
{
	for (u32 i = 0; i < len; i++)
		to[i] = (u8)((from + i) * 31u + ((from + i) >> 8) + id * 7u + sender * 101u);
}

static struct sockaddr_in address(u32 ip, u16 port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

static int op_listen(struct conn_set *set, struct bench_msg *msg)
{
	struct sockaddr_in at = address(BENCH_REMOTE_IP, BENCH_PORT);
	int one = 1, bytes = (int)msg->v[0];

	set->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (set->listener < 0)
		return fail(msg, -errno, "socket");
	setsockopt(set->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bytes && setsockopt(set->listener, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) < 0)
		return fail(msg, -errno, "SO_RCVBUF");
	if (bind(set->listener, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(set->listener, 20000) < 0)
		return fail(msg, -errno, "bind and listen");
	return 0;
}

static int reserve(struct conn_set *set, u32 n, struct bench_msg *msg)
{
	set->conns = calloc(n, sizeof(*set->conns));
	return set->conns ? 0 : fail(msg, -ENOMEM, "memory for the connections");
}

static int add_conn(struct conn_set *set, int fd, const struct sockaddr_in *local_end)
{
	int one = 1;

	set->conns[set->n++] = (struct conn_end){.fd = fd, .id = ntohs(local_end->sin_port)};
	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ? -errno : 0;
}

static int op_connect(struct conn_set *set, struct bench_msg *msg)
{
	struct sockaddr_in to = address(BENCH_REMOTE_IP, BENCH_PORT), from;
	int err = reserve(set, (u32)msg->v[0], msg);

	for (u32 i = 0; err == 0 && i < msg->v[0]; i++) {
		socklen_t len = sizeof(from);
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0)
			return fail(msg, -errno, "socket");
		if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
		    getsockname(fd, (struct sockaddr *)&from, &len) < 0)
			return fail(msg, -errno, "connect");
		err = add_conn(set, fd, &from);
	}
	return err;
}

static int op_accept(struct conn_set *set, struct bench_msg *msg)
{
	struct sockaddr_in from;
	int err = reserve(set, (u32)msg->v[0], msg);

	for (u32 i = 0; err == 0 && i < msg->v[0]; i++) {
		struct pollfd p = {.fd = set->listener, .events = POLLIN};
		socklen_t len = sizeof(from);
		int fd;

		if (poll(&p, 1, 20000) != 1)
			return fail(msg, -ETIMEDOUT, "a connection did not arrive in 20 s");
		fd = accept(set->listener, (struct sockaddr *)&from, &len);
		if (fd < 0)
			return fail(msg, -errno, "accept");
		err = add_conn(set, fd, &from);
	}
	return err;
}

static int write_some(struct conn_set *set, struct conn_end *c, u32 bytes, struct bench_msg *msg)
{
	static u8 buf[CHUNK];

	while (bytes) {
		u32 len = min_of(bytes, (u32)CHUNK);
		ssize_t n;

		pattern(buf, len, c->id, c->sent, set->end);
		n = send(c->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return fail(msg, -errno, "send");
		c->sent += (u32)n;
		bytes -= (u32)n;
	}
	set->written[c->id][set->end] = c->sent;
	return 0;
}

static int op_write(struct conn_set *set, struct bench_msg *msg)
{
	int err = 0;

	for (u32 i = 0; err == 0 && i < set->n; i++)
		err = write_some(set, &set->conns[i], (u32)msg->v[0], msg);
	return err;
}

/* Tops the send queue up to `bytes`; *ret_short counts the connections that needed it. */
static int top_up(struct conn_set *set, u32 bytes, u32 *ret_short, struct bench_msg *msg)
{
	int err = 0;

	for (u32 i = 0; err == 0 && i < set->n; i++) {
		struct conn_end *c = &set->conns[i];
		int queued = 0;

		if (ioctl(c->fd, SIOCOUTQ, &queued) < 0)
			return fail(msg, -errno, "SIOCOUTQ");
		if ((u32)queued >= bytes)
			continue;
		++*ret_short;
		err = write_some(set, c, bytes - (u32)queued, msg);
	}
	return err;
}

/* The other end does not read and has a small receive buffer: what exceeds it stays here. */
static int op_fill_send(struct conn_set *set, struct bench_msg *msg)
{
	u32 quiet = 0;

	for (u32 i = 0; i < SETTLE_ROUNDS && quiet < 5; i++) {
		u32 n_short = 0;
		int err = top_up(set, (u32)msg->v[0], &n_short, msg);

		if (err)
			return err;
		quiet = n_short ? 0 : quiet + 1;
		usleep(10000);
	}
	return quiet == 5 ? 0 : fail(msg, -ETIMEDOUT, "the send queues did not settle");
}

static int op_fill_check(struct conn_set *set, struct bench_msg *msg)
{
	for (u32 i = 0; i < set->n; i++) {
		int queued = -1;

		for (u32 k = 0; k < SETTLE_ROUNDS && (u32)queued != msg->v[0]; k++) {
			if (k)
				usleep(5000);
			if (ioctl(set->conns[i].fd, SIOCINQ, &queued) < 0)
				return fail(msg, -errno, "SIOCINQ");
		}
		if ((u32)queued != msg->v[0])
			return fail(msg, -EPROTO, "the receive queue is not as long as asked for");
	}
	return 0;
}

static enum bench_end other_end(enum bench_end end)
{
	return end == BENCH_LOCAL ? BENCH_REMOTE : BENCH_LOCAL;
}

static int read_all(struct conn_set *set, struct conn_end *c, struct bench_msg *msg)
{
	static u8 got[CHUNK], want[CHUNK];
	enum bench_end sender = other_end(set->end);

	while (c->read < set->written[c->id][sender]) {
		u32 left = set->written[c->id][sender] - c->read;
		struct pollfd p = {.fd = c->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 10000) != 1)
			return fail(msg, -ETIMEDOUT, "bytes did not arrive in 10 s");
		n = recv(c->fd, got, min_of(left, (u32)CHUNK), MSG_DONTWAIT);
		if (n <= 0)
			return fail(msg, n ? -errno : -EPIPE, "recv");
		pattern(want, (u32)n, c->id, c->read, sender);
		if (memcmp(got, want, (size_t)n) != 0)
			return fail(msg, -EBADMSG, "wrong bytes");
		c->read += (u32)n;
	}
	return 0;
}

static int op_read(struct conn_set *set, struct bench_msg *msg)
{
	int err = 0;

	for (u32 i = 0; err == 0 && i < set->n; i++)
		err = read_all(set, &set->conns[i], msg);
	return err;
}

int conn_set_handle(struct conn_set *set, struct bench_msg *msg)
{
	switch (msg->op) {
	case CONN_OP_LISTEN:
		return op_listen(set, msg);
	case CONN_OP_CONNECT:
		return op_connect(set, msg);
	case CONN_OP_ACCEPT:
		return op_accept(set, msg);
	case CONN_OP_FILL_SEND:
		return op_fill_send(set, msg);
	case CONN_OP_WRITE:
		return op_write(set, msg);
	case CONN_OP_FILL_CHECK:
		return op_fill_check(set, msg);
	case CONN_OP_READ:
		return op_read(set, msg);
	default:
		return fail(msg, -ENOSYS, "unknown operation");
	}
}

static int remote_handle(void *state, struct bench_msg *msg)
{
	return conn_set_handle(state, msg);
}

static int call(struct conn_world *world, enum bench_end end, u32 op, u64 v0, struct bench_run *run)
{
	struct bench_msg msg = {.op = op, .v = {v0}};

	return bench_child_call(&world->child[end], &msg, run);
}

static int connect_all(struct conn_world *world, struct bench_run *run)
{
	struct bench_msg accepting = {.op = CONN_OP_ACCEPT, .v = {world->n}}, answer;
	int err = call(world, BENCH_REMOTE, CONN_OP_LISTEN, world->queued ? 4096 : 0, run);

	if (err == 0)
		err = bench_child_send(&world->child[BENCH_REMOTE], &accepting);
	if (err == 0)
		err = call(world, BENCH_LOCAL, CONN_OP_CONNECT, world->n, run);
	if (err == 0)
		err = bench_child_wait(&world->child[BENCH_REMOTE], &answer, run);
	return err;
}

static int fill_all(struct conn_world *world, struct bench_run *run)
{
	int err = call(world, BENCH_REMOTE, CONN_OP_WRITE, world->queued, run);

	if (err == 0)
		err = call(world, BENCH_LOCAL, CONN_OP_FILL_CHECK, world->queued, run);
	if (err == 0)
		err = call(world, BENCH_LOCAL, CONN_OP_FILL_SEND, world->queued, run);
	return err;
}

static int start_children(struct conn_world *world, const struct bench_child_config *local,
                          struct conn_set *local_set)
{
	struct bench_child_config config = *local;
	struct conn_set remote_set = {.end = BENCH_REMOTE, .written = world->written};
	int err;

	local_set->end = BENCH_LOCAL;
	local_set->written = world->written;
	local_set->queued = world->queued;
	config.ns = world->net.ns[BENCH_LOCAL];
	err = bench_child_start(&world->child[BENCH_LOCAL], &config);
	if (err)
		return err;
	config = (struct bench_child_config){.ns = world->net.ns[BENCH_REMOTE],
	                                     .cpu = 1,
	                                     .handle = remote_handle,
	                                     .state = &remote_set};
	return bench_child_start(&world->child[BENCH_REMOTE], &config);
}

void conn_world_init(struct conn_world *world)
{
	*world = (struct conn_world){0};
	world->net.ns[BENCH_LOCAL] = world->net.ns[BENCH_REMOTE] = -1;
}

int conn_world_open(struct conn_world *world, const struct bench_child_config *local,
                    struct conn_set *local_set, struct bench_run *run)
{
	int err = bench_net_open(&world->net, run);

	if (err)
		return err;
	world->written = mmap(NULL, WRITTEN_BYTES, PROT_READ | PROT_WRITE,
	                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world->written == MAP_FAILED) {
		world->written = NULL;
		return bench_fail(run, -ENOMEM, "cannot map shared memory");
	}
	err = start_children(world, local, local_set);
	if (err)
		return bench_fail(run, err, "cannot start a child process");
	err = connect_all(world, run);
	if (err == 0 && world->queued)
		err = fill_all(world, run);
	return err;
}

int conn_world_verify(struct conn_world *world, struct bench_run *run)
{
	int err = 0;

	for (u32 end = 0; err == 0 && end < BENCH_ENDS; end++) {
		err = call(world, end, CONN_OP_WRITE, VERIFY_BYTES, run);
		if (err == 0)
			err = call(world, other_end(end), CONN_OP_READ, 0, run);
	}
	return err;
}

void conn_world_close(struct conn_world *world)
{
	bench_child_stop(&world->child[BENCH_LOCAL]);
	bench_child_stop(&world->child[BENCH_REMOTE]);
	bench_net_close(&world->net);
	if (world->written)
		munmap(world->written, WRITTEN_BYTES);
	world->written = NULL;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "chimney_load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "chimney/chimney.h"

enum { EVENTS = 256, WAIT_US = 1000, STALL_NS = 2000000000, CHECK_TURNS = 256 };

static int fail(struct bench_msg *msg, int err, const char *what)
{
	snprintf(msg->why, sizeof(msg->why), "%s", what);
	return err;
}

static int fail_lib(struct bench_msg *msg, int err, const char *call)
{
	snprintf(msg->why, sizeof(msg->why), "%s: %s", call, chimney_error());
	return err;
}

static int offload_all(struct chimney_load *l, struct bench_msg *msg)
{
	struct chimney_result *results = calloc(l->n, sizeof(*results));
	ssize_t moved;

	if (!results)
		return fail(msg, -ENOMEM, "memory for the results");
	moved = chimney_conns_offload(l->context, l->conns, l->n, results);
	for (u32 i = 0; moved != (ssize_t)l->n && i < l->n; i++) {
		if (results[i].status == 0)
			continue;
		snprintf(msg->why, sizeof(msg->why), "%zd of %u connections were offloaded: %s",
		         moved, l->n, chimney_status_word(results[i].status));
		break;
	}
	free(results);
	return moved == (ssize_t)l->n ? 0 : -EPROTO;
}

/* The sockets of l->kernel become connections of the library, offloaded. */
static int take_over(struct chimney_load *l, struct bench_msg *msg)
{
	struct chimney_context_options options = CHIMNEY_CONTEXT_OPTIONS_INIT;
	int err;

	/* An adopted descriptor may not stay in an epoll of ours. */
	close(l->kernel.epoll);
	l->kernel.epoll = -1;
	options.interface = l->interface;
	options.port_mode = l->port_mode;
	options.flags = CHIMNEY_LANES_CALLER;
	/* As a server would that cares for its round-trip time; when idle it sleeps all the same. */
	options.spin_us = 2000;
	options.max_connections = max_of(l->kernel.n, 1024u);
	l->conns = calloc(l->kernel.n, sizeof(struct chimney_conn *));
	if (!l->conns)
		return fail(msg, -ENOMEM, "memory for the connections");
	err = chimney_context_create(&options, &l->context);
	if (err)
		return fail_lib(msg, err, "chimney_context_create");
	for (u32 i = 0; i < l->kernel.n; i++) {
		err = chimney_conn_adopt(l->context, l->kernel.fds[i], 0, NULL, &l->conns[i]);
		if (err)
			return fail_lib(msg, err, "chimney_conn_adopt");
		chimney_conn_watch(l->conns[i], CHIMNEY_READABLE);
		l->n++;
	}
	return offload_all(l, msg);
}

static bool told_to_stop(void)
{
	struct pollfd p = {.fd = bench_child_ctl(), .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

/* Reads what is there and echoes it or not; bytes read, 0 for nothing, -Exxx. */
static ssize_t serve_one(struct chimney_conn *conn, bool echo)
{
	static u8 buf[LOAD_WRITE_BYTES * 4];
	ssize_t n = chimney_conn_recv(conn, buf, echo ? 4096 : sizeof(buf), CHIMNEY_DONTWAIT);

	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return n ? n : -EPIPE;
	if (echo && chimney_conn_send(conn, buf, (size_t)n, CHIMNEY_DONTWAIT) != n)
		return -EPIPE;
	return n;
}

static int op_serve(struct chimney_load *l, struct bench_msg *msg, bool echo)
{
	struct chimney_ready ready[EVENTS];
	u64 cpu = bench_cpu_ns(), bytes = 0;

	for (u32 turn = 1;; turn++) {
		int busy = chimney_lane_poll(l->context, 0, WAIT_US);
		int n = chimney_lane_ready(l->context, 0, ready, EVENTS);

		for (int i = 0; i < n; i++) {
			ssize_t got = serve_one(ready[i].conn, echo);

			if (got < 0)
				return fail(msg, (int)got, "a connection ended");
			bytes += (u64)got;
		}
		if ((busy <= 0 || turn % CHECK_TURNS == 0) && told_to_stop())
			break;
	}
	msg->v[0] = echo ? bytes / LOAD_MSG_BYTES : bytes;
	msg->v[1] = bench_cpu_ns() - cpu;
	return 0;
}

static int op_idle(struct chimney_load *l, struct bench_msg *msg)
{
	u64 cpu = bench_cpu_ns(), end = bench_now_ns() + msg->v[0];

	while (bench_now_ns() < end)
		chimney_lane_poll(l->context, 0, 1000 * WAIT_US);
	msg->v[1] = bench_cpu_ns() - cpu;
	return 0;
}

int chimney_server_handle(void *state, struct bench_msg *msg)
{
	struct chimney_load *l = state;
	int err;

	switch (msg->op) {
	case LOAD_OP_ACCEPT:
		err = load_server_handle(&l->kernel, msg);
		return err ? err : take_over(l, msg);
	case LOAD_OP_ECHO:
		return op_serve(l, msg, true);
	case LOAD_OP_SWALLOW:
		return op_serve(l, msg, false);
	case LOAD_OP_IDLE:
		return op_idle(l, msg);
	default:
		return load_server_handle(&l->kernel, msg);
	}
}

static bool send_request(struct chimney_conn *conn)
{
	static const u8 request[LOAD_MSG_BYTES] = "request";

	return chimney_conn_send(conn, request, sizeof(request), CHIMNEY_DONTWAIT) ==
	       sizeof(request);
}

/* Reads an answer; its length, -EAGAIN when there is none (a connection that moved is said to be
 * ready, to be looked at anew). */
static ssize_t read_answer(struct chimney_conn *conn)
{
	u8 answer[LOAD_MSG_BYTES];

	return chimney_conn_recv(conn, answer, sizeof(answer), CHIMNEY_DONTWAIT);
}

static int rr_turn(struct chimney_load *l, bool more, u64 *requests, u32 *outstanding)
{
	struct chimney_ready ready[EVENTS];
	int n;

	chimney_lane_poll(l->context, 0, WAIT_US);
	n = chimney_lane_ready(l->context, 0, ready, EVENTS);
	for (int i = 0; i < n; i++) {
		ssize_t got = read_answer(ready[i].conn);

		if (got == -EAGAIN)
			continue;
		if (got != LOAD_MSG_BYTES || (more && !send_request(ready[i].conn)))
			return -EPIPE;
		++*requests;
		*outstanding -= !more;
	}
	return 0;
}

static int op_rr(struct chimney_load *l, struct bench_msg *msg)
{
	u64 start = bench_now_ns(), cpu = bench_cpu_ns(), requests = 0;
	u64 end = start + msg->v[0], now = start;
	u32 outstanding = l->n;
	int err = 0;

	for (u32 i = 0; i < l->n; i++)
		if (!send_request(l->conns[i]))
			return fail(msg, -EPIPE, "a request was not taken");
	while (err == 0 && outstanding) {
		err = rr_turn(l, now < end, &requests, &outstanding);
		now = bench_now_ns();
		if (now > end + STALL_NS)
			err = -ETIMEDOUT;
	}
	if (err)
		return fail(msg, err, "an answer did not arrive");
	msg->v[0] = requests;
	msg->v[1] = now - start;
	msg->v[2] = bench_cpu_ns() - cpu;
	return 0;
}

static int op_bulk(struct chimney_load *l, struct bench_msg *msg)
{
	static const u8 bytes[LOAD_WRITE_BYTES];
	u64 start = bench_now_ns(), cpu = bench_cpu_ns(), total = 0;
	u64 end = start + msg->v[0];

	do {
		ssize_t n = chimney_conn_send(l->conns[0], bytes, sizeof(bytes), CHIMNEY_DONTWAIT);

		if (n == -EAGAIN || (n >= 0 && n < (ssize_t)sizeof(bytes)))
			chimney_lane_poll(l->context, 0, WAIT_US);
		else if (n < 0)
			return fail(msg, (int)n, "the stream does not take bytes");
		total += n > 0 ? (u64)n : 0;
	} while (bench_now_ns() < end);
	msg->v[0] = total;
	msg->v[1] = bench_now_ns() - start;
	msg->v[2] = bench_cpu_ns() - cpu;
	return 0;
}

int chimney_client_handle(void *state, struct bench_msg *msg)
{
	struct chimney_load *l = state;
	int err;

	switch (msg->op) {
	case LOAD_OP_CONNECT:
		err = load_client_handle(&l->kernel, msg);
		return err ? err : take_over(l, msg);
	case LOAD_OP_RR:
		return op_rr(l, msg);
	case LOAD_OP_BULK:
		return op_bulk(l, msg);
	default:
		return fail(msg, -ENOSYS, "unknown operation");
	}
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Socket-like calls through the switch: at once to the side that has the connection, or not at all.
 */
#include <errno.h>

#include "host/priv.h"

/* Where a call goes: 0 to the device, 1 to the host's stack, -Exxx nowhere. */
static int route(struct host *h, handle conn, struct host_conn **ret_conn)
{
	struct host_conn *c = conn_find(h, conn);

	*ret_conn = c;
	if (!c)
		return -ESTALE;
	switch (c->side) {
	case HOST_IN_CHIMNEY:
		if (legal_verdict(c->object, LEGAL_CALL_DATA) != LEGAL_UPLOADING)
			return 0;
		break;
	case HOST_IN_STACK:
		if (c->flags & CONN_DEAD)
			return c->flags & CONN_ABORTED ? -ECONNRESET : -EPIPE;
		return h->env.stack.send ? 1 : -EOPNOTSUPP;
	default:
		break;
	}
	h->counters.would_block++;
	return -EAGAIN;
}

/* An upload that began under the call is a move like any other. */
static s64 answer(s64 taken)
{
	return taken == -EINPROGRESS || taken == -EBUSY ? -EAGAIN : taken;
}

static void send_run(struct host *h, struct send_call *calls, const handle *host, u32 n)
{
	h->env.device->data->send(host_device(h), calls, n);
	for (u32 i = 0; i < n; i++) {
		calls[i].conn = host[i];
		calls[i].taken = answer(calls[i].taken);
	}
}

void host_send(struct host *h, struct send_call *calls, u32 n)
{
	handle host[DATA_BATCH];
	u32 first = 0, run = 0;

	for (u32 i = 0; i < n; i++) {
		struct send_call *call = &calls[i];
		struct host_conn *c;
		int to = route(h, call->conn, &c);

		/* What is posted goes first. */
		if (to >= 0 && c->queue[0].head != NIL)
			to = -EAGAIN;
		if (to == 0) {
			host[run++] = call->conn;
			call->conn = c->device;
			call->flags |= SEND_BUFFERED;
			call->taken = -EAGAIN;
		} else if (to > 0) {
			call->taken = h->env.stack.send(h->env.stack.impl, c->backend, call->data,
			                                call->len, call->flags);
		} else {
			call->taken = to;
		}
		if (run && (to != 0 || run == DATA_BATCH || i + 1 == n)) {
			send_run(h, calls + first, host, run);
			run = 0;
		}
		if (!run)
			first = i + 1;
	}
}

static void recv_run(struct host *h, struct recv_call *calls, const handle *host, u32 n)
{
	h->env.device->data->receive(host_device(h), calls, n);
	for (u32 i = 0; i < n; i++) {
		calls[i].conn = host[i];
		calls[i].taken = answer(calls[i].taken);
	}
}

void host_receive(struct host *h, struct recv_call *calls, u32 n)
{
	handle host[DATA_BATCH];
	u32 first = 0, run = 0;

	for (u32 i = 0; i < n; i++) {
		struct recv_call *call = &calls[i];
		struct host_conn *c;
		int to = route(h, call->conn, &c);

		if (to == 0) {
			host[run++] = call->conn;
			call->conn = c->device;
			call->flags |= RECV_NOW;
			call->taken = -EAGAIN;
		} else if (to > 0) {
			call->taken = h->env.stack.recv(h->env.stack.impl, c->backend, call->data,
			                                call->len, call->flags);
		} else {
			call->taken = to;
		}
		if (run && (to != 0 || run == DATA_BATCH || i + 1 == n)) {
			recv_run(h, calls + first, host, run);
			run = 0;
		}
		if (!run)
			first = i + 1;
	}
}

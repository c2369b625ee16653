/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Posted buffers. They wait in the host's switch while a connection moves, lie at the target while
 * it is offloaded, and go through the descriptor while it runs in the kernel (host_stack below).
 */
#include "lib/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

static int post_error(int err)
{
	switch (err) {
	case 0:
		return 0;
	case -ENOBUFS:
		return lib_fail(err, "too many buffers are posted: collect completions first");
	default:
		return lib_fail(err, "the connection takes no more buffers");
	}
}

EXPORT int chimney_conn_post_send(struct chimney_conn *conn, const void *data, size_t len,
                                  uint64_t cookie)
{
	struct lib_lane *l = conn->lane;
	struct send_call call = {.conn = conn->host, .data = data, .cookie = cookie};
	int err;

	if (!len || len > INT32_MAX)
		return lib_fail(-EINVAL, "a posted buffer has 1 to %d bytes", INT32_MAX);
	call.len = (u32)len;
	lane_lock(l->lane);
	err = conn->error ? -EPIPE : host_post_send(l->host, &call);
	if (!err) {
		lib_kernel_watch(conn);
		host_pump(l->host, conn->host);
	}
	lane_touch(l->lane);
	lane_unlock(l->lane);
	return post_error(err);
}

EXPORT int chimney_conn_post_recv(struct chimney_conn *conn, void *data, size_t len,
                                  uint64_t cookie)
{
	struct lib_lane *l = conn->lane;
	struct recv_call call = {
		.conn = conn->host, .data = data, .flags = RECV_PUSH, .cookie = cookie};
	int err;

	if (!len || len > INT32_MAX)
		return lib_fail(-EINVAL, "a posted buffer has 1 to %d bytes", INT32_MAX);
	call.len = (u32)len;
	lane_lock(l->lane);
	err = host_post_receive(l->host, &call);
	if (!err) {
		conn->posted_recv++;
		lib_kernel_watch(conn);
		host_pump(l->host, conn->host);
		lane_touch(l->lane);
	}
	lane_unlock(l->lane);
	return post_error(err);
}

/* Room for one more completion: the ring doubles, because a completion must not be lost. */
static bool make_room(struct lib_lane *l)
{
	u32 cap = l->done_cap ? l->done_cap * 2 : LIB_COMPLETIONS_MIN;
	struct chimney_completion *ring;

	if (l->done_n < l->done_cap)
		return true;
	ring = calloc(cap, sizeof(*ring));
	if (!ring)
		return false;
	for (u32 i = 0; i < l->done_n; i++)
		ring[i] = l->done[(l->done_at + i) % l->done_cap];
	free(l->done);
	l->done = ring;
	l->done_cap = cap;
	l->done_at = 0;
	return true;
}

static int error_of(const struct host_done *d)
{
	switch (d->status) {
	case STATUS_OK:
	case STATUS_UPLOAD_IN_PROGRESS:
		return 0;
	case STATUS_ABORTED:
		return -ECONNRESET;
	default:
		return -EPIPE;
	}
}

void lib_host_done(void *ctx, const struct host_done *done, u32 n)
{
	struct lib_lane *l = ctx;

	for (u32 i = 0; i < n; i++) {
		struct chimney_conn *conn = done[i].owner;

		if (done[i].kind == DATA_DISCONNECT)
			continue;
		if (done[i].kind == DATA_RECV && conn->posted_recv)
			conn->posted_recv--;
		if (conn->closing || !make_room(l))
			continue;
		l->done[(l->done_at + l->done_n++) % l->done_cap] = (struct chimney_completion){
			.conn = conn,
			.user = conn->user,
			.cookie = done[i].cookie,
			.kind = done[i].kind == DATA_SEND ? CHIMNEY_SENT : CHIMNEY_RECEIVED,
			.error = error_of(&done[i]),
			.bytes = done[i].bytes,
		};
		lib_signal(l);
	}
}

EXPORT int chimney_lane_completions(struct chimney_context *context, unsigned int lane,
                                    struct chimney_completion *done, int max)
{
	struct lib_lane *l;
	int n = 0;

	if (lane >= context->n_lanes || max <= 0)
		return -EINVAL;
	l = &context->lanes[lane];
	lane_lock(l->lane);
	lib_collect_kernel(l, max);
	while (l->done_n && n < max) {
		done[n++] = l->done[l->done_at];
		l->done_at = (l->done_at + 1) % l->done_cap;
		l->done_n--;
	}
	lib_unsignal(l);
	lane_unlock(l->lane);
	return n;
}

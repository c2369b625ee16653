/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Moves. The lane carries them out, a chunk in each of its turns, between batches of traffic; the
 * caller waits. Connections that are closing come home in moves of the lane's own.
 */
#include "lib/internal.h"

#include <errno.h>
#include <stdlib.h>

enum { AWAKE_NS = 10 * 1000 * 1000 };

struct lane_batch {
	struct host_move *moves;
	size_t *index; /* of the caller's array */
	u32 n;
};

static int split(struct chimney_context *context, struct chimney_conn *const *conns, size_t n,
                 struct lane_batch *batches)
{
	for (size_t i = 0; i < n; i++) {
		if (conns[i]->lane->context != context)
			return lib_fail(-EINVAL, "connection %zu belongs to another context", i);
		batches[conns[i]->lane->index].n++;
	}
	for (u32 k = 0; k < context->n_lanes; k++) {
		struct lane_batch *b = &batches[k];

		if (!b->n)
			continue;
		b->moves = calloc(b->n, sizeof(*b->moves));
		b->index = calloc(b->n, sizeof(*b->index));
		if (!b->moves || !b->index)
			return lib_fail(-ENOMEM, "no memory for a move of %u connections", b->n);
		b->n = 0;
	}
	for (size_t i = 0; i < n; i++) {
		struct lane_batch *b = &batches[conns[i]->lane->index];

		b->moves[b->n].conn = conns[i]->host;
		b->index[b->n++] = i;
	}
	return 0;
}

/* Waits until no move of a caller is under way at this lane. Called and returns with the lock. */
static void wait_idle(struct lib_lane *l)
{
	while (host_busy(l->host) || l->closing_moves) {
		u32 seen = atomic_load(&l->move_done);

		l->moves_waiting++;
		lane_wake(l->lane);
		lane_unlock(l->lane);
		if (l->context->caller_lanes)
			lane_poll(l->lane, 0);
		else
			lib_futex_wait(&l->move_done, seen, 100);
		lane_lock(l->lane);
		l->moves_waiting--;
	}
}

static int run_batch(struct lib_lane *l, struct lane_batch *b, bool offload)
{
	int err;

	lane_lock(l->lane);
	do {
		wait_idle(l);
		err = offload ? host_offload(l->host, b->moves, b->n, true)
		              : host_upload(l->host, b->moves, b->n);
	} while (err == -EBUSY);
	if (!err)
		wait_idle(l);
	lane_unlock(l->lane);
	return err;
}

static void results_of(const struct lane_batch *b, struct chimney_result *results, ssize_t *moved)
{
	for (u32 i = 0; i < b->n; i++) {
		const struct host_move *m = &b->moves[i];

		if (m->status == STATUS_OK)
			(*moved)++;
		if (!results)
			continue;
		results[b->index[i]] = (struct chimney_result){
			.status = m->status,
			.chunk = m->chunk,
			.detail = m->detail,
			.move_ns = (u32)min_of(m->move_ns, (u64)UINT32_MAX),
			.stall_ns = (u32)min_of(m->stall_ns, (u64)UINT32_MAX),
		};
	}
}

static ssize_t move_all(struct chimney_context *context, struct chimney_conn *const *conns,
                        size_t n, struct chimney_result *results, bool offload)
{
	struct lane_batch *batches = calloc(context->n_lanes, sizeof(*batches));
	ssize_t moved = 0;
	int err;

	if (!batches)
		return lib_fail(-ENOMEM, "no memory for a move");
	err = split(context, conns, n, batches);
	for (u32 k = 0; k < context->n_lanes && !err; k++) {
		if (!batches[k].n)
			continue;
		err = run_batch(&context->lanes[k], &batches[k], offload);
		if (!err)
			results_of(&batches[k], results, &moved);
		else
			lib_fail(err, "lane %u cannot move now", k);
	}
	for (u32 k = 0; k < context->n_lanes; k++) {
		free(batches[k].moves);
		free(batches[k].index);
	}
	free(batches);
	return err ? err : moved;
}

EXPORT ssize_t chimney_conns_offload(struct chimney_context *context,
                                     struct chimney_conn *const *conns, size_t n,
                                     struct chimney_result *results)
{
	return move_all(context, conns, n, results, true);
}

EXPORT ssize_t chimney_conns_upload(struct chimney_context *context,
                                    struct chimney_conn *const *conns, size_t n,
                                    struct chimney_result *results)
{
	return move_all(context, conns, n, results, false);
}

/* Starts one move for all connections that are closing. */
static void start_closing(struct lib_lane *l)
{
	u32 n = 0;

	l->closing_moves = calloc(l->closing, sizeof(*l->closing_moves));
	if (!l->closing_moves)
		return;
	for (struct chimney_conn *c = l->all.head; c; c = c->all.next) {
		if (c->closing)
			l->closing_moves[n++].conn = c->host;
	}
	l->n_closing_moves = n;
	if (host_upload(l->host, l->closing_moves, n)) {
		free(l->closing_moves);
		l->closing_moves = NULL;
	}
}

static void finish_closing(struct lib_lane *l)
{
	for (struct chimney_conn *c = l->all.head, *next; c; c = next) {
		next = c->all.next;
		if (c->closing && !host_release(l->host, c->host))
			lib_conn_free(c, true);
	}
	free(l->closing_moves);
	l->closing_moves = NULL;
}

bool lib_move_step(struct lib_lane *l)
{
	bool busy = host_busy(l->host);
	enum host_progress p = host_step(l->host);

	if (busy && !host_busy(l->host)) {
		if (l->closing_moves)
			finish_closing(l);
		lib_futex_wake(&l->move_done);
	}
	if (l->closing && !host_busy(l->host) && !l->closing_moves && !l->moves_waiting) {
		start_closing(l);
		return l->closing_moves;
	}
	/* What waits for a connection to calm down is soon over: the lane stays awake. */
	return p == HOST_MORE ||
	       (p == HOST_WAITING && host_next_deadline(l->host) < lane_now_ns() + AWAKE_NS);
}

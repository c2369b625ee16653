/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Invalidate: nothing leaves any more over this object, however many connections hang on it; data
 * goes on being received (R35). One write; then a scan, a stretch a cycle, asks the host to take
 * every connection below it back.
 */
#include <errno.h>

#include "target/internal.h"

static enum status invalidate_neighbor(struct target *t, handle h)
{
	struct target_neighbor *n = neighbor_find(t, h);
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	status = legal_check(n->state, LEGAL_CALL_INVALIDATE);
	if (status)
		return status;
	tcp_neighbor_set_valid(t->engine, n->eng, false);
	neighbor_set_state(t, n, OBJECT_INVALID);
	t->scan_at = 0;
	return STATUS_OK;
}

static enum status invalidate_path(struct target *t, handle h)
{
	struct target_path *p = path_find(t, h);
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	status = legal_check(path_state_of(t, p), LEGAL_CALL_INVALIDATE);
	if (status)
		return status;
	tcp_path_set_valid(t->engine, p->eng, false);
	path_set_state(t, p, OBJECT_INVALID);
	t->scan_at = 0;
	return STATUS_OK;
}

static enum status invalidate_conn(struct target *t, handle h)
{
	struct target_conn *c = conn_find(t, h);
	enum status status;

	if (!c)
		return STATUS_STALE_HANDLE;
	status = legal_check(conn_state(t, c), LEGAL_CALL_INVALIDATE);
	if (status)
		return status;
	tcp_conn_set_valid(t->engine, c->eng, false);
	if (c->state != OBJECT_ABORTED)
		c->state = OBJECT_INVALID;
	return STATUS_OK;
}

static enum status invalidate_block(struct target *t, const struct block *b)
{
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return invalidate_neighbor(t, b->device);
	case LAYER_PATH:
		return invalidate_path(t, b->device);
	default:
		return invalidate_conn(t, b->device);
	}
}

int invalidate_layer(struct target *t, struct offload_request *request, enum layer layer)
{
	struct block_list *list = request->list;
	struct block_walk w;

	if (list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!target_check_list(t, request, BLOCK_CALL_INVALIDATE))
		return 0;
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);

		b->detail = 0;
		b->status = STATUS_OK;
		if (b->device != HANDLE_NONE && b->layer == layer) {
			b->status = (u16)invalidate_block(t, b);
			t->stats.engine_writes += b->status == STATUS_OK;
		}
		t->stats.call_status[b->status]++;
	}
	target_complete(t, request);
	return 0;
}

void invalidate_scan(struct target *t)
{
	u32 start = t->scan_at;
	u32 end = min_of(start + SCAN_BATCH, t->conn_slots.count);

	/* First, because a callback below may start the scan anew. */
	t->scan_at = end < t->conn_slots.count ? end : NIL;
	for (u32 i = start; i < end; i++) {
		struct target_conn *c = &t->conns[i];

		if (!slots_is_taken(&t->conn_slots, i) || c->eng == NIL)
			continue;
		if (c->state == OBJECT_OFFLOADED && conn_state(t, c) == OBJECT_INVALID)
			ask_upload(t, c, UPLOAD_INVALID_STATE);
		if (IND_MAX - t->ind.n < IND_ROOM)
			tell_host(t);
	}
}

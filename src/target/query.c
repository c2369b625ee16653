/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Query: reads CONST, CACHED and DELEGATED, whichever the block's flags ask for, and changes
 * nothing (R34). */
#include <errno.h>

#include "target/internal.h"

/* Payload is shown only to whom it can mean something: who names our pool. The references hold
 * until the next call. */
static void hide_payload(struct tcp_delegated *d)
{
	d->send = (struct data_ref){.buf = NIL};
	d->recv = (struct data_ref){.buf = NIL};
	d->ooo.n = 0;
}

static enum status query_neighbor(struct target *t, struct block *b, struct neighbor_state *s)
{
	struct target_neighbor *n = neighbor_find(t, b->device);
	struct neighbor_state now;
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	status = legal_check(n->state, LEGAL_CALL_QUERY);
	if (status)
		return status;
	tcp_neighbor_export(t->engine, n->eng, t->now_ns, &now);
	if (b->flags & BLOCK_CONST)
		s->k = now.k;
	if (b->flags & BLOCK_CACHED)
		s->c = now.c;
	if (b->flags & BLOCK_DELEGATED)
		s->d = now.d;
	return STATUS_OK;
}

static enum status query_path(struct target *t, struct block *b, struct path_state *s)
{
	struct target_path *p = path_find(t, b->device);
	struct path_state now;
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	status = legal_check(path_state_of(t, p), LEGAL_CALL_QUERY);
	if (status)
		return status;
	tcp_path_export(t->engine, p->eng, &now);
	if (b->flags & BLOCK_CONST)
		s->k = now.k;
	if (b->flags & BLOCK_CACHED)
		s->c = now.c;
	if (b->flags & BLOCK_DELEGATED)
		s->d = now.d;
	return STATUS_OK;
}

static enum status query_conn(struct target *t, struct block *b, struct tcp_state *s, bool payload)
{
	struct target_conn *c = conn_find(t, b->device);
	struct tcp_state now;
	enum status status;

	if (!c)
		return STATUS_STALE_HANDLE;
	status = legal_check(conn_state(t, c), LEGAL_CALL_QUERY);
	if (status)
		return status;
	tcp_conn_export(t->engine, c->eng, t->now_ns, &now);
	if (b->flags & BLOCK_CONST)
		s->k = now.k;
	if (b->flags & BLOCK_CACHED)
		s->c = now.c;
	if (b->flags & BLOCK_DELEGATED) {
		s->d = now.d;
		if (!payload)
			hide_payload(&s->d);
	}
	return STATUS_OK;
}

static enum status query_block(struct target *t, struct block_list *list, struct block *b)
{
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return query_neighbor(t, b, block_neighbor(list, b));
	case LAYER_PATH:
		return query_path(t, b, block_path(list, b));
	default:
		return query_conn(t, b, block_tcp(list, b), list->pool == t->pool);
	}
}

int query_layer(struct target *t, struct offload_request *request, enum layer layer)
{
	struct block_list *list = request->list;
	struct block_walk w;

	if (list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!target_check_list(t, request, BLOCK_CALL_QUERY))
		return 0;
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);

		b->detail = 0;
		b->status = STATUS_OK;
		if (b->device != HANDLE_NONE && b->layer == layer)
			b->status = (u16)query_block(t, list, b);
		t->stats.call_status[b->status]++;
	}
	target_complete(t, request);
	return 0;
}

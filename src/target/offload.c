/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Offload: one walk over the list, depth first (semantics 3). A failed leaf does not stop its
 * siblings, a failed inner block fails its subtree unattempted, what succeeded stays. A handle is
 * written on success only.
 */
#include <errno.h>

#include "state/schema.h"
#include "target/internal.h"

/* -- lists and completions ----------------------------------------------------------------------
 */

bool target_check_list(struct target *t, struct offload_request *request, enum block_call call)
{
	enum block_rule rule;
	u32 at;

	at = NIL;
	rule = BLOCK_RULE_LAYER; /* another stack of layers: its states are not ours to read */
	if (request->list->schema == &schema_tcp)
		rule = block_list_check(request->list, call, t->scratch, &at);
	if (likely(rule == BLOCK_RULE_OK))
		return true;
	t->stats.malformed[rule]++;
	offload_list_set_status(request->list, STATUS_PENDING);
	if (at != NIL) {
		request->list->blocks[at].status = STATUS_MALFORMED;
		request->list->blocks[at].detail = rule;
	} else if (request->list->n_blocks && request->list->cap_blocks) {
		request->list->blocks[0].status = STATUS_MALFORMED;
		request->list->blocks[0].detail = rule;
	}
	if (call == BLOCK_CALL_TRANSFER || (call == BLOCK_CALL_OFFLOAD && !request->two_phase))
		post_inside(t, request);
	target_complete(t, request);
	return false;
}

/* Every call and indication before it has been answered first (semantics 5.5). */
void target_complete(struct target *t, struct offload_request *request)
{
	tell_host(t);
	tell_completions(t);
	if (!t->host.ops)
		return;
	t->depth++;
	t->host.ops->complete(t->host.impl, request);
	t->depth--;
	tell_host(t);
}

/* -- one block ----------------------------------------------------------------------------------
 */

struct offload_walk {
	struct target *t;
	struct offload_request *request;
	struct block_list *list;
	u64 posted_missing; /* posted buffers that the request needs and we have not: the limit */
};

static enum status linked_neighbor(struct target *t, handle h)
{
	const struct target_neighbor *n = neighbor_find(t, h);

	return n ? legal_check(n->state, LEGAL_CALL_OFFLOAD) : STATUS_STALE_HANDLE;
}

/* A linker names the path, its place names the neighbor: both must agree. */
static enum status linked_path(struct target *t, handle h, const struct block *parent)
{
	const struct target_path *p = path_find(t, h);
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	status = legal_check(path_state_of(t, p), LEGAL_CALL_OFFLOAD);
	if (!status && block_is_linker(parent) && (u32)parent->device != p->neighbor)
		return STATUS_BAD_STATE;
	return status;
}

static enum status linker(struct offload_walk *w, struct block *b, const struct block *parent)
{
	if (b->layer == LAYER_NEIGHBOR)
		return linked_neighbor(w->t, b->device);
	return linked_path(w->t, b->device, parent);
}

/* What the first phase brings all of is taken over with it: nothing can change it meanwhile (R28),
 * and the next list may link to it before the second phase of this one. */
static bool is_whole(const struct offload_walk *w, const struct block *b)
{
	return !w->request->two_phase || b->flags & BLOCK_DELEGATED;
}

static enum status new_neighbor(struct offload_walk *w, struct block *b)
{
	const struct neighbor_state *s = block_neighbor(w->list, b);
	handle h;
	enum status status = neighbor_reserve(w->t, s, b->host, &h, &b->detail);

	if (!status && is_whole(w, b)) {
		struct target_neighbor *n = neighbor_find(w->t, h);

		status = neighbor_live(w->t, n, s, &b->detail);
		if (status)
			neighbor_free(w->t, n);
	}
	if (!status)
		b->device = h;
	return status;
}

static enum status new_path(struct offload_walk *w, struct block *b, const struct block *parent)
{
	const struct path_state *s = block_path(w->list, b);
	handle h;
	enum status status = path_reserve(w->t, s, (u32)parent->device, b->host, &h, &b->detail);

	if (!status && is_whole(w, b)) {
		struct target_path *p = path_find(w->t, h);

		status = path_live(w->t, p, s, &b->detail);
		if (status)
			path_free(w->t, p);
	}
	if (!status)
		b->device = h;
	return status;
}

static enum status new_conn(struct offload_walk *w, struct block *b, const struct block *parent)
{
	const struct tcp_state *s = block_tcp(w->list, b);
	enum status status;
	handle h;

	if (w->posted_missing) {
		b->detail = w->posted_missing;
		return STATUS_NO_RECEIVE_BUFFERS;
	}
	if (!w->request->two_phase && !(b->flags & BLOCK_DELEGATED)) {
		b->detail = BLOCK_RULE_ROLE;
		return STATUS_MALFORMED;
	}
	status = conn_reserve(w->t, s, (u32)parent->device, b->host, &h, &b->detail);
	if (!status && !w->request->two_phase) {
		struct target_conn *c = &w->t->conns[(u32)h];

		status = conn_live(w->t, c, s, w->list->pool, &b->detail);
		if (status)
			conn_free(w->t, c);
	}
	if (!status)
		b->device = h;
	return status;
}

static enum status offload_block(struct offload_walk *w, struct block *b, struct block *parent)
{
	b->detail = 0;
	if (block_is_placeholder(b))
		return STATUS_OK;
	if (block_is_linker(b))
		return linker(w, b, parent);
	switch (b->layer) {
	case LAYER_NEIGHBOR:
		return new_neighbor(w, b);
	case LAYER_PATH:
		return new_path(w, b, parent);
	default:
		return new_conn(w, b, parent);
	}
}

/* -- the request --------------------------------------------------------------------------------
 */

/* R107: what the layers of the host say that they need. Buffers to be posted are a limit of their
 * own; the others show when the objects are made. */
static void look_at_needs(struct offload_walk *w)
{
	struct offload_needs total;

	for (u32 i = 0; i < w->request->n_needs && i < HOST_LAYERS; i++)
		w->t->stats.needs[i]++;
	offload_request_total(w->request, &total);
	if (total.posted_buffers > w->t->config.posted - w->t->calls_used)
		w->posted_missing = w->t->config.posted;
}

void post_inside(struct target *t, struct offload_request *request)
{
	const struct block_list *list = request->list;

	for (u32 i = 0; request->posted_inside && i < request->n_posted; i++) {
		const struct posted_recv *p = &request->posted[i];
		const struct block *b = p->block < list->n_blocks && p->block < list->cap_blocks
		                                ? &list->blocks[p->block]
		                                : NULL;
		struct target_conn *c = NULL;

		if (b && b->layer == LAYER_TCP && b->status == STATUS_OK)
			c = conn_find(t, b->device);
		if (!c) {
			complete_call(t,
			              (struct data_completion){.kind = DATA_RECV,
			                                       .status = STATUS_UPLOAD_IN_PROGRESS,
			                                       .cookie = p->call.cookie,
			                                       .host = b ? b->host : HANDLE_NONE});
			continue;
		}
		if (!receive_queue(t, c, &p->call))
			continue;
		c->events |= TCP_EV_READABLE;
		kick(t, c);
	}
}

int target_offload(void *device, struct offload_request *request)
{
	struct target *t = device;
	struct block_list *list = request->list;
	struct offload_walk w = {t, request, list};
	struct block_walk walk;
	bool failed = false;
	u32 i;

	if (t->paused)
		return -EBUSY;
	if (list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	if (!target_check_list(t, request, BLOCK_CALL_OFFLOAD))
		return 0;
	look_at_needs(&w);
	i = block_walk_first(&walk, list);
	while (i != NIL) {
		struct block *b = block_at(list, i);
		struct block *parent = walk.parent == NIL ? NULL : block_at(list, walk.parent);

		b->status = (u16)offload_block(&w, b, parent);
		if (likely(!b->status)) {
			i = block_walk_next(&walk);
			continue;
		}
		failed = true;
		t->stats.refused[b->status]++;
		if (b->layer != LAYER_TCP)
			block_list_fail_subtree(list, i, STATUS_SUBTREE);
		i = block_walk_skip(&walk);
	}
	if (failed)
		block_list_mark_partial(list);
	if (!request->two_phase)
		post_inside(t, request);
	target_complete(t, request);
	return 0;
}

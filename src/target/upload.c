/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Upload, in the order of semantics 5.5:
 *
 *   1 every connection of the list leaves the lookup, stops, and sends the ACK that it owes
 *   2 when these have left: posted calls complete, DELEGATED is snapshotted
 *   3 paths, then neighbors, once nothing but this list hangs on them (5.7); else the request waits
 *   4 the request completes
 *   5 commit: what the host imported is freed, what it could not import resumes
 *
 * The snapshot refers to the payload where it lies in our pool: nothing is copied or allocated, so
 * an upload cannot fail for want of memory.
 */
#include <errno.h>

#include "target/internal.h"

/* CONST and CACHED are the host's: what it keeps there stays (R31, R32). */
static void snap_conn(struct target *t, struct target_conn *c, struct block *b, struct tcp_state *s)
{
	struct tcp_const k;
	struct tcp_cached cached;

	/* memcpy: what lies between the variables is the host's as well. */
	memcpy(&k, &s->k, sizeof(k));
	memcpy(&cached, &s->c, sizeof(cached));
	calls_end(t, c, STATUS_UPLOAD_IN_PROGRESS);
	tcp_conn_export(t->engine, c->eng, t->now_ns, s);
	memcpy(&s->k, &k, sizeof(k));
	memcpy(&s->c, &cached, sizeof(cached));
	b->flags |= BLOCK_DELEGATED;
	b->status = STATUS_OK;
}

/* -- step 1 -------------------------------------------------------------------------------------
 */

/* Where nothing is owed and nothing was posted there is nothing to wait for: the snapshot is taken
 * while the connection lies in the cache. */
static enum status stop_conn(struct target *t, struct target_upload *u, struct block *b,
                             struct tx_batch *tx)
{
	struct block_list *list = u->request->list;
	struct target_conn *c = conn_find(t, b->device);
	u32 acks = tx->n;
	enum status status;

	if (!c)
		return STATUS_STALE_HANDLE;
	status = legal_check(conn_state(t, c), LEGAL_CALL_UPLOAD);
	if (status)
		return status;
	tcp_conn_quiesce(t->engine, c->eng, t->now_ns, tx);
	c->before = c->state;
	c->state = OBJECT_UPLOADING; /* events wait in c->events for a roll-back */
	c->upload = (u8)(u - t->uploads);
	c->upload_block = (u32)(b - list->blocks);
	push_timer_stop(t, c);
	if (tx->n != acks || c->n_posted)
		return STATUS_PENDING;
	snap_conn(t, c, b, block_tcp(list, b));
	return STATUS_OK;
}

static enum status stop_path(struct target *t, handle h)
{
	struct target_path *p = path_find(t, h);
	enum status status;

	if (!p)
		return STATUS_STALE_HANDLE;
	status = legal_check(path_state_of(t, p), LEGAL_CALL_UPLOAD);
	if (status)
		return status;
	p->before = p->state;
	path_set_state(t, p, OBJECT_UPLOADING);
	return STATUS_PENDING;
}

static enum status stop_neighbor(struct target *t, handle h)
{
	struct target_neighbor *n = neighbor_find(t, h);
	enum status status;

	if (!n)
		return STATUS_STALE_HANDLE;
	status = legal_check(n->state, LEGAL_CALL_UPLOAD);
	if (status)
		return status;
	n->before = n->state;
	neighbor_set_state(t, n, OBJECT_UPLOADING);
	return STATUS_PENDING;
}

static void stop_block(struct target *t, struct target_upload *u, struct block *b,
                       struct tx_batch *tx)
{
	b->detail = 0;
	if (b->device == HANDLE_NONE)
		b->status = STATUS_OK;
	else if (b->layer == LAYER_TCP)
		b->status = (u16)stop_conn(t, u, b, tx);
	else if (b->layer == LAYER_PATH)
		b->status = (u16)stop_path(t, b->device);
	else
		b->status = (u16)stop_neighbor(t, b->device);
	if (b->status != STATUS_PENDING)
		t->stats.call_status[b->status]++;
}

/* Goes on where it stopped for want of room for ACKs. */
static void stop_all(struct target *t, struct target_upload *u)
{
	struct tx_batch tx = {.frames = t->acks, .n = t->n_acks, .cap = ACKS_MAX};

	while (u->cursor != NIL && tx.n < ACKS_MAX) {
		stop_block(t, u, block_at(u->request->list, u->cursor), &tx);
		u->cursor = block_walk_next(&u->walk);
	}
	t->acks_made += tx.n - t->n_acks;
	t->n_acks = tx.n;
	u->acks_until = t->acks_made;
}

/* -- steps 2 and 3 ------------------------------------------------------------------------------
 */

static void snap_path(struct target *t, struct target_path *p, struct block *b,
                      struct path_state *s)
{
	struct path_state now;

	tcp_path_export(t->engine, p->eng, &now);
	s->d = now.d;
	b->flags |= BLOCK_DELEGATED;
	b->status = STATUS_OK;
}

static void snap_neighbor(struct target *t, struct target_neighbor *n, struct block *b,
                          struct neighbor_state *s)
{
	struct neighbor_state now;

	tcp_neighbor_export(t->engine, n->eng, t->now_ns, &now);
	s->d = now.d;
	b->flags |= BLOCK_DELEGATED;
	b->status = STATUS_OK;
}

static void snap_conns(struct target *t, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		if (b->layer == LAYER_TCP && b->status == STATUS_PENDING)
			snap_conn(t, &t->conns[(u32)b->device], b, block_tcp(list, b));
	}
}

/* How many dependents of each object leave with this list. */
static void count_dependents(struct target *t, const struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->status != STATUS_PENDING)
			continue;
		if (b->layer == LAYER_PATH)
			t->paths[(u32)b->device].counted = 0;
		else if (b->layer == LAYER_NEIGHBOR)
			t->neighbors[(u32)b->device].counted = 0;
	}
	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->device == HANDLE_NONE ||
		    (b->status != STATUS_OK && b->status != STATUS_PENDING))
			continue;
		if (b->layer == LAYER_TCP)
			t->paths[t->conns[(u32)b->device].path].counted++;
		else if (b->layer == LAYER_PATH)
			t->neighbors[t->paths[(u32)b->device].neighbor].counted++;
	}
}

static bool parents_are_free(const struct target *t, const struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->status != STATUS_PENDING)
			continue;
		if (b->layer == LAYER_PATH &&
		    t->paths[(u32)b->device].refs != t->paths[(u32)b->device].counted)
			return false;
		if (b->layer == LAYER_NEIGHBOR &&
		    t->neighbors[(u32)b->device].refs != t->neighbors[(u32)b->device].counted)
			return false;
	}
	return true;
}

static void snap_parents(struct target *t, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		if (b->status != STATUS_PENDING)
			continue;
		if (b->layer == LAYER_PATH)
			snap_path(t, &t->paths[(u32)b->device], b, block_path(list, b));
		else
			snap_neighbor(t, &t->neighbors[(u32)b->device], b, block_neighbor(list, b));
	}
}

/* True: the request is complete. */
static bool go_on(struct target *t, struct target_upload *u)
{
	struct block_list *list = u->request->list;

	if (u->cursor != NIL)
		stop_all(t, u);
	if (u->cursor != NIL || (s32)(t->acks_sent - u->acks_until) < 0)
		return false;
	if (!u->snapped)
		snap_conns(t, list);
	u->snapped = true;
	if (!u->retry)
		return false;
	u->retry = false;
	count_dependents(t, list);
	if (!parents_are_free(t, list))
		return false;
	snap_parents(t, list);
	/* Where the payload lies that the snapshots refer to. */
	list->pool = t->pool;
	return true;
}

bool upload_keep(struct target *t, const struct target_conn *c, const struct rx_frame *frame)
{
	struct offload_request *r = t->uploads[c->upload].request;

	if (!(t->features & FEATURE_UPLOAD_FORWARD_BUFFERING) || c->state != OBJECT_UPLOADING)
		return false;
	/* Another upload may be there by now. */
	if (!r || c->upload_block >= r->list->n_blocks ||
	    block_at(r->list, c->upload_block)->device !=
	            slots_handle(&t->conn_slots, conn_index(t, c)))
		return false;
	if (r->n_kept >= r->cap_kept)
		return false;
	r->kept[r->n_kept++] = (struct kept_frame){c->upload_block, *frame};
	t->stats.forward_kept++;
	return true;
}

/* -- the entry points ---------------------------------------------------------------------------
 */

static bool has_parents(const struct block_list *list)
{
	u32 n = min_of(list->n_blocks, list->cap_blocks);

	for (u32 i = 0; i < n; i++) {
		if (list->blocks[i].layer != LAYER_TCP && list->blocks[i].device != HANDLE_NONE)
			return true;
	}
	return false;
}

/* Parents wait for connections, so the last places are for lists of connections only: these wait
 * for nothing but the next flush. */
static struct target_upload *unused(struct target *t, const struct block_list *list)
{
	if (t->n_uploads >= UPLOADS_MAX - UPLOADS_SPARE && has_parents(list))
		return NULL;
	for (u32 i = 0; i < UPLOADS_MAX; i++) {
		if (!t->uploads[i].request)
			return &t->uploads[i];
	}
	return NULL;
}

static void finish(struct target *t, struct target_upload *u)
{
	struct offload_request *request = u->request;

	u->request = NULL;
	t->n_uploads--;
	target_complete(t, request);
}

int target_upload(void *device, struct offload_request *request)
{
	struct target *t = device;
	struct target_upload *u;

	if (request->list->n_blocks > t->config.list_blocks)
		return -E2BIG;
	u = unused(t, request->list);
	if (!u)
		return -EBUSY;
	if (!target_check_list(t, request, BLOCK_CALL_UPLOAD))
		return 0;
	*u = (struct target_upload){.request = request, .retry = true};
	u->cursor = block_walk_first(&u->walk, request->list);
	t->n_uploads++;
	stop_all(t, u);
	if (go_on(t, u))
		finish(t, u);
	return 0;
}

void uploads_stop(struct target *t)
{
	for (u32 i = 0; i < UPLOADS_MAX && t->n_uploads; i++) {
		struct target_upload *u = &t->uploads[i];

		if (u->request && u->cursor != NIL)
			stop_all(t, u);
	}
}

void uploads_run(struct target *t)
{
	for (u32 i = 0; i < UPLOADS_MAX && t->n_uploads; i++) {
		struct target_upload *u = &t->uploads[i];

		if (u->request && go_on(t, u))
			finish(t, u);
	}
}

/* -- step 5 -------------------------------------------------------------------------------------
 */

static void commit_conn(struct target *t, struct block *b)
{
	struct target_conn *c = conn_find(t, b->device);

	if (!c || c->state != OBJECT_UPLOADING)
		return;
	if (b->status == STATUS_OK) {
		if (b->flags & BLOCK_TAKEN)
			tcp_conn_disown(t->engine, c->eng);
		conn_free(t, c);
		t->stats.uploads[LAYER_TCP]++;
	} else {
		conn_resume(t, c);
		t->stats.resumed[LAYER_TCP]++;
	}
}

static void commit_path(struct target *t, struct block *b)
{
	struct target_path *p = path_find(t, b->device);

	if (!p || p->state != OBJECT_UPLOADING)
		return;
	if (b->status == STATUS_OK && p->refs)
		b->status = STATUS_BUSY; /* a dependent resumed: it has to stay as well */
	if (b->status == STATUS_OK) {
		path_free(t, p);
		t->stats.uploads[LAYER_PATH]++;
	} else {
		path_set_state(t, p, p->before);
		t->stats.resumed[LAYER_PATH]++;
	}
}

static void commit_neighbor(struct target *t, struct block *b)
{
	struct target_neighbor *n = neighbor_find(t, b->device);

	if (!n || n->state != OBJECT_UPLOADING)
		return;
	if (b->status == STATUS_OK && n->refs)
		b->status = STATUS_BUSY;
	if (b->status == STATUS_OK) {
		neighbor_free(t, n);
		t->stats.uploads[LAYER_NEIGHBOR]++;
	} else {
		neighbor_set_state(t, n, n->before);
		t->stats.resumed[LAYER_NEIGHBOR]++;
	}
}

static bool is_pending(const struct target *t, const struct offload_request *request)
{
	for (u32 i = 0; i < UPLOADS_MAX && t->n_uploads; i++) {
		if (t->uploads[i].request == request)
			return true;
	}
	return false;
}

void target_commit(void *device, struct offload_request *request)
{
	struct target *t = device;
	struct block_list *list = request->list;
	u32 n = min_of(list->n_blocks, list->cap_blocks);

	if (is_pending(t, request))
		return;
	/* Dependents before what they hang on. Links are not followed and states not read, so the
	 * list needs no check: a handle names one of ours or nothing. */
	for (u32 layer = LAYERS; layer-- > 0;) {
		for (u32 i = 0; i < n; i++) {
			struct block *b = block_at(list, i);

			if (b->layer != layer || b->device == HANDLE_NONE)
				continue;
			if (layer == LAYER_TCP)
				commit_conn(t, b);
			else if (layer == LAYER_PATH)
				commit_path(t, b);
			else
				commit_neighbor(t, b);
		}
	}
	for (u32 i = 0; i < UPLOADS_MAX; i++)
		t->uploads[i].retry = true;
	uploads_run(t);
	tell_host(t);
}

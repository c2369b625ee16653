/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads that no move asked for: by the device (R73), by a layer that lost an object, by a link.
 */
#include "host/priv.h"

static void push(struct host *h, struct fifo *q, struct host_conn *conn)
{
	u32 index = conn_index(h, conn);

	conn->flags |= CONN_ASKED | CONN_MUST;
	conn->asked_next = NIL;
	if (q->head == NIL)
		q->head = index;
	else
		h->conn[q->tail].asked_next = index;
	q->tail = index;
}

void mover_ask(struct host *h, struct host_conn *conn, u8 reason)
{
	if (conn->flags & CONN_ASKED || conn->side == HOST_IN_STACK)
		return;
	conn->ask_reason = reason;
	push(h, &h->asked, conn);
}

/* Whoever asked once does not do so again: it is the host's part to try until it works. */
void mover_ask_again(struct host *h, struct host_conn *conn)
{
	if (conn->flags & CONN_ASKED)
		return;
	if (h->again.head == NIL)
		h->again_ns = host_now(h) + RETRY_NS;
	push(h, &h->again, conn);
}

void mover_retry(struct host *h)
{
	if (h->again.head == NIL || host_now(h) < h->again_ns)
		return;
	if (h->asked.head == NIL)
		h->asked.head = h->again.head;
	else
		h->conn[h->asked.tail].asked_next = h->again.head;
	h->asked.tail = h->again.tail;
	h->again = (struct fifo){NIL, NIL};
}

u64 host_next_deadline(const struct host *h)
{
	u64 next = h->job.active && h->job.unquiet ? h->job.again_ns : UINT64_MAX;

	if (h->again.head != NIL)
		next = min_of(next, h->again_ns);
	if (h->reap_ns)
		next = min_of(next, h->reap_ns);
	return min_of(next, fragments_deadline(h));
}

void mover_ask_path(struct host *h, u32 path)
{
	for (u32 i = h->path[path].first_conn; i != NIL; i = h->conn[i].next)
		mover_ask(h, &h->conn[i], UPLOAD_DEVICE);
}

void mover_ask_neighbor(struct host *h, u32 neighbor)
{
	for (u32 i = h->neighbor[neighbor].first_path; i != NIL; i = h->path[i].next)
		mover_ask_path(h, i);
}

void host_link(struct host *h, u32 port, bool up)
{
	const struct host_policy *policy = &h->env.policy;

	host_log(h, &(struct host_event){.kind = up ? HOST_EVENT_LINK_UP : HOST_EVENT_LINK_DOWN,
	                                 .layer = LAYER_NEIGHBOR,
	                                 .detail = port});
	if (up || !policy->upload_on_link_down || !policy->upload_on_link_down(policy->ctx, port))
		return;
	for (u32 i = 0; i < h->config.max_neighbors; i++) {
		if (slots_is_taken(&h->neighbor_slots, i) && h->neighbor[i].key.port == port)
			mover_ask_neighbor(h, i);
	}
}

/* Paths and neighbors that nothing hangs on; `all`: also those that wait for their next dependents.
 */
static void reap(struct host *h, bool all)
{
	bool late = h->config.parents_late && !all;

	for (u32 i = 0; i < h->config.max_paths; i++) {
		const struct host_path *p = &h->path[i];

		if (slots_is_taken(&h->path_slots, i) && !p->refs && p->device != HANDLE_NONE &&
		    (!late || p->object == OBJECT_INVALID))
			control_mark(h, LAYER_PATH, i, DIRTY_REAP);
	}
	for (u32 i = 0; i < h->config.max_neighbors; i++) {
		const struct host_neighbor *n = &h->neighbor[i];

		if (slots_is_taken(&h->neighbor_slots, i) && !n->refs && !n->wanted &&
		    n->device != HANDLE_NONE && (!late || n->object == OBJECT_INVALID))
			control_mark(h, LAYER_NEIGHBOR, i, DIRTY_REAP);
	}
	control_kick(h);
}

void host_reap(struct host *h)
{
	reap(h, true);
}

void mover_reap_later(struct host *h)
{
	if (!h->reap_ns)
		h->reap_ns = host_now(h) + RETRY_NS;
}

void mover_reap(struct host *h)
{
	if (likely(!h->reap_ns) || host_now(h) < h->reap_ns)
		return;
	h->reap_ns = 0;
	reap(h, false);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What has changed in the host and the device does not know yet: a queue of objects for each layer,
 * an object at most once in it, with the kinds of change in a bit set. Objects in a move stay until
 * the move is over (R30).
 */
#include "host/priv.h"

/* The members that the three kinds of objects share for this. */
struct entry {
	u32 *next;
	u8 *dirty, *queued, *object;
};

static struct entry entry_of(struct host *h, enum layer layer, u32 index)
{
	if (layer == LAYER_NEIGHBOR) {
		struct host_neighbor *n = &h->neighbor[index];

		return (struct entry){&n->dirty_next, &n->dirty, &n->queued, &n->object};
	}
	if (layer == LAYER_PATH) {
		struct host_path *p = &h->path[index];

		return (struct entry){&p->dirty_next, &p->dirty, &p->queued, &p->object};
	}
	return (struct entry){&h->conn[index].dirty_next, &h->conn[index].dirty,
	                      &h->conn[index].queued_dirty, &h->conn[index].object};
}

static void push(struct host *h, enum layer layer, u32 index)
{
	struct fifo *q = &h->dirty[layer];
	struct entry e = entry_of(h, layer, index);

	*e.queued = true;
	*e.next = NIL;
	if (q->head == NIL)
		q->head = index;
	else
		*entry_of(h, layer, q->tail).next = index;
	q->tail = index;
}

void control_mark(struct host *h, enum layer layer, u32 index, enum dirty what)
{
	struct entry e = entry_of(h, layer, index);

	if (what == DIRTY_CACHED &&
	    (*e.object == OBJECT_OFFLOADING || *e.object == OBJECT_UPLOADING))
		h->counters.updates_recorded++;
	*e.dirty |= what;
	if (!*e.queued)
		push(h, layer, index);
}

static void put(struct host *h, enum layer layer, u32 index)
{
	if (layer == LAYER_NEIGHBOR)
		framing_put(h, index);
	else if (layer == LAYER_PATH)
		network_put(h, index);
}

u32 dirty_collect(struct host *h, enum layer layer, u8 what, dirty_visit visit)
{
	struct fifo q = h->dirty[layer];
	u32 taken = 0;

	h->dirty[layer] = (struct fifo){NIL, NIL};
	while (q.head != NIL) {
		u32 index = q.head;
		struct entry e = entry_of(h, layer, index);
		enum dirty_verdict verdict = DIRTY_LATER;

		q.head = *e.next;
		*e.queued = false;
		if (*e.dirty & what)
			verdict = visit(h, index);
		if (verdict != DIRTY_LATER)
			*e.dirty &= ~what;
		taken += verdict == DIRTY_TAKEN;
		if (*e.dirty && !*e.queued)
			push(h, layer, index);
		else if (!*e.dirty)
			put(h, layer, index);
	}
	return taken;
}

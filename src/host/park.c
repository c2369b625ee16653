/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames that came back from the lane: parked while their connection is in a move, in order, with
 * a limit and a counter (semantics 5.6); else forwarded to the device or handed to the host's
 * stack.
 */
#include "host/priv.h"
#include "wire/parse.h"

void park_init(struct host *h)
{
	h->late = (struct fifo){NIL, NIL};
	h->parked_free = NIL;
	for (u32 i = h->config.max_parked; i-- > 0;) {
		h->parked[i].next = h->parked_free;
		h->parked_free = i;
	}
}

static void drop(struct host *h, const struct rx_frame *frame)
{
	buf_put_chain(h->env.pool, frame->buf);
}

/* An entry with the frame in it; NIL: the limit is reached, and the frame dropped. */
static u32 keep(struct host *h, const struct rx_frame *frame)
{
	u32 index = h->parked_free;

	if (index == NIL) {
		if (!h->parked_full)
			host_log(h, &(struct host_event){.kind = HOST_EVENT_PARKED_DROPPED,
			                                 .layer = LAYER_TCP,
			                                 .detail = h->n_parked});
		h->parked_full = true;
		h->counters.frames_not_parked++;
		drop(h, frame);
		return NIL;
	}
	h->parked_free = h->parked[index].next;
	h->parked[index].frame = *frame;
	h->parked[index].next = NIL;
	h->n_parked++;
	return index;
}

static void let_go(struct host *h, u32 index)
{
	h->parked[index].next = h->parked_free;
	h->parked_free = index;
	h->n_parked--;
	h->parked_full = false;
}

static void park(struct host *h, struct host_conn *c, const struct rx_frame *frame)
{
	u32 index = keep(h, frame);

	if (index == NIL)
		return;
	if (c->park_head == NIL)
		c->park_head = index;
	else
		h->parked[c->park_tail].next = index;
	c->park_tail = index;
	c->parked++;
	h->counters.frames_parked++;
}

static void park_first(struct host *h, struct host_conn *c, const struct rx_frame *frame)
{
	u32 index = keep(h, frame);

	if (index == NIL)
		return;
	h->parked[index].next = c->park_head;
	if (c->park_head == NIL)
		c->park_tail = index;
	c->park_head = index;
	c->parked++;
	h->counters.frames_parked++;
}

void park_kept(struct host *h, struct chunk *c)
{
	struct offload_request *r = &c->request;

	for (u32 i = min_of(r->n_kept, (u32)KEPT_MAX); i-- > 0;) {
		const struct kept_frame *k = &r->kept[i];
		struct host_conn *conn = NULL;

		if (k->block < c->list.n_blocks)
			conn = conn_find(h, block_at(&c->list, k->block)->host);
		if (conn)
			park_first(h, conn, &k->frame);
		else
			drop(h, &k->frame);
		h->counters.frames_kept++;
	}
	r->n_kept = r->cap_kept = 0;
}

/* -- to the host's stack ----------------------------------------------------------------------- */

static void add_late(struct host *h, const struct rx_frame *frame)
{
	u32 index = keep(h, frame);

	if (index == NIL)
		return;
	if (h->late.head == NIL)
		h->late.head = index;
	else
		h->parked[h->late.tail].next = index;
	h->late.tail = index;
}

/* Hands frames on and frees those that were taken; how many. */
static u32 inject(struct host *h, struct rx_frame *frames, u32 n)
{
	u32 taken = h->env.backend.ops->inject(h->env.backend.impl, frames, n, h->env.pool);

	for (u32 i = 0; i < taken; i++)
		drop(h, &frames[i]);
	h->counters.frames_injected += taken;
	return taken;
}

/* What the stack did not take at once goes first. */
void park_late(struct host *h)
{
	struct rx_frame frames[DATA_BATCH];

	while (h->late.head != NIL) {
		u32 n = 0, taken;

		for (u32 i = h->late.head; i != NIL && n < DATA_BATCH; i = h->parked[i].next)
			frames[n++] = h->parked[i].frame;
		taken = inject(h, frames, n);
		for (u32 i = 0; i < taken; i++) {
			u32 index = h->late.head;

			h->late.head = h->parked[index].next;
			let_go(h, index);
		}
		if (taken < n)
			return;
	}
}

void park_to_stack(struct host *h, struct rx_frame *frames, u32 n)
{
	u32 taken = 0;

	park_late(h);
	if (h->late.head == NIL)
		taken = inject(h, frames, n);
	for (; taken < n; taken++)
		add_late(h, &frames[taken]);
}

static u32 unpark(struct host *h, struct host_conn *c, struct rx_frame *frames, u32 cap)
{
	u32 n = 0;

	while (c->park_head != NIL && n < cap) {
		u32 index = c->park_head;

		frames[n++] = h->parked[index].frame;
		c->park_head = h->parked[index].next;
		c->parked--;
		let_go(h, index);
	}
	return n;
}

void park_inject(struct host *h, struct host_conn *c)
{
	struct rx_frame frames[DATA_BATCH];
	u32 n;

	while ((n = unpark(h, c, frames, DATA_BATCH)))
		park_to_stack(h, frames, n);
}

void park_drop(struct host *h, struct host_conn *c)
{
	struct rx_frame frame;

	while (unpark(h, c, &frame, 1))
		drop(h, &frame);
}

/* -- to the device ----------------------------------------------------------------------------- */

static void forwarded(struct host *h, struct forward_call *call)
{
	switch (call->status) {
	case STATUS_OK:
		h->counters.frames_forwarded++;
		return;
	case STATUS_ABORTED:
		drop(h, call->frame);
		return;
	default:
		/* Upload requested (R40) or gone: kept until the connection is in the host. */
		call->frame->verdict = FRAME_PENDING;
	}
}

/* Forwards; frames that the device could not take are parked again. */
static void forward(struct host *h, struct host_conn *c, struct rx_frame *frames, u32 n,
                    u16 fragments)
{
	struct forward_call calls[DATA_BATCH];

	for (u32 i = 0; i < n; i++) {
		frames[i].verdict = FRAME_CONSUMED;
		calls[i] = (struct forward_call){
			.conn = c->device, .frame = &frames[i], .fragments = fragments};
	}
	h->env.device->data->forward(host_device(h), calls, n);
	for (u32 i = 0; i < n; i++) {
		forwarded(h, &calls[i]);
		if (frames[i].verdict == FRAME_PENDING)
			park(h, c, &frames[i]);
	}
}

void park_forward(struct host *h, struct host_conn *c)
{
	struct rx_frame frames[DATA_BATCH];
	u32 left = c->parked;

	while (left) {
		u32 n = unpark(h, c, frames, min_of(left, (u32)DATA_BATCH));

		forward(h, c, frames, n, 0);
		left -= n;
	}
}

/* -- frames of the lane ------------------------------------------------------------------------ */

static struct host_conn *owner(struct host *h, const struct rx_frame *frame)
{
	struct wire_tcp_segment seg;
	const struct buf *b = buf_at(h->env.pool, frame->buf);
	enum wire_reason reason =
		wire_parse_tcp(buf_data(h->env.pool, frame->buf), b->len, frame->len, &seg);

	if (reason != WIRE_OK && reason != WIRE_TCP_URGENT)
		return NULL;
	return conn_find(h, host_find(h, &seg.flow));
}

/* Goes to the device: always in the chimney; during an upload while the device keeps what it gets
 * (R41). What is parked already stays in front. */
static bool may_forward(const struct host *h, const struct host_conn *c)
{
	const struct chunk *chunk = h->current;

	if (c->parked)
		return false;
	if (c->side == HOST_IN_CHIMNEY)
		return true;
	return c->side == HOST_MOVING && c->object == OBJECT_UPLOADING && chunk &&
	       chunk->phase == CHUNK_UPLOADING && !chunk->completed && chunk->request.cap_kept;
}

void park_place(struct host *h, struct host_conn *c, struct rx_frame *frame, u16 fragments)
{
	if (may_forward(h, c))
		forward(h, c, frame, 1, fragments);
	else
		park(h, c, frame);
}

void host_frames(struct host *h, struct rx_frame *frames, u32 n)
{
	struct rx_frame batch[DATA_BATCH];
	u32 waiting = 0;

	for (u32 i = 0; i < n; i++) {
		struct host_conn *c = owner(h, &frames[i]);

		if (c && c->side != HOST_IN_STACK) {
			park_place(h, c, &frames[i], 0);
		} else if (!c && fragments_take(h, &frames[i])) {
			/* It waits for the others of its datagram. */
		} else {
			batch[waiting++] = frames[i];
			if (waiting == DATA_BATCH) {
				park_to_stack(h, batch, waiting);
				waiting = 0;
			}
		}
		frames[i].verdict = FRAME_CONSUMED;
	}
	if (waiting)
		park_to_stack(h, batch, waiting);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/spy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "offload/request.h"
#include "port/gather.h"

enum { FORWARD_BATCH = 32 };

static void illegal(struct spy *s, const char *call, const char *why)
{
	s->illegal++;
	snprintf(s->what, sizeof(s->what), "%s: %s", call, why);
}

/* -- state calls ------------------------------------------------------------------------------- */

static const char *call_word(u8 call)
{
	static const char *const words[BLOCK_CALLS] = {
		[BLOCK_CALL_OFFLOAD] = "offload",       [BLOCK_CALL_UPLOAD] = "upload",
		[BLOCK_CALL_UPDATE] = "update",         [BLOCK_CALL_QUERY] = "query",
		[BLOCK_CALL_INVALIDATE] = "invalidate",
	};

	return call < BLOCK_CALLS && words[call] ? words[call] : "call";
}

static void asked(struct spy *s, struct offload_request *request)
{
	if (s->n_asked < SPY_CALLS)
		s->asked[s->n_asked++] = request;
}

static void answered(struct spy *s, const struct offload_request *request)
{
	for (u32 i = 0; i < s->n_asked; i++) {
		if (s->asked[i] == request) {
			s->asked[i] = s->asked[--s->n_asked];
			return;
		}
	}
}

static int down(struct spy *s, struct offload_request *request,
                int (*call)(void *, struct offload_request *))
{
	int err;

	asked(s, request);
	err = call(s->chain.below.impl, request);
	if (err)
		answered(s, request);
	return err;
}

/* The second phase: did the target die since the first? */
static bool forget_half(struct spy *s, const struct offload_request *request)
{
	bool died = false;

	for (u32 i = 0; i < s->n_half; i++) {
		if (s->half[i].request != request)
			continue;
		died |= s->half[i].died;
		s->half[i--] = s->half[--s->n_half];
	}
	return died;
}

static int spy_offload(void *impl, struct offload_request *request)
{
	struct spy *s = impl;

	forget_half(s, request); /* the first phase of one that went no further */
	if (request->two_phase && s->n_half < SPY_CALLS)
		s->half[s->n_half++] = (struct spy_offload){.request = request};
	return down(s, request, s->chain.below.ops->offload);
}

/* What the blocks of a list refer to, before a target of another pool copies it: the copies are the
 * target's, the originals of those that it took are ours to release. */
static struct tcp_delegated *payload_of(const struct block_list *list)
{
	struct tcp_delegated *d = calloc(max_of(list->n_blocks, 1u), sizeof(*d));

	for (u32 i = 0; d && i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->layer == LAYER_TCP && b->state != NIL && b->flags & BLOCK_DELEGATED)
			d[i] = block_tcp(list, b)->d;
	}
	return d;
}

static void release_taken(struct spy *s, const struct block_list *list,
                          const struct tcp_delegated *d)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->layer != LAYER_TCP || b->status != STATUS_OK || b->state == NIL)
			continue;
		buf_put_chain(s->host_pool, d[i].send.len ? d[i].send.buf : NIL);
		buf_put_chain(s->host_pool, d[i].recv.len ? d[i].recv.buf : NIL);
		for (u32 k = 0; k < d[i].ooo.n; k++)
			buf_put_chain(s->host_pool, d[i].ooo.seg[k].data.buf);
	}
}

static int transfer_across(struct spy *s, struct offload_request *request)
{
	struct tcp_delegated *d = payload_of(request->list);
	int err;

	if (!d)
		return -ENOMEM;
	s->taking = d;
	err = down(s, request, s->chain.below.ops->transfer);
	s->taking = NULL;
	free(d);
	return err;
}

static int spy_transfer(void *impl, struct offload_request *request)
{
	struct spy *s = impl;
	int err;

	s->died = forget_half(s, request);
	err = s->host_pool == s->target_pool ? down(s, request, s->chain.below.ops->transfer)
	                                     : transfer_across(s, request);
	s->died = false;
	return err;
}

static int spy_upload(void *impl, struct offload_request *request)
{
	struct spy *s = impl;

	return down(s, request, s->chain.below.ops->upload);
}

#define SPY_CALL(table, layer_name, name)                                  \
	static int table##_##name(void *impl, struct offload_request *r)   \
	{                                                                  \
		struct spy *s = impl;                                      \
                                                                           \
		return down(s, r, s->chain.below.layer[layer_name]->name); \
	}
#define SPY_TABLE(table, layer_name)              \
	SPY_CALL(table, layer_name, update)       \
	SPY_CALL(table, layer_name, invalidate)   \
	SPY_CALL(table, layer_name, query)        \
	static const struct layer_ops table = {   \
		.update = table##_update,         \
		.invalidate = table##_invalidate, \
		.query = table##_query,           \
	};
SPY_TABLE(neighbor_table, LAYER_NEIGHBOR)
SPY_TABLE(path_table, LAYER_PATH)
SPY_TABLE(tcp_table, LAYER_TCP)

static void complete(void *impl, struct offload_request *request)
{
	struct spy *s = impl;
	u32 bad = offload_list_count(request->list, STATUS_BAD_STATE);
	u32 stale = offload_list_count(request->list, STATUS_STALE_HANDLE);

	answered(s, request);
	if (s->taking)
		release_taken(s, request->list, s->taking);
	if (bad)
		illegal(s, call_word(request->call), status_word(STATUS_BAD_STATE));
	else if (stale && !s->died)
		illegal(s, call_word(request->call), status_word(STATUS_STALE_HANDLE));
	s->chain.above.ops->complete(s->chain.above.impl, request);
}

/* -- data calls -------------------------------------------------------------------------------- */

static void judge(struct spy *s, const char *call, s64 taken)
{
	if (taken == -EINVAL || taken == -ESTALE)
		illegal(s, call, taken == -EINVAL ? "bad-state" : "stale-handle");
}

static void spy_send(void *impl, struct send_call *calls, u32 n)
{
	struct spy *s = impl;

	s->chain.below.data->send(s->chain.below.impl, calls, n);
	for (u32 i = 0; i < n; i++) {
		if (calls[i].flags & SEND_BUFFERED)
			judge(s, "send", calls[i].taken);
	}
}

static void spy_receive(void *impl, struct recv_call *calls, u32 n)
{
	struct spy *s = impl;

	s->chain.below.data->receive(s->chain.below.impl, calls, n);
	for (u32 i = 0; i < n; i++) {
		if (calls[i].flags & RECV_NOW)
			judge(s, "receive", calls[i].taken);
	}
}

static void data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct spy *s = impl;

	for (u32 i = 0; i < n; i++) {
		if (done[i].status == STATUS_BAD_STATE || done[i].status == STATUS_STALE_HANDLE)
			illegal(s, "posted call", status_word(done[i].status));
	}
	s->chain.above.ops->data_complete(s->chain.above.impl, done, n);
}

/* Frames in the host's pool to a target that has another one. */
static void forward_across(struct spy *s, struct forward_call *call)
{
	struct rx_frame copy, *was = call->frame;

	if (frame_clone(s->target_pool, s->host_pool, was, &copy)) {
		call->status = STATUS_OK; /* lost, as if its port had no buffer */
		buf_put_chain(s->host_pool, was->buf);
		return;
	}
	call->frame = &copy;
	s->chain.below.data->forward(s->chain.below.impl, call, 1);
	call->frame = was;
	if (call->status == STATUS_OK)
		buf_put_chain(s->host_pool, was->buf);
	else
		buf_put_chain(s->target_pool, copy.buf);
}

static void spy_forward(void *impl, struct forward_call *calls, u32 n)
{
	struct spy *s = impl;

	if (s->host_pool == s->target_pool)
		s->chain.below.data->forward(s->chain.below.impl, calls, n);
	for (u32 i = 0; i < n; i++) {
		if (s->host_pool != s->target_pool)
			forward_across(s, &calls[i]);
		if (calls[i].status == STATUS_STALE_HANDLE)
			illegal(s, "forward", "stale-handle");
	}
}

/* -- putting it there -------------------------------------------------------------------------- */

struct host_side spy_side(struct spy *s)
{
	return (struct host_side){&s->host, s};
}

void spy_insert(struct spy *s, struct device *hook, struct buf_pool *pool)
{
	const struct device own = {
		.ops = &s->ops,
		.layer = {&neighbor_table, &path_table, &tcp_table},
		.data = &s->data,
		.frames = hook->frames,
		.impl = s,
	};

	s->ops = device_pass_ops;
	s->ops.offload = spy_offload;
	s->ops.transfer = spy_transfer;
	s->ops.upload = spy_upload;
	s->data = data_pass_ops;
	s->data.send = spy_send;
	s->data.receive = spy_receive;
	s->data.forward = spy_forward;
	s->host = host_pass_ops;
	s->host.complete = complete;
	s->host.data_complete = data_complete;
	s->host_pool = s->target_pool = pool;
	(void)!device_insert(&s->chain, hook, own, spy_side(s));
}

/* As it came: what the former target had filled in is its own, and void. */
static void as_it_came(struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		b->status = STATUS_PENDING;
		b->flags &= (u8)~BLOCK_DELEGATED;
		if (b->layer == LAYER_TCP && b->state != NIL)
			*block_tcp(list, b) = (struct tcp_state){
				.d = {.send = {.buf = NIL}, .recv = {.buf = NIL}}};
	}
}

static int ask_again(struct spy *s, struct offload_request *r)
{
	const struct device *below = &s->chain.below;

	as_it_came(r->list);
	switch (r->call) {
	case BLOCK_CALL_UPLOAD:
		return below->ops->upload(below->impl, r);
	default:
		/* All others complete before they return. */
		return -EOPNOTSUPP;
	}
}

void spy_follow(struct spy *s, struct device below, struct buf_pool *pool)
{
	struct offload_request *again[SPY_CALLS];
	u32 n = s->n_asked;

	memcpy(again, s->asked, n * sizeof(again[0]));
	for (u32 i = 0; i < s->n_half; i++)
		s->half[i].died = true;
	s->chain.below = below;
	s->target_pool = pool;
	below.ops->attach(below.impl, spy_side(s));
	for (u32 i = 0; i < n; i++) {
		if (!ask_again(s, again[i]))
			continue;
		offload_list_set_status(again[i]->list, STATUS_FAILED);
		complete(s, again[i]);
	}
}

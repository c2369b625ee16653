/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Calls that fail, limits that are used up, devices that stop. Frames: fault_frames.c. */
#include <errno.h>

#include "driver/filter/fault_internal.h"
#include "offload/request.h"

/* Is this call the one that an order is for? */
static bool due(struct fault *f, enum filter_call call)
{
	if (f->order[call].after == NIL || f->order[call].after--)
		return false; /* 0 goes to NIL: the order is carried out once */
	f->count.failed_calls++;
	return true;
}

/* -- state calls ------------------------------------------------------------------------------- */

static void answer(struct fault *f, struct offload_request *request, enum status status)
{
	offload_list_set_status(request->list, status);
	f->chain.above.ops->complete(f->chain.above.impl, request);
}

static int go_down(struct fault *f, enum filter_call call, u32 layer,
                   struct offload_request *request)
{
	const struct device *d = &f->chain.below;

	switch (call) {
	case FILTER_OFFLOAD:
		return d->ops->offload(d->impl, request);
	case FILTER_TRANSFER:
		return d->ops->transfer(d->impl, request);
	case FILTER_UPLOAD:
		return d->ops->upload(d->impl, request);
	case FILTER_UPDATE:
		return d->layer[layer]->update(d->impl, request);
	case FILTER_INVALIDATE:
		return d->layer[layer]->invalidate(d->impl, request);
	default:
		return d->layer[layer]->query(d->impl, request);
	}
}

static bool wait_for_life(struct fault *f, enum filter_call call, u32 layer,
                          struct offload_request *request)
{
	if (f->n_queued == FAULT_QUEUED)
		return false;
	f->queued[f->n_queued].call = (u8)call;
	f->queued[f->n_queued].layer = (u8)layer;
	f->queued[f->n_queued++].request = request;
	return true;
}

/* An offload that brings an object for which there is no room. */
static bool refuse_exhausted(struct fault *f, struct offload_request *request)
{
	static const u16 statuses[LAYERS] = {STATUS_NO_NEIGHBORS, STATUS_NO_PATHS,
	                                     STATUS_NO_CONNECTIONS};
	struct block_list *list = request->list;
	bool refused = false;

	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		refused |= b->layer < LAYERS && f->exhausted[b->layer] && block_is_new(b);
	}
	if (!refused)
		return false;
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		b->detail = 0;
		b->status = b->layer < LAYERS && f->exhausted[b->layer] && block_is_new(b)
		                    ? statuses[b->layer]
		                    : STATUS_SUBTREE;
	}
	f->count.failed_calls++;
	f->chain.above.ops->complete(f->chain.above.impl, request);
	return true;
}

static int state_call(struct fault *f, enum filter_call call, u32 layer,
                      struct offload_request *request)
{
	if (due(f, call)) {
		answer(f, request, f->order[call].status);
		return 0;
	}
	if (f->life != FAULT_ALIVE)
		return wait_for_life(f, call, layer, request) ? 0 : -EBUSY;
	if (call == FILTER_OFFLOAD && refuse_exhausted(f, request))
		return 0;
	return go_down(f, call, layer, request);
}

#define STATE_CALL(name, CALL, LAYER)                                \
	static int name(void *impl, struct offload_request *request) \
	{                                                            \
		return state_call(impl, CALL, LAYER, request);       \
	}
STATE_CALL(offload, FILTER_OFFLOAD, 0)
STATE_CALL(transfer, FILTER_TRANSFER, 0)
STATE_CALL(upload, FILTER_UPLOAD, 0)

#define LAYER_TABLE(layer, LAYER)                                                        \
	STATE_CALL(layer##_update, FILTER_UPDATE, LAYER)                                 \
	STATE_CALL(layer##_invalidate, FILTER_INVALIDATE, LAYER)                         \
	STATE_CALL(layer##_query, FILTER_QUERY, LAYER)                                   \
	static const struct layer_ops layer##_ops = {layer##_update, layer##_invalidate, \
	                                             layer##_query}
LAYER_TABLE(neighbor, LAYER_NEIGHBOR);
LAYER_TABLE(path, LAYER_PATH);
LAYER_TABLE(tcp, LAYER_TCP);

/* An upload that the device has answered can always be committed. */
static void commit(void *impl, struct offload_request *request)
{
	device_pass_ops.commit(impl, request);
}

static void capabilities(void *impl, struct capabilities *ret)
{
	struct fault *f = impl;

	device_pass_ops.capabilities(impl, ret);
	if (f->exhausted[LAYER_NEIGHBOR])
		ret->free_neighbors = 0;
	if (f->exhausted[LAYER_PATH])
		ret->free_paths = 0;
	if (f->exhausted[LAYER_TCP])
		ret->free_connections = 0;
}

/* -- data calls -------------------------------------------------------------------------------- */

/* The host's handle is known to the device only: the host knows its call by the cookie. */
static void complete_data(struct fault *f, enum data_kind kind, u32 status, u64 cookie)
{
	struct data_completion done = {
		.kind = (u8)kind, .status = (u16)status, .cookie = cookie, .host = HANDLE_NONE};

	f->chain.above.ops->data_complete(f->chain.above.impl, &done, 1);
}

static void send(void *impl, struct send_call *calls, u32 n)
{
	struct fault *f = impl;

	for (u32 i = 0; i < n; i++) {
		if (!due(f, FILTER_SEND)) {
			f->chain.below.data->send(f->chain.below.impl, &calls[i], 1);
			continue;
		}
		calls[i].taken = 0;
		if (!(calls[i].flags & SEND_BUFFERED))
			complete_data(f, DATA_SEND, f->order[FILTER_SEND].status, calls[i].cookie);
	}
}

static void receive(void *impl, struct recv_call *calls, u32 n)
{
	struct fault *f = impl;

	for (u32 i = 0; i < n; i++) {
		if (!due(f, FILTER_RECEIVE)) {
			f->chain.below.data->receive(f->chain.below.impl, &calls[i], 1);
			continue;
		}
		calls[i].taken = 0;
		if (!(calls[i].flags & RECV_NOW) && calls[i].len)
			complete_data(f, DATA_RECV, f->order[FILTER_RECEIVE].status,
			              calls[i].cookie);
	}
}

static void disconnect(void *impl, struct disconnect_call *calls, u32 n)
{
	struct fault *f = impl;

	for (u32 i = 0; i < n; i++) {
		if (due(f, FILTER_DISCONNECT))
			complete_data(f, DATA_DISCONNECT, f->order[FILTER_DISCONNECT].status,
			              calls[i].cookie);
		else
			f->chain.below.data->disconnect(f->chain.below.impl, &calls[i], 1);
	}
}

static void forward(void *impl, struct forward_call *calls, u32 n)
{
	struct fault *f = impl;

	for (u32 i = 0; i < n; i++) {
		if (due(f, FILTER_FORWARD))
			calls[i].status = f->order[FILTER_FORWARD].status;
		else
			f->chain.below.data->forward(f->chain.below.impl, &calls[i], 1);
	}
}

/* -- orders ------------------------------------------------------------------------------------ */

int fault_fail(struct fault *f, enum filter_call call, u32 n, enum status status)
{
	if ((u32)call >= FILTER_CALLS || call == FILTER_COMMIT || !n || n == NIL)
		return -EINVAL;
	f->order[call].after = status == STATUS_OK ? NIL : n - 1;
	f->order[call].status = (u16)status;
	return 0;
}

void fault_exhaust(struct fault *f, enum layer layer, bool on)
{
	struct indication ind = {.kind = IND_RESUME}; /* capabilities changed */

	f->exhausted[layer] = on;
	f->chain.above.ops->indicate(f->chain.above.impl, &ind, 1);
}

/* In their order. What the device refuses to take, it could not have answered. */
static void release(struct fault *f)
{
	u32 n = f->n_queued;

	f->n_queued = 0;
	for (u32 i = 0; i < n; i++) {
		struct offload_request *request = f->queued[i].request;

		if (f->life == FAULT_DEAD ||
		    go_down(f, f->queued[i].call, f->queued[i].layer, request))
			answer(f, request, STATUS_DEVICE_FAILED);
	}
}

int fault_set_life(struct fault *f, enum fault_life life)
{
	struct indication ind = {.kind = IND_HEARTBEAT_LOST};
	bool was_alive = f->life == FAULT_ALIVE;

	if (f->life == FAULT_DEAD)
		return -EINVAL;
	f->life = (u8)life;
	if (life == FAULT_ALIVE)
		release(f);
	else if (was_alive)
		f->chain.above.ops->indicate(f->chain.above.impl, &ind, 1);
	return 0;
}

/* -- insertion --------------------------------------------------------------------------------- */

static struct host_side attach(void *impl, struct host_side host)
{
	return device_pass_ops.attach(impl, host);
}

static int memory_add(void *impl, void *base, u64 bytes)
{
	return device_pass_ops.memory_add(impl, base, bytes);
}

static int memory_remove(void *impl, void *base)
{
	return device_pass_ops.memory_remove(impl, base);
}

static const struct device_ops device_ops = {
	.attach = attach,
	.capabilities = capabilities,
	.offload = offload,
	.transfer = transfer,
	.upload = upload,
	.commit = commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};
static const struct data_ops data_ops = {send, receive, disconnect, forward};

int fault_insert(struct fault *f, const struct fault_config *config, struct device *hook)
{
	struct device own = {.ops = &device_ops,
	                     .layer = {&neighbor_ops, &path_ops, &tcp_ops},
	                     .data = &data_ops,
	                     .frames = &fault_frame_ops,
	                     .impl = f};

	memset(f, 0, sizeof(*f));
	f->config = *config;
	prng_seed(&f->random, config->seed);
	for (u32 i = 0; i < FILTER_CALLS; i++)
		f->order[i].after = NIL;
	return device_insert(&f->chain, hook, own, (struct host_side){&host_pass_ops, f});
}

int fault_remove(struct fault *f)
{
	if (f->chain.hook->impl != f->chain.impl)
		return -EBUSY;
	release(f);
	fault_deliver(f, UINT64_MAX);
	return device_remove(&f->chain);
}

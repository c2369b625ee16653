/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "offload/chain.h"

int device_insert(struct device_chain *chain, struct device *hook, struct device own,
                  struct host_side side)
{
	if (!hook->ops || !hook->ops->attach)
		return -EINVAL;
	chain->hook = hook;
	chain->below = *hook;
	chain->impl = own.impl;
	chain->above = hook->ops->attach(hook->impl, side);
	*hook = own;
	return 0;
}

int device_remove(struct device_chain *chain)
{
	if (chain->hook->impl != chain->impl)
		return -EBUSY;
	chain->below.ops->attach(chain->below.impl, chain->above);
	*chain->hook = chain->below;
	return 0;
}

/* -- down -------------------------------------------------------------------------------------- */

static struct host_side pass_attach(void *impl, struct host_side host)
{
	struct device_chain *c = impl;
	struct host_side before = c->above;

	c->above = host;
	return before;
}

static void pass_capabilities(void *impl, struct capabilities *ret)
{
	struct device_chain *c = impl;

	c->below.ops->capabilities(c->below.impl, ret);
}

static int pass_offload(void *impl, struct offload_request *request)
{
	struct device_chain *c = impl;

	return c->below.ops->offload(c->below.impl, request);
}

static int pass_transfer(void *impl, struct offload_request *request)
{
	struct device_chain *c = impl;

	return c->below.ops->transfer(c->below.impl, request);
}

static int pass_upload(void *impl, struct offload_request *request)
{
	struct device_chain *c = impl;

	return c->below.ops->upload(c->below.impl, request);
}

static void pass_commit(void *impl, struct offload_request *request)
{
	struct device_chain *c = impl;

	c->below.ops->commit(c->below.impl, request);
}

static int pass_memory_add(void *impl, void *base, u64 bytes)
{
	struct device_chain *c = impl;

	return c->below.ops->memory_add(c->below.impl, base, bytes);
}

static int pass_memory_remove(void *impl, void *base)
{
	struct device_chain *c = impl;

	return c->below.ops->memory_remove(c->below.impl, base);
}

const struct device_ops device_pass_ops = {
	.attach = pass_attach,
	.capabilities = pass_capabilities,
	.offload = pass_offload,
	.transfer = pass_transfer,
	.upload = pass_upload,
	.commit = pass_commit,
	.memory_add = pass_memory_add,
	.memory_remove = pass_memory_remove,
};

/* One function for each layer and call, because a table does not say which layer it is of. */
#define PASS_LAYER(name, LAYER)                                                          \
	static int pass_##name##_update(void *impl, struct offload_request *request)     \
	{                                                                                \
		struct device_chain *c = impl;                                           \
                                                                                         \
		return c->below.layer[LAYER]->update(c->below.impl, request);            \
	}                                                                                \
	static int pass_##name##_invalidate(void *impl, struct offload_request *request) \
	{                                                                                \
		struct device_chain *c = impl;                                           \
                                                                                         \
		return c->below.layer[LAYER]->invalidate(c->below.impl, request);        \
	}                                                                                \
	static int pass_##name##_query(void *impl, struct offload_request *request)      \
	{                                                                                \
		struct device_chain *c = impl;                                           \
                                                                                         \
		return c->below.layer[LAYER]->query(c->below.impl, request);             \
	}                                                                                \
	static const struct layer_ops name##_pass_ops = {                                \
		.update = pass_##name##_update,                                          \
		.invalidate = pass_##name##_invalidate,                                  \
		.query = pass_##name##_query,                                            \
	}

PASS_LAYER(neighbor, LAYER_NEIGHBOR);
PASS_LAYER(path, LAYER_PATH);
PASS_LAYER(tcp, LAYER_TCP);

const struct layer_ops *const layer_pass_ops[LAYERS] = {
	[LAYER_NEIGHBOR] = &neighbor_pass_ops,
	[LAYER_PATH] = &path_pass_ops,
	[LAYER_TCP] = &tcp_pass_ops,
};

static void pass_send(void *impl, struct send_call *calls, u32 n)
{
	struct device_chain *c = impl;

	c->below.data->send(c->below.impl, calls, n);
}

static void pass_receive(void *impl, struct recv_call *calls, u32 n)
{
	struct device_chain *c = impl;

	c->below.data->receive(c->below.impl, calls, n);
}

static void pass_disconnect(void *impl, struct disconnect_call *calls, u32 n)
{
	struct device_chain *c = impl;

	c->below.data->disconnect(c->below.impl, calls, n);
}

static void pass_forward(void *impl, struct forward_call *calls, u32 n)
{
	struct device_chain *c = impl;

	c->below.data->forward(c->below.impl, calls, n);
}

const struct data_ops data_pass_ops = {
	.send = pass_send,
	.receive = pass_receive,
	.disconnect = pass_disconnect,
	.forward = pass_forward,
};

/* -- frames ------------------------------------------------------------------------------------ */

static void pass_set_time(void *impl, u64 now_ns)
{
	struct device_chain *c = impl;

	c->below.frames->set_time(c->below.impl, now_ns);
}

static void pass_input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct device_chain *c = impl;

	c->below.frames->input(c->below.impl, frames, n, now_ns);
}

static void pass_timers(void *impl, u64 now_ns)
{
	struct device_chain *c = impl;

	c->below.frames->timers(c->below.impl, now_ns);
}

static u32 pass_events(void *impl, u64 now_ns)
{
	struct device_chain *c = impl;

	return c->below.frames->events(c->below.impl, now_ns);
}

static bool pass_flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	struct device_chain *c = impl;

	return c->below.frames->flush(c->below.impl, tx, now_ns);
}

static u64 pass_next_deadline(const void *impl)
{
	const struct device_chain *c = impl;

	return c->below.frames->next_deadline(c->below.impl);
}

static void pass_link_changed(void *impl, u32 port, bool up)
{
	struct device_chain *c = impl;

	c->below.frames->link_changed(c->below.impl, port, up);
}

const struct frame_ops frame_pass_ops = {
	.set_time = pass_set_time,
	.input = pass_input,
	.timers = pass_timers,
	.events = pass_events,
	.flush = pass_flush,
	.next_deadline = pass_next_deadline,
	.link_changed = pass_link_changed,
};

/* -- up ---------------------------------------------------------------------------------------- */

static void pass_complete(void *impl, struct offload_request *request)
{
	struct device_chain *c = impl;

	c->above.ops->complete(c->above.impl, request);
}

static void pass_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct device_chain *c = impl;

	c->above.ops->data_complete(c->above.impl, done, n);
}

static void pass_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct device_chain *c = impl;

	c->above.ops->indicate(c->above.impl, ind, n);
}

const struct host_ops host_pass_ops = {
	.complete = pass_complete,
	.data_complete = pass_data_complete,
	.indicate = pass_indicate,
};

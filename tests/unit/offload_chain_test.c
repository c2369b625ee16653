/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* R50, R51: drivers that are put in and taken out again between a host and its device. */
#include "unit.h"

#include <errno.h>

#include "offload/chain.h"
#include "offload/request.h"

struct fake_device {
	u64 frames;
	struct host_side host;
	u32 calls[16];
	struct offload_request *pending; /* an upload that completes later */
};

enum {
	CALL_CAPABILITIES,
	CALL_OFFLOAD,
	CALL_TRANSFER,
	CALL_UPLOAD,
	CALL_COMMIT,
	CALL_UPDATE, /* + layer */
	CALL_INVALIDATE = CALL_UPDATE + LAYERS,
	CALL_QUERY = CALL_INVALIDATE + LAYERS,
};

static struct host_side fake_attach(void *impl, struct host_side host)
{
	struct fake_device *d = impl;
	struct host_side before = d->host;

	d->host = host;
	return before;
}

static void fake_capabilities(void *impl, struct capabilities *ret)
{
	struct fake_device *d = impl;

	d->calls[CALL_CAPABILITIES]++;
	memset(ret, 0, sizeof(*ret));
	ret->max_connections = 42;
}

static int fake_done(struct fake_device *d, u32 call, struct offload_request *request)
{
	d->calls[call]++;
	d->host.ops->complete(d->host.impl, request);
	return 0;
}

static int fake_offload(void *impl, struct offload_request *request)
{
	return fake_done(impl, CALL_OFFLOAD, request);
}

static int fake_transfer(void *impl, struct offload_request *request)
{
	return fake_done(impl, CALL_TRANSFER, request);
}

static int fake_upload(void *impl, struct offload_request *request)
{
	struct fake_device *d = impl;

	d->calls[CALL_UPLOAD]++;
	d->pending = request;
	return 0;
}

static void fake_commit(void *impl, struct offload_request *request)
{
	struct fake_device *d = impl;

	d->calls[CALL_COMMIT]++;
}

static const struct device_ops fake_ops = {
	.attach = fake_attach,
	.capabilities = fake_capabilities,
	.offload = fake_offload,
	.transfer = fake_transfer,
	.upload = fake_upload,
	.commit = fake_commit,
};

#define FAKE_LAYER(l)                                                                         \
	static int fake_update_##l(void *impl, struct offload_request *request)               \
	{                                                                                     \
		return fake_done(impl, CALL_UPDATE + l, request);                             \
	}                                                                                     \
	static int fake_invalidate_##l(void *impl, struct offload_request *request)           \
	{                                                                                     \
		return fake_done(impl, CALL_INVALIDATE + l, request);                         \
	}                                                                                     \
	static int fake_query_##l(void *impl, struct offload_request *request)                \
	{                                                                                     \
		return fake_done(impl, CALL_QUERY + l, request);                              \
	}                                                                                     \
	static const struct layer_ops fake_layer_##l = {fake_update_##l, fake_invalidate_##l, \
	                                                fake_query_##l}

FAKE_LAYER(LAYER_NEIGHBOR);
FAKE_LAYER(LAYER_PATH);
FAKE_LAYER(LAYER_TCP);

static void fake_send(void *impl, struct send_call *calls, u32 n)
{
	struct fake_device *d = impl;
	struct data_completion done = {.kind = DATA_SEND, .bytes = calls[0].len};
	struct indication ind = {.kind = IND_SEND_ROOM};

	d->host.ops->data_complete(d->host.impl, &done, 1);
	d->host.ops->indicate(d->host.impl, &ind, 1);
}

static void fake_receive(void *impl, struct recv_call *calls, u32 n)
{
	calls[0].taken = 11;
}

static void fake_disconnect(void *impl, struct disconnect_call *calls, u32 n)
{
	calls[0].cookie = 12;
}

static void fake_forward(void *impl, struct forward_call *calls, u32 n)
{
	calls[0].status = STATUS_ABORTED;
}

static const struct data_ops fake_data = {fake_send, fake_receive, fake_disconnect, fake_forward};

/* The frame side adds what it is told to a sum, a power of ten a call. */
static void fake_set_time(void *impl, u64 now_ns)
{
	((struct fake_device *)impl)->frames += now_ns;
}

static void fake_input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	((struct fake_device *)impl)->frames += n * now_ns;
	frames[0].verdict = FRAME_CONSUMED;
}

static void fake_timers(void *impl, u64 now_ns)
{
	((struct fake_device *)impl)->frames += now_ns;
}

static u32 fake_events(void *impl, u64 now_ns)
{
	((struct fake_device *)impl)->frames += now_ns;
	return 21;
}

static bool fake_flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	((struct fake_device *)impl)->frames += now_ns;
	tx->n = 22;
	return true;
}

static u64 fake_next_deadline(const void *impl)
{
	return ((const struct fake_device *)impl)->frames;
}

static void fake_link_changed(void *impl, u32 port, bool up)
{
	((struct fake_device *)impl)->frames += up ? port : 0;
}

static const struct frame_ops fake_frames = {
	fake_set_time, fake_input,         fake_timers,       fake_events,
	fake_flush,    fake_next_deadline, fake_link_changed,
};

struct fake_host {
	u32 completed, done, indicated;
	struct offload_request *last;
};

static void host_complete(void *impl, struct offload_request *request)
{
	struct fake_host *h = impl;

	h->completed++;
	h->last = request;
}

static void host_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct fake_host *h = impl;

	h->done += n;
}

static void host_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct fake_host *h = impl;

	h->indicated += n;
}

static const struct host_ops host_table = {host_complete, host_data_complete, host_indicate};

/* The monitor: counts offloads on their way down and completions on their way up, and is a fault
 * injector when told to be. */
struct monitor {
	struct device_chain chain;
	struct device_ops ops;
	struct host_ops side;
	u32 offloads, completions;
	struct offload_request seen;
	int inject;
};

static int monitor_offload(void *impl, struct offload_request *request)
{
	struct monitor *m = impl;

	m->offloads++;
	m->seen = *request;
	return m->inject ? m->inject : device_pass_ops.offload(impl, request);
}

static void monitor_complete(void *impl, struct offload_request *request)
{
	struct monitor *m = impl;

	m->completions++;
	host_pass_ops.complete(impl, request);
}

static int monitor_insert(struct monitor *m, struct device *hook)
{
	struct device own = {.data = &data_pass_ops, .frames = &frame_pass_ops, .impl = m};

	memset(m, 0, sizeof(*m));
	m->ops = device_pass_ops;
	m->ops.offload = monitor_offload;
	m->side = host_pass_ops;
	m->side.complete = monitor_complete;
	own.ops = &m->ops;
	memcpy(own.layer, layer_pass_ops, sizeof(own.layer));
	return device_insert(&m->chain, hook, own, (struct host_side){&m->side, m});
}

struct world {
	struct fake_device fake;
	struct fake_host host;
	struct device device;
};

static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->device = (struct device){.ops = &fake_ops,
	                            .layer = {&fake_layer_LAYER_NEIGHBOR, &fake_layer_LAYER_PATH,
	                                      &fake_layer_LAYER_TCP},
	                            .data = &fake_data,
	                            .frames = &fake_frames,
	                            .impl = &w->fake};
	fake_attach(&w->fake, (struct host_side){&host_table, &w->host});
}

static int offload(struct world *w, struct offload_request *r)
{
	return w->device.ops->offload(w->device.impl, r);
}

static void inserted_and_removed_while_calls_go_on(void **state)
{
	struct offload_request r = {0};
	struct monitor m;
	struct world w;

	world_init(&w);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(monitor_insert(&m, &w.device), 0);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(m.offloads, 1);
	assert_int_equal(m.completions, 1);
	m.inject = -EBUSY;
	assert_int_equal(offload(&w, &r), -EBUSY);
	assert_int_equal(w.fake.calls[CALL_OFFLOAD], 2);
	assert_int_equal(device_remove(&m.chain), 0);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(m.offloads, 2);
	assert_int_equal(w.host.completed, 3);
	assert_ptr_equal(w.device.impl, &w.fake);
	assert_ptr_equal(w.fake.host.impl, &w.host);
}

/* R47, R107: a driver sees what each layer of the host needs, the kind of call, the list with the
 * host's handles, and the host's word for it */
static void a_request_can_be_inspected(void **state)
{
	struct block block = {.host = 77, .state = NIL, .next = NIL, .dependent = NIL};
	struct block_list list = {.blocks = &block, .n_blocks = 1, .cap_blocks = 1};
	struct offload_needs needs = {.connections = 1};
	struct offload_request r;
	struct monitor m;
	struct world w;

	world_init(&w);
	assert_int_equal(monitor_insert(&m, &w.device), 0);
	offload_request_init(&r, BLOCK_CALL_OFFLOAD, &list, 5);
	for (u32 i = 0; i < HOST_LAYERS; i++) {
		needs.send_bytes = 100 + i;
		assert_int_equal(offload_request_need(&r, &needs), 0);
	}
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(m.seen.call, BLOCK_CALL_OFFLOAD);
	assert_int_equal(m.seen.cookie, 5);
	assert_int_equal(m.seen.n_needs, HOST_LAYERS);
	for (u32 i = 0; i < HOST_LAYERS; i++)
		assert_int_equal(m.seen.needs[i].send_bytes, 100 + i);
	assert_int_equal(block_at(m.seen.list, 0)->host, 77);
	assert_int_equal(device_remove(&m.chain), 0);
}

static void an_upload_completes_although_the_driver_went(void **state)
{
	struct offload_request r = {0};
	struct monitor m;
	struct world w;

	world_init(&w);
	assert_int_equal(monitor_insert(&m, &w.device), 0);
	assert_int_equal(w.device.ops->upload(w.device.impl, &r), 0);
	assert_int_equal(device_remove(&m.chain), 0);
	w.fake.host.ops->complete(w.fake.host.impl, w.fake.pending);
	assert_ptr_equal(w.host.last, &r);
	assert_int_equal(m.completions, 0);
}

static void two_drivers_leave_in_order(void **state)
{
	struct offload_request r = {0};
	struct monitor low, high;
	struct world w;

	world_init(&w);
	assert_int_equal(monitor_insert(&low, &w.device), 0);
	assert_int_equal(monitor_insert(&high, &w.device), 0);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(low.completions + high.completions, 2);
	assert_int_equal(device_remove(&low.chain), -EBUSY);
	assert_int_equal(device_remove(&high.chain), 0);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(high.offloads, 1);
	assert_int_equal(low.offloads, 2);
	assert_int_equal(device_remove(&low.chain), 0);
	assert_int_equal(offload(&w, &r), 0);
	assert_int_equal(w.host.completed, 3);
}

static void each_call_is_handed_through(void **state)
{
	struct recv_call recv = {0};
	struct send_call send = {.len = 3};
	struct disconnect_call disconnect = {0};
	struct forward_call forward = {0};
	struct offload_request r = {0};
	struct capabilities caps;
	struct monitor m;
	struct world w;

	world_init(&w);
	assert_int_equal(monitor_insert(&m, &w.device), 0);
	w.device.ops->capabilities(w.device.impl, &caps);
	assert_int_equal(caps.max_connections, 42);
	assert_int_equal(w.device.ops->transfer(w.device.impl, &r), 0);
	w.device.ops->commit(w.device.impl, &r);
	for (u32 i = 0; i < LAYERS; i++) {
		assert_int_equal(w.device.layer[i]->update(w.device.impl, &r), 0);
		assert_int_equal(w.device.layer[i]->invalidate(w.device.impl, &r), 0);
		assert_int_equal(w.device.layer[i]->query(w.device.impl, &r), 0);
		assert_int_equal(w.fake.calls[CALL_UPDATE + i], 1);
		assert_int_equal(w.fake.calls[CALL_INVALIDATE + i], 1);
		assert_int_equal(w.fake.calls[CALL_QUERY + i], 1);
	}
	assert_int_equal(w.fake.calls[CALL_TRANSFER], 1);
	assert_int_equal(w.fake.calls[CALL_COMMIT], 1);
	w.device.data->send(w.device.impl, &send, 1);
	assert_int_equal(w.host.done, 1);
	assert_int_equal(w.host.indicated, 1);
	w.device.data->receive(w.device.impl, &recv, 1);
	assert_int_equal(recv.taken, 11);
	w.device.data->disconnect(w.device.impl, &disconnect, 1);
	assert_int_equal(disconnect.cookie, 12);
	w.device.data->forward(w.device.impl, &forward, 1);
	assert_int_equal(forward.status, STATUS_ABORTED);
}

static void each_frame_call_is_handed_through(void **state)
{
	struct tx_batch tx = {NULL, 0, 0};
	struct rx_frame frames[2] = {{.verdict = FRAME_PENDING}};
	const struct frame_ops *ops;
	struct monitor m;
	struct world w;

	world_init(&w);
	assert_int_equal(monitor_insert(&m, &w.device), 0);
	ops = w.device.frames;
	ops->set_time(w.device.impl, 1);
	ops->input(w.device.impl, frames, 2, 10);
	assert_int_equal(frames[0].verdict, FRAME_CONSUMED);
	ops->timers(w.device.impl, 100);
	assert_int_equal(ops->events(w.device.impl, 1000), 21);
	assert_true(ops->flush(w.device.impl, &tx, 10000));
	assert_int_equal(tx.n, 22);
	ops->link_changed(w.device.impl, 100000, true);
	assert_int_equal(ops->next_deadline(w.device.impl), 111121);
}

static void a_device_that_takes_no_other_host_is_refused(void **state)
{
	struct device_ops ops = fake_ops;
	struct monitor m;
	struct world w;

	world_init(&w);
	ops.attach = NULL;
	w.device.ops = &ops;
	assert_int_equal(monitor_insert(&m, &w.device), -EINVAL);
	assert_ptr_equal(w.device.impl, &w.fake);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(inserted_and_removed_while_calls_go_on),
		cmocka_unit_test(a_request_can_be_inspected),
		cmocka_unit_test(an_upload_completes_although_the_driver_went),
		cmocka_unit_test(two_drivers_leave_in_order),
		cmocka_unit_test(each_call_is_handed_through),
		cmocka_unit_test(each_frame_call_is_handed_through),
		cmocka_unit_test(a_device_that_takes_no_other_host_is_refused),
	};

	return RUN_TESTS(tests);
}

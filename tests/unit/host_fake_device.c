/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The fake device: it checks every list that it gets, and keeps objects with their counts. */
#include "host_fake_priv.h"

static void answer(struct fake *f, struct offload_request *request)
{
	if (!f->async) {
		f->host_side.ops->complete(f->host_side.impl, request);
		return;
	}
	assert_true(f->n_pending < FAKE_PENDING);
	f->pending[f->n_pending++] = request;
}

bool fake_complete(struct fake *f)
{
	struct offload_request *request = f->pending[0];

	if (!f->n_pending)
		return false;
	f->n_pending--;
	memmove(f->pending, f->pending + 1, f->n_pending * sizeof(f->pending[0]));
	f->host_side.ops->complete(f->host_side.impl, request);
	return true;
}

static bool rejects(struct fake *f, enum block_call call)
{
	if (!f->rejects[call])
		return false;
	f->rejects[call]--;
	return true;
}

static bool take_call(struct fake *f, handle conn, u8 kind, u64 cookie, u32 len)
{
	if (f->answers) {
		assert_true(f->n_calls < FAKE_DATA);
		f->call[f->n_calls++] = (struct fake_call){conn, cookie, len, kind};
	}
	return f->answers;
}

void fake_answer(struct fake *f, u32 i, u16 status, u32 bytes, u32 queued)
{
	const struct data_completion done = {.kind = f->call[i].kind,
	                                     .cookie = f->call[i].cookie,
	                                     .status = status,
	                                     .bytes = bytes,
	                                     .queued = queued};

	f->n_calls--;
	memmove(&f->call[i], &f->call[i + 1], (f->n_calls - i) * sizeof(f->call[0]));
	f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
}

/* An upload answers all calls of its connections first, in order: of receives half are given back
 * with a byte, of sends half the bytes travel in the state. */
static void answer_calls(struct fake *f, handle conn)
{
	for (u32 i = 0; i < f->n_calls;) {
		u32 half = f->call[i].len / 2;

		if (f->call[i].conn != conn)
			i++;
		else if (f->call[i].kind == DATA_RECV)
			fake_answer(f, i, STATUS_UPLOAD_IN_PROGRESS, f->call[i].cookie & 1, 0);
		else
			fake_answer(f, i, STATUS_UPLOAD_IN_PROGRESS, 0, half);
	}
}

/* Is the list one that breaks no rule (R67, R95)? */
static void check_list(struct fake *f, struct offload_request *request, enum block_call call)
{
	u8 scratch[4 * FAKE_CONNS];
	u32 at;

	assert_true(request->list->n_blocks <= sizeof(scratch));
	assert_string_equal(
		block_rule_sentence(block_list_check(request->list, call, scratch, &at)),
		block_rule_sentence(BLOCK_RULE_OK));
	memset(f->blocks, 0, sizeof(f->blocks));
	memset(f->handles_in, 0, sizeof(f->handles_in));
	for (u32 i = 0; i < request->list->n_blocks; i++) {
		f->blocks[request->list->blocks[i].layer]++;
		f->handles_in[request->list->blocks[i].layer] +=
			request->list->blocks[i].device != HANDLE_NONE;
	}
	f->last[request->call] = *request;
	f->calls[request->call]++;
}

static bool fails(struct fake *f, const struct block *b, enum fake_op op, u64 conn)
{
	return b->layer == f->fail_layer && fake_fails(f, op, conn);
}

static u64 conn_of(const struct block_list *list, const struct block *b)
{
	if (b->layer != LAYER_TCP || b->state == NIL)
		return NIL;
	return list->conns[b->state].k.local_port - FAKE_LOCAL_PORT;
}

static handle take(struct fake *f, struct block_list *list, struct block *b, const struct block *up)
{
	handle h = slots_take(b->layer == LAYER_NEIGHBOR ? &f->neighbors
	                      : b->layer == LAYER_PATH   ? &f->paths
	                                                 : &f->conns);

	assert_int_not_equal(h, HANDLE_NONE);
	if (b->layer == LAYER_NEIGHBOR) {
		f->neighbor_state[(u32)h] = *block_neighbor(list, b);
	} else if (b->layer == LAYER_PATH) {
		f->path_state[(u32)h] = *block_path(list, b);
		f->path_neighbor[(u32)h] = (u32)up->device;
		f->neighbor_refs[(u32)up->device]++;
	} else {
		f->device_conn[(u32)h] =
			(struct fake_device_conn){.used = true, .path = (u32)up->device};
		f->path_refs[(u32)up->device]++;
	}
	return h;
}

static void reserve_block(struct fake *f, struct block_list *list, struct block *b,
                          const struct block *up)
{
	if (up && up->status != STATUS_OK) {
		b->status = STATUS_SUBTREE;
		return;
	}
	b->status = STATUS_OK;
	if (b->device != HANDLE_NONE) {
		const struct slots *s = b->layer == LAYER_NEIGHBOR ? &f->neighbors : &f->paths;

		assert_int_not_equal(slots_find(s, b->device), NIL);
		f->linkers[b->layer]++;
		return;
	}
	if (fails(f, b, FAKE_RESERVE, conn_of(list, b))) {
		b->status = f->fail_status;
		b->detail = 55;
		return;
	}
	f->new_blocks[b->layer]++;
	f->whole[b->layer] += !!(b->flags & BLOCK_DELEGATED);
	b->device = take(f, list, b, up);
}

static int dev_offload(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;
	struct block_walk w;

	if (f->paused || rejects(f, BLOCK_CALL_OFFLOAD))
		return -EBUSY;
	fake_note(f, "reserve");
	check_list(f, request, BLOCK_CALL_OFFLOAD);
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w))
		reserve_block(f, list, block_at(list, i),
		              w.parent == NIL ? NULL : block_at(list, w.parent));
	answer(f, request);
	return 0;
}

void fake_free_conn(struct fake *f, handle h)
{
	struct fake_device_conn *c = &f->device_conn[(u32)h];

	f->path_refs[c->path]--;
	if (c->live) {
		buf_put_chain(&f->pool, c->state.d.send.buf);
		buf_put_chain(&f->pool, c->state.d.recv.buf);
	}
	c->used = false;
	assert_int_equal(slots_release(&f->conns, h), 0);
}

/* R108: answered once each; `fill_inside`: at once, before the host knows of the transfer. */
static void post_inside(struct fake *f, struct offload_request *request)
{
	for (u32 i = 0; request->posted_inside && i < request->n_posted; i++) {
		const struct posted_recv *p = &request->posted[i];
		const struct block *b = block_at(request->list, p->block);
		struct data_completion done = {.kind = DATA_RECV, .cookie = p->call.cookie};

		f->n_inside++;
		done.bytes = b->status == STATUS_OK ? p->call.len : 0;
		done.status = b->status == STATUS_OK ? STATUS_OK : STATUS_UPLOAD_IN_PROGRESS;
		if (b->status == STATUS_OK && !f->fill_inside &&
		    take_call(f, b->device, DATA_RECV, p->call.cookie, p->call.len))
			continue;
		if (b->status == STATUS_OK && !f->fill_inside)
			f->recvs[f->n_recvs++] = p->call;
		else
			f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
	}
}

static int dev_transfer(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;

	fake_note(f, "transfer");
	if (f->reject_transfer) {
		for (u32 i = 0; i < list->n_blocks; i++) {
			if (list->blocks[i].layer == LAYER_TCP)
				fake_free_conn(f, list->blocks[i].device);
		}
		return -E2BIG;
	}
	check_list(f, request, BLOCK_CALL_TRANSFER);
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		if (b->layer != LAYER_TCP || b->device == HANDLE_NONE)
			continue;
		assert_int_not_equal(slots_find(&f->conns, b->device), NIL);
		if (b->status == STATUS_OK && fails(f, b, FAKE_TRANSFER, conn_of(list, b)))
			b->status = f->fail_status;
		if (b->status != STATUS_OK) {
			fake_free_conn(f, b->device);
			b->device = HANDLE_NONE;
			continue;
		}
		assert_true(b->flags & BLOCK_DELEGATED);
		assert_false(f->device_conn[(u32)b->device].live); /* R33: once */
		f->device_conn[(u32)b->device].live = true;
		f->device_conn[(u32)b->device].state = *block_tcp(list, b);
	}
	post_inside(f, request);
	answer(f, request);
	return 0;
}

static void snapshot(struct fake *f, struct block_list *list, struct block *b)
{
	if (b->layer == LAYER_TCP) {
		struct fake_device_conn *c = &f->device_conn[(u32)b->device];

		c->uploading = true;
		block_tcp(list, b)->d = c->state.d;
	} else if (b->layer == LAYER_PATH) {
		block_path(list, b)->d = f->path_state[(u32)b->device].d;
	} else {
		block_neighbor(list, b)->d = f->neighbor_state[(u32)b->device].d;
	}
	b->flags |= BLOCK_DELEGATED;
}

static int dev_upload(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;

	if (rejects(f, BLOCK_CALL_UPLOAD))
		return -EBUSY;
	fake_note(f, "upload");
	check_list(f, request, BLOCK_CALL_UPLOAD);
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		u64 conn = NIL;

		if (b->layer == LAYER_TCP && b->device != HANDLE_NONE)
			conn = f->device_conn[(u32)b->device].state.k.local_port - FAKE_LOCAL_PORT;

		b->status = STATUS_OK;
		if (b->device == HANDLE_NONE)
			continue;
		if (fails(f, b, FAKE_UPLOAD, conn)) {
			b->status = f->fail_status;
			continue;
		}
		if (b->layer == LAYER_TCP)
			answer_calls(f, b->device);
		snapshot(f, list, b);
	}
	answer(f, request);
	return 0;
}

static void commit_block(struct fake *f, const struct block *b)
{
	u32 i = (u32)b->device;

	if (b->layer == LAYER_TCP) {
		f->device_conn[i].uploading = false;
		if (b->status == STATUS_OK || b->status == STATUS_DEVICE_FAILED)
			fake_free_conn(f, b->device);
		return;
	}
	if (b->status != STATUS_OK)
		return;
	if (b->layer == LAYER_PATH) {
		assert_int_equal(f->path_refs[i], 0); /* children before parents */
		f->neighbor_refs[f->path_neighbor[i]]--;
		assert_int_equal(slots_release(&f->paths, b->device), 0);
	} else {
		assert_int_equal(f->neighbor_refs[i], 0);
		assert_int_equal(slots_release(&f->neighbors, b->device), 0);
	}
}

static void dev_commit(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;

	fake_note(f, "commit");
	for (u32 layer = LAYERS; layer-- > 0;) {
		for (u32 i = 0; i < list->n_blocks; i++) {
			const struct block *b = block_at(list, i);

			if (b->layer == layer && b->device != HANDLE_NONE)
				commit_block(f, b);
		}
	}
}

static void dev_capabilities(void *device, struct capabilities *ret)
{
	const struct fake *f = device;

	*ret = (struct capabilities){.max_list_blocks = f->max_list_blocks,
	                             .features = f->features};
}

static int dev_memory_add(void *device, void *base, u64 bytes)
{
	return ((struct fake *)device)->memory_error;
}

static int dev_memory_remove(void *device, void *base)
{
	return ((struct fake *)device)->memory_error;
}

static const struct device_ops device_ops = {
	.capabilities = dev_capabilities,
	.offload = dev_offload,
	.transfer = dev_transfer,
	.upload = dev_upload,
	.commit = dev_commit,
	.memory_add = dev_memory_add,
	.memory_remove = dev_memory_remove,
};

/* -- one layer's calls ------------------------------------------------------------------------- */

static void update_block(struct fake *f, struct block_list *list, struct block *b,
                         const struct block *up)
{
	u32 i = (u32)b->device;

	if (b->flags & BLOCK_REPARENT) {
		assert_int_not_equal(slots_find(&f->neighbors, up->device), NIL); /* R77 */
		f->neighbor_refs[f->path_neighbor[i]]--;
		f->path_neighbor[i] = (u32)up->device;
		f->neighbor_refs[f->path_neighbor[i]]++;
	} else if (b->flags & BLOCK_CACHED && b->layer == LAYER_NEIGHBOR) {
		f->neighbor_state[i].c = block_neighbor(list, b)->c;
	} else if (b->flags & BLOCK_CACHED && b->layer == LAYER_PATH) {
		f->path_state[i].c = block_path(list, b)->c;
	} else if (b->flags & BLOCK_CACHED) {
		f->device_conn[i].state.c = block_tcp(list, b)->c;
	}
}

static int dev_update(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;
	struct block_walk w;

	if (rejects(f, BLOCK_CALL_UPDATE))
		return -EBUSY;
	fake_note(f, "update");
	check_list(f, request, BLOCK_CALL_UPDATE);
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w)) {
		struct block *b = block_at(list, i);

		b->status = STATUS_OK;
		if (fails(f, b, FAKE_UPDATE, NIL))
			b->status = f->fail_status;
		else
			update_block(f, list, b, w.parent == NIL ? NULL : block_at(list, w.parent));
	}
	answer(f, request);
	return 0;
}

static int dev_invalidate(void *device, struct offload_request *request)
{
	struct fake *f = device;

	if (rejects(f, BLOCK_CALL_INVALIDATE))
		return -EBUSY;
	fake_note(f, "invalidate");
	check_list(f, request, BLOCK_CALL_INVALIDATE);
	for (u32 i = 0; i < request->list->n_blocks; i++) {
		struct block *b = block_at(request->list, i);

		b->status = fails(f, b, FAKE_INVALIDATE, NIL) ? f->fail_status : STATUS_OK;
	}
	answer(f, request);
	return 0;
}

static int dev_query(void *device, struct offload_request *request)
{
	struct fake *f = device;

	if (rejects(f, BLOCK_CALL_QUERY))
		return -EBUSY;
	check_list(f, request, BLOCK_CALL_QUERY);
	for (u32 i = 0; i < request->list->n_blocks; i++) {
		struct block *b = block_at(request->list, i);

		b->status = STATUS_OK;
		if (b->layer == LAYER_TCP)
			*block_tcp(request->list, b) = f->device_conn[(u32)b->device].state;
	}
	answer(f, request);
	return 0;
}

static const struct layer_ops layer_ops = {dev_update, dev_invalidate, dev_query};

/* -- data -------------------------------------------------------------------------------------- */

static bool full(struct fake *f, u8 kind, u64 cookie)
{
	const struct data_completion done = {.kind = kind, .status = STATUS_BUSY, .cookie = cookie};

	if (f->busy)
		f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
	return f->busy;
}

static void dev_send(void *device, struct send_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		assert_int_not_equal(slots_find(&f->conns, calls[i].conn), NIL);
		assert_true(f->n_sends < FAKE_DATA);
		calls[i].taken = min_of(calls[i].len, f->room);
		if (calls[i].flags & SEND_BUFFERED) {
			f->room -= (u32)calls[i].taken;
			f->buffered_sends++;
			f->buffered[0] += (u32)calls[i].taken;
		} else if (!full(f, DATA_SEND, calls[i].cookie) &&
		           !take_call(f, calls[i].conn, DATA_SEND, calls[i].cookie, calls[i].len)) {
			f->sends[f->n_sends++] = calls[i];
		}
	}
}

static void dev_receive(void *device, struct recv_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		assert_int_not_equal(slots_find(&f->conns, calls[i].conn), NIL);
		assert_true(f->n_recvs < FAKE_DATA);
		if (!(calls[i].flags & RECV_NOW) &&
		    (full(f, DATA_RECV, calls[i].cookie) ||
		     take_call(f, calls[i].conn, DATA_RECV, calls[i].cookie, calls[i].len)))
			continue;
		if (!(calls[i].flags & RECV_NOW)) {
			f->recvs[f->n_recvs++] = calls[i];
			continue;
		}
		calls[i].taken = min_of(calls[i].len, f->unread);
		if (!calls[i].taken)
			calls[i].taken = f->closed ? -ESHUTDOWN : -EAGAIN;
		else
			memset(calls[i].data, 'r', (size_t)calls[i].taken);
		f->unread -= calls[i].taken > 0 ? (u32)calls[i].taken : 0;
		f->buffered[1] += calls[i].taken > 0 ? (u32)calls[i].taken : 0;
	}
}

static void dev_disconnect(void *device, struct disconnect_call *calls, u32 n)
{
	fake_note(device, "disconnect");
}

/* R41: of a connection whose upload is under way. */
static bool keep(struct fake *f, const struct forward_call *call)
{
	struct offload_request *r = f->n_pending ? f->pending[0] : NULL;

	if (!(f->features & FEATURE_UPLOAD_FORWARD_BUFFERING) || !r || r->n_kept >= r->cap_kept)
		return false;
	for (u32 i = 0; i < r->list->n_blocks; i++) {
		if (r->list->blocks[i].device != call->conn)
			continue;
		r->kept[r->n_kept++] = (struct kept_frame){i, *call->frame};
		return true;
	}
	return false;
}

static void note_joined(struct fake *f, const struct forward_call *call)
{
	struct wire_tcp_segment seg;
	const struct rx_frame *frame = call->frame;

	f->joined_len = buf_chain_copy(&f->pool, frame->buf, 0, f->joined, sizeof(f->joined));
	assert_int_equal(f->joined_len, frame->len);
	assert_int_equal(buf_chain_len(&f->pool, frame->buf), frame->len);
	f->joined_fragments = call->fragments;
	f->joined_ok = !wire_parse_tcp(f->joined, f->joined_len, frame->len, &seg) &&
	               !wire_parse_tcp(buf_data(&f->pool, frame->buf),
	                               buf_at(&f->pool, frame->buf)->len, frame->len, &seg) &&
	               wire_tcp_csum_ok(&seg, &f->pool, frame->buf);
}

static void dev_forward(void *device, struct forward_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		calls[i].status = f->forward_status;
		if (keep(f, &calls[i])) {
			calls[i].status = STATUS_OK;
			continue;
		}
		if (f->forward_status != STATUS_OK)
			continue;
		note_joined(f, &calls[i]);
		f->forwarded[f->n_forwarded++] = fake_frame_seq(&f->pool, calls[i].frame);
		buf_put_chain(&f->pool, calls[i].frame->buf);
	}
	fake_note(f, "forward");
}

static const struct data_ops data_ops = {dev_send, dev_receive, dev_disconnect, dev_forward};

void fake_set_up_device(struct fake *f)
{
	slots_init(&f->neighbors, f->neighbor_slot, FAKE_CONNS);
	slots_init(&f->paths, f->path_slot, FAKE_CONNS);
	slots_init(&f->conns, f->conn_slot, FAKE_CONNS);
	f->device = (struct device){
		.ops = &device_ops,
		.layer = {&layer_ops, &layer_ops, &layer_ops},
		.data = &data_ops,
		.impl = f,
	};
	f->max_list_blocks = 1000;
	f->room = NIL;
	f->forward_status = STATUS_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "host_fake.h"

/* -- the host's stack -------------------------------------------------------------------------- */

static bool passes(struct fake *f, struct move *m, enum fake_op op)
{
	if (m->status != STATUS_OK)
		return false;
	if (!fake_fails(f, op, m->conn))
		return true;
	m->status = f->fail_status;
	m->detail = 77;
	return false;
}

static void inspect(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "inspect");
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];

		if (!passes(f, m, FAKE_INSPECT))
			continue;
		m->path = fake_path_key(fake_path_of(f, m->conn));
		memset(m->path.pad, 0xee, sizeof(m->path.pad)); /* must not matter */
		m->neighbor = fake_neighbor_key(fake_neighbor_of(f, m->conn));
		m->local_port = (u16)(FAKE_LOCAL_PORT + m->conn);
		m->remote_port = FAKE_REMOTE_PORT;
		m->path_state->k.local_addr = m->path.local;
		m->path_state->k.remote_addr = m->path.remote;
		m->path_state->c.path_mtu = 1500;
		*m->neighbor_state = fake_neighbor_state(fake_neighbor_of(f, m->conn));
		m->tcp->k.local_port = m->local_port;
		m->tcp->k.remote_port = m->remote_port;
		m->tcp->k.options = TCP_OPT_SACK;
		m->tcp->c = f->conn[m->conn].settings;
		m->tcp->d.send.len = f->conn[m->conn].queued_bytes;
	}
}

static void hold(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "hold");
	for (u32 i = 0; i < n; i++) {
		if (passes(f, &moves[i], FAKE_HOLD))
			f->conn[moves[i].conn].held = true;
	}
}

static void fence_start(void *backend)
{
	fake_note(backend, "fence+");
}

static void fence_wait(void *backend)
{
	fake_note(backend, "fence.");
}

static void freeze_one(struct fake *f, struct move *m, struct buf_pool *pool)
{
	struct fake_conn *c = &f->conn[m->conn];

	assert_true(c->held);
	assert_false(c->frozen);
	c->frozen = true;
	m->flags |= MOVE_FROZEN;
	memset(m->tcp, 0, sizeof(*m->tcp));
	m->tcp->k.local_port = m->local_port;
	m->tcp->k.remote_port = m->remote_port;
	m->tcp->k.options = TCP_OPT_SACK;
	m->tcp->k.iss = seq_of((u32)m->conn * 1000);
	m->tcp->c = c->settings;
	m->tcp->d.state = TCP_ESTABLISHED;
	m->tcp->d.cwnd_bytes = c->cwnd;
	m->tcp->d.send.buf = NIL;
	m->tcp->d.recv.buf = NIL;
	if (!c->queued_bytes)
		return;
	m->tcp->d.send.buf = buf_alloc(pool, BUF_SMALL);
	assert_int_not_equal(m->tcp->d.send.buf, NIL);
	buf_at(pool, m->tcp->d.send.buf)->len = c->queued_bytes;
	m->tcp->d.send.len = c->queued_bytes;
}

static void freeze(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	fake_note(f, "freeze");
	for (u32 i = 0; i < n; i++) {
		if (passes(f, &moves[i], FAKE_FREEZE))
			freeze_one(f, &moves[i], pool);
	}
}

static void thaw(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "thaw");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status != STATUS_OK)
			continue;
		assert_true(f->conn[moves[i].conn].frozen);
		f->conn[moves[i].conn].frozen = false;
	}
}

static void detach(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "detach");
	for (u32 i = 0; i < n; i++) {
		if (!passes(f, &moves[i], FAKE_DETACH))
			continue;
		assert_true(f->conn[moves[i].conn].frozen);
		f->conn[moves[i].conn].detached = true;
		moves[i].flags |= MOVE_DETACHED;
	}
}

static void own(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "own");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			f->conn[moves[i].conn].held = false;
	}
}

static void import(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	fake_note(f, "import");
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];
		struct fake_conn *c = &f->conn[m->conn];

		if (!passes(f, m, FAKE_IMPORT))
			continue;
		assert_true(c->detached);
		/* R31: what the device never returned is there all the same. */
		assert_int_equal(m->tcp->k.iss.n, m->conn * 1000);
		assert_int_equal(m->tcp->k.local_port, FAKE_LOCAL_PORT + m->conn);
		assert_memory_equal(&m->tcp->c, &c->settings, sizeof(c->settings));
		c->cwnd = m->tcp->d.cwnd_bytes;
		c->detached = false;
		c->frozen = false;
		c->imports++;
	}
}

static u32 inject(void *backend, const struct rx_frame *frames, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	n = min_of(n, f->inject_limit);
	f->inject_limit -= n;
	for (u32 i = 0; i < n; i++)
		f->injected[f->n_injected++] = fake_frame_seq(pool, &frames[i]);
	if (n)
		fake_note(f, "inject");
	return n;
}

static void release(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "release");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			f->conn[moves[i].conn].held = false;
	}
}

static const struct backend_ops backend_ops = {
	.inspect = inspect,
	.hold = hold,
	.fence_start = fence_start,
	.fence_wait = fence_wait,
	.freeze = freeze,
	.thaw = thaw,
	.detach = detach,
	.own = own,
	.import = import,
	.inject = inject,
	.release = release,
};

/* -- the device -------------------------------------------------------------------------------- */

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

	if (f->paused)
		return -EBUSY;
	fake_note(f, "reserve");
	check_list(f, request, BLOCK_CALL_OFFLOAD);
	for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w))
		reserve_block(f, list, block_at(list, i),
		              w.parent == NIL ? NULL : block_at(list, w.parent));
	answer(f, request);
	return 0;
}

static void free_conn(struct fake *f, handle h)
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

static int dev_transfer(void *device, struct offload_request *request)
{
	struct fake *f = device;
	struct block_list *list = request->list;

	fake_note(f, "transfer");
	check_list(f, request, BLOCK_CALL_TRANSFER);
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		if (b->layer != LAYER_TCP || b->device == HANDLE_NONE)
			continue;
		assert_int_not_equal(slots_find(&f->conns, b->device), NIL);
		if (b->status == STATUS_OK && fails(f, b, FAKE_TRANSFER, conn_of(list, b)))
			b->status = f->fail_status;
		if (b->status != STATUS_OK) {
			free_conn(f, b->device);
			b->device = HANDLE_NONE;
			continue;
		}
		assert_true(b->flags & BLOCK_DELEGATED);
		assert_false(f->device_conn[(u32)b->device].live); /* R33: once */
		f->device_conn[(u32)b->device].live = true;
		f->device_conn[(u32)b->device].state = *block_tcp(list, b);
	}
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
		if (fails(f, b, FAKE_UPLOAD, conn))
			b->status = f->fail_status;
		else
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
			free_conn(f, b->device);
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

	*ret = (struct capabilities){.max_list_blocks = f->max_list_blocks};
}

static const struct device_ops device_ops = {
	.capabilities = dev_capabilities,
	.offload = dev_offload,
	.transfer = dev_transfer,
	.upload = dev_upload,
	.commit = dev_commit,
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

static void dev_send(void *device, struct send_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		assert_int_not_equal(slots_find(&f->conns, calls[i].conn), NIL);
		assert_true(f->n_sends < FAKE_DATA);
		calls[i].taken = calls[i].len;
		if (calls[i].flags & SEND_BUFFERED)
			f->buffered_sends++;
		else
			f->sends[f->n_sends++] = calls[i];
	}
}

static void dev_receive(void *device, struct recv_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		assert_int_not_equal(slots_find(&f->conns, calls[i].conn), NIL);
		assert_true(f->n_recvs < FAKE_DATA);
		calls[i].taken = -EAGAIN;
		if (!(calls[i].flags & RECV_NOW))
			f->recvs[f->n_recvs++] = calls[i];
	}
}

static void dev_disconnect(void *device, struct disconnect_call *calls, u32 n)
{
	fake_note(device, "disconnect");
}

static void dev_forward(void *device, struct forward_call *calls, u32 n)
{
	struct fake *f = device;

	for (u32 i = 0; i < n; i++) {
		calls[i].status = f->forward_status;
		if (f->forward_status != STATUS_OK)
			continue;
		f->forwarded[f->n_forwarded++] = fake_frame_seq(&f->pool, calls[i].frame);
		buf_put_chain(&f->pool, calls[i].frame->buf);
	}
	fake_note(f, "forward");
}

static const struct data_ops data_ops = {dev_send, dev_receive, dev_disconnect, dev_forward};

/* -- the environment --------------------------------------------------------------------------- */

static u64 env_now(void *ctx)
{
	struct fake *f = ctx;

	f->now_ns += f->tick_ns;
	return f->now_ns;
}

static void env_done(void *ctx, const struct host_done *done, u32 n)
{
	struct fake *f = ctx;

	for (u32 i = 0; i < n; i++)
		f->done[f->n_done++] = done[i];
}

static void env_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	struct fake *f = ctx;

	for (u32 i = 0; i < n && f->n_notices < FAKE_FRAMES; i++)
		f->notice[f->n_notices++] = notices[i];
}

static void env_wait(void *ctx)
{
	assert_true(fake_complete(ctx));
}

static enum status env_refuse(void *ctx, enum host_layer layer, const struct host_candidate *who)
{
	const struct fake *f = ctx;

	if (!f->refuse || layer != f->refuse_layer ||
	    who->local_port != FAKE_LOCAL_PORT + f->refuse_conn)
		return STATUS_OK;
	return STATUS_LAYER_REFUSED;
}

/* -- the world --------------------------------------------------------------------------------- */

static void set_up_device(struct fake *f)
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
	f->forward_status = STATUS_OK;
}

static void set_up_host(struct fake *f, const struct fake_options *o)
{
	struct host_config config = o->config;
	struct host_env env = {
		.ctx = f,
		.now = env_now,
		.done = env_done,
		.notice = env_notice,
		.wait = o->async_wait ? env_wait : NULL,
		.backend = {&backend_ops, f},
		.stack = o->stack,
		.device = &f->device,
		.pool = &f->pool,
		.policy = o->policy,
		.refuse = {env_refuse, f},
	};

	if (env.stack.send)
		env.stack.impl = f;
	config.max_connections = config.max_connections ? config.max_connections : FAKE_CONNS;
	config.max_paths = config.max_paths ? config.max_paths : FAKE_CONNS;
	config.max_neighbors = config.max_neighbors ? config.max_neighbors : FAKE_CONNS;
	config.max_posted = config.max_posted ? config.max_posted : 32;
	config.max_parked = config.max_parked ? config.max_parked : 32;
	config.chunk_max = config.chunk_max ? config.chunk_max : FAKE_CONNS;
	f->mem = aligned_alloc(64, (host_bytes(&config) + 63) & ~63ul);
	assert_non_null(f->mem);
	f->host = host_init(f->mem, &config, &env);
	f->host_side = host_side(f->host);
}

struct fake *fake_create(const struct fake_options *o)
{
	const struct buf_pool_config pool = {.small = 128, .large = 1};
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->pool_mem = aligned_alloc(4096, buf_pool_bytes(&pool));
	buf_pool_init(&f->pool, f->pool_mem, &pool);
	f->fail_conn = NIL;
	f->fail_layer = LAYER_TCP;
	f->tick_ns = 10;
	f->inject_limit = NIL;
	f->conns_per_path = o->conns_per_path ? o->conns_per_path : 4;
	f->paths_per_neighbor = o->paths_per_neighbor ? o->paths_per_neighbor : 2;
	set_up_device(f);
	set_up_host(f, o);
	for (u32 i = 0; i < o->conns; i++) {
		f->conn[i].cwnd = 10000 + i;
		f->conn[i].settings = (struct tcp_cached){.hop_limit = 64, .rcv_buf_bytes = 65536};
		assert_int_equal(host_adopt(f->host, i, &f->conn[i], &f->handles[i]), 0);
	}
	return f;
}

void fake_destroy(struct fake *f)
{
	struct host_usage usage;

	host_usage(f->host, &usage);
	assert_int_equal(usage.posted, 0);
	assert_int_equal(usage.parked, 0);
	for (u32 i = 0; i < FAKE_CONNS; i++) {
		if (f->device_conn[i].used)
			free_conn(f, slots_handle(&f->conns, i));
	}
	assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
	free(f->mem);
	free(f->pool_mem);
	free(f);
}

static void run(struct fake *f, u32 n, enum status status)
{
	assert_int_equal(host_run(f->host), 0);
	assert_false(host_busy(f->host));
	for (u32 i = 0; i < n; i++)
		assert_string_equal(status_word(f->moves[i].status), status_word(status));
	fake_check_tree(f);
}

static void pick(struct fake *f, u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		f->moves[i - from] = (struct host_move){.conn = f->handles[i]};
}

void fake_offload(struct fake *f, u32 from, u32 to, enum status status)
{
	pick(f, from, to);
	assert_int_equal(host_offload(f->host, f->moves, to - from, true), 0);
	run(f, to - from, status);
}

void fake_upload(struct fake *f, u32 from, u32 to, enum status status)
{
	pick(f, from, to);
	assert_int_equal(host_upload(f->host, f->moves, to - from), 0);
	run(f, to - from, status);
}

u8 fake_side(const struct fake *f, u32 conn)
{
	struct host_conn_info info;

	assert_int_equal(host_conn_info(f->host, f->handles[conn], &info), 0);
	return info.side;
}

void fake_indicate(struct fake *f, u8 kind, u32 conn, u64 detail)
{
	const struct indication ind = {
		.kind = kind,
		.host = conn == NIL ? HANDLE_NONE : f->handles[conn],
		.detail = detail,
	};

	f->host_side.ops->indicate(f->host_side.impl, &ind, 1);
}

void fake_expect_objects(const struct fake *f, u32 neighbors, u32 paths, u32 conns)
{
	assert_int_equal(f->neighbors.n_taken, neighbors);
	assert_int_equal(f->paths.n_taken, paths);
	assert_int_equal(f->conns.n_taken, conns);
}

void fake_check_tree(const struct fake *f)
{
	struct host_path_info info;
	struct host_usage usage;
	u32 cursor = 0, offloaded = 0;

	host_usage(f->host, &usage);
	assert_int_equal(usage.offloaded, f->conns.n_taken);
	assert_int_equal(usage.paths_at_device, f->paths.n_taken);
	assert_int_equal(usage.neighbors_at_device, f->neighbors.n_taken);
	while (host_path_next(f->host, &cursor, &info)) {
		if (!info.at_device)
			assert_int_equal(info.offloaded, 0);
		offloaded += info.offloaded;
	}
	assert_int_equal(offloaded, usage.offloaded);
}

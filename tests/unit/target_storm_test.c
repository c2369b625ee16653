/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Storms: every call in random order, with good, stale and senseless handles and lists, under
 * traffic, with a driver that comes and goes. What must hold: no crash, a status in every block,
 * one completion for every call, byte-exact streams, and nothing left at the end. */
#include "target_util.h"

#include "base/prng.h"
#include "offload/chain.h"

enum { CONNS = 24, COOKIES = 60000 };

/* -- streams that move in and out -----------------------------------------------------------------
 */

struct storm {
	struct world *w;
	struct prng rng;
	u64 sent[CONNS], got[CONNS], peer_sent[CONNS], back[CONNS];
	bool in_host[CONNS]; /* uploaded and committed; `parked` has the state */
	struct tcp_state parked[CONNS];
	u32 moves, resumed;
	/* the monitor */
	struct device_chain chain;
	struct device_ops ops;
	struct host_ops side;
	bool inserted;
	u32 seen_calls, seen_completions;
};

static int monitor_upload(void *impl, struct offload_request *request)
{
	struct storm *x = (struct storm *)((u8 *)impl - offsetof(struct storm, chain));

	x->seen_calls++;
	return device_pass_ops.upload(impl, request);
}

static void monitor_complete(void *impl, struct offload_request *request)
{
	struct storm *x = (struct storm *)((u8 *)impl - offsetof(struct storm, chain));

	x->seen_completions++;
	host_pass_ops.complete(impl, request);
}

/* R51, R118: in or out, while connections live and calls are on their way */
static void monitor_toggle(struct storm *x)
{
	struct device own = {.ops = &x->ops,
	                     .data = &data_pass_ops,
	                     .frames = &frame_pass_ops,
	                     .impl = &x->chain};

	if (x->inserted) {
		assert_int_equal(device_remove(&x->chain), 0);
		x->inserted = false;
		return;
	}
	x->ops = device_pass_ops;
	x->ops.upload = monitor_upload;
	x->side = host_pass_ops;
	x->side.complete = monitor_complete;
	memcpy(own.layer, layer_pass_ops, sizeof(own.layer));
	assert_int_equal(
		device_insert(&x->chain, &x->w->dev, own, (struct host_side){&x->side, &x->chain}),
		0);
	x->inserted = true;
}

/* Payload of the snapshot is copied out before the commit, as a host does that imports it. */
static struct data_ref take_payload(struct world *w, struct data_ref ref)
{
	struct buf_pool *pool = target_pool(w->t);
	struct data_ref copy = {.buf = NIL, .len = ref.len};
	u32 tail = NIL, skip;

	if (!ref.len)
		return copy;
	skip = ref.off - buf_at(pool, ref.buf)->off;
	for (u32 done = 0; done < ref.len;) {
		u32 i = buf_alloc(pool, BUF_SMALL);
		struct buf *b;

		assert_int_not_equal(i, NIL);
		b = buf_at(pool, i);
		b->len = min_of(ref.len - done, (u32)BUF_SMALL_BYTES);
		assert_int_equal(
			buf_chain_copy(pool, ref.buf, skip + done, buf_bytes(pool, i), b->len),
			b->len);
		done += b->len;
		if (tail == NIL)
			copy.buf = i;
		else
			buf_at(pool, tail)->next = i;
		tail = i;
	}
	return copy;
}

static void park(struct storm *x, u32 i, const struct tcp_state *s)
{
	x->parked[i].d = s->d;
	x->parked[i].d.send = take_payload(x->w, s->d.send);
	x->parked[i].d.recv = take_payload(x->w, s->d.recv);
	for (u32 k = 0; k < s->d.ooo.n; k++)
		x->parked[i].d.ooo.seg[k].data = take_payload(x->w, s->d.ooo.seg[k].data);
	x->in_host[i] = true;
	x->moves++;
}

/* Uploads a random set; of these, some are not imported and resume. */
static void storm_upload(struct storm *x)
{
	struct world *w = x->w;
	struct test_list l = {0};
	u32 n = NIL, p = NIL, at = NIL, before = w->host.completed;
	u32 ids[3 * CONNS];

	list_make(&l, 3 * CONNS);
	for (u32 i = 0; i < CONNS; i++) {
		u32 path = i / w->conns_per_path, b;

		if (x->in_host[i] || prng_below(&x->rng, 2))
			continue;
		if (path != at) {
			n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
			p = list_placeholder(&l, n, LAYER_PATH);
			at = path;
		}
		b = list_named(&l, p, LAYER_TCP, w->conns[i], true);
		ids[b] = i;
	}
	assert_int_equal(call_upload(w, &l), 0);
	for (u32 k = 0; k < 20 && w->host.completed == before; k++) {
		if (prng_below(&x->rng, 4) == 0)
			monitor_toggle(x);
		world_flush(w);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(w->host.completed, before + 1);
	for (u32 b = 0; b < l.list.n_blocks; b++) {
		struct block *block = block_at(&l.list, b);

		assert_int_equal(block->status, STATUS_OK);
		if (block->layer != LAYER_TCP)
			continue;
		if (prng_below(&x->rng, 5) == 0) {
			block->status = STATUS_FAILED;
			x->resumed++;
		} else {
			park(x, ids[b], block_tcp(&l.list, block));
		}
	}
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
}

/* Offloads what is in the host, in one or two phases. */
static void storm_offload(struct storm *x)
{
	struct world *w = x->w;
	struct test_list l = {0};
	u32 n = NIL, p = NIL, at = NIL;
	bool two = prng_below(&x->rng, 2);

	list_make(&l, 3 * CONNS);
	for (u32 i = 0; i < CONNS; i++) {
		u32 path = i / w->conns_per_path, b;

		if (!x->in_host[i] || prng_below(&x->rng, 3) == 0)
			continue;
		if (path != at) {
			n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
			p = list_named(&l, n, LAYER_PATH, w->paths[path], false);
			at = path;
		}
		b = list_new(&l, p, LAYER_TCP, i);
		*block_tcp(&l.list, block_at(&l.list, b)) = x->parked[i];
		x->in_host[i] = false;
	}
	l.request.two_phase = two;
	assert_int_equal(call_offload(w, &l), 0);
	if (two)
		assert_int_equal(call_transfer(w, &l), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), l.list.n_blocks);
	world_note(w, &l);
	list_free(&l);
}

static void storm_data(struct storm *x, bool writing)
{
	struct world *w = x->w;
	u8 buf[2000];
	s64 n;

	for (u32 i = 0; i < CONNS; i++) {
		if (writing && prng_below(&x->rng, 3) == 0) {
			stream_fill(buf, x->peer_sent[i], sizeof(buf));
			n = tcp_send(w->peer, w->peer_conn[i], buf, 1 + prng_below(&x->rng, 2000));
			x->peer_sent[i] += n > 0 ? (u64)n : 0;
		}
		while ((n = tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf))) > 0) {
			stream_check(buf, x->got[i], (u32)n);
			x->got[i] += (u64)n;
		}
		if (x->in_host[i])
			continue;
		if (writing && prng_below(&x->rng, 3) == 0) {
			stream_fill(buf, x->sent[i], sizeof(buf));
			n = do_send(w, i, buf, 1 + prng_below(&x->rng, 2000), SEND_BUFFERED, 0);
			assert_true(n >= 0);
			x->sent[i] += (u64)n;
		}
		n = do_recv(w, i, buf, 1 + prng_below(&x->rng, 2000), RECV_NOW, 0);
		assert_true(n >= 0);
		stream_check(buf, x->back[i], (u32)n);
		x->back[i] += (u64)n;
	}
}

static void storm_update(struct storm *x)
{
	struct world *w = x->w;
	struct test_list l = {0};
	u32 path = prng_below(&x->rng, CONNS / w->conns_per_path), n, p;

	list_make(&l, 2);
	n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	p = list_named(&l, n, LAYER_PATH, w->paths[path], true);
	state_path(block_path(&l.list, block_at(&l.list, p)), path);
	block_path(&l.list, block_at(&l.list, p))->c.path_mtu = 600 + prng_below(&x->rng, 900);
	block_at(&l.list, p)->flags = BLOCK_CACHED;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
	assert_int_equal(block_at(&l.list, p)->status, STATUS_OK);
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_QUERY, LAYER_PATH), 0);
	assert_int_equal(block_at(&l.list, p)->status, STATUS_OK);
	list_free(&l);
}

/* R10: random offload, upload, roll-back and update under traffic with loss, byte for byte */
static void streams_in_a_storm(void **state)
{
	struct target_config config = {.bufs = {.small = 8192, .large = 64}};
	struct storm *x = zeroed(64, sizeof(*x));
	struct world *w = world_make(&config, true);
	struct target_usage u;
	u32 turn;

	x->w = w;
	prng_seed(&x->rng, 21);
	world_offload(w, 0, CONNS);
	for (u32 i = 0; i < CONNS; i++)
		state_tcp(&x->parked[i], i);
	for (turn = 0; turn < 6000; turn++) {
		bool writing = turn < 600, done = !writing;

		storm_data(x, writing);
		if (prng_below(&x->rng, 4) == 0)
			storm_upload(x);
		if (prng_below(&x->rng, 3) == 0 || !writing)
			storm_offload(x);
		if (prng_below(&x->rng, 6) == 0)
			storm_update(x);
		if (prng_below(&x->rng, 8) == 0)
			monitor_toggle(x);
		if (writing && prng_below(&x->rng, 10) == 0)
			w->drop_next = 1 + prng_below(&x->rng, 3);
		world_step(w, (writing ? 300 : 20000) * NS_PER_US);
		host_forget(w);
		for (u32 i = 0; i < CONNS; i++)
			done &= x->got[i] == x->sent[i] && x->back[i] == x->peer_sent[i];
		if (done)
			break;
	}
	for (u32 i = 0; i < CONNS; i++) {
		assert_int_equal(x->got[i], x->sent[i]);
		assert_int_equal(x->back[i], x->peer_sent[i]);
		assert_true(x->sent[i] > 5000 && x->peer_sent[i] > 5000);
	}
	assert_true(x->moves > 500 && x->resumed > 100);
	assert_true(x->seen_calls > 10 && x->seen_completions > 10);
	if (x->inserted)
		monitor_toggle(x);
	for (bool all = false; !all;) {
		storm_offload(x);
		all = true;
		for (u32 i = 0; i < CONNS; i++)
			all &= !x->in_host[i];
	}
	target_usage(w->t, &u);
	assert_int_equal(u.connections, CONNS);
	world_upload(w, 0, CONNS, true);
	world_is_empty(w);
	world_free(w);
	zeroed_free(x);
}

/* -- senseless calls ------------------------------------------------------------------------------
 */

static handle any_handle(struct world *w, struct prng *rng)
{
	switch (prng_below(rng, 6)) {
	case 0:
		return w->neighbors[prng_below(rng, 2)];
	case 1:
		return w->paths[prng_below(rng, 4)];
	case 2:
		return prng_u32(rng) | (u64)prng_below(rng, 8) << 32;
	case 3:
		return HANDLE_NONE;
	default:
		return w->conns[prng_below(rng, 32)];
	}
}

/* A list of random shape; most are malformed, some are not. */
static void any_list(struct world *w, struct prng *rng, struct test_list *l)
{
	u32 n = 1 + prng_below(rng, 12);

	memset(l, 0, sizeof(*l));
	list_make(l, 16);
	for (u32 i = 0; i < n; i++) {
		u32 parent = l->list.n_blocks && prng_below(rng, 4)
		                     ? prng_below(rng, l->list.n_blocks)
		                     : NIL;
		u32 layer = parent == NIL ? 0 : block_at(&l->list, parent)->layer + 1u;
		u32 b;

		if (layer >= LAYERS)
			continue;
		if (prng_below(rng, 3) == 0)
			b = list_new(l, parent, layer, prng_below(rng, 32));
		else
			(void)list_add(l, parent, layer, prng_below(rng, 2), &b);
		if (prng_below(rng, 2))
			block_at(&l->list, b)->device = any_handle(w, rng);
		if (prng_below(rng, 3) == 0)
			block_at(&l->list, b)->flags = (u8)prng_below(rng, 16);
	}
	if (prng_below(rng, 5) == 0) { /* and something is spoilt */
		u8 *at = (u8 *)block_at(&l->list, prng_below(rng, l->list.n_blocks));

		at[prng_below(rng, 16)] ^= (u8)(1 << prng_below(rng, 8));
	}
	l->list.pool = target_pool(w->t);
}

static void one_state_call(struct world *w, struct prng *rng)
{
	u32 before = w->host.completed, pending, call = prng_below(rng, 7);
	struct test_list l;
	int err;

	any_list(w, rng, &l);
	l.request.two_phase = prng_below(rng, 2);
	if (call == 0)
		err = call_offload(w, &l);
	else if (call == 1)
		err = call_transfer(
			w, (offload_request_init(&l.request, BLOCK_CALL_OFFLOAD, &l.list, 0), &l));
	else if (call == 2)
		err = call_upload(w, &l);
	else if (call == 3)
		err = (offload_request_init(&l.request, BLOCK_CALL_UPLOAD, &l.list, 0),
		       w->dev.ops->commit(w->dev.impl, &l.request), 1);
	else
		err = call_layer(w, &l, BLOCK_CALL_UPDATE + call - 4, prng_below(rng, LAYERS));
	assert_true(err == 0 || err == 1 || err == -EBUSY || err == -E2BIG);
	if (call == 2 && !err) {
		for (u32 i = 0; i < 3 && w->host.completed == before; i++) {
			world_flush(w);
			target_poll_events(w->t, w->now);
		}
		pending = w->host.completed == before;
		if (pending) /* a parent waits, for ever: the list has to stay */
			return;
		for (u32 i = 0; i < l.list.n_blocks; i++) {
			if (prng_below(rng, 3) == 0)
				block_at(&l.list, i)->status = STATUS_FAILED;
		}
		w->dev.ops->commit(w->dev.impl, &l.request);
	}
	if (err == 0)
		assert_int_equal(w->host.completed, before + 1);
	if (call == 0)
		world_note(w, &l);
	list_free(&l);
}

static u32 one_data_call(struct world *w, struct prng *rng, u64 cookie)
{
	static u8 buf[4096];
	u32 len = prng_below(rng, sizeof(buf));
	handle h = any_handle(w, rng);

	switch (prng_below(rng, 4)) {
	case 0: {
		struct send_call call = {h, buf, len, prng_below(rng, 4), cookie, 0};

		w->dev.data->send(w->dev.impl, &call, 1);
		return !(call.flags & SEND_BUFFERED);
	}
	case 1: {
		struct recv_call call = {h, buf, len, prng_below(rng, 8), cookie, 0};

		w->dev.data->receive(w->dev.impl, &call, 1);
		return !(call.flags & RECV_NOW) && len;
	}
	case 2: {
		struct disconnect_call call = {h, cookie, prng_below(rng, 2)};

		if (prng_below(rng, 20))
			return 0;
		w->dev.data->disconnect(w->dev.impl, &call, 1);
		return 1;
	}
	default: {
		struct rx_frame frame = {.buf = buf_alloc(target_pool(w->t), BUF_SMALL)};
		struct forward_call call = {h, &frame, 0};

		if (frame.buf == NIL)
			return 0;
		frame.len = buf_at(target_pool(w->t), frame.buf)->len = 1 + prng_below(rng, 100);
		for (u32 i = 0; i < frame.len; i++)
			buf_data(target_pool(w->t), frame.buf)[i] = (u8)prng_u32(rng);
		w->dev.data->forward(w->dev.impl, &call, 1);
		if (call.status)
			buf_put_chain(target_pool(w->t), frame.buf);
		return 0;
	}
	}
}

/* Each posted call completes once, whatever is done to its connection */
static void senseless_calls(void **state)
{
	struct prng rng;

	for (u32 seed = 1; seed <= 12; seed++) {
		struct world *w = world_make(NULL, true);
		u8 *open = calloc(COOKIES, 1);
		u32 n_open = 0, closed = 0;
		struct target_usage u;

		prng_seed(&rng, seed);
		world_offload(w, 0, 32);
		for (u64 turn = 1; turn < 1500; turn++) {
			u32 expected;

			if (prng_below(&rng, 3) == 0)
				one_state_call(w, &rng);
			expected = one_data_call(w, &rng, turn);
			n_open += expected;
			open[turn] = (u8)expected;
			if (prng_below(&rng, 4) == 0)
				world_step(w, prng_below(&rng, 50) * NS_PER_MS);
			if (prng_below(&rng, 100) == 0)
				target_rebuild(w->t, w->now);
			for (u32 i = 0; i < w->host.n_done; i++) {
				assert_int_equal(open[w->host.done[i].cookie], 1);
				open[w->host.done[i].cookie] = 2;
				closed++;
			}
			host_forget(w);
		}
		target_usage(w->t, &u);
		assert_int_equal(n_open - closed, u.posted);
		free(open);
		world_free(w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_in_a_storm),
		cmocka_unit_test(senseless_calls),
	};

	return RUN_TESTS(tests);
}

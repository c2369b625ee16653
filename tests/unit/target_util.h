/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A target under test: a host side that writes down what it is told, a peer's engine at the other
 * end of an in-memory wire, and lists that name trees of connections.
 *
 * Connection i hangs on path i / conns_per_path, that on neighbor path / paths_per_neighbor. The
 * host's handles are 1000 + i, 100000 + path, 200000 + neighbor.
 */
#ifndef TARGET_UTIL_H
#define TARGET_UTIL_H

#include "unit.h"

#include <errno.h>

#include "offload/request.h"
#include "port/gather.h"
#include "target/target.h"
#include "target_states.h"
#include "tcp/verdict.h"

enum {
	CONN_HOST = 1000,
	PATH_HOST = 100000,
	NEIGHBOR_HOST = 200000,
	TOLD_MAX = 32768,
	TX_MAX = 256,
	WORLD_CONNS = 20000,
};

struct fake_host {
	u32 completed;
	struct offload_request *last;
	u32 n_done, n_ind;
	struct data_completion done[TOLD_MAX];
	struct indication ind[TOLD_MAX];
	u32 order; /* completions of either kind seen so far */
	u32 last_done_order, last_complete_order;
	void (*on_indicate)(void *arg, const struct indication *ind);
	void *arg;
};

struct world {
	struct target_config config;
	struct target *t;
	void *arena;
	struct device dev;
	struct fake_host host;
	u64 now;
	/* the other end */
	bool with_peer;
	struct tcp_engine *peer;
	struct buf_pool peer_pool_own, *peer_pool; /* two worlds may share one peer */
	void *peer_arena, *peer_pool_mem;
	u32 peer_path[1024];
	u32 peer_conn[WORLD_CONNS];
	u32 frames_out; /* frames that the target sent */
	u16 rx_port;    /* that frames of the peer come by */
	u32 drop_next;  /* so many frames of the target are lost */
	u32 conns_per_path, paths_per_neighbor;
	handle conns[WORLD_CONNS];
	handle paths[WORLD_CONNS];
	handle neighbors[1024];
	struct target_usage empty; /* before anything was offloaded */
	struct tx_frame tx[TX_MAX];
};

/* -- the host side ------------------------------------------------------------------------------
 */

static inline void fake_complete(void *impl, struct offload_request *request)
{
	struct fake_host *h = impl;

	h->completed++;
	h->last = request;
	h->last_complete_order = ++h->order;
}

static inline void fake_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct fake_host *h = impl;

	for (u32 i = 0; i < n; i++) {
		assert_true(h->n_done < TOLD_MAX);
		h->done[h->n_done++] = done[i];
	}
	h->last_done_order = ++h->order;
}

static inline void fake_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct fake_host *h = impl;

	for (u32 i = 0; i < n; i++) {
		assert_true(h->n_ind < TOLD_MAX);
		h->ind[h->n_ind++] = ind[i];
		if (h->on_indicate)
			h->on_indicate(h->arg, &ind[i]);
	}
}

static const struct host_ops fake_host_ops = {
	.complete = fake_complete,
	.data_complete = fake_data_complete,
	.indicate = fake_indicate,
};

static inline void host_forget(struct world *w)
{
	w->host.n_done = w->host.n_ind = 0;
}

static inline u32 host_count(const struct world *w, enum indication_kind kind)
{
	u32 n = 0;

	for (u32 i = 0; i < w->host.n_ind; i++)
		n += w->host.ind[i].kind == kind;
	return n;
}

/* The last indication of this kind, NULL: none. */
static inline const struct indication *host_last(const struct world *w, enum indication_kind kind)
{
	for (u32 i = w->host.n_ind; i-- > 0;) {
		if (w->host.ind[i].kind == kind)
			return &w->host.ind[i];
	}
	return NULL;
}

/* The completion with this cookie; fails when there is none or more than one. */
static inline const struct data_completion *host_done(const struct world *w, u64 cookie)
{
	const struct data_completion *found = NULL;

	for (u32 i = 0; i < w->host.n_done; i++) {
		if (w->host.done[i].cookie != cookie)
			continue;
		assert_null(found);
		found = &w->host.done[i];
	}
	assert_non_null(found);
	return found;
}

/* -- the world ----------------------------------------------------------------------------------
 */

/* Zeroed and aligned. Large pieces are pages that are not there before they are touched. */
static inline void *zeroed(size_t align, size_t bytes)
{
	void *raw = calloc(1, bytes + align + sizeof(void *));
	uintptr_t at = ((uintptr_t)raw + sizeof(void *) + align - 1) / align * align;

	assert_non_null(raw);
	((void **)at)[-1] = raw;
	return (void *)at;
}

static inline void zeroed_free(void *mem)
{
	if (mem)
		free(((void **)mem)[-1]);
}

static inline void world_peer_init(struct world *w)
{
	struct tcp_engine_config config = {
		.max_connections = w->config.connections,
		.max_paths = 1024,
		.max_neighbors = 1,
		.seed = 2,
		.ports[0] = {.rx_trusted = true, .tx_csum = true},
	};
	struct buf_pool_config bufs = {.small = 4096, .large = 64};
	struct neighbor_state n;
	u32 neighbor;

	state_neighbor(&n, 0);
	w->peer = zeroed(64, tcp_engine_bytes());
	w->peer_arena = zeroed(4096, tcp_engine_arena_bytes(&config));
	w->peer_pool_mem = zeroed(4096, buf_pool_bytes(&bufs));
	w->peer_pool = &w->peer_pool_own;
	buf_pool_init(w->peer_pool, w->peer_pool_mem, &bufs);
	tcp_engine_init(w->peer, w->peer_arena, &config, w->peer_pool);
	assert_int_equal(tcp_neighbor_add(w->peer, &n, &neighbor), 0);
	for (u32 i = 0; i < ARRAY_SIZE(w->peer_path); i++) {
		struct path_state p;
		struct ip_addr local;

		state_path(&p, i);
		local = p.k.local_addr;
		p.k.local_addr = p.k.remote_addr;
		p.k.remote_addr = local;
		assert_int_equal(tcp_path_add(w->peer, &p, neighbor, &w->peer_path[i]), 0);
	}
}

static inline struct world *world_make(const struct target_config *config, bool with_peer)
{
	struct world *w = zeroed(64, sizeof(*w));

	if (config)
		w->config = *config;
	w->config.connections = w->config.connections ? w->config.connections : 256;
	w->config.engine.seed = 1;
	w->config.engine.ports[0] = (struct tcp_port_caps){.rx_trusted = true, .tx_csum = true};
	w->now = 1000 * NS_PER_S;
	w->conns_per_path = 8;
	w->paths_per_neighbor = 4;
	w->arena = zeroed(4096, target_arena_bytes(&w->config));
	w->t = zeroed(64, target_bytes(&w->config));
	assert_int_equal(target_init(w->t, w->arena, &w->config), 0);
	target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
	target_set_time(w->t, w->now);
	w->dev = target_device(w->t);
	target_usage(w->t, &w->empty);
	w->with_peer = with_peer;
	if (with_peer)
		world_peer_init(w);
	return w;
}

static inline void world_free(struct world *w)
{
	zeroed_free(w->peer);
	zeroed_free(w->peer_arena);
	zeroed_free(w->peer_pool_mem);
	zeroed_free(w->arena);
	zeroed_free(w->t);
	zeroed_free(w);
}

/* -- lists --------------------------------------------------------------------------------------
 */

struct test_list {
	struct block_list list;
	struct offload_request request;
	void *mem;
};

static inline void list_make(struct test_list *l, u32 blocks)
{
	l->mem = zeroed(64, block_list_bytes(blocks, blocks, blocks, blocks));
	block_list_init(&l->list, l->mem, blocks, blocks, blocks, blocks);
}

static inline void list_free(struct test_list *l)
{
	zeroed_free(l->mem);
}

static inline struct block *list_add(struct test_list *l, u32 parent, enum layer layer, bool state,
                                     u32 *ret_index)
{
	assert_int_equal(block_list_add(&l->list, parent, layer, state, ret_index), 0);
	return block_at(&l->list, *ret_index);
}

/* A new object with all of its state. */
static inline u32 list_new(struct test_list *l, u32 parent, enum layer layer, u32 i)
{
	struct block *b;
	u32 index;

	b = list_add(l, parent, layer, true, &index);
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	if (layer == LAYER_NEIGHBOR) {
		state_neighbor(block_neighbor(&l->list, b), i);
		b->host = NEIGHBOR_HOST + i;
	} else if (layer == LAYER_PATH) {
		state_path(block_path(&l->list, b), i);
		b->host = PATH_HOST + i;
	} else {
		state_tcp(block_tcp(&l->list, b), i);
		b->host = CONN_HOST + i;
	}
	return index;
}

/* A block with a handle; `state`: and room for its state. */
static inline u32 list_named(struct test_list *l, u32 parent, enum layer layer, handle device,
                             bool state)
{
	struct block *b;
	u32 index;

	b = list_add(l, parent, layer, state, &index);
	b->device = device;
	return index;
}

static inline u32 list_placeholder(struct test_list *l, u32 parent, enum layer layer)
{
	u32 index;

	(void)list_add(l, parent, layer, false, &index);
	return index;
}

static inline int call_offload(struct world *w, struct test_list *l)
{
	bool two = l->request.two_phase;

	offload_request_init(&l->request, BLOCK_CALL_OFFLOAD, &l->list, 0);
	l->request.two_phase = two;
	if (!l->list.pool)
		l->list.pool = target_pool(w->t);
	return w->dev.ops->offload(w->dev.impl, &l->request);
}

static inline int call_transfer(struct world *w, struct test_list *l)
{
	return w->dev.ops->transfer(w->dev.impl, &l->request);
}

static inline int call_upload(struct world *w, struct test_list *l)
{
	offload_request_init(&l->request, BLOCK_CALL_UPLOAD, &l->list, 0);
	return w->dev.ops->upload(w->dev.impl, &l->request);
}

static inline int call_layer(struct world *w, struct test_list *l, enum block_call call,
                             enum layer layer)
{
	const struct layer_ops *ops = w->dev.layer[layer];

	offload_request_init(&l->request, call, &l->list, 0);
	if (call == BLOCK_CALL_UPDATE)
		return ops->update(w->dev.impl, &l->request);
	if (call == BLOCK_CALL_INVALIDATE)
		return ops->invalidate(w->dev.impl, &l->request);
	return ops->query(w->dev.impl, &l->request);
}

/* What of a tree is already offloaded is named by a linker. */
static inline void list_tree(struct world *w, struct test_list *l, u32 first, u32 n)
{
	u32 neighbor = NIL, path = NIL, at_path = NIL, at_neighbor = NIL;

	for (u32 i = first; i < first + n; i++) {
		u32 p = i / w->conns_per_path, g = p / w->paths_per_neighbor;

		if (g != at_neighbor)
			neighbor = w->neighbors[g] ? list_named(l, NIL, LAYER_NEIGHBOR,
			                                        w->neighbors[g], false)
			                           : list_new(l, NIL, LAYER_NEIGHBOR, g);
		if (p != at_path)
			path = w->paths[p] ? list_named(l, neighbor, LAYER_PATH, w->paths[p], false)
			                   : list_new(l, neighbor, LAYER_PATH, p);
		at_path = p;
		at_neighbor = g;
		(void)list_new(l, path, LAYER_TCP, i);
	}
}

static inline void world_note(struct world *w, const struct test_list *l)
{
	for (u32 i = 0; i < l->list.n_blocks; i++) {
		const struct block *b = block_at(&l->list, i);

		if (b->layer == LAYER_TCP && b->host >= CONN_HOST)
			w->conns[b->host - CONN_HOST] = b->device;
		else if (b->layer == LAYER_PATH && b->host >= PATH_HOST)
			w->paths[b->host - PATH_HOST] = b->device;
		else if (b->layer == LAYER_NEIGHBOR && b->host >= NEIGHBOR_HOST)
			w->neighbors[b->host - NEIGHBOR_HOST] = b->device;
	}
}

static inline void world_peers(struct world *w, u32 first, u32 n)
{
	for (u32 i = first; i < first + n; i++) {
		struct tcp_state s;

		state_tcp_peer(&s, i);
		assert_int_equal(tcp_conn_import(w->peer, &s, w->peer_path[i / w->conns_per_path],
		                                 w->now, &w->peer_conn[i]),
		                 0);
	}
}

/* Connections [first, first + n), established, at both ends, offloaded in one call. */
static inline void world_offload(struct world *w, u32 first, u32 n)
{
	struct test_list l = {0};

	list_make(&l, 3 * n);
	list_tree(w, &l, first, n);
	assert_int_equal(call_offload(w, &l), 0);
	for (u32 i = 0; i < l.list.n_blocks; i++)
		assert_int_equal(block_at(&l.list, i)->status, STATUS_OK);
	world_note(w, &l);
	if (w->with_peer)
		world_peers(w, first, n);
	list_free(&l);
}

/* Names connections [first, first + n) for an upload; with `parents`, what they hang on as well. */
static inline void list_upload(struct world *w, struct test_list *l, u32 first, u32 n, bool parents)
{
	u32 neighbor = NIL, path = NIL, at_path = NIL, at_neighbor = NIL;

	for (u32 i = first; i < first + n; i++) {
		u32 p = i / w->conns_per_path, g = p / w->paths_per_neighbor;

		if (g != at_neighbor)
			neighbor =
				parents ? list_named(l, NIL, LAYER_NEIGHBOR, w->neighbors[g], true)
					: list_placeholder(l, NIL, LAYER_NEIGHBOR);
		if (p != at_path)
			path = parents ? list_named(l, neighbor, LAYER_PATH, w->paths[p], true)
			               : list_placeholder(l, neighbor, LAYER_PATH);
		at_path = p;
		at_neighbor = g;
		(void)list_named(l, path, LAYER_TCP, w->conns[i], true);
	}
}

/* -- the wire -----------------------------------------------------------------------------------
 */

static inline void world_to_peer(struct world *w, u32 n)
{
	struct rx_frame f;

	for (u32 i = 0; i < n; i++) {
		w->frames_out++;
		if (w->drop_next) {
			w->drop_next--;
			continue;
		}
		if (!w->with_peer)
			continue;
		assert_int_equal(frame_copy_across(w->peer_pool, target_pool(w->t), &w->tx[i], &f),
		                 0);
		tcp_input(w->peer, &f, 1, w->now);
		if (f.verdict != FRAME_CONSUMED)
			buf_put_chain(w->peer_pool, f.buf);
	}
}

/* Frames of the peer that the target does not take go to *ret_left, up to 64. */
static inline u32 world_from_peer(struct world *w, struct rx_frame *ret_left)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	u32 left = 0;

	if (!w->with_peer)
		return 0;
	(void)tcp_flush(w->peer, w->now, &tx);
	for (u32 i = 0; i < tx.n; i++) {
		struct rx_frame f;

		if (frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[i], &f))
			continue; /* no buffer: lost */
		f.port = w->rx_port;
		w->dev.frames->input(w->dev.impl, &f, 1, w->now);
		if (f.verdict == FRAME_CONSUMED)
			continue;
		if (f.verdict == FRAME_TO_HOST && ret_left && left < 64)
			ret_left[left++] = f;
		else
			buf_put_chain(target_pool(w->t), f.buf);
	}
	return left;
}

static inline void world_flush(struct world *w)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	bool more;

	do {
		more = w->dev.frames->flush(w->dev.impl, &tx, w->now);
		world_to_peer(w, tx.n);
		tx.n = 0;
	} while (more);
}

/* One turn of both ends, some time later. */
static inline void world_step(struct world *w, u64 ns)
{
	w->now += ns;
	if (w->with_peer)
		tcp_timers(w->peer, w->now);
	world_from_peer(w, NULL);
	w->dev.frames->timers(w->dev.impl, w->now);
	w->dev.frames->events(w->dev.impl, w->now);
	world_flush(w);
	if (w->with_peer) {
		struct tcp_event ev[64];

		while (tcp_events(w->peer, ev, 64))
			;
	}
}

static inline void world_run(struct world *w, u32 turns)
{
	while (turns--)
		world_step(w, 100 * NS_PER_US);
}

/* -- short forms --------------------------------------------------------------------------------
 */

static inline s64 do_send(struct world *w, u32 i, const void *data, u32 len, u32 flags, u64 cookie)
{
	struct send_call call = {w->conns[i], data, len, flags, cookie, 0};

	w->dev.data->send(w->dev.impl, &call, 1);
	return call.taken;
}

static inline s64 do_recv(struct world *w, u32 i, void *data, u32 len, u32 flags, u64 cookie)
{
	struct recv_call call = {w->conns[i], data, len, flags, cookie, 0};

	w->dev.data->receive(w->dev.impl, &call, 1);
	return call.taken;
}

static inline void do_disconnect(struct world *w, u32 i, bool abortive, u64 cookie)
{
	struct disconnect_call call = {w->conns[i], cookie, abortive};

	w->dev.data->disconnect(w->dev.impl, &call, 1);
}

/* Uploads and commits connections [first, first + n) and what they hang on. */
static inline void world_upload(struct world *w, u32 first, u32 n, bool parents)
{
	struct test_list l = {0};
	u32 before = w->host.completed;

	list_make(&l, 3 * n);
	list_upload(w, &l, first, n, parents);
	assert_int_equal(call_upload(w, &l), 0);
	for (u32 i = 0; i < 8 && w->host.completed == before; i++) {
		world_flush(w);
		w->dev.frames->events(w->dev.impl, w->now);
	}
	assert_int_equal(w->host.completed, before + 1);
	for (u32 i = 0; i < l.list.n_blocks; i++)
		assert_int_equal(block_at(&l.list, i)->status, STATUS_OK);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
}

/* Nothing of what was offloaded is left (R38). */
static inline void world_is_empty(struct world *w)
{
	struct target_usage now;

	target_usage(w->t, &now);
	assert_memory_equal(&now, &w->empty, sizeof(now));
}

#endif

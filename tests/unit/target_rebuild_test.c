/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What is derived is thrown away and made anew: between any two batches under traffic, and by a new
 * owner after the old one died. */
#include "target_util.h"

#include "base/prng.h"

enum { CONNS = 12 };

struct traffic {
	struct world *w;
	struct prng rng;
	u64 sent[CONNS], got[CONNS], peer_sent[CONNS], back[CONNS];
	u8 posted[CONNS][600];
	u64 posted_at[CONNS]; /* stream position of the posted buffer */
	bool is_posted[CONNS];
	bool took_over;
};

static void write_some(struct traffic *x, u32 i)
{
	struct world *w = x->w;
	u8 buf[3000];
	s64 n;

	stream_fill(buf, x->sent[i], sizeof(buf));
	n = do_send(w, i, buf, 1 + prng_below(&x->rng, sizeof(buf)), SEND_BUFFERED, 0);
	x->sent[i] += n > 0 ? (u64)n : 0;
	stream_fill(buf, x->peer_sent[i], sizeof(buf));
	n = tcp_send(w->peer, w->peer_conn[i], buf, 1 + prng_below(&x->rng, sizeof(buf)));
	x->peer_sent[i] += n > 0 ? (u64)n : 0;
}

static void read_peer(struct traffic *x, u32 i)
{
	u8 buf[3000];
	s64 n;

	while ((n = tcp_recv(x->w->peer, x->w->peer_conn[i], buf, sizeof(buf))) > 0) {
		stream_check(buf, x->got[i], (u32)n);
		x->got[i] += (u64)n;
	}
}

/* Even connections are read by posted buffers, odd ones by indications. */
static void read_target(struct traffic *x, u32 i)
{
	u8 buf[3000];
	s64 n;

	if (i % 2 == 0) {
		if (!x->is_posted[i])
			(void)do_recv(x->w, i, x->posted[i], sizeof(x->posted[i]), RECV_PUSH, i);
		x->is_posted[i] = true;
		return;
	}
	while ((n = do_recv(x->w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
		stream_check(buf, x->back[i], (u32)n);
		x->back[i] += (u64)n;
	}
}

static void take_completions(struct traffic *x)
{
	for (u32 k = 0; k < x->w->host.n_done; k++) {
		const struct data_completion *done = &x->w->host.done[k];
		u32 i = (u32)done->cookie;

		/* A former owner's come back with what they hold. */
		assert_true(done->status == STATUS_OK ||
		            (x->took_over && done->status == STATUS_UPLOAD_IN_PROGRESS));
		stream_check(x->posted[i], x->back[i], done->bytes);
		x->back[i] += done->bytes;
		x->is_posted[i] = false;
	}
	host_forget(x->w);
}

static bool all_there(const struct traffic *x)
{
	for (u32 i = 0; i < CONNS; i++) {
		if (x->got[i] != x->sent[i] || x->back[i] != x->peer_sent[i])
			return false;
	}
	return true;
}

static void traffic_turn(struct traffic *x, bool writing)
{
	for (u32 i = 0; i < CONNS; i++) {
		if (writing && prng_below(&x->rng, 2))
			write_some(x, i);
		read_peer(x, i);
		read_target(x, i);
	}
	if (prng_below(&x->rng, 10) == 0)
		x->w->drop_next = 1 + prng_below(&x->rng, 3);
	take_completions(x);
}

/* Semantics: only objects and buffers are authoritative. Every stream stays byte-exact although
 * lookup, free lists, timers, counts and lists are made anew after each step of the cycle. */
static void thrown_away_under_traffic(void **state)
{
	struct target_usage before, after;
	struct traffic *x = zeroed(64, sizeof(*x));
	struct world *w = world_make(NULL, true);

	x->w = w;
	prng_seed(&x->rng, 11);
	world_offload(w, 0, CONNS);
	for (u32 turn = 0; turn < 2000; turn++) {
		u64 ns = turn % 5 ? 200 * NS_PER_US : 10 * NS_PER_MS;

		traffic_turn(x, turn < 150);
		if (turn > 150 && all_there(x))
			break;
		w->now += turn > 150 ? 50 * NS_PER_MS : ns;
		tcp_timers(w->peer, w->now);
		world_from_peer(w, NULL);
		target_usage(w->t, &before);
		target_rebuild(w->t, w->now);
		target_usage(w->t, &after);
		assert_memory_equal(&before, &after, sizeof(before));
		target_timers(w->t, w->now);
		target_rebuild(w->t, w->now);
		target_poll_events(w->t, w->now);
		target_rebuild(w->t, w->now);
		world_flush(w);
	}
	assert_true(all_there(x));
	assert_true(x->sent[0] > 20000);
	world_upload(w, 0, CONNS, true);
	world_is_empty(w);
	world_free(w);
	zeroed_free(x);
}

/* A new owner takes the arena: the handles hold, the streams go on */
static void a_new_owner_takes_over(void **state)
{
	struct traffic *x = zeroed(64, sizeof(*x));
	struct world *w = world_make(NULL, true);

	x->w = w;
	prng_seed(&x->rng, 12);
	world_offload(w, 0, CONNS);
	for (u32 turn = 0; turn < 3000; turn++) {
		traffic_turn(x, turn < 300);
		if (turn > 300 && all_there(x))
			break;
		world_step(w, turn > 300 ? 50 * NS_PER_MS : 500 * NS_PER_US);
		take_completions(x);
		if (turn % 10 != 9)
			continue;
		memset(w->t, 0xee, target_bytes(&w->config));
		assert_int_equal(target_attach(w->t, w->arena, &w->config, w->now), 0);
		target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
		x->took_over = true;
	}
	assert_true(all_there(x));
	world_upload(w, 0, CONNS, true);
	world_is_empty(w);
	world_free(w);
	zeroed_free(x);
}

/* What was half done is undone: reservations are gone, uploads that were not committed resume */
static void half_done_calls_are_undone(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list two = {0}, up = {0};
	struct target_usage u;
	u8 buf[10];

	world_offload(w, 0, 8);
	list_make(&two, 16);
	list_tree(w, &two, 100, 3);
	for (u32 i = 0; i < two.list.n_blocks; i++)
		block_at(&two.list, i)->flags &= (u8)~BLOCK_DELEGATED;
	two.request.two_phase = 1;
	assert_int_equal(call_offload(w, &two), 0);
	assert_int_equal(offload_list_count(&two.list, STATUS_OK), 5);
	list_make(&up, 16);
	list_upload(w, &up, 0, 4, false);
	assert_int_equal(call_upload(w, &up), 0);
	(void)do_recv(w, 5, buf, 10, 0, 1);
	(void)do_send(w, 5, "abc", 3, 0, 2);
	target_usage(w->t, &u);
	assert_int_equal(u.connections, 11);
	assert_int_equal(u.posted, 2);
	assert_int_equal(target_attach(w->t, w->arena, &w->config, w->now), 0);
	target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
	target_usage(w->t, &u);
	assert_int_equal(u.connections, 8);
	assert_int_equal(u.paths, 1);
	assert_int_equal(u.neighbors, 1);
	assert_int_equal(u.posted, 2);
	target_poll_events(w->t, w->now);
	target_usage(w->t, &u);
	assert_int_equal(u.posted, 0);
	assert_int_equal(host_done(w, 1)->status, STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(host_done(w, 2)->status, STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(host_done(w, 2)->queued, 3);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(do_send(w, i, "x", 1, SEND_BUFFERED, 0), 1);
	list_free(&two);
	list_free(&up);
	world_upload(w, 0, 8, true);
	world_is_empty(w);
	world_free(w);
}

static void check_payload(struct world *w, const struct data_ref *ref, u64 from)
{
	struct buf_pool *pool = target_pool(w->t);
	u8 *copy = malloc(ref->len);

	assert_int_equal(buf_chain_copy(pool, ref->buf, ref->off - buf_at(pool, ref->buf)->off,
	                                copy, ref->len),
	                 ref->len);
	stream_check(copy, from, ref->len);
	free(copy);
}

/* R100: the dead target is not asked: whoever has the arena reads it and gives every connection
 * back, with what was not acknowledged and what was not read. (It died between two batches.) */
static void a_dead_target_gives_all_back(void **state)
{
	struct world *w = world_make(NULL, true);
	struct test_list l = {0};
	u8 buf[6000];

	world_offload(w, 0, CONNS);
	stream_fill(buf, 0, sizeof(buf));
	for (u32 i = 0; i < CONNS; i++) {
		assert_int_equal(do_send(w, i, buf, 6000, SEND_BUFFERED, 0), 6000);
		assert_int_equal(tcp_send(w->peer, w->peer_conn[i], buf, 300 + i), 300 + i);
	}
	w->drop_next = 5;
	world_step(w, NS_PER_MS);
	world_step(w, NS_PER_MS);
	memset(w->t, 0xee, target_bytes(&w->config));
	assert_int_equal(target_attach(w->t, w->arena, &w->config, w->now), 0);
	target_attach_host(w->t, (struct host_side){&fake_host_ops, &w->host});
	list_make(&l, 3 * CONNS);
	list_upload(w, &l, 0, CONNS, true);
	w->host.completed = 0;
	assert_int_equal(call_upload(w, &l), 0);
	for (u32 i = 0; i < 8 && !w->host.completed; i++) {
		world_flush(w);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), l.list.n_blocks);
	for (u32 b = 0, i = 0; b < l.list.n_blocks; b++) {
		const struct block *block = block_at(&l.list, b);
		const struct tcp_delegated *d;
		u32 acked;

		if (block->layer != LAYER_TCP)
			continue;
		d = &block_tcp(&l.list, block)->d;
		acked = d->snd_una.n - (1001 + i);
		assert_int_equal(acked + d->send.len, 6000);
		if (d->send.len)
			check_payload(w, &d->send, acked);
		assert_int_equal(d->recv.len, 300 + i);
		check_payload(w, &d->recv, 0);
		i++;
	}
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* An arena of another shape is refused */
static void an_arena_of_another_shape(void **state)
{
	struct world *w = world_make(NULL, false);
	struct target_config other = w->config;

	other.paths = 17;
	assert_int_equal(target_attach(w->t, w->arena, &other, w->now), -EINVAL);
	memset(w->arena, 0, 64);
	assert_int_equal(target_attach(w->t, w->arena, &w->config, w->now), -EINVAL);
	other.connections = UINT32_MAX;
	assert_int_equal(target_init(w->t, w->arena, &other), -EINVAL);
	world_free(w);
}

/* The pool's bytes can be registered as they are: whole pages, within the arena */
static void the_umem_is_in_the_arena(void **state)
{
	struct world *w = world_make(NULL, false);
	size_t bytes;
	u8 *umem = target_umem(w->t, &bytes);

	assert_int_equal((uintptr_t)umem % 4096, 0);
	assert_int_equal(bytes % 4096, 0);
	assert_true(umem > (u8 *)w->arena);
	assert_true(umem + bytes <= (u8 *)w->arena + target_arena_bytes(&w->config));
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(thrown_away_under_traffic),
		cmocka_unit_test(a_new_owner_takes_over),
		cmocka_unit_test(half_done_calls_are_undone),
		cmocka_unit_test(a_dead_target_gives_all_back),
		cmocka_unit_test(an_arena_of_another_shape),
		cmocka_unit_test(the_umem_is_in_the_arena),
	};

	return RUN_TESTS(tests);
}

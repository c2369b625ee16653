/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Posted receive buffers: their order, push and fill, inside a request. */
#include "target_streams.h"

/* R63: posted buffers are filled in the order in which they were posted, across segments. R109:
 * they are memory that nobody registered, so each byte goes through the pool and is copied once */
static void buffers_in_posting_order(void **state)
{
	struct world *w = world_with(1, NULL);
	struct target_stats stats;
	static u8 buf[10][1000];

	for (u64 i = 0; i < 10; i++)
		(void)do_recv(w, 0, buf[i], 1000, 0, 100 + i);
	peer_send(w, 0, 0, 7500);
	world_run(w, 10);
	assert_int_equal(w->host.n_done, 7);
	for (u32 i = 0; i < 7; i++) {
		assert_int_equal(w->host.done[i].cookie, 100 + i);
		assert_int_equal(w->host.done[i].bytes, 1000);
		stream_check(buf[i], i * 1000, 1000);
	}
	peer_send(w, 0, 7500, 2500);
	world_run(w, 10);
	assert_int_equal(w->host.n_done, 10);
	for (u32 i = 7; i < 10; i++)
		stream_check(buf[i], i * 1000, 1000);
	assert_int_equal(host_count(w, IND_RECEIVE), 0); /* nothing to indicate */
	target_stats(w->t, &stats);
	assert_int_equal(stats.bytes_given, 10000);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* A push buffer is given back at a PSH, a fill buffer only when it is full */
static void push_and_fill(void **state)
{
	struct world *w = world_with(2, NULL);
	static u8 buf[2][5000];

	(void)do_recv(w, 0, buf[0], 5000, RECV_PUSH, 1);
	(void)do_recv(w, 1, buf[1], 5000, 0, 2);
	peer_send(w, 0, 0, 300);
	peer_send(w, 1, 0, 300);
	world_run(w, 4);
	assert_int_equal(w->host.n_done, 1);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	peer_send(w, 1, 300, 4700);
	world_run(w, 10);
	assert_int_equal(host_done(w, 2)->bytes, 5000);
	stream_check(buf[1], 0, 5000);
	world_free(w);
}

/* The push timer gives a push buffer back that waits for more in vain */
static void the_push_timer(void **state)
{
	struct target_config config = {.push_timer_ns = 10 * NS_PER_MS};
	struct world *w = world_with(1, &config);
	static u8 buf[1000];

	(void)do_recv(w, 0, buf, 1000, RECV_PUSH, 1);
	peer_send(w, 0, 0, 300);
	from_peer_without_push(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.n_done, 0);
	assert_true(target_next_deadline(w->t) <= w->now + 10 * NS_PER_MS);
	world_step(w, 9 * NS_PER_MS);
	assert_int_equal(w->host.n_done, 0);
	world_step(w, 2 * NS_PER_MS);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	stream_check(buf, 0, 300);
	world_free(w);
}

/* Several connections wait for the push timer; one in the middle gets its bytes in time */
static void push_timers_of_several(void **state)
{
	struct target_config config = {.push_timer_ns = 10 * NS_PER_MS};
	struct world *w = world_with(4, &config);
	static u8 buf[4][1000];

	for (u32 i = 0; i < 4; i++) {
		(void)do_recv(w, i, buf[i], 1000, RECV_PUSH, i);
		peer_send(w, i, 0, 300);
		from_peer_without_push(w);
		target_poll_events(w->t, w->now);
		w->now += NS_PER_MS;
		target_set_time(w->t, w->now);
	}
	assert_int_equal(w->host.n_done, 0);
	peer_send(w, 1, 300, 700);
	from_peer_without_push(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.n_done, 1);
	assert_int_equal(host_done(w, 1)->bytes, 1000);
	world_upload(w, 3, 1, false); /* the last of the list leaves */
	assert_int_equal(host_done(w, 3)->bytes, 300);
	for (u32 ms = 0; ms < 12; ms++)
		world_step(w, NS_PER_MS);
	assert_int_equal(w->host.n_done, 4);
	assert_int_equal(w->host.done[2].cookie, 0);
	assert_int_equal(w->host.done[3].cookie, 2);
	world_upload(w, 0, 3, true);
	world_is_empty(w);
	world_free(w);
}

/* R108: buffers that come inside the request are filled first */
static void buffers_inside_the_request(void **state)
{
	struct world *w = world_make(NULL, true);
	struct test_list l = {0};
	static u8 buf[2][100];
	struct posted_recv posted[3] = {
		{.block = 2, .call = {.data = buf[0], .len = 100, .cookie = 1}},
		{.block = 2, .call = {.data = buf[1], .len = 100, .cookie = 2}},
		{.block = 99, .call = {.data = buf[1], .len = 100, .cookie = 3}},
	};

	list_make(&l, 3);
	list_tree(w, &l, 0, 1);
	offload_request_init(&l.request, BLOCK_CALL_OFFLOAD, &l.list, 0);
	l.list.pool = target_pool(w->t);
	l.request.posted_inside = 1;
	l.request.posted = posted;
	l.request.n_posted = 3;
	assert_int_equal(w->dev.ops->offload(w->dev.impl, &l.request), 0);
	assert_int_equal(host_done(w, 3)->status, STATUS_UPLOAD_IN_PROGRESS);
	world_note(w, &l);
	world_peers(w, 0, 1);
	peer_send(w, 0, 0, 200);
	world_run(w, 3);
	assert_int_equal(host_done(w, 1)->bytes, 100);
	assert_int_equal(host_done(w, 2)->bytes, 100);
	stream_check(buf[0], 0, 100);
	stream_check(buf[1], 100, 100);
	list_free(&l);
	world_free(w);
}

/* R108: each buffer inside a request comes back once, also when its connection was not taken over,
 * or the list not even read. */
static void buffers_of_a_refused_request(void **state)
{
	struct target_config config = {.max_window_bytes = 65536};
	struct world *w = world_make(&config, false);
	static u8 buf[100];
	struct target_usage usage;

	for (u32 i = 0; i < 2; i++) {
		struct posted_recv posted[2] = {
			{.block = 2, .call = {.data = buf, .len = 100, .cookie = 1}},
			{.block = 2, .call = {.data = buf, .len = 100, .cookie = 2}},
		};
		struct test_list l = {0};

		list_make(&l, 3);
		list_tree(w, &l, 0, 1);
		if (i)
			block_at(&l.list, 1)->dependent = 0; /* a cycle */
		else
			block_tcp(&l.list, block_at(&l.list, 2))->c.rcv_buf_bytes = 65537;
		offload_request_init(&l.request, BLOCK_CALL_OFFLOAD, &l.list, 0);
		l.list.pool = target_pool(w->t);
		l.request.posted_inside = 1;
		l.request.posted = posted;
		l.request.n_posted = 2;
		host_forget(w);
		assert_int_equal(w->dev.ops->offload(w->dev.impl, &l.request), 0);
		assert_int_equal(w->host.n_done, 2);
		assert_int_equal(host_done(w, 1)->status, STATUS_UPLOAD_IN_PROGRESS);
		assert_int_equal(host_done(w, 2)->bytes, 0);
		target_usage(w->t, &usage);
		assert_int_equal(usage.posted, 0);
		assert_int_equal(usage.connections, 0);
		list_free(&l);
	}
	world_free(w);
}

/* Semantics 5.4, R108: bytes that come with the state fill the buffers inside the request only
 * after the request has completed. */
static void filled_after_the_completion(void **state)
{
	struct world *w = world_make(NULL, false);
	static u8 buf[100];
	struct posted_recv posted = {.block = 2, .call = {.data = buf, .len = 100, .cookie = 1}};
	struct test_list l = {0};
	struct tcp_state *s;
	u32 b;

	list_make(&l, 3);
	list_tree(w, &l, 0, 1);
	s = block_tcp(&l.list, block_at(&l.list, 2));
	b = buf_alloc(target_pool(w->t), BUF_SMALL);
	buf_at(target_pool(w->t), b)->len = 100;
	stream_fill(buf_bytes(target_pool(w->t), b), 0, 100);
	s->d.recv = (struct data_ref){.buf = b, .len = 100};
	offload_request_init(&l.request, BLOCK_CALL_OFFLOAD, &l.list, 0);
	l.list.pool = target_pool(w->t);
	l.request.posted_inside = 1;
	l.request.posted = &posted;
	l.request.n_posted = 1;
	assert_int_equal(w->dev.ops->offload(w->dev.impl, &l.request), 0);
	assert_int_equal(w->host.completed, 1);
	assert_int_equal(w->host.n_done, 0);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_done(w, 1)->bytes, 100);
	stream_check(buf, 0, 100);
	assert_true(w->host.last_done_order > w->host.last_complete_order);
	list_free(&l);
	world_free(w);
}

/* R109: a host in another process posts what it has registered, at its own addresses; nothing else
 * is read or written. */
static void registered_memory(void **state)
{
	struct target_config config = {.registered_only = true};
	struct world *w = world_with(1, &config);
	u8 *theirs = (u8 *)0x7000; /* where the other process has it: nothing of ours */
	static u8 ours[4096], stranger[64];
	struct target_stats stats;
	struct capabilities caps;

	w->dev.ops->capabilities(w->dev.impl, &caps);
	assert_true(caps.features & FEATURE_REGISTERED_BUFFERS);
	assert_int_equal(target_memory_add(w->t, 0x7000, ours, sizeof(ours)), 0);
	assert_int_equal(target_memory_add(w->t, 0x7fff, stranger, 64), -EINVAL);
	assert_int_equal(target_memory_add(w->t, 0x9000, stranger, 0), -EINVAL);
	assert_int_equal(target_memory_add(w->t, UINT64_MAX - 3, stranger, 64), -EINVAL);
	(void)do_recv(w, 0, theirs + 3996, 100, 0, 1);
	(void)do_recv(w, 0, theirs, 60, 0, 2);
	(void)do_recv(w, 0, theirs + 3997, 100, 0, 3); /* one byte too far */
	(void)do_recv(w, 0, stranger, 64, 0, 4);
	(void)do_send(w, 0, stranger, 64, 0, 5);
	stream_fill(ours + 1000, 0, 500);
	(void)do_send(w, 0, theirs + 1000, 500, 0, 6);
	assert_int_equal(host_done(w, 3)->status, STATUS_BAD_STATE);
	assert_int_equal(host_done(w, 4)->status, STATUS_BAD_STATE);
	assert_int_equal(host_done(w, 5)->status, STATUS_BAD_STATE);
	target_stats(w->t, &stats);
	assert_int_equal(stats.unregistered, 3);
	assert_int_equal(target_memory_remove(w->t, 0x7000), -EBUSY);
	assert_int_equal(target_memory_remove(w->t, 0x7001), -ENOENT);
	peer_send(w, 0, 0, 160);
	world_run(w, 5);
	world_step(w, 50 * NS_PER_MS);
	world_run(w, 2);
	assert_int_equal(host_done(w, 1)->bytes, 100);
	assert_int_equal(host_done(w, 2)->bytes, 60);
	assert_int_equal(host_done(w, 6)->status, STATUS_OK);
	stream_check(ours + 3996, 0, 100);
	stream_check(ours, 100, 60);
	assert_int_equal(peer_read(w, 0, 0), 500);
	assert_int_equal(target_memory_remove(w->t, 0x7000), 0);
	(void)do_recv(w, 0, theirs, 60, 0, 7);
	assert_int_equal(host_done(w, 7)->status, STATUS_BAD_STATE);
	world_free(w);
}

/* R109: there is room for so many pieces, and a piece that is gone makes room. */
static void registered_pieces_have_a_limit(void **state)
{
	struct target_config config = {.registered_only = true};
	struct world *w = world_make(&config, false);
	static u8 mem[65 * 16];
	u32 n = 0;

	while (n < 65 && !w->dev.ops->memory_add(w->dev.impl, mem + n * 16, 16))
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(w->dev.ops->memory_add(w->dev.impl, mem + n * 16, 16), -ENOSPC);
	assert_int_equal(w->dev.ops->memory_remove(w->dev.impl, mem), 0);
	assert_int_equal(w->dev.ops->memory_add(w->dev.impl, mem + n * 16, 16), 0);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_in_posting_order),
		cmocka_unit_test(push_and_fill),
		cmocka_unit_test(the_push_timer),
		cmocka_unit_test(push_timers_of_several),
		cmocka_unit_test(buffers_inside_the_request),
		cmocka_unit_test(buffers_of_a_refused_request),
		cmocka_unit_test(filled_after_the_completion),
		cmocka_unit_test(registered_memory),
		cmocka_unit_test(registered_pieces_have_a_limit),
	};

	return RUN_TESTS(tests);
}

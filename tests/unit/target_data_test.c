/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sends, indications, and what happens when buffers run out, against a peer's engine. */
#include "target_streams.h"

/* A send completes once the peer has acknowledged all of it, in order */
static void sends_complete_when_acknowledged(void **state)
{
	struct world *w = world_with(1, NULL);
	static u8 data[9000];
	struct target_stats stats;

	stream_fill(data, 0, sizeof(data));
	(void)do_send(w, 0, data, 3000, 0, 1);
	(void)do_send(w, 0, data + 3000, 6000, 0, 2);
	assert_int_equal(w->host.n_done, 0);
	world_flush(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.n_done, 0); /* sent, not acknowledged */
	world_run(w, 10);
	assert_int_equal(w->host.n_done, 2);
	assert_int_equal(w->host.done[0].cookie, 1);
	assert_int_equal(w->host.done[0].bytes, 3000);
	assert_int_equal(w->host.done[0].host, CONN_HOST);
	assert_int_equal(w->host.done[1].cookie, 2);
	assert_int_equal(host_done(w, 2)->status, STATUS_OK);
	assert_int_equal(peer_read(w, 0, 0), 9000);
	target_stats(w->t, &stats);
	assert_int_equal(stats.bytes_taken, 9000);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* More than the send buffer holds is taken as it drains; the caller's bytes stay his till then */
static void a_send_larger_than_the_buffer(void **state)
{
	struct world *w = world_with(1, NULL);
	u32 len = 400000;
	u8 *data = malloc(len);
	u64 got = 0;

	stream_fill(data, 0, len);
	(void)do_send(w, 0, data, len, 0, 7);
	for (u32 i = 0; i < 400 && !w->host.n_done; i++) {
		world_step(w, 100 * NS_PER_US);
		got = peer_read(w, 0, got);
	}
	assert_int_equal(host_done(w, 7)->status, STATUS_OK);
	assert_int_equal(host_done(w, 7)->bytes, len);
	assert_int_equal(got, len);
	free(data);
	world_free(w);
}

/* Buffered: what fits now, and a word when there is room again */
static void buffered_sends_and_room(void **state)
{
	struct world *w = world_with(1, NULL);
	u32 len = 200000;
	u8 *data = malloc(len);
	u64 got = 0;
	s64 n;

	stream_fill(data, 0, len);
	n = do_send(w, 0, data, len, SEND_BUFFERED, 0);
	assert_true(n > 0 && n < len);
	assert_int_equal(do_send(w, 0, data + n, len - (u32)n, SEND_BUFFERED, 0), 0);
	assert_int_equal(w->host.n_done, 0); /* no completion for these */
	for (u32 i = 0; i < 200 && n < len; i++) {
		world_step(w, 100 * NS_PER_US);
		got = peer_read(w, 0, got);
		if (!host_count(w, IND_SEND_ROOM))
			continue;
		assert_true(host_last(w, IND_SEND_ROOM)->detail > 0);
		host_forget(w);
		n += do_send(w, 0, data + n, len - (u32)n, SEND_BUFFERED, 0);
	}
	world_run(w, 20);
	assert_int_equal(peer_read(w, 0, got), len);
	assert_int_equal(w->host.n_done, 0);
	free(data);
	world_free(w);
}

/* Posted bytes go before buffered ones that come later */
static void order_of_posted_and_buffered(void **state)
{
	struct world *w = world_with(1, NULL);
	u32 len = 100000;
	u8 *data = malloc(len + 10);
	u64 got = 0;
	s64 n = 0;

	stream_fill(data, 0, len + 10);
	(void)do_send(w, 0, data, len, 0, 1);
	assert_int_equal(do_send(w, 0, data + len, 10, SEND_BUFFERED, 0), 0);
	for (u32 i = 0; i < 200 && n < 10; i++) {
		world_step(w, 100 * NS_PER_US);
		got = peer_read(w, 0, got);
		n += do_send(w, 0, data + len + n, 10 - (u32)n, SEND_BUFFERED, 0);
	}
	world_run(w, 20);
	assert_int_equal(peer_read(w, 0, got), len + 10);
	assert_int_equal(host_done(w, 1)->bytes, len);
	free(data);
	world_free(w);
}

/* More to tell than waits at a time: nothing is lost, in order for each connection */
static void more_to_tell_than_fits(void **state)
{
	struct target_config config = {.connections = 700, .posted = 4096};
	struct world *w = world_with(600, &config);
	static u8 buf[16];
	u32 seen[600] = {0};

	for (u32 k = 0; k < 20; k++) {
		for (u32 i = k * 30; i < k * 30 + 30; i++) {
			assert_int_equal(tcp_send(w->peer, w->peer_conn[i], "x", 1), 1);
		}
		world_from_peer(w, NULL);
	}
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_RECEIVE), 600);
	world_flush(w);
	for (u32 i = 0; i < 600; i++) {
		assert_int_equal(do_recv(w, i, buf, 16, RECV_NOW, 0), 1);
		for (u64 k = 0; k < 4; k++)
			(void)do_recv(w, i, buf, 16, 0, i * 4 + k);
	}
	assert_int_equal(w->host.n_done, 0);
	world_upload(w, 0, 600, true);
	assert_int_equal(w->host.n_done, 2400);
	for (u32 k = 0; k < 2400; k++) {
		u32 i = (u32)(w->host.done[k].host - CONN_HOST);

		assert_int_equal(w->host.done[k].cookie, i * 4 + seen[i]++);
		assert_int_equal(w->host.done[k].status, STATUS_UPLOAD_IN_PROGRESS);
	}
	world_is_empty(w);
	world_free(w);
}

/* Sends and disconnects over the limit of posted calls are given back */
static void sends_over_the_limit(void **state)
{
	struct target_config config = {.posted_per_connection = 2};
	struct world *w = world_with(1, &config);

	(void)do_send(w, 0, "a", 1, 0, 1);
	(void)do_send(w, 0, "b", 1, 0, 2);
	(void)do_send(w, 0, "c", 1, 0, 3);
	assert_int_equal(host_done(w, 3)->status, STATUS_BUSY);
	do_disconnect(w, 0, false, 4);
	assert_int_equal(host_done(w, 4)->status, STATUS_BUSY);
	(void)do_send(w, 0, NULL, 0, 0, 5); /* nothing to send is one too many as well */
	assert_int_equal(host_done(w, 5)->status, STATUS_BUSY);
	world_run(w, 2);
	world_step(w, 50 * NS_PER_MS);
	world_run(w, 2);
	assert_int_equal(host_done(w, 1)->bytes, 1);
	assert_int_equal(host_done(w, 2)->bytes, 1);
	(void)do_send(w, 0, NULL, 0, 0, 6);
	assert_int_equal(host_done(w, 6)->status, STATUS_OK);
	world_free(w);
}

/* R65: indicated once; taken whole, in part, or not at all */
static void indicated_until_taken(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 buf[1000];

	peer_send(w, 0, 0, 500);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_RECEIVE), 1);
	assert_int_equal(host_last(w, IND_RECEIVE)->detail, 500);
	/* none: more bytes are not indicated */
	peer_send(w, 0, 500, 100);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_RECEIVE), 1);
	/* a zero-length call re-arms it for what is there, and has no completion */
	(void)do_recv(w, 0, NULL, 0, 0, 5);
	world_run(w, 1);
	assert_int_equal(host_count(w, IND_RECEIVE), 2);
	assert_int_equal(host_last(w, IND_RECEIVE)->detail, 600);
	assert_int_equal(w->host.n_done, 0);
	/* some: told again when more comes */
	assert_int_equal(do_recv(w, 0, buf, 200, RECV_NOW, 0), 200);
	stream_check(buf, 0, 200);
	world_run(w, 1);
	assert_int_equal(host_count(w, IND_RECEIVE), 2);
	peer_send(w, 0, 600, 50);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_RECEIVE), 3);
	assert_int_equal(host_last(w, IND_RECEIVE)->detail, 450);
	/* all */
	assert_int_equal(do_recv(w, 0, buf, 1000, RECV_NOW | RECV_PEEK, 0), 450);
	assert_int_equal(do_recv(w, 0, buf, 1000, RECV_NOW, 0), 450);
	stream_check(buf, 200, 450);
	assert_int_equal(do_recv(w, 0, buf, 1000, RECV_NOW, 0), 0);
	/* none, but then posted */
	peer_send(w, 0, 650, 100);
	world_run(w, 3);
	(void)do_recv(w, 0, buf, 100, 0, 9);
	assert_int_equal(host_done(w, 9)->bytes, 100);
	stream_check(buf, 650, 100);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

static void take_in_callback(void *arg, const struct indication *ind)
{
	struct world *w = arg;
	static u64 at;
	u8 buf[4096];
	s64 n;

	if (ind->kind != IND_RECEIVE)
		return;
	n = do_recv(w, (u32)(ind->host - CONN_HOST), buf, sizeof(buf), RECV_NOW, 0);
	assert_int_equal(n, ind->detail);
	stream_check(buf, at, (u32)n);
	at += (u64)n;
	(void)do_send(w, (u32)(ind->host - CONN_HOST), buf, (u32)n, SEND_BUFFERED, 0);
}

/* The callback may call back: an echo within it */
static void taken_inside_the_callback(void **state)
{
	struct world *w = world_with(1, NULL);
	u64 got = 0;

	w->host.on_indicate = take_in_callback;
	w->host.arg = w;
	for (u64 i = 0; i < 20; i++) {
		peer_send(w, 0, i * 100, 100);
		world_run(w, 3);
		got = peer_read(w, 0, got);
	}
	assert_int_equal(got, 2000);
	assert_int_equal(host_count(w, IND_RECEIVE), 20);
	world_free(w);
}

/* The size from which on bytes are worth an indication */
static void receive_indication_size(void **state)
{
	struct world *w = world_with(1, NULL);
	struct test_list l = {0};
	struct tcp_state s;
	u32 n, p, c;

	list_make(&l, 3);
	n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	p = list_placeholder(&l, n, LAYER_PATH);
	c = list_named(&l, p, LAYER_TCP, w->conns[0], true);
	state_tcp(&s, 0);
	s.c.rcv_indication_bytes = 1000;
	block_tcp(&l.list, block_at(&l.list, c))->c = s.c;
	block_at(&l.list, c)->flags = BLOCK_CACHED;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_TCP), 0);
	assert_int_equal(block_at(&l.list, c)->status, STATUS_OK);
	peer_send(w, 0, 0, 400);
	from_peer_without_push(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_RECEIVE), 0);
	peer_send(w, 0, 400, 700);
	from_peer_without_push(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_last(w, IND_RECEIVE)->detail, 1100);
	list_free(&l);
	world_free(w);
}

/* R64: the pool runs dry; what was not acknowledged comes again, nothing is lost, and sends that
 * found no buffer go on when there is one */
static void the_pool_runs_dry(void **state)
{
	struct target_config config = {.connections = 8, .bufs = {24, 1}};
	struct world *w = world_with(4, &config);
	u64 got[4] = {0};
	u8 buf[4096];

	for (u32 i = 0; i < 4; i++)
		peer_send(w, i, 0, 60000);
	for (u32 turn = 0; turn < 3000; turn++) {
		u32 i = turn % 4;
		s64 n;

		world_step(w, 5 * NS_PER_MS);
		n = do_recv(w, i, buf, sizeof(buf), RECV_NOW, 0);
		if (n <= 0)
			continue;
		stream_check(buf, got[i], (u32)n);
		got[i] += (u64)n;
	}
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(got[i], 60000);
	world_upload(w, 0, 4, true);
	world_is_empty(w);
	world_free(w);
}

/* A send for which there is no buffer, and no ACK to come that would wake it */
static void a_starved_send_goes_on(void **state)
{
	struct target_config config = {.connections = 8, .bufs = {8, 1}};
	struct world *w = world_with(2, &config);
	struct buf_pool *pool = target_pool(w->t);
	u32 held = NIL, b;
	u8 data[100];

	while ((b = buf_alloc(pool, BUF_SMALL)) != NIL || (b = buf_alloc(pool, BUF_LARGE)) != NIL) {
		buf_at(pool, b)->next = held;
		held = b;
	}
	stream_fill(data, 0, 100);
	(void)do_send(w, 0, data, 100, 0, 1);
	assert_int_equal(do_send(w, 1, data, 100, SEND_BUFFERED, 0), 0);
	world_run(w, 3);
	assert_int_equal(w->host.n_done, 0);
	assert_true(target_next_deadline(w->t) <= w->now + NS_PER_MS);
	buf_put_chain(pool, held);
	world_run(w, 5);
	world_step(w, 50 * NS_PER_MS); /* the peer's delayed ACK */
	world_run(w, 2);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK);
	assert_int_equal(host_count(w, IND_SEND_ROOM), 1);
	world_free(w);
}

/* The peer's bytes [from, from + len) arrive one in a segment, the last first. */
static void backwards(struct world *w, u32 i, u64 from, u32 len)
{
	static struct tx_frame frames[400];
	struct rx_frame f;

	for (u32 k = 0; k < len; k++) {
		struct tx_batch tx = {.frames = &frames[k], .cap = 1};

		peer_send(w, i, from + k, 1);
		(void)tcp_flush(w->peer, w->now, &tx);
		assert_int_equal(tx.n, 1);
	}
	for (u32 k = len; k-- > 0;) {
		assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &frames[k], &f),
		                 0);
		target_input(w->t, &f, 1, w->now);
		assert_int_equal(f.verdict, FRAME_CONSUMED);
	}
}

/* R64: with buffers of its own a connection whose application reads nothing, and whose peer sends
 * as wastefully as it can, takes nothing from another: that one gets its whole window at once. */
static void a_pool_of_its_own(void **state)
{
	u32 each = tcp_buffers_worst(65536, 65536);
	struct target_config config = {
		.connections = 4, .bufs = {2 * each * 8 / 7 + 2, 1}, .per_connection_pool = true};
	struct world *w = world_with(2, &config);
	struct buf_pool *pool = target_pool(w->t);
	u32 all = pool->n_free[BUF_SMALL];
	static u8 buf[65536];
	u64 sent;

	backwards(w, 0, 0, 300);
	target_poll_events(w->t, w->now);
	assert_in_range(all - pool->n_free[BUF_SMALL], 1, 2);
	world_run(w, 4);
	for (sent = 300; sent + 513 <= 65536; sent += 513) {
		peer_send(w, 0, sent, 513);
		world_run(w, 2);
	}
	assert_in_range(all - pool->n_free[BUF_SMALL], 120, each);
	for (u32 i = 0; i + 513 <= 65536; i += 513) {
		peer_send(w, 1, i, 513);
		world_run(w, 2);
	}
	assert_int_equal(pool->exhausted[BUF_SMALL], 0);
	assert_int_equal(do_recv(w, 0, buf, 65536, RECV_NOW, 0), sent);
	stream_check(buf, 0, (u32)sent);
	assert_int_equal(do_recv(w, 1, buf, 65536, RECV_NOW, 0), 65536 / 513 * 513);
	stream_check(buf, 0, 65536 / 513 * 513);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_complete_when_acknowledged),
		cmocka_unit_test(a_send_larger_than_the_buffer),
		cmocka_unit_test(buffered_sends_and_room),
		cmocka_unit_test(order_of_posted_and_buffered),
		cmocka_unit_test(more_to_tell_than_fits),
		cmocka_unit_test(sends_over_the_limit),
		cmocka_unit_test(indicated_until_taken),
		cmocka_unit_test(taken_inside_the_callback),
		cmocka_unit_test(receive_indication_size),
		cmocka_unit_test(the_pool_runs_dry),
		cmocka_unit_test(a_starved_send_goes_on),
		cmocka_unit_test(a_pool_of_its_own),
	};

	return RUN_TESTS(tests);
}

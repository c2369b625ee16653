/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Data calls and indications of live connections, against a peer's engine. */
#include "target_util.h"

static struct world *world_with(u32 conns, const struct target_config *config)
{
	struct world *w = world_make(config, true);

	world_offload(w, 0, conns);
	host_forget(w);
	return w;
}

/* The peer writes stream bytes [from, from + len). */
static void peer_send(struct world *w, u32 i, u64 from, u32 len)
{
	u8 buf[8192];

	while (len) {
		u32 n = min_of(len, (u32)sizeof(buf));

		stream_fill(buf, from, n);
		assert_int_equal(tcp_send(w->peer, w->peer_conn[i], buf, n), n);
		from += n;
		len -= n;
	}
}

/* The peer reads what is there and checks it; returns the new position. */
static u64 peer_read(struct world *w, u32 i, u64 from)
{
	u8 buf[8192];
	s64 n;

	while ((n = tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf))) > 0) {
		stream_check(buf, from, (u32)n);
		from += (u64)n;
	}
	return from;
}

/* -- sending ------------------------------------------------------------------------------------
 */

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

/* -- receiving ----------------------------------------------------------------------------------
 */

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

/* Drops PSH from the next frame of the peer. */
static void from_peer_without_push(struct world *w)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	struct rx_frame f;

	(void)tcp_flush(w->peer, w->now, &tx);
	assert_int_equal(tx.n, 1);
	/* Ethernet, IPv4, TCP flags; the checksum is left to the port, so nobody minds. */
	w->tx[0].header[w->tx[0].header_off + 14 + 20 + 13] &= (u8)~0x08;
	assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[0], &f), 0);
	target_input(w->t, &f, 1, w->now);
	assert_int_equal(f.verdict, FRAME_CONSUMED);
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
	assert_int_equal(host_done(w, 3)->status, STATUS_STALE_HANDLE);
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

/* -- the end ------------------------------------------------------------------------------------
 */

/* FIN is told of only after every byte before it was consumed */
static void peer_closed_after_the_last_byte(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 buf[400];

	peer_send(w, 0, 0, 300);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 5);
	assert_int_equal(host_count(w, IND_RECEIVE), 1);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 0);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), 299);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 0);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), 1);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	assert_int_equal(do_recv(w, 0, buf, 299, RECV_NOW, 0), -ESHUTDOWN);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	world_free(w);
}

/* Posted receives at a FIN: what there is, then the end of the stream */
static void posted_receives_at_the_end(void **state)
{
	struct world *w = world_with(1, NULL);
	static u8 buf[2][400];

	(void)do_recv(w, 0, buf[0], 400, 0, 1);
	(void)do_recv(w, 0, buf[1], 400, 0, 2);
	peer_send(w, 0, 0, 300);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 5);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	assert_int_equal(host_done(w, 2)->bytes, 0);
	assert_int_equal(host_done(w, 2)->status, STATUS_OK);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	(void)do_recv(w, 0, buf[0], 400, 0, 3); /* and every later one */
	world_run(w, 1);
	assert_int_equal(host_done(w, 3)->bytes, 0);
	world_free(w);
}

/* A graceful disconnect: FIN behind the data, complete when acknowledged; then the connection is
 * the host's (TIME_WAIT) */
static void graceful_disconnect(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 data[500];

	stream_fill(data, 0, 500);
	(void)do_send(w, 0, data, 500, 0, 1);
	do_disconnect(w, 0, false, 2);
	(void)do_send(w, 0, data, 500, 0, 3);
	assert_int_equal(host_done(w, 3)->status, STATUS_BAD_STATE);
	assert_int_equal(do_send(w, 0, data, 500, SEND_BUFFERED, 0), -EPIPE);
	world_run(w, 10);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK);
	assert_int_equal(host_done(w, 2)->status, STATUS_OK);
	assert_int_equal(peer_read(w, 0, 0), 500);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_run(w, 10);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_TIME_WAIT);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* SEND_FIN is a send and a disconnect in one; after LAST_ACK the rest is the host's as well */
static void send_with_fin(void **state)
{
	struct world *w = world_with(2, NULL);
	u8 data[500];

	stream_fill(data, 0, 500);
	tcp_shutdown(w->peer, w->peer_conn[0]);
	tcp_shutdown(w->peer, w->peer_conn[1]);
	world_run(w, 5);
	(void)do_send(w, 0, data, 500, SEND_FIN, 1);
	assert_int_equal(do_send(w, 1, data, 500, SEND_FIN | SEND_BUFFERED, 0), 500);
	world_run(w, 10);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK);
	assert_int_equal(peer_read(w, 0, 0), 500);
	assert_int_equal(peer_read(w, 1, 0), 500);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 2);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_TIME_WAIT);
	world_upload(w, 0, 2, true);
	world_is_empty(w);
	world_free(w);
}

/* An abortive disconnect completes when the RST is out; everything else ends ABORTED */
static void abortive_disconnect(void **state)
{
	struct world *w = world_with(1, NULL);
	u8 buf[100];

	(void)do_recv(w, 0, buf, 100, 0, 1);
	(void)do_send(w, 0, "abc", 3, 0, 2);
	do_disconnect(w, 0, true, 3);
	do_disconnect(w, 0, true, 4);
	assert_int_equal(host_done(w, 4)->status, STATUS_BAD_STATE);
	world_run(w, 5);
	assert_int_equal(host_done(w, 1)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 2)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 3)->status, STATUS_OK);
	assert_int_equal(host_count(w, IND_ABORTED), 0);
	assert_int_equal(tcp_conn_state(w->peer, w->peer_conn[0]), TCP_CLOSED);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* R76: an acceptable RST ends it: calls complete ABORTED, with what they hold; bytes that were
 * indicated can still be taken */
static void reset_by_the_peer(void **state)
{
	struct world *w = world_with(2, NULL);
	static u8 buf[1000];

	(void)do_recv(w, 0, buf, 1000, 0, 1);
	peer_send(w, 0, 0, 300);
	world_run(w, 3);
	tcp_abort(w->peer, w->peer_conn[0]);
	tcp_abort(w->peer, w->peer_conn[1]);
	world_run(w, 3);
	assert_int_equal(host_count(w, IND_ABORTED), 2);
	assert_int_equal(host_last(w, IND_ABORTED)->detail, ECONNRESET);
	assert_int_equal(host_done(w, 1)->status, STATUS_ABORTED);
	assert_int_equal(host_done(w, 1)->bytes, 300);
	stream_check(buf, 0, 300);
	assert_int_equal(do_send(w, 1, buf, 1, SEND_BUFFERED, 0), -ECONNRESET);
	world_upload(w, 0, 2, true);
	world_is_empty(w);
	world_free(w);
}

/* -- forward ------------------------------------------------------------------------------------
 */

/* What the peer would send now, in buffers of the target, not delivered. */
static u32 capture(struct world *w, struct rx_frame *frames)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};

	(void)tcp_flush(w->peer, w->now, &tx);
	for (u32 i = 0; i < tx.n; i++)
		assert_int_equal(
			frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[i], &frames[i]),
			0);
	return tx.n;
}

/* R39: segments that reached the host by another way, in any order, are processed */
static void forwarded_segments_are_processed(void **state)
{
	struct world *w = world_with(1, NULL);
	struct rx_frame frames[TX_MAX];
	struct forward_call calls[TX_MAX];
	u8 buf[8000];
	u32 n;

	peer_send(w, 0, 0, 7300);
	n = capture(w, frames);
	assert_true(n >= 5);
	for (u32 i = 0; i < n; i++)
		calls[i] = (struct forward_call){.conn = w->conns[0], .frame = &frames[n - 1 - i]};
	w->dev.data->forward(w->dev.impl, calls, n);
	for (u32 i = 0; i < n; i++) {
		assert_int_equal(calls[i].status, STATUS_OK);
		assert_int_equal(frames[i].verdict, FRAME_CONSUMED);
	}
	target_poll_events(w->t, w->now);
	assert_int_equal(do_recv(w, 0, buf, sizeof(buf), RECV_NOW, 0), 7300);
	stream_check(buf, 0, 7300);
	world_run(w, 5);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* R40: forward racing an upload: the host keeps the frame, and the connection shows no trace */
static void forward_racing_an_upload(void **state)
{
	struct world *w = world_with(1, NULL);
	struct rx_frame frames[TX_MAX], again;
	struct forward_call call = {.frame = &frames[0]};
	struct test_list l = {0};
	tcp_seq nxt;
	u8 buf[100];

	peer_send(w, 0, 0, 100);
	assert_int_equal(capture(w, frames), 1);
	assert_int_equal(frame_clone(target_pool(w->t), target_pool(w->t), &frames[0], &again), 0);
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, false);
	assert_int_equal(call_upload(w, &l), 0);
	nxt = block_tcp(&l.list, block_at(&l.list, 2))->d.rcv_nxt;
	call.conn = w->conns[0];
	w->dev.data->forward(w->dev.impl, &call, 1);
	assert_int_equal(call.status, STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(frames[0].verdict, FRAME_PENDING);
	/* Also on the ordinary way in: it is not the target's any more. */
	target_input(w->t, &again, 1, w->now);
	assert_int_equal(again.verdict, FRAME_TO_HOST);
	buf_put_chain(target_pool(w->t), again.buf);
	/* The import fails: the connection resumes, the parked frame is forwarded again. */
	block_at(&l.list, 2)->status = STATUS_FAILED;
	w->dev.ops->commit(w->dev.impl, &l.request);
	assert_int_equal(seq_diff(nxt, seq_of(500001)), 0);
	w->dev.data->forward(w->dev.impl, &call, 1);
	assert_int_equal(call.status, STATUS_OK);
	target_poll_events(w->t, w->now);
	assert_int_equal(do_recv(w, 0, buf, 100, RECV_NOW, 0), 100);
	stream_check(buf, 0, 100);
	list_free(&l);
	world_run(w, 5);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* More at a time than one batch of the engine */
static void many_forwarded_at_a_time(void **state)
{
	struct world *w = world_with(40, NULL);
	struct rx_frame frames[TX_MAX];
	struct forward_call calls[TX_MAX];
	u32 n;

	for (u32 i = 0; i < 40; i++)
		peer_send(w, i, 0, 100);
	n = capture(w, frames);
	assert_int_equal(n, 40);
	for (u32 i = 0; i < n; i++)
		calls[i] = (struct forward_call){.conn = w->conns[i], .frame = &frames[i]};
	calls[7].conn = 12345;
	w->dev.data->forward(w->dev.impl, calls, n);
	for (u32 i = 0; i < n; i++)
		assert_int_equal(calls[i].status, i == 7 ? STATUS_STALE_HANDLE : STATUS_OK);
	buf_put_chain(target_pool(w->t), frames[7].buf);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_RECEIVE), 39);
	world_flush(w);
	world_upload(w, 0, 40, true);
	world_is_empty(w);
	world_free(w);
}

/* What is no segment of a connection of ours goes back */
static void forwarded_by_mistake(void **state)
{
	struct world *w = world_with(1, NULL);
	struct rx_frame frame = {.buf = buf_alloc(target_pool(w->t), BUF_SMALL), .len = 60};
	struct forward_call call = {.conn = w->conns[0], .frame = &frame};

	buf_at(target_pool(w->t), frame.buf)->len = 60;
	memset(buf_data(target_pool(w->t), frame.buf), 0, 60);
	w->dev.data->forward(w->dev.impl, &call, 1);
	assert_int_equal(call.status, STATUS_FAILED);
	buf_put_chain(target_pool(w->t), frame.buf);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_complete_when_acknowledged),
		cmocka_unit_test(a_send_larger_than_the_buffer),
		cmocka_unit_test(buffered_sends_and_room),
		cmocka_unit_test(order_of_posted_and_buffered),
		cmocka_unit_test(buffers_in_posting_order),
		cmocka_unit_test(push_and_fill),
		cmocka_unit_test(the_push_timer),
		cmocka_unit_test(push_timers_of_several),
		cmocka_unit_test(more_to_tell_than_fits),
		cmocka_unit_test(sends_over_the_limit),
		cmocka_unit_test(indicated_until_taken),
		cmocka_unit_test(taken_inside_the_callback),
		cmocka_unit_test(receive_indication_size),
		cmocka_unit_test(the_pool_runs_dry),
		cmocka_unit_test(a_starved_send_goes_on),
		cmocka_unit_test(buffers_inside_the_request),
		cmocka_unit_test(peer_closed_after_the_last_byte),
		cmocka_unit_test(posted_receives_at_the_end),
		cmocka_unit_test(graceful_disconnect),
		cmocka_unit_test(send_with_fin),
		cmocka_unit_test(abortive_disconnect),
		cmocka_unit_test(reset_by_the_peer),
		cmocka_unit_test(forwarded_segments_are_processed),
		cmocka_unit_test(forward_racing_an_upload),
		cmocka_unit_test(many_forwarded_at_a_time),
		cmocka_unit_test(forwarded_by_mistake),
	};

	return RUN_TESTS(tests);
}

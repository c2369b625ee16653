/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Upload: the order of its steps, what goes back to the host, parents and children, roll-back, and
 * connections that move on from target to target under traffic. */
#include "target_util.h"

static struct world *world_with(u32 conns)
{
	struct world *w = world_make(NULL, true);

	world_offload(w, 0, conns);
	host_forget(w);
	return w;
}

static struct tcp_state *uploaded(struct test_list *l, u32 block)
{
	return block_tcp(&l->list, block_at(&l->list, block));
}

/* -- order --------------------------------------------------------------------------------------
 */

/* Semantics 5.5: an ACK that is owed leaves first, nothing leaves after the snapshot (R81), every
 * call completes before the upload does (R36) */
static void the_order_of_steps(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};
	u32 sent;
	u8 buf[100];

	/* Unacknowledged bytes of the peer, and calls that wait. */
	assert_int_equal(tcp_send(w->peer, w->peer_conn[0], "hello", 5), 5);
	world_from_peer(w, NULL);
	target_poll_events(w->t, w->now);
	(void)do_send(w, 0, "abc", 3, 0, 1);
	world_flush(w);
	w->now += 20 * NS_PER_MS;
	assert_int_equal(tcp_send(w->peer, w->peer_conn[0], "again", 5), 5);
	world_from_peer(w, NULL);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_done(w, 1)->status, STATUS_OK); /* the ACK came with it */
	host_forget(w);
	(void)do_send(w, 0, "def", 3, 0, 1);
	(void)do_recv(w, 0, buf, 100, 0, 2);
	sent = w->frames_out;
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, false);
	w->host.completed = 0;
	assert_int_equal(call_upload(w, &l), 0);
	if (!w->host.completed) {
		assert_int_equal(target_next_deadline(w->t), 0);
		world_flush(w);
		assert_int_equal(w->host.completed, 0); /* not before the frames have left */
		assert_int_equal(w->frames_out, sent + 1);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(w->host.completed, 1);
	assert_true(w->host.last_done_order < w->host.last_complete_order);
	assert_int_equal(host_done(w, 1)->status, STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(host_done(w, 2)->status, STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(host_done(w, 2)->bytes, 10);
	assert_memory_equal(buf, "helloagain", 10);
	sent = w->frames_out;
	/* Whatever time passes: silence. */
	for (u32 i = 0; i < 20; i++)
		world_step(w, NS_PER_S);
	assert_int_equal(w->frames_out, sent);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
	world_free(w);
}

/* R82: sends say what the peer acknowledged, and how much of the rest is in the state's queue */
static void sends_that_are_cut_short(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};
	u32 len = 100000, acked, queued = 0, total = 0;
	u8 *data = malloc(len);
	u8 *back = malloc(len);
	struct tcp_state *s;

	stream_fill(data, 0, len);
	(void)do_send(w, 0, data, 1000, 0, 1);
	world_run(w, 2);
	world_step(w, 50 * NS_PER_MS);
	world_run(w, 2);
	assert_int_equal(host_done(w, 1)->bytes, 1000);
	for (u32 i = 0; i < 10; i++)
		(void)do_send(w, 0, data + 1000 + i * 9900, 9900, 0, 10 + i);
	world_step(w, NS_PER_MS); /* the first flight leaves */
	world_step(w, NS_PER_MS); /* and is acknowledged, more leaves */
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, false);
	assert_int_equal(call_upload(w, &l), 0);
	world_flush(w);
	target_poll_events(w->t, w->now);
	s = uploaded(&l, 2);
	acked = (u32)seq_diff(s->d.snd_una, seq_of(1001)) - 1000;
	assert_true(acked > 0 && acked < 99000);
	assert_true(s->d.send.len > 0 && s->d.send.len < 99000 - acked);
	for (u32 i = 0; i < 10; i++) {
		const struct data_completion *done = host_done(w, 10 + i);

		total += done->bytes;
		queued += done->queued;
		assert_true(done->status == STATUS_UPLOAD_IN_PROGRESS || done->bytes == 9900);
		assert_true(done->bytes + done->queued <= 9900);
	}
	assert_int_equal(total, acked);
	assert_int_equal(queued, s->d.send.len);
	assert_int_equal(
		buf_chain_copy(target_pool(w->t), s->d.send.buf,
	                       s->d.send.off - buf_at(target_pool(w->t), s->d.send.buf)->off, back,
	                       s->d.send.len),
		s->d.send.len);
	stream_check(back, 1000 + acked, s->d.send.len);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
	free(data);
	free(back);
	world_free(w);
}

/* A disconnect that was not done: has its FIN gone with the state, or not? */
static void disconnects_that_are_cut_short(void **state)
{
	struct world *w = world_with(2);
	struct test_list l = {0};
	u32 len = 200000;
	u8 *data = malloc(len);

	stream_fill(data, 0, len);
	(void)do_send(w, 0, data, 10, 0, 1);
	do_disconnect(w, 0, false, 2);
	(void)do_send(w, 1, data, len, 0, 3); /* more than the buffer takes */
	do_disconnect(w, 1, false, 4);
	list_make(&l, 4);
	list_upload(w, &l, 0, 2, false);
	assert_int_equal(call_upload(w, &l), 0);
	world_flush(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_done(w, 2)->queued, 1);
	assert_true(uploaded(&l, 2)->d.fin & TCP_FIN_QUEUED);
	assert_int_equal(host_done(w, 4)->queued, 0);
	assert_false(uploaded(&l, 3)->d.fin & TCP_FIN_QUEUED);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
	free(data);
	world_free(w);
}

/* R31, R32, R33: DELEGATED comes back and nothing else; R83: acknowledged, unread bytes with it */
static void what_comes_back(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};
	struct tcp_state *s;
	u8 mark[sizeof(struct tcp_state)], back[300];

	stream_fill(mark, 0, 300);
	assert_int_equal(tcp_send(w->peer, w->peer_conn[0], mark, 300), 300);
	world_run(w, 3);
	world_step(w, 50 * NS_PER_MS);
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, true);
	s = uploaded(&l, 2);
	memset(&s->k, 0xaa, sizeof(s->k));
	memset(&s->c, 0xbb, sizeof(s->c));
	assert_int_equal(call_upload(w, &l), 0);
	memset(mark, 0xaa, sizeof(s->k));
	assert_memory_equal(&s->k, mark, sizeof(s->k));
	memset(mark, 0xbb, sizeof(s->c));
	assert_memory_equal(&s->c, mark, sizeof(s->c));
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(block_at(&l.list, i)->flags, BLOCK_DELEGATED);
	assert_int_equal(s->d.recv.len, 300);
	assert_ptr_equal(l.list.pool, target_pool(w->t));
	(void)buf_chain_copy(target_pool(w->t), s->d.recv.buf,
	                     s->d.recv.off - buf_at(target_pool(w->t), s->d.recv.buf)->off, back,
	                     300);
	stream_check(back, 0, 300);
	assert_int_equal(seq_diff(s->d.rcv_nxt, seq_of(500001)), 300);
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* -- parents ------------------------------------------------------------------------------------
 */

/* R42, R43: a path that is uploaded with some of its connections waits for the others */
static void a_parent_waits_for_its_children(void **state)
{
	struct world *w = world_with(4);
	struct test_list early = {0}, rest = {0};
	u32 n, p;

	list_make(&early, 6);
	n = list_named(&early, NIL, LAYER_NEIGHBOR, w->neighbors[0], true);
	p = list_named(&early, n, LAYER_PATH, w->paths[0], true);
	(void)list_named(&early, p, LAYER_TCP, w->conns[0], true);
	w->host.completed = 0;
	assert_int_equal(call_upload(w, &early), 0);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.completed, 0);
	list_make(&rest, 6);
	list_upload(w, &rest, 1, 3, false);
	assert_int_equal(call_upload(w, &rest), 0);
	assert_int_equal(w->host.completed, 1);
	assert_ptr_equal(w->host.last, &rest.request);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.completed, 1); /* snapshotted is not gone */
	w->dev.ops->commit(w->dev.impl, &rest.request);
	assert_int_equal(w->host.completed, 2);
	assert_ptr_equal(w->host.last, &early.request);
	assert_int_equal(offload_list_count(&early.list, STATUS_OK), 3);
	w->dev.ops->commit(w->dev.impl, &early.request);
	world_is_empty(w);
	list_free(&early);
	list_free(&rest);
	world_free(w);
}

/* R84: neighbor, path and connection of one list are read at one moment, with one completion, while
 * traffic would go on: what the path counted is what the connection sent */
static void one_snapshot_over_the_layers(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};
	u32 frames;

	for (u32 i = 0; i < 7; i++) {
		assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
		world_flush(w);
	}
	frames = w->frames_out;
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, true);
	w->host.completed = 0;
	assert_int_equal(call_upload(w, &l), 0);
	assert_int_equal(w->host.completed, 1);
	assert_int_equal(w->frames_out, frames);
	assert_int_equal(seq_diff(uploaded(&l, 2)->d.snd_max, seq_of(1001)), 7);
	assert_int_equal(block_path(&l.list, block_at(&l.list, 1))->d.next_ip_id, frames);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(block_at(&l.list, i)->flags, BLOCK_DELEGATED);
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* R80, R43: connections first, then what they hung on in a request of its own */
static void parents_in_a_later_request(void **state)
{
	struct world *w = world_with(16);
	struct test_list l = {0};
	u32 n;

	world_upload(w, 0, 16, false);
	list_make(&l, 4);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], true);
	(void)list_named(&l, n, LAYER_PATH, w->paths[0], true);
	(void)list_named(&l, n, LAYER_PATH, w->paths[1], true);
	assert_int_equal(call_upload(w, &l), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), 3);
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* R62: the path's next IP ID comes back, and stays in the half that is the device's (R61) */
static void the_next_ip_id_comes_back(void **state)
{
	struct world *w = world_make(NULL, true);
	struct test_list l = {0};
	struct path_state *p;
	u16 next;

	list_make(&l, 3);
	list_tree(w, &l, 0, 1);
	p = block_path(&l.list, block_at(&l.list, 1));
	p->k.ip_id_start = 50000;
	p->k.ip_id_confined = 1;
	p->d.next_ip_id = 32766;
	assert_int_equal(call_offload(w, &l), 0);
	world_note(w, &l);
	world_peers(w, 0, 1);
	list_free(&l);
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
		world_flush(w);
	}
	assert_int_equal(w->frames_out, 5);
	memset(&l, 0, sizeof(l));
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, true);
	assert_int_equal(call_upload(w, &l), 0);
	next = block_path(&l.list, block_at(&l.list, 1))->d.next_ip_id;
	assert_int_equal(next % 32768, (32766 + 5) % 32768);
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* -- from target to target ----------------------------------------------------------------------
 */

/* The uploaded list, given to another target as it is but for handles, flags and CONST, CACHED. */
static void move_list(struct world *from, struct world *to, u32 n)
{
	struct test_list up = {0}, down = {0};
	u32 before = from->host.completed;

	list_make(&up, 3 * n);
	list_upload(from, &up, 0, n, true);
	assert_int_equal(call_upload(from, &up), 0);
	for (u32 i = 0; i < 16 && from->host.completed == before; i++) {
		world_flush(from);
		target_poll_events(from->t, from->now);
	}
	assert_int_equal(from->host.completed, before + 1);
	list_make(&down, 3 * n);
	memset(to->paths, 0, sizeof(to->paths));
	memset(to->neighbors, 0, sizeof(to->neighbors));
	list_tree(to, &down, 0, n);
	for (u32 i = 0; i < down.list.n_blocks; i++) {
		struct block *b = block_at(&down.list, i);

		if (b->layer == LAYER_TCP)
			block_tcp(&down.list, b)->d = uploaded(&up, i)->d;
	}
	down.list.pool = up.list.pool; /* another pool: copied */
	assert_int_equal(call_offload(to, &down), 0);
	assert_int_equal(offload_list_count(&down.list, STATUS_OK), down.list.n_blocks);
	world_note(to, &down);
	from->dev.ops->commit(from->dev.impl, &up.request);
	list_free(&up);
	list_free(&down);
}

/* R10, R14, R110: hither and thither under traffic, every byte right, nothing left behind */
static void moved_between_targets(void **state)
{
	struct world *w[2] = {world_make(NULL, true), world_make(NULL, false)};
	u64 sent[8] = {0}, got[8] = {0}, peer_sent[8] = {0}, back[8] = {0};
	u8 buf[4000];
	u32 at = 0;

	world_offload(w[0], 0, 8);
	/* Both targets talk to the one peer. */
	w[1]->with_peer = true;
	w[1]->peer = w[0]->peer;
	w[1]->peer_pool = w[0]->peer_pool;
	for (u32 round = 0; round < 120; round++) {
		for (u32 i = 0; i < 8 && round < 80; i++) {
			s64 n;

			stream_fill(buf, sent[i], 2000);
			n = do_send(w[at], i, buf, 1 + (round * 37 + i * 211) % 2000, SEND_BUFFERED,
			            0);
			sent[i] += n > 0 ? (u64)n : 0;
			stream_fill(buf, peer_sent[i], 2000);
			n = tcp_send(w[at]->peer, w[0]->peer_conn[i], buf,
			             1 + (round * 53 + i * 97) % 2000);
			peer_sent[i] += n > 0 ? (u64)n : 0;
		}
		for (u32 k = 0; k < round % 3 + (round >= 80 ? 20 : 0); k++)
			world_step(w[at], round % 2 ? 100 * NS_PER_US : 3 * NS_PER_MS);
		for (u32 i = 0; i < 8; i++) {
			s64 n;

			while ((n = do_recv(w[at], i, buf, 1 + round * 31, RECV_NOW, 0)) > 0) {
				stream_check(buf, back[i], (u32)n);
				back[i] += (u64)n;
			}
			while ((n = tcp_recv(w[at]->peer, w[0]->peer_conn[i], buf, sizeof(buf))) >
			       0) {
				stream_check(buf, got[i], (u32)n);
				got[i] += (u64)n;
			}
		}
		w[!at]->now = w[at]->now;
		target_set_time(w[!at]->t, w[at]->now);
		move_list(w[at], w[!at], 8);
		world_is_empty(w[at]);
		at = !at;
	}
	for (u32 i = 0; i < 8; i++) {
		assert_int_equal(got[i], sent[i]);
		assert_int_equal(back[i], peer_sent[i]);
		assert_true(sent[i] > 10000 && peer_sent[i] > 10000);
	}
	w[1]->peer = NULL;
	world_free(w[0]);
	world_free(w[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_of_steps),
		cmocka_unit_test(sends_that_are_cut_short),
		cmocka_unit_test(disconnects_that_are_cut_short),
		cmocka_unit_test(what_comes_back),
		cmocka_unit_test(a_parent_waits_for_its_children),
		cmocka_unit_test(parents_in_a_later_request),
		cmocka_unit_test(one_snapshot_over_the_layers),
		cmocka_unit_test(the_next_ip_id_comes_back),
		cmocka_unit_test(moved_between_targets),
	};

	return RUN_TESTS(tests);
}

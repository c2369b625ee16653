/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Uploads that are undone, that wait, or that are too many. */
#include "target_util.h"

static struct world *world_with(u32 conns)
{
	struct world *w = world_make(NULL, true);

	world_offload(w, 0, conns);
	host_forget(w);
	return w;
}

/* An import that fails: the connection goes on as if nothing had happened, whatever the moment */
static void rolled_back_and_nothing_lost(void **state)
{
	struct world *w = world_with(2);
	u64 sent[2] = {0}, got[2] = {0}, peer_sent[2] = {0}, back[2] = {0};
	u8 buf[4000];

	for (u32 round = 0; round < 60; round++) {
		struct test_list l = {0};
		u32 before = w->host.completed;

		for (u32 i = 0; i < 2; i++) {
			s64 n;

			stream_fill(buf, sent[i], 3000);
			n = do_send(w, i, buf, 3000, SEND_BUFFERED, 0);
			sent[i] += n > 0 ? (u64)n : 0;
			stream_fill(buf, peer_sent[i], 2500);
			n = tcp_send(w->peer, w->peer_conn[i], buf, 2500);
			peer_sent[i] += n > 0 ? (u64)n : 0;
		}
		for (u32 k = 0; k < round % 4; k++)
			world_step(w, NS_PER_MS);
		list_make(&l, 4);
		list_upload(w, &l, 0, 2, true);
		assert_int_equal(call_upload(w, &l), 0);
		for (u32 k = 0; k < 4 && w->host.completed == before; k++) {
			world_flush(w);
			target_poll_events(w->t, w->now);
		}
		assert_int_equal(w->host.completed, before + 1);
		/* Frames meanwhile go to the host, which has no connection: lost. */
		world_from_peer(w, NULL);
		for (u32 i = 0; i < l.list.n_blocks; i++)
			block_at(&l.list, i)->status = STATUS_FAILED;
		w->dev.ops->commit(w->dev.impl, &l.request);
		list_free(&l);
		for (u32 i = 0; i < 2; i++) {
			s64 n;

			while ((n = do_recv(w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
				stream_check(buf, back[i], (u32)n);
				back[i] += (u64)n;
			}
			while ((n = tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf))) > 0) {
				stream_check(buf, got[i], (u32)n);
				got[i] += (u64)n;
			}
		}
	}
	for (u32 k = 0; k < 400; k++) {
		world_step(w, 20 * NS_PER_MS);
		for (u32 i = 0; i < 2; i++) {
			s64 n;

			while ((n = do_recv(w, i, buf, sizeof(buf), RECV_NOW, 0)) > 0) {
				stream_check(buf, back[i], (u32)n);
				back[i] += (u64)n;
			}
			while ((n = tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf))) > 0) {
				stream_check(buf, got[i], (u32)n);
				got[i] += (u64)n;
			}
		}
	}
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(got[i], sent[i]);
		assert_int_equal(back[i], peer_sent[i]);
		assert_true(sent[i] > 20000);
	}
	world_upload(w, 0, 2, true);
	world_is_empty(w);
	world_free(w);
}

/* The host offloaded the same 4-tuple again before it said that the import had failed: the first
 * cannot go on, and says so */
static void rolled_back_too_late(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};
	handle first;

	world_offload(w, 0, 1);
	first = w->conns[0];
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, false);
	assert_int_equal(call_upload(w, &l), 0);
	world_offload(w, 0, 1);
	block_at(&l.list, 2)->status = STATUS_FAILED;
	w->dev.ops->commit(w->dev.impl, &l.request);
	assert_int_equal(host_count(w, IND_ABORTED), 1);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	world_upload(w, 0, 1, false);
	w->conns[0] = first;
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), -ECONNRESET);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* One of two resumes: its path and neighbor have to stay, and the list says so */
static void a_parent_of_one_that_resumed(void **state)
{
	struct world *w = world_with(2);
	struct test_list l = {0};
	struct target_stats stats;

	list_make(&l, 4);
	list_upload(w, &l, 0, 2, true);
	assert_int_equal(call_upload(w, &l), 0);
	block_at(&l.list, 2)->status = STATUS_FAILED;
	w->dev.ops->commit(w->dev.impl, &l.request);
	assert_int_equal(block_at(&l.list, 0)->status, STATUS_BUSY);
	assert_int_equal(block_at(&l.list, 1)->status, STATUS_BUSY);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	assert_int_equal(do_send(w, 1, "x", 1, SEND_BUFFERED, 0), -ESTALE);
	target_stats(w->t, &stats);
	assert_int_equal(stats.resumed[LAYER_TCP], 1);
	assert_int_equal(stats.resumed[LAYER_PATH], 1);
	assert_int_equal(stats.uploads[LAYER_TCP], 1);
	list_free(&l);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* What happened while an upload was on its way is told after a roll-back */
static void events_are_kept_for_a_roll_back(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};

	tcp_shutdown(w->peer, w->peer_conn[0]);
	world_from_peer(w, NULL); /* the FIN is in, its event not yet looked at */
	list_make(&l, 3);
	list_upload(w, &l, 0, 1, false);
	assert_int_equal(call_upload(w, &l), 0);
	world_flush(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 0);
	block_at(&l.list, 2)->status = STATUS_FAILED;
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_run(w, 2);
	assert_int_equal(host_count(w, IND_PEER_CLOSED), 1);
	list_free(&l);
	world_free(w);
}

/* More owed ACKs than are kept at a time: all leave with the next flush, then it completes */
static void more_acks_than_are_kept(void **state)
{
	struct world *w = world_with(200);
	struct test_list l = {0};
	u32 sent, flushes = 0;

	for (u32 i = 0; i < 200; i++)
		assert_int_equal(tcp_send(w->peer, w->peer_conn[i], "x", 1), 1);
	while (w->peer_conn[0] != NIL) {
		u32 before = target_pool(w->t)->n_free[BUF_SMALL];

		world_from_peer(w, NULL);
		if (target_pool(w->t)->n_free[BUF_SMALL] == before)
			break;
	}
	target_poll_events(w->t, w->now);
	sent = w->frames_out;
	list_make(&l, 600);
	list_upload(w, &l, 0, 200, true);
	w->host.completed = 0;
	assert_int_equal(call_upload(w, &l), 0);
	while (!w->host.completed && flushes++ < 20) {
		world_flush(w);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(flushes, 1);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), l.list.n_blocks);
	assert_int_equal(w->frames_out - sent, 200);
	w->dev.ops->commit(w->dev.impl, &l.request);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* A path that is asked for twice while its connection lives: the first request waits, the second
 * finds it uploading; a commit of the one that waits does nothing */
static void one_upload_of_an_object_at_a_time(void **state)
{
	struct world *w = world_with(1);
	struct test_list l[2] = {0};

	for (u32 i = 0; i < 2; i++) {
		u32 n;

		list_make(&l[i], 2);
		n = list_placeholder(&l[i], NIL, LAYER_NEIGHBOR);
		(void)list_named(&l[i], n, LAYER_PATH, w->paths[0], true);
		assert_int_equal(call_upload(w, &l[i]), 0);
	}
	w->dev.ops->commit(w->dev.impl, &l[0].request);
	assert_int_equal(block_at(&l[0].list, 1)->status, STATUS_PENDING);
	assert_int_equal(block_at(&l[1].list, 1)->status, STATUS_BAD_STATE);
	world_upload(w, 0, 1, false);
	assert_int_equal(block_at(&l[0].list, 1)->status, STATUS_OK);
	w->dev.ops->commit(w->dev.impl, &l[0].request);
	world_upload(w, 0, 0, true);
	list_free(&l[0]);
	list_free(&l[1]);
	world_free(w);
}

/* Uploads that wait are limited: one too many is refused at the door, but what they
 * wait for is always taken */
static void too_many_uploads_that_wait(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l[70] = {0};
	u32 busy = 0;

	w->conns_per_path = 1;
	w->paths_per_neighbor = 100;
	world_offload(w, 0, 70);
	for (u32 i = 0; i < 70; i++) {
		u32 n;

		list_make(&l[i], 2);
		n = list_placeholder(&l[i], NIL, LAYER_NEIGHBOR);
		(void)list_named(&l[i], n, LAYER_PATH, w->paths[i], true);
		busy += call_upload(w, &l[i]) == -EBUSY;
	}
	assert_int_equal(busy, 70 - 56);
	assert_int_equal(w->host.completed, 1);
	world_upload(w, 0, 10, false);
	assert_int_equal(call_upload(w, &l[69]), 0);
	for (u32 i = 0; i < 70; i++)
		list_free(&l[i]);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rolled_back_and_nothing_lost),
		cmocka_unit_test(rolled_back_too_late),
		cmocka_unit_test(a_parent_of_one_that_resumed),
		cmocka_unit_test(events_are_kept_for_a_roll_back),
		cmocka_unit_test(more_acks_than_are_kept),
		cmocka_unit_test(one_upload_of_an_object_at_a_time),
		cmocka_unit_test(too_many_uploads_that_wait),
	};

	return RUN_TESTS(tests);
}

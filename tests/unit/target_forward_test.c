/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Segments that reached the host by another way. */
#include "target_streams.h"

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

/* Begins an upload of connection 0, which owes an ACK: it lasts until the next flush. */
static void begin_upload(struct world *w, struct test_list *l, struct kept_frame *kept, u32 room)
{
	peer_send(w, 0, 0, 100);
	world_from_peer(w, NULL);
	list_make(l, 3);
	list_upload(w, l, 0, 1, false);
	offload_request_init(&l->request, BLOCK_CALL_UPLOAD, &l->list, 0);
	l->request.kept = kept;
	l->request.cap_kept = room;
	w->host.completed = 0;
	assert_int_equal(w->dev.ops->upload(w->dev.impl, &l->request), 0);
	assert_int_equal(w->host.completed, 0);
}

static u32 forward_all(struct world *w, struct rx_frame *frames, u32 n, u16 *ret_status)
{
	u32 taken = 0;

	for (u32 i = 0; i < n; i++) {
		struct forward_call call = {.conn = w->conns[0], .frame = &frames[i]};

		w->dev.data->forward(w->dev.impl, &call, 1);
		ret_status[i] = call.status;
		taken += call.status == STATUS_OK;
	}
	return taken;
}

static void end_upload(struct world *w)
{
	world_flush(w);
	target_poll_events(w->t, w->now);
	assert_int_equal(w->host.completed, 1);
}

/* R41: what is forwarded while the upload is under way is kept and comes back with it, in order;
 * what comes later, or finds no room, the host keeps. */
static void forwarded_during_an_upload(void **state)
{
	struct world *w = world_with(1, NULL);
	struct rx_frame frames[TX_MAX], copy[8];
	struct kept_frame kept[4] = {{0}};
	struct target_stats stats;
	struct test_list l = {0};
	u16 status[8];
	u8 buf[8000];

	begin_upload(w, &l, kept, 3);
	peer_send(w, 0, 100, 5 * 1448);
	assert_int_equal(capture(w, frames), 5);
	memcpy(copy, frames, sizeof(copy));
	assert_int_equal(forward_all(w, frames, 4, status), 3);
	assert_int_equal(status[3], STATUS_UPLOAD_IN_PROGRESS);
	assert_int_equal(frames[2].verdict, FRAME_CONSUMED);
	assert_int_equal(frames[3].verdict, FRAME_PENDING);
	end_upload(w);
	assert_int_equal(l.request.n_kept, 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(kept[i].block, 2);
		assert_int_equal(kept[i].frame.buf, copy[i].buf);
	}
	/* None of it was acknowledged or is in the snapshot. */
	assert_int_equal(block_tcp(&l.list, block_at(&l.list, 2))->d.recv.len, 100);
	/* Between completion and commit as well the host keeps them. */
	l.request.n_kept = 0;
	assert_int_equal(forward_all(w, frames + 4, 1, status), 0);
	/* It is resumed: all of them are forwarded, and each byte is there once. */
	block_at(&l.list, 2)->status = STATUS_FAILED;
	w->dev.ops->commit(w->dev.impl, &l.request);
	for (u32 i = 0; i < 3; i++)
		frames[i] = kept[i].frame;
	assert_int_equal(forward_all(w, frames, 5, status), 5);
	target_poll_events(w->t, w->now);
	assert_int_equal(do_recv(w, 0, buf, sizeof(buf), RECV_NOW, 0), 100 + 5 * 1448);
	stream_check(buf, 0, 100 + 5 * 1448);
	target_stats(w->t, &stats);
	assert_int_equal(stats.forward_kept, 3);
	list_free(&l);
	world_run(w, 5);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* R41: a device without the capability keeps nothing, whatever room there is; nor does one keep for
 * an upload that another connection is in by now. */
static void kept_only_where_it_belongs(void **state)
{
	struct target_config config = {.features = FEATURE_IPV4 | FEATURE_SACK |
	                                           FEATURE_TIMESTAMPS | FEATURE_WSCALE |
	                                           FEATURE_CUBIC};
	struct kept_frame kept[2][4] = {{{0}}};
	struct rx_frame frames[TX_MAX];
	struct test_list l = {0}, other = {0};
	struct world *w = world_with(1, &config);
	u16 status[1];

	begin_upload(w, &l, kept[0], 4);
	peer_send(w, 0, 100, 10);
	assert_int_equal(capture(w, frames), 1);
	assert_int_equal(forward_all(w, frames, 1, status), 0);
	buf_put_chain(target_pool(w->t), frames[0].buf);
	end_upload(w);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
	world_free(w);

	w = world_with(2, NULL);
	begin_upload(w, &l, kept[0], 4);
	end_upload(w); /* not committed: still uploading */
	peer_send(w, 1, 0, 10);
	world_from_peer(w, NULL);
	list_make(&other, 3);
	list_upload(w, &other, 1, 1, false);
	offload_request_init(&other.request, BLOCK_CALL_UPLOAD, &other.list, 0);
	other.request.kept = kept[1];
	other.request.cap_kept = 4;
	assert_int_equal(w->dev.ops->upload(w->dev.impl, &other.request), 0);
	peer_send(w, 0, 100, 10);
	assert_int_equal(capture(w, frames), 1);
	assert_int_equal(forward_all(w, frames, 1, status), 0);
	assert_int_equal(other.request.n_kept, 0);
	buf_put_chain(target_pool(w->t), frames[0].buf);
	world_flush(w);
	target_poll_events(w->t, w->now);
	w->dev.ops->commit(w->dev.impl, &l.request);
	w->dev.ops->commit(w->dev.impl, &other.request);
	list_free(&l);
	list_free(&other);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(forwarded_segments_are_processed),
		cmocka_unit_test(forward_racing_an_upload),
		cmocka_unit_test(many_forwarded_at_a_time),
		cmocka_unit_test(forwarded_by_mistake),
		cmocka_unit_test(forwarded_during_an_upload),
		cmocka_unit_test(kept_only_where_it_belongs),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Buffers between host and device: inside requests, in memory that the device reaches or does not,
 * and frames that the device keeps during an upload. */
#include "host_fake.h"

static struct fake *made(u32 conns, u32 features)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = conns});

	f->features = features;
	return f;
}

static void post_recv(struct fake *f, u32 conn, void *data, u32 len, u32 flags, u64 cookie)
{
	const struct recv_call r = {.conn = f->handles[conn],
	                            .data = data,
	                            .len = len,
	                            .flags = flags,
	                            .cookie = cookie};

	assert_int_equal(host_post_receive(f->host, &r), 0);
}

static void post_send(struct fake *f, u32 conn, const void *data, u32 len, u64 cookie)
{
	const struct send_call s = {
		.conn = f->handles[conn], .data = data, .len = len, .cookie = cookie};

	assert_int_equal(host_post_send(f->host, &s), 0);
}

static void device_done(struct fake *f, u8 kind, u64 cookie, u16 status, u32 bytes)
{
	const struct data_completion done = {
		.kind = kind, .cookie = cookie, .status = status, .bytes = bytes};

	f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
}

static struct host_conn_info info_of(struct fake *f, u32 conn)
{
	struct host_conn_info info;

	assert_int_equal(host_conn_info(f->host, f->handles[conn], &info), 0);
	return info;
}

/* -- inside the request ------------------------------------------------------------------------ */

/* R108: what was posted before goes with the request that hands the state over, in order, to a
 * device that takes it; to others it is posted afterwards. */
static void receives_travel_inside(void **state)
{
	char buffer[3][8];

	for (u32 takes = 0; takes < 2; takes++) {
		struct fake *f = made(2, takes ? FEATURE_BUFFERS_IN_REQUEST : 0);

		for (u32 i = 0; i < 3; i++)
			post_recv(f, i & 1, buffer[i], 8, 0, 10 + i);
		fake_offload(f, 0, 2, STATUS_OK);
		assert_int_equal(f->n_inside, takes ? 3 : 0);
		assert_int_equal(host_counters(f->host)->calls_inside, takes ? 3 : 0);
		assert_int_equal(f->n_recvs, 3);
		assert_int_equal(info_of(f, 0).at_device, 2);
		for (u32 i = 0; i < 3; i++)
			device_done(f, DATA_RECV, f->recvs[i].cookie, STATUS_OK, 8);
		assert_int_equal(f->n_done, 3);
		assert_int_equal(f->done[0].cookie, 10);
		assert_int_equal(f->done[1].cookie, 12); /* of the same connection, in order */
		assert_int_equal(info_of(f, 0).at_device, 0);
		fake_upload(f, 0, 2, STATUS_OK);
		fake_destroy(f);
	}
}

/* R108, R106: a connection that the device does not take gets its buffers back; none is lost, none
 * answered. */
static void inside_a_request_that_fails(void **state)
{
	char buffer[2][8];

	for (u32 i = 0; i < 2; i++) {
		struct fake *f = made(2, FEATURE_BUFFERS_IN_REQUEST);

		post_recv(f, 0, buffer[0], 8, 0, 1);
		post_recv(f, 1, buffer[1], 8, 0, 2);
		f->reject_transfer = i;
		f->fail = i ? FAKE_NONE : FAKE_TRANSFER;
		f->fail_status = STATUS_FAILED;
		fake_offload(f, 0, 2, STATUS_FAILED);
		assert_int_equal(f->n_done, 0);
		assert_int_equal(info_of(f, 0).queued, 1);
		assert_int_equal(info_of(f, 1).at_device, 0);
		f->reject_transfer = false;
		f->fail = FAKE_NONE;
		fake_offload(f, 0, 2, STATUS_OK);
		assert_int_equal(f->n_recvs, 2);
		assert_ptr_equal(f->recvs[0].data, buffer[0]);
		device_done(f, DATA_RECV, f->recvs[0].cookie, STATUS_OK, 8);
		device_done(f, DATA_RECV, f->recvs[1].cookie, STATUS_OK, 8);
		assert_int_equal(f->n_done, 2);
		fake_upload(f, 0, 2, STATUS_OK);
		fake_destroy(f);
	}
}

/* A device that fills a buffer before the host's stack has let go: the application hears of it when
 * the move is sure. If it is undone, the stack still has these bytes, and the buffer waits on. */
static void filled_before_it_is_sure(void **state)
{
	char buffer[2][8];

	for (u32 undone = 0; undone < 2; undone++) {
		struct fake *f = made(1, FEATURE_BUFFERS_IN_REQUEST);

		post_recv(f, 0, buffer[0], 8, 0, 1);
		post_recv(f, 0, buffer[1], 8, 0, 2);
		f->fill_inside = true;
		f->fail = undone ? FAKE_DETACH : FAKE_NONE;
		f->fail_status = STATUS_FAILED;
		fake_offload(f, 0, 1, undone ? STATUS_FAILED : STATUS_OK);
		if (undone) {
			assert_int_equal(f->n_done, 0);
			assert_int_equal(info_of(f, 0).queued, 2);
			f->fail = FAKE_NONE;
			f->fill_inside = false;
			fake_offload(f, 0, 1, STATUS_OK);
			assert_int_equal(f->n_recvs, 2);
			assert_ptr_equal(f->recvs[0].data, buffer[0]);
			assert_int_equal(f->recvs[0].len, 8);
			for (u32 i = 0; i < 2; i++)
				device_done(f, DATA_RECV, f->recvs[i].cookie, STATUS_OK, 8);
		}
		assert_int_equal(f->n_done, 2);
		for (u32 i = 0; i < 2; i++) {
			assert_int_equal(f->done[i].cookie, 1 + i);
			assert_int_equal(f->done[i].bytes, 8);
		}
		fake_upload(f, 0, 1, STATUS_OK);
		fake_destroy(f);
	}
}

/* -- memory that the device does not reach ----------------------------------------------------- */

/* R109: only what was registered is posted; everything else, and what could not be registered, is
 * copied through the pool as indications come, in the order of posting. */
static void unreached_buffers_are_copied(void **state)
{
	struct fake *f = made(1, FEATURE_REGISTERED_BUFFERS);
	char near[32], far[32];

	assert_int_equal(host_memory_add(f->host, near, sizeof(near)), 0);
	f->memory_error = -ENOSPC; /* the device cannot pin it */
	assert_int_equal(host_memory_add(f->host, far, sizeof(far)), -ENOSPC);
	fake_offload(f, 0, 1, STATUS_OK);
	post_recv(f, 0, near + 28, 4, 0, 1);
	post_recv(f, 0, far, 8, 0, 2);
	post_recv(f, 0, far + 8, 8, RECV_PUSH, 3);
	post_recv(f, 0, near + 28, 5, 0, 4); /* one byte too far */
	assert_int_equal(f->n_recvs, 1);
	device_done(f, DATA_RECV, f->recvs[0].cookie, STATUS_OK, 4);
	f->unread = 5;
	fake_indicate(f, IND_RECEIVE, 0, 5);
	assert_int_equal(f->n_done, 1); /* not full, and it waits for that */
	f->unread = 6;
	fake_indicate(f, IND_RECEIVE, 0, 6);
	assert_int_equal(f->n_done, 3);
	assert_int_equal(f->done[1].cookie, 2);
	assert_int_equal(f->done[1].bytes, 8);
	assert_int_equal(f->done[2].bytes, 3); /* a push buffer takes what there is */
	f->unread = 2;
	fake_indicate(f, IND_RECEIVE, 0, 2);
	f->closed = true;
	fake_indicate(f, IND_PEER_CLOSED, 0, 0);
	assert_int_equal(f->n_done, 4);
	assert_int_equal(f->done[3].bytes, 2);
	assert_int_equal(f->done[3].status, STATUS_OK);
	assert_int_equal(f->n_recvs, 1);
	assert_memory_equal(far, "rrrrrrrrrrr", 11);
	assert_int_equal(host_counters(f->host)->bytes_copied, 13);
	assert_int_equal(host_memory_remove(f->host, near), -ENOSPC);
	f->memory_error = 0;
	assert_int_equal(host_memory_remove(f->host, near), 0);
	assert_int_equal(host_memory_remove(f->host, near), -ENOENT);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* R109: sends go as far as the pool has room, and on when there is more. The buffer is free then,
 * though not acknowledged. */
static void unreached_sends_are_copied(void **state)
{
	struct fake *f = made(1, FEATURE_REGISTERED_BUFFERS);

	fake_offload(f, 0, 1, STATUS_OK);
	f->room = 5;
	post_send(f, 0, "abcdefgh", 8, 1);
	post_send(f, 0, "ij", 2, 2);
	assert_int_equal(f->buffered[0], 5);
	assert_int_equal(f->n_done, 0);
	f->room = 100;
	fake_indicate(f, IND_SEND_ROOM, 0, 100);
	assert_int_equal(f->buffered[0], 10);
	assert_int_equal(f->n_done, 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(f->done[i].cookie, 1 + i);
		assert_int_equal(f->done[i].status, STATUS_UPLOAD_IN_PROGRESS);
		assert_int_equal(f->done[i].bytes, i ? 2 : 8);
	}
	assert_int_equal(f->n_sends, 0);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* R36: an upload in the middle of a copy: what the buffer holds is given to the application. */
static void an_upload_ends_a_copy(void **state)
{
	struct fake *f = made(1, FEATURE_REGISTERED_BUFFERS);
	char far[8];

	fake_offload(f, 0, 1, STATUS_OK);
	post_recv(f, 0, far, 8, 0, 1);
	f->unread = 3;
	fake_indicate(f, IND_RECEIVE, 0, 3);
	f->room = 3;
	post_send(f, 0, "abcdefgh", 8, 2);
	fake_upload(f, 0, 1, STATUS_OK);
	assert_int_equal(f->n_done, 1);
	assert_int_equal(f->done[0].cookie, 1);
	assert_int_equal(f->done[0].bytes, 3);
	assert_int_equal(info_of(f, 0).queued, 1);
	/* The rest of the send, not all of it, at the next offload. */
	f->room = 100;
	fake_offload(f, 0, 1, STATUS_OK);
	assert_int_equal(f->buffered[0], 8);
	assert_int_equal(f->done[1].bytes, 8);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* -- kept during an upload --------------------------------------------------------------------- */

static void strays(struct fake *f, u32 conn, u32 from, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct rx_frame frame = fake_frame(f, conn, from + i);

		host_frames(f->host, &frame, 1);
	}
}

static void begin_upload(struct fake *f)
{
	f->moves[0] = (struct host_move){.conn = f->handles[0]};
	f->async = true;
	assert_int_equal(host_upload(f->host, f->moves, 1), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
}

/* R41: during an upload frames go on to a device that keeps them, and come back with it in front of
 * what the host has parked since; each reaches the new owner once, in order. */
static void kept_frames_go_first(void **state)
{
	for (u32 undone = 0; undone < 2; undone++) {
		struct fake *f = made(1, FEATURE_UPLOAD_FORWARD_BUFFERING);
		const u32 *got = undone ? f->forwarded : f->injected;

		fake_offload(f, 0, 1, STATUS_OK);
		begin_upload(f);
		strays(f, 0, 0, 3);
		assert_int_equal(info_of(f, 0).parked, 0);
		f->pending[0]->cap_kept = 3; /* no more room: the host keeps the others */
		f->forward_status = STATUS_UPLOAD_IN_PROGRESS;
		strays(f, 0, 3, 3);
		assert_int_equal(info_of(f, 0).parked, 3);
		assert_int_equal(f->pending[0]->n_kept, 3);
		f->forward_status = STATUS_OK;
		f->async = false;
		f->fail = undone ? FAKE_IMPORT : FAKE_NONE;
		f->fail_status = STATUS_FAILED;
		assert_true(fake_complete(f));
		assert_int_equal(host_run(f->host), 0);
		assert_int_equal(undone ? f->n_forwarded : f->n_injected, 6);
		for (u32 i = 0; i < 6; i++)
			assert_int_equal(got[i], i);
		assert_int_equal(host_counters(f->host)->frames_kept, 3);
		f->fail = FAKE_NONE;
		fake_upload(f, 0, 1, STATUS_OK);
		fake_destroy(f);
	}
}

/* R41 is the device's choice: without it the host parks from the first frame on. */
static void without_it_the_host_parks(void **state)
{
	struct fake *f = made(1, 0);

	fake_offload(f, 0, 1, STATUS_OK);
	begin_upload(f);
	strays(f, 0, 0, 3);
	assert_int_equal(info_of(f, 0).parked, 3);
	assert_int_equal(f->n_forwarded, 0);
	f->async = false;
	assert_true(fake_complete(f));
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->n_injected, 3);
	fake_destroy(f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(receives_travel_inside),
		cmocka_unit_test(inside_a_request_that_fails),
		cmocka_unit_test(filled_before_it_is_sure),
		cmocka_unit_test(unreached_buffers_are_copied),
		cmocka_unit_test(unreached_sends_are_copied),
		cmocka_unit_test(an_upload_ends_a_copy),
		cmocka_unit_test(kept_frames_go_first),
		cmocka_unit_test(without_it_the_host_parks),
	};

	return RUN_TESTS(tests);
}

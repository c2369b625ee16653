/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The switch and the parking of frames: what waits during a move, and where it goes. */
#include "host_fake.h"

static struct fake *made(u32 conns)
{
	return fake_create(&(struct fake_options){.conns = conns});
}

/* Begins an offload and stops while the device thinks about room. */
static void begin_offload(struct fake *f, u32 conns)
{
	for (u32 i = 0; i < conns; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	f->async = true;
	assert_int_equal(host_offload(f->host, f->moves, conns, false), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
}

static void begin_upload(struct fake *f, u32 conns)
{
	for (u32 i = 0; i < conns; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	f->async = true;
	assert_int_equal(host_upload(f->host, f->moves, conns), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
}

static void end(struct fake *f)
{
	f->async = false;
	while (fake_complete(f))
		;
	assert_int_equal(host_run(f->host), 0);
	fake_check_tree(f);
}

static s64 try_send(struct fake *f, u32 conn)
{
	struct send_call call = {.conn = f->handles[conn], .data = "x", .len = 1};

	host_send(f->host, &call, 1);
	assert_int_equal(call.conn, f->handles[conn]); /* given back as it was */
	return call.taken;
}

static s64 try_receive(struct fake *f, u32 conn)
{
	struct recv_call call = {.conn = f->handles[conn], .len = 1};

	host_receive(f->host, &call, 1);
	assert_int_equal(call.conn, f->handles[conn]);
	return call.taken;
}

static void each_connection_has_its_side(void **state)
{
	struct fake *f = made(4);

	/* R18: by its own side, whatever the others of its path do. */
	fake_offload(f, 0, 2, STATUS_OK);
	assert_int_equal(try_send(f, 0), 1);
	assert_int_equal(try_send(f, 2), -EOPNOTSUPP);
	assert_int_equal(try_receive(f, 1), -EAGAIN);
	assert_int_equal(try_receive(f, 3), -EOPNOTSUPP);
	fake_upload(f, 0, 2, STATUS_OK);
	assert_int_equal(try_send(f, 0), -EOPNOTSUPP);
	fake_destroy(f);
}

static void batches_may_be_mixed(void **state)
{
	struct fake *f = made(64);
	struct send_call calls[130];

	fake_offload(f, 0, 32, STATUS_OK);
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++)
		calls[i] = (struct send_call){
			.conn = i == 40 ? 999 : f->handles[i % 40], .data = "xy", .len = 2};
	host_send(f->host, calls, ARRAY_SIZE(calls));
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		s64 want = i == 40 ? -ESTALE : i % 40 < 32 ? 2 : -EOPNOTSUPP;

		assert_int_equal(calls[i].taken, want);
		assert_int_equal(calls[i].conn, i == 40 ? 999 : f->handles[i % 40]);
	}
	assert_int_equal(f->buffered_sends, 32 * 3 + 10 - 1);
	fake_upload(f, 0, 32, STATUS_OK);
	fake_destroy(f);
}

static void socket_calls_would_block_in_a_move(void **state)
{
	struct fake *f = made(4);

	begin_offload(f, 4);
	assert_int_equal(try_send(f, 1), -EAGAIN);
	assert_int_equal(try_receive(f, 1), -EAGAIN);
	assert_int_equal(host_counters(f->host)->would_block, 2);
	end(f);
	assert_int_equal(try_send(f, 1), 1);
	/* And the application is told to look again. */
	assert_int_equal(f->notice[f->n_notices - 1].kind, HOST_NOTICE_MOVED);
	begin_upload(f, 4);
	assert_int_equal(try_send(f, 1), -EAGAIN);
	end(f);
	fake_destroy(f);
}

static void posted_calls_wait_for_the_device(void **state)
{
	struct fake *f = made(4);
	char buffer[4][8];

	/* R48, R54: posted before the offload, during it, and after it: all at the device, in order
	 * of posting. */
	for (u32 i = 0; i < 4; i++) {
		const struct recv_call r = {
			.conn = f->handles[1], .data = buffer[i], .len = 8, .cookie = 10 + i};
		const struct send_call s = {
			.conn = f->handles[1], .data = "abcd", .len = 4, .cookie = 20 + i};

		if (i == 1)
			begin_offload(f, 4);
		assert_int_equal(host_post_receive(f->host, &r), 0);
		assert_int_equal(host_post_send(f->host, &s), 0);
		if (i == 2) {
			assert_int_equal(f->n_sends + f->n_recvs, 0); /* R45 */
			end(f);
		}
	}
	assert_int_equal(f->n_sends, 4);
	assert_int_equal(f->n_recvs, 4);
	for (u32 i = 0; i < 4; i++) {
		struct data_completion done[] = {
			{.kind = DATA_RECV, .cookie = f->recvs[i].cookie, .bytes = 8},
			{.kind = DATA_SEND, .cookie = f->sends[i].cookie, .bytes = 4}};

		assert_ptr_equal(f->recvs[i].data, buffer[i]);
		f->host_side.ops->data_complete(f->host_side.impl, done, 2);
		assert_int_equal(f->done[2 * i].cookie, 10 + i);
		assert_int_equal(f->done[2 * i + 1].cookie, 20 + i);
		assert_int_equal(f->done[2 * i].status, STATUS_OK);
		/* A second answer to the same call is nobody's. */
		f->host_side.ops->data_complete(f->host_side.impl, done, 2);
	}
	assert_int_equal(f->n_done, 8);
	assert_int_equal(host_counters(f->host)->stale, 8);
	/* R107: the switch said how many buffers it would post. */
	assert_int_equal(f->last[BLOCK_CALL_OFFLOAD].needs[HOST_SWITCH].posted_buffers, 2);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void give_back(struct fake *f, u8 kind, u64 cookie, u32 bytes, u32 queued)
{
	const struct data_completion done = {.kind = kind,
	                                     .status = STATUS_UPLOAD_IN_PROGRESS,
	                                     .cookie = cookie,
	                                     .bytes = bytes,
	                                     .queued = queued};

	f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
}

static void what_an_upload_hands_back_goes_first(void **state)
{
	struct fake *f = made(4);
	char buffer[3][8];
	struct host_conn_info info;

	fake_offload(f, 0, 4, STATUS_OK);
	for (u32 i = 0; i < 3; i++) {
		const struct recv_call r = {
			.conn = f->handles[1], .data = buffer[i], .len = 8, .cookie = 10 + i};
		const struct send_call s = {
			.conn = f->handles[1], .data = "abcdefgh", .len = 8, .cookie = 20 + i};

		if (i == 2)
			begin_upload(f, 4); /* R37: what is posted now waits */
		assert_int_equal(host_post_receive(f->host, &r), 0);
		assert_int_equal(host_post_send(f->host, &s), 0);
	}
	assert_int_equal(f->n_recvs, 2);
	/* R36, R82: every outstanding call is answered. One receive held five bytes, one none; of
	 * the sends one travels whole in the state, of the other two bytes do. */
	give_back(f, DATA_RECV, f->recvs[0].cookie, 5, 0);
	give_back(f, DATA_RECV, f->recvs[1].cookie, 0, 0);
	give_back(f, DATA_SEND, f->sends[1].cookie, 0, 2);
	give_back(f, DATA_SEND, f->sends[0].cookie, 3, 5);
	assert_int_equal(f->n_done, 2);
	assert_int_equal(f->done[0].bytes, 5);
	assert_int_equal(f->done[1].cookie, 20);
	assert_int_equal(f->done[1].status, STATUS_UPLOAD_IN_PROGRESS);
	end(f);
	assert_int_equal(host_conn_info(f->host, f->handles[1], &info), 0);
	assert_int_equal(info.queued, 4);
	assert_int_equal(info.at_device, 0);
	/* The next offload posts them again, what came back in front, without the two bytes. */
	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(f->n_recvs, 4);
	assert_ptr_equal(f->recvs[2].data, buffer[1]);
	assert_ptr_equal(f->recvs[3].data, buffer[2]);
	assert_int_equal(f->n_sends, 4);
	assert_int_equal(f->sends[2].len, 6);
	assert_memory_equal(f->sends[2].data, "cdefgh", 6);
	assert_int_equal(f->sends[3].len, 8);
	for (u32 i = 2; i < 4; i++) {
		give_back(f, DATA_RECV, f->recvs[i].cookie, 1, 0);
		give_back(f, DATA_SEND, f->sends[i].cookie, 0, f->sends[i].len);
	}
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void a_full_device_gets_it_later(void **state)
{
	struct fake *f = made(1);
	struct send_call s = {.conn = f->handles[0], .data = "ab", .len = 2};
	struct data_completion done = {.kind = DATA_SEND, .status = STATUS_BUSY};

	fake_offload(f, 0, 1, STATUS_OK);
	for (u32 i = 0; i < 3; i++) {
		s.cookie = i;
		assert_int_equal(host_post_send(f->host, &s), 0);
	}
	for (u32 i = 1; i < 3; i++) {
		done.cookie = f->sends[i].cookie;
		f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
	}
	assert_int_equal(f->n_done, 0);
	assert_int_equal(try_send(f, 0), -EAGAIN); /* may not overtake them */
	done.status = STATUS_OK;
	done.cookie = f->sends[0].cookie;
	f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
	assert_int_equal(f->n_sends, 5); /* both again, in order */
	for (u32 i = 3; i < 5; i++) {
		done.cookie = f->sends[i].cookie;
		f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
		assert_int_equal(f->done[i - 2].cookie, i - 2);
	}
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

static void too_many_posts_are_refused(void **state)
{
	const struct fake_options o = {.conns = 1, .config = {.max_posted = 2}};
	struct fake *f = fake_create(&o);
	struct disconnect_call d = {.conn = f->handles[0]};
	struct send_call s = {.conn = f->handles[0], .data = "ab", .len = 2};

	assert_int_equal(host_post_send(f->host, &s), 0);
	assert_int_equal(host_disconnect(f->host, &d), 0);
	assert_int_equal(host_post_send(f->host, &s), -ENOBUFS);
	s.conn = 77;
	assert_int_equal(host_post_send(f->host, &s), -ESTALE);
	assert_int_equal(host_release(f->host, f->handles[0]), 0); /* they are answered */
	assert_int_equal(f->n_done, 2);
	assert_int_equal(f->done[0].status, STATUS_ABORTED);
	fake_destroy(f);
}

static void disconnects_keep_their_place(void **state)
{
	struct fake *f = made(1);
	struct disconnect_call d = {.conn = f->handles[0], .cookie = 5};
	struct send_call s = {.conn = f->handles[0], .data = "ab", .len = 2, .cookie = 4};

	begin_offload(f, 1);
	assert_int_equal(host_post_send(f->host, &s), 0);
	assert_int_equal(host_disconnect(f->host, &d), 0);
	end(f);
	assert_non_null(strstr(f->trace, "own disconnect"));
	assert_int_equal(f->n_sends, 1);
	give_back(f, DATA_SEND, f->sends[0].cookie, 2, 0);
	/* R36: the FIN did not travel with the state: it is asked for again. */
	give_back(f, DATA_DISCONNECT, f->sends[0].cookie + 1, 0, 0);
	assert_int_equal(f->n_done, 1);
	fake_upload(f, 0, 1, STATUS_OK);
	assert_int_equal(host_release(f->host, f->handles[0]), 0);
	assert_int_equal(f->n_done, 2);
	fake_destroy(f);
}

static void a_final_request_stops_data_at_once(void **state)
{
	struct fake *f = made(2);

	fake_offload(f, 0, 2, STATUS_OK);
	fake_indicate(f, IND_UPLOAD_REQUEST, 0, UPLOAD_URGENT);
	fake_indicate(f, IND_UPLOAD_REQUEST, 1, UPLOAD_SMALL_IO);
	assert_int_equal(try_send(f, 0), -EAGAIN);
	assert_int_equal(try_send(f, 1), 1);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(try_send(f, 0), -EOPNOTSUPP);
	fake_destroy(f);
}

/* -- the host's stack reached by calls --------------------------------------------------------- */

static s64 room, unread;

static s64 stack_send(void *stack, u64 conn, const void *data, u32 len, u32 flags)
{
	s64 n = min_of((s64)len, room);

	room -= n;
	return n ? n : -EAGAIN;
}

static s64 stack_recv(void *stack, u64 conn, void *data, u32 len, u32 flags)
{
	s64 n = min_of((s64)len, unread);

	if (unread < 0)
		return -ESHUTDOWN;
	unread -= n;
	return n ? n : -EAGAIN;
}

static int stack_disconnect(void *stack, u64 conn, bool abortive)
{
	return 0;
}

static void the_hosts_stack_may_be_pumped(void **state)
{
	const struct fake_options o = {.conns = 1,
	                               .stack = {stack_send, stack_recv, stack_disconnect}};
	struct fake *f = fake_create(&o);
	struct send_call s = {.conn = f->handles[0], .data = "abcdefgh", .len = 8, .cookie = 1};
	struct recv_call r = {.conn = f->handles[0], .len = 8, .cookie = 2};
	struct disconnect_call d = {.conn = f->handles[0], .cookie = 3};

	room = 5;
	unread = 0;
	assert_int_equal(host_post_send(f->host, &s), 0);
	assert_int_equal(host_post_receive(f->host, &r), 0);
	assert_int_equal(f->n_done, 0);
	assert_int_equal(try_send(f, 0), -EAGAIN); /* behind what is posted */
	room = 5;
	unread = 3;
	host_pump(f->host, f->handles[0]);
	assert_int_equal(f->n_done, 2);
	assert_int_equal(f->done[0].cookie, 1);
	assert_int_equal(f->done[1].bytes, 3);
	assert_int_equal(try_send(f, 0), 1);
	assert_int_equal(try_receive(f, 0), -EAGAIN);
	unread = -1;
	assert_int_equal(host_disconnect(f->host, &d), 0);
	assert_int_equal(host_post_receive(f->host, &r), 0);
	assert_int_equal(f->n_done, 4);
	assert_int_equal(f->done[3].bytes, 0); /* end of stream */
	fake_destroy(f);
}

/* -- frames ------------------------------------------------------------------------------------ */

static void give_frames(struct fake *f, u32 conn, u32 from, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct rx_frame frame = fake_frame(f, conn, from + i);

		host_frames(f->host, &frame, 1);
		assert_int_equal(frame.verdict, FRAME_CONSUMED);
	}
}

static void frames_of_a_move_are_parked_in_order(void **state)
{
	struct fake *f = made(4);

	begin_offload(f, 4);
	give_frames(f, 2, 100, 5); /* R29, R46 */
	assert_int_equal(f->n_injected + f->n_forwarded, 0);
	end(f);
	assert_int_equal(f->n_forwarded, 5);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(f->forwarded[i], 100 + i);
	/* R39, R56: what comes by another way afterwards is forwarded at once. */
	give_frames(f, 2, 200, 1);
	assert_int_equal(f->forwarded[5], 200);
	begin_upload(f, 4);
	give_frames(f, 2, 300, 5); /* R79 */
	assert_int_equal(f->n_forwarded, 6);
	end(f);
	assert_int_equal(f->n_injected, 5);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(f->injected[i], 300 + i);
	give_frames(f, 2, 400, 1); /* the host's own */
	assert_int_equal(f->injected[5], 400);
	fake_destroy(f);
}

static void parked_frames_come_before_the_flow_is_released(void **state)
{
	struct fake *f = made(1);

	fake_offload(f, 0, 1, STATUS_OK);
	f->trace[0] = 0;
	begin_upload(f, 1);
	give_frames(f, 0, 1, 2);
	end(f);
	/* Semantics 5.5: else new frames would overtake them. */
	fake_expect(f, "hold upload import commit inject release fence+ fence.");
	fake_destroy(f);
}

static void a_failed_offload_injects(void **state)
{
	struct fake *f = made(4);

	f->fail = FAKE_FREEZE;
	f->fail_status = STATUS_FAILED;
	for (u32 i = 0; i < 4; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, 4, false), 0);
	host_step(f->host);
	host_step(f->host);
	give_frames(f, 3, 7, 3);
	assert_int_equal(f->n_injected, 0);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->n_injected, 3);
	assert_int_equal(f->injected[2], 9);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void parking_has_a_limit(void **state)
{
	const struct fake_options o = {.conns = 4, .config = {.max_parked = 4}};
	struct fake *f = fake_create(&o);
	struct host_event event[4];

	begin_offload(f, 4);
	give_frames(f, 1, 0, 10);
	assert_int_equal(host_counters(f->host)->frames_not_parked, 6);
	assert_int_equal(host_log_read(f->host, 0, event, 4), 1); /* the first of the burst */
	assert_int_equal(event[0].kind, HOST_EVENT_PARKED_DROPPED);
	end(f);
	assert_int_equal(f->n_forwarded, 4);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void a_slow_stack_gets_the_rest_in_order(void **state)
{
	struct fake *f = made(1);

	fake_offload(f, 0, 1, STATUS_OK);
	begin_upload(f, 1);
	give_frames(f, 0, 0, 6);
	f->inject_limit = 2;
	end(f);
	assert_int_equal(f->n_injected, 2);
	give_frames(f, 0, 6, 2); /* may not overtake */
	assert_int_equal(f->n_injected, 2);
	f->inject_limit = NIL;
	assert_int_equal(host_step(f->host), HOST_IDLE);
	assert_int_equal(f->n_injected, 8);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(f->injected[i], i);
	fake_destroy(f);
}

static void a_refused_forward_waits_for_the_upload(void **state)
{
	struct fake *f = made(1);

	fake_offload(f, 0, 1, STATUS_OK);
	f->forward_status = STATUS_UPLOAD_IN_PROGRESS; /* R40 */
	give_frames(f, 0, 5, 2);
	assert_int_equal(f->n_injected + f->n_forwarded, 0);
	fake_indicate(f, IND_UPLOAD_REQUEST, 0, UPLOAD_URGENT);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->n_injected, 2);
	assert_int_equal(f->injected[0], 5);
	fake_destroy(f);
}

static void an_undone_upload_forwards(void **state)
{
	struct fake *f = made(1);

	fake_offload(f, 0, 1, STATUS_OK);
	begin_upload(f, 1);
	give_frames(f, 0, 5, 2);
	f->fail = FAKE_IMPORT;
	f->fail_status = STATUS_FAILED;
	end(f);
	assert_int_equal(f->n_forwarded, 2);
	assert_int_equal(fake_side(f, 0), HOST_IN_CHIMNEY);
	f->fail = FAKE_NONE;
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

static void strangers_are_the_hosts(void **state)
{
	struct fake *f = made(2);
	struct rx_frame frame = fake_frame(f, 40, 3); /* nobody's flow */

	host_frames(f->host, &frame, 1);
	assert_int_equal(f->n_injected, 1);
	frame = fake_frame(f, 1, 4);
	buf_bytes(&f->pool, frame.buf)[12] = 0x06; /* not IP: R3, R103 */
	begin_offload(f, 2);
	host_frames(f->host, &frame, 1);
	assert_int_equal(f->n_injected, 2);
	end(f);
	fake_upload(f, 0, 2, STATUS_OK);
	fake_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_connection_has_its_side),
		cmocka_unit_test(batches_may_be_mixed),
		cmocka_unit_test(socket_calls_would_block_in_a_move),
		cmocka_unit_test(posted_calls_wait_for_the_device),
		cmocka_unit_test(what_an_upload_hands_back_goes_first),
		cmocka_unit_test(a_full_device_gets_it_later),
		cmocka_unit_test(too_many_posts_are_refused),
		cmocka_unit_test(disconnects_keep_their_place),
		cmocka_unit_test(a_final_request_stops_data_at_once),
		cmocka_unit_test(the_hosts_stack_may_be_pumped),
		cmocka_unit_test(frames_of_a_move_are_parked_in_order),
		cmocka_unit_test(parked_frames_come_before_the_flow_is_released),
		cmocka_unit_test(a_failed_offload_injects),
		cmocka_unit_test(parking_has_a_limit),
		cmocka_unit_test(a_slow_stack_gets_the_rest_in_order),
		cmocka_unit_test(a_refused_forward_waits_for_the_upload),
		cmocka_unit_test(an_undone_upload_forwards),
		cmocka_unit_test(strangers_are_the_hosts),
	};

	return RUN_TESTS(tests);
}

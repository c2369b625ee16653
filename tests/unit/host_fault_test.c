/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What else may go wrong between host and device: calls that are not even taken, tables that are
 * full, a device that lost a connection with calls outstanding. A clear status, nothing left
 * behind, the connection goes on where it was. */
#include "host_fake.h"

static struct fake *offloaded(u32 n)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = n});

	fake_offload(f, 0, n, STATUS_OK);
	f->trace[0] = 0;
	return f;
}

static void post(struct fake *f, u32 conn, u64 cookie)
{
	static char buffer[8];
	const struct send_call s = {
		.conn = f->handles[conn], .data = "abcd", .len = 4, .cookie = cookie};
	const struct recv_call r = {
		.conn = f->handles[conn], .data = buffer, .len = 8, .cookie = cookie + 1};

	assert_int_equal(host_post_send(f->host, &s), 0);
	assert_int_equal(host_post_receive(f->host, &r), 0);
}

static void device_done(struct fake *f, u8 kind, u64 cookie, u16 status, u32 bytes)
{
	const struct data_completion done = {
		.kind = kind, .cookie = cookie, .status = status, .bytes = bytes};

	f->host_side.ops->data_complete(f->host_side.impl, &done, 1);
}

static u32 events(struct fake *f, u8 kind)
{
	struct host_event e[256];
	u32 n = host_log_read(f->host, 0, e, 256), found = 0;

	for (u32 i = 0; i < n; i++)
		found += e[i].kind == kind;
	return found;
}

/* -- calls that are not taken ------------------------------------------------------------------ */

static void an_upload_is_not_taken(void **state)
{
	struct fake *f = offloaded(8);
	struct rx_frame frame;

	f->rejects[BLOCK_CALL_UPLOAD] = 1;
	fake_upload(f, 0, 8, STATUS_FAILED);
	fake_expect(f, "hold own"); /* no commit of what was never begun */
	fake_expect_objects(f, 1, 2, 8);
	assert_int_equal(host_counters(f->host)->uploads_rolled_back, 8);
	frame = fake_frame(f, 3, 9);
	host_frames(f->host, &frame, 1);
	assert_int_equal(f->n_forwarded, 1); /* it goes on there */
	fake_upload(f, 0, 8, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

/* The device has a connection that the host's stack could not let go of, and does not take the
 * request to give it back: it is asked until it does; never do both have it. */
static void taking_back_is_not_taken(void **state)
{
	const struct fake_options o = {.conns = 4};
	struct fake *f = fake_create(&o);

	f->fail = FAKE_DETACH;
	f->fail_conn = 2;
	f->fail_status = STATUS_FAILED;
	f->rejects[BLOCK_CALL_UPLOAD] = 3;
	for (u32 i = 0; i < 4; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, 4, false), 0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(host_run(f->host), -EDEADLK);
		assert_true(f->conn[2].frozen);
		fake_expect_objects(f, 1, 1, 4);
		assert_int_equal(fake_side(f, 2), HOST_MOVING);
	}
	assert_int_equal(host_run(f->host), 0);
	assert_string_equal(status_word(f->moves[2].status), "failed");
	assert_int_equal(fake_side(f, 2), HOST_IN_STACK);
	assert_false(f->conn[2].frozen);
	fake_expect_objects(f, 1, 1, 3);
	fake_check_tree(f);
	f->fail = FAKE_NONE;
	fake_upload(f, 0, 4, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void an_offload_is_not_taken(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	f->rejects[BLOCK_CALL_OFFLOAD] = 1;
	fake_offload(f, 0, 4, STATUS_BUSY);
	fake_expect(f, "inspect"); /* nothing was held or frozen for it */
	fake_expect_objects(f, 0, 0, 0);
	fake_offload(f, 0, 4, STATUS_OK);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

/* Parents that nothing hangs on, which the device does not take back: again after a while. */
static void parents_are_not_taken_back(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 1});

	f->fail = FAKE_TRANSFER;
	f->fail_status = STATUS_FAILED;
	f->rejects[BLOCK_CALL_UPLOAD] = 2;
	fake_offload(f, 0, 1, STATUS_FAILED);
	fake_expect_objects(f, 1, 1, 0);
	for (u32 i = 0; i < 2; i++) {
		u64 at = host_next_deadline(f->host);

		assert_in_range(at, f->now_ns, f->now_ns + 10 * NS_PER_MS);
		f->now_ns = at;
		assert_int_equal(host_run(f->host), 0);
	}
	fake_expect_objects(f, 0, 0, 0);
	assert_int_equal(host_next_deadline(f->host), UINT64_MAX);
	fake_check_tree(f);
	fake_destroy(f);
}

/* What could not be told is taken back: the device must not go on with an old value. */
static void an_update_is_not_taken(void **state)
{
	for (u32 layer = 0; layer < LAYERS; layer++) {
		struct fake *f = offloaded(4); /* one neighbor, one path */
		struct neighbor_key n = fake_neighbor_key(0);
		struct path_key p = fake_path_key(0);
		struct mac_addr mac = {{2, 9, 9, 9, 9, 9}};
		struct tcp_cached settings = f->conn[0].settings;

		f->rejects[BLOCK_CALL_UPDATE] = 1;
		if (layer == LAYER_NEIGHBOR) {
			assert_int_equal(host_neighbor_changed(f->host, &n, &mac, LINK_DIX), 0);
		} else if (layer == LAYER_PATH) {
			assert_int_equal(host_path_mtu(f->host, &p, 1400), 0);
		} else {
			settings.nodelay = 1;
			f->conn[0].settings = settings;
			assert_int_equal(host_conn_settings(f->host, f->handles[0], &settings), 0);
		}
		assert_int_equal(host_counters(f->host)->updates_failed, 1);
		assert_int_equal(events(f, HOST_EVENT_UPDATE_FAILED), 1);
		assert_int_equal(host_run(f->host), 0);
		for (u32 i = 0; i < 4; i++)
			assert_int_equal(fake_side(f, i),
			                 layer == LAYER_TCP && i ? HOST_IN_CHIMNEY : HOST_IN_STACK);
		fake_check_tree(f);
		fake_upload(f, 0, 4, STATUS_OK);
		fake_expect_objects(f, 0, 0, 0);
		fake_destroy(f);
	}
}

static void an_invalidate_is_not_taken(void **state)
{
	struct fake *f = offloaded(4);
	struct path_key p = fake_path_key(0);

	f->rejects[BLOCK_CALL_INVALIDATE] = 1;
	assert_int_equal(host_invalidate_path(f->host, &p), 0);
	assert_int_equal(events(f, HOST_EVENT_INVALIDATED), 0);
	assert_int_equal(host_run(f->host), 0); /* by the other way: all of it comes home */
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void a_query_is_not_answered(void **state)
{
	struct fake *f = offloaded(2);
	struct tcp_state s;

	f->rejects[BLOCK_CALL_QUERY] = 1;
	assert_int_equal(host_query(f->host, f->handles[0], &s), -EIO);
	assert_int_equal(host_query(f->host, f->handles[0], &s), 0);
	assert_int_equal(s.k.local_port, FAKE_LOCAL_PORT);
	/* One whose completion is still to come: its list is not used for another. */
	f->async = true;
	assert_int_equal(host_query(f->host, f->handles[0], &s), -EIO);
	assert_int_equal(f->n_pending, 1);
	assert_int_equal(host_query(f->host, f->handles[1], &s), -EIO);
	assert_int_equal(f->n_pending, 1);
	assert_true(fake_complete(f));
	f->async = false;
	assert_int_equal(host_query(f->host, f->handles[1], &s), 0);
	assert_int_equal(s.k.local_port, FAKE_LOCAL_PORT + 1);
	assert_int_equal(host_query(f->host, 12345, &s), -ESTALE);
	fake_upload(f, 0, 2, STATUS_OK);
	assert_int_equal(host_query(f->host, f->handles[1], &s), -ENXIO);
	fake_destroy(f);
}

/* -- calls that are never answered, or have to wait ---------------------------------------------
 */

/* R36, R100: a device that has lost a connection answers nothing: the host does, and a late answer
 * is nobody's. */
static void a_lost_connection_leaves_no_calls(void **state)
{
	struct fake *f = offloaded(2);

	post(f, 0, 10);
	post(f, 1, 20);
	f->fail = FAKE_UPLOAD;
	f->fail_conn = 0;
	f->fail_status = STATUS_DEVICE_FAILED;
	f->moves[0] = (struct host_move){.conn = f->handles[0]};
	assert_int_equal(host_upload(f->host, f->moves, 1), 0);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->n_done, 2);
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(f->done[i].conn, f->handles[0]);
		assert_int_equal(f->done[i].status, STATUS_ABORTED);
	}
	device_done(f, DATA_SEND, f->sends[0].cookie, STATUS_OK, 4);
	assert_int_equal(f->n_done, 2);
	assert_int_equal(host_counters(f->host)->stale, 1);
	assert_int_equal(host_release(f->host, f->handles[0]), 0);
	device_done(f, DATA_SEND, f->sends[1].cookie, STATUS_OK, 4);
	device_done(f, DATA_RECV, f->recvs[1].cookie, STATUS_OK, 8);
	assert_int_equal(f->n_done, 4);
	f->fail = FAKE_NONE;
	fake_upload(f, 1, 2, STATUS_OK);
	fake_destroy(f);
}

/* The device's descriptors are with other connections: one that got none has its turn when any call
 * completes, although none of its own can. */
static void calls_wait_for_the_room_of_others(void **state)
{
	struct fake *f = offloaded(4);

	post(f, 0, 10);
	f->busy = true;
	for (u32 i = 1; i < 4; i++)
		post(f, i, 10 * i + 10);
	assert_int_equal(f->n_sends + f->n_recvs, 2);
	/* One of them leaves while it waits. */
	fake_upload(f, 2, 3, STATUS_OK);
	assert_int_equal(host_release(f->host, f->handles[2]), 0);
	assert_int_equal(f->n_done, 2);
	f->busy = false;
	device_done(f, DATA_SEND, f->sends[0].cookie, STATUS_OK, 4);
	assert_int_equal(f->n_sends, 2);
	assert_int_equal(f->sends[1].len, 4);
	device_done(f, DATA_RECV, f->recvs[0].cookie, STATUS_OK, 8);
	assert_int_equal(f->n_sends, 3);
	assert_int_equal(f->n_recvs, 3);
	for (u32 i = 1; i < 3; i++) {
		device_done(f, DATA_SEND, f->sends[i].cookie, STATUS_OK, 4);
		device_done(f, DATA_RECV, f->recvs[i].cookie, STATUS_OK, 8);
	}
	assert_int_equal(f->n_done, 8);
	fake_upload(f, 0, 2, STATUS_OK);
	fake_upload(f, 3, 4, STATUS_OK);
	fake_destroy(f);
}

/* The device says that a connection was reset which it has to give back, because the host's stack
 * could not let go of it: that one lives, and its next offload is not taken for dead. */
static void aborted_and_undone(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 1});

	f->fail = FAKE_DETACH;
	f->fail_status = STATUS_FAILED;
	f->async = true;
	f->moves[0] = (struct host_move){.conn = f->handles[0]};
	assert_int_equal(host_offload(f->host, f->moves, 1, true), 0);
	for (u32 i = 0; i < 2; i++) { /* reserved; transferred */
		assert_int_equal(host_run(f->host), -EDEADLK);
		if (i)
			fake_indicate(f, IND_ABORTED, 0, ECONNRESET);
		assert_true(fake_complete(f));
	}
	f->async = false;
	assert_int_equal(host_run(f->host), 0);
	while (fake_complete(f))
		assert_int_equal(host_run(f->host), 0);
	assert_int_equal(fake_side(f, 0), HOST_IN_STACK);
	f->fail = FAKE_NONE;
	fake_offload(f, 0, 1, STATUS_OK);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(fake_side(f, 0), HOST_IN_CHIMNEY);
	post(f, 0, 1);
	assert_int_equal(f->n_sends, 1);
	device_done(f, DATA_SEND, f->sends[0].cookie, STATUS_OK, 4);
	device_done(f, DATA_RECV, f->recvs[0].cookie, STATUS_OK, 8);
	fake_upload(f, 0, 1, STATUS_OK);
	assert_int_equal(f->conn[0].imports, 1);
	fake_destroy(f);
}

/* A frame for a connection that was reset meanwhile is nobody's. */
static void forwarded_to_the_aborted(void **state)
{
	struct fake *f = offloaded(1);
	struct rx_frame frame = fake_frame(f, 0, 1);

	f->forward_status = STATUS_ABORTED;
	host_frames(f->host, &frame, 1);
	assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
	f->forward_status = STATUS_OK;
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

/* -- tables that are full ---------------------------------------------------------------------- */

static void no_room_for_connections(void **state)
{
	const struct fake_options o = {.conns = 2, .config = {.max_connections = 2}};
	struct fake *f = fake_create(&o);
	handle one;

	assert_int_equal(host_adopt(f->host, 2, NULL, &one), -ENOSPC);
	assert_int_equal(host_release(f->host, f->handles[0]), 0);
	assert_int_equal(host_adopt(f->host, 0, NULL, &one), 0);
	assert_int_equal(host_release(f->host, f->handles[0]), -ESTALE);
	fake_destroy(f);
}

/* A route to a next hop that the host has no room for: refused, and all stays as it was. */
static void no_room_for_the_next_hop(void **state)
{
	const struct fake_options o = {.conns = 4, .config = {.max_neighbors = 1}};
	struct fake *f = fake_create(&o);
	struct path_key p = fake_path_key(0);
	struct neighbor_key to = fake_neighbor_key(5);
	struct neighbor_state s = fake_neighbor_state(5);

	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(host_route_changed(f->host, &p, 1, &to, &s), -ENOSPC);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 1, 1, 4);
	fake_check_tree(f);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

/* R34: the tree as a list, and a list that is too short for it. */
static void a_snapshot_and_its_room(void **state)
{
	struct fake *f = offloaded(8);

	for (u32 room = 0; room <= 11; room++) {
		struct block_list list;
		void *mem = aligned_alloc(64, (block_list_bytes(11, 11, 11, 11) + 63) & ~63ul);
		u32 at;
		u8 scratch[11];

		block_list_init(&list, mem, room, 11, 11, 11);
		assert_int_equal(host_snapshot(f->host, &list), room < 11 ? -ENOSPC : 0);
		if (room == 11) {
			assert_int_equal(list.n_blocks, 11); /* 1 neighbor, 2 paths, 8 */
			assert_int_equal(block_list_check(&list, BLOCK_CALL_QUERY, scratch, &at),
			                 BLOCK_RULE_OK);
		}
		free(mem);
	}
	fake_upload(f, 0, 8, STATUS_OK);
	fake_destroy(f);
}

/* -- closed, but not read ---------------------------------------------------------------------- */

static void set_closed(struct fake *f, u32 conn, u32 unread)
{
	for (u32 i = 0; i < FAKE_CONNS; i++) {
		struct tcp_state *s = &f->device_conn[i].state;

		if (!f->device_conn[i].used || s->k.local_port != FAKE_LOCAL_PORT + conn)
			continue;
		s->d.state = TCP_CLOSED;
		if (unread && s->d.recv.buf == NIL) {
			s->d.recv.buf = buf_alloc(&f->pool, BUF_SMALL);
			buf_at(&f->pool, s->d.recv.buf)->len = unread;
		}
		s->d.recv.len = unread;
	}
}

/* R83: a connection that is closed at both ends cannot be imported; what was acknowledged and not
 * read keeps it at the device until it is, or until nobody will. */
static void closed_with_unread_bytes(void **state)
{
	for (u32 discard = 0; discard < 2; discard++) {
		struct fake *f = offloaded(2);

		set_closed(f, 0, 100);
		fake_indicate(f, IND_UPLOAD_REQUEST, 0, UPLOAD_TIME_WAIT);
		assert_int_equal(host_run(f->host), 0);
		assert_int_equal(fake_side(f, 0), HOST_IN_CHIMNEY);
		fake_expect_objects(f, 1, 1, 2);
		assert_true(host_next_deadline(f->host) < UINT64_MAX);
		if (discard)
			assert_int_equal(host_discard(f->host, f->handles[0]), 0);
		else
			set_closed(f, 0, 0);
		f->now_ns = host_next_deadline(f->host);
		assert_int_equal(host_run(f->host), 0);
		assert_int_equal(fake_side(f, 0), HOST_IN_STACK);
		assert_int_equal(f->conn[0].imports, 0);
		fake_expect_objects(f, 1, 1, 1);
		fake_check_tree(f);
		fake_upload(f, 1, 2, STATUS_OK);
		fake_destroy(f);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_upload_is_not_taken),
		cmocka_unit_test(taking_back_is_not_taken),
		cmocka_unit_test(an_offload_is_not_taken),
		cmocka_unit_test(parents_are_not_taken_back),
		cmocka_unit_test(an_update_is_not_taken),
		cmocka_unit_test(an_invalidate_is_not_taken),
		cmocka_unit_test(a_query_is_not_answered),
		cmocka_unit_test(a_lost_connection_leaves_no_calls),
		cmocka_unit_test(calls_wait_for_the_room_of_others),
		cmocka_unit_test(aborted_and_undone),
		cmocka_unit_test(forwarded_to_the_aborted),
		cmocka_unit_test(no_room_for_connections),
		cmocka_unit_test(no_room_for_the_next_hop),
		cmocka_unit_test(a_snapshot_and_its_room),
		cmocka_unit_test(closed_with_unread_bytes),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Changes in the host and wishes of the device: updates, routes, invalidates, upload requests. */
#include "host_fake.h"

static struct fake *offloaded(u32 conns)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = conns});

	fake_offload(f, 0, conns, STATUS_OK);
	f->trace[0] = 0;
	return f;
}

static void expect_layers(struct fake *f, enum block_call call, u32 sw, u32 transport, u32 network,
                          u32 framing)
{
	assert_int_equal(host_ladder_count(f->host, call, HOST_SWITCH), sw);
	assert_int_equal(host_ladder_count(f->host, call, HOST_TRANSPORT), transport);
	assert_int_equal(host_ladder_count(f->host, call, HOST_NETWORK), network);
	assert_int_equal(host_ladder_count(f->host, call, HOST_FRAMING), framing);
}

static void a_new_mac_is_one_message(void **state)
{
	struct fake *f = offloaded(64);
	const struct neighbor_key key = fake_neighbor_key(3);
	const struct mac_addr mac = {{2, 9, 9, 9, 9, 9}};
	u32 changed = 0;

	assert_int_equal(host_neighbor_changed(f->host, &key, &mac, LINK_DIX), 0);
	/* R52, R59: one block, whatever hangs below it. */
	fake_expect(f, "update");
	assert_int_equal(f->blocks[LAYER_NEIGHBOR], 1);
	assert_int_equal(f->blocks[LAYER_PATH] + f->blocks[LAYER_TCP], 0);
	for (u32 i = 0; i < 8; i++)
		changed += !memcmp(&f->neighbor_state[i].c.next_hop_mac, &mac, sizeof(mac));
	assert_int_equal(changed, 1); /* R22 */
	/* R72: nobody above the framing layer takes part. */
	expect_layers(f, BLOCK_CALL_UPDATE, 0, 0, 0, 1);
	assert_int_equal(host_counters(f->host)->updates, 1);
	assert_int_equal(
		host_neighbor_changed(f->host, &(struct neighbor_key){.port = 99}, &mac, 0),
		-ENOENT);
	fake_upload(f, 0, 64, STATUS_OK);
	fake_destroy(f);
}

static void a_new_mtu_is_one_message(void **state)
{
	struct fake *f = offloaded(8);
	const struct path_key key = fake_path_key(1);
	struct host_path_info info;
	u32 cursor = 0, small = 0;

	assert_int_equal(host_path_mtu(f->host, &key, 1280), 0);
	fake_expect(f, "update");
	assert_int_equal(f->blocks[LAYER_TCP], 0);
	assert_int_equal(f->path_state[1].c.path_mtu + f->path_state[0].c.path_mtu, 2780);
	/* R71: from the layer that owns the variable on down. */
	expect_layers(f, BLOCK_CALL_UPDATE, 0, 0, 1, 1);
	while (host_path_next(f->host, &cursor, &info))
		small += info.path_mtu == 1280;
	assert_int_equal(small, 1);
	fake_upload(f, 0, 8, STATUS_OK);
	/* R32: the host's value, not one that came back. */
	fake_offload(f, 4, 5, STATUS_OK);
	assert_int_equal(f->path_state[0].c.path_mtu, 1280);
	fake_upload(f, 4, 5, STATUS_OK);
	fake_destroy(f);
}

static void settings_reach_the_device(void **state)
{
	struct fake *f = offloaded(4);
	struct tcp_cached c = f->conn[2].settings;

	c.nodelay = 1;
	c.restart_keepalive = 1;
	assert_int_equal(host_conn_settings(f->host, f->handles[2], &c), 0);
	assert_int_equal(f->calls[BLOCK_CALL_UPDATE], 1);
	assert_int_equal(f->blocks[LAYER_TCP], 1);
	c.nodelay = 1;
	c.restart_keepalive = 0;
	f->conn[2].settings = c; /* the one-shot was used up: import sees it without */
	fake_upload(f, 0, 4, STATUS_OK);
	assert_int_equal(host_conn_settings(f->host, 1, &c), -ESTALE);
	fake_destroy(f);
}

static void changes_during_a_move_are_pushed_after_it(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});
	const struct path_key path = fake_path_key(0);
	const struct neighbor_key neighbor = fake_neighbor_key(0);
	const struct mac_addr mac = {{2, 7, 7, 7, 7, 7}};
	struct tcp_cached c = f->conn[1].settings;

	f->async = true;
	f->moves[0] = (struct host_move){.conn = f->handles[1]};
	assert_int_equal(host_offload(f->host, f->moves, 1, false), 0);
	assert_int_equal(host_run(f->host), -EDEADLK); /* the device thinks about room */
	c.tos = 8;
	assert_int_equal(host_path_mtu(f->host, &path, 1400), 0);
	assert_int_equal(host_neighbor_changed(f->host, &neighbor, &mac, LINK_DIX), 0);
	assert_int_equal(host_conn_settings(f->host, f->handles[1], &c), 0);
	fake_expect(f, "inspect reserve"); /* R30: nothing is told now */
	assert_int_equal(host_counters(f->host)->updates_recorded, 3);
	f->async = false;
	fake_complete(f);
	assert_int_equal(host_run(f->host), 0);
	fake_expect(f, "hold fence+ fence. freeze transfer detach own update update update");
	assert_int_equal(f->path_state[0].c.path_mtu, 1400);
	assert_memory_equal(&f->neighbor_state[0].c.next_hop_mac, &mac, sizeof(mac));
	assert_int_equal(f->device_conn[0].state.c.tos, 8);
	f->conn[1].settings = c;
	fake_upload(f, 1, 2, STATUS_OK);
	fake_destroy(f);
}

static void a_setting_changed_before_the_freeze_is_pushed(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	f->async = true;
	f->moves[0] = (struct host_move){.conn = f->handles[1]};
	assert_int_equal(host_offload(f->host, f->moves, 1, false), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
	f->conn[1].settings.tos = 16; /* by setsockopt() behind our back */
	f->async = false;
	fake_complete(f);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->device_conn[0].state.c.tos, 16);
	assert_int_equal(f->calls[BLOCK_CALL_UPDATE], 1);
	fake_upload(f, 1, 2, STATUS_OK);
	fake_destroy(f);
}

/* -- routes ------------------------------------------------------------------------------------ */

static void a_route_change_is_one_transaction(void **state)
{
	struct fake *f = offloaded(64); /* 16 paths below 8 neighbors */
	const struct neighbor_key to = fake_neighbor_key(20);
	const struct neighbor_state s = fake_neighbor_state(20);
	struct path_key paths[16];

	for (u32 i = 0; i < 16; i++)
		paths[i] = fake_path_key(i);
	assert_int_equal(host_route_changed(f->host, paths, 16, &to, &s), 0);
	/* R66, R68, R77: the new neighbor first, then all paths at once, then the old ones go. */
	fake_expect(f, "reserve update upload commit");
	assert_int_equal(host_counters(f->host)->updates, 1);
	fake_expect_objects(f, 1, 16, 64);
	fake_check_tree(f);
	/* And back, to a neighbor that the device does not have any more. */
	assert_int_equal(
		host_route_changed(f->host, paths, 2, &(struct neighbor_key){.port = 7}, &s), 0);
	fake_expect_objects(f, 2, 16, 64);
	fake_check_tree(f);
	fake_upload(f, 0, 64, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void a_route_may_change_during_a_move(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 8});
	const struct neighbor_key to = fake_neighbor_key(20);
	const struct neighbor_state s = fake_neighbor_state(20);
	struct path_key paths[2] = {fake_path_key(0), fake_path_key(1)};

	f->async = true;
	for (u32 i = 0; i < 8; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, 8, false), 0);
	assert_int_equal(host_run(f->host), -EDEADLK);
	assert_int_equal(host_route_changed(f->host, paths, 2, &to, &s), 0);
	f->async = false;
	while (fake_complete(f))
		;
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 1, 2, 8);
	assert_int_equal(f->neighbor_refs[f->path_neighbor[0]], 2);
	fake_check_tree(f);
	fake_upload(f, 0, 8, STATUS_OK);
	fake_destroy(f);
}

static void a_route_may_change_twice_before_the_device_answers(void **state)
{
	struct fake *f = offloaded(8);
	struct path_key paths[2] = {fake_path_key(0), fake_path_key(1)};
	struct host_path_info info;
	u32 cursor = 0;

	f->async = true;
	for (u32 i = 20; i < 23; i++) {
		const struct neighbor_key to = fake_neighbor_key(i);
		const struct neighbor_state s = fake_neighbor_state(i);

		assert_int_equal(host_route_changed(f->host, paths, 2, &to, &s), 0);
		fake_complete(f); /* its neighbor is there; the paths are told next */
	}
	while (fake_complete(f))
		;
	f->async = false;
	fake_expect_objects(f, 1, 2, 8);
	while (host_path_next(f->host, &cursor, &info)) {
		const struct neighbor_key last = fake_neighbor_key(22);

		assert_memory_equal(&info.neighbor, &last, sizeof(last));
	}
	assert_int_equal(f->neighbor_state[f->path_neighbor[0]].c.next_hop_mac.b[5], 22);
	fake_check_tree(f);
	fake_upload(f, 0, 8, STATUS_OK);
	fake_destroy(f);
}

static void a_moved_route_is_found_by_inspection_too(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	fake_offload(f, 0, 2, STATUS_OK);
	f->neighbor_shift = 5; /* nobody told the host */
	fake_offload(f, 2, 4, STATUS_OK);
	assert_int_equal(f->neighbor_state[f->path_neighbor[0]].c.next_hop_mac.b[5], 5);
	fake_expect_objects(f, 1, 1, 4);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void no_room_for_the_new_neighbor_is_an_upload(void **state)
{
	struct fake *f = offloaded(8);
	const struct neighbor_key to = fake_neighbor_key(20);
	const struct neighbor_state s = fake_neighbor_state(20);
	const struct path_key path = fake_path_key(1);

	f->fail = FAKE_RESERVE;
	f->fail_layer = LAYER_NEIGHBOR;
	f->fail_status = STATUS_NO_NEIGHBORS;
	assert_int_equal(host_route_changed(f->host, &path, 1, &to, &s), 0);
	assert_int_equal(host_run(f->host), 0);
	/* What hung on that path runs in the host now; the rest goes on. */
	fake_expect_objects(f, 1, 1, 4);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(fake_side(f, i), i < 4 ? HOST_IN_CHIMNEY : HOST_IN_STACK);
	f->fail = FAKE_NONE;
	fake_upload(f, 0, 4, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void a_failed_update_is_an_upload(void **state)
{
	struct fake *f = offloaded(8);
	const struct path_key path = fake_path_key(0);
	struct host_event event[4];

	f->fail = FAKE_UPDATE;
	f->fail_layer = LAYER_PATH;
	f->fail_status = STATUS_MTU_TOO_LARGE;
	assert_int_equal(host_path_mtu(f->host, &path, 9000), 0);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 1, 1, 4);
	assert_int_equal(host_log_read(f->host, 0, event, 4), 2);
	assert_int_equal(event[1].kind, HOST_EVENT_UPDATE_FAILED);
	assert_int_equal(event[1].reason, STATUS_MTU_TOO_LARGE);
	f->fail = FAKE_NONE;
	fake_upload(f, 4, 8, STATUS_OK);
	fake_destroy(f);
}

/* -- ends of offloads -------------------------------------------------------------------------- */

static void invalidates_go_to_their_layer(void **state)
{
	struct fake *f = offloaded(8);
	const struct neighbor_key neighbor = fake_neighbor_key(0);
	const struct path_key path = fake_path_key(0);

	assert_int_equal(host_invalidate_path(f->host, &path), 0); /* R35 */
	fake_expect(f, "invalidate");
	assert_int_equal(f->blocks[LAYER_TCP], 0);
	expect_layers(f, BLOCK_CALL_INVALIDATE, 0, 0, 1, 1);
	assert_int_equal(host_invalidate(f->host, f->handles[7]), 0);
	expect_layers(f, BLOCK_CALL_INVALIDATE, 0, 1, 2, 2);
	assert_int_equal(host_invalidate_neighbor(f->host, &neighbor), 0);
	expect_layers(f, BLOCK_CALL_INVALIDATE, 0, 1, 2, 3);
	/* An invalid path takes no more connections. */
	assert_int_equal(host_counters(f->host)->invalidates, 3);
	/* R74: the device then asks for what depends on it. */
	for (u32 i = 0; i < 8; i++)
		fake_indicate(f, IND_UPLOAD_REQUEST, i, UPLOAD_INVALID_STATE);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 0, 0, 0);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(fake_side(f, i), HOST_IN_STACK);
	fake_destroy(f);
}

static void the_device_is_granted_every_request(void **state)
{
	struct fake *f = offloaded(UPLOAD_REASONS);
	struct host_event event[UPLOAD_REASONS];

	/* R35, R73, R78: also of what an administrator wanted there, and it is said. */
	for (u32 i = 0; i < UPLOAD_REASONS; i++)
		fake_indicate(f, IND_UPLOAD_REQUEST, i, i);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 0, 0, 0);
	assert_int_equal(host_log_read(f->host, 0, event, UPLOAD_REASONS), UPLOAD_REASONS);
	for (u32 i = 0; i < UPLOAD_REASONS; i++) {
		assert_int_equal(event[i].kind, HOST_EVENT_UPLOAD_REQUESTED);
		assert_int_equal(event[i].reason, i);
		assert_int_equal(event[i].by_admin, 1);
		assert_int_equal(event[i].object, f->handles[i]);
		assert_int_equal(event[i].number, i + 1);
		assert_true(event[i].time_ns > 0);
	}
	assert_int_equal(host_counters(f->host)->upload_requests, UPLOAD_REASONS);
	fake_indicate(f, IND_UPLOAD_REQUEST, 0, 0); /* in the host already */
	assert_int_equal(host_counters(f->host)->stale, 1);
	fake_destroy(f);
}

static void requests_come_between_the_chunks_of_a_move(void **state)
{
	const struct fake_options o = {.conns = 16, .config = {.chunk_max = 4}};
	struct fake *f = fake_create(&o);

	for (u32 i = 0; i < 16; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, 16, false), 0);
	while (fake_side(f, 0) != HOST_IN_CHIMNEY)
		assert_int_equal(host_step(f->host), HOST_MORE);
	fake_indicate(f, IND_UPLOAD_REQUEST, 0, UPLOAD_URGENT);
	while (fake_side(f, 0) != HOST_IN_STACK)
		assert_int_equal(host_step(f->host), HOST_MORE);
	assert_true(host_busy(f->host));
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 2, 4, 15);
	fake_upload(f, 0, 16, STATUS_OK);
	fake_destroy(f);
}

static void upload_all_is_all(void **state)
{
	struct fake *f = offloaded(16);

	fake_indicate(f, IND_UPLOAD_ALL, NIL, UPLOAD_HARDWARE_FAILURE);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void a_reset_ends_the_offload(void **state)
{
	struct fake *f = offloaded(4);
	struct send_call call = {.conn = f->handles[1]};

	fake_indicate(f, IND_ABORTED, 1, 5); /* R76 */
	assert_int_equal(f->notice[f->n_notices - 1].kind, IND_ABORTED);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 1, 1, 3);
	assert_int_equal(f->conn[1].imports, 0); /* nothing is left to import */
	host_send(f->host, &call, 1);
	assert_int_equal(call.taken, -ECONNRESET);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

/* -- links ------------------------------------------------------------------------------------- */

static bool upload_on_port_1(void *ctx, u32 port)
{
	return port == 1;
}

static void a_lost_link_is_the_hosts_to_decide(void **state)
{
	const struct fake_options o = {.conns = 16,
	                               .policy = {.upload_on_link_down = upload_on_port_1}};
	struct fake *f = fake_create(&o);
	struct host_event event[2];

	fake_offload(f, 0, 16, STATUS_OK); /* neighbor 0 behind port 0, neighbor 1 behind port 1 */
	fake_indicate(f, IND_LINK_DOWN, NIL, 0);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 2, 4, 16); /* R75 */
	host_link(f->host, 0, true);
	host_link(f->host, 1, false);
	assert_int_equal(host_run(f->host), 0);
	fake_expect_objects(f, 1, 2, 8);
	assert_int_equal(host_log_read(f->host, 0, event, 2), 2);
	assert_int_equal(event[0].kind, HOST_EVENT_LINK_DOWN);
	assert_int_equal(event[1].kind, HOST_EVENT_LINK_UP);
	fake_upload(f, 0, 16, STATUS_OK);
	fake_destroy(f);
}

static void reachability_is_answered_at_once(void **state)
{
	struct fake *f = offloaded(4);
	struct indication ind = {.kind = IND_REACHABLE_QUERY};

	ind.host = f->last[BLOCK_CALL_OFFLOAD].list->blocks[0].host;
	f->host_side.ops->indicate(f->host_side.impl, &ind, 1);
	fake_expect(f, "update");
	ind.host = 99;
	f->host_side.ops->indicate(f->host_side.impl, &ind, 1);
	fake_expect(f, "");
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

/* -- looking ----------------------------------------------------------------------------------- */

static void a_query_shows_the_devices_state(void **state)
{
	struct fake *f = offloaded(4);
	struct tcp_state s;

	f->device_conn[2].state.d.cwnd_bytes = 4711;
	assert_int_equal(host_query(f->host, f->handles[1], &s), 0); /* R34 */
	assert_int_equal(s.k.local_port, FAKE_LOCAL_PORT + 1);
	assert_int_equal(host_query(f->host, 3, &s), -ESTALE);
	fake_upload(f, 0, 4, STATUS_OK);
	assert_int_equal(host_query(f->host, f->handles[1], &s), -ENXIO);
	fake_destroy(f);
}

static void the_log_is_a_ring(void **state)
{
	const struct fake_options o = {.conns = 1, .config = {.log_entries = 4}};
	struct fake *f = fake_create(&o);
	struct host_event event[8];

	for (u32 i = 0; i < 10; i++)
		host_link(f->host, i, true);
	assert_int_equal(host_log_read(f->host, 0, event, 8), 4);
	assert_int_equal(event[0].number, 7);
	assert_int_equal(event[3].detail, 9);
	assert_int_equal(host_log_read(f->host, 9, event, 8), 1);
	assert_int_equal(host_log_read(f->host, 10, event, 8), 0);
	for (u32 i = 0; i <= HOST_EVENTS; i++)
		assert_non_null(host_event_word(i));
	for (u32 i = 0; i <= HOST_STEPS; i++)
		assert_non_null(host_step_word(i));
	fake_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_mac_is_one_message),
		cmocka_unit_test(a_new_mtu_is_one_message),
		cmocka_unit_test(settings_reach_the_device),
		cmocka_unit_test(changes_during_a_move_are_pushed_after_it),
		cmocka_unit_test(a_setting_changed_before_the_freeze_is_pushed),
		cmocka_unit_test(a_route_change_is_one_transaction),
		cmocka_unit_test(a_route_may_change_during_a_move),
		cmocka_unit_test(a_route_may_change_twice_before_the_device_answers),
		cmocka_unit_test(a_moved_route_is_found_by_inspection_too),
		cmocka_unit_test(no_room_for_the_new_neighbor_is_an_upload),
		cmocka_unit_test(a_failed_update_is_an_upload),
		cmocka_unit_test(invalidates_go_to_their_layer),
		cmocka_unit_test(the_device_is_granted_every_request),
		cmocka_unit_test(requests_come_between_the_chunks_of_a_move),
		cmocka_unit_test(upload_all_is_all),
		cmocka_unit_test(a_reset_ends_the_offload),
		cmocka_unit_test(a_lost_link_is_the_hosts_to_decide),
		cmocka_unit_test(reachability_is_answered_at_once),
		cmocka_unit_test(a_query_shows_the_devices_state),
		cmocka_unit_test(the_log_is_a_ring),
	};

	return RUN_TESTS(tests);
}

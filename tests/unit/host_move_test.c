/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Moves: the ladder, the tree, chunks, and the order of calls. */
#include "host_fake.h"

static void nothing_moves_without_a_call(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	/* R17: until somebody asks, the host's stack is not touched and data goes to it. */
	assert_int_equal(host_step(f->host), HOST_IDLE);
	fake_expect(f, "");
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(fake_side(f, i), HOST_IN_STACK);
	fake_destroy(f);
}

static void a_tree_goes_over_in_one_operation(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 16});
	const struct offload_request *last = &f->last[BLOCK_CALL_OFFLOAD];

	/* R12, R13, R70: 16 connections of 4 paths below 2 neighbors, one call. */
	fake_offload(f, 0, 16, STATUS_OK);
	fake_expect(f, "inspect reserve hold fence+ fence. freeze transfer detach own");
	fake_expect_objects(f, 2, 4, 16);
	assert_int_equal(f->calls[BLOCK_CALL_OFFLOAD], 2); /* R27: room first, then the state */
	assert_int_equal(f->new_blocks[LAYER_NEIGHBOR], 2);
	assert_int_equal(f->new_blocks[LAYER_PATH], 4);
	/* R28: what nothing can change meanwhile came with the first phase. */
	assert_int_equal(f->whole[LAYER_NEIGHBOR], 2);
	assert_int_equal(f->whole[LAYER_PATH], 4);
	assert_int_equal(f->whole[LAYER_TCP], 0);
	/* R107: all four layers say what they need, top first. */
	assert_int_equal(last->n_needs, HOST_LAYERS);
	assert_int_equal(last->needs[HOST_TRANSPORT].connections, 16);
	assert_int_equal(last->needs[HOST_TRANSPORT].features & FEATURE_SACK, FEATURE_SACK);
	assert_int_equal(last->needs[HOST_NETWORK].paths, 4);
	assert_int_equal(last->needs[HOST_NETWORK].features, FEATURE_IPV4);
	assert_int_equal(last->needs[HOST_FRAMING].neighbors, 2);
	/* R24: it passed every layer once. */
	for (u32 i = 0; i < HOST_LAYERS; i++)
		assert_int_equal(host_ladder_count(f->host, BLOCK_CALL_OFFLOAD, i), 1);
	/* R96, R97: the device runs them with the state that the host froze. */
	for (u32 i = 0; i < 16; i++) {
		assert_true(f->device_conn[i].live);
		assert_true(f->conn[i].detached);
		assert_int_equal(fake_side(f, i), HOST_IN_CHIMNEY);
	}
	fake_upload(f, 0, 16, STATUS_OK);
	fake_destroy(f);
}

static void there_and_back_without_a_trace(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 16});

	f->conn[3].queued_bytes = 100;
	/* R10, R14: each keeps what is its own. */
	for (u32 round = 0; round < 3; round++) {
		fake_offload(f, 0, 16, STATUS_OK);
		for (u32 i = 0; i < 16; i++)
			f->device_conn[i].state.d.cwnd_bytes += 1000;
		f->trace[0] = 0;
		fake_upload(f, 0, 16, STATUS_OK);
		/* R38: the host regains the state before the device frees. */
		fake_expect(f, "hold upload import commit release fence+ fence.");
		fake_expect_objects(f, 0, 0, 0); /* R42: the last takes path and neighbor along */
	}
	for (u32 i = 0; i < 16; i++) {
		assert_int_equal(f->conn[i].imports, 3);
		assert_int_equal(f->conn[i].cwnd, 10000 + i + 3000);
		assert_int_equal(fake_side(f, i), HOST_IN_STACK);
	}
	fake_destroy(f);
}

static void parents_leave_with_their_last_dependent(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 16});

	fake_offload(f, 0, 16, STATUS_OK);
	/* R80: three of four: the path only carries the request on. */
	fake_upload(f, 0, 3, STATUS_OK);
	fake_expect_objects(f, 2, 4, 13);
	/* Its last, and the whole path beside it: both paths and their neighbor, in one request. */
	fake_upload(f, 3, 8, STATUS_OK);
	fake_expect_objects(f, 1, 2, 8);
	assert_int_equal(f->handles_in[LAYER_NEIGHBOR], 1);
	assert_int_equal(f->handles_in[LAYER_PATH], 2);
	assert_int_equal(f->handles_in[LAYER_TCP], 5);
	fake_upload(f, 8, 16, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void parents_may_leave_later(void **state)
{
	const struct fake_options o = {.conns = 8, .config = {.parents_late = true}};
	struct fake *f = fake_create(&o);

	fake_offload(f, 0, 8, STATUS_OK);
	fake_upload(f, 0, 8, STATUS_OK);
	fake_expect_objects(f, 1, 2, 0); /* R43: later ... */
	fake_offload(f, 0, 8, STATUS_OK);
	assert_int_equal(f->linkers[LAYER_PATH], 2); /* ... and good for the next offload */
	fake_upload(f, 0, 8, STATUS_OK);
	host_reap(f->host);
	fake_expect_objects(f, 0, 0, 0);
	fake_check_tree(f);
	fake_destroy(f);
}

static void later_requests_link(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 16});

	fake_offload(f, 0, 2, STATUS_OK);
	assert_int_equal(f->new_blocks[LAYER_PATH], 1);
	fake_offload(f, 2, 8, STATUS_OK);
	/* R57, R69: the path of the first two and the neighbor are linked, one path is new. */
	assert_int_equal(f->linkers[LAYER_NEIGHBOR], 1);
	assert_int_equal(f->linkers[LAYER_PATH], 1);
	assert_int_equal(f->new_blocks[LAYER_PATH], 2);
	assert_int_equal(f->new_blocks[LAYER_NEIGHBOR], 1);
	assert_int_equal(host_counters(f->host)->linkers, 2);
	fake_expect_objects(f, 1, 2, 8);
	/* R19, R23: the others of the same path stay with the host's stack. */
	assert_int_equal(fake_side(f, 8), HOST_IN_STACK);
	fake_upload(f, 0, 8, STATUS_OK);
	fake_destroy(f);
}

/* What is in recovery is waited for, and moves as it is when it does not calm down. */
static void recovery_is_waited_for(void **state)
{
	const struct fake_options o = {
		.conns = 4, .config = {.quiet_ns = 80000000}, .async_wait = true};
	struct fake *f = fake_create(&o);

	f->tick_ns = 1000000;
	f->conn[1].unquiet_inspections = 3;
	f->conn[2].unquiet_inspections = UINT32_MAX;
	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(f->moves[0].chunk, 0);
	assert_true(f->moves[1].chunk > 0); /* the others did not wait for it */
	assert_true(f->moves[2].chunk > f->moves[1].chunk);
	assert_int_equal(f->moves[3].chunk, 0);
	assert_int_equal(f->conn[1].unquiet_inspections, 0);
	assert_int_equal(host_counters(f->host)->offloads_unquiet, 1);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void recovery_is_refused_without_a_deadline(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 2});

	f->conn[0].unquiet_inspections = UINT32_MAX;
	fake_offload(f, 0, 1, STATUS_NOT_QUIET);
	assert_int_equal(host_counters(f->host)->offloads_unquiet, 0);
	fake_destroy(f);
}

static void chunks_overlap(void **state)
{
	const struct fake_options o = {.conns = 12, .config = {.chunk_max = 4}};
	struct fake *f = fake_create(&o);
	struct host_report report;

	fake_offload(f, 0, 12, STATUS_OK);
	/* R117: three lists. The next chunk is on hold, and its fence runs, before one is frozen;
	 * no fence is waited for right after it was started. */
	fake_expect(f, "inspect reserve hold fence+ "
	               "fence. reserve hold fence+ freeze transfer detach own "
	               "fence. reserve hold fence+ freeze transfer detach own "
	               "fence. freeze transfer detach own");
	host_report(f->host, &report);
	assert_int_equal(report.moved, 12);
	assert_int_equal(report.chunks, 3);
	for (u32 i = 0; i < 12; i++) {
		assert_int_equal(f->moves[i].chunk, i / 4);
		assert_true(f->moves[i].move_ns > 0);
		assert_true(f->moves[i].stall_ns > 0);
	}
	fake_upload(f, 0, 12, STATUS_OK);
	fake_expect(f, "hold upload import commit release fence+ "
	               "hold upload import commit release fence. fence+ "
	               "hold upload import commit release fence. fence+ fence.");
	fake_destroy(f);
}

static void chunks_are_closed_by_time(void **state)
{
	const struct fake_options o = {.conns = 64,
	                               .config = {.chunk_ns = 1000000, .estimate_ns = 100000}};
	struct fake *f = fake_create(&o);
	struct host_report report;

	f->tick_ns = 50000;
	fake_offload(f, 0, 64, STATUS_OK);
	host_report(f->host, &report);
	/* At an estimated 100 us each ten fit into a millisecond; then it is measured. */
	assert_int_equal(f->moves[9].chunk, 0);
	assert_int_equal(f->moves[10].chunk, 1);
	assert_int_not_equal(f->moves[10].chunk, f->moves[63].chunk);
	assert_true(report.elapsed_ns > 0);
	assert_true(report.step_ns[HOST_STEP_FREEZE] > 0);
	fake_upload(f, 0, 64, STATUS_OK);
	fake_destroy(f);
}

static void a_short_list_limit_is_kept(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 16});

	f->max_list_blocks = 12;
	fake_offload(f, 0, 16, STATUS_OK);
	assert_int_equal(f->moves[4].chunk, 1);
	assert_int_equal(f->moves[15].chunk, 3);
	fake_upload(f, 0, 16, STATUS_OK);
	fake_destroy(f);
}

static void the_device_may_answer_later(void **state)
{
	const struct fake_options o = {.conns = 12, .config = {.chunk_max = 4}, .async_wait = true};
	struct fake *f = fake_create(&o);

	f->async = true;
	fake_offload(f, 0, 12, STATUS_OK);
	fake_expect_objects(f, 2, 3, 12);
	fake_upload(f, 0, 12, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void waiting_is_said(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	f->async = true;
	f->moves[0] = (struct host_move){.conn = f->handles[0]};
	assert_int_equal(host_offload(f->host, f->moves, 1, false), 0);
	assert_int_equal(host_offload(f->host, f->moves, 1, false), -EBUSY);
	assert_int_equal(host_run(f->host), -EDEADLK);
	assert_int_equal(host_step(f->host), HOST_WAITING);
	/* R55: no second move while one is under way, and no end of the object. */
	assert_int_equal(host_release(f->host, f->handles[0]), -EBUSY);
	fake_complete(f);
	f->async = false;
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->moves[0].status, STATUS_OK);
	fake_upload(f, 0, 1, STATUS_OK);
	fake_destroy(f);
}

static void odd_entries_are_answered(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 4});

	fake_offload(f, 0, 1, STATUS_OK);
	f->moves[0] = (struct host_move){.conn = f->handles[0]}; /* there already */
	f->moves[1] = (struct host_move){.conn = f->handles[1]};
	f->moves[2] = (struct host_move){.conn = f->handles[1]}; /* R55: twice in one call */
	f->moves[3] = (struct host_move){.conn = 12345};
	assert_int_equal(host_offload(f->host, f->moves, 4, false), 0);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->moves[0].status, STATUS_OK);
	assert_int_equal(f->moves[1].status, STATUS_OK);
	assert_int_equal(f->moves[2].status, STATUS_BUSY);
	assert_int_equal(f->moves[3].status, STATUS_STALE_HANDLE);
	fake_expect_objects(f, 1, 1, 2);
	fake_upload(f, 0, 2, STATUS_OK);
	fake_upload(f, 0, 2, STATUS_OK); /* in the host already */
	fake_destroy(f);
}

static void ip_ids_are_halved(void **state)
{
	const struct fake_options o = {.conns = 4, .config = {.ip_id_confined = true}};
	struct fake *f = fake_create(&o);
	struct path_key key = fake_path_key(0);
	u16 start, id;

	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(f->path_state[0].k.ip_id_confined, 1);
	start = f->path_state[0].k.ip_id_start;
	assert_int_equal(f->path_state[0].d.next_ip_id, start);
	/* R61: the host's half begins where the device's ends, and wraps inside itself. */
	for (u32 i = 0; i < 70000; i++) {
		assert_int_equal(host_path_ip_id(f->host, &key, &id), 0);
		assert_int_equal(id, (u16)(start + 32768 + i % 32768));
	}
	/* R62: the next one comes back at upload and goes out again. */
	f->path_state[0].d.next_ip_id = (u16)(start + 77);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_offload(f, 0, 4, STATUS_OK);
	assert_int_equal(f->path_state[0].d.next_ip_id, (u16)(start + 77));
	assert_int_equal(f->path_state[0].k.ip_id_start, start);
	fake_upload(f, 0, 4, STATUS_OK);
	fake_destroy(f);
}

static void the_tree_follows_release(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = 8});
	struct host_usage usage;

	fake_offload(f, 0, 8, STATUS_OK);
	assert_int_equal(host_release(f->host, f->handles[0]), -EBUSY);
	fake_upload(f, 0, 8, STATUS_OK);
	host_usage(f->host, &usage);
	assert_int_equal(usage.paths, 2);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(host_release(f->host, f->handles[i]), 0);
	assert_int_equal(host_release(f->host, f->handles[0]), -ESTALE);
	host_usage(f->host, &usage);
	assert_int_equal(usage.connections, 0);
	assert_int_equal(usage.paths, 0);
	assert_int_equal(usage.neighbors, 0);
	fake_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_moves_without_a_call),
		cmocka_unit_test(a_tree_goes_over_in_one_operation),
		cmocka_unit_test(there_and_back_without_a_trace),
		cmocka_unit_test(parents_leave_with_their_last_dependent),
		cmocka_unit_test(parents_may_leave_later),
		cmocka_unit_test(later_requests_link),
		cmocka_unit_test(recovery_is_waited_for),
		cmocka_unit_test(recovery_is_refused_without_a_deadline),
		cmocka_unit_test(chunks_overlap),
		cmocka_unit_test(chunks_are_closed_by_time),
		cmocka_unit_test(a_short_list_limit_is_kept),
		cmocka_unit_test(the_device_may_answer_later),
		cmocka_unit_test(waiting_is_said),
		cmocka_unit_test(odd_entries_are_answered),
		cmocka_unit_test(ip_ids_are_halved),
		cmocka_unit_test(the_tree_follows_release),
	};

	return RUN_TESTS(tests);
}

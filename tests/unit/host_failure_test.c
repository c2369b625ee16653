/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Every step of a move fails once: a status, nothing left behind, the others go on. */
#include "host_fake.h"

enum {
	VICTIM = 5,
	CONNS = 8,
};

static void set(struct fake *f, enum fake_op op, u16 status)
{
	f->fail = op;
	f->fail_conn = VICTIM;
	f->fail_status = status;
}

/* All but one of eight are offloaded; the one has its status and runs in the host. */
static void expect_all_but_one(struct fake *f, enum status status)
{
	for (u32 i = 0; i < CONNS; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, CONNS, false), 0);
	assert_int_equal(host_run(f->host), 0);
	for (u32 i = 0; i < CONNS; i++) {
		bool failed = i == VICTIM;

		assert_string_equal(status_word(f->moves[i].status),
		                    status_word(failed ? status : STATUS_OK));
		assert_int_equal(fake_side(f, i), failed ? HOST_IN_STACK : HOST_IN_CHIMNEY);
		assert_int_equal(f->conn[i].frozen, !failed);
		assert_int_equal(f->conn[i].detached, !failed);
		assert_false(f->conn[i].held);
	}
	fake_expect_objects(f, 1, 2, CONNS - 1);
	fake_check_tree(f);
	assert_int_equal(host_counters(f->host)->offloads_refused, 1);
}

/* And it can be offloaded once what failed works again. */
static void expect_second_try(struct fake *f)
{
	f->fail = FAKE_NONE;
	f->refuse = false;
	fake_offload(f, 0, CONNS, STATUS_OK);
	fake_upload(f, 0, CONNS, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static void each_layer_may_refuse(void **state)
{
	/* R24: refusal at each layer leaves no residue. */
	for (u32 layer = 0; layer < HOST_LAYERS; layer++) {
		struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

		f->refuse = true;
		f->refuse_layer = layer;
		f->refuse_conn = VICTIM;
		expect_all_but_one(f, STATUS_LAYER_REFUSED);
		assert_int_equal(f->moves[VICTIM].detail, layer);
		expect_second_try(f);
	}
}

static enum status admit(void *ctx, const struct host_candidate *who, u64 *ret_detail)
{
	if (who->local_port != FAKE_LOCAL_PORT + VICTIM)
		return STATUS_OK;
	*ret_detail = 42;
	return STATUS_POLICY;
}

static void policy_may_refuse(void **state)
{
	const struct fake_options o = {.conns = CONNS, .policy = {.admit = admit}};
	struct fake *f = fake_create(&o);
	struct host_event event[4];

	expect_all_but_one(f, STATUS_POLICY); /* R44 */
	assert_int_equal(f->moves[VICTIM].detail, 42);
	assert_int_equal(host_log_read(f->host, 0, event, 4), 1);
	assert_int_equal(event[0].kind, HOST_EVENT_OFFLOAD_REFUSED);
	assert_int_equal(event[0].reason, STATUS_POLICY);
	assert_int_equal(event[0].object, f->handles[VICTIM]);
	fake_upload(f, 0, CONNS, STATUS_OK);
	fake_destroy(f);
}

static void inspection_may_refuse(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	set(f, FAKE_INSPECT, STATUS_ULP);
	expect_all_but_one(f, STATUS_ULP);
	assert_int_equal(f->moves[VICTIM].detail, 77);
	expect_second_try(f);
}

static void the_device_may_have_no_room(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	set(f, FAKE_RESERVE, STATUS_NO_CONNECTIONS); /* R25 */
	expect_all_but_one(f, STATUS_NO_CONNECTIONS);
	assert_int_equal(f->moves[VICTIM].detail, 55);
	/* It was never held: nothing had to be put back. */
	fake_expect(f, "inspect reserve hold fence+ fence. freeze transfer detach own");
	expect_second_try(f);
}

static void hold_may_fail(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	/* R106: a failure after each of the three steps leaves nothing behind. */
	set(f, FAKE_HOLD, STATUS_FAILED);
	expect_all_but_one(f, STATUS_FAILED);
	expect_second_try(f);
}

static void freeze_may_fail(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	set(f, FAKE_FREEZE, STATUS_NOT_QUIET);
	expect_all_but_one(f, STATUS_NOT_QUIET);
	fake_expect(f, "inspect reserve hold fence+ fence. freeze transfer detach own release");
	expect_second_try(f);
}

static void transfer_may_fail(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	f->conn[VICTIM].queued_bytes = 100; /* the bytes are given back too */
	set(f, FAKE_TRANSFER, STATUS_NO_SEND_BUFFERS);
	expect_all_but_one(f, STATUS_NO_SEND_BUFFERS);
	fake_expect(f,
	            "inspect reserve hold fence+ fence. freeze transfer detach own thaw release");
	assert_int_equal(host_counters(f->host)->offloads_rolled_back, 1);
	expect_second_try(f);
}

static void detach_may_fail(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});
	struct rx_frame frame;

	f->conn[VICTIM].queued_bytes = 100;
	set(f, FAKE_DETACH, STATUS_FAILED);
	expect_all_but_one(f, STATUS_FAILED);
	/* The device had it already: it is taken back before the host's stack goes on. */
	fake_expect(f, "inspect reserve hold fence+ fence. freeze transfer detach own "
	               "upload commit thaw release");
	frame = fake_frame(f, VICTIM, 9);
	host_frames(f->host, &frame, 1);
	assert_int_equal(f->n_injected, 1);
	expect_second_try(f);
}

static void detach_may_fail_and_the_device_be_slow(void **state)
{
	const struct fake_options o = {.conns = CONNS, .async_wait = true};
	struct fake *f = fake_create(&o);

	f->async = true;
	set(f, FAKE_DETACH, STATUS_FAILED);
	expect_all_but_one(f, STATUS_FAILED);
	expect_second_try(f);
}

static void a_path_may_be_refused(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	/* The second of two paths, with its four connections; the reason is the path's. */
	f->fail = FAKE_RESERVE;
	f->fail_layer = LAYER_PATH;
	f->fail_status = STATUS_NO_PATHS;
	fake_offload(f, 0, CONNS, STATUS_NO_PATHS);
	fake_expect_objects(f, 0, 0, 0); /* the neighbor went again with nothing below it */
	for (u32 i = 0; i < CONNS; i++)
		assert_int_equal(fake_side(f, i), HOST_IN_STACK);
	expect_second_try(f);
}

static void a_neighbor_may_be_refused(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	f->fail = FAKE_RESERVE;
	f->fail_layer = LAYER_NEIGHBOR;
	f->fail_status = STATUS_NO_NEIGHBORS;
	fake_offload(f, 0, CONNS, STATUS_NO_NEIGHBORS);
	fake_expect_objects(f, 0, 0, 0);
	expect_second_try(f);
}

static void the_host_may_be_out_of_objects(void **state)
{
	const struct fake_options o = {.conns = 8, .config = {.max_paths = 1}};
	struct fake *f = fake_create(&o);

	for (u32 i = 0; i < 8; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_offload(f->host, f->moves, 8, false), 0);
	assert_int_equal(host_run(f->host), 0);
	for (u32 i = 0; i < 8; i++)
		assert_int_equal(f->moves[i].status, i < 4 ? STATUS_OK : STATUS_NO_MEMORY);
	fake_upload(f, 0, 8, STATUS_OK);
	fake_destroy(f);
}

static void a_paused_device_refuses(void **state)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});
	struct host_event event[32];
	u32 n;

	f->paused = true;
	fake_indicate(f, IND_PAUSE, NIL, 0);
	fake_offload(f, 0, CONNS, STATUS_BUSY);
	fake_expect_objects(f, 0, 0, 0);
	f->paused = false;
	fake_indicate(f, IND_RESUME, NIL, 0);
	n = host_log_read(f->host, 0, event, 32);
	assert_int_equal(event[0].kind, HOST_EVENT_PAUSED);
	assert_int_equal(event[n - 1].kind, HOST_EVENT_RESUMED);
	expect_second_try(f);
}

/* -- uploads ----------------------------------------------------------------------------------- */

/* All but one are uploaded, the one stays at the device, which goes on with it. */
static void expect_upload_all_but_one(struct fake *f, enum status status)
{
	struct host_event event[8];

	for (u32 i = 0; i < CONNS; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_upload(f->host, f->moves, CONNS), 0);
	assert_int_equal(host_run(f->host), 0);
	for (u32 i = 0; i < CONNS; i++) {
		bool failed = i == VICTIM;

		assert_string_equal(status_word(f->moves[i].status),
		                    status_word(failed ? status : STATUS_OK));
		assert_int_equal(fake_side(f, i), failed ? HOST_IN_CHIMNEY : HOST_IN_STACK);
		assert_false(f->conn[i].held);
	}
	/* Its path and neighbor stayed with it; the other path went. */
	fake_expect_objects(f, 1, 1, 1);
	fake_check_tree(f);
	assert_int_equal(host_log_read(f->host, 0, event, 8), 1);
	assert_int_equal(event[0].kind, HOST_EVENT_UPLOAD_UNDONE);
	assert_int_equal(event[0].reason, status);
	assert_int_equal(host_counters(f->host)->uploads_rolled_back, 1);
	f->fail = FAKE_NONE;
	fake_upload(f, 0, CONNS, STATUS_OK);
	fake_expect_objects(f, 0, 0, 0);
	fake_destroy(f);
}

static struct fake *offloaded(void)
{
	struct fake *f = fake_create(&(struct fake_options){.conns = CONNS});

	fake_offload(f, 0, CONNS, STATUS_OK);
	f->trace[0] = 0;
	return f;
}

static void an_import_may_fail(void **state)
{
	struct fake *f = offloaded();

	/* R38: only what was imported is freed, the rest resumes. */
	set(f, FAKE_IMPORT, STATUS_NO_MEMORY);
	expect_upload_all_but_one(f, STATUS_NO_MEMORY);
}

static void hold_may_fail_on_the_way_up(void **state)
{
	struct fake *f = offloaded();

	set(f, FAKE_HOLD, STATUS_FAILED);
	expect_upload_all_but_one(f, STATUS_FAILED);
}

static void the_device_may_not_give_it_back(void **state)
{
	struct fake *f = offloaded();

	set(f, FAKE_UPLOAD, STATUS_BUSY);
	expect_upload_all_but_one(f, STATUS_BUSY);
}

static void the_device_may_have_lost_it(void **state)
{
	struct fake *f = offloaded();
	struct send_call call = {.conn = f->handles[VICTIM]};

	set(f, FAKE_UPLOAD, STATUS_DEVICE_FAILED);
	for (u32 i = 0; i < CONNS; i++)
		f->moves[i] = (struct host_move){.conn = f->handles[i]};
	assert_int_equal(host_upload(f->host, f->moves, CONNS), 0);
	assert_int_equal(host_run(f->host), 0);
	assert_int_equal(f->moves[VICTIM].status, STATUS_DEVICE_FAILED);
	assert_int_equal(f->conn[VICTIM].imports, 0);
	assert_int_equal(fake_side(f, VICTIM), HOST_IN_STACK);
	host_send(f->host, &call, 1);
	assert_int_equal(call.taken, -EPIPE);
	fake_offload(f, VICTIM, VICTIM + 1, STATUS_NOT_ESTABLISHED);
	assert_int_equal(host_release(f->host, f->handles[VICTIM]), 0);
	fake_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_layer_may_refuse),
		cmocka_unit_test(policy_may_refuse),
		cmocka_unit_test(inspection_may_refuse),
		cmocka_unit_test(the_device_may_have_no_room),
		cmocka_unit_test(hold_may_fail),
		cmocka_unit_test(freeze_may_fail),
		cmocka_unit_test(transfer_may_fail),
		cmocka_unit_test(detach_may_fail),
		cmocka_unit_test(detach_may_fail_and_the_device_be_slow),
		cmocka_unit_test(a_path_may_be_refused),
		cmocka_unit_test(a_neighbor_may_be_refused),
		cmocka_unit_test(the_host_may_be_out_of_objects),
		cmocka_unit_test(a_paused_device_refuses),
		cmocka_unit_test(an_import_may_fail),
		cmocka_unit_test(hold_may_fail_on_the_way_up),
		cmocka_unit_test(the_device_may_not_give_it_back),
		cmocka_unit_test(the_device_may_have_lost_it),
	};

	return RUN_TESTS(tests);
}

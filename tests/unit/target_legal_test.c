/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Each call on a connection in each state, and each call on a path: what the target answers is what
 * the legality table says, and no call that is not legal changes anything. */
#include "target_util.h"

#include "offload/legal.h"

enum { THE_CONN = 0 };

/* -- ways into a state ---------------------------------------------------------------------------
 */

static void run_upload(struct world *w, struct test_list *l, bool parents)
{
	list_make(l, 4);
	list_upload(w, l, THE_CONN, 1, parents);
	assert_int_equal(call_upload(w, l), 0);
	assert_int_equal(offload_list_count(&l->list, STATUS_OK), 3);
}

static void make_offloading(struct world *w)
{
	struct test_list l = {0};

	list_make(&l, 4);
	list_tree(w, &l, 0, 1);
	l.request.two_phase = 1;
	for (u32 i = 0; i < l.list.n_blocks; i++)
		block_at(&l.list, i)->flags = BLOCK_CONST | BLOCK_CACHED;
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), 3);
	world_note(w, &l);
	list_free(&l);
}

static void invalidate(struct world *w, enum layer layer)
{
	struct test_list l = {0};
	u32 n, p;

	list_make(&l, 4);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], false);
	p = list_named(&l, n, LAYER_PATH, w->paths[0], false);
	(void)list_named(&l, p, LAYER_TCP, w->conns[THE_CONN], false);
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_INVALIDATE, layer), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), 3);
	list_free(&l);
}

static void make_aborted(struct world *w)
{
	tcp_abort(w->peer, w->peer_conn[THE_CONN]);
	world_run(w, 4);
	assert_int_equal(host_count(w, IND_ABORTED), 1);
	assert_int_equal(host_last(w, IND_ABORTED)->detail, ECONNRESET);
}

/* In this state the object answers for itself, or for what it hangs on: `way` chooses. */
static struct world *in_state(enum object_state s, u32 way)
{
	struct world *w = world_make(NULL, true);
	struct test_list l;

	if (s == OBJECT_OFFLOADING)
		make_offloading(w);
	else
		world_offload(w, 0, 1);
	if (s == OBJECT_UPLOAD_REQUESTED)
		assert_int_equal(target_ask_upload(w->t, w->conns[0], UPLOAD_DEVICE), 0);
	if (s == OBJECT_INVALID)
		invalidate(w, way % LAYERS);
	if (s == OBJECT_ABORTED)
		make_aborted(w);
	if (s == OBJECT_UPLOADING) {
		run_upload(w, &l, false);
		list_free(&l);
	}
	target_poll_events(w->t, w->now);
	host_forget(w);
	return w;
}

/* -- calls --------------------------------------------------------------------------------------
 */

static enum status state_call(struct world *w, enum block_call call)
{
	struct test_list l = {0};
	enum status status;
	u32 n, p, c;

	list_make(&l, 4);
	n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	p = list_placeholder(&l, n, LAYER_PATH);
	c = list_named(&l, p, LAYER_TCP, w->conns[THE_CONN], call != BLOCK_CALL_INVALIDATE);
	if (call == BLOCK_CALL_UPDATE) {
		struct tcp_state s;

		state_tcp(&s, THE_CONN);
		block_at(&l.list, c)->flags = BLOCK_CACHED;
		block_tcp(&l.list, block_at(&l.list, c))->c = s.c;
	}
	if (call == BLOCK_CALL_QUERY)
		block_at(&l.list, c)->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	if (call == BLOCK_CALL_UPLOAD)
		assert_int_equal(call_upload(w, &l), 0);
	else
		assert_int_equal(call_layer(w, &l, call, LAYER_TCP), 0);
	status = block_at(&l.list, c)->status;
	list_free(&l);
	return status;
}

/* The status that the call completes with; PENDING: it was taken and waits. */
static enum status data_status(struct world *w, u64 cookie)
{
	for (u32 i = 0; i < w->host.n_done; i++) {
		if (w->host.done[i].cookie == cookie)
			return w->host.done[i].status;
	}
	return STATUS_PENDING;
}

/* A segment of the peer, in a buffer of the target; where there is no peer, a byte. */
static struct rx_frame a_segment(struct world *w)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	struct rx_frame frame = {.len = 1};

	if (tcp_send(w->peer, w->peer_conn[THE_CONN], "x", 1) == 1) {
		(void)tcp_flush(w->peer, w->now, &tx);
		assert_int_equal(tx.n, 1);
		assert_int_equal(
			frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[0], &frame), 0);
		return frame;
	}
	frame.buf = buf_alloc(target_pool(w->t), BUF_SMALL);
	buf_at(target_pool(w->t), frame.buf)->len = 1;
	return frame;
}

static void forward_call(struct world *w, bool offloading, enum status expected)
{
	struct rx_frame frame = {.len = 1};
	struct forward_call f = {.conn = w->conns[THE_CONN], .frame = &frame};

	if (offloading) {
		frame.buf = buf_alloc(target_pool(w->t), BUF_SMALL);
		buf_at(target_pool(w->t), frame.buf)->len = 1;
	} else {
		frame = a_segment(w);
	}
	w->dev.data->forward(w->dev.impl, &f, 1);
	assert_int_equal(f.status, expected);
	assert_int_equal(frame.verdict == FRAME_CONSUMED, expected == STATUS_OK);
	if (expected)
		buf_put_chain(target_pool(w->t), frame.buf);
}

static void check_data_calls(enum object_state s, u32 way, enum status expected)
{
	enum status waits = expected ? expected : STATUS_PENDING;
	struct world *w = in_state(s, way);
	static u8 buf[8];

	(void)do_send(w, THE_CONN, "abc", 3, 0, 1);
	assert_int_equal(data_status(w, 1), waits);
	(void)do_recv(w, THE_CONN, buf, sizeof(buf), 0, 2);
	assert_int_equal(data_status(w, 2), waits);
	if (expected) {
		assert_true(do_send(w, THE_CONN, "abc", 3, SEND_BUFFERED, 0) < 0);
		assert_int_equal(w->host.n_done, 2);
	}
	do_disconnect(w, THE_CONN, false, 3);
	assert_int_equal(data_status(w, 3), waits);
	do_disconnect(w, THE_CONN, true, 4);
	assert_int_equal(data_status(w, 4), waits);
	world_free(w);
}

/* What a call may take now that its state says so: bytes of an indication. */
static void check_taking(enum object_state s, u32 way)
{
	static const s64 expected[OBJECT_STATES] = {
		[OBJECT_OFFLOADING] = -EAGAIN,
		[OBJECT_UPLOADING] = -EINPROGRESS,
		[OBJECT_ABORTED] = -ECONNRESET,
	};
	struct world *w = in_state(s, way);
	u8 buf[8];

	assert_int_equal(do_recv(w, THE_CONN, buf, sizeof(buf), RECV_NOW, 0), expected[s]);
	world_free(w);
}

static void each_call_in_each_state(void **state)
{
	static const enum legal_call calls[BLOCK_CALLS] = {
		[BLOCK_CALL_UPLOAD] = LEGAL_CALL_UPLOAD,
		[BLOCK_CALL_UPDATE] = LEGAL_CALL_UPDATE,
		[BLOCK_CALL_INVALIDATE] = LEGAL_CALL_INVALIDATE,
		[BLOCK_CALL_QUERY] = LEGAL_CALL_QUERY,
	};

	for (enum object_state s = OBJECT_OFFLOADING; s < OBJECT_STATES; s++) {
		for (u32 way = 0; way < (s == OBJECT_INVALID ? 3 : 1); way++) {
			for (u32 call = BLOCK_CALL_UPLOAD; call <= BLOCK_CALL_QUERY; call++) {
				struct world *w = in_state(s, way);

				assert_int_equal(state_call(w, call), legal_check(s, calls[call]));
				world_free(w);
			}
			check_data_calls(s, way, legal_check(s, LEGAL_CALL_DATA));
			check_taking(s, way);
			struct world *w = in_state(s, way);

			forward_call(w, s == OBJECT_OFFLOADING, legal_check(s, LEGAL_CALL_FORWARD));
			world_free(w);
		}
	}
}

/* Offload of what is there: as a linker, and only in one state (R55) */
static void linkers_in_each_state(void **state)
{
	for (enum object_state s = OBJECT_OFFLOADING; s <= OBJECT_UPLOADING; s++) {
		struct world *w = world_make(NULL, false);
		struct test_list l = {0}, up = {0};
		enum status expected = legal_check(s, LEGAL_CALL_OFFLOAD);
		u32 n, p;

		if (s == OBJECT_UPLOAD_REQUESTED)
			s++; /* only connections are asked for */
		if (s == OBJECT_OFFLOADING)
			make_offloading(w);
		else
			world_offload(w, 0, 1);
		if (s == OBJECT_INVALID)
			invalidate(w, LAYER_PATH);
		if (s == OBJECT_UPLOADING)
			run_upload(w, &up, true);
		expected = legal_check(s, LEGAL_CALL_OFFLOAD);
		list_make(&l, 4);
		n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
		p = list_named(&l, n, LAYER_PATH, w->paths[0], false);
		(void)list_new(&l, p, LAYER_TCP, 7);
		assert_int_equal(call_offload(w, &l), 0);
		assert_int_equal(block_at(&l.list, p)->status, expected);
		assert_int_equal(block_at(&l.list, p + 1)->status,
		                 expected ? STATUS_SUBTREE : STATUS_OK);
		list_free(&l);
		list_free(&up);
		world_free(w);
	}
}

/* A connection is no linker at all: the list is malformed */
static void a_connection_is_no_linker(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};
	u32 n, p, c;

	world_offload(w, 0, 1);
	list_make(&l, 4);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], false);
	p = list_named(&l, n, LAYER_PATH, w->paths[0], false);
	c = list_named(&l, p, LAYER_TCP, w->conns[0], false);
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(block_at(&l.list, c)->status, STATUS_MALFORMED);
	assert_int_equal(block_at(&l.list, c)->detail, BLOCK_RULE_ROLE);
	list_free(&l);
	world_free(w);
}

/* State calls of paths and neighbors in their states */
static void calls_on_inner_objects(void **state)
{
	static const struct {
		enum object_state s;
		enum block_call call;
		enum legal_call legal;
	} cells[] = {
		{OBJECT_OFFLOADED, BLOCK_CALL_UPDATE, LEGAL_CALL_UPDATE},
		{OBJECT_OFFLOADED, BLOCK_CALL_QUERY, LEGAL_CALL_QUERY},
		{OBJECT_OFFLOADED, BLOCK_CALL_INVALIDATE, LEGAL_CALL_INVALIDATE},
		{OBJECT_OFFLOADING, BLOCK_CALL_UPDATE, LEGAL_CALL_UPDATE},
		{OBJECT_OFFLOADING, BLOCK_CALL_QUERY, LEGAL_CALL_QUERY},
		{OBJECT_OFFLOADING, BLOCK_CALL_INVALIDATE, LEGAL_CALL_INVALIDATE},
		{OBJECT_INVALID, BLOCK_CALL_UPDATE, LEGAL_CALL_UPDATE},
		{OBJECT_INVALID, BLOCK_CALL_QUERY, LEGAL_CALL_QUERY},
		{OBJECT_INVALID, BLOCK_CALL_INVALIDATE, LEGAL_CALL_INVALIDATE},
		{OBJECT_UPLOADING, BLOCK_CALL_UPDATE, LEGAL_CALL_UPDATE},
		{OBJECT_UPLOADING, BLOCK_CALL_QUERY, LEGAL_CALL_QUERY},
		{OBJECT_UPLOADING, BLOCK_CALL_INVALIDATE, LEGAL_CALL_INVALIDATE},
	};

	for (u32 i = 0; i < 2 * ARRAY_SIZE(cells); i++) {
		u32 cell = i / 2, layer = i % 2;
		bool room = cells[cell].call != BLOCK_CALL_INVALIDATE;
		struct world *w = world_make(NULL, false);
		struct test_list l = {0}, up = {0};
		u32 n, p, b;

		if (cells[cell].s == OBJECT_OFFLOADING)
			make_offloading(w);
		else
			world_offload(w, 0, 1);
		if (cells[cell].s == OBJECT_INVALID)
			invalidate(w, layer);
		if (cells[cell].s == OBJECT_UPLOADING)
			run_upload(w, &up, true);
		list_make(&l, 4);
		n = layer == LAYER_NEIGHBOR
		            ? list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], room)
		            : list_placeholder(&l, NIL, LAYER_NEIGHBOR);
		p = layer == LAYER_PATH ? list_named(&l, n, LAYER_PATH, w->paths[0], room)
		                        : list_placeholder(&l, n, LAYER_PATH);
		b = layer == LAYER_PATH ? p : n;
		if (cells[cell].call == BLOCK_CALL_UPDATE) {
			state_path(&l.list.paths[0], 0);
			state_neighbor(&l.list.neighbors[0], 0);
			block_at(&l.list, b)->flags = BLOCK_CACHED;
		}
		assert_int_equal(call_layer(w, &l, cells[cell].call, layer), 0);
		assert_int_equal(block_at(&l.list, b)->status,
		                 legal_check(cells[cell].s, cells[cell].legal));
		list_free(&l);
		list_free(&up);
		world_free(w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_in_each_state),
		cmocka_unit_test(linkers_in_each_state),
		cmocka_unit_test(a_connection_is_no_linker),
		cmocka_unit_test(calls_on_inner_objects),
	};

	return RUN_TESTS(tests);
}

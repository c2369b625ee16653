/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* R106: what may go wrong between the two phases of an offload, block by block, and what must hold
 * when callbacks nest. Nothing is left behind. */
#include "target_util.h"

/* One connection and what it hangs on, reserved. */
static void reserve(struct world *w, struct test_list *l)
{
	memset(l, 0, sizeof(*l));
	list_make(l, 3);
	list_tree(w, l, 0, 1);
	l->request.two_phase = 1;
	for (u32 i = 0; i < 3; i++)
		block_at(&l->list, i)->flags &= (u8)~BLOCK_DELEGATED;
	assert_int_equal(call_offload(w, l), 0);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(block_at(&l->list, i)->status, STATUS_OK);
		block_at(&l->list, i)->flags |= BLOCK_DELEGATED;
	}
}

static void free_all(struct world *w, struct test_list *l)
{
	list_free(l);
	world_is_empty(w);
	world_free(w);
}

/* The host gives the reservation up, so that the target is empty. */
static void give_up(struct world *w, struct test_list *l)
{
	for (u32 i = 0; i < 3; i++)
		block_at(&l->list, i)->status = STATUS_FAILED;
	assert_int_equal(call_transfer(w, l), 0);
}

/* A handle that names nothing, at each layer: refused, what hangs below is not attempted. */
static void stale_at_each_layer(void **state)
{
	for (u32 at = 0; at < 3; at++) {
		struct world *w = world_make(NULL, false);
		struct test_list l;
		handle was;

		reserve(w, &l);
		was = block_at(&l.list, at)->device;
		block_at(&l.list, at)->device = was + (1ull << 32); /* another generation */
		assert_int_equal(call_transfer(w, &l), 0);
		assert_int_equal(block_at(&l.list, at)->status, STATUS_STALE_HANDLE);
		for (u32 i = at + 1; i < 3; i++)
			assert_int_equal(block_at(&l.list, i)->status, STATUS_SUBTREE);
		block_at(&l.list, at)->device = was;
		give_up(w, &l);
		free_all(w, &l);
	}
}

/* State that belongs to something else than what was reserved, or cannot be. */
static void not_what_was_reserved(void **state)
{
	for (u32 kind = 0; kind < 5; kind++) {
		struct world *w = world_make(NULL, false);
		struct test_list l;
		u32 at = kind < 2 ? 0 : kind == 2 ? 1 : 2;
		enum status want = STATUS_MALFORMED;

		reserve(w, &l);
		if (kind == 0) {
			block_neighbor(&l.list, block_at(&l.list, 0))->k.source_mac.b[5] ^= 1;
		} else if (kind == 1) {
			block_neighbor(&l.list, block_at(&l.list, 0))->k.vlans =
				(struct vlan_stack){.n = 1, .tag = {0x81000005}};
		} else if (kind == 2) {
			block_path(&l.list, block_at(&l.list, 1))->k.local_addr =
				addr_v4(10, 9, 9, 9);
		} else if (kind == 3) {
			block_tcp(&l.list, block_at(&l.list, 2))->d.state = TCP_SYN_SENT;
			want = STATUS_NOT_ESTABLISHED;
		} else {
			block_at(&l.list, 2)->flags &= (u8)~BLOCK_DELEGATED;
		}
		assert_int_equal(call_transfer(w, &l), 0);
		if (kind != 3)
			assert_string_equal(status_word(block_at(&l.list, at)->status),
			                    status_word(want));
		assert_int_not_equal(block_at(&l.list, 2)->status, STATUS_OK);
		give_up(w, &l);
		free_all(w, &l);
	}
}

/* R33: DELEGATED is written once. A second transfer changes nothing. */
static void transferred_twice(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l;

	reserve(w, &l);
	assert_int_equal(call_transfer(w, &l), 0);
	world_note(w, &l);
	assert_int_equal(block_at(&l.list, 2)->status, STATUS_OK);
	block_tcp(&l.list, block_at(&l.list, 2))->d.cwnd_bytes = 1;
	assert_int_equal(call_transfer(w, &l), 0);
	assert_int_equal(block_at(&l.list, 2)->status, STATUS_BAD_STATE);
	assert_int_equal(tcp_conn_cwnd(target_engine(w->t), target_connection(w->t, w->conns[0])),
	                 14480);
	world_upload(w, 0, 1, true);
	free_all(w, &l);
}

/* A path that comes whole below a neighbor that does not has nothing to hang on yet. */
static void whole_below_what_is_not(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l;

	memset(&l, 0, sizeof(l));
	list_make(&l, 3);
	list_tree(w, &l, 0, 1);
	l.request.two_phase = 1;
	block_at(&l.list, 0)->flags &= (u8)~BLOCK_DELEGATED;
	block_at(&l.list, 2)->flags &= (u8)~BLOCK_DELEGATED;
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(block_at(&l.list, 1)->status, STATUS_MALFORMED);
	assert_int_equal(block_at(&l.list, 1)->device, HANDLE_NONE);
	assert_int_equal(block_at(&l.list, 2)->status, STATUS_SUBTREE);
	block_at(&l.list, 0)->status = STATUS_FAILED;
	assert_int_equal(call_transfer(w, &l), 0);
	free_all(w, &l);
}

static void too_long_to_be_taken(void **state)
{
	struct target_config config = {.list_blocks = 2};
	struct world *w = world_make(&config, false);
	struct test_list l = {0};

	list_make(&l, 3);
	list_tree(w, &l, 0, 1);
	assert_int_equal(call_offload(w, &l), -E2BIG);
	assert_int_equal(call_transfer(w, &l), -E2BIG);
	assert_int_equal(call_upload(w, &l), -E2BIG);
	for (u32 layer = 0; layer < LAYERS; layer++) {
		assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, layer), -E2BIG);
		assert_int_equal(call_layer(w, &l, BLOCK_CALL_INVALIDATE, layer), -E2BIG);
		assert_int_equal(call_layer(w, &l, BLOCK_CALL_QUERY, layer), -E2BIG);
	}
	assert_int_equal(w->host.completed, 0);
	free_all(w, &l);
}

/* A malformed list is answered as such by every call, and read by none. */
static void malformed_for_each_call(void **state)
{
	static const enum block_call calls[] = {BLOCK_CALL_OFFLOAD, BLOCK_CALL_TRANSFER,
	                                        BLOCK_CALL_UPLOAD,  BLOCK_CALL_UPDATE,
	                                        BLOCK_CALL_QUERY,   BLOCK_CALL_INVALIDATE};

	for (u32 c = 0; c < ARRAY_SIZE(calls); c++) {
		struct world *w = world_make(NULL, false);
		struct target_stats stats;
		struct test_list l = {0};

		list_make(&l, 3);
		list_tree(w, &l, 0, 1);
		block_at(&l.list, 1)->next = 1; /* its own sibling */
		offload_request_init(&l.request, BLOCK_CALL_OFFLOAD, &l.list, 0);
		if (calls[c] == BLOCK_CALL_OFFLOAD)
			assert_int_equal(call_offload(w, &l), 0);
		else if (calls[c] == BLOCK_CALL_TRANSFER)
			assert_int_equal(call_transfer(w, &l), 0);
		else if (calls[c] == BLOCK_CALL_UPLOAD)
			assert_int_equal(call_upload(w, &l), 0);
		else
			assert_int_equal(call_layer(w, &l, calls[c], LAYER_PATH), 0);
		assert_int_equal(w->host.completed, 1);
		assert_int_equal(offload_list_count(&l.list, STATUS_MALFORMED), 1);
		assert_int_equal(offload_list_count(&l.list, STATUS_PENDING), 2);
		target_stats(w->t, &stats);
		assert_int_equal(stats.offloads[LAYER_NEIGHBOR], 0);
		free_all(w, &l);
	}
}

/* -- nested callbacks -------------------------------------------------------------------------- */

struct nest {
	struct world *w;
	struct test_list l;
	char buf[10];
	u32 depth;
};

/* Each indication makes the target tell the next one, from within; the innermost uploads a
 * connection that has a receive posted. */
static void deeper(void *arg, const struct indication *ind)
{
	struct nest *x = arg;
	struct world *w = x->w;

	if (++x->depth < 4) {
		assert_int_equal(target_ask_upload(w->t, w->conns[x->depth], UPLOAD_SMALL_IO), 0);
		(void)do_recv(w, 7, x->buf, 10, 0, 100 + x->depth); /* tells, at its end */
	} else if (x->depth == 4) {
		assert_int_equal(call_upload(w, &x->l), 0);
	}
}

/* Semantics 5.5: every call is answered before the upload that ended it, however deep in callbacks
 * the upload is completed. */
static void answered_before_the_upload(void **state)
{
	struct world *w = world_make(NULL, false);
	struct nest x = {.w = w};

	world_offload(w, 0, 8);
	host_forget(w);
	w->host.completed = 0;
	list_make(&x.l, 3);
	list_upload(w, &x.l, 5, 1, false);
	(void)do_recv(w, 5, x.buf, 10, 0, 1);
	w->host.on_indicate = deeper;
	w->host.arg = &x;
	assert_int_equal(target_ask_upload(w->t, w->conns[0], UPLOAD_SMALL_IO), 0);
	target_poll_events(w->t, w->now);
	for (u32 i = 0; i < 4 && !w->host.completed; i++) {
		world_flush(w);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(w->host.completed, 1);
	assert_int_equal(host_done(w, 1)->status, STATUS_UPLOAD_IN_PROGRESS);
	assert_true(w->host.last_done_order < w->host.last_complete_order);
	w->host.on_indicate = NULL;
	w->dev.ops->commit(w->dev.impl, &x.l.request);
	list_free(&x.l);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(stale_at_each_layer),
		cmocka_unit_test(not_what_was_reserved),
		cmocka_unit_test(transferred_twice),
		cmocka_unit_test(whole_below_what_is_not),
		cmocka_unit_test(too_long_to_be_taken),
		cmocka_unit_test(malformed_for_each_call),
		cmocka_unit_test(answered_before_the_upload),
	};

	return RUN_TESTS(tests);
}

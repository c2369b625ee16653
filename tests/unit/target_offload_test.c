/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Offload of forests: roles, sharing, reservation and transfer, hostile lists, upload of it all. */
#include "target_util.h"

#include "base/prng.h"
#include "forest.h"

static u32 n_status(const struct test_list *l, enum status status)
{
	return offload_list_count(&l->list, status);
}

/* R12, R13, R60: one call, objects shared, and everything goes again */
static void a_tree_in_one_call(void **state)
{
	struct world *w = world_make(NULL, false);
	struct target_usage u;

	world_offload(w, 0, 64);
	target_usage(w->t, &u);
	assert_int_equal(u.connections, 64);
	assert_int_equal(u.paths, 8);
	assert_int_equal(u.neighbors, 2);
	assert_int_equal(u.addresses, 1);
	assert_int_equal(w->host.completed, 1);
	world_upload(w, 0, 64, true);
	world_is_empty(w);
	world_free(w);
}

/* R57: a later request names what is there; only connections are made */
static void linkers_reuse_what_is_there(void **state)
{
	struct world *w = world_make(NULL, false);
	struct target_stats before, after;

	world_offload(w, 0, 4);
	target_stats(w->t, &before);
	world_offload(w, 4, 4);
	target_stats(w->t, &after);
	assert_int_equal(after.offloads[LAYER_TCP] - before.offloads[LAYER_TCP], 4);
	assert_int_equal(after.offloads[LAYER_PATH], before.offloads[LAYER_PATH]);
	assert_int_equal(after.offloads[LAYER_NEIGHBOR], before.offloads[LAYER_NEIGHBOR]);
	world_upload(w, 0, 8, true);
	world_is_empty(w);
	world_free(w);
}

/* R69: new and existing objects mixed, and a path's linker under a placeholder */
static void roles_mix(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};
	u32 root, path;

	world_offload(w, 0, 8);
	list_make(&l, 16);
	root = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	path = list_named(&l, root, LAYER_PATH, w->paths[0], false);
	(void)list_new(&l, path, LAYER_TCP, 100);
	root = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], false);
	path = list_new(&l, root, LAYER_PATH, 1);
	(void)list_new(&l, path, LAYER_TCP, 101);
	root = list_new(&l, NIL, LAYER_NEIGHBOR, 1);
	path = list_new(&l, root, LAYER_PATH, 2);
	(void)list_new(&l, path, LAYER_TCP, 102);
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(n_status(&l, STATUS_OK), 9);
	world_free(w);
	list_free(&l);
}

/* A linker names its path, its place the neighbor: they have to agree */
static void a_path_under_the_wrong_neighbor(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};
	u32 root, path;

	w->paths_per_neighbor = 1;
	world_offload(w, 0, 16);
	list_make(&l, 4);
	root = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[1], false);
	path = list_named(&l, root, LAYER_PATH, w->paths[0], false);
	(void)list_new(&l, path, LAYER_TCP, 100);
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(block_at(&l.list, root)->status, STATUS_PARTIAL);
	assert_int_equal(block_at(&l.list, path)->status, STATUS_BAD_STATE);
	assert_int_equal(block_at(&l.list, path + 1)->status, STATUS_SUBTREE);
	assert_int_equal(block_at(&l.list, path + 1)->device, HANDLE_NONE);
	world_free(w);
	list_free(&l);
}

/* R13, R70, R111: 10,000 connections over many trees, in one call each way */
static void ten_thousand_in_one_call(void **state)
{
	struct target_config config = {.connections = 10000, .paths = 1250, .neighbors = 320};
	struct world *w = world_make(&config, false);
	struct target_usage u;

	world_offload(w, 0, 10000);
	target_usage(w->t, &u);
	assert_int_equal(u.connections, 10000);
	assert_int_equal(u.paths, 1250);
	assert_int_equal(u.neighbors, 313);
	assert_true(u.bytes_per_connection <= 1024);
	world_upload(w, 0, 10000, true);
	world_is_empty(w);
	world_free(w);
}

/* A failed leaf does not stop its siblings; what failed is as it came, what hangs on it too */
static void a_failed_leaf_stops_nobody(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};

	list_make(&l, 32);
	list_tree(w, &l, 0, 8);
	for (u32 i = 0; i < l.list.n_blocks; i++) {
		struct block *b = block_at(&l.list, i);

		if (b->host == CONN_HOST + 3)
			block_tcp(&l.list, b)->d.state = TCP_SYN_SENT;
	}
	assert_int_equal(call_offload(w, &l), 0);
	assert_int_equal(n_status(&l, STATUS_OK), 7);
	assert_int_equal(n_status(&l, STATUS_PARTIAL), 2);
	assert_int_equal(n_status(&l, STATUS_NOT_ESTABLISHED), 1);
	world_note(w, &l);
	assert_int_equal(w->conns[3], HANDLE_NONE);
	assert_int_not_equal(w->conns[4], HANDLE_NONE);
	list_free(&l);
	world_free(w);
}

/* Only the states of semantics 5.2 move */
static void states_that_move(void **state)
{
	for (u32 s = 0; s < TCP_STATES; s++) {
		struct world *w = world_make(NULL, false);
		struct test_list l = {0};
		bool may = s >= TCP_ESTABLISHED && s <= TCP_LAST_ACK;
		struct tcp_state *c;
		u32 status;

		list_make(&l, 3);
		list_tree(w, &l, 0, 1);
		c = block_tcp(&l.list, block_at(&l.list, 2));
		c->d.state = (u8)s;
		if (s == TCP_CLOSE_WAIT || s == TCP_LAST_ACK || s == TCP_CLOSING) {
			c->d.fin |= TCP_FIN_RECEIVED;
			c->d.rcv_nxt = seq_add(c->d.rcv_nxt, 1);
			c->d.rcv_wnd--;
		}
		if (s == TCP_FIN_WAIT_1 || s == TCP_CLOSING || s == TCP_LAST_ACK) {
			c->d.fin |= TCP_FIN_QUEUED | TCP_FIN_SENT;
			c->d.snd_nxt = c->d.snd_max = seq_add(c->d.snd_max, 1);
			c->d.retransmit_left_ns = NS_PER_S;
		}
		if (s == TCP_FIN_WAIT_2)
			c->d.fin |= TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED;
		assert_int_equal(call_offload(w, &l), 0);
		status = block_at(&l.list, 2)->status;
		assert_int_equal(status, may ? STATUS_OK : STATUS_NOT_ESTABLISHED);
		list_free(&l);
		world_free(w);
	}
}

/* -- two phases ---------------------------------------------------------------------------------
 */

static void make_two_phase(struct world *w, struct test_list *l, u32 n)
{
	memset(l, 0, sizeof(*l));
	list_make(l, 3 * n);
	list_tree(w, l, 0, n);
	l->request.two_phase = 1;
	for (u32 i = 0; i < l->list.n_blocks; i++)
		block_at(&l->list, i)->flags &= (u8)~BLOCK_DELEGATED;
	assert_int_equal(call_offload(w, l), 0);
}

static void add_delegated(struct test_list *l)
{
	for (u32 i = 0; i < l->list.n_blocks; i++) {
		struct block *b = block_at(&l->list, i);

		if (b->state != NIL)
			b->flags |= BLOCK_DELEGATED;
	}
}

/* R27, R106: room and handles first, DELEGATED when it stands still; nothing is live before */
static void reserved_then_transferred(void **state)
{
	struct world *w = world_make(NULL, false);
	struct tcp_engine_usage engine;
	struct test_list l;

	make_two_phase(w, &l, 16);
	assert_int_equal(n_status(&l, STATUS_OK), l.list.n_blocks);
	for (u32 i = 0; i < l.list.n_blocks; i++)
		assert_int_not_equal(block_at(&l.list, i)->device, HANDLE_NONE);
	world_note(w, &l);
	tcp_engine_usage(target_engine(w->t), &engine);
	assert_int_equal(engine.connections, 0);
	assert_int_equal(target_connection(w->t, w->conns[0]), NIL);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), -EAGAIN);
	add_delegated(&l);
	assert_int_equal(call_transfer(w, &l), 0);
	assert_int_equal(n_status(&l, STATUS_OK), l.list.n_blocks);
	tcp_engine_usage(target_engine(w->t), &engine);
	assert_int_equal(engine.connections, 16);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	world_upload(w, 0, 16, true);
	world_is_empty(w);
	list_free(&l);
	world_free(w);
}

/* R106: given up after the reservation, whole or in part: nothing is left behind */
static void reservations_are_given_up(void **state)
{
	static const u32 conns_left[] = {0, 0, 8, 15}, paths_left[] = {0, 2, 1, 2};

	for (u32 mode = 0; mode < 4; mode++) {
		struct world *w = world_make(NULL, false);
		struct target_usage u;
		struct test_list l;

		make_two_phase(w, &l, 16);
		world_note(w, &l);
		add_delegated(&l);
		for (u32 i = 0; i < l.list.n_blocks; i++) {
			struct block *b = block_at(&l.list, i);

			/* all; connections; the first path; the last connection */
			if (mode == 0 || (mode == 1 && b->layer == LAYER_TCP) ||
			    (mode == 2 && b->host == PATH_HOST) ||
			    (mode == 3 && b->host == CONN_HOST + 15))
				b->status = STATUS_FAILED;
		}
		assert_int_equal(call_transfer(w, &l), 0);
		target_usage(w->t, &u);
		assert_int_equal(u.connections, conns_left[mode]);
		assert_int_equal(u.paths, paths_left[mode]);
		assert_int_equal(u.neighbors, mode ? 1 : 0);
		if (mode == 0)
			world_is_empty(w);
		for (u32 i = 0; i < l.list.n_blocks; i++) {
			const struct block *b = block_at(&l.list, i);

			if (b->status != STATUS_OK && b->status != STATUS_PARTIAL)
				assert_int_equal(b->device, HANDLE_NONE);
		}
		list_free(&l);
		world_free(w);
	}
}

/* R28: paths and neighbors that come whole are live after the first phase, and another list may
 * link to them before the second; given up, they go as well unless it did */
static void whole_parents_are_live_at_once(void **state)
{
	for (u32 linked = 0; linked < 2; linked++) {
		struct world *w = world_make(NULL, false);
		struct test_list l = {0};
		struct target_usage u;

		list_make(&l, 4);
		list_tree(w, &l, 0, 1);
		l.request.two_phase = 1;
		block_at(&l.list, 2)->flags &= (u8)~BLOCK_DELEGATED;
		assert_int_equal(call_offload(w, &l), 0);
		world_note(w, &l);
		if (linked)
			world_offload(w, 1, 1);
		add_delegated(&l);
		for (u32 i = 0; i < 3; i++)
			block_at(&l.list, i)->status = STATUS_FAILED;
		assert_int_equal(call_transfer(w, &l), 0);
		target_usage(w->t, &u);
		assert_int_equal(u.connections, linked);
		assert_int_equal(u.paths, linked);
		assert_int_equal(u.neighbors, linked);
		if (linked)
			world_upload(w, 1, 1, true);
		world_is_empty(w);
		list_free(&l);
		world_free(w);
	}
}

/* R106: the import of one fails in the second phase: its room is free again, the others live */
static void a_transfer_that_fails_in_part(void **state)
{
	struct world *w = world_make(NULL, false);
	struct target_usage u;
	struct test_list l;

	make_two_phase(w, &l, 8);
	add_delegated(&l);
	for (u32 i = 0; i < l.list.n_blocks; i++) {
		struct block *b = block_at(&l.list, i);

		if (b->host == CONN_HOST + 2)
			block_tcp(&l.list, b)->d.snd_una = seq_of(99);
		if (b->host == CONN_HOST + 5)
			block_tcp(&l.list, b)->d.state = TCP_TIME_WAIT;
	}
	assert_int_equal(call_transfer(w, &l), 0);
	assert_int_equal(n_status(&l, STATUS_MALFORMED), 1);
	assert_int_equal(n_status(&l, STATUS_NOT_ESTABLISHED), 1);
	target_usage(w->t, &u);
	assert_int_equal(u.connections, 6);
	assert_int_equal(u.recv_bytes_promised, 6 * 65536);
	list_free(&l);
	world_free(w);
}

/* What was reserved is not what comes: refused, and a reservation is not transferred twice */
static void another_object_than_was_reserved(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l;

	make_two_phase(w, &l, 1);
	add_delegated(&l);
	block_path(&l.list, block_at(&l.list, 1))->k.local_addr = addr_v4(10, 9, 9, 9);
	assert_int_equal(call_transfer(w, &l), 0);
	assert_int_equal(block_at(&l.list, 1)->status, STATUS_MALFORMED);
	assert_int_equal(block_at(&l.list, 2)->status, STATUS_SUBTREE);
	list_free(&l);
	make_two_phase(w, &l, 1);
	world_free(w);
	list_free(&l);
}

/* -- hostile ------------------------------------------------------------------------------------
 */

/* A list that breaks a rule leaves nothing behind, whatever the rule */
static void malformed_lists_leave_nothing(void **state)
{
	for (u32 kind = 0; kind < 8; kind++) {
		struct world *w = world_make(NULL, false);
		struct test_list l = {0};
		struct block *b;

		list_make(&l, 64);
		list_tree(w, &l, 0, 16);
		b = block_at(&l.list, 3);
		if (kind == 0)
			b->next = 9999;
		else if (kind == 1)
			b->next = 3;
		else if (kind == 2)
			b->layer = 7;
		else if (kind == 3)
			b->flags = 0xff;
		else if (kind == 4)
			b->state = 12345;
		else if (kind == 5)
			block_tcp(&l.list, b)->d.send.len = 10;
		else if (kind == 6)
			l.list.n_blocks = 100;
		else
			l.list.root = 2;
		assert_int_equal(call_offload(w, &l), 0);
		assert_int_equal(w->host.completed, 1);
		assert_int_equal(n_status(&l, STATUS_OK), 0);
		assert_int_equal(n_status(&l, STATUS_MALFORMED), 1);
		world_is_empty(w);
		list_free(&l);
		world_free(w);
	}
}

/* R49: handles that name nothing any more */
static void stale_handles_are_refused(void **state)
{
	struct world *w = world_make(NULL, false);
	struct test_list l = {0};
	struct forward_call forward = {0};
	struct rx_frame frame = {.buf = NIL};
	u8 buf[4];

	world_offload(w, 0, 8);
	world_upload(w, 0, 8, true);
	world_offload(w, 100, 8); /* takes the same slots */
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), -ESTALE);
	assert_int_equal(do_recv(w, 0, buf, 4, RECV_NOW, 0), -ESTALE);
	(void)do_send(w, 0, "x", 1, 0, 1);
	assert_int_equal(host_done(w, 1)->status, STATUS_STALE_HANDLE);
	(void)do_recv(w, 0, buf, 4, 0, 2);
	assert_int_equal(host_done(w, 2)->status, STATUS_STALE_HANDLE);
	do_disconnect(w, 0, true, 3);
	assert_int_equal(host_done(w, 3)->status, STATUS_STALE_HANDLE);
	forward = (struct forward_call){.conn = w->conns[0], .frame = &frame};
	w->dev.data->forward(w->dev.impl, &forward, 1);
	assert_int_equal(forward.status, STATUS_STALE_HANDLE);
	assert_int_equal(target_connection(w->t, w->conns[0]), NIL);
	list_make(&l, 8);
	list_upload(w, &l, 0, 1, true);
	assert_int_equal(call_upload(w, &l), 0);
	assert_int_equal(n_status(&l, STATUS_STALE_HANDLE), 3);
	w->dev.ops->commit(w->dev.impl, &l.request);
	for (u32 layer = 0; layer < LAYERS; layer++) {
		assert_int_equal(call_layer(w, &l, BLOCK_CALL_QUERY, layer), 0);
		assert_int_equal(n_status(&l, STATUS_STALE_HANDLE), 1);
	}
	list_free(&l);
	world_upload(w, 100, 8, true);
	world_is_empty(w);
	world_free(w);
}

/* -- forests ------------------------------------------------------------------------------------
 */

static void free_all(struct world *w, struct forest *f)
{
	struct test_list l = {0};
	u32 up[LAYERS] = {NIL, NIL, NIL};
	struct block_walk walk;

	list_make(&l, f->list.n_blocks);
	for (u32 i = block_walk_first(&walk, &f->list); i != NIL; i = block_walk_next(&walk)) {
		const struct block *b = block_at(&f->list, i);
		u32 parent = b->layer ? up[b->layer - 1] : NIL;
		bool has = b->device && (b->status == STATUS_OK || b->status == STATUS_PARTIAL);

		up[b->layer] = has ? list_named(&l, parent, b->layer, b->device, true)
		                   : list_placeholder(&l, parent, b->layer);
	}
	assert_int_equal(call_upload(w, &l), 0);
	for (u32 i = 0; i < 200 && l.request.list->pool == NULL; i++) {
		world_flush(w);
		target_poll_events(w->t, w->now);
	}
	assert_int_equal(n_status(&l, STATUS_OK), l.list.n_blocks);
	w->dev.ops->commit(w->dev.impl, &l.request);
	list_free(&l);
}

/* R67, R69, R111: random forests with payload of another pool, one- and two-phase; everything that
 * succeeded comes back, and nothing is left */
static void random_forests(void **state)
{
	struct target_config config = {
		.connections = 512, .vlans = 512, .bufs = {.small = 2048, .large = 128}};
	struct prng rng;

	prng_seed(&rng, 7);
	for (u32 round = 0; round < 40; round++) {
		struct forest_config fc = {.call = BLOCK_CALL_OFFLOAD,
		                           .roots = 4,
		                           .paths = 4,
		                           .conns = 5,
		                           .bytes = round % 3 ? 3000 : 0};
		struct world *w = world_make(&config, false);
		struct test_list l = {0};
		struct forest f;

		forest_make(&f, &rng, &fc);
		l.list = f.list;
		if (!l.list.pool)
			l.list.pool = &f.pool;
		l.request.two_phase = round & 1;
		assert_int_equal(call_offload(w, &l), 0);
		if (round & 1)
			assert_int_equal(call_transfer(w, &l), 0);
		for (u32 i = 0; i < l.list.n_blocks; i++) {
			const struct block *b = block_at(&l.list, i);

			/* The 4-tuple of two connections may be the same by chance. */
			assert_true(b->status == STATUS_OK || b->status == STATUS_PARTIAL ||
			            (b->status == STATUS_FAILED && b->detail == EEXIST));
			assert_int_equal(!b->device, b->status == STATUS_FAILED);
		}
		f.list = l.list;
		free_all(w, &f);
		world_is_empty(w);
		forest_free(&f);
		world_free(w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tree_in_one_call),
		cmocka_unit_test(linkers_reuse_what_is_there),
		cmocka_unit_test(roles_mix),
		cmocka_unit_test(a_path_under_the_wrong_neighbor),
		cmocka_unit_test(ten_thousand_in_one_call),
		cmocka_unit_test(a_failed_leaf_stops_nobody),
		cmocka_unit_test(states_that_move),
		cmocka_unit_test(reserved_then_transferred),
		cmocka_unit_test(reservations_are_given_up),
		cmocka_unit_test(whole_parents_are_live_at_once),
		cmocka_unit_test(a_transfer_that_fails_in_part),
		cmocka_unit_test(another_object_than_was_reserved),
		cmocka_unit_test(malformed_lists_leave_nothing),
		cmocka_unit_test(stale_handles_are_refused),
		cmocka_unit_test(random_forests),
	};

	return RUN_TESTS(tests);
}

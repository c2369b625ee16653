/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Update, invalidate, query; why a target asks for an upload; neighbors, links. */
#include "target_util.h"

static struct world *world_with(u32 conns)
{
	struct world *w = world_make(NULL, true);

	world_offload(w, 0, conns);
	host_forget(w);
	return w;
}

/* An update of one neighbor's CACHED part. */
static enum status update_neighbor(struct world *w, u32 g, const struct neighbor_cached *c)
{
	struct test_list l = {0};
	enum status status;
	u32 b;

	list_make(&l, 1);
	b = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[g], true);
	block_at(&l.list, b)->flags = BLOCK_CACHED;
	block_neighbor(&l.list, block_at(&l.list, b))->c = *c;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_NEIGHBOR), 0);
	status = block_at(&l.list, b)->status;
	list_free(&l);
	return status;
}

static enum status update_path(struct world *w, u32 p, u32 mtu)
{
	struct test_list l = {0};
	enum status status;
	u32 n, b;

	list_make(&l, 2);
	n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	b = list_named(&l, n, LAYER_PATH, w->paths[p], true);
	state_path(block_path(&l.list, block_at(&l.list, b)), p);
	block_path(&l.list, block_at(&l.list, b))->c.path_mtu = mtu;
	block_at(&l.list, b)->flags = BLOCK_CACHED;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
	status = block_at(&l.list, b)->status;
	list_free(&l);
	return status;
}

static enum status update_tcp(struct world *w, u32 i, const struct tcp_cached *c)
{
	struct test_list l = {0};
	enum status status;
	u32 n, p, b;

	list_make(&l, 3);
	n = list_placeholder(&l, NIL, LAYER_NEIGHBOR);
	p = list_placeholder(&l, n, LAYER_PATH);
	b = list_named(&l, p, LAYER_TCP, w->conns[i], true);
	block_tcp(&l.list, block_at(&l.list, b))->c = *c;
	block_at(&l.list, b)->flags = BLOCK_CACHED;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_TCP), 0);
	status = block_at(&l.list, b)->status;
	list_free(&l);
	return status;
}

/* -- update -------------------------------------------------------------------------------------
 */

/* R22, R59: after one update every frame of every connection has the new MAC, none the old one */
static void a_new_mac_for_all(void **state)
{
	struct world *w = world_make(NULL, false);
	struct neighbor_cached c = {.next_hop_mac.b = {2, 9, 9, 9, 9, 9}};
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};

	world_offload(w, 0, 32);
	assert_int_equal(update_neighbor(w, 0, &c), STATUS_OK);
	for (u32 i = 0; i < 32; i++)
		assert_int_equal(do_send(w, i, "x", 1, SEND_BUFFERED, 0), 1);
	(void)target_flush(w->t, &tx, w->now);
	assert_int_equal(tx.n, 32);
	for (u32 i = 0; i < 32; i++)
		assert_memory_equal(&w->tx[i].header[w->tx[i].header_off], c.next_hop_mac.b, 6);
	world_free(w);
}

/* R59: one write for a neighbor, one for a path, whatever the number of connections below */
static void one_write_whatever_hangs_below(void **state)
{
	static const u32 counts[] = {1, 1000, 100000};

	for (u32 k = 0; k < ARRAY_SIZE(counts); k++) {
		struct target_config config = {
			.connections = counts[k],
			.paths = 2,
			.neighbors = 1,
			.bufs = {64, 1},
			.list_blocks = 20000,
			.oversubscription_percent = UINT32_MAX,
		};
		struct world *w = world_make(&config, false);
		struct neighbor_cached c = {.next_hop_mac.b = {2, 9, 9, 9, 9, 9}};
		struct target_stats before, after;

		w->conns_per_path = 60000;
		w->paths_per_neighbor = 2;
		for (u32 at = 0; at < counts[k]; at += 10000) {
			struct test_list l = {0};
			u32 n = min_of(counts[k] - at, 10000u);

			list_make(&l, n + 2);
			list_tree(w, &l, at, n);
			assert_int_equal(call_offload(w, &l), 0);
			assert_int_equal(offload_list_count(&l.list, STATUS_OK), l.list.n_blocks);
			for (u32 i = 0; i < l.list.n_blocks; i++) {
				const struct block *b = block_at(&l.list, i);

				if (b->layer == LAYER_NEIGHBOR && b->host)
					w->neighbors[0] = b->device;
				if (b->layer == LAYER_PATH && b->host)
					w->paths[b->host - PATH_HOST] = b->device;
			}
			list_free(&l);
		}
		target_stats(w->t, &before);
		w->host.completed = 0;
		assert_int_equal(update_neighbor(w, 0, &c), STATUS_OK);
		assert_int_equal(update_path(w, 0, 1400), STATUS_OK);
		target_stats(w->t, &after);
		assert_int_equal(after.engine_writes - before.engine_writes, 2);
		assert_int_equal(after.updates[LAYER_NEIGHBOR], 1);
		assert_int_equal(after.updates[LAYER_PATH], 1);
		assert_int_equal(w->host.completed, 2);
		assert_int_equal(w->host.n_ind, 0); /* R72: nobody above is told */
		world_free(w);
	}
}

/* A path MTU that shrinks: segments of its connections from now on, of others not */
static void a_new_mtu_for_one_path(void **state)
{
	struct target_config config = {.max_mtu_bytes = 9000};
	struct world *w = world_make(&config, false);
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	u8 data[3000] = {0};

	world_offload(w, 0, 16);
	assert_int_equal(update_path(w, 0, 1000), STATUS_OK);
	(void)do_send(w, 0, data, 3000, SEND_BUFFERED, 0);
	(void)do_send(w, 8, data, 3000, SEND_BUFFERED, 0);
	(void)target_flush(w->t, &tx, w->now);
	for (u32 i = 0; i < tx.n; i++) {
		u32 ip = tx_frame_len(&w->tx[i]) - 14;

		assert_true(ip <=
		            (w->tx[i].conn == target_connection(w->t, w->conns[0]) ? 1000 : 1500));
	}
	assert_true(tx.n >= 6);
	assert_int_equal(update_path(w, 0, 9001), STATUS_MTU_TOO_LARGE);
	world_free(w);
}

/* R66, R68: a next hop changes: new neighbor, all paths re-parented in one update, then the old one
 * can go; the new one is there before the old one is not (R77) */
static void paths_move_to_another_neighbor(void **state)
{
	struct world *w = world_with(32);
	struct test_list l = {0}, up = {0};
	struct target_stats stats;
	u32 n;

	list_make(&l, 1);
	(void)list_new(&l, NIL, LAYER_NEIGHBOR, 7);
	assert_int_equal(call_offload(w, &l), 0);
	world_note(w, &l);
	list_free(&l);
	memset(&l, 0, sizeof(l));
	list_make(&l, 8);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[7], false);
	for (u32 p = 0; p < 4; p++) {
		u32 b = list_named(&l, n, LAYER_PATH, w->paths[p], false);

		block_at(&l.list, b)->flags = BLOCK_REPARENT;
	}
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), 5);
	target_stats(w->t, &stats);
	assert_int_equal(stats.reparents, 4);
	assert_int_equal(stats.engine_writes, 4);
	for (u32 i = 0; i < 32; i++) {
		struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};

		assert_int_equal(do_send(w, i, "x", 1, SEND_BUFFERED, 0), 1);
		(void)target_flush(w->t, &tx, w->now);
		assert_int_equal(tx.n, 1);
		assert_int_equal(w->tx[0].header[w->tx[0].header_off + 5], 7);
	}
	/* Nothing hangs on the old one any more. */
	list_make(&up, 1);
	(void)list_named(&up, NIL, LAYER_NEIGHBOR, w->neighbors[0], true);
	assert_int_equal(call_upload(w, &up), 0);
	assert_int_equal(block_at(&up.list, 0)->status, STATUS_OK);
	w->dev.ops->commit(w->dev.impl, &up.request);
	w->neighbors[0] = w->neighbors[7];
	world_run(w, 5);
	world_upload(w, 0, 32, true);
	world_is_empty(w);
	list_free(&l);
	list_free(&up);
	world_free(w);
}

/* Settings: limits hold for updates as well, and what is promised follows */
static void settings_of_a_connection(void **state)
{
	struct target_config config = {.features = ~FEATURE_BBR};
	struct world *w = world_make(&config, true);
	struct target_usage u;
	struct tcp_state s;

	world_offload(w, 0, 1);
	host_forget(w);
	state_tcp(&s, 0);
	s.c.rcv_buf_bytes = 30000;
	assert_int_equal(update_tcp(w, 0, &s.c), STATUS_OK);
	target_usage(w->t, &u);
	assert_int_equal(u.recv_bytes_promised, 30000);
	s.c.cc_algorithm = TCP_CC_BBR;
	assert_int_equal(update_tcp(w, 0, &s.c), STATUS_NO_FEATURE);
	s.c.cc_algorithm = TCP_CC_CUBIC;
	s.c.rcv_buf_bytes = (1u << 30) + 1;
	assert_int_equal(update_tcp(w, 0, &s.c), STATUS_WINDOW_TOO_LARGE);
	target_usage(w->t, &u);
	assert_int_equal(u.recv_bytes_promised, 30000);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* Each layer's table takes its own layer's variables and no other's (R50) */
static void tables_do_not_mix(void **state)
{
	struct world *w = world_with(1);
	struct test_list l = {0};
	u32 b;

	list_make(&l, 1);
	b = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], true);
	state_neighbor(block_neighbor(&l.list, block_at(&l.list, b)), 3);
	block_at(&l.list, b)->flags = BLOCK_CACHED;
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
	assert_int_equal(block_at(&l.list, b)->status, STATUS_BAD_STATE);
	list_free(&l);
	world_free(w);
}

/* -- query --------------------------------------------------------------------------------------
 */

/* R34: what was offloaded is read back class by class, payload only by whom it can serve, and the
 * connection does not notice */
static void query_reads_each_class(void **state)
{
	struct world *w = world_with(1);
	struct tcp_state s;

	state_tcp(&s, 0);
	assert_int_equal(do_send(w, 0, "abcde", 5, SEND_BUFFERED, 0), 5);
	for (u32 flags = 0; flags < 8; flags++) {
		for (u32 pool = 0; pool < 2; pool++) {
			struct test_list l = {0};
			const struct tcp_state *got;
			u32 n, p, c;

			list_make(&l, 3);
			n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[0], true);
			p = list_named(&l, n, LAYER_PATH, w->paths[0], true);
			c = list_named(&l, p, LAYER_TCP, w->conns[0], true);
			for (u32 i = 0; i < 3; i++)
				block_at(&l.list, i)->flags = (u8)flags;
			l.list.pool = pool ? target_pool(w->t) : NULL;
			for (u32 layer = 0; layer < LAYERS; layer++)
				assert_int_equal(call_layer(w, &l, BLOCK_CALL_QUERY, layer), 0);
			assert_int_equal(offload_list_count(&l.list, STATUS_OK), 3);
			got = block_tcp(&l.list, block_at(&l.list, c));
			assert_int_equal(got->k.local_port, flags & BLOCK_CONST ? 1024 : 0);
			assert_int_equal(got->c.hop_limit, flags & BLOCK_CACHED ? 64 : 0);
			assert_int_equal(got->d.state,
			                 flags & BLOCK_DELEGATED ? TCP_ESTABLISHED : 0);
			assert_int_equal(got->d.send.len, flags & BLOCK_DELEGATED && pool ? 5 : 0);
			assert_int_equal(block_path(&l.list, block_at(&l.list, p))->c.path_mtu,
			                 flags & BLOCK_CACHED ? 1500 : 0);
			assert_int_equal(
				block_neighbor(&l.list, block_at(&l.list, n))->k.source_mac.b[0],
				flags & BLOCK_CONST ? 2 : 0);
			list_free(&l);
		}
	}
	world_run(w, 3);
	world_step(w, 50 * NS_PER_MS);
	assert_int_equal(tcp_recv_pending(w->peer, w->peer_conn[0]), 5);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* -- invalidate ---------------------------------------------------------------------------------
 */

static void invalidate(struct world *w, enum layer layer, handle h)
{
	struct test_list l = {0};
	u32 at = NIL;

	list_make(&l, 3);
	for (u32 i = 0; i < (u32)layer; i++)
		at = list_placeholder(&l, at, i);
	at = list_named(&l, at, layer, h, false);
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_INVALIDATE, layer), 0);
	assert_int_equal(block_at(&l.list, at)->status, STATUS_OK);
	list_free(&l);
}

/* R35, R74: nothing leaves any more below what is invalid, data goes on coming in, each connection
 * below is asked for once, the others go on */
static void nothing_leaves_below_the_invalid(void **state)
{
	for (u32 layer = LAYER_NEIGHBOR; layer <= LAYER_TCP; layer++) {
		struct world *w = world_with(40); /* two neighbors, five paths */
		u32 below = layer == LAYER_NEIGHBOR ? 32 : layer == LAYER_PATH ? 8 : 1;
		u32 before;

		invalidate(w, layer,
		           layer == LAYER_NEIGHBOR ? w->neighbors[0]
		           : layer == LAYER_PATH   ? w->paths[0]
		                                   : w->conns[0]);
		target_poll_events(w->t, w->now);
		if (layer != LAYER_TCP) {
			assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), below);
			assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail,
			                 UPLOAD_INVALID_STATE);
		}
		target_poll_events(w->t, w->now);
		if (layer != LAYER_TCP)
			assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), below);
		before = w->frames_out;
		for (u32 i = 0; i < 40; i++)
			assert_int_equal(do_send(w, i, "x", 1, SEND_BUFFERED, 0), 1);
		world_flush(w);
		assert_int_equal(w->frames_out - before, 40 - below);
		assert_int_equal(tcp_send(w->peer, w->peer_conn[0], "yz", 2), 2);
		world_from_peer(w, NULL);
		assert_int_equal(
			tcp_recv_pending(target_engine(w->t), target_connection(w->t, w->conns[0])),
			2);
		world_run(w, 3);
		assert_int_equal(host_count(w, IND_RECEIVE), 0);
		world_upload(w, 0, 40, true);
		world_is_empty(w);
		world_free(w);
	}
}

/* -- upload requests ----------------------------------------------------------------------------
 */

/* R78: every reason code, once for each connection; after a final one, data calls end with upload
 * in progress, after the others they go on, and a final one may follow those */
static void every_reason(void **state)
{
	for (u32 reason = 0; reason < UPLOAD_REASONS; reason++) {
		bool final = upload_reason_is_final(reason);
		struct world *w = world_with(1);
		struct target_stats stats;

		assert_int_equal(target_ask_upload(w->t, w->conns[0], reason), 0);
		assert_int_equal(target_ask_upload(w->t, w->conns[0], reason), -EBUSY);
		target_poll_events(w->t, w->now);
		assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 1);
		assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, reason);
		assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->host, CONN_HOST);
		assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), final ? -EINPROGRESS : 1);
		assert_int_equal(target_ask_upload(w->t, w->conns[0], UPLOAD_DEVICE),
		                 final ? -EBUSY : 0);
		target_stats(w->t, &stats);
		assert_int_equal(stats.upload_requests[reason], 1);
		world_upload(w, 0, 1, true);
		assert_int_equal(target_ask_upload(w->t, w->conns[0], reason), -ESTALE);
		world_is_empty(w);
		world_free(w);
	}
}

/* R75: a link that goes down is reported, and nobody is asked for; R112: not by name of a member */
static void link_down_asks_for_nothing(void **state)
{
	struct world *w = world_with(4);

	target_link_changed(w->t, 0, false);
	for (u32 i = 0; i < 20; i++)
		target_poll_events(w->t, w->now + i * NS_PER_S);
	assert_int_equal(host_count(w, IND_LINK_DOWN), 1);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	assert_int_equal(host_count(w, IND_UPLOAD_ALL), 0);
	target_link_changed(w->t, 0, true);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_LINK_UP), 1);
	target_ask_upload_all(w->t, UPLOAD_HARDWARE_FAILURE);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_last(w, IND_UPLOAD_ALL)->detail, UPLOAD_HARDWARE_FAILURE);
	world_free(w);
}

/* Urgent data is the host's: asked for once, and the segment's bytes are not lost */
static void urgent_data_asks_for_an_upload(void **state)
{
	struct world *w = world_with(1);
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	struct rx_frame f;
	u8 *tcp;

	assert_int_equal(tcp_send(w->peer, w->peer_conn[0], "u", 1), 1);
	(void)tcp_flush(w->peer, w->now, &tx);
	tcp = &w->tx[0].header[w->tx[0].header_off + 14 + 20];
	tcp[13] |= 0x20;
	tcp[19] = 1;
	assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[0], &f), 0);
	target_input(w->t, &f, 1, w->now);
	if (f.verdict != FRAME_CONSUMED)
		buf_put_chain(target_pool(w->t), f.buf);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 1);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_URGENT);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* Semantics 5.12: FIN, unread data, nothing posted, and told already: a policy asks for an upload
 */
static void fin_with_unread_data(void **state)
{
	for (u32 ask = 0; ask < 2; ask++) {
		struct target_config config = {.ask = ask ? TARGET_ASK_FIN_UNREAD : 0};
		struct world *w = world_make(&config, true);

		world_offload(w, 0, 1);
		assert_int_equal(tcp_send(w->peer, w->peer_conn[0], "abc", 3), 3);
		world_run(w, 3);
		tcp_shutdown(w->peer, w->peer_conn[0]);
		world_run(w, 3);
		assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), ask);
		if (ask)
			assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail,
			                 UPLOAD_FIN_UNREAD);
		world_free(w);
	}
}

/* R74: no answer for long: a policy asks after the first threshold, in the end it is given up */
static void timeouts(void **state)
{
	struct target_config config = {.ask = TARGET_ASK_SOFT_ERROR};
	struct world *w = world_make(&config, true);

	world_offload(w, 0, 1);
	w->drop_next = UINT32_MAX;
	(void)do_send(w, 0, "x", 1, 0, 1);
	for (u32 i = 0; i < 100 && !host_count(w, IND_UPLOAD_REQUEST); i++)
		world_step(w, 100 * NS_PER_MS);
	assert_int_equal(host_last(w, IND_UPLOAD_REQUEST)->detail, UPLOAD_TIMEOUT);
	for (u32 i = 0; i < 3000 && !host_count(w, IND_ABORTED); i++)
		world_step(w, NS_PER_S);
	assert_int_equal(host_last(w, IND_ABORTED)->detail, ETIMEDOUT);
	assert_int_equal(host_done(w, 1)->status, STATUS_ABORTED);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), -ETIMEDOUT);
	world_upload(w, 0, 1, true);
	world_is_empty(w);
	world_free(w);
}

/* Semantics 5.10: before a send, once, when nobody has heard of the neighbor for long; an update or
 * forward progress answers */
static void reachability_is_asked_for_once(void **state)
{
	struct target_config config = {.reachable_ns = 10 * NS_PER_S};
	struct world *w = world_make(&config, true);
	struct neighbor_cached c = {.next_hop_mac.b = {2, 1}};

	world_offload(w, 0, 2);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_REACHABLE_QUERY), 0);
	w->now += 11 * NS_PER_S;
	target_set_time(w->t, w->now);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	assert_int_equal(do_send(w, 1, "x", 1, SEND_BUFFERED, 0), 1);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_REACHABLE_QUERY), 1);
	assert_int_equal(host_last(w, IND_REACHABLE_QUERY)->host, NEIGHBOR_HOST);
	assert_int_equal(update_neighbor(w, 0, &c), STATUS_OK);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	w->now += 11 * NS_PER_S;
	target_set_time(w->t, w->now);
	assert_int_equal(do_send(w, 0, "x", 1, SEND_BUFFERED, 0), 1);
	target_poll_events(w->t, w->now);
	assert_int_equal(host_count(w, IND_REACHABLE_QUERY), 2);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_mac_for_all),
		cmocka_unit_test(one_write_whatever_hangs_below),
		cmocka_unit_test(a_new_mtu_for_one_path),
		cmocka_unit_test(paths_move_to_another_neighbor),
		cmocka_unit_test(settings_of_a_connection),
		cmocka_unit_test(tables_do_not_mix),
		cmocka_unit_test(query_reads_each_class),
		cmocka_unit_test(nothing_leaves_below_the_invalid),
		cmocka_unit_test(every_reason),
		cmocka_unit_test(link_down_asks_for_nothing),
		cmocka_unit_test(urgent_data_asks_for_an_upload),
		cmocka_unit_test(fin_with_unread_data),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(reachability_is_asked_for_once),
	};

	return RUN_TESTS(tests);
}

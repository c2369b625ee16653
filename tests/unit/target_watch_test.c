/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* R78, R35: connections that are poor candidates are measured, and their upload is asked for by
 * thresholds, once they crossed one for some periods in a row, and not again before a pause. */
#include "target_streams.h"

enum { PERIOD_NS = 100000000 };

static struct world *watched(u32 conns, struct target_watch_config watch)
{
	struct target_config config = {.watch = watch};

	if (!watch.period_ns)
		config.watch.period_ns = PERIOD_NS;
	return world_with(conns, &config);
}

/* The rest of a period, and a turn in the next one. */
static void next_period(struct world *w)
{
	w->now += PERIOD_NS;
	world_run(w, 2);
}

static const struct indication *asked(struct world *w, u32 i)
{
	const struct indication *found = NULL;

	for (u32 k = 0; k < w->host.n_ind; k++) {
		const struct indication *ind = &w->host.ind[k];

		if (ind->kind == IND_UPLOAD_REQUEST && ind->host == CONN_HOST + i)
			found = ind;
	}
	return found;
}

static void expect_reason(struct world *w, u32 i, enum upload_reason reason)
{
	assert_non_null(asked(w, i));
	assert_string_equal(upload_reason_word((enum upload_reason)asked(w, i)->detail),
	                    upload_reason_word(reason));
}

static void exchange(struct world *w, u32 i, u32 bytes, u32 calls)
{
	static u8 buf[65536];

	for (u32 k = 0; k < calls; k++) {
		assert_int_equal(do_send(w, i, buf, bytes, SEND_BUFFERED, 0), bytes);
		world_run(w, 2);
		while (tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf)) > 0)
			;
	}
}

static void nothing_is_asked_by_default(void **state)
{
	struct target_config config = {.ask = 0};
	struct world *w = world_with(2, &config);

	for (u32 i = 0; i < 10; i++)
		next_period(w);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	world_free(w);
	/* Measured, but each threshold is off. */
	w = watched(2, (struct target_watch_config){0});
	for (u32 i = 0; i < 10; i++)
		next_period(w);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	world_free(w);
}

/* Three whole periods in a row; a busy one in between begins the row anew. */
static void low_activity(void **state)
{
	struct world *w = watched(3, (struct target_watch_config){.low_bytes = 1000});

	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(!!asked(w, 0), i >= 3);
		assert_null(asked(w, 2));
		exchange(w, 1, 1000, 1);
		if (i == 1)
			exchange(w, 2, 1000, 1);
		next_period(w);
	}
	expect_reason(w, 0, UPLOAD_LOW_ACTIVITY);
	expect_reason(w, 2, UPLOAD_LOW_ACTIVITY);
	assert_null(asked(w, 1));
	/* It goes on as before until the host takes it. */
	exchange(w, 0, 1000, 1);
	world_upload(w, 0, 3, true);
	world_is_empty(w);
	world_free(w);
}

/* Received bytes count as well as sent ones, posted as well as taken. */
static void both_directions_count(void **state)
{
	struct world *w = watched(2, (struct target_watch_config){.low_bytes = 1000});
	static u8 buf[1000];
	u64 at = 0;

	for (u32 i = 0; i < 6; i++, at += 1000) {
		peer_send(w, 0, at, 1000);
		peer_send(w, 1, at, 1000);
		(void)do_recv(w, 0, buf, 1000, 0, i + 1);
		world_run(w, 3);
		assert_int_equal(do_recv(w, 1, buf, 1000, RECV_NOW, 0), 1000);
		next_period(w);
	}
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 0);
	world_free(w);
}

static void small_io(void **state)
{
	struct world *w = watched(3, (struct target_watch_config){.small_bytes = 100});

	for (u32 i = 0; i < 4; i++) {
		exchange(w, 0, 10, 20);
		exchange(w, 1, 100, 20);
		exchange(w, 2, 10, 2); /* too few to say anything */
		next_period(w);
	}
	expect_reason(w, 0, UPLOAD_SMALL_IO);
	assert_null(asked(w, 1));
	assert_null(asked(w, 2));
	world_free(w);
}

static void no_buffers_posted(void **state)
{
	struct world *w = watched(2, (struct target_watch_config){.unposted_bytes = 500});
	static u8 buf[1000];
	u64 at = 0;

	for (u32 i = 0; i < 4; i++, at += 500) {
		(void)do_recv(w, 1, buf, 500, 0, 1 + i);
		for (u32 k = 0; k < 2; k++)
			peer_send(w, k, at, 500);
		world_run(w, 3);
		assert_int_equal(do_recv(w, 0, buf, 1000, RECV_NOW, 0), 500);
		next_period(w);
	}
	expect_reason(w, 0, UPLOAD_NO_BUFFERS);
	assert_null(asked(w, 1));
	world_free(w);
}

/* Frames that the target sent are lost: the timer fires. */
static void high_drop_rate(void **state)
{
	struct world *w =
		watched(2, (struct target_watch_config){.period_ns = NS_PER_S, .losses = 1});

	world_run(w, 1);
	for (u32 i = 0; i < 4; i++) {
		u64 start = w->now;

		exchange(w, 1, 100, 1);
		w->drop_next = 1;
		exchange(w, 0, 100, 1);
		for (u32 k = 0; k < 40; k++)
			world_step(w, 20 * NS_PER_MS);
		assert_int_equal(w->drop_next, 0);
		/* What a loss probe repaired is known to have been lost with the next ACK. */
		exchange(w, 0, 100, 1);
		w->now = start + NS_PER_S;
		world_run(w, 2);
	}
	expect_reason(w, 0, UPLOAD_HIGH_DROP_RATE);
	assert_null(asked(w, 1));
	world_free(w);
}

/* Every second frame of the peer arrives before the one in front of it. */
static void swapped(struct world *w, u32 i, u64 at)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	struct rx_frame f;

	peer_send(w, i, at, 2 * 1448);
	(void)tcp_flush(w->peer, w->now, &tx);
	assert_int_equal(tx.n, 2);
	for (u32 k = 2; k-- > 0;) {
		assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[k], &f),
		                 0);
		target_input(w->t, &f, 1, w->now);
		target_poll_events(w->t, w->now);
	}
}

static void out_of_order(void **state)
{
	struct world *w = watched(2, (struct target_watch_config){.disorder = 2});
	static u8 buf[8192];
	u64 at[2] = {0};

	for (u32 i = 0; i < 4; i++) {
		for (u32 k = 0; k < 3; k++) {
			u32 conn = k == 2; /* one of them has a single one */

			swapped(w, conn, at[conn]);
			world_run(w, 2);
			assert_int_equal(do_recv(w, conn, buf, sizeof(buf), RECV_NOW, 0), 2 * 1448);
			stream_check(buf, at[conn], 2 * 1448);
			at[conn] += 2 * 1448;
		}
		next_period(w);
	}
	expect_reason(w, 0, UPLOAD_OUT_OF_ORDER);
	assert_null(asked(w, 1));
	world_free(w);
}

/* The host says how many fragments a forwarded segment was made of. */
static void fragmentation(void **state)
{
	struct world *w = watched(2, (struct target_watch_config){.fragments = 4});
	struct rx_frame frames[TX_MAX];

	for (u32 i = 0; i < 4; i++) {
		for (u32 k = 0; k < 2; k++) {
			struct forward_call call = {
				.conn = w->conns[k], .frame = &frames[0], .fragments = k ? 3 : 4};

			peer_send(w, k, i * 10, 10);
			assert_int_equal(capture(w, frames), 1);
			w->dev.data->forward(w->dev.impl, &call, 1);
			assert_int_equal(call.status, STATUS_OK);
		}
		next_period(w);
	}
	expect_reason(w, 0, UPLOAD_FRAGMENTATION);
	assert_null(asked(w, 1));
	world_free(w);
}

/* The host may say no: it is asked again only after the pause, and a reason that ends it is told at
 * any time. */
static void no_flapping(void **state)
{
	struct target_watch_config k = {
		.low_bytes = 1, .periods = 2, .quiet_ns = 10ull * PERIOD_NS};
	struct world *w = watched(1, k);

	for (u32 i = 0; i < 3; i++)
		next_period(w);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 1);
	for (u32 i = 0; i < 9; i++)
		next_period(w);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 1);
	next_period(w);
	next_period(w);
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 2);
	assert_int_equal(target_ask_upload(w->t, w->conns[0], UPLOAD_SMALL_IO), -EBUSY);
	assert_int_equal(target_ask_upload(w->t, w->conns[0], UPLOAD_HARDWARE_FAILURE), 0);
	target_poll_events(w->t, w->now);
	expect_reason(w, 0, UPLOAD_HARDWARE_FAILURE);
	world_free(w);
}

/* More connections than one stretch of the scan: each is looked at once a period, and the target
 * says when it wants to be run. */
static void many_are_looked_at(void **state)
{
	struct target_config config = {.connections = 3000,
	                               .watch = {.period_ns = PERIOD_NS, .low_bytes = 1}};
	struct world *w = world_make(&config, false);

	assert_int_equal(target_next_deadline(w->t), UINT64_MAX); /* nobody to look at */
	world_offload(w, 0, 2500);
	for (u32 i = 0; i < 4; i++) {
		u64 at = target_next_deadline(w->t);

		assert_true(at <= w->now + PERIOD_NS);
		w->now = max_of(at, w->now);
		do
			target_poll_events(w->t, w->now);
		while (!target_next_deadline(w->t));
	}
	assert_int_equal(host_count(w, IND_UPLOAD_REQUEST), 2500);
	world_free(w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_asked_by_default),
		cmocka_unit_test(low_activity),
		cmocka_unit_test(both_directions_count),
		cmocka_unit_test(small_io),
		cmocka_unit_test(no_buffers_posted),
		cmocka_unit_test(high_drop_rate),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(fragmentation),
		cmocka_unit_test(no_flapping),
		cmocka_unit_test(many_are_looked_at),
	};

	return RUN_TESTS(tests);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A route that changes in the middle of transfers. */
#include "target_streams.h"

enum { BYTES = 400000, STEP_NS = 100000 };

/* The paths of all connections hang on another neighbor from now on. */
static void re_route(struct world *w, u32 paths, u32 to)
{
	struct test_list l = {0};
	u32 n;

	list_make(&l, 1);
	(void)list_new(&l, NIL, LAYER_NEIGHBOR, to);
	assert_int_equal(call_offload(w, &l), 0);
	world_note(w, &l);
	list_free(&l);
	memset(&l, 0, sizeof(l));
	list_make(&l, 1 + paths);
	n = list_named(&l, NIL, LAYER_NEIGHBOR, w->neighbors[to], false);
	for (u32 p = 0; p < paths; p++) {
		u32 b = list_named(&l, n, LAYER_PATH, w->paths[p], false);

		block_at(&l.list, b)->flags = BLOCK_REPARENT;
	}
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_UPDATE, LAYER_PATH), 0);
	assert_int_equal(offload_list_count(&l.list, STATUS_OK), 1 + paths);
	list_free(&l);
}

static void invalidate_neighbor(struct world *w, handle neighbor)
{
	struct test_list l = {0};

	list_make(&l, 1);
	(void)list_named(&l, NIL, LAYER_NEIGHBOR, neighbor, false);
	assert_int_equal(call_layer(w, &l, BLOCK_CALL_INVALIDATE, LAYER_NEIGHBOR), 0);
	list_free(&l);
}

/* The application keeps the queue full, the peer reads; how far the peer is. */
static void turn(struct world *w, u32 i, u64 *sent, u64 *got)
{
	u8 buf[4096];
	s64 n;

	do {
		u32 len = (u32)min_of((u64)sizeof(buf), BYTES - *sent);

		stream_fill(buf, *sent, len);
		n = len ? do_send(w, i, buf, len, SEND_BUFFERED, 0) : 0;
		assert_true(n >= 0);
		*sent += (u64)n;
	} while (n > 0);
	*got = peer_read(w, i, *got);
}

/*
 * R2: a transfer whose route changes goes on at once. With the new next hop there before the old
 * one goes (R77) it never stops; where the old one was invalid for a while, with the first flush
 * after the change. Neither waits for a retransmission timeout, which is 200 ms and more here; and
 * nothing is sent twice.
 */
static void no_wait_for_a_timeout(void **state)
{
	for (u32 gap = 0; gap < 2; gap++) {
		struct world *w = world_with(2, NULL);
		const struct tcp_engine_counters *n = tcp_engine_counters(target_engine(w->t));
		u64 sent[2] = {0}, got[2] = {0};
		u64 invalid_until = 0, stall[2] = {0}, last[2] = {w->now, w->now};

		for (u32 step = 0; step < 20000 && got[0] + got[1] < 2 * BYTES; step++) {
			if (step == 20 && gap) {
				invalidate_neighbor(w, w->neighbors[0]);
				invalid_until = w->now + 50 * NS_PER_MS;
			}
			if (gap ? invalid_until && w->now >= invalid_until : step == 20) {
				re_route(w, 1, 9);
				invalid_until = 0;
				last[0] = last[1] = w->now;
			}
			for (u32 i = 0; i < 2; i++) {
				u64 was = got[i];

				turn(w, i, &sent[i], &got[i]);
				if (got[i] != was || invalid_until)
					last[i] = w->now;
				if (step > 5 && got[i] < BYTES)
					stall[i] = max_of(stall[i], w->now - last[i]);
			}
			world_step(w, STEP_NS);
		}
		for (u32 i = 0; i < 2; i++) {
			assert_int_equal(got[i], BYTES);
			assert_true(stall[i] <= 4 * STEP_NS);
		}
		assert_int_equal(n->timeouts, 0);
		assert_int_equal(n->retransmit_segs, 0);
		world_free(w);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_wait_for_a_timeout),
	};

	return RUN_TESTS(tests);
}

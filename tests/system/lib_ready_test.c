/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Readiness and posted buffers, on whichever side a connection runs. */
#include "lib_env.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void readiness_level(void **state)
{
	struct fixture f = fixture_open(2, 0);
	struct chimney_ready ready[4];
	char buf[16];

	for (int side = 0; side < 2; side++) {
		chimney_conn_watch(f.conn[0], CHIMNEY_READABLE);
		/* Nothing there: reported at most once as a guess, and not after a vain receive. */
		while (chimney_lane_ready(f.context, 0, ready, 4))
			assert_int_equal(
				chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT),
				-EAGAIN);
		assert_int_equal(chimney_conn_send(f.conn[0], "abcd", 4, 0), 4);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(wait_ready(&f, ready, 4), 1);
			assert_ptr_equal(ready[0].conn, f.conn[0]);
			assert_ptr_equal(ready[0].user, user_of(0));
			assert_true(ready[0].events & CHIMNEY_READABLE);
		}
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		while (chimney_lane_ready(f.context, 0, ready, 4))
			assert_int_equal(
				chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT),
				-EAGAIN);
		if (!side)
			move_all(&f, true);
	}
	fixture_close(&f);
}

static void readiness_edge(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_ready ready[4];
	char buf[16];

	for (int side = 0; side < 2; side++) {
		chimney_conn_watch(f.conn[0], CHIMNEY_READABLE | CHIMNEY_EDGE);
		while (chimney_lane_ready(f.context, 0, ready, 4))
			;
		while (chimney_conn_recv(f.conn[0], buf, sizeof(buf), CHIMNEY_DONTWAIT) > 0)
			;
		assert_int_equal(chimney_conn_send(f.conn[0], "abcd", 4, 0), 4);
		assert_int_equal(wait_ready(&f, ready, 4), 1);
		/* One change, one report: although the bytes are still there. */
		assert_int_equal(chimney_lane_ready(f.context, 0, ready, 4), 0);
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		assert_int_equal(chimney_conn_send(f.conn[0], "efgh", 4, 0), 4);
		assert_int_equal(wait_ready(&f, ready, 4), 1);
		assert_int_equal(chimney_conn_recv(f.conn[0], buf, sizeof(buf), 0), 4);
		if (!side)
			move_all(&f, true);
	}
	fixture_close(&f);
}

static int collect(struct fixture *f, struct chimney_completion *done, int want)
{
	int n = 0;

	for (int i = 0; i < 5000 && n < want; i++) {
		int k = chimney_lane_completions(f->context, 0, done + n, want - n);

		n += k;
		if (!k)
			usleep(1000);
	}
	return n;
}

/* Buffers posted on either side complete once, in order, across a move. R36 R48 R54 R63 */
static void posted_buffers(void **state)
{
	struct fixture f = fixture_open(1, 0);
	struct chimney_completion done[8];
	char out[3][8] = {"first..", "second.", "third.."}, in[3][8];

	for (int side = 0; side < 3; side++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(chimney_conn_post_recv(f.conn[0], in[i], 8, (uint64_t)i),
			                 0);
		assert_int_equal(chimney_conn_recv(f.conn[0], in[0], 8, CHIMNEY_DONTWAIT), -EBUSY);
		if (side == 2)
			move_all(&f, false);
		for (int i = 0; i < 3; i++)
			assert_int_equal(
				chimney_conn_post_send(f.conn[0], out[i], 8, 10 + (uint64_t)i), 0);
		assert_int_equal(collect(&f, done, 6), 6);
		for (int i = 0, r = 0, s = 0; i < 6; i++) {
			assert_int_equal(done[i].error, 0);
			assert_int_equal(done[i].bytes, 8);
			if (done[i].kind == CHIMNEY_RECEIVED)
				assert_int_equal(done[i].cookie, r++);
			else
				assert_int_equal(done[i].cookie, 10 + s++);
		}
		for (int i = 0; i < 3; i++)
			assert_memory_equal(in[i], out[i], 8);
		if (side == 0)
			move_all(&f, true);
	}
	fixture_close(&f);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readiness_level),
		cmocka_unit_test(readiness_edge),
		cmocka_unit_test(posted_buffers),
	};

	return LIB_RUN(tests, argc, argv);
}

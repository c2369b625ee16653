// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Live connections out of the kernel and back while the peer keeps sending. */
#include "linux_env.h"

#include <unistd.h>

enum { FEW = 10 };

struct round {
	struct move moves[FEW];
	struct tcp_state tcp[FEW];
	struct path_state path[FEW];
	struct neighbor_state neighbor[FEW];
};

static void all_ok(const struct move *moves, u32 n, const char *step)
{
	for (u32 i = 0; i < n; i++)
		if (moves[i].status != STATUS_OK)
			fail_msg("%s: connection %u: status %u detail %llu", step, i,
			         moves[i].status, (unsigned long long)moves[i].detail);
}

static void moves_init(struct round *r, const struct env_conn *conns, u32 n)
{
	memset(r, 0, sizeof(*r));
	for (u32 i = 0; i < n; i++)
		r->moves[i] = (struct move){.conn = (u64)conns[i].fd,
		                            .tcp = &r->tcp[i],
		                            .path_state = &r->path[i],
		                            .neighbor_state = &r->neighbor[i]};
}

static void offload(struct env *e, struct round *r, u32 n)
{
	e->ops.inspect(e->backend, r->moves, n);
	all_ok(r->moves, n, "inspect");
	e->ops.hold(e->backend, r->moves, n);
	all_ok(r->moves, n, "hold");
	e->ops.fence_start(e->backend);
	e->ops.fence_wait(e->backend);
	e->ops.freeze(e->backend, r->moves, n, &e->pool);
	all_ok(r->moves, n, "freeze");
	e->ops.detach(e->backend, r->moves, n);
	all_ok(r->moves, n, "detach");
	e->ops.own(e->backend, r->moves, n);
}

static void upload(struct env *e, struct round *r, u32 n)
{
	e->ops.hold(e->backend, r->moves, n);
	e->ops.fence_start(e->backend);
	e->ops.fence_wait(e->backend);
	e->ops.import(e->backend, r->moves, n, &e->pool);
	all_ok(r->moves, n, "import");
	do
		env_inject(e);
	while (env_park(e));
	e->ops.release(e->backend, r->moves, n);
	e->ops.fence_start(e->backend);
	e->ops.fence_wait(e->backend);
	env_park(e);
	env_inject(e);
	for (u32 i = 0; i < n; i++) {
		buf_put_chain(&e->pool, r->tcp[i].d.send.buf);
		buf_put_chain(&e->pool, r->tcp[i].d.recv.buf);
	}
}

static void assert_unnoticed(struct env *e)
{
	assert_int_equal(e->shared->errors, 0);
	assert_int_equal(e->shared->mismatches, 0);
	assert_int_equal(env_counter(e, 1, "snmp", "RetransSegs"), 0);
	assert_int_equal(env_counter(e, 0, "snmp", "RetransSegs"), 0);
	assert_int_equal(env_counter(e, 1, "snmp", "OutRsts"), 0);
	assert_int_equal(env_counter(e, 0, "snmp", "OutRsts"), 0);
	assert_int_equal(env_counter(e, 1, "netstat", "TCPWantZeroWindowAdv"), 0);
}

static void round_trip(int v6)
{
	struct env_conn conns[FEW];
	struct round r;
	struct env e;

	env_start(&e, v6);
	env_backend(&e, NULL);
	env_connect(&e, conns, FEW);
	e.shared->talkers = FEW;
	for (u32 turn = 0; turn < 5; turn++) {
		for (u32 i = 0; i < FEW; i++) {
			env_send(&conns[i], 300);
			env_read(&conns[i]);
		}
		env_sleep_ms(5);
		moves_init(&r, conns, FEW);
		offload(&e, &r, FEW);
		env_sleep_ms(10);
		assert_true(env_park(&e) > 0); /* the peer keeps sending */
		upload(&e, &r, FEW);
	}
	for (u32 i = 0; i < FEW; i++)
		env_send(&conns[i], 5000);
	e.shared->pause = 1;
	env_sleep_ms(10);
	for (u32 i = 0; i < FEW; i++) {
		env_drain(&e, &conns[i]);
		env_drained_peer(&e, &conns[i]);
	}
	assert_unnoticed(&e);
	env_close(conns, FEW);
	env_stop(&e);
}

static void test_round_trip_v4(void **state)
{
	round_trip(0);
}

static void test_round_trip_v6(void **state)
{
	round_trip(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip_v4),
		cmocka_unit_test(test_round_trip_v6),
	};

	env_need_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

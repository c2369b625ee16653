// SPDX-License-Identifier: BSD-2-Clause-Patent
/* Whole moves, as the host core makes them. */
#include "linux_env.h"

#include <errno.h>
#include <sys/socket.h>

void env_moves_init(struct env_moves *m, const struct env_conn *conns, u32 n)
{
	m->move = calloc(n, sizeof(*m->move));
	m->tcp = calloc(n, sizeof(*m->tcp));
	m->path = calloc(n, sizeof(*m->path));
	m->neighbor = calloc(n, sizeof(*m->neighbor));
	m->n = n;
	for (u32 i = 0; i < n; i++)
		m->move[i] = (struct move){.conn = (u64)conns[i].fd,
		                           .tcp = &m->tcp[i],
		                           .path_state = &m->path[i],
		                           .neighbor_state = &m->neighbor[i]};
}

void env_moves_free(struct env *e, struct env_moves *m)
{
	free(m->move);
	free(m->tcp);
	free(m->path);
	free(m->neighbor);
}

void env_all_ok(const struct env_moves *m, u32 from, u32 n, const char *step)
{
	for (u32 i = from; i < from + n; i++)
		if (m->move[i].status != STATUS_OK)
			fail_msg("%s: connection %u: status %u detail %llu", step, i,
			         m->move[i].status, (unsigned long long)m->move[i].detail);
}

void env_fence(struct env *e)
{
	e->ops.fence_start(e->backend);
	e->ops.fence_wait(e->backend);
}

void env_offload(struct env *e, struct env_moves *m, u32 from, u32 n)
{
	struct move *moves = m->move + from;

	e->ops.inspect(e->backend, moves, n);
	env_all_ok(m, from, n, "inspect");
	e->ops.hold(e->backend, moves, n);
	env_all_ok(m, from, n, "hold");
	env_fence(e);
	e->ops.freeze(e->backend, moves, n, &e->pool);
	env_all_ok(m, from, n, "freeze");
	e->ops.detach(e->backend, moves, n);
	env_all_ok(m, from, n, "detach");
	e->ops.own(e->backend, moves, n);
}

void env_upload(struct env *e, struct env_moves *m, u32 from, u32 n)
{
	struct move *moves = m->move + from;

	e->ops.hold(e->backend, moves, n);
	env_fence(e);
	e->ops.import(e->backend, moves, n, &e->pool);
	env_all_ok(m, from, n, "import");
	do
		env_inject(e);
	while (env_park(e));
	e->ops.release(e->backend, moves, n);
	env_fence(e);
	env_park(e);
	env_inject(e);
	for (u32 i = from; i < from + n; i++) {
		buf_put_chain(&e->pool, m->tcp[i].d.send.buf);
		buf_put_chain(&e->pool, m->tcp[i].d.recv.buf);
	}
}

static void noticeable(struct env *e, u64 counters[5])
{
	counters[0] = env_counter(e, 1, "snmp", "RetransSegs");
	counters[1] = env_counter(e, 0, "snmp", "RetransSegs");
	counters[2] = env_counter(e, 1, "snmp", "OutRsts");
	counters[3] = env_counter(e, 0, "snmp", "OutRsts");
	counters[4] = env_counter(e, 1, "snmp", "EstabResets");
}

void env_mark(struct env *e)
{
	noticeable(e, e->mark);
}

void env_unnoticed(struct env *e)
{
	u64 counters[5];

	noticeable(e, counters);
	assert_int_equal(e->shared->errors, 0);
	assert_int_equal(e->shared->mismatches, 0);
	for (u32 i = 0; i < ARRAY_SIZE(counters); i++)
		if (counters[i] != e->mark[i])
			fail_msg("noticed: counter %u is %llu, was %llu", i,
			         (unsigned long long)counters[i], (unsigned long long)e->mark[i]);
}

struct sock_export env_export(int fd)
{
	struct sock_export e;
	socklen_t len = sizeof(e);

	assert_int_equal(getsockopt(fd, EXPORT_LEVEL, EXPORT_NAME, &e, &len), 0);
	assert_int_equal(len, sizeof(e));
	return e;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The engine alone: what it takes to take a connection over and give it back, to change a neighbor
 * below any number of connections, and to hold an idle connection.
 */
#include "cases.h"
#include "engines.h"
#include "hold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* Two engines with v[0] connections between them; HOLD_FILL: v[0] of them imported into an
	 * engine of their own. */
	OP_CONNECT = HOLD_OWN,

	MOVE_CHUNK = 128,
	MOVE_TOTAL = 100000,
	UPDATES = 1000000,
	VERIFY_NS = 500000000,
	SETTLE_NS = 100000000,
};

struct engine_case {
	struct engines es;
	struct tcp_state states[MOVE_CHUNK];
	/* HOLD_FILL: an engine with many idle connections */
	struct tcp_engine *many;
	u32 neighbor;
};

static int op_connect(struct engine_case *c, struct bench_msg *msg)
{
	struct engines_config config = {.n = (u32)msg->v[0], .timestamps = true, .echo = true};
	int err = engines_open(&c->es, &config);

	return err ? hold_fail(msg, err, "engines in memory do not connect") : 0;
}

static u64 export_chunk(struct engine_case *c, const u32 *conns, u32 n)
{
	struct tcp_engine *e = c->es.end[ENGINE_SERVER].engine;
	u64 start = bench_now_ns();
	struct tx_batch none = {NULL, 0, 0};

	for (u32 i = 0; i < n; i++)
		tcp_conn_quiesce(e, conns[i], start, &none);
	for (u32 i = 0; i < n; i++)
		tcp_conn_export(e, conns[i], start, &c->states[i]);
	for (u32 i = 0; i < n; i++)
		tcp_conn_free(e, conns[i]);
	return bench_now_ns() - start;
}

static int import_chunk(struct engine_case *c, u32 *conns, u32 n, u64 *ret_ns)
{
	struct engine_end *end = &c->es.end[ENGINE_SERVER];
	u64 start = bench_now_ns();
	int err = 0;

	for (u32 i = 0; err == 0 && i < n; i++)
		err = tcp_conn_import(end->engine, &c->states[i], end->path, start, &conns[i]);
	*ret_ns = bench_now_ns() - start;
	return err;
}

static int op_move(struct engine_case *c, struct bench_msg *msg)
{
	struct engine_end *end = &c->es.end[ENGINE_SERVER];
	u64 export_ns = 0, import_ns = 0, moved = 0;
	u32 next = 0;

	engines_idle(&c->es, SETTLE_NS);
	while (moved < MOVE_TOTAL) {
		u32 n = min_of(end->n_conns - next, (u32)MOVE_CHUNK);
		u64 ns;
		int err;

		export_ns += export_chunk(c, &end->conns[next], n);
		err = import_chunk(c, &end->conns[next], n, &ns);
		if (err)
			return hold_fail(msg, err, "tcp_conn_import");
		import_ns += ns;
		moved += n;
		next = (next + n) % end->n_conns;
	}
	msg->v[0] = export_ns;
	msg->v[1] = import_ns;
	msg->v[2] = moved;
	return 0;
}

static int op_verify(struct engine_case *c, struct bench_msg *msg)
{
	u64 count, ns;
	int err = engines_rr(&c->es, VERIFY_NS, &count, &ns);

	if (err || count < c->es.config.n)
		return hold_fail(msg, err ? err : -EIO,
		                 "connections do not answer after the moves");
	return 0;
}

/* An engine for n connections with one neighbor and one path; none of its memory is ever freed: the
 * child ends with the case. */
static int make_many(struct engine_case *c, u32 n, u32 *ret_path)
{
	struct tcp_engine_config config = {
		.max_connections = n, .max_paths = 1, .max_neighbors = 1};
	struct tcp_engine *template_engine = c->es.end[ENGINE_SERVER].engine;
	struct neighbor_state neighbor;
	struct path_state path;
	void *arena = hold_pages(tcp_engine_arena_bytes(&config));
	int err;

	c->many = hold_pages(tcp_engine_bytes());
	if (!arena || !c->many)
		return -ENOMEM;
	tcp_engine_init(c->many, arena, &config, &c->es.end[ENGINE_SERVER].pool);
	tcp_path_export(template_engine, c->es.end[ENGINE_SERVER].path, &path);
	tcp_neighbor_export(template_engine,
	                    tcp_path_neighbor(template_engine, c->es.end[ENGINE_SERVER].path),
	                    c->es.now_ns, &neighbor);
	err = tcp_neighbor_add(c->many, &neighbor, &c->neighbor);
	return err ? err : tcp_path_add(c->many, &path, c->neighbor, ret_path);
}

static int op_fill(struct engine_case *c, struct bench_msg *msg)
{
	u32 n = (u32)msg->v[0], path, conn;
	struct tcp_state *state = &c->states[0];
	int err;

	msg->v[0] = 1;
	err = op_connect(c, msg);
	if (err)
		return err;
	engines_idle(&c->es, SETTLE_NS);
	tcp_conn_export(c->es.end[ENGINE_SERVER].engine, c->es.end[ENGINE_SERVER].conns[0],
	                c->es.now_ns, state);
	err = make_many(c, n, &path);
	for (u32 i = 0; err == 0 && i < n; i++) {
		state->k.local_port = (u16)(1 + i / HOLD_PORTS);
		state->k.remote_port = (u16)(1 + i % HOLD_PORTS);
		err = tcp_conn_import(c->many, state, path, c->es.now_ns, &conn);
	}
	return err ? hold_fail(msg, err, "an engine with many connections") : 0;
}

static int op_update(struct engine_case *c, struct bench_msg *msg)
{
	struct neighbor_cached cached = {.next_hop_mac = {{2, 0, 0, 0, 0, 9}}};
	u64 start = bench_now_ns();

	for (u32 i = 0; i < UPDATES; i++) {
		cached.next_hop_mac.b[4] = (u8)i;
		tcp_neighbor_update(c->many, c->neighbor, &cached);
	}
	msg->v[0] = bench_now_ns() - start;
	msg->v[1] = UPDATES;
	return 0;
}

static int handle(void *state, struct bench_msg *msg)
{
	switch (msg->op) {
	case OP_CONNECT:
		return op_connect(state, msg);
	case HOLD_MOVE:
		return op_move(state, msg);
	case HOLD_VERIFY:
		return op_verify(state, msg);
	case HOLD_FILL:
		return op_fill(state, msg);
	case HOLD_UPDATE:
		return op_update(state, msg);
	default:
		return hold_fail(msg, -ENOSYS, "unknown operation");
	}
}

static const struct hold_kind kind = {handle, sizeof(struct engine_case), "export", "import"};

static int move_setup(struct bench_run *run)
{
	return hold_setup(run, &kind, OP_CONNECT, false);
}

static int neighbor_setup(struct bench_run *run)
{
	return hold_setup(run, &kind, HOLD_FILL, true);
}

static int memory_ours(struct bench_run *run, double *ret_value)
{
	struct tcp_engine_config few = {
		.max_connections = 1u << 16, .max_paths = 1, .max_neighbors = 1};
	struct tcp_engine_config many = few;

	many.max_connections = 1u << 20;
	*ret_value = (double)(tcp_engine_arena_bytes(&many) - tcp_engine_arena_bytes(&few)) /
	             (double)(many.max_connections - few.max_connections);
	return 0;
}

static const struct bench_case cases[] = {
	{
		.name = "engine/move",
		.unit = "us/conn",
		.setup = move_setup,
		.ours = hold_move,
		.verify = hold_verify,
		.teardown = hold_teardown,
		.n = 10000,
	},
	HOLD_NEIGHBOR_CASE("engine", neighbor_setup, 1),
	HOLD_NEIGHBOR_CASE("engine", neighbor_setup, 1000),
	HOLD_NEIGHBOR_CASE("engine", neighbor_setup, 1000000),
	{.name = "engine/idle-memory", .unit = "B/conn", .ours = memory_ours},
};

const struct bench_table bench_engine_cases = {cases, ARRAY_SIZE(cases)};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The software target behind its dispatch tables: whole block lists of connections taken over and
 * given back, one neighbor update below any number of connections, memory of an idle connection.
 */
#include "cases.h"
#include "engines.h"
#include "hold.h"
#include "target/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	CHUNK = 128,
	MOVE_TOTAL = 100000,
	UPDATES = 200000,
};

struct target_case {
	struct target *target;
	struct device device;
	struct block_list list;
	struct offload_request request;
	bool completed;
	struct engines_template from;
	handle neighbor, path;
	handle *conns;
	u32 n;
	u64 now_ns;
};

static void on_complete(void *host, struct offload_request *request)
{
	((struct target_case *)host)->completed = true;
}

static void on_data(void *host, const struct data_completion *done, u32 n)
{
}

static void on_indication(void *host, const struct indication *ind, u32 n)
{
}

static const struct host_ops host_ops = {
	.complete = on_complete,
	.data_complete = on_data,
	.indicate = on_indication,
};

static struct target_config config_for(u32 n)
{
	return (struct target_config){
		.connections = n,
		.paths = 16,
		.neighbors = 16,
		.bufs = {.small = 4096, .large = 16},
		.posted = 1024,
		.list_blocks = CHUNK + 2,
		.oversubscription_percent = UINT32_MAX,
	};
}

static int make_target(struct target_case *c, u32 n)
{
	struct target_config config = config_for(n);
	void *arena = hold_pages(target_arena_bytes(&config));
	void *list = hold_pages(block_list_bytes(CHUNK + 2, 1, 1, CHUNK));
	int err;

	c->target = hold_pages(target_bytes(&config));
	c->conns = calloc(n, sizeof(*c->conns));
	if (!arena || !list || !c->target || !c->conns)
		return -ENOMEM;
	err = target_init(c->target, arena, &config);
	if (err)
		return err;
	target_set_time(c->target, c->now_ns);
	target_attach_host(c->target, (struct host_side){&host_ops, c});
	c->device = target_device(c->target);
	block_list_init(&c->list, list, CHUNK + 2, 1, 1, CHUNK);
	c->list.pool = target_pool(c->target);
	return 0;
}

/* One state call that completes before it returns, every block with OK. */
static int run_call(struct target_case *c, int (*call)(void *, struct offload_request *), u8 kind)
{
	int err;

	c->request = (struct offload_request){.call = kind, .list = &c->list};
	c->completed = false;
	err = call(c->device.impl, &c->request);
	if (err)
		return err;
	if (!c->completed)
		return -EINPROGRESS;
	for (u32 i = 0; i < c->list.n_blocks; i++)
		if (c->list.blocks[i].status != STATUS_OK)
			return -EPROTO;
	return 0;
}

/* Lays out neighbor - path - n connections: with states for an offload, where neighbor and path are
 * new only the first time; for an upload as placeholders above, and room for the states. */
static int build(struct target_case *c, u32 from, u32 n, bool upload)
{
	bool fresh = !upload && c->neighbor == HANDLE_NONE;
	u8 flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	u32 neighbor = NIL, path = NIL, conn;
	int err;

	block_list_reset(&c->list);
	err = block_list_add(&c->list, NIL, LAYER_NEIGHBOR, fresh, &neighbor);
	err = err ? err : block_list_add(&c->list, neighbor, LAYER_PATH, fresh, &path);
	for (u32 i = 0; err == 0 && i < n; i++) {
		err = block_list_add(&c->list, path, LAYER_TCP, true, &conn);
		if (err)
			break;
		block_at(&c->list, conn)->host = from + i + 1;
		if (upload)
			block_at(&c->list, conn)->device = c->conns[from + i];
		else
			block_at(&c->list, conn)->flags = flags;
	}
	if (err || upload)
		return err;
	block_at(&c->list, neighbor)->device = c->neighbor;
	block_at(&c->list, path)->device = c->path;
	if (fresh) {
		c->list.neighbors[0] = c->from.neighbor;
		c->list.paths[0] = c->from.path;
		block_at(&c->list, neighbor)->flags = flags;
		block_at(&c->list, path)->flags = flags;
	}
	return 0;
}

static void keep_handles(struct target_case *c)
{
	c->neighbor = block_at(&c->list, 0)->device;
	c->path = block_at(&c->list, 1)->device;
	for (u32 i = 2; i < c->list.n_blocks; i++)
		c->conns[block_at(&c->list, i)->host - 1] = block_at(&c->list, i)->device;
}

static int fill_chunk(struct target_case *c, u32 from, u32 n)
{
	int err = build(c, from, n, false);

	for (u32 i = 0; err == 0 && i < n; i++) {
		struct tcp_state *s = &c->list.conns[i];

		*s = c->from.conn;
		s->k.local_port = (u16)(1 + (from + i) / HOLD_PORTS);
		s->k.remote_port = (u16)(1 + (from + i) % HOLD_PORTS);
	}
	if (err == 0)
		err = run_call(c, c->device.ops->offload, BLOCK_CALL_OFFLOAD);
	if (err == 0)
		keep_handles(c);
	return err;
}

static int op_fill(struct target_case *c, struct bench_msg *msg)
{
	int err = engines_template(&c->from);

	c->n = (u32)msg->v[0];
	c->now_ns = c->from.now_ns;
	if (err)
		return hold_fail(msg, err, "engines in memory, for the template");
	err = make_target(c, c->n);
	if (err)
		return hold_fail(msg, err, "a target for so many connections");
	for (u32 i = 0; err == 0 && i < c->n; i += CHUNK)
		err = fill_chunk(c, i, min_of(c->n - i, (u32)CHUNK));
	return err ? hold_fail(msg, err, "the target does not take the connections") : 0;
}

/* The uploaded list becomes the list of an offload: the host adds its part of each state. */
static void turn_round(struct target_case *c)
{
	block_at(&c->list, 0)->device = c->neighbor;
	block_at(&c->list, 1)->device = c->path;
	for (u32 i = 2; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);
		struct tcp_state *s = &c->list.conns[b->state];
		u32 number = (u32)b->host - 1;

		s->k = c->from.conn.k;
		s->c = c->from.conn.c;
		s->k.local_port = (u16)(1 + number / HOLD_PORTS);
		s->k.remote_port = (u16)(1 + number % HOLD_PORTS);
		b->device = HANDLE_NONE;
		b->flags |= BLOCK_CONST | BLOCK_CACHED;
	}
}

static int move_chunk(struct target_case *c, u32 from, u32 n, struct bench_msg *msg)
{
	int err = build(c, from, n, true);
	u64 start = bench_now_ns(), middle;

	if (err == 0)
		err = run_call(c, c->device.ops->upload, BLOCK_CALL_UPLOAD);
	if (err)
		return hold_fail(msg, err, "upload");
	c->device.ops->commit(c->device.impl, &c->request);
	middle = bench_now_ns();
	turn_round(c);
	err = run_call(c, c->device.ops->offload, BLOCK_CALL_OFFLOAD);
	if (err)
		return hold_fail(msg, err, "offload");
	msg->v[0] += middle - start;
	msg->v[1] += bench_now_ns() - middle;
	keep_handles(c);
	return 0;
}

static int op_move(struct target_case *c, struct bench_msg *msg)
{
	u32 next = 0;
	int err = 0;

	msg->v[0] = msg->v[1] = msg->v[2] = 0;
	while (err == 0 && msg->v[2] < MOVE_TOTAL) {
		u32 n = min_of(c->n - next, (u32)CHUNK);

		err = move_chunk(c, next, n, msg);
		msg->v[2] += n;
		next = (next + n) % c->n;
	}
	return err;
}

static int op_update(struct target_case *c, struct bench_msg *msg)
{
	u64 start = bench_now_ns();
	u32 neighbor;
	int err = 0;

	for (u32 i = 0; err == 0 && i < UPDATES; i++) {
		block_list_reset(&c->list);
		err = block_list_add(&c->list, NIL, LAYER_NEIGHBOR, true, &neighbor);
		if (err)
			break;
		c->list.neighbors[0].c = c->from.neighbor.c;
		c->list.neighbors[0].c.next_hop_mac.b[4] = (u8)i;
		block_at(&c->list, neighbor)->device = c->neighbor;
		block_at(&c->list, neighbor)->flags = BLOCK_CACHED;
		err = run_call(c, c->device.layer[LAYER_NEIGHBOR]->update, BLOCK_CALL_UPDATE);
	}
	msg->v[0] = bench_now_ns() - start;
	msg->v[1] = UPDATES;
	return err ? hold_fail(msg, err, "update of the neighbor") : 0;
}

static int handle_msg(void *state, struct bench_msg *msg)
{
	switch (msg->op) {
	case HOLD_FILL:
		return op_fill(state, msg);
	case HOLD_MOVE:
		return op_move(state, msg);
	case HOLD_UPDATE:
		return op_update(state, msg);
	default:
		return hold_fail(msg, -ENOSYS, "unknown operation");
	}
}

static const struct hold_kind kind = {handle_msg, sizeof(struct target_case), "upload and commit",
                                      "offload"};

static int move_setup(struct bench_run *run)
{
	return hold_setup(run, &kind, HOLD_FILL, false);
}

static int neighbor_setup(struct bench_run *run)
{
	return hold_setup(run, &kind, HOLD_FILL, true);
}

/* Arena and private memory that a connection more needs, without buffers: an idle one has none. */
static int memory_ours(struct bench_run *run, double *ret_value)
{
	struct target_config few = config_for(1u << 16), many = config_for(1u << 20);
	size_t more = target_arena_bytes(&many) + target_bytes(&many) - target_arena_bytes(&few) -
	              target_bytes(&few);

	*ret_value = (double)more / (double)(many.connections - few.connections);
	return 0;
}

static const struct bench_case cases[] = {
	{
		.name = "target/move",
		.unit = "us/conn",
		.setup = move_setup,
		.ours = hold_move,
		.teardown = hold_teardown,
		.n = 10000,
	},
	HOLD_NEIGHBOR_CASE("target", neighbor_setup, 1),
	HOLD_NEIGHBOR_CASE("target", neighbor_setup, 1000),
	HOLD_NEIGHBOR_CASE("target", neighbor_setup, 1000000),
	{.name = "target/idle-memory", .unit = "B/conn", .ours = memory_ours},
};

const struct bench_table bench_target_cases = {cases, ARRAY_SIZE(cases)};

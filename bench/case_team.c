/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A member of a team goes: from the report until the last of its connections is offloaded on the
 * other one. Two software targets over one pool, idle connections, no wire. Each measurement goes
 * the other way, so that there is nothing to be put back.
 */
#include "cases.h"
#include "driver/team/team.h"
#include "engines.h"
#include "hold.h"
#include "offload/request.h"
#include "target/target.h"

#include <errno.h>
#include <stdlib.h>

enum { MEMBERS = 2, CHUNK = 500, ROOMS = CHUNK + 12, TURNS_MAX = 1000000, FRAMES = 64 };

struct team_case {
	struct engines_template from;
	struct buf_pool pool;
	void *pool_mem, *team_mem, *list_mem;
	struct target *target[MEMBERS];
	void *arena[MEMBERS];
	struct device below[MEMBERS];
	struct team *team;
	struct device device;
	struct block_list list;
	struct offload_request request;
	bool completed;
	handle neighbor, path;
	handle *conns;
	u32 *asked; /* numbers of connections that the host was asked for */
	u32 n, n_asked, active;
	u64 now_ns;
};

static void on_complete(void *host, struct offload_request *request)
{
	((struct team_case *)host)->completed = true;
}

static void on_data(void *host, const struct data_completion *done, u32 n)
{
}

static void on_indication(void *host, const struct indication *ind, u32 n)
{
	struct team_case *c = host;

	for (u32 i = 0; i < n; i++)
		if (ind[i].kind == IND_UPLOAD_REQUEST && c->n_asked < c->n)
			c->asked[c->n_asked++] = (u32)ind[i].host - 1;
}

static const struct host_ops host_ops = {
	.complete = on_complete,
	.data_complete = on_data,
	.indicate = on_indication,
};

/* One turn of the lane; idle connections send nothing. */
static void turn(struct team_case *c)
{
	struct tx_frame frames[FRAMES];
	struct tx_batch tx = {.frames = frames, .cap = FRAMES};

	c->device.frames->timers(c->device.impl, c->now_ns);
	c->device.frames->events(c->device.impl, c->now_ns);
	(void)c->device.frames->flush(c->device.impl, &tx, c->now_ns);
}

static int run_call(struct team_case *c, int (*call)(void *, struct offload_request *), u8 kind)
{
	int err;

	offload_request_init(&c->request, kind, &c->list, 0);
	c->completed = false;
	err = call(c->device.impl, &c->request);
	for (u32 i = 0; err == 0 && !c->completed; i++) {
		if (i == TURNS_MAX)
			return -EINPROGRESS;
		turn(c);
	}
	for (u32 i = 0; err == 0 && i < c->list.n_blocks; i++)
		if (c->list.blocks[i].status != STATUS_OK)
			return -EPROTO;
	return err;
}

/* Neighbor, path, and connections `number[0..n)`. */
static int build(struct team_case *c, const u32 *number, u32 n, bool upload)
{
	bool fresh = !upload && c->neighbor == HANDLE_NONE;
	u32 neighbor = NIL, path = NIL, at;
	int err;

	block_list_reset(&c->list);
	err = block_list_add(&c->list, NIL, LAYER_NEIGHBOR, fresh, &neighbor);
	err = err ? err : block_list_add(&c->list, neighbor, LAYER_PATH, fresh, &path);
	for (u32 i = 0; err == 0 && i < n; i++) {
		err = block_list_add(&c->list, path, LAYER_TCP, true, &at);
		if (err)
			break;
		block_at(&c->list, at)->host = number[i] + 1;
		if (upload)
			block_at(&c->list, at)->device = c->conns[number[i]];
	}
	if (err || upload)
		return err;
	block_at(&c->list, neighbor)->device = c->neighbor;
	block_at(&c->list, path)->device = c->path;
	if (fresh) {
		u8 flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;

		c->list.neighbors[0] = c->from.neighbor;
		c->list.paths[0] = c->from.path;
		block_at(&c->list, neighbor)->flags = flags;
		block_at(&c->list, path)->flags = flags;
	}
	return 0;
}

/* Offloads what the list holds; `fresh`: with a new connection's DELEGATED part too. */
static int offload(struct team_case *c, bool fresh)
{
	int err;

	for (u32 i = 2; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);
		struct tcp_state *s = &c->list.conns[b->state];
		u32 number = (u32)b->host - 1;

		if (fresh)
			s->d = c->from.conn.d;
		s->k = c->from.conn.k;
		s->c = c->from.conn.c;
		s->k.local_port = (u16)(1 + number / HOLD_PORTS);
		s->k.remote_port = (u16)(1 + number % HOLD_PORTS);
		b->device = HANDLE_NONE;
		b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	}
	block_at(&c->list, 0)->device = c->neighbor;
	block_at(&c->list, 1)->device = c->path;
	err = run_call(c, c->device.ops->offload, BLOCK_CALL_OFFLOAD);
	if (err)
		return err;
	c->neighbor = block_at(&c->list, 0)->device;
	c->path = block_at(&c->list, 1)->device;
	for (u32 i = 2; i < c->list.n_blocks; i++)
		c->conns[block_at(&c->list, i)->host - 1] = block_at(&c->list, i)->device;
	return 0;
}

static int make_member(struct team_case *c, u32 i)
{
	struct target_config config = {
		.connections = c->n,
		.paths = 16,
		.neighbors = 16,
		.pool = &c->pool,
		.bufs = {.small = 4096, .large = 16},
		.posted = 1024,
		.list_blocks = ROOMS,
		.oversubscription_percent = UINT32_MAX,
		.engine.seed = 1 + i,
	};
	int err;

	for (u32 p = 0; p < MEMBERS; p++)
		config.engine.ports[p] =
			(struct tcp_port_caps){.rx_trusted = true, .tx_csum = true};
	c->arena[i] = hold_pages(target_arena_bytes(&config));
	c->target[i] = hold_pages(target_bytes(&config));
	if (!c->arena[i] || !c->target[i])
		return -ENOMEM;
	err = target_init(c->target[i], c->arena[i], &config);
	if (err)
		return err;
	target_set_time(c->target[i], c->now_ns);
	c->below[i] = target_device(c->target[i]);
	return 0;
}

static int make_team(struct team_case *c, u8 failover)
{
	struct buf_pool_config bufs = {.small = 4096, .large = 16};
	struct team_config config = {
		.mode = TEAM_ACTIVE_BACKUP,
		.failover = failover,
		.n_members = MEMBERS,
		.neighbors = 16,
		.paths = 16,
		.connections = c->n,
		.list_blocks = ROOMS,
		.pool = &c->pool,
		.fail_back_ns = UINT64_MAX,
	};
	int err = 0;

	c->pool_mem = hold_pages(buf_pool_bytes(&bufs));
	c->list_mem = hold_pages(block_list_bytes(ROOMS, 1, 1, CHUNK));
	c->team_mem = hold_pages(team_bytes(&config));
	c->conns = calloc(c->n, sizeof(*c->conns));
	c->asked = calloc(c->n, sizeof(*c->asked));
	if (!c->pool_mem || !c->list_mem || !c->team_mem || !c->conns || !c->asked)
		return -ENOMEM;
	buf_pool_init(&c->pool, c->pool_mem, &bufs);
	block_list_init(&c->list, c->list_mem, ROOMS, 1, 1, CHUNK);
	c->list.pool = &c->pool;
	for (u32 i = 0; err == 0 && i < MEMBERS; i++) {
		err = make_member(c, i);
		config.member[i] = (struct team_member_config){
			.device = &c->below[i], .port = i, .priority = i};
	}
	if (err)
		return err;
	c->team = team_init(c->team_mem, &config, &(struct team_env){0});
	if (!c->team)
		return -EINVAL;
	c->device = team_device(c->team);
	c->device.ops->attach(c->device.impl, (struct host_side){&host_ops, c});
	c->device.frames->set_time(c->device.impl, c->now_ns);
	return 0;
}

static int team_setup(struct bench_run *run)
{
	struct team_case *c = run->state = calloc(1, sizeof(*c));
	u32 number[CHUNK];
	int err;

	if (!c)
		return bench_fail(run, -ENOMEM, "no memory");
	c->n = run->bcase->n;
	err = engines_template(&c->from);
	c->now_ns = c->from.now_ns;
	err = err ? err : make_team(c, (u8)run->bcase->variant);
	if (err)
		return bench_fail(run, err, "a team for %u connections", c->n);
	for (u32 i = 0; i < c->n; i += CHUNK) {
		u32 n = min_of(c->n - i, (u32)CHUNK);

		for (u32 k = 0; k < n; k++)
			number[k] = i + k;
		err = build(c, number, n, false);
		err = err ? err : offload(c, true);
		if (err)
			return bench_fail(run, err, "the team does not take the connections");
	}
	return 0;
}

/* The host takes back what it was asked for, and offloads it again, a chunk at a time. */
static int by_the_host(struct team_case *c)
{
	int err = 0;

	for (u32 i = 0; err == 0 && i < c->n_asked; i += CHUNK) {
		u32 n = min_of(c->n_asked - i, (u32)CHUNK);

		err = build(c, c->asked + i, n, true);
		err = err ? err : run_call(c, c->device.ops->upload, BLOCK_CALL_UPLOAD);
		if (err)
			break;
		c->device.ops->commit(c->device.impl, &c->request);
		err = offload(c, false);
	}
	return err;
}

static int team_ours(struct bench_run *run, double *ret_value)
{
	struct team_case *c = run->state;
	u32 from = c->active, to = !from;
	u64 start = bench_now_ns();
	int err = 0;

	c->n_asked = 0;
	team_report(c->team, from, TEAM_CARRIER, false, c->now_ns);
	for (u32 i = 0; i < TURNS_MAX && err == 0 && team_member_connections(c->team, from); i++) {
		turn(c);
		err = by_the_host(c);
		c->n_asked = 0;
	}
	*ret_value = (double)(bench_now_ns() - start) / 1e6;
	if (err)
		return bench_fail(run, err, "a connection could not be moved through the host");
	if (team_member_connections(c->team, to) != c->n)
		return bench_fail(run, -EPROTO, "%u of %u connections moved",
		                  team_member_connections(c->team, to), c->n);
	c->active = to;
	team_report(c->team, from, TEAM_CARRIER, true, c->now_ns);
	turn(c);
	return 0;
}

static void team_teardown(struct bench_run *run)
{
	struct team_case *c = run->state;

	if (!c)
		return;
	for (u32 i = 0; i < MEMBERS; i++) {
		free(c->arena[i]);
		free(c->target[i]);
	}
	free(c->pool_mem);
	free(c->list_mem);
	free(c->team_mem);
	free(c->conns);
	free(c->asked);
	free(c);
}

#define TEAM_CASE(how, way, count)                                                        \
	{                                                                                 \
		.name = "team/" how "/" #count, .unit = "ms", .setup = team_setup,        \
		.ours = team_ours, .teardown = team_teardown, .n = count, .variant = way, \
	}
#define TEAM_CASES(how, way)                                                          \
	TEAM_CASE(how, way, 10), TEAM_CASE(how, way, 100), TEAM_CASE(how, way, 1000), \
		TEAM_CASE(how, way, 10000), TEAM_CASE(how, way, 100000)

static const struct bench_case cases[] = {
	TEAM_CASES("by-itself", TEAM_BY_ITSELF),
	TEAM_CASES("through-host", TEAM_THROUGH_HOST),
};

const struct bench_table bench_team_cases = {cases, ARRAY_SIZE(cases)};

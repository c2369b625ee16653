/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The world of the tests of the host: its environment, and short forms. */
#include "host_fake_priv.h"

/* -- the environment --------------------------------------------------------------------------- */

static u64 env_now(void *ctx)
{
	struct fake *f = ctx;

	f->now_ns += f->tick_ns;
	return f->now_ns;
}

static void env_done(void *ctx, const struct host_done *done, u32 n)
{
	struct fake *f = ctx;

	for (u32 i = 0; i < n; i++)
		f->done[f->n_done++] = done[i];
}

static void env_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	struct fake *f = ctx;

	for (u32 i = 0; i < n && f->n_notices < FAKE_FRAMES; i++)
		f->notice[f->n_notices++] = notices[i];
}

static void env_wait(void *ctx)
{
	struct fake *f = ctx;

	/* A time that the host waits for comes by itself: the clock ticks with each look at it. */
	assert_true(fake_complete(f) || host_next_deadline(f->host) != UINT64_MAX);
}

static enum status env_refuse(void *ctx, enum host_layer layer, const struct host_candidate *who)
{
	const struct fake *f = ctx;

	if (!f->refuse || layer != f->refuse_layer ||
	    who->local_port != FAKE_LOCAL_PORT + f->refuse_conn)
		return STATUS_OK;
	return STATUS_LAYER_REFUSED;
}

/* -- the world --------------------------------------------------------------------------------- */

static void set_up_host(struct fake *f, const struct fake_options *o)
{
	struct host_config config = o->config;
	struct host_env env = {
		.ctx = f,
		.now = env_now,
		.done = env_done,
		.notice = env_notice,
		.wait = o->async_wait ? env_wait : NULL,
		.backend = {&fake_backend_ops, f},
		.stack = o->stack,
		.device = &f->device,
		.pool = &f->pool,
		.policy = o->policy,
		.refuse = {env_refuse, f},
	};

	if (env.stack.send)
		env.stack.impl = f;
	config.max_connections = config.max_connections ? config.max_connections : FAKE_CONNS;
	config.max_paths = config.max_paths ? config.max_paths : FAKE_CONNS;
	config.max_neighbors = config.max_neighbors ? config.max_neighbors : FAKE_CONNS;
	config.max_posted = config.max_posted ? config.max_posted : 32;
	config.max_parked = config.max_parked ? config.max_parked : 32;
	config.chunk_max = config.chunk_max ? config.chunk_max : FAKE_CONNS;
	f->mem = aligned_alloc(64, (host_bytes(&config) + 63) & ~63ul);
	assert_non_null(f->mem);
	f->host = host_init(f->mem, &config, &env);
	f->host_side = host_side(f->host);
}

struct fake *fake_create(const struct fake_options *o)
{
	const struct buf_pool_config pool = {.small = 128, .large = 1};
	struct fake *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->pool_mem = aligned_alloc(4096, buf_pool_bytes(&pool));
	buf_pool_init(&f->pool, f->pool_mem, &pool);
	f->fail_conn = NIL;
	f->fail_layer = LAYER_TCP;
	f->tick_ns = 10;
	f->inject_limit = NIL;
	f->conns_per_path = o->conns_per_path ? o->conns_per_path : 4;
	f->paths_per_neighbor = o->paths_per_neighbor ? o->paths_per_neighbor : 2;
	fake_set_up_device(f);
	set_up_host(f, o);
	for (u32 i = 0; i < o->conns; i++) {
		f->conn[i].cwnd = 10000 + i;
		f->conn[i].settings = (struct tcp_cached){.hop_limit = 64, .rcv_buf_bytes = 65536};
		assert_int_equal(host_adopt(f->host, i, &f->conn[i], &f->handles[i]), 0);
	}
	return f;
}

void fake_destroy(struct fake *f)
{
	struct host_usage usage;

	host_usage(f->host, &usage);
	assert_int_equal(usage.posted, 0);
	assert_int_equal(usage.parked, 0);
	for (u32 i = 0; i < FAKE_CONNS; i++) {
		if (f->device_conn[i].used)
			fake_free_conn(f, slots_handle(&f->conns, i));
	}
	assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
	free(f->mem);
	free(f->pool_mem);
	free(f);
}

static void run(struct fake *f, u32 n, enum status status)
{
	assert_int_equal(host_run(f->host), 0);
	assert_false(host_busy(f->host));
	for (u32 i = 0; i < n; i++)
		assert_string_equal(status_word(f->moves[i].status), status_word(status));
	fake_check_tree(f);
}

static void pick(struct fake *f, u32 from, u32 to)
{
	for (u32 i = from; i < to; i++)
		f->moves[i - from] = (struct host_move){.conn = f->handles[i]};
}

void fake_offload(struct fake *f, u32 from, u32 to, enum status status)
{
	pick(f, from, to);
	assert_int_equal(host_offload(f->host, f->moves, to - from, true), 0);
	run(f, to - from, status);
}

void fake_upload(struct fake *f, u32 from, u32 to, enum status status)
{
	pick(f, from, to);
	assert_int_equal(host_upload(f->host, f->moves, to - from), 0);
	run(f, to - from, status);
}

u8 fake_side(const struct fake *f, u32 conn)
{
	struct host_conn_info info;

	assert_int_equal(host_conn_info(f->host, f->handles[conn], &info), 0);
	return info.side;
}

void fake_indicate(struct fake *f, u8 kind, u32 conn, u64 detail)
{
	const struct indication ind = {
		.kind = kind,
		.host = conn == NIL ? HANDLE_NONE : f->handles[conn],
		.detail = detail,
	};

	f->host_side.ops->indicate(f->host_side.impl, &ind, 1);
}

void fake_expect_objects(const struct fake *f, u32 neighbors, u32 paths, u32 conns)
{
	assert_int_equal(f->neighbors.n_taken, neighbors);
	assert_int_equal(f->paths.n_taken, paths);
	assert_int_equal(f->conns.n_taken, conns);
}

void fake_check_tree(const struct fake *f)
{
	struct host_path_info info;
	struct host_usage usage;
	u32 cursor = 0, offloaded = 0;

	host_usage(f->host, &usage);
	assert_int_equal(usage.offloaded, f->conns.n_taken);
	assert_int_equal(usage.paths_at_device, f->paths.n_taken);
	assert_int_equal(usage.neighbors_at_device, f->neighbors.n_taken);
	while (host_path_next(f->host, &cursor, &info)) {
		if (!info.at_device)
			assert_int_equal(info.offloaded, 0);
		offloaded += info.offloaded;
	}
	assert_int_equal(offloaded, usage.offloaded);
}

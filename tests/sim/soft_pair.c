/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "soft_pair.h"

#include <errno.h>
#include <stdlib.h>

#include "../unit/unit.h"

enum {
	BATCH = 32,
	PAGE_BYTES = 4096,
	STEP_NS = 5000, /* between two turns while a move is under way */
};

/* -- making them ------------------------------------------------------------------------------- */

static void *get(void **list, u32 *n, size_t bytes)
{
	void *mem = aligned_alloc(PAGE_BYTES, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));

	assert_non_null(mem);
	list[(*n)++] = mem;
	return mem;
}

struct ip_addr pair_addr(const struct pair *p, u32 side)
{
	if (p->v6)
		return (struct ip_addr){{0xfd, [15] = (u8)(side + 1)}};
	return (struct ip_addr){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = (u8)(side + 1)}};
}

static struct tcp_engine_config engine_config(u32 side)
{
	return (struct tcp_engine_config){
		.max_connections = 2 * PAIR_CONNS,
		.max_paths = 8,
		.max_neighbors = 8,
		.hash_key = {1, 2, (u8)side},
		.seed = 5 + side,
		.min_rto_ns = 50 * NS_PER_MS,
		.msl_ns = NS_PER_S,
	};
}

static struct soft_config soft_config(const struct pair *p, const struct pair_options *o, u32 side)
{
	return (struct soft_config){
		.engine = engine_config(side),
		.local = pair_addr(p, side),
		.mac = {{2, 0, 0, 0, 0, (u8)(side + 1)}},
		.max_listeners = 2,
		.settings = {.rcv_buf_bytes = 65536,
	                     .snd_buf_bytes = 262144,
	                     .hop_limit = 64,
	                     .cc_algorithm = TCP_CC_CUBIC},
		.options = TCP_OPT_SACK | TCP_OPT_TIMESTAMPS | TCP_OPT_WSCALE,
		.rcv_wscale = 4,
		.mss = PAIR_MTU - 40,
		.ip_id_confined = true,
		.own_mac_only = true,
		.reachable_ns = o->reachable_ns,
		.plpmtud = o->plpmtud,
	};
}

static u64 env_now(void *ctx)
{
	return ((struct station *)ctx)->pair->now_ns;
}

static void env_done(void *ctx, const struct host_done *done, u32 n)
{
}

static bool env_reachable(void *ctx, const struct neighbor_key *key)
{
	return soft_reachable(((struct station *)ctx)->soft, key);
}

static u32 take_frames(struct station *s);

static u32 env_drain(void *ctx)
{
	return take_frames(ctx);
}

static void make_host(struct station *s)
{
	const struct host_config k = {.max_connections = 2 * PAIR_CONNS,
	                              .max_paths = 8,
	                              .max_neighbors = 8,
	                              .max_posted = 8,
	                              .max_parked = 256,
	                              .ip_id_confined = true};
	const struct host_env env = {
		.ctx = s,
		.now = env_now,
		.done = env_done,
		.reachable = env_reachable,
		.drain = env_drain,
		.backend = soft_backend(s->soft),
		.stack = soft_stack(s->soft),
		.device = &s->device,
		.pool = s->pool,
	};

	s->host = host_init(get(s->mem, &s->n_mem, host_bytes(&k)), &k, &env);
	target_attach_host(s->target, host_side(s->host));
	soft_attach_host(s->soft, s->host);
}

static void make_station(struct pair *p, u32 side, const struct pair_options *o)
{
	struct target_config k = {.connections = 2 * PAIR_CONNS,
	                          .bufs = {.small = 1024, .large = 32},
	                          .reachable_ns = o->target_reachable_ns,
	                          .ask = o->ask,
	                          .engine = engine_config(side + 2)};
	const struct soft_config soft = soft_config(p, o, side);
	struct ip_addr link = pair_addr(p, side);
	struct station *s = &p->at[side];
	void *arena;

	*s = (struct station){.pair = p, .side = side};
	s->target = get(s->mem, &s->n_mem, target_bytes(&k));
	arena = get(s->mem, &s->n_mem, target_arena_bytes(&k));
	assert_int_equal(target_init(s->target, arena, &k), 0);
	s->pool = target_pool(s->target);
	s->device = target_device(s->target);
	s->soft = soft_init(get(s->mem, &s->n_mem, soft_bytes(&soft)), &soft, s->pool);
	link.b[15] = 0;
	assert_int_equal(soft_prefix(s->soft, &link, p->v6 ? 64 : 24, NULL, PAIR_MTU, 0), 0);
	s->tx = (struct tx_batch){get(s->mem, &s->n_mem, BATCH * sizeof(struct tx_frame)), 0,
	                          BATCH};
	make_host(s);
	s->baseline = s->pool->n_free[BUF_SMALL] + s->pool->n_free[BUF_LARGE];
}

static bool on_frame(void *ctx, u32 direction, struct buf_pool *pool, const struct rx_frame *frame,
                     u64 now_ns)
{
	struct pair *p = ctx;
	u8 bytes[2048];

	if (!p->filter)
		return true;
	assert_in_range(frame->len, 1, sizeof(bytes));
	buf_chain_copy(pool, frame->buf, 0, bytes, frame->len);
	return p->filter(p, direction, bytes, frame->len);
}

void pair_init(struct pair *p, const struct pair_options *o)
{
	const struct sim_link link = {.delay_ns = 100000, .bits_per_s = 1000000000};
	const struct sim_wire_config k = {
		.seed = 1, .link = {link, link}, .mtu_bytes = PAIR_MTU, .frames_max = 1024};
	struct buf_pool *pools[2];
	u32 n_mem = 0;

	memset(p, 0, sizeof(*p));
	p->v6 = o->v6;
	p->now_ns = 1000 * NS_PER_S;
	for (u32 i = 0; i < 2; i++) {
		make_station(p, i, o);
		pools[i] = p->at[i].pool;
	}
	p->wire = sim_wire_init(get(&p->wire_mem, &n_mem, sim_wire_bytes(&k)), &k, pools);
	sim_wire_set_filter(p->wire, on_frame, p);
	for (u32 i = 0; i < 2; i++)
		p->at[i].port = sim_wire_port(p->wire, i);
	assert_int_equal(soft_listen_with(p->at[1].soft,
	                                  &(struct soft_listen_params){.port = PAIR_PORT,
	                                                               .cookies = o->cookies}),
	                 0);
	pair_run(p, NS_PER_MS);
}

/* -- turns ------------------------------------------------------------------------------------- */

static void give(struct station *s, struct rx_frame *frames, u32 n)
{
	u32 to_host = 0;

	s->device.frames->input(s->device.impl, frames, n, s->pair->now_ns);
	for (u32 i = 0; i < n; i++) {
		if (frames[i].verdict == FRAME_TO_HOST)
			frames[to_host++] = frames[i];
		else if (frames[i].verdict != FRAME_CONSUMED)
			buf_put_chain(s->pool, frames[i].buf);
	}
	if (to_host)
		host_frames(s->host, frames, to_host);
}

static u32 take_frames(struct station *s)
{
	struct rx_frame frames[BATCH];
	int n = s->port->ops->receive(s->port, frames, BATCH);

	if (n <= 0)
		return 0;
	for (int i = 0; i < n; i++)
		frames[i].port = 0;
	give(s, frames, (u32)n);
	return (u32)n;
}

void pair_frame(struct pair *p, u32 to, const u8 *bytes, u32 len)
{
	struct station *s = &p->at[to];
	struct rx_frame f = {.buf = soft_chain_of(s->soft, bytes, len), .len = len};

	assert_int_not_equal(f.buf, NIL);
	give(s, &f, 1);
}

static u8 pattern(u32 side, u32 i, u32 at)
{
	return (u8)(at * 7 + at / 251 + side * 31 + i);
}

static void read_all(struct station *s)
{
	for (u32 i = 0; i < s->pair->n; i++) {
		u8 bytes[4096];
		struct recv_call r = {.conn = s->conn[i], .data = bytes, .len = sizeof(bytes)};

		if (!s->conn[i])
			continue;
		for (host_receive(s->host, &r, 1); r.taken > 0; host_receive(s->host, &r, 1)) {
			for (s64 k = 0; k < r.taken; k++)
				assert_int_equal(bytes[k], pattern(!s->side, i, s->received[i]++));
		}
		s->ended[i] |= r.taken == -ESHUTDOWN;
	}
}

static void receive(struct station *s)
{
	while (take_frames(s))
		;
	s->device.frames->timers(s->device.impl, s->pair->now_ns);
	soft_timers(s->soft, s->pair->now_ns);
	s->device.frames->events(s->device.impl, s->pair->now_ns);
	soft_events(s->soft);
	s->busy = host_step(s->host) != HOST_IDLE;
}

static void transmit(struct station *s)
{
	if (s->tx.n)
		assert_int_equal(s->port->ops->transmit(s->port, s->tx.frames, s->tx.n), s->tx.n);
	s->tx.n = 0;
}

static void send(struct station *s)
{
	bool more = true;

	for (; more; transmit(s))
		more = soft_flush(s->soft, &s->tx, s->pair->now_ns);
	for (more = true; more; transmit(s))
		more = s->device.frames->flush(s->device.impl, &s->tx, s->pair->now_ns);
}

static void turn(struct pair *p)
{
	sim_wire_set_now(p->wire, p->now_ns);
	for (u32 i = 0; i < 2; i++) {
		struct station *s = &p->at[i];

		s->device.frames->set_time(s->device.impl, p->now_ns);
		soft_set_time(s->soft, p->now_ns);
		receive(s);
		read_all(s);
		send(s);
	}
}

static u64 next_ns(const struct pair *p)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < 2; i++) {
		const struct station *s = &p->at[i];

		next = min_of(next, s->device.frames->next_deadline(s->device.impl));
		next = min_of(next, soft_next_deadline(s->soft));
		next = min_of(next, host_next_deadline(s->host));
		next = min_of(next, sim_wire_next_ns(p->wire, i));
		if (s->busy)
			next = min_of(next, p->now_ns + STEP_NS);
	}
	return next;
}

void pair_run(struct pair *p, u64 for_ns)
{
	u64 until = p->now_ns + for_ns;

	turn(p);
	while (next_ns(p) <= until) {
		p->now_ns = max_of(next_ns(p), p->now_ns + 1);
		turn(p);
	}
	/* So that nobody's clock stands before that of what is called next. */
	if (p->now_ns < until) {
		p->now_ns = until;
		turn(p);
	}
}

/* -- connections ------------------------------------------------------------------------------- */

static void adopt(struct station *s, u32 i, u64 soft)
{
	s->soft_conn[i] = soft;
	assert_int_equal(host_adopt(s->host, soft, s, &s->conn[i]), 0);
}

void pair_accept(struct pair *p, u32 i)
{
	u64 conn;

	assert_true(soft_accept(p->at[1].soft, &conn));
	adopt(&p->at[1], i, conn);
}

void pair_open(struct pair *p, u32 n)
{
	struct ip_addr server = pair_addr(p, 1);

	for (u32 i = 0; i < n; i++) {
		u64 conn;

		assert_int_equal(soft_connect(p->at[0].soft, &server, PAIR_PORT, 0, &conn), 0);
		adopt(&p->at[0], i, conn);
		/* One after the other: so the numbers are the same at both ends. */
		pair_run(p, 5 * NS_PER_MS);
		p->n = i + 1;
		pair_accept(p, i);
	}
}

void pair_send(struct pair *p, u32 side, u32 i, u32 len)
{
	struct station *s = &p->at[side];
	u8 bytes[65536];
	struct send_call c = {.conn = s->conn[i], .data = bytes, .len = len};

	assert_in_range(len, 1, sizeof(bytes));
	for (u32 k = 0; k < len; k++)
		bytes[k] = pattern(side, i, s->sent[i] + k);
	host_send(s->host, &c, 1);
	assert_int_equal(c.taken, len);
	s->sent[i] += len;
}

void pair_exchange(struct pair *p, u32 len)
{
	for (u32 i = 0; i < p->n; i++) {
		pair_send(p, 0, i, len);
		pair_send(p, 1, i, len);
	}
	for (u32 k = 0; k < 2400; k++) { /* timers may have backed off far */
		u32 left = 0;

		for (u32 i = 0; i < p->n; i++)
			left += p->at[0].sent[i] - p->at[1].received[i] + p->at[1].sent[i] -
			        p->at[0].received[i];
		if (!left)
			return;
		pair_run(p, 50 * NS_PER_MS);
	}
	for (u32 i = 0; i < p->n; i++)
		print_message("%u: %u of %u bytes, states %u and %u; %u of %u back\n", i,
		              p->at[1].received[i], p->at[0].sent[i], pair_state(p, 0, i),
		              pair_state(p, 1, i), p->at[0].received[i], p->at[1].sent[i]);
	fail_msg("bytes do not arrive: neighbors %u and %u", pair_reach(p, 0), pair_reach(p, 1));
}

static void move(struct pair *p, u32 side, struct host_move *moves, u32 n, bool upload)
{
	struct host *h = p->at[side].host;

	assert_int_equal(upload ? host_upload(h, moves, n) : host_offload(h, moves, n, false), 0);
	for (u32 i = 0; host_busy(h) && i < 10000; i++)
		pair_run(p, STEP_NS);
	assert_false(host_busy(h));
}

void pair_move(struct pair *p, u32 side, bool upload, u16 want)
{
	struct host_move moves[PAIR_CONNS] = {0};

	for (u32 i = 0; i < p->n; i++)
		moves[i].conn = p->at[side].conn[i];
	move(p, side, moves, p->n, upload);
	for (u32 i = 0; i < p->n; i++) {
		if (moves[i].status != want)
			fail_msg("connection %u: %s", i, status_word(moves[i].status));
	}
}

u16 pair_move_one(struct pair *p, u32 side, u32 i, bool upload)
{
	struct host_move m = {.conn = p->at[side].conn[i]};

	move(p, side, &m, 1, upload);
	return m.status;
}

void pair_shutdown(struct pair *p, u32 side, u32 i)
{
	struct station *s = &p->at[side];

	assert_int_equal(host_disconnect(s->host, &(struct disconnect_call){.conn = s->conn[i]}),
	                 0);
}

u8 pair_reach(struct pair *p, u32 side)
{
	struct ip_addr peer = pair_addr(p, !side);
	struct soft_neighbor_info info;

	assert_int_equal(soft_neighbor_info(p->at[side].soft, &peer, &info), 0);
	return info.state;
}

u8 pair_state(struct pair *p, u32 side, u32 i)
{
	struct station *s = &p->at[side];
	struct tcp_state state;

	if (!host_query(s->host, s->conn[i], &state))
		return state.d.state;
	return soft_state(s->soft, s->soft_conn[i]);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void drop_all(struct pair *p, struct station *s)
{
	for (u32 i = 0; i < p->n; i++) {
		struct host_conn_info info;

		assert_int_equal(host_conn_info(s->host, s->conn[i], &info), 0);
		if (info.side == HOST_IN_CHIMNEY)
			(void)pair_move_one(p, s->side, i, true);
		assert_int_equal(host_release(s->host, s->conn[i]), 0);
		soft_close(s->soft, s->soft_conn[i]);
		s->conn[i] = HANDLE_NONE;
	}
}

void pair_end(struct pair *p)
{
	struct target_usage usage;

	p->filter = NULL;
	pair_run(p, 100 * NS_PER_MS);
	for (u32 i = 0; i < 2; i++)
		drop_all(p, &p->at[i]);
	pair_run(p, 100 * NS_PER_S);
	for (u32 i = 0; i < 2; i++) {
		struct station *s = &p->at[i];

		target_usage(s->target, &usage);
		assert_int_equal(usage.connections + usage.paths + usage.neighbors, 0);
		assert_int_equal(s->pool->n_free[BUF_SMALL] + s->pool->n_free[BUF_LARGE],
		                 s->baseline);
		for (u32 k = 0; k < s->n_mem; k++)
			free(s->mem[k]);
	}
	free(p->wire_mem);
}

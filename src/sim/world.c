/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/world.h"
#include "tcp/verdict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/stream.h"
#include "sim/watch.h"

enum {
	PORT_BASE = 10000,
	SERVER_PORT = 80,
	MTU_BYTES = 1500,
	SETTLE_NS = 1000000000,
};

#define STALL_NS (60 * NS_PER_S) /* of virtual time, with nothing received */

void world_wrong(struct world *w, const char *format, ...)
{
	va_list args;

	if (w->wrong[0])
		return;
	va_start(args, format);
	vsnprintf(w->wrong, sizeof(w->wrong), format, args);
	va_end(args);
}

struct ip_addr world_addr(u32 side, u32 i)
{
	return (struct ip_addr){.b = {[10] = 0xff,
	                              [11] = 0xff,
	                              [12] = 10,
	                              [13] = (u8)(side + 1),
	                              [15] = (u8)(i + 1)}};
}

struct ip_addr world_hop(u32 i)
{
	return (struct ip_addr){
		.b = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 9, [15] = (u8)(i + 1)}};
}

/* -- making one -------------------------------------------------------------------------------- */

static void on_done(void *ctx, const struct host_done *done, u32 n)
{
	struct world_side *side = ctx;

	for (u32 i = 0; i < n; i++)
		stream_done(side->world, side->side, &done[i]);
}

static enum status refuse(void *ctx, enum host_layer layer, const struct host_candidate *who)
{
	struct world_side *side = ctx;

	return prng_below(&side->world->prng, 1000000) < side->world->config.refuse_ppm
	               ? STATUS_LAYER_REFUSED
	               : STATUS_OK;
}

static struct tcp_engine_config engine_config(const struct world_config *k, u32 side)
{
	return (struct tcp_engine_config){
		.max_connections = k->conns + 8,
		.max_paths = WORLD_ROUTES,
		.max_neighbors = WORLD_HOPS,
		.hash_key = {(u8)k->seed, 1, (u8)side},
		.seed = k->seed + side,
		.min_rto_ns = 20 * NS_PER_MS,
		.delayed_ack_ns = 5 * NS_PER_MS,
		.msl_ns = 50 * NS_PER_MS,
	};
}

static struct machine_config machine_config(struct world *w, u32 side)
{
	const struct world_config *k = &w->config;
	struct machine_config m = {
		.soft = {.engine = engine_config(k, side),
	                 .local = world_addr(side, 0),
	                 .mac = {{2, 0, 0, 0, 0, (u8)side}},
	                 .max_listeners = 1,
	                 .settings = {.rcv_buf_bytes = 65536,
	                              .snd_buf_bytes = 65536,
	                              .hop_limit = 64,
	                              .cc_algorithm = TCP_CC_CUBIC,
	                              .max_retransmit_ns = 900 * NS_PER_S},
	                 .options = TCP_OPT_SACK | TCP_OPT_TIMESTAMPS | TCP_OPT_WSCALE,
	                 .rcv_wscale = WORLD_WSCALE,
	                 .mss = 1460,
	                 .ip_id_confined = true,
	                 .no_resets = true}, /* MSL is short here: FINs may be sent again later */
		.target = {.connections =
	                           k->target_connections ? k->target_connections : k->conns + 8,
	                   .bufs = {.small = k->small_buffers ? k->small_buffers : 64 * k->conns,
	                            .large = 16}},
		.host = {.max_connections = k->conns + 8,
	                 .max_paths = 2 * WORLD_ROUTES,
	                 .max_neighbors = 2 * WORLD_HOPS,
	                 .max_posted = 16 * k->conns,
	                 .max_parked = 16 * k->conns,
	                 .chunk_max = k->chunk_max,
	                 .parents_late = k->parents_late},
		.turn_ns = k->turn_ns ? k->turn_ns : 5 * NS_PER_US,
		.ctx = &w->side[side],
		.done = on_done,
		.refuse = {refuse, &w->side[side]},
	};

	m.target.engine = engine_config(k, side + 2);
	return m;
}

/* Both ends have one address; machine 0 reaches the other by several, which are all its own. */
static bool set_routes(struct world *w, u32 side)
{
	struct soft *s = w->machine[side]->soft;

	for (u32 i = 0; i < WORLD_HOPS; i++) {
		const struct ip_addr hop = world_hop(i);

		if (soft_neighbor(s, &hop, &(struct mac_addr){{2, 1, 0, 0, 0, (u8)i}}, 0))
			return false;
	}
	for (u32 i = 0; i < 1; i++) {
		const struct ip_addr remote = world_addr(!side, i), hop = world_hop(0);

		if (soft_route(s, &remote, &hop, MTU_BYTES))
			return false;
	}
	return side == 0 || !soft_listen(s, SERVER_PORT);
}

static bool make_wire(struct world *w)
{
	const struct sim_wire_config k = {
		.seed = w->config.seed,
		.link = {w->config.link, w->config.link},
		.mtu_bytes = MTU_BYTES,
		.frames_max = 4096,
	};
	struct buf_pool *const pools[2] = {w->machine[0]->pool, w->machine[1]->pool};

	w->wire_mem = aligned_alloc(4096, (sim_wire_bytes(&k) + 4095) & ~4095ul);
	if (!w->wire_mem)
		return false;
	w->wire = sim_wire_init(w->wire_mem, &k, pools);
	sim_wire_set_filter(w->wire, watch_frame, w);
	return true;
}

struct world *world_create(const struct world_config *config)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	prng_seed(&w->prng, config->seed);
	w->now_ns = NS_PER_S;
	w->streams = calloc(config->conns, sizeof(*w->streams));
	for (u32 i = 0; i < 2; i++) {
		struct machine_config k;

		w->side[i] = (struct world_side){w, i};
		k = machine_config(w, i);
		w->machine[i] = machine_create(&k);
	}
	if (!w->streams || !w->machine[0] || !w->machine[1] || !make_wire(w) || !set_routes(w, 0) ||
	    !set_routes(w, 1)) {
		world_destroy(w);
		return NULL;
	}
	for (u32 i = 0; i < 2; i++) {
		machine_plug(w->machine[i], sim_wire_port(w->wire, i));
		machine_set_time(w->machine[i], w->now_ns);
		memcpy(w->baseline[i], w->machine[i]->pool->n_free, sizeof(w->baseline[i]));
	}
	return w;
}

void world_destroy(struct world *w)
{
	if (!w)
		return;
	machine_destroy(w->machine[0]);
	machine_destroy(w->machine[1]);
	free(w->wire_mem);
	free(w->streams);
	free(w);
}

/* -- running ----------------------------------------------------------------------------------- */

static u64 next_ns(const struct world *w)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < 2; i++) {
		next = min_of(next, machine_next_ns(w->machine[i]));
		next = min_of(next, sim_wire_next_ns(w->wire, i));
	}
	return next;
}

static void turn(struct world *w)
{
	w->turns++;
	sim_wire_set_now(w->wire, w->now_ns);
	for (u32 i = 0; i < 2; i++) {
		machine_set_time(w->machine[i], w->now_ns);
		machine_receive(w->machine[i]);
		streams_run(w, i);
		machine_send(w->machine[i]);
	}
	watch_owners(w);
}

bool world_run(struct world *w, u64 until_ns)
{
	turn(w); /* what the caller has changed since */
	while (!w->wrong[0]) {
		u64 next = next_ns(w);

		if (next > until_ns)
			break;
		/* Something may stand still at one moment for some turns, not for ever. */
		w->now_ns = max_of(next, w->now_ns + 1);
		turn(w);
	}
	w->now_ns = max_of(w->now_ns, until_ns);
	return !w->wrong[0];
}

static bool adopt(struct world *w, u32 side, u32 i, u64 soft)
{
	struct stream_end *e = &w->streams[i].end[side];

	e->soft = soft;
	return !host_adopt(w->machine[side]->host, soft, e, &e->host);
}

bool world_connect(struct world *w)
{
	const struct ip_addr server = world_addr(1, 0);
	struct tcp_state state;
	u64 conn;

	for (u32 i = 0; i < w->config.conns; i++) {
		stream_init(w, i);
		if (soft_connect(w->machine[0]->soft, &server, SERVER_PORT, (u16)(PORT_BASE + i),
		                 &conn) ||
		    !adopt(w, 0, i, conn))
			return false;
	}
	for (u32 left = w->config.conns; left;) {
		if (!world_run(w, w->now_ns + 10 * NS_PER_MS))
			return false;
		while (soft_accept(w->machine[1]->soft, &conn)) {
			u32 i;

			if (!soft_look(w->machine[1]->soft, conn, &state))
				return false;
			i = state.k.remote_port - PORT_BASE;
			if (!adopt(w, 1, i, conn))
				return false;
			left--;
		}
	}
	/* Nobody says anything before all are connected. */
	for (u32 i = 0; i < w->config.conns; i++) {
		w->streams[i].end[0].open = true;
		w->streams[i].end[1].open = true;
	}
	return true;
}

bool world_done(const struct world *w)
{
	for (u32 i = 0; i < w->config.conns; i++) {
		for (u32 side = 0; side < 2; side++) {
			const struct stream_end *e = &w->streams[i].end[side];

			if (e->received != w->streams[i].end[!side].total)
				return false;
			if (!w->config.keep_open && (!e->eof || !e->fin))
				return false;
		}
	}
	return true;
}

static u64 progress(const struct world *w)
{
	u64 sum = 0;

	for (u32 i = 0; i < w->config.conns; i++) {
		for (u32 side = 0; side < 2; side++) {
			const struct stream_end *e = &w->streams[i].end[side];

			sum += e->received + e->eof + e->fin;
		}
	}
	return sum;
}

bool world_finish(struct world *w)
{
	u64 last = progress(w), since = w->now_ns;

	while (!world_done(w)) {
		if (!world_run(w, w->now_ns + 5 * NS_PER_MS))
			return false;
		if (progress(w) != last) {
			last = progress(w);
			since = w->now_ns;
		} else if (w->now_ns - since > STALL_NS) {
			world_wrong(w, "no progress: %s", streams_state(w));
		}
	}
	return true;
}

/* -- moving ------------------------------------------------------------------------------------ */

bool world_move(struct world *w, u32 machine, u64 mask, bool upload, u32 *ret_moved)
{
	struct host *host = w->machine[machine]->host;
	struct host_move *moves = calloc(w->config.conns, sizeof(*moves));
	u32 n = 0, moved = 0;
	bool ok = moves;

	for (u32 i = 0; ok && i < w->config.conns; i++) {
		if (mask & 1ull << i % 64)
			moves[n++].conn = w->streams[i].end[machine].host;
	}
	while (ok && (upload ? host_upload(host, moves, n) : host_offload(host, moves, n, false)))
		ok = world_run(w, w->now_ns + 20 * NS_PER_US);
	while (ok && host_busy(host))
		ok = world_run(w, w->now_ns + 20 * NS_PER_US);
	for (u32 i = 0; i < n; i++)
		moved += moves[i].status == STATUS_OK;
	if (!ok && moves)
		world_wrong(w, "a move did not end");
	free(moves);
	*ret_moved = moved;
	return ok;
}

static bool back_in_host(struct world *w, u32 side)
{
	u32 moved;

	if (!world_move(w, side, UINT64_MAX, true, &moved))
		return false;
	if (moved != w->config.conns)
		world_wrong(w, "%u of %u came back to host %u", moved, w->config.conns, side);
	return !w->wrong[0];
}

static void expect_empty(struct world *w, u32 side)
{
	const struct buf_pool *pool = w->machine[side]->pool;
	struct host_usage host;
	struct target_usage target;

	host_usage(w->machine[side]->host, &host);
	target_usage(w->machine[side]->target, &target);
	if (host.connections || host.paths || host.neighbors || host.posted || host.parked)
		world_wrong(w, "host %u keeps %u connections, %u paths, %u neighbors, %u calls",
		            side, host.connections, host.paths, host.neighbors, host.posted);
	if (target.connections || target.paths || target.neighbors || target.posted)
		world_wrong(w, "target %u keeps %u connections, %u paths, %u neighbors, %u calls",
		            side, target.connections, target.paths, target.neighbors,
		            target.posted);
	for (u32 i = 0; i < BUF_CLASSES; i++) {
		if (pool->n_free[i] != w->baseline[side][i])
			world_wrong(w, "machine %u lost %u buffers", side,
			            w->baseline[side][i] - pool->n_free[i]);
	}
}

bool world_settle(struct world *w)
{
	if (!back_in_host(w, 0) || !back_in_host(w, 1))
		return false;
	host_reap(w->machine[0]->host);
	host_reap(w->machine[1]->host);
	if (!world_run(w, w->now_ns + SETTLE_NS))
		return false;
	for (u32 i = 0; i < w->config.conns; i++) {
		for (u32 side = 0; side < 2; side++) {
			struct stream_end *e = &w->streams[i].end[side];

			if (host_release(w->machine[side]->host, e->host))
				world_wrong(w, "connection %u of host %u is not released", i, side);
			soft_close(w->machine[side]->soft, e->soft);
		}
	}
	expect_empty(w, 0);
	expect_empty(w, 1);
	return !w->wrong[0];
}

u64 world_retransmits(const struct world *w, u32 machine)
{
	return soft_engine_counters(w->machine[machine]->soft)->retransmit_segs;
}

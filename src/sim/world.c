/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/plant.h"
#include "sim/stream.h"
#include "wire/parse.h"

enum {
	MTU_BYTES = 1500,
	FRAMES_MAX = 4096,
	BUFFERS_EACH = 64, /* small ones a connection, where there are few */
	BUFFERS_MAX = 65536,
};

#define OLD_MAC_NS (20 * NS_PER_MS)
#define SWEEP_NS   (50 * NS_PER_MS)

void world_wrong(struct world *w, enum check check, const char *format, ...)
{
	va_list args;

	if (w->wrong[0])
		return;
	w->wrong_check = check;
	va_start(args, format);
	vsnprintf(w->wrong, sizeof(w->wrong), format, args);
	va_end(args);
}

/* -- what the machines tell -------------------------------------------------------------------- */

static void on_done(void *ctx, const struct host_done *done, u32 n)
{
	struct world_side *side = ctx;

	for (u32 i = 0; i < n; i++)
		stream_done(side->world, &done[i]);
}

static void on_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	struct world_side *side = ctx;

	for (u32 i = 0; i < n; i++) {
		u32 end, stream = stream_of(side->world, notices[i].owner, &end);

		world_touch(side->world, stream, end);
	}
}

static void on_sent(void *ctx, struct tx_frame *frames, u32 n, bool by_target)
{
	struct world_side *side = ctx;
	struct world *w = side->world;
	const struct machine *m = w->machine[side->machine];
	struct buf_pool *pool = by_target ? m->side[m->active].pool : m->pool;
	char by[WORLD_NAME + 8];

	snprintf(by, sizeof(by), "%s/%s", w->config.host[side->machine].name,
	         by_target ? "target" : "host");
	for (u32 i = 0; i < n; i++) {
		if (w->planted < CHECKS)
			plant_frame(w, side->machine, &frames[i], by_target);
		trace_frame(&w->trace, w->now_ns, by, pool, &frames[i]);
		check_frame(w, side->machine, &frames[i], by_target);
	}
}

static void on_received(void *ctx, const struct rx_frame *frames, u32 n, struct buf_pool *pool)
{
	struct world_side *side = ctx;
	struct wire_tcp_segment seg;
	u32 end, stream;

	for (u32 i = 0; i < n; i++) {
		const struct rx_frame *f = &frames[i];

		if (wire_parse_tcp(buf_data(pool, f->buf), buf_at(pool, f->buf)->len, f->len,
		                   &seg) != WIRE_OK)
			continue;
		stream = world_stream(side->world, seg.flow.local_port, seg.flow.remote_port, &end);
		if (stream != NIL)
			world_touch(side->world, stream, end);
	}
}

static enum status refuse(void *ctx, enum host_layer layer, const struct host_candidate *who)
{
	struct world_side *side = ctx;
	struct world *w = side->world;
	u32 ppm = w->config.host[side->machine].refuse_ppm;

	return ppm && prng_chance(&w->prng, ppm) ? STATUS_LAYER_REFUSED : STATUS_OK;
}

void world_path_mtu(struct world *w, u32 machine, const struct ip_addr *remote, u32 mtu)
{
	struct machine *m = w->machine[machine];
	struct ip_addr hop = net_hop_addr(0, w->config.host[machine].v6);
	struct host_path_info info;
	struct path_key key;
	u32 cursor = 0;

	if (soft_path_key(m->soft, remote, &key))
		return;
	while (host_path_next(m->host, &cursor, &info)) {
		if (!memcmp(&info.key, &key, sizeof(key)))
			hop = info.neighbor.next_hop;
	}
	(void)!soft_route(m->soft, remote, &hop, mtu);
	(void)!host_path_mtu(m->host, &key, mtu);
}

/* -- making one -------------------------------------------------------------------------------- */

static struct tcp_engine_config engine_config(const struct world_config *k, u32 machine, u32 what)
{
	return (struct tcp_engine_config){
		.max_connections = k->conns_max + 8,
		.max_paths = WORLD_HOSTS,
		.max_neighbors = WORLD_HOPS,
		.hash_key = {(u8)k->seed, 1, (u8)machine, (u8)what},
		.seed = k->seed * 4 * WORLD_HOSTS + machine * 4 + what,
		.min_rto_ns = 20 * NS_PER_MS,
		.delayed_ack_ns = 5 * NS_PER_MS,
		.msl_ns = 50 * NS_PER_MS,
	};
}

static struct soft_config soft_config(const struct world_config *k, u32 machine)
{
	const bool v6 = k->host[machine].v6;
	const u8 cc = k->host[machine].cc;

	return (struct soft_config){
		.engine = engine_config(k, machine, 0),
		.local = net_addr(machine, v6),
		.mac = {{2, 0, 0, 0, 0, (u8)machine}},
		.max_listeners = STREAM_SERVERS,
		.settings = {.rcv_buf_bytes = 65536,
	                     .snd_buf_bytes = 65536,
	                     .hop_limit = 64,
	                     .cc_algorithm = cc ? cc - 1 : TCP_CC_CUBIC,
	                     .max_retransmit_ns = 900 * NS_PER_S},
		.options = TCP_OPT_SACK | TCP_OPT_TIMESTAMPS | TCP_OPT_WSCALE |
	                   (k->host[machine].ecn ? TCP_OPT_ECN : 0),
		.rcv_wscale = WORLD_WSCALE,
		.mss = v6 ? 1440 : 1460,
		.ip_id_confined = true,
		.max_prefixes = 2,
		.reachable_ns = 200 * NS_PER_MS,
		.retrans_ns = 20 * NS_PER_MS,
		.delay_probe_ns = 20 * NS_PER_MS,
		.no_resets = true, /* MSL is short here: FINs may be sent again later */
	};
}

static struct target_config target_config(const struct world_config *k, u32 machine, u32 which)
{
	const struct world_target *t = &k->host[machine].target[which];
	u32 plenty = min_of(BUFFERS_EACH * (k->conns_max + 8), (u32)BUFFERS_MAX);
	struct target_config c = {
		.connections = t->connections ? t->connections : k->conns_max + 8,
		.paths = WORLD_HOSTS,
		.bufs = {.small = max_of(plenty, 4 * k->conns_max), .large = 16},
		.reachable_ns = 200 * NS_PER_MS,
		.engine = engine_config(k, machine, 1 + which),
	};

	if (t->small_buffers)
		c.bufs.small = t->small_buffers;
	if (t->lacks)
		c.features = ~t->lacks;
	return c;
}

static struct machine_config machine_config(struct world *w, u32 machine)
{
	const struct world_config *k = &w->config;
	const struct world_host *h = &k->host[machine];
	struct machine_config m = {
		.soft = soft_config(k, machine),
		.targets = max_of(h->targets, 1u),
		.host = {.max_connections = k->conns_max + 8,
	                 .max_paths = 2 * WORLD_HOSTS,
	                 .max_neighbors = 2 * WORLD_HOPS,
	                 .max_posted = 16 * k->conns_max,
	                 .max_parked = 16 * k->conns_max,
	                 .chunk_max = h->chunk_max,
	                 .parents_late = h->parents_late,
	                 .ip_id_confined = true},
		.turn_ns = h->turn_ns ? h->turn_ns : 5 * NS_PER_US,
		.ctx = &w->side[machine],
		.done = on_done,
		.notice = on_notice,
		.sent = on_sent,
		.received = on_received,
		.refuse = {refuse, &w->side[machine]},
	};

	for (u32 i = 0; i < MACHINE_TARGETS; i++)
		m.target[i] = target_config(k, machine, i);
	return m;
}

/* Next hops whose addresses are set, and a route to each host. */
static bool set_hops(struct world *w, u32 machine)
{
	const struct world_host *h = w->config.host;
	struct soft *s = w->machine[machine]->soft;
	const struct ip_addr hop = net_hop_addr(0, h[machine].v6);

	for (u32 i = 0; i < WORLD_HOPS; i++) {
		const struct ip_addr a = net_hop_addr(i, h[machine].v6);

		if (soft_neighbor(s, &a, &w->net.hop[machine][i].mac, 0))
			return false;
	}
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		const struct ip_addr remote = net_addr(i, h[i].v6);
		u32 mtu = min_of(h[machine].mtu, h[i].mtu);

		if (i != machine && h[i].v6 == h[machine].v6 && soft_route(s, &remote, &hop, mtu))
			return false;
	}
	return true;
}

/* Everything by one gateway, whose address is asked for, and whose MTUs are found out. */
static bool set_gateway(struct world *w, u32 machine)
{
	const struct world_host *h = &w->config.host[machine];
	const struct ip_addr hop = net_hop_addr(0, h->v6);
	const struct ip_addr any =
		h->v6 ? (struct ip_addr){{0}} : (struct ip_addr){.b = {[10] = 0xff, [11] = 0xff}};

	return !soft_prefix(w->machine[machine]->soft, &any, 0, &hop, h->mtu, 0);
}

static bool set_routes(struct world *w, u32 machine)
{
	bool ok = w->config.host[machine].ask ? set_gateway(w, machine) : set_hops(w, machine);

	for (u32 i = 0; ok && i < STREAM_SERVERS; i++)
		ok = !soft_listen(w->machine[machine]->soft, (u16)(STREAM_SERVER_PORT + i));
	return ok;
}

static bool make_machines(struct world *w)
{
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		struct machine_config k;

		w->side[i] = (struct world_side){w, i};
		k = machine_config(w, i);
		w->machine[i] = machine_create(&k);
		w->move[i].moves = calloc(w->config.conns_max, sizeof(struct host_move));
		w->ready[i].stream = calloc(2 * w->config.conns_max, sizeof(u32));
		if (!w->machine[i] || !w->move[i].moves || !w->ready[i].stream)
			return false;
	}
	return true;
}

static bool make_net(struct world *w)
{
	struct net_config k = {
		.seed = w->config.seed,
		.machines = w->config.n_hosts,
		.frames_max = w->config.frames_max,
		.old_mac_ns = OLD_MAC_NS,
	};

	for (u32 i = 0; i < w->config.n_hosts; i++) {
		const struct machine *m = w->machine[i];

		k.link[i] = w->config.host[i].link;
		k.mtu[i] = w->config.host[i].mtu;
		k.ports[i] = m->config.targets;
		for (u32 p = 0; p < k.ports[i]; p++)
			k.pool[i][p] = m->side[p].pool;
	}
	return net_init(&w->net, &k);
}

static bool make(struct world *w)
{
	if (!w->streams || !make_machines(w) || !make_net(w) || !check_init(w))
		return false;
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		struct machine *m = w->machine[i];

		if (!set_routes(w, i))
			return false;
		machine_set_time(m, w->now_ns);
		for (u32 p = 0; p < m->config.targets; p++) {
			machine_plug(m, p, net_port(&w->net, i, p));
			memcpy(w->baseline[i][p], m->side[p].pool->n_free,
			       sizeof(w->baseline[i][p]));
		}
	}
	return true;
}

static void set_defaults(struct world_config *k)
{
	k->tick_ns = k->tick_ns ? k->tick_ns : 1;
	k->frames_max = k->frames_max ? k->frames_max : FRAMES_MAX;
	k->sweep_ns = k->sweep_ns ? k->sweep_ns : SWEEP_NS;
	for (u32 i = 0; i < k->n_hosts; i++)
		k->host[i].mtu = k->host[i].mtu ? k->host[i].mtu : MTU_BYTES;
}

struct world *world_create(const struct world_config *config)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->config = *config;
	set_defaults(&w->config);
	prng_seed(&w->prng, config->seed);
	w->planted = CHECKS;
	w->now_ns = NS_PER_S;
	w->streams = calloc(config->conns_max, sizeof(*w->streams));
	if (make(w))
		return w;
	world_destroy(w);
	return NULL;
}

void world_destroy(struct world *w)
{
	if (!w)
		return;
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		machine_destroy(w->machine[i]);
		free(w->move[i].moves);
		free(w->ready[i].stream);
	}
	for (u32 i = 0; i < w->n_streams; i++) {
		free(w->streams[i].end[0].buffers);
		free(w->streams[i].end[1].buffers);
	}
	net_fini(&w->net);
	check_fini(w);
	free(w->streams);
	free(w);
}

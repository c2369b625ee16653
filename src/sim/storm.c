/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/storm.h"

#include <stdlib.h>

enum {
	MOVES_MAX = 256,
	LOOKS_MAX = 4,
};

static const char *const words[STORM_OPS] = {
	[STORM_OFFLOAD] = "offload",
	[STORM_UPLOAD] = "upload",
	[STORM_MAC] = "mac",
	[STORM_MTU] = "mtu",
	[STORM_ROUTE] = "route",
	[STORM_SETTINGS] = "settings",
	[STORM_QUERY] = "query",
	[STORM_ASK] = "ask",
	[STORM_ASK_ALL] = "ask-all",
	[STORM_INVALIDATE] = "invalidate",
	[STORM_INVALIDATE_PATH] = "invalidate-path",
	[STORM_INVALIDATE_NEIGHBOR] = "invalidate-neighbor",
	[STORM_PAUSE] = "pause",
	[STORM_FAULT] = "fault",
	[STORM_REAP] = "reap",
	[STORM_LINK] = "link",
	[STORM_REBUILD] = "rebuild",
};

const char *storm_op_word(enum storm_op op)
{
	return (u32)op < STORM_OPS ? words[op] : "unknown";
}

struct storm {
	const struct storm_config *config;
	struct storm_result *result;
	struct world *w;
	struct prng prng; /* its own: the world's draws do not disturb it */
	struct host_move moves[2][MOVES_MAX];
	u32 n_moves[2];
	bool moving[2], paused[2];
	u8 mac;
};

/* -- moves ------------------------------------------------------------------------------------- */

/* Every outcome that a move may have here; whatever else comes is wrong. */
static bool is_expected(enum status status)
{
	switch (status) {
	case STATUS_OK:
	case STATUS_BUSY:
	case STATUS_BAD_STATE:
	case STATUS_NOT_ESTABLISHED:
	case STATUS_LAYER_REFUSED:
	case STATUS_POOR_CANDIDATE:
	case STATUS_NO_CONNECTIONS:
	case STATUS_NO_PATHS:
	case STATUS_NO_NEIGHBORS:
	case STATUS_NO_SEND_BUFFERS:
	case STATUS_NO_RECEIVE_BUFFERS:
	case STATUS_NO_MEMORY:
	case STATUS_FAILED:
		return true;
	default:
		return false;
	}
}

static void look_at_move(struct storm *s, u32 side)
{
	if (!s->moving[side] || host_busy(s->w->machine[side]->host))
		return;
	s->moving[side] = false;
	for (u32 i = 0; i < s->n_moves[side]; i++) {
		s->result->outcome[s->moves[side][i].status]++;
		if (!is_expected(s->moves[side][i].status))
			world_wrong(s->w, "a move on machine %u ended with %s, %llu", side,
			            status_word(s->moves[side][i].status),
			            (unsigned long long)s->moves[side][i].detail);
	}
}

static bool start_move(struct storm *s, u32 side, bool upload)
{
	struct host *host = s->w->machine[side]->host;
	u32 chance = 1 + prng_below(&s->prng, 4); /* one in so many */
	u32 n = 0;

	if (s->moving[side] || host_busy(host))
		return false;
	for (u32 i = 0; i < s->w->config.conns && n < MOVES_MAX; i++) {
		if (prng_below(&s->prng, chance))
			continue;
		s->moves[side][n++] = (struct host_move){.conn = s->w->streams[i].end[side].host};
	}
	s->n_moves[side] = n;
	s->moving[side] = true;
	return !(upload ? host_upload(host, s->moves[side], n)
	                : host_offload(host, s->moves[side], n, false));
}

/* -- changes ----------------------------------------------------------------------------------- */

static void change_mac(struct storm *s, u32 side)
{
	const struct ip_addr hop = world_hop(prng_below(&s->prng, WORLD_HOPS));
	const struct mac_addr mac = {{2, 2, 0, 0, 0, s->mac++}};
	struct machine *m = s->w->machine[side];
	struct neighbor_key key;

	(void)!soft_neighbor(m->soft, &hop, &mac, 0);
	(void)!soft_neighbor_key(m->soft, &hop, &key, NULL);
	(void)!host_neighbor_changed(m->host, &key, &mac, LINK_DIX);
}

static const struct ip_addr *hop_of(const struct machine *m, const struct path_key *key)
{
	struct host_path_info info;
	static struct ip_addr hop;
	u32 cursor = 0;

	hop = world_hop(0);
	while (host_path_next(m->host, &cursor, &info)) {
		if (!memcmp(&info.key, key, sizeof(*key)))
			hop = info.neighbor.next_hop;
	}
	return &hop;
}

static void change_mtu(struct storm *s, u32 side)
{
	const struct ip_addr remote = world_addr(!side, 0);
	struct machine *m = s->w->machine[side];
	u32 mtu = 576 + prng_below(&s->prng, 1500 - 576 + 1);
	struct path_key key;

	(void)!soft_path_key(m->soft, &remote, &key);
	(void)!soft_route(m->soft, &remote, hop_of(m, &key), mtu);
	(void)!host_path_mtu(m->host, &key, mtu);
}

static void change_route(struct storm *s, u32 side)
{
	const struct ip_addr remote = world_addr(!side, 0);
	const struct ip_addr hop = world_hop(prng_below(&s->prng, WORLD_HOPS));
	struct machine *m = s->w->machine[side];
	struct neighbor_state state;
	struct neighbor_key to;
	struct path_key key;

	(void)!soft_path_key(m->soft, &remote, &key);
	(void)!soft_route(m->soft, &remote, &hop, 1500);
	(void)!soft_neighbor_key(m->soft, &hop, &to, &state);
	(void)!host_route_changed(m->host, &key, 1, &to, &state);
}

static handle any_conn(struct storm *s, u32 side)
{
	return s->w->streams[prng_below(&s->prng, s->w->config.conns)].end[side].host;
}

static void change_settings(struct storm *s, u32 side)
{
	struct tcp_cached c = s->w->machine[side]->config.soft.settings;

	c.nodelay = prng_below(&s->prng, 2);
	c.tos = (u8)prng_below(&s->prng, 256) & 0xfc;
	c.restart_retransmit = prng_below(&s->prng, 2);
	(void)!host_conn_settings(s->w->machine[side]->host, any_conn(s, side), &c);
}

static void query(struct storm *s, u32 side)
{
	struct host *host = s->w->machine[side]->host;

	for (u32 i = 0; i < LOOKS_MAX; i++) {
		handle conn = any_conn(s, side);
		struct host_conn_info info;
		struct tcp_state state;

		if (host_conn_info(host, conn, &info) || host_query(host, conn, &state))
			continue;
		if (state.k.local_port != info.local_port)
			world_wrong(s->w, "a query of port %u answered for port %u",
			            info.local_port, state.k.local_port);
	}
}

/* -- ends -------------------------------------------------------------------------------------- */

static void ask(struct storm *s, u32 side)
{
	struct machine *m = s->w->machine[side];
	struct host_conn_info info;

	if (host_conn_info(m->host, any_conn(s, side), &info) || !info.device)
		return;
	(void)!target_ask_upload(m->target, info.device, prng_below(&s->prng, UPLOAD_REASONS));
}

static void invalidate(struct storm *s, u32 side, enum storm_op op)
{
	const struct ip_addr remote = world_addr(!side, 0);
	const struct ip_addr hop = world_hop(prng_below(&s->prng, WORLD_HOPS));
	struct machine *m = s->w->machine[side];
	struct neighbor_key neighbor;
	struct path_key path;

	(void)!soft_path_key(m->soft, &remote, &path);
	(void)!soft_neighbor_key(m->soft, &hop, &neighbor, NULL);
	if (op == STORM_INVALIDATE)
		(void)!host_invalidate(m->host, any_conn(s, side));
	else if (op == STORM_INVALIDATE_PATH)
		(void)!host_invalidate_path(m->host, &path);
	else
		(void)!host_invalidate_neighbor(m->host, &neighbor);
}

static void pause(struct storm *s, u32 side)
{
	struct machine *m = s->w->machine[side];

	/* Mostly not. */
	s->paused[side] = !s->paused[side] && prng_below(&s->prng, 2);
	if (s->paused[side])
		target_pause(m->target);
	else
		target_resume(m->target);
}

/* -- rounds ------------------------------------------------------------------------------------ */

static bool act(struct storm *s, u32 side, enum storm_op op)
{
	struct machine *m = s->w->machine[side];

	switch (op) {
	case STORM_OFFLOAD:
	case STORM_UPLOAD:
		return start_move(s, side, op == STORM_UPLOAD);
	case STORM_MAC:
		change_mac(s, side);
		break;
	case STORM_MTU:
		change_mtu(s, side);
		break;
	case STORM_ROUTE:
		change_route(s, side);
		break;
	case STORM_SETTINGS:
		change_settings(s, side);
		break;
	case STORM_QUERY:
		query(s, side);
		break;
	case STORM_ASK:
		ask(s, side);
		break;
	case STORM_ASK_ALL:
		target_ask_upload_all(m->target, UPLOAD_DEVICE);
		break;
	case STORM_PAUSE:
		pause(s, side);
		break;
	case STORM_FAULT:
		soft_fail(m->soft, prng_below(&s->prng, SOFT_FAULTS), 1 + prng_below(&s->prng, 9));
		break;
	case STORM_REAP:
		host_reap(m->host);
		break;
	case STORM_LINK:
		target_link_changed(m->target, 0, prng_below(&s->prng, 2));
		break;
	case STORM_REBUILD:
		target_rebuild(m->target, s->w->now_ns);
		break;
	default:
		invalidate(s, side, op);
	}
	return true;
}

/* Moves are as frequent as all the rest together. */
static enum storm_op draw(struct storm *s)
{
	enum storm_op op;

	if (s->paused[0] || s->paused[1])
		return STORM_PAUSE;
	do {
		op = prng_below(&s->prng, prng_below(&s->prng, 2) ? STORM_OPS : STORM_MAC);
	} while (s->config->disabled & 1u << op);
	return op;
}

static bool rounds(struct storm *s)
{
	struct world *w = s->w;

	for (u32 i = 0; i < s->config->rounds && !w->wrong[0]; i++) {
		u32 side = prng_below(&s->prng, 2);
		enum storm_op op = draw(s);

		s->result->round = i;
		look_at_move(s, side);
		s->result->done[op] += act(s, side, op);
		world_run(w, w->now_ns + prng_below(&s->prng, (u32)s->config->every_ns * 2));
	}
	return !w->wrong[0];
}

static bool calm(struct storm *s)
{
	struct world *w = s->w;

	w->config.refuse_ppm = 0;
	for (u32 side = 0; side < 2; side++) {
		for (u32 i = 0; i < SOFT_FAULTS; i++)
			soft_fail(w->machine[side]->soft, i, 0);
		if (s->paused[side])
			pause(s, side);
	}
	/* The moves under way write into our arrays: let them end. */
	while (host_busy(w->machine[0]->host) || host_busy(w->machine[1]->host)) {
		if (!world_run(w, w->now_ns + NS_PER_MS))
			return false;
	}
	look_at_move(s, 0);
	look_at_move(s, 1);
	return world_finish(w) && world_settle(w);
}

bool storm_run(const struct storm_config *config, struct storm_result *ret)
{
	struct storm *s = calloc(1, sizeof(*s));
	bool ok = false;

	memset(ret, 0, sizeof(*ret));
	if (!s)
		return false;
	s->config = config;
	s->result = ret;
	s->w = world_create(&config->world);
	prng_seed(&s->prng, ~config->world.seed);
	if (s->w) {
		ok = world_connect(s->w) && rounds(s) && calm(s);
		ret->hash = s->w->hash;
		ret->turns = s->w->turns;
		memcpy(ret->wrong, s->w->wrong, sizeof(ret->wrong));
		for (u32 i = 0; i < 2; i++)
			ret->host[i] = *host_counters(s->w->machine[i]->host);
	}
	world_destroy(s->w);
	free(s);
	return ok;
}

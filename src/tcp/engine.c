/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making, attaching and rebuilding an engine; its lists and its counters. */
#include "tcp/internal.h"
#include "tcp/sack.h"

enum { ARENA_ALIGN = 4096 };

static const u64 default_min_rto_ns = 200 * NS_PER_MS;
static const u64 default_max_rto_ns = 120 * NS_PER_S;
static const u64 default_delayed_ack_ns = 40 * NS_PER_MS;
static const u64 default_msl_ns = 30 * NS_PER_S;
static const u32 default_challenge_acks = 1000;

/* Where the tables lie in the arena. The first six are authoritative, the rest is derived. */
struct layout {
	size_t conn_slots, path_slots, neighbor_slots;
	size_t neighbors, paths, conns;
	size_t wheel, lookup;
	size_t end;
};

static size_t place(size_t *at, size_t bytes)
{
	size_t here = *at;

	*at += (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
	return here;
}

static struct layout layout_of(const struct tcp_engine_config *c)
{
	struct layout l = {0};
	size_t at = 0;

	l.conn_slots = place(&at, slots_bytes(c->max_connections));
	l.path_slots = place(&at, slots_bytes(c->max_paths));
	l.neighbor_slots = place(&at, slots_bytes(c->max_neighbors));
	l.neighbors = place(&at, sizeof(struct tcp_neighbor) * c->max_neighbors);
	l.paths = place(&at, sizeof(struct tcp_path) * c->max_paths);
	l.conns = place(&at, sizeof(struct tcp_conn) * c->max_connections);
	l.wheel = place(&at, sizeof(struct wheel_entry) * c->max_connections);
	l.lookup = place(&at, flowtab_bytes(c->max_connections));
	l.end = (at + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	return l;
}

size_t tcp_engine_arena_bytes(const struct tcp_engine_config *config)
{
	return layout_of(config).end;
}

size_t tcp_engine_bytes(void)
{
	return sizeof(struct tcp_engine);
}

static void set_defaults(struct tcp_engine_config *c)
{
	if (!c->min_rto_ns)
		c->min_rto_ns = default_min_rto_ns;
	if (!c->max_rto_ns)
		c->max_rto_ns = default_max_rto_ns;
	if (!c->delayed_ack_ns)
		c->delayed_ack_ns = default_delayed_ack_ns;
	if (!c->msl_ns)
		c->msl_ns = default_msl_ns;
	if (!c->challenge_acks_per_s)
		c->challenge_acks_per_s = default_challenge_acks;
}

/* What init and attach have in common: the view, without touching the tables. */
static struct layout set_view(struct tcp_engine *e, void *arena,
                              const struct tcp_engine_config *config, struct buf_pool *bufs)
{
	struct layout l = layout_of(config);
	u8 *base = arena;

	memset(e, 0, sizeof(*e));
	e->config = *config;
	set_defaults(&e->config);
	e->bufs = bufs;
	e->neighbors = (struct tcp_neighbor *)(base + l.neighbors);
	e->paths = (struct tcp_path *)(base + l.paths);
	e->conns = (struct tcp_conn *)(base + l.conns);
	memcpy(e->key.k, config->hash_key, sizeof(e->key.k));
	e->dirty_head = e->dirty_tail = NIL;
	e->event_head = e->event_tail = NIL;
	return l;
}

void tcp_engine_init(struct tcp_engine *e, void *arena, const struct tcp_engine_config *config,
                     struct buf_pool *bufs)
{
	struct layout l = set_view(e, arena, config, bufs);
	u8 *base = arena;

	slots_init(&e->conn_slots, base + l.conn_slots, config->max_connections);
	slots_init(&e->path_slots, base + l.path_slots, config->max_paths);
	slots_init(&e->neighbor_slots, base + l.neighbor_slots, config->max_neighbors);
	wheel_init(&e->wheel, (struct wheel_entry *)(base + l.wheel), config->max_connections, 0);
	flowtab_init(&e->lookup, base + l.lookup, config->max_connections);
}

void tcp_engine_attach(struct tcp_engine *e, void *arena, const struct tcp_engine_config *config,
                       struct buf_pool *bufs, u64 now_ns)
{
	struct layout l = set_view(e, arena, config, bufs);
	u8 *base = arena;

	slots_attach(&e->conn_slots, base + l.conn_slots, config->max_connections);
	slots_attach(&e->path_slots, base + l.path_slots, config->max_paths);
	slots_attach(&e->neighbor_slots, base + l.neighbor_slots, config->max_neighbors);
	e->wheel.entry = (struct wheel_entry *)(base + l.wheel);
	e->wheel.count = config->max_connections;
	flowtab_init(&e->lookup, base + l.lookup, config->max_connections);
	tcp_engine_rebuild(e, now_ns);
}

static bool hash_of(void *context, u32 index, u32 *ret_hash)
{
	struct tcp_engine *e = context;
	const struct tcp_conn *c = conn_at(e, index);

	if (!slots_is_taken(&e->conn_slots, index) || (c->flags & CONN_QUIESCED) ||
	    c->state == TCP_CLOSED)
		return false;
	*ret_hash = conn_hash(e, c);
	return true;
}

static void rebuild_refs(struct tcp_engine *e)
{
	for (u32 i = 0; i < e->path_slots.count; i++)
		if (slots_is_taken(&e->path_slots, i))
			e->paths[i].refs = 0;
	for (u32 i = 0; i < e->neighbor_slots.count; i++)
		if (slots_is_taken(&e->neighbor_slots, i))
			e->neighbors[i].refs = 0;
	for (u32 i = 0; i < e->path_slots.count; i++)
		if (slots_is_taken(&e->path_slots, i))
			e->neighbors[e->paths[i].neighbor].refs++;
}

void tcp_engine_rebuild(struct tcp_engine *e, u64 now_ns)
{
	engine_set_now(e, now_ns);
	slots_rebuild(&e->conn_slots);
	slots_rebuild(&e->path_slots);
	slots_rebuild(&e->neighbor_slots);
	rebuild_refs(e);
	wheel_init(&e->wheel, e->wheel.entry, e->wheel.count, now_ns);
	e->dirty_head = e->dirty_tail = NIL;
	e->event_head = e->event_tail = NIL;
	e->n_parked = 0;
	for (u32 i = 0; i < e->conn_slots.count; i++) {
		struct tcp_conn *c = conn_at(e, i);

		if (!e->conn_slots.slot[i].generation)
			continue; /* never used: nothing was written there */
		c->flags &= (u16) ~(CONN_DIRTY | CONN_EVENT | CONN_PARKED);
		if (!slots_is_taken(&e->conn_slots, i))
			continue;
		e->paths[c->path].refs++;
		c->hash = conn_hash(e, c);
		c->armed_ns = TIMER_STOPPED;
		if (c->flags & CONN_QUIESCED)
			continue;
		timers_arm(e, c);
		/* What a connection owes is found out by asking all of them. */
		conn_mark_dirty(e, c);
		if (c->events)
			conn_event(e, c, 0);
	}
	/* Cannot fail: there are no more connections than the table was made for. */
	ASSERT(flowtab_rebuild(&e->lookup, e->conn_slots.count, hash_of, e) == 0);
}

u32 tcp_events(struct tcp_engine *e, struct tcp_event *ret, u32 cap)
{
	u32 n = 0;

	while (n < cap && e->event_head != NIL) {
		struct tcp_conn *c = conn_at(e, e->event_head);

		if (c->events)
			ret[n++] = (struct tcp_event){e->event_head, c->events};
		e->event_head = c->event_next;
		if (e->event_head == NIL)
			e->event_tail = NIL;
		else
			prefetchw(&conn_at(e, e->event_head)->snd_head);
		c->events = 0;
		c->flags &= (u16)~CONN_EVENT;
	}
	return n;
}

bool tcp_flush(struct tcp_engine *e, u64 now_ns, struct tx_batch *out)
{
	engine_set_now(e, now_ns);
	if (unlikely(e->unpark))
		conns_unpark(e);
	while (e->dirty_head != NIL) {
		struct tcp_conn *c = conn_at(e, e->dirty_head);

		if (c->dirty_next != NIL)
			prefetchw(conn_at(e, c->dirty_next));
		if (!conn_output(e, c, out))
			return true;
		/* conn_output() never changes the list but for its end. */
		e->dirty_head = c->dirty_next;
		if (e->dirty_head == NIL)
			e->dirty_tail = NIL;
		c->flags &= (u16)~CONN_DIRTY;
	}
	return false;
}

u64 tcp_next_deadline(const struct tcp_engine *e)
{
	return wheel_next_ns(&e->wheel);
}

const struct tcp_engine_counters *tcp_engine_counters(const struct tcp_engine *e)
{
	return &e->n;
}

u32 tcp_conn_path(const struct tcp_engine *e, u32 conn)
{
	return e->conns[conn].path;
}

u32 tcp_path_neighbor(const struct tcp_engine *e, u32 path)
{
	return e->paths[path].neighbor;
}

u8 tcp_conn_state(const struct tcp_engine *e, u32 conn)
{
	return e->conns[conn].state;
}

u32 tcp_conn_cwnd(const struct tcp_engine *e, u32 conn)
{
	return e->conns[conn].cwnd_bytes;
}

void tcp_engine_usage(const struct tcp_engine *e, struct tcp_engine_usage *ret_usage)
{
	u32 max = e->config.max_connections;

	*ret_usage = (struct tcp_engine_usage){
		.connections = e->conn_slots.n_taken,
		.paths = e->path_slots.n_taken,
		.neighbors = e->neighbor_slots.n_taken,
		.max_connections = max,
		.max_paths = e->config.max_paths,
		.max_neighbors = e->config.max_neighbors,
		.bytes_per_connection =
			sizeof(struct tcp_conn) + sizeof(struct wheel_entry) + sizeof(struct slot),
	};
	if (max)
		ret_usage->bytes_per_connection += (u32)(flowtab_bytes(max) / max);
}

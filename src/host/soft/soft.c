/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making a soft host, its cycle, and what its engine tells. */
#include "host/soft/priv.h"

enum {
	PAGE_BYTES = 4096,
	FRAGMENTS_EACH = 16, /* on average; one datagram may have more */
	BURST = 10,
};

/* -- memory ------------------------------------------------------------------------------------ */

struct layout {
	u8 *mem;
	size_t bytes;
};

static void *take(struct layout *l, size_t bytes)
{
	void *at = l->mem ? l->mem + l->bytes : NULL;

	l->bytes += (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
	return at;
}

struct parts {
	struct soft *s;
	void *arena, *slots, *flows;
};

static struct parts lay_out(struct layout *l, const struct soft_config *k)
{
	const struct tcp_engine_config *e = &k->engine;
	struct parts p;
	struct soft all;

	memset(&all, 0, sizeof(all));
	p.arena = take(l, tcp_engine_arena_bytes(e)); /* first: it wants a page */
	p.s = take(l, sizeof(*p.s));
	all.engine = take(l, tcp_engine_bytes());
	p.slots = take(l, slots_bytes(e->max_connections));
	p.flows = take(l, flowtab_bytes(e->max_connections));
	all.conn = take(l, e->max_connections * sizeof(*all.conn));
	all.of_engine = take(l, e->max_connections * sizeof(*all.of_engine));
	all.of_engine_neighbor = take(l, e->max_neighbors * sizeof(*all.of_engine_neighbor));
	all.route = take(l, e->max_paths * sizeof(*all.route));
	all.neighbor = take(l, e->max_neighbors * sizeof(*all.neighbor));
	all.prefix = take(l, k->max_prefixes * sizeof(*all.prefix));
	all.listener = take(l, k->max_listeners * sizeof(*all.listener));
	all.packet = take(l, k->max_packets * sizeof(*all.packet));
	all.reassembly = take(l, k->max_reassemblies * sizeof(*all.reassembly));
	all.fragment = take(l, FRAGMENTS_EACH * k->max_reassemblies * sizeof(*all.fragment));
	all.scratch = take(l, SOFT_SCRATCH_BYTES);
	if (p.s)
		*p.s = all;
	return p;
}

#define DEFAULT(field, value)              \
	do {                               \
		if (!(field))              \
			(field) = (value); \
	} while (0)

static struct soft_config with_defaults(const struct soft_config *config)
{
	struct soft_config k = *config;

	DEFAULT(k.max_prefixes, 16);
	DEFAULT(k.max_packets, 128);
	DEFAULT(k.max_reassemblies, 32);
	DEFAULT(k.max_reassembly_bytes, 256 * 1024);
	DEFAULT(k.reassembly_ns, 60 * NS_PER_S);
	DEFAULT(k.reachable_ns, 30 * NS_PER_S);
	DEFAULT(k.retrans_ns, NS_PER_S);
	DEFAULT(k.delay_probe_ns, 5 * NS_PER_S);
	DEFAULT(k.syn_received_ns, 63 * NS_PER_S);
	DEFAULT(k.pmtu_raise_ns, 600 * NS_PER_S);
	DEFAULT(k.icmp_per_s, 100);
	return k;
}

size_t soft_bytes(const struct soft_config *config)
{
	struct soft_config k = with_defaults(config);
	struct layout l = {.mem = NULL};

	lay_out(&l, &k);
	return (l.bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1);
}

/* Free lists, and secrets that are not those of the lookup table. */
static void start(struct soft *s)
{
	static const u8 label[] = "soft host";
	const struct soft_config *k = &s->config;
	struct hash_key key;

	memcpy(key.k, k->engine.hash_key, sizeof(key.k));
	s->key.k[0] = hash_bytes(&key, label, sizeof(label));
	key.k[1] ^= k->engine.seed;
	s->key.k[1] = hash_bytes(&key, label, sizeof(label));
	prng_seed(&s->prng, s->key.k[0] ^ s->key.k[1]);
	for (u32 i = 0; i < CONN_LISTS; i++)
		s->conns[i] = (struct soft_list){NIL, NIL, 0};
	s->out = s->spent = (struct soft_list){NIL, NIL, 0};
	for (u32 i = 0; i < k->max_packets; i++)
		s->packet[i].next = i + 1 < k->max_packets ? i + 1 : NIL;
	for (u32 i = 0; i < FRAGMENTS_EACH * k->max_reassemblies; i++)
		s->fragment[i].next = i + 1 < FRAGMENTS_EACH * k->max_reassemblies ? i + 1 : NIL;
	memset(s->route, 0, k->engine.max_paths * sizeof(*s->route));
	memset(s->neighbor, 0, k->engine.max_neighbors * sizeof(*s->neighbor));
	memset(s->listener, 0, k->max_listeners * sizeof(*s->listener));
	memset(s->reassembly, 0, k->max_reassemblies * sizeof(*s->reassembly));
	s->icmp_bucket.tokens = BURST;
}

struct soft *soft_init(void *mem, const struct soft_config *config, struct buf_pool *pool)
{
	struct soft_config k = with_defaults(config);
	struct layout l = {.mem = mem};
	struct parts p = lay_out(&l, &k);
	struct soft *s = p.s;

	s->config = k;
	s->pool = pool;
	slots_init(&s->slots, p.slots, k.engine.max_connections);
	flowtab_init(&s->flows, p.flows, k.engine.max_connections);
	tcp_engine_init(s->engine, p.arena, &k.engine, pool);
	start(s);
	return s;
}

void soft_attach_host(struct soft *s, struct host *host)
{
	s->host = host;
}

/* -- addresses --------------------------------------------------------------------------------- */

bool soft_is_local(const struct soft *s, const struct ip_addr *addr)
{
	return ip_addr_eq(addr, &s->config.local) || ip_addr_eq(addr, &s->config.local_other);
}

const struct ip_addr *soft_local_for(const struct soft *s, const struct ip_addr *other)
{
	static const struct ip_addr none;
	bool v4 = ip_addr_is_v4(other);

	if (ip_addr_is_v4(&s->config.local) == v4)
		return &s->config.local;
	if (ip_addr_eq(&s->config.local_other, &none) ||
	    ip_addr_is_v4(&s->config.local_other) != v4)
		return NULL;
	return &s->config.local_other;
}

bool soft_bucket_take(struct soft *s, struct soft_bucket *b, u32 per_s)
{
	u64 step_ns = NS_PER_S / per_s;
	u64 fresh = (s->now_ns - b->at_ns) / step_ns;

	if (fresh) {
		b->tokens = (u32)min_of(b->tokens + fresh, (u64)BURST);
		b->at_ns += fresh * step_ns;
	}
	if (!b->tokens)
		return false;
	b->tokens--;
	return true;
}

/* -- the cycle --------------------------------------------------------------------------------- */

void soft_set_time(struct soft *s, u64 now_ns)
{
	s->now_ns = now_ns;
}

void soft_timers(struct soft *s, u64 now_ns)
{
	s->now_ns = now_ns;
	tcp_timers(s->engine, now_ns);
	soft_collect(s);
	neighbor_timers(s);
	listen_timers(s);
	reasm_timers(s);
	pmtu_timers(s);
}

void soft_collect(struct soft *s)
{
	struct tcp_event events[SOFT_EVENTS];
	u32 n;

	while ((n = tcp_events(s->engine, events, SOFT_EVENTS))) {
		for (u32 i = 0; i < n; i++)
			soft_conn_event(s, &events[i]);
	}
}

void soft_events(struct soft *s)
{
	soft_collect(s);
	input_tell_host(s);
	icmp_tell_host(s);
	neighbor_tell_host(s);
	route_tell_host(s);
	pmtu_tell_host(s);
}

static void flush_acks(struct soft *s, struct tx_batch *tx)
{
	u32 n = min_of(s->n_acks, tx->cap - tx->n);

	memcpy(tx->frames + tx->n, s->acks, n * sizeof(s->acks[0]));
	tx->n += n;
	s->n_acks -= n;
	memmove(s->acks, s->acks + n, s->n_acks * sizeof(s->acks[0]));
}

bool soft_flush(struct soft *s, struct tx_batch *tx, u64 now_ns)
{
	bool more;
	u32 from;

	s->now_ns = now_ns;
	if (!tx->n)
		soft_link_taken(s);
	flush_acks(s, tx);
	soft_link_flush(s, tx);
	from = tx->n;
	pmtu_probe(s, tx);
	more = tcp_flush(s->engine, now_ns, tx);
	soft_hold_back(s, tx, from);
	/* What resolution made, and what the port must take before it is freed. */
	return more || s->n_acks || s->out.n || s->spent.n;
}

u64 soft_next_deadline(const struct soft *s)
{
	u64 at = tcp_next_deadline(s->engine);

	at = min_of(at, neighbor_deadline(s));
	at = min_of(at, listen_deadline(s));
	at = min_of(at, reasm_deadline(s));
	at = min_of(at, pmtu_deadline(s));
	/* Of what is owed now: with the next flush. */
	return s->out.n || s->n_done || s->n_errors ? min_of(at, s->now_ns) : at;
}

/* -- looking ----------------------------------------------------------------------------------- */

void soft_fail(struct soft *s, enum soft_fault fault, u32 nth)
{
	s->fail_in[fault] = nth;
}

const struct soft_counters *soft_counters(const struct soft *s)
{
	return &s->counters;
}

const struct tcp_engine_counters *soft_engine_counters(const struct soft *s)
{
	return tcp_engine_counters(s->engine);
}

struct tcp_engine *soft_engine(struct soft *s)
{
	return s->engine;
}

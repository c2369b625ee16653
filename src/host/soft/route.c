/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Routes: prefixes lead to next hops, and each remote address that is talked to gets a path of the
 * engine. Paths that no connection names are given up when room is needed.
 */
#include <errno.h>

#include "host/soft/priv.h"

enum {
	IP_ID_HALF = 32768,
	MAPPED_BITS = 96,
	ADDR_BITS = 128,
};

u32 soft_route_index(const struct soft *s, const struct soft_route_entry *r)
{
	return (u32)(r - s->route);
}

struct soft_route_entry *soft_find_route(const struct soft *s, const struct ip_addr *remote)
{
	for (u32 i = 0; i < s->config.engine.max_paths; i++) {
		if (s->route[i].used && ip_addr_eq(&s->route[i].remote, remote))
			return &s->route[i];
	}
	return NULL;
}

static bool in_prefix(const struct soft_prefix *p, const struct ip_addr *addr)
{
	u32 bytes = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->prefix.b, addr->b, bytes))
		return false;
	return !rest || !((p->prefix.b[bytes] ^ addr->b[bytes]) >> (8 - rest));
}

static bool is_dead(const struct soft *s, const struct soft_prefix *p)
{
	const struct soft_neighbor_entry *n = p->on_link ? NULL : neighbor_find(s, &p->gateway);

	return n && n->dead;
}

static bool is_better(const struct soft *s, const struct soft_prefix *p,
                      const struct soft_prefix *best)
{
	return p->bits > best->bits ||
	       (p->bits == best->bits && is_dead(s, best) && !is_dead(s, p));
}

static const struct soft_prefix *find_prefix(const struct soft *s, const struct ip_addr *remote)
{
	const struct soft_prefix *best = NULL;

	for (u32 i = 0; i < s->n_prefixes; i++) {
		const struct soft_prefix *p = &s->prefix[i];

		if (in_prefix(p, remote) && ip_addr_is_v4(remote) == ip_addr_is_v4(&p->prefix) &&
		    (!best || is_better(s, p, best)))
			best = p;
	}
	return best;
}

/* RFC 1122 3.3.6: all ones or all zeros behind the prefix of a link (but RFC 3021: of two, none).
 */
static bool is_directed_broadcast(const struct soft *s, const struct ip_addr *addr)
{
	const struct soft_prefix *p = find_prefix(s, addr);
	u32 host_bits, mask, host;

	if (!p || !p->on_link || p->bits < MAPPED_BITS || p->bits > ADDR_BITS - 2)
		return false;
	host_bits = ADDR_BITS - p->bits;
	mask = host_bits == 32 ? UINT32_MAX : (1u << host_bits) - 1;
	host = wire_get32(addr->b + 12) & mask;
	return host == mask || !host;
}

bool soft_is_nobody(const struct soft *s, const struct ip_addr *addr)
{
	static const struct ip_addr any6, loopback6 = {{[15] = 1}};

	if (soft_is_local(s, addr))
		return true;
	if (!ip_addr_is_v4(addr))
		return addr->b[0] == 0xff || ip_addr_eq(addr, &any6) ||
		       ip_addr_eq(addr, &loopback6);
	return addr->b[12] == 0 || addr->b[12] == 127 || addr->b[12] >= 224 ||
	       is_directed_broadcast(s, addr);
}

int soft_prefix(struct soft *s, const struct ip_addr *prefix, u32 len,
                const struct ip_addr *gateway, u32 mtu, u32 port)
{
	struct soft_prefix *p = &s->prefix[s->n_prefixes];
	u32 bits = ip_addr_is_v4(prefix) ? len + MAPPED_BITS : len;

	if (bits > ADDR_BITS || port >= TCP_PORTS_MAX ||
	    (gateway && ip_addr_is_v4(gateway) != ip_addr_is_v4(prefix)))
		return -EINVAL;
	if (s->n_prefixes == s->config.max_prefixes)
		return -ENOSPC;
	*p = (struct soft_prefix){
		.prefix = *prefix, .bits = bits, .mtu = mtu, .port = port, .on_link = !gateway};
	if (gateway)
		p->gateway = *gateway;
	s->n_prefixes++;
	return 0;
}

/* -- paths ------------------------------------------------------------------------------------- */

static struct path_state path_state(const struct soft *s, const struct soft_route_entry *r)
{
	return (struct path_state){
		.k = {.local_addr = *soft_local_for(s, &r->remote),
	              .remote_addr = r->remote,
	              .ip_id_start = r->ip_id_start,
	              .ip_id_confined = s->config.ip_id_confined},
		.c = {.path_mtu = r->mtu},
	};
}

/* Our own half begins where the device's ends (R61). */
static int add_path(struct soft *s, struct soft_route_entry *r)
{
	struct path_state state = path_state(s, r);

	state.k.ip_id_start = (u16)(r->ip_id_start + IP_ID_HALF);
	state.d.next_ip_id = state.k.ip_id_start;
	return tcp_path_add(s->engine, &state, s->neighbor[r->neighbor].eng, &r->path);
}

/* A free entry, or the one that nobody has asked for for longest. */
static struct soft_route_entry *free_entry(struct soft *s)
{
	struct soft_route_entry *oldest = NULL;

	for (u32 i = 0; i < s->config.engine.max_paths; i++) {
		struct soft_route_entry *r = &s->route[i];

		if (!r->used)
			return r;
		if (r->conns || r->by_caller)
			continue;
		if (!oldest || r->used_ns < oldest->used_ns)
			oldest = r;
	}
	if (!oldest || tcp_path_remove(s->engine, oldest->path))
		return NULL;
	s->routes_dirty -= oldest->mtu_changed;
	oldest->used = false;
	return oldest;
}

static int make_path(struct soft *s, const struct ip_addr *remote, u32 neighbor, u32 mtu,
                     struct soft_route_entry **ret)
{
	struct soft_route_entry *r = free_entry(s);
	int err;

	if (!soft_local_for(s, remote))
		return -ENOENT;
	if (!r)
		return -ENOSPC;
	*r = (struct soft_route_entry){
		.remote = *remote, .neighbor = neighbor, .mtu = mtu, .link_mtu = mtu};
	/* The same each time: a path that comes again keeps its halves. */
	r->ip_id_start = (u16)hash_bytes(&s->key, remote->b, sizeof(remote->b));
	pmtu_init(s, r);
	err = add_path(s, r);
	if (err)
		return err;
	r->used = true;
	r->used_ns = s->now_ns;
	*ret = r;
	return 0;
}

struct soft_route_entry *soft_way(struct soft *s, const struct ip_addr *remote)
{
	struct soft_route_entry *r = soft_find_route(s, remote);
	const struct soft_prefix *p;
	struct soft_neighbor_entry *n;

	if (r) {
		r->used_ns = s->now_ns;
		return r;
	}
	p = find_prefix(s, remote);
	if (!p)
		return NULL;
	n = neighbor_get(s, p->on_link ? remote : &p->gateway, p->port);
	if (!n || make_path(s, remote, (u32)(n - s->neighbor), p->mtu, &r))
		return NULL;
	return r;
}

void route_leave(struct soft *s, const struct soft_neighbor_entry *dead)
{
	for (u32 i = 0; i < s->config.engine.max_paths; i++) {
		struct soft_route_entry *r = &s->route[i];
		const struct soft_prefix *p;
		struct soft_neighbor_entry *n;

		if (!r->used || r->by_caller || &s->neighbor[r->neighbor] != dead)
			continue;
		p = find_prefix(s, &r->remote);
		if (!p || p->on_link || is_dead(s, p))
			continue;
		n = neighbor_get(s, &p->gateway, p->port);
		if (!n)
			continue;
		r->neighbor = (u32)(n - s->neighbor);
		r->hop_changed = s->hops_dirty = true;
		tcp_path_set_neighbor(s->engine, r->path, n->eng);
		if (p->mtu < r->mtu)
			(void)pmtu_too_big(s, r, p->mtu);
		(void)neighbor_use(s, n);
	}
}

void route_tell_host(struct soft *s)
{
	bool dirty = false;

	for (u32 i = 0; s->hops_dirty && i < s->config.engine.max_paths; i++) {
		struct soft_route_entry *r = &s->route[i];
		const struct soft_neighbor_entry *n = &s->neighbor[r->neighbor];
		struct neighbor_state state;
		struct neighbor_key to;
		struct path_key key;

		if (!r->used || !r->hop_changed)
			continue;
		if (n->state == SOFT_NONE || n->state == SOFT_INCOMPLETE) {
			dirty = true;
			continue;
		}
		r->hop_changed = false;
		if (s->host && !soft_path_key(s, &r->remote, &key) &&
		    !soft_neighbor_key(s, &n->next_hop, &to, &state) &&
		    !host_route_changed(s->host, &key, 1, &to, &state))
			s->counters.host_updates++;
	}
	s->hops_dirty = dirty;
}

int soft_route(struct soft *s, const struct ip_addr *remote, const struct ip_addr *next_hop,
               u32 mtu)
{
	const struct soft_neighbor_entry *n = neighbor_find(s, next_hop);
	struct soft_route_entry *r = soft_find_route(s, remote);
	int err;

	if (!n)
		return -ENOENT;
	if (!r) {
		err = make_path(s, remote, (u32)(n - s->neighbor), mtu, &r);
		if (!err)
			r->by_caller = true;
		return err;
	}
	r->by_caller = true;
	r->mtu = r->link_mtu = mtu;
	r->neighbor = (u32)(n - s->neighbor);
	pmtu_init(s, r);
	tcp_path_update(s->engine, r->path, &(struct path_cached){.path_mtu = mtu});
	tcp_path_set_neighbor(s->engine, r->path, n->eng);
	return 0;
}

int soft_path_key(const struct soft *s, const struct ip_addr *remote, struct path_key *ret_key)
{
	const struct soft_route_entry *r = soft_find_route(s, remote);

	if (!r)
		return -ENOENT;
	*ret_key = (struct path_key){.local = *soft_local_for(s, remote), .remote = *remote};
	return 0;
}

int soft_path_info(const struct soft *s, const struct ip_addr *remote,
                   struct soft_path_info *ret_info)
{
	const struct soft_route_entry *r = soft_find_route(s, remote);

	if (!r)
		return -ENOENT;
	*ret_info = (struct soft_path_info){
		.mtu = r->mtu, .search_high = r->search_high, .probe_bytes = r->probe_bytes};
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Neighbors: the states of RFC 4861 7.3.2 for both families (RFC 1122 2.3.2.1 asks the same of
 * ARP), with UNREACHABLE of RFC 7048.
 *
 *   NONE         use: -> INCOMPLETE, ask all
 *   INCOMPLETE   asked three times in vain: what waits is dropped -> NONE
 *   REACHABLE    confirmed within the reachable time; then -> STALE
 *   STALE        use: -> DELAY
 *   DELAY        no confirmation in 5 s: -> PROBE
 *   PROBE        asks the neighbor itself, three times at 0, 1, 4 s; 9 s later -> UNREACHABLE
 *   UNREACHABLE  asks all, ever more seldom, while something is sent there; the address is used on
 */
#include <errno.h>

#include "host/soft/priv.h"

enum {
	MULTICAST_SOLICITS = 3, /* RFC 4861 10 MAX_MULTICAST_SOLICIT */
	UNICAST_SOLICITS = 3,   /* MAX_UNICAST_SOLICIT, RFC 7048 3 MARK_UNREACHABLE */
	BACKOFF_MULTIPLE = 3,   /* RFC 7048 3 */
};

static const u64 backoff_max_ns = 60 * NS_PER_S;  /* RFC 7048 3 MAX_RETRANS_TIMER */
static const u64 redraw_ns = 2 * 3600 * NS_PER_S; /* RFC 4861 6.3.2: every few hours */

/* -- entries ----------------------------------------------------------------------------------- */

struct soft_neighbor_entry *neighbor_find(const struct soft *s, const struct ip_addr *hop)
{
	for (u32 i = 0; i < s->config.engine.max_neighbors; i++) {
		if (s->neighbor[i].taken && ip_addr_eq(&s->neighbor[i].next_hop, hop))
			return &s->neighbor[i];
	}
	return NULL;
}

struct soft_neighbor_entry *neighbor_of_engine(const struct soft *s, u32 eng)
{
	return &s->neighbor[s->of_engine_neighbor[eng]];
}

struct neighbor_state neighbor_state_of(const struct soft *s, const struct soft_neighbor_entry *n)
{
	return (struct neighbor_state){
		.k = {.source_mac = s->config.mac, .port = n->port, .encapsulations = 1},
		.c = {.next_hop_mac = n->mac, .header_format = LINK_DIX},
	};
}

/* A free entry; else one that no path names. */
static struct soft_neighbor_entry *free_entry(struct soft *s)
{
	for (u32 i = 0; i < s->config.engine.max_neighbors; i++) {
		if (!s->neighbor[i].taken)
			return &s->neighbor[i];
	}
	for (u32 i = 0; i < s->config.engine.max_neighbors; i++) {
		struct soft_neighbor_entry *n = &s->neighbor[i];

		if (n->state == SOFT_PERMANENT || tcp_neighbor_remove(s->engine, n->eng))
			continue;
		soft_pending_drop(s, n);
		s->neighbors_dirty -= n->changed;
		n->taken = false;
		return n;
	}
	return NULL;
}

static struct soft_neighbor_entry *make(struct soft *s, const struct ip_addr *hop,
                                        const struct mac_addr *mac, u32 port)
{
	struct soft_neighbor_entry *n = free_entry(s);
	struct neighbor_state state;

	if (!n)
		return NULL;
	*n = (struct soft_neighbor_entry){
		.next_hop = *hop, .port = port, .at_ns = TIMER_STOPPED, .pending = {NIL, NIL, 0}};
	if (mac)
		n->mac = *mac;
	state = neighbor_state_of(s, n);
	if (tcp_neighbor_add(s->engine, &state, &n->eng))
		return NULL;
	s->of_engine_neighbor[n->eng] = (u32)(n - s->neighbor);
	n->taken = true;
	return n;
}

struct soft_neighbor_entry *neighbor_get(struct soft *s, const struct ip_addr *hop, u32 port)
{
	struct soft_neighbor_entry *n = neighbor_find(s, hop);

	return n ? n : make(s, hop, NULL, port);
}

static void set_mac(struct soft *s, struct soft_neighbor_entry *n, const struct mac_addr *mac)
{
	struct neighbor_state state;

	n->mac = *mac;
	state = neighbor_state_of(s, n);
	tcp_neighbor_update(s->engine, n->eng, &state.c);
}

int soft_neighbor(struct soft *s, const struct ip_addr *next_hop, const struct mac_addr *mac,
                  u32 port)
{
	struct soft_neighbor_entry *n = neighbor_find(s, next_hop);

	if (!n)
		n = make(s, next_hop, mac, port);
	if (!n)
		return -ENOSPC;
	set_mac(s, n, mac);
	n->state = SOFT_PERMANENT;
	n->dead = false;
	n->at_ns = TIMER_STOPPED;
	soft_pending_go(s, n);
	return 0;
}

int soft_neighbor_key(const struct soft *s, const struct ip_addr *next_hop,
                      struct neighbor_key *ret_key, struct neighbor_state *ret_state)
{
	const struct soft_neighbor_entry *n = neighbor_find(s, next_hop);

	if (!n)
		return -ENOENT;
	*ret_key = (struct neighbor_key){.next_hop = *next_hop, .port = n->port};
	if (ret_state)
		*ret_state = neighbor_state_of(s, n);
	return 0;
}

int soft_neighbor_info(const struct soft *s, const struct ip_addr *next_hop,
                       struct soft_neighbor_info *ret_info)
{
	const struct soft_neighbor_entry *n = neighbor_find(s, next_hop);

	if (!n)
		return -ENOENT;
	*ret_info = (struct soft_neighbor_info){
		.state = n->state, .router = n->router, .mac = n->mac, .pending = n->pending.n};
	return 0;
}

/* -- states ------------------------------------------------------------------------------------ */

static void ask(struct soft *s, struct soft_neighbor_entry *n, bool all)
{
	const struct mac_addr *to = all ? NULL : &n->mac;

	s->counters.solicits++;
	n->solicits++;
	n->asked_ns = s->now_ns;
	n->used = false;
	if (ip_addr_is_v4(&n->next_hop))
		arp_ask(s, &n->next_hop, to, n->port);
	else
		nd_ask(s, &n->next_hop, to, n->port);
}

static void enter(struct soft *s, struct soft_neighbor_entry *n, enum soft_reach state, u64 in_ns)
{
	n->state = (u8)state;
	n->dead = n->dead && (state == SOFT_NONE || state == SOFT_INCOMPLETE);
	n->solicits = 0;
	n->at_ns = in_ns == TIMER_STOPPED ? TIMER_STOPPED : s->now_ns + in_ns;
}

/* RFC 4861 6.3.2: between half and one and a half of the base. */
static u64 reachable_ns(struct soft *s)
{
	u64 half = s->config.reachable_ns / 2;

	if (!s->reachable_ns || s->now_ns - s->reachable_at_ns >= redraw_ns) {
		s->reachable_ns = half + half * prng_below(&s->prng, 2001) / 1000;
		s->reachable_at_ns = s->now_ns;
	}
	return s->reachable_ns;
}

/* RFC 7048 3: 1, 3, 9, 27, 60 s. `n` solicitations were sent. */
static u64 backoff_ns(const struct soft *s, u32 n)
{
	u64 ns = s->config.retrans_ns;

	for (; n > 1 && ns < backoff_max_ns; n--)
		ns *= BACKOFF_MULTIPLE;
	return min_of(ns, backoff_max_ns);
}

bool neighbor_use(struct soft *s, struct soft_neighbor_entry *n)
{
	n->used = true;
	switch (n->state) {
	case SOFT_NONE:
		enter(s, n, SOFT_INCOMPLETE, s->config.retrans_ns);
		ask(s, n, true);
		return false;
	case SOFT_INCOMPLETE:
		return false;
	case SOFT_STALE:
		enter(s, n, SOFT_DELAY, s->config.delay_probe_ns);
		return true;
	case SOFT_UNREACHABLE:
		/* Nobody wanted it for a while, so nobody asked. */
		if (n->at_ns == TIMER_STOPPED)
			n->at_ns = s->now_ns;
		return true;
	default:
		return true;
	}
}

/* RFC 4861 7.2.2, RFC 1122 4.2.3.9: who waited hears that the host is unreachable, no more. */
static void unreachable(struct soft *s, struct soft_neighbor_entry *n)
{
	n->dead = true;
	s->counters.neighbors_failed++;
	for (u32 i = 0; i < s->config.engine.max_connections; i++) {
		struct soft_conn *c = &s->conn[i];

		if (slots_is_taken(&s->slots, i) &&
		    s->route[c->route].neighbor == (u32)(n - s->neighbor))
			c->soft_error = EHOSTUNREACH;
	}
}

static void due(struct soft *s, struct soft_neighbor_entry *n)
{
	switch (n->state) {
	case SOFT_INCOMPLETE:
		if (n->solicits >= MULTICAST_SOLICITS) {
			unreachable(s, n);
			enter(s, n, SOFT_NONE, TIMER_STOPPED);
			soft_pending_drop(s, n);
			return;
		}
		ask(s, n, true);
		n->at_ns = s->now_ns + s->config.retrans_ns;
		return;
	case SOFT_REACHABLE:
		enter(s, n, SOFT_STALE, TIMER_STOPPED);
		return;
	case SOFT_DELAY:
		enter(s, n, SOFT_PROBE, 0);
		break;
	case SOFT_PROBE:
		if (n->solicits < UNICAST_SOLICITS)
			break;
		unreachable(s, n);
		n->state = SOFT_UNREACHABLE;
		break;
	case SOFT_UNREACHABLE:
		if (n->used)
			break;
		n->at_ns = TIMER_STOPPED;
		return;
	default:
		n->at_ns = TIMER_STOPPED;
		return;
	}
	ask(s, n, n->state == SOFT_UNREACHABLE);
	n->at_ns = s->now_ns + backoff_ns(s, n->solicits);
}

static void tell(struct soft *s, struct soft_neighbor_entry *n)
{
	s->neighbors_dirty += !n->changed;
	n->changed = true;
}

/* A new address: one update, whatever depends on it. */
static bool change_mac(struct soft *s, struct soft_neighbor_entry *n, const struct mac_addr *mac)
{
	if (n->state != SOFT_NONE && n->state != SOFT_INCOMPLETE && !memcmp(n->mac.b, mac->b, 6))
		return false;
	set_mac(s, n, mac);
	s->counters.neighbors_changed++;
	tell(s, n);
	return true;
}

static void reachable(struct soft *s, struct soft_neighbor_entry *n)
{
	enter(s, n, SOFT_REACHABLE, reachable_ns(s));
	if (n->device_asks)
		tell(s, n);
	n->device_asks = false;
	soft_pending_go(s, n);
}

/* RFC 4861 7.2.5, in its order. */
void neighbor_answered(struct soft *s, struct soft_neighbor_entry *n,
                       const struct neighbor_answer *a)
{
	bool other = a->mac && memcmp(n->mac.b, a->mac->b, 6);

	if (n->state == SOFT_PERMANENT || n->state == SOFT_NONE)
		return;
	if (n->state == SOFT_INCOMPLETE) {
		if (!a->mac)
			return;
		change_mac(s, n, a->mac);
		n->router = a->router;
		if (a->solicited) {
			reachable(s, n);
		} else {
			enter(s, n, SOFT_STALE, TIMER_STOPPED);
			soft_pending_go(s, n);
		}
		return;
	}
	if (other && !a->override) {
		if (n->state == SOFT_REACHABLE)
			enter(s, n, SOFT_STALE, TIMER_STOPPED);
		return;
	}
	if (other)
		change_mac(s, n, a->mac);
	n->router = a->router;
	if (a->solicited)
		reachable(s, n);
	else if (other)
		enter(s, n, SOFT_STALE, TIMER_STOPPED);
}

void neighbor_asks(struct soft *s, struct soft_neighbor_entry *n, const struct mac_addr *mac)
{
	if (n->state == SOFT_PERMANENT || !change_mac(s, n, mac))
		return;
	enter(s, n, SOFT_STALE, TIMER_STOPPED);
	soft_pending_go(s, n);
}

void neighbor_confirm(struct soft *s, struct soft_neighbor_entry *n)
{
	if (n->state >= SOFT_REACHABLE)
		reachable(s, n);
}

void neighbor_doubt(struct soft *s, struct soft_neighbor_entry *n)
{
	if (n->state == SOFT_REACHABLE)
		enter(s, n, SOFT_STALE, TIMER_STOPPED);
}

/* -- time, and the host ------------------------------------------------------------------------ */

void neighbor_timers(struct soft *s)
{
	for (u32 i = 0; i < s->config.engine.max_neighbors; i++) {
		struct soft_neighbor_entry *n = &s->neighbor[i];

		if (!n->taken || n->at_ns > s->now_ns)
			continue;
		due(s, n);
		if (n->dead)
			route_leave(s, n);
	}
}

u64 neighbor_deadline(const struct soft *s)
{
	u64 at = TIMER_STOPPED;

	for (u32 i = 0; i < s->config.engine.max_neighbors; i++) {
		if (s->neighbor[i].taken)
			at = min_of(at, s->neighbor[i].at_ns);
	}
	return at;
}

bool soft_reachable(void *soft, const struct neighbor_key *key)
{
	struct soft *s = soft;
	struct soft_neighbor_entry *n = neighbor_find(s, &key->next_hop);

	if (!n)
		return false;
	/* The device is about to send. */
	(void)neighbor_use(s, n);
	n->device_asks = n->state != SOFT_PERMANENT && n->state != SOFT_REACHABLE;
	return !n->device_asks;
}

void neighbor_tell_host(struct soft *s)
{
	for (u32 i = 0; s->neighbors_dirty && i < s->config.engine.max_neighbors; i++) {
		struct soft_neighbor_entry *n = &s->neighbor[i];
		const struct neighbor_key key = {.next_hop = n->next_hop, .port = n->port};

		if (!n->taken || !n->changed)
			continue;
		n->changed = false;
		s->neighbors_dirty--;
		if (s->host && !host_neighbor_changed(s->host, &key, &n->mac, LINK_DIX))
			s->counters.host_updates++;
	}
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The MTU of a path. Down: by an ICMP error that quotes what is on its way (RFC 1191, RFC 8201),
 * or, where no error comes, because full segments are lost again and again (RFC 4821 7.7). Up:
 * after ten minutes, at once (RFC 1191 6.3), or by probes: data in segments that are larger than
 * what is known to pass, first as large as the first hop allows, then between (RFC 4821 7.3).
 */
#include "tcp/pmtu.h"

#include "host/soft/priv.h"

enum {
	MTU_MIN_4 = 552,  /* less asks for tiny segments (RFC 5927 7.3, Linux's min_pmtu) */
	MTU_MIN_6 = 1280, /* RFC 8201 4: never below */
	HEADERS_MIN = 40,
	MTU_BASE = 1024,  /* RFC 4821 7.2: passes nearly everywhere */
	SEARCH_STEP = 16, /* RFC 4821 7.3: closer is not worth a probe */
};

static const u64 probe_interval_ns = 1 * NS_PER_S; /* between two probes of a path */
static const u64 hole_ns = 3 * NS_PER_S; /* for something to come through after a step down */

/* RFC 1191 7.1, with what links have today. */
static const u16 plateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1280, 1024, MTU_MIN_4};

static u32 floor_of(const struct soft_route_entry *r)
{
	return ip_addr_is_v4(&r->remote) ? MTU_MIN_4 : MTU_MIN_6;
}

static u32 plateau_below(u32 mtu)
{
	for (u32 i = 0; i < ARRAY_SIZE(plateaus); i++) {
		if (plateaus[i] < mtu)
			return plateaus[i];
	}
	return MTU_MIN_4;
}

void pmtu_init(struct soft *s, struct soft_route_entry *r)
{
	r->search_high = r->mtu;
	r->raise_ns = r->hole_ns = TIMER_STOPPED;
	r->probe_ns = 0;
	r->probe_bytes = 0;
	r->candidate = NIL;
}

static void set_mtu(struct soft *s, struct soft_route_entry *r, u32 mtu)
{
	r->mtu = mtu;
	tcp_path_update(s->engine, r->path, &(struct path_cached){.path_mtu = mtu});
	s->routes_dirty += !r->mtu_changed;
	r->mtu_changed = true;
}

static void lower(struct soft *s, struct soft_route_entry *r, u32 mtu)
{
	r->search_high = mtu;
	r->probe_bytes = 0;
	r->raise_ns = s->now_ns + s->config.pmtu_raise_ns;
	set_mtu(s, r, mtu);
}

bool pmtu_too_big(struct soft *s, struct soft_route_entry *r, u32 mtu)
{
	/* RFC 1191 5: an old router does not say; 0 is never meant. */
	if (!mtu)
		mtu = plateau_below(r->mtu);
	mtu = max_of(mtu, floor_of(r));
	if (mtu >= r->mtu) {
		/* About a probe: it is an answer too (RFC 4821 7.6.1). */
		r->search_high = min_of(r->search_high, mtu);
		return false;
	}
	s->counters.pmtu_lowered++;
	lower(s, r, mtu);
	return true;
}

/* A host that stalls says so once, so the next step is by a clock. */
void pmtu_stalled(struct soft *s, struct soft_route_entry *r, u32 queued)
{
	u32 mtu = max_of(r->mtu > MTU_BASE ? (u32)MTU_BASE : floor_of(r), floor_of(r));

	/* A SYN, or a segment that would pass a smaller MTU as well, is lost for another reason. */
	if (mtu >= r->mtu || queued + HEADERS_MIN <= mtu)
		return;
	s->counters.pmtu_black_holes++;
	lower(s, r, mtu);
	/* What is smaller may pass where this did not: the search begins between. */
	r->search_high = r->link_mtu;
	r->probe_ns = s->now_ns + s->config.pmtu_raise_ns;
	r->hole_ns = s->now_ns + hole_ns;
}

/* -- probes ------------------------------------------------------------------------------------ */

static bool is_due(const struct soft *s, const struct soft_route_entry *r)
{
	return s->config.plpmtud && r->used && !r->probe_bytes && r->candidate != NIL &&
	       r->probe_ns <= s->now_ns && r->search_high > r->mtu &&
	       (r->search_high - r->mtu > SEARCH_STEP || r->search_high == r->link_mtu);
}

/* The largest first, most paths have one MTU; then the middle. */
static u32 next_size(const struct soft_route_entry *r)
{
	if (r->search_high == r->link_mtu)
		return r->search_high;
	return (r->mtu + r->search_high + 1) / 2;
}

static void probe_route(struct soft *s, struct soft_route_entry *r, struct tx_batch *tx)
{
	const struct soft_conn *c = &s->conn[r->candidate];
	u32 bytes = next_size(r);

	if (!slots_is_taken(&s->slots, r->candidate) || c->eng == NIL || c->frozen ||
	    c->route != soft_route_index(s, r)) {
		r->candidate = NIL;
		return;
	}
	if (!tcp_conn_probe(s->engine, c->eng, bytes, s->now_ns, tx, &r->probe_seq, &r->probe_end))
		return;
	s->counters.pmtu_probes++;
	r->probe_cwnd = tcp_conn_cwnd(s->engine, c->eng);
	r->probe_bytes = bytes;
	r->probe_conn = r->candidate;
}

void pmtu_probe(struct soft *s, struct tx_batch *tx)
{
	for (u32 i = 0; s->config.plpmtud && i < s->config.engine.max_paths; i++) {
		if (is_due(s, &s->route[i]))
			probe_route(s, &s->route[i], tx);
	}
}

static void failed(struct soft *s, struct soft_route_entry *r)
{
	r->search_high = r->probe_bytes - 1;
	r->probe_bytes = 0;
	r->probe_ns = s->now_ns + probe_interval_ns;
	r->raise_ns = s->now_ns + s->config.pmtu_raise_ns;
}

static void passed(struct soft *s, struct soft_route_entry *r)
{
	u32 mtu = r->probe_bytes;

	s->counters.pmtu_raised++;
	r->probe_bytes = 0;
	r->probe_ns = s->now_ns;
	if (mtu == r->link_mtu)
		r->raise_ns = TIMER_STOPPED;
	set_mtu(s, r, mtu);
}

void pmtu_progress(struct soft *s, struct soft_conn *c)
{
	struct soft_route_entry *r = &s->route[c->route];
	struct tcp_state state;

	r->candidate = (u32)(c - s->conn);
	r->hole_ns = TIMER_STOPPED;
	if (!r->probe_bytes || r->probe_conn != r->candidate || c->eng == NIL)
		return;
	tcp_conn_export(s->engine, c->eng, s->now_ns, &state);
	if (seq_geq(state.d.snd_una, r->probe_end))
		passed(s, r);
}

/* A probe that is sent again was lost: it was too big (RFC 4821 7.6.2). */
void pmtu_look(struct soft *s, const struct tx_frame *f)
{
	struct soft_route_entry *r;
	const struct soft_conn *c;
	tcp_seq seq;

	if (!s->config.plpmtud || !f->payload_len)
		return;
	c = &s->conn[s->of_engine[f->conn]];
	r = &s->route[c->route];
	if (!r->probe_bytes || r->probe_conn != (u32)(c - s->conn))
		return;
	seq = seq_of(wire_get32(f->header + f->header_off + WIRE_ETH_BYTES +
	                        (ip_addr_is_v4(&r->remote) ? WIRE_IP4_BYTES : WIRE_IP6_BYTES) + 4));
	if (seq_eq(seq, r->probe_seq) && seq_eq(seq_add(seq, f->payload_len), r->probe_end))
		return; /* the probe itself */
	if (!seq_leq(seq, r->probe_seq) || seq_leq(seq_add(seq, f->payload_len), r->probe_seq))
		return;
	tcp_conn_probe_lost(s->engine, c->eng, r->probe_bytes, r->probe_cwnd);
	failed(s, r);
}

/* -- time, and the host ------------------------------------------------------------------------ */

void pmtu_timers(struct soft *s)
{
	for (u32 i = 0; i < s->config.engine.max_paths; i++) {
		struct soft_route_entry *r = &s->route[i];

		if (r->used && r->hole_ns <= s->now_ns) {
			r->hole_ns = TIMER_STOPPED;
			pmtu_stalled(s, r, r->mtu);
		}
		if (!r->used || r->raise_ns > s->now_ns)
			continue;
		r->raise_ns = TIMER_STOPPED;
		r->search_high = r->link_mtu;
		r->probe_ns = s->now_ns;
		if (s->config.plpmtud || r->mtu >= r->link_mtu)
			continue;
		s->counters.pmtu_raised++;
		set_mtu(s, r, r->link_mtu);
	}
}

u64 pmtu_deadline(const struct soft *s)
{
	u64 at = TIMER_STOPPED;

	for (u32 i = 0; i < s->config.engine.max_paths; i++) {
		if (s->route[i].used)
			at = min_of(at, min_of(s->route[i].raise_ns, s->route[i].hole_ns));
	}
	return at;
}

void pmtu_tell_host(struct soft *s)
{
	for (u32 i = 0; s->routes_dirty && i < s->config.engine.max_paths; i++) {
		struct soft_route_entry *r = &s->route[i];
		struct path_key key;

		if (!r->used || !r->mtu_changed)
			continue;
		r->mtu_changed = false;
		s->routes_dirty--;
		if (s->host && !soft_path_key(s, &r->remote, &key) &&
		    !host_path_mtu(s->host, &key, r->mtu))
			s->counters.host_updates++;
	}
}

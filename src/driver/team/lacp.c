/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "driver/team/lacp.h"

enum {
	DEFAULT_PRIORITY = 32768,
	TX_PER_WINDOW = 3,
	/* What of an actor's state its partner must know (802.1AX 6.4.9, update_NTT). */
	SHARED_BITS = LACP_ACTIVITY | LACP_TIMEOUT | LACP_AGGREGATION | LACP_SYNCHRONIZATION,
	MUX_BITS = LACP_SYNCHRONIZATION | LACP_COLLECTING | LACP_DISTRIBUTING,
};

#define FAST_PERIODIC_NS  (1 * NS_PER_S)
#define SLOW_PERIODIC_NS  (30 * NS_PER_S)
#define SHORT_TIMEOUT_NS  (3 * NS_PER_S)
#define LONG_TIMEOUT_NS   (90 * NS_PER_S)
#define AGGREGATE_WAIT_NS (2 * NS_PER_S)
#define STOPPED           UINT64_MAX

static const char *const why_sentences[LACP_WHYS] = {
	[LACP_UP] = "The link carries frames.",
	[LACP_NO_CARRIER] = "The link has no carrier.",
	[LACP_NO_PARTNER] = "No LACPDU came from the other end in time.",
	[LACP_OTHER_PARTNER] =
		"The link leads to another system, or another key, than the aggregate.",
	[LACP_INDIVIDUAL] = "The other end does not let the link be aggregated.",
	[LACP_LOOPED] = "The link leads back to this system.",
	[LACP_OTHER_KEY] =
		"The link's own key, its speed for example, is not that of the aggregate.",
	[LACP_HELD] = "The link was taken out by an administrator.",
	[LACP_NOT_YET] = "The link is selected and waits two seconds for others to come with it.",
	[LACP_PARTNER_NOT_YET] = "The other end has not put the link into its aggregate yet.",
};

const char *lacp_why_sentence(enum lacp_why why)
{
	return why < LACP_WHYS ? why_sentences[why] : "Unknown.";
}

static u16 or_default(u16 value, u16 otherwise)
{
	return value ? value : otherwise;
}

/* -- who is who -------------------------------------------------------------------------------- */

static bool same_system(const struct wire_lacp_info *a, const struct wire_lacp_info *b)
{
	return a->system_priority == b->system_priority &&
	       !memcmp(&a->system, &b->system, sizeof(a->system));
}

/* The parameters that name one link of one system, and the given state bits. */
static bool same_info(const struct wire_lacp_info *a, const struct wire_lacp_info *b, u8 bits)
{
	return same_system(a, b) && a->key == b->key && a->port == b->port &&
	       a->port_priority == b->port_priority && !((a->state ^ b->state) & bits);
}

static bool leads_to_aggregate(const struct lacp *l, const struct lacp_port *p)
{
	return l->has_aggregate && p->partner.key == l->partner_key &&
	       p->partner.system_priority == l->partner_priority &&
	       !memcmp(&p->partner.system, &l->partner, sizeof(l->partner));
}

static enum lacp_why eligible(const struct lacp *l, const struct lacp_port *p)
{
	if (!p->enabled)
		return LACP_NO_CARRIER;
	if (p->actor.key != or_default(l->config.key, 1))
		return LACP_OTHER_KEY;
	if (p->held)
		return LACP_HELD;
	if (p->rx != LACP_RX_CURRENT && p->rx != LACP_RX_EXPIRED)
		return LACP_NO_PARTNER;
	if (p->actor.state & LACP_DEFAULTED) /* expired before anybody was heard */
		return LACP_NO_PARTNER;
	if (!memcmp(&p->partner.system, &p->actor.system, sizeof(p->actor.system)))
		return LACP_LOOPED;
	if (!(p->partner.state & LACP_AGGREGATION))
		return LACP_INDIVIDUAL;
	return LACP_UP;
}

/* -- mux machine (6.4.15, coupled) ------------------------------------------------------------- */

static void mux_enter(struct lacp *l, struct lacp_port *p, enum lacp_mux_state state, u64 now_ns)
{
	u8 bits = state == LACP_MUX_UP         ? MUX_BITS
	          : state == LACP_MUX_ATTACHED ? LACP_SYNCHRONIZATION
	                                       : 0;

	l->changes += (state == LACP_MUX_UP) != (p->mux == LACP_MUX_UP);
	p->mux = state;
	p->wait_while_ns = state == LACP_MUX_WAITING ? now_ns + AGGREGATE_WAIT_NS : STOPPED;
	if ((p->actor.state & MUX_BITS) != bits)
		p->ntt = true;
	p->actor.state = (u8)((p->actor.state & ~MUX_BITS) | bits);
}

static bool partner_in_sync(const struct lacp_port *p)
{
	return p->partner.state & LACP_SYNCHRONIZATION;
}

/* One transition; false: none is due. */
static bool mux_step(struct lacp *l, struct lacp_port *p, u64 now_ns)
{
	switch ((enum lacp_mux_state)p->mux) {
	case LACP_MUX_DETACHED:
		if (!p->selected)
			return false;
		mux_enter(l, p, LACP_MUX_WAITING, now_ns);
		return true;
	case LACP_MUX_WAITING:
		if (p->selected && now_ns < p->wait_while_ns)
			return false;
		mux_enter(l, p, p->selected ? LACP_MUX_ATTACHED : LACP_MUX_DETACHED, now_ns);
		return true;
	case LACP_MUX_ATTACHED:
		if (p->selected && !partner_in_sync(p))
			return false;
		mux_enter(l, p, p->selected ? LACP_MUX_UP : LACP_MUX_DETACHED, now_ns);
		return true;
	case LACP_MUX_UP:
		if (p->selected && partner_in_sync(p))
			return false;
		mux_enter(l, p, LACP_MUX_ATTACHED, now_ns);
		return true;
	}
	return false;
}

static void mux_run(struct lacp *l, struct lacp_port *p, u64 now_ns)
{
	while (mux_step(l, p, now_ns))
		;
}

/* -- selection (6.4.14) ------------------------------------------------------------------------ */

/* A partner that has put the link into an aggregate of its own comes before one that may never. */
static bool is_better(const struct lacp_port *a, const struct lacp_port *b)
{
	if (partner_in_sync(a) != partner_in_sync(b))
		return partner_in_sync(a);
	return a->actor.port_priority < b->actor.port_priority;
}

static struct lacp_port *best_port(struct lacp *l)
{
	struct lacp_port *best = NULL;

	for (u32 i = 0; i < l->config.ports; i++) {
		struct lacp_port *p = &l->port[i];

		if (eligible(l, p) == LACP_UP && (!best || is_better(p, best)))
			best = p;
	}
	return best;
}

/* The aggregate stays with its partner as long as a link there carries frames. */
static void choose_aggregate(struct lacp *l)
{
	struct lacp_port *best;

	for (u32 i = 0; i < l->config.ports; i++)
		if (l->port[i].mux == LACP_MUX_UP && eligible(l, &l->port[i]) == LACP_UP &&
		    leads_to_aggregate(l, &l->port[i]))
			return;
	best = best_port(l);
	l->has_aggregate = best;
	if (!best)
		return;
	l->partner_key = best->partner.key;
	l->partner_priority = best->partner.system_priority;
	l->partner = best->partner.system;
}

static enum lacp_why why_not(const struct lacp *l, const struct lacp_port *p)
{
	enum lacp_why why = eligible(l, p);

	if (why != LACP_UP)
		return why;
	if (!leads_to_aggregate(l, p))
		return LACP_OTHER_PARTNER;
	if (p->mux == LACP_MUX_UP)
		return LACP_UP;
	return p->mux == LACP_MUX_ATTACHED ? LACP_PARTNER_NOT_YET : LACP_NOT_YET;
}

/* Selection and mux of all links: what one link does may concern the others. */
static void settle(struct lacp *l, u64 now_ns)
{
	choose_aggregate(l);
	for (u32 i = 0; i < l->config.ports; i++) {
		struct lacp_port *p = &l->port[i];

		p->selected = eligible(l, p) == LACP_UP && leads_to_aggregate(l, p);
		mux_run(l, p, now_ns);
		p->why = (u8)why_not(l, p);
	}
}

/* What it was selected for is no longer true: it leaves the aggregate before it may come back. */
static void unselect(struct lacp *l, struct lacp_port *p, u64 now_ns)
{
	p->selected = false;
	mux_run(l, p, now_ns);
}

/* -- receive machine (6.4.12) ------------------------------------------------------------------ */

/* Where nobody answers we ask each second: a partner that comes back is found at once. */
static void record_default(struct lacp_port *p)
{
	p->partner = (struct wire_lacp_info){.state = LACP_TIMEOUT};
	p->actor.state |= LACP_DEFAULTED;
}

static void enter_disabled(struct lacp *l, struct lacp_port *p, u64 now_ns)
{
	p->rx = LACP_RX_DISABLED;
	record_default(p);
	p->actor.state &= (u8)~LACP_EXPIRED;
	p->current_while_ns = p->periodic_ns = STOPPED;
	p->ntt = p->marker_due = false;
	unselect(l, p, now_ns);
	p->ntt = false;
}

static void enter_expired(struct lacp_port *p, u64 now_ns)
{
	p->rx = LACP_RX_EXPIRED;
	p->partner.state &= (u8)~LACP_SYNCHRONIZATION;
	p->partner.state |= LACP_TIMEOUT;
	p->actor.state |= LACP_EXPIRED;
	p->current_while_ns = now_ns + SHORT_TIMEOUT_NS;
	p->ntt = true;
}

static void enter_defaulted(struct lacp *l, struct lacp_port *p, u64 now_ns)
{
	p->rx = LACP_RX_DEFAULTED;
	record_default(p);
	p->actor.state &= (u8)~LACP_EXPIRED;
	p->current_while_ns = STOPPED;
	unselect(l, p, now_ns);
}

/* -- periodic machine (6.4.13) ----------------------------------------------------------------- */

static bool speaks(const struct lacp_port *p)
{
	return p->enabled && ((p->actor.state | p->partner.state) & LACP_ACTIVITY);
}

static u64 period_ns(const struct lacp_port *p)
{
	return p->partner.state & LACP_TIMEOUT ? FAST_PERIODIC_NS : SLOW_PERIODIC_NS;
}

static void periodic_run(struct lacp_port *p, u64 now_ns)
{
	if (!speaks(p)) {
		p->periodic_ns = STOPPED;
		return;
	}
	if (p->periodic_ns == STOPPED) {
		p->periodic_ns = now_ns + period_ns(p);
		return;
	}
	if (now_ns >= p->periodic_ns) {
		p->ntt = true;
		p->periodic_ns = now_ns + period_ns(p);
	} else if (p->periodic_ns > now_ns + period_ns(p)) { /* the partner is in a hurry now */
		p->ntt = true;
		p->periodic_ns = now_ns + period_ns(p);
	}
}

/* -- entry points ------------------------------------------------------------------------------ */

void lacp_init(struct lacp *l, const struct lacp_config *config)
{
	*l = (struct lacp){.config = *config};
	l->config.ports = min_of(config->ports, (u32)LACP_PORTS_MAX);
	for (u32 i = 0; i < l->config.ports; i++) {
		struct lacp_port *p = &l->port[i];
		u16 key = or_default(config->key, 1);

		p->actor = (struct wire_lacp_info){
			.system_priority = or_default(config->system_priority, DEFAULT_PRIORITY),
			.system = config->system,
			.key = or_default(config->port_key[i], key),
			.port_priority = or_default(config->port_priority[i], DEFAULT_PRIORITY),
			.port = (u16)(i + 1),
			.state = (u8)(LACP_AGGREGATION | (config->active ? LACP_ACTIVITY : 0) |
		                      (config->fast ? LACP_TIMEOUT : 0)),
		};
		p->wait_while_ns = STOPPED;
		enter_disabled(l, p, 0);
		p->why = LACP_NO_CARRIER;
	}
}

void lacp_carrier(struct lacp *l, u32 port, bool up, u64 now_ns)
{
	struct lacp_port *p = &l->port[port];

	if (p->enabled == up)
		return;
	p->enabled = up;
	if (up)
		enter_expired(p, now_ns);
	else
		enter_disabled(l, p, now_ns);
	periodic_run(p, now_ns);
	settle(l, now_ns);
}

void lacp_hold(struct lacp *l, u32 port, bool held, u64 now_ns)
{
	l->port[port].held = held;
	settle(l, now_ns);
}

static void take_pdu(struct lacp *l, struct lacp_port *p, const struct wire_lacp *pdu, u64 now_ns)
{
	bool knows_us = same_info(&pdu->partner, &p->actor, LACP_AGGREGATION);
	bool individual = !(pdu->actor.state & LACP_AGGREGATION);

	if (!same_info(&pdu->actor, &p->partner, LACP_AGGREGATION))
		unselect(l, p, now_ns);
	if (!same_info(&pdu->partner, &p->actor, SHARED_BITS))
		p->ntt = true;
	p->partner = pdu->actor;
	if (!knows_us && !individual)
		p->partner.state &= (u8)~LACP_SYNCHRONIZATION;
	p->actor.state &= (u8) ~(LACP_DEFAULTED | LACP_EXPIRED);
	p->rx = LACP_RX_CURRENT;
	p->current_while_ns =
		now_ns + (p->actor.state & LACP_TIMEOUT ? SHORT_TIMEOUT_NS : LONG_TIMEOUT_NS);
	periodic_run(p, now_ns);
	settle(l, now_ns);
}

static enum wire_reason take_marker(struct lacp_port *p, const u8 *pdu, u32 len)
{
	struct wire_marker marker;
	enum wire_reason reason = wire_marker_parse(pdu, len, &marker);

	if (reason)
		return reason;
	p->counters.rx_markers++;
	if (marker.response) /* we never ask */
		return WIRE_OK;
	marker.response = true;
	p->marker = marker;
	p->marker_due = true;
	return WIRE_OK;
}

enum wire_reason lacp_receive(struct lacp *l, u32 port, const u8 *pdu, u32 len, u64 now_ns)
{
	struct lacp_port *p = &l->port[port];
	enum wire_reason reason;
	struct wire_lacp lacp;

	if (!p->enabled)
		return WIRE_OK;
	if (wire_slow_subtype(pdu, len) == WIRE_SLOW_MARKER) {
		reason = take_marker(p, pdu, len);
	} else {
		reason = wire_lacp_parse(pdu, len, &lacp);
		if (!reason) {
			p->counters.rx_pdus++;
			take_pdu(l, p, &lacp, now_ns);
		}
	}
	p->counters.rx_bad += reason != WIRE_OK;
	return reason;
}

void lacp_timers(struct lacp *l, u64 now_ns)
{
	for (u32 i = 0; i < l->config.ports; i++) {
		struct lacp_port *p = &l->port[i];

		if (now_ns >= p->current_while_ns) {
			p->counters.expired++;
			if (p->rx == LACP_RX_CURRENT)
				enter_expired(p, now_ns);
			else
				enter_defaulted(l, p, now_ns);
		}
		periodic_run(p, now_ns);
	}
	settle(l, now_ns);
}

/* When a link may send again: three in a second, no more (6.4.16). */
static u64 may_send_ns(const struct lacp_port *p)
{
	return p->tx_in_window < TX_PER_WINDOW ? 0 : p->tx_window_ns + FAST_PERIODIC_NS;
}

u64 lacp_next_ns(const struct lacp *l)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < l->config.ports; i++) {
		const struct lacp_port *p = &l->port[i];

		next = min_of(next, min_of(p->current_while_ns, p->periodic_ns));
		next = min_of(next, p->wait_while_ns);
		if (p->marker_due)
			next = 0;
		if (p->ntt && speaks(p))
			next = min_of(next, may_send_ns(p));
	}
	return next;
}

u32 lacp_transmit(struct lacp *l, u32 port, u8 *to, u64 now_ns)
{
	struct lacp_port *p = &l->port[port];
	struct wire_lacp pdu = {.version = WIRE_LACP_VERSION};

	if (p->marker_due) {
		p->marker_due = false;
		p->counters.tx_markers++;
		return wire_marker_write(to, &p->marker);
	}
	if (!p->ntt || !speaks(p) || now_ns < may_send_ns(p))
		return 0;
	if (now_ns >= p->tx_window_ns + FAST_PERIODIC_NS) {
		p->tx_window_ns = now_ns;
		p->tx_in_window = 0;
	}
	p->tx_in_window++;
	p->ntt = false;
	p->counters.tx_pdus++;
	pdu.actor = p->actor;
	pdu.partner = p->partner;
	return wire_lacp_write(to, &pdu);
}

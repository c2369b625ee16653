/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Which policy and which association a flow falls under (RFC 4301 4.4.1, 5.1, 5.2). */
#include <errno.h>

#include "driver/ipsec/internal.h"

enum {
	IPPROTO_OF_TCP = 6,
	IPPROTO_OF_UDP = 17,
	IP4_IN_IP6_BITS = 96, /* where a mapped address begins */
};

void flow_of(const u8 *p, u32 len, const struct wire_ip *ip, bool out, struct ipsec_flow *ret)
{
	bool ports = ip->protocol == IPPROTO_OF_TCP || ip->protocol == IPPROTO_OF_UDP;
	u16 src = 0, dst = 0;

	*ret = (struct ipsec_flow){.protocol = ip->protocol};
	if (ports && !ip->frag_off && ip->header_bytes + 4u <= len) {
		src = wire_get16(p + ip->header_bytes);
		dst = wire_get16(p + ip->header_bytes + 2);
	} else {
		ret->opaque = ports;
	}
	ret->key = (struct flow_key){
		.local = out ? ip->src : ip->dst,
		.remote = out ? ip->dst : ip->src,
		.local_port = out ? src : dst,
		.remote_port = out ? dst : src,
	};
}

static bool prefix_matches(const struct ip_addr *prefix, u32 bits, const struct ip_addr *a)
{
	u32 whole, rest;

	if (ip_addr_is_v4(prefix) != ip_addr_is_v4(a))
		return false;
	bits += ip_addr_is_v4(prefix) ? IP4_IN_IP6_BITS : 0;
	whole = bits / 8;
	rest = bits % 8;
	if (memcmp(prefix->b, a->b, whole))
		return false;
	return !rest || !((prefix->b[whole] ^ a->b[whole]) >> (8 - rest));
}

static bool addresses_match(const struct ipsec_selector *s, const struct ip_addr *local,
                            const struct ip_addr *remote)
{
	return prefix_matches(&s->local, s->local_bits, local) &&
	       prefix_matches(&s->remote, s->remote_bits, remote);
}

bool selector_matches(const struct ipsec_selector *s, const struct ipsec_flow *flow)
{
	if (s->protocol && s->protocol != flow->protocol)
		return false;
	if (!flow->opaque && s->local_port && s->local_port != flow->key.local_port)
		return false;
	if (!flow->opaque && s->remote_port && s->remote_port != flow->key.remote_port)
		return false;
	return addresses_match(s, &flow->key.local, &flow->key.remote);
}

struct ipsec_selector sa_selector(const struct ipsec_sa_state *s)
{
	return (struct ipsec_selector){
		.local = s->inner_local,
		.remote = s->inner_remote,
		.local_bits = s->inner_local_bits,
		.remote_bits = s->inner_remote_bits,
		.protocol = s->inner_protocol,
		.local_port = s->inner_local_port,
		.remote_port = s->inner_remote_port,
	};
}

u32 policy_find(const struct ipsec *d, const struct ipsec_flow *flow)
{
	for (u32 i = 0; i < d->n_policies; i++) {
		if (selector_matches(&d->policy[i].selector, flow))
			return i;
	}
	return NIL;
}

/* Is it what the policy asks for? */
static bool serves(const struct sa *sa, const struct ipsec_policy *p, const struct ipsec_flow *flow)
{
	const struct ipsec_sa_state *s = &sa->state;
	struct ipsec_selector selector = sa_selector(s);

	if (s->direction != IPSEC_OUT || sa->leaving || s->protocol != p->protocol ||
	    s->mode != p->mode || s->suite != p->suite)
		return false;
	if (s->mode == IPSEC_TUNNEL &&
	    (!ip_addr_eq(&s->local, &p->local) || !ip_addr_eq(&s->remote, &p->remote)))
		return false;
	if (s->mode == IPSEC_TRANSPORT && (!ip_addr_eq(&s->local, &flow->key.local) ||
	                                   !ip_addr_eq(&s->remote, &flow->key.remote)))
		return false;
	return selector_matches(&selector, flow);
}

/* The newest that serves; the cache makes this rare. */
static u32 sa_for(const struct ipsec *d, const struct ipsec_policy *p,
                  const struct ipsec_flow *flow)
{
	u32 best = NIL;

	for (u32 i = 0; i < d->config.sas; i++) {
		if (!slots_is_taken(&d->slots, i) || !serves(&d->sa[i], p, flow))
			continue;
		if (best == NIL || d->sa[i].order > d->sa[best].order)
			best = i;
	}
	return best;
}

const struct flow_entry *policy_out(struct ipsec *d, const struct ipsec_flow *flow)
{
	u32 hash = flow_key_hash(&d->hash, &flow->key) ^ flow->protocol;
	struct flow_entry *e = &d->cache[hash % FLOW_CACHE];

	if (likely(e->generation == d->generation && e->flow.protocol == flow->protocol &&
	           e->flow.opaque == flow->opaque && flow_key_eq(&e->flow.key, &flow->key)))
		return e;
	e->flow = *flow;
	e->generation = d->generation;
	e->policy = policy_find(d, flow);
	e->sa = NIL;
	if (e->policy != NIL && d->policy[e->policy].action == IPSEC_PROTECT)
		e->sa = sa_for(d, &d->policy[e->policy], flow);
	return e;
}

u32 ipsec_overhead(u8 protocol, u8 mode, u8 suite, bool v6)
{
	const struct cipher_shape *shape = cipher_shape(suite);
	u32 ip = v6 ? WIRE_IP6_BYTES : WIRE_IP4_BYTES;
	u32 outer = mode == IPSEC_TUNNEL ? ip : 0;

	if (protocol == WIRE_IPPROTO_AH)
		return outer + wire_ah_bytes(ah_icv_bytes(shape), v6 ? 6 : 4);
	return outer + WIRE_ESP_BYTES + shape->iv_bytes + shape->align - 1 +
	       WIRE_ESP_TRAILER_BYTES + CIPHER_ICV_BYTES;
}

u32 policy_overhead(const struct ipsec *d, const struct ip_addr *local,
                    const struct ip_addr *remote)
{
	u32 most = 0;

	for (u32 i = 0; i < d->n_policies; i++) {
		const struct ipsec_policy *p = &d->policy[i];
		bool v6 = !ip_addr_is_v4(p->mode == IPSEC_TUNNEL ? &p->local : local);

		if (p->action == IPSEC_PROTECT && addresses_match(&p->selector, local, remote))
			most = max_of(most, ipsec_overhead(p->protocol, p->mode, p->suite, v6));
	}
	return most;
}

static bool policy_is_sound(const struct ipsec_policy *p)
{
	const struct ipsec_selector *s = &p->selector;
	u32 bits = ip_addr_is_v4(&s->local) ? 32 : 128;

	if (p->action > IPSEC_DISCARD || s->local_bits > bits || s->remote_bits > bits ||
	    ip_addr_is_v4(&s->local) != ip_addr_is_v4(&s->remote))
		return false;
	if (p->action != IPSEC_PROTECT)
		return true;
	if (!cipher_shape(p->suite) || p->mode >= IPSEC_MODES)
		return false;
	return p->protocol == WIRE_IPPROTO_ESP || p->protocol == WIRE_IPPROTO_AH;
}

int ipsec_set_policies(struct ipsec *d, const struct ipsec_policy *policies, u32 n)
{
	if (d->n_flying)
		return -EBUSY;
	if (n > d->config.policies)
		return -ENOSPC;
	for (u32 i = 0; i < n; i++) {
		if (!policy_is_sound(&policies[i]))
			return -EINVAL;
	}
	if (n)
		memcpy(d->policy, policies, n * sizeof(*policies));
	d->n_policies = n;
	d->generation++;
	return 0;
}

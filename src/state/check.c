/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/check.h"

enum {
	LINK_FORMAT_BITS = 1 << LINK_DIX | 1 << LINK_SNAP,
	OPTION_BITS =
		TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE | TCP_OPT_ECN | TCP_OPT_USEC_TS,
	FIN_BITS = TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED | TCP_FIN_RECEIVED,
	WSCALE_MAX = 14,   /* RFC 7323 2.3 */
	MTU_MIN_V4 = 68,   /* RFC 791 3.2 */
	MTU_MIN_V6 = 1280, /* RFC 8200 5 */
	MTU_MAX = 65535,
	FLOW_LABEL_MAX = 0xfffff, /* RFC 6437 2 */
};

static bool is_group(const struct mac_addr *mac)
{
	return mac->b[0] & 1;
}

static const char *check_vlans(const struct vlan_stack *vlans)
{
	if (vlans->n > VLAN_DEPTH_MAX)
		return "The VLAN stack is deeper than a frame can carry.";
	for (u32 i = 0; i < vlans->n; i++) {
		u32 tpid = vlans->tag[i] >> 16;

		if (tpid != 0x8100 && tpid != 0x88a8)
			return "A VLAN tag's TPID is neither 0x8100 nor 0x88a8.";
		if ((vlans->tag[i] & 0xfff) == 0xfff)
			return "VLAN 4095 is reserved.";
	}
	return NULL;
}

const char *state_check_neighbor(const struct neighbor_state *state, u32 classes)
{
	if (classes & BLOCK_CONST) {
		if (is_group(&state->k.source_mac))
			return "source_mac is a group address.";
		if (state->k.encapsulations & ~LINK_FORMAT_BITS)
			return "encapsulations has a bit without a meaning.";
		if (check_vlans(&state->k.vlans))
			return check_vlans(&state->k.vlans);
	}
	if (classes & BLOCK_CACHED) {
		if (is_group(&state->c.next_hop_mac))
			return "next_hop_mac is a group address.";
		if (state->c.header_format > LINK_SNAP)
			return "header_format is none of enum link_format.";
	}
	return NULL;
}

static bool is_unicast(const struct ip_addr *addr)
{
	static const struct ip_addr none;

	if (!ip_addr_is_v4(addr))
		return addr->b[0] != 0xff && !ip_addr_eq(addr, &none);
	return addr->b[12] != 0 && addr->b[12] < 224;
}

const char *state_check_path(const struct path_state *state, u32 classes)
{
	bool v6 = false;

	if (classes & BLOCK_CONST) {
		v6 = !ip_addr_is_v4(&state->k.local_addr);
		if (v6 == ip_addr_is_v4(&state->k.remote_addr))
			return "local_addr and remote_addr are of different families.";
		if (!is_unicast(&state->k.local_addr) || !is_unicast(&state->k.remote_addr))
			return "An address is no unicast address.";
		if (state->k.ip_id_confined > 1)
			return "ip_id_confined is neither 0 nor 1.";
	}
	if (classes & BLOCK_CACHED) {
		if (state->c.path_mtu < (v6 ? MTU_MIN_V6 : MTU_MIN_V4))
			return "path_mtu is below the family's minimum.";
		if (state->c.path_mtu > MTU_MAX)
			return "path_mtu is above 65535.";
	}
	return NULL;
}

static const char *check_tcp_const(const struct tcp_const *k)
{
	if (!k->local_port || !k->remote_port)
		return "A port is 0.";
	if (k->options & ~OPTION_BITS)
		return "options has a bit without a meaning.";
	if (k->snd_wscale > WSCALE_MAX || k->rcv_wscale > WSCALE_MAX)
		return "A window scale is above 14.";
	return NULL;
}

static const char *check_tcp_cached(const struct tcp_cached *c)
{
	if ((c->nodelay | c->cork | c->keepalive | c->restart_keepalive | c->restart_retransmit) >
	    1)
		return "A setting that is a yes or no is neither 0 nor 1.";
	if (c->flow_label > FLOW_LABEL_MAX)
		return "flow_label has more than 20 bits.";
	if (c->cc_algorithm >= TCP_CC_ALGORITHMS)
		return "cc_algorithm is none of enum tcp_cc_algorithm.";
	return NULL;
}

static const char *check_tcp_delegated(const struct tcp_delegated *d)
{
	if (d->state >= TCP_STATES)
		return "state is none of enum tcp_state_name.";
	if (d->fin & ~FIN_BITS)
		return "fin has a bit without a meaning.";
	if (d->recovery > TCP_RECOVERY_LOSS)
		return "recovery is none of enum tcp_recovery_state.";
	if (d->sacked.n > SEQ_RANGES_MAX)
		return "sacked.n is above its array's size.";
	if (d->cc.len > CC_PRIVATE_BYTES)
		return "cc.len is above its array's size.";
	if (d->ooo.n > OOO_REFS_MAX)
		return "ooo.n is above its array's size.";
	for (u32 i = 0; i < d->ooo.n; i++) {
		if (d->ooo.seg[i].fin > 1)
			return "An out-of-order segment's fin is neither 0 nor 1.";
	}
	return NULL;
}

const char *state_check_tcp(const struct tcp_state *state, u32 classes)
{
	const char *wrong = NULL;

	if (classes & BLOCK_CONST)
		wrong = check_tcp_const(&state->k);
	if (!wrong && classes & BLOCK_CACHED)
		wrong = check_tcp_cached(&state->c);
	if (!wrong && classes & BLOCK_DELEGATED)
		wrong = check_tcp_delegated(&state->d);
	return wrong;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Admission: every limit that the target advertises, and none that it does not (semantics 8). A
 * refusal names its limit by the status, and the limit's value by the detail.
 */
#include "target/internal.h"

static enum status lacking(u32 missing, u64 *ret_detail)
{
	*ret_detail = missing & -missing; /* one bit at a time: feature_name() has its name */
	return STATUS_NO_FEATURE;
}

/* Bytes behind the last tag do not count when stacks are compared. */
void vlan_key(const struct vlan_stack *stack, struct vlan_stack *ret_key)
{
	*ret_key = (struct vlan_stack){.n = min_of(stack->n, (u32)VLAN_DEPTH_MAX)};
	for (u32 i = 0; i < ret_key->n; i++)
		ret_key->tag[i] = stack->tag[i];
}

/* -- neighbors and paths ------------------------------------------------------------------------
 */

enum status admit_neighbor(struct target *t, const struct neighbor_state *s, u64 *ret_detail)
{
	u32 wants = (s->k.vlans.n ? FEATURE_VLAN : 0) |
	            (s->c.header_format == LINK_SNAP ? FEATURE_SNAP : 0);

	if (wants & ~t->features)
		return lacking(wants & ~t->features, ret_detail);
	if (s->k.vlans.n > t->config.vlan_depth) {
		*ret_detail = t->config.vlan_depth;
		return STATUS_VLAN_MISMATCH;
	}
	if (s->k.port >= TCP_PORTS_MAX) {
		*ret_detail = TCP_PORTS_MAX;
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

enum status admit_path(struct target *t, const struct path_state *s, u64 *ret_detail)
{
	u32 wants = ip_addr_is_v4(&s->k.local_addr) ? FEATURE_IPV4 : FEATURE_IPV6;

	if (wants & ~t->features)
		return lacking(wants & ~t->features, ret_detail);
	if (s->c.path_mtu > t->config.max_mtu_bytes) {
		*ret_detail = t->config.max_mtu_bytes;
		return STATUS_MTU_TOO_LARGE;
	}
	return STATUS_OK;
}

/* -- connections --------------------------------------------------------------------------------
 */

enum status admit_cached(const struct target *t, const struct tcp_cached *c, u64 *ret_detail)
{
	static const u32 algorithms[TCP_CC_ALGORITHMS] = {
		[TCP_CC_NEWRENO] = FEATURE_NEWRENO,
		[TCP_CC_CUBIC] = FEATURE_CUBIC,
		[TCP_CC_BBR] = FEATURE_BBR,
	};
	u32 wants = c->cc_algorithm < TCP_CC_ALGORITHMS ? algorithms[c->cc_algorithm] : 0;

	wants |= c->max_pacing_rate ? FEATURE_PACING : 0;

	if (wants & ~t->features)
		return lacking(wants & ~t->features, ret_detail);
	if (c->rcv_buf_bytes > t->config.max_window_bytes) {
		*ret_detail = t->config.max_window_bytes;
		return STATUS_WINDOW_TOO_LARGE;
	}
	return STATUS_OK;
}

enum status admit_tcp(struct target *t, const struct tcp_state *s, u64 *ret_detail)
{
	static const struct {
		u8 option;
		u32 feature;
	} options[] = {
		{TCP_OPT_TIMESTAMPS, FEATURE_TIMESTAMPS}, {TCP_OPT_SACK, FEATURE_SACK},
		{TCP_OPT_WSCALE, FEATURE_WSCALE},         {TCP_OPT_ECN, FEATURE_ECN},
		{TCP_OPT_USEC_TS, FEATURE_USEC_TS},
	};
	u32 wants = 0;

	for (u32 i = 0; i < ARRAY_SIZE(options); i++)
		wants |= s->k.options & options[i].option ? options[i].feature : 0;
	if (wants & ~t->features)
		return lacking(wants & ~t->features, ret_detail);
	return admit_cached(t, &s->c, ret_detail);
}

/* What only the DELEGATED part says: the states of semantics 5.2, and the window in force. */
enum status admit_delegated(const struct target *t, const struct tcp_delegated *d, u64 *ret_detail)
{
	if (d->state < TCP_ESTABLISHED || d->state > TCP_LAST_ACK) {
		*ret_detail = d->state;
		return STATUS_NOT_ESTABLISHED;
	}
	if (d->rcv_wnd > t->config.max_window_bytes) {
		*ret_detail = t->config.max_window_bytes;
		return STATUS_WINDOW_TOO_LARGE;
	}
	return STATUS_OK;
}

/* -- buffers ------------------------------------------------------------------------------------
 */

/* How many bytes of windows the pool may stand for; semantics 5.6. */
static u64 promise_limit(const struct target *t)
{
	if (t->config.oversubscription_percent == UINT32_MAX)
		return UINT64_MAX;
	return t->pool_bytes / 100 * t->config.oversubscription_percent;
}

u32 admit_bufs(const struct target *t, const struct target_conn *c)
{
	if (likely(!t->config.per_connection_pool) || (!c->recv_promised && !c->send_promised))
		return 0;
	return tcp_buffers_worst(c->recv_promised, c->send_promised);
}

enum status admit_promise(struct target *t, struct target_conn *c, const struct tcp_cached *s,
                          u64 *ret_detail)
{
	const struct target_conn wants = {.recv_promised = s->rcv_buf_bytes,
	                                  .send_promised = s->snd_buf_bytes};
	u64 bufs = t->bufs_promised - admit_bufs(t, c) + admit_bufs(t, &wants);
	u64 limit = promise_limit(t);
	u64 recv = t->recv_promised - c->recv_promised + s->rcv_buf_bytes;
	u64 send = t->send_promised - c->send_promised + s->snd_buf_bytes;

	*ret_detail = limit;
	if (recv > limit)
		return STATUS_NO_RECEIVE_BUFFERS;
	if (send > limit)
		return STATUS_NO_SEND_BUFFERS;
	/* Where each connection has its own, what all of them can hold at worst must be there at
	 * once (R64). The engine leaves an eighth of the pool to what arrives. */
	*ret_detail = t->pool->count[BUF_SMALL] - t->pool->count[BUF_SMALL] / 8;
	if (bufs > *ret_detail)
		return STATUS_NO_RECEIVE_BUFFERS;
	*ret_detail = 0;
	t->bufs_promised = bufs;
	t->recv_promised = recv;
	t->send_promised = send;
	c->recv_promised = s->rcv_buf_bytes;
	c->send_promised = s->snd_buf_bytes;
	return STATUS_OK;
}

void admit_release(struct target *t, struct target_conn *c)
{
	t->bufs_promised -= admit_bufs(t, c);
	t->recv_promised -= c->recv_promised;
	t->send_promised -= c->send_promised;
	c->recv_promised = 0;
	c->send_promised = 0;
}

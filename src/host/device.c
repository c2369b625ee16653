/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a device tells the host: completions and indications. */
#include "host/priv.h"

static void on_complete(void *host, struct offload_request *request)
{
	struct host *h = host;
	u32 which = (u32)(request->cookie >> 8);

	switch (request->cookie & 0xff) {
	case COOKIE_CHUNK:
		if (which < CHUNKS)
			h->chunk[which].completed = true;
		break;
	case COOKIE_CONTROL:
		control_complete(h);
		break;
	case COOKIE_QUERY:
		h->query_completed = true;
		break;
	default:
		h->counters.stale++;
	}
}

static void on_data(void *host, const struct data_completion *done, u32 n)
{
	switch_data_complete(host, done, n);
}

/* -- indications ------------------------------------------------------------------------------- */

static void log_all(struct host *h, u8 kind, u64 detail)
{
	host_log(h, &(struct host_event){.kind = kind, .detail = detail});
}

/* May the device be rid of it? What it could go on with is a policy's to decide. */
static bool granted(struct host *h, struct host_conn *c, u64 reason)
{
	const struct host_policy *policy = &h->env.policy;
	struct host_candidate who;
	enum status status;
	u64 detail = 0;

	if (!policy->grant || upload_reason_is_final((enum upload_reason)reason))
		return true;
	switch_candidate(h, c, &who);
	status = policy->grant(policy->ctx, &who, (enum upload_reason)reason, &detail);
	if (status == STATUS_OK)
		return true;
	h->counters.upload_requests_ignored++;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_UPLOAD_IGNORED,
	                                 .layer = LAYER_TCP,
	                                 .object = conn_handle(h, c),
	                                 .reason = (u16)reason,
	                                 .by_admin = !!(c->flags & CONN_BY_ADMIN),
	                                 .detail = detail ? detail : status});
	return false;
}

static void upload_requested(struct host *h, struct host_conn *c, u64 reason)
{
	h->counters.upload_requests++;
	c->asked = (u8)min_of(reason, (u64)UPLOAD_REASONS);
	c->asked_ns = host_now(h);
	if (!granted(h, c, reason))
		return;
	/* Also where an administrator wanted it at the device: granted, and said (R73). */
	host_log(h, &(struct host_event){.kind = HOST_EVENT_UPLOAD_REQUESTED,
	                                 .layer = LAYER_TCP,
	                                 .object = conn_handle(h, c),
	                                 .reason = (u16)reason,
	                                 .by_admin = !!(c->flags & CONN_BY_ADMIN)});
	if (c->object == OBJECT_OFFLOADED && upload_reason_is_final((enum upload_reason)reason))
		c->object = OBJECT_UPLOAD_REQUESTED;
	mover_ask(h, c, (u8)reason);
}

static void aborted(struct host *h, struct host_conn *c, u64 cause)
{
	c->flags |= CONN_ABORTED;
	if (c->side == HOST_IN_CHIMNEY)
		c->object = OBJECT_ABORTED;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_ABORTED,
	                                 .layer = LAYER_TCP,
	                                 .object = conn_handle(h, c),
	                                 .detail = cause});
	mover_ask(h, c, UPLOAD_DEVICE); /* R76 */
}

static void of_connection(struct host *h, const struct indication *ind)
{
	struct host_conn *c = conn_find(h, ind->host);
	struct host_notice notice;

	if (!c || c->side == HOST_IN_STACK) {
		h->counters.stale++;
		return;
	}
	if (ind->kind == IND_UPLOAD_REQUEST) {
		upload_requested(h, c, ind->detail);
		return;
	}
	if (ind->kind == IND_ABORTED)
		aborted(h, c, ind->detail);
	switch_ready(h, c);
	notice = (struct host_notice){
		.conn = ind->host, .owner = c->owner, .kind = ind->kind, .detail = ind->detail};
	if (h->env.notice)
		h->env.notice(h->env.ctx, &notice, 1);
}

static void upload_all(struct host *h, u64 reason)
{
	for (u32 i = 0; i < h->config.max_connections; i++) {
		if (slots_is_taken(&h->conn_slots, i) && h->conn[i].side == HOST_IN_CHIMNEY)
			upload_requested(h, &h->conn[i], reason);
	}
}

/* Calls that a device gave back though no upload followed: its successor gets them (R100). */
static void post_again(struct host *h)
{
	for (u32 i = 0; i < h->config.max_connections; i++) {
		struct host_conn *c = &h->conn[i];

		if (slots_is_taken(&h->conn_slots, i) && c->queued && c->side == HOST_IN_CHIMNEY &&
		    c->object == OBJECT_OFFLOADED)
			switch_ready(h, c);
	}
}

/* The device's own confirmation is stale: the host answers at once with its own (semantics 5.10).
 */
static void reachable_query(struct host *h, handle neighbor)
{
	u32 index = slots_find(&h->neighbor_slots, neighbor);
	struct host_neighbor *n;

	if (index == NIL) {
		h->counters.stale++;
		return;
	}
	n = &h->neighbor[index];
	if (h->env.reachable && !h->env.reachable(h->env.ctx, &n->key))
		return;
	n->state.c.host_reachable_ns = 0;
	control_mark(h, LAYER_NEIGHBOR, index, DIRTY_CACHED);
	control_kick(h);
}

static void indicate(struct host *h, const struct indication *ind)
{
	switch (ind->kind) {
	case IND_UPLOAD_ALL:
		upload_all(h, ind->detail);
		break;
	case IND_PAUSE:
		h->paused = true;
		log_all(h, HOST_EVENT_PAUSED, 0);
		break;
	case IND_RESUME:
		h->paused = false;
		h->env.device->ops->capabilities(host_device(h), &h->caps);
		log_all(h, HOST_EVENT_RESUMED, 0);
		post_again(h);
		break;
	case IND_REACHABLE_QUERY:
		reachable_query(h, ind->host);
		break;
	case IND_LINK_DOWN:
	case IND_LINK_UP:
		host_link(h, (u32)ind->detail, ind->kind == IND_LINK_UP);
		break;
	case IND_HEARTBEAT_LOST:
		log_all(h, HOST_EVENT_HEARTBEAT_LOST, ind->detail);
		break;
	default:
		of_connection(h, ind);
	}
}

static void on_indicate(void *host, const struct indication *ind, u32 n)
{
	for (u32 i = 0; i < n; i++)
		indicate(host, &ind[i]);
}

const struct host_ops host_ops_table = {
	.complete = on_complete,
	.data_complete = on_data,
	.indicate = on_indicate,
};

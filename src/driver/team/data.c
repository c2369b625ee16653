/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Data calls go to the member that has the connection, runs of one member at a time. While a
 * connection is on its way between members nothing is lost: a send finds no room for the moment, a
 * receive no bytes, posted calls come back as they do from any upload and are posted again by the
 * host when the team says that it goes on, and frames are held.
 */
#include <errno.h>

#include "driver/team/internal.h"

enum { BATCH = 64 };

static struct team_conn *ready_conn(struct team *t, handle h, enum status *ret)
{
	struct team_conn *c = team_conn_find(t, h);

	*ret = !c                       ? STATUS_STALE_HANDLE
	       : c->flags & CONN_MOVING ? STATUS_UPLOAD_IN_PROGRESS
	       : c->member == NO_MEMBER ? STATUS_BUSY /* the second phase has not come */
	                                : STATUS_OK;
	return c;
}

static void refuse(struct team *t, const struct team_conn *c, enum data_kind kind,
                   enum status status, u64 cookie)
{
	struct data_completion done = {.kind = (u8)kind,
	                               .status = (u16)status,
	                               .cookie = cookie,
	                               .host = c ? c->host : HANDLE_NONE};

	t->host.ops->data_complete(t->host.impl, &done, 1);
}

/* -- send -------------------------------------------------------------------------------------- */

static void send_now_refused(struct team *t, struct team_conn *c, enum status status,
                             struct send_call *call)
{
	if (status == STATUS_STALE_HANDLE) {
		call->taken = -ESTALE;
	} else { /* the host is told when there is room again */
		call->taken = 0;
		c->flags |= CONN_WANTS_ROOM;
	}
	if (!(call->flags & SEND_BUFFERED))
		refuse(t, c, DATA_SEND, status, call->cookie);
}

static void send_run(struct team *t, u32 member, struct send_call *calls, const u32 *at,
                     struct send_call *host, u32 n)
{
	struct device *d = t->member[member].device;

	d->data->send(d->impl, calls, n);
	for (u32 i = 0; i < n; i++)
		host[at[i]].taken = calls[i].taken;
}

static void team_send(void *device, struct send_call *calls, u32 n)
{
	struct team *t = device;
	struct send_call run[BATCH];
	u32 at[BATCH], k = 0, member = NO_MEMBER;

	for (u32 i = 0; i < n; i++) {
		enum status status;
		struct team_conn *c = ready_conn(t, calls[i].conn, &status);

		if (status) {
			send_now_refused(t, c, status, &calls[i]);
			continue;
		}
		if (k && (k == BATCH || c->member != member)) {
			send_run(t, member, run, at, calls, k);
			k = 0;
		}
		member = c->member;
		at[k] = i;
		run[k] = calls[i];
		run[k++].conn = c->device;
	}
	if (k)
		send_run(t, member, run, at, calls, k);
}

/* -- receive ----------------------------------------------------------------------------------- */

static void receive_run(struct team *t, u32 member, struct recv_call *calls, const u32 *at,
                        struct recv_call *host, u32 n)
{
	struct device *d = t->member[member].device;

	d->data->receive(d->impl, calls, n);
	for (u32 i = 0; i < n; i++)
		host[at[i]].taken = calls[i].taken;
}

static void team_receive(void *device, struct recv_call *calls, u32 n)
{
	struct team *t = device;
	struct recv_call run[BATCH];
	u32 at[BATCH], k = 0, member = NO_MEMBER;

	for (u32 i = 0; i < n; i++) {
		enum status status;
		struct team_conn *c = ready_conn(t, calls[i].conn, &status);

		if (status) {
			calls[i].taken = status == STATUS_STALE_HANDLE ? -ESTALE : 0;
			if (!(calls[i].flags & RECV_NOW) && calls[i].len)
				refuse(t, c, DATA_RECV, status, calls[i].cookie);
			continue;
		}
		if (k && (k == BATCH || c->member != member)) {
			receive_run(t, member, run, at, calls, k);
			k = 0;
		}
		member = c->member;
		at[k] = i;
		run[k] = calls[i];
		run[k++].conn = c->device;
	}
	if (k)
		receive_run(t, member, run, at, calls, k);
}

/* -- disconnect, forward ----------------------------------------------------------------------- */

static void team_disconnect(void *device, struct disconnect_call *calls, u32 n)
{
	struct team *t = device;

	for (u32 i = 0; i < n; i++) {
		enum status status;
		struct team_conn *c = ready_conn(t, calls[i].conn, &status);
		struct disconnect_call call = calls[i];

		if (status) {
			refuse(t, c, DATA_DISCONNECT, status, calls[i].cookie);
			continue;
		}
		call.conn = c->device;
		t->member[c->member].device->data->disconnect(t->member[c->member].device->impl,
		                                              &call, 1);
	}
}

static void team_forward(void *device, struct forward_call *calls, u32 n)
{
	struct team *t = device;

	for (u32 i = 0; i < n; i++) {
		enum status status;
		struct team_conn *c = ready_conn(t, calls[i].conn, &status);
		struct forward_call call = calls[i];

		if (status == STATUS_UPLOAD_IN_PROGRESS &&
		    team_hold_frame(t, calls[i].conn, calls[i].frame)) {
			calls[i].status = STATUS_OK;
			continue;
		}
		if (status) {
			calls[i].status = (u16)status;
			continue;
		}
		call.conn = c->device;
		t->member[c->member].device->data->forward(t->member[c->member].device->impl, &call,
		                                           1);
		calls[i].status = call.status;
	}
}

const struct data_ops team_data_ops = {team_send, team_receive, team_disconnect, team_forward};

void team_tell_host(struct team *t, enum indication_kind kind, handle host, u64 detail)
{
	struct indication ind = {.kind = (u8)kind, .host = host, .detail = detail};

	t->host.ops->indicate(t->host.impl, &ind, 1);
}

void team_data_arrived(struct team *t, struct team_conn *c)
{
	u8 flags = c->flags;

	c->flags &= (u8) ~(CONN_MOVING | CONN_WANTS_ROOM);
	if (flags & CONN_WANTS_ROOM)
		team_tell_host(t, IND_SEND_ROOM, c->host, 1);
}

/* -- frames that are held ---------------------------------------------------------------------- */

bool team_hold_frame(struct team *t, handle conn, const struct rx_frame *frame)
{
	if (t->n_held == HELD_MAX) {
		t->stats.dropped_frames++;
		return false;
	}
	t->held[t->n_held++] = (struct held_frame){conn, *frame};
	t->stats.held_frames++;
	return true;
}

/* Each once: what cannot be taken now either is lost as on a wire; TCP sends it again. */
void team_held_release(struct team *t)
{
	u32 n = t->n_held;

	t->n_held = 0;
	for (u32 i = 0; i < n; i++) {
		struct held_frame h = t->held[i];
		struct forward_call call = {.conn = h.conn, .frame = &h.frame};

		team_forward(t, &call, 1);
		if (call.status == STATUS_OK)
			continue;
		t->stats.dropped_frames++;
		buf_put_chain(t->config.pool, h.frame.buf);
	}
}

/* -- what members say -------------------------------------------------------------------------- */

static void member_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct team *t = ((struct team_member *)impl)->team;

	t->host.ops->data_complete(t->host.impl, done, n);
}

/* False: the team deals with it, the host need not know. */
static bool concerns_host(struct team_member *m, const struct indication *ind)
{
	struct team *t = m->team;
	u32 index = (u32)(m - t->member);

	switch (ind->kind) {
	case IND_UPLOAD_ALL:
		team_report(t, index, TEAM_ERROR, false, t->now_ns);
		return false;
	case IND_HEARTBEAT_LOST:
		team_report(t, index, TEAM_HEARTBEAT, false, t->now_ns);
		return false;
	case IND_LINK_DOWN:
	case IND_LINK_UP:
		team_report(t, index, TEAM_CARRIER, ind->kind == IND_LINK_UP, t->now_ns);
		return false;
	case IND_PAUSE:
	case IND_RESUME:
		t->caps_changed = true;
		return false;
	default:
		return true;
	}
}

/* Runs of what concerns the host go up as they came. */
static void member_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct team_member *m = impl;
	struct team *t = m->team;
	u32 first = 0;

	for (u32 i = 0; i < n; i++) {
		if (concerns_host(m, &ind[i]))
			continue;
		if (i > first)
			t->host.ops->indicate(t->host.impl, ind + first, i - first);
		first = i + 1;
	}
	if (n > first)
		t->host.ops->indicate(t->host.impl, ind + first, n - first);
}

const struct host_ops team_member_side = {team_member_complete, member_data_complete,
                                          member_indicate};

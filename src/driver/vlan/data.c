/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Data calls of a virtual device name its own connections only; what the device below tells goes to
 * the host whose object it is (R115). */
#include <errno.h>

#include "driver/vlan/internal.h"

static bool is_own(struct vlan_port *p, handle conn)
{
	if (vlan_object_is_of(p->v, LAYER_TCP, conn, p->index))
		return true;
	p->v->count.foreign++;
	return false;
}

static void refuse(struct vlan_port *p, enum data_kind kind, u64 cookie)
{
	struct host_side host = vlan_host(p->v, p->index);
	struct data_completion done = {
		.kind = (u8)kind, .status = STATUS_STALE_HANDLE, .cookie = cookie};

	host.ops->data_complete(host.impl, &done, 1);
}

/* Runs of own connections go down in one call each. */
#define RUNS(name, type, REFUSED)                                                 \
	static void name(void *port, struct type *calls, u32 n)                   \
	{                                                                         \
		struct vlan_port *p = port;                                       \
		const struct device *d = &p->v->chain.below;                      \
		u32 first = 0;                                                    \
                                                                                  \
		for (u32 i = 0; i <= n; i++) {                                    \
			if (i < n && is_own(p, calls[i].conn))                    \
				continue;                                         \
			if (i > first)                                            \
				d->data->name(d->impl, calls + first, i - first); \
			if (i < n)                                                \
				REFUSED(p, &calls[i]);                            \
			first = i + 1;                                            \
		}                                                                 \
	}

static void send_refused(struct vlan_port *p, struct send_call *call)
{
	call->taken = -ESTALE;
	if (!(call->flags & SEND_BUFFERED))
		refuse(p, DATA_SEND, call->cookie);
}

static void receive_refused(struct vlan_port *p, struct recv_call *call)
{
	call->taken = -ESTALE;
	if (!(call->flags & RECV_NOW) && call->len)
		refuse(p, DATA_RECV, call->cookie);
}

static void disconnect_refused(struct vlan_port *p, struct disconnect_call *call)
{
	refuse(p, DATA_DISCONNECT, call->cookie);
}

static void forward_refused(struct vlan_port *p, struct forward_call *call)
{
	call->status = STATUS_STALE_HANDLE;
}

RUNS(send, send_call, send_refused)
RUNS(receive, recv_call, receive_refused)
RUNS(disconnect, disconnect_call, disconnect_refused)
RUNS(forward, forward_call, forward_refused)

const struct data_ops vlan_data_ops = {send, receive, disconnect, forward};

/* -- up ---------------------------------------------------------------------------------------- */

/* Whose the host's handle is, and what that host knows the object by. */
static struct host_side host_of(struct vlan *v, handle *host)
{
	u32 at = vlan_object_named(v, *host);

	if (at == NIL)
		return vlan_host(v, 0);
	*host = v->object[at].host;
	return vlan_host(v, v->object[at].port);
}

static void data_complete(void *driver, const struct data_completion *done, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct data_completion d = done[i];
		struct host_side host = host_of(driver, &d.host);

		host.ops->data_complete(host.impl, &d, 1);
	}
}

/* About the device as a whole: every host is told. */
static bool is_for_all(enum indication_kind kind)
{
	return kind == IND_UPLOAD_ALL || kind == IND_PAUSE || kind == IND_RESUME ||
	       kind == IND_LINK_DOWN || kind == IND_LINK_UP || kind == IND_HEARTBEAT_LOST;
}

static void indicate(void *driver, const struct indication *ind, u32 n)
{
	struct vlan *v = driver;

	for (u32 i = 0; i < n; i++) {
		struct indication one = ind[i];

		if (is_for_all(one.kind)) {
			for (u32 p = 0; p < v->config.n; p++) {
				struct host_side host = vlan_host(v, p);

				host.ops->indicate(host.impl, &one, 1);
			}
		} else {
			struct host_side host = host_of(v, &one.host);

			host.ops->indicate(host.impl, &one, 1);
		}
	}
}

const struct host_ops vlan_side_ops = {vlan_complete, data_complete, indicate};

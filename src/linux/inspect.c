// SPDX-License-Identifier: BSD-2-Clause-Patent
/* May a connection move, and where does it hang: the first step of an offload. */
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/rtnetlink.h>

#include "linux/backend_priv.h"
#include "linux/ipsec.h"
#include "linux/nat.h"
#include "linux/reasons.h"

static struct path_key question_of(const struct sock_export *e)
{
	struct path_key q = {.ifindex = e->bound_ifindex, .mark = e->mark, .uid = e->uid};

	memcpy(q.local.b, e->local, 16);
	memcpy(q.remote.b, e->remote, 16);
	q.tos = (ip_addr_is_v4(&q.local) ? e->tos : e->tclass) & 0xfc;
	return q;
}

static enum status route_status(const struct path_entry *p, u64 *ret_detail)
{
	if (p->err) {
		*ret_detail = (u64)-p->err;
		return STATUS_FAILED;
	}
	if (p->route.type == RTN_LOCAL)
		return STATUS_LOOPBACK;
	return STATUS_OK;
}

static void fill_states(struct linux_backend *b, struct move *m, const struct path_entry *p,
                        const struct neighbor_entry *n, const struct backend_port *port)
{
	if (m->path_state) {
		memset(m->path_state, 0, sizeof(*m->path_state));
		m->path_state->k.local_addr = m->path.local;
		m->path_state->k.remote_addr = m->path.remote;
		/* The kernel sets DF and its IDs cannot be confined (RFC 6864, trap 22). */
		m->path_state->k.ip_id_confined = 0;
		m->path_state->c.path_mtu = p->mtu_bytes;
	}
	if (m->neighbor_state) {
		memset(m->neighbor_state, 0, sizeof(*m->neighbor_state));
		m->neighbor_state->k.source_mac = n->port_mac;
		m->neighbor_state->k.port = port->port;
		m->neighbor_state->c.next_hop_mac = n->mac;
		m->neighbor_state->c.header_format = LINK_DIX;
	}
}

/* Where the route has several next hops the ports choose: each connection is a path of its own. */
static u32 path_of(struct linux_backend *b, struct path_key *question, const struct sock_export *e)
{
	u32 path = routes_path(b->routes, question, e->local_port, e->remote_port);

	if (path == NIL || !routes_path_at(b->routes, path)->route.multipath)
		return path;
	question->hash = (u32)e->local_port << 16 | e->remote_port;
	return routes_path(b->routes, question, e->local_port, e->remote_port);
}

/* Where it hangs: path, neighbor, managed port. */
static enum status inspect_route(struct linux_backend *b, struct move *m, struct linux_conn *c,
                                 const struct sock_export *e, u64 now_ns)
{
	struct path_key question = question_of(e);
	u32 path = path_of(b, &question, e);
	const struct path_entry *p;
	struct backend_port *port;
	enum status status;

	if (path == NIL)
		return STATUS_NO_MEMORY;
	routes_freshen(b->routes, path, now_ns);
	p = routes_path_at(b->routes, path);
	status = route_status(p, &m->detail);
	if (status != STATUS_OK)
		return status;
	port = backend_port(b, p->route.ifindex);
	if (!port) {
		m->detail = p->route.ifindex;
		return STATUS_NOT_MANAGED;
	}
	/* In XDP mode frames leave past the interface's queueing discipline. */
	if (!port->tap && !reasons_qdisc_plain(e->qdisc))
		return STATUS_SHAPED;
	if (p->neighbor == NIL ||
	    !routes_resolve(b->routes, p->neighbor, b->config.resolve_wait_ms))
		return STATUS_NO_NEIGHBOR;
	c->flags &= (u8)~CONN_ROUTE_CWND;
	if (p->route.congestion)
		c->flags |= CONN_ROUTE_CWND;
	c->ifindex = port->ifindex;
	c->tap = port->tap ? port->tap : port->fallback;
	m->path = question;
	m->path.ifindex = port->ifindex;
	m->neighbor = (struct neighbor_key){
		.next_hop = p->route.next_hop, .ifindex = port->ifindex, .port = port->port};
	fill_states(b, m, p, routes_neighbor_at(b->routes, p->neighbor), port);
	return STATUS_OK;
}

/* What is the same for all sockets of a call. */
struct inspection {
	u64 ns;   /* CLOCK_MONOTONIC */
	bool nat; /* connections are tracked: their addresses may be translated */
};

/* What the kernel keeps beside the socket: IPsec policies, translations. */
static enum status inspect_around(struct linux_backend *b, const struct inspection *now,
                                  const struct sock_export *e)
{
	if ((e->facts & EXPORT_XFRM_UNSURE) && ipsec_applies(e))
		return STATUS_XFRM;
	if (now->nat && nat_applies(&b->nat, e))
		return STATUS_NAT;
	return STATUS_OK;
}

static enum status inspect_socket(struct linux_backend *b, struct move *m,
                                  const struct inspection *now, const struct sock_export *e)
{
	struct linux_conn *c = backend_conn(b, m->conn);
	u64 refs = 1 + (u64)b->config.extra_file_refs;
	enum status status = reasons_socket(e, false, &m->detail);

	if (status != STATUS_OK)
		return status;
	if (e->file_refs > refs) {
		m->detail = e->file_refs - refs;
		return STATUS_SHARED;
	}
	if (!reasons_unquiet(e))
		m->flags &= (u16)~MOVE_UNQUIET;
	else if (!(m->flags & MOVE_UNQUIET))
		return STATUS_NOT_QUIET;
	else
		b->repair.unquiet++;
	status = inspect_around(b, now, e);
	if (status != STATUS_OK)
		return status;
	if (c->slot == NIL)
		repair_note(c, e);
	m->local_port = e->local_port;
	m->remote_port = e->remote_port;
	if (m->tcp)
		sock_to_state(e, &b->repair.defaults, now->ns, m->tcp);
	return inspect_route(b, m, c, e, now->ns);
}

static enum status unread(int err, u64 *ret_detail)
{
	*ret_detail = (u64)-err;
	return err == -ENOTSOCK ? STATUS_NOT_TCP : STATUS_FAILED;
}

static void inspect_batch(struct linux_backend *b, struct move *const *moves, u32 n,
                          const struct inspection *now)
{
	const struct export_batch *read;
	int err;

	if (n == 0)
		return;
	err = backend_read(b, moves, n, &read);
	for (u32 i = 0; i < n; i++) {
		struct move *m = moves[i];
		int failed = err ? err : read->err[i];

		m->status = (u16)(failed ? unread(failed, &m->detail)
		                         : inspect_socket(b, m, now, &read->sock[i]));
	}
}

void backend_inspect(void *impl, struct move *moves, u32 n)
{
	struct linux_backend *b = impl;
	struct move *batch[EXPORT_BATCH];
	struct inspection now;
	struct timespec t;
	u32 k = 0;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now.ns = (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
	now.nat = nat_tracking();
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status != STATUS_OK)
			continue;
		if (!backend_conn(b, moves[i].conn))
			moves[i].status = STATUS_NOT_TCP;
		else
			batch[k++] = &moves[i];
		if (k == EXPORT_BATCH) {
			inspect_batch(b, batch, k, &now);
			k = 0;
		}
	}
	inspect_batch(b, batch, k, &now);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/act.h"

#include "sim/plant.h"
#include "sim/router.h"
#include "sim/stream.h"

enum { LOOKS_MAX = 4 };

void act_init(struct act *a, struct world *w)
{
	memset(a, 0, sizeof(*a));
	a->w = w;
	for (u32 i = 0; i < WORLD_HOSTS; i++) {
		a->buffers[i] = NIL;
		for (u32 k = 0; k < ACT_UNDOS; k++)
			a->undo_ns[i][k] = UINT64_MAX;
	}
}

static u64 value(const struct event *e, enum event_key key, u64 otherwise)
{
	return e->has & 1u << key ? e->value[key] : otherwise;
}

static void later(struct act *a, const struct event *e, enum act_undo what)
{
	u64 at = a->w->now_ns + value(e, EVENT_KEY_FOR, 0);
	u64 *undo = &a->undo_ns[e->host][what];

	*undo = *undo == UINT64_MAX ? at : max_of(*undo, at);
}

/* -- changes ----------------------------------------------------------------------------------- */

static struct ip_addr remote_of(const struct act *a, const struct event *e)
{
	u32 to = (u32)value(e, EVENT_KEY_TO, 0);

	return net_addr(to, a->w->config.host[to].v6);
}

static struct ip_addr hop_of(const struct act *a, const struct event *e)
{
	return net_hop_addr((u32)value(e, EVENT_KEY_HOP, 0), a->w->config.host[e->host].v6);
}

static bool change_mac(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	const struct ip_addr hop = hop_of(a, e);
	const struct mac_addr mac = {{2, 2, 0, 0, 0, a->mac++}};
	struct neighbor_key key;

	net_set_mac(&a->w->net, e->host, (u32)value(e, EVENT_KEY_HOP, 0), &mac);
	if (a->w->config.host[e->host].ask) { /* it hears of it, or finds out */
		router_announce(&a->w->net, e->host, (u32)value(e, EVENT_KEY_HOP, 0),
		                a->w->config.host[e->host].v6);
		return true;
	}
	(void)!soft_neighbor(m->soft, &hop, &mac, 0);
	(void)!soft_neighbor_key(m->soft, &hop, &key, NULL);
	(void)!host_neighbor_changed(m->host, &key, &mac, LINK_DIX);
	return true;
}

static bool change_route(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	const struct ip_addr remote = remote_of(a, e), hop = hop_of(a, e);
	struct soft_path_info path = {0};
	struct neighbor_state state;
	struct neighbor_key to;
	struct path_key key;

	if (a->w->config.host[e->host].ask) /* it has one gateway */
		return false;
	(void)!soft_path_key(m->soft, &remote, &key);
	(void)!soft_path_info(m->soft, &remote, &path);
	(void)!soft_route(m->soft, &remote, &hop, path.mtu); /* which does not change */
	(void)!soft_neighbor_key(m->soft, &hop, &to, &state);
	(void)!host_route_changed(m->host, &key, 1, &to, &state);
	return true;
}

/* The end of some stream that the host has; NULL: it has none. */
static struct stream_end *any_end(struct act *a, u32 machine, u64 pick)
{
	struct world *w = a->w;

	for (u32 i = 0; i < w->n_streams; i++) {
		struct stream *s = &w->streams[(pick + i) % w->n_streams];

		for (u32 end = 0; end < 2; end++) {
			struct stream_end *e = &s->end[end];

			if (e->machine == machine && e->adopted && !e->released)
				return e;
		}
	}
	return NULL;
}

static bool change_settings(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	u64 pick = value(e, EVENT_KEY_PICK, 0);
	struct stream_end *s = any_end(a, e->host, pick);
	struct tcp_cached c = m->config.soft.settings;

	c.nodelay = pick & 1;
	c.restart_retransmit = pick >> 1 & 1;
	c.tos = (u8)(pick >> 2) & 0xfc;
	return s && !host_conn_settings(m->host, s->host, &c);
}

/* -- looking and asking ------------------------------------------------------------------------ */

static bool query(struct act *a, const struct event *e)
{
	struct host *host = a->w->machine[e->host]->host;
	u64 pick = value(e, EVENT_KEY_PICK, 0);

	for (u32 i = 0; i < LOOKS_MAX; i++) {
		struct stream_end *s = any_end(a, e->host, pick + i * 7);
		struct host_conn_info info;
		struct tcp_state state;

		if (!s || host_conn_info(host, s->host, &info) || host_query(host, s->host, &state))
			continue;
		if (state.k.local_port != info.local_port)
			world_wrong(a->w, CHECK_RESULT, "a query of port %u answered for port %u",
			            info.local_port, state.k.local_port);
	}
	return true;
}

static bool ask(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	u64 pick = value(e, EVENT_KEY_PICK, 0);
	struct stream_end *s = any_end(a, e->host, pick);
	struct host_conn_info info;

	if (!s || host_conn_info(m->host, s->host, &info) || !info.device)
		return false;
	return !target_ask_upload(machine_target(m), info.device,
	                          (enum upload_reason)(pick % UPLOAD_REASONS));
}

static bool invalidate(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	const struct ip_addr remote = remote_of(a, e), hop = hop_of(a, e);
	struct stream_end *s;
	struct neighbor_key neighbor;
	struct path_key path;

	switch (e->op) {
	case EVENT_INVALIDATE:
		s = any_end(a, e->host, value(e, EVENT_KEY_PICK, 0));
		return s && !host_invalidate(m->host, s->host);
	case EVENT_INVALIDATE_PATH:
		return !soft_path_key(m->soft, &remote, &path) &&
		       !host_invalidate_path(m->host, &path);
	default:
		return !soft_neighbor_key(m->soft, &hop, &neighbor, NULL) &&
		       !host_invalidate_neighbor(m->host, &neighbor);
	}
}

/* -- faults ------------------------------------------------------------------------------------ */

static void link_up(struct act *a, u32 machine, bool up)
{
	net_set_up(&a->w->net, machine, up);
	target_link_changed(machine_target(a->w->machine[machine]), 0, up);
}

static bool lossy(struct act *a, const struct event *e)
{
	struct sim_link link = a->w->config.host[e->host].link;

	link.loss_ppm = (u32)value(e, EVENT_KEY_LOSS, 0);
	net_set_link(&a->w->net, e->host, &link);
	later(a, e, ACT_LINK);
	return true;
}

/* The pool is dry, or nearly: R83. */
static bool memory(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];
	struct buf_pool *pool = m->side[m->active].pool;

	if (a->buffers[e->host] != NIL)
		return false;
	a->buffers_of[e->host] = pool;
	while (pool->n_free[BUF_SMALL] > value(e, EVENT_KEY_KEEP, 0)) {
		u32 buf = buf_alloc(pool, BUF_SMALL);

		buf_at(pool, buf)->next = a->buffers[e->host];
		a->buffers[e->host] = buf;
	}
	later(a, e, ACT_BUFFERS);
	return true;
}

static bool fault(struct act *a, const struct event *e)
{
	struct machine *m = a->w->machine[e->host];

	switch (e->op) {
	case EVENT_PAUSE:
		target_pause(machine_target(m));
		later(a, e, ACT_RESUME);
		return true;
	case EVENT_FAIL:
		soft_fail(m->soft, (enum soft_fault)value(e, EVENT_KEY_STEP, 0),
		          (u32)value(e, EVENT_KEY_NTH, 1));
		return true;
	case EVENT_DOWN:
		link_up(a, e->host, false);
		later(a, e, ACT_UP);
		return true;
	case EVENT_LOSSY:
		return lossy(a, e);
	case EVENT_MEMORY:
		return memory(a, e);
	case EVENT_STALL:
		machine_stall(m, a->w->now_ns + value(e, EVENT_KEY_FOR, 0));
		return true;
	case EVENT_KILL:
		if (m->leaving || m->dies)
			return false;
		machine_kill(m, (enum machine_death)value(e, EVENT_KEY_THEN, MACHINE_REBUILT),
		             (enum machine_phase)value(e, EVENT_KEY_PHASE, MACHINE_NOW));
		return true;
	default:
		target_rebuild(machine_target(m), a->w->now_ns);
		return true;
	}
}

/* -- connections ------------------------------------------------------------------------------- */

static bool connect(struct act *a, const struct event *e)
{
	return world_open(a->w, &(struct world_open){
					.from = e->host,
					.to = (u32)value(e, EVENT_KEY_TO, 0),
					.conns = (u32)value(e, EVENT_KEY_COUNT, 1),
					.bytes = (u32)value(e, EVENT_KEY_BYTES, 10000),
					.write_every = value(e, EVENT_KEY_EVERY, 0),
					.write_bytes = (u32)value(e, EVENT_KEY_WRITE, 100),
					.keep_open = value(e, EVENT_KEY_OPEN, 0),
				});
}

/* It has sent all that it will, and says so. */
static bool close_early(struct act *a, const struct event *e)
{
	struct stream_end *s = any_end(a, e->host, value(e, EVENT_KEY_PICK, 0));
	u32 end, stream;

	if (!s || s->fin)
		return false;
	s->total = s->allowed = s->sent;
	stream = stream_of(a->w, s, &end);
	world_touch(a->w, stream, end);
	return true;
}

bool act_event(struct act *a, const struct event *e)
{
	const struct ip_addr remote = remote_of(a, e);
	struct machine *m = a->w->machine[e->host];

	switch (e->op) {
	case EVENT_OFFLOAD:
	case EVENT_UPLOAD:
		return world_move_start(a->w, e->host, (u32)value(e, EVENT_KEY_SHARE, 1),
		                        (u32)value(e, EVENT_KEY_PICK, 0), e->op == EVENT_UPLOAD);
	case EVENT_MAC:
		return change_mac(a, e);
	case EVENT_MTU:
		world_path_mtu(a->w, e->host, &remote, (u32)value(e, EVENT_KEY_MTU, 1500));
		return true;
	case EVENT_LINK_MTU:
		net_set_mtu(&a->w->net, e->host, (u32)value(e, EVENT_KEY_MTU, 1500));
		return true;
	case EVENT_ROUTE:
		return change_route(a, e);
	case EVENT_SETTINGS:
		return change_settings(a, e);
	case EVENT_QUERY:
		return query(a, e);
	case EVENT_ASK:
		return ask(a, e);
	case EVENT_ASK_ALL:
		target_ask_upload_all(machine_target(m), UPLOAD_DEVICE);
		return true;
	case EVENT_INVALIDATE:
	case EVENT_INVALIDATE_PATH:
	case EVENT_INVALIDATE_HOP:
		return invalidate(a, e);
	case EVENT_REAP:
		host_reap(m->host);
		return true;
	case EVENT_CLOSE:
		return close_early(a, e);
	case EVENT_CONNECT:
		return connect(a, e);
	case EVENT_PLANT:
		return plant(a->w, e->host, (enum check)value(e, EVENT_KEY_CHECK, 0),
		             (u32)value(e, EVENT_KEY_PICK, 0));
	default:
		return fault(a, e);
	}
}

/* -- undoing ----------------------------------------------------------------------------------- */

static void undo(struct act *a, u32 machine, enum act_undo what)
{
	struct machine *m = a->w->machine[machine];

	switch (what) {
	case ACT_RESUME:
		if (!m->leaving)
			target_resume(machine_target(m));
		break;
	case ACT_UP:
		link_up(a, machine, true);
		break;
	case ACT_LINK:
		net_set_link(&a->w->net, machine, &a->w->config.host[machine].link);
		break;
	default:
		buf_put_chain(a->buffers_of[machine], a->buffers[machine]);
		a->buffers[machine] = NIL;
	}
}

u64 act_next_ns(const struct act *a)
{
	u64 next = UINT64_MAX;

	for (u32 i = 0; i < a->w->config.n_hosts; i++) {
		for (u32 k = 0; k < ACT_UNDOS; k++)
			next = min_of(next, a->undo_ns[i][k]);
	}
	return next;
}

void act_undo(struct act *a, u64 now_ns)
{
	for (u32 i = 0; i < a->w->config.n_hosts; i++) {
		for (u32 k = 0; k < ACT_UNDOS; k++) {
			if (a->undo_ns[i][k] == UINT64_MAX || a->undo_ns[i][k] > now_ns)
				continue;
			a->undo_ns[i][k] = UINT64_MAX;
			undo(a, i, (enum act_undo)k);
		}
	}
}

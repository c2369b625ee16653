/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The life of one object: reserved (a handle, its share of every limit), live (in the engine),
 * freed. Each step either happens whole or leaves nothing behind (R106).
 */
#include <errno.h>

#include "target/internal.h"

/* The engine refused what admission let through. */
static enum status engine_status(int err, enum status full, u64 *ret_detail)
{
	switch (err) {
	case 0:
		return STATUS_OK;
	case -ENOSPC:
		return full;
	case -EINVAL:
		*ret_detail = BLOCK_RULE_STATE;
		return STATUS_MALFORMED;
	default:
		*ret_detail = (u64)-err;
		return STATUS_FAILED;
	}
}

static void release(struct slots *slots, u32 index)
{
	int err = slots_release(slots, slots_handle(slots, index));

	ASSERT(!err);
}

/* -- states -------------------------------------------------------------------------------------
 */

void path_set_state(struct target *t, struct target_path *p, enum object_state state)
{
	t->n_invalid -= p->state == OBJECT_INVALID;
	t->n_invalid += state == OBJECT_INVALID;
	p->state = (u8)state;
}

void neighbor_set_state(struct target *t, struct target_neighbor *n, enum object_state state)
{
	t->n_invalid -= n->state == OBJECT_INVALID;
	t->n_invalid += state == OBJECT_INVALID;
	n->state = (u8)state;
}

u8 path_state_of(const struct target *t, const struct target_path *p)
{
	if (p->state == OBJECT_OFFLOADED && t->neighbors[p->neighbor].state == OBJECT_INVALID)
		return OBJECT_INVALID;
	return p->state;
}

u8 conn_state_slow(const struct target *t, const struct target_conn *c)
{
	if ((c->state == OBJECT_OFFLOADED || c->state == OBJECT_UPLOAD_REQUESTED) &&
	    path_state_of(t, &t->paths[c->path]) == OBJECT_INVALID)
		return OBJECT_INVALID;
	return c->state;
}

/* -- neighbors ----------------------------------------------------------------------------------
 */

static enum status neighbor_count(struct target *t, const struct neighbor_state *s, u64 *ret_detail)
{
	struct vlan_stack key;

	if (intern_get(&t->macs, &s->k.source_mac, sizeof(s->k.source_mac))) {
		*ret_detail = t->config.macs;
		return STATUS_NO_MACS;
	}
	vlan_key(&s->k.vlans, &key);
	if (intern_get(&t->vlans, &key, sizeof(key))) {
		intern_put(&t->macs, &s->k.source_mac, sizeof(s->k.source_mac));
		*ret_detail = t->config.vlans;
		return STATUS_NO_VLANS;
	}
	return STATUS_OK;
}

enum status neighbor_reserve(struct target *t, const struct neighbor_state *s, handle host,
                             handle *ret, u64 *ret_detail)
{
	enum status status = admit_neighbor(t, s, ret_detail);
	handle h;

	if (status)
		return status;
	status = neighbor_count(t, s, ret_detail);
	if (status)
		return status;
	h = slots_take(&t->neighbor_slots);
	if (h == HANDLE_NONE) {
		struct vlan_stack key;

		vlan_key(&s->k.vlans, &key);
		intern_put(&t->vlans, &key, sizeof(key));
		intern_put(&t->macs, &s->k.source_mac, sizeof(s->k.source_mac));
		*ret_detail = t->config.neighbors;
		return STATUS_NO_NEIGHBORS;
	}
	t->neighbors[(u32)h] = (struct target_neighbor){
		.host = host,
		.eng = NIL,
		.state = OBJECT_OFFLOADING,
		.source = s->k.source_mac,
		.vlans = s->k.vlans,
	};
	*ret = h;
	return STATUS_OK;
}

enum status neighbor_live(struct target *t, struct target_neighbor *n,
                          const struct neighbor_state *s, u64 *ret_detail)
{
	u32 eng;
	int err = tcp_neighbor_add(t->engine, s, &eng);

	if (err) {
		*ret_detail = t->config.neighbors;
		return engine_status(err, STATUS_NO_NEIGHBORS, ret_detail);
	}
	n->eng = eng;
	n->state = OBJECT_OFFLOADED;
	n->host_reached_ns = t->now_ns - min_of(t->now_ns, s->c.host_reachable_ns);
	t->stats.offloads[LAYER_NEIGHBOR]++;
	return STATUS_OK;
}

void neighbor_free(struct target *t, struct target_neighbor *n)
{
	struct vlan_stack key;

	if (n->eng != NIL) {
		int err = tcp_neighbor_remove(t->engine, n->eng);

		ASSERT(!err);
	}
	neighbor_set_state(t, n, OBJECT_IN_HOST);
	vlan_key(&n->vlans, &key);
	intern_put(&t->vlans, &key, sizeof(key));
	intern_put(&t->macs, &n->source, sizeof(n->source));
	release(&t->neighbor_slots, (u32)(n - t->neighbors));
}

/* -- paths --------------------------------------------------------------------------------------
 */

enum status path_reserve(struct target *t, const struct path_state *s, u32 neighbor, handle host,
                         handle *ret, u64 *ret_detail)
{
	enum status status = admit_path(t, s, ret_detail);
	handle h;

	if (status)
		return status;
	if (intern_get(&t->addresses, &s->k.local_addr, sizeof(s->k.local_addr))) {
		*ret_detail = t->config.addresses;
		return STATUS_NO_ADDRESSES;
	}
	h = slots_take(&t->path_slots);
	if (h == HANDLE_NONE) {
		intern_put(&t->addresses, &s->k.local_addr, sizeof(s->k.local_addr));
		*ret_detail = t->config.paths;
		return STATUS_NO_PATHS;
	}
	t->paths[(u32)h] = (struct target_path){
		.host = host,
		.eng = NIL,
		.neighbor = neighbor,
		.state = OBJECT_OFFLOADING,
		.local = s->k.local_addr,
	};
	t->neighbors[neighbor].refs++;
	*ret = h;
	return STATUS_OK;
}

enum status path_live(struct target *t, struct target_path *p, const struct path_state *s,
                      u64 *ret_detail)
{
	u32 eng;
	int err = tcp_path_add(t->engine, s, t->neighbors[p->neighbor].eng, &eng);

	if (err) {
		*ret_detail = t->config.paths;
		return engine_status(err, STATUS_NO_PATHS, ret_detail);
	}
	p->eng = eng;
	p->state = OBJECT_OFFLOADED;
	t->stats.offloads[LAYER_PATH]++;
	return STATUS_OK;
}

void path_free(struct target *t, struct target_path *p)
{
	if (p->eng != NIL) {
		int err = tcp_path_remove(t->engine, p->eng);

		ASSERT(!err);
	}
	path_set_state(t, p, OBJECT_IN_HOST);
	intern_put(&t->addresses, &p->local, sizeof(p->local));
	t->neighbors[p->neighbor].refs--;
	release(&t->path_slots, (u32)(p - t->paths));
}

/* -- connections --------------------------------------------------------------------------------
 */

enum status conn_reserve(struct target *t, const struct tcp_state *s, u32 path, handle host,
                         handle *ret, u64 *ret_detail)
{
	enum status status = admit_tcp(t, s, ret_detail);
	struct target_conn *c;
	struct target_conn was;
	handle h;

	if (status)
		return status;
	h = slots_take(&t->conn_slots);
	if (h == HANDLE_NONE) {
		*ret_detail = t->config.connections;
		return STATUS_NO_CONNECTIONS;
	}
	c = &t->conns[(u32)h];
	/* A former owner of the slot may still stand on a list: the links stay. */
	was = *c;
	*c = (struct target_conn){
		.host = host,
		.eng = NIL,
		.path = path,
		.state = OBJECT_OFFLOADING,
		.flags = (was.flags & (TC_KICKED | TC_STARVED)) | TC_ARMED,
		.send_head = NIL,
		.send_tail = NIL,
		.recv_head = NIL,
		.recv_tail = NIL,
		.kick_next = was.kick_next,
		.starved_next = was.starved_next,
		.indicate_bytes = s->c.rcv_indication_bytes,
	};
	status = admit_promise(t, c, &s->c, ret_detail);
	if (status) {
		release(&t->conn_slots, (u32)h);
		return status;
	}
	t->paths[path].refs++;
	*ret = h;
	return STATUS_OK;
}

/* What was received before the offload is told of once the list has completed (semantics 5.4). */
static void first_look(struct target *t, struct target_conn *c, const struct tcp_delegated *d)
{
	if (d->recv.len || d->fin & TCP_FIN_RECEIVED) {
		c->flags |= TC_PUSHED | (d->fin & TCP_FIN_RECEIVED ? TC_FIN_SEEN : 0);
		c->events |= TCP_EV_READABLE;
		kick(t, c);
	}
	if (d->fin & (TCP_FIN_QUEUED | TCP_FIN_SENT))
		c->flags |= TC_SHUT | (d->fin & TCP_FIN_ACKED ? TC_FIN_ACKED : 0);
	c->accepted = d->send.len;
	c->backlog = (u8)(32 - __builtin_clz(d->cwnd_bytes | 1));
}

enum status conn_live(struct target *t, struct target_conn *c, const struct tcp_state *s,
                      const struct buf_pool *from, u64 *ret_detail)
{
	enum status status = admit_delegated(t, &s->d, ret_detail);
	bool copy = from && from->descs != t->pool->descs;
	const struct tcp_state *use = s;
	struct tcp_state copied;
	u32 eng;
	int err;

	if (status)
		return status;
	if (copy && (s->d.send.len || s->d.recv.len || s->d.ooo.n)) {
		copied = *s;
		status = copy_payload(t, from, &copied);
		if (status)
			return status;
		use = &copied;
	}
	err = tcp_conn_import(t->engine, use, t->paths[c->path].eng, t->now_ns, &eng);
	if (unlikely(err)) {
		if (use == &copied)
			copy_release(t, &copied);
		*ret_detail = t->config.connections;
		return engine_status(err, STATUS_NO_CONNECTIONS, ret_detail);
	}
	c->eng = eng;
	c->state = OBJECT_OFFLOADED;
	t->slot_of[eng] = conn_index(t, c);
	first_look(t, c, &s->d);
	t->stats.offloads[LAYER_TCP]++;
	return STATUS_OK;
}

void conn_free(struct target *t, struct target_conn *c)
{
	if (c->eng != NIL) {
		t->slot_of[c->eng] = NIL;
		tcp_conn_free(t->engine, c->eng);
	}
	push_timer_stop(t, c);
	admit_release(t, c);
	t->paths[c->path].refs--;
	c->state = OBJECT_IN_HOST;
	c->eng = NIL;
	c->events = 0;
	release(&t->conn_slots, conn_index(t, c));
}

void conn_resume(struct target *t, struct target_conn *c)
{
	int err = tcp_conn_resume(t->engine, c->eng, t->now_ns);

	c->state = c->before;
	if (unlikely(err)) {
		/* The host has offloaded the same 4-tuple since: this one is dead. */
		c->state = OBJECT_ABORTED;
		c->error = ECONNRESET;
		indicate(t, IND_ABORTED, c->host, c->error);
		return;
	}
	/* Whatever came before the upload and was not told of. */
	c->flags |= TC_ARMED;
	c->events |= TCP_EV_READABLE | TCP_EV_ACKED;
	kick(t, c);
}

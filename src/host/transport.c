/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The transport layer: connections, their CONST and CACHED, and their place in the tree. */
#include <errno.h>

#include "host/priv.h"

static struct flow_key flow_of(const struct host *h, const struct host_conn *c)
{
	const struct path_key *path = &h->path[c->path].key;

	return (struct flow_key){path->local, path->remote, c->local_port, c->remote_port};
}

static void attach(struct host *h, struct host_conn *c, u32 path)
{
	struct host_path *p = &h->path[path];
	struct flow_key flow;

	c->path = path;
	c->prev = NIL;
	c->next = p->first_conn;
	if (c->next != NIL)
		h->conn[c->next].prev = conn_index(h, c);
	p->first_conn = conn_index(h, c);
	p->known++;
	flow = flow_of(h, c);
	c->hash = flow_key_hash(&h->config.hash_key, &flow);
	(void)!flowtab_insert(&h->flows, c->hash, conn_index(h, c));
	c->flags |= CONN_KEYED;
}

void transport_forget(struct host *h, struct host_conn *c)
{
	struct host_path *p;
	u32 path = c->path;

	if (!(c->flags & CONN_KEYED))
		return;
	p = &h->path[path];
	if (c->prev == NIL)
		p->first_conn = c->next;
	else
		h->conn[c->prev].next = c->next;
	if (c->next != NIL)
		h->conn[c->next].prev = c->prev;
	p->known--;
	flowtab_remove(&h->flows, c->hash, conn_index(h, c));
	c->flags &= ~CONN_KEYED;
	c->path = NIL;
	network_put(h, path);
}

enum status transport_inspected(struct host *h, struct host_conn *c, const struct move *m)
{
	u32 path;

	if (m->status != STATUS_OK)
		return m->status;
	path = network_get(h, m);
	if (path == NIL)
		return STATUS_NO_MEMORY;
	if (path != c->path || c->local_port != m->local_port || c->remote_port != m->remote_port) {
		h->path[path].known++; /* stays if it is the same path */
		transport_forget(h, c);
		h->path[path].known--;
		c->local_port = m->local_port;
		c->remote_port = m->remote_port;
		attach(h, c, path);
	}
	c->k = m->tcp->k;
	c->c = m->tcp->c;
	c->send_bytes = m->tcp->d.send.len;
	c->recv_bytes = m->tcp->d.recv.len;
	return STATUS_OK;
}

/* -- offload ----------------------------------------------------------------------------------- */

static u32 features(const struct host_conn *c)
{
	static const u32 of_cc[TCP_CC_ALGORITHMS] = {
		[TCP_CC_NEWRENO] = FEATURE_NEWRENO,
		[TCP_CC_CUBIC] = FEATURE_CUBIC,
		[TCP_CC_BBR] = FEATURE_BBR,
	};
	u32 cc = c->c.cc_algorithm;

	return (c->k.options & TCP_OPT_TIMESTAMPS ? FEATURE_TIMESTAMPS : 0) |
	       (c->k.options & TCP_OPT_SACK ? FEATURE_SACK : 0) |
	       (c->k.options & TCP_OPT_WSCALE ? FEATURE_WSCALE : 0) |
	       (c->k.options & TCP_OPT_ECN ? FEATURE_ECN : 0) |
	       (c->k.options & TCP_OPT_USEC_TS ? FEATURE_USEC_TS : 0) |
	       (c->c.max_pacing_rate ? FEATURE_PACING : 0) |
	       (cc < TCP_CC_ALGORITHMS ? of_cc[cc] : 0);
}

enum status transport_offer(struct host *h, struct chunk *c, struct host_conn *conn,
                            const struct host_candidate *who)
{
	enum status status = host_refused(h, HOST_TRANSPORT, who);

	if (status == STATUS_OK)
		status = legal_check(conn->object, LEGAL_CALL_OFFLOAD);
	if (status != STATUS_OK)
		return status;
	return network_offer(h, c, conn->path, who);
}

u32 transport_block(struct host *h, struct chunk *c, struct host_conn *conn)
{
	struct offload_needs *needs = &c->request.needs[HOST_TRANSPORT];
	u32 path = network_block(h, c, conn->path);
	struct tcp_state *state;
	struct block *b;
	u32 block;

	if (path == NIL || block_list_add(&c->list, path, LAYER_TCP, true, &block))
		return NIL;
	b = block_at(&c->list, block);
	b->host = conn_handle(h, conn);
	b->flags = BLOCK_CONST | BLOCK_CACHED;
	state = block_tcp(&c->list, b);
	state->k = conn->k;
	state->c = conn->c;
	conn->object = OBJECT_OFFLOADING;
	conn->dirty &= ~DIRTY_CACHED;
	h->path[conn->path].refs++;
	needs->connections++;
	needs->send_bytes += conn->send_bytes;
	needs->recv_bytes += conn->recv_bytes;
	needs->features |= features(conn);
	return block;
}

void transport_complete(struct host *h, struct chunk *c, struct completion *done)
{
	h->table[LAYER_TCP] = done->table[LAYER_TCP];
	done->table[LAYER_TCP] = NULL;
	for (u32 i = 0; i < c->n; i++) {
		struct block *b = block_at(&c->list, c->block[i]);

		if (b->status == STATUS_OK)
			h->conn[c->conn[i]].device = b->device;
		b->device = HANDLE_NONE;
	}
}

void transport_restore(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->n; i++) {
		if (c->block[i] != NIL)
			block_at(&c->list, c->block[i])->device = h->conn[c->conn[i]].device;
	}
	network_restore(h, c);
}

/* -- upload ------------------------------------------------------------------------------------ */

u32 transport_upload_block(struct host *h, struct block_list *list, struct host_conn *conn)
{
	u32 path = network_holder(h, list, conn->path);
	struct block *b;
	u32 block;

	if (path == NIL || block_list_add(list, path, LAYER_TCP, true, &block))
		return NIL;
	b = block_at(list, block);
	b->host = conn_handle(h, conn);
	b->device = conn->device;
	h->path[conn->path].leaving++;
	conn->before = conn->object;
	conn->object = OBJECT_UPLOADING;
	return block;
}

/* -- changes ----------------------------------------------------------------------------------- */

int host_conn_settings(struct host *h, handle conn, const struct tcp_cached *cached)
{
	struct host_conn *c = conn_find(h, conn);

	if (!c)
		return -ESTALE;
	c->c = *cached;
	if (c->object == OBJECT_IN_HOST)
		return 0;
	control_mark(h, LAYER_TCP, conn_index(h, c), DIRTY_CACHED);
	control_kick(h);
	return 0;
}

int host_invalidate(struct host *h, handle conn)
{
	struct host_conn *c = conn_find(h, conn);

	if (!c)
		return -ESTALE;
	if (c->object == OBJECT_IN_HOST)
		return 0;
	control_mark(h, LAYER_TCP, conn_index(h, c), DIRTY_INVALIDATE);
	control_kick(h);
	return 0;
}

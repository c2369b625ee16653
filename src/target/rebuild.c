/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Making everything derived anew from the objects: free lists, the map from the engine's
 * connections, reference counts, sets, sums, the kick and push lists. Buffers and the engine's own
 * structures have been rebuilt before.
 */
#include "target/internal.h"

static void rebuild_neighbors(struct target *t)
{
	struct vlan_stack key;

	for (u32 i = 0; i < t->neighbor_slots.count; i++) {
		struct target_neighbor *n = &t->neighbors[i];

		if (!slots_is_taken(&t->neighbor_slots, i))
			continue;
		n->refs = 0;
		t->n_invalid += n->state == OBJECT_INVALID;
		vlan_key(&n->vlans, &key);
		ASSERT(!intern_get(&t->macs, &n->source, sizeof(n->source)));
		ASSERT(!intern_get(&t->vlans, &key, sizeof(key)));
	}
}

static void rebuild_paths(struct target *t)
{
	for (u32 i = 0; i < t->path_slots.count; i++) {
		struct target_path *p = &t->paths[i];

		if (!slots_is_taken(&t->path_slots, i))
			continue;
		p->refs = 0;
		t->n_invalid += p->state == OBJECT_INVALID;
		t->neighbors[p->neighbor].refs++;
		ASSERT(!intern_get(&t->addresses, &p->local, sizeof(p->local)));
	}
}

/* Calls that a connection holds are taken, all others are free. */
static void claim_calls(struct target *t, u32 head)
{
	for (u32 i = head; i != NIL; i = t->calls[i].next)
		t->calls[i].taken = 1;
}

static void rebuild_conns(struct target *t)
{
	for (u32 i = 0; i < t->conn_slots.count; i++) {
		struct target_conn *c = &t->conns[i];

		c->flags &= (u16) ~(TC_KICKED | TC_TIMED | TC_STARVED);
		if (!slots_is_taken(&t->conn_slots, i))
			continue;
		t->paths[c->path].refs++;
		t->bufs_promised += admit_bufs(t, c);
		t->recv_promised += c->recv_promised;
		t->send_promised += c->send_promised;
		if (c->eng == NIL)
			continue;
		t->slot_of[c->eng] = i;
		claim_calls(t, c->send_head);
		claim_calls(t, c->recv_head);
		/* Events that were not served yet may be lost with the lists: look at all. */
		c->events |= TCP_EV_READABLE | TCP_EV_ACKED;
		kick(t, c);
	}
}

void rebuild_derived(struct target *t)
{
	slots_rebuild(&t->conn_slots);
	slots_rebuild(&t->path_slots);
	slots_rebuild(&t->neighbor_slots);
	for (u32 i = 0; i < t->config.connections; i++)
		t->slot_of[i] = NIL;
	intern_reset(&t->addresses);
	intern_reset(&t->macs);
	intern_reset(&t->vlans);
	t->n_invalid = 0;
	t->recv_promised = t->send_promised = t->bufs_promised = 0;
	t->kick_head = t->kick_tail = t->starved = NIL;
	t->push_head = t->push_tail = NIL;
	for (u32 i = 0; i < t->config.posted; i++)
		t->calls[i].taken = 0;
	rebuild_neighbors(t);
	rebuild_paths(t);
	rebuild_conns(t);
	calls_rebuild(t);
	if (t->n_invalid)
		t->scan_at = 0;
	t->watch_at = NIL;
}

/* -- after the owner died -----------------------------------------------------------------------
 */

static void settle_conn(struct target *t, struct target_conn *c)
{
	if (c->send_head != NIL || c->recv_head != NIL)
		c->flags |= TC_ORPHANED;
	c->flags |= TC_ARMED;
	/* The host may never have been told: what is still the case is asked for anew. */
	if (c->flags & TC_ASKED) {
		c->flags &= (u16)~TC_ASKED;
		if (c->state == OBJECT_UPLOAD_REQUESTED)
			c->state = OBJECT_OFFLOADED;
		c->events |= c->reason == UPLOAD_TIME_WAIT ? TCP_EV_TIME_WAIT : 0;
	}
	if (c->state == OBJECT_OFFLOADING) {
		conn_free(t, c);
		return;
	}
	if (c->state == OBJECT_UPLOADING)
		conn_resume(t, c);
}

/* Undoes what was half done (target_attach()). Dependents before what they hang on. */
void rebuild_settle(struct target *t)
{
	for (u32 i = 0; i < t->conn_slots.count; i++) {
		if (slots_is_taken(&t->conn_slots, i))
			settle_conn(t, &t->conns[i]);
	}
	for (u32 i = 0; i < t->path_slots.count; i++) {
		struct target_path *p = &t->paths[i];

		if (!slots_is_taken(&t->path_slots, i))
			continue;
		if (p->state == OBJECT_OFFLOADING)
			path_free(t, p);
		else if (p->state == OBJECT_UPLOADING)
			path_set_state(t, p, p->before);
	}
	for (u32 i = 0; i < t->neighbor_slots.count; i++) {
		struct target_neighbor *n = &t->neighbors[i];

		if (!slots_is_taken(&t->neighbor_slots, i))
			continue;
		if (n->state == OBJECT_OFFLOADING)
			neighbor_free(t, n);
		else if (n->state == OBJECT_UPLOADING)
			neighbor_set_state(t, n, n->before);
	}
}

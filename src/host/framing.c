/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The framing layer: neighbors, shared by their key, counted by the paths below them. */
#include <errno.h>

#include "host/priv.h"

static u32 key_hash(const struct host *h, const struct neighbor_key *key)
{
	return (u32)hash_bytes(&h->config.hash_key, key, sizeof(*key));
}
_Static_assert(sizeof(struct neighbor_key) == 24, "hashed and compared without a gap");

u32 framing_find(const struct host *h, const struct neighbor_key *key)
{
	flowtab_for_each (&h->neighbors, key_hash(h, key), index) {
		if (!memcmp(&h->neighbor[index].key, key, sizeof(*key)))
			return index;
	}
	return NIL;
}

u32 framing_get(struct host *h, const struct neighbor_key *key, const struct neighbor_state *state)
{
	u32 index = framing_find(h, key);
	struct host_neighbor *n;
	handle taken;

	if (index != NIL)
		return index;
	taken = slots_take(&h->neighbor_slots);
	if (taken == SLOT_NO_HANDLE)
		return NIL;
	index = (u32)taken;
	n = &h->neighbor[index];
	*n = (struct host_neighbor){
		.key = *key,
		.state = *state,
		.hash = key_hash(h, key),
		.first_path = NIL,
		.object = OBJECT_IN_HOST,
	};
	/* The table takes as many as there are slots. */
	(void)!flowtab_insert(&h->neighbors, n->hash, index);
	return index;
}

void framing_put(struct host *h, u32 neighbor)
{
	struct host_neighbor *n = &h->neighbor[neighbor];

	if (n->known || n->refs || n->object != OBJECT_IN_HOST || n->queued)
		return;
	flowtab_remove(&h->neighbors, n->hash, neighbor);
	(void)!slots_release(&h->neighbor_slots, slots_handle(&h->neighbor_slots, neighbor));
}

/* May it wait for its next dependents (R43)? Not when it is of no use to them. */
static bool stays(const struct host *h, const struct host_neighbor *n)
{
	return h->config.parents_late && !h->reaping && n->object != OBJECT_INVALID;
}

void framing_unused(struct host *h, u32 neighbor)
{
	const struct host_neighbor *n = &h->neighbor[neighbor];

	if (!n->refs && n->device != HANDLE_NONE && n->object != OBJECT_UPLOADING && !stays(h, n))
		control_mark(h, LAYER_NEIGHBOR, neighbor, DIRTY_REAP); /* R42 */
}

void framing_want(struct host *h, u32 neighbor)
{
	struct host_neighbor *n = &h->neighbor[neighbor];

	n->known++;
	n->wanted++;
	if (n->object != OBJECT_OFFLOADED)
		control_mark(h, LAYER_NEIGHBOR, neighbor, DIRTY_OFFLOAD);
}

void framing_unwant(struct host *h, u32 neighbor)
{
	struct host_neighbor *n = &h->neighbor[neighbor];

	n->known--;
	n->wanted--;
	if (!n->refs && !n->wanted && n->device != HANDLE_NONE)
		control_mark(h, LAYER_NEIGHBOR, neighbor, DIRTY_REAP);
	framing_put(h, neighbor);
}

/* -- offload ----------------------------------------------------------------------------------- */

static u32 features(const struct neighbor_state *s)
{
	return (s->k.vlans.n ? FEATURE_VLAN : 0) |
	       (s->c.header_format == LINK_SNAP ? FEATURE_SNAP : 0);
}

enum status framing_offer(struct host *h, struct chunk *c, u32 neighbor,
                          const struct host_candidate *who)
{
	const struct host_neighbor *n = &h->neighbor[neighbor];
	enum status status = host_refused(h, HOST_FRAMING, who);

	if (status != STATUS_OK || n->stamp == h->stamp)
		return status;
	return legal_check(n->object, LEGAL_CALL_OFFLOAD);
}

u32 framing_block(struct host *h, struct chunk *c, u32 neighbor)
{
	struct host_neighbor *n = &h->neighbor[neighbor];
	struct offload_needs *needs = &c->request.needs[HOST_FRAMING];
	bool linker = n->device != HANDLE_NONE;
	struct block *b;

	if (n->stamp == h->stamp)
		return n->block;
	if (block_list_add(&c->list, NIL, LAYER_NEIGHBOR, !linker, &n->block))
		return NIL;
	n->stamp = h->stamp;
	b = block_at(&c->list, n->block);
	b->host = slots_handle(&h->neighbor_slots, neighbor);
	if (linker) { /* R57 */
		b->device = n->device;
		h->counters.linkers++;
		return n->block;
	}
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED; /* R28: nothing can change it */
	*block_neighbor(&c->list, b) = n->state;
	n->object = OBJECT_OFFLOADING;
	n->dirty &= ~(DIRTY_CACHED | DIRTY_OFFLOAD);
	needs->neighbors++;
	needs->features |= features(&n->state);
	return n->block;
}

static void offloaded(struct host *h, struct host_neighbor *n, const struct block *b)
{
	if (b->status == STATUS_OK || b->status == STATUS_PARTIAL) {
		n->device = b->device;
		n->object = OBJECT_OFFLOADED;
		h->counters.neighbors_offloaded++;
	} else {
		n->object = OBJECT_IN_HOST;
	}
}

void framing_complete(struct host *h, struct chunk *c, struct completion *done)
{
	h->table[LAYER_NEIGHBOR] = done->table[LAYER_NEIGHBOR];
	done->table[LAYER_NEIGHBOR] = NULL;
	for (u32 i = 0; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);
		struct host_neighbor *n;

		if (b->layer != LAYER_NEIGHBOR)
			continue;
		n = &h->neighbor[(u32)b->host];
		if (n->object == OBJECT_OFFLOADING)
			offloaded(h, n, b);
		b->device = HANDLE_NONE;
	}
	network_complete(h, c, done);
}

void framing_restore(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);

		if (b->layer == LAYER_NEIGHBOR)
			b->device = h->neighbor[(u32)b->host].device;
	}
}

/* -- other lists ------------------------------------------------------------------------------- */

u32 framing_holder(struct host *h, struct block_list *list, u32 neighbor)
{
	struct host_neighbor *n = &h->neighbor[neighbor];

	if (n->stamp == h->stamp)
		return n->block;
	if (block_list_add(list, NIL, LAYER_NEIGHBOR, false, &n->block))
		return NIL;
	n->stamp = h->stamp;
	n->leaving = 0;
	block_at(list, n->block)->host = slots_handle(&h->neighbor_slots, neighbor);
	return n->block;
}

void framing_leave(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct host_neighbor *n = &h->neighbor[(u32)b->host];

		if (b->layer != LAYER_NEIGHBOR || stays(h, n) || n->leaving != n->refs ||
		    n->wanted || n->device == HANDLE_NONE ||
		    list->n_neighbors == list->cap_neighbors)
			continue;
		b->device = n->device;
		b->state = list->n_neighbors++;
		n->before = n->object;
		n->object = OBJECT_UPLOADING;
	}
}

void framing_keep(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);

		if (b->layer == LAYER_NEIGHBOR && b->device != HANDLE_NONE &&
		    b->status == STATUS_OK && h->neighbor[(u32)b->host].refs)
			b->status = STATUS_FAILED;
	}
}

void framing_left(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		u32 index = (u32)b->host;
		struct host_neighbor *n = &h->neighbor[index];

		if (b->layer != LAYER_NEIGHBOR || b->device == HANDLE_NONE)
			continue;
		if (b->status != STATUS_OK && b->status != STATUS_DEVICE_FAILED) {
			n->object = n->before;
			continue;
		}
		if (b->status == STATUS_OK)
			n->state.d = block_neighbor(list, b)->d;
		n->device = HANDLE_NONE;
		n->object = OBJECT_IN_HOST;
		h->counters.neighbors_uploaded++;
		framing_put(h, index);
	}
}

/* -- changes ----------------------------------------------------------------------------------- */

int host_neighbor_changed(struct host *h, const struct neighbor_key *key,
                          const struct mac_addr *mac, u8 header_format)
{
	u32 index = framing_find(h, key);
	struct host_neighbor *n;

	if (index == NIL)
		return -ENOENT;
	n = &h->neighbor[index];
	n->state.c.next_hop_mac = *mac;
	n->state.c.header_format = header_format;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_NEIGHBOR_CHANGED,
	                                 .layer = LAYER_NEIGHBOR,
	                                 .object = slots_handle(&h->neighbor_slots, index)});
	control_mark(h, LAYER_NEIGHBOR, index, DIRTY_CACHED);
	control_kick(h);
	return 0;
}

int host_invalidate_neighbor(struct host *h, const struct neighbor_key *key)
{
	u32 index = framing_find(h, key);

	if (index == NIL)
		return -ENOENT;
	control_mark(h, LAYER_NEIGHBOR, index, DIRTY_INVALIDATE);
	control_kick(h);
	return 0;
}

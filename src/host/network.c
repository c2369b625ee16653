/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The network layer: paths, shared by their key, counted by the connections below them. */
#include <errno.h>

#include "host/priv.h"

enum {
	IP_ID_HALF = 32768,
};

static u32 key_hash(const struct host *h, const struct path_key *key)
{
	return (u32)hash_bytes(&h->config.hash_key, key, sizeof(*key));
}
_Static_assert(sizeof(struct path_key) == 56, "hashed and compared with its padding, kept zero");

/* A copy whose padding is zero whatever the caller's was. */
static struct path_key clean(const struct path_key *key)
{
	struct path_key k = *key;

	memset(k.pad, 0, sizeof(k.pad));
	return k;
}

u32 network_find(const struct host *h, const struct path_key *key)
{
	struct path_key k = clean(key);

	flowtab_for_each (&h->paths, key_hash(h, &k), index) {
		if (!memcmp(&h->path[index].key, &k, sizeof(k)))
			return index;
	}
	return NIL;
}

void network_attach(struct host *h, u32 path, u32 neighbor)
{
	struct host_path *p = &h->path[path];
	struct host_neighbor *n = &h->neighbor[neighbor];

	p->neighbor = neighbor;
	p->prev = NIL;
	p->next = n->first_path;
	if (p->next != NIL)
		h->path[p->next].prev = path;
	n->first_path = path;
	n->known++;
}

static void detach(struct host *h, u32 path)
{
	struct host_path *p = &h->path[path];
	struct host_neighbor *n = &h->neighbor[p->neighbor];

	if (p->prev == NIL)
		n->first_path = p->next;
	else
		h->path[p->prev].next = p->next;
	if (p->next != NIL)
		h->path[p->next].prev = p->prev;
	n->known--;
}

/* A path under another neighbor than the host knew: at once, or by an update of the device. */
static void found_elsewhere(struct host *h, u32 path, u32 neighbor)
{
	struct host_path *p = &h->path[path];
	u32 old = p->neighbor;

	if (p->object == OBJECT_IN_HOST) {
		detach(h, path);
		network_attach(h, path, neighbor);
		framing_put(h, old);
		return;
	}
	network_want(h, path, neighbor);
}

u32 network_get(struct host *h, const struct move *m)
{
	u32 index = network_find(h, &m->path);
	u32 neighbor = framing_get(h, &m->neighbor, m->neighbor_state);
	struct host_path *p;
	handle taken;

	if (neighbor == NIL)
		return NIL;
	if (index != NIL) {
		p = &h->path[index];
		if ((p->want != NIL ? p->want : p->neighbor) != neighbor)
			found_elsewhere(h, index, neighbor);
		return index;
	}
	taken = slots_take(&h->path_slots);
	if (taken == SLOT_NO_HANDLE) {
		framing_put(h, neighbor);
		return NIL;
	}
	index = (u32)taken;
	p = &h->path[index];
	*p = (struct host_path){
		.key = clean(&m->path),
		.state = *m->path_state,
		.want = NIL,
		.first_conn = NIL,
		.object = OBJECT_IN_HOST,
	};
	p->hash = key_hash(h, &p->key);
	/* A backend that confines its own stack to a half says which; else any will do. */
	if (!p->state.k.ip_id_confined)
		p->state.k.ip_id_start = (u16)(p->hash >> 16);
	p->state.k.ip_id_confined |= h->config.ip_id_confined;
	p->state.d.next_ip_id = p->state.k.ip_id_start;
	(void)!flowtab_insert(&h->paths, p->hash, index);
	network_attach(h, index, neighbor);
	return index;
}

void network_put(struct host *h, u32 path)
{
	struct host_path *p = &h->path[path];
	u32 neighbor = p->neighbor;

	if (p->known || p->refs || p->object != OBJECT_IN_HOST || p->queued)
		return;
	detach(h, path);
	if (p->want != NIL)
		framing_unwant(h, p->want);
	flowtab_remove(&h->paths, p->hash, path);
	(void)!slots_release(&h->path_slots, slots_handle(&h->path_slots, path));
	framing_put(h, neighbor);
}

/* -- offload ----------------------------------------------------------------------------------- */

enum status network_offer(struct host *h, struct chunk *c, u32 path,
                          const struct host_candidate *who)
{
	const struct host_path *p = &h->path[path];
	enum status status = host_refused(h, HOST_NETWORK, who);

	if (status == STATUS_OK && p->stamp != h->stamp)
		status = legal_check(p->object, LEGAL_CALL_OFFLOAD);
	if (status != STATUS_OK)
		return status;
	return framing_offer(h, c, p->neighbor, who);
}

u32 network_block(struct host *h, struct chunk *c, u32 path)
{
	struct host_path *p = &h->path[path];
	struct offload_needs *needs = &c->request.needs[HOST_NETWORK];
	bool linker = p->device != HANDLE_NONE;
	struct block *b;
	u32 neighbor;

	if (p->stamp == h->stamp)
		return p->block;
	neighbor = framing_block(h, c, p->neighbor);
	if (neighbor == NIL || block_list_add(&c->list, neighbor, LAYER_PATH, !linker, &p->block))
		return NIL;
	p->stamp = h->stamp;
	b = block_at(&c->list, p->block);
	b->host = slots_handle(&h->path_slots, path);
	if (linker) { /* R57 */
		b->device = p->device;
		h->counters.linkers++;
		return p->block;
	}
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	*block_path(&c->list, b) = p->state;
	p->object = OBJECT_OFFLOADING;
	p->dirty &= ~DIRTY_CACHED;
	h->neighbor[p->neighbor].refs++;
	needs->paths++;
	needs->features |= ip_addr_is_v4(&p->key.remote) ? FEATURE_IPV4 : FEATURE_IPV6;
	return p->block;
}

/* May it wait for its next dependents (R43)? Not when it is of no use to them. */
static bool stays(const struct host *h, const struct host_path *p)
{
	return h->config.parents_late && !h->reaping && p->object != OBJECT_INVALID &&
	       h->neighbor[p->neighbor].object != OBJECT_INVALID;
}

/* A path that is not at the device any more, or never got there. */
static void is_in_host(struct host *h, struct host_path *p)
{
	struct host_neighbor *n = &h->neighbor[p->neighbor];

	p->object = OBJECT_IN_HOST;
	p->device = HANDLE_NONE;
	if (p->want != NIL)
		control_mark(h, LAYER_PATH, (u32)(p - h->path), DIRTY_PARENT);
	n->refs--;
	framing_unused(h, p->neighbor);
}

void network_complete(struct host *h, struct chunk *c, struct completion *done)
{
	h->table[LAYER_PATH] = done->table[LAYER_PATH];
	done->table[LAYER_PATH] = NULL;
	for (u32 i = 0; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);
		struct host_path *p;

		if (b->layer != LAYER_PATH)
			continue;
		p = &h->path[(u32)b->host];
		if (p->object == OBJECT_OFFLOADING) {
			if (b->status == STATUS_OK || b->status == STATUS_PARTIAL) {
				p->device = b->device;
				p->object = OBJECT_OFFLOADED;
				h->counters.paths_offloaded++;
			} else {
				is_in_host(h, p);
			}
		}
		b->device = HANDLE_NONE;
	}
	transport_complete(h, c, done);
}

void network_restore(struct host *h, struct chunk *c)
{
	for (u32 i = 0; i < c->list.n_blocks; i++) {
		struct block *b = block_at(&c->list, i);

		if (b->layer == LAYER_PATH)
			b->device = h->path[(u32)b->host].device;
	}
	framing_restore(h, c);
}

void network_drop(struct host *h, u32 path)
{
	struct host_path *p = &h->path[path];

	if (--p->refs == 0 && p->device != HANDLE_NONE && !stays(h, p))
		control_mark(h, LAYER_PATH, path, DIRTY_REAP); /* R42 */
}

/* -- other lists ------------------------------------------------------------------------------- */

u32 network_holder(struct host *h, struct block_list *list, u32 path)
{
	struct host_path *p = &h->path[path];
	u32 neighbor;

	if (p->stamp == h->stamp)
		return p->block;
	neighbor = framing_holder(h, list, p->neighbor);
	if (neighbor == NIL || block_list_add(list, neighbor, LAYER_PATH, false, &p->block))
		return NIL;
	p->stamp = h->stamp;
	p->leaving = 0;
	block_at(list, p->block)->host = slots_handle(&h->path_slots, path);
	return p->block;
}

/* R80: the layer adds a block of its own when its last dependent goes, else it only passes on. */
void network_leave(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct host_path *p = &h->path[(u32)b->host];

		if (b->layer != LAYER_PATH || stays(h, p) || p->leaving != p->refs ||
		    p->device == HANDLE_NONE || p->telling || list->n_paths == list->cap_paths)
			continue;
		b->device = p->device;
		b->state = list->n_paths++;
		p->before = p->object;
		p->object = OBJECT_UPLOADING;
		h->neighbor[p->neighbor].leaving++;
	}
	framing_leave(h, list);
}

void network_keep(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct host_path *p = &h->path[(u32)b->host];

		if (b->layer != LAYER_PATH)
			continue;
		if (b->device == HANDLE_NONE) { /* could not go along */
			if (!p->refs && p->device != HANDLE_NONE && !stays(h, p))
				control_mark(h, LAYER_PATH, (u32)b->host, DIRTY_REAP);
			continue;
		}
		if (b->status == STATUS_OK && p->refs)
			b->status = STATUS_FAILED;
		if (b->status == STATUS_OK || b->status == STATUS_DEVICE_FAILED)
			is_in_host(h, p);
		else
			p->object = p->before;
	}
	framing_keep(h, list);
}

void network_left(struct host *h, struct block_list *list)
{
	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct host_path *p = &h->path[(u32)b->host];

		if (b->layer != LAYER_PATH || b->device == HANDLE_NONE || p->device != HANDLE_NONE)
			continue;
		if (b->status == STATUS_OK)
			p->state.d = block_path(list, b)->d; /* R62 */
		h->counters.paths_uploaded++;
		network_put(h, (u32)b->host);
	}
	framing_left(h, list);
}

/* -- changes ----------------------------------------------------------------------------------- */

int host_path_mtu(struct host *h, const struct path_key *key, u32 path_mtu)
{
	u32 index = network_find(h, key);

	if (index == NIL)
		return -ENOENT;
	h->path[index].state.c.path_mtu = path_mtu;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_PATH_MTU,
	                                 .layer = LAYER_PATH,
	                                 .object = slots_handle(&h->path_slots, index),
	                                 .detail = path_mtu});
	control_mark(h, LAYER_PATH, index, DIRTY_CACHED);
	control_kick(h);
	return 0;
}

void network_want(struct host *h, u32 path, u32 neighbor)
{
	struct host_path *p = &h->path[path];
	u32 before = p->want;

	if (neighbor == p->neighbor && !p->telling)
		neighbor = NIL; /* back again before the device was told */
	if (neighbor == before)
		return;
	p->want = neighbor;
	if (neighbor != NIL) {
		framing_want(h, neighbor);
		control_mark(h, LAYER_PATH, path, DIRTY_PARENT);
	}
	if (before != NIL)
		framing_unwant(h, before);
}

void network_reparented(struct host *h, u32 path, u32 neighbor)
{
	struct host_path *p = &h->path[path];
	u32 old = p->neighbor;

	p->telling = false;
	detach(h, path);
	network_attach(h, path, neighbor);
	if (p->device != HANDLE_NONE) {
		h->neighbor[neighbor].refs++;
		h->neighbor[old].refs--;
		framing_unused(h, old);
	}
	if (p->want == neighbor) {
		p->want = NIL;
		framing_unwant(h, neighbor);
	}
	framing_put(h, old);
}

int host_route_changed(struct host *h, const struct path_key *paths, u32 n,
                       const struct neighbor_key *to, const struct neighbor_state *state)
{
	u32 neighbor = framing_get(h, to, state);
	u32 changed = 0;

	if (neighbor == NIL)
		return -ENOSPC;
	h->neighbor[neighbor].known++; /* stays while we look */
	for (u32 i = 0; i < n; i++) {
		u32 path = network_find(h, &paths[i]);

		if (path == NIL)
			continue;
		found_elsewhere(h, path, neighbor);
		changed++;
	}
	h->neighbor[neighbor].known--;
	host_log(h, &(struct host_event){.kind = HOST_EVENT_ROUTE_CHANGED,
	                                 .layer = LAYER_NEIGHBOR,
	                                 .object = slots_handle(&h->neighbor_slots, neighbor),
	                                 .detail = changed});
	framing_put(h, neighbor);
	control_kick(h);
	return 0;
}

int host_invalidate_path(struct host *h, const struct path_key *key)
{
	u32 index = network_find(h, key);

	if (index == NIL)
		return -ENOENT;
	control_mark(h, LAYER_PATH, index, DIRTY_INVALIDATE);
	control_kick(h);
	return 0;
}

int host_path_ip_id(struct host *h, const struct path_key *key, u16 *ret_id)
{
	u32 index = network_find(h, key);
	struct host_path *p;

	if (index == NIL)
		return -ENOENT;
	p = &h->path[index];
	*ret_id = (u16)(p->state.k.ip_id_start + IP_ID_HALF + p->host_ip_id++ % IP_ID_HALF);
	return 0;
}

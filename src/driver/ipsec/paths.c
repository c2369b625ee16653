/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The path MTU on its way through: lowered by what protection adds on the way down, raised on the
 * way up. An update or a query brings no addresses, so those of each offloaded path are kept.
 */
#include "driver/ipsec/internal.h"

enum { MTU_MIN_V4 = 68, MTU_MIN_V6 = 1280 };

static u32 note_hash(handle device)
{
	return (u32)(device ^ device >> 32) * 0x9e3779b1u;
}

static u32 note_find(const struct ipsec *d, handle device)
{
	flowtab_for_each (&d->by_path, note_hash(device), i) {
		if (d->path[i].device == device)
			return i;
	}
	return NIL;
}

/* With more paths than the configuration has room for, the MTU of the rest is lowered at their
 * offload and not at updates. */
static void note_add(struct ipsec *d, handle device, const struct path_state *p)
{
	u64 slot;

	if (note_find(d, device) != NIL)
		return;
	slot = slots_take(&d->path_slots);
	if (slot == SLOT_NO_HANDLE)
		return;
	d->path[(u32)slot] = (struct path_note){device, p->k.local_addr, p->k.remote_addr};
	if (flowtab_insert(&d->by_path, note_hash(device), (u32)slot))
		(void)!slots_release(&d->path_slots, slot);
}

static void note_remove(struct ipsec *d, handle device)
{
	u32 i = note_find(d, device);

	if (i == NIL)
		return;
	flowtab_remove(&d->by_path, note_hash(device), i);
	(void)!slots_release(&d->path_slots, slots_handle(&d->path_slots, i));
}

/* What protection adds on the path of a block, and the least MTU of its family. */
static u32 overhead_of(const struct ipsec *d, const struct block *b, const struct path_state *p,
                       u32 *ret_min)
{
	const struct ip_addr *local = &p->k.local_addr, *remote = &p->k.remote_addr;

	if (!(b->flags & BLOCK_CONST)) {
		u32 i = note_find(d, b->device);

		if (i == NIL)
			return 0;
		local = &d->path[i].local;
		remote = &d->path[i].remote;
	}
	*ret_min = ip_addr_is_v4(local) ? MTU_MIN_V4 : MTU_MIN_V6;
	return policy_overhead(d, local, remote);
}

void paths_lower(struct ipsec *d, struct offload_request *request)
{
	struct block_list *list = request->list;

	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct path_state *p;
		u32 min = 0, by;

		if (b->layer != LAYER_PATH || !(b->flags & BLOCK_CACHED) ||
		    b->state >= list->n_paths)
			continue;
		p = block_path(list, b);
		by = overhead_of(d, b, p, &min);
		/* What is too low already is for the device below to refuse. */
		if (by && p->c.path_mtu > min)
			p->c.path_mtu = max_of(min, p->c.path_mtu - min_of(by, p->c.path_mtu));
	}
}

void paths_raise(struct ipsec *d, struct offload_request *request)
{
	struct block_list *list = request->list;

	for (u32 i = 0; i < list->n_blocks; i++) {
		struct block *b = block_at(list, i);
		struct path_state *p;
		u32 min = 0, by;

		if (b->layer != LAYER_PATH || !(b->flags & BLOCK_CACHED) ||
		    b->state >= list->n_paths)
			continue;
		p = block_path(list, b);
		by = overhead_of(d, b, p, &min);
		if (by && p->c.path_mtu >= min)
			p->c.path_mtu += by;
	}
}

/* An offload has completed: the paths that the device now has. */
void paths_note(struct ipsec *d, struct offload_request *request)
{
	struct block_list *list = request->list;

	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);

		if (b->layer != LAYER_PATH || !(b->flags & BLOCK_CONST) ||
		    b->device == HANDLE_NONE || b->state >= list->n_paths)
			continue;
		if (b->status == STATUS_OK || b->status == STATUS_PARTIAL)
			note_add(d, b->device, block_path(list, b));
	}
}

/* Paths that are given up (a transfer) or gone (the commit of an upload). */
void paths_forget(struct ipsec *d, struct offload_request *request, bool with_ok)
{
	struct block_list *list = request->list;

	for (u32 i = 0; i < list->n_blocks; i++) {
		const struct block *b = block_at(list, i);
		bool ok = b->status == STATUS_OK || (!with_ok && b->status == STATUS_PARTIAL);

		if (b->layer == LAYER_PATH && b->device != HANDLE_NONE && ok == with_ok)
			note_remove(d, b->device);
	}
}

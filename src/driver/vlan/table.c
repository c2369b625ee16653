/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Whose objects the device below has, and which tags are whose. */
#include "driver/vlan/internal.h"

enum { VID = 0xfff };

/* A handle of ours says so, in its upper half; hosts hand out small generations. */
#define NAME_MARK (1ull << 63)

static u32 hash_of(const struct vlan *v, u32 layer, handle device)
{
	u64 key[2] = {device, layer};

	return (u32)hash_bytes(&v->config.key, key, sizeof(key));
}

u32 vlan_object_take(struct vlan *v, u32 port, u32 layer, handle host)
{
	u64 slot = slots_take(&v->slots);

	if (slot == SLOT_NO_HANDLE)
		return NIL;
	v->object[(u32)slot] =
		(struct vlan_object){.host = host, .port = (u8)port, .layer = (u8)layer};
	v->port[port].objects++;
	return (u32)slot;
}

u32 vlan_object_find(const struct vlan *v, u32 layer, handle device)
{
	if (device == HANDLE_NONE)
		return NIL;
	flowtab_for_each (&v->by_device, hash_of(v, layer, device), i) {
		if (v->object[i].device == device && v->object[i].layer == layer)
			return i;
	}
	return NIL;
}

u32 vlan_object_of_flow(const struct vlan *v, const struct flow_key *flow)
{
	flowtab_for_each (&v->by_flow, flow_key_hash(&v->config.key, flow), i) {
		if (flow_key_eq(&v->object[i].flow, flow))
			return i;
	}
	return NIL;
}

/* Both tables have room for every object, so this cannot fail. */
void vlan_object_place(struct vlan *v, u32 index, handle device)
{
	struct vlan_object *o = &v->object[index];

	if (o->device != HANDLE_NONE)
		return;
	o->device = device;
	(void)!flowtab_insert(&v->by_device, hash_of(v, o->layer, device), index);
	if (o->layer != LAYER_TCP || !o->known)
		return;
	o->in_flows = true;
	(void)!flowtab_insert(&v->by_flow, flow_key_hash(&v->config.key, &o->flow), index);
}

void vlan_object_drop(struct vlan *v, u32 index)
{
	struct vlan_object *o = &v->object[index];

	if (o->device != HANDLE_NONE)
		(void)flowtab_remove(&v->by_device, hash_of(v, o->layer, o->device), index);
	if (o->in_flows)
		(void)flowtab_remove(&v->by_flow, flow_key_hash(&v->config.key, &o->flow), index);
	v->port[o->port].objects--;
	(void)!slots_release(&v->slots, slots_handle(&v->slots, index));
}

handle vlan_object_name(const struct vlan *v, u32 index)
{
	u64 generation = slots_handle(&v->slots, index) >> 32 & 0xffff;

	return NAME_MARK | (u64)v->config.id << 48 | generation << 32 | index;
}

u32 vlan_object_named(const struct vlan *v, handle name)
{
	u32 index = (u32)name;

	return slots_is_taken(&v->slots, index) && vlan_object_name(v, index) == name ? index : NIL;
}

bool vlan_object_is_of(const struct vlan *v, u32 layer, handle device, u32 port)
{
	u32 i = vlan_object_find(v, layer, device);

	return i == NIL ? !port : v->object[i].port == port;
}

/* -- tags -------------------------------------------------------------------------------------- */

static struct vlan_stack plain(const struct vlan_stack *tags)
{
	struct vlan_stack p = {0};

	for (u32 i = 0; i < min_of(tags->n, (u32)VLAN_DEPTH_MAX); i++)
		if (tags->tag[i] & VID)
			p.tag[p.n++] = tags->tag[i] & (0xffff0000u | VID);
	return p;
}

bool vlan_tags_equal(const struct vlan_stack *a, const struct vlan_stack *b)
{
	struct vlan_stack x = plain(a), y = plain(b);

	return x.n == y.n && !memcmp(x.tag, y.tag, sizeof(x.tag));
}

u32 vlan_port_of_tags(const struct vlan *v, const struct vlan_stack *tags)
{
	struct vlan_stack t = plain(tags);

	for (; t.n; t.tag[--t.n] = 0)
		for (u32 i = 1; i < v->config.n; i++)
			if (vlan_tags_equal(&v->port[i].config.tags, &t))
				return i;
	return 0;
}

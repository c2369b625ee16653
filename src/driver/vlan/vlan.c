/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The driver in its memory, and its virtual devices. */
#include <errno.h>

#include "driver/vlan/internal.h"

enum { LINE = 64, VID = 0xfff };

/* -- memory ------------------------------------------------------------------------------------ */

static bool tags_are_sound(const struct vlan_config *c, u32 at)
{
	const struct vlan_stack *tags = &c->device[at].tags;

	if (!tags->n != !at || tags->n > VLAN_DEPTH_MAX)
		return false;
	for (u32 i = 0; i < tags->n; i++) {
		u32 vid = tags->tag[i] & VID, tpid = tags->tag[i] >> 16;

		if (!vid || vid == VID || (tpid != 0x8100 && tpid != 0x88a8))
			return false;
	}
	for (u32 i = 1; i < at; i++)
		if (vlan_tags_equal(&c->device[i].tags, tags))
			return false;
	return true;
}

static bool config_is_sound(const struct vlan_config *c)
{
	if (!c->n || c->n > VLAN_DEVICES_MAX || !c->objects || c->objects > 1u << 28 ||
	    c->list_blocks < LAYERS || !c->id || c->id > 0x7fff || !c->pool)
		return false;
	for (u32 i = 0; i < c->n; i++)
		if (!tags_are_sound(c, i))
			return false;
	return true;
}

/* Cuts pieces from one block; without memory it only adds up. */
static void *cut(u8 *mem, size_t *at, size_t bytes)
{
	void *piece = mem ? mem + *at : NULL;

	*at += (bytes + LINE - 1) & ~(size_t)(LINE - 1);
	return piece;
}

static size_t lay_out(struct vlan *v, const struct vlan_config *c)
{
	u8 *mem = (u8 *)v;
	size_t at = 0, blocks = c->list_blocks;
	void *slots, *object, *parents, *scratch, *by_device, *by_flow, *of, *lent;

	(void)cut(mem, &at, sizeof(*v));
	slots = cut(mem, &at, slots_bytes(c->objects));
	object = cut(mem, &at, c->objects * sizeof(struct vlan_object));
	by_device = cut(mem, &at, flowtab_bytes(c->objects));
	by_flow = cut(mem, &at, flowtab_bytes(c->objects));
	parents = cut(mem, &at, blocks * sizeof(u32));
	scratch = cut(mem, &at, blocks);
	if (v) {
		slots_init(&v->slots, slots, c->objects);
		flowtab_init(&v->by_device, by_device, c->objects);
		flowtab_init(&v->by_flow, by_flow, c->objects);
		v->object = object;
		v->parents = parents;
		v->scratch = scratch;
	}
	for (u32 i = 0; i < VLAN_FLYING; i++) {
		of = cut(mem, &at, blocks * sizeof(u32));
		lent = cut(mem, &at, blocks * sizeof(struct block_insert));
		if (!v)
			continue;
		v->flight[i].object = of;
		v->flight[i].lent = lent;
	}
	return at;
}

size_t vlan_bytes(const struct vlan_config *config)
{
	return config_is_sound(config) ? lay_out(NULL, config) : 0;
}

/* -- virtual devices --------------------------------------------------------------------------- */

static struct host_side attach(void *port, struct host_side host)
{
	struct vlan_port *p = port;
	struct host_side *place = p->index ? &p->host : &p->v->chain.above;
	struct host_side before = *place;

	*place = host;
	return before;
}

static void capabilities(void *port, struct capabilities *ret)
{
	struct vlan_port *p = port;
	u32 ours = p->config.tags.n;

	device_pass_ops.capabilities(p->v, ret);
	ret->vlan_depth = ret->vlan_depth > ours ? ret->vlan_depth - ours : 0;
	if (!ret->vlan_depth)
		ret->features &= ~(u32)FEATURE_VLAN;
	ret->max_list_blocks = min_of(ret->max_list_blocks, p->v->config.list_blocks);
}

static int memory_add(void *port, void *base, u64 bytes)
{
	return device_pass_ops.memory_add(((struct vlan_port *)port)->v, base, bytes);
}

static int memory_remove(void *port, void *base)
{
	return device_pass_ops.memory_remove(((struct vlan_port *)port)->v, base);
}

static const struct device_ops device_ops = {
	.attach = attach,
	.capabilities = capabilities,
	.offload = vlan_offload,
	.transfer = vlan_transfer,
	.upload = vlan_upload,
	.commit = vlan_commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};

/* Until a host attaches. */
static void no_complete(void *host, struct offload_request *request)
{
}

static void no_data_complete(void *host, const struct data_completion *done, u32 n)
{
}

static void no_indicate(void *host, const struct indication *ind, u32 n)
{
}

static const struct host_ops no_host = {no_complete, no_data_complete, no_indicate};

struct vlan *vlan_init(void *mem, const struct vlan_config *config)
{
	struct vlan *v = mem;

	if (!config_is_sound(config))
		return NULL;
	memset(v, 0, sizeof(*v));
	v->config = *config;
	(void)lay_out(v, config);
	for (u32 i = 0; i < config->n; i++) {
		struct vlan_port *p = &v->port[i];

		*p = (struct vlan_port){.v = v, .index = i, .config = config->device[i]};
		p->host = (struct host_side){&no_host, NULL};
		p->device = (struct device){.ops = &device_ops,
		                            .data = &vlan_data_ops,
		                            .frames = &vlan_frame_ops,
		                            .impl = p};
		for (u32 l = 0; l < LAYERS; l++)
			p->device.layer[l] = vlan_layer_ops[l];
	}
	return v;
}

int vlan_insert(struct vlan *v, struct device *hook)
{
	return device_insert(&v->chain, hook, v->port[0].device,
	                     (struct host_side){&vlan_side_ops, v});
}

int vlan_remove(struct vlan *v)
{
	int error;

	for (u32 i = 1; i < v->config.n; i++)
		if (v->port[i].objects)
			return -EBUSY;
	for (u32 i = 0; i < VLAN_FLYING; i++)
		if (v->flight[i].request)
			return -EBUSY;
	error = device_remove(&v->chain);
	for (u32 i = 0; !error && i < v->config.objects; i++)
		if (slots_is_taken(&v->slots, i))
			vlan_object_drop(v, i);
	return error;
}

struct device *vlan_device(struct vlan *v, u32 index)
{
	return index && index < v->config.n ? &v->port[index].device : NULL;
}

void vlan_counters(const struct vlan *v, struct vlan_counters *ret)
{
	*ret = v->count;
}

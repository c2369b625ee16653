/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A team in its memory, and as a device. */
#include <errno.h>

#include "driver/team/internal.h"

enum { LINE = 64, DEFAULT_LIST = 512 };

static struct team_config with_defaults(const struct team_config *config)
{
	struct team_config c = *config;

	if (!c.list_blocks)
		c.list_blocks = DEFAULT_LIST;
	return c;
}

/* -- memory ------------------------------------------------------------------------------------ */

/* Cuts pieces from one block; without memory it only adds up. */
struct cutter {
	u8 *mem;
	size_t at;
};

static void *cut(struct cutter *c, size_t bytes)
{
	void *piece = c->mem ? c->mem + c->at : NULL;

	c->at += (bytes + LINE - 1) & ~(size_t)(LINE - 1);
	return piece;
}

static void cut_op(struct cutter *c, struct team_op *op, const struct team_config *config)
{
	u32 n = config->list_blocks;

	op->object = cut(c, n * sizeof(u32));
	op->parent = cut(c, n * sizeof(u32));
	op->tried = cut(c, n);
	op->own_mem = cut(c, block_list_bytes(n, n, n, n));
	for (u32 m = 0; m < config->n_members; m++) {
		op->mirror[m] = cut(c, n * sizeof(u32));
		op->area_of[m] = cut(c, 2 * n * sizeof(u32));
		op->area_mem[m] = cut(c, block_list_bytes(2 * n, n, n, n));
	}
}

/* `t` may be NULL: only the size is wanted. */
static size_t lay_out(struct team *t, const struct team_config *config)
{
	struct cutter c = {.mem = (u8 *)t};
	void *slots[LAYERS];
	struct team_op none;

	(void)cut(&c, sizeof(struct team));
	slots[LAYER_NEIGHBOR] = cut(&c, slots_bytes(config->neighbors));
	slots[LAYER_PATH] = cut(&c, slots_bytes(config->paths));
	slots[LAYER_TCP] = cut(&c, slots_bytes(config->connections));
	if (t) {
		slots_init(&t->neighbor_slots, slots[LAYER_NEIGHBOR], config->neighbors);
		slots_init(&t->path_slots, slots[LAYER_PATH], config->paths);
		slots_init(&t->conn_slots, slots[LAYER_TCP], config->connections);
		t->neighbors = cut(&c, config->neighbors * sizeof(struct team_neighbor));
		t->paths = cut(&c, config->paths * sizeof(struct team_path));
		t->conns = cut(&c, config->connections * sizeof(struct team_conn));
		t->scratch = cut(&c, config->list_blocks);
	} else {
		(void)cut(&c, config->neighbors * sizeof(struct team_neighbor));
		(void)cut(&c, config->paths * sizeof(struct team_path));
		(void)cut(&c, config->connections * sizeof(struct team_conn));
		(void)cut(&c, config->list_blocks);
	}
	for (u32 i = 0; i < OPS_MAX; i++)
		cut_op(&c, t ? &t->op[i] : &none, config);
	return c.at;
}

size_t team_bytes(const struct team_config *config)
{
	struct team_config c = with_defaults(config);

	return lay_out(NULL, &c);
}

/* -- the device -------------------------------------------------------------------------------- */

static struct host_side attach(void *device, struct host_side host)
{
	struct team *t = device;
	struct host_side before = t->host;

	t->host = host;
	return before;
}

static struct team_region *region_of(struct team *t, const void *base)
{
	for (u32 i = 0; i < REGIONS_MAX; i++)
		if (t->region[i].base == base)
			return &t->region[i];
	return NULL;
}

/* Posted calls move with their connections, so every member reaches the memory, or none does. */
static int members_add(struct team *t, u32 n, void *base, u64 bytes)
{
	for (u32 i = 0; i < n; i++) {
		struct device *d = t->member[i].device;
		int err = d->ops->memory_add(d->impl, base, bytes);

		if (!err)
			continue;
		while (i-- > 0) {
			d = t->member[i].device;
			(void)d->ops->memory_remove(d->impl, base); /* nothing names it yet */
		}
		return err;
	}
	return 0;
}

static int members_remove(struct team *t, u32 n, const struct team_region *r)
{
	for (u32 i = 0; i < n; i++) {
		struct device *d = t->member[i].device;
		int err = d->ops->memory_remove(d->impl, r->base);

		if (!err)
			continue;
		(void)members_add(t, i, r->base, r->bytes); /* there was room until now */
		return err;
	}
	return 0;
}

static int memory_add(void *device, void *base, u64 bytes)
{
	struct team *t = device;
	struct team_region *r = region_of(t, NULL);
	int err;

	if (!base)
		return -EINVAL;
	if (!r)
		return -ENOSPC;
	err = members_add(t, t->config.n_members, base, bytes);
	if (!err)
		*r = (struct team_region){base, bytes};
	return err;
}

static int memory_remove(void *device, void *base)
{
	struct team *t = device;
	struct team_region *r = base ? region_of(t, base) : NULL;
	int err;

	if (!r)
		return -ENOENT;
	err = members_remove(t, t->config.n_members, r);
	if (!err)
		r->base = NULL;
	return err;
}

static const struct device_ops ops = {
	.attach = attach,
	.capabilities = team_capabilities,
	.offload = team_offload,
	.transfer = team_transfer,
	.upload = team_upload,
	.commit = team_commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};

struct device team_device(struct team *t)
{
	return (struct device){
		.ops = &ops,
		.layer = {[LAYER_NEIGHBOR] = &team_layer_neighbor,
	                  [LAYER_PATH] = &team_layer_path,
	                  [LAYER_TCP] = &team_layer_tcp},
		.data = &team_data_ops,
		.frames = &team_frame_ops,
		.impl = t,
	};
}

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

struct team *team_init(void *mem, const struct team_config *config, const struct team_env *env)
{
	struct team_config c = with_defaults(config);
	struct team *t = mem;

	if (!c.n_members || c.n_members > TEAM_MEMBERS_MAX || !c.neighbors || !c.paths ||
	    !c.connections || !c.pool || c.list_blocks < LAYERS)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->config = c;
	t->env = *env;
	t->host = (struct host_side){&no_host, NULL};
	(void)lay_out(t, &c);
	for (u32 i = 0; i < c.n_members; i++) {
		struct team_member *m = &t->member[i];

		*m = (struct team_member){.team = t,
		                          .device = c.member[i].device,
		                          .port = c.member[i].port,
		                          .priority = c.member[i].priority,
		                          .first = NIL,
		                          .usable = true};
		m->device->ops->attach(m->device->impl, (struct host_side){&team_member_side, m});
	}
	team_select_active(t);
	return t;
}

/* -- what one may ask -------------------------------------------------------------------------- */

u32 team_member_connections(const struct team *t, u32 member)
{
	return t->member[member].n;
}

u32 team_member_of(const struct team *t, handle conn)
{
	u32 i = slots_find(&t->conn_slots, conn);

	return i == NIL || t->conns[i].member == NO_MEMBER ? NIL : t->conns[i].member;
}

void team_stats(const struct team *t, struct team_stats *ret)
{
	*ret = t->stats;
}

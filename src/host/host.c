/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Memory, connections' life, and looking. */
#include <errno.h>

#include "host/priv.h"

/* -- memory ------------------------------------------------------------------------------------ */

struct layout {
	u8 *mem; /* NULL: only count */
	size_t bytes;
};

static void *take(struct layout *l, size_t bytes)
{
	void *at = l->mem ? l->mem + l->bytes : NULL;

	l->bytes += (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
	return at;
}

static void take_slots(struct layout *l, struct slots *slots, u32 count)
{
	void *at = take(l, slots_bytes(count));

	if (at)
		slots_init(slots, at, count);
}

static void take_table(struct layout *l, struct flowtab *table, u32 max)
{
	void *at = take(l, flowtab_bytes(max));

	if (at)
		flowtab_init(table, at, max);
}

static void take_list(struct layout *l, struct block_list *list, u32 blocks,
                      const u32 states[LAYERS])
{
	void *at = take(l, block_list_bytes(blocks, states[0], states[1], states[2]));

	if (at)
		block_list_init(list, at, blocks, states[0], states[1], states[2]);
}

static void take_chunk(struct layout *l, struct chunk *c, u32 n)
{
	take_list(l, &c->list, 3 * n, (const u32[LAYERS]){n, n, n});
	c->moves = take(l, n * sizeof(*c->moves));
	c->conn = take(l, n * sizeof(*c->conn));
	c->block = take(l, n * sizeof(*c->block));
	c->result = take(l, n * sizeof(struct host_move *));
	c->kept = take(l, KEPT_MAX * sizeof(*c->kept));
	c->inside = take(l, INSIDE_MAX * sizeof(*c->inside));
	c->stage = take(l, n);
}

static void lay_out(struct layout *l, struct host *h, const struct host_config *k)
{
	const u32 few[LAYERS] = {CONTROL_STATES, CONTROL_STATES, CONTROL_STATES};

	take_slots(l, &h->neighbor_slots, k->max_neighbors);
	take_slots(l, &h->path_slots, k->max_paths);
	take_slots(l, &h->conn_slots, k->max_connections);
	take_slots(l, &h->io_slots, k->max_posted);
	h->neighbor = take(l, (size_t)k->max_neighbors * sizeof(*h->neighbor));
	h->path = take(l, (size_t)k->max_paths * sizeof(*h->path));
	h->conn = take(l, (size_t)k->max_connections * sizeof(*h->conn));
	h->io = take(l, (size_t)k->max_posted * sizeof(*h->io));
	h->parked = take(l, (size_t)k->max_parked * sizeof(*h->parked));
	take_table(l, &h->neighbors, k->max_neighbors);
	take_table(l, &h->paths, k->max_paths);
	take_table(l, &h->flows, k->max_connections);
	for (u32 i = 0; i < CHUNKS; i++)
		take_chunk(l, &h->chunk[i], k->chunk_max);
	take_list(l, &h->control.list, k->max_paths + k->max_neighbors + CONTROL_STATES, few);
	take_list(l, &h->query_list, LAYERS, (const u32[LAYERS]){1, 1, 1});
	h->inspect_moves = take(l, INSPECT_BATCH * sizeof(*h->inspect_moves));
	h->inspect_paths = take(l, INSPECT_BATCH * sizeof(*h->inspect_paths));
	h->inspect_neighbors = take(l, INSPECT_BATCH * sizeof(*h->inspect_neighbors));
	h->inspect_tcp = take(l, INSPECT_BATCH * sizeof(*h->inspect_tcp));
	h->log = take(l, k->log_entries * sizeof(*h->log));
}

static struct host_config with_defaults(const struct host_config *config)
{
	struct host_config k = *config;

	k.hold_off_ns = k.hold_off_ns ? k.hold_off_ns : 60 * NS_PER_S;
	k.log_entries = k.log_entries ? k.log_entries : 1024;
	k.chunk_max = k.chunk_max ? k.chunk_max : 256;
	k.chunk_ns = k.chunk_ns ? k.chunk_ns : NS_PER_MS;
	k.estimate_ns = k.estimate_ns ? k.estimate_ns : 8 * NS_PER_US;
	return k;
}

size_t host_bytes(const struct host_config *config)
{
	struct host_config k = with_defaults(config);
	struct host h;
	struct layout l = {.bytes = 0};

	memset(&h, 0, sizeof(h));
	take(&l, sizeof(h));
	lay_out(&l, &h, &k);
	return l.bytes;
}

struct host *host_init(void *mem, const struct host_config *config, const struct host_env *env)
{
	struct layout l = {.mem = mem};
	struct host *h = take(&l, sizeof(*h));

	memset(h, 0, sizeof(*h));
	h->config = with_defaults(config);
	h->env = *env;
	lay_out(&l, h, &h->config);
	for (u32 i = 0; i < LAYERS; i++) {
		h->table[i] = &h->env.device->layer[i];
		h->dirty[i] = (struct fifo){NIL, NIL};
	}
	for (u32 i = 0; i < CHUNKS; i++)
		h->chunk[i].list.pool = env->pool;
	h->asked = (struct fifo){NIL, NIL};
	h->again = (struct fifo){NIL, NIL};
	h->starved = (struct fifo){NIL, NIL};
	h->estimate_ns[0] = h->config.estimate_ns;
	h->estimate_ns[1] = h->config.estimate_ns;
	park_init(h);
	fragments_init(h);
	return h;
}

struct host_side host_side(struct host *h)
{
	return (struct host_side){.ops = &host_ops_table, .impl = h};
}

/* -- connections ------------------------------------------------------------------------------- */

int host_adopt(struct host *h, u64 backend_conn, void *owner, handle *ret_conn)
{
	handle conn = slots_take(&h->conn_slots);
	struct host_conn *c;

	if (conn == SLOT_NO_HANDLE)
		return -ENOSPC;
	c = &h->conn[(u32)conn];
	memset(c, 0, sizeof(*c));
	c->backend = backend_conn;
	c->owner = owner;
	c->asked = UPLOAD_REASONS;
	c->path = NIL;
	c->next = NIL;
	c->prev = NIL;
	c->park_head = NIL;
	c->park_tail = NIL;
	c->queue[0] = (struct fifo){NIL, NIL};
	c->queue[1] = (struct fifo){NIL, NIL};
	c->side = HOST_IN_STACK;
	c->object = OBJECT_IN_HOST;
	h->counters.adopted++;
	*ret_conn = conn;
	return 0;
}

int host_release(struct host *h, handle conn)
{
	struct host_conn *c = conn_find(h, conn);

	if (!c)
		return -ESTALE;
	if (c->side != HOST_IN_STACK || c->flags & (CONN_IN_JOB | CONN_ASKED) || c->queued_dirty)
		return -EBUSY;
	switch_abort_posted(h, c);
	park_drop(h, c);
	posted_forget(h, c);
	transport_forget(h, c);
	return slots_release(&h->conn_slots, conn);
}

int host_discard(struct host *h, handle conn)
{
	struct host_conn *c = conn_find(h, conn);

	if (!c)
		return -ESTALE;
	c->flags |= CONN_DISCARD;
	return 0;
}

int host_conn_info(const struct host *h, handle conn, struct host_conn_info *ret_info)
{
	const struct host_conn *c = conn_find(h, conn);

	if (!c)
		return -ESTALE;
	*ret_info = (struct host_conn_info){
		.backend_conn = c->backend,
		.owner = c->owner,
		.side = c->side,
		.object = c->object,
		.has_keys = c->flags & CONN_KEYED,
		.local_port = c->local_port,
		.remote_port = c->remote_port,
		.device = c->device,
		.moves = c->moves,
		.last_status = c->last_status,
		.last_detail = c->last_detail,
		.queued = c->queued,
		.at_device = c->at_device,
		.asked = c->asked,
		.asked_ns = c->asked_ns,
		.parked = c->parked,
	};
	if (ret_info->has_keys) {
		ret_info->path = h->path[c->path].key;
		ret_info->neighbor = h->neighbor[h->path[c->path].neighbor].key;
	}
	return 0;
}

handle host_find(const struct host *h, const struct flow_key *flow)
{
	u32 hash = flow_key_hash(&h->config.hash_key, flow);
	handle found = HANDLE_NONE;

	flowtab_for_each (&h->flows, hash, index) {
		const struct host_conn *c = &h->conn[index];
		const struct path_key *path = &h->path[c->path].key;

		if (c->local_port != flow->local_port || c->remote_port != flow->remote_port ||
		    !ip_addr_eq(&path->local, &flow->local) ||
		    !ip_addr_eq(&path->remote, &flow->remote))
			continue;
		found = conn_handle(h, c);
		/* A closed connection of the same flow may not have been released yet. */
		if (c->side != HOST_IN_STACK)
			break;
	}
	return found;
}

/* -- looking ----------------------------------------------------------------------------------- */

bool host_path_next(const struct host *h, u32 *cursor, struct host_path_info *ret_info)
{
	for (; *cursor < h->config.max_paths; (*cursor)++) {
		const struct host_path *p = &h->path[*cursor];

		if (!slots_is_taken(&h->path_slots, *cursor))
			continue;
		*ret_info = (struct host_path_info){
			.key = p->key,
			.neighbor = h->neighbor[p->want != NIL ? p->want : p->neighbor].key,
			.path_mtu = p->state.c.path_mtu,
			.offloaded = p->refs,
			.at_device = p->device != HANDLE_NONE,
		};
		(*cursor)++;
		return true;
	}
	return false;
}

/* The list of the query before may still be the device's. */
static bool query_is_free(const struct host *h)
{
	return !h->query_pending || h->query_completed;
}

/* Asks the device for the last block of the list, which is of `layer`. */
static int query_ask(struct host *h, enum layer layer, u32 block)
{
	h->query = (struct offload_request){
		.call = BLOCK_CALL_QUERY, .list = &h->query_list, .cookie = COOKIE_QUERY};
	h->query_completed = false;
	h->query_pending = !(*h->table[layer])->query(host_device(h), &h->query);
	if (!h->query_pending)
		return -EIO;
	while (!h->query_completed) {
		if (!h->env.wait)
			return -EIO;
		h->env.wait(h->env.ctx);
	}
	return block_at(&h->query_list, block)->status == STATUS_OK ? 0 : -EIO;
}

int host_query(struct host *h, handle conn, struct tcp_state *ret_state)
{
	struct host_conn *c = conn_find(h, conn);
	struct block_list *list = &h->query_list;
	u32 path, block;
	int err;

	if (!c)
		return -ESTALE;
	if (!query_is_free(h))
		return -EIO;
	if (c->device == HANDLE_NONE || legal_check(c->object, LEGAL_CALL_QUERY) != STATUS_OK)
		return -ENXIO;
	block_list_reset(list);
	h->stamp++;
	path = network_holder(h, list, c->path);
	if (path == NIL || block_list_add(list, path, LAYER_TCP, true, &block))
		return -EIO;
	block_at(list, block)->host = conn;
	block_at(list, block)->device = c->device;
	block_at(list, block)->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	err = query_ask(h, LAYER_TCP, block);
	if (!err)
		*ret_state = *block_tcp(list, block_at(list, block));
	return err;
}

/* How long ago the device saw forward progress through a neighbor; UINT64_MAX: it does not say. */
static u64 progress_ago(struct host *h, u32 neighbor)
{
	struct block_list *list = &h->query_list;
	u32 block;

	if (!query_is_free(h))
		return UINT64_MAX;
	block_list_reset(list);
	h->stamp++;
	if (block_list_add(list, NIL, LAYER_NEIGHBOR, true, &block))
		return UINT64_MAX;
	block_at(list, block)->host = slots_handle(&h->neighbor_slots, neighbor);
	block_at(list, block)->device = h->neighbor[neighbor].device;
	block_at(list, block)->flags = BLOCK_DELEGATED;
	if (query_ask(h, LAYER_NEIGHBOR, block))
		return UINT64_MAX;
	return block_neighbor(list, block_at(list, block))->d.device_reachable_ns;
}

void host_reached(struct host *h, u64 within_ns,
                  void (*reached)(void *ctx, const struct neighbor_key *key), void *ctx)
{
	for (u32 i = 0; i < h->config.max_neighbors; i++) {
		const struct host_neighbor *n = &h->neighbor[i];

		if (slots_is_taken(&h->neighbor_slots, i) && n->object == OBJECT_OFFLOADED &&
		    n->device != HANDLE_NONE && progress_ago(h, i) < within_ns)
			reached(ctx, &n->key);
	}
}

const struct host_counters *host_counters(const struct host *h)
{
	return &h->counters;
}

void host_usage(const struct host *h, struct host_usage *ret_usage)
{
	*ret_usage = (struct host_usage){
		.connections = h->conn_slots.n_taken,
		.offloaded = h->n_offloaded,
		.paths = h->path_slots.n_taken,
		.neighbors = h->neighbor_slots.n_taken,
		.posted = h->io_slots.n_taken,
		.parked = h->n_parked,
	};
	for (u32 i = 0; i < h->config.max_paths; i++)
		ret_usage->paths_at_device +=
			slots_is_taken(&h->path_slots, i) && h->path[i].device != HANDLE_NONE;
	for (u32 i = 0; i < h->config.max_neighbors; i++)
		ret_usage->neighbors_at_device += slots_is_taken(&h->neighbor_slots, i) &&
		                                  h->neighbor[i].device != HANDLE_NONE;
}

u64 host_ladder_count(const struct host *h, enum block_call call, enum host_layer layer)
{
	return h->ladder[call][layer];
}

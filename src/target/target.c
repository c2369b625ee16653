/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Making a target over an arena, and what it says about itself. */
#include <errno.h>

#include "target/internal.h"

#define MAGIC 0x74656772617463ull /* "ctarget" */
enum { VERSION = 1, PAGE_BYTES = 4096 };

#define ALL_FEATURES                                                                        \
	(FEATURE_IPV4 | FEATURE_IPV6 | FEATURE_SACK | FEATURE_TIMESTAMPS | FEATURE_WSCALE | \
	 FEATURE_VLAN | FEATURE_ECN | FEATURE_SNAP | FEATURE_CUBIC | FEATURE_NEWRENO |      \
	 FEATURE_BBR | FEATURE_USEC_TS | FEATURE_UPLOAD_FORWARD_BUFFERING |                 \
	 FEATURE_BUFFERS_IN_REQUEST | FEATURE_CHECKPOINT | FEATURE_PACING)

static u32 or_default(u32 value, u32 otherwise)
{
	return value ? value : otherwise;
}

void target_config_defaults(struct target_config *c)
{
	c->connections = or_default(c->connections, 16384);
	c->paths = or_default(c->paths, c->connections);
	c->neighbors = or_default(c->neighbors, 256);
	c->addresses = or_default(c->addresses, 256);
	c->macs = or_default(c->macs, 64);
	c->vlans = or_default(c->vlans, 64);
	c->vlan_depth = min_of(or_default(c->vlan_depth, VLAN_DEPTH_MAX), (u32)VLAN_DEPTH_MAX);
	c->bufs.small = or_default(c->bufs.small, 4 * c->connections);
	c->bufs.large = or_default(c->bufs.large, c->connections / 16 + 16);
	c->posted = or_default(c->posted, 2 * c->connections);
	c->posted_per_connection = or_default(c->posted_per_connection, 64);
	c->posted_per_connection = min_of(c->posted_per_connection, 65535u);
	c->list_blocks = or_default(c->list_blocks, 2 * c->connections + c->neighbors);
	c->max_window_bytes = or_default(c->max_window_bytes, 1u << 30);
	c->engine.rcv_buf_max_bytes = c->max_window_bytes;
	c->max_mtu_bytes = or_default(c->max_mtu_bytes, 65535);
	c->oversubscription_percent = or_default(c->oversubscription_percent, 10000);
	if (c->per_connection_pool)
		c->oversubscription_percent = 100;
	c->features = (c->features ? c->features : ALL_FEATURES) & ALL_FEATURES;
	c->push_timer_ns = c->push_timer_ns ? c->push_timer_ns : 50 * NS_PER_MS;
	c->reachable_ns = c->reachable_ns ? c->reachable_ns : 30 * NS_PER_S;
	c->watch.periods = or_default(c->watch.periods, 3);
	c->watch.quiet_ns = c->watch.quiet_ns ? c->watch.quiet_ns : 60 * NS_PER_S;
	c->engine.max_connections = c->connections;
	c->engine.max_paths = c->paths;
	c->engine.max_neighbors = c->neighbors;
}

/* -- layout -------------------------------------------------------------------------------------
 */

/* Where the parts lie in the arena, as offsets; the pool is last and page-aligned. */
struct layout {
	size_t engine, conn_slots, path_slots, neighbor_slots, conns, paths, neighbors, calls, pool;
	size_t bytes;
};

static size_t align_to(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) & ~(unit - 1);
}

static size_t take(size_t *at, size_t bytes)
{
	size_t here = align_to(*at, CACHE_LINE_BYTES);

	*at = here + bytes;
	return here;
}

static struct layout layout_of(const struct target_config *c)
{
	size_t at = PAGE_BYTES;
	struct layout l;

	l.engine = at;
	at += tcp_engine_arena_bytes(&c->engine);
	l.conn_slots = take(&at, slots_bytes(c->connections));
	l.path_slots = take(&at, slots_bytes(c->paths));
	l.neighbor_slots = take(&at, slots_bytes(c->neighbors));
	l.conns = take(&at, (size_t)c->connections * sizeof(struct target_conn));
	l.paths = take(&at, (size_t)c->paths * sizeof(struct target_path));
	l.neighbors = take(&at, (size_t)c->neighbors * sizeof(struct target_neighbor));
	l.calls = take(&at, (size_t)c->posted * sizeof(struct target_call));
	l.pool = align_to(at, PAGE_BYTES);
	l.bytes = l.pool + (c->pool ? 0 : buf_pool_bytes(&c->bufs));
	return l;
}

size_t target_arena_bytes(const struct target_config *config)
{
	struct target_config c = *config;

	target_config_defaults(&c);
	return align_to(layout_of(&c).bytes, PAGE_BYTES);
}

struct private_layout {
	size_t engine, slot_of, scratch, addresses, macs, vlans, bytes;
};

static struct private_layout private_layout_of(const struct target_config *c)
{
	size_t at = sizeof(struct target);
	struct private_layout l;

	l.engine = take(&at, tcp_engine_bytes());
	l.slot_of = take(&at, (size_t)c->connections * sizeof(u32));
	l.scratch = take(&at, c->list_blocks);
	l.addresses = take(&at, (size_t)c->addresses * sizeof(struct intern_entry));
	l.macs = take(&at, (size_t)c->macs * sizeof(struct intern_entry));
	l.vlans = take(&at, (size_t)c->vlans * sizeof(struct intern_entry));
	l.bytes = align_to(at, CACHE_LINE_BYTES);
	return l;
}

size_t target_bytes(const struct target_config *config)
{
	struct target_config c = *config;

	target_config_defaults(&c);
	return private_layout_of(&c).bytes;
}

static int setup(struct target *t, void *arena, const struct target_config *config)
{
	struct private_layout p;
	struct target_config c = *config;
	struct layout l;

	target_config_defaults(&c);
	if (c.connections >= NIL / 4 || c.paths >= NIL / 4 || c.neighbors >= NIL / 4 ||
	    c.posted >= NIL / 4 || c.list_blocks >= NIL / 4)
		return -EINVAL;
	l = layout_of(&c);
	p = private_layout_of(&c);
	memset(t, 0, sizeof(*t));
	t->config = c;
	t->features = c.features | (c.registered_only ? FEATURE_REGISTERED_BUFFERS : 0);
	t->pool = c.pool ? c.pool : &t->own_pool;
	t->header = arena;
	t->engine = (struct tcp_engine *)((u8 *)t + p.engine);
	t->slot_of = (u32 *)((u8 *)t + p.slot_of);
	t->scratch = (u8 *)t + p.scratch;
	t->addresses = (struct intern){(struct intern_entry *)((u8 *)t + p.addresses), c.addresses};
	t->macs = (struct intern){(struct intern_entry *)((u8 *)t + p.macs), c.macs};
	t->vlans = (struct intern){(struct intern_entry *)((u8 *)t + p.vlans), c.vlans};
	t->conns = (struct target_conn *)((u8 *)arena + l.conns);
	t->paths = (struct target_path *)((u8 *)arena + l.paths);
	t->neighbors = (struct target_neighbor *)((u8 *)arena + l.neighbors);
	t->calls = (struct target_call *)((u8 *)arena + l.calls);
	t->pool_bytes = (u64)c.bufs.small * BUF_SMALL_BYTES + (u64)c.bufs.large * BUF_LARGE_BYTES;
	t->kick_head = t->kick_tail = t->starved = NIL;
	t->push_head = t->push_tail = NIL;
	t->scan_at = t->watch_at = NIL;
	return 0;
}

static struct target_header header_of(const struct target_config *c)
{
	return (struct target_header){
		.magic = MAGIC,
		.version = VERSION,
		.connections = c->connections,
		.paths = c->paths,
		.neighbors = c->neighbors,
		.posted = c->posted,
		.small = c->bufs.small,
		.large = c->bufs.large,
		.arena_bytes = layout_of(c).bytes,
	};
}

int target_init(struct target *t, void *arena, const struct target_config *config)
{
	int err = setup(t, arena, config);
	struct target_config *c = &t->config;
	struct layout l;

	if (err)
		return err;
	l = layout_of(c);
	memset(arena, 0, l.engine);
	slots_init(&t->conn_slots, (u8 *)arena + l.conn_slots, c->connections);
	slots_init(&t->path_slots, (u8 *)arena + l.path_slots, c->paths);
	slots_init(&t->neighbor_slots, (u8 *)arena + l.neighbor_slots, c->neighbors);
	memset(t->conns, 0, (size_t)c->connections * sizeof(*t->conns));
	memset(t->paths, 0, (size_t)c->paths * sizeof(*t->paths));
	memset(t->neighbors, 0, (size_t)c->neighbors * sizeof(*t->neighbors));
	memset(t->calls, 0, (size_t)c->posted * sizeof(*t->calls));
	for (u32 i = 0; i < c->connections; i++)
		t->slot_of[i] = NIL;
	intern_reset(&t->addresses);
	intern_reset(&t->macs);
	intern_reset(&t->vlans);
	calls_reset(t);
	if (!c->pool)
		buf_pool_init(&t->own_pool, (u8 *)arena + l.pool, &c->bufs);
	tcp_engine_init(t->engine, (u8 *)arena + l.engine, &c->engine, t->pool);
	*t->header = header_of(c);
	return 0;
}

int target_attach(struct target *t, void *arena, const struct target_config *config, u64 now_ns)
{
	int err = setup(t, arena, config);
	struct target_config *c = &t->config;
	struct target_header want;
	struct layout l;

	if (err)
		return err;
	want = header_of(c);
	if (memcmp(t->header, &want, sizeof(want)))
		return -EINVAL;
	l = layout_of(c);
	t->now_ns = now_ns;
	slots_attach(&t->conn_slots, (u8 *)arena + l.conn_slots, c->connections);
	slots_attach(&t->path_slots, (u8 *)arena + l.path_slots, c->paths);
	slots_attach(&t->neighbor_slots, (u8 *)arena + l.neighbor_slots, c->neighbors);
	if (!c->pool)
		buf_pool_attach(&t->own_pool, (u8 *)arena + l.pool, &c->bufs);
	tcp_engine_attach(t->engine, (u8 *)arena + l.engine, &c->engine, t->pool, now_ns);
	rebuild_derived(t);
	rebuild_settle(t);
	return 0;
}

void target_rebuild(struct target *t, u64 now_ns)
{
	t->now_ns = now_ns;
	buf_pool_rebuild(t->pool);
	tcp_engine_rebuild(t->engine, now_ns);
	rebuild_derived(t);
}

/* -- what others see ----------------------------------------------------------------------------
 */

static struct host_side attach(void *device, struct host_side host)
{
	struct target *t = device;
	struct host_side before = t->host;

	t->host = host;
	return before;
}

static void capabilities(void *device, struct capabilities *ret)
{
	struct target *t = device;
	const struct target_config *c = &t->config;

	*ret = (struct capabilities){
		.features = t->features,
		.max_connections = c->connections,
		.free_connections = c->connections - t->conn_slots.n_taken,
		.max_paths = c->paths,
		.free_paths = c->paths - t->path_slots.n_taken,
		.max_neighbors = c->neighbors,
		.free_neighbors = c->neighbors - t->neighbor_slots.n_taken,
		.max_addresses = c->addresses,
		.free_addresses = c->addresses - t->addresses.used,
		.max_macs = c->macs,
		.free_macs = c->macs - t->macs.used,
		.max_vlans = c->vlans,
		.free_vlans = c->vlans - t->vlans.used,
		.max_small_bufs = c->bufs.small,
		.free_small_bufs = t->pool->n_free[BUF_SMALL],
		.max_large_bufs = c->bufs.large,
		.free_large_bufs = t->pool->n_free[BUF_LARGE],
		.vlan_depth = c->vlan_depth,
		.max_window_bytes = c->max_window_bytes,
		.max_mtu_bytes = c->max_mtu_bytes,
		.max_list_blocks = c->list_blocks,
		.max_posted_per_connection = min_of(c->posted_per_connection, c->posted),
		.oversubscription_percent = c->oversubscription_percent,
	};
	ret->bytes_per_connection = connection_bytes(t);
}

static const struct device_ops ops = {
	.attach = attach,
	.capabilities = capabilities,
	.offload = target_offload,
	.transfer = target_transfer,
	.upload = target_upload,
	.commit = target_commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};

static void frames_set_time(void *impl, u64 now_ns)
{
	target_set_time(impl, now_ns);
}

static void frames_input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	target_input(impl, frames, n, now_ns);
}

static void frames_timers(void *impl, u64 now_ns)
{
	target_timers(impl, now_ns);
}

static u32 frames_events(void *impl, u64 now_ns)
{
	return target_poll_events(impl, now_ns);
}

static bool frames_flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	return target_flush(impl, tx, now_ns);
}

static u64 frames_next_deadline(const void *impl)
{
	return target_next_deadline(impl);
}

static void frames_link_changed(void *impl, u32 port, bool up)
{
	target_link_changed(impl, port, up);
}

static const struct frame_ops frame_ops = {
	.set_time = frames_set_time,
	.input = frames_input,
	.timers = frames_timers,
	.events = frames_events,
	.flush = frames_flush,
	.next_deadline = frames_next_deadline,
	.link_changed = frames_link_changed,
};

struct device target_device(struct target *t)
{
	return (struct device){
		.ops = &ops,
		.layer = {[LAYER_NEIGHBOR] = &neighbor_ops,
	                  [LAYER_PATH] = &path_ops,
	                  [LAYER_TCP] = &tcp_ops},
		.data = &target_data_ops,
		.frames = &frame_ops,
		.impl = t,
	};
}

void target_attach_host(struct target *t, struct host_side host)
{
	t->host = host;
}

u32 connection_bytes(const struct target *t)
{
	struct tcp_engine_usage usage;

	tcp_engine_usage(t->engine, &usage);
	return usage.bytes_per_connection + (u32)sizeof(struct target_conn) +
	       (u32)sizeof(struct slot) + (u32)sizeof(u32);
}

struct buf_pool *target_pool(struct target *t)
{
	return t->pool;
}

struct tcp_engine *target_engine(struct target *t)
{
	return t->engine;
}

void *target_umem(struct target *t, size_t *ret_bytes)
{
	*ret_bytes = (size_t)(t->pool->bytes[BUF_LARGE] - t->pool->bytes[BUF_SMALL]) +
	             (size_t)t->pool->count[BUF_LARGE] * BUF_LARGE_BYTES;
	return t->pool->bytes[BUF_SMALL];
}

u32 target_connection(const struct target *t, handle conn)
{
	const struct target_conn *c = conn_find(t, conn);

	return c ? c->eng : NIL;
}

void target_stats(const struct target *t, struct target_stats *ret_stats)
{
	*ret_stats = t->stats;
}

void target_usage(const struct target *t, struct target_usage *ret_usage)
{
	*ret_usage = (struct target_usage){
		.connections = t->conn_slots.n_taken,
		.paths = t->path_slots.n_taken,
		.neighbors = t->neighbor_slots.n_taken,
		.addresses = t->addresses.used,
		.macs = t->macs.used,
		.vlans = t->vlans.used,
		.posted = t->calls_used,
		.small_free = t->pool->n_free[BUF_SMALL],
		.large_free = t->pool->n_free[BUF_LARGE],
		.recv_bytes_promised = t->recv_promised,
		.send_bytes_promised = t->send_promised,
		.bufs_promised = t->bufs_promised,
		.bytes_per_connection = connection_bytes(t),
	};
}

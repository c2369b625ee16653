/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The driver as a device and as a host: memory, tables, and the path MTU on its way through. */
#include <errno.h>

#include "driver/ipsec/internal.h"

/* -- reasons ----------------------------------------------------------------------------------- */

static const struct {
	const char *word, *sentence;
} texts[IPSEC_REASONS - IPSEC_DROP_FIRST] = {
#define REASON(name, word, sentence) [IPSEC_DROP_##name - IPSEC_DROP_FIRST] = {word, sentence},
	IPSEC_DROP_REASONS(REASON)
#undef REASON
};

const char *ipsec_reason_word(u32 reason)
{
	if (reason < IPSEC_DROP_FIRST || reason >= IPSEC_REASONS)
		return wire_reason_word(reason);
	return texts[reason - IPSEC_DROP_FIRST].word;
}

const char *ipsec_reason_sentence(u32 reason)
{
	if (reason < IPSEC_DROP_FIRST || reason >= IPSEC_REASONS)
		return wire_reason_sentence(reason);
	return texts[reason - IPSEC_DROP_FIRST].sentence;
}

/* -- memory ------------------------------------------------------------------------------------ */

enum {
	LIMIT = 1 << 20, /* of any table */
	FRAMES_MIN = 64,
};

static size_t round_up(size_t bytes)
{
	return (bytes + CACHE_LINE_BYTES - 1) & ~(size_t)(CACHE_LINE_BYTES - 1);
}

/* Takes `bytes` of the memory; with NULL it only counts. */
static void *take(u8 *mem, size_t *used, size_t bytes)
{
	void *at = mem ? mem + *used : NULL;

	*used += round_up(bytes);
	return at;
}

static bool in_range(u32 v, u32 min)
{
	return v >= min && v <= LIMIT;
}

static bool config_is_sound(const struct ipsec_config *c)
{
	return in_range(c->sas, 1) && in_range(c->policies, 1) && in_range(c->paths, 1) &&
	       in_range(c->frames, FRAMES_MIN) && in_range(c->list_blocks, 1) &&
	       c->mtu_bytes >= 68 && c->mtu_bytes <= UINT16_MAX && c->pool && c->cipher.ops;
}

static size_t lay_out(struct ipsec *d, u8 *mem, const struct ipsec_config *c)
{
	size_t used = 0;
	void *sa_slots, *path_slots, *by_spi, *by_path;

	(void)take(mem, &used, sizeof(*d));
	sa_slots = take(mem, &used, slots_bytes(c->sas));
	path_slots = take(mem, &used, slots_bytes(c->paths));
	by_spi = take(mem, &used, flowtab_bytes(c->sas));
	by_path = take(mem, &used, flowtab_bytes(c->paths));
	d->sa = take(mem, &used, c->sas * sizeof(*d->sa));
	d->path = take(mem, &used, c->paths * sizeof(*d->path));
	d->policy = take(mem, &used, c->policies * sizeof(*d->policy));
	d->cache = take(mem, &used, FLOW_CACHE * sizeof(*d->cache));
	d->inner.frames = take(mem, &used, INNER_FRAMES * sizeof(*d->inner.frames));
	d->lent = take(mem, &used, c->frames * sizeof(*d->lent));
	d->scratch = take(mem, &used, c->list_blocks);
	d->packet = take(mem, &used, PACKET_BYTES_MAX);
	d->backup = take(mem, &used, PACKET_BYTES_MAX);
	if (!mem)
		return used;
	slots_init(&d->slots, sa_slots, c->sas);
	slots_init(&d->path_slots, path_slots, c->paths);
	flowtab_init(&d->by_spi, by_spi, c->sas);
	flowtab_init(&d->by_path, by_path, c->paths);
	return used;
}

size_t ipsec_bytes(const struct ipsec_config *config)
{
	struct ipsec counted;

	return config_is_sound(config) ? lay_out(&counted, NULL, config) : 0;
}

static void give_back(struct ipsec *d, u32 n)
{
	for (u32 i = 0; i < n; i++)
		buf_put(d->config.pool, d->lent[i]);
}

int ipsec_init(void *mem, const struct ipsec_config *config, struct ipsec **ret)
{
	struct ipsec *d = mem;
	enum buf_class class;

	if (!config_is_sound(config))
		return -EINVAL;
	memset(mem, 0, ipsec_bytes(config));
	d->config = *config;
	(void)lay_out(d, mem, config);
	d->hash = (struct hash_key){{config->seed, ~config->seed}};
	d->generation = 1;
	d->inner.cap = INNER_FRAMES;
	d->expiry_ns = UINT64_MAX;
	class = config->mtu_bytes <= BUF_SMALL_BYTES ? BUF_SMALL : BUF_LARGE;
	for (u32 i = 0; i < config->frames; i++) {
		d->lent[i] = buf_alloc(config->pool, class);
		if (d->lent[i] == NIL) {
			give_back(d, i);
			return -ENOBUFS;
		}
	}
	*ret = d;
	return 0;
}

void ipsec_finish(struct ipsec *d)
{
	for (u32 i = 0; i < d->config.sas; i++) {
		if (slots_is_taken(&d->slots, i))
			sa_free(d, i);
	}
	give_back(d, d->config.frames);
}

const struct ipsec_counters *ipsec_counters(const struct ipsec *d)
{
	return &d->count;
}

/* -- as a device ------------------------------------------------------------------------------- */

static struct host_side attach(void *impl, struct host_side host)
{
	return device_pass_ops.attach(impl, host);
}

static void capabilities(void *impl, struct capabilities *ret)
{
	struct ipsec *d = impl;

	device_pass_ops.capabilities(impl, ret);
	ret->ipsec_suites |= d->config.cipher.ops->suites(d->config.cipher.impl);
}

static u32 flying_at(const struct ipsec *d, const struct offload_request *request)
{
	for (u32 i = 0; i < d->n_flying; i++) {
		if (d->flying[i] == request)
			return i;
	}
	return NIL;
}

static void landed(struct ipsec *d, u32 at)
{
	d->flying[at] = d->flying[--d->n_flying];
}

/* A request goes down with its paths lowered; when it is refused nothing has happened. */
static int pass_down(struct ipsec *d, struct offload_request *request,
                     int (*call)(void *, struct offload_request *))
{
	int err;

	if (d->n_flying == FLYING_MAX)
		return -EBUSY;
	paths_lower(d, request);
	d->flying[d->n_flying++] = request;
	err = call(d, request);
	if (err) {
		landed(d, flying_at(d, request));
		paths_raise(d, request);
	}
	return err;
}

/* The same for what brings no value of a path: room for a query's answer, which is raised. */
static int pass_as_is(struct ipsec *d, struct offload_request *request,
                      int (*call)(void *, struct offload_request *))
{
	int err;

	if (d->n_flying == FLYING_MAX)
		return -EBUSY;
	d->flying[d->n_flying++] = request;
	err = call(d, request);
	if (err)
		landed(d, flying_at(d, request));
	return err;
}

static int offload(void *impl, struct offload_request *request)
{
	return pass_down(impl, request, device_pass_ops.offload);
}

static int transfer(void *impl, struct offload_request *request)
{
	paths_forget(impl, request, false);
	return pass_down(impl, request, device_pass_ops.transfer);
}

static int upload(void *impl, struct offload_request *request)
{
	return pass_as_is(impl, request, device_pass_ops.upload);
}

static void commit(void *impl, struct offload_request *request)
{
	paths_forget(impl, request, true);
	device_pass_ops.commit(impl, request);
}

static int memory_add(void *impl, void *base, u64 bytes)
{
	return device_pass_ops.memory_add(impl, base, bytes);
}

static int memory_remove(void *impl, void *base)
{
	return device_pass_ops.memory_remove(impl, base);
}

static const struct device_ops ops = {
	.attach = attach,
	.capabilities = capabilities,
	.offload = offload,
	.transfer = transfer,
	.upload = upload,
	.commit = commit,
	.memory_add = memory_add,
	.memory_remove = memory_remove,
};

#define LAYER_OPS(name, LAYER)                                                       \
	static int name##_update(void *impl, struct offload_request *request)        \
	{                                                                            \
		return pass_down(impl, request, layer_pass_ops[LAYER]->update);      \
	}                                                                            \
	static int name##_invalidate(void *impl, struct offload_request *request)    \
	{                                                                            \
		return pass_as_is(impl, request, layer_pass_ops[LAYER]->invalidate); \
	}                                                                            \
	static int name##_query(void *impl, struct offload_request *request)         \
	{                                                                            \
		return pass_as_is(impl, request, layer_pass_ops[LAYER]->query);      \
	}                                                                            \
	static const struct layer_ops name##_ops = {name##_update, name##_invalidate, name##_query}

LAYER_OPS(neighbor, LAYER_NEIGHBOR);
LAYER_OPS(path, LAYER_PATH);
LAYER_OPS(tcp, LAYER_TCP);

static void timers(void *impl, u64 now_ns)
{
	struct ipsec *d = impl;

	d->now_ns = now_ns;
	sa_timers(d, now_ns);
	frame_pass_ops.timers(impl, now_ns);
}

static u32 events(void *impl, u64 now_ns)
{
	u32 n = frame_pass_ops.events(impl, now_ns);

	return n + sa_events(impl);
}

static u64 next_deadline(const void *impl)
{
	const struct ipsec *d = impl;

	if (d->events_due || d->inner_at < d->inner.n)
		return 0;
	return min_of(d->expiry_ns, frame_pass_ops.next_deadline(impl));
}

static void set_time(void *impl, u64 now_ns)
{
	struct ipsec *d = impl;

	d->now_ns = now_ns;
	frame_pass_ops.set_time(impl, now_ns);
}

static void link_changed(void *impl, u32 port, bool up)
{
	frame_pass_ops.link_changed(impl, port, up);
}

static const struct frame_ops frame_ops = {
	.set_time = set_time,
	.input = ipsec_input,
	.timers = timers,
	.events = events,
	.flush = ipsec_flush,
	.next_deadline = next_deadline,
	.link_changed = link_changed,
};

/* -- as a host --------------------------------------------------------------------------------- */

static void complete(void *impl, struct offload_request *request)
{
	struct ipsec *d = impl;

	u32 at = flying_at(d, request);

	if (request->call == BLOCK_CALL_OFFLOAD)
		paths_note(d, request);
	/* What was on its way before this driver was put in has come down as it was. */
	if (at != NIL) {
		paths_raise(d, request);
		landed(d, at);
	}
	host_pass_ops.complete(impl, request);
}

static void data_complete(void *impl, const struct data_completion *done, u32 n)
{
	host_pass_ops.data_complete(impl, done, n);
}

static void indicate(void *impl, const struct indication *ind, u32 n)
{
	host_pass_ops.indicate(impl, ind, n);
}

static const struct host_ops host_ops = {
	.complete = complete,
	.data_complete = data_complete,
	.indicate = indicate,
};

int ipsec_insert(struct ipsec *d, struct device *hook)
{
	struct device own = {
		.ops = &ops,
		.layer = {&neighbor_ops, &path_ops, &tcp_ops},
		.data = &data_pass_ops,
		.frames = &frame_ops,
		.impl = d,
	};

	return device_insert(&d->chain, hook, own, (struct host_side){&host_ops, d});
}

int ipsec_remove(struct ipsec *d)
{
	int err = d->n_flying ? -EBUSY : device_remove(&d->chain);

	if (!err)
		d->inner.n = d->inner_at = d->inner_off = 0;
	return err;
}

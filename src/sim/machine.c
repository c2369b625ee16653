/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/machine.h"

#include <stdlib.h>

#include "base/assert.h"
#include "port/gather.h"

enum {
	BATCH = 64,
	PAGE_BYTES = 4096,
};

/* -- making one -------------------------------------------------------------------------------- */

static void *get(struct machine *m, size_t bytes)
{
	void *mem = aligned_alloc(PAGE_BYTES, (bytes + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));

	if (mem)
		m->mem[m->n_mem++] = mem;
	return mem;
}

static u64 env_now(void *ctx)
{
	const struct machine *m = ctx;

	return m->now_ns;
}

static void env_done(void *ctx, const struct host_done *done, u32 n)
{
	const struct machine *m = ctx;

	if (m->config.done)
		m->config.done(m->config.ctx, done, n);
}

static void env_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	const struct machine *m = ctx;

	if (m->config.notice)
		m->config.notice(m->config.ctx, notices, n);
}

static bool env_reachable(void *ctx, const struct neighbor_key *key)
{
	const struct machine *m = ctx;

	return soft_reachable(m->soft, key);
}

static u32 take_frames(struct machine *m);

static u32 env_drain(void *ctx)
{
	return take_frames(ctx);
}

static bool make_host(struct machine *m)
{
	const struct host_env env = {
		.ctx = m,
		.now = env_now,
		.done = env_done,
		.notice = env_notice,
		.reachable = env_reachable,
		.drain = env_drain,
		.backend = soft_backend(m->soft),
		.stack = soft_stack(m->soft),
		.device = &m->device,
		.pool = m->pool,
		.policy = m->config.policy,
		.refuse = m->config.refuse,
	};
	void *mem = get(m, host_bytes(&m->config.host));

	if (!mem)
		return false;
	m->host = host_init(mem, &m->config.host, &env);
	soft_attach_host(m->soft, m->host);
	m->spy.chain.above = host_side(m->host);
	return true;
}

static bool make_target(struct machine *m, u32 i)
{
	const struct target_config *k = &m->config.target[i];
	struct machine_side *side = &m->side[i];

	side->arena = get(m, target_arena_bytes(k));
	side->target = get(m, target_bytes(k));
	side->tx.frames = get(m, BATCH * sizeof(struct tx_frame));
	side->tx.cap = BATCH;
	if (!side->arena || !side->target || !side->tx.frames ||
	    target_init(side->target, side->arena, k))
		return false;
	side->pool = target_pool(side->target);
	return true;
}

static bool make_targets(struct machine *m)
{
	for (u32 i = 0; i < m->config.targets; i++) {
		if (!make_target(m, i))
			return false;
	}
	m->pool = m->side[0].pool;
	m->device = target_device(m->side[0].target);
	spy_insert(&m->spy, &m->device, m->pool);
	return true;
}

static bool make_soft(struct machine *m)
{
	void *mem = get(m, soft_bytes(&m->config.soft));

	if (!mem)
		return false;
	m->soft = soft_init(mem, &m->config.soft, m->pool);
	return true;
}

struct machine *machine_create(const struct machine_config *config)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->config = *config;
	m->soft_tx.frames = get(m, BATCH * sizeof(struct tx_frame));
	m->soft_tx.cap = BATCH;
	if (!m->soft_tx.frames || !make_targets(m) || !make_soft(m) || !make_host(m)) {
		machine_destroy(m);
		return NULL;
	}
	return m;
}

void machine_destroy(struct machine *m)
{
	if (!m)
		return;
	for (u32 i = 0; i < m->n_mem; i++)
		free(m->mem[i]);
	free(m);
}

void machine_plug(struct machine *m, u32 side, struct port *port)
{
	m->side[side].port = port;
}

/* -- receiving --------------------------------------------------------------------------------- */

void machine_set_time(struct machine *m, u64 now_ns)
{
	m->now_ns = now_ns;
	target_set_time(machine_target(m), now_ns);
	soft_set_time(m->soft, now_ns);
}

/* The host's frames lie in its own pool, whatever port they came by. False: no buffer. */
static bool to_host_pool(struct machine *m, struct rx_frame *frame)
{
	struct machine_side *side = &m->side[m->active];
	struct rx_frame copy;
	bool ok;

	if (side->pool == m->pool)
		return true;
	ok = !frame_clone(m->pool, side->pool, frame, &copy);
	buf_put_chain(side->pool, frame->buf);
	*frame = copy;
	m->frames_lost += !ok;
	return ok;
}

/* One batch: to the target first, what it does not want to the host. */
static u32 take_frames(struct machine *m)
{
	struct machine_side *side = &m->side[m->active];
	struct rx_frame frames[BATCH];
	int n = side->port->ops->receive(side->port, frames, BATCH);
	u32 to_host = 0;

	if (n <= 0)
		return 0;
	for (int i = 0; i < n; i++)
		frames[i].port = 0;
	if (m->config.received)
		m->config.received(m->config.ctx, frames, (u32)n, side->pool);
	target_input(side->target, frames, (u32)n, m->now_ns);
	for (int i = 0; i < n; i++) {
		if (frames[i].verdict == FRAME_TO_HOST) {
			if (to_host_pool(m, &frames[i]))
				frames[to_host++] = frames[i];
		} else if (frames[i].verdict != FRAME_CONSUMED) {
			buf_put_chain(side->pool, frames[i].buf);
		}
	}
	m->frames_to_host += to_host;
	if (to_host)
		host_frames(m->host, frames, to_host);
	return (u32)n;
}

static void follow(struct machine *m)
{
	struct machine_side *side = &m->side[m->active];

	spy_follow(&m->spy, target_device(side->target), side->pool);
}

/* Nothing is left in the target that is left: the other one, whose capabilities the host reads. */
static void leave(struct machine *m)
{
	struct host_usage u;

	host_usage(m->host, &u);
	if (m->busy || u.offloaded || u.paths_at_device || u.neighbors_at_device)
		return;
	m->leaving = false;
	m->active = !m->active;
	target_set_time(machine_target(m), m->now_ns);
	follow(m);
	target_pause(machine_target(m));
	target_resume(machine_target(m));
}

/* -- dying ------------------------------------------------------------------------------------- */

static void die(struct machine *m, enum machine_death what_follows)
{
	struct machine_side *side = &m->side[m->active];
	const struct target_config *k = &m->config.target[m->active];

	m->deaths++;
	/* Only the arena outlives it. */
	memset(side->target, 0xee, target_bytes(k));
	ASSERT(!target_attach(side->target, side->arena, k, m->now_ns));
	follow(m);
	target_pause(side->target);
	if (what_follows != MACHINE_REBUILT)
		target_ask_upload_all(side->target, UPLOAD_HARDWARE_FAILURE);
	if (what_follows == MACHINE_SPARE && m->config.targets == MACHINE_TARGETS)
		m->leaving = true;
	/* What was posted at the former one comes back first: the host posts it again on resume. */
	while (target_poll_events(side->target, m->now_ns))
		;
	if (!m->leaving)
		target_resume(side->target);
}

static void die_in(struct machine *m, enum machine_phase phase)
{
	if (m->dies != phase)
		return;
	m->dies = MACHINE_NOW;
	die(m, (enum machine_death)m->death);
}

/* -- a turn ------------------------------------------------------------------------------------ */

void machine_receive(struct machine *m)
{
	struct target *t = machine_target(m);

	soft_timers(m->soft, m->now_ns);
	if (!machine_is_stalled(m)) {
		while (take_frames(m))
			;
		die_in(m, MACHINE_AFTER_INPUT);
		target_timers(t, m->now_ns);
		die_in(m, MACHINE_AFTER_TIMERS);
		target_poll_events(t, m->now_ns);
		die_in(m, MACHINE_AFTER_EVENTS);
	}
	soft_events(m->soft);
	if (machine_is_stalled(m))
		return;
	m->busy = host_step(m->host) != HOST_IDLE;
	if (m->leaving)
		leave(m);
}

/* -- sending ----------------------------------------------------------------------------------- */

static void sent(struct machine *m, const struct tx_batch *tx, u32 from, bool by_target)
{
	if (m->config.sent && tx->n > from)
		m->config.sent(m->config.ctx, tx->frames + from, tx->n - from, by_target);
}

/* The simulated wire takes all that it is given. */
static void transmit(struct machine_side *side, struct tx_batch *tx)
{
	if (tx->n)
		ASSERT(side->port->ops->transmit(side->port, tx->frames, tx->n) == (int)tx->n);
	tx->n = 0;
}

/* A frame of the soft host, whose payload lies in its own pool, by a port that has another one. */
static void transmit_across(struct machine *m, struct machine_side *side, struct tx_frame *f)
{
	struct tx_batch one = {.frames = f, .n = 1, .cap = 1};
	u32 buf;

	if (!f->payload_len) {
		transmit(side, &one);
		return;
	}
	buf = buf_alloc(side->pool, BUF_SMALL);
	if (buf == NIL || f->payload_len > BUF_SMALL_BYTES) {
		m->frames_lost++;
	} else {
		struct payload_walk walk;
		const u8 *at;
		u32 n, len = 0;

		payload_walk_init(&walk, m->pool, f);
		while ((at = payload_walk_next(&walk, BUF_SMALL_BYTES, &n))) {
			memcpy(buf_bytes(side->pool, buf) + len, at, n);
			len += n;
		}
		buf_at(side->pool, buf)->off = 0;
		buf_at(side->pool, buf)->len = len;
		f->payload_buf = buf;
		f->payload_off = 0;
		transmit(side, &one);
	}
	if (buf != NIL)
		buf_put(side->pool, buf);
}

static void transmit_soft(struct machine *m)
{
	struct machine_side *side = &m->side[m->active];

	if (side->pool == m->pool) {
		transmit(side, &m->soft_tx);
		return;
	}
	for (u32 i = 0; i < m->soft_tx.n; i++)
		transmit_across(m, side, &m->soft_tx.frames[i]);
	m->soft_tx.n = 0;
}

/* The soft host first: the ACK that a connection owed when it was frozen must not come after what
 * the target sends for it. */
void machine_send(struct machine *m)
{
	struct machine_side *side = &m->side[m->active];
	bool more = true;

	while (more) {
		more = soft_flush(m->soft, &m->soft_tx, m->now_ns);
		sent(m, &m->soft_tx, 0, false);
		transmit_soft(m);
	}
	more = !machine_is_stalled(m);
	if (more)
		die_in(m, MACHINE_BEFORE_FLUSH);
	while (more) {
		more = target_flush(side->target, &side->tx, m->now_ns);
		sent(m, &side->tx, 0, true);
		transmit(side, &side->tx);
	}
}

u64 machine_next_ns(const struct machine *m)
{
	u64 next = min_of(target_next_deadline(machine_target(m)), host_next_deadline(m->host));

	if (m->busy || m->leaving)
		next = min_of(next, m->now_ns + m->config.turn_ns);
	next = max_of(next, m->stalled_ns);
	next = min_of(next, soft_next_deadline(m->soft));
	return max_of(next, m->now_ns);
}

/* -- faults ------------------------------------------------------------------------------------ */

void machine_stall(struct machine *m, u64 until_ns)
{
	m->stalled_ns = max_of(m->stalled_ns, until_ns);
}

void machine_kill(struct machine *m, enum machine_death what_follows, enum machine_phase phase)
{
	m->death = (u8)what_follows;
	m->dies = (u8)phase;
	if (phase == MACHINE_NOW)
		die(m, what_follows);
}

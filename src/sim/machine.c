/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/machine.h"

#include <stdlib.h>

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
	target_attach_host(m->target, host_side(m->host));
	return true;
}

static bool make_target(struct machine *m)
{
	const struct target_config *k = &m->config.target;
	void *arena = get(m, target_arena_bytes(k));

	m->target = get(m, target_bytes(k));
	if (!arena || !m->target || target_init(m->target, arena, k))
		return false;
	m->pool = target_pool(m->target);
	m->device = target_device(m->target);
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
	m->tx.frames = get(m, BATCH * sizeof(struct tx_frame));
	m->tx.cap = BATCH;
	if (!m->tx.frames || !make_target(m) || !make_soft(m) || !make_host(m)) {
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

void machine_plug(struct machine *m, struct port *port)
{
	m->port = port;
}

/* -- turns ------------------------------------------------------------------------------------- */

void machine_set_time(struct machine *m, u64 now_ns)
{
	m->now_ns = now_ns;
	m->device.frames->set_time(m->device.impl, now_ns);
	soft_set_time(m->soft, now_ns);
}

/* One batch: to the target first, what it does not want to the host. */
static u32 take_frames(struct machine *m)
{
	struct rx_frame frames[BATCH];
	int n = m->port->ops->receive(m->port, frames, BATCH);
	u32 to_host = 0;

	if (n <= 0)
		return 0;
	for (int i = 0; i < n; i++)
		frames[i].port = 0;
	m->device.frames->input(m->device.impl, frames, (u32)n, m->now_ns);
	for (int i = 0; i < n; i++) {
		if (frames[i].verdict == FRAME_TO_HOST)
			frames[to_host++] = frames[i];
		else if (frames[i].verdict != FRAME_CONSUMED)
			buf_put_chain(m->pool, frames[i].buf);
	}
	m->frames_to_host += to_host;
	if (to_host)
		host_frames(m->host, frames, to_host);
	return (u32)n;
}

void machine_receive(struct machine *m)
{
	while (take_frames(m))
		;
	m->device.frames->timers(m->device.impl, m->now_ns);
	soft_timers(m->soft, m->now_ns);
	m->device.frames->events(m->device.impl, m->now_ns);
	soft_events(m->soft);
	m->busy = host_step(m->host) != HOST_IDLE;
}

/* Frames that the port does not take now stay for the next turn. */
static bool transmit(struct machine *m)
{
	int n;

	if (!m->tx.n)
		return true;
	n = m->port->ops->transmit(m->port, m->tx.frames, m->tx.n);
	if (n <= 0)
		return false;
	m->tx.n -= (u32)n;
	memmove(m->tx.frames, m->tx.frames + n, m->tx.n * sizeof(*m->tx.frames));
	return m->tx.n == 0;
}

/* The soft host first: the ACK that a connection owed when it was frozen must not come after what
 * the target sends for it. */
void machine_send(struct machine *m)
{
	bool more = true;

	while (more && transmit(m))
		more = soft_flush(m->soft, &m->tx, m->now_ns);
	more = true;
	while (more && transmit(m))
		more = m->device.frames->flush(m->device.impl, &m->tx, m->now_ns);
	m->owes = !transmit(m);
}

u64 machine_next_ns(const struct machine *m)
{
	u64 next = min_of(m->device.frames->next_deadline(m->device.impl),
	                  soft_next_deadline(m->soft));

	next = min_of(next, host_next_deadline(m->host));
	if (m->busy || m->owes)
		next = min_of(next, m->now_ns + m->config.turn_ns);
	return max_of(next, m->now_ns);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The fake host stack: its backend, and what each call must find. */
#include "host_fake_priv.h"

static bool passes(struct fake *f, struct move *m, enum fake_op op)
{
	if (m->status != STATUS_OK)
		return false;
	if (!fake_fails(f, op, m->conn))
		return true;
	m->status = f->fail_status;
	m->detail = 77;
	return false;
}

static bool calm(struct fake *f, struct move *m)
{
	u32 *left = &f->conn[m->conn].unquiet_inspections;

	if (!*left || m->flags & MOVE_UNQUIET) {
		m->flags &= (u16) ~(*left ? 0 : MOVE_UNQUIET);
		return true;
	}
	if (*left != UINT32_MAX)
		(*left)--;
	m->status = STATUS_NOT_QUIET;
	return false;
}

static void inspect(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "inspect");
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];

		if (!passes(f, m, FAKE_INSPECT) || !calm(f, m))
			continue;
		m->path = fake_path_key(fake_path_of(f, m->conn));
		memset(m->path.pad, 0xee, sizeof(m->path.pad)); /* must not matter */
		m->neighbor = fake_neighbor_key(fake_neighbor_of(f, m->conn));
		m->local_port = (u16)(FAKE_LOCAL_PORT + m->conn);
		m->remote_port = FAKE_REMOTE_PORT;
		m->path_state->k.local_addr = m->path.local;
		m->path_state->k.remote_addr = m->path.remote;
		m->path_state->c.path_mtu = 1500;
		*m->neighbor_state = fake_neighbor_state(fake_neighbor_of(f, m->conn));
		m->tcp->k.local_port = m->local_port;
		m->tcp->k.remote_port = m->remote_port;
		m->tcp->k.options = TCP_OPT_SACK;
		m->tcp->c = f->conn[m->conn].settings;
		m->tcp->d.send.len = f->conn[m->conn].queued_bytes;
	}
}

static void hold(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "hold");
	for (u32 i = 0; i < n; i++) {
		if (passes(f, &moves[i], FAKE_HOLD))
			f->conn[moves[i].conn].held = true;
	}
}

static void fence_start(void *backend)
{
	fake_note(backend, "fence+");
}

static void fence_wait(void *backend)
{
	fake_note(backend, "fence.");
}

static void freeze_one(struct fake *f, struct move *m, struct buf_pool *pool)
{
	struct fake_conn *c = &f->conn[m->conn];

	assert_true(c->held);
	assert_false(c->frozen);
	c->frozen = true;
	m->flags |= MOVE_FROZEN;
	memset(m->tcp, 0, sizeof(*m->tcp));
	m->tcp->k.local_port = m->local_port;
	m->tcp->k.remote_port = m->remote_port;
	m->tcp->k.options = TCP_OPT_SACK;
	m->tcp->k.iss = seq_of((u32)m->conn * 1000);
	m->tcp->c = c->settings;
	m->tcp->d.state = TCP_ESTABLISHED;
	m->tcp->d.cwnd_bytes = c->cwnd;
	m->tcp->d.send.buf = NIL;
	m->tcp->d.recv.buf = NIL;
	if (!c->queued_bytes)
		return;
	m->tcp->d.send.buf = buf_alloc(pool, BUF_SMALL);
	assert_int_not_equal(m->tcp->d.send.buf, NIL);
	buf_at(pool, m->tcp->d.send.buf)->len = c->queued_bytes;
	m->tcp->d.send.len = c->queued_bytes;
}

static void freeze(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	fake_note(f, "freeze");
	for (u32 i = 0; i < n; i++) {
		if (passes(f, &moves[i], FAKE_FREEZE))
			freeze_one(f, &moves[i], pool);
	}
}

static void thaw(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "thaw");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status != STATUS_OK)
			continue;
		assert_true(f->conn[moves[i].conn].frozen);
		f->conn[moves[i].conn].frozen = false;
	}
}

static void detach(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "detach");
	for (u32 i = 0; i < n; i++) {
		if (!passes(f, &moves[i], FAKE_DETACH))
			continue;
		assert_true(f->conn[moves[i].conn].frozen);
		f->conn[moves[i].conn].detached = true;
		moves[i].flags |= MOVE_DETACHED;
	}
}

static void own(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "own");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			f->conn[moves[i].conn].held = false;
	}
}

static void import(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	fake_note(f, "import");
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];
		struct fake_conn *c = &f->conn[m->conn];

		if (!passes(f, m, FAKE_IMPORT))
			continue;
		assert_true(c->detached);
		/* R31: what the device never returned is there all the same. */
		assert_int_equal(m->tcp->k.iss.n, m->conn * 1000);
		assert_int_equal(m->tcp->k.local_port, FAKE_LOCAL_PORT + m->conn);
		assert_memory_equal(&m->tcp->c, &c->settings, sizeof(c->settings));
		c->cwnd = m->tcp->d.cwnd_bytes;
		c->detached = false;
		c->frozen = false;
		c->imports++;
	}
}

static u32 inject(void *backend, const struct rx_frame *frames, u32 n, struct buf_pool *pool)
{
	struct fake *f = backend;

	n = min_of(n, f->inject_limit);
	f->inject_limit -= n;
	for (u32 i = 0; i < n; i++)
		f->injected[f->n_injected++] = fake_frame_seq(pool, &frames[i]);
	if (n)
		fake_note(f, "inject");
	return n;
}

static void release(void *backend, struct move *moves, u32 n)
{
	struct fake *f = backend;

	fake_note(f, "release");
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			f->conn[moves[i].conn].held = false;
	}
}

const struct backend_ops fake_backend_ops = {
	.inspect = inspect,
	.hold = hold,
	.fence_start = fence_start,
	.fence_wait = fence_wait,
	.freeze = freeze,
	.thaw = thaw,
	.detach = detach,
	.own = own,
	.import = import,
	.inject = inject,
	.release = release,
};

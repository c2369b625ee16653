/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The soft host as a backend: hold and fence have nothing to do, because every frame passes the
 * device and the switch first; freeze quiesces and exports, detach frees, import imports.
 *
 * Queue bytes are copied at freeze and at import, as a kernel does: until the commit either side
 * can go on with what it had.
 */
#include <errno.h>

#include "host/soft/priv.h"
#include "state/payload.h"

static bool fails(struct soft *s, enum soft_fault fault)
{
	return s->fail_in[fault] && !--s->fail_in[fault];
}

static void fail(struct move *m, enum status status, u64 detail)
{
	m->status = status;
	m->detail = detail;
}

/* -- payload ----------------------------------------------------------------------------------- */

static int copy_ref(const struct buf_pool *from, const struct data_ref *ref, struct buf_pool *to,
                    struct data_ref *ret)
{
	struct payload_out out;
	struct payload_in in;
	const u8 *bytes;
	u32 n;

	payload_in_init(&in, from, ref);
	payload_out_init(&out, to, ret, ref->len);
	while ((n = payload_in_next(&in, &bytes))) {
		if (payload_out_write(&out, bytes, n))
			return -ENOSPC;
	}
	return in.left ? -EINVAL : 0;
}

static void put_data(struct buf_pool *pool, const struct tcp_delegated *d)
{
	buf_put_chain(pool, d->send.buf);
	buf_put_chain(pool, d->recv.buf);
	for (u32 i = 0; i < d->ooo.n; i++)
		buf_put_chain(pool, d->ooo.seg[i].data.buf);
}

/* Room for copies of all of it, whatever buffers they end up in? */
static bool is_room(const struct buf_pool *pool, const struct tcp_delegated *d)
{
	u32 bufs = 2 + d->ooo.n + (d->send.len + d->recv.len) / BUF_SMALL_BYTES;

	return bufs <= buf_spare(pool, BUF_SMALL);
}

/* Replaces the references of `d` by copies in another pool; on failure nothing is left of them. */
static int copy_data(struct buf_pool *from, struct buf_pool *to, struct tcp_delegated *d)
{
	const struct tcp_delegated was = *d;
	int err;

	d->ooo.n = 0;
	d->recv = (struct data_ref){.buf = NIL};
	err = copy_ref(from, &was.send, to, &d->send);
	if (!err)
		err = copy_ref(from, &was.recv, to, &d->recv);
	for (u32 i = 0; i < was.ooo.n && !err; i++) {
		d->ooo.seg[i].data = (struct data_ref){.buf = NIL};
		d->ooo.n++;
		err = copy_ref(from, &was.ooo.seg[i].data, to, &d->ooo.seg[i].data);
	}
	if (err)
		put_data(to, d);
	return err;
}

/* -- out --------------------------------------------------------------------------------------- */

static bool can_move(u8 state)
{
	return state == TCP_ESTABLISHED || (state >= TCP_FIN_WAIT_1 && state <= TCP_LAST_ACK);
}

static void inspect_one(struct soft *s, struct move *m)
{
	const struct soft_conn *c = soft_find(s, m->conn);
	const struct soft_route_entry *r = c ? &s->route[c->route] : NULL;
	const struct soft_neighbor_entry *n = r ? &s->neighbor[r->neighbor] : NULL;

	if (!c || c->eng == NIL || !can_move(tcp_conn_state(s->engine, c->eng))) {
		fail(m, STATUS_NOT_ESTABLISHED, 0);
		return;
	}
	/* A device cannot ask for an address. */
	if (n->state == SOFT_NONE || n->state == SOFT_INCOMPLETE) {
		fail(m, STATUS_NO_NEIGHBOR, 0);
		return;
	}
	(void)!soft_path_key(s, &c->remote, &m->path);
	(void)!soft_neighbor_key(s, &n->next_hop, &m->neighbor, m->neighbor_state);
	m->local_port = c->local_port;
	m->remote_port = c->remote_port;
	if (m->path_state) {
		*m->path_state = (struct path_state){
			.k = {.local_addr = m->path.local,
		              .remote_addr = c->remote,
		              .ip_id_start = r->ip_id_start,
		              .ip_id_confined = s->config.ip_id_confined},
			.c = {.path_mtu = r->mtu},
		};
	}
	if (m->tcp)
		tcp_conn_export(s->engine, c->eng, s->now_ns, m->tcp);
}

static void inspect(void *backend, struct move *moves, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			inspect_one(backend, &moves[i]);
	}
}

static void hold(void *backend, struct move *moves, u32 n)
{
	struct soft *s = backend;

	s->counters.holds++;
}

static void fence_start(void *backend)
{
	struct soft *s = backend;

	s->counters.fences++;
}

static void fence_wait(void *backend)
{
}

static void freeze_one(struct soft *s, struct move *m, struct buf_pool *pool)
{
	struct soft_conn *c = soft_find(s, m->conn);
	struct tx_batch acks = {.frames = s->acks, .n = s->n_acks, .cap = SOFT_ACKS};

	if (!c || c->eng == NIL || !can_move(tcp_conn_state(s->engine, c->eng))) {
		fail(m, STATUS_NOT_ESTABLISHED, 0); /* it went on since the inspection */
		return;
	}
	if (fails(s, SOFT_FAULT_FREEZE)) {
		fail(m, STATUS_FAILED, EIO);
		return;
	}
	tcp_conn_quiesce(s->engine, c->eng, s->now_ns, &acks);
	s->n_acks = acks.n;
	tcp_conn_export(s->engine, c->eng, s->now_ns, m->tcp);
	/* An import may take the last buffers: what it copies from is freed right afterwards. */
	if (!is_room(pool, &m->tcp->d) || copy_data(s->pool, pool, &m->tcp->d)) {
		if (tcp_conn_resume(s->engine, c->eng, s->now_ns))
			c->eng = NIL;
		fail(m, STATUS_NO_MEMORY, 0);
		return;
	}
	c->frozen = true;
	m->flags |= MOVE_FROZEN;
	s->counters.freezes++;
}

static void freeze(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			freeze_one(backend, &moves[i], pool);
	}
}

static void thaw(void *backend, struct move *moves, u32 n)
{
	struct soft *s = backend;

	for (u32 i = 0; i < n; i++) {
		struct soft_conn *c = soft_find(s, moves[i].conn);

		if (moves[i].status != STATUS_OK || !c || !c->frozen)
			continue;
		c->frozen = false;
		s->counters.thaws++;
		if (tcp_conn_resume(s->engine, c->eng, s->now_ns))
			fail(&moves[i], STATUS_FAILED, EEXIST);
	}
}

static void detach(void *backend, struct move *moves, u32 n)
{
	struct soft *s = backend;

	for (u32 i = 0; i < n; i++) {
		struct soft_conn *c = soft_find(s, moves[i].conn);

		if (moves[i].status != STATUS_OK)
			continue;
		if (fails(s, SOFT_FAULT_DETACH)) {
			fail(&moves[i], STATUS_FAILED, EIO);
			continue;
		}
		tcp_conn_free(s->engine, c->eng);
		c->eng = NIL;
		c->frozen = false;
		moves[i].flags |= MOVE_DETACHED;
	}
}

static void own(void *backend, struct move *moves, u32 n)
{
}

static void release(void *backend, struct move *moves, u32 n)
{
}

/* -- back -------------------------------------------------------------------------------------- */

static void import_one(struct soft *s, struct move *m, struct buf_pool *pool)
{
	struct soft_conn *c = soft_find(s, m->conn);
	struct tcp_state state = *m->tcp;
	int err;

	if (!c || fails(s, SOFT_FAULT_IMPORT)) {
		fail(m, STATUS_FAILED, EIO);
		return;
	}
	if (copy_data(pool, s->pool, &state.d)) {
		fail(m, STATUS_NO_MEMORY, 0);
		return;
	}
	err = tcp_conn_import(s->engine, &state, s->route[c->route].path, s->now_ns, &c->eng);
	if (err) {
		put_data(s->pool, &state.d);
		c->eng = NIL;
		fail(m, err == -ENOSPC ? STATUS_NO_MEMORY : STATUS_FAILED, (u64)-err);
		return;
	}
	s->of_engine[c->eng] = (u32)m->conn;
	if (state.d.state == TCP_TIME_WAIT)
		soft_list_add(s, c, LIST_TIME_WAIT);
	s->counters.imports++;
}

static void import(void *backend, struct move *moves, u32 n, struct buf_pool *pool)
{
	for (u32 i = 0; i < n; i++) {
		if (moves[i].status == STATUS_OK)
			import_one(backend, &moves[i], pool);
	}
}

/* Copied: the frame stays its owner's. False: no buffer. */
static bool copy_frame(struct soft *s, const struct rx_frame *frame, struct buf_pool *pool,
                       struct rx_frame *ret)
{
	const struct data_ref all = {
		.buf = frame->buf, .off = buf_at(pool, frame->buf)->off, .len = frame->len};
	struct data_ref copy = {.buf = NIL};

	if (copy_ref(pool, &all, s->pool, &copy)) {
		buf_put_chain(s->pool, copy.buf);
		return false;
	}
	*ret = *frame;
	ret->buf = copy.buf;
	ret->verdict = FRAME_PENDING;
	return true;
}

static u32 inject(void *backend, const struct rx_frame *frames, u32 n, struct buf_pool *pool)
{
	struct soft *s = backend;

	for (u32 i = 0; i < n; i++) {
		struct rx_frame frame;

		/* Like a host that is out of memory: the frame is lost. */
		if (!copy_frame(s, &frames[i], pool, &frame)) {
			s->counters.not_taken++;
			continue;
		}
		s->counters.frames++;
		soft_input(s, &frame);
	}
	return n;
}

const struct backend_ops soft_backend_ops = {
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

struct backend soft_backend(struct soft *s)
{
	return (struct backend){.ops = &soft_backend_ops, .impl = s};
}

/* -- data -------------------------------------------------------------------------------------- */

static s64 stack_send(void *stack, u64 conn, const void *data, u32 len, u32 flags)
{
	struct soft *s = stack;
	struct soft_conn *c = soft_find(s, conn);
	s64 n;

	if (!c || c->eng == NIL)
		return -ECONNRESET;
	n = tcp_send(s->engine, c->eng, data, len);
	if (n == (s64)len && flags & SEND_FIN)
		tcp_shutdown(s->engine, c->eng);
	return n || !len ? n : -EAGAIN;
}

static s64 stack_recv(void *stack, u64 conn, void *data, u32 len, u32 flags)
{
	struct soft *s = stack;
	struct soft_conn *c = soft_find(s, conn);
	s64 n;

	if (!c || c->eng == NIL)
		return -ECONNRESET;
	if (flags & RECV_PEEK) {
		const struct data_ref unread = tcp_recv_peek(s->engine, c->eng);

		n = buf_chain_copy(s->pool, unread.buf, 0, data, min_of(len, unread.len));
		if (n)
			return n;
		len = 0; /* the end, or nothing yet */
	}
	n = tcp_recv(s->engine, c->eng, data, len);
	return n || (!len && !(flags & RECV_PEEK)) ? n : -EAGAIN;
}

static int stack_disconnect(void *stack, u64 conn, bool abortive)
{
	struct soft *s = stack;
	struct soft_conn *c = soft_find(s, conn);

	if (!c || c->eng == NIL)
		return -ENOTCONN;
	if (abortive)
		tcp_abort(s->engine, c->eng);
	else
		tcp_shutdown(s->engine, c->eng);
	return 0;
}

struct host_stack soft_stack(struct soft *s)
{
	return (struct host_stack){
		.send = stack_send, .recv = stack_recv, .disconnect = stack_disconnect, .impl = s};
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/linux_backend.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "linux/backend_priv.h"
#include "linux/hosttap.h"

enum {
	CAPACITY = 16384,
	DESCRIPTORS_MAX = 1 << 20,
};

static u64 monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

struct linux_conn *backend_conn(struct linux_backend *b, u64 fd)
{
	return fd < b->n_conns ? &b->conns[fd] : NULL;
}

struct backend_port *backend_port(struct linux_backend *b, u32 ifindex)
{
	for (u32 i = 0; i < b->n_ports; i++)
		if (b->ports[i].ifindex == ifindex)
			return &b->ports[i];
	return NULL;
}

/* -- what repair needs of us ---------------------------------------------------------------------
 */

static int repair_inject(void *impl, const struct linux_conn *conn, struct synth_segment *segment)
{
	struct linux_backend *b = impl;
	struct hosttap *tap = steering_hosttap(b->steering, conn->ifindex);
	u8 frame[SYNTH_BYTES_MAX];

	if (!tap)
		return -ENODEV;
	steering_port_mac(b->steering, conn->ifindex, &segment->port_mac);
	return hosttap_inject_bytes(tap, frame, synth_write(segment, frame), true);
}

static void repair_mute(void *impl, const struct linux_conn *conn, bool on)
{
	struct linux_backend *b = impl;

	if (conn->slot != NIL)
		steering_state_set(steering_states(b->steering), conn->slot,
		                   on ? FLOW_MUTE : FLOW_HOLD);
}

/* -- hold, own, release --------------------------------------------------------------------------
 */

static void set_states(struct linux_backend *b, struct move *moves, u32 n, enum flow_state state)
{
	u8 *states = steering_states(b->steering);

	for (u32 i = 0; i < n; i++) {
		struct linux_conn *c = backend_conn(b, moves[i].conn);

		if (moves[i].status == STATUS_OK && c && c->slot != NIL)
			steering_state_set(states, c->slot, state);
	}
}

static void hold_failed(struct linux_backend *b, struct move *const *batch, u32 n, int err)
{
	for (u32 i = 0; i < n; i++) {
		struct linux_conn *c = backend_conn(b, batch[i]->conn);

		batch[i]->status =
			err == -E2BIG || err == -ENOSPC ? STATUS_NO_CONNECTIONS : STATUS_FAILED;
		batch[i]->detail = (u64)-err;
		steering_slot_free(b->steering, c->slot);
		c->slot = NIL;
	}
}

/* Enters the flows that are not in the map yet; those that are change their state only. */
static void enter(struct linux_backend *b, struct move **batch, u32 n)
{
	int err;

	for (u32 i = 0; i < n; i++) {
		const struct linux_conn *c = backend_conn(b, batch[i]->conn);

		b->keys[i] = c->key;
		b->values[i] = (struct steer_value){.slot = c->slot, .tap = c->tap};
	}
	err = steering_enter(b->steering, b->keys, b->values, n);
	if (!err)
		return;
	(void)!steering_remove(b->steering, b->keys, n);
	hold_failed(b, batch, n, err);
}

static void op_hold(void *impl, struct move *moves, u32 n)
{
	struct linux_backend *b = impl;
	u8 *states = steering_states(b->steering);
	u32 fresh = 0;

	for (u32 i = 0; i < n; i++) {
		struct linux_conn *c = backend_conn(b, moves[i].conn);

		if (moves[i].status != STATUS_OK)
			continue;
		if (!c) {
			moves[i].status = STATUS_STALE_HANDLE;
			continue;
		}
		if (c->slot == NIL) {
			c->slot = steering_slot_alloc(b->steering);
			if (c->slot == NIL) {
				moves[i].status = STATUS_NO_CONNECTIONS;
				continue;
			}
			b->batch[fresh++] = &moves[i];
		}
		steering_state_set(states, c->slot, FLOW_HOLD);
		if (fresh == BACKEND_BATCH) {
			enter(b, b->batch, fresh);
			fresh = 0;
		}
	}
	enter(b, b->batch, fresh);
}

static void op_own(void *impl, struct move *moves, u32 n)
{
	set_states(impl, moves, n, FLOW_OWN);
}

static void forget(struct linux_backend *b, u32 n)
{
	/* An entry that is not there any more is no failure of a removal. */
	(void)!steering_remove(b->steering, b->keys, n);
}

static void op_release(void *impl, struct move *moves, u32 n)
{
	struct linux_backend *b = impl;
	u32 used = 0;

	for (u32 i = 0; i < n; i++) {
		struct linux_conn *c = backend_conn(b, moves[i].conn);

		if (!c || c->slot == NIL || moves[i].status != STATUS_OK)
			continue;
		b->keys[used++] = c->key;
		steering_slot_free(b->steering, c->slot);
		c->slot = NIL;
		if (used == BACKEND_BATCH) {
			forget(b, used);
			used = 0;
		}
	}
	forget(b, used);
}

static void op_fence_start(void *impl)
{
	fence_start(((struct linux_backend *)impl)->fence);
}

static void op_fence_wait(void *impl)
{
	fence_wait(((struct linux_backend *)impl)->fence);
}

/* -- freeze, thaw, detach, import ----------------------------------------------------------------
 */

int backend_read(struct linux_backend *b, struct move *const *moves, u32 n,
                 const struct export_batch **ret)
{
	struct export_batch *read = batch_memory(b->exports);

	read->n = n;
	for (u32 i = 0; i < n; i++)
		read->fd[i] = (u32)moves[i]->conn;
	*ret = read;
	return batch_read(b->exports, b->repair.sys);
}

/* Reads the sockets that were stopped, all at once, and what is left of each. */
static void freeze_stopped(struct linux_backend *b, struct move *const *stopped, u32 n,
                           struct buf_pool *pool)
{
	const struct export_batch *read;
	int err;

	if (n == 0)
		return;
	err = backend_read(b, stopped, n, &read);
	for (u32 i = 0; i < n; i++) {
		struct move *m = stopped[i];
		struct frozen_socket socket = {(int)m->conn, backend_conn(b, m->conn),
		                               err ? err : read->err[i], &read->sock[i]};

		m->status = (u16)repair_freeze(&b->repair, &socket, m->tcp, pool, &m->detail);
		if (m->status == STATUS_OK)
			m->flags |= MOVE_FROZEN;
	}
}

static void op_freeze(void *impl, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct linux_backend *b = impl;
	struct move *stopped[EXPORT_BATCH];
	u32 k = 0;

	b->repair.now_ns = monotonic_ns();
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];

		if (m->status != STATUS_OK)
			continue;
		m->status = (u16)repair_stop(&b->repair, (int)m->conn, backend_conn(b, m->conn),
		                             &m->detail);
		if (m->status == STATUS_OK)
			stopped[k++] = m;
		if (k == EXPORT_BATCH) {
			freeze_stopped(b, stopped, k, pool);
			k = 0;
		}
	}
	freeze_stopped(b, stopped, k, pool);
}

static void op_thaw(void *impl, struct move *moves, u32 n)
{
	struct linux_backend *b = impl;

	for (u32 i = 0; i < n; i++) {
		if (!(moves[i].flags & MOVE_FROZEN) || (moves[i].flags & MOVE_DETACHED))
			continue;
		repair_thaw(&b->repair, (int)moves[i].conn, backend_conn(b, moves[i].conn));
		moves[i].flags &= (u16)~MOVE_FROZEN;
	}
}

static void op_detach(void *impl, struct move *moves, u32 n)
{
	struct linux_backend *b = impl;

	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];

		if (m->status != STATUS_OK)
			continue;
		m->status = (u16)repair_detach(&b->repair, (int)m->conn, backend_conn(b, m->conn),
		                               &m->detail);
		if (m->status == STATUS_OK)
			m->flags |= MOVE_DETACHED;
	}
}

static void op_import(void *impl, struct move *moves, u32 n, struct buf_pool *pool)
{
	struct linux_backend *b = impl;

	b->repair.now_ns = monotonic_ns();
	for (u32 i = 0; i < n; i++) {
		struct move *m = &moves[i];

		if (m->status != STATUS_OK)
			continue;
		m->status = (u16)repair_import(&b->repair, (int)m->conn, backend_conn(b, m->conn),
		                               m->tcp, pool, &m->detail);
		if (m->status != STATUS_OK)
			continue;
		m->flags &= (u16) ~(MOVE_FROZEN | MOVE_DETACHED);
		if (m->tcp->d.cc.type == TCP_CC_BBR) {
			m->flags |= MOVE_MODEL_LOST;
			m->detail = sock_bbr_bandwidth(&m->tcp->d.cc);
		}
	}
}

static u32 op_inject(void *impl, const struct rx_frame *frames, u32 n, struct buf_pool *pool)
{
	struct linux_backend *b = impl;

	for (u32 i = 0; i < n; i++) {
		struct hosttap *tap = NULL;

		for (u32 p = 0; p < b->n_ports && !tap; p++)
			if (b->ports[p].port == frames[i].port)
				tap = steering_hosttap(b->steering, b->ports[p].ifindex);
		/* A frame that no kernel takes is as good as lost on the wire; it is counted. */
		if (tap && hosttap_inject(tap, &frames[i], pool) == -EAGAIN)
			return i;
	}
	return n;
}

static const struct backend_ops linux_ops = {
	.inspect = backend_inspect,
	.hold = op_hold,
	.fence_start = op_fence_start,
	.fence_wait = op_fence_wait,
	.freeze = op_freeze,
	.thaw = op_thaw,
	.detach = op_detach,
	.own = op_own,
	.import = op_import,
	.inject = op_inject,
	.release = op_release,
};

struct backend linux_backend_interface(struct linux_backend *b)
{
	return (struct backend){.ops = &linux_ops, .impl = b};
}

/* -- creation -----------------------------------------------------------------------------------
 */

static int conns_init(struct linux_backend *b)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	b->n_conns = (u32)min_of(limit.rlim_max, (rlim_t)DESCRIPTORS_MAX);
	b->conns = calloc(b->n_conns, sizeof(*b->conns));
	if (!b->conns)
		return -ENOMEM;
	for (u32 i = 0; i < b->n_conns; i++)
		b->conns[i].slot = NIL;
	return 0;
}

/* A security module may refuse the call by which sockets are detached. */
static int disconnect_allowed(void)
{
	const struct sockaddr unspec = {.sa_family = AF_UNSPEC};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, &unspec, sizeof(unspec)))
		err = -errno;
	close(fd);
	return err;
}

static int parts_create(struct linux_backend *b, u32 capacity, const char **ret_step)
{
	int err;

	*ret_step = "memory";
	err = conns_init(b);
	if (err)
		return err;
	*ret_step = "disconnecting a socket (a security module refuses it)";
	err = disconnect_allowed();
	if (err)
		return err;
	err = programs_get(&b->repair.programs, ret_step);
	if (!err)
		err = steering_create(capacity, &b->steering, ret_step);
	if (!err) {
		*ret_step = "rtnetlink";
		err = routes_create(&b->routes);
	}
	if (!err) {
		*ret_step = "export program for many sockets (needs CAP_BPF, CAP_PERFMON)";
		err = batch_create(&b->exports);
	}
	if (!err) {
		*ret_step = "fence thread";
		err = fence_create(&b->fence);
	}
	return err;
}

int linux_backend_create(const struct linux_backend_config *config,
                         struct linux_backend **ret_backend, const char **ret_step)
{
	struct linux_backend *b = calloc(1, sizeof(*b));
	int err;

	*ret_step = "memory";
	if (!b)
		return -ENOMEM;
	b->config = *config;
	nat_init(&b->nat);
	b->repair.sys = config->sys ? config->sys : &linux_sys_direct;
	b->repair.impl = b;
	b->repair.inject = repair_inject;
	b->repair.mute = repair_mute;
	b->repair.restore_rtt = !config->no_rtt;
	sock_defaults_read(&b->repair.defaults);
	err = parts_create(b, config->capacity ? config->capacity : CAPACITY, ret_step);
	if (err)
		linux_backend_destroy(b);
	else
		*ret_backend = b;
	return err;
}

void linux_backend_destroy(struct linux_backend *b)
{
	if (b->fence)
		fence_destroy(b->fence);
	if (b->exports)
		batch_destroy(b->exports);
	if (b->routes)
		routes_destroy(b->routes);
	if (b->steering)
		steering_destroy(b->steering);
	if (b->repair.programs)
		programs_put(b->repair.programs);
	nat_finish(&b->nat);
	queue_scratch_free(&b->repair.scratch);
	free(b->conns);
	free(b);
}

int linux_backend_add_port(struct linux_backend *b, u32 ifindex, u32 port, u32 tap_ifindex)
{
	int err;

	if (b->n_ports == BACKEND_PORTS_MAX)
		return -ENOSPC;
	err = steering_add_port(b->steering, ifindex);
	if (!err && tap_ifindex)
		err = steering_add_tap(b->steering, tap_ifindex, ifindex);
	if (err) {
		if (err != -EEXIST)
			steering_remove_port(b->steering, ifindex);
		return err;
	}
	b->ports[b->n_ports++] =
		(struct backend_port){.ifindex = ifindex, .port = port, .tap = tap_ifindex};
	return 0;
}

int linux_backend_add_tap(struct linux_backend *b, u32 ifindex, u32 tap_ifindex)
{
	struct backend_port *p = backend_port(b, ifindex);
	int err = p ? steering_add_tap(b->steering, tap_ifindex, ifindex) : -ENODEV;

	if (!err)
		p->fallback = tap_ifindex;
	return err;
}

void linux_backend_remove_port(struct linux_backend *b, u32 ifindex)
{
	struct backend_port *p = backend_port(b, ifindex);

	if (!p)
		return;
	steering_remove_port(b->steering, ifindex);
	*p = b->ports[--b->n_ports];
}

void linux_backend_counters(struct linux_backend *b, struct linux_backend_counters *ret)
{
	memset(ret, 0, sizeof(*ret));
	steering_counters(b->steering, ret->steer);
	ret->flushed_acks = b->repair.flushed_acks;
	ret->delayed_binds = b->repair.delayed_binds;
	ret->unquiet = b->repair.unquiet;
	for (u32 i = 0; i < b->n_ports; i++) {
		struct hosttap *tap = steering_hosttap(b->steering, b->ports[i].ifindex);

		ret->injected += tap->written;
		ret->inject_refused += tap->refused;
	}
}

struct routes *linux_backend_routes(struct linux_backend *b)
{
	return b->routes;
}

struct steering *linux_backend_steering(struct linux_backend *b)
{
	return b->steering;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One lane of a context: its arena, target, port, host, and what the host tells of connections. */
#include "lib/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	POSTED_MIN = 1024,
	LANE_ALIGN = 64,
	CHUNK_MIN = 32,
	GSO_MAX_BYTES = 65535 - 128,
};

/* -- what the host asks and tells
 * ------------------------------------------------------------------ */

static u64 env_now(void *ctx)
{
	return lane_now_ns();
}

static void env_wait(void *ctx)
{
	struct lib_lane *l = ctx;

	lane_turn(l->lane);
}

static void moved(struct chimney_conn *conn)
{
	struct host_conn_info info;

	if (!host_conn_info(conn->lane->host, conn->host, &info))
		conn->side = info.side;
	conn->error = 0;
	lib_ready(conn, CHIMNEY_READABLE | CHIMNEY_WRITABLE);
}

static void env_notice(void *ctx, const struct host_notice *notices, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct chimney_conn *conn = notices[i].owner;

		switch (notices[i].kind) {
		case IND_RECEIVE:
		case IND_PEER_CLOSED:
			lib_ready(conn, CHIMNEY_READABLE);
			break;
		case IND_SEND_ROOM:
			lib_ready(conn, CHIMNEY_WRITABLE);
			break;
		case IND_ABORTED:
			conn->error = notices[i].detail == STATUS_ABORTED ? ECONNRESET : ETIMEDOUT;
			lib_ready(conn, CHIMNEY_READABLE | CHIMNEY_WRITABLE | CHIMNEY_ERROR);
			break;
		case HOST_NOTICE_MOVED:
			moved(conn);
			break;
		default:
			break;
		}
	}
}

static s64 stack_send(void *stack, u64 conn, const void *data, u32 len, u32 flags)
{
	ssize_t n = send((int)conn, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

static s64 stack_recv(void *stack, u64 conn, void *data, u32 len, u32 flags)
{
	ssize_t n = recv((int)conn, data, len, MSG_DONTWAIT | (flags & RECV_PEEK ? MSG_PEEK : 0));

	if (n < 0)
		return -errno;
	return n ? n : -ESHUTDOWN;
}

static int stack_disconnect(void *stack, u64 conn, bool abortive)
{
	struct linger now = {1, 0};

	if (abortive)
		setsockopt((int)conn, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return shutdown((int)conn, abortive ? SHUT_RDWR : SHUT_WR) ? -errno : 0;
}

static void hook_frames(void *ctx, struct rx_frame *frames, u32 n)
{
	struct lib_lane *l = ctx;

	host_frames(l->host, frames, n);
}

static bool hook_work(void *ctx)
{
	return lib_move_step(ctx);
}

/* -- making one
 * -------------------------------------------------------------------------------------- */

static int make_target(struct lib_lane *l)
{
	const struct chimney_context_options *o = &l->context->options;
	struct target_config config = {
		.connections = o->max_connections,
		.bufs = {.small = o->small_buffers + lib_port_buffers(l->context, l->index),
	                 .large = o->large_buffers},
		.posted = max_of(o->max_connections, (u32)POSTED_MIN),
		.watch = {.period_ns = o->watch.period_ms * NS_PER_MS,
	                  .periods = o->watch.periods,
	                  .low_bytes = o->watch.low_bytes,
	                  .losses = o->watch.losses,
	                  .small_bytes = o->watch.small_bytes,
	                  .unposted_bytes = o->watch.unposted_bytes,
	                  .fragments = o->watch.fragments,
	                  .disorder = o->watch.disorder},
	};
	u32 queues = lib_port_queues(l->context, l->index);
	int err;

	for (u32 i = 0; i < TCP_PORTS_MAX; i++) {
		bool xdp = i < queues;

		config.engine.ports[i].gso_max_bytes = xdp ? 0 : GSO_MAX_BYTES;
		config.engine.ports[i].tx_csum = !xdp;
		config.engine.ports[i].rx_trusted = xdp && xdp_link_is_local(l->context->ifindex);
	}
	if (getrandom(config.engine.hash_key, sizeof(config.engine.hash_key), 0) < 0 ||
	    getrandom(&config.engine.seed, sizeof(config.engine.seed), 0) < 0)
		return lib_fail(-errno, "no random bytes: %s", strerror(errno));
	target_config_defaults(&config);
	l->arena_bytes = target_arena_bytes(&config);
	l->arena_fd = memfd_create("chimney-arena", MFD_CLOEXEC);
	if (l->arena_fd < 0 || ftruncate(l->arena_fd, (off_t)l->arena_bytes))
		return lib_fail(-errno, "no arena of %zu bytes: %s", l->arena_bytes,
		                strerror(errno));
	l->arena = mmap(NULL, l->arena_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, l->arena_fd, 0);
	l->target_mem = aligned_alloc(LANE_ALIGN, (target_bytes(&config) + LANE_ALIGN) &
	                                                  ~(size_t)(LANE_ALIGN - 1));
	if (l->arena == MAP_FAILED || !l->target_mem)
		return lib_fail(-ENOMEM, "no memory for a target of %u connections",
		                o->max_connections);
	l->target = l->target_mem;
	err = target_init(l->target, l->arena, &config);
	if (err)
		return lib_fail(err, "no target of %u connections, %u small and %u large buffers",
		                o->max_connections, o->small_buffers, o->large_buffers);
	l->device = target_device(l->target);
	return 0;
}

static int make_host(struct lib_lane *l)
{
	const struct chimney_context_options *o = &l->context->options;
	struct host_config config = {
		.max_connections = o->max_connections,
		.max_paths = o->max_connections,
		.max_neighbors = 256,
		.max_posted = max_of(o->max_connections, (u32)POSTED_MIN) * 2,
		.max_parked = LIB_PARKED_MAX,
		.chunk_min = CHUNK_MIN,
		.chunk_ns = (u64)o->chunk_us * NS_PER_US,
		.quiet_ns = (u64)o->quiet_ms * NS_PER_MS,
	};
	struct host_env env = {
		.ctx = l,
		.now = env_now,
		.done = lib_host_done,
		.notice = env_notice,
		.wait = env_wait,
		.backend = linux_backend_interface(l->backend),
		.stack = {stack_send, stack_recv, stack_disconnect, l},
		.device = &l->device,
		.pool = target_pool(l->target),
	};
	size_t bytes = (host_bytes(&config) + LANE_ALIGN) & ~(size_t)(LANE_ALIGN - 1);

	if (getrandom(&config.hash_key, sizeof(config.hash_key), 0) < 0)
		return lib_fail(-errno, "no random bytes: %s", strerror(errno));
	l->host_mem = aligned_alloc(LANE_ALIGN, bytes);
	if (!l->host_mem)
		return lib_fail(-ENOMEM, "no memory for %u connections", o->max_connections);
	l->host = host_init(l->host_mem, &config, &env);
	target_attach_host(l->target, host_side(l->host));
	return 0;
}

static int make_lane(struct lib_lane *l)
{
	const struct chimney_context_options *o = &l->context->options;
	struct lane_config config = {
		.device = &l->device,
		.n_ports = l->n_ports,
		.spin_ns = o->spin_us == UINT32_MAX ? 0 : (u64)o->spin_us * NS_PER_US,
		.hooks = {l, hook_frames, hook_work},
	};
	int err;

	memcpy(config.ports, l->ports, sizeof(config.ports));
	for (u32 i = 0; i < l->n_ports; i++)
		config.pools[i] = target_pool(l->target);
	err = lane_create(&config, &l->lane);
	return err ? lib_fail(err, "no lane: %s", strerror(-err)) : 0;
}

static int watch(int epoll_fd, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int make_descriptors(struct lib_lane *l)
{
	int err;

	l->outer_epoll = epoll_create1(EPOLL_CLOEXEC);
	l->kernel_epoll = epoll_create1(EPOLL_CLOEXEC);
	l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (l->outer_epoll < 0 || l->kernel_epoll < 0 || l->event_fd < 0)
		return lib_fail(-errno, "no descriptors for a lane: %s", strerror(errno));
	err = watch(l->outer_epoll, l->event_fd);
	if (!err)
		err = watch(l->outer_epoll, l->kernel_epoll);
	if (!err && l->context->caller_lanes)
		err = watch(l->outer_epoll, lane_fd(l->lane));
	return err ? lib_fail(err, "epoll: %s", strerror(-err)) : 0;
}

int lib_lane_start(struct lib_lane *l, struct chimney_context *context, u32 index)
{
	char name[16];
	int err;

	*l = (struct lib_lane){.context = context,
	                       .index = index,
	                       .arena = MAP_FAILED,
	                       .arena_fd = -1,
	                       .outer_epoll = -1,
	                       .kernel_epoll = -1,
	                       .event_fd = -1};
	err = make_target(l);
	if (!err)
		err = lib_port_open(l);
	if (!err)
		err = make_host(l);
	if (!err)
		err = make_lane(l);
	if (!err)
		err = make_descriptors(l);
	if (!err && !context->caller_lanes) {
		snprintf(name, sizeof(name), "chimney-lane%u", index);
		err = lane_start(l->lane, name);
		if (err)
			lib_fail(err, "no thread for a lane: %s", strerror(-err));
	}
	return err;
}

static bool still_closing(struct lib_lane *l)
{
	bool closing;

	lane_lock(l->lane);
	closing = l->closing != 0;
	lane_unlock(l->lane);
	return closing;
}

void lib_lane_bring_home(struct lib_lane *l)
{
	struct chimney_conn **conns;
	u32 n = 0;

	if (!l->lane || l->outer_epoll < 0)
		return;
	lane_lock(l->lane);
	conns = calloc(l->all.n + 1, sizeof(*conns));
	for (struct chimney_conn *c = l->all.head; c && conns; c = c->all.next) {
		if (!c->closing)
			conns[n++] = c;
	}
	lane_unlock(l->lane);
	if (n)
		chimney_conns_upload(l->context, conns, n, NULL);
	for (u32 i = 0; i < n; i++)
		chimney_conn_close(conns[i]);
	free(conns);
	/* Those that were closing already: a bounded number of turns. */
	for (int i = 0; i < 1000 && still_closing(l); i++) {
		if (l->context->caller_lanes)
			lane_poll(l->lane, 1000);
		else
			usleep(1000);
	}
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void lib_lane_stop(struct lib_lane *l)
{
	if (l->lane)
		lane_destroy(l->lane);
	for (struct chimney_conn *c = l->all.head, *next; c; c = next) {
		next = c->all.next;
		lib_conn_free(c, true);
	}
	lib_port_close(l);
	close_fd(l->outer_epoll);
	close_fd(l->kernel_epoll);
	close_fd(l->event_fd);
	if (l->arena != MAP_FAILED)
		munmap(l->arena, l->arena_bytes);
	close_fd(l->arena_fd);
	free(l->target_mem);
	free(l->host_mem);
	free(l->done);
	free(l->closing_moves);
}

EXPORT int chimney_lane_poll(struct chimney_context *context, unsigned int lane,
                             uint32_t timeout_us)
{
	if (lane >= context->n_lanes)
		return lib_fail(-EINVAL, "lane %u: there are %u", lane, context->n_lanes);
	if (!context->caller_lanes)
		return lib_fail(-EINVAL, "lane %u runs in a thread of the library", lane);
	return lane_poll(context->lanes[lane].lane, timeout_us);
}

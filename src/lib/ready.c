/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Readiness. A connection has `avail`, what it may be ready for: set by notices of the host and by
 * edge-triggered events of the kernel, cleared by a call that found nothing. Both sides of a move
 * look alike that way, and a descriptor is registered at an epoll once, not at every move (its
 * hang-up while it is detached is one edge, which is ignored).
 */
#include "lib/internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WATCHABLE = CHIMNEY_READABLE | CHIMNEY_WRITABLE | CHIMNEY_ERROR };

int lib_futex_wait(_Atomic u32 *word, u32 value, int timeout_ms)
{
	struct timespec t = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};

	if (syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ms < 0 ? NULL : &t, NULL,
	            0))
		return -errno;
	return 0;
}

void lib_futex_wake(_Atomic u32 *word)
{
	atomic_fetch_add(word, 1);
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

struct lib_link *lib_link_ready(struct chimney_conn *conn)
{
	return &conn->ready;
}

struct lib_link *lib_link_all(struct chimney_conn *conn)
{
	return &conn->all;
}

void lib_list_push(struct lib_list *list, struct lib_link *(*link)(struct chimney_conn *),
                   struct chimney_conn *conn)
{
	struct lib_link *l = link(conn);

	if (l->linked)
		return;
	*l = (struct lib_link){.prev = list->tail, .linked = true};
	if (list->tail)
		link(list->tail)->next = conn;
	else
		list->head = conn;
	list->tail = conn;
	list->n++;
}

void lib_list_remove(struct lib_list *list, struct lib_link *(*link)(struct chimney_conn *),
                     struct chimney_conn *conn)
{
	struct lib_link *l = link(conn);

	if (!l->linked)
		return;
	if (l->prev)
		link(l->prev)->next = l->next;
	else
		list->head = l->next;
	if (l->next)
		link(l->next)->prev = l->prev;
	else
		list->tail = l->prev;
	*l = (struct lib_link){0};
	list->n--;
}

void lib_signal(struct lib_lane *l)
{
	u64 one = 1;

	if (l->signalled)
		return;
	l->signalled = write(l->event_fd, &one, sizeof(one)) == sizeof(one);
}

void lib_unsignal(struct lib_lane *l)
{
	u64 count;

	if (!l->signalled || l->ready.n || l->done_n)
		return;
	l->signalled = read(l->event_fd, &count, sizeof(count)) < 0;
}

void lib_ready(struct chimney_conn *conn, u32 events)
{
	conn->avail |= events;
	if (conn->waiters)
		lib_futex_wake(&conn->changed);
	if (!conn->closing && conn->avail & (conn->watch | CHIMNEY_ERROR) && conn->watch) {
		lib_list_push(&conn->lane->ready, lib_link_ready, conn);
		lib_signal(conn->lane);
	}
}

int lib_kernel_watch(struct chimney_conn *conn)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
	                         .data.ptr = conn};

	if (conn->in_epoll)
		return 0;
	if (epoll_ctl(conn->lane->kernel_epoll, EPOLL_CTL_ADD, conn->fd, &ev))
		return -errno;
	conn->in_epoll = true;
	conn->lane->kernel_watched++;
	return 0;
}

EXPORT void chimney_conn_watch(struct chimney_conn *conn, uint32_t events)
{
	struct lib_lane *l = conn->lane;

	lane_lock(l->lane);
	conn->watch = events;
	if (events & WATCHABLE) {
		if (lib_kernel_watch(conn))
			conn->avail |= CHIMNEY_READABLE | CHIMNEY_WRITABLE;
		lib_ready(conn, 0);
	} else {
		lib_list_remove(&l->ready, lib_link_ready, conn);
		lib_unsignal(l);
	}
	lane_unlock(l->lane);
}

EXPORT int chimney_lane_fd(const struct chimney_context *context, unsigned int lane)
{
	return lane < context->n_lanes ? context->lanes[lane].outer_epoll : -1;
}

void lib_collect_kernel(struct lib_lane *l, int max)
{
	struct epoll_event events[64];
	int n;

	if (!l->kernel_watched)
		return;
	do {
		n = epoll_wait(l->kernel_epoll, events, min_of(max, (int)ARRAY_SIZE(events)), 0);
		for (int i = 0; i < n; i++) {
			struct chimney_conn *conn = events[i].data.ptr;
			u32 e = events[i].events;
			u32 avail = 0;

			if (conn->side != HOST_IN_STACK)
				continue;
			if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
				avail |= CHIMNEY_READABLE;
			if (e & EPOLLOUT)
				avail |= CHIMNEY_WRITABLE;
			if (e & EPOLLERR)
				avail |= CHIMNEY_ERROR;
			host_pump(l->host, conn->host);
			lib_ready(conn, avail);
		}
		max -= n;
	} while (n == (int)ARRAY_SIZE(events) && max > 0);
}

EXPORT int chimney_lane_ready(struct chimney_context *context, unsigned int lane,
                              struct chimney_ready *ready, int max)
{
	struct lib_lane *l;
	int n = 0;
	u32 round;

	if (lane >= context->n_lanes || max <= 0)
		return -EINVAL;
	l = &context->lanes[lane];
	lane_lock(l->lane);
	lib_collect_kernel(l, max);
	/* Level-triggered ones go back to the end of the list: each is looked at once a call. */
	for (round = l->ready.n; round && n < max; round--) {
		struct chimney_conn *conn = l->ready.head;
		u32 events = conn->avail & (conn->watch | CHIMNEY_ERROR) & WATCHABLE;

		lib_list_remove(&l->ready, lib_link_ready, conn);
		if (!events || !conn->watch)
			continue;
		ready[n++] = (struct chimney_ready){conn, conn->user, events};
		if (!(conn->watch & CHIMNEY_EDGE))
			lib_list_push(&l->ready, lib_link_ready, conn);
	}
	lib_unsignal(l);
	lane_unlock(l->lane);
	return n;
}

/* In the kernel: its readiness, or the hang-up that a detach causes. */
static void wait_in_kernel(struct chimney_conn *conn, u32 events)
{
	struct pollfd p = {.fd = conn->fd};

	if (events & CHIMNEY_READABLE)
		p.events |= POLLIN | POLLRDHUP;
	if (events & CHIMNEY_WRITABLE)
		p.events |= POLLOUT;
	poll(&p, 1, conn->lane->context->caller_lanes ? 1 : 100);
}

void lib_wait(struct chimney_conn *conn, u32 events)
{
	struct lib_lane *l = conn->lane;
	u32 seen;
	bool nothing;

	if (l->context->caller_lanes) {
		lane_poll(l->lane, conn->side == HOST_IN_STACK ? 0 : 1000);
		if (conn->side == HOST_IN_STACK)
			wait_in_kernel(conn, events);
		return;
	}
	lane_lock(l->lane);
	seen = atomic_load(&conn->changed);
	nothing = !(conn->avail & (events | CHIMNEY_ERROR));
	if (conn->side == HOST_IN_STACK) {
		lane_unlock(l->lane);
		wait_in_kernel(conn, events);
		return;
	}
	conn->waiters++;
	lane_unlock(l->lane);
	if (nothing)
		lib_futex_wait(&conn->changed, seen, -1);
	lane_lock(l->lane);
	conn->waiters--;
	lane_unlock(l->lane);
}

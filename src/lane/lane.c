/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Who runs a lane's turns, and when it sleeps. */
#include "lane/internal.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
	HANDOVER_NS = 200 * 1000, /* how long the lane waits for a waiter to take the lock */
	/* The work hook has deadlines of its own (a connection that must calm down before it can
	 * move), which only it knows. */
	SLEEP_NS_DEFAULT = 20 * 1000 * 1000,
	STALL_NS = 50 * 1000, /* a port that took not all is tried again after */
	HOT_TURNS = 16,       /* busy turns in a row after which a lane is hot */
};

u64 lane_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static int watch(struct lane *l, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static int watch_port(struct lane *l, u32 port)
{
	struct port_info info;

	l->config.ports[port]->ops->info(l->config.ports[port], &info);
	return info.fd >= 0 ? watch(l, info.fd) : 0;
}

void lane_unwatch(struct lane *l, u32 port)
{
	struct port_info info;

	l->config.ports[port]->ops->info(l->config.ports[port], &info);
	if (info.fd >= 0)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, info.fd, NULL);
}

static int open_descriptors(struct lane *l)
{
	int err;

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->epoll_fd < 0 || l->event_fd < 0 || l->timer_fd < 0)
		return -errno;
	err = watch(l, l->event_fd);
	if (!err)
		err = watch(l, l->timer_fd);
	for (u32 i = 0; i < l->config.n_ports && !err; i++)
		err = watch_port(l, i);
	return err;
}

int lane_create(const struct lane_config *config, struct lane **ret_lane)
{
	struct lane *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->config = *config;
	if (!l->config.sleep_ns)
		l->config.sleep_ns = SLEEP_NS_DEFAULT;
	l->epoll_fd = l->event_fd = l->timer_fd = -1;
	l->timer_at_ns = UINT64_MAX;
	l->tx = (struct tx_batch){.frames = l->tx_frames, .cap = LANE_BATCH};
	pthread_mutex_init(&l->mutex, NULL);
	err = open_descriptors(l);
	if (err) {
		lane_destroy(l);
		return err;
	}
	*ret_lane = l;
	return 0;
}

void lane_destroy(struct lane *l)
{
	lane_stop(l);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	if (l->event_fd >= 0)
		close(l->event_fd);
	if (l->timer_fd >= 0)
		close(l->timer_fd);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

/* -- the lock ------------------------------------------------------------------------------------
 */

void lane_lock(struct lane *l)
{
	if (pthread_mutex_trylock(&l->mutex)) {
		atomic_fetch_add(&l->waiters, 1);
		pthread_mutex_lock(&l->mutex);
		atomic_fetch_sub(&l->waiters, 1);
		atomic_fetch_add(&l->served, 1);
		if (atomic_load(&l->giving_way))
			syscall(SYS_futex, &l->served, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
}

void lane_touch(struct lane *l)
{
	l->touched = true;
}

void lane_unlock(struct lane *l)
{
	bool late = false;

	if (l->touched && atomic_load_explicit(&l->asleep, memory_order_relaxed)) {
		lane_send(l, lane_now_ns());
		late = l->config.device->frames->next_deadline(l->config.device->impl) <
		       l->asleep_until_ns;
	}
	pthread_mutex_unlock(&l->mutex);
	if (late)
		lane_wake(l);
}

/*
 * Between two turns: lets one waiter in. Without the wait the lane would take its own lock again
 * before a waiter has woken up; and where the cores are all busy the waiter needs this one, so the
 * lane sleeps until it was served, not longer than a waiter may hold it up.
 */
static void give_way(struct lane *l)
{
	static const struct timespec most = {0, HANDOVER_NS};
	u32 served = atomic_load(&l->served);

	if (!atomic_load(&l->waiters))
		return;
	l->counters.yields++;
	atomic_store(&l->giving_way, true);
	pthread_mutex_unlock(&l->mutex);
	syscall(SYS_futex, &l->served, FUTEX_WAIT_PRIVATE, served, &most, NULL, 0);
	pthread_mutex_lock(&l->mutex);
	atomic_store(&l->giving_way, false);
}

/* -- sleeping ------------------------------------------------------------------------------------
 */

void lane_wake(struct lane *l)
{
	u64 one = 1;

	atomic_fetch_add_explicit(&l->wakes, 1, memory_order_relaxed);
	if (write(l->event_fd, &one, sizeof(one)) < 0)
		return; /* full: it is awake */
	/* After the write: who sees the flag finds something to read. */
	atomic_store(&l->signalled, true);
}

static void drain(struct lane *l)
{
	u64 count;

	atomic_store(&l->signalled, false);
	while (read(l->event_fd, &count, sizeof(count)) > 0)
		;
	if (read(l->timer_fd, &count, sizeof(count)) > 0)
		l->timer_at_ns = UINT64_MAX;
}

/*
 * While a lane is hot its ports are not watched: the sender of each frame would pay for telling
 * an epoll, and another one above it, what the next turn sees anyway (a sixteenth of its time,
 * measured over veth). lane_fd() stays readable meanwhile, so that whoever waits there polls.
 */
static void set_hot(struct lane *l, bool hot)
{
	u64 count = 1;

	if (l->hot == hot)
		return;
	if (hot && write(l->event_fd, &count, sizeof(count)) < 0)
		return;
	l->hot = hot;
	for (u32 i = 0; i < l->config.n_ports; i++) {
		if (l->lost_ports >> i & 1)
			continue;
		if (hot)
			lane_unwatch(l, i);
		else
			(void)watch_port(l, i); /* room for it was there before */
	}
	/* Takes its own one back, not what lane_wake() added. */
	if (!hot && read(l->event_fd, &count, sizeof(count)) > 0 && --count)
		(void)!write(l->event_fd, &count, sizeof(count));
}

static void count_turn(struct lane *l, bool busy)
{
	l->busy_row = busy ? l->busy_row + 1 : 0;
	if (l->busy_row >= HOT_TURNS)
		set_hot(l, true);
}

static u64 sleep_for(const struct lane *l, u64 most_ns)
{
	u64 now_ns = lane_now_ns();
	u64 next_ns = l->config.device->frames->next_deadline(l->config.device->impl);
	u64 ns = min_of(most_ns, l->config.sleep_ns);

	if (l->tx_at < l->tx.n)
		ns = min_of(ns, (u64)STALL_NS);
	if (next_ns <= now_ns)
		return 0;
	return next_ns == UINT64_MAX ? ns : min_of(ns, next_ns - now_ns);
}

/* Called and returns with the lock. */
static void doze(struct lane *l, u64 most_ns)
{
	u64 ns = sleep_for(l, most_ns);
	struct timespec t = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	struct epoll_event ev;
	int n;

	if (!ns)
		return;
	set_hot(l, false);
	l->counters.sleeps++;
	l->asleep_until_ns = lane_now_ns() + ns;
	atomic_store(&l->asleep, true);
	pthread_mutex_unlock(&l->mutex);
	n = epoll_pwait2(l->epoll_fd, &ev, 1, &t, NULL);
	pthread_mutex_lock(&l->mutex);
	atomic_store(&l->asleep, false);
	if (n > 0 && (ev.data.fd == l->event_fd || ev.data.fd == l->timer_fd))
		drain(l);
}

static void *run(void *arg)
{
	struct lane *l = arg;
	u64 idle_since_ns = lane_now_ns();

	pthread_mutex_lock(&l->mutex);
	while (!atomic_load(&l->stopping)) {
		bool busy = lane_turn(l);
		u64 now_ns;

		count_turn(l, busy);
		give_way(l);
		now_ns = lane_now_ns();
		if (busy) {
			idle_since_ns = now_ns;
		} else if (now_ns - idle_since_ns >= l->config.spin_ns) {
			doze(l, UINT64_MAX); /* and spin again only after there was work */
		} else {
			pthread_mutex_unlock(&l->mutex);
			__builtin_ia32_pause();
			pthread_mutex_lock(&l->mutex);
		}
	}
	pthread_mutex_unlock(&l->mutex);
	return NULL;
}

int lane_start(struct lane *l, const char *name)
{
	int err = pthread_create(&l->thread, NULL, run, l);

	if (err)
		return -err;
	l->running = true;
	pthread_setname_np(l->thread, name);
	return 0;
}

void lane_stop(struct lane *l)
{
	if (!l->running)
		return;
	atomic_store(&l->stopping, true);
	lane_wake(l);
	pthread_join(l->thread, NULL);
	atomic_store(&l->stopping, false);
	l->running = false;
}

/* -- in the caller's thread
 * ------------------------------------------------------------------------ */

/* The timer makes lane_fd() readable when a deadline comes while nobody polls. */
static void arm_timer(struct lane *l)
{
	u64 at_ns = max_of(l->config.device->frames->next_deadline(l->config.device->impl),
	                   (u64)1); /* 0 would disarm */
	struct itimerspec when = {
		.it_value = {(time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S)}};

	if (at_ns >= l->timer_at_ns)
		return;
	if (!timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &when, NULL))
		l->timer_at_ns = at_ns;
}

bool lane_poll(struct lane *l, u32 timeout_us)
{
	u64 now_ns = lane_now_ns();
	u64 end_ns = now_ns + (u64)timeout_us * NS_PER_US;
	u64 spin_end_ns = min_of(end_ns, now_ns + l->config.spin_ns);
	bool busy;

	lane_lock(l);
	if (!l->hot && (atomic_load(&l->signalled) || l->timer_at_ns <= now_ns))
		drain(l); /* or lane_fd() would stay readable */
	for (;;) {
		busy = lane_turn(l);
		count_turn(l, busy);
		now_ns = lane_now_ns();
		if (busy || now_ns >= end_ns)
			break;
		if (now_ns >= spin_end_ns)
			doze(l, end_ns - now_ns);
		else
			give_way(l);
	}
	if (busy)
		l->busy_at_ns = now_ns;
	else if (now_ns - l->busy_at_ns >= l->config.spin_ns)
		set_hot(l, false);
	arm_timer(l);
	pthread_mutex_unlock(&l->mutex);
	return busy;
}

int lane_fd(const struct lane *l)
{
	return l->epoll_fd;
}

void lane_counters(const struct lane *l, struct lane_counters *ret)
{
	*ret = l->counters;
	ret->wakes = atomic_load_explicit(&l->wakes, memory_order_relaxed);
}

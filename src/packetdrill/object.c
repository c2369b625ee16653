/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "packetdrill/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { READ_CLOCK_S = 1 }; /* real time that a released thread has to read the clock */

/* Wall-clock time of virtual time 0: 2020-09-13, so that times look like times. */
static const u64 epoch_us = 1600000000000000ull;

/* All of them, for getsockopt(); a process has one, a test perhaps some. */
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects;

void object_lock(struct object *o)
{
	pthread_mutex_lock(&o->lock);
}

void object_unlock(struct object *o)
{
	pthread_mutex_unlock(&o->lock);
}

/* -- time -------------------------------------------------------------------------------------- */

/* The waiter's condition holds: it goes first, and the clock waits for it. */
static void release_waiter(struct object *o)
{
	struct waiter *w = &o->waiter;
	struct timespec until;

	if (w->state == WAITER_BLOCKED &&
	    (w->ready(&o->sockets, w->what) || o->sockets.stack.now_ns >= w->deadline_ns)) {
		w->state = WAITER_RELEASED;
		pthread_cond_broadcast(&o->changed);
	}
	if (w->state != WAITER_RELEASED || pthread_equal(w->thread, pthread_self()))
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += READ_CLOCK_S;
	while (w->state == WAITER_RELEASED) {
		if (pthread_cond_timedwait(&o->changed, &o->lock, &until))
			w->state = WAITER_NONE; /* a caller that does not look at the clock */
	}
}

static u64 next_ns(const struct object *o)
{
	u64 next = stack_next_ns(&o->sockets.stack);

	return o->waiter.state == WAITER_BLOCKED ? min_of(next, o->waiter.deadline_ns) : next;
}

static void step_to(struct object *o, u64 next)
{
	struct stack *k = &o->sockets.stack;

	/* What stands still at one moment moves on by the smallest step. */
	stack_set_time(k, max_of(next, k->now_ns + 1));
	stack_turn(k);
	release_waiter(o);
}

bool object_step(struct object *o)
{
	u64 next = next_ns(o);

	if (next == UINT64_MAX)
		return false;
	step_to(o, next);
	return true;
}

void object_advance(struct object *o, u64 until_ns)
{
	struct stack *k = &o->sockets.stack;
	u64 next;

	release_waiter(o);
	while ((next = next_ns(o)) <= until_ns && k->now_ns < until_ns)
		step_to(o, next);
	stack_set_time(k, until_ns);
}

static void wait_for_release(struct object *o)
{
	o->waiter.state = WAITER_BLOCKED;
	o->waiter.thread = pthread_self();
	pthread_cond_broadcast(&o->changed);
	while (o->waiter.state == WAITER_BLOCKED)
		pthread_cond_wait(&o->changed, &o->lock);
}

bool object_wait(struct object *o, bool (*ready)(struct sockets *t, void *what), void *what,
                 u64 deadline_ns)
{
	if (ready(&o->sockets, what))
		return true;
	if (o->sockets.stack.now_ns >= deadline_ns)
		return false;
	if (!pthread_equal(o->owner, pthread_self()) && o->waiter.state == WAITER_NONE) {
		o->waiter =
			(struct waiter){.ready = ready, .what = what, .deadline_ns = deadline_ns};
		wait_for_release(o);
		return ready(&o->sockets, what);
	}
	/* The thread that drives the clock waits by driving it. */
	while (!ready(&o->sockets, what)) {
		u64 next = min_of(next_ns(o), deadline_ns);

		if (next == UINT64_MAX || o->sockets.stack.now_ns >= deadline_ns)
			return false;
		step_to(o, next);
	}
	return true;
}

static int object_usleep(void *userdata, useconds_t usecs)
{
	struct object *o = userdata;

	object_lock(o);
	object_advance(o, o->sockets.stack.now_ns + usecs * NS_PER_US);
	object_unlock(o);
	return 0;
}

static u64 clock_us(u64 now_ns)
{
	return epoch_us + now_ns / NS_PER_US;
}

static int object_gettimeofday(void *userdata, struct timeval *tv, struct timezone *tz)
{
	struct object *o = userdata;
	u64 us;

	object_lock(o);
	if (o->waiter.state == WAITER_RELEASED && pthread_equal(o->waiter.thread, pthread_self())) {
		us = clock_us(o->sockets.stack.now_ns);
		o->waiter.state = WAITER_NONE;
		pthread_cond_broadcast(&o->changed);
	} else {
		object_advance(o, o->sockets.stack.now_ns + NS_PER_US);
		us = clock_us(o->sockets.stack.now_ns);
	}
	object_unlock(o);
	*tv = (struct timeval){.tv_sec = (time_t)(us / 1000000),
	                       .tv_usec = (suseconds_t)(us % 1000000)};
	return 0;
}

/* -- packets ----------------------------------------------------------------------------------- */

static int object_netdev_send(void *userdata, const void *packet, size_t len)
{
	struct object *o = userdata;
	int err;

	object_lock(o);
	err = stack_send(&o->sockets.stack, packet, len);
	release_waiter(o);
	if (!err)
		stack_event(&o->sockets.stack);
	object_unlock(o);
	if (!err)
		return 0;
	errno = -err;
	return -1;
}

static int object_netdev_receive(void *userdata, void *buffer, size_t *count, long long *time_usecs)
{
	struct object *o = userdata;
	struct packet_out *p;

	object_lock(o);
	while (!(p = stack_receive(&o->sockets.stack)) && object_step(o))
		;
	if (p && o->sockets.stack.port.bad_checksums) {
		fprintf(stderr, "chimney: the stack sent a segment whose checksum is wrong\n");
		free(p);
		p = NULL;
	}
	if (p) {
		*count = min_of(*count, (size_t)p->len);
		memcpy(buffer, p->bytes, *count);
		*time_usecs = (long long)clock_us(p->time_ns);
		free(p);
		stack_event(&o->sockets.stack);
	} else {
		*count = 0;
	}
	object_unlock(o);
	return 0;
}

int chimney_packetdrill_move(void *userdata, int to_target)
{
	struct object *o = userdata;
	u32 n;

	object_lock(o);
	n = stack_move(&o->sockets.stack, to_target);
	object_unlock(o);
	return (int)n;
}

int chimney_packetdrill_waits(void *userdata)
{
	struct object *o = userdata;
	bool waits;

	object_lock(o);
	waits = o->waiter.state == WAITER_BLOCKED;
	object_unlock(o);
	return waits;
}

/* -- making one -------------------------------------------------------------------------------- */

static void object_free(void *userdata)
{
	struct object *o = userdata, **at;

	pthread_mutex_lock(&objects_lock);
	for (at = &objects; *at != o; at = &(*at)->next)
		;
	*at = o->next;
	pthread_mutex_unlock(&objects_lock);
	sockets_free(&o->sockets);
	pthread_cond_destroy(&o->changed);
	pthread_mutex_destroy(&o->lock);
	free(o);
}

void packetdrill_interface_init(const char *flags, struct packetdrill_interface *ifc)
{
	struct object *o = calloc(1, sizeof(*o));
	struct stack_config config;
	char text[256];
	const char *wrong = stack_config_read(&config, flags, text);

	if (wrong || !o) {
		fprintf(stderr, "chimney: flags \"%s\": %s\n", flags ? flags : "",
		        wrong ? wrong : "out of memory");
		exit(1);
	}
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->changed, NULL);
	o->owner = pthread_self();
	sockets_init(&o->sockets, &config);
	pthread_mutex_lock(&objects_lock);
	o->next = objects;
	objects = o;
	pthread_mutex_unlock(&objects_lock);
	*ifc = (struct packetdrill_interface){
		.userdata = o,
		.free = object_free,
		.netdev_send = object_netdev_send,
		.netdev_receive = object_netdev_receive,
		.usleep = object_usleep,
		.gettimeofday = object_gettimeofday,
	};
	object_fill_calls(ifc);
}

/* -- libc's getsockopt() ----------------------------------------------------------------------- */

/*
 * packetdrill reads TCP_INFO for its assertions by libc's call. Started with LD_PRELOAD set to this
 * object it gets this one, which answers for the descriptors of the stack.
 */
PACKETDRILL_EXPORT int getsockopt(int fd, int level, int name, void *restrict value,
                                  socklen_t *restrict len)
{
	struct object *o;
	struct sock *s = NULL;
	int err = 0;

	pthread_mutex_lock(&objects_lock);
	for (o = objects; o; o = o->next) {
		object_lock(o);
		s = sock_find(&o->sockets, fd);
		if (s)
			err = sock_getsockopt(&o->sockets, s, level, name, value, len);
		object_unlock(o);
		if (s)
			break;
	}
	pthread_mutex_unlock(&objects_lock);
	if (!s)
		return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
	if (!err)
		return 0;
	errno = -err;
	return -1;
}

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/fence.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	FENCE_ROUNDS = 2,
	FENCE_PRIORITY = 10,
	NONE = -1,
};

struct visitor {
	struct fence *fence;
	pthread_t thread;
	int cpu;
	_Atomic u32 round; /* rises with each round that it is part of: what it sleeps on */
};

struct fence {
	pthread_mutex_t lock;
	pthread_cond_t done;
	u64 wanted, reached; /* fences asked for, and the newest one known to be complete */
	u64 target;          /* the newest one that the running rounds complete */
	u32 rounds_left;     /* of these, 0: none is running */
	int skip;            /* CPU that these leave out, NONE: no CPU */
	int next_skip;       /* the same of what was asked for meanwhile */
	_Atomic u32 missing; /* visitors that have not been in this round */
	_Atomic bool stop;
	struct visitor *visitors;
	u32 n;
};

/* Where this thread asked for a fence last: its own CPU needs no visitor. */
static _Thread_local int asked_on = NONE;

static void visitor_wake(struct visitor *v)
{
	atomic_fetch_add(&v->round, 1);
	syscall(SYS_futex, &v->round, FUTEX_WAKE_PRIVATE, 1, NULL);
}

static u32 visitors_of(const struct fence *f, int skip)
{
	u32 n = 0;

	for (u32 i = 0; i < f->n; i++)
		n += f->visitors[i].cpu != skip;
	return n;
}

/* Under the lock. */
static void round_begin(struct fence *f)
{
	atomic_store(&f->missing, visitors_of(f, f->skip));
	for (u32 i = 0; i < f->n; i++)
		if (f->visitors[i].cpu != f->skip)
			visitor_wake(&f->visitors[i]);
}

/* Under the lock: nothing is running, and somebody asked. */
static void rounds_begin(struct fence *f)
{
	u32 n;

	f->target = f->wanted;
	f->skip = f->next_skip;
	n = visitors_of(f, f->skip);
	/* Frames may go from one visited CPU to another: twice. From and to the CPU that is left
	 * out they are caught by whoever asks, who is there before and after. */
	f->rounds_left = n == 1 && f->skip != NONE ? 1 : FENCE_ROUNDS;
	if (n) {
		round_begin(f);
	} else {
		f->rounds_left = 0;
		f->reached = f->target;
	}
}

/* The last visitor of a round: the next one, or the end. */
static void round_end(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	if (--f->rounds_left) {
		round_begin(f);
	} else {
		f->reached = f->target;
		pthread_cond_broadcast(&f->done);
		if (f->wanted != f->reached)
			rounds_begin(f);
	}
	pthread_mutex_unlock(&f->lock);
}

static void *visitor_run(void *arg)
{
	struct visitor *v = arg;
	struct fence *f = v->fence;
	struct sched_param param = {.sched_priority = FENCE_PRIORITY};
	u32 seen = 0;

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
	while (!atomic_load(&f->stop)) {
		u32 round = atomic_load(&v->round);

		if (round == seen) {
			syscall(SYS_futex, &v->round, FUTEX_WAIT_PRIVATE, seen, NULL);
			continue;
		}
		seen = round;
		if (!atomic_load(&f->stop) && atomic_fetch_sub(&f->missing, 1) == 1)
			round_end(f);
	}
	return NULL;
}

/* One visitor for each CPU. One that is offline, or not allowed, processes no frames of ours. */
static int visitors_start(struct fence *f)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	int err = EAGAIN;

	f->visitors = calloc((size_t)cpus, sizeof(*f->visitors));
	if (!f->visitors)
		return -ENOMEM;
	for (long cpu = 0; cpu < cpus; cpu++) {
		struct visitor *v = &f->visitors[f->n];
		pthread_attr_t attr;
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)cpu, &set);
		v->fence = f;
		v->cpu = (int)cpu;
		pthread_attr_init(&attr);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		err = pthread_create(&v->thread, &attr, visitor_run, v);
		pthread_attr_destroy(&attr);
		if (!err)
			f->n++;
		else if (err != EINVAL)
			return -err;
	}
	return f->n ? 0 : -err;
}

int fence_create(struct fence **ret_fence)
{
	struct fence *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->done, NULL);
	err = visitors_start(f);
	if (err)
		fence_destroy(f);
	else
		*ret_fence = f;
	return err;
}

void fence_destroy(struct fence *f)
{
	atomic_store(&f->stop, true);
	for (u32 i = 0; i < f->n; i++)
		visitor_wake(&f->visitors[i]);
	for (u32 i = 0; i < f->n; i++)
		pthread_join(f->visitors[i].thread, NULL);
	pthread_cond_destroy(&f->done);
	pthread_mutex_destroy(&f->lock);
	free(f->visitors);
	free(f);
}

/* Under the lock. */
static void ask(struct fence *f, int skip)
{
	bool alone = f->wanted == (f->rounds_left ? f->target : f->reached);

	f->next_skip = alone ? skip : NONE;
	f->wanted++;
	if (!f->rounds_left)
		rounds_begin(f);
}

/* Under the lock. */
static void wait_reached(struct fence *f)
{
	u64 target = f->wanted;

	while (f->reached < target)
		pthread_cond_wait(&f->done, &f->lock);
}

void fence_start(struct fence *f)
{
	asked_on = sched_getcpu();
	pthread_mutex_lock(&f->lock);
	ask(f, asked_on);
	pthread_mutex_unlock(&f->lock);
}

void fence_wait(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	wait_reached(f);
	/* The CPU that was left out has to be seen once more; whoever moved on has it visited. */
	if (f->wanted && sched_getcpu() != asked_on) {
		ask(f, NONE);
		wait_reached(f);
	}
	pthread_mutex_unlock(&f->lock);
}

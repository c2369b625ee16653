// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/fence.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FENCE_ROUNDS = 2,
	FENCE_PRIORITY = 10,
};

struct fence {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t asked, done;
	u64 wanted, reached; /* fences asked for, and the newest one known to be complete */
	bool stop;
	int cpus;
};

static void visit_all_cpus(int cpus)
{
	cpu_set_t set;

	for (int cpu = 0; cpu < cpus; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		/* A CPU that is offline, or not allowed, processes no frames of ours. */
		(void)!sched_setaffinity(0, sizeof(set), &set);
	}
}

static void *fence_run(void *arg)
{
	struct fence *f = arg;
	struct sched_param param = {.sched_priority = FENCE_PRIORITY};

	pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		u64 target = f->wanted;

		if (target == f->reached) {
			pthread_cond_wait(&f->asked, &f->lock);
			continue;
		}
		pthread_mutex_unlock(&f->lock);
		for (int round = 0; round < FENCE_ROUNDS; round++)
			visit_all_cpus(f->cpus);
		pthread_mutex_lock(&f->lock);
		f->reached = target;
		pthread_cond_broadcast(&f->done);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

int fence_create(struct fence **ret_fence)
{
	struct fence *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return -ENOMEM;
	f->cpus = (int)sysconf(_SC_NPROCESSORS_CONF);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->asked, NULL);
	pthread_cond_init(&f->done, NULL);
	err = pthread_create(&f->thread, NULL, fence_run, f);
	if (err) {
		free(f);
		return -err;
	}
	*ret_fence = f;
	return 0;
}

void fence_destroy(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->asked);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->asked);
	pthread_cond_destroy(&f->done);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void fence_start(struct fence *f)
{
	pthread_mutex_lock(&f->lock);
	f->wanted++;
	pthread_cond_signal(&f->asked);
	pthread_mutex_unlock(&f->lock);
}

void fence_wait(struct fence *f)
{
	u64 target;

	pthread_mutex_lock(&f->lock);
	target = f->wanted;
	while (f->reached < target)
		pthread_cond_wait(&f->done, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

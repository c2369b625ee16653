/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The fence: waits until every frame that was being processed somewhere in the kernel has arrived
 * where the flow map sent it. Two rounds of a SCHED_FIFO thread over all CPUs: a thread that runs
 * on a CPU proves that no softirq of that CPU is halfway; two, because a first CPU may have handed
 * frames to a second one (packet steering). An RCU wait would take a hundred times as long.
 */
#ifndef LINUX_FENCE_H
#define LINUX_FENCE_H

#include "base/types.h"

struct fence;

/* Starts the thread; CAP_SYS_NICE, else it runs at the ordinary priority, which is slower but as
 * correct. -ENOMEM, -EAGAIN. */
int fence_create(struct fence **ret_fence) MUST_CHECK;
void fence_destroy(struct fence *fence);

/* Asks for a fence that begins now and returns at once. */
void fence_start(struct fence *fence);

/* Waits for the fence asked for last. None asked for: returns at once. */
void fence_wait(struct fence *fence);

#endif

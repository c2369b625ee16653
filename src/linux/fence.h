/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The fence: waits until every frame that was being processed somewhere in the kernel has arrived
 * where the flow map sent it.
 *
 * Each CPU has a SCHED_FIFO thread pinned to it: that it runs proves that no softirq of the CPU is
 * halfway. They are woken together, twice, because a first CPU may have handed frames to a second
 * one (packet steering). The CPU of whoever asks needs no visit: there the caller itself runs,
 * before and after; so with two CPUs one wake-up is all. An RCU wait would take a hundred times as
 * long, and one thread that migrates from CPU to CPU four times as much CPU time.
 */
#ifndef LINUX_FENCE_H
#define LINUX_FENCE_H

#include "base/types.h"

struct fence;

/* Starts the threads; CAP_SYS_NICE, else they run at the ordinary priority, which is slower but as
 * correct. -ENOMEM, -EAGAIN. */
int fence_create(struct fence **ret_fence) MUST_CHECK;
void fence_destroy(struct fence *fence);

/* Asks for a fence that begins now and returns at once. Any thread. */
void fence_start(struct fence *fence);

/* Waits for the fence asked for last. None asked for: returns at once. Best called by the thread
 * that asked, on the same CPU; anybody else waits longer. */
void fence_wait(struct fence *fence);

#endif

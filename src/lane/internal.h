/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Inside a lane: the turn (turn.c), and who runs it when (lane.c). */
#ifndef LANE_INTERNAL_H
#define LANE_INTERNAL_H

#include "lane/lane.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LANE_BATCH = 256 };

struct lane {
	struct lane_config config;
	pthread_mutex_t mutex;
	_Atomic u32 waiters; /* threads that want the lock */
	_Atomic u32 served;  /* and those that got it: the futex of give_way() */
	_Atomic bool giving_way;
	bool touched;
	_Atomic bool asleep;
	_Atomic bool signalled; /* event_fd may be readable */
	_Atomic bool stopping;
	bool running;
	bool hot;       /* its ports are not watched: set_hot() */
	u32 busy_row;   /* busy turns in a row */
	u64 busy_at_ns; /* lane_poll(): when the last one was busy */
	pthread_t thread;
	int epoll_fd, event_fd, timer_fd;
	u64 timer_at_ns;
	u64 asleep_until_ns; /* while asleep */
	u32 lost_ports;      /* a bit each: failed for good */
	u32 late_turns;      /* turns since the timers ran */
	_Atomic u64 wakes;
	struct tx_batch tx; /* frames not taken by the port yet: [tx_at, tx.n) */
	u32 tx_at;
	struct lane_counters counters;
	struct rx_frame rx[LANE_BATCH];
	struct tx_frame tx_frames[LANE_BATCH];
};

/* Emits and transmits; true when a frame went out. */
bool lane_send(struct lane *l, u64 now_ns);

/* A port has failed: nobody waits for its descriptor any more. */
void lane_unwatch(struct lane *l, u32 port);

#endif

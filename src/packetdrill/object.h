/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What packetdrill gets: the sockets behind one lock, with virtual time.
 *
 * Time goes on only when somebody waits: usleep() and netdev_receive() jump from one deadline of
 * the stack to the next, gettimeofday() adds a microsecond, because packetdrill spins on it. A
 * blocking call comes from a second thread. It waits until the first one, in whichever call, has
 * brought the stack to where the call can return; then the first thread holds the clock still until
 * the second has read it, which is how packetdrill learns when the call ended.
 */
#ifndef PACKETDRILL_OBJECT_H
#define PACKETDRILL_OBJECT_H

#include <pthread.h>

#include "packetdrill/interface.h"
#include "packetdrill/socket.h"

/* One call that waits. */
struct waiter {
	enum {
		WAITER_NONE,
		WAITER_BLOCKED,
		WAITER_RELEASED, /* it may return; the clock stands still */
	} state;
	bool (*ready)(struct sockets *t, void *what);
	void *what;
	u64 deadline_ns; /* UINT64_MAX: none */
	pthread_t thread;
};

struct object {
	struct object *next;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t owner; /* who made it: the thread that drives the clock */
	struct sockets sockets;
	struct waiter waiter;
};

void object_lock(struct object *o);
void object_unlock(struct object *o);
/* Waits until `ready` holds or the deadline has passed; false: it passed, or nothing is left that
 * could make it hold. With the lock. */
bool object_wait(struct object *o, bool (*ready)(struct sockets *t, void *what), void *what,
                 u64 deadline_ns);
/* Lets time go on to `until_ns`. With the lock. */
void object_advance(struct object *o, u64 until_ns);
/* To the next deadline; false: there is none. With the lock. */
bool object_step(struct object *o);

/* calls.c: all pointers but free, netdev_*, usleep and gettimeofday. */
void object_fill_calls(struct packetdrill_interface *ifc);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A process without privileges that works on memory and descriptors of its parent, and how the
 * parent sees that it is gone.
 *
 * What must outlive the process (arena, journal, TAPs, AF_XDP sockets) is the parent's: shared
 * memory that it has mapped, descriptors that it keeps open. The process gets the same mappings and
 * copies of the named descriptors, and nothing else: no other descriptor above 2, no capability, no
 * group, no way to gain a privilege; user and group nobody where the parent is root.
 *
 * Its end is seen on a pidfd at once; that it hangs, on a counter in shared memory that it must
 * move. The counter may be written with anything: only that it changes counts.
 */
#ifndef IPC_PROCESS_H
#define IPC_PROCESS_H

#include <sys/types.h>

#include "base/types.h"

enum { IPC_FDS_MAX = 16 };

/* In shared memory; the process moves it once a turn. */
struct ipc_heart {
	u64 beats ALIGNED(64);
};

static inline void ipc_beat(struct ipc_heart *heart)
{
	__atomic_store_n(&heart->beats, heart->beats + 1, __ATOMIC_RELAXED);
}

struct ipc_start {
	/* Runs in the process; what it returns is the exit status. Its descriptors are
	 * 3, 4, ... in the order of `fds`. */
	int (*run)(void *ctx);
	void *ctx;
	const int *fds; /* that it gets; they stay open here as well */
	u32 n_fds;      /* at most IPC_FDS_MAX */
	const struct ipc_heart *heart;
};

enum ipc_life {
	IPC_ALIVE,
	IPC_STALLED, /* it runs or is stopped, but its counter has not moved for long */
	IPC_DEAD,
};

struct ipc_process {
	pid_t pid;
	int pidfd; /* readable when it has ended: for the caller's poll loop */
	const struct ipc_heart *heart;
	u64 beats; /* last seen */
	u64 moved_ns;
};

/*
 * Starts one; returns when its privileges are gone and run() begins. It is a fork: only the calling
 * thread goes on there, so start it before other threads hold locks that run() needs.
 * -EINVAL: too many descriptors. -errno of fork(), pidfd_open() or of what took the privileges away
 * in the process, which has ended then.
 */
int ipc_start(struct ipc_process *p, const struct ipc_start *start, u64 now_ns) MUST_CHECK;

/* How it is; a counter that has not moved for `stall_ns` is a stall. No clock in here. */
enum ipc_life ipc_look(struct ipc_process *p, u64 now_ns, u64 stall_ns);

/* Kills it if it lives, waits for it, closes the pidfd. Returns the wait status (waitpid(2)). */
int ipc_end(struct ipc_process *p);

#endif

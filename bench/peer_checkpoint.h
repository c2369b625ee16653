/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#ifndef BENCH_PEER_CHECKPOINT_H
#define BENCH_PEER_CHECKPOINT_H

#include "conns.h"

#include <linux/tcp.h>
#include <netinet/in.h>

struct checkpoint_queue {
	u8 *bytes;
	u32 capacity;
	u32 len;
	u32 seq; /* of the byte after the queue */
};

struct checkpoint_image {
	struct sockaddr_in local, remote;
	struct tcp_info info;
	struct tcp_repair_window window;
	int timestamp;
	int sndbuf, rcvbuf;
	u32 unsent; /* last bytes of the send queue, never sent */
	struct checkpoint_queue in, out;
};

/*
 * Dumps `n` connections by TCP_REPAIR, closes them, and restores each on a new socket, the way
 * checkpoint tools do it: one connection at a time, 26 system calls with empty queues, a window
 * probe each. The descriptors in `conns` are replaced by the new ones.
 *
 * `images` has room for n and is kept by the caller between calls (zeroed before the first). Adds
 * the times of the steps to ret_dump_ns and ret_restore_ns. 0, or -Exxx with *ret_what naming the
 * call that failed.
 */
int checkpoint_round(struct conn_end *conns, u32 n, struct checkpoint_image *images,
                     u64 *ret_dump_ns, u64 *ret_restore_ns, const char **ret_what) MUST_CHECK;

/* n zeroed images, NULL without memory. */
struct checkpoint_image *checkpoint_images(u32 n);

#endif

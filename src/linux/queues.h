/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The bytes in a socket's queues, out of the kernel into buffers of a pool, and back. */
#ifndef LINUX_QUEUES_H
#define LINUX_QUEUES_H

#include "base/buf.h"
#include "state/types.h"

#include "linux/sys.h"

/* Memory in which queue bytes lie for a moment; grows as needed. */
struct queue_scratch {
	u8 *bytes;
	size_t cap;
};
void queue_scratch_free(struct queue_scratch *scratch);

/*
 * Copies the last ref->len bytes of a queue (TCP_SEND_QUEUE or TCP_RECV_QUEUE of <linux/tcp.h>) of
 * a socket in repair mode to buffers of `pool` and writes ref->buf and ref->off. The kernel keeps
 * them. -ENOMEM: no scratch; -ENOBUFS: the pool is too small; -EIO: fewer bytes than that; -Exxx.
 */
int queue_read(const struct linux_sys *sys, int fd, int queue, struct queue_scratch *scratch,
               struct buf_pool *pool, struct data_ref *ref) MUST_CHECK;

/* Gives the socket's current repair queue, or the stream, bytes [from, from + len) of `ref`, in
 * pieces of at most 32 KiB (trap 14). -Exxx: some or none were taken. */
int queue_write(const struct linux_sys *sys, int fd, struct buf_pool *pool,
                const struct data_ref *ref, u32 from, u32 len) MUST_CHECK;

#endif

// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/queues.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include <linux/tcp.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

enum {
	PIECE_BYTES = 32768,
	WIDEN_MAX = 8,
	/* The kernel does not cut a sent segment of which only a part was acknowledged: its send
	 * queue may begin this much before snd_una. */
	EXCESS_BYTES = 65536,
};

void queue_scratch_free(struct queue_scratch *scratch)
{
	free(scratch->bytes);
	*scratch = (struct queue_scratch){0};
}

static int scratch_reserve(struct queue_scratch *s, size_t bytes)
{
	u8 *more;

	if (s->cap >= bytes)
		return 0;
	more = realloc(s->bytes, bytes);
	if (!more)
		return -ENOMEM;
	s->bytes = more;
	s->cap = bytes;
	return 0;
}

/* A buffer of the class, if it has one to spare. */
static u32 take_spare(struct buf_pool *pool, enum buf_class cls)
{
	return buf_spare(pool, cls) ? buf_alloc(pool, cls) : NIL;
}

/* Copies `len` bytes into a fresh chain: large buffers, a small one for what fits into it. */
static int to_pool(struct buf_pool *pool, const u8 *from, u32 len, u32 *ret_head)
{
	u32 head = NIL, tail = NIL;

	while (len) {
		u32 index = take_spare(pool, len > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
		u32 n;

		if (index == NIL)
			index = take_spare(pool, len > BUF_SMALL_BYTES ? BUF_SMALL : BUF_LARGE);
		if (index == NIL) {
			buf_put_chain(pool, head);
			return -ENOBUFS;
		}
		n = min_of(len, buf_capacity(pool, index));
		memcpy(buf_bytes(pool, index), from, n);
		buf_at(pool, index)->len = n;
		if (tail == NIL)
			head = index;
		else
			buf_at(pool, tail)->next = index;
		tail = index;
		from += n;
		len -= n;
	}
	*ret_head = head;
	return 0;
}

int queue_read(const struct linux_sys *sys, int fd, int queue, struct queue_scratch *scratch,
               struct buf_pool *pool, struct data_ref *ref)
{
	size_t ask = (size_t)ref->len + (queue == TCP_SEND_QUEUE ? EXCESS_BYTES : 0);
	ssize_t n;
	int err;

	ref->off = 0;
	if (!ref->len)
		return 0;
	err = scratch_reserve(scratch, ask);
	if (err)
		return err;
	if (sys->setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)))
		return -errno;
	n = sys->recv(fd, scratch->bytes, ask, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (n < (ssize_t)ref->len)
		return -EIO;
	return to_pool(pool, scratch->bytes + (n - (ssize_t)ref->len), ref->len, &ref->buf);
}

/*
 * Doubles the buffer that is full. The target may have held more than the kernel's accounting lets
 * in; whether the application has fixed the size stays as it was.
 */
static int widen(const struct linux_sys *sys, int fd, int name, int force)
{
	int bytes = 0, lock = -1;
	socklen_t len = sizeof(bytes), lock_len = sizeof(lock);

	if (sys->getsockopt(fd, SOL_SOCKET, name, &bytes, &len))
		return -errno;
	if (sys->getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, &lock_len))
		lock = -1; /* before Linux 5.14: then its size is fixed from now on */
	/* The kernel doubles what it is given. */
	if (sys->setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof(bytes)))
		return -errno;
	if (lock >= 0)
		(void)sys->setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof(lock));
	return 0;
}

/* EAGAIN: the send buffer is full; ENOMEM: the receive buffer is (repair mode only). */
static int make_room(const struct linux_sys *sys, int fd, int err, u32 *widened)
{
	if ((err != EAGAIN && err != ENOMEM) || (*widened)++ >= WIDEN_MAX)
		return -err;
	return err == EAGAIN ? widen(sys, fd, SO_SNDBUF, SO_SNDBUFFORCE)
	                     : widen(sys, fd, SO_RCVBUF, SO_RCVBUFFORCE);
}

static int write_piece(const struct linux_sys *sys, int fd, const u8 *from, u32 len)
{
	u32 widened = 0;
	int err;

	while (len) {
		ssize_t n = sys->send(fd, from, min_of(len, (u32)PIECE_BYTES),
		                      MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			return -EIO;
		if (n < 0) {
			err = make_room(sys, fd, errno, &widened);
			if (err)
				return err;
			continue;
		}
		from += n;
		len -= (u32)n;
	}
	return 0;
}

int queue_write(const struct linux_sys *sys, int fd, struct buf_pool *pool,
                const struct data_ref *ref, u32 from, u32 len)
{
	u32 at = ref->buf, off = ref->off, left = len;

	while (left && at != NIL) {
		const struct buf *b = buf_at(pool, at);
		u32 have = b->off + b->len - off;
		u32 skip = min_of(from, have), n = min_of(have - skip, left);
		int err = write_piece(sys, fd, buf_bytes(pool, at) + off + skip, n);

		if (err)
			return err;
		from -= skip;
		left -= n;
		at = b->next;
		off = at != NIL ? buf_at(pool, at)->off : 0;
	}
	return left ? -EIO : 0;
}

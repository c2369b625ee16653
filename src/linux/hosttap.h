/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The host's TAP of a managed port. What is written to it goes up the kernel's stack as if it had
 * come in by the port; what is read from it are the frames that steering took aside for the host
 * (ICMP errors about offloaded flows, IP fragments of TCP). The interface goes with the descriptor.
 */
#ifndef LINUX_HOSTTAP_H
#define LINUX_HOSTTAP_H

#include "base/frame.h"

struct hosttap {
	int fd; /* pollable, non-blocking */
	u32 ifindex;
	char name[16];
	u64 written, refused; /* frames */
};

enum { HOSTTAP_FRAME_MAX = 65536 + 128 };

/* Creates the interface in the calling thread's network namespace, up, silent (no IPv6 address of
 * its own), its queue `queue_frames` long. -Exxx of the failing call. */
int hosttap_open(struct hosttap *tap, u32 queue_frames) MUST_CHECK;
void hosttap_close(struct hosttap *tap);

/* Hands one received frame to the kernel. Checksums not verified yet are verified by the kernel,
 * superframes stay whole. -EAGAIN: the kernel takes no more now; -EINVAL: no frame it could take.
 */
int hosttap_inject(struct hosttap *tap, const struct rx_frame *frame,
                   struct buf_pool *pool) MUST_CHECK;

/* The same for `len` contiguous bytes with a right checksum of their own, or none needed. */
int hosttap_inject_bytes(struct hosttap *tap, const void *bytes, u32 len, bool trusted) MUST_CHECK;

/* One frame taken aside, at most `cap` bytes; its length, 0: none now, -Exxx: the TAP is gone. */
int hosttap_read(struct hosttap *tap, void *to, u32 cap) MUST_CHECK;

/* Offset of the transport header of the IPv4 or IPv6 packet in an Ethernet frame (tags and SNAP
 * skipped, IPv4 options too), 0: there is none within `avail`. *ret_v6 and *ret_protocol follow. */
u32 hosttap_l4_offset(const u8 *p, u32 avail, bool *ret_v6, u8 *ret_protocol);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Blocks of a pcapng file (draft-ietf-opsawg-pcapng) written into buffers of the caller: what
 * tshark and tcpdump read. A file is one section, an interface or more, then packets.
 * Little-endian, times in nanoseconds.
 *
 * Each writer returns the bytes of its block, a multiple of 4; 0: it does not fit, nothing was
 * written.
 */
#ifndef PORT_PCAPNG_H
#define PORT_PCAPNG_H

#include "base/types.h"

enum {
	PCAPNG_COMMENT_MAX = 256, /* bytes of a comment that are kept */
	PCAPNG_PACKET_OVERHEAD = 64 + PCAPNG_COMMENT_MAX,
};

size_t pcapng_section(u8 *out, size_t size);

/* An Ethernet interface; they are numbered from 0 in their order. */
size_t pcapng_interface(u8 *out, size_t size, const char *name, u32 snap_bytes);

/* `captured` bytes at `data` of a frame of `bytes`. `comment` may be NULL. */
size_t pcapng_packet(u8 *out, size_t size, u32 interface, u64 at_ns, const u8 *data, u32 captured,
                     u32 bytes, const char *comment);

#endif

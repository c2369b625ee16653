/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A frame on its way in or out: what ports, drivers, targets and engines hand to each other, always
 * in arrays.
 */
#ifndef BASE_FRAME_H
#define BASE_FRAME_H

#include "base/buf.h"

/* What is known of a received frame's TCP checksum. */
enum frame_csum {
	FRAME_CSUM_UNKNOWN, /* verify it */
	FRAME_CSUM_VALID,   /* verified below */
	FRAME_CSUM_PARTIAL, /* sender trusted, checksum not filled in (virtio NEEDS_CSUM) */
};

/* What became of a received frame. The consumer writes it, see tcp_input(). */
enum frame_verdict {
	FRAME_PENDING,  /* not looked at yet */
	FRAME_CONSUMED, /* the consumer owns (or freed) its buffers */
	FRAME_TO_HOST,  /* not ours: the host stack must see it; buffers stay the caller's */
	FRAME_DROPPED,  /* bad; counted with a reason; buffers stay the caller's */
};

/* A received frame: a chain of buffers that starts with the Ethernet header. 64-KiB superframes
 * are one frame. */
struct rx_frame {
	u32 buf;       /* head of the chain */
	u32 len;       /* bytes, all of the chain */
	u16 gso_bytes; /* payload bytes of each segment that was merged into it; 0: one segment */
	u16 port;      /* which port of the lane it came from */
	u8 csum;       /* enum frame_csum */
	u8 verdict;    /* enum frame_verdict */
	u8 reason;     /* why dropped or passed to the host: enum of the consumer */
	u8 pad;
	u32 pad2;
};
_Static_assert(sizeof(struct rx_frame) == 20, "");

enum {
	/* Ethernet 14, two VLAN tags 8, IPv6 40, TCP 60, and 2 in front so that IP is aligned. */
	FRAME_HEADER_BYTES = 128,
};

/*
 * A frame to be sent: its headers, then `payload_len` bytes that start at byte `payload_off` of
 * buffer `payload_buf` and go on through the chain. The port copies or gathers it before its
 * transmit call returns: nothing is referenced afterwards.
 */
struct tx_frame {
	u8 header[FRAME_HEADER_BYTES]; /* data starts at header[header_off] */
	u8 header_off;
	u8 header_len;
	u16 port;
	u16 csum_start; /* offset from the first byte where the checksum begins, 0: nothing to do */
	u16 csum_offset; /* from csum_start to the checksum's field, which holds the pseudo sum */
	u16 gso_bytes;   /* cut the payload into segments of this many bytes; 0: do not cut */
	u8 gso_v6;       /* superframe's IP version: 1 IPv6, 0 IPv4 */
	u8 pad;
	u32 payload_buf;
	u32 payload_off; /* within the buffer (not relative to buf.off) */
	u32 payload_len;
	u32 conn; /* index of the connection that sent it, for traces; NIL: none */
};
_Static_assert(sizeof(struct tx_frame) == 156, "");

/* Where a flush writes. The caller empties it (n = 0) after the port took the frames. */
struct tx_batch {
	struct tx_frame *frames;
	u32 n;
	u32 cap;
};

static inline u32 tx_frame_len(const struct tx_frame *f)
{
	return f->header_len + f->payload_len;
}

#endif

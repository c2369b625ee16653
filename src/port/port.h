/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A port: where frames of a lane come in and go out. Implementations: the simulated wire
 * (port/sim), a TAP with a virtio-net header (port/tap), AF_XDP (port/afxdp).
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include "base/buf.h"
#include "base/frame.h"

struct port_info {
	u32 gso_max_bytes; /* largest payload of a superframe that may be sent, 0: MSS-sized only */
	bool tx_csum;      /* takes partial checksums */
	bool rx_trusted;
	int fd; /* pollable for receive, -1: none */
	u32 mtu_bytes;
	const char *mode; /* "tap", "xdp-native", "xdp-generic", "sim": for logs and JSON */
};

struct port_counters {
	u64 rx_frames, rx_bytes;
	u64 rx_no_buffer;   /* lost: the pool was empty */
	u64 rx_bad;         /* lost: no frame that this port knows */
	u64 rx_queue_drops; /* lost by the kernel or the card before receive(): queue full */
	u64 tx_frames, tx_bytes, tx_busy, tx_failed;
};

struct port;

struct port_ops {
	/* Receives up to n frames into buffers of the pool given at creation: each frame a chain
	 * with at least min(len, 128) bytes in its first buffer, headers contiguous; frame->port is
	 * left to the caller. Returns how many, which may be fewer than wait; 0: none now; -Exxx:
	 * the port is gone. */
	int (*receive)(struct port *port, struct rx_frame *frames, u32 n);
	/* Sends frames in order; returns how many were taken (the rest: again later), or -Exxx. No
	 * frame is referenced after the call. */
	int (*transmit)(struct port *port, const struct tx_frame *frames, u32 n);
	void (*info)(const struct port *port, struct port_info *ret);
	void (*counters)(const struct port *port, struct port_counters *ret);
	void (*destroy)(struct port *port);
};

struct port {
	const struct port_ops *ops;
};

#endif

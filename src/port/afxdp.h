/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A port in XDP mode: one AF_XDP socket on one queue of an interface. Small messages, hardware
 * queues; no superframes and no checksum offload.
 *
 * The small buffers of the lane's pool are the UMEM: a frame is received straight into the buffer
 * that the engine keeps, and sent with one copy. Buffers that the kernel holds are referenced by
 * the port and go back to the pool with it. Several ports of one lane (one a queue) may share the
 * pool: each registers it for itself.
 */
#ifndef PORT_AFXDP_H
#define PORT_AFXDP_H

#include "port/port.h"

struct port_afxdp_config {
	struct buf_pool *pool; /* of the lane; page-aligned, as buf_pool_init() makes it */
	u32 ifindex;
	u32 queue;
	/*
	 * The XDP program that redirects into xsks_fd. The port attaches it, and it is detached
	 * with the port, also when the process is killed. -1: another port of this interface
	 * has attached it already; set no_native when that one says "xdp-generic".
	 */
	int prog_fd;
	int xsks_fd;      /* XSKMAP, the queue is the key; -1: the caller enters port_afxdp_fd() */
	u32 ring_frames;  /* of each ring, a power of two; 0: 2048 */
	u32 fill_frames;  /* buffers for the kernel to receive into; 0: a quarter of the pool */
	bool no_native;   /* generic mode at once */
	bool no_zerocopy; /* copy mode at once */
	/*
	 * The sender is this machine and leaves checksums partial (veth without `ethtool -K peer
	 * tx off`): received checksums are not looked at (trap 25).
	 */
	bool rx_trusted;
};

/*
 * Opens the socket in the network namespace of the calling thread: native mode with zero copy,
 * native with copies, generic, whichever is the first that sends a test frame (trap 26; a frame of
 * 60 bytes to the interface's own address, type 0x88b5). -EBUSY: the queue is taken; -EMSGSIZE:
 * the MTU is above 1770 bytes; -EOPNOTSUPP: no mode works; else -Exxx of the failing step, named in
 * *ret_step (never freed; may be NULL).
 */
int port_afxdp_create(const struct port_afxdp_config *config, struct port **ret_port,
                      const char **ret_step) MUST_CHECK;

/* The socket, for an XSKMAP. */
int port_afxdp_fd(const struct port *port);
bool port_afxdp_is_zerocopy(const struct port *port);

#endif

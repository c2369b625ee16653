/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A port in XDP mode from inside: frames (afxdp_frames.c), making one (afxdp.c). */
#ifndef PORT_AFXDP_INTERNAL_H
#define PORT_AFXDP_INTERNAL_H

#include <net/if.h>
#include <xdp/xsk.h>

#include "port/port.h"

struct afxdp_port {
	struct port port;
	struct buf_pool *pool;
	u32 ifindex;
	u32 mtu_bytes;
	char name[IFNAMSIZ];
	bool native, zerocopy, rx_trusted;
	int link_fd; /* the program's, -1: not ours */
	int fd;
	struct xsk_umem *umem;
	struct xsk_socket *socket;
	struct xsk_ring_prod fill, tx;
	struct xsk_ring_cons completion, rx;
	u32 ring_frames;
	u32 fill_frames; /* how many the kernel shall have */
	u32 filling;     /* how many it has */
	u32 sending;     /* frames given to the kernel and not completed */
	u8 *in_kernel;   /* a byte a small buffer: the kernel has it, and we its reference */
	struct port_counters counters;
};

int afxdp_receive(struct port *port, struct rx_frame *frames, u32 n);
int afxdp_transmit(struct port *port, const struct tx_frame *frames, u32 n);

/* Gives the kernel buffers to receive into, up to fill_frames. */
void afxdp_refill(struct afxdp_port *p);
/* Takes back buffers of frames that were sent. */
void afxdp_complete(struct afxdp_port *p);
/* Makes the kernel send what is in the ring, if it wants to be told. */
void afxdp_kick(struct afxdp_port *p);

#endif

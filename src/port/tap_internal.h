/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A port in TAP mode from inside: receiving (tap_rx.c), sending (tap_tx.c), making one (tap.c). */
#ifndef PORT_TAP_INTERNAL_H
#define PORT_TAP_INTERNAL_H

#include <liburing.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <linux/virtio_net.h>

#include "port/port.h"

enum {
	TAP_RX_SLOTS = 32,
	TAP_TX_BATCH = 64,
	TAP_TX_IOVS = 256,
	TAP_TX_SLICES = 64, /* of payload, a frame; one with more is copied together */
	TAP_FRAME_MAX = 65536 + FRAME_HEADER_BYTES,
};

/* Where one read puts its frame. The buffers stay from call to call until a frame fills them. */
struct tap_slot {
	u32 small, large; /* NIL: none could be had */
	struct virtio_net_hdr vnet;
	struct iovec iov[3]; /* header, small, large */
};

struct tap_rx {
	int fd;
	bool batched; /* ring is in use */
	u32 guess;    /* how many frames the next call may find */
	struct io_uring ring;
	struct tap_slot slots[TAP_RX_SLOTS];
};

struct tap_tx {
	int fd;
	u32 n_iov;
	struct mmsghdr msgs[TAP_TX_BATCH];
	struct virtio_net_hdr vnet[TAP_TX_BATCH];
	struct iovec iov[TAP_TX_IOVS];
	u8 bounce[TAP_FRAME_MAX];
};

struct tap_port {
	struct port port;
	struct buf_pool *pool;
	u32 ifindex;     /* managed */
	u32 managed_mtu; /* as of creation */
	int netlink_fd;
	u32 tap_ifindex;
	char name[IFNAMSIZ];
	struct port_counters counters;
	struct tap_rx rx;
	struct tap_tx tx;
};

/* Fills the slots in; `batched`: tries io_uring. Cannot fail: there is a way without. */
void tap_rx_init(struct tap_rx *rx, bool batched);
void tap_rx_finish(struct tap_rx *rx, struct buf_pool *pool);
int tap_receive(struct port *port, struct rx_frame *frames, u32 n);

/* Opens the packet socket on the managed interface. -errno. */
int tap_tx_init(struct tap_tx *tx, u32 ifindex, u32 mark) MUST_CHECK;
int tap_transmit(struct port *port, const struct tx_frame *frames, u32 n);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A port in TAP mode: superframes, any interface.
 *
 * Receiving: a TAP with a virtio-net header, to which a tc program redirects the frames of
 * offloaded flows; read many at a call by io_uring, or one at a call where that is not to be had.
 * Sending: a packet socket with the same header on the managed interface itself, many frames a
 * call. (A frame written to the TAP and redirected costs a system call of its own: 2.4 us against
 * 0.6 us in batches of 32; 65 kB 3.7 us against 2.0.)
 *
 * The TAP goes with its descriptor. Nothing of it is used for sending, so what its tc ingress does
 * is free for other uses.
 */
#ifndef PORT_TAP_H
#define PORT_TAP_H

#include "port/port.h"

struct port_tap_config {
	struct buf_pool *pool; /* of the lane */
	u32 ifindex;           /* the managed interface: where frames are sent */
	const char *name;      /* of the TAP; NULL: chimney%d */
	u32 queue_frames;      /* its queue, from the capacity (trap 27); 0: 4096 */
	/*
	 * 0: frames bypass the queueing discipline and tc egress, and packet captures do not see
	 * them. Else they take the ordinary way with this mark, by which a tc egress program must
	 * know them.
	 */
	u32 mark;
	bool no_uring; /* one system call a received frame, even where io_uring works */
};

/*
 * Opens both in the network namespace of the calling thread. -ENODEV: no such interface; else
 * -Exxx of the failing call, its name in *ret_step (never freed; may be NULL).
 */
int port_tap_create(const struct port_tap_config *config, struct port **ret_port,
                    const char **ret_step) MUST_CHECK;

/* Where the tc program redirects to. */
u32 port_tap_ifindex(const struct port *port);
const char *port_tap_name(const struct port *port);

/* True when frames are received by io_uring. */
bool port_tap_batched(const struct port *port);

#endif

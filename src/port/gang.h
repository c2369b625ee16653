/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Several ports as one: the queues of an interface that one lane serves (trap 26: a frame can be
 * redirected only to the socket of the queue on which it arrived).
 */
#ifndef PORT_GANG_H
#define PORT_GANG_H

#include "port/port.h"

enum { PORT_GANG_MAX = 64 };

/*
 * Takes over n ports (1 to PORT_GANG_MAX) of one interface and one pool; they are destroyed with
 * the gang. Frames are received from each in turn and sent by the first. -ENOMEM, -Exxx of epoll:
 * the ports stay the caller's.
 */
int port_gang_create(struct port *const *ports, u32 n, struct port **ret_port) MUST_CHECK;

#endif

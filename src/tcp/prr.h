/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Proportional rate reduction (RFC 6937) with the slow start reduction bound, used as Linux does
 * and RFC 9937 now says: the bound is conservative (one for one) while more is being lost. cwnd is
 * the pipe and what may be sent for this ACK.
 */
#ifndef TCP_PRR_H
#define TCP_PRR_H

#include "tcp/recovery.h"

/* Fast recovery begins; ssthresh is set. */
void prr_begin(struct tcp_conn *c);
/* An ACK delivered bytes. `safe`: snd_una moved and nothing more was found lost. */
void prr_ack(struct tcp_conn *c, u32 delivered, bool safe);
/* Something was found lost without an ACK: one segment at least, so that ACKs go on coming. */
void prr_force(struct tcp_conn *c);

#endif

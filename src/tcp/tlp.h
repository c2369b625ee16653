/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Tail loss probe (RFC 8985 7): when the last segments of a flight bring no ACK for two round
 * trips, one more is sent, so that SACK and RACK find out what is missing before the timer does.
 */
#ifndef TCP_TLP_H
#define TCP_TLP_H

#include "tcp/recovery.h"

/* Arms (or moves) the probe timer, if this is the time for it (7.2). */
void tlp_schedule(struct tcp_engine *e, struct tcp_conn *c);
/* The timer fired: a probe is owed (7.3). */
void tlp_due(struct tcp_engine *e, struct tcp_conn *c);
/* The probe leaves: new data or a repeat, `end` will be snd_max. */
void tlp_sent(struct tcp_engine *e, struct tcp_conn *c, tcp_seq end, bool repeat);
/* 7.4.2: was the probe all that repaired a loss? Then cwnd is reduced. */
void tlp_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a);

#endif

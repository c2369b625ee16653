/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Congestion window validation (RFC 7661), for window-based algorithms: a window that is not used
 * does not grow, is kept for five minutes, and then halved, down to the initial window. What comes
 * after a rest is paced for a round, so that the old window is no burst.
 *
 * pipeACK, the measure of use, is taken for FlightSize as an ACK finds it: what is in flight is
 * what the round delivers. The reaction to loss needs no more than that: it starts from FlightSize.
 */
#ifndef TCP_CWV_H
#define TCP_CWV_H

#include "tcp/internal.h"

/* An ACK of `acked` bytes with `flight` bytes out before it: whether cwnd may grow, being used;
 * then conn.cc was adopted. */
bool cwv_may_grow(struct tcp_engine *e, struct tcp_conn *c, u32 flight, u32 acked);

/* Data goes out after `idle_ns` of silence, more than an RTO, with nothing in flight. */
void cwv_resumed(struct tcp_engine *e, struct tcp_conn *c, u64 idle_ns);

#endif

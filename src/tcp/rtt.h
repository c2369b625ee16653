/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Round-trip time measurement and the retransmission timeout (RFC 6298, RFC 7323 4). */
#ifndef TCP_RTT_H
#define TCP_RTT_H

#include "tcp/sent.h"

/* RFC 6298 2.1: before the first sample. 5.7: after a SYN had to be repeated. */
#define RTO_INITIAL_NS  (1 * NS_PER_S)
#define RTO_SYN_LOST_NS (3 * NS_PER_S)

/* Takes one measurement: srtt, rttvar, min_rtt, rto; ends the back-off. */
void rtt_sample(struct tcp_engine *e, struct tcp_conn *c, u64 rtt_ns);

/* Takes a measurement from an ACK of new data, which delivered *d, if it allows one; false: none.
 */
bool rtt_measure(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                 const struct sent_delivery *d);

/* A spurious timeout: srtt and rttvar as if nothing but this sample were known, unless they are
 * larger (RFC 4015 3.2). */
void rtt_at_least(struct tcp_engine *e, struct tcp_conn *c, u64 rtt_ns);

/* The timeout with its back-off (RFC 6298 5.5). */
u64 rto_now(const struct tcp_engine *e, const struct tcp_conn *c);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Explicit Congestion Notification (RFC 3168, RFC 8311, the reaction by RFC 8511). Both halves of a
 * connection are here: as the receiver it says ECE from a CE on until the sender's CWR; as the
 * sender it reduces cwnd once a window and says so.
 *
 * ECT(0) goes on data that is sent for the first time and on nothing else (RFC 3168 6.1.4, 6.1.5,
 * 6.1.6): RFC 8311 4.3 lets experiments do more, which stays off. What a peer's experiment sends is
 * taken: CE on a SYN and on retransmissions counts; on a pure ACK it is counted and no more, as a
 * peer that sends no data could not slow down.
 *
 * Nothing here is called, but for agreeing, without TCP_OPT_ECN.
 */
#ifndef TCP_ECN_H
#define TCP_ECN_H

#include "tcp/internal.h"

/* The field in the IP header (RFC 3168 5). */
enum ecn_codepoint {
	ECN_NOT_ECT,
	ECN_ECT_1,
	ECN_ECT_0,
	ECN_CE,
	ECN_MASK = 3,
};

/* What a SYN or SYN-ACK says (6.1.1). A repeated SYN does not offer ECN any more: the network may
 * have dropped it because of the offer (6.1.1.1). */
u8 ecn_syn_flags(struct tcp_conn *c);
/* A SYN or SYN-ACK of the peer: clears TCP_OPT_ECN unless it agrees. Again for each one of an open:
 * one that does not is enough. */
void ecn_agree(struct tcp_conn *c, const struct segment *s);

/* An acceptable segment, before its ACK is looked at. */
void ecn_input(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s);
/* Completes a segment that is about to be built. */
void ecn_output(struct tcp_conn *c, struct segment_out *s);

/* Whether cwnd was reduced for the window that is out: no further reduction for it, and no growth.
 */
static inline bool ecn_has_reduced(const struct tcp_conn *c)
{
	return (c->options & TCP_OPT_ECN) && (c->ecn_state & TCP_ECN_REDUCED);
}

/* cwnd was reduced, for whatever reason: the next new data says CWR (6.1.2). */
static inline void ecn_queue_cwr(struct tcp_conn *c)
{
	if (c->options & TCP_OPT_ECN)
		c->ecn_state |= TCP_ECN_QUEUE_CWR;
}

#endif

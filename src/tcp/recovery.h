/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Loss recovery. States (enum tcp_recovery_state):
 *
 *   OPEN      nothing suspicious
 *   DISORDER  duplicate ACKs or SACK blocks, fewer than it takes (limited transmit, RFC 3042)
 *   FAST      fast recovery until snd_una reaches recovery_point: RFC 6675 with a scoreboard,
 *             RFC 6582 without one
 *   LOSS      after a timeout: [snd_nxt, snd_max) is sent again, what is sacked left out, until
 *             snd_una reaches recovery_point
 *
 * Without SACK `sacked_bytes` counts the segments that duplicate ACKs say have left the network:
 * RFC 6582's inflation of cwnd, kept apart from cwnd.
 */
#ifndef TCP_RECOVERY_H
#define TCP_RECOVERY_H

#include "tcp/internal.h"

/* An ACK moved snd_una by `acked`, with `flight` bytes out before it. */
void recovery_acked(struct tcp_engine *e, struct tcp_conn *c, u32 acked, u32 flight);
/* A duplicate ACK; `fresh` bytes were newly sacked. */
void recovery_duplicate(struct tcp_engine *e, struct tcp_conn *c, u32 fresh);
/* The retransmission timer fired. */
void recovery_timeout(struct tcp_engine *e, struct tcp_conn *c);
/* Bytes that are thought to be in the network (RFC 6675 4 SetPipe). */
u32 recovery_pipe(struct tcp_engine *e, const struct tcp_conn *c);

/* A part of the sequence space to be sent; the FIN may be its last number. */
struct recovery_segment {
	tcp_seq start;
	tcp_seq end;
	bool rescue;
};

/* RFC 6675 4 NextSeg() rules 1, 3, 4 in fast recovery with a scoreboard; rule 2 (new data) is the
 * caller's, between 1 and 3: `lost_only` asks for rule 1 alone. False: nothing. */
bool recovery_next(struct tcp_engine *e, const struct tcp_conn *c, bool lost_only,
                   struct recovery_segment *ret);

#endif

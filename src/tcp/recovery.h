/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Loss recovery. States (enum tcp_recovery_state):
 *
 *   OPEN      nothing suspicious
 *   DISORDER  duplicate ACKs or SACK blocks, but nothing that is found lost (limited transmit,
 *             RFC 3042)
 *   FAST      fast recovery until snd_una reaches recovery_point
 *   LOSS      after a timeout, until snd_una reaches recovery_point
 *
 * With SACK, RACK (rack.h) finds what is lost, by the times of the sent log, and TLP (tlp.h) makes
 * the peer speak about the tail. What is lost is sent again first, as far as cwnd allows, which PRR
 * (prr.h) brings down to ssthresh. Without SACK, and for what the log has no record of, it is RFC
 * 6582. A reduction that turns out to have been needless is undone (undo.h).
 *
 * Without SACK `sacked_bytes` counts the segments that duplicate ACKs say have left the network:
 * RFC 6582's inflation of cwnd, kept apart from cwnd.
 */
#ifndef TCP_RECOVERY_H
#define TCP_RECOVERY_H

#include "tcp/sent.h"

/* What an ACK brought, gathered by ack_input() before anything reacts to it. */
struct ack_info {
	u32 acked;     /* bytes by which snd_una moved */
	u32 fresh;     /* bytes newly sacked */
	u32 flight;    /* snd_max - snd_una before it */
	u32 delivered; /* bytes newly delivered: acked and sacked */
	u32 lost;      /* bytes newly found lost */
	bool duplicate;
	bool pure;  /* no data, no FIN, no window update, nothing acked */
	bool echo;  /* ts_ecr is valid */
	bool dsack; /* dsack_range was received twice (RFC 2883) */
	struct seq_range dsack_range;
	u32 ts_ecr;
	struct sent_delivery sent;
};

/* Reacts to an ACK that moved snd_una, sacked something, is a duplicate, or reports one. */
void recovery_ack(struct tcp_engine *e, struct tcp_conn *c, struct ack_info *a);
/* The retransmission timer fired. */
void recovery_timeout(struct tcp_engine *e, struct tcp_conn *c);
/* All that is in flight was dropped for another reason than congestion: it goes again at once. */
void recovery_resend(struct tcp_engine *e, struct tcp_conn *c);
/* RACK's reordering timer or TLP's probe timer fired. */
void recovery_probe_due(struct tcp_engine *e, struct tcp_conn *c);
/* A connection was taken over: finds out what of the flight is lost, and arms the timers. */
void recovery_import(struct tcp_engine *e, struct tcp_conn *c, const struct tcp_delegated *d);

/* Writes what RACK, PRR and undo know; and snd_nxt and high_rxt: what is lost, as far as two
 * numbers tell it. */
void recovery_export(struct tcp_engine *e, struct tcp_conn *c, struct tcp_delegated *d);

/* Bytes that are thought to be in the network (RFC 6675 4 SetPipe, RFC 8985 5.2). */
u32 recovery_pipe(const struct tcp_conn *c);

#endif

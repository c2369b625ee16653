/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The sender's scoreboard: the ranges that the peer holds (RFC 2018, RFC 6675), ascending and
 * disjoint, in a small buffer of the pool while there is one. Without a buffer, or without SACK,
 * the connection recovers as RFC 6582 has it.
 */
#ifndef TCP_SACK_H
#define TCP_SACK_H

#include "tcp/recovery.h"

enum { SCOREBOARD_RANGES = (BUF_SMALL_BYTES - 8) / sizeof(struct seq_range) };

struct scoreboard {
	u32 n;
	u32 pad;
	struct seq_range r[SCOREBOARD_RANGES];
};
_Static_assert(sizeof(struct scoreboard) <= BUF_SMALL_BYTES, "");

/* The scoreboard, NULL when nothing is sacked. */
static inline struct scoreboard *sack_board(struct tcp_engine *e, const struct tcp_conn *c)
{
	return c->sack_buf == NIL ? NULL : (struct scoreboard *)buf_bytes(e->bufs, c->sack_buf);
}

/* Takes a segment's blocks in, and out of the sent log what they newly cover: fresh, sent, dsack
 * and dsack_range of *a. */
void sack_update(struct tcp_engine *e, struct tcp_conn *c, const struct segment *s,
                 struct ack_info *a);
/* Adds one range that lies within (snd_una, snd_max]; returns the bytes newly covered. */
u32 sack_add(struct tcp_engine *e, struct tcp_conn *c, struct seq_range range);
/* Forgets what lies left of snd_una. */
void sack_advance(struct tcp_engine *e, struct tcp_conn *c);
/* Forgets everything. */
void sack_clear(struct tcp_engine *e, struct tcp_conn *c);

/* Where IsLost() (RFC 6675 4) stops being true: what is not sacked left of it is lost. snd_una when
 * nothing is. */
tcp_seq sack_lost_end(struct tcp_engine *e, const struct tcp_conn *c);
/* Bytes in [from, to) that are not sacked. */
u32 sack_holes(struct tcp_engine *e, const struct tcp_conn *c, tcp_seq from, tcp_seq to);
/* First sequence number at or right of `seq` that is not sacked, and where its hole ends: the next
 * range's start, or snd_max. */
tcp_seq sack_skip(struct tcp_engine *e, const struct tcp_conn *c, tcp_seq seq, tcp_seq *ret_end);

#endif

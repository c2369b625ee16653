/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Segments beyond rcv_nxt (RFC 9293 3.10.7.4, SHLD-31): a list in order of sequence numbers,
 * without overlap; neighbors that touch are merged. What is known of a segment lies in its own
 * first buffer, in the bytes that held its headers, so that disorder costs no memory of its own.
 */
#ifndef TCP_REASSEMBLY_H
#define TCP_REASSEMBLY_H

#include "tcp/internal.h"

struct ooo_node {
	u32 next; /* first buffer of the next segment, NIL */
	tcp_seq seq;
	u32 len;
	u32 tail;  /* last buffer of this one */
	u32 stamp; /* grows with arrival: SACK reports the latest first */
	u32 fin;   /* ends in FIN */
};

/* The node of a segment, at the start of its first buffer's bytes. */
static inline struct ooo_node *ooo_at(struct tcp_engine *e, u32 buf)
{
	return (struct ooo_node *)buf_bytes(e->bufs, buf);
}

static inline tcp_seq ooo_end(const struct ooo_node *n)
{
	return seq_add(n->seq, n->len);
}

/* Keeps `len` bytes of the chain `buf` at `seq` (len may be 0 with fin). Takes the buffers,
 * whatever becomes of them. True: something was kept. */
bool reassembly_insert(struct tcp_engine *e, struct tcp_conn *c, tcp_seq seq, u32 buf, u32 len,
                       bool fin);
/* Moves what has become the next in order to the receive queue and rcv_nxt with it; true when the
 * FIN was reached (not counted in rcv_nxt here). Returns bytes moved in *ret_len. */
bool reassembly_drain(struct tcp_engine *e, struct tcp_conn *c, u32 *ret_len);
/* Gives everything up (RFC 2018 8 allows it), counted as pruned. */
void reassembly_prune(struct tcp_engine *e, struct tcp_conn *c);
/* Gives up what some connections hold out of order, while the pool is low. */
void reassembly_reclaim(struct tcp_engine *e);
/* Up to `max` SACK blocks, the latest first (RFC 2018 4); returns how many. */
u32 reassembly_blocks(struct tcp_engine *e, const struct tcp_conn *c, struct seq_range *ret,
                      u32 max);

#endif

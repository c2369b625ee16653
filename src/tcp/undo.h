/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Was it needless? After a reduction of cwnd, by fast recovery or a timeout, three signs say that
 * what was sent again had not been lost:
 *
 *   - the ACK echoes a timestamp from before the first repeat (Eifel, RFC 3522)
 *   - DSACKs report every byte that was repeated (RFC 3708)
 *   - after a timeout, new data sent instead of repeats brings ACKs for originals (F-RTO, RFC 5682)
 *
 * Then cwnd, ssthresh and the timeout are put back (RFC 4015).
 */
#ifndef TCP_UNDO_H
#define TCP_UNDO_H

#include "tcp/recovery.h"

/* Fast recovery begins: remembers what to go back to. Before ssthresh is set. */
void undo_begin(struct tcp_conn *c);
/* The retransmission timer fired: the same, unless a recovery runs already, and F-RTO's step 1.
 * Before state and ssthresh change. */
void undo_timeout(struct tcp_conn *c);
/* `bytes` are about to leave again. */
void undo_repeated(struct tcp_engine *e, struct tcp_conn *c, u32 bytes);
/* Looks at an ACK, in any state. True: it was needless, and was undone; nothing is lost any more.
 * F-RTO's steps 2 and 3 are taken here. */
bool undo_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the two halves of output share: which segment is next (output.c), how it looks (header.c).
 */
#ifndef TCP_OUTPUT_H
#define TCP_OUTPUT_H

#include "tcp/internal.h"

/* The MSS to announce: what our side can take in one segment (RFC 9293 3.7.1, MMS_R). */
u16 syn_mss(const struct tcp_engine *e, const struct tcp_conn *c);

/* Payload bytes that one frame by the connection's port may carry: a segment, or many of them. */
u32 output_frame_payload(const struct tcp_engine *e, const struct tcp_conn *c);

/* Emits one segment and keeps the books: timers, ACK state, RTT, snd_nxt, snd_max. */
void output_emit(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *s,
                 struct tx_batch *out);

/* The next segment of data or FIN that may go out now (select.c); false: none. */
bool select_next(struct tcp_engine *e, struct tcp_conn *c, struct segment_out *ret);
/* Whether something waits that only the persist timer can get going. */
bool select_stalled(struct tcp_engine *e, const struct tcp_conn *c);

#endif

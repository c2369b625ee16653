/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Pacing: data leaves at a rate, not as ACKs come in. A connection has one number for it, the time
 * before which no data leaves (pace_at_ns), and the wheel entry that it has anyway wakes it then.
 *
 * What may leave at once is about a millisecond's worth, and two segments at least: batches and
 * superframes stay as large as the rate allows, and what the wheel is late is made up for.
 *
 * On (CONN_PACED) where the algorithm paces by itself, or the socket asked for it
 * (settings.max_pacing_rate). Pure ACKs, probes, SYNs and the first segment of a recovery do not
 * wait.
 */
#ifndef TCP_PACING_H
#define TCP_PACING_H

#include "tcp/internal.h"

/* Sets or clears CONN_PACED from the settings. */
void pacing_configure(struct tcp_conn *c);
/* Turns it on until the next ACK: a round, when nothing is in flight. */
void pacing_for_a_round(struct tcp_conn *c);
/* Whether data has to wait; arms the wheel then. */
bool pacing_holds(struct tcp_engine *e, struct tcp_conn *c);
/* `len` bytes of data leave now. */
void pacing_sent(struct tcp_engine *e, struct tcp_conn *c, u32 len);
/* Bytes that may leave at once: a multiple of mss. */
u32 pacing_quantum(const struct tcp_conn *c);

#endif

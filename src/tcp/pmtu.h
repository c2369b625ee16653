/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What a host that discovers path MTUs asks of the engine (RFC 1191, 8201, 4821). */
#ifndef TCP_PMTU_H
#define TCP_PMTU_H

#include "tcp/engine.h"

/*
 * The path's MTU is below what the connection made its segments for: what is on its way is sent
 * again at once, in segments that fit, without a word to the congestion control (RFC 1191 6.4, RFC
 * 8201 5.4). Does nothing a second time, and nothing while a recovery is under way, which sends
 * everything again anyhow.
 */
void tcp_conn_resend_big(struct tcp_engine *e, u32 conn, u64 now_ns);

/*
 * Sends new data in one segment that fills `mtu` bytes, more than the path's MTU allows (RFC 4821
 * 7.1). False: not now, because the connection is not open and at ease, or too little is queued, or
 * a window is too small, or the peer's MSS; or `out` is full. The range goes to *ret_seq, *ret_end.
 */
bool tcp_conn_probe(struct tcp_engine *e, u32 conn, u32 mtu, u64 now_ns, struct tx_batch *out,
                    tcp_seq *ret_seq, tcp_seq *ret_end) MUST_CHECK;

/*
 * A probe of `bytes`, sent when cwnd was `cwnd_bytes`, was lost, and is being sent again. If
 * nothing else is missing that says nothing of congestion: the reduction is taken back (RFC
 * 4821 7.6.2).
 */
void tcp_conn_probe_lost(struct tcp_engine *e, u32 conn, u32 bytes, u32 cwnd_bytes);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Congestion control: one vtable an algorithm. Its private state lies in conn.cc and travels with
 * the connection; called when cwnd may change, never for each segment.
 */
#ifndef TCP_CC_H
#define TCP_CC_H

#include "tcp/conn.h"

struct tcp_cc_ops {
	/* Starts from cwnd and ssthresh as they are; writes conn.cc. */
	void (*start)(struct tcp_conn *c, u64 now_ns);
	/* `acked` bytes were acknowledged outside fast recovery while cwnd was the limit. */
	void (*acked)(struct tcp_conn *c, u32 acked, u64 now_ns);
	/* Loss with `flight` bytes out: returns the new ssthresh, and remembers what it needs. */
	u32 (*lost)(struct tcp_conn *c, u32 flight, u64 now_ns);
	/* The same for a mark of the network instead of a loss (RFC 8511). */
	u32 (*marked)(struct tcp_conn *c, u32 flight, u64 now_ns);
	/* Data goes out again after `idle_ns` of silence, or cwnd was not the limit for that long.
	 */
	void (*idle)(struct tcp_conn *c, u64 idle_ns);
};

extern const struct tcp_cc_ops tcp_cc_newreno;
extern const struct tcp_cc_ops tcp_cc_cubic;

/* The algorithm of settings.cc_algorithm; CUBIC where we do not have it. */
const struct tcp_cc_ops *tcp_cc_of(const struct tcp_conn *c);

/* Takes over c->cc as it came with the connection, or starts anew when it is of another algorithm
 * or version (then cwnd and ssthresh carry on). */
void tcp_cc_adopt(struct tcp_conn *c, u64 now_ns);

/* A loss, or a mark: ssthresh as the algorithm has it, and CWR with the next new data where ECN is
 * on; nothing when the window has reacted to a mark already (RFC 3168 6.1.2). */
void tcp_cc_lost(struct tcp_conn *c, u64 now_ns);
void tcp_cc_marked(struct tcp_conn *c, u64 now_ns);

/* Slow start (RFC 5681 3.1): grows cwnd up to ssthresh, returns the bytes left over. */
u32 tcp_cc_slow_start(struct tcp_conn *c, u32 acked);

/* RFC 6928: the initial window. */
u32 tcp_cc_initial_window(const struct tcp_conn *c);

#endif

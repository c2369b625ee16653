/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Congestion control: one vtable an algorithm, and one line in the table of cc.c for each. Its
 * private state lies in conn.cc and travels with the connection.
 *
 * Two kinds. A window-based one has `acked` and `idle`: it is called when cwnd may grow, not for
 * each segment, and recovery makes cwnd follow the ssthresh that `lost` and `marked` return. A
 * model-based one has `model`: it is told of each ACK, after recovery has worked on it, and writes
 * cwnd and pacing_rate itself, whatever recovery wrote; it is paced always, and returns cwnd as it
 * is from `lost` and `marked`.
 */
#ifndef TCP_CC_H
#define TCP_CC_H

#include "tcp/conn.h"

struct rate_sample;

struct tcp_cc_ops {
	u8 type;    /* enum tcp_cc_algorithm */
	u8 version; /* of the private state */
	/* Starts from cwnd and ssthresh as they are; writes conn.cc. */
	void (*start)(struct tcp_conn *c, u64 now_ns);
	/* The connection came from elsewhere with a state of this type and version. NULL: as it is.
	 */
	void (*taken_over)(struct tcp_conn *c, u64 now_ns);
	/* `acked` bytes were acknowledged outside fast recovery while cwnd was the limit; rtt_ns as
	 * the ACK measured it, 0: not. */
	void (*acked)(struct tcp_conn *c, u32 acked, u64 rtt_ns, u64 now_ns);
	/* Loss with `flight` bytes out: returns the new ssthresh, and remembers what it needs. */
	u32 (*lost)(struct tcp_conn *c, u32 flight, u64 now_ns);
	/* The same for a mark of the network instead of a loss (RFC 8511). */
	u32 (*marked)(struct tcp_conn *c, u32 flight, u64 now_ns);
	/* Data goes out again after `idle_ns` of silence, or cwnd was not the limit for that long.
	 */
	void (*idle)(struct tcp_conn *c, u64 idle_ns);
	/* An ACK, with what it says of the path. NULL: window-based. */
	void (*model)(struct tcp_conn *c, const struct rate_sample *s);
	/* Data goes out with nothing in flight; with `model` only. */
	void (*resumed)(struct tcp_conn *c, u64 now_ns);
};

extern const struct tcp_cc_ops tcp_cc_newreno;
extern const struct tcp_cc_ops tcp_cc_cubic;
extern const struct tcp_cc_ops tcp_cc_bbr;

/* The algorithm of settings.cc_algorithm; CUBIC where we do not have it. */
const struct tcp_cc_ops *tcp_cc_of(const struct tcp_conn *c);

/* c->cc is of the algorithm that runs, or starts anew when it is of another one or another version
 * (then cwnd and ssthresh carry on). */
void tcp_cc_adopt(struct tcp_conn *c, u64 now_ns);
/* The same for a connection that was just taken over. */
void tcp_cc_take_over(struct tcp_conn *c, u64 now_ns);

/* A loss, or a mark: ssthresh as the algorithm has it, and CWR with the next new data where ECN is
 * on; nothing when the window has reacted to a mark already (RFC 3168 6.1.2). */
void tcp_cc_lost(struct tcp_conn *c, u64 now_ns);
void tcp_cc_marked(struct tcp_conn *c, u64 now_ns);

/* What window-based algorithms share: the first part of their private state. */
struct cc_window {
	u32 validated_ms;  /* when cwnd was last in use (cwv.h), modulo 2^32 */
	tcp_seq round_end; /* HyStart++ (hystart.c), from here on: where the round ends */
	u32 min_rtt_us;    /* lowest of the round, and of the one before; UINT32_MAX: none */
	u32 last_min_rtt_us;
	u32 css_baseline_us;
	u8 css_rounds;
	u8 samples;
	u8 flags;
	u8 pad;
};

/* Of a connection whose conn.cc was adopted, and whose algorithm has no model. */
static inline struct cc_window *tcp_cc_window(struct tcp_conn *c)
{
	return (struct cc_window *)(void *)c->cc.bytes;
}

/* Slow start (RFC 5681 3.1, RFC 9406): grows cwnd up to ssthresh, which it may set, and returns the
 * bytes left over for congestion avoidance. */
u32 tcp_cc_slow_start(struct tcp_conn *c, u32 acked, u64 rtt_ns);

/* RFC 6928: the initial window. */
u32 tcp_cc_initial_window(const struct tcp_conn *c);

#endif

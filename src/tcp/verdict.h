/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What the engine says of a frame that it does not take, and what it counts: one reason and one
 * counter for each, so that nothing disappears without a trace.
 */
#ifndef TCP_VERDICT_H
#define TCP_VERDICT_H

#include "wire/reason.h"

/*
 * Reasons are numbered behind those of the codecs (wire/reason.h): `reason` of a FRAME_DROPPED or
 * FRAME_TO_HOST frame is one or the other, tcp_reason_word() knows both.
 *
 * REASON(name, word, sentence): dropped. Segments that were consumed but not acceptable count here
 * too.
 */
#define TCP_DROP_REASONS(REASON)                                                                   \
	REASON(FLAGS, "flags", "A combination of flags that no state accepts.")                    \
	REASON(PAWS, "paws", "Timestamp older than TS.Recent (RFC 7323 5).")                       \
	REASON(NO_TIMESTAMP, "no-timestamp", "Timestamp agreed but missing (RFC 7323 3.2).")       \
	REASON(OLD, "old", "All bytes were received before.")                                      \
	REASON(WINDOW, "window", "Beyond the receive window (RFC 9293 3.10.7.4).")                 \
	REASON(RST_WINDOW, "rst-window", "RST outside the window (RFC 5961 3.2).")                 \
	REASON(RST_CHALLENGED, "rst-challenged", "RST not at RCV.NXT: challenged (RFC 5961 3.2).") \
	REASON(SYN_CHALLENGED, "syn-challenged", "SYN on a connection (RFC 5961 4.2).")            \
	REASON(NO_ACK, "no-ack", "ACK bit off on a synchronized connection.")                      \
	REASON(ACK_OLD, "ack-old", "ACK left of SND.UNA - MAX.SND.WND (RFC 5961 5.2).")            \
	REASON(ACK_FUTURE, "ack-future", "ACK of what was never sent.")                            \
	REASON(CLOSED, "closed", "Data after the connection was closed for receiving.")            \
	REASON(AFTER_FIN, "after-fin", "Bytes beyond the peer's FIN.")                             \
	REASON(URGENT, "urgent", "Urgent data: an upload is asked for, the peer sends it again.")  \
	REASON(POOL_DRY, "pool-dry", "No buffer: in the window, not acknowledged, dropped.")       \
	REASON(BUFFER_FULL, "buffer-full", "More out of order than the receive buffer holds.")     \
	REASON(PRUNED, "pruned", "Out-of-order bytes given up for in-order ones.")

enum tcp_drop {
	TCP_DROP_FIRST = WIRE_REASONS,
	TCP_DROP_BEFORE = TCP_DROP_FIRST - 1,
#define REASON(name, word, sentence) TCP_DROP_##name,
	TCP_DROP_REASONS(REASON)
#undef REASON
		TCP_DROPS,
};

/* The frame is the host's. */
enum tcp_to_host {
	TCP_TO_HOST_NO_CONNECTION = TCP_DROPS, /* no connection has this 4-tuple */
	TCP_REASONS,
};

/* COUNTER(name, sentence) */
#define TCP_COUNTERS(COUNTER)                                                                     \
	COUNTER(frames_in, "Frames given to tcp_input().")                                        \
	COUNTER(segs_in, "Segments of connections, a superframe counted by its pieces.")          \
	COUNTER(bytes_in, "Payload bytes received, repeated ones included.")                      \
	COUNTER(frames_out, "Frames emitted.")                                                    \
	COUNTER(segs_out, "Segments emitted, a superframe counted by its pieces.")                \
	COUNTER(bytes_out, "Payload bytes emitted, repeated ones included.")                      \
	COUNTER(acks_out, "Segments without data emitted.")                                       \
	COUNTER(acks_delayed, "ACKs sent by the delayed-ACK timer.")                              \
	COUNTER(predicted, "Segments that header prediction dealt with.")                         \
	COUNTER(retransmit_segs, "Segments emitted again.")                                       \
	COUNTER(retransmit_bytes, "Bytes emitted again.")                                         \
	COUNTER(timeouts, "Retransmission timeouts.")                                             \
	COUNTER(fast_recoveries, "Times fast recovery was entered.")                              \
	COUNTER(rack_lost_bytes, "Bytes found lost by RACK (RFC 8985).")                          \
	COUNTER(rack_timeouts, "Times RACK's reordering timer fired.")                            \
	COUNTER(reorderings, "Connections on which reordering was first seen.")                   \
	COUNTER(loss_probes, "Tail loss probes sent (RFC 8985 7).")                               \
	COUNTER(loss_probe_repairs, "Losses that a tail loss probe repaired.")                    \
	COUNTER(undos, "Reductions of cwnd that were needless and undone (RFC 4015).")            \
	COUNTER(limited_transmits, "Segments sent by limited transmit (RFC 3042).")               \
	COUNTER(dup_acks_in, "Duplicate ACKs received.")                                          \
	COUNTER(dsacks_in, "DSACKs received (RFC 2883).")                                         \
	COUNTER(sack_invalid, "SACK blocks that made no sense.")                                  \
	COUNTER(sack_ranges_lost, "SACK blocks for which the scoreboard had no room.")            \
	COUNTER(ooo_segs, "Segments kept out of order.")                                          \
	COUNTER(challenge_acks, "Challenge ACKs sent (RFC 5961).")                                \
	COUNTER(challenge_acks_limited, "Challenge ACKs that the rate limit ate.")                \
	COUNTER(window_probes, "Zero-window probes sent.")                                        \
	COUNTER(keepalives, "Keepalive probes sent.")                                             \
	COUNTER(window_updates, "ACKs sent only to open the window.")                             \
	COUNTER(window_decays, "Times a window not used for five minutes was halved (RFC 7661).") \
	COUNTER(ecn_ce_in, "Segments received with CE by connections that have ECN.")             \
	COUNTER(ecn_ece_in, "ACKs received with ECE by connections that have ECN.")               \
	COUNTER(ecn_reductions, "Congestion windows reduced because of ECE (RFC 3168).")          \
	COUNTER(rsts_in, "Acceptable RSTs received.")                                             \
	COUNTER(rsts_out, "RSTs sent.")                                                           \
	COUNTER(imports, "Connections taken over.")                                               \
	COUNTER(exports, "Snapshots taken.")                                                      \
	COUNTER(resumes, "Uploads rolled back.")                                                  \
	COUNTER(opens_active, "Active opens.")                                                    \
	COUNTER(opens_passive, "Passive opens.")

struct tcp_engine_counters {
#define COUNTER(name, sentence) u64 name;
	TCP_COUNTERS(COUNTER)
#undef COUNTER
	u64 reasons[TCP_REASONS]; /* of wire/reason.h, tcp_drop, tcp_to_host */
};

/* The word and the sentence of a reason; "unknown" for a number that is none. */
const char *tcp_reason_word(u8 reason);
const char *tcp_reason_sentence(u8 reason);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The composite types and enumerations that the schema (state/schema.def) uses. */
#ifndef STATE_TYPES_H
#define STATE_TYPES_H

#include "base/types.h"

enum layer {
	LAYER_NEIGHBOR,
	LAYER_PATH,
	LAYER_TCP,
	LAYERS,
};

enum state_class {
	CLASS_CONST,
	CLASS_CACHED,
	CLASS_DELEGATED,
	STATE_CLASSES,
};

#define TIMER_STOPPED UINT64_MAX

enum link_format {
	LINK_DIX,  /* Ethernet II */
	LINK_SNAP, /* IEEE 802.3 with LLC/SNAP */
};

enum tcp_option_bits {
	TCP_OPT_TIMESTAMPS = 1 << 0,
	TCP_OPT_SACK = 1 << 1,
	TCP_OPT_WSCALE = 1 << 2,
	TCP_OPT_ECN = 1 << 3,
	TCP_OPT_USEC_TS = 1 << 4, /* timestamp clock ticks in microseconds, not milliseconds */
};

/* ecn_state of a connection that has TCP_OPT_ECN; 0 without. The first four are Linux's ecn_flags.
 */
enum tcp_ecn_bits {
	TCP_ECN_AGREED = 1 << 0,
	TCP_ECN_QUEUE_CWR = 1 << 1,  /* the next new data carries CWR */
	TCP_ECN_DEMAND_CWR = 1 << 2, /* CE came in: ECE with every ACK until the peer's CWR */
	TCP_ECN_SEEN = 1 << 3,       /* the peer sends ECT */
	TCP_ECN_REDUCED = 1 << 5,    /* cwnd was reduced for what lies left of ecn_point */
	TCP_ECN_NO_ECT = 1 << 6,     /* a SYN went out without the offer: never send ECT */
	TCP_ECN_BITS = TCP_ECN_AGREED | TCP_ECN_QUEUE_CWR | TCP_ECN_DEMAND_CWR | TCP_ECN_SEEN |
	               TCP_ECN_REDUCED | TCP_ECN_NO_ECT,
};

/* RFC 9293 3.3.2 */
enum tcp_state_name {
	TCP_CLOSED,
	TCP_LISTEN,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	TCP_STATES,
};

enum tcp_fin_bits {
	TCP_FIN_QUEUED = 1 << 0,   /* our FIN follows the queued data */
	TCP_FIN_SENT = 1 << 1,     /* and was sent: counted in snd_max */
	TCP_FIN_ACKED = 1 << 2,    /* and was acknowledged: counted in snd_una */
	TCP_FIN_RECEIVED = 1 << 3, /* the peer's: counted in rcv_nxt */
};

enum tcp_recovery_state {
	TCP_RECOVERY_OPEN,
	TCP_RECOVERY_DISORDER,
	TCP_RECOVERY_FAST, /* RFC 6675 */
	TCP_RECOVERY_LOSS, /* after an RTO */
};

enum tcp_cc_algorithm {
	TCP_CC_NEWRENO,
	TCP_CC_CUBIC,
	TCP_CC_BBR,
	TCP_CC_ALGORITHMS,
};

enum {
	SEQ_RANGES_MAX = 16,
	OOO_REFS_MAX = 16,
	CC_PRIVATE_BYTES = 64,
	VLAN_DEPTH_MAX = 2,
};

struct seq_range {
	tcp_seq start;
	tcp_seq end; /* exclusive */
};

struct seq_ranges {
	u32 n;
	struct seq_range r[SEQ_RANGES_MAX]; /* ascending, disjoint */
};

/* Outermost tag first: TPID in the upper 16 bits, TCI in the lower. */
struct vlan_stack {
	u32 n;
	u32 tag[VLAN_DEPTH_MAX];
};

/* What a congestion control keeps for itself. `type` is enum tcp_cc_algorithm; a reader that does
 * not know (type, version) ignores the bytes and goes on from cwnd and ssthresh. */
struct cc_private {
	u8 type;
	u8 version;
	u16 len;
	u8 bytes[CC_PRIVATE_BYTES];
} ALIGNED(4);

/*
 * Payload: `len` bytes that start at byte `off` (absolute in the buffer) of buffer `buf` and go on
 * through its chain, in the pool that the block list names. len 0: no data, buf NIL.
 *
 * send: bytes [snd_una, snd_una + len); [snd_una, snd_nxt) were sent, [snd_nxt, snd_max) are to be
 *       resent before anything new, what lies beyond snd_max was never sent. A FIN is no byte here.
 * recv: acknowledged and not yet read by the application; the last byte is the one left of rcv_nxt
 *       (left of the FIN where one was received).
 */
struct data_ref {
	u32 buf;
	u32 off;
	u32 len;
};

struct ooo_ref {
	tcp_seq seq;
	u32 fin; /* the segment ends in FIN */
	struct data_ref data;
};

struct ooo_refs {
	u32 n;
	struct ooo_ref seg[OOO_REFS_MAX]; /* ascending by seq */
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The control block of a connection. Lies in the arena, names everything by index, and is laid out
 * by cache line: a request and its answer touch the first five.
 *
 * An idle connection owns nothing but this block, its wheel entry (16 bytes), its slot (8) and its
 * share of the lookup table (16 to 32). What loss needs (the scoreboard, out-of-order segments)
 * lies in buffers of the pool while there is loss.
 */
#ifndef TCP_CONN_H
#define TCP_CONN_H

#include "state/state.h"

/* conn.flags */
enum tcp_conn_flags {
	CONN_ACK_NOW = 1 << 0,  /* an ACK is owed at the next flush */
	CONN_DIRTY = 1 << 1,    /* linked on the engine's dirty list */
	CONN_EVENT = 1 << 2,    /* linked on the engine's event list */
	CONN_QUIESCED = 1 << 3, /* out of the lookup, timers stopped */
	CONN_INVALID = 1 << 4,  /* tcp_conn_set_valid(false) */
	CONN_NODELAY = 1 << 5,  /* settings, where output sees them without a further line */
	CONN_CORK = 1 << 6,
	CONN_RST_OWED = 1 << 7,    /* tcp_abort(): one RST, then silence */
	CONN_UNLOGGED = 1 << 8,    /* something in flight has no record (sent.h) */
	CONN_PROBE = 1 << 9,       /* a window probe is owed */
	CONN_KEEPALIVE = 1 << 10,  /* a keepalive probe is owed */
	CONN_RETRANSMIT = 1 << 11, /* the first hole is to be sent whatever cwnd says */
	CONN_PACED = 1 << 12,      /* pacing.h */
	CONN_R1_SAID = 1 << 13,    /* TCP_EV_SOFT_ERROR was raised for this stall */
	CONN_PARKED = 1 << 14,     /* off the dirty list: its path or neighbor is invalid */
	CONN_OVERRIDE =
		1 << 15, /* sender SWS: send although less than a segment (RFC 9293 3.8.6.2.1) */
};

/* conn.loss */
enum conn_loss_flags {
	LOSS_REORDERING = 1 << 0,  /* RACK.reordering_seen */
	LOSS_DSACK_ROUND = 1 << 1, /* dsack_round is valid */
	LOSS_REO_TIMER = 1 << 2,   /* probe_at_ns is RACK's */
	LOSS_PROBE_OWED = 1 << 3,  /* a loss probe is to be sent whatever cwnd says */
	LOSS_TLP = 1 << 4,         /* a loss probe is out: tlp_end is valid */
	LOSS_TLP_REPEAT = 1 << 5,  /* it was no new data (TLP.is_retrans) */
	LOSS_UNDO = 1 << 6,        /* a reduction of cwnd may turn out to be needless */
	LOSS_REPEAT_TS = 1 << 7,   /* repeat_ts is valid */
	LOSS_FRTO = 1 << 8,        /* a timeout may turn out to be spurious */
	LOSS_FRTO_NEW = 1 << 9,    /* F-RTO step 3: new data goes before what is lost */
	LOSS_REPEATED = 1 << 10,   /* records of what was sent more than once may exist */
};

/* sent_record.flags */
enum sent_flags {
	SENT_LOST = 1 << 0,        /* thought to be lost, and not sent again since */
	SENT_APP_LIMITED = 1 << 1, /* there was less to send than cwnd allowed */
};

/* A range of sequence numbers that left at one instant (sent.h). The last three are as the
 * connection's own were then. */
struct sent_record {
	tcp_seq start;
	tcp_seq end;
	u64 xmit_ns; /* last transmission */
	u64 first_sent_ns;
	u64 delivered_ns;
	u32 delivered;
	u8 flags;     /* sent_flags */
	u8 transmits; /* 1: sent once */
	u16 pad;
};
_Static_assert(sizeof(struct sent_record) == 40, "51 of them and their head fill a small buffer");

struct tcp_conn {
	/* line 0: identity and sequence numbers, read and written for every segment */
	u32 path;
	u16 local_port;
	u16 remote_port;
	u8 state;   /* enum tcp_state_name */
	u8 options; /* tcp_option_bits agreed */
	u16 flags;  /* tcp_conn_flags */
	tcp_seq rcv_nxt;
	tcp_seq rcv_adv; /* right edge advertised; rcv_wnd is rcv_adv - rcv_nxt */
	tcp_seq snd_una;
	tcp_seq snd_nxt;
	tcp_seq snd_max;
	u32 snd_wnd;
	tcp_seq snd_wl1;
	tcp_seq snd_wl2;
	u32 ts_recent;
	u32 ts_offset;
	tcp_seq last_ack_sent;
	u32 cwnd_bytes;
	u16 mss; /* Eff.snd.MSS: payload bytes of a full segment */
	u8 snd_wscale;
	u8 rcv_wscale;

	/* line 1: queues and lists */
	u32 snd_head; /* first buffer not acknowledged whole; its off is at snd_una */
	u32 snd_tail;
	u32 snd_queued;         /* bytes from snd_una on */
	u32 snd_cursor;         /* buffer that new data comes from, NIL: look from the head */
	tcp_seq snd_cursor_seq; /* sequence number of that buffer's first byte */
	u32 rcv_head;
	u32 rcv_tail;
	u32 rcv_queued; /* unread bytes */
	u32 ooo_head;   /* chain of out-of-order segments, reassembly.h */
	u32 ooo_bytes;
	u32 rcv_buf_bytes;
	u32 snd_buf_bytes;
	u32 dirty_next;
	u32 event_next;
	u16 events; /* tcp_event_bits not yet taken */
	u8 tos;
	u8 hop_limit;
	u8 fin;      /* tcp_fin_bits */
	u8 recovery; /* enum tcp_recovery_state */
	u16 mtu;     /* the path's, that mss was made from */

	/* line 2: clocks */
	u64 srtt_ns;
	u64 rttvar_ns;
	u64 rto_ns;           /* without back-off */
	u64 retransmit_at_ns; /* deadlines: TIMER_STOPPED when not running */
	u64 delayed_ack_at_ns;
	u64 armed_ns; /* what the wheel entry says: never later than the first deadline */
	u64 sent_at_ns;
	u64 received_at_ns;

	/* line 3: loss and flow control */
	u32 ssthresh_bytes;
	tcp_seq recovery_point;
	u16 dup_acks;
	u16 loss;         /* conn_loss_flags */
	u32 sack_buf;     /* small buffer that holds the scoreboard, NIL: none (sack.h) */
	u32 sacked_bytes; /* bytes in the scoreboard */
	u32 lost_bytes;   /* bytes of records marked SENT_LOST */
	u64 probe_at_ns;  /* RACK's reordering timer (LOSS_REO_TIMER) or TLP's probe */
	u64 min_rtt_ns;
	u64 progress_at_ns; /* last delivery, or first transmission after it: C.delivered_time */
	u32 delivered;      /* bytes delivered, modulo 2^32: C.delivered */
	u32 max_snd_wnd;
	tcp_seq snd_sml; /* end of the last segment sent that was not full */
	u8 persist_count;
	u8 keepalive_count;
	u8 rto_backoff;
	u8 retransmit_count;

	/* line 4: the sent log */
	struct sent_record sent; /* the only record; empty when there are none, or a chain */
	u32 sent_head;           /* chain of small buffers, NIL: none */
	u32 sent_tail;
	u64 first_sent_ns; /* when what was delivered last was sent: C.first_sent_time */
	u64 ts_recent_at_ns;

	/* line 5: slow clocks, what opening fixed */
	u64 persist_at_ns;
	u64 keepalive_at_ns;
	u64 fin_wait2_at_ns; /* TIME_WAIT's 2 MSL too */
	u64 pacing_rate;
	tcp_seq iss;
	tcp_seq irs;
	tcp_seq snd_up;
	tcp_seq rcv_up;
	u16 peer_mss;
	u8 rcv_dsack; /* a DSACK is owed: [dsack_start, dsack_end) was received twice */
	u8 syn_flags; /* conn_syn_flags, while opening */
	u32 hash;     /* of the 4-tuple, in the lookup table */
	tcp_seq dsack_start;
	tcp_seq dsack_end;

	/* line 6 on: the congestion control's own, settings */
	struct cc_private cc;
	u32 flow_hash;   /* the host's, carried only */
	u32 app_limited; /* `delivered` at which a lack of data ends; 0: no lack (draft-cheng 3.4)
	                  */
	u16 ooo_segs;    /* how many out-of-order segments the list has */
	u8 ecn_state;    /* tcp_ecn_bits */
	u8 error;        /* errno that ended it, 0: none */
	struct tcp_cached settings;
	u64 pace_at_ns;    /* with CONN_PACED: no data leaves before */
	tcp_seq ecn_point; /* with TCP_ECN_REDUCED: the window that has reacted ends here */

	/* line 9: loss. RACK (RFC 8985 5.3), */
	tcp_seq rack_end; /* RACK.xmit_ts, RACK.end_seq: the newest that was delivered */
	u64 rack_xmit_ns;
	u32 rack_rtt_us;     /* rounded up */
	tcp_seq rack_fack;   /* highest that was acknowledged or sacked */
	tcp_seq dsack_round; /* with LOSS_DSACK_ROUND: where the round with a DSACK ends */
	tcp_seq high_rxt;    /* right of it nothing was sent more than once */
	tcp_seq lost_from;   /* left of it no record is marked SENT_LOST */
	tcp_seq tlp_end;     /* with LOSS_TLP: snd_max once the probe was sent */
	/* PRR (RFC 6937 3): prr_delivered, prr_out, RecoverFS; */
	u32 prr_delivered;
	u32 prr_out;
	u32 prr_flight;
	/* undo (undo.h), with LOSS_UNDO: */
	tcp_seq undo_marker; /* snd_una when the reduction came */
	u32 undo_bytes;      /* repeated since, and not reported as received twice */
	u32 undo_window;     /* RFC 4015 pipe_prev */
	u32 repeat_ts;       /* with LOSS_REPEAT_TS: timestamp of the first repeat that is out */
	u8 reo_steps;        /* RACK.reo_wnd_mult, 0: 1 */
	u8 reo_persist;      /* RACK.reo_wnd_persist */

	/* line 10: growth of the receive buffer (grow.c) */
	tcp_seq space_seq; /* what the application had read when the round began */
	u32 space_us;      /* and when that was, modulo 2^32 */
} ALIGNED(64);
_Static_assert(offsetof(struct tcp_conn, snd_head) == 64, "line 1");
_Static_assert(offsetof(struct tcp_conn, srtt_ns) == 128, "line 2");
_Static_assert(offsetof(struct tcp_conn, ssthresh_bytes) == 192, "line 3");
_Static_assert(offsetof(struct tcp_conn, sent) == 256, "line 4");
_Static_assert(offsetof(struct tcp_conn, persist_at_ns) == 320, "line 5");
_Static_assert(offsetof(struct tcp_conn, cc) == 384, "line 6");
_Static_assert(offsetof(struct tcp_conn, space_seq) == 640, "line 10");
_Static_assert(sizeof(struct tcp_conn) == 704, "eleven lines");

/* A path: what its connections share. */
struct tcp_path {
	struct ip_addr local;
	struct ip_addr remote;
	u32 neighbor;
	u32 refs; /* connections */
	u32 mtu;
	u32 pseudo; /* checksum of both addresses and the protocol, folded */
	u16 next_ip_id;
	u16 ip_id_start;
	u8 ip_id_confined;
	u8 v4;
	u8 valid;
	u8 pad;
} ALIGNED(64);
_Static_assert(sizeof(struct tcp_path) == 64, "one line");

/* A neighbor: the Ethernet header of everything that goes by it, ready made. */
struct tcp_neighbor {
	u8 header[32]; /* MACs, tags, length and LLC/SNAP, type: the last two bytes */
	u8 header_len;
	u8 length_off; /* where the 802.3 length stands, 0: DIX */
	u8 valid;
	u8 pad;
	u32 port;
	u32 refs; /* paths */
	u32 pad2;
	u64 reachable_at_ns; /* forward progress, TIMER_STOPPED: never */
	u64 pad3;
	struct neighbor_state state;
} ALIGNED(64);
_Static_assert(offsetof(struct tcp_neighbor, state) == 64, "the first line is what output reads");

static inline bool conn_is_synchronized(const struct tcp_conn *c)
{
	return c->state >= TCP_ESTABLISHED;
}

#endif

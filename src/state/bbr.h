/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * BBR's model of a path as it travels with a connection: cc_private of type TCP_CC_BBR, version 1.
 * Known here because a host that reads a model from elsewhere (the kernel) writes it too. A reader
 * takes nothing for granted: any bytes are a model, if a bad one.
 */
#ifndef STATE_BBR_H
#define STATE_BBR_H

#include "state/types.h"

enum {
	BBR_VERSION = 1,
	BBR_BW_SHIFT = 6, /* bandwidths are in units of 64 bytes a second */
};

/* draft-cardwell-iccrg-bbr-congestion-control-00 4.3 */
enum bbr_mode {
	BBR_STARTUP,
	BBR_DRAIN,
	BBR_PROBE_BW,
	BBR_PROBE_RTT,
	BBR_MODES,
};

enum bbr_flags {
	BBR_FULL_PIPE = 1 << 0,    /* STARTUP has found the bandwidth */
	BBR_CONSERVE = 1 << 1,     /* packet conservation: first round of a recovery */
	BBR_IDLE_RESTART = 1 << 2, /* sending again after a rest */
	BBR_ROUND_DONE = 1 << 3,   /* PROBE_RTT: a round with the small window is over */
	BBR_PROBE_TIMED = 1 << 4,  /* probe_rtt_done_ms is set */
	BBR_SAVED_CWND = 1 << 5,   /* prior_cwnd is to be restored */
	BBR_SAW_RTT = 1 << 6,
};

struct bbr_model {
	u32 bw[3]; /* the highest of a window of rounds, and what follows when it leaves it */
	u16 bw_round[3];
	u16 round;         /* packet-timed rounds, counted */
	u32 round_end;     /* C.delivered at which the round is over */
	u32 min_rtt_us;    /* UINT32_MAX: none yet */
	u32 min_rtt_at_ms; /* CLOCK_MONOTONIC, as all times here; modulo 2^32 */
	u32 probe_rtt_done_ms;
	u32 prior_cwnd;    /* bytes, before recovery or PROBE_RTT */
	u32 full_bw;       /* STARTUP: bandwidth that is to be exceeded by a quarter */
	u32 phase_at_us;   /* start of the phase of the gain cycle */
	u8 full_bw_rounds; /* rounds without such growth */
	u8 mode;           /* enum bbr_mode */
	u8 phase;          /* of the gain cycle, 0 to 7 */
	u8 flags;          /* enum bbr_flags */
	u8 recovery;       /* enum tcp_recovery_state of the last ACK */
	u8 pad[3];
};
_Static_assert(sizeof(struct bbr_model) <= CC_PRIVATE_BYTES, "");

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A laboratory for two TCPs under the same conditions: the Linux kernel's, and our engine.
 *
 *   kernel's TCP (the peer) - TAP - simulated wire - TAP - kernel's TCP    (subject LAB_KERNEL)
 *                                                 `------ our engine       (subject LAB_OURS)
 *
 * The wire has delay, loss, a rate and a queue from a seed, in real time (the kernel has no netem).
 * Streams run between peer and subject, each byte is checked, and the wire's two ends are watched:
 * what the peer is sent, and what the subject promises. One thread does everything. Both TAPs live
 * in network namespaces of their own, which vanish with the run.
 */
#ifndef LAB_H
#define LAB_H

#include "port/sim.h"
#include "state/types.h"

enum { LAB_CONNS_MAX = 32, LAB_WHY_BYTES = 256 };

enum lab_subject {
	LAB_KERNEL,
	LAB_OURS,
};

struct lab_config {
	u8 subject;         /* enum lab_subject */
	bool subject_sends; /* which way the bytes go */
	u8 cc;              /* enum of state/types.h: TCP_CC_CUBIC, TCP_CC_NEWRENO; both ends */
	u32 conns;          /* streams at a time */
	u64 bytes;          /* of each, then FIN both ways; 0: as many as there is time for */
	u64 duration_ns;    /* limit; without `bytes` the length of the measurement */
	u64 seed;
	struct sim_link link; /* each direction */
};

/* What was seen, all connections together. */
struct lab_result {
	u64 bytes;          /* that arrived in the receiving application, in order and right */
	u64 wrong;          /* that were not what was sent */
	u64 elapsed_ns;     /* from the first SYN to the end */
	u32 finished;       /* streams that ended with a FIN after all their bytes */
	u64 data_frames;    /* with payload, that reached the receiver */
	u64 needless_bytes; /* payload that the receiver had already */
	u64 edge_retreats;  /* segments of the subject whose right window edge lies left of an
	                       earlier one */
	u32 fins, resets;   /* segments of the subject, as they left */
	u64 lost;           /* frames that the wire lost, both ways */
};

/* One run. 0; -EPERM and the like when namespaces or TAPs cannot be made, with a sentence in `why`
 * (LAB_WHY_BYTES). */
int lab_run(const struct lab_config *config, struct lab_result *ret, char *why) MUST_CHECK;

#endif

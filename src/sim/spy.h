/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A driver between the host and its target that sees every call and every answer:
 *
 *   - calls that the target refuses because they are not legal in the object's state, or because
 *     the handle names nothing, are counted: the host must not make any
 *   - state calls that have not completed are known, so that a successor of a dead target can be
 *     asked again
 *   - frames are copied when the target's pool is not the host's
 */
#ifndef SIM_SPY_H
#define SIM_SPY_H

#include "offload/chain.h"

enum { SPY_CALLS = 16 };

struct spy {
	struct device_chain chain; /* first: the pass tables want it */
	struct device_ops ops;     /* the pass tables but for what it looks at */
	struct data_ops data;
	struct host_ops host;
	struct buf_pool *host_pool, *target_pool;
	struct offload_request *asked[SPY_CALLS];
	u32 n_asked;
	u64 illegal;   /* calls that were refused as not legal */
	char what[96]; /* the last of them */
	/* Offloads between their two phases; those of a former target died with it. */
	struct spy_offload {
		const struct offload_request *request;
		bool died;
	} half[SPY_CALLS];
	u32 n_half;
	bool died;                          /* the transfer that is under way is of such a one */
	const struct tcp_delegated *taking; /* its payload, when the pools differ */
};

/* Inserts it in front of the device of `hook`. */
void spy_insert(struct spy *s, struct device *hook, struct buf_pool *pool);
/* Another target instead of the one below; what is under way is asked again of it. */
void spy_follow(struct spy *s, struct device below, struct buf_pool *pool);
struct host_side spy_side(struct spy *s);

#endif

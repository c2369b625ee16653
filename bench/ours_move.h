/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Our side of a move: the connections of a conn_set, adopted by libchimney. */
#ifndef BENCH_OURS_MOVE_H
#define BENCH_OURS_MOVE_H

#include "conns.h"

struct chimney_context;
struct chimney_conn;
struct chimney_result;

struct ours_move {
	struct chimney_context *context;
	struct chimney_conn **conns;
	struct chimney_result *results; /* of the last batch */
	u32 *stall_ns; /* of the moves since ours_move_reset(): offloads and uploads */
	u32 n_stalls, max_stalls;
};

struct ours_move_times {
	u64 offload_ns, upload_ns;
	u64 export_ns, transfer_ns, import_ns; /* of both, as the library counts them */
};

/* Makes a context on device cb0 and adopts every connection of the set. 0 or -Exxx, *ret_what says
 * what failed. */
int ours_move_open(struct ours_move *m, const struct conn_set *set,
                   const char **ret_what) MUST_CHECK;
/* Gives every descriptor back, so that the set can be read and written as kernel sockets again. */
int ours_move_close(struct ours_move *m, struct conn_set *set, const char **ret_what) MUST_CHECK;
/* Offloads conns[from, from + n) in one call and uploads them in another; adds the times. */
int ours_move_round(struct ours_move *m, u32 from, u32 n, struct ours_move_times *times,
                    const char **ret_what) MUST_CHECK;
/* Adds what the library has counted to *times, with the sign of `sign`. */
void ours_move_parts(struct ours_move *m, int sign, struct ours_move_times *times);
/* The 99th percentile of how long a connection stood still, ns. */
u32 ours_move_stall_p99(struct ours_move *m);

#endif

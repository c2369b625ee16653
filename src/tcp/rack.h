/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * RACK (RFC 8985 6): a segment is lost when one that was sent later has been delivered, and it has
 * been out for a round trip and the reordering window.
 */
#ifndef TCP_RACK_H
#define TCP_RACK_H

#include "tcp/recovery.h"

/* Steps 1 to 4 of 6.2: the newest delivered, reordering, the reordering window. */
void rack_ack(struct tcp_engine *e, struct tcp_conn *c, const struct ack_info *a);
/* Step 5: marks what is lost; returns how many bytes that newly are. Arms the reordering timer for
 * what may still be. */
u32 rack_detect(struct tcp_engine *e, struct tcp_conn *c);
/* 6.3: marks what a timeout makes lost; `all`: the log's times say nothing. */
void rack_timeout(struct tcp_engine *e, struct tcp_conn *c, bool all);
/* A recovery is over (step 4: the window shrinks after 16 without a DSACK). */
void rack_recovered(struct tcp_conn *c);
/* The reordering window of 6.2 step 4. */
u64 rack_reo_wnd(struct tcp_engine *e, const struct tcp_conn *c);

#endif

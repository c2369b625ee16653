/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Watches the links of a team in a thread of its own that waits for nothing but them: carrier
 * (rtnetlink), LACP, a probe of the path, an administrator's order (R87). It tells team_report()'s
 * causes to one reader, the lane that has the team, through words that neither side locks.
 */
#ifndef LINUX_LINKS_H
#define LINUX_LINKS_H

#include "driver/team/lacp.h"
#include "driver/team/team.h"
#include "linux/links_probe.h"

enum { LINKS_WHY_BYTES = 256 };

struct links_config {
	u32 n; /* 1 to LACP_PORTS_MAX */
	u32 ifindex[LACP_PORTS_MAX];
	bool with_lacp;
	struct lacp_config lacp; /* `ports` is not read: n */
	struct probe_config probe;
};

struct links_change {
	u32 link;
	u8 cause; /* enum team_cause */
	bool up;
	u64 at_ns; /* CLOCK_MONOTONIC, when it was found */
};

struct links;

/* Starts the thread; what is known of the links by then is there to be read. -Exxx, and in `why`
 * (LINKS_WHY_BYTES, never NULL) a sentence. */
int links_start(const struct links_config *config, struct links **ret, char *why) MUST_CHECK;
void links_stop(struct links *l);

/* Readable when there are changes. */
int links_fd(const struct links *l);
/* What has changed since the last call, one entry a link and cause; at first everything that is
 * down. A cause that came and went in between is not told. One reader only. Never blocks. */
u32 links_changes(struct links *l, struct links_change *ret, u32 cap);

/* An administrator's order, from any thread: the link is not to be used, or may be again. */
void links_hold(struct links *l, u32 link, bool held);

/* The state of link aggregation, for listings; from any thread. */
void links_lacp(const struct links *l, struct lacp *ret);

#endif

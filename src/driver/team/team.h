/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A team: one device to its host, up to TEAM_MEMBERS_MAX devices below, each with a link of its own
 * (patent 0107 to 0115; R8, R85 to R92, R99 to R101). The host knows no members: it sees one table
 * of calls, one set of capabilities, and objects that stay offloaded while they move between
 * members.
 *
 * Neighbors and paths are kept here, with their CONST and CACHED parts, and made on a member when
 * the first connection there needs them; a change is one update a member that has the object. A
 * connection lives on one member. All members share the lane's buffer pool, so payload moves
 * between them by reference.
 *
 * Whether a member may be used is said by causes, each on its own (enum team_cause), each with a
 * delay before it counts (team_config). When a member goes, new offloads wait, its connections move
 * to members that take them (TEAM_BY_ITSELF: the host sees no upload; TEAM_THROUGH_HOST: the host
 * is asked to take them back, and to offload again), by priority; what fits nowhere is handed to
 * the host with a reason. When a member comes back, it gets what is new, and after a delay what
 * prefers it.
 *
 * Pure; belongs to one lane. Drivers and targets below may complete at once or later.
 */
#ifndef DRIVER_TEAM_TEAM_H
#define DRIVER_TEAM_TEAM_H

#include "base/hash.h"
#include "offload/offload.h"

enum { TEAM_MEMBERS_MAX = 8 };

enum team_mode {
	TEAM_ACTIVE_BACKUP, /* the usable member of the best priority has all */
	TEAM_HASH_L23,      /* by addresses */
	TEAM_HASH_L34,      /* by addresses and ports */
};

/* What is advertised to the host. Numbers of objects are the sum of the members that are in use. */
enum team_features {
	TEAM_FEATURES_ALL, /* what every member in use has */
	TEAM_FEATURES_ANY, /* what one of them has: a connection goes to a member that takes it */
};

enum team_failover {
	TEAM_BY_ITSELF,
	TEAM_THROUGH_HOST,
};

/* Why a member may not be used. */
enum team_cause {
	TEAM_CARRIER,   /* its link has none */
	TEAM_LACP,      /* link aggregation keeps it out */
	TEAM_HEARTBEAT, /* it does not answer */
	TEAM_PROBE,     /* a configured address does not answer by its link */
	TEAM_ERROR,     /* it reported a failure of its own */
	TEAM_ADMIN,     /* an administrator's order */
	TEAM_CAUSES,
};
const char *team_cause_word(enum team_cause cause);

struct team_member_config {
	struct device *device; /* the hook: must stay where it is */
	u32 port;              /* lane's port that its frames leave by (neighbor CONST port) */
	u32 priority;          /* lower is better */
};

struct team_config {
	u8 mode;     /* enum team_mode */
	u8 features; /* enum team_features */
	u8 failover; /* enum team_failover */
	u32 n_members;
	struct team_member_config member[TEAM_MEMBERS_MAX];
	u32 neighbors, paths, connections; /* rooms of the team's own tables */
	u32 list_blocks;       /* longest list, and how many connections move at a time; 0: 512 */
	struct buf_pool *pool; /* the lane's, which all members use */
	struct hash_key key;
	u64 down_delay_ns[TEAM_CAUSES]; /* a cause counts when it has held for so long */
	u64 up_delay_ns;                /* all causes must be gone for so long */
	u64 fail_back_ns; /* then, for so long, before connections move back; UINT64_MAX: never */
};

enum team_event_kind {
	TEAM_EVENT_CAUSE,     /* a cause was reported; `up`: it is gone */
	TEAM_EVENT_DOWN,      /* the member is out: its connections begin to move */
	TEAM_EVENT_UP,        /* the member may be used */
	TEAM_EVENT_MOVE,      /* a batch went over: n moved from `member` to `to` */
	TEAM_EVENT_TO_HOST,   /* n connections were handed to the host, `status`: why */
	TEAM_EVENT_MOVED_ALL, /* nothing is left on the member */
	TEAM_EVENT_KINDS,
};

struct team_event {
	u8 kind; /* enum team_event_kind */
	u8 cause;
	bool up;
	u16 status; /* enum status */
	u32 member, to, n;
	u64 at_ns;
};

struct team_env {
	void *ctx;
	/* What happened, for logs; may be NULL. */
	void (*event)(void *ctx, const struct team_event *event);
};

struct team;

size_t team_bytes(const struct team_config *config);

/* `mem`: team_bytes(), 64-aligned, the caller's. Attaches to the members' devices. NULL: the
 * configuration makes no sense (no members, no room). */
struct team *team_init(void *mem, const struct team_config *config, const struct team_env *env);

/* The team as a device; frames too. */
struct device team_device(struct team *t);

/* A cause came or went. */
void team_report(struct team *t, u32 member, enum team_cause cause, bool up, u64 now_ns);

/* Which causes hold now (bits), after their delays. 0: the member may be used. */
u32 team_member_down(const struct team *t, u32 member);
u32 team_member_connections(const struct team *t, u32 member);

/* Which member has a connection; NIL: none of ours. For listings. */
u32 team_member_of(const struct team *t, handle conn);

/* The member that a flow would go to now; NIL: none may be used. Local and remote as the host sees
 * them. The kernel's own traffic is spread by the same choice. */
u32 team_choose(const struct team *t, const struct ip_addr *local, const struct ip_addr *remote,
                u16 local_port, u16 remote_port);

struct team_stats {
	u64 moved, to_host, move_failed; /* connections */
	u64 strays; /* frames that came by another member than the owner (R39) */
	u64 held_frames, dropped_frames;
	u64 downs, ups;
};
void team_stats(const struct team *t, struct team_stats *ret);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Events of a scenario: what happens, at which host, when, with which values. Each event says all
 * that it needs by itself: what is drawn is drawn when a scenario is read, so that any part of a
 * list of events can be left out and the rest means the same.
 */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "base/prng.h"
#include "sim/check.h"

/* KEY(NAME, "word", kind): the values that events take, written word=value. */
#define EVENT_KEYS(KEY)                                                               \
	KEY(SHARE, "share", NUMBER) /* one in so many connections */                  \
	KEY(PICK, "pick", NUMBER)   /* what draws which */                            \
	KEY(HOP, "hop", NUMBER)     /* next hop, 0 to 3 */                            \
	KEY(TO, "to", HOST)         /* the other host */                              \
	KEY(MTU, "mtu", NUMBER)                                                       \
	KEY(FOR, "for", TIME)   /* undone after */                                    \
	KEY(NTH, "nth", NUMBER) /* the n-th call fails */                             \
	KEY(STEP, "step", STEP) /* freeze, detach, import */                          \
	KEY(KEEP, "keep", NUMBER)                                                     \
	KEY(THEN, "then", DEATH)   /* rebuilt, home, spare */                         \
	KEY(PHASE, "phase", PHASE) /* of a turn: now, input, timers, events, flush */ \
	KEY(LOSS, "loss", CHANCE)                                                     \
	KEY(COUNT, "count", NUMBER)                                                   \
	KEY(BYTES, "bytes", NUMBER)                                                   \
	KEY(EVERY, "every", TIME) /* between two writes of a stream */                \
	KEY(WRITE, "write", NUMBER)                                                   \
	KEY(OPEN, "keep-open", NUMBER)                                                \
	KEY(CHECK, "check", CHECK)

enum event_key {
#define KEY(name, word, kind) EVENT_KEY_##name,
	EVENT_KEYS(KEY)
#undef KEY
		EVENT_KEY_COUNT_OF,
};

#define K(name) (1u << EVENT_KEY_##name)

/* EVENT(NAME, "word", keys it needs, keys it may have, "what it does") */
#define EVENT_LIST(EVENT)                                                                       \
	EVENT(OFFLOAD, "offload", 0, K(SHARE) | K(PICK), "Connections are offloaded.")          \
	EVENT(UPLOAD, "upload", 0, K(SHARE) | K(PICK), "Connections are uploaded.")             \
	EVENT(MAC, "mac", K(HOP), 0, "A next hop gets another MAC address.")                    \
	EVENT(MTU, "mtu", K(TO) | K(MTU), 0, "The path MTU to a host changes.")                 \
	EVENT(LINK_MTU, "link-mtu", K(MTU), 0, "The link to the host takes less, or more.")     \
	EVENT(ROUTE, "route", K(TO) | K(HOP), 0, "The route to a host changes its next hop.")   \
	EVENT(SETTINGS, "settings", K(PICK), 0, "An application changes its socket's options.") \
	EVENT(QUERY, "query", K(PICK), 0, "Some connections are queried.")                      \
	EVENT(ASK, "ask", K(PICK), 0, "The target asks for the upload of a connection.")        \
	EVENT(ASK_ALL, "ask-all", 0, 0, "The target asks for the upload of all.")               \
	EVENT(INVALIDATE, "invalidate", K(PICK), 0, "A connection is invalidated.")             \
	EVENT(INVALIDATE_PATH, "invalidate-path", K(TO), 0, "A path is invalidated.")           \
	EVENT(INVALIDATE_HOP, "invalidate-hop", K(HOP), 0, "A neighbor is invalidated.")        \
	EVENT(PAUSE, "pause", K(FOR), 0, "The target refuses offloads for a while.")            \
	EVENT(FAIL, "fail", K(STEP) | K(NTH), 0, "The n-th call of a step of a move fails.")    \
	EVENT(REAP, "reap", 0, 0, "Unused paths and neighbors leave the target.")               \
	EVENT(DOWN, "down", K(FOR), 0, "The link is down for a while.")                         \
	EVENT(LOSSY, "lossy", K(FOR) | K(LOSS), 0, "The link loses more for a while.")          \
	EVENT(REBUILD, "rebuild", 0, 0, "The target makes anew all that it can.")               \
	EVENT(KILL, "kill", 0, K(THEN) | K(PHASE), "The target dies.")                          \
	EVENT(STALL, "stall", K(FOR), 0, "The target's core does nothing for a while.")         \
	EVENT(MEMORY, "memory", K(KEEP) | K(FOR), 0, "So many buffers are left for a while.")   \
	EVENT(CLOSE, "close", K(PICK), 0, "An application closes a connection early.")          \
	EVENT(CONNECT, "connect", K(TO) | K(COUNT), K(BYTES) | K(EVERY) | K(WRITE) | K(OPEN),   \
	      "Connections are opened.")                                                        \
	EVENT(PLANT, "plant", K(CHECK), K(PICK), "A fault that the named checker must find.")

enum event_op {
#define EVENT(name, word, need, may, sentence) EVENT_##name,
	EVENT_LIST(EVENT)
#undef EVENT
		EVENTS,
};

enum { EVENT_STEPS = 3, EVENT_DEATHS = 3, EVENT_PHASES = 5 };

struct event {
	u64 at_ns; /* from the start of the scenario */
	u8 op;
	u8 host;
	u32 has;   /* bit set of keys */
	u32 order; /* among those of one time */
	u64 value[EVENT_KEY_COUNT_OF];
};

const char *event_word(enum event_op op);
const char *event_sentence(enum event_op op);
/* Keys that it must have, and that it may have, as bit sets. */
u32 event_needs(enum event_op op);
u32 event_takes(enum event_op op);
/* EVENTS: no such word. */
enum event_op event_find(const char *word);
/* Of what event_draw() may choose from: not CONNECT and PLANT. */
bool event_is_random(enum event_op op);
/* Values for an event, as `p` draws them. `hosts`: how many there are; `peers`: bit set of hosts
 * that it can talk to; `mtu_min`: of its family. */
void event_draw(struct event *e, enum event_op op, struct prng *p, u32 hosts, u32 peers,
                u32 mtu_min);

#endif

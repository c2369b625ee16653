/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What must hold at every moment of a world. Each checker has a name, by which a failure is told;
 * tests/sim plants a fault for each of them and sees that it is found.
 *
 * Frames are looked at as they leave, connections after each event that touched them, and all of
 * them and the tables with every sweep (world_config.sweep_ns) and at the end.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "base/frame.h"
#include "base/types.h"

/* CHECK(NAME, "word", "what must hold") */
#define CHECK_LIST(CHECK)                                                                         \
	CHECK(BYTES, "bytes", "A stream delivers its bytes exactly, in order, and its end after") \
	CHECK(OWNER, "owner", "A connection runs in one place: the host's stack, or the target")  \
	CHECK(ACKED, "acked", "What was acknowledged is with the receiver or its application")    \
	CHECK(EDGE, "edge", "The right edge of the receive window never moves left")              \
	CHECK(SEQUENCE, "sequence", "Sequence numbers and timestamps never go back")              \
	CHECK(REFS, "refs", "Reference counts match the tree, in the host and in the target")     \
	CHECK(LEGAL, "legal", "The host makes no call that is illegal in the object's state")     \
	CHECK(MEMORY, "memory", "At the end all memory is back")                                  \
	CHECK(RESET, "reset", "Nobody sends a RST")                                               \
	CHECK(IP_ID, "ip-id", "Host and target never use each other's half of the IP IDs")        \
	CHECK(PROGRESS, "progress", "Streams come to their end")                                  \
	CHECK(RESULT, "result", "Calls end as they may")

enum check {
#define CHECK(name, word, sentence) CHECK_##name,
	CHECK_LIST(CHECK)
#undef CHECK
		CHECKS,
};
const char *check_word(enum check check);
const char *check_sentence(enum check check);

/* What was seen of one end of a stream. */
struct check_end {
	tcp_seq isn;                /* that it has sent */
	tcp_seq edge;               /* right edge that it has advertised */
	tcp_seq ack;                /* highest that it has sent */
	u32 ts;                     /* highest timestamp that it has sent */
	tcp_seq una, max, nxt, adv; /* of its state, the last time */
	bool has_isn, has_edge, has_ts, has_state;
};

/* Who used which IP IDs: for each machine and each it talks to, a bit for each ID and owner. */
struct check_net {
	u64 *ids;
};

struct world;
struct tx_frame;

bool check_init(struct world *w);
void check_fini(struct world *w);
/* A frame leaves a machine. */
void check_frame(struct world *w, u32 machine, const struct tx_frame *frame, bool by_target);
/* One connection, at both ends. */
void check_stream(struct world *w, u32 stream);
/* The tables and counts of a machine. */
void check_tables(struct world *w, u32 machine);
/* The machine holds nothing any more. */
void check_empty(struct world *w, u32 machine);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two simulated machines, a wire between them, and streams of patterned bytes in both directions of
 * every connection: machine 0 connects, machine 1 accepts. Everything depends on the seed alone;
 * `hash` runs over every frame that enters the wire, so that two runs can be compared.
 *
 * What must hold is checked while it runs; the first thing that does not is kept in `wrong`:
 *   - a stream delivers its bytes exactly, in order, and its end after them
 *   - no RST is ever sent
 *   - a connection is in one stack at a time: the host's, or the target
 *   - the right edge of the receive window never moves left, as seen on the wire (semantics 5.5)
 *   - the host's counts are those of the target's tables
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/prng.h"
#include "port/sim.h"
#include "sim/machine.h"

enum {
	WORLD_ROUTES = 4, /* addresses of each machine's peers, all the same machine */
	WORLD_HOPS = 4,   /* next hops to choose from */
	WORLD_WSCALE = 4,
	WORLD_POSTS = 2,
	WORLD_POST_BYTES = 700,
};

struct world_config {
	u64 seed;
	u32 conns;
	u32 bytes; /* of each direction of each connection, about */
	struct sim_link link;
	u32 target_connections; /* 0: as many as there are */
	u32 chunk_max;
	u64 turn_ns;       /* between two steps of a move; 0: 5 us */
	u32 small_buffers; /* of each machine; 0: plenty */
	bool parents_late;
	bool keep_open; /* no FIN: streams end with their bytes */
	u32 refuse_ppm; /* each layer of the hosts refuses an offload with this chance */
};

struct stream_end {
	u64 soft; /* the soft host's name */
	handle host;
	u32 total, sent, received;
	bool open, fin, eof;
	u32 posts_out; /* receives posted and not completed */
	u32 post_at;   /* buffer of the next one to be posted */
	bool send_out;
	u8 buffers[WORLD_POSTS][WORLD_POST_BYTES];
	u8 out[2048];
	tcp_seq edge; /* right edge that this end has advertised */
	bool has_edge;
};

struct stream {
	struct stream_end end[2];
	bool posted; /* uses posted calls at both ends, else socket-like ones */
};

struct world {
	struct world_config config;
	struct machine *machine[2];
	struct sim_wire *wire;
	void *wire_mem;
	struct stream *streams;
	struct prng prng;
	u64 now_ns;
	u64 hash;
	u64 turns;
	u32 baseline[2][BUF_CLASSES];
	struct world_side {
		struct world *world;
		u32 side;
	} side[2];
	char wrong[600]; /* empty: all is well */
};

/* NULL: out of memory. */
struct world *world_create(const struct world_config *config);
void world_destroy(struct world *w);

/* Runs until `until_ns`; false: something is wrong. */
bool world_run(struct world *w, u64 until_ns);
/* Every connection is established at both ends and adopted by both hosts. */
bool world_connect(struct world *w);
/* Runs until all streams are done; a minute of virtual time without progress is wrong. */
bool world_finish(struct world *w);
bool world_done(const struct world *w);

/* Moves connections of a machine: those whose bit in `mask` (by index modulo 64) is set. Runs until
 * the move is over. The statuses' sum is in ret_moved: how many are on the wanted side. */
bool world_move(struct world *w, u32 machine, u64 mask, bool upload, u32 *ret_moved);
/* Everything back in the hosts, everything closed: no buffer and no object may be left. */
bool world_settle(struct world *w);

/* Segments that a machine's host stack has sent again. */
u64 world_retransmits(const struct world *w, u32 machine);

/* Says what is wrong, once. */
__attribute__((format(printf, 2, 3))) void world_wrong(struct world *w, const char *format, ...);

/* Addresses of the simulated net: machine `side` as its peers see it by route `i`. */
struct ip_addr world_addr(u32 side, u32 i);
struct ip_addr world_hop(u32 i);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A simulated world: machines (machine.h) at a switch (net.h), and streams of patterned bytes in
 * both directions of every connection. Everything depends on the seed alone; the trace's hash runs
 * over every frame and every event, so that two runs can be compared.
 *
 * What must hold is checked after every event (check.h); the first thing that does not is kept in
 * `wrong`, with the name of its checker.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/prng.h"
#include "sim/check.h"
#include "sim/machine.h"
#include "sim/net.h"
#include "sim/trace.h"

enum {
	WORLD_HOSTS = NET_MACHINES,
	WORLD_HOPS = NET_HOPS,
	WORLD_WSCALE = 4,
	WORLD_POSTS = 2,
	WORLD_POST_BYTES = 700,
	WORLD_OUT_BYTES = 2048,
	WORLD_GROUPS = 64,
	WORLD_NAME = 24,
};

/* A zero is the default that is named. */
struct world_target {
	u32 connections;   /* room for all that there will be */
	u32 small_buffers; /* plenty */
	u32 lacks;         /* feature_bits that it does not have */
};

struct world_host {
	char name[WORLD_NAME];
	bool v6;
	bool ecn;
	u8 cc;       /* enum tcp_cc_algorithm and one; 0: CUBIC */
	bool ask;    /* for its gateway's address, by ARP or neighbor discovery; else it is set */
	u32 targets; /* 1 */
	struct world_target target[MACHINE_TARGETS];
	struct sim_link link;
	u32 mtu; /* of its link; 1500 */
	u32 chunk_max;
	u64 turn_ns; /* between two steps of a move; 5 us */
	bool parents_late;
	u32 refuse_ppm; /* each layer refuses an offload with this chance */
};

struct world_config {
	u64 seed;
	struct world_host host[WORLD_HOSTS];
	u32 n_hosts;
	u32 conns_max;  /* streams in all */
	u64 tick_ns;    /* events happen at multiples of this; 1 */
	u32 frames_max; /* under way on a wire, each direction; 4096 */
	u64 sweep_ns;   /* between two looks at everything; 50 ms */
};

/* Connections that are opened together: `from` connects, `to` accepts. */
struct world_open {
	u32 from, to;
	u32 conns;
	u32 bytes;       /* of each direction of each, about */
	u64 write_every; /* ns between two writes of a stream; 0: as fast as it goes */
	u32 write_bytes; /* of one of these writes */
	bool keep_open;  /* no FIN: streams end with their bytes */
};

struct stream_end {
	u64 soft; /* the soft host's name */
	handle host;
	u32 machine;
	u32 total, sent, received;
	u32 allowed; /* that may have been sent by now */
	bool adopted, open, fin, eof, released;
	bool queued; /* among those that the application looks at */
	bool send_out;
	u32 posts_out; /* receives posted and not completed */
	u32 post_at;   /* buffer of the next one to be posted */
	u8 *buffers;   /* posted streams: WORLD_POSTS of WORLD_POST_BYTES, and WORLD_OUT_BYTES */
	struct check_end seen;
};

struct stream {
	struct stream_end end[2]; /* who connects, who accepts */
	u32 group;
	bool posted; /* uses posted calls at both ends, else socket-like ones */
};

struct world_group {
	struct world_open open;
	u32 first;
	u64 next_ns; /* of the next write */
	u32 cursor;
};

struct world_move {
	struct host_move *moves;
	u32 n;
	bool active, upload;
};

struct world_ready {
	u32 *stream;
	u32 n;
};

struct world {
	struct world_config config;
	struct machine *machine[WORLD_HOSTS];
	struct net net;
	struct stream *streams;
	u32 n_streams;
	struct world_group group[WORLD_GROUPS];
	u32 n_groups;
	struct prng prng;
	u64 now_ns;
	u64 sweep_at_ns;
	u64 turns;
	struct trace trace;
	struct world_move move[WORLD_HOSTS];
	struct world_ready ready[WORLD_HOSTS];
	u64 next_ns[WORLD_HOSTS]; /* when each machine must turn */
	u32 baseline[WORLD_HOSTS][MACHINE_TARGETS][BUF_CLASSES];
	struct check_net seen;
	u32 outcome[STATUSES]; /* of the connections of all moves */
	u64 checks[CHECKS];    /* how often each was looked at */
	struct world_side {
		struct world *world;
		u32 machine;
	} side[WORLD_HOSTS];
	bool settling;      /* connections are closed whatever waits for them */
	enum check planted; /* plant.h; CHECKS: no fault */
	u32 planted_at;
	u8 planted_id[2];
	enum check wrong_check;
	char wrong[600]; /* empty: all is well */
};

/* NULL: out of memory. */
struct world *world_create(const struct world_config *config);
void world_destroy(struct world *w);

/* Starts to open connections; they come up while the world runs. False: wrong, or no room. */
bool world_open(struct world *w, const struct world_open *open);

/* Runs until `until_ns`; false: something is wrong. */
bool world_run(struct world *w, u64 until_ns);
/* Every connection so far is established at both ends and adopted by both hosts. */
bool world_connect(struct world *w);
/* Runs until all streams are done; four minutes of virtual time without progress is wrong. */
bool world_finish(struct world *w);
bool world_done(const struct world *w);

/* Starts to move connections of a machine: those that `pick` draws, one in `share`. False: another
 * move is under way. */
bool world_move_start(struct world *w, u32 machine, u32 share, u32 pick, bool upload);
/* The same for those whose bit in `mask` (by index modulo 64) is set, and runs until it is over.
 * ret_moved: how many are on the wanted side. */
bool world_move(struct world *w, u32 machine, u64 mask, bool upload, u32 *ret_moved);
/* Everything back in the hosts, everything closed: no buffer and no object may be left. */
bool world_settle(struct world *w);

/* The path MTU to a remote address has changed, as a machine finds out. */
void world_path_mtu(struct world *w, u32 machine, const struct ip_addr *remote, u32 mtu);

/* Segments that a machine's host stack has sent again. */
u64 world_retransmits(const struct world *w, u32 machine);

/* The application looks at this end of a stream with the next turn; at all of a machine's. */
void world_touch(struct world *w, u32 stream, u32 end);
void world_touch_all(struct world *w, u32 machine);

/* The stream of a segment that arrives at a flow's local end, and which end that is; NIL: none. */
u32 world_stream(const struct world *w, u16 local_port, u16 remote_port, u32 *ret_end);

/* Says what is wrong, once. */
__attribute__((format(printf, 3, 4))) void world_wrong(struct world *w, enum check check,
                                                       const char *format, ...);

#endif

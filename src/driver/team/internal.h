/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Inside a team: objects (table.c), requests that are split over members (op.c), what each call of
 * the host becomes (offload.c, change.c, upload.c), data and frames (data.c, frames.c), who gets a
 * flow (select.c), when a member goes (detect.c), and what happens then (failover.c).
 */
#ifndef DRIVER_TEAM_INTERNAL_H
#define DRIVER_TEAM_INTERNAL_H

#include "base/slot.h"
#include "driver/team/team.h"
#include "offload/request.h"

enum {
	OPS_MAX = 6,
	SUBS_MAX = 2 * TEAM_MEMBERS_MAX, /* of one request: a member may be asked twice */
	HELD_MAX = 256,                  /* frames for connections that are on their way */
	REGIONS_MAX = 64,
	NO_MEMBER = 255,
};

struct team_neighbor {
	struct neighbor_state state; /* CONST and CACHED as the host has them */
	handle host;
	handle on[TEAM_MEMBERS_MAX]; /* HANDLE_NONE: the member does not have it */
	u32 refs;                    /* paths */
};

struct team_path {
	struct path_state state;
	handle host;
	handle on[TEAM_MEMBERS_MAX];
	u32 neighbor;
	u32 refs; /* connections */
};

struct team_conn {
	handle host;
	handle device; /* the member's */
	u32 path;
	u32 next, prev; /* of the member's connections */
	u8 member;      /* NO_MEMBER: not placed yet */
	u8 flags;       /* team_conn_flags */
	u8 priority;
};

enum team_conn_flags {
	CONN_MOVING = 1 << 0,
	CONN_WANTS_ROOM = 1 << 1, /* a send found none while it was moving */
	CONN_ASKED = 1 << 2,      /* the host was asked to take it back */
	CONN_STUCK = 1 << 3,      /* no member took it in this round */
};

/* A part of a request, for one member. Its arrays are cut from the member's area of the op. */
struct team_sub {
	struct offload_request request;
	struct block_list list;
	u32 *of; /* the op's block of each of its blocks */
	u8 member;
	bool pending;
};

enum op_stage {
	OP_FREE,
	OP_WAITS,    /* behind another */
	OP_RUNS,     /* members are asked */
	OP_UPLOADED, /* done, until the commit */
	OP_RESERVED, /* done, until the transfer */
};

enum op_kind {
	OP_OFFLOAD,
	OP_TRANSFER,
	OP_UPLOAD,
	OP_UPDATE,
	OP_INVALIDATE,
	OP_QUERY,
	OP_MOVE, /* the team's own: from one member to others */
};

struct team_op {
	u8 stage; /* enum op_stage */
	u8 kind;
	u8 layer; /* of update, invalidate, query */
	u8 step;  /* of what takes several */
	u8 from;  /* OP_MOVE: the member that is left */
	u32 order;
	struct offload_request *request; /* the host's; NULL: OP_MOVE */
	struct block_list *list;         /* what is worked on: the host's, or `own` */
	struct block_list own;
	void *own_mem;
	u32 n_pending;                 /* subs that were handed down and have not come back */
	bool starting;                 /* completions come while it is being started */
	u32 *object;                   /* of each block of list: index of the team's object */
	u32 *parent;                   /* and the block above it */
	u8 *tried;                     /* and the members that were asked, a bit each */
	u32 *mirror[TEAM_MEMBERS_MAX]; /* and its block in the member's current sub */
	struct team_sub sub[SUBS_MAX];
	u32 n_subs;
	struct block_list area[TEAM_MEMBERS_MAX]; /* what is left of each member's arrays */
	u32 *area_of[TEAM_MEMBERS_MAX];
	void *area_mem[TEAM_MEMBERS_MAX];
};

/* Memory of the application's that every member reaches. */
struct team_region {
	void *base; /* NULL: unused */
	u64 bytes;
};

struct held_frame {
	handle conn;
	struct rx_frame frame;
};

struct team_member {
	struct team *team;
	struct device *device;
	u32 port;
	u32 priority;
	u32 first, n; /* its connections */
	u32 causes;   /* reported, a bit each */
	u32 down;     /* those that count */
	u64 since_ns[TEAM_CAUSES];
	u64 clear_ns;  /* no cause since */
	u64 usable_ns; /* usable since */
	bool usable;
	bool leaving; /* its connections move away */
};

struct team {
	struct team_config config;
	struct team_env env;
	struct host_side host;
	struct team_member member[TEAM_MEMBERS_MAX];
	struct slots neighbor_slots, path_slots, conn_slots;
	struct team_neighbor *neighbors;
	struct team_path *paths;
	struct team_conn *conns;
	struct team_op op[OPS_MAX];
	u32 orders;
	u8 *scratch; /* of block_list_check() */
	u64 now_ns;
	u32 active;  /* TEAM_ACTIVE_BACKUP: the member; NIL: none */
	bool paused; /* offloads wait: a member is leaving */
	bool caps_changed;
	u32 flush_at; /* member that is flushed first */
	struct team_region region[REGIONS_MAX];
	struct held_frame held[HELD_MAX];
	u32 n_held;
	struct team_stats stats;
};

/* -- table.c ----------------------------------------------------------------------------------- */

struct team_neighbor *team_neighbor_find(struct team *t, handle h);
struct team_path *team_path_find(struct team *t, handle h);
struct team_conn *team_conn_find(struct team *t, handle h);
u32 team_conn_index(const struct team *t, const struct team_conn *c);

enum status team_neighbor_make(struct team *t, const struct block *b,
                               const struct neighbor_state *s, handle *ret);
enum status team_path_make(struct team *t, const struct block *b, const struct path_state *s,
                           u32 neighbor, handle *ret);
enum status team_conn_make(struct team *t, const struct block *b, u32 path, u8 priority,
                           handle *ret);
void team_neighbor_drop(struct team *t, u32 index);
void team_path_drop(struct team *t, u32 index);
void team_conn_drop(struct team *t, u32 index);
/* Puts a connection on a member's list, or takes it off (NO_MEMBER). */
void team_conn_place(struct team *t, struct team_conn *c, u32 member, handle device);

/* -- op.c -------------------------------------------------------------------------------------- */

/* A free op for a list, its blocks numbered; NULL: none, or the list is too long. */
struct team_op *team_op_take(struct team *t, enum op_kind kind, struct offload_request *request);
void team_op_free(struct team_op *op);
/* Empties the areas for another round of parts; earlier parts are forgotten. */
void team_op_reset_subs(struct team *t, struct team_op *op);
/* A new part for a member, cut from what is left of its area; NULL: no room. */
struct team_sub *team_sub_open(struct team *t, struct team_op *op, u32 member,
                               enum block_call call);
/* Appends a block for block `of` of the op. NIL: no room. */
u32 team_sub_add(struct team_sub *sub, u32 parent, enum layer layer, bool state, u32 of);
/* Closes the part: what it used is no longer free. */
void team_sub_close(struct team_op *op, struct team_sub *sub);
/* Hands all parts that are not handed down yet to their members; then team_op_went_on() when all
 * are back. */
void team_op_run(struct team *t, struct team_op *op);
/* All parts are back: each kind goes on. */
void team_op_went_on(struct team *t, struct team_op *op);
/* The host's request is done. */
void team_op_complete(struct team *t, struct team_op *op);
/* Starts what waited. */
void team_ops_run(struct team *t);
bool team_ops_busy(const struct team *t, enum op_kind kind);
void team_member_complete(void *impl, struct offload_request *request);
/* Checks a list as untrusted input; false: malformed, and the request is complete. */
bool team_list_is_sound(struct team *t, struct offload_request *request);
/* The op that is kept for a request (until its transfer or commit); NULL: none. */
struct team_op *team_op_of(struct team *t, const struct offload_request *request,
                           enum op_stage stage);

/* -- offload.c --------------------------------------------------------------------------------- */

int team_offload(void *device, struct offload_request *request);
int team_transfer(void *device, struct offload_request *request);
void team_offload_start(struct team *t, struct team_op *op);
void team_offload_went_on(struct team *t, struct team_op *op);
void team_transfer_start(struct team *t, struct team_op *op);
void team_transfer_went_on(struct team *t, struct team_op *op);
/* The block in a member's part that stands for a neighbor or path block of the op; made when it is
 * not there yet. NIL: no room. */
u32 team_mirror_parent(struct team *t, struct team_op *op, struct team_sub *sub, u32 block);
/* Places every connection of the op that is not OK yet on some member; how many parts there are. */
u32 team_place_all(struct team *t, struct team_op *op, bool two_phase);
/* Reads what the members said of one round. */
void team_collect_placed(struct team *t, struct team_op *op);

/* -- change.c, upload.c ------------------------------------------------------------------------ */

extern const struct layer_ops team_layer_neighbor, team_layer_path, team_layer_tcp;
/* Each block of a list of linkers gets its object, or STALE_HANDLE. */
void team_note_linkers(struct team *t, struct team_op *op);
/* The entry of every call on a list of linkers. */
int team_change(struct team *t, struct offload_request *request, enum op_kind kind,
                enum layer layer);
void team_change_start(struct team *t, struct team_op *op);
void team_change_went_on(struct team *t, struct team_op *op);
int team_upload(void *device, struct offload_request *request);
void team_commit(void *device, struct offload_request *request);
void team_upload_start(struct team *t, struct team_op *op);
void team_upload_went_on(struct team *t, struct team_op *op);
/* Mirrors every block of the list that names an object into the parts of the members that have it.
 * `call` decides what is asked of it. */
void team_mirror_all(struct team *t, struct team_op *op, enum block_call call);
/* What the members said, into the op's list: the worst status of each block. */
void team_collect_all(struct team *t, struct team_op *op);

/* -- data.c, frames.c -------------------------------------------------------------------------- */

extern const struct data_ops team_data_ops;
extern const struct host_ops team_member_side;
extern const struct frame_ops team_frame_ops;
/* The connection arrived: what was kept for it goes there. */
void team_data_arrived(struct team *t, struct team_conn *c);
bool team_hold_frame(struct team *t, handle conn, const struct rx_frame *frame);
void team_held_release(struct team *t);
void team_tell_host(struct team *t, enum indication_kind kind, handle host, u64 detail);

/* -- select.c ---------------------------------------------------------------------------------- */

/* The best usable member for a flow that is not in `not` (bits); NO_MEMBER. */
u8 team_select_member(const struct team *t, const struct path_state *path,
                      const struct tcp_const *conn, u32 not );
void team_capabilities(void *device, struct capabilities *ret);
void team_select_active(struct team *t);

/* -- detect.c, failover.c ---------------------------------------------------------------------- */

void team_detect_run(struct team *t);
u64 team_detect_next_ns(const struct team *t);
void team_member_went(struct team *t, u32 member);
void team_member_came(struct team *t, u32 member);
/* Moves go on; true: something was done. */
bool team_failover_run(struct team *t);
void team_move_went_on(struct team *t, struct team_op *op);
void team_tell(struct team *t, struct team_event event);

#endif

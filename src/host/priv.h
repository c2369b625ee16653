/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the host share; nobody else includes it. */
#ifndef HOST_PRIV_H
#define HOST_PRIV_H

#include "base/flowtab.h"
#include "base/slot.h"
#include "host/host.h"
#include "offload/legal.h"

/* Fragments wait so long for the rest of their datagram. */
#define FRAGMENT_NS (30ull * NS_PER_S)

enum {
	INSPECT_BATCH = 64,
	DATA_BATCH = 64,
	RETRY_NS = 10000000, /* until an upload that had to be undone is tried again */
	CONTROL_STATES = 64, /* states of one layer in an update list */
	CHUNKS = 2,          /* one is moved while the next is on hold */
	KEPT_MAX = 64,       /* forwarded frames that the device may keep during an upload (R41) */
	INSIDE_MAX = 64,     /* receive buffers that travel inside one request (R108) */
	DATAGRAMS_MAX = 16,  /* that are put together from fragments at a time */
	FRAGMENTS_MAX = 64,  /* of all of them */
	REGIONS_MAX = 64,    /* pieces of registered memory */
};

/* What waits to be told to the device of a neighbor, path or connection. */
enum dirty {
	DIRTY_CACHED = 1 << 0,
	DIRTY_PARENT = 1 << 1, /* path: `want` is its new neighbor */
	DIRTY_INVALIDATE = 1 << 2,
	DIRTY_OFFLOAD = 1 << 3, /* neighbor: needed before paths are re-parented */
	DIRTY_REAP = 1 << 4,    /* nothing depends on it any more */
};

/* A queue of objects through a link inside them. */
struct fifo {
	u32 head, tail;
};

struct host_neighbor {
	struct neighbor_key key;
	struct neighbor_state state;
	handle device;
	u32 hash;
	u32 known;  /* paths in the host that use it */
	u32 refs;   /* paths at the device, or on their way there, below it (R42) */
	u32 wanted; /* paths that are about to be re-parented to it */
	u32 first_path;
	u32 block;   /* in the list `stamp` */
	u32 leaving; /* of the paths below it, in the list `stamp` */
	u64 stamp;
	u32 dirty_next;
	u8 dirty;
	u8 queued;
	u8 object; /* enum object_state */
	u8 before; /* while it is uploaded: what it was, and is again if that is undone */
};

struct host_path {
	struct path_key key;
	struct path_state state;
	handle device;
	u32 hash;
	u32 neighbor;
	u32 want;  /* neighbor that it must be re-parented to, NIL: none */
	u32 known; /* connections in the host that use it */
	u32 refs;  /* connections at the device, or on their way there */
	u32 first_conn;
	u32 next, prev; /* of the same neighbor */
	u32 block;
	u32 leaving;
	u64 stamp;
	u32 dirty_next;
	u16 host_ip_id; /* counter of the host's half (R61) */
	u8 dirty;
	u8 queued;
	u8 object;
	u8 before;
	bool telling; /* a request that re-parents it is under way */
};

enum conn_flags {
	CONN_IN_JOB = 1 << 0, /* in the move under way */
	CONN_KEYED = 1 << 1,  /* path, ports and states are known, it is in the flow table */
	CONN_BY_ADMIN = 1 << 2,
	CONN_ASKED = 1 << 3,   /* in the queue of uploads */
	CONN_DEAD = 1 << 4,    /* reset, timed out or closed: nothing left to import */
	CONN_ABORTED = 1 << 5, /* the device said so */
	CONN_MUST = 1 << 6,    /* its upload was asked for: tried until it is done */
	CONN_DISCARD = 1 << 7, /* nobody will read what it still holds */
};

struct host_conn {
	u64 backend;
	void *owner;
	handle device;
	u64 last_detail;
	u32 send_bytes, recv_bytes; /* of the last inspection: to be sent, unread */
	u32 path;
	u32 next, prev; /* of the same path */
	u32 hash;       /* of its flow */
	u32 park_head, park_tail;
	u32 parked;
	struct fifo queue[2]; /* posted calls that wait: sends and disconnects; receives */
	u32 queued;
	u32 at_device;
	u32 asked_next;
	u32 dirty_next;
	u32 moves;
	u16 local_port, remote_port;
	u16 last_status;
	u8 side;   /* enum host_side_of */
	u8 object; /* enum object_state */
	u8 before;
	u8 flags; /* enum conn_flags */
	u8 dirty;
	u8 queued_dirty;
	u8 ask_reason;
	bool starved; /* in the queue of those for whose calls the device had no room */
	u32 starved_next;
	u8 asked; /* by the device last, UPLOAD_REASONS: never */
	u64 asked_ns;
	struct tcp_const k;  /* never returned by a device (R31) */
	struct tcp_cached c; /* the host's own (R32) */
};

/* A posted call. */
struct host_io {
	void *data;
	u64 cookie;
	u64 number; /* order of posting */
	u32 conn;
	u32 next;
	u32 len;
	u32 filled; /* bytes of it that are done already: data and len are what is left */
	u16 flags;
	u8 kind; /* enum data_kind */
	u8 abortive;
	/* Filled by the device before it was sure that the connection stays there: completes when
	 * it does, is filled anew when not. */
	bool held;
	bool at_device;
};

/* Memory of the application that the device can reach. */
struct host_region {
	const u8 *base; /* NULL: unused */
	u64 bytes;
};

struct parked {
	struct rx_frame frame;
	u32 next;
};

/* A fragment that waits for the others (fragments.c). */
struct host_fragment {
	struct rx_frame frame;
	u32 next;     /* by offset */
	u32 off, len; /* of its payload in the datagram */
	u16 skip;     /* bytes of headers in front of it */
};

struct host_datagram {
	struct ip_addr src, dst;
	u64 until_ns;
	u32 id;
	u32 first;
	u32 n, bytes; /* that are there */
	u32 total;    /* 0: not known yet */
	u8 version;
	bool used;
};

/* How an entry of a chunk fares; bits, so that several can be picked at once. */
enum entry_stage {
	ENTRY_OUT = 0,          /* decided */
	ENTRY_IN = 1 << 0,      /* going well */
	ENTRY_RELEASE = 1 << 1, /* failed on hold: release, inject */
	ENTRY_THAW = 1 << 2,    /* failed when frozen: thaw, release, inject */
	ENTRY_UNDO = 1 << 3,    /* the device has it, the host's stack too: take it back first */
	ENTRY_KEEP = 1 << 4,    /* upload failed: it goes on at the device */
	ENTRY_GONE = 1 << 5,    /* upload of what is dead: release only */
	ENTRY_UNREAD = 1 << 6,  /* dead, but bytes lie unread: stays until they are read */
};

enum chunk_phase {
	CHUNK_FREE,
	CHUNK_RESERVING, /* the device is asked for room */
	CHUNK_HELD,      /* frames are parked from the next fence on */
	CHUNK_TRANSFERRING,
	CHUNK_UNDOING, /* an upload of what could not be detached */
	CHUNK_UPLOADING,
};

struct chunk {
	u8 phase;
	bool upload;
	bool completed; /* the request under way */
	bool rejected;  /* the device did not even take it */
	bool fenced;
	u32 number;
	u32 n;
	struct offload_request request;
	struct block_list list;
	struct move *moves;
	u32 *conn;                  /* index of each */
	u32 *block;                 /* its block, NIL: none */
	u8 *stage;                  /* enum entry_stage */
	struct host_move **result;  /* NULL: nobody asked */
	struct kept_frame *kept;    /* KEPT_MAX */
	struct posted_recv *inside; /* INSIDE_MAX */
	u64 stamp;                  /* of the list */
	u64 held_ns;
	u64 spent_ns;
};

struct job {
	struct host_move *moves;
	u32 n;
	u32 inspected;
	u32 next;           /* first that is in no chunk yet */
	u32 unquiet;        /* of those behind us, still in recovery */
	u64 again_ns;       /* when those are inspected again */
	u64 quiet_until_ns; /* then they move as they are; UINT64_MAX: not known yet */
	bool active;
	bool upload;
	bool by_admin;
	u64 start_ns;
	struct host_report report;
};

enum control_kind {
	CONTROL_NONE,
	CONTROL_UPDATE,
	CONTROL_REPARENT,
	CONTROL_INVALIDATE,
	CONTROL_OFFLOAD, /* of neighbors alone */
	CONTROL_UPLOAD,  /* of paths and neighbors that nothing depends on */
};

struct control {
	u8 kind;
	u8 layer;
	bool completed;
	bool rejected;
	bool in_call;
	struct offload_request request;
	struct block_list list;
};

struct host {
	struct host_config config;
	struct host_env env;
	struct capabilities caps;
	bool paused;
	/* Where each layer finds its dispatch table, taken from the first completion (R26, R50). */
	const struct layer_ops *const *table[LAYERS];

	struct slots neighbor_slots, path_slots, conn_slots, io_slots;
	struct host_neighbor *neighbor;
	struct host_path *path;
	struct host_conn *conn;
	struct host_io *io;
	struct flowtab neighbors, paths, flows;

	struct parked *parked;
	u32 parked_free;
	u32 n_parked;
	struct fifo late; /* frames that the host's stack did not take at once */
	bool parked_full; /* logged already */

	struct host_datagram datagram[DATAGRAMS_MAX];
	struct host_fragment fragment[FRAGMENTS_MAX];
	u32 fragment_free;

	struct chunk chunk[CHUNKS];
	struct chunk *current, *next;
	struct job job;
	u64 step_ns[HOST_STEPS]; /* of all moves */
	struct fifo asked;       /* connections to upload without a job */
	struct fifo again;       /* those whose upload failed, to be asked for anew */
	u64 again_ns;            /* when */
	u64 reap_ns; /* when parents that the device did not take back are tried again, 0 */
	u64 stamp;   /* of the list being built */
	u64 estimate_ns[2];
	u32 chunk_number;
	u8 refused_by; /* enum host_layer that said LAYER_REFUSED last */
	bool fence_started;
	bool kicking; /* in control_kick() */
	bool reaping; /* parents leave although config.parents_late */

	struct host_region region[REGIONS_MAX];
	struct fifo starved;

	struct fifo dirty[LAYERS];
	struct control control;
	struct offload_request query;
	struct block_list query_list;
	bool query_completed, query_pending;

	/* Scratch of an inspection. */
	struct move *inspect_moves;
	struct path_state *inspect_paths;
	struct neighbor_state *inspect_neighbors;
	struct tcp_state *inspect_tcp;

	u64 io_number;
	struct host_event *log;
	u64 log_number;
	u64 ladder[BLOCK_CALLS][HOST_LAYERS]; /* calls that passed each layer (R71, R72) */
	struct host_counters counters;
	u32 n_offloaded;
};

/* -- small things ------------------------------------------------------------------------------ */

static inline u64 host_now(struct host *h)
{
	return h->env.now(h->env.ctx);
}

static inline u32 conn_index(const struct host *h, const struct host_conn *c)
{
	return (u32)(c - h->conn);
}

static inline handle conn_handle(const struct host *h, const struct host_conn *c)
{
	return slots_handle(&h->conn_slots, conn_index(h, c));
}

static inline struct host_conn *conn_find(const struct host *h, handle conn)
{
	u32 index = slots_find(&h->conn_slots, conn);

	return index == NIL ? NULL : &h->conn[index];
}

static inline void *host_device(const struct host *h)
{
	return h->env.device->impl;
}

/* Ends a lap that began at *t; *t is the next one's start. */
static inline void host_lap(struct host *h, u64 *t, enum host_step_name step)
{
	u64 now = host_now(h);

	h->job.report.step_ns[step] += now - *t;
	h->step_ns[step] += now - *t;
	*t = now;
}

/* -- log.c ------------------------------------------------------------------------------------- */

void host_log(struct host *h, const struct host_event *event);

/* -- framing.c: neighbors ---------------------------------------------------------------------- */

u32 framing_find(const struct host *h, const struct neighbor_key *key);
/* Finds or makes one; the state is taken when it is new. NIL: no room. */
u32 framing_get(struct host *h, const struct neighbor_key *key, const struct neighbor_state *state);
/* Frees the object when nothing uses it. */
void framing_put(struct host *h, u32 neighbor);
/* A path is about to move there, or not any more. */
void framing_want(struct host *h, u32 neighbor);
void framing_unwant(struct host *h, u32 neighbor);
/* Nothing may hang below it any more: then it is uploaded, now or later. */
void framing_unused(struct host *h, u32 neighbor);
/* The ladder of an offload, downwards: may it be, and the needs. */
enum status framing_offer(struct host *h, struct chunk *c, u32 neighbor,
                          const struct host_candidate *who);
/* Adds the neighbor's block to an offload's list, once; NIL: the list is full. */
u32 framing_block(struct host *h, struct chunk *c, u32 neighbor);
/* Upwards: takes this layer's handles and table from a completion, and strips them (R26). */
struct completion;
void framing_complete(struct host *h, struct chunk *c, struct completion *done);
/* Writes this layer's handles into the list again, on the way down. */
void framing_restore(struct host *h, struct chunk *c);
/* A list's placeholder for an upload, update or query; NIL: full. */
u32 framing_holder(struct host *h, struct block_list *list, u32 neighbor);
/* Ends of an upload: whose blocks leave the device. */
void framing_leave(struct host *h, struct block_list *list);
void framing_keep(struct host *h, struct block_list *list);
void framing_left(struct host *h, struct block_list *list);

/* -- network.c: paths -------------------------------------------------------------------------- */

u32 network_find(const struct host *h, const struct path_key *key);
u32 network_get(struct host *h, const struct move *m);
void network_put(struct host *h, u32 path);
void network_attach(struct host *h, u32 path, u32 neighbor);
enum status network_offer(struct host *h, struct chunk *c, u32 path,
                          const struct host_candidate *who);
u32 network_block(struct host *h, struct chunk *c, u32 path);
void network_complete(struct host *h, struct chunk *c, struct completion *done);
void network_restore(struct host *h, struct chunk *c);
u32 network_holder(struct host *h, struct block_list *list, u32 path);
void network_leave(struct host *h, struct block_list *list);
void network_keep(struct host *h, struct block_list *list);
void network_left(struct host *h, struct block_list *list);
/* The path's next hop is another neighbor now: the device is told (R66, R68). */
void network_want(struct host *h, u32 path, u32 neighbor);
/* And it was. */
void network_reparented(struct host *h, u32 path, u32 neighbor);
/* A connection stopped depending on the path at the device. */
void network_drop(struct host *h, u32 path);

/* -- transport.c: connections ------------------------------------------------------------------ */

/* What a device gives each layer with the completion of an offload (patent 0068). Every layer takes
 * its entry out before it passes the rest on. */
struct completion {
	const struct layer_ops *const *table[LAYERS];
};

/* Takes over what the backend found out; the status to refuse with. */
enum status transport_inspected(struct host *h, struct host_conn *conn, const struct move *m);
void transport_forget(struct host *h, struct host_conn *conn);
enum status transport_offer(struct host *h, struct chunk *c, struct host_conn *conn,
                            const struct host_candidate *who);
u32 transport_block(struct host *h, struct chunk *c, struct host_conn *conn);
void transport_complete(struct host *h, struct chunk *c, struct completion *done);
void transport_restore(struct host *h, struct chunk *c);
u32 transport_upload_block(struct host *h, struct block_list *list, struct host_conn *conn);

/* -- switch.c ---------------------------------------------------------------------------------- */

/* Top of the ladder: STATUS_OK when the connection is in the chunk now (which must have room). */
enum status switch_offer(struct host *h, struct chunk *c, struct host_conn *conn,
                         struct host_move *result);
/* After a move: the data that waited goes to the new side. */
void switch_settle(struct host *h, struct host_conn *conn);
void switch_data_complete(struct host *h, const struct data_completion *done, u32 n);
void switch_abort_posted(struct host *h, struct host_conn *conn);
/* The device has bytes or room: posted calls that are served by copies go on. */
void switch_ready(struct host *h, struct host_conn *conn);
/* R108: the posted receives of a chunk's connections go with the transfer; and come back when the
 * device did not take the request. */
void switch_inside(struct host *h, struct chunk *c);
void switch_outside(struct host *h, struct chunk *c);
/* Can the device reach this memory itself (R109)? */
bool memory_reached(const struct host *h, const void *data, u32 len);
enum status host_refused(struct host *h, enum host_layer layer, const struct host_candidate *who);
void switch_candidate(const struct host *h, const struct host_conn *conn,
                      struct host_candidate *ret);

/* -- posted.c ---------------------------------------------------------------------------------- */

enum {
	QUEUE_SEND,
	QUEUE_RECV,
};

static inline u32 posted_queue(const struct host_io *io)
{
	return io->kind == DATA_RECV ? QUEUE_RECV : QUEUE_SEND;
}

void posted_enqueue(struct host *h, struct host_conn *conn, u32 index);
u32 posted_dequeue(struct host *h, struct host_conn *conn, u32 queue);
/* Into the place that its number gives it: what came back stands before what was posted since. */
void posted_put_back(struct host *h, struct host_conn *conn, u32 index);
/* Tells the application, and frees the call. `bytes` come on top of those that were done before. */
void posted_complete(struct host *h, u32 index, enum status status, u32 bytes);
/* `n` bytes more are done. */
void posted_advance(struct host_io *io, u32 n);
/* The device had no room for a call, and has no other of this connection whose completion would say
 * that there is some: tried again when any call completes. */
void posted_starve(struct host *h, struct host_conn *conn);
void posted_feed(struct host *h);
void posted_forget(struct host *h, struct host_conn *conn);
/* The device has lost the connection and will answer nothing. */
void posted_lost(struct host *h, struct host_conn *conn);
/* Everything that waits goes to the device; a call that it has no room for comes back at once, and
 * the rest waits behind it. */
void posted_flush(struct host *h, struct host_conn *conn, u32 queue);

/* -- mover.c, move_offload.c, move_upload.c ---------------------------------------------------- */

/* Uploads without a move, queued: of one, of all below a path or a neighbor (ask.c). */
void mover_ask(struct host *h, struct host_conn *conn, u8 reason);
void mover_ask_again(struct host *h, struct host_conn *conn);
/* Those whose time has come. */
void mover_retry(struct host *h);
/* The device did not take back what nothing hangs on: again after a while. */
void mover_reap_later(struct host *h);
void mover_reap(struct host *h);
void mover_ask_path(struct host *h, u32 path);
void mover_ask_neighbor(struct host *h, u32 neighbor);
struct chunk *mover_chunk(struct host *h, bool upload);
u32 mover_chunk_size(const struct host *h, bool upload);
void mover_add(struct host *h, struct chunk *c, struct host_conn *conn, u32 block,
               struct host_move *result);
/* The entries in one of these stages have status OK in `moves` now, all others not; how many. */
u32 mover_pick(struct chunk *c, u32 stages);
/* Of the picked ones, those that the backend failed go to another stage with their status. */
void mover_failed(struct host *h, struct chunk *c, u32 picked, enum entry_stage to);
void mover_fence(struct host *h);
void mover_fence_start(struct host *h);
/* Ends of a move: where the connection is from now on. */
void mover_in_host(struct host *h, struct chunk *c, u32 i);
void mover_in_chimney(struct host *h, struct chunk *c, u32 i);
/* The outcome of entry i of a chunk. */
void mover_result(struct host *h, struct chunk *c, u32 i, enum status status, u64 detail);
/* Adds the chunk's times to its entries and frees it. */
void mover_finish(struct host *h, struct chunk *c);
void mover_request(struct chunk *c, enum block_call call, u64 cookie);

void offload_inspect(struct host *h);
/* Is there something that must be inspected before the next chunk? */
bool offload_needs_inspection(const struct host *h);
/* Starts over with what was in recovery; false: it is not time yet. */
bool offload_look_again(struct host *h);
/* The next chunk of the job: asks the device for room, then holds. WAITING: not answered yet. */
enum host_progress offload_prepare(struct host *h);
/* A chunk that is on hold, its fence over, all the way. */
enum host_progress offload_move(struct host *h, struct chunk *c);
/* Asks the device again for what it did not take (a connection back). */
void offload_ask_again(struct host *h, struct chunk *c);
/* After a completion. */
enum host_progress offload_go_on(struct host *h, struct chunk *c);

/* Picks what is to be uploaded next; false: nothing. */
bool upload_fill(struct host *h, struct chunk *c);
enum host_progress upload_start(struct host *h, struct chunk *c);
enum host_progress upload_go_on(struct host *h, struct chunk *c);

/* -- control.c, dirty.c
 * --------------------------------------------------------------------------------- */

void control_mark(struct host *h, enum layer layer, u32 index, enum dirty what);

enum dirty_verdict {
	DIRTY_TAKEN, /* told with this request */
	DIRTY_NEVER, /* nothing to tell the device any more */
	DIRTY_LATER, /* the object is in a move, or the list is full */
};
typedef enum dirty_verdict (*dirty_visit)(struct host *h, u32 index);
/* Visits the queued objects of a layer that have one of these changes; how many were taken. */
u32 dirty_collect(struct host *h, enum layer layer, u8 what, dirty_visit visit);
/* Tells the device what waits and may be told. */
void control_kick(struct host *h);
void control_complete(struct host *h);

/* -- park.c ------------------------------------------------------------------------------------ */

void park_init(struct host *h);
void park_forward(struct host *h, struct host_conn *conn);
void park_inject(struct host *h, struct host_conn *conn);
void park_drop(struct host *h, struct host_conn *conn);
void park_late(struct host *h);
/* A frame of a connection that is not the host stack's; `fragments` that it was joined from. */
void park_place(struct host *h, struct host_conn *conn, struct rx_frame *frame, u16 fragments);
/* To the host's stack, at once or later. */
void park_to_stack(struct host *h, struct rx_frame *frames, u32 n);
/* What the device kept during an upload stands before what was parked since (R41). */
void park_kept(struct host *h, struct chunk *c);

/* -- fragments.c -------------------------------------------------------------------------------
 */

void fragments_init(struct host *h);
/* True: it is a fragment that may be one of ours, and its buffers are taken over. */
bool fragments_take(struct host *h, struct rx_frame *frame);
/* Those whose time is over, and when it is for the first. */
void fragments_expire(struct host *h);
u64 fragments_deadline(const struct host *h);

/* -- device.c ---------------------------------------------------------------------------------- */

extern const struct host_ops host_ops_table;

enum request_cookie {
	COOKIE_CHUNK = 1, /* + index << 8 */
	COOKIE_CONTROL,
	COOKIE_QUERY,
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The host side of an offload: what stands between applications and a device, and keeps the state
 * that a device never returns. Four layers, one file each (patent figure 3):
 *
 *   switch.c     per connection: host stack or chimney; queues data calls during a move
 *   transport.c  connections: handle, path, CONST and CACHED, the state in the legality table
 *   network.c    paths, shared by path_key, counted; MTU, IP ID halves, re-parenting
 *   framing.c    neighbors, shared by neighbor_key, counted; MAC and header format
 *
 * and what serves them: mover.c (any number of connections in chunks), control.c (updates and
 * invalidates), park.c (frames of connections in a move), log.c.
 *
 * Sans-I/O: no clock, no allocation, no system call. Memory is given at start; the clock, the host
 * stack and the device are reached through struct host_env. Not thread-safe: a host belongs to one
 * lane, and every call is made by its thread (or under its lock). Callbacks of the environment may
 * call back into the host, except from within `now`, `policy` and `refuse`.
 *
 * Handles of connections are index + generation (base/slot.h): a stale one is refused.
 */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/frame.h"
#include "base/hash.h"
#include "host/backend.h"
#include "offload/offload.h"
#include "state/block.h"

struct host;

/* -- making one -------------------------------------------------------------------------------- */

struct host_config {
	u32 max_connections; /* adopted ones, offloaded or not */
	u32 max_paths;
	u32 max_neighbors;
	u32 max_posted;  /* posted sends, receives and disconnects, queued or at the device */
	u32 max_parked;  /* frames held back during moves */
	u32 log_entries; /* a power of two; 0: 1024 */
	u32 chunk_max;   /* connections of a chunk at most; 0: 256 */
	u32 chunk_min;   /* and at least, whatever the estimate; 0: 1 */
	u64 chunk_ns;    /* time that a chunk may take, estimated; 0: 1 ms */
	/* An offload waits so long for connections in recovery or with segments out of order, whose
	 * scoreboards no host stack tells; then they move all the same. 0: they are refused. */
	u64 quiet_ns;
	/* What the device asked to be rid of as a poor candidate is not offloaded again by rule for
	 * so long, so that nothing goes back and forth; by name it may. 0: 60 s. */
	u64 hold_off_ns;
	u64 estimate_ns; /* first estimate of what a connection costs; measured later; 0: 8 us */
	struct hash_key hash_key;
	bool parents_late;   /* unused paths and neighbors stay until host_reap() (R43) */
	bool ip_id_confined; /* hand out IP ID halves (R61); false where DF is always set */
};

/* What is asked before a connection is offloaded (R44), and what the answer may look at. */
struct host_candidate {
	handle conn;
	void *owner;
	const struct path_key *path;
	const struct neighbor_key *neighbor;
	u16 local_port, remote_port;
	bool by_admin; /* the move was asked for by name, not by a rule */
};

struct host_policy {
	/* STATUS_OK, or the status to refuse with (STATUS_POLICY, ...) and its detail. NULL: all
	 * may. Called once a connection and offload. */
	enum status (*admit)(void *ctx, const struct host_candidate *candidate, u64 *ret_detail);
	/* The device asks for an upload that it could do without (upload_reason_is_final() says
	 * no). STATUS_OK grants it; another status leaves the connection at the device, and is
	 * logged with its detail. NULL: granted (R73). What the device must be rid of is not asked.
	 */
	enum status (*grant)(void *ctx, const struct host_candidate *candidate,
	                     enum upload_reason reason, u64 *ret_detail);
	/* The link behind a port went down: true to upload what hangs below it (R75). NULL: the
	 * connections stay where they are. */
	bool (*upload_on_link_down)(void *ctx, u32 port);
	void *ctx;
};

/* Makes a layer refuse, for policy and fault injection (R24). Called for each layer on the way
 * down. STATUS_OK: the layer decides by itself. */
struct host_refuse {
	enum status (*layer)(void *ctx, enum host_layer layer,
	                     const struct host_candidate *candidate);
	void *ctx;
};

/* A posted call that has completed. */
struct host_done {
	handle conn;
	void *owner;
	u64 cookie;
	u8 kind;    /* enum data_kind */
	u16 status; /* OK, ABORTED, BAD_STATE; sends: UPLOAD_IN_PROGRESS when the host's stack, or
	             * the pool of a device that cannot reach the buffer (R109), has taken the bytes
	             * over and the buffer is free, though not acknowledged */
	u32 bytes;  /* of the call as it was posted */
};

/* What a device told of one connection. `kind` is one of IND_RECEIVE, IND_SEND_ROOM,
 * IND_PEER_CLOSED, IND_ABORTED, IND_SEND_BACKLOG, or IND_KINDS: the connection changed sides and
 * its readiness must be looked at anew. */
struct host_notice {
	handle conn;
	void *owner;
	u8 kind;
	u64 detail;
};
#define HOST_NOTICE_MOVED ((u8)IND_KINDS)

/* Data calls of connections that run in the host's stack, where the stack is reached by calls
 * (the soft host). Without it such calls answer -EOPNOTSUPP: the caller uses the descriptor. */
struct host_stack {
	s64 (*send)(void *stack, u64 conn, const void *data, u32 len, u32 flags);
	s64 (*recv)(void *stack, u64 conn, void *data, u32 len, u32 flags);
	int (*disconnect)(void *stack, u64 conn, bool abortive);
	void *impl;
};

struct host_env {
	void *ctx;
	u64 (*now)(void *ctx); /* ns, monotonic */
	void (*done)(void *ctx, const struct host_done *done, u32 n);
	void (*notice)(void *ctx, const struct host_notice *notices, u32 n);
	/* Answered at once: may the neighbor be taken as reachable? NULL: yes. */
	bool (*reachable)(void *ctx, const struct neighbor_key *key);
	/* Something must happen before the host can go on (an asynchronous device): serve the
	 * lane. Only host_run() and host_query() call it. May be NULL with a device that completes
	 * within its calls. */
	void (*wait)(void *ctx);
	/* Uploads: receives what waits in the lane's port and gives it to host_frames(); how many
	 * frames there were. So what arrived before the flows are released does not come late. May
	 * be NULL. */
	u32 (*drain)(void *ctx);
	struct backend backend;
	struct host_stack stack;
	struct device *device; /* read at every call: a driver may be inserted meanwhile (R51) */
	struct buf_pool *pool; /* of the lane: queue bytes on their way and parked frames */
	struct host_policy policy;
	struct host_refuse refuse;
};

/* Bytes that a host takes; 64-byte alignment. */
size_t host_bytes(const struct host_config *config);

/* Lays a host into `mem` (host_bytes() long, the caller's, must outlive it). `env` is copied. */
struct host *host_init(void *mem, const struct host_config *config, const struct host_env *env);

/* The host's table, for attaching to the device. */
struct host_side host_side(struct host *h);

/* -- connections ------------------------------------------------------------------------------- */

/* A connection that runs in the host's stack; `backend_conn` is the backend's name for it. -ENOSPC.
 */
MUST_CHECK int host_adopt(struct host *h, u64 backend_conn, void *owner, handle *ret_conn);

/* Ends the object. -ESTALE; -EBUSY: it is in the chimney or in a move. Posted calls that still wait
 * complete with ABORTED. */
MUST_CHECK int host_release(struct host *h, handle conn);

/* The application will read no more. A connection that is closed at both ends while bytes lie
 * unread at the device stays there until they are read, because no host stack can take it; not any
 * more after this. -ESTALE. */
MUST_CHECK int host_discard(struct host *h, handle conn);

enum host_side_of {
	HOST_IN_STACK,   /* data goes to the host's stack */
	HOST_MOVING,     /* data waits */
	HOST_IN_CHIMNEY, /* data goes to the device */
};

struct host_conn_info {
	u64 backend_conn;
	void *owner;
	u8 side;       /* enum host_side_of */
	u8 object;     /* its row of the legality table, offload/legal.h */
	bool has_keys; /* the five below are known: it was inspected once */
	struct path_key path;
	struct neighbor_key neighbor;
	u16 local_port, remote_port;
	handle device; /* HANDLE_NONE in the host */
	u32 moves;     /* times it was offloaded */
	u8 asked;      /* enum upload_reason of the last upload that the device asked for, or
	                * UPLOAD_REASONS: none yet */
	u64 asked_ns;  /* and when */
	u16 last_status;
	u64 last_detail;
	u32 queued;    /* posted calls that wait in the switch */
	u32 at_device; /* posted calls at the device */
	u32 parked;    /* frames */
};

/* -ESTALE. */
MUST_CHECK int host_conn_info(const struct host *h, handle conn, struct host_conn_info *ret_info);

/* The connection of a flow that was inspected; HANDLE_NONE: none. */
handle host_find(const struct host *h, const struct flow_key *flow);

/* -- data: the switch -------------------------------------------------------------------------- */

/*
 * Socket-like calls, in batches, as struct data_ops takes them, but `conn` is the host's handle.
 * The result is in `taken`: bytes, or -EAGAIN: in a move, or no room, or nothing there; -ESTALE;
 * -EOPNOTSUPP: it runs in the host's stack and that is reached by the descriptor; or what the side
 * answers (-EPIPE, -ECONNRESET, -ETIMEDOUT, -ESHUTDOWN). SEND_BUFFERED and RECV_NOW are implied.
 */
void host_send(struct host *h, struct send_call *calls, u32 n);
void host_receive(struct host *h, struct recv_call *calls, u32 n);

/*
 * Posted calls: queued during a move, at the device in the chimney, completed once through
 * env.done in the order of posting of their kind. In the host's stack they wait until the next
 * offload, or go to env.stack by host_pump(). -ESTALE; -ENOBUFS: too many posted.
 */
MUST_CHECK int host_post_send(struct host *h, const struct send_call *call);
MUST_CHECK int host_post_receive(struct host *h, const struct recv_call *call);
MUST_CHECK int host_disconnect(struct host *h, const struct disconnect_call *call);

/* Tries what is queued for a connection in the host's stack: call it when that became readable or
 * writable. Nothing happens on the other sides. */
void host_pump(struct host *h, handle conn);

/*
 * Memory of the application that posted calls will name, for devices that reach only what is
 * registered (FEATURE_REGISTERED_BUFFERS): bytes then go to and from it directly. Posted buffers
 * elsewhere, and those whose registration failed, work too: they are copied through the device's
 * pool as indications come (R109). 0; -ENOSPC: too many pieces here or at the device; -EOPNOTSUPP:
 * the device does not know registration; or what the device answered.
 */
MUST_CHECK int host_memory_add(struct host *h, void *base, u64 bytes);
/* -ENOENT: not registered; -EBUSY: posted calls at the device name it. */
MUST_CHECK int host_memory_remove(struct host *h, void *base);

/*
 * Frames that the device or the lane gave back (FRAME_TO_HOST): of a connection in a move they are
 * parked, in order; of a connection in the chimney that came by another way (R39) they are
 * forwarded; all others are handed to the host's stack at once. IP fragments of TCP are put
 * together first, while anything is offloaded (R53). The host takes the buffers over: every verdict
 * is FRAME_CONSUMED afterwards.
 */
void host_frames(struct host *h, struct rx_frame *frames, u32 n);

/* -- moves ------------------------------------------------------------------------------------- */

/* One connection of a move, and what became of it. */
struct host_move {
	handle conn;
	u16 status; /* enum status; PENDING until it is decided */
	u16 flags;  /* enum move_flags of the backend */
	u32 chunk;  /* which chunk of the move it was in */
	u64 detail;
	u64 move_ns;  /* its chunk's time divided by the connections of the chunk */
	u64 stall_ns; /* from hold until its new owner could run it */
};

/* Steps whose time is added up. */
enum host_step_name {
	HOST_STEP_INSPECT,
	HOST_STEP_RESERVE, /* offload: the device allocates and hands out handles */
	HOST_STEP_HOLD,
	HOST_STEP_FENCE, /* what was left to wait for */
	HOST_STEP_FREEZE,
	HOST_STEP_TRANSFER, /* offload: the device takes DELEGATED over */
	HOST_STEP_DETACH,
	HOST_STEP_OWN,
	HOST_STEP_FORWARD, /* parked frames to the device */
	HOST_STEP_UPLOAD,
	HOST_STEP_IMPORT,
	HOST_STEP_COMMIT,
	HOST_STEP_INJECT, /* parked frames to the host's stack */
	HOST_STEP_RELEASE,
	HOST_STEPS,
};
const char *host_step_word(enum host_step_name step);

struct host_report {
	u32 moved, refused, chunks;
	u64 elapsed_ns;
	u64 step_ns[HOST_STEPS];
};

/*
 * Starts a move of `n` connections, which host_step() or host_run() carries out. The array stays
 * the host's until host_busy() is false; each entry then has its result. 0; -EBUSY: another move is
 * under way.
 *
 * Offload: what cannot move stays in the host with its reason and goes on there. Upload: what fails
 * goes on at the device. A connection that is already on the wanted side: OK. By name or by rule
 * says what policy may ask.
 */
MUST_CHECK int host_offload(struct host *h, struct host_move *moves, u32 n, bool by_admin);
MUST_CHECK int host_upload(struct host *h, struct host_move *moves, u32 n);

enum host_progress {
	HOST_IDLE,    /* nothing to do */
	HOST_MORE,    /* call again; serve the lane in between */
	HOST_WAITING, /* a call to the device has not completed */
};

/* Carries out about one chunk of the move under way, or of uploads that the device or a change of
 * the host asked for. Call it in every turn of the lane. */
enum host_progress host_step(struct host *h);

/* When host_step() has something to do by itself; UINT64_MAX: never. An upload that the device
 * asked for and that had to be undone is tried again after a while; fragments wait for so long. */
u64 host_next_deadline(const struct host *h);

/* Steps until nothing is left to do, waiting by env.wait. -EDEADLK: the device has not completed
 * and there is no env.wait. */
MUST_CHECK int host_run(struct host *h);

/* Is a move under way (of the caller's, not of the device's requests)? */
bool host_busy(const struct host *h);

/* Time spent in a step by all moves so far. */
u64 host_step_ns(const struct host *h, enum host_step_name step);

/* Of the last move. */
void host_report(const struct host *h, struct host_report *ret_report);

/* Uploads paths and neighbors that nothing hangs on any more (R43); a no-op unless
 * config.parents_late. */
void host_reap(struct host *h);

/* -- changes in the host ----------------------------------------------------------------------- */

/*
 * Each is one write here and one message to the device, however many connections depend on the
 * object (R59); recorded and pushed after completion while a call on the object is under way (R30).
 * An object that the device does not have is changed in the host only. -ENOENT: the host knows no
 * such object.
 */
int host_neighbor_changed(struct host *h, const struct neighbor_key *key,
                          const struct mac_addr *mac, u8 header_format);
int host_path_mtu(struct host *h, const struct path_key *key, u32 path_mtu);

/* The settings of a connection; one-shots are passed on once. -ESTALE. */
MUST_CHECK int host_conn_settings(struct host *h, handle conn, const struct tcp_cached *cached);

/*
 * The next hop of these paths changed: the new neighbor is offloaded if the device does not have
 * it, then all paths are re-parented in one update, then the old neighbor is uploaded when nothing
 * hangs on it (R66, R77). Unknown keys are passed over. -ENOSPC: no room for the neighbor.
 */
int host_route_changed(struct host *h, const struct path_key *paths, u32 n,
                       const struct neighbor_key *to, const struct neighbor_state *state);

/* The link of a port: recorded, and left to policy (R75). */
void host_link(struct host *h, u32 port, bool up);

/* Stops all transmission over an object (R35); the device then asks for the upload of what depends
 * on it. -ENOENT, -ESTALE; 0 also where the device does not have it. */
int host_invalidate_neighbor(struct host *h, const struct neighbor_key *key);
int host_invalidate_path(struct host *h, const struct path_key *key);
int host_invalidate(struct host *h, handle conn);

/* Walks the paths that the host knows: *cursor starts at 0. False at the end. For what follows
 * routes and MTUs. */
struct host_path_info {
	struct path_key key;
	struct neighbor_key neighbor;
	u32 path_mtu;
	u32 offloaded; /* connections below it at the device */
	bool at_device;
};
bool host_path_next(const struct host *h, u32 *cursor, struct host_path_info *ret_info);

/* The next IP ID of the host's own half for a path (R61): what the host's stack puts into packets
 * of its own, so that it never uses one that the device may use. -ENOENT. */
int host_path_ip_id(struct host *h, const struct path_key *key, u16 *ret_id);

/* -- looking ----------------------------------------------------------------------------------- */

/* What the device has of a connection (CONST and CACHED as well; data_refs must not be followed).
 * Waits by env.wait. -ESTALE; -ENXIO: not in the chimney; -EIO: the device could not answer. */
MUST_CHECK int host_query(struct host *h, handle conn, struct tcp_state *ret_state);

/*
 * Calls `reached` for each neighbor through which the device saw forward progress no longer than
 * `within_ns` ago (RFC 4861 7.3.1): the host's stack sees none of it. Waits by env.wait.
 */
void host_reached(struct host *h, u64 within_ns,
                  void (*reached)(void *ctx, const struct neighbor_key *key), void *ctx);

/*
 * All that the device has, as one forest: CONST and CACHED of the host, DELEGATED of connections by
 * host_query(). No payload: data_refs are empty. `list` is the caller's; its handles are those of
 * the objects. -ENOSPC: it has too little room (host_usage() says how much is needed).
 */
MUST_CHECK int host_snapshot(struct host *h, struct block_list *list);

#define HOST_COUNTERS(COUNTER)                                                                 \
	COUNTER(adopted, "Connections adopted.")                                               \
	COUNTER(offloads, "Connections offloaded.")                                            \
	COUNTER(offloads_refused, "Connections that stayed in the host, each with a reason.")  \
	COUNTER(offloads_unquiet, "Offloads of what did not calm down in time.")               \
	COUNTER(offloads_rolled_back, "Offloads that failed after the connection was frozen.") \
	COUNTER(uploads, "Connections uploaded.")                                              \
	COUNTER(uploads_rolled_back, "Uploads whose import failed: the device went on.")       \
	COUNTER(upload_requests, "Uploads that the device asked for.")                         \
	COUNTER(upload_requests_ignored, "Of them, those that a policy did not grant.")        \
	COUNTER(paths_offloaded, "Paths offloaded.")                                           \
	COUNTER(paths_uploaded, "Paths uploaded.")                                             \
	COUNTER(neighbors_offloaded, "Neighbors offloaded.")                                   \
	COUNTER(neighbors_uploaded, "Neighbors uploaded.")                                     \
	COUNTER(linkers, "Paths and neighbors that an offload found at the device.")           \
	COUNTER(updates, "Update calls to the device, whatever the number of dependents.")     \
	COUNTER(updates_recorded, "Changes recorded during a move and pushed afterwards.")     \
	COUNTER(updates_failed, "Updates that the device refused.")                            \
	COUNTER(invalidates, "Invalidate calls to the device.")                                \
	COUNTER(calls_queued, "Posted calls queued in the switch.")                            \
	COUNTER(calls_returned, "Posted calls that an upload handed back.")                    \
	COUNTER(calls_inside, "Posted receives that travelled inside a request.")              \
	COUNTER(bytes_copied, "Bytes of posted calls that the device could not reach.")        \
	COUNTER(would_block, "Socket-like calls answered -EAGAIN because of a move.")          \
	COUNTER(frames_parked, "Frames held back during moves.")                               \
	COUNTER(frames_forwarded, "Parked frames and strays handed to the device.")            \
	COUNTER(frames_kept, "Forwarded frames that came back with an upload.")                \
	COUNTER(frames_injected, "Frames handed to the host's stack.")                         \
	COUNTER(fragments_joined, "IP fragments that became segments of offloaded flows.")     \
	COUNTER(fragments_given_up, "IP fragments that did not: twice, overlapping, alone.")   \
	COUNTER(frames_not_parked, "Frames dropped because too many were parked.")             \
	COUNTER(frames_not_taken, "Frames dropped because the host's stack took them not.")    \
	COUNTER(stale, "Completions and indications of objects that are gone.")                \
	COUNTER(chunks, "Chunks moved.")

struct host_counters {
#define COUNTER(name, sentence) u64 name;
	HOST_COUNTERS(COUNTER)
#undef COUNTER
};
const struct host_counters *host_counters(const struct host *h);

/* How many calls of a kind passed a layer of the host on their way down (R24, R71, R72). */
u64 host_ladder_count(const struct host *h, enum block_call call, enum host_layer layer);

struct host_usage {
	u32 connections, offloaded, paths, neighbors, paths_at_device, neighbors_at_device;
	u32 posted, parked; /* pool entries in use */
};
void host_usage(const struct host *h, struct host_usage *ret_usage);

/* What is wrong with the reference counts: NULL when each is that of the objects below it, else a
 * static sentence. Walks everything; changes nothing. */
const char *host_check(const struct host *h);

/* -- the event log (R73) ----------------------------------------------------------------------- */

enum host_event_kind {
	HOST_EVENT_OFFLOAD_REFUSED,  /* reason: enum status */
	HOST_EVENT_OFFLOAD_UNDONE,   /* reason: enum status; it goes on in the host */
	HOST_EVENT_UPLOAD_REQUESTED, /* by the device; reason: enum upload_reason */
	HOST_EVENT_UPLOAD_IGNORED, /* reason: enum upload_reason; detail: enum status of the policy
	                            */
	HOST_EVENT_UPLOAD_UNDONE,  /* reason: enum status; it goes on at the device */
	HOST_EVENT_ABORTED,        /* detail: the device's cause */
	HOST_EVENT_UPDATE_FAILED,  /* reason: enum status */
	HOST_EVENT_INVALIDATED,
	HOST_EVENT_NEIGHBOR_CHANGED,
	HOST_EVENT_PATH_MTU,      /* detail: bytes */
	HOST_EVENT_ROUTE_CHANGED, /* detail: paths */
	HOST_EVENT_LINK_DOWN,     /* detail: port */
	HOST_EVENT_LINK_UP,
	HOST_EVENT_PAUSED,
	HOST_EVENT_RESUMED,
	HOST_EVENT_HEARTBEAT_LOST,
	HOST_EVENT_PARKED_DROPPED, /* the first of a burst */
	HOST_EVENT_MODEL_LOST, /* uploaded; reason: enum tcp_cc_algorithm; detail: bytes/s known */
	HOST_EVENTS,
};

struct host_event {
	u64 number; /* rises by one from 1 on */
	u64 time_ns;
	handle object; /* of a connection; index of a path or neighbor */
	u8 kind;       /* enum host_event_kind */
	u8 layer;      /* enum layer of the object */
	u16 reason;
	u8 by_admin; /* an upload was granted though the offload was directed by an administrator */
	u8 pad[3];
	u64 detail;
};
_Static_assert(sizeof(struct host_event) == 40, "");

/* Entries with a number above `after`, oldest first; how many. A gap: the ring was too small. */
u32 host_log_read(const struct host *h, u64 after, struct host_event *ret, u32 n);
/* "upload-requested", and what it says. Never NULL. */
const char *host_event_word(enum host_event_kind kind);

#endif

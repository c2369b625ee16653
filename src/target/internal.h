/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of the target share. Nothing outside src/target includes it. */
#ifndef TARGET_INTERNAL_H
#define TARGET_INTERNAL_H

#include "base/assert.h"
#include "base/slot.h"
#include "offload/legal.h"
#include "offload/offload.h"
#include "offload/request.h"
#include "target/target.h"
#include "tcp/engine.h"

enum {
	UPLOADS_MAX = 64,  /* uploads that may wait at a time */
	UPLOADS_SPARE = 8, /* of them for lists of connections only */
	ACKS_MAX = 64,     /* frames of owed ACKs that wait for the next flush */
	EVENTS_BATCH = 64, /* taken from the engine at a time */
	DONE_MAX = 256,    /* powers of two */
	IND_MAX = 256,
	TELL_BATCH = 32, /* handed over at a time */
	DEPTH_MAX = 4,   /* callbacks within callbacks, before things wait for the outer one */
	/* What one connection may add while it is served, without a look at the room again. */
	IND_ROOM = 8,
	DONE_ROOM = 16,
	FORWARD_BATCH = 32,
	REGIONS_MAX = 64,  /* pieces of registered memory */
	SCAN_BATCH = 1024, /* connections looked at in one cycle by the scan of invalidate.c */
};

/* -- what lies in the arena -------------------------------------------------------------------- */

struct target_header {
	u64 magic;
	u32 version;
	u32 connections, paths, neighbors, posted;
	u32 small, large;
	u32 pad;
	u64 arena_bytes;
};

enum conn_flag {
	TC_KICKED = 1 << 0,    /* on the kick list */
	TC_ARMED = 1 << 1,     /* the next readable bytes are indicated */
	TC_FIN_SEEN = 1 << 2,  /* the peer's FIN is in order */
	TC_FIN_SAID = 1 << 3,  /* and was indicated */
	TC_PUSHED = 1 << 4,    /* a PSH lies among the unread bytes */
	TC_WANT_ROOM = 1 << 5, /* a buffered send was cut short */
	TC_SHUT = 1 << 6,      /* tcp_shutdown() was called */
	TC_FIN_ACKED = 1 << 7,
	TC_ASKED = 1 << 8,     /* an upload was asked for */
	TC_TIMED = 1 << 9,     /* on the push list */
	TC_ABORTING = 1 << 10, /* we abort it */
	TC_CLOSED = 1 << 11,   /* the engine says that nothing more will happen */
	TC_ORPHANED = 1 << 13, /* its posted calls are a former owner's */
	TC_STARVED = 1 << 12,  /* on the list of those that wait for buffers, not for ACKs */
};

/* What a connection did in this period (watch.c). */
struct target_activity {
	u64 quiet_until_ns; /* no request before */
	u32 bytes, calls;
	u32 unposted;
	u32 disorder;
	u16 losses;
	u16 fragments;
	u8 row;     /* bad periods in a row before this one, with the same reason */
	u8 reason;  /* enum upload_reason */
	u8 watched; /* since the beginning of the period */
	u8 pad;
};
_Static_assert(sizeof(struct target_activity) == 32, "");

/* A connection. The first line is what calls and events touch. */
struct target_conn {
	handle host;
	u32 eng;  /* the engine's connection, NIL: reserved only */
	u32 path; /* target_path */
	u8 state; /* enum object_state; what path and neighbor add: conn_state() */
	u8 error; /* errno that ended it */
	u16 flags;
	u32 events; /* tcp_event_bits to be served */
	u32 send_head, send_tail;
	u32 recv_head, recv_tail;
	u32 accepted; /* bytes given to the engine, modulo 2^32; acknowledged: less what is pending
	               */
	u32 kick_next;
	u32 indicate_bytes;
	u16 n_posted;
	u8 backlog; /* log2 of the congestion window that the last hint was for */
	u8 pad;
	u32 push_prev, push_next;

	u64 push_at_ns;
	u32 recv_promised, send_promised;
	u8 reason; /* enum upload_reason asked for */
	u8 before; /* state before the upload */
	u8 upload; /* which upload it is in, and its block there: true only if that block names it
	            */
	u8 pad1;
	u32 starved_next;
	u32 upload_block;
	u32 pad2;
	struct target_activity activity;
} ALIGNED(64);
_Static_assert(offsetof(struct target_conn, push_at_ns) == 64, "first line");
_Static_assert(sizeof(struct target_conn) == 128, "two lines");

struct target_path {
	handle host;
	u32 eng;
	u32 neighbor;
	u32 refs;    /* connections */
	u32 counted; /* of them in the upload that is looked at */
	u8 state;
	u8 before;
	u16 pad;
	u32 pad2;
	struct ip_addr local;
	u64 pad3[2];
};
_Static_assert(sizeof(struct target_path) == 64, "one line");

struct target_neighbor {
	handle host;
	u32 eng;
	u32 refs; /* paths */
	u32 counted;
	u8 state;
	u8 before;
	u8 asked; /* reachability was asked for, no answer yet */
	u8 pad;
	u64 check_at_ns;     /* look at both confirmations again then */
	u64 host_reached_ns; /* when the host last confirmed */
	struct mac_addr source;
	u8 pad2[2];
	struct vlan_stack vlans;
	u32 pad3;
};
_Static_assert(sizeof(struct target_neighbor) == 64, "one line");

/* A posted call. */
struct target_call {
	u64 data; /* address in the owner's memory: means nothing to another process */
	u64 cookie;
	u32 len;
	u32 done; /* bytes copied so far */
	u32 end;  /* send: value of `accepted` behind its last copied byte */
	u32 next;
	u8 kind;  /* enum data_kind */
	u8 taken; /* not on the free list */
	u16 flags;
	u32 region; /* that `data` lies in; NIL: it is our own process' memory */
};
_Static_assert(sizeof(struct target_call) == 40, "");

/* -- private ------------------------------------------------------------------------------------
 */

/* A counted set of byte strings: what the limits on addresses, MACs and VLANs are held against. */
struct intern_entry {
	u32 refs;
	u8 key[20];
};

struct intern {
	struct intern_entry *entry;
	u32 cap;
	u32 used;
	u32 last; /* where the last hit was */
};

/* A piece of the owner's memory, and where it lies in ours. */
struct target_region {
	u64 owner;
	u8 *local; /* NULL: unused */
	u64 bytes;
};

struct target_upload {
	struct offload_request *request; /* NULL: unused */
	u32 cursor;     /* block to be quiesced next, in walk order; NIL: all are */
	u32 acks_until; /* t->acks_sent must reach this before the snapshot */
	bool snapped;   /* connections are snapshotted; parents may wait */
	bool retry;     /* something may have gone since parents were looked at */
	struct block_walk walk;
};

/* Completions and indications wait in rings. They are handed over from a copy, so that a callback
 * may cause new ones, and even have them handed over, while it reads. */
struct done_ring {
	struct data_completion a[DONE_MAX];
	u32 head, n;
};

struct ind_ring {
	struct indication a[IND_MAX];
	u32 head, n;
};

struct target {
	struct target_config config;
	struct tcp_engine *engine;
	struct buf_pool *pool; /* own_pool, or the one that was given */
	struct buf_pool own_pool;
	struct target_header *header;
	struct slots conn_slots, path_slots, neighbor_slots;
	struct target_conn *conns;
	struct target_path *paths;
	struct target_neighbor *neighbors;
	struct target_call *calls;
	u32 *slot_of; /* engine connection -> target_conn */
	u8 *scratch;  /* list_blocks bytes, of block_list_check() */
	struct intern addresses, macs, vlans;
	struct target_region regions[REGIONS_MAX];
	u32 call_free, calls_used;
	u32 kick_head, kick_tail;
	u32 starved;              /* list, by starved_next */
	u32 push_head, push_tail; /* connections whose push timer runs, in order of time */
	u32 n_invalid;            /* paths and neighbors that are invalid */
	u32 scan_at;              /* next connection that the scan looks at, NIL: no scan */
	u32 watch_at;             /* the same of watch.c */
	u64 watch_next_ns;
	u64 recv_promised, send_promised;
	u64 bufs_promised; /* small buffers, where each connection has its own (R64) */
	u64 pool_bytes;
	u64 now_ns;
	u32 features;
	bool paused;
	struct host_side host;
	u32 depth; /* callbacks we are in */
	u64 told;  /* completions and indications given to the host side */
	struct done_ring done;
	struct ind_ring ind;
	struct target_upload uploads[UPLOADS_MAX];
	u32 n_uploads;
	struct tx_frame acks[ACKS_MAX];
	u32 n_acks;
	u32 acks_made, acks_sent; /* frames ever put in and taken out of `acks` */
	struct target_stats stats;
};

/* -- target.c ---------------------------------------------------------------------------------- */

static inline u32 conn_index(const struct target *t, const struct target_conn *c)
{
	return (u32)(c - t->conns);
}

static inline struct target_conn *conn_find(const struct target *t, handle h)
{
	u32 i = slots_find(&t->conn_slots, h);

	return likely(i != NIL) ? &t->conns[i] : NULL;
}

static inline struct target_path *path_find(const struct target *t, handle h)
{
	u32 i = slots_find(&t->path_slots, h);

	return i != NIL ? &t->paths[i] : NULL;
}

static inline struct target_neighbor *neighbor_find(const struct target *t, handle h)
{
	u32 i = slots_find(&t->neighbor_slots, h);

	return i != NIL ? &t->neighbors[i] : NULL;
}

/* Keep the count of invalid objects. */
void path_set_state(struct target *t, struct target_path *p, enum object_state state);
void neighbor_set_state(struct target *t, struct target_neighbor *n, enum object_state state);

/* The row of the legality table: its own state, or INVALID because of what it hangs on. */
u8 path_state_of(const struct target *t, const struct target_path *p);
u8 conn_state_slow(const struct target *t, const struct target_conn *c);
static inline u8 conn_state(const struct target *t, const struct target_conn *c)
{
	return likely(!t->n_invalid) ? c->state : conn_state_slow(t, c);
}

/* Lists as untrusted input. False: the list was completed as malformed. */
bool target_check_list(struct target *t, struct offload_request *request, enum block_call call);
void target_complete(struct target *t, struct offload_request *request);

u32 connection_bytes(const struct target *t);

/* -- rebuild.c --------------------------------------------------------------------------------- */

void rebuild_derived(struct target *t);
void rebuild_settle(struct target *t);

/* -- intern.c ---------------------------------------------------------------------------------- */

/* Counts `key` once more. -ENOSPC: a new one and the set is full. */
int intern_get(struct intern *set, const void *key, u32 len) MUST_CHECK;
void intern_put(struct intern *set, const void *key, u32 len);
void intern_reset(struct intern *set);

/* -- admit.c: a status and its detail ---------------------------------------------------------- */

enum status admit_neighbor(struct target *t, const struct neighbor_state *s, u64 *ret_detail);
enum status admit_path(struct target *t, const struct path_state *s, u64 *ret_detail);
enum status admit_tcp(struct target *t, const struct tcp_state *s, u64 *ret_detail);
enum status admit_delegated(const struct target *t, const struct tcp_delegated *d, u64 *ret_detail);
enum status admit_cached(const struct target *t, const struct tcp_cached *c, u64 *ret_detail);
/* Takes the receive and send buffers' share; 0 gives nothing. */
enum status admit_promise(struct target *t, struct target_conn *c, const struct tcp_cached *s,
                          u64 *ret_detail);
void admit_release(struct target *t, struct target_conn *c);
/* Buffers that a connection's promises stand for at worst. */
u32 admit_bufs(const struct target *t, const struct target_conn *c);
void vlan_key(const struct vlan_stack *stack, struct vlan_stack *ret_key);

/* -- object.c: making and freeing ---------------------------------------------------------------
 */

enum status neighbor_reserve(struct target *t, const struct neighbor_state *s, handle host,
                             handle *ret, u64 *ret_detail);
enum status path_reserve(struct target *t, const struct path_state *s, u32 neighbor, handle host,
                         handle *ret, u64 *ret_detail);
enum status conn_reserve(struct target *t, const struct tcp_state *s, u32 path, handle host,
                         handle *ret, u64 *ret_detail);
enum status neighbor_live(struct target *t, struct target_neighbor *n,
                          const struct neighbor_state *s, u64 *ret_detail);
enum status path_live(struct target *t, struct target_path *p, const struct path_state *s,
                      u64 *ret_detail);
enum status conn_live(struct target *t, struct target_conn *c, const struct tcp_state *s,
                      const struct buf_pool *from, u64 *ret_detail);
void neighbor_free(struct target *t, struct target_neighbor *n);
void path_free(struct target *t, struct target_path *p);
void conn_free(struct target *t, struct target_conn *c);
/* Roll-back of an upload: as if nothing had happened. */
void conn_resume(struct target *t, struct target_conn *c);

/* -- copy.c: payload that lies in another pool --------------------------------------------------
 */

enum status copy_payload(struct target *t, const struct buf_pool *from, struct tcp_state *s);
void copy_release(struct target *t, struct tcp_state *s);

/* -- the entry points ---------------------------------------------------------------------------
 */

int target_offload(void *device, struct offload_request *request);
int target_transfer(void *device, struct offload_request *request);
int target_upload(void *device, struct offload_request *request);
void target_commit(void *device, struct offload_request *request);
/* R108: posts the buffers that came inside the request. They are filled in the next cycle, when
 * the host knows that it is offloaded (semantics 5.4). */
void post_inside(struct target *t, struct offload_request *request);
/* A receive call into the connection's queue; false: over the limit, and completed so. */
bool receive_queue(struct target *t, struct target_conn *c, const struct recv_call *r);
extern const struct layer_ops neighbor_ops, path_ops, tcp_ops;
extern const struct data_ops target_data_ops;

int update_layer(struct target *t, struct offload_request *request, enum layer layer);
int invalidate_layer(struct target *t, struct offload_request *request, enum layer layer);
int query_layer(struct target *t, struct offload_request *request, enum layer layer);

/* R41: a forwarded segment that meets the upload of its connection. False: no room, or it is over.
 */
bool upload_keep(struct target *t, const struct target_conn *c, const struct rx_frame *frame);
/* Goes on with uploads that wait for ACKs to be sent or for dependents to go. */
void uploads_run(struct target *t);
/* Stops the connections for whose ACKs there was no room. Calls nobody. */
void uploads_stop(struct target *t);
/* Next stretch of the scan for connections that hang on something invalid. */
void invalidate_scan(struct target *t);

/* -- watch.c -------------------------------------------------------------------------------------
 */

/* Looks at what connections did, when a period is over; when the next one is. */
void watch_scan(struct target *t);
u64 watch_deadline(const struct target *t);
/* Bytes that a call moved. */
static inline void watch_bytes(struct target *t, struct target_conn *c, u32 bytes, bool posted)
{
	if (likely(!t->config.watch.period_ns))
		return;
	c->activity.bytes += bytes;
	c->activity.calls++;
	c->activity.unposted += posted ? 0 : bytes;
}

static inline void watch_events(struct target *t, struct target_conn *c, u32 events)
{
	c->activity.losses += !!(events & TCP_EV_LOSS);
	c->activity.disorder += !!(events & TCP_EV_DISORDER);
}

/* -- calls.c: posted calls ----------------------------------------------------------------------
 */

void calls_reset(struct target *t);
/* Makes the free list from the marks `taken`. */
void calls_rebuild(struct target *t);
struct target_call *call_post(struct target *t, struct target_conn *c, enum data_kind kind);
/* -- memory.c ---------------------------------------------------------------------------------- */

/* Where the bytes of a posted call lie for us. */
u8 *call_bytes(const struct target *t, const struct target_call *call);
/* Finds the region of a buffer; false: it may not be posted. */
bool memory_find(struct target *t, const void *data, u32 len, u32 *ret_region);
int memory_add(void *device, void *base, u64 bytes);
int memory_remove(void *device, void *base);

/* -- calls.c ----------------------------------------------------------------------------------- */

/* Gives the engine what it will take, completes what is acknowledged. False: no room for
 * completions, again later. */
bool calls_pump(struct target *t, struct target_conn *c);
/* Fills posted receives. False as above. */
bool calls_fill(struct target *t, struct target_conn *c);
/* Completes everything with `status`, in order. */
void calls_end(struct target *t, struct target_conn *c, enum status status);
/* Hands back what a former owner posted: its memory is not ours to read or write. */
void calls_orphaned(struct target *t, struct target_conn *c);
void push_timer_stop(struct target *t, struct target_conn *c);
void push_timers(struct target *t);

/* -- indicate.c ---------------------------------------------------------------------------------
 */

void kick(struct target *t, struct target_conn *c);
/* Looked at again each cycle: it waits for buffers that others have to free. */
void starve(struct target *t, struct target_conn *c);
/* May call the host when the ring is full: serve() makes sure that it is not. */
void complete_call(struct target *t, struct data_completion done);
void indicate(struct target *t, enum indication_kind kind, handle host, u64 detail);
/* Hands over what has gathered, unless we are deep in callbacks. */
void tell_host(struct target *t);
/* Completions of calls, however deep. */
void tell_completions(struct target *t);
static inline bool done_room(const struct target *t)
{
	return t->done.n < DONE_MAX;
}
void ask_upload(struct target *t, struct target_conn *c, enum upload_reason reason);
void serve(struct target *t, struct target_conn *c);
/* Asks once whether the neighbor is reachable when nobody has confirmed it lately. */
void check_reachable(struct target *t, struct target_neighbor *n);

#endif

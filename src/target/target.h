/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The software offload target: a TCP engine, the tables of what was offloaded to it, and its
 * buffers, behind the dispatch tables of offload/offload.h.
 *
 * Everything that must outlive the target's process lies in one arena that the caller gives
 * (a memfd, or plain memory): the engine's tables, the target's tables, the descriptors of posted
 * calls, and the buffer pool, whose bytes are one page-aligned region that can be registered as
 * AF_XDP UMEM. Inside the arena everything is named by index. Only objects and buffers are
 * authoritative: lookup, free lists, timers, reference counts and sums are rebuilt by a scan.
 *
 * The cycle of a lane (no system call, no clock in here; time is the caller's):
 *
 *   target_input(t, frames, n, now)    frames that are not consumed keep TO_HOST or DROPPED
 *   target_timers(t, now)
 *   target_poll_events(t, now)         completions and indications, in arrays, to the host side
 *   target_flush(t, tx, now)           frames; the caller gives them to the ports
 *   ... sleep until target_next_deadline(t)
 *
 * Calls of the dispatch tables may be made at any point between these, also from within the host
 * side's callbacks. They use the time of the last cycle: a caller that slept calls
 * target_set_time() first. Offload, update, invalidate, query and commit complete before they
 * return. An upload does too, unless an ACK is owed: then it completes in the cycle after the one
 * that sent the ACK, so that no packet leaves after the snapshot.
 *
 * Errors in the `taken` of a buffered send or an immediate receive, and the status that the same
 * call completes with when it is not immediate:
 *   -ESTALE        STALE_HANDLE         the handle names nothing
 *   -EAGAIN        BUSY                 offload in progress, or too many calls posted
 *   -EINPROGRESS   UPLOAD_IN_PROGRESS   the connection is being uploaded, or has to be
 *   -ECONNRESET, -ETIMEDOUT  ABORTED
 *   -EPIPE         BAD_STATE            send after the FIN
 *   -EINVAL        BAD_STATE            not legal (offload/legal.h)
 *   -ESHUTDOWN     OK with 0 bytes      receive: end of stream
 *
 * Not thread-safe: a target belongs to one lane.
 */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include "base/buf.h"
#include "base/frame.h"
#include "offload/offload.h"
#include "tcp/engine.h"

/* Policies: what the target asks an upload for by itself, besides what it must (bits of .ask). */
enum target_ask {
	TARGET_ASK_FIN_UNREAD = 1 << 0, /* FIN, unread data, nothing posted (semantics 5.12) */
	TARGET_ASK_SOFT_ERROR =
		1 << 1, /* R1 of RFC 9293 3.8.3 passed: the path may be dead (R74) */
};

/*
 * What makes the target ask for the upload of a connection that it could go on with (semantics 1):
 * what the connection did in a period, against thresholds. 0 switches a threshold off; all are off
 * by default. Bytes and calls are those of the application; the reason is in the brackets.
 */
struct target_watch_config {
	u64 period_ns;      /* 0: nothing is measured */
	u32 low_bytes;      /* fewer bytes than that, both ways (low activity) */
	u32 losses;         /* so many recoveries and timeouts (high drop rate) */
	u32 small_bytes;    /* fewer bytes a call on average (small I/O) */
	u32 unposted_bytes; /* so many received bytes found nothing posted (no buffers posted) */
	u32 fragments;      /* so many IP fragments, put together by the host (fragmentation) */
	u32 disorder;       /* so many batches with segments out of order (out of order) */
	u32 periods;        /* in a row, before it asks; 0: 3 */
	u64 quiet_ns;       /* before it asks again what the host did not grant; 0: 60 s */
};

/* A zero means the default in the comment. */
struct target_config {
	u32 connections; /* 0: 16384 */
	u32 paths;       /* 0: connections */
	u32 neighbors;   /* 0: 256 */
	u32 addresses;   /* distinct local addresses; 0: 256 */
	u32 macs;        /* distinct source MACs; 0: 64 */
	u32 vlans;       /* distinct VLAN stacks; 0: 64 */
	u32 vlan_depth;  /* 0: VLAN_DEPTH_MAX */
	/* Buffers that it shares with the other devices of its lane, the caller's; then `bufs` says
	 * what the pool has, and the arena holds none. NULL: a pool of its own, in the arena. */
	struct buf_pool *pool;
	struct buf_pool_config bufs; /* 0: 4 small a connection; one large for 16 connections */
	u32 posted;                /* posted calls at a time, all connections; 0: 2 a connection */
	u32 posted_per_connection; /* 0: 64 */
	u32 list_blocks;           /* longest list; 0: 2 * connections + neighbors */
	u32 max_window_bytes;      /* 0: 1 GiB (RFC 7323 2.2) */
	u32 max_mtu_bytes;         /* 0: 65535 */
	/* Sum of the receive buffers of all connections, in percent of the pool's bytes; the same
	 * for send buffers. 0: 10000 (a hundred times); UINT32_MAX: no limit. */
	u32 oversubscription_percent;
	/* Posted buffers are taken from registered memory only: the host is another process. */
	bool registered_only;
	/* R64: each connection has buffers of its own. Admission sets aside what it can hold at
	 * worst, so none can take another's; no oversubscription. A refusal's detail is then the
	 * number of small buffers that there are for all. */
	bool per_connection_pool;
	u32 features;      /* feature_bits it pretends to lack are left out; 0: all it has */
	u64 push_timer_ns; /* a push buffer waits this long for more; 0: 50 ms */
	u64 reachable_ns;  /* a neighbor's confirmation is stale after; 0: 30 s (RFC 4861) */
	u32 ask;           /* target_ask bits */
	struct target_watch_config watch;
	struct tcp_engine_config engine; /* its tables' sizes are overwritten with those above */
};

struct target;

/* Fills the defaults in; the other functions do so themselves. */
void target_config_defaults(struct target_config *config);

/* Bytes of arena (a multiple of 4096), and of private memory (struct target and its scratch). */
size_t target_arena_bytes(const struct target_config *config);
size_t target_bytes(const struct target_config *config);

/*
 * A fresh target. `t`: target_bytes(), 64-byte aligned; `arena`: target_arena_bytes(),
 * 4096-aligned. Both are the caller's and outlive the target. -EINVAL: the configuration makes no
 * sense (no buffers, more connections than indices).
 */
int target_init(struct target *t, void *arena, const struct target_config *config) MUST_CHECK;

/*
 * A target over an arena that holds one (its owner died, or handed it over). Objects stay with
 * their handles. Half-done offloads are freed, uploads that were not committed resume. Posted
 * calls complete with UPLOAD_IN_PROGRESS, with what they hold: their memory is not touched any
 * more. An owner that goes on tells the host so by target_resume() after the first
 * target_poll_events(): the host then posts them again. -EINVAL: not an arena of this configuration.
 */
int target_attach(struct target *t, void *arena, const struct target_config *config,
                  u64 now_ns) MUST_CHECK;

/* Throws everything derived away and makes it anew by a scan; nothing else changes. */
void target_rebuild(struct target *t, u64 now_ns);

/* The dispatch tables of this target, and where its completions and indications go. */
struct device target_device(struct target *t);
void target_attach_host(struct target *t, struct host_side host);

/* -- the cycle --------------------------------------------------------------------------------- */

void target_set_time(struct target *t, u64 now_ns);
void target_input(struct target *t, struct rx_frame *frames, u32 n, u64 now_ns);
void target_timers(struct target *t, u64 now_ns);
/* Returns how many completions and indications went to the host side. */
u32 target_poll_events(struct target *t, u64 now_ns);
/* True: something is left to be sent; give the frames to the port and call again. */
bool target_flush(struct target *t, struct tx_batch *tx, u64 now_ns);
/* When the cycle must run next; 0: at once; UINT64_MAX: when a frame or a call comes. */
u64 target_next_deadline(const struct target *t);

/* -- what else the owner may do ---------------------------------------------------------------- */

struct buf_pool *target_pool(struct target *t);
struct tcp_engine *target_engine(struct target *t);
/* First byte and length of the pool's bytes, for UMEM registration. */
void *target_umem(struct target *t, size_t *ret_bytes);

/* The engine's connection of a handle, NIL: stale or not imported. */
u32 target_connection(const struct target *t, handle conn);

/* Pausing refuses offloads with -EBUSY and tells the host; resuming tells it to read the
 * capabilities again. */
void target_pause(struct target *t);
void target_resume(struct target *t);

/* Asks the host for one connection or for all (R35, R78), on behalf of a policy or administrator.
 * After a final reason (upload_reason_is_final()) data calls complete with UPLOAD_IN_PROGRESS.
 * -ESTALE: no such connection, -EBUSY: asked already, or on its way. */
int target_ask_upload(struct target *t, handle conn, enum upload_reason reason) MUST_CHECK;
void target_ask_upload_all(struct target *t, enum upload_reason reason);

/* The port's carrier came or went: reported, never answered with upload requests (R75). */
void target_link_changed(struct target *t, u32 port, bool up);

/* Registered memory: `owner` is its address in the host's process, `local` in ours. -EINVAL: empty,
 * or it overlaps with another piece; -ENOSPC: too many pieces. -ENOENT: not registered; -EBUSY:
 * posted calls name it. A new owner of the arena (target_attach()) starts with none. */
int target_memory_add(struct target *t, u64 owner, void *local, u64 bytes) MUST_CHECK;
int target_memory_remove(struct target *t, u64 owner) MUST_CHECK;

struct target_stats {
	u64 offloads[LAYERS];       /* objects taken over */
	u64 uploads[LAYERS];        /* objects given back and freed */
	u64 resumed[LAYERS];        /* uploads that were rolled back */
	u64 updates[LAYERS];        /* CACHED writes */
	u64 reparents;              /* paths re-parented */
	u64 engine_writes;          /* writes into engine objects by update and invalidate (R59) */
	u64 refused[STATUSES];      /* blocks of offloads, by status */
	u64 call_status[STATUSES];  /* blocks of the other state calls, by status */
	u64 malformed[BLOCK_RULES]; /* lists, by rule */
	u64 needs[HOST_LAYERS];     /* contributions of the host's layers seen (R107) */
	u64 indications[IND_KINDS];
	u64 upload_requests[UPLOAD_REASONS];
	u64 completions[DATA_KINDS];
	u64 completion_status[STATUSES]; /* by status */
	u64 forwarded, forward_refused;
	u64 forward_kept;   /* handed back with the upload that they met (R41) */
	u64 bytes_taken;    /* application to pool: one copy */
	u64 bytes_given;    /* pool to application: one copy */
	u64 bytes_imported; /* copied because the list's data lay in another pool */
	u64 posted_refused; /* posts over the limits */
	u64 unregistered;   /* posts whose buffer lies in no registered memory */
};
void target_stats(const struct target *t, struct target_stats *ret_stats);

struct target_usage {
	u64 recv_bytes_promised, send_bytes_promised; /* against the oversubscription */
	u64 bufs_promised;                            /* small buffers set aside (R64) */
	u32 connections, paths, neighbors, addresses, macs, vlans; /* in use */
	u32 posted;                                                /* descriptors in use */
	u32 small_free, large_free;                                /* buffers */
	u32 bytes_per_connection;                                  /* of arena, all included */
};
void target_usage(const struct target *t, struct target_usage *ret_usage);

/* What is wrong with the reference counts: NULL when each is that of the objects below it, else a
 * static sentence. Walks everything; changes nothing that is not its own. */
const char *target_check(struct target *t);

#endif

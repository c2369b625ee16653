/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The offload interface: what a host may ask of a device, and what a device tells its host.
 *
 * A device is a target, or an intermediate driver that is a device to those above and a host to
 * those below. Both sides exchange dispatch tables at attach time: one table of state calls, one of
 * data calls, one table a layer for update, invalidate and query (R50), and the host's table of
 * completions and indications. A driver inserts itself by putting its own tables in place of those
 * of the device below and chaining to them (R51), while connections live.
 *
 * Every state call takes a block list, is asynchronous, and completes once by handing the same list
 * back with a status in every block. Data calls come in batches. See the legality table in
 * offload/legal.h.
 */
#ifndef OFFLOAD_OFFLOAD_H
#define OFFLOAD_OFFLOAD_H

#include "base/frame.h"
#include "state/block.h"

/* The layers of the host that an offload passes on its way down (patent figure 3). */
enum host_layer {
	HOST_SWITCH,
	HOST_TRANSPORT,
	HOST_NETWORK,
	HOST_FRAMING,
	HOST_LAYERS,
};

/* What one host layer needs of the device for a request (R47, R107). */
struct offload_needs {
	u32 connections;
	u32 paths;
	u32 neighbors;
	u32 send_bytes;
	u32 recv_bytes;
	u32 posted_buffers;
	u32 features; /* feature_bits */
};

enum feature_bits {
	FEATURE_IPV4 = 1 << 0,
	FEATURE_IPV6 = 1 << 1,
	FEATURE_SACK = 1 << 2,
	FEATURE_TIMESTAMPS = 1 << 3,
	FEATURE_WSCALE = 1 << 4,
	FEATURE_ECN = 1 << 5,
	FEATURE_VLAN = 1 << 6,
	FEATURE_SNAP = 1 << 7,
	FEATURE_CUBIC = 1 << 8,
	FEATURE_NEWRENO = 1 << 9,
	FEATURE_BBR = 1 << 10,
	FEATURE_USEC_TS = 1 << 11,
	FEATURE_UPLOAD_FORWARD_BUFFERING = 1 << 12, /* R41 */
	FEATURE_BUFFERS_IN_REQUEST = 1 << 13,       /* R108 */
	FEATURE_CHECKPOINT = 1 << 14,               /* its state outlives it */
	/* It reaches posted buffers only in registered memory (R109); others are refused. */
	FEATURE_REGISTERED_BUFFERS = 1 << 15,
	FEATURE_PACING = 1 << 16, /* settings.max_pacing_rate */
};
/* The name of one feature bit, for details of NO_FEATURE. */
const char *feature_name(u32 bit);

/* What a device advertises (semantics 8). No hidden limits: every refusal names one of these. */
struct capabilities {
	u32 features;
	u32 max_connections, free_connections;
	u32 max_paths, free_paths;
	u32 max_neighbors, free_neighbors;
	u32 max_addresses, free_addresses; /* distinct local addresses */
	u32 max_macs, free_macs;           /* distinct source MACs */
	u32 max_vlans, free_vlans;         /* distinct VLAN stacks */
	u32 max_small_bufs, free_small_bufs;
	u32 max_large_bufs, free_large_bufs;
	u32 vlan_depth;
	u32 max_window_bytes;
	u32 max_mtu_bytes;
	u32 max_list_blocks;
	u32 max_posted_per_connection;
	u32 bytes_per_connection;
	u32 oversubscription_percent; /* advertised windows against pool bytes (semantics 5.6) */
	u32 ipsec_suites; /* bit set of enum cipher_suite; 0: nothing is sealed or opened */
};

/* A forwarded segment that met the upload of its connection (R41). */
struct kept_frame {
	u32 block; /* of the request's list */
	struct rx_frame frame;
};

/* One state call in flight. The host owns it and the list until the completion. */
struct offload_request {
	u8 call;      /* enum block_call */
	u8 two_phase; /* offload: reserve now, DELEGATED follows by transfer() (R27); paths and
	               * neighbors whose block has it already are taken over at once (R28) */
	u8 n_needs;
	/* The call that hands the state over (an offload in one phase, or the transfer): `posted`
	 * belongs to it (R108). Each entry completes once, as if it had been posted after the
	 * request; with UPLOAD_IN_PROGRESS when its connection was not taken over. */
	u8 posted_inside;
	struct block_list *list;
	struct offload_needs needs[HOST_LAYERS]; /* appended by each layer, top first */
	struct posted_recv *posted;
	u32 n_posted;
	/* Upload: room for segments that are forwarded while it is under way. A device with
	 * FEATURE_UPLOAD_FORWARD_BUFFERING takes them (OK) and hands them back here with the
	 * completion, in the order of their arrival; their buffers are the host's then. */
	u32 n_kept, cap_kept;
	struct kept_frame *kept;
	u64 cookie; /* the host's */
};

/* -- data calls -------------------------------------------------------------------------------- */

enum send_flags {
	SEND_BUFFERED = 1 << 0, /* copy what fits now, return it in `taken`; no completion */
	SEND_FIN = 1 << 1,      /* graceful disconnect after these bytes */
};

struct send_call {
	handle conn;
	const void *data; /* must stay until completion unless SEND_BUFFERED */
	u32 len;
	u32 flags;
	u64 cookie;
	s64 taken; /* out, SEND_BUFFERED: bytes or -Exxx */
};

enum recv_flags {
	RECV_NOW = 1 << 0,  /* copy what is there, return it in `taken`; no completion */
	RECV_PUSH = 1 << 1, /* complete on PSH or the push timer, else only when full */
	RECV_PEEK = 1 << 2, /* with RECV_NOW: do not consume */
};

struct recv_call {
	handle conn;
	void *data;
	u32 len; /* 0: re-arm indications */
	u32 flags;
	u64 cookie;
	s64 taken;
};

struct posted_recv {
	u32 block; /* of the request's list */
	struct recv_call call;
};

struct disconnect_call {
	handle conn;
	u64 cookie;
	bool abortive;
};

/* A segment that reached the host by another way, or was parked during a move (R39, R29). */
struct forward_call {
	handle conn;
	struct rx_frame *frame; /* consumed when status becomes OK */
	u16 fragments;          /* IP fragments that the host put together for it; 0: one packet */
	u16 status;             /* out: OK, UPLOAD_IN_PROGRESS, ABORTED, STALE_HANDLE */
};

struct data_completion {
	u8 kind;    /* enum data_kind */
	u16 status; /* OK, UPLOAD_IN_PROGRESS, ABORTED, BAD_STATE */
	u32 bytes;  /* recv: filled; send: acknowledged bytes */
	/* Send that ended with UPLOAD_IN_PROGRESS: bytes after the acknowledged ones that travel in
	 * the connection's state (DELEGATED, send). Only what lies beyond bytes + queued goes back
	 * to the host to be sent again. Also when the upload is rolled back. Disconnect: 1 when the
	 * FIN travels with the state. */
	u32 queued;
	u64 cookie;
	handle host; /* the host's handle of the connection */
};

enum data_kind {
	DATA_SEND,
	DATA_RECV,
	DATA_DISCONNECT,
	DATA_KINDS,
};

/* -- indications (device to host, unasked) ------------------------------------------------------
 */

enum indication_kind {
	IND_RECEIVE,        /* unread data, nothing posted: detail = bytes */
	IND_SEND_ROOM,      /* snd_una moved: detail = bytes of room */
	IND_PEER_CLOSED,    /* FIN, after every byte was consumed */
	IND_ABORTED,        /* detail = ECONNRESET or ETIMEDOUT */
	IND_UPLOAD_REQUEST, /* detail = enum upload_reason */
	IND_UPLOAD_ALL,     /* detail = enum upload_reason */
	IND_PAUSE,
	IND_RESUME,          /* capabilities changed */
	IND_REACHABLE_QUERY, /* host = neighbor: is it reachable? answered at once */
	IND_SEND_BACKLOG,    /* detail = bytes worth having in flight */
	IND_LINK_DOWN,       /* detail = port; never an upload request (R75) */
	IND_LINK_UP,
	IND_HEARTBEAT_LOST,
	IND_KINDS,
};

enum upload_reason {
	UPLOAD_HARDWARE_FAILURE, /* the device may not go on after these */
	UPLOAD_INVALID_STATE,
	UPLOAD_URGENT,
	UPLOAD_TIMEOUT,
	UPLOAD_DEVICE,
	UPLOAD_TIME_WAIT, /* closed both ways: TIME_WAIT, or CLOSED after LAST_ACK, is the host's */
	UPLOAD_FIN_UNREAD,   /* FIN with unread data and nothing posted (semantics 5.12) */
	UPLOAD_LOW_ACTIVITY, /* it may go on after these */
	UPLOAD_HIGH_DROP_RATE,
	UPLOAD_SMALL_IO,
	UPLOAD_NO_BUFFERS,
	UPLOAD_FRAGMENTATION,
	UPLOAD_OUT_OF_ORDER,
	UPLOAD_REASONS,
};
const char *upload_reason_word(enum upload_reason reason);
/* What it says, why, and what to do next. */
const char *upload_reason_sentence(enum upload_reason reason);
bool upload_reason_is_final(enum upload_reason reason);

struct indication {
	u8 kind; /* enum indication_kind */
	handle host;
	u64 detail;
};

/* -- dispatch tables --------------------------------------------------------------------------- */

/* The host's side. */
struct host_ops {
	void (*complete)(void *host, struct offload_request *request);
	void (*data_complete)(void *host, const struct data_completion *done, u32 n);
	/* IND_RECEIVE: the host takes all, some or none of the bytes with RECV_NOW, now or later;
	 * after "none" only a receive call (a zero-length one will do) re-arms the indication.
	 * Taking some re-arms it for bytes that arrive later; a zero-length call also for those
	 * that are there. The callbacks may make any call of the device. */
	void (*indicate)(void *host, const struct indication *ind, u32 n);
};

struct host_side {
	const struct host_ops *ops;
	void *impl;
};

/* State calls on whole forests. 0: accepted, completes once through host_ops.complete (possibly
 * before the call returns). -EBUSY: paused, or too many uploads wait. -E2BIG: list too long.
 * Nothing happened on an error.
 *
 * Payload: offload and transfer take over the chains of each connection that succeeds when
 * list->pool is the device's own; those of another pool are copied and stay the caller's. An upload
 * sets list->pool to the device's: the chains stay the device's until the commit frees them, or, of
 * blocks with BLOCK_TAKEN, lets go of them: a device that shares the pool has taken them over. */
struct device_ops {
	/* From now on completions and indications go to `host`; returns where they went before
	 * (R50: at attach time or later). */
	struct host_side (*attach)(void *device, struct host_side host);
	void (*capabilities)(void *device, struct capabilities *ret);
	int (*offload)(void *device, struct offload_request *request);
	/* Second phase of a two-phase offload (R27): the list's DELEGATED parts are filled in. A
	 * block whose status the host has set to anything but OK is given up: its reservation is
	 * freed. */
	int (*transfer)(void *device, struct offload_request *request);
	int (*upload)(void *device, struct offload_request *request);
	/* After an upload completed: blocks with OK are freed, blocks with another status resume as
	 * if nothing had happened (semantics 5.5). Cannot fail. */
	void (*commit)(void *device, struct offload_request *request);
	/* Memory of the application that posted calls may name, for devices that reach no other
	 * (FEATURE_REGISTERED_BUFFERS). 0; -ENOSPC: too many pieces; -EINVAL: it overlaps with
	 * one; -EOPNOTSUPP: it cannot be reached from there. */
	int (*memory_add)(void *device, void *base, u64 bytes);
	/* -ENOENT; -EBUSY: posted calls name it. */
	int (*memory_remove)(void *device, void *base);
};

/* State calls on objects of one layer. */
struct layer_ops {
	int (*update)(void *device, struct offload_request *request);
	int (*invalidate)(void *device, struct offload_request *request);
	int (*query)(void *device, struct offload_request *request);
};

/* Data calls of connections; arrays, results in each entry. */
struct data_ops {
	void (*send)(void *device, struct send_call *calls, u32 n);
	void (*receive)(void *device, struct recv_call *calls, u32 n);
	void (*disconnect)(void *device, struct disconnect_call *calls, u32 n);
	void (*forward)(void *device, struct forward_call *calls, u32 n);
};

/*
 * The frames of a device, between it and the lane that polls its ports. A driver that must see
 * frames (tags, ciphers, several members) stands between its lane and the device below here as it
 * stands between its host and that device above. One cycle: set_time, input of each port's batch,
 * timers, events, flush; time in ns, one value a call.
 */
struct frame_ops {
	void (*set_time)(void *device, u64 now_ns);
	/* Writes the verdict of each frame; buffers of those that are not CONSUMED stay the
	 * caller's. The frames of a batch lie in the pool of their port. */
	void (*input)(void *device, struct rx_frame *frames, u32 n, u64 now_ns);
	void (*timers)(void *device, u64 now_ns);
	/* Completions and indications leave for the host side; how many. */
	u32 (*events)(void *device, u64 now_ns);
	/* Appends frames while there is room; true: more is left. */
	bool (*flush)(void *device, struct tx_batch *tx, u64 now_ns);
	/* When the cycle must run next; 0: at once; UINT64_MAX: when a frame or a call comes. */
	u64 (*next_deadline)(const void *device);
	void (*link_changed)(void *device, u32 port, bool up);
};

/* A device as its host and its lane see it; and the hook where a driver is inserted. */
struct device {
	const struct device_ops *ops;
	const struct layer_ops *layer[LAYERS];
	const struct data_ops *data;
	const struct frame_ops *frames;
	void *impl;
};

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The monitor: a filter driver (R51) that sees every call, completion, indication and frame between
 * a host and its device and changes none. It counts them, keeps how long each took, and a trace of
 * the last ones; each frame goes to a sink with a comment, ready for port/pcapng.h.
 *
 * Pure core: the time is that of the device's cycle (frame_ops), so what completes within a call
 * takes no time. Insertion and removal at any time between two calls, while connections live; what
 * is on its way then is counted as a call or as a completion, not as both.
 */
#ifndef DRIVER_FILTER_MONITOR_H
#define DRIVER_FILTER_MONITOR_H

#include "offload/chain.h"

enum filter_call {
	FILTER_OFFLOAD,
	FILTER_TRANSFER,
	FILTER_UPLOAD,
	FILTER_COMMIT,
	FILTER_UPDATE,
	FILTER_INVALIDATE,
	FILTER_QUERY,
	FILTER_SEND, /* data calls: one an entry */
	FILTER_RECEIVE,
	FILTER_DISCONNECT,
	FILTER_FORWARD,
	FILTER_CALLS,
};
/* "offload", ...; never NULL. */
const char *filter_call_word(enum filter_call call);

enum {
	MONITOR_LATENCIES = 40, /* bucket i: from 2^(i-1) up to 2^i - 1 ns, the last all above */
	MONITOR_TRACE = 256,    /* a power of two */
	MONITOR_FLYING = 1024,  /* calls whose begin is remembered, a power of two */
};

struct monitor_call {
	u64 calls;
	u64 refused;     /* state calls that returned an error */
	u64 completions; /* also of calls that were made before the monitor came */
	u64 failed;      /* completions: blocks, or data calls, with another status than OK */
	u64 ns[MONITOR_LATENCIES];
};

enum monitor_what {
	MONITOR_CALL,       /* status: 0, or -errno's number; n: blocks, bytes */
	MONITOR_COMPLETION, /* status: of data calls; n: blocks with OK, bytes */
	MONITOR_INDICATION, /* kind: enum indication_kind */
};

struct monitor_trace {
	u64 at_ns;
	u64 id; /* cookie of the call, host's handle of an indication */
	u8 what;
	u8 kind; /* enum filter_call, indication_kind */
	u16 status;
	u32 n;
};

struct monitor_counters {
	struct monitor_call call[FILTER_CALLS];
	u64 indications[IND_KINDS];
	u64 frames_in, frames_out, bytes_in, bytes_out;
	u64 verdicts[FRAME_DROPPED + 1]; /* of frames in */
};

struct monitor_frame {
	u64 at_ns;
	const u8 *data; /* during the call */
	u32 captured;   /* bytes there */
	u32 bytes;      /* of the frame; a superframe is one */
	u32 port;
	bool out;
	const char *comment; /* direction, what became of it, whose it is */
};

struct monitor_config {
	struct buf_pool *pool; /* of the frames; NULL: no frames to the sink */
	void (*frame)(void *ctx, const struct monitor_frame *frame); /* may be NULL */
	void *ctx;
	u32 snap_bytes; /* of a frame that reach the sink */
	u8 *snap;       /* room for them */
};

struct monitor {
	struct device_chain chain; /* first: the pass tables go by it */
	struct monitor_config config;
	u64 now_ns;
	struct monitor_counters count;
	struct monitor_trace trace[MONITOR_TRACE];
	u64 n_traced; /* the newest is trace[(n_traced - 1) % MONITOR_TRACE] */
	struct {
		u64 key, at_ns; /* key 0: free */
		u8 call;
	} flying[MONITOR_FLYING];
};

/* Puts a monitor that counts from zero in front of a device. -EINVAL. */
int monitor_insert(struct monitor *m, const struct monitor_config *config,
                   struct device *hook) MUST_CHECK;
/* -EBUSY: a driver was inserted above. The counters stay readable. */
int monitor_remove(struct monitor *m) MUST_CHECK;

#endif

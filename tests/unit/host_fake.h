/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A world for tests of the host side: a fake backend and a fake device that write down every call
 * they get, check every block list, and fail where they are told to.
 */
#ifndef HOST_FAKE_H
#define HOST_FAKE_H

#include <errno.h>

#include "unit.h"

#include "base/slot.h"
#include "host/host.h"
#include "state/block.h"
#include "wire/ethernet.h"
#include "wire/ip.h"
#include "wire/parse.h"
#include "wire/tcp.h"

enum {
	FAKE_CONNS = 64,
	FAKE_LOCAL_PORT = 1000, /* of connection 0 */
	FAKE_REMOTE_PORT = 80,
	FAKE_TRACE = 1 << 14,
	FAKE_PENDING = 8,
	FAKE_FRAMES = 256,
	FAKE_DATA = 64,
};

enum fake_op {
	FAKE_NONE,
	FAKE_INSPECT,
	FAKE_HOLD,
	FAKE_FREEZE,
	FAKE_DETACH,
	FAKE_IMPORT,
	FAKE_RESERVE,  /* of the device */
	FAKE_TRANSFER, /* likewise */
	FAKE_UPLOAD,   /* likewise */
	FAKE_UPDATE,
	FAKE_INVALIDATE,
};

/* One connection of the fake host stack. */
struct fake_conn {
	bool held, frozen, detached;
	u32 imports;
	u32 unquiet_inspections; /* that find it in recovery; UINT32_MAX: all */
	u32 queued_bytes;        /* in the send queue when frozen */
	u32 cwnd;
	struct tcp_cached settings;
};

struct fake_device_conn {
	bool used, live, uploading, invalid;
	u32 path;
	struct tcp_state state;
};

struct fake {
	char trace[FAKE_TRACE];
	u64 now_ns;
	u64 tick_ns; /* that every look at the clock takes */

	/* the host's stack */
	struct fake_conn conn[FAKE_CONNS];
	u32 conns_per_path, paths_per_neighbor;
	u32 neighbor_shift; /* as if routes had changed: added to the neighbor's number */
	u32 inject_limit;
	u32 injected[FAKE_FRAMES], n_injected; /* sequence numbers */

	/* the device */
	struct device device;
	struct host_side host_side;
	bool async, paused;
	struct offload_request *pending[FAKE_PENDING];
	u32 n_pending;
	struct slots neighbors, paths, conns;
	struct slot neighbor_slot[FAKE_CONNS], path_slot[FAKE_CONNS], conn_slot[FAKE_CONNS];
	u32 path_neighbor[FAKE_CONNS], path_refs[FAKE_CONNS], neighbor_refs[FAKE_CONNS];
	struct path_state path_state[FAKE_CONNS];
	struct neighbor_state neighbor_state[FAKE_CONNS];
	struct fake_device_conn device_conn[FAKE_CONNS];
	u32 max_list_blocks;
	u32 features;     /* that it advertises */
	int memory_error; /* what registration answers */
	u32 forwarded[FAKE_FRAMES], n_forwarded;
	u16 forward_status;
	u8 joined[8192]; /* the last forwarded frame, its length, and what it was made of */
	u32 joined_len, joined_fragments;
	bool joined_ok; /* it parses, and its checksum is right */
	struct send_call sends[FAKE_DATA];
	struct recv_call recvs[FAKE_DATA];
	u32 n_sends, n_recvs, buffered_sends;
	u32 unread;      /* bytes that an immediate receive finds, of any connection */
	bool closed;     /* and the end behind them */
	u32 room;        /* bytes that buffered sends may take */
	u32 buffered[2]; /* bytes that went by copies: sent, received */
	u32 n_inside;    /* receives that came inside requests */
	bool fill_inside, reject_transfer;
	u32 rejects[BLOCK_CALLS]; /* so many calls of this kind are not even taken */
	bool busy;                /* no room for posted calls */
	/* Posted calls that the device has, where it answers them by itself: with an upload, or by
	 * fake_answer(). */
	bool answers;
	struct fake_call {
		handle conn;
		u64 cookie;
		u32 len;
		u8 kind;
	} call[FAKE_DATA];
	u32 n_calls;
	struct offload_request last[BLOCK_CALLS]; /* needs and lists of the last calls */
	u32 calls[BLOCK_CALLS];
	u32 new_blocks[LAYERS], linkers[LAYERS], whole[LAYERS];
	u32 blocks[LAYERS], handles_in[LAYERS]; /* of the last list of all */

	/* what fails */
	enum fake_op fail;
	u32 fail_conn; /* NIL: all */
	u8 fail_layer; /* of the device's calls */
	u16 fail_status;
	enum host_layer refuse_layer;
	u32 refuse_conn;
	bool refuse;

	/* what the application saw */
	struct host_done done[FAKE_DATA];
	u32 n_done;
	struct host_notice notice[FAKE_FRAMES];
	u32 n_notices;

	struct host *host;
	void *mem, *pool_mem;
	struct buf_pool pool;
	handle handles[FAKE_CONNS];
	struct host_move moves[FAKE_CONNS];
};

/* -- the trace --------------------------------------------------------------------------------- */

static inline void fake_note(struct fake *f, const char *word)
{
	size_t len = strlen(f->trace);

	assert_true(len + strlen(word) + 2 < sizeof(f->trace));
	if (len)
		f->trace[len++] = ' ';
	strcpy(f->trace + len, word);
}

static inline void fake_expect(struct fake *f, const char *words)
{
	assert_string_equal(f->trace, words);
	f->trace[0] = 0;
}

static inline bool fake_fails(const struct fake *f, enum fake_op op, u64 conn)
{
	return f->fail == op && (f->fail_conn == NIL || f->fail_conn == conn);
}

/* -- keys and frames --------------------------------------------------------------------------- */

static inline struct ip_addr fake_addr(u32 net, u32 host)
{
	struct ip_addr a = {.b = {[10] = 0xff, [11] = 0xff, [12] = 10}};

	a.b[14] = (u8)net;
	a.b[15] = (u8)host;
	return a;
}

static inline u32 fake_path_of(const struct fake *f, u64 conn)
{
	return (u32)conn / f->conns_per_path;
}

static inline struct path_key fake_path_key(u32 path)
{
	return (struct path_key){.local = fake_addr(0, 1), .remote = fake_addr(1, path + 1)};
}

static inline struct neighbor_key fake_neighbor_key(u32 neighbor)
{
	return (struct neighbor_key){.next_hop = fake_addr(2, neighbor + 1), .port = neighbor & 1};
}

static inline struct neighbor_state fake_neighbor_state(u32 neighbor)
{
	return (struct neighbor_state){
		.k = {.source_mac = {{2, 0, 0, 0, 0, 1}}, .encapsulations = 1},
		.c = {.next_hop_mac = {{2, 0, 0, 0, 1, (u8)neighbor}}},
	};
}

static inline u32 fake_neighbor_of(const struct fake *f, u64 conn)
{
	return fake_path_of(f, conn) / f->paths_per_neighbor + f->neighbor_shift;
}

/* A frame of the peer of a connection, in the pool. */
static inline struct rx_frame fake_frame(struct fake *f, u32 conn, u32 seq)
{
	u32 buf = buf_alloc(&f->pool, BUF_SMALL);
	struct wire_ip ip = {
		.version = 4,
		.ttl = 64,
		.protocol = 6,
		.src = fake_addr(1, fake_path_of(f, conn) + 1),
		.dst = fake_addr(0, 1),
		.payload_bytes = WIRE_TCP_BYTES,
	};
	u8 *p = buf_bytes(&f->pool, buf);
	u16 port;

	assert_int_not_equal(buf, NIL);
	memset(p, 0, 64);
	p[12] = 8;
	wire_ip_write(p + 14, &ip);
	port = cpu_to_be16(FAKE_REMOTE_PORT);
	memcpy(p + 34, &port, 2);
	port = cpu_to_be16((u16)(FAKE_LOCAL_PORT + conn));
	memcpy(p + 36, &port, 2);
	seq = cpu_to_be32(seq);
	memcpy(p + 38, &seq, 4);
	p[46] = 5 << 4;
	p[47] = 0x10;
	buf_at(&f->pool, buf)->len = 54;
	return (struct rx_frame){.buf = buf, .len = 54, .verdict = FRAME_TO_HOST};
}

static inline u32 fake_frame_seq(struct buf_pool *pool, const struct rx_frame *frame)
{
	u32 seq;

	memcpy(&seq, buf_data(pool, frame->buf) + 38, 4);
	return be32_to_cpu(seq);
}

/* -- the world --------------------------------------------------------------------------------- */

struct fake_options {
	struct host_config config;
	u32 conns;
	u32 conns_per_path, paths_per_neighbor;
	struct host_policy policy;
	struct host_stack stack;
	bool async_wait; /* env.wait completes what is pending */
};

/* All connections adopted, none offloaded. */
struct fake *fake_create(const struct fake_options *options);
/* Checks that no buffer and no posted call is left. */
void fake_destroy(struct fake *f);
/* Answers call `i` of those that the device has. */
void fake_answer(struct fake *f, u32 i, u16 status, u32 bytes, u32 queued);
/* The oldest pending request of an asynchronous device; false: none. */
bool fake_complete(struct fake *f);
/* Of connections [from, to): starts, runs to the end, checks that all are `status`. */
void fake_offload(struct fake *f, u32 from, u32 to, enum status status);
void fake_upload(struct fake *f, u32 from, u32 to, enum status status);
u8 fake_side(const struct fake *f, u32 conn);
void fake_indicate(struct fake *f, u8 kind, u32 conn, u64 detail);
/* Objects at the device. */
void fake_expect_objects(const struct fake *f, u32 neighbors, u32 paths, u32 conns);
/* The host's counts are those of the device, and its tables those of its connections. */
void fake_check_tree(const struct fake *f);

#endif

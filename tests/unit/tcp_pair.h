/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Two engines on a wire in memory, in virtual time: delay, loss, reorder, duplication and
 * corruption from one seed; byte streams that are checked as they arrive.
 */
#ifndef TCP_PAIR_H
#define TCP_PAIR_H

#include "base/prng.h"
#include "tcp/internal.h"

enum { PAIR_CONNS_MAX = 64 };

struct pair_options {
	u64 seed;
	u64 delay_ns; /* one way */
	u32 mbit_s;   /* of each direction, 0: without limit */
	u32 loss_ppm;
	u32 reorder_ppm; /* frames that take up to three times as long */
	u32 duplicate_ppm;
	u32 corrupt_ppm;   /* one bit of the frame */
	u32 gso_max_bytes; /* 0: MSS-sized frames */
	bool tx_csum;
	bool v6;
	bool snap;
	u32 vlans;  /* tags */
	u32 mtu;    /* 0: 1500 */
	u8 options; /* tcp_option_bits */
	u8 wscale;
	u32 rcv_buf, snd_buf; /* 0: 256 KiB */
	u32 small, large;     /* buffers of each pool, 0: plenty */
	u8 cc;
	bool nagle;
	u64 start_ns; /* 0: 1000 s */
};

/* One end of a byte stream: what goes out is a function of the position. */
struct pair_stream {
	u64 to_send;  /* bytes to be sent in all */
	u64 sent;     /* taken by tcp_send() */
	u64 received; /* read and found right */
	u64 wrong;    /* bytes found wrong */
	bool close;   /* shut down once all is sent */
	bool paused;  /* do not read */
	u32 events;   /* all seen */
	u64 salt;
};

struct pair_end {
	struct tcp_engine *e;
	struct buf_pool pool;
	void *arena;
	void *pool_mem;
	u32 path, neighbor;
	u32 conn[PAIR_CONNS_MAX]; /* NIL: none */
	struct pair_stream stream[PAIR_CONNS_MAX];
	struct tcp_engine_config config;
	struct buf_pool_config pool_config;
};

struct pair_packet {
	u64 at_ns;
	u64 order;
	u32 to; /* which end */
	u32 len;
	u16 gso_bytes;
	u8 csum;
	u8 *bytes;
};

struct pair {
	struct pair_options o;
	struct prng prng;
	u64 now_ns;
	struct pair_end end[2];
	struct pair_packet *wire;
	u32 n_wire, cap_wire;
	u64 order;
	u32 n_conns;
	u64 frames, lost;
	u64 wire_free_ns[2]; /* when the wire has sent what it was given */
	/* Called for each frame before it enters the wire; false: it is lost. */
	bool (*filter)(struct pair *p, u32 from, const u8 *frame, u32 len);
	void *context;
};

void pair_init(struct pair *p, const struct pair_options *o);
void pair_finish(struct pair *p);

/* Opens connection number i from end 0 to end 1 (SYN leaves at the next step). */
void pair_open(struct pair *p, u32 i);
/* Established connection number i, put into both engines by import. */
void pair_import(struct pair *p, u32 i);
/* The state that pair_import() gives `end`. */
void pair_state(struct pair *p, u32 end, u32 i, struct tcp_state *ret);

/* Applications and flushes of both ends, at the present time. */
void pair_work(struct pair *p);
/* On to the next event, not beyond `until_ns`; false: nothing more to do until then. */
bool pair_step(struct pair *p, u64 until_ns);
void pair_run(struct pair *p, u64 until_ns);
/* Runs until every stream is through and closed as asked, or `limit_ns` of virtual time passed. */
bool pair_run_streams(struct pair *p, u64 limit_ns);

u8 pair_byte(u64 salt, u64 position);
/* Free buffers of an end's pool, all classes. */
u32 pair_free_buffers(struct pair_end *end);
u32 pair_total_buffers(struct pair_end *end);

static inline struct tcp_conn *pair_conn(struct pair *p, u32 end, u32 i)
{
	return conn_at(p->end[end].e, p->end[end].conn[i]);
}

#endif

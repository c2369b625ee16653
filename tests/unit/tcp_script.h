/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * One connection and a peer that is written down segment by segment. Sequence numbers are relative:
 * `seq` and `ack` of a segment count from the first byte of the side that they belong to, times
 * from the start of the script.
 */
#ifndef TCP_SCRIPT_H
#define TCP_SCRIPT_H

#include "tcp/internal.h"

enum {
	SCRIPT_TX = 64,
	SCRIPT_MSS = 1000,
	SCRIPT_WND = 60000,
	SCRIPT_LOCAL_PORT = 80,
	SCRIPT_REMOTE_PORT = 40000,
};

/* Where the numbers begin: near the wrap, so that every comparison crosses it. */
#define SCRIPT_ISS 0xfffff000u
#define SCRIPT_IRS 0xffffe000u

/* A segment of the peer. */
struct peer {
	u8 flags; /* 0: ACK */
	u32 seq;
	u32 ack;
	u32 len;
	u32 wnd; /* field as on the wire, 0: SCRIPT_WND; use zero_wnd for 0 */
	bool zero_wnd;
	u32 ts_val, ts_ecr; /* with timestamps agreed: 0 takes the current clock */
	bool no_ts;
	u32 n_sack;
	u32 sack[WIRE_SACK_MAX][2];
	u16 urg;
	u16 gso_bytes;
	u8 fill; /* payload bytes are fill + position */
	u8 ecn;  /* of the IP header */
};

struct script {
	struct tcp_engine *e;
	struct buf_pool pool;
	struct tcp_engine_config config;
	struct buf_pool_config pool_config;
	void *arena, *pool_mem;
	u32 neighbor, path, conn;
	struct tcp_state
		state; /* what the connection starts from; change it before script_start() */
	u64 start_ns;
	struct tx_frame tx[SCRIPT_TX];
	u32 n_tx;
	struct wire_tcp_segment
		out[SCRIPT_TX]; /* the frames of the last script_flush(), read back */
	u32 out_seq[SCRIPT_TX], out_ack[SCRIPT_TX]; /* relative */
	u8 verdict, reason;
};

/* An engine with one path, and the state of an established connection in s->state. */
void script_init(struct script *s);
/* Imports s->state. */
void script_start(struct script *s);
/* script_init() and script_start() with tcp_option_bits. */
void script_begin(struct script *s, u8 options);
/* Checks that nothing leaked, frees all. */
void script_end(struct script *s);
/* Frees all, without a look. */
void script_discard(struct script *s);

struct tcp_conn *script_conn(struct script *s);

/* Moves the clock to `at_ns` from the start and runs the timers. */
void script_at(struct script *s, u64 at_ns);
/* Gives a segment of the peer to the engine, at the present time. */
void script_in(struct script *s, struct peer p);
#define IN(s, ...) script_in((s), (struct peer){__VA_ARGS__})
/* Raw bytes as a frame. Returns the verdict. */
u8 script_frame(struct script *s, const u8 *bytes, u32 len, u8 csum);
/* Writes the frame of a segment to `to` (2048 bytes), checksums right; returns its length. */
u32 script_build(struct script *s, const struct peer *p, u8 *to);
/* Flushes and reads the frames back; returns how many. */
u32 script_flush(struct script *s);
/* Flushes and asserts that exactly one frame leaves: returns its index, 0. */
#define EXPECT_ONE(s)  assert_int_equal(script_flush(s), 1)
#define EXPECT_NONE(s) assert_int_equal(script_flush(s), 0)
/* Asserts what frame i of the last flush is. */
#define EXPECT(s, i, want_flags, want_seq, want_ack, want_len)         \
	do {                                                           \
		assert_true((u32)(i) < (s)->n_tx);                     \
		assert_int_equal((s)->out[i].flags, (want_flags));     \
		assert_int_equal((s)->out_seq[i], (u32)(want_seq));    \
		assert_int_equal((s)->out_ack[i], (u32)(want_ack));    \
		assert_int_equal((s)->out[i].payload_len, (want_len)); \
	} while (0)
/* Puts `len` bytes into the send queue. */
void script_send(struct script *s, u32 len);
/* Takes all events of the connection. */
u32 script_events(struct script *s);
u64 script_dropped(struct script *s, u32 reason);

#endif

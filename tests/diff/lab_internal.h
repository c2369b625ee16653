/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Inside the laboratory: the wire and its two gates (lab.c), kernels (lab_kernel.c), our engine
 * (lab_ours.c), what is seen (lab_watch.c). */
#ifndef LAB_INTERNAL_H
#define LAB_INTERNAL_H

#include "lab.h"

#include "base/buf.h"
#include "tcp/engine.h"

enum {
	LAB_PEER,
	LAB_SUBJECT,
	LAB_ENDS,
	LAB_PORT = 5001,        /* the peer listens */
	LAB_FIRST_PORT = 20000, /* of the subject's connections */
	LAB_RANGES_MAX = 4096,
	LAB_SND_BUF = 4 << 20,
	LAB_RCV_BUF = 4 << 20,
	LAB_PATTERN = 65521, /* the streams' period */
};

/* What a receiver has of a stream, in sequence numbers relative to the first byte. */
struct lab_ranges {
	u64 next; /* everything left of it is there */
	struct {
		u64 start, end;
	} range[LAB_RANGES_MAX]; /* ascending, apart from each other */
	u32 n;
};

struct lab_watch {
	bool started; /* the sender's SYN was seen */
	u32 isn;      /* of the stream's sender */
	u64 high;     /* highest relative sequence number so far, to unwrap */
	struct lab_ranges got;
	bool has_edge;
	u32 edge; /* the subject's right edge */
	u8 wscale;
};

struct lab_stream {
	u64 sent, received, wrong;
	bool fin_sent, fin_got, finished;
};

/* One end of the wire with a kernel behind it. */
struct lab_kernel {
	int ns;  /* its network namespace */
	int tap; /* frames */
	int listener;
	int fd[LAB_CONNS_MAX];
	u32 n_accepted;
};

struct lab_ours {
	struct tcp_engine *e;
	void *arena;
	size_t arena_bytes;
	u32 path, neighbor;
	u32 conn[LAB_CONNS_MAX];
	u32 events[LAB_CONNS_MAX];
};

struct lab {
	const struct lab_config *config;
	struct lab_result result;
	u64 now_ns, start_ns;
	void *wire_mem, *pool_mem[LAB_ENDS];
	struct buf_pool_config pool_config[LAB_ENDS];
	struct buf_pool pool[LAB_ENDS];
	struct sim_wire *wire;
	struct port *port[LAB_ENDS];
	struct lab_kernel kernel[LAB_ENDS];
	struct lab_ours ours;
	struct lab_watch watch[LAB_CONNS_MAX];
	struct lab_stream stream[LAB_CONNS_MAX];
	char *why;
};

/* -- lab.c ------------------------------------------------------------------------------------- */

/* Sets the sentence and returns `err`. */
__attribute__((format(printf, 3, 4))) int lab_fail(struct lab *l, int err, const char *format, ...);
/* The stream's bytes from a position on; at most 64 KiB, *len is cut to what is there. */
const u8 *lab_bytes(u64 position, u32 *len);
/* Bytes that the receiving application got; -1: its peer's FIN. */
void lab_received(struct lab *l, u32 conn, const u8 *bytes, s64 n);
/* Bytes that the sending application may give now; 0: none, or the end. */
u64 lab_to_send(const struct lab *l, u32 conn);

/* -- lab_kernel.c ------------------------------------------------------------------------------ */

int lab_kernel_open(struct lab *l, u32 end) MUST_CHECK;
void lab_kernel_close(struct lab *l, u32 end);
/* Connects `conns` sockets of the subject's, or listens as the peer. */
int lab_kernel_start(struct lab *l, u32 end) MUST_CHECK;
/* Frames that the kernel sent go onto the wire; how many. */
u32 lab_kernel_pump(struct lab *l, u32 end);
/* One frame to the kernel. */
void lab_kernel_deliver(struct lab *l, u32 end, const u8 *frame, u32 len);
/* Its applications send and receive. */
int lab_kernel_work(struct lab *l, u32 end) MUST_CHECK;

/* -- lab_ours.c -------------------------------------------------------------------------------- */

int lab_ours_open(struct lab *l) MUST_CHECK;
void lab_ours_close(struct lab *l);
int lab_ours_start(struct lab *l) MUST_CHECK;
void lab_ours_input(struct lab *l, struct rx_frame *frames, u32 n);
/* Timers, applications, frames. */
int lab_ours_work(struct lab *l) MUST_CHECK;

/* -- lab_watch.c ------------------------------------------------------------------------------- */

/* A frame as the subject sent it, and a frame as it reached the receiver of the streams. */
void lab_watch_subject(struct lab *l, const u8 *frame, u32 len);
void lab_watch_receiver(struct lab *l, const u8 *frame, u32 len);
/* Adds [start, end) and says how many of its bytes were there already. */
u64 lab_ranges_add(struct lab_ranges *r, u64 start, u64 end);

extern const struct ip_addr lab_addr[LAB_ENDS];
extern const struct mac_addr lab_mac[LAB_ENDS];

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* TCP header and options (RFC 9293 3.1, RFC 7323, RFC 2018). */
#ifndef WIRE_TCP_H
#define WIRE_TCP_H

#include "wire/load.h"
#include "wire/reason.h"

enum {
	WIRE_TCP_BYTES = 20, /* header without options */
	WIRE_TCP_OPTIONS_MAX = 40,
	WIRE_SACK_MAX = 4,
	WIRE_WSCALE_MAX = 14, /* RFC 7323 2.3 */
	WIRE_IPPROTO_TCP = 6,
};

enum wire_tcp_flags {
	WIRE_FIN = 1 << 0,
	WIRE_SYN = 1 << 1,
	WIRE_RST = 1 << 2,
	WIRE_PSH = 1 << 3,
	WIRE_ACK = 1 << 4,
	WIRE_URG = 1 << 5,
	WIRE_ECE = 1 << 6,
	WIRE_CWR = 1 << 7,
};

/* Which options a segment has. */
enum wire_tcp_option_bits {
	WIRE_OPT_TIMESTAMPS = 1 << 0,
	WIRE_OPT_SACK = 1 << 1, /* blocks: n_sack is not 0 */
	WIRE_OPT_MSS = 1 << 2,
	WIRE_OPT_WSCALE = 1 << 3,
	WIRE_OPT_SACK_PERMITTED = 1 << 4,
};

struct wire_sack {
	tcp_seq start;
	tcp_seq end; /* exclusive */
};

/* A field means something only when its bit is in `present`. */
struct wire_tcp_options {
	u8 present; /* wire_tcp_option_bits */
	u8 n_sack;
	u8 wscale; /* above 14 is read as 14 */
	u16 mss;
	u32 ts_val;
	u32 ts_ecr;
	struct wire_sack sack[WIRE_SACK_MAX];
};

struct wire_tcp {
	u16 src_port;
	u16 dst_port;
	tcp_seq seq;
	tcp_seq ack;
	u16 wnd; /* as on the wire, not scaled */
	u16 urg; /* urgent pointer */
	u8 flags;
	u8 header_bytes; /* 20 to 60, options included */
	be16 csum;
	struct wire_tcp_options options;
};

/*
 * Reads the options area, `len` bytes (0 to 40). Unknown options are skipped. MSS, window scale and
 * SACK-permitted count on a SYN only, SACK blocks only without. `present` and `n_sack` are always
 * written, also on failure: then only what stood before the fault.
 * WIRE_TCP_OPTION_LENGTH, WIRE_TCP_OPTION_SIZE (RFC 9293 MUST-7: no length may do harm).
 */
enum wire_reason wire_tcp_options_parse(const u8 *p, u32 len, bool syn,
                                        struct wire_tcp_options *ret_options);

/*
 * Writes the options that are present, padded with NOPs to a multiple of four: MSS, window scale
 * and SACK-permitted, timestamps (NOP NOP TS when alone), SACK blocks. Returns the bytes written;
 * SACK blocks that do not fit into 40 bytes are left out, last first.
 */
u32 wire_tcp_options_write(u8 *to, const struct wire_tcp_options *options);

/* Bytes that wire_tcp_options_write() would write. */
u32 wire_tcp_options_bytes(const struct wire_tcp_options *options);

/* Reads a header with its options from `len` bytes. The checksum is not looked at.
 * WIRE_TCP_SHORT, WIRE_TCP_HEADER_LENGTH, and what wire_tcp_options_parse() says. */
enum wire_reason wire_tcp_parse(const u8 *p, u32 len, struct wire_tcp *ret_tcp);

/* Writes header and options, `csum` as it is; header_bytes is worked out, not read. At most 60
 * bytes; returns how many. */
u32 wire_tcp_write(u8 *to, const struct wire_tcp *tcp);

/* The header of a segment with timestamps and nothing else. */
#define WIRE_TS_LAYOUT 0x0101080au

/* Reads options with the common layouts (none; NOP NOP TS) inline. */
static inline enum wire_reason wire_tcp_options_fast(const u8 *p, u32 len, bool syn,
                                                     struct wire_tcp_options *ret_options)
{
	if (likely(len == 12 && wire_get32(p) == WIRE_TS_LAYOUT)) {
		ret_options->present = WIRE_OPT_TIMESTAMPS;
		ret_options->n_sack = 0;
		ret_options->ts_val = wire_get32(p + 4);
		ret_options->ts_ecr = wire_get32(p + 8);
		return WIRE_OK;
	}
	if (len == 0) {
		ret_options->present = 0;
		ret_options->n_sack = 0;
		return WIRE_OK;
	}
	return wire_tcp_options_parse(p, len, syn, ret_options);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/tcp.h"

enum {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_PERMITTED = 4,
	KIND_SACK = 5,
	KIND_TIMESTAMPS = 8,

	MSS_BYTES = 4,
	WSCALE_BYTES = 3,
	SACK_PERMITTED_BYTES = 2,
	TIMESTAMPS_BYTES = 10,
	SACK_BLOCK_BYTES = 8,
};

static enum wire_reason sack_parse(const u8 *p, u32 len, bool syn, struct wire_tcp_options *o)
{
	u32 n = (len - 2) / SACK_BLOCK_BYTES;

	if (n == 0 || (len - 2) % SACK_BLOCK_BYTES)
		return WIRE_TCP_OPTION_SIZE;
	if (syn)
		return WIRE_OK;
	/* A second option replaces the first; 40 bytes hold four blocks, so n fits. */
	for (u32 i = 0; i < n; i++) {
		o->sack[i].start = seq_of(wire_get32(p + 2 + i * SACK_BLOCK_BYTES));
		o->sack[i].end = seq_of(wire_get32(p + 6 + i * SACK_BLOCK_BYTES));
	}
	o->n_sack = (u8)n;
	o->present |= WIRE_OPT_SACK;
	return WIRE_OK;
}

/* Options that count on a SYN only (RFC 9293 3.2, RFC 7323 2.2, RFC 2018 2). */
static enum wire_reason syn_option_parse(const u8 *p, u32 len, bool syn, struct wire_tcp_options *o)
{
	static const u8 size[] = {
		[KIND_MSS] = MSS_BYTES,
		[KIND_WSCALE] = WSCALE_BYTES,
		[KIND_SACK_PERMITTED] = SACK_PERMITTED_BYTES,
	};

	if (len != size[p[0]])
		return WIRE_TCP_OPTION_SIZE;
	if (!syn)
		return WIRE_OK;
	if (p[0] == KIND_MSS) {
		o->mss = wire_get16(p + 2);
		o->present |= WIRE_OPT_MSS;
	} else if (p[0] == KIND_WSCALE) {
		o->wscale = min_of(p[2], (u8)WIRE_WSCALE_MAX);
		o->present |= WIRE_OPT_WSCALE;
	} else {
		o->present |= WIRE_OPT_SACK_PERMITTED;
	}
	return WIRE_OK;
}

/* One option of `len` bytes, all of them there. */
static enum wire_reason option_parse(const u8 *p, u32 len, bool syn, struct wire_tcp_options *o)
{
	switch (p[0]) {
	case KIND_MSS:
	case KIND_WSCALE:
	case KIND_SACK_PERMITTED:
		return syn_option_parse(p, len, syn, o);
	case KIND_SACK:
		return sack_parse(p, len, syn, o);
	case KIND_TIMESTAMPS:
		if (len != TIMESTAMPS_BYTES)
			return WIRE_TCP_OPTION_SIZE;
		o->ts_val = wire_get32(p + 2);
		o->ts_ecr = wire_get32(p + 6);
		o->present |= WIRE_OPT_TIMESTAMPS;
		return WIRE_OK;
	default:
		return WIRE_OK;
	}
}

enum wire_reason wire_tcp_options_parse(const u8 *p, u32 len, bool syn,
                                        struct wire_tcp_options *ret_options)
{
	ret_options->present = 0;
	ret_options->n_sack = 0;
	for (u32 at = 0; at < len && p[at] != KIND_END;) {
		enum wire_reason reason;

		if (p[at] == KIND_NOP) {
			at++;
			continue;
		}
		if (len - at < 2 || p[at + 1] < 2 || p[at + 1] > len - at)
			return WIRE_TCP_OPTION_LENGTH;
		reason = option_parse(p + at, p[at + 1], syn, ret_options);
		if (reason != WIRE_OK)
			return reason;
		at += p[at + 1];
	}
	return WIRE_OK;
}

/* Bytes of everything but SACK blocks; each part is a multiple of four. */
static u32 fixed_bytes(const struct wire_tcp_options *o)
{
	u32 n = 0;

	if (o->present & WIRE_OPT_MSS)
		n += 4;
	if (o->present & WIRE_OPT_WSCALE)
		n += 4;
	if (o->present & WIRE_OPT_TIMESTAMPS)
		n += 12;
	else if (o->present & WIRE_OPT_SACK_PERMITTED)
		n += 4;
	return n;
}

static u32 sack_blocks_that_fit(const struct wire_tcp_options *o)
{
	u32 room = WIRE_TCP_OPTIONS_MAX - fixed_bytes(o);

	if (!(o->present & WIRE_OPT_SACK) || room < 4 + SACK_BLOCK_BYTES)
		return 0;
	return min_of((u32)min_of(o->n_sack, (u8)WIRE_SACK_MAX), (room - 4) / SACK_BLOCK_BYTES);
}

u32 wire_tcp_options_bytes(const struct wire_tcp_options *options)
{
	u32 blocks = sack_blocks_that_fit(options);

	return fixed_bytes(options) + (blocks ? 4 + blocks * SACK_BLOCK_BYTES : 0);
}

static u8 *write_fixed(u8 *p, const struct wire_tcp_options *o)
{
	bool sack_permitted = o->present & WIRE_OPT_SACK_PERMITTED;

	if (o->present & WIRE_OPT_MSS) {
		wire_put16(p, KIND_MSS << 8 | MSS_BYTES);
		wire_put16(p + 2, o->mss);
		p += 4;
	}
	/* SACK-permitted takes the place of the two NOPs before timestamps. */
	if (sack_permitted || (o->present & WIRE_OPT_TIMESTAMPS)) {
		wire_put16(p, sack_permitted ? KIND_SACK_PERMITTED << 8 | SACK_PERMITTED_BYTES
		                             : KIND_NOP << 8 | KIND_NOP);
		p += 2;
	}
	if (o->present & WIRE_OPT_TIMESTAMPS) {
		wire_put16(p, KIND_TIMESTAMPS << 8 | TIMESTAMPS_BYTES);
		wire_put32(p + 2, o->ts_val);
		wire_put32(p + 6, o->ts_ecr);
		p += 10;
	} else if (sack_permitted) {
		wire_put16(p, KIND_NOP << 8 | KIND_NOP);
		p += 2;
	}
	if (o->present & WIRE_OPT_WSCALE) {
		wire_put16(p, KIND_NOP << 8 | KIND_WSCALE);
		p[2] = WSCALE_BYTES;
		p[3] = o->wscale;
		p += 4;
	}
	return p;
}

u32 wire_tcp_options_write(u8 *to, const struct wire_tcp_options *options)
{
	u32 blocks = sack_blocks_that_fit(options);
	u8 *p = write_fixed(to, options);

	if (blocks) {
		wire_put16(p, KIND_NOP << 8 | KIND_NOP);
		p[2] = KIND_SACK;
		p[3] = (u8)(2 + blocks * SACK_BLOCK_BYTES);
		p += 4;
	}
	for (u32 i = 0; i < blocks; i++, p += SACK_BLOCK_BYTES) {
		wire_put32(p, options->sack[i].start.n);
		wire_put32(p + 4, options->sack[i].end.n);
	}
	return (u32)(p - to);
}

enum wire_reason wire_tcp_parse(const u8 *p, u32 len, struct wire_tcp *ret_tcp)
{
	u32 header;

	if (len < WIRE_TCP_BYTES)
		return WIRE_TCP_SHORT;
	header = (u32)(p[12] >> 4) * 4;
	if (header < WIRE_TCP_BYTES || header > len)
		return WIRE_TCP_HEADER_LENGTH;
	ret_tcp->src_port = wire_get16(p);
	ret_tcp->dst_port = wire_get16(p + 2);
	ret_tcp->seq = seq_of(wire_get32(p + 4));
	ret_tcp->ack = seq_of(wire_get32(p + 8));
	ret_tcp->header_bytes = (u8)header;
	ret_tcp->flags = p[13];
	ret_tcp->wnd = wire_get16(p + 14);
	memcpy(&ret_tcp->csum, p + 16, 2);
	ret_tcp->urg = wire_get16(p + 18);
	return wire_tcp_options_parse(p + WIRE_TCP_BYTES, header - WIRE_TCP_BYTES,
	                              ret_tcp->flags & WIRE_SYN, &ret_tcp->options);
}

u32 wire_tcp_write(u8 *to, const struct wire_tcp *tcp)
{
	u32 header = WIRE_TCP_BYTES + wire_tcp_options_write(to + WIRE_TCP_BYTES, &tcp->options);

	wire_put16(to, tcp->src_port);
	wire_put16(to + 2, tcp->dst_port);
	wire_put32(to + 4, tcp->seq.n);
	wire_put32(to + 8, tcp->ack.n);
	to[12] = (u8)(header / 4 << 4);
	to[13] = tcp->flags;
	wire_put16(to + 14, tcp->wnd);
	memcpy(to + 16, &tcp->csum, 2);
	wire_put16(to + 18, tcp->urg);
	return header;
}

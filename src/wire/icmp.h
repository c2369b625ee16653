/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443): echo, and errors with the TCP flow that they
 * quote. One struct for both.
 */
#ifndef WIRE_ICMP_H
#define WIRE_ICMP_H

#include "base/hash.h"
#include "wire/ip.h"
#include "wire/reason.h"

enum {
	WIRE_ICMP_BYTES = 8,
	WIRE_ICMP_QUOTE_MAX = 576, /* of the datagram that an error quotes, as written by us */
};

enum wire_icmp_kind {
	WIRE_ICMP_ECHO_REQUEST,
	WIRE_ICMP_ECHO_REPLY,
	WIRE_ICMP_UNREACHABLE,
	WIRE_ICMP_TOO_BIG, /* IPv4: "fragmentation needed"; `mtu` is the next hop's, 0 if not told
	                    */
	WIRE_ICMP_TIME_EXCEEDED,
	WIRE_ICMP_PARAMETER_PROBLEM,
	WIRE_ICMP_KINDS,
};

struct wire_icmp {
	u8 kind; /* enum wire_icmp_kind */
	u8 type; /* as on the wire; written from `kind`, not from here */
	u8 code;
	u8 has_flow; /* an error that quotes enough of a TCP segment */
	u32 mtu;
	u32 pointer; /* of a parameter problem: the byte at fault; IPv4 has 8 bits for it */
	u16 echo_id;
	u16 echo_seq;
	const u8 *data; /* echo data, or the quoted datagram; within the bytes that were parsed */
	u32 data_bytes;
	/* From the quoted segment, which we sent: local is its source. */
	struct flow_key flow;
	tcp_seq seq;
};

/*
 * Reads a message (`len` bytes behind the IP header `ip`); the checksum is verified. An error that
 * quotes anything but the start of a TCP segment has has_flow 0.
 * WIRE_ICMP_SHORT, WIRE_ICMP_CHECKSUM, WIRE_ICMP_TYPE (neighbor discovery is wire/nd.h),
 * WIRE_ICMP_QUOTE (an error with no IP header in it).
 */
enum wire_reason wire_icmp_parse(const struct wire_ip *ip, const u8 *p, u32 len,
                                 struct wire_icmp *ret_icmp);

/*
 * Writes a message with its checksum; `ip` tells the version and, for IPv6, the addresses. `data`
 * follows the header: echo data, or the datagram to be quoted (cut at WIRE_ICMP_QUOTE_MAX).
 * Returns the bytes: WIRE_ICMP_BYTES and the data.
 */
u32 wire_icmp_write(u8 *to, const struct wire_ip *ip, const struct wire_icmp *icmp);

#endif

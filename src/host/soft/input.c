/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames in. Segments that stand alone in their frame go to the engine as they came; everything
 * else is brought into one piece first: ARP, datagrams with options or extension headers, other
 * protocols. A segment that was wrapped or in fragments becomes a plain frame again.
 */
#include "host/soft/priv.h"

enum {
	IPPROTO_UDP_NUMBER = 17,
	IPPROTO_NONE_NUMBER = 59,
	UNREACHABLE_PROTOCOL = 2, /* RFC 792 */
	UNREACHABLE_PORT = 3,
	UNREACHABLE_PORT_6 = 4,  /* RFC 4443 3.1 */
	PROBLEM_NEXT_HEADER = 1, /* RFC 4443 3.4 */
	TCP_FLAGS_OFF = 13,
	TCP_CSUM_OFF = 16,
	TCP_URG_OFF = 18,
};

u32 soft_chain_of(struct soft *s, const u8 *bytes, u32 len)
{
	u32 head = NIL, tail = NIL;

	while (len) {
		u32 index = buf_alloc(s->pool, len > 4 * BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
		u32 n;

		if (index == NIL)
			index = buf_alloc(s->pool, BUF_SMALL);
		if (index == NIL) {
			buf_put_chain(s->pool, head);
			return NIL;
		}
		n = min_of(len, buf_capacity(s->pool, index));
		memcpy(buf_bytes(s->pool, index), bytes, n);
		buf_at(s->pool, index)->len = n;
		if (head == NIL)
			head = index;
		else
			buf_at(s->pool, tail)->next = index;
		tail = index;
		bytes += n;
		len -= n;
	}
	return head;
}

/* -- segments ---------------------------------------------------------------------------------- */

/* Urgent data is data (RFC 6093 4): the engine has no other notion of it. The checksum follows. */
static void strip_urgent(struct soft *s, const struct rx_frame *frame,
                         const struct wire_tcp_segment *seg)
{
	u8 *tcp = buf_data(s->pool, frame->buf) + seg->tcp_off;
	be16 was[2], is[2], check;

	memcpy(&was[0], tcp + TCP_FLAGS_OFF - 1, 2);
	memcpy(&was[1], tcp + TCP_URG_OFF, 2);
	tcp[TCP_FLAGS_OFF] &= (u8)~WIRE_URG;
	memset(tcp + TCP_URG_OFF, 0, 2);
	memcpy(&is[0], tcp + TCP_FLAGS_OFF - 1, 2);
	is[1] = 0;
	if (frame->csum == FRAME_CSUM_PARTIAL)
		return;
	memcpy(&check, tcp + TCP_CSUM_OFF, 2);
	check = csum_replace16(csum_replace16(check, was[0], is[0]), was[1], is[1]);
	memcpy(tcp + TCP_CSUM_OFF, &check, 2);
}

/* A segment of no connection in this engine. */
static bool not_the_engines(struct soft *s, struct rx_frame *frame,
                            const struct wire_tcp_segment *seg)
{
	const struct soft_conn *c = soft_find_flow(s, &seg->flow);

	/* RFC 9293 3.9.2.3: who answers it answers nobody, or himself. */
	if (soft_is_nobody(s, &seg->flow.remote)) {
		s->counters.strays++;
		return true;
	}
	/* It is elsewhere, or on its way: whoever has it answers. */
	if (c && (c->eng == NIL || c->frozen)) {
		s->counters.strays++;
		return true;
	}
	switch (listen_input(s, frame, seg)) {
	case LISTEN_NOT:
		s->counters.strays++;
		reset_for(s, frame, seg);
		return true;
	case LISTEN_AGAIN:
		return false;
	default:
		return true;
	}
}

static void tcp_frame(struct soft *s, struct rx_frame *frame, struct wire_tcp_segment *seg)
{
	if (seg->flags & WIRE_URG)
		strip_urgent(s, frame, seg);
	if (!soft_is_local(s, &seg->flow.local)) {
		s->counters.strays++;
		buf_put_chain(s->pool, frame->buf);
		return;
	}
	if (listen_before(s, frame, seg) || time_wait_before(s, frame, seg)) {
		buf_put_chain(s->pool, frame->buf);
		return;
	}
	tcp_input(s->engine, frame, 1, s->now_ns);
	if (frame->verdict == FRAME_TO_HOST && !not_the_engines(s, frame, seg))
		tcp_input(s->engine, frame, 1, s->now_ns);
	/* Queues are counted as they fill up, not a batch later. */
	if (s->n_opening)
		soft_collect(s);
	if (frame->verdict != FRAME_CONSUMED)
		buf_put_chain(s->pool, frame->buf);
}

static enum wire_reason parse(struct soft *s, const struct rx_frame *frame,
                              struct wire_tcp_segment *seg)
{
	return wire_parse_tcp(buf_data(s->pool, frame->buf), buf_at(s->pool, frame->buf)->len,
	                      frame->len, seg);
}

/* -- what came wrapped ------------------------------------------------------------------------- */

/* For the host half: the connection is at a device, or about to be. */
static void to_host(struct soft *s, const struct rx_frame *frame)
{
	if (s->n_done == SOFT_DONE) {
		s->counters.not_taken++;
		buf_put_chain(s->pool, frame->buf);
		return;
	}
	s->done[s->n_done++] = *frame;
}

void input_tell_host(struct soft *s)
{
	struct rx_frame done[SOFT_DONE];
	u32 n = s->n_done;

	memcpy(done, s->done, n * sizeof(done[0]));
	s->n_done = 0;
	if (n)
		host_frames(s->host, done, n);
}

/* Writes plain headers in front of a segment and sends it on its way. */
static void tcp_datagram(struct soft *s, const struct wire_ip *ip, u8 *bytes,
                         const struct soft_arrival *a)
{
	struct wire_ip plain = *ip;
	struct wire_link link = {.dst = s->config.mac, .src = a->from};
	struct rx_frame frame = {.port = a->port, .csum = a->csum};
	struct wire_tcp_segment seg;
	const struct soft_conn *c;
	u32 headers = ip->version == 4 ? WIRE_IP4_BYTES : WIRE_IP6_BYTES;
	u8 *start = bytes - headers - WIRE_ETH_BYTES;

	plain.has_frag_header = plain.has_options = 0;
	plain.frag_off = plain.more_fragments = 0;
	link.ethertype = ip->version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6;
	wire_link_write(start, &link);
	wire_ip_write(start + WIRE_ETH_BYTES, &plain);
	frame.len = WIRE_ETH_BYTES + headers + ip->payload_bytes;
	frame.buf = soft_chain_of(s, start, frame.len);
	if (frame.buf == NIL) {
		s->counters.not_taken++;
		return;
	}
	switch (parse(s, &frame, &seg)) {
	case WIRE_OK:
	case WIRE_TCP_URGENT:
		c = soft_find_flow(s, &seg.flow);
		if (s->host && c && (c->eng == NIL || c->frozen))
			to_host(s, &frame);
		else
			tcp_frame(s, &frame, &seg);
		return;
	default:
		s->counters.bad_frames++;
		buf_put_chain(s->pool, frame.buf);
	}
}

/* -- datagrams --------------------------------------------------------------------------------- */

static bool is_group(const struct ip_addr *a)
{
	static const struct ip_addr everybody = {
		{[10] = 0xff, [11] = 0xff, [12] = 0xff, [13] = 0xff, [14] = 0xff, [15] = 0xff}};

	if (ip_addr_is_v4(a))
		return a->b[12] >> 4 == 14 || ip_addr_eq(a, &everybody);
	return a->b[0] == 0xff;
}

/* RFC 1122 3.2.1.3: a source is one host, and not us. An address that is asked for has none yet
 * (RFC 4862 5.4.2). */
static bool is_martian(const struct soft *s, const struct wire_ip *ip)
{
	static const struct ip_addr any6;

	return !ip_addr_eq(&ip->src, &any6) && soft_is_nobody(s, &ip->src);
}

/* Nobody here speaks it: RFC 1122 3.2.2.1, RFC 4443 3.1, 3.4. */
static void unknown_protocol(struct soft *s, const struct wire_ip *ip, const u8 *p, u32 len,
                             u32 pointer)
{
	struct icmp_about about = {.kind = WIRE_ICMP_UNREACHABLE, .code = UNREACHABLE_PROTOCOL};

	s->counters.strays++;
	if (ip->protocol == IPPROTO_UDP_NUMBER)
		about.code = ip->version == 4 ? UNREACHABLE_PORT : UNREACHABLE_PORT_6;
	else if (ip->version == 6 && ip->protocol == IPPROTO_NONE_NUMBER)
		return;
	else if (ip->version == 6)
		about = (struct icmp_about){.kind = WIRE_ICMP_PARAMETER_PROBLEM,
		                            .code = PROBLEM_NEXT_HEADER,
		                            .pointer = pointer};
	icmp_error(s, ip, p, len, &about);
}

static void deliver(struct soft *s, const struct wire_ip *ip, u8 *p, u32 len, u32 pointer,
                    const struct soft_arrival *a)
{
	u8 *bytes = p + ip->header_bytes;
	u8 icmp = ip->version == 4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6;

	if (ip->protocol == WIRE_IPPROTO_TCP && !is_group(&ip->dst))
		tcp_datagram(s, ip, bytes, a);
	else if (ip->protocol != icmp)
		unknown_protocol(s, ip, p, len, pointer);
	else if (ip->version == 6 && ip->payload_bytes && bytes[0] >= 133 && bytes[0] <= 137)
		nd_input(s, ip, bytes, ip->payload_bytes, a->port);
	else
		icmp_input(s, ip, bytes, ip->payload_bytes);
}

void soft_ip_input(struct soft *s, u8 *p, u32 len, const struct soft_arrival *a)
{
	struct wire_ip ip;
	u32 pointer = 0;

	if (wire_ip_parse(p, len, &ip) != WIRE_OK) {
		s->counters.bad_frames++;
		return;
	}
	/* Padding of the link is no part of it. */
	len = min_of(len, ip.header_bytes + ip.payload_bytes);
	/* RFC 1122 3.3.6: what the link told everybody must be for everybody. */
	if (is_martian(s, &ip) ||
	    !(is_group(&ip.dst) || (soft_is_local(s, &ip.dst) && !a->group))) {
		s->counters.strays++;
		return;
	}
	if (ip.version == 6 && !ip6_walk(s, &ip, p, len, &pointer))
		return;
	if (wire_ip_is_fragment(&ip))
		reasm_input(s, &ip, p, a);
	else
		deliver(s, &ip, p, len, pointer, a);
}

/* -- frames ------------------------------------------------------------------------------------ */

static void other_frame(struct soft *s, const struct rx_frame *frame)
{
	struct soft_arrival a = {.port = frame->port, .csum = frame->csum};
	struct wire_link link;
	u8 *p;

	if (frame->len > SOFT_SCRATCH_BYTES) {
		s->counters.bad_frames++;
		return;
	}
	buf_chain_copy(s->pool, frame->buf, 0, s->scratch, frame->len);
	if (wire_link_parse(s->scratch, frame->len, frame->len, &link) != WIRE_OK || link.n_vlan) {
		s->counters.strays++;
		return;
	}
	a.from = link.src;
	a.group = link.dst.b[0] & 1;
	p = s->scratch + link.header_bytes;
	if (link.ethertype == WIRE_ETH_ARP)
		arp_input(s, p, link.payload_bytes, frame->port);
	else if (link.ethertype == WIRE_ETH_IP4 || link.ethertype == WIRE_ETH_IP6)
		soft_ip_input(s, p, link.payload_bytes, &a);
	else
		s->counters.strays++;
}

/* RFC 1122 3.3.6: a segment is for one host. */
static bool is_to_many(struct soft *s, const struct rx_frame *frame)
{
	return buf_data(s->pool, frame->buf)[0] & 1;
}

/* The port may show us what others get. */
static bool is_for_us(struct soft *s, const struct rx_frame *frame)
{
	const u8 *dst = buf_data(s->pool, frame->buf);

	return !s->config.own_mac_only || frame->len < WIRE_ETH_BYTES || dst[0] & 1 ||
	       !memcmp(dst, s->config.mac.b, 6);
}

void soft_input(struct soft *s, struct rx_frame *frame)
{
	struct wire_tcp_segment seg;
	enum wire_reason reason = parse(s, frame, &seg);

	if (!is_for_us(s, frame)) {
		s->counters.strays++;
	} else if (reason == WIRE_OK || reason == WIRE_TCP_URGENT) {
		if (!is_to_many(s, frame)) {
			tcp_frame(s, frame, &seg);
			return;
		}
		s->counters.strays++;
	} else if (wire_reason_is_drop(reason)) {
		s->counters.bad_frames++;
	} else {
		other_frame(s, frame);
	}
	buf_put_chain(s->pool, frame->buf);
}

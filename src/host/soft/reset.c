/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Segments of ours that no connection sends: RSTs for what belongs nowhere (RFC 9293 3.5.2,
 * 3.10.7.1), and what a SYN cookie is sent in. */
#include "host/soft/priv.h"

bool soft_csum_ok(struct soft *s, const struct rx_frame *frame, const struct wire_tcp_segment *seg)
{
	if (frame->csum != FRAME_CSUM_UNKNOWN)
		return true;
	if (frame->port < TCP_PORTS_MAX && s->config.engine.ports[frame->port].rx_trusted)
		return true;
	return wire_tcp_csum_ok(seg, s->pool, frame->buf);
}

void soft_send_segment(struct soft *s, const struct wire_tcp_segment *seg, struct wire_tcp *tcp)
{
	u8 bytes[WIRE_TCP_BYTES + WIRE_TCP_OPTIONS_MAX];
	struct soft_datagram d = {.src = seg->flow.local,
	                          .dst = seg->flow.remote,
	                          .protocol = WIRE_IPPROTO_TCP,
	                          .bytes = bytes};
	u64 sum;

	tcp->src_port = seg->flow.local_port;
	tcp->dst_port = seg->flow.remote_port;
	tcp->csum = 0;
	d.len = wire_tcp_write(bytes, tcp);
	sum = csum_pseudo(&d.src, &d.dst, WIRE_IPPROTO_TCP, d.len);
	tcp->csum = csum_finish(csum_bytes(sum, bytes, d.len));
	memcpy(bytes + 16, &tcp->csum, sizeof(tcp->csum));
	(void)soft_send_datagram(s, &d); /* lost like any other, when there is no way */
}

void reset_for(struct soft *s, const struct rx_frame *frame, const struct wire_tcp_segment *seg)
{
	struct wire_tcp rst = {.flags = WIRE_RST};

	/* A RST is never answered, nor is what nobody may have sent. */
	if (s->config.no_resets || seg->flags & WIRE_RST || !soft_csum_ok(s, frame, seg))
		return;
	if (seg->flags & WIRE_ACK) {
		rst.seq = seg->ack;
	} else {
		rst.flags |= WIRE_ACK;
		rst.ack = seq_add(seg->seq, wire_segment_len(seg));
	}
	s->counters.resets++;
	soft_send_segment(s, seg, &rst);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames: the neighbor's Ethernet header, the path's addresses, the connection's ports and numbers.
 * All three are looked at for every frame, so an update of one is in force with the next (R59,
 * R60).
 */
#include "tcp/output.h"
#include "tcp/reassembly.h"

enum {
	HEADER_OFF = 2, /* so that IP is aligned behind a plain Ethernet header */
	ETHERTYPE_IPV6 = 0x86dd,
	ETH_HEADER_MAX_WITH_3_SACKS = 26,
	IP_PROTO_TCP = 6,
	IP_DF = 0x4000,
	IP_ID_HALF = 32768,
	TCP_CSUM_OFF = 16,
	TCP_HEADER_BYTES = 20,
	OPT_MSS = 2,
	OPT_WSCALE = 3,
	OPT_SACK_PERMITTED = 4,
	OPT_SACK = 5,
	OPT_TIMESTAMPS = 8,
	OPT_NOP = 1,
};

static inline void put_be16(u8 *to, u16 v)
{
	be16 wire = cpu_to_be16(v);

	memcpy(to, &wire, sizeof(wire));
}

static inline void put_be32(u8 *to, u32 v)
{
	be32 wire = cpu_to_be32(v);

	memcpy(to, &wire, sizeof(wire));
}

static u8 *put_timestamps(const struct tcp_engine *e, const struct tcp_conn *c, u8 *p, u32 lead)
{
	put_be32(p, lead << 16 | OPT_TIMESTAMPS << 8 | 10);
	put_be32(p + 4, conn_ts_now(e, c));
	put_be32(p + 8, c->ts_recent);
	return p + 12;
}

/* In the order in which Linux has them: MSS, SACK permitted, timestamps, NOP, window scale. */
static u8 *put_syn_options(const struct tcp_engine *e, const struct tcp_conn *c, u8 *p)
{
	put_be32(p, OPT_MSS << 24 | 4 << 16 | syn_mss(e, c));
	p += 4;
	if (c->options & TCP_OPT_TIMESTAMPS) {
		u32 lead = c->options & TCP_OPT_SACK ? OPT_SACK_PERMITTED << 8 | 2
		                                     : OPT_NOP << 8 | OPT_NOP;

		p = put_timestamps(e, c, p, lead);
	} else if (c->options & TCP_OPT_SACK) {
		put_be32(p, OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK_PERMITTED << 8 | 2);
		p += 4;
	}
	if (c->options & TCP_OPT_WSCALE) {
		put_be32(p, OPT_NOP << 24 | OPT_WSCALE << 16 | 3 << 8 | c->rcv_wscale);
		p += 4;
	}
	return p;
}

static u8 *put_sack(struct tcp_engine *e, struct tcp_conn *c, u8 *p, u32 max)
{
	struct seq_range r[WIRE_SACK_MAX];
	u32 n = 0;

	if (c->rcv_dsack) {
		r[n++] = (struct seq_range){c->dsack_start, c->dsack_end};
		c->rcv_dsack = false;
	}
	n += reassembly_blocks(e, c, r + n, max - n);
	if (!n)
		return p;
	put_be32(p, OPT_NOP << 24 | OPT_NOP << 16 | OPT_SACK << 8 | (2 + 8 * n));
	p += 4;
	for (u32 i = 0; i < n; i++, p += 8) {
		put_be32(p, r[i].start.n);
		put_be32(p + 4, r[i].end.n);
	}
	return p;
}

static u8 *put_options(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s, u8 *p,
                       u32 eth_len)
{
	u32 max = WIRE_SACK_MAX;

	if (unlikely(s->flags & WIRE_SYN))
		return put_syn_options(e, c, p);
	if (c->options & TCP_OPT_TIMESTAMPS) {
		p = put_timestamps(e, c, p, OPT_NOP << 8 | OPT_NOP);
		max = eth_len > ETH_HEADER_MAX_WITH_3_SACKS ? 2 : 3;
	}
	/* Data segments are full without: what is out of order is said by ACKs of their own. */
	if ((c->options & TCP_OPT_SACK) && !s->len && (c->ooo_head != NIL || c->rcv_dsack))
		p = put_sack(e, c, p, max);
	return p;
}

/* R61: our half of the path's identifiers, or none at all where DF makes them meaningless. */
static u16 next_ip_id(struct tcp_path *p, u32 segs)
{
	u16 id = p->next_ip_id;
	u16 from_start = (u16)(id - p->ip_id_start);

	if (!p->ip_id_confined) {
		p->next_ip_id = (u16)(id + segs);
		return id;
	}
	from_start %= IP_ID_HALF;
	id = (u16)(p->ip_id_start + from_start);
	p->next_ip_id = (u16)(p->ip_id_start + (from_start + segs) % IP_ID_HALF);
	return id;
}

/* The header's checksum, five words without a loop. */
static inline be16 ipv4_csum(const u8 *ip)
{
	u64 a, b;
	u32 c;

	memcpy(&a, ip, 8);
	memcpy(&b, ip + 8, 8);
	memcpy(&c, ip + 16, 4);
	return csum_finish((a & UINT32_MAX) + (a >> 32) + (b & UINT32_MAX) + (b >> 32) + c);
}

static void put_ipv4(struct tcp_conn *c, struct tcp_path *path, u8 *ip, u8 tos, u32 tcp_len,
                     u32 segs)
{
	be16 sum;

	put_be32(ip, 0x45u << 24 | (u32)tos << 16 | (20 + tcp_len));
	put_be32(ip + 4, (u32)next_ip_id(path, segs) << 16 | IP_DF);
	put_be32(ip + 8, (u32)c->hop_limit << 24 | IP_PROTO_TCP << 16);
	memcpy(ip + 12, path->local.b + 12, 4);
	memcpy(ip + 16, path->remote.b + 12, 4);
	sum = ipv4_csum(ip);
	memcpy(ip + 10, &sum, sizeof(sum));
}

static void put_ipv6(struct tcp_conn *c, struct tcp_path *path, u8 *ip, u8 tos, u32 tcp_len)
{
	put_be32(ip, 6u << 28 | (u32)tos << 20 | (c->settings.flow_label & 0xfffff));
	put_be32(ip + 4, tcp_len << 16 | IP_PROTO_TCP << 8 | c->hop_limit);
	memcpy(ip + 8, path->local.b, 16);
	memcpy(ip + 24, path->remote.b, 16);
}

static void put_checksum(struct tcp_engine *e, const struct tcp_path *path, struct tx_frame *f,
                         u8 *tcp, u8 *end)
{
	u32 tcp_len = (u32)(end - tcp) + f->payload_len;
	u64 pseudo = (u64)path->pseudo + cpu_to_be32(tcp_len);
	u32 skip;
	be16 sum;

	if (likely(e->config.ports[f->port].tx_csum)) {
		/* With gso_bytes the port adapts the length to each piece, as virtio has it. */
		sum = csum_fold(pseudo);
		f->csum_start = (u16)(tcp - f->header - f->header_off);
		f->csum_offset = TCP_CSUM_OFF;
		memcpy(tcp + TCP_CSUM_OFF, &sum, sizeof(sum));
		return;
	}
	memset(tcp + TCP_CSUM_OFF, 0, 2);
	pseudo = csum_bytes(pseudo, tcp, (size_t)(end - tcp));
	if (f->payload_len) {
		skip = f->payload_off - buf_at(e->bufs, f->payload_buf)->off;
		pseudo = csum_chain(pseudo, e->bufs, f->payload_buf, skip, f->payload_len);
	}
	sum = csum_finish(pseudo);
	memcpy(tcp + TCP_CSUM_OFF, &sum, sizeof(sum));
}

static u8 *put_tcp(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s, u8 *tcp,
                   u32 eth_len)
{
	u8 *end = put_options(e, c, s, tcp + TCP_HEADER_BYTES, eth_len);
	u32 words = (u32)(end - tcp) / 4;
	bool ack = s->flags & WIRE_ACK;
	u16 wnd = s->flags & WIRE_RST ? 0 : window_advertise(e, c, s->flags & WIRE_SYN);

	put_be32(tcp, (u32)c->local_port << 16 | c->remote_port);
	put_be32(tcp + 4, s->seq.n);
	put_be32(tcp + 8, ack ? c->rcv_nxt.n : 0);
	put_be32(tcp + 12, words << 28 | (u32)s->flags << 16 | wnd);
	put_be32(tcp + 16, 0);
	return end;
}

void frame_build(struct tcp_engine *e, struct tcp_conn *c, const struct segment_out *s,
                 struct tx_batch *out)
{
	struct tcp_path *path = &e->paths[c->path];
	const struct tcp_neighbor *n = &e->neighbors[path->neighbor];
	struct tx_frame *f = &out->frames[out->n++];
	u32 segs = s->len > c->mss ? (s->len + c->mss - 1) / c->mss : 1;
	u8 *eth = f->header + HEADER_OFF;
	u8 *ip = eth + n->header_len;
	u8 *tcp = ip + (path->v4 ? 20 : 40);
	u8 *end;

	f->header_off = HEADER_OFF;
	f->port = (u16)n->port;
	f->csum_start = 0;
	f->csum_offset = 0;
	f->gso_bytes = segs > 1 ? c->mss : 0;
	f->gso_v6 = !path->v4;
	f->pad = 0;
	f->payload_buf = s->len ? s->data.buf : NIL;
	f->payload_off = s->data.off;
	f->payload_len = s->len;
	f->conn = conn_index(e, c);
	memcpy(eth, n->header, sizeof(n->header));
	end = put_tcp(e, c, s, tcp, n->header_len);
	f->header_len = (u8)(end - eth);
	if (likely(path->v4)) {
		put_ipv4(c, path, ip, c->tos | s->ecn, (u32)(end - tcp) + s->len, segs);
	} else {
		put_be16(ip - 2, ETHERTYPE_IPV6);
		put_ipv6(c, path, ip, c->tos | s->ecn, (u32)(end - tcp) + s->len);
	}
	if (unlikely(n->length_off))
		put_be16(eth + n->length_off, (u16)(tx_frame_len(f) - n->length_off - 2));
	put_checksum(e, path, f, tcp, end);
	e->n.frames_out++;
	e->n.segs_out += segs;
	e->n.bytes_out += s->len;
}

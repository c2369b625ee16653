// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * The soft host on a hostile link: the input says which frames come (addresses, segments, errors,
 * fragments, extension headers, or plain bytes), what the application does, and how time passes.
 * Whatever it says, what is sent makes sense, memory stays in its bounds, and every buffer comes
 * back.
 */
#include "fuzz.h"

#include "soft_net.h"

enum {
	ACTIONS_MAX = 200,
	BYTES_MAX = 1400,
	DONE_STEPS = 12, /* of 100 s: whatever waits for anything is over */
};

struct run {
	struct fuzz_in in;
	struct net n;
	u64 at_ns;
	u8 bytes[65536];
};

/* -- out --------------------------------------------------------------------------------------- */

static void check(const struct tx_frame *f)
{
	const u8 *p = f->header + f->header_off;
	u16 type = wire_get16(p + 12);
	struct wire_arp arp;

	FUZZ_MUST(f->header_len >= 14 && !(p[6] & 1));
	FUZZ_MUST(tx_frame_len(f) <= NET_MTU + 14);
	if (type == WIRE_ETH_ARP)
		FUZZ_MUST(!wire_arp_parse(p + 14, f->header_len - 14, &arp));
	else if (type == WIRE_ETH_IP4)
		FUZZ_MUST(wire_get16(p + 16) == tx_frame_len(f) - 14);
	else
		FUZZ_MUST(type == WIRE_ETH_IP6 && wire_get16(p + 18) == tx_frame_len(f) - 54u);
}

static void flush(struct run *r)
{
	struct tx_frame frames[16];
	struct tx_batch tx = {frames, 0, ARRAY_SIZE(frames)};
	bool more = true;

	soft_events(r->n.s);
	while (more) {
		more = soft_flush(r->n.s, &tx, r->n.now_ns);
		for (u32 i = 0; i < tx.n; i++)
			check(&frames[i]);
		tx.n = 0;
	}
	FUZZ_MUST(r->n.s->reassembly_bytes <= r->n.s->config.max_reassembly_bytes);
}

static void pass(struct run *r, u64 ns)
{
	r->at_ns += ns;
	r->n.now_ns = r->n.start_ns + r->at_ns;
	soft_set_time(r->n.s, r->n.now_ns);
	soft_timers(r->n.s, r->n.now_ns);
	flush(r);
}

/* -- in ---------------------------------------------------------------------------------------- */

static struct ip_addr somebody(struct run *r, bool v6)
{
	u8 who = fuzz_u8(&r->in);

	if (who & 64)
		return v6 ? net_far6(who & 7) : net_far4(who & 7);
	return v6 ? net_ip6(who & 7) : net_ip4(who & 7);
}

/* A connection that exists, if the input wants one. */
static const struct soft_conn *some_conn(struct run *r)
{
	u32 i = fuzz_u8(&r->in) % NET_CONNS;

	return slots_is_taken(&r->n.s->slots, i) ? &r->n.s->conn[i] : NULL;
}

static struct net_seg segment(struct run *r, bool v6)
{
	const struct soft_conn *c = some_conn(r);
	u8 how = fuzz_u8(&r->in);
	struct net_seg seg = {.from = somebody(r, v6), .flags = WIRE_SYN};
	struct tcp_state t;

	seg.src_port = 1 + fuzz_u8(&r->in) % 4;
	if (c && c->eng != NIL && !(how & 1)) {
		tcp_conn_export(r->n.s->engine, c->eng, r->n.now_ns, &t);
		seg.from = c->remote;
		seg.src_port = c->remote_port;
		seg.dst_port = c->local_port;
		seg.flags = WIRE_ACK;
		seg.seq = t.d.rcv_nxt.n;
		seg.ack = t.d.snd_max.n;
		if (how & 2)
			seg.seq += (u32)(s32)(s8)fuzz_u8(&r->in);
		if (how & 4)
			seg.ack += (u32)(s32)(s16)fuzz_u16(&r->in);
	}
	if (how & 8)
		seg.flags = fuzz_u8(&r->in);
	if (how & 16)
		seg.len = fuzz_u16(&r->in) % BYTES_MAX;
	if (how & 32) {
		seg.options.present = fuzz_u8(&r->in) & ~WIRE_OPT_SACK;
		seg.options.ts_val = fuzz_u32(&r->in);
		seg.options.mss = fuzz_u16(&r->in);
		seg.options.wscale = fuzz_u8(&r->in) % 16;
	}
	return seg;
}

/* A datagram as it is, in a fragment, or behind bytes that may be an extension header. */
static void datagram(struct run *r, struct wire_ip ip, const u8 *bytes, u32 len)
{
	u8 how = fuzz_u8(&r->in);
	u8 wrapped[2048];

	if (how & 1) {
		ip.has_frag_header = 1;
		ip.id = how >> 6;
		ip.frag_off = (u16)(fuzz_u8(&r->in) * 8u);
		ip.more_fragments = how >> 1 & 1;
		len = min_of(len, 8u * fuzz_u8(&r->in) + (how >> 5 & 1));
	} else if (how & 2 && ip.version == 6 && len <= BYTES_MAX) {
		fuzz_bytes(&r->in, wrapped, 8);
		wrapped[1] %= 4;
		memcpy(wrapped + 8, bytes, len);
		ip.protocol = wrapped[7] & 1 ? 60 : wrapped[7] % 64;
		bytes = wrapped;
		len += 8;
	}
	ip.tos = how >> 4 & 3;
	net_ip_in(&r->n, ip, bytes, len);
}

static void ip_in(struct run *r)
{
	bool v6 = fuzz_u8(&r->in) & 1;
	struct wire_ip ip = {.version = v6 ? 6 : 4, .dst = v6 ? net_ip6(1) : net_ip4(1)};
	u8 what = fuzz_u8(&r->in);
	struct net_seg seg;
	u32 len;

	if (what & 1) {
		seg = segment(r, v6);
		ip.src = seg.from;
		ip.version = ip_addr_is_v4(&ip.src) ? 4 : 6;
		ip.dst = ip.version == 6 ? net_ip6(1) : net_ip4(1);
		ip.protocol = WIRE_IPPROTO_TCP;
		len = net_seg_bytes(&seg, r->bytes);
	} else {
		ip.src = somebody(r, v6);
		ip.protocol =
			what & 2 ? (v6 ? WIRE_IPPROTO_ICMP6 : WIRE_IPPROTO_ICMP) : fuzz_u8(&r->in);
		len = fuzz_u16(&r->in) % BYTES_MAX;
		fuzz_bytes(&r->in, r->bytes, min_of(len, 64u));
	}
	datagram(r, ip, r->bytes, len);
}

static void icmp_in(struct run *r)
{
	const struct soft_conn *c = some_conn(r);
	bool v6 = c && !ip_addr_is_v4(&c->remote);
	struct wire_ip ip = {.version = v6 ? 6 : 4, .dst = v6 ? net_ip6(1) : net_ip4(1)};
	struct wire_ip quoted = ip;
	struct wire_icmp icmp = {.kind = fuzz_u8(&r->in) % WIRE_ICMP_KINDS,
	                         .code = fuzz_u8(&r->in) % 8,
	                         .mtu = fuzz_u16(&r->in),
	                         .data = r->bytes};
	struct tcp_state t;
	u32 at;

	ip.src = v6 ? net_ip6(254) : net_ip4(254);
	memset(r->bytes, 0, 128);
	icmp.data_bytes = fuzz_u8(&r->in);
	if (c && c->eng != NIL) {
		tcp_conn_export(r->n.s->engine, c->eng, r->n.now_ns, &t);
		quoted.src = ip.dst;
		quoted.dst = c->remote;
		quoted.protocol = WIRE_IPPROTO_TCP;
		at = wire_ip_write(r->bytes, &quoted);
		wire_put16(r->bytes + at, c->local_port);
		wire_put16(r->bytes + at + 2, c->remote_port);
		wire_put32(r->bytes + at + 4, t.d.snd_una.n + fuzz_u8(&r->in));
		icmp.data_bytes = at + 8;
	}
	net_icmp_in(&r->n, &ip, &icmp);
}

static void neighbor_in(struct run *r)
{
	u8 how = fuzz_u8(&r->in);
	struct ip_addr all = {{0xff, 0x02, [15] = 1}};
	struct wire_nd nd = {.type = how & 2 ? WIRE_ND_SOLICITATION : WIRE_ND_ADVERTISEMENT,
	                     .solicited = how >> 2 & 1,
	                     .override = how >> 3 & 1,
	                     .router = how >> 4 & 1,
	                     .has_mac = how >> 5 & 1};

	if (how & 1) {
		struct ip_addr a = somebody(r, false), b = somebody(r, false);

		net_arp(&r->n, how & 2 ? WIRE_ARP_REQUEST : WIRE_ARP_REPLY, 2 + (how >> 6), a, b);
		return;
	}
	nd.mac = net_mac(2 + (how >> 6));
	nd.target = somebody(r, true);
	net_nd(&r->n, &nd, 2, how & 64 ? nd.target : somebody(r, true),
	       how & 128 ? all : net_ip6(1));
}

static void raw_in(struct run *r)
{
	u32 len = 14 + fuzz_u8(&r->in);

	fuzz_bytes(&r->in, r->bytes, len);
	memcpy(r->bytes, net_mac(1).b, 6);
	r->bytes[12] = fuzz_u8(&r->in) & 1 ? 0x86 : 0x08;
	net_frame_in(&r->n, r->bytes, len);
}

/* -- the application --------------------------------------------------------------------------- */

static void call(struct run *r)
{
	struct soft *s = r->n.s;
	u64 conn = slots_handle(&s->slots, fuzz_u8(&r->in) % NET_CONNS);
	struct soft_conn *c = soft_find(s, conn);
	struct ip_addr remote = somebody(r, fuzz_u8(&r->in) & 1);

	switch (fuzz_u8(&r->in) % 9) {
	case 0:
		(void)!soft_connect(s, &remote, NET_PORT, 0, &conn);
		return;
	case 1:
		(void)soft_accept(s, &conn);
		return;
	case 2:
		(void)!soft_ping(s, &remote, 1, 1, fuzz_u16(&r->in));
		return;
	case 3:
		soft_announce(s);
		return;
	case 4:
		soft_close(s, conn);
		return;
	case 5:
		(void)!soft_release(s, conn);
		return;
	case 6:
		if (c && c->eng != NIL)
			(void)tcp_send(s->engine, c->eng, r->bytes, fuzz_u16(&r->in));
		return;
	case 7:
		if (c && c->eng != NIL)
			(void)tcp_recv(s->engine, c->eng, r->bytes, fuzz_u16(&r->in));
		return;
	default:
		if (soft_unlisten(s, NET_PORT))
			(void)soft_listen_with(
				s, &(struct soft_listen_params){.port = NET_PORT,
			                                        .backlog = 3,
			                                        .half_open = 2,
			                                        .cookies = fuzz_u8(&r->in) % 3});
	}
}

static void act(struct run *r)
{
	u8 what = fuzz_u8(&r->in);

	switch (what % 8) {
	case 0:
		pass(r, fuzz_u16(&r->in) * NS_PER_MS);
		break;
	case 1:
		raw_in(r);
		break;
	case 2:
		neighbor_in(r);
		break;
	case 3:
		icmp_in(r);
		break;
	case 4:
		call(r);
		break;
	case 5:
		flush(r);
		break;
	default:
		ip_in(r);
		break;
	}
}

static void end(struct run *r)
{
	struct net *n = &r->n;

	for (u32 i = 0; i < NET_CONNS; i++)
		soft_close(n->s, slots_handle(&n->s->slots, i));
	for (u32 i = 0; i < DONE_STEPS; i++)
		pass(r, 100 * NS_PER_S);
	FUZZ_MUST(n->pool.n_free[BUF_SMALL] + n->pool.n_free[BUF_LARGE] == n->baseline);
	FUZZ_MUST(!n->s->reassembly_bytes && !n->s->n_opening);
	free(n->mem);
	free(n->pool_mem);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct run r;
	u8 how;

	r.in = (struct fuzz_in){data, size};
	r.at_ns = 0;
	how = fuzz_u8(&r.in);
	net_config(&r.n);
	r.n.config.plpmtud = how & 1;
	r.n.config.max_packets = how & 2 ? 8 : 0;
	r.n.config.max_reassembly_bytes = how & 4 ? 4096 : 0;
	net_start(&r.n);
	if (how & 8) {
		net_resolve(&r.n, net_ip4(2), 2);
		net_resolve(&r.n, net_ip6(2), 2);
	}
	FUZZ_MUST(!soft_listen_with(
		r.n.s,
		&(struct soft_listen_params){.port = NET_PORT, .backlog = 3, .half_open = 2}));
	for (u32 i = 0; i < ACTIONS_MAX && r.in.left; i++) {
		act(&r);
		/* Nothing of a run may take buffers that are not there for it. */
		if (r.n.pool.n_free[BUF_SMALL] < 200 || r.n.pool.n_free[BUF_LARGE] < 3)
			break;
	}
	end(&r);
	return 0;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "soft_net.h"

#include <stdlib.h>

#include "unit.h"

#define PEER_SEQ 5000u

/* -- names ------------------------------------------------------------------------------------- */

struct ip_addr net_ip4(u8 i)
{
	return (struct ip_addr){{[10] = 0xff, [11] = 0xff, [12] = 10, [15] = i}};
}

struct ip_addr net_far4(u8 i)
{
	return (struct ip_addr){
		{[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = i}};
}

struct ip_addr net_ip6(u8 i)
{
	return (struct ip_addr){{0xfd, [15] = i}};
}

struct ip_addr net_far6(u8 i)
{
	return (struct ip_addr){{0x20, 0x01, 0x0d, 0xb8, [15] = i}};
}

struct mac_addr net_mac(u8 i)
{
	return (struct mac_addr){{2, 0, 0, 0, 0, i}};
}

/* -- making one -------------------------------------------------------------------------------- */

void net_config(struct net *n)
{
	memset(n, 0, sizeof(*n));
	n->start_ns = n->now_ns = 1000 * NS_PER_S;
	n->config = (struct soft_config){
		.engine = {.max_connections = NET_CONNS,
	                   .max_paths = 16,
	                   .max_neighbors = 16,
	                   .hash_key = {1, 2, 3},
	                   .seed = 7,
	                   .msl_ns = NET_MSL_S * NS_PER_S},
		.local = net_ip4(1),
		.local_other = net_ip6(1),
		.mac = net_mac(1),
		.max_listeners = 4,
		.settings = {.rcv_buf_bytes = 65536,
	                     .snd_buf_bytes = 262144,
	                     .hop_limit = 64,
	                     .cc_algorithm = TCP_CC_NEWRENO},
		.options = TCP_OPT_SACK | TCP_OPT_TIMESTAMPS | TCP_OPT_WSCALE,
		.rcv_wscale = 7,
		.mss = 1460,
		.ip_id_confined = true,
		.own_mac_only = true,
	};
}

void net_start(struct net *n)
{
	const struct buf_pool_config k = {.small = 512, .large = 16};
	const struct ip_addr zero4 = {{[10] = 0xff, [11] = 0xff}}, zero6 = {{0}};
	const struct ip_addr link4 = net_ip4(0), link6 = net_ip6(0);
	const struct ip_addr gate4 = net_ip4(254), gate6 = net_ip6(254);

	n->pool_mem = aligned_alloc(4096, buf_pool_bytes(&k));
	n->mem = aligned_alloc(4096, soft_bytes(&n->config));
	assert_non_null(n->pool_mem);
	assert_non_null(n->mem);
	memset(n->mem, 0xa5, soft_bytes(&n->config));
	buf_pool_init(&n->pool, n->pool_mem, &k);
	n->baseline = n->pool.n_free[BUF_SMALL] + n->pool.n_free[BUF_LARGE];
	n->s = soft_init(n->mem, &n->config, &n->pool);
	assert_int_equal(soft_prefix(n->s, &link4, 24, NULL, NET_MTU, 0), 0);
	assert_int_equal(soft_prefix(n->s, &zero4, 0, &gate4, NET_MTU, 0), 0);
	assert_int_equal(soft_prefix(n->s, &link6, 64, NULL, NET_MTU, 0), 0);
	assert_int_equal(soft_prefix(n->s, &zero6, 0, &gate6, NET_MTU, 0), 0);
	soft_set_time(n->s, n->now_ns);
}

void net_init(struct net *n)
{
	net_config(n);
	net_start(n);
}

void net_end(struct net *n)
{
	for (u32 i = 0; i < n->config.engine.max_connections; i++)
		soft_close(n->s, slots_handle(&n->s->slots, i));
	/* Whatever waits for a neighbor or for fragments is over by then. */
	for (u32 i = 0; i < 8; i++)
		net_at(n, n->now_ns - n->start_ns + 100 * NS_PER_S);
	assert_int_equal(n->pool.n_free[BUF_SMALL] + n->pool.n_free[BUF_LARGE], n->baseline);
	free(n->mem);
	free(n->pool_mem);
}

/* -- running ----------------------------------------------------------------------------------- */

static void gather(struct net *n, const struct tx_frame *f)
{
	struct net_frame *o = &n->out[n->n_out++];
	u32 skip;

	assert_in_range(n->n_out, 1, NET_OUT);
	assert_in_range(tx_frame_len(f), 1, NET_BYTES);
	o->len = tx_frame_len(f);
	o->conn = f->conn;
	memcpy(o->bytes, f->header + f->header_off, f->header_len);
	if (!f->payload_len)
		return;
	skip = f->payload_off - buf_at(&n->pool, f->payload_buf)->off;
	assert_int_equal(buf_chain_copy(&n->pool, f->payload_buf, skip, o->bytes + f->header_len,
	                                f->payload_len),
	                 f->payload_len);
}

u32 net_run(struct net *n)
{
	struct tx_frame frames[8];
	struct tx_batch tx = {frames, 0, ARRAY_SIZE(frames)};
	bool more = true;

	soft_events(n->s);
	n->n_out = 0;
	while (more) {
		more = soft_flush(n->s, &tx, n->now_ns);
		for (u32 i = 0; i < tx.n; i++)
			gather(n, &frames[i]);
		tx.n = 0;
	}
	return n->n_out;
}

u32 net_at(struct net *n, u64 at_ns)
{
	n->now_ns = n->start_ns + at_ns;
	soft_set_time(n->s, n->now_ns);
	soft_timers(n->s, n->now_ns);
	return net_run(n);
}

void net_frame_in(struct net *n, const u8 *bytes, u32 len)
{
	struct rx_frame f = {.buf = soft_chain_of(n->s, bytes, len), .len = len};

	assert_int_not_equal(f.buf, NIL);
	soft_input(n->s, &f);
}

/* -- what others send -------------------------------------------------------------------------- */

static u32 put_link(u8 *to, struct mac_addr dst, struct mac_addr src, u16 type)
{
	const struct wire_link link = {.dst = dst, .src = src, .ethertype = type};

	return wire_link_write(to, &link);
}

void net_arp(struct net *n, u16 op, u8 mac, struct ip_addr spa, struct ip_addr tpa)
{
	const struct wire_arp arp = {
		.op = op, .sha = net_mac(mac), .spa = spa, .tha = net_mac(1), .tpa = tpa};
	const struct mac_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	u8 bytes[64];
	u32 at = put_link(bytes, op == WIRE_ARP_REQUEST ? all : net_mac(1), net_mac(mac),
	                  WIRE_ETH_ARP);

	net_frame_in(n, bytes, at + wire_arp_write(bytes + at, &arp));
}

void net_nd(struct net *n, const struct wire_nd *nd, u8 mac, struct ip_addr src, struct ip_addr dst)
{
	struct wire_ip ip = {.version = 6, .src = src, .dst = dst, .ttl = 255, .protocol = 58};
	struct mac_addr to = net_mac(1);
	u8 bytes[128], body[WIRE_ND_BYTES_MAX];
	u32 at;

	if (dst.b[0] == 0xff)
		wire_ip6_multicast_mac(&dst, &to);
	ip.payload_bytes = wire_nd_write(body, &ip, nd);
	at = put_link(bytes, to, net_mac(mac), WIRE_ETH_IP6);
	at += wire_ip_write(bytes + at, &ip);
	memcpy(bytes + at, body, ip.payload_bytes);
	net_frame_in(n, bytes, at + ip.payload_bytes);
}

void net_ip_in(struct net *n, struct wire_ip ip, const u8 *bytes, u32 len)
{
	u8 *frame = malloc(len + 128);
	u32 at;

	assert_non_null(frame);
	ip.payload_bytes = len;
	ip.ttl = ip.ttl ? ip.ttl : 64;
	at = put_link(frame, net_mac(1), net_mac(254),
	              ip.version == 4 ? WIRE_ETH_IP4 : WIRE_ETH_IP6);
	at += wire_ip_write(frame + at, &ip);
	memcpy(frame + at, bytes, len);
	net_frame_in(n, frame, at + len);
	free(frame);
}

void net_icmp_in(struct net *n, const struct wire_ip *ip, const struct wire_icmp *icmp)
{
	u8 *bytes = malloc(WIRE_ICMP_BYTES + icmp->data_bytes);
	struct wire_ip k = *ip;

	assert_non_null(bytes);
	k.protocol = ip->version == 4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6;
	net_ip_in(n, k, bytes, wire_icmp_write(bytes, &k, icmp));
	free(bytes);
}

static struct ip_addr us(const struct ip_addr *other)
{
	return ip_addr_is_v4(other) ? net_ip4(1) : net_ip6(1);
}

u32 net_seg_bytes(const struct net_seg *seg, u8 *to)
{
	const struct ip_addr dst = us(&seg->from);
	struct wire_tcp tcp = {
		.src_port = seg->src_port ? seg->src_port : 40000,
		.dst_port = seg->dst_port ? seg->dst_port : NET_PORT,
		.seq = seq_of(seg->seq),
		.ack = seq_of(seg->ack),
		.wnd = seg->wnd ? (u16)seg->wnd : 60000,
		.flags = seg->flags,
		.urg = seg->urg,
		.options = seg->options,
	};
	u32 len = wire_tcp_write(to, &tcp);

	memset(to + len, 'x', seg->len);
	len += seg->len;
	tcp.csum = csum_finish(
		csum_bytes(csum_pseudo(&seg->from, &dst, WIRE_IPPROTO_TCP, len), to, len));
	if (seg->bad_csum)
		tcp.csum ^= 0x5555;
	memcpy(to + 16, &tcp.csum, 2);
	return len;
}

void net_seg_in(struct net *n, struct net_seg seg)
{
	const struct wire_ip ip = {.version = ip_addr_is_v4(&seg.from) ? 4 : 6,
	                           .src = seg.from,
	                           .dst = us(&seg.from),
	                           .protocol = WIRE_IPPROTO_TCP};
	u8 bytes[NET_BYTES];

	net_ip_in(n, ip, bytes, net_seg_bytes(&seg, bytes));
}

/* -- what was sent ----------------------------------------------------------------------------- */

static const struct net_frame *frame_at(const struct net *n, u32 i)
{
	assert_in_range(i + 1, 1, n->n_out);
	return &n->out[i];
}

const struct mac_addr *net_dst(const struct net *n, u32 i)
{
	return (const struct mac_addr *)frame_at(n, i)->bytes;
}

struct wire_tcp_segment net_tcp(const struct net *n, u32 i)
{
	const struct net_frame *f = frame_at(n, i);
	struct wire_tcp_segment seg;
	struct ip_addr src, dst;
	u64 sum;

	assert_int_equal(wire_parse_tcp(f->bytes, f->len, f->len, &seg), WIRE_OK);
	/* The flow is as the receiver sees it: local is the destination. */
	src = seg.flow.remote;
	dst = seg.flow.local;
	sum = csum_pseudo(&src, &dst, WIRE_IPPROTO_TCP, wire_segment_tcp_bytes(&seg));
	assert_true(csum_ok(csum_bytes(sum, f->bytes + seg.tcp_off, wire_segment_tcp_bytes(&seg))));
	return seg;
}

struct wire_arp net_arp_out(const struct net *n, u32 i)
{
	const struct net_frame *f = frame_at(n, i);
	struct wire_arp arp;

	assert_int_equal(wire_get16(f->bytes + 12), WIRE_ETH_ARP);
	assert_int_equal(wire_arp_parse(f->bytes + 14, f->len - 14, &arp), WIRE_OK);
	return arp;
}

struct wire_nd net_nd_out(const struct net *n, u32 i, struct wire_ip *ret_ip)
{
	const struct net_frame *f = frame_at(n, i);
	struct wire_ip ip;
	struct wire_nd nd;

	assert_int_equal(wire_get16(f->bytes + 12), WIRE_ETH_IP6);
	assert_int_equal(wire_ip6_parse(f->bytes + 14, f->len - 14, &ip), WIRE_OK);
	assert_int_equal(wire_nd_parse(&ip, f->bytes + 54, f->len - 54, &nd), WIRE_OK);
	if (ret_ip)
		*ret_ip = ip;
	return nd;
}

struct wire_icmp net_icmp_out(const struct net *n, u32 i, struct wire_ip *ret_ip)
{
	const struct net_frame *f = frame_at(n, i);
	struct wire_icmp icmp;
	struct wire_ip ip;

	assert_int_equal(wire_ip_parse(f->bytes + 14, f->len - 14, &ip), WIRE_OK);
	assert_int_equal(ip.protocol, ip.version == 4 ? WIRE_IPPROTO_ICMP : WIRE_IPPROTO_ICMP6);
	assert_int_equal(
		wire_icmp_parse(&ip, f->bytes + 14 + ip.header_bytes, ip.payload_bytes, &icmp),
		WIRE_OK);
	if (ret_ip)
		*ret_ip = ip;
	return icmp;
}

/* -- connections ------------------------------------------------------------------------------- */

void net_resolve(struct net *n, struct ip_addr hop, u8 mac)
{
	struct soft_neighbor_entry *e = neighbor_get(n->s, &hop, 0);
	const struct mac_addr m = net_mac(mac);

	assert_non_null(e);
	(void)neighbor_use(n->s, e);
	neighbor_answered(n->s, e, &(struct neighbor_answer){&m, true, true, false});
	net_run(n);
	assert_int_equal(net_reach(n, hop), SOFT_REACHABLE);
}

static struct wire_tcp_options syn_options(u8 options)
{
	struct wire_tcp_options o = {.present = WIRE_OPT_MSS, .mss = 1460, .ts_val = 1000};

	if (options & TCP_OPT_TIMESTAMPS)
		o.present |= WIRE_OPT_TIMESTAMPS;
	if (options & TCP_OPT_SACK)
		o.present |= WIRE_OPT_SACK_PERMITTED;
	return o;
}

static struct wire_tcp_options later_options(u8 options, const struct wire_tcp_segment *seg)
{
	struct wire_tcp_options o = {.ts_val = 1001, .ts_ecr = seg->options.ts_val};

	if (options & TCP_OPT_TIMESTAMPS)
		o.present = WIRE_OPT_TIMESTAMPS;
	return o;
}

u64 net_connect(struct net *n, struct ip_addr remote, u8 options, u32 *ret_ours)
{
	struct wire_tcp_options o = syn_options(options);
	struct wire_tcp_segment syn;
	u64 conn;

	assert_int_equal(soft_connect(n->s, &remote, NET_PORT, 0, &conn), 0);
	net_run(n);
	syn = net_tcp(n, n->n_out - 1);
	assert_int_equal(syn.flags, WIRE_SYN);
	o.ts_ecr = syn.options.ts_val;
	SEG(n, .from = remote, .src_port = NET_PORT, .dst_port = syn.flow.remote_port,
	    .flags = WIRE_SYN | WIRE_ACK, .seq = PEER_SEQ, .ack = syn.seq.n + 1, .options = o);
	net_run(n);
	assert_int_equal(soft_state(n->s, conn), TCP_ESTABLISHED);
	*ret_ours = syn.seq.n + 1;
	return conn;
}

u64 net_accept(struct net *n, struct ip_addr remote, u8 options, u32 *ret_ours)
{
	struct wire_tcp_segment synack;
	u64 conn;

	SEG(n, .from = remote, .flags = WIRE_SYN, .seq = PEER_SEQ, .options = syn_options(options));
	net_run(n);
	synack = net_tcp(n, n->n_out - 1);
	assert_int_equal(synack.flags, WIRE_SYN | WIRE_ACK);
	SEG(n, .from = remote, .flags = WIRE_ACK, .seq = PEER_SEQ + 1, .ack = synack.seq.n + 1,
	    .options = later_options(options, &synack));
	net_run(n);
	assert_true(soft_accept(n->s, &conn));
	assert_int_equal(soft_state(n->s, conn), TCP_ESTABLISHED);
	*ret_ours = synack.seq.n + 1;
	return conn;
}

const struct soft_counters *net_counters(const struct net *n)
{
	return soft_counters(n->s);
}

u8 net_reach(const struct net *n, struct ip_addr hop)
{
	struct soft_neighbor_info info;

	assert_int_equal(soft_neighbor_info(n->s, &hop, &info), 0);
	return info.state;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Random block lists for property tests: forests of n roots with valid states and payload, the same
 * for the same seed (R67, R111).
 *
 *   struct prng rng;
 *   struct forest f;
 *   prng_seed(&rng, seed);
 *   forest_make(&f, &rng, &(struct forest_config){.call = BLOCK_CALL_OFFLOAD, .roots = 4,
 *                                                 .paths = 3, .conns = 5, .bytes = 3000});
 *   ... f.list ...
 *   forest_free(&f);
 *
 * What is made passes block_list_check() for its call, and every connection tcp_state_check(): it
 * is in a state that may be offloaded, with data in flight, queued, unread and out of order.
 */
#ifndef FOREST_H
#define FOREST_H

#include "unit.h"

#include "base/prng.h"
#include "state/block.h"

struct forest_config {
	enum block_call call;
	u32 roots, paths, conns; /* at most, of each parent; at least one root */
	u32 bytes;               /* at most, of each queue; 0: no payload and no pool */
	u32 linkers_ppm;         /* chance that an inner block of an offload is a linker */
	u32 small, large;        /* buffers of the pool; 0: a default */
};

struct forest {
	struct block_list list;
	struct buf_pool pool;
	u8 *scratch; /* for block_list_check(): cap_blocks bytes */
	void *mem;
	void *pool_mem;
	struct forest_config config;
};

static inline u8 forest_byte(u32 seq)
{
	return (u8)(seq * 2654435761u >> 24);
}

/* A chain that holds `len` bytes whose values are those of sequence numbers from `seq` on; an empty
 * reference when the pool is too small. */
static inline struct data_ref forest_data(struct buf_pool *pool, struct prng *rng, u32 seq, u32 len)
{
	struct data_ref ref = {.buf = NIL};
	u32 *link = &ref.buf;

	if (!len)
		return ref;
	for (u32 done = 0; done < len;) {
		enum buf_class cls = prng_below(rng, 4) ? BUF_SMALL : BUF_LARGE;
		u32 index = buf_alloc(pool, cls);
		struct buf *b;

		if (index == NIL) {
			buf_put_chain(pool, ref.buf);
			return (struct data_ref){.buf = NIL};
		}
		b = buf_at(pool, index);
		b->off = prng_below(rng, 200);
		b->len =
			min_of(len - done, 1 + prng_below(rng, buf_capacity(pool, index) - b->off));
		for (u32 i = 0; i < b->len; i++, done++)
			buf_data(pool, index)[i] = forest_byte(seq + done);
		*link = index;
		link = &b->next;
	}
	ref.off = buf_at(pool, ref.buf)->off;
	ref.len = len;
	return ref;
}

static inline void forest_neighbor(struct neighbor_state *s, struct prng *rng, u32 id)
{
	*s = (struct neighbor_state){
		.k.source_mac.b = {2, 0, 0, 0, 0, 1},
		.k.encapsulations = 1 << LINK_DIX,
		.c.next_hop_mac.b = {2, 1, (u8)(id >> 24), (u8)(id >> 16), (u8)(id >> 8), (u8)id},
		.c.header_format = LINK_DIX,
		.c.host_reachable_ns = prng_u32(rng),
		.d.device_reachable_ns = prng_u32(rng),
	};
	s->k.vlans.n = prng_below(rng, VLAN_DEPTH_MAX + 1);
	for (u32 i = 0; i < s->k.vlans.n; i++)
		s->k.vlans.tag[i] = 0x8100u << 16 | prng_below(rng, 4095);
}

static inline void forest_path(struct path_state *s, struct prng *rng, u32 id)
{
	*s = (struct path_state){
		.k.ip_id_start = (u16)prng_u32(rng),
		.k.ip_id_confined = (u8)prng_below(rng, 2),
		.c.path_mtu = 1280 + prng_below(rng, 7721),
		.d.next_ip_id = (u16)prng_u32(rng),
	};
	u8 v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
	u8 v6[16] = {0xfd};
	const u8 *from = prng_below(rng, 2) ? v4 : v6;

	memcpy(s->k.local_addr.b, from, 16);
	memcpy(s->k.remote_addr.b, from, 16);
	s->k.local_addr.b[15] = 1;
	s->k.remote_addr.b[13] = (u8)(2 + (id >> 16));
	s->k.remote_addr.b[14] = (u8)(id >> 8);
	s->k.remote_addr.b[15] = (u8)id;
}

static inline void forest_tcp_settings(struct tcp_state *s, struct prng *rng, u32 id)
{
	s->k = (struct tcp_const){
		.local_port = (u16)(1 + id % 60000),
		.remote_port = (u16)(1 + prng_below(rng, 65535)),
		.options = TCP_OPT_TIMESTAMPS | TCP_OPT_SACK | TCP_OPT_WSCALE,
		.snd_wscale = (u8)prng_below(rng, 15),
		.rcv_wscale = 7,
		.peer_mss = 1460,
		.flow_hash = prng_u32(rng),
		.iss = {prng_u32(rng)},
		.irs = {prng_u32(rng)},
	};
	s->c = (struct tcp_cached){
		.nodelay = (u8)prng_below(rng, 2),
		.keepalive = (u8)prng_below(rng, 2),
		.keepalive_probes = 9,
		.keepalive_idle_ns = 7200 * NS_PER_S,
		.keepalive_interval_ns = 75 * NS_PER_S,
		.rcv_buf_bytes = 131072,
		.snd_buf_bytes = 131072,
		.max_retransmit_ns = 924 * NS_PER_S,
		.fin_wait2_ns = 60 * NS_PER_S,
		.hop_limit = 64,
		.cc_algorithm = (u8)prng_below(rng, 2),
	};
}

/* Queues, and the positions that go with them (struct data_ref says how they belong together). */
static inline void forest_tcp_position(struct tcp_state *s, struct prng *rng, struct forest *f)
{
	static const u8 states[] = {TCP_ESTABLISHED, TCP_FIN_WAIT_2, TCP_CLOSE_WAIT};
	struct tcp_delegated *d = &s->d;
	u32 bytes = f->config.bytes;
	u32 una = s->k.iss.n + 1 + prng_u32(rng) % 1000000;
	u32 nxt = s->k.irs.n + 1 + prng_u32(rng) % 1000000;
	u32 sent;

	d->state = states[prng_below(rng, bytes ? 3 : 1)];
	if (d->state == TCP_CLOSE_WAIT) {
		d->fin = TCP_FIN_RECEIVED;
		nxt++;
	}
	d->send.buf = NIL;
	if (d->state == TCP_FIN_WAIT_2)
		d->fin = TCP_FIN_QUEUED | TCP_FIN_SENT | TCP_FIN_ACKED;
	else
		d->send = forest_data(&f->pool, rng, una, prng_below(rng, bytes + 1));
	d->recv = forest_data(&f->pool, rng, nxt, prng_below(rng, bytes + 1));
	sent = prng_below(rng, d->send.len + 1);
	d->snd_una = d->snd_wl2 = d->snd_up = d->recovery_point = seq_of(una);
	d->snd_max = d->snd_nxt = seq_of(una + sent);
	d->rcv_nxt = d->snd_wl1 = d->rcv_up = d->last_ack_sent = seq_of(nxt);
	d->rcv_wnd = 65536;
	d->rcv_adv = seq_of(nxt + d->rcv_wnd);
	d->snd_wnd = d->max_snd_wnd = 100000;
	if (d->state != TCP_CLOSE_WAIT && bytes && prng_below(rng, 2)) {
		d->ooo.seg[0].seq = seq_of(nxt + 1000);
		d->ooo.seg[0].data =
			forest_data(&f->pool, rng, nxt + 1000, 1 + prng_below(rng, 1400));
		d->ooo.n = d->ooo.seg[0].data.len ? 1 : 0;
	}
	if (sent > 20) {
		d->sacked.n = 1;
		d->sacked.r[0] = (struct seq_range){{una + 10}, {una + 20}};
	}
}

static inline void forest_tcp(struct tcp_state *s, struct prng *rng, u32 id, struct forest *f)
{
	memset(s, 0, sizeof(*s));
	forest_tcp_settings(s, rng, id);
	forest_tcp_position(s, rng, f);
	s->d.cwnd_bytes = 14600 + prng_below(rng, 1000000);
	s->d.ssthresh_bytes = prng_below(rng, 2) ? UINT32_MAX : 100000;
	s->d.srtt_ns = 1 + prng_below(rng, 100000000);
	s->d.rttvar_ns = s->d.srtt_ns / 2;
	s->d.min_rtt_ns = s->d.srtt_ns / 2;
	s->d.rto_ns = 200 * NS_PER_MS + prng_below(rng, 1000000000);
	s->d.cc.type = s->c.cc_algorithm;
	s->d.ts_recent = prng_u32(rng);
	s->d.ts_offset = prng_u32(rng);
	s->d.idle_ns = prng_u32(rng);
	s->d.rcv_idle_ns = prng_u32(rng);
	s->d.retransmit_left_ns = seq_eq(s->d.snd_una, s->d.snd_max) ? TIMER_STOPPED : s->d.rto_ns;
	s->d.persist_left_ns = TIMER_STOPPED;
	s->d.keepalive_left_ns = s->c.keepalive ? s->c.keepalive_idle_ns : TIMER_STOPPED;
	s->d.fin_wait2_left_ns = s->d.state == TCP_FIN_WAIT_2 ? 60 * NS_PER_S : TIMER_STOPPED;
	s->d.delayed_ack_left_ns = prng_below(rng, 2) ? 40 * NS_PER_MS : TIMER_STOPPED;
}

static inline void forest_fill(struct forest *f, struct prng *rng, struct block *b)
{
	if (b->layer == LAYER_NEIGHBOR)
		forest_neighbor(block_neighbor(&f->list, b), rng, b->state);
	else if (b->layer == LAYER_PATH)
		forest_path(block_path(&f->list, b), rng, b->state);
	else
		forest_tcp(block_tcp(&f->list, b), rng, b->state, f);
}

/* Adds one block in a role that the call takes. */
static inline u32 forest_add(struct forest *f, struct prng *rng, u32 parent, enum layer layer)
{
	bool offload = f->config.call == BLOCK_CALL_OFFLOAD;
	bool full = offload || f->config.call == BLOCK_CALL_TRANSFER;
	bool linker = layer != LAYER_TCP && prng_chance(rng, f->config.linkers_ppm);
	struct block *b;
	u32 index;

	/* Elsewhere inner blocks are linkers or placeholders, and all linkers have a state. */
	assert_int_equal(block_list_add(&f->list, parent, layer, !linker, &index), 0);
	b = block_at(&f->list, index);
	b->host = 0x100000000ull | index;
	if (offload && linker)
		b->device = 0x300000000ull | index;
	if (!offload && !linker)
		b->device = 0x300000000ull | index;
	if (linker)
		return index;
	if (full || f->config.call == BLOCK_CALL_UPDATE)
		forest_fill(f, rng, b);
	if (full)
		b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
	else if (f->config.call == BLOCK_CALL_UPDATE)
		b->flags = BLOCK_CACHED;
	else if (f->config.call == BLOCK_CALL_QUERY)
		b->flags = (u8)prng_below(rng, 8);
	return index;
}

static inline void forest_memory(struct forest *f)
{
	struct forest_config *c = &f->config;
	u32 paths = c->roots * c->paths;
	u32 conns = paths * c->conns;
	u32 blocks = c->roots + paths + conns;
	struct buf_pool_config pool = {
		.small = c->small ? c->small : 64 + conns * 8,
		.large = c->large ? c->large : 4,
	};

	f->mem = aligned_alloc(64, block_list_bytes(blocks, c->roots, paths, conns));
	f->scratch = malloc(blocks);
	assert_non_null(f->mem);
	assert_non_null(f->scratch);
	block_list_init(&f->list, f->mem, blocks, c->roots, paths, conns);
	f->pool_mem = NULL;
	if (!c->bytes)
		return;
	f->pool_mem = aligned_alloc(4096, buf_pool_bytes(&pool));
	assert_non_null(f->pool_mem);
	buf_pool_init(&f->pool, f->pool_mem, &pool);
	f->list.pool = &f->pool;
}

static inline void forest_make(struct forest *f, struct prng *rng,
                               const struct forest_config *config)
{
	u32 roots = 1 + prng_below(rng, config->roots);

	memset(f, 0, sizeof(*f));
	f->config = *config;
	forest_memory(f);
	for (u32 r = 0; r < roots; r++) {
		u32 root = forest_add(f, rng, NIL, LAYER_NEIGHBOR);
		u32 paths = prng_below(rng, config->paths + 1);

		for (u32 p = 0; p < paths; p++) {
			u32 path = forest_add(f, rng, root, LAYER_PATH);
			u32 conns = prng_below(rng, config->conns + 1);

			for (u32 i = 0; i < conns; i++)
				(void)forest_add(f, rng, path, LAYER_TCP);
		}
	}
}

static inline void forest_free(struct forest *f)
{
	free(f->mem);
	free(f->scratch);
	free(f->pool_mem);
}

#endif

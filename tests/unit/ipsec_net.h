/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * IPsec drivers under test: each stands on a fake device that emits what it is given and writes
 * down what it gets. Two of them face each other over a wire of plain bytes.
 */
#ifndef IPSEC_NET_H
#define IPSEC_NET_H

#include "unit.h"

#include <errno.h>

#include "base/csum.h"
#include "crypto/crypto.h"
#include "driver/ipsec/ipsec.h"
#include "port/gather.h"
#include "wire/parse.h"

enum {
	NET_FRAMES = 256,
	NET_FRAME_BYTES = 2100,
	NET_SUPER_BYTES = 65000,
	NET_KEYS = 8,
};

struct net_frame {
	u32 len;
	u8 b[NET_FRAME_BYTES];
};

struct net_end {
	struct ipsec *d;
	void *mem, *pool_mem;
	struct buf_pool pool;
	struct device hook; /* what a lane calls */
	struct crypto *crypto;
	/* the device below */
	struct host_side told;
	struct tx_frame emit[NET_FRAMES];
	u32 n_emit, emit_at;
	struct net_frame got[NET_FRAMES];
	u32 n_got;
	/* what left for the wire */
	struct net_frame out[NET_FRAMES];
	u32 n_out;
	u32 events[3]; /* by enum ipsec_event */
	u64 now;
};

static inline struct host_side net_attach(void *impl, struct host_side host)
{
	struct net_end *e = impl;
	struct host_side before = e->told;

	e->told = host;
	return before;
}

static inline void net_capabilities(void *impl, struct capabilities *ret)
{
	*ret = (struct capabilities){.max_mtu_bytes = 1500};
}

/* Completes at once, all OK; paths get a handle. */
static inline int net_complete(void *impl, struct offload_request *request)
{
	struct net_end *e = impl;

	for (u32 i = 0; i < request->list->n_blocks; i++) {
		struct block *b = block_at(request->list, i);

		b->status = STATUS_OK;
		if (b->device == HANDLE_NONE)
			b->device = 0x100000000ull | (i + 1);
	}
	e->told.ops->complete(e->told.impl, request);
	return 0;
}

static inline void net_commit(void *impl, struct offload_request *request)
{
}

static const struct device_ops net_ops = {
	.attach = net_attach,
	.capabilities = net_capabilities,
	.offload = net_complete,
	.transfer = net_complete,
	.upload = net_complete,
	.commit = net_commit,
};

static inline void net_set_time(void *impl, u64 now_ns)
{
}

static inline u32 net_events(void *impl, u64 now_ns)
{
	return 0;
}

static inline u64 net_deadline(const void *impl)
{
	return UINT64_MAX;
}

static inline void net_input(void *impl, struct rx_frame *frames, u32 n, u64 now_ns)
{
	struct net_end *e = impl;

	for (u32 i = 0; i < n; i++) {
		struct net_frame *g = &e->got[e->n_got % NET_FRAMES];

		assert_int_equal(frames[i].verdict, FRAME_PENDING);
		assert_int_equal(buf_chain_len(&e->pool, frames[i].buf), frames[i].len);
		assert_true(frames[i].len <= NET_FRAME_BYTES);
		g->len = buf_chain_copy(&e->pool, frames[i].buf, 0, g->b, frames[i].len);
		buf_put_chain(&e->pool, frames[i].buf);
		frames[i].verdict = FRAME_CONSUMED;
		e->n_got++;
	}
}

static inline bool net_flush(void *impl, struct tx_batch *tx, u64 now_ns)
{
	struct net_end *e = impl;

	while (e->emit_at < e->n_emit && tx->n < tx->cap)
		tx->frames[tx->n++] = e->emit[e->emit_at++];
	return e->emit_at < e->n_emit;
}

static const struct frame_ops net_frame_ops = {
	.set_time = net_set_time,
	.input = net_input,
	.timers = net_set_time,
	.events = net_events,
	.flush = net_flush,
	.next_deadline = net_deadline,
};

static inline void net_event(void *ctx, handle host, enum ipsec_event event)
{
	((struct net_end *)ctx)->events[event]++;
}

static inline void *net_alloc(size_t align, size_t bytes)
{
	void *mem = aligned_alloc(align, (bytes + align - 1) / align * align);

	assert_non_null(mem);
	memset(mem, 0, bytes);
	return mem;
}

static inline void net_host_complete(void *impl, struct offload_request *request)
{
	request->cookie++;
}

static const struct host_ops net_host_ops = {.complete = net_host_complete};

static inline struct ipsec_config net_config(struct net_end *e)
{
	return (struct ipsec_config){
		.sas = 64,
		.policies = 16,
		.paths = 16,
		.frames = 64,
		.list_blocks = 64,
		.mtu_bytes = 1500,
		.seed = 5,
		.pool = &e->pool,
		.cipher = crypto_env(e->crypto),
		.event = net_event,
		.ctx = e,
	};
}

static inline struct net_end *net_make(void)
{
	struct net_end *e = net_alloc(64, sizeof(*e));
	struct buf_pool_config bufs = {.small = 512, .large = 8};
	struct ipsec_config config;

	assert_int_equal(crypto_create(64, &e->crypto), 0);
	e->pool_mem = net_alloc(4096, buf_pool_bytes(&bufs));
	buf_pool_init(&e->pool, e->pool_mem, &bufs);
	config = net_config(e);
	e->mem = net_alloc(64, ipsec_bytes(&config));
	assert_int_equal(ipsec_init(e->mem, &config, &e->d), 0);
	e->hook = (struct device){.ops = &net_ops, .frames = &net_frame_ops, .impl = e};
	e->told = (struct host_side){&net_host_ops, e};
	assert_int_equal(ipsec_insert(e->d, &e->hook), 0);
	e->now = 1000 * NS_PER_S;
	e->hook.frames->set_time(e->hook.impl, e->now);
	return e;
}

/* Takes the driver out and looks that it held nothing. */
static inline void net_free(struct net_end *e)
{
	assert_int_equal(ipsec_remove(e->d), 0);
	assert_ptr_equal(e->hook.impl, e);
	ipsec_finish(e->d);
	assert_int_equal(e->pool.n_free[BUF_SMALL], e->pool.count[BUF_SMALL]);
	assert_int_equal(e->pool.n_free[BUF_LARGE], e->pool.count[BUF_LARGE]);
	crypto_destroy(e->crypto);
	free(e->mem);
	free(e->pool_mem);
	free(e);
}

/* -- associations and policies ------------------------------------------------------------------
 */

/* How a test wants its traffic protected. */
struct net_how {
	u8 protocol, mode, suite;
	bool inner_v6, outer_v6; /* outer only in tunnel mode */
	bool esn;
	u8 n_vlan;
};

static inline struct ip_addr net_v4(u8 a, u8 b, u8 c, u8 d)
{
	return (struct ip_addr){.b = {[10] = 0xff, [11] = 0xff, a, b, c, d}};
}

static inline struct ip_addr net_v6(u8 net, u8 host)
{
	return (struct ip_addr){.b = {0xfd, net, [15] = host}};
}

/* End 0 or 1 of the connection, and of the tunnel. */
static inline struct ip_addr net_inner(const struct net_how *h, u32 end)
{
	return h->inner_v6 ? net_v6(1, (u8)(1 + end)) : net_v4(10, 0, 0, (u8)(1 + end));
}

static inline struct ip_addr net_outer(const struct net_how *h, u32 end)
{
	if (h->mode == IPSEC_TRANSPORT)
		return net_inner(h, end);
	return h->outer_v6 ? net_v6(9, (u8)(1 + end)) : net_v4(192, 0, 2, (u8)(1 + end));
}

static inline struct ipsec_selector net_selector(const struct net_how *h, u32 end)
{
	u8 bits = h->inner_v6 ? 128 : 32;

	return (struct ipsec_selector){
		.local = net_inner(h, end),
		.remote = net_inner(h, !end),
		.local_bits = bits,
		.remote_bits = bits,
		.protocol = 6,
	};
}

static inline struct ipsec_policy net_policy(const struct net_how *h, u32 end)
{
	return (struct ipsec_policy){
		.selector = net_selector(h, end),
		.action = IPSEC_PROTECT,
		.protocol = h->protocol,
		.mode = h->mode,
		.suite = h->suite,
		.local = net_outer(h, end),
		.remote = net_outer(h, !end),
	};
}

/* The association that carries packets from end `from` to the other, as `end` has it. */
static inline struct ipsec_sa_state net_sa(const struct net_how *h, u32 end, u32 from, u32 spi,
                                           u64 key)
{
	struct ipsec_selector s = net_selector(h, end);

	return (struct ipsec_sa_state){
		.spi = spi,
		.protocol = h->protocol,
		.mode = h->mode,
		.direction = end == from ? IPSEC_OUT : IPSEC_IN,
		.suite = h->suite,
		.esn = h->esn,
		.local = net_outer(h, end),
		.remote = net_outer(h, !end),
		.inner_local = s.local,
		.inner_remote = s.remote,
		.inner_local_bits = s.local_bits,
		.inner_remote_bits = s.remote_bits,
		.inner_protocol = s.protocol,
		.key = key,
		.hop_limit = 64,
	};
}

/* Byte i of test key `n`. */
static inline u8 net_key_byte(u32 n, u32 i)
{
	return (u8)(0x11 + n * 37 + i * 7);
}

static inline u64 net_key(struct net_end *e, u32 suite, u32 n)
{
	u8 key[CIPHER_KEY_BYTES_MAX];
	u64 number;

	for (u32 i = 0; i < cipher_shape(suite)->key_bytes; i++)
		key[i] = net_key_byte(n, i);
	assert_int_equal(
		crypto_key_add(e->crypto, suite, key, cipher_shape(suite)->key_bytes, &number), 0);
	return number;
}

/* A list of one association; `flags` and `device` as the call wants them. */
struct net_list {
	struct block_list list;
	void *mem;
	struct block *b;
	struct ipsec_sa_state *s;
};

static inline void net_list_make(struct net_list *l, u32 flags, handle device)
{
	static const u32 states[LAYERS] = {4, 0, 0};
	u32 at;

	l->mem = net_alloc(64, block_list_bytes_as(&ipsec_schema, 4, states));
	block_list_init_as(&l->list, &ipsec_schema, l->mem, 4, states);
	assert_int_equal(block_list_add(&l->list, NIL, LAYER_SA, true, &at), 0);
	l->b = block_at(&l->list, at);
	l->b->flags = (u8)flags;
	l->b->device = device;
	l->s = block_sa(&l->list, l->b);
}

static inline void net_list_free(struct net_list *l)
{
	free(l->mem);
}

enum { NET_ALL = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED };

static inline enum status net_sa_try(struct net_end *e, const struct ipsec_sa_state *s, handle *ret)
{
	struct net_list l;
	enum status status;

	net_list_make(&l, NET_ALL, HANDLE_NONE);
	*l.s = *s;
	assert_int_equal(ipsec_sa_offload(e->d, &l.list), 0);
	status = l.b->status;
	*ret = l.b->device;
	net_list_free(&l);
	return status;
}

static inline handle net_sa_add(struct net_end *e, const struct ipsec_sa_state *s)
{
	handle device;

	assert_int_equal(net_sa_try(e, s, &device), STATUS_OK);
	return device;
}

static inline struct ipsec_sa_state net_sa_query(struct net_end *e, handle device)
{
	struct ipsec_sa_state s;
	struct net_list l;

	net_list_make(&l, NET_ALL, device);
	assert_int_equal(ipsec_sa_query(e->d, &l.list), 0);
	assert_int_equal(l.b->status, STATUS_OK);
	s = *l.s;
	net_list_free(&l);
	return s;
}

static inline enum status net_sa_update(struct net_end *e, handle device,
                                        const struct ipsec_sa_state *s)
{
	struct net_list l;
	enum status status;

	net_list_make(&l, BLOCK_CACHED, device);
	*l.s = *s;
	assert_int_equal(ipsec_sa_update(e->d, &l.list), 0);
	status = l.b->status;
	net_list_free(&l);
	return status;
}

/* Uploads; commits when `keep` is false, else rolls back. */
static inline struct ipsec_sa_state net_sa_upload(struct net_end *e, handle device, bool keep)
{
	struct ipsec_sa_state s;
	struct net_list l;

	net_list_make(&l, 0, device);
	assert_int_equal(ipsec_sa_upload(e->d, &l.list), 0);
	assert_int_equal(l.b->status, STATUS_OK);
	s = *l.s;
	if (keep)
		l.b->status = STATUS_FAILED;
	ipsec_sa_commit(e->d, &l.list);
	net_list_free(&l);
	return s;
}

/* Two ends that protect what they say to each other, both ways with SPI 0x1000 + sender. */
struct net_pair {
	struct net_how how;
	struct net_end *end[2];
	handle out[2], in[2];
	u64 key[2]; /* number 1 of each end's store */
};

static inline void net_pair_make(struct net_pair *p, const struct net_how *how)
{
	*p = (struct net_pair){.how = *how};
	for (u32 i = 0; i < 2; i++) {
		struct net_end *e = p->end[i] = net_make();
		struct ipsec_policy policy = net_policy(how, i);
		struct ipsec_sa_state s;

		p->key[i] = net_key(e, how->suite, 0);
		s = net_sa(how, i, i, 0x1000 + i, p->key[i]);
		p->out[i] = net_sa_add(e, &s);
		s = net_sa(how, i, !i, 0x1000 + !i, p->key[i]);
		p->in[i] = net_sa_add(e, &s);
		assert_int_equal(ipsec_set_policies(e->d, &policy, 1), 0);
	}
}

static inline void net_pair_free(struct net_pair *p)
{
	net_free(p->end[0]);
	net_free(p->end[1]);
}

/* -- frames -------------------------------------------------------------------------------------
 */

static inline u8 net_byte(u32 i)
{
	return (u8)(i * 13 + (i >> 8));
}

/* A TCP segment from one end to the other as its device would emit it, payload in e's pool. With
 * `gso` it is a superframe. Released by net_emitted(). */
static inline struct tx_frame *net_emit(struct net_end *e, const struct net_how *h, u32 from,
                                        u32 seq, u32 len, u32 gso)
{
	struct tx_frame *f = &e->emit[e->n_emit++];
	struct wire_link link = {
		.dst = {{2, 0, 0, 0, 0, (u8)!from}},
		.src = {{2, 0, 0, 0, 0, (u8)from}},
		.ethertype = h->inner_v6 ? WIRE_ETH_IP6 : WIRE_ETH_IP4,
		.n_vlan = h->n_vlan,
		.vlan = {0x88a80064, 0x81006065},
	};
	struct wire_ip ip = {
		.src = net_inner(h, from),
		.dst = net_inner(h, !from),
		.version = h->inner_v6 ? 6 : 4,
		.tos = 0x12, /* with ECT */
		.ttl = 61,
		.protocol = 6,
		.dont_fragment = 1,
		.id = seq & 0xffff,
		.flow_label = h->inner_v6 ? 0x12345 : 0,
		.payload_bytes = WIRE_TCP_BYTES + 12 + len,
	};
	u8 *tcp, *p = f->header + 2;
	be16 sum;

	assert_true(e->n_emit <= NET_FRAMES);
	*f = (struct tx_frame){.header_off = 2, .payload_buf = NIL, .payload_len = len};
	p += wire_link_write(p, &link);
	p += wire_ip_write(p, &ip);
	tcp = p;
	wire_put32(tcp, (40000u + from) << 16 | (40000u + !from));
	wire_put32(tcp + 4, seq);
	wire_put32(tcp + 8, 77);
	wire_put32(tcp + 12, 0x80000000u | (WIRE_ACK | WIRE_PSH) << 16 | 500);
	wire_put32(tcp + 20, 0x0101080a);
	wire_put32(tcp + 24, 1234);
	wire_put32(tcp + 28, 5678);
	f->header_len = (u8)(tcp + 32 - f->header - 2);
	f->csum_start = (u16)(tcp - f->header - 2);
	f->csum_offset = 16;
	f->gso_bytes = (u16)gso;
	sum = csum_fold(csum_pseudo(&ip.src, &ip.dst, 6, 32 + len));
	memcpy(tcp + 16, &sum, 2);
	if (len) {
		f->payload_buf = buf_alloc(&e->pool, len > BUF_SMALL_BYTES ? BUF_LARGE : BUF_SMALL);
		assert_true(f->payload_buf != NIL);
		buf_at(&e->pool, f->payload_buf)->len = len;
		for (u32 i = 0; i < len; i++)
			buf_data(&e->pool, f->payload_buf)[i] = net_byte(seq + i);
	}
	return f;
}

/* Everything that the device emits goes through the driver to e->out, in batches of `cap`. */
static inline void net_send(struct net_end *e, u32 cap)
{
	struct tx_frame frames[NET_FRAMES];
	struct tx_batch tx = {.frames = frames, .cap = cap};
	bool more = true;

	e->n_out = 0;
	while (more) {
		tx.n = 0;
		more = e->hook.frames->flush(e->hook.impl, &tx, e->now);
		assert_true(tx.n || !more);
		for (u32 i = 0; i < tx.n; i++) {
			struct net_frame *o = &e->out[e->n_out++];

			assert_true(e->n_out <= NET_FRAMES);
			assert_true(tx_frame_len(&frames[i]) <= NET_FRAME_BYTES);
			o->len = frame_gather(&e->pool, &frames[i], o->b);
			assert_int_equal(o->len, tx_frame_len(&frames[i]));
		}
	}
	for (u32 i = 0; i < e->n_emit; i++)
		buf_put_chain(&e->pool, e->emit[i].payload_buf);
	e->n_emit = e->emit_at = 0;
}

/* One frame from the wire; true: it was given to the device. `first`: bytes of its first buffer,
 * the rest lies in more; 0: all. */
static inline bool net_receive(struct net_end *e, const u8 *p, u32 len, u32 first)
{
	struct rx_frame f = {.len = len};
	u32 got = e->n_got, *link = &f.buf, done = 0;

	first = first ? min_of(len, max_of(first, 128u)) : len;
	do {
		u32 b = buf_alloc(&e->pool, BUF_SMALL);
		u32 n = min_of(len - done, done ? 700u : first);

		assert_true(b != NIL);
		*link = b;
		link = &buf_at(&e->pool, b)->next;
		memcpy(buf_bytes(&e->pool, b), p + done, n);
		buf_at(&e->pool, b)->len = n;
		done += n;
	} while (done < len);
	e->hook.frames->input(e->hook.impl, &f, 1, e->now);
	if (f.verdict == FRAME_CONSUMED)
		return true;
	assert_int_equal(f.verdict, FRAME_DROPPED);
	assert_true(f.reason);
	assert_int_equal(e->n_got, got);
	buf_put_chain(&e->pool, f.buf);
	return false;
}

static inline u64 net_drops(const struct net_end *e)
{
	u64 sum = 0;

	for (u32 i = 0; i < IPSEC_REASONS; i++)
		sum += ipsec_counters(e->d)->drops[i];
	return sum;
}

#endif

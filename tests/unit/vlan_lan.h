// SPDX-License-Identifier: BSD-2-Clause-Patent
/*
 * Hosts of virtual devices over one device, and a peer behind a switch that tags: connection i is
 * of virtual device i / PER_VLAN. Every frame that leaves is looked at for its tags, every
 * completion and indication for its host.
 */
#ifndef VLAN_LAN_H
#define VLAN_LAN_H

#include "target_streams.h"

#include "driver/vlan/vlan.h"
#include "wire/parse.h"

enum {
	PER_VLAN = 32, /* a neighbor of its own */
	TALKING = 8,   /* of these */
};

/* A tag's type in its place. */
#define Q  0x81000000u
#define AD 0x88a80000u

struct lan;

struct lan_host {
	struct lan *lan;
	u32 vlan;
};

struct lan {
	struct world *w;
	struct vlan_config config;
	struct vlan *v;
	struct lan_host host[VLAN_DEVICES_MAX];
	u64 sent[WORLD_CONNS], got[WORLD_CONNS], peer_sent[WORLD_CONNS], peer_got[WORLD_CONNS];
	u32 not_taken;
	const struct vlan_stack
		*disguise; /* tags of all frames of the peer; NULL: the right ones */
};

/* -- hosts ------------------------------------------------------------------------------------- */

static inline void lan_is_own(const struct lan_host *h, handle host)
{
	if (host >= CONN_HOST && host < PATH_HOST)
		assert_int_equal((host - CONN_HOST) / PER_VLAN, h->vlan);
}

static inline void lan_complete(void *impl, struct offload_request *request)
{
	struct lan_host *h = impl;

	fake_complete(&h->lan->w->host, request);
}

static inline void lan_data_complete(void *impl, const struct data_completion *done, u32 n)
{
	struct lan_host *h = impl;

	for (u32 i = 0; i < n; i++)
		lan_is_own(h, done[i].host);
	fake_data_complete(&h->lan->w->host, done, n);
}

static inline void lan_indicate(void *impl, const struct indication *ind, u32 n)
{
	struct lan_host *h = impl;

	for (u32 i = 0; i < n; i++)
		lan_is_own(h, ind[i].host);
	h->lan->w->host.n_ind = 0;
	fake_indicate(&h->lan->w->host, ind, n);
}

static const struct host_ops lan_host_ops = {lan_complete, lan_data_complete, lan_indicate};

static inline struct device lan_device(struct lan *l, u32 vlan)
{
	return vlan ? *vlan_device(l->v, vlan) : l->w->dev;
}

/* -- the wire ---------------------------------------------------------------------------------- */

static inline void lan_tag(struct tx_frame *f, const struct vlan_stack *tags)
{
	u8 *type = f->header + f->header_off + 12;
	u32 bytes = 4 * tags->n;

	assert_true(f->header_off + f->header_len + bytes <= FRAME_HEADER_BYTES);
	memmove(type + bytes, type, f->header_len - 12u);
	for (u32 i = 0; i < tags->n; i++)
		wire_put32(type + (size_t)4 * i, tags->tag[i]);
	f->header_len = (u8)(f->header_len + bytes);
	if (f->csum_start)
		f->csum_start = (u16)(f->csum_start + bytes);
}

/* Which connection a frame is of, by the port of our end. */
static inline u32 lan_conn(const struct tx_frame *f, bool from_peer, struct wire_tcp_segment *seg)
{
	assert_int_equal(
		wire_parse_tcp(f->header + f->header_off, f->header_len, tx_frame_len(f), seg),
		WIRE_OK);
	return (from_peer ? seg->flow.local_port : seg->flow.remote_port) - 1024u;
}

static inline u32 lan_from_peer(struct lan *l)
{
	struct world *w = l->w;
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};

	(void)tcp_flush(w->peer, w->now, &tx);
	for (u32 i = 0; i < tx.n; i++) {
		struct wire_tcp_segment seg;
		u32 vlan = lan_conn(&w->tx[i], true, &seg) / PER_VLAN;
		struct rx_frame f;

		lan_tag(&w->tx[i], l->disguise ? l->disguise : &l->config.device[vlan].tags);
		assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[i], &f),
		                 0);
		w->dev.frames->input(w->dev.impl, &f, 1, w->now);
		if (f.verdict == FRAME_CONSUMED)
			continue;
		assert_int_equal(f.verdict, FRAME_TO_HOST);
		l->not_taken++;
		buf_put_chain(target_pool(w->t), f.buf);
	}
	return tx.n;
}

static inline void lan_to_peer(struct lan *l)
{
	struct world *w = l->w;
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	bool more = true;

	while (more) {
		tx.n = 0;
		more = w->dev.frames->flush(w->dev.impl, &tx, w->now);
		for (u32 i = 0; i < tx.n; i++) {
			struct wire_tcp_segment seg;
			u32 vlan = lan_conn(&w->tx[i], false, &seg) / PER_VLAN;
			const struct vlan_stack *tags = &l->config.device[vlan].tags;

			assert_int_equal(seg.n_vlan, tags->n);
			for (u32 t = 0; t < tags->n; t++)
				assert_int_equal(seg.vlan[t], tags->tag[t]);
		}
		world_to_peer(w, tx.n);
	}
}

static inline void lan_step(struct lan *l, u64 ns)
{
	struct world *w = l->w;
	struct tcp_event ev[64];

	w->now += ns;
	tcp_timers(w->peer, w->now);
	(void)lan_from_peer(l);
	w->dev.frames->timers(w->dev.impl, w->now);
	(void)w->dev.frames->events(w->dev.impl, w->now);
	lan_to_peer(l);
	while (tcp_events(w->peer, ev, 64))
		;
}

/* -- streams ----------------------------------------------------------------------------------- */

/* Runs a call of the world on a virtual device. */
#define LAN_ON(l, vlan, ...)                          \
	do {                                          \
		struct device lan_hook = (l)->w->dev; \
		(l)->w->dev = lan_device(l, vlan);    \
		__VA_ARGS__;                          \
		if (vlan)                             \
			(l)->w->dev = lan_hook;       \
	} while (0)

static inline void lan_talk(struct lan *l, u32 bytes)
{
	u8 buf[4096];

	for (u32 vlan = 0; vlan < l->config.n; vlan++) {
		for (u32 i = vlan * PER_VLAN; i < vlan * PER_VLAN + TALKING; i++) {
			s64 n = 0;

			if (!l->w->conns[i])
				continue;
			stream_fill(buf, l->sent[i], bytes);
			LAN_ON(l, vlan, n = do_send(l->w, i, buf, bytes, SEND_BUFFERED, 0));
			assert_true(n >= 0);
			l->sent[i] += (u64)n;
			stream_fill(buf, l->peer_sent[i], bytes);
			l->peer_sent[i] +=
				(u64)tcp_send(l->w->peer, l->w->peer_conn[i], buf, bytes);
		}
	}
}

/* True: everything that was sent is there. */
static inline bool lan_hear(struct lan *l)
{
	bool all = true;
	u8 buf[4096];

	for (u32 vlan = 0; vlan < l->config.n; vlan++) {
		for (u32 i = vlan * PER_VLAN; i < vlan * PER_VLAN + TALKING; i++) {
			s64 n = 1;

			if (!l->w->conns[i])
				continue;
			l->peer_got[i] = peer_read(l->w, i, l->peer_got[i]);
			while (n > 0) {
				LAN_ON(l, vlan,
				       n = do_recv(l->w, i, buf, sizeof(buf), RECV_NOW, 0));
				if (n <= 0)
					break;
				stream_check(buf, l->got[i], (u32)n);
				l->got[i] += (u64)n;
			}
			all &= l->got[i] == l->peer_sent[i] && l->peer_got[i] == l->sent[i];
		}
	}
	return all;
}

static inline void lan_hear_all(struct lan *l)
{
	for (u32 turn = 0; turn < 20000; turn++) {
		lan_step(l, NS_PER_MS);
		if (lan_hear(l))
			return;
	}
	fail_msg("bytes are missing");
}

static inline struct vlan_stack lan_tags(u32 n, u32 outer, u32 inner)
{
	return (struct vlan_stack){.n = n, .tag = {outer, inner}};
}

/* The driver in front of the device of `w`. */
static inline void lan_insert(struct lan *l)
{
	struct vlan_config *c = &l->config;

	c->objects = 1024;
	c->list_blocks = 256;
	c->id = c->id ? c->id : 7;
	c->pool = target_pool(l->w->t);
	l->v = vlan_init(zeroed(64, vlan_bytes(c)), c);
	assert_non_null(l->v);
	assert_int_equal(vlan_insert(l->v, &l->w->dev), 0);
	for (u32 i = 0; i < c->n; i++) {
		struct device d = lan_device(l, i);

		l->host[i] = (struct lan_host){l, i};
		(void)d.ops->attach(d.impl, (struct host_side){&lan_host_ops, &l->host[i]});
	}
}

#endif

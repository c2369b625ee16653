/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "port/pair.h"

#include <errno.h>

#include "base/assert.h"
#include "port/gather.h"

struct pair_end {
	struct port port;
	struct pair_end *peer;
	struct buf_pool *pool;
	const struct port_pair_config *config;
	struct rx_frame *ring; /* frames for this end, in this end's pool */
	u32 head, tail;        /* ever received, ever sent here */
	struct port_counters counters;
};

struct port_pair {
	struct port_pair_config config;
	struct pair_end ends[2];
};

static int pair_receive(struct port *port, struct rx_frame *frames, u32 n)
{
	struct pair_end *e = (struct pair_end *)port;
	u32 mask = e->config->ring_frames - 1;
	u32 done = min_of(n, e->tail - e->head);

	for (u32 i = 0; i < done; i++) {
		frames[i] = e->ring[e->head++ & mask];
		e->counters.rx_bytes += frames[i].len;
	}
	e->counters.rx_frames += done;
	return (int)done;
}

/* 0, or -EAGAIN: no room. A frame that finds no buffer is lost, as on a wire. */
static int pair_send(struct pair_end *e, struct pair_end *to, const struct tx_frame *f)
{
	u32 mask = to->config->ring_frames - 1;
	int err;

	if (to->tail - to->head > mask)
		return -EAGAIN;
	err = frame_copy_across(to->pool, e->pool, f, &to->ring[to->tail & mask]);
	if (err == -EINVAL) {
		e->counters.tx_failed++;
		return 0;
	}
	e->counters.tx_frames++;
	e->counters.tx_bytes += tx_frame_len(f);
	if (err)
		to->counters.rx_no_buffer++;
	else
		to->tail++;
	return 0;
}

static int pair_transmit(struct port *port, const struct tx_frame *frames, u32 n)
{
	struct pair_end *e = (struct pair_end *)port;

	for (u32 i = 0; i < n; i++) {
		if (pair_send(e, e->peer, &frames[i])) {
			e->counters.tx_busy++;
			return (int)i;
		}
	}
	return (int)n;
}

static void pair_info(const struct port *port, struct port_info *ret)
{
	const struct pair_end *e = (const struct pair_end *)port;

	*ret = (struct port_info){
		.gso_max_bytes = e->config->gso_max_bytes,
		.tx_csum = !e->config->no_tx_csum,
		.rx_trusted = !e->config->no_tx_csum,
		.fd = -1,
		.mtu_bytes = e->config->mtu_bytes,
		.mode = "sim",
	};
}

static void pair_counters(const struct port *port, struct port_counters *ret)
{
	*ret = ((const struct pair_end *)port)->counters;
}

static void pair_destroy(struct port *port)
{
	struct pair_end *e = (struct pair_end *)port;

	for (; e->head != e->tail; e->head++)
		buf_put_chain(e->pool, e->ring[e->head & (e->config->ring_frames - 1)].buf);
}

static const struct port_ops pair_ops = {
	.receive = pair_receive,
	.transmit = pair_transmit,
	.info = pair_info,
	.counters = pair_counters,
	.destroy = pair_destroy,
};

size_t port_pair_bytes(const struct port_pair_config *config)
{
	return sizeof(struct port_pair) + 2 * sizeof(struct rx_frame) * (size_t)config->ring_frames;
}

struct port_pair *port_pair_init(void *mem, const struct port_pair_config *config,
                                 struct buf_pool *const pool[2])
{
	struct port_pair *pair = mem;

	ASSERT(config->ring_frames && !(config->ring_frames & (config->ring_frames - 1)));
	pair->config = *config;
	for (u32 i = 0; i < 2; i++) {
		pair->ends[i] = (struct pair_end){
			.port.ops = &pair_ops,
			.peer = &pair->ends[1 - i],
			.pool = pool[i],
			.config = &pair->config,
			.ring = (struct rx_frame *)(pair + 1) + (size_t)i * config->ring_frames,
		};
	}
	return pair;
}

struct port *port_pair_end(struct port_pair *pair, u32 end)
{
	return &pair->ends[end].port;
}

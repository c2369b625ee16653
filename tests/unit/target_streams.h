/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Worlds with live connections, and streams of bytes from and to their peers. */
#ifndef TARGET_STREAMS_H
#define TARGET_STREAMS_H

#include "target_util.h"

static inline struct world *world_with(u32 conns, const struct target_config *config)
{
	struct world *w = world_make(config, true);

	world_offload(w, 0, conns);
	host_forget(w);
	return w;
}

/* The peer writes stream bytes [from, from + len). */
static inline void peer_send(struct world *w, u32 i, u64 from, u32 len)
{
	u8 buf[8192];

	while (len) {
		u32 n = min_of(len, (u32)sizeof(buf));

		stream_fill(buf, from, n);
		assert_int_equal(tcp_send(w->peer, w->peer_conn[i], buf, n), n);
		from += n;
		len -= n;
	}
}

/* The peer reads what is there and checks it; returns the new position. */
static inline u64 peer_read(struct world *w, u32 i, u64 from)
{
	u8 buf[8192];
	s64 n;

	while ((n = tcp_recv(w->peer, w->peer_conn[i], buf, sizeof(buf))) > 0) {
		stream_check(buf, from, (u32)n);
		from += (u64)n;
	}
	return from;
}

/* What the peer would send now, in buffers of the target, not delivered. */
static inline u32 capture(struct world *w, struct rx_frame *frames)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};

	(void)tcp_flush(w->peer, w->now, &tx);
	for (u32 i = 0; i < tx.n; i++)
		assert_int_equal(
			frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[i], &frames[i]),
			0);
	return tx.n;
}

/* Drops PSH from the next frame of the peer. */
static inline void from_peer_without_push(struct world *w)
{
	struct tx_batch tx = {.frames = w->tx, .cap = TX_MAX};
	struct rx_frame f;

	(void)tcp_flush(w->peer, w->now, &tx);
	assert_int_equal(tx.n, 1);
	/* Ethernet, IPv4, TCP flags; the checksum is left to the port, so nobody minds. */
	w->tx[0].header[w->tx[0].header_off + 14 + 20 + 13] &= (u8)~0x08;
	assert_int_equal(frame_copy_across(target_pool(w->t), w->peer_pool, &w->tx[0], &f), 0);
	target_input(w->t, &f, 1, w->now);
	assert_int_equal(f.verdict, FRAME_CONSUMED);
}

#endif

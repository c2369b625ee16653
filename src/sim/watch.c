/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/watch.h"

#include "base/hash.h"
#include "wire/parse.h"

enum { PORT_BASE = 10000 };

/* -- frames ------------------------------------------------------------------------------------ */

static void watch_edge(struct world *w, u32 side, const struct wire_tcp_segment *seg)
{
	u32 stream = (side ? seg->flow.local_port : seg->flow.remote_port) - PORT_BASE;
	struct stream_end *e;
	tcp_seq edge;

	if (stream >= w->config.conns || seg->flags & WIRE_SYN || !(seg->flags & WIRE_ACK))
		return;
	e = &w->streams[stream].end[side];
	edge = seq_add(seg->ack, (u32)seg->wnd << WORLD_WSCALE);
	if (e->has_edge && seq_lt(edge, e->edge))
		world_wrong(w, "stream %u end %u at %llu: window's right edge moved left by %d",
		            stream, side, (unsigned long long)w->now_ns, seq_diff(e->edge, edge));
	e->edge = edge;
	e->has_edge = true;
}

bool watch_frame(void *world, u32 direction, struct buf_pool *pool, const struct rx_frame *frame,
                 u64 now_ns)
{
	static const struct hash_key key = {{1, 2}};
	struct world *w = world;
	struct wire_tcp_segment seg;

	w->hash = hash_bytes(&key, &w->hash, sizeof(w->hash)) ^ now_ns ^ direction;
	buf_for_each (pool, i, frame->buf)
		w->hash ^= hash_bytes(&key, buf_data(pool, i), buf_at(pool, i)->len);
	if (wire_parse_tcp(buf_data(pool, frame->buf), buf_at(pool, frame->buf)->len, frame->len,
	                   &seg) != WIRE_OK) {
		world_wrong(w, "machine %u sent a frame that does not parse", direction);
		return true;
	}
	if (seg.flags & WIRE_RST)
		world_wrong(w, "machine %u sent a RST", direction);
	watch_edge(w, direction, &seg);
	return true;
}

/* -- owners ------------------------------------------------------------------------------------ */

static void watch_conn(struct world *w, u32 side, u32 i)
{
	const struct machine *m = w->machine[side];
	const struct stream_end *e = &w->streams[i].end[side];
	struct host_conn_info info;
	bool in_stack, in_target;

	if (!e->host || host_conn_info(m->host, e->host, &info))
		return;
	in_stack = soft_state(m->soft, e->soft) != TCP_CLOSED;
	in_target = info.device && target_connection(m->target, info.device) != NIL;
	if (info.side == HOST_IN_STACK && in_target)
		world_wrong(w, "stream %u of machine %u is in the host, and at the target", i,
		            side);
	if (info.side == HOST_IN_CHIMNEY && (in_stack || !in_target))
		world_wrong(w, "stream %u of machine %u is in the chimney: stack %u, target %u", i,
		            side, in_stack, in_target);
	if (info.side == HOST_MOVING && in_stack && in_target)
		world_wrong(w, "stream %u of machine %u runs twice in a move", i, side);
}

static void watch_tree(struct world *w, u32 side)
{
	const struct machine *m = w->machine[side];
	struct host_usage host;
	struct target_usage target;

	host_usage(m->host, &host);
	target_usage(m->target, &target);
	if (host.paths_at_device != target.paths || host.neighbors_at_device != target.neighbors)
		world_wrong(w, "machine %u: host has %u paths, %u neighbors there, target %u, %u",
		            side, host.paths_at_device, host.neighbors_at_device, target.paths,
		            target.neighbors);
	if (!m->busy && host.offloaded != target.connections)
		world_wrong(w, "machine %u: host has %u connections there, target %u", side,
		            host.offloaded, target.connections);
}

void watch_owners(struct world *w)
{
	for (u32 side = 0; side < 2; side++) {
		for (u32 i = 0; i < w->config.conns; i++)
			watch_conn(w, side, i);
		watch_tree(w, side);
	}
}

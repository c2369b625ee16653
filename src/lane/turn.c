/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One turn of a lane. */
#include "lane/internal.h"

enum {
	DRAIN_FRAMES = 16 * LANE_BATCH, /* a port that never gets empty does not hold the turn up */
	LATE_TURNS = 16,                /* nor the timers for longer */
};

/* Frames of the batch that are the host's, moved to the front; what was dropped is released. */
static u32 leftovers(struct lane *l, u32 n)
{
	u32 k = 0;

	for (u32 i = 0; i < n; i++) {
		switch (l->rx[i].verdict) {
		case FRAME_TO_HOST:
			l->rx[k++] = l->rx[i];
			break;
		case FRAME_DROPPED:
			buf_put_chain(l->config.pools[l->rx[i].port], l->rx[i].buf);
			break;
		default:
			break;
		}
	}
	return k;
}

static bool is_lost(const struct lane *l, u32 index)
{
	return index >= l->config.n_ports || l->lost_ports >> index & 1;
}

static void lose(struct lane *l, u32 index, int err)
{
	l->lost_ports |= 1u << index;
	lane_unwatch(l, index);
	l->config.device->frames->link_changed(l->config.device->impl, index, false);
	if (l->config.hooks.port_lost)
		l->config.hooks.port_lost(l->config.hooks.ctx, index, err);
}

/* One batch of a port; how many frames there were. */
static u32 receive(struct lane *l, u16 index, u64 now_ns)
{
	struct port *port = l->config.ports[index];
	int n = port->ops->receive(port, l->rx, LANE_BATCH);
	u32 left;

	if (n < 0)
		lose(l, index, n);
	if (n <= 0)
		return 0;
	for (int i = 0; i < n; i++) {
		l->rx[i].port = index;
		l->rx[i].verdict = FRAME_PENDING;
	}
	l->counters.rx_frames += (u32)n;
	l->config.device->frames->input(l->config.device->impl, l->rx, (u32)n, now_ns);
	left = leftovers(l, (u32)n);
	l->counters.to_host += left;
	if (left)
		l->config.hooks.frames_to_host(l->config.hooks.ctx, l->rx, left);
	return (u32)n;
}

/* Gives frames of one port to it; how many are done with, fewer than n when it is full. */
static u32 hand_over(struct lane *l, u32 index, const struct tx_frame *frames, u32 n)
{
	struct port *port;
	int taken;

	if (is_lost(l, index)) {
		l->counters.tx_lost += n;
		return n;
	}
	port = l->config.ports[index];
	taken = port->ops->transmit(port, frames, n);
	if (taken < 0) {
		lose(l, index, taken);
		l->counters.tx_lost += n;
		return n;
	}
	l->counters.tx_frames += (u32)taken;
	return (u32)taken;
}

/* Gives the frames from tx_at on to their ports, runs of one port at a time. False: a port is
 * full, the rest waits. */
static bool transmit(struct lane *l)
{
	while (l->tx_at < l->tx.n) {
		u16 index = l->tx.frames[l->tx_at].port;
		u32 end = l->tx_at + 1;

		while (end < l->tx.n && l->tx.frames[end].port == index)
			end++;
		l->tx_at += hand_over(l, index, l->tx.frames + l->tx_at, end - l->tx_at);
		if (l->tx_at < end) {
			l->counters.tx_stalls++;
			return false;
		}
	}
	l->tx.n = 0;
	l->tx_at = 0;
	return true;
}

bool lane_send(struct lane *l, u64 now_ns)
{
	u64 before = l->counters.tx_frames;
	bool more = true;

	if (!transmit(l))
		return l->counters.tx_frames != before;
	while (more) {
		more = l->config.device->frames->flush(l->config.device->impl, &l->tx, now_ns);
		if (!l->tx.n)
			break;
		if (!transmit(l))
			break;
	}
	l->touched = false;
	return l->counters.tx_frames != before;
}

u32 lane_drain(struct lane *l)
{
	u64 now_ns = lane_now_ns();
	u32 sum = 0;

	for (u32 i = 0; i < l->config.n_ports; i++) {
		u32 got = 0, n = 1;

		while (n && got < DRAIN_FRAMES && !is_lost(l, i)) {
			n = receive(l, (u16)i, now_ns);
			got += n;
		}
		sum += got;
	}
	return sum;
}

/* One batch of each port. True: there was one; *ret_more: a port may have more. */
static bool receive_all(struct lane *l, u64 now_ns, bool *ret_more)
{
	bool busy = false;

	*ret_more = false;
	for (u32 i = 0; i < l->config.n_ports; i++) {
		u32 n = is_lost(l, i) ? 0 : receive(l, (u16)i, now_ns);

		busy |= n != 0;
		*ret_more |= n == LANE_BATCH;
	}
	return busy;
}

/*
 * After a pause many frames wait, more than a batch, and the ACK that a timer waits for may be the
 * last of them: the timers run when it was looked at, or what the peer has is sent again.
 */
static void run_timers(struct lane *l, u64 now_ns, bool more)
{
	if (more && ++l->late_turns < LATE_TURNS)
		return;
	l->late_turns = 0;
	l->config.device->frames->timers(l->config.device->impl, now_ns);
}

bool lane_step(struct lane *l, u64 now_ns)
{
	bool busy = false, more;

	l->config.device->frames->set_time(l->config.device->impl, now_ns);
	/* What was written since the last turn does not wait for a system call that receives. */
	if (l->touched)
		busy |= lane_send(l, now_ns);
	busy |= receive_all(l, now_ns, &more);
	run_timers(l, now_ns, more);
	busy |= l->config.device->frames->events(l->config.device->impl, now_ns) != 0;
	if (l->config.hooks.work)
		busy |= l->config.hooks.work(l->config.hooks.ctx);
	busy |= lane_send(l, now_ns);
	l->counters.turns++;
	l->counters.busy_turns += busy;
	return busy;
}

bool lane_turn(struct lane *l)
{
	return lane_step(l, lane_now_ns());
}

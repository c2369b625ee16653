/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/prr.h"

void prr_begin(struct tcp_conn *c)
{
	c->prr_delivered = c->prr_out = 0;
	c->prr_flight = max_of((u32)seq_diff(c->snd_max, c->snd_una), 1u);
}

/* RFC 6937 3: in proportion while more is out than ssthresh. */
static u32 reduce(const struct tcp_conn *c)
{
	u64 target =
		((u64)c->prr_delivered * c->ssthresh_bytes + c->prr_flight - 1) / c->prr_flight;

	return (u32)(target - min_of(target, (u64)c->prr_out));
}

/* The bound: back up to ssthresh, in slow start when safe. */
static u32 bound(const struct tcp_conn *c, u32 pipe, u32 delivered, bool safe)
{
	u32 limit = c->prr_delivered - min_of(c->prr_delivered, c->prr_out);

	limit = max_of(limit, delivered);
	if (safe)
		limit += c->mss;
	return min_of(c->ssthresh_bytes - pipe, limit);
}

void prr_ack(struct tcp_conn *c, u32 delivered, bool safe)
{
	u32 pipe = recovery_pipe(c), send;

	c->prr_delivered += delivered;
	send = pipe > c->ssthresh_bytes ? reduce(c) : bound(c, pipe, delivered, safe);
	/* The fast retransmit itself does not wait. */
	if (!c->prr_out)
		send = max_of(send, (u32)c->mss);
	c->cwnd_bytes = max_of(pipe + send, (u32)c->mss);
}

void prr_force(struct tcp_conn *c)
{
	u32 pipe = recovery_pipe(c);

	prr_ack(c, 0, false);
	c->cwnd_bytes = max_of(c->cwnd_bytes, pipe + c->mss);
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Frames: each batch to the member whose port it came by. A switch may deliver a flow to any link
 * of an aggregate, so what that member does not know the others are asked for (R39).
 */
#include "driver/team/internal.h"

static u32 member_of_port(const struct team *t, u32 port)
{
	for (u32 m = 0; m < t->config.n_members; m++)
		if (t->member[m].port == port)
			return m;
	return NIL;
}

static void set_time(void *device, u64 now_ns)
{
	struct team *t = device;

	t->now_ns = now_ns;
	for (u32 m = 0; m < t->config.n_members; m++) {
		struct device *d = t->member[m].device;

		d->frames->set_time(d->impl, now_ns);
	}
}

static void offer_to_others(struct team *t, u32 owner, struct rx_frame *frame, u64 now_ns)
{
	for (u32 m = 0; m < t->config.n_members && frame->verdict == FRAME_TO_HOST; m++) {
		struct device *d = t->member[m].device;
		u8 reason = frame->reason;

		if (m == owner || !t->member[m].n)
			continue;
		frame->verdict = FRAME_PENDING;
		d->frames->input(d->impl, frame, 1, now_ns);
		if (frame->verdict == FRAME_CONSUMED)
			t->stats.strays++;
		else
			frame->reason = reason;
	}
}

static void input_run(struct team *t, struct rx_frame *frames, u32 n, u64 now_ns)
{
	u32 owner = member_of_port(t, frames[0].port);

	if (owner == NIL) {
		for (u32 i = 0; i < n; i++)
			frames[i].verdict = FRAME_TO_HOST;
	} else {
		struct device *d = t->member[owner].device;

		d->frames->input(d->impl, frames, n, now_ns);
	}
	for (u32 i = 0; i < n; i++)
		if (frames[i].verdict == FRAME_TO_HOST)
			offer_to_others(t, owner, &frames[i], now_ns);
}

static void input(void *device, struct rx_frame *frames, u32 n, u64 now_ns)
{
	u32 first = 0;

	for (u32 i = 1; i <= n; i++) {
		if (i < n && frames[i].port == frames[first].port)
			continue;
		input_run(device, frames + first, i - first, now_ns);
		first = i;
	}
}

static void timers(void *device, u64 now_ns)
{
	struct team *t = device;

	t->now_ns = now_ns;
	for (u32 m = 0; m < t->config.n_members; m++) {
		struct device *d = t->member[m].device;

		d->frames->timers(d->impl, now_ns);
	}
	team_detect_run(t);
}

static u32 events(void *device, u64 now_ns)
{
	struct team *t = device;
	u32 n = 0;

	t->now_ns = now_ns;
	for (u32 m = 0; m < t->config.n_members; m++) {
		struct device *d = t->member[m].device;

		n += d->frames->events(d->impl, now_ns);
	}
	n += team_failover_run(t);
	team_ops_run(t);
	if (t->caps_changed) {
		t->caps_changed = false;
		team_tell_host(t, IND_RESUME, HANDLE_NONE, 0);
		n++;
	}
	return n;
}

/* Another member begins each time, so that none keeps the others from sending. */
static bool flush(void *device, struct tx_batch *tx, u64 now_ns)
{
	struct team *t = device;
	bool more = false;

	for (u32 i = 0; i < t->config.n_members && tx->n < tx->cap; i++) {
		struct device *d = t->member[(t->flush_at + i) % t->config.n_members].device;

		more |= d->frames->flush(d->impl, tx, now_ns);
	}
	t->flush_at = (t->flush_at + 1) % t->config.n_members;
	return more || tx->n == tx->cap;
}

static u64 next_deadline(const void *device)
{
	const struct team *t = device;
	u64 next = team_detect_next_ns(t);

	for (u32 m = 0; m < t->config.n_members; m++) {
		const struct device *d = t->member[m].device;

		next = min_of(next, d->frames->next_deadline(d->impl));
		if (t->member[m].leaving)
			next = 0;
	}
	return next;
}

/* The members' own word on their links is the carrier's cause; they report it themselves. */
static void link_changed(void *device, u32 port, bool up)
{
	struct team *t = device;
	u32 m = member_of_port(t, port);

	if (m != NIL)
		t->member[m].device->frames->link_changed(t->member[m].device->impl, port, up);
}

const struct frame_ops team_frame_ops = {
	.set_time = set_time,
	.input = input,
	.timers = timers,
	.events = events,
	.flush = flush,
	.next_deadline = next_deadline,
	.link_changed = link_changed,
};

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which connections are poor candidates for an offload: what each did is counted, looked at once a
 * period, a stretch of connections a cycle, and held against the thresholds of the configuration.
 * A connection must cross the same one so many periods in a row before its upload is asked for, and
 * is asked for again only after a pause: the host may have said no.
 */
#include "target/internal.h"

/* Averages of fewer calls say nothing. */
enum { SMALL_IO_CALLS = 16 };

/* UPLOAD_REASONS: it does well. */
static enum upload_reason judge(const struct target_watch_config *k,
                                const struct target_activity *a)
{
	if (k->losses && a->losses >= k->losses)
		return UPLOAD_HIGH_DROP_RATE;
	if (k->fragments && a->fragments >= k->fragments)
		return UPLOAD_FRAGMENTATION;
	if (k->disorder && a->disorder >= k->disorder)
		return UPLOAD_OUT_OF_ORDER;
	if (k->small_bytes && a->calls >= SMALL_IO_CALLS && a->bytes / a->calls < k->small_bytes)
		return UPLOAD_SMALL_IO;
	if (k->unposted_bytes && a->unposted >= k->unposted_bytes)
		return UPLOAD_NO_BUFFERS;
	if (a->bytes < k->low_bytes)
		return UPLOAD_LOW_ACTIVITY;
	return UPLOAD_REASONS;
}

static void look_at(struct target *t, struct target_conn *c)
{
	const struct target_watch_config *k = &t->config.watch;
	struct target_activity now = c->activity;
	enum upload_reason reason = judge(k, &now);

	c->activity =
		(struct target_activity){.quiet_until_ns = now.quiet_until_ns, .watched = true};
	/* The part of a period that it came in says nothing. */
	if (reason == UPLOAD_REASONS || !now.watched)
		return;
	c->activity.reason = (u8)reason;
	c->activity.row = now.row && now.reason == reason ? min_of(now.row + 1, 255) : 1;
	if (c->activity.row < k->periods || t->now_ns < now.quiet_until_ns)
		return;
	/* The host did not do what was asked last time. */
	if (c->flags & TC_ASKED && !upload_reason_is_final(c->reason))
		c->flags &= (u16)~TC_ASKED;
	c->activity.row = 0;
	c->activity.quiet_until_ns = t->now_ns + k->quiet_ns;
	ask_upload(t, c, reason);
}

u64 watch_deadline(const struct target *t)
{
	if (likely(!t->config.watch.period_ns) || !t->conn_slots.n_taken)
		return UINT64_MAX;
	return t->watch_at == NIL ? t->watch_next_ns : 0;
}

void watch_scan(struct target *t)
{
	u32 end;

	if (t->watch_at == NIL) {
		if (t->now_ns < t->watch_next_ns)
			return;
		t->watch_next_ns = t->now_ns + t->config.watch.period_ns;
		t->watch_at = 0;
	}
	end = min_of(t->watch_at + SCAN_BATCH, t->conn_slots.count);
	for (u32 i = t->watch_at; i < end; i++) {
		struct target_conn *c = &t->conns[i];

		if (!slots_is_taken(&t->conn_slots, i) || c->eng == NIL ||
		    conn_state(t, c) != OBJECT_OFFLOADED)
			continue;
		look_at(t, c);
		if (IND_MAX - t->ind.n < IND_ROOM)
			tell_host(t);
	}
	t->watch_at = end < t->conn_slots.count ? end : NIL;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * From the engine's events to what the host is told. A connection that something happened to is
 * kicked, and served once per cycle however much it was.
 */
#include <errno.h>

#include "target/internal.h"

/* -- the rings ----------------------------------------------------------------------------------
 */

static void tell_done(struct target *t)
{
	struct data_completion batch[TELL_BATCH];
	struct done_ring *r = &t->done;
	u32 n = min_of(r->n, (u32)TELL_BATCH);

	for (u32 i = 0; i < n; i++)
		batch[i] = r->a[(r->head + i) & (DONE_MAX - 1)];
	r->head += n;
	r->n -= n;
	t->told += n;
	if (!t->host.ops)
		return;
	t->depth++;
	t->host.ops->data_complete(t->host.impl, batch, n);
	t->depth--;
}

static void tell_ind(struct target *t)
{
	struct indication batch[TELL_BATCH];
	struct ind_ring *r = &t->ind;
	u32 n = min_of(r->n, (u32)TELL_BATCH);

	for (u32 i = 0; i < n; i++)
		batch[i] = r->a[(r->head + i) & (IND_MAX - 1)];
	r->head += n;
	r->n -= n;
	t->told += n;
	if (!t->host.ops)
		return;
	t->depth++;
	t->host.ops->indicate(t->host.impl, batch, n);
	t->depth--;
}

void tell_host(struct target *t)
{
	while ((t->done.n || t->ind.n) && t->depth < DEPTH_MAX) {
		if (t->done.n)
			tell_done(t);
		else
			tell_ind(t);
	}
}

void tell_completions(struct target *t)
{
	while (t->done.n)
		tell_done(t);
}

void complete_call(struct target *t, struct data_completion done)
{
	struct done_ring *r = &t->done;

	t->stats.completions[done.kind]++;
	t->stats.completion_status[done.status]++;
	if (unlikely(r->n == DONE_MAX))
		tell_done(t);
	r->a[(r->head + r->n++) & (DONE_MAX - 1)] = done;
}

void indicate(struct target *t, enum indication_kind kind, handle host, u64 detail)
{
	struct ind_ring *r = &t->ind;

	t->stats.indications[kind]++;
	if (unlikely(r->n == IND_MAX))
		tell_ind(t);
	r->a[(r->head + r->n++) & (IND_MAX - 1)] =
		(struct indication){.kind = (u8)kind, .host = host, .detail = detail};
}

/* -- the kick list ------------------------------------------------------------------------------
 */

void kick(struct target *t, struct target_conn *c)
{
	u32 i = conn_index(t, c);

	if (c->flags & TC_KICKED)
		return;
	c->flags |= TC_KICKED;
	c->kick_next = NIL;
	if (t->kick_tail == NIL)
		t->kick_head = i;
	else
		t->conns[t->kick_tail].kick_next = i;
	t->kick_tail = i;
}

static struct target_conn *unkick(struct target *t)
{
	struct target_conn *c;

	if (t->kick_head == NIL)
		return NULL;
	c = &t->conns[t->kick_head];
	t->kick_head = c->kick_next;
	if (t->kick_head == NIL)
		t->kick_tail = NIL;
	else
		prefetchw(&t->conns[t->kick_head]);
	c->flags &= (u16)~TC_KICKED;
	return c;
}

/* No ACK will wake them: they try again each cycle, for buffers that others have freed. */
static void kick_starved(struct target *t)
{
	u32 i = t->starved;

	t->starved = NIL;
	while (i != NIL) {
		struct target_conn *c = &t->conns[i];

		i = c->starved_next;
		c->flags &= (u16)~TC_STARVED;
		c->events |= TCP_EV_ACKED;
		kick(t, c);
	}
}

void starve(struct target *t, struct target_conn *c)
{
	if (c->flags & TC_STARVED)
		return;
	c->flags |= TC_STARVED;
	c->starved_next = t->starved;
	t->starved = conn_index(t, c);
}

/* -- upload requests ----------------------------------------------------------------------------
 */

void ask_upload(struct target *t, struct target_conn *c, enum upload_reason reason)
{
	bool final = upload_reason_is_final(reason);

	/* Once; but a reason that ends it follows one that does not. */
	if (c->flags & TC_ASKED && (!final || upload_reason_is_final(c->reason)))
		return;
	c->flags |= TC_ASKED;
	c->reason = (u8)reason;
	if (final && c->state == OBJECT_OFFLOADED)
		c->state = OBJECT_UPLOAD_REQUESTED;
	t->stats.upload_requests[reason]++;
	indicate(t, IND_UPLOAD_REQUEST, c->host, reason);
}

int target_ask_upload(struct target *t, handle conn, enum upload_reason reason)
{
	struct target_conn *c = conn_find(t, conn);

	if (!c)
		return -ESTALE;
	if (legal_verdict(conn_state(t, c), LEGAL_CALL_INDICATE) != LEGAL_YES ||
	    (c->flags & TC_ASKED &&
	     (!upload_reason_is_final(reason) || upload_reason_is_final(c->reason))))
		return -EBUSY;
	ask_upload(t, c, reason);
	return 0;
}

void target_ask_upload_all(struct target *t, enum upload_reason reason)
{
	t->stats.upload_requests[reason]++;
	indicate(t, IND_UPLOAD_ALL, HANDLE_NONE, reason);
}

void target_pause(struct target *t)
{
	if (t->paused)
		return;
	t->paused = true;
	indicate(t, IND_PAUSE, HANDLE_NONE, 0);
}

void target_resume(struct target *t)
{
	if (!t->paused)
		return;
	t->paused = false;
	indicate(t, IND_RESUME, HANDLE_NONE, 0);
}

void target_link_changed(struct target *t, u32 port, bool up)
{
	indicate(t, up ? IND_LINK_UP : IND_LINK_DOWN, HANDLE_NONE, port);
}

void check_reachable(struct target *t, struct target_neighbor *n)
{
	u64 host_ago = t->now_ns - min_of(t->now_ns, n->host_reached_ns);
	struct neighbor_state s;
	u64 fresher;

	tcp_neighbor_export(t->engine, n->eng, t->now_ns, &s);
	fresher = min_of(host_ago, s.d.device_reachable_ns);
	if (fresher < t->config.reachable_ns) {
		n->asked = 0;
		n->check_at_ns = t->now_ns + (t->config.reachable_ns - fresher);
		return;
	}
	/* Stale at both ends: ask once, until an update answers. */
	if (!n->asked) {
		n->asked = 1;
		indicate(t, IND_REACHABLE_QUERY, n->host, 0);
	}
	n->check_at_ns = t->now_ns + t->config.reachable_ns;
}

/* -- serving one connection ---------------------------------------------------------------------
 */

/* Reset by the peer, or given up by a timer; or we aborted it and the RST is out. */
static void serve_end(struct target *t, struct target_conn *c, u32 events)
{
	bool ours = c->flags & TC_ABORTING;

	c->error = events & TCP_EV_TIMEOUT ? ETIMEDOUT : ECONNRESET;
	c->flags |= TC_CLOSED;
	c->state = OBJECT_ABORTED;
	if (!ours)
		indicate(t, IND_ABORTED, c->host, c->error);
	calls_end(t, c, STATUS_ABORTED);
}

/* Data, then the FIN behind it. `tell`: indications are legal. */
static void serve_receive(struct target *t, struct target_conn *c, bool tell)
{
	u32 unread = tcp_recv_pending(t->engine, c->eng);
	bool end = c->flags & TC_FIN_SEEN;

	if (!tell || c->recv_head != NIL)
		return;
	if (!unread) {
		if (end && !(c->flags & TC_FIN_SAID)) {
			c->flags |= TC_FIN_SAID;
			indicate(t, IND_PEER_CLOSED, c->host, 0);
		}
		return;
	}
	if (c->flags & TC_ARMED && (unread >= c->indicate_bytes || c->flags & TC_PUSHED || end)) {
		c->flags &= (u16)~TC_ARMED;
		indicate(t, IND_RECEIVE, c->host, unread);
		return;
	}
	/* It was told and neither took nor posted anything (semantics 5.12). */
	if (end && !(c->flags & TC_ARMED) && t->config.ask & TARGET_ASK_FIN_UNREAD)
		ask_upload(t, c, UPLOAD_FIN_UNREAD);
}

static void serve_room(struct target *t, struct target_conn *c)
{
	u32 room;

	if (!(c->flags & TC_WANT_ROOM) || c->send_head != NIL)
		return;
	room = tcp_send_room(t->engine, c->eng);
	if (!room) {
		if (!tcp_send_pending(t->engine, c->eng))
			starve(t, c);
		return;
	}
	c->flags &= (u16)~TC_WANT_ROOM;
	indicate(t, IND_SEND_ROOM, c->host, room);
}

/* How much is worth having in flight: told when it has doubled since. */
static void serve_backlog(struct target *t, struct target_conn *c)
{
	u32 cwnd = tcp_conn_cwnd(t->engine, c->eng);
	u8 size = (u8)(32 - __builtin_clz(cwnd | 1));

	if (likely(size <= c->backlog))
		return;
	c->backlog = size;
	indicate(t, IND_SEND_BACKLOG, c->host, 2ull * cwnd);
}

/* What the engine will not go on with is the host's. */
static void serve_requests(struct target *t, struct target_conn *c, u32 events)
{
	struct target_neighbor *n = &t->neighbors[t->paths[c->path].neighbor];

	/* What is sent again is a send too (semantics 5.10): with all its data handed over, only a
	 * timeout can find that the next hop has another address. */
	if (unlikely(events & TCP_EV_LOSS) && n->check_at_ns <= t->now_ns)
		check_reachable(t, n);
	if (events & TCP_EV_URGENT)
		ask_upload(t, c, UPLOAD_URGENT);
	if (events & (TCP_EV_TIME_WAIT | TCP_EV_CLOSED)) {
		c->flags |= TC_CLOSED;
		ask_upload(t, c, UPLOAD_TIME_WAIT);
	}
	if (events & TCP_EV_SOFT_ERROR && t->config.ask & TARGET_ASK_SOFT_ERROR)
		ask_upload(t, c, UPLOAD_TIMEOUT);
}

void serve(struct target *t, struct target_conn *c)
{
	u32 events = c->events;
	enum legal may;
	bool done;

	if (c->state == OBJECT_UPLOADING || c->eng == NIL)
		return; /* after a roll-back */
	if (unlikely(c->flags & TC_ORPHANED)) {
		calls_orphaned(t, c); /* may call the host, which may do anything: later */
		kick(t, c);
		return;
	}
	c->events = 0;
	if (c->state == OBJECT_ABORTED)
		return;
	may = legal_verdict(conn_state(t, c), LEGAL_CALL_INDICATE);
	if (unlikely(events & (TCP_EV_LOSS | TCP_EV_DISORDER)))
		watch_events(t, c, events);
	if (events & TCP_EV_PUSH)
		c->flags |= TC_PUSHED;
	if (events & TCP_EV_FIN)
		c->flags |= TC_FIN_SEEN;
	if (events & TCP_EV_FIN_ACKED)
		c->flags |= TC_FIN_ACKED;
	if (events & (TCP_EV_RESET | TCP_EV_TIMEOUT) ||
	    (events & TCP_EV_CLOSED && c->flags & TC_ABORTING)) {
		serve_end(t, c, events);
		return;
	}
	done = calls_pump(t, c);
	if (events & (TCP_EV_ACKED | TCP_EV_FIN_ACKED) && may == LEGAL_YES) {
		serve_room(t, c);
		serve_backlog(t, c);
	}
	if (!calls_fill(t, c))
		done = false;
	serve_receive(t, c, may == LEGAL_YES);
	if (may != LEGAL_NEVER)
		serve_requests(t, c, events);
	if (!done)
		kick(t, c);
}

/* -- the cycle ----------------------------------------------------------------------------------
 */

static void gather(struct target *t)
{
	struct tcp_event events[EVENTS_BATCH];
	u32 n;

	do {
		n = tcp_events(t->engine, events, EVENTS_BATCH);
		for (u32 i = 0; i < n; i++) {
			u32 slot = t->slot_of[events[i].conn];

			if (unlikely(slot == NIL))
				continue;
			t->conns[slot].events |= events[i].events;
			kick(t, &t->conns[slot]);
		}
	} while (n == EVENTS_BATCH);
}

u32 target_poll_events(struct target *t, u64 now_ns)
{
	u64 before = t->told;
	struct target_conn *c;
	u32 last;

	t->now_ns = now_ns;
	if (unlikely(t->starved != NIL))
		kick_starved(t);
	gather(t);
	/* What callbacks kick waits for the next cycle, so that this one ends. */
	last = t->kick_tail;
	while (last != NIL && (c = unkick(t))) {
		if (DONE_MAX - t->done.n < DONE_ROOM || IND_MAX - t->ind.n < IND_ROOM)
			tell_host(t);
		serve(t, c);
		if (conn_index(t, c) == last)
			break;
	}
	if (unlikely(t->scan_at != NIL))
		invalidate_scan(t);
	if (unlikely(t->config.watch.period_ns))
		watch_scan(t);
	if (unlikely(t->n_uploads))
		uploads_run(t);
	tell_host(t);
	return (u32)(t->told - before);
}

void target_set_time(struct target *t, u64 now_ns)
{
	t->now_ns = now_ns;
}

void target_input(struct target *t, struct rx_frame *frames, u32 n, u64 now_ns)
{
	t->now_ns = now_ns;
	tcp_input(t->engine, frames, n, now_ns);
}

void target_timers(struct target *t, u64 now_ns)
{
	t->now_ns = now_ns;
	tcp_timers(t->engine, now_ns);
	push_timers(t);
}

/* ACKs that uploads owe go first. */
static void flush_acks(struct target *t, struct tx_batch *tx)
{
	u32 n = min_of(t->n_acks, tx->cap - tx->n);

	memcpy(tx->frames + tx->n, t->acks, n * sizeof(*t->acks));
	tx->n += n;
	t->n_acks -= n;
	t->acks_sent += n;
	memmove(t->acks, t->acks + n, t->n_acks * sizeof(*t->acks));
}

bool target_flush(struct target *t, struct tx_batch *tx, u64 now_ns)
{
	t->now_ns = now_ns;
	while (unlikely(t->n_acks) && tx->n < tx->cap) {
		flush_acks(t, tx);
		uploads_stop(t); /* there is room for more of them now */
	}
	return tcp_flush(t->engine, now_ns, tx) || t->n_acks;
}

u64 target_next_deadline(const struct target *t)
{
	u64 at = min_of(tcp_next_deadline(t->engine), watch_deadline(t));

	if (t->kick_head != NIL || t->scan_at != NIL || t->n_acks || t->done.n || t->ind.n)
		return 0;
	for (u32 i = 0; i < UPLOADS_MAX && t->n_uploads; i++) {
		if (t->uploads[i].request && !t->uploads[i].snapped)
			return 0;
	}
	if (t->push_head != NIL)
		at = min_of(at, t->conns[t->push_head].push_at_ns);
	if (t->starved != NIL)
		at = min_of(at, t->now_ns + NS_PER_MS);
	return at;
}

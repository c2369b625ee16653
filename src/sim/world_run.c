/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A world in time: turns, connections coming up, moves, and the end. */
#include <stdlib.h>

#include "sim/stream.h"
#include "sim/world.h"
#include "tcp/verdict.h"

enum { EACH_TURN_MAX = 64 }; /* streams, up to which tables are walked after each event */

/* Of virtual time, with nothing received: a SYN that is lost six times is sent again after a
 * minute.
 */
#define STALL_NS  (240 * NS_PER_S)
#define SETTLE_NS NS_PER_S

/* -- opening ----------------------------------------------------------------------------------- */

static bool adopt(struct world *w, u32 stream, u32 end, u64 soft)
{
	struct stream_end *e = &w->streams[stream].end[end];

	e->soft = soft;
	e->adopted = !host_adopt(w->machine[e->machine]->host, soft, e, &e->host);
	if (!e->adopted)
		world_wrong(w, CHECK_RESULT, "stream %u was not adopted", stream);
	return e->adopted;
}

bool world_open(struct world *w, const struct world_open *open)
{
	const struct ip_addr server = net_addr(open->to, w->config.host[open->to].v6);
	struct world_group *g = &w->group[w->n_groups];

	if (w->n_groups == WORLD_GROUPS || w->n_streams + open->conns > w->config.conns_max) {
		world_wrong(w, CHECK_RESULT, "there is no room for %u more connections",
		            open->conns);
		return false;
	}
	*g = (struct world_group){.open = *open,
	                          .first = w->n_streams,
	                          .next_ns = open->write_every && open->conns ? w->now_ns
	                                                                      : UINT64_MAX};
	for (u32 i = 0; i < open->conns; i++) {
		u32 stream = w->n_streams++;
		u64 conn;

		if (!stream_init(w, stream, w->n_groups) ||
		    soft_connect(w->machine[open->from]->soft, &server, stream_server_port(stream),
		                 stream_client_port(stream), &conn)) {
			world_wrong(w, CHECK_RESULT, "stream %u cannot be opened", stream);
			return false;
		}
		if (!adopt(w, stream, 0, conn))
			return false;
	}
	w->n_groups++;
	w->next_ns[open->from] = w->now_ns;
	return true;
}

static void accept_all(struct world *w, u32 machine)
{
	struct soft *s = w->machine[machine]->soft;
	struct tcp_state state;
	u64 conn;

	while (soft_accept(s, &conn)) {
		u32 end, stream;

		if (!soft_look(s, conn, &state))
			continue;
		stream = world_stream(w, state.k.local_port, state.k.remote_port, &end);
		if (stream == NIL || end != 1 || !adopt(w, stream, 1, conn)) {
			world_wrong(w, CHECK_RESULT, "a connection of nobody was accepted");
			return;
		}
		w->streams[stream].end[1].open = true;
		world_touch(w, stream, 1);
	}
}

static bool is_connected(const struct world *w)
{
	for (u32 i = 0; i < w->n_streams; i++) {
		if (!w->streams[i].end[0].open || !w->streams[i].end[1].open)
			return false;
	}
	return true;
}

bool world_connect(struct world *w)
{
	u64 since = w->now_ns;

	while (!is_connected(w)) {
		if (!world_run(w, w->now_ns + 10 * NS_PER_MS))
			return false;
		if (w->now_ns - since > STALL_NS)
			world_wrong(w, CHECK_PROGRESS, "not connected: %s", streams_state(w));
	}
	return true;
}

/* -- turns ------------------------------------------------------------------------------------- */

void world_touch(struct world *w, u32 stream, u32 end)
{
	struct stream_end *e = &w->streams[stream].end[end];
	struct world_ready *r = &w->ready[e->machine];

	if (e->queued)
		return;
	e->queued = true;
	r->stream[r->n++] = stream * 2 + end;
}

void world_touch_all(struct world *w, u32 machine)
{
	for (u32 i = 0; i < 2 * w->n_streams; i++) {
		if (w->streams[i / 2].end[i % 2].machine == machine)
			world_touch(w, i / 2, i % 2);
	}
}

/* What the application does with the streams that were touched. */
static void serve(struct world *w, u32 machine)
{
	struct world_ready *r = &w->ready[machine];
	u32 n = r->n;

	for (u32 i = 0; i < n; i++) {
		u32 stream = r->stream[i] / 2, end = r->stream[i] % 2;

		w->streams[stream].end[end].queued = false;
		stream_run(w, stream, end);
		check_stream(w, stream);
	}
	/* What was touched meanwhile comes with the next turn. */
	r->n -= n;
	memmove(r->stream, r->stream + n, r->n * sizeof(r->stream[0]));
}

/* Every outcome that a move may have here; whatever else comes is wrong. */
static bool is_expected(enum status status)
{
	switch (status) {
	case STATUS_OK:
	case STATUS_BUSY:
	case STATUS_BAD_STATE:
	case STATUS_NOT_ESTABLISHED:
	case STATUS_LAYER_REFUSED:
	case STATUS_POOR_CANDIDATE:
	case STATUS_NO_CONNECTIONS:
	case STATUS_NO_PATHS:
	case STATUS_NO_NEIGHBORS:
	case STATUS_NO_SEND_BUFFERS:
	case STATUS_NO_RECEIVE_BUFFERS:
	case STATUS_NO_FEATURE:
	case STATUS_NO_MEMORY:
	case STATUS_STALE_HANDLE:
	case STATUS_FAILED:
		return true;
	default:
		return false;
	}
}

static void look_at_move(struct world *w, u32 machine)
{
	struct world_move *v = &w->move[machine];

	if (!v->active || host_busy(w->machine[machine]->host))
		return;
	v->active = false;
	for (u32 i = 0; i < v->n; i++) {
		w->outcome[v->moves[i].status]++;
		if (!is_expected(v->moves[i].status))
			world_wrong(w, CHECK_RESULT, "a move on %s ended with %s, %llu",
			            w->config.host[machine].name, status_word(v->moves[i].status),
			            (unsigned long long)v->moves[i].detail);
	}
}

static u64 machine_due(const struct world *w, u32 machine)
{
	const struct machine *m = w->machine[machine];
	u64 due = machine_next_ns(m);

	if (w->ready[machine].n)
		due = w->now_ns;
	return min_of(due, max_of(net_arrival_ns(&w->net, machine), m->stalled_ns));
}

static void turn_machine(struct world *w, u32 machine)
{
	struct machine *m = w->machine[machine];

	machine_set_time(m, w->now_ns);
	machine_receive(m);
	w->net.active[machine] = m->active;
	look_at_move(w, machine);
	accept_all(w, machine);
	serve(w, machine);
	machine_send(m);
	if (w->n_streams <= EACH_TURN_MAX)
		check_tables(w, machine);
	w->next_ns[machine] = machine_due(w, machine);
	if (m->spy.illegal)
		world_wrong(w, CHECK_LEGAL, "%s: %s", w->config.host[machine].name, m->spy.what);
	w->checks[CHECK_LEGAL]++;
}

/* Streams that write now and then: the next one's time has come. */
static void write_groups(struct world *w)
{
	for (u32 i = 0; i < w->n_groups; i++) {
		struct world_group *g = &w->group[i];

		while (g->next_ns <= w->now_ns) {
			u32 stream = g->first + g->cursor % g->open.conns;

			stream_allow(w, stream, g->open.write_bytes);
			g->cursor++;
			g->next_ns += max_of(g->open.write_every / g->open.conns, 1ull);
		}
	}
}

/* Everything is looked at, and ended connections go. */
static void sweep(struct world *w)
{
	w->sweep_at_ns = w->now_ns + w->config.sweep_ns;
	for (u32 i = 0; i < w->n_streams; i++) {
		check_stream(w, i);
		stream_reap(w, i);
	}
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		check_tables(w, i);
		world_touch_all(w, i); /* buffers that were missing may be there now */
		w->next_ns[i] = w->now_ns;
	}
}

static void turn(struct world *w)
{
	w->turns++;
	net_set_now(&w->net, w->now_ns);
	net_route(&w->net);
	if (w->now_ns >= w->sweep_at_ns)
		sweep(w);
	write_groups(w);
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		if (machine_due(w, i) <= w->now_ns || w->next_ns[i] <= w->now_ns)
			turn_machine(w, i);
	}
}

static u64 next_ns(const struct world *w)
{
	u64 next = min_of(net_next_ns(&w->net), w->sweep_at_ns);

	for (u32 i = 0; i < w->config.n_hosts; i++)
		next = min_of(next, machine_due(w, i));
	for (u32 i = 0; i < w->n_groups; i++)
		next = min_of(next, w->group[i].next_ns);
	/* Something may stand still at one moment for some turns, not for ever. */
	next = max_of(next, w->now_ns + 1);
	return next + (w->config.tick_ns - next % w->config.tick_ns) % w->config.tick_ns;
}

bool world_run(struct world *w, u64 until_ns)
{
	for (u32 i = 0; i < w->config.n_hosts; i++)
		w->next_ns[i] = w->now_ns; /* what the caller has changed since */
	turn(w);
	while (!w->wrong[0]) {
		u64 next = next_ns(w);

		if (next > until_ns)
			break;
		w->now_ns = next;
		turn(w);
	}
	w->now_ns = max_of(w->now_ns, until_ns);
	return !w->wrong[0];
}

bool world_done(const struct world *w)
{
	for (u32 i = 0; i < w->n_streams; i++) {
		if (!stream_is_done(w, i))
			return false;
	}
	return true;
}

bool world_finish(struct world *w)
{
	u64 last = streams_progress(w), since = w->now_ns;

	while (!world_done(w)) {
		u64 now;

		if (!world_run(w, w->now_ns + 5 * NS_PER_MS))
			return false;
		now = streams_progress(w);
		w->checks[CHECK_PROGRESS]++;
		if (now != last) {
			last = now;
			since = w->now_ns;
		} else if (w->now_ns - since > STALL_NS) {
			world_wrong(w, CHECK_PROGRESS, "no progress: %s", streams_state(w));
		}
	}
	return true;
}

/* -- moving ------------------------------------------------------------------------------------ */

static bool start(struct world *w, u32 machine, bool upload)
{
	struct world_move *v = &w->move[machine];
	struct host *host = w->machine[machine]->host;

	v->upload = upload;
	v->active = !(upload ? host_upload(host, v->moves, v->n)
	                     : host_offload(host, v->moves, v->n, false));
	w->next_ns[machine] = w->now_ns;
	return v->active;
}

/* The end of a stream that a machine has; NIL: none. */
static u32 end_at(const struct world *w, u32 stream, u32 machine)
{
	for (u32 end = 0; end < 2; end++) {
		const struct stream_end *e = &w->streams[stream].end[end];

		if (e->machine == machine && e->adopted && !e->released)
			return end;
	}
	return NIL;
}

static u32 gather(struct world *w, u32 machine, u32 share, u32 pick, u64 mask)
{
	struct world_move *v = &w->move[machine];
	u64 draw = pick;

	v->n = 0;
	for (u32 i = 0; i < w->n_streams; i++) {
		u32 end = end_at(w, i, machine);

		if (prng_splitmix(&draw) % share || end == NIL || !(mask & 1ull << i % 64))
			continue;
		v->moves[v->n++] = (struct host_move){.conn = w->streams[i].end[end].host};
	}
	return v->n;
}

static bool is_moving(const struct world *w, u32 machine)
{
	return w->move[machine].active || host_busy(w->machine[machine]->host);
}

bool world_move_start(struct world *w, u32 machine, u32 share, u32 pick, bool upload)
{
	if (is_moving(w, machine))
		return false;
	gather(w, machine, share, pick, UINT64_MAX);
	return start(w, machine, upload);
}

static bool wait_for_move(struct world *w, u32 machine)
{
	u64 since = w->now_ns;

	while (is_moving(w, machine)) {
		if (!world_run(w, w->now_ns + 20 * NS_PER_US))
			return false;
		if (w->now_ns - since > STALL_NS)
			world_wrong(w, CHECK_PROGRESS, "a move on %s does not end",
			            w->config.host[machine].name);
	}
	return true;
}

bool world_move(struct world *w, u32 machine, u64 mask, bool upload, u32 *ret_moved)
{
	struct world_move *v = &w->move[machine];

	*ret_moved = 0;
	if (!wait_for_move(w, machine))
		return false;
	gather(w, machine, 1, 0, mask);
	if (!start(w, machine, upload) || !wait_for_move(w, machine))
		return false;
	for (u32 i = 0; i < v->n; i++)
		*ret_moved += v->moves[i].status == STATUS_OK;
	return true;
}

/* -- the end ----------------------------------------------------------------------------------- */

static bool all_home(struct world *w, u32 machine)
{
	u32 moved;

	if (!world_move(w, machine, UINT64_MAX, true, &moved))
		return false;
	if (moved != w->move[machine].n)
		world_wrong(w, CHECK_RESULT, "%u of %u came back to %s", moved, w->move[machine].n,
		            w->config.host[machine].name);
	host_reap(w->machine[machine]->host);
	return !w->wrong[0];
}

bool world_settle(struct world *w)
{
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		if (!all_home(w, i))
			return false;
	}
	if (!world_run(w, w->now_ns + SETTLE_NS))
		return false;
	w->settling = true;
	for (u32 i = 0; i < w->n_streams; i++)
		stream_close(w, i);
	for (u32 i = 0; i < w->config.n_hosts; i++)
		check_empty(w, i);
	return !w->wrong[0];
}

u64 world_retransmits(const struct world *w, u32 machine)
{
	return soft_engine_counters(w->machine[machine]->soft)->retransmit_segs;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/run.h"

#include "sim/act.h"
#include "sim/stream.h"
#include "tcp/verdict.h"

struct run {
	const struct scenario *s;
	struct run_result *ret;
	struct world *w;
	struct act act;
	u64 start_ns;
};

/* Runs on, undoing what is due on the way. */
static bool run_until(struct run *r, u64 until_ns)
{
	u64 next;

	while ((next = act_next_ns(&r->act)) <= until_ns) {
		if (!world_run(r->w, max_of(next, r->w->now_ns)))
			return false;
		act_undo(&r->act, next);
	}
	return world_run(r->w, until_ns);
}

static bool happen(struct run *r)
{
	const struct scenario *s = r->s;
	struct world *w = r->w;
	char text[300];

	for (u32 i = 0; i < s->n_events; i++) {
		const struct event *e = &s->events[i];

		r->ret->at_event = i;
		if (r->start_ns + e->at_ns > w->now_ns && !run_until(r, r->start_ns + e->at_ns))
			return false;
		scenario_event_text(s, e, text, sizeof(text));
		trace_event(&w->trace, w->now_ns, text);
		r->ret->done[e->op] += act_event(&r->act, e);
		if (w->wrong[0])
			return false;
	}
	r->ret->at_event = s->n_events;
	return true;
}

/* Faults end, moves under way end, streams come to their end, everything comes home. */
static bool calm(struct run *r)
{
	struct world *w = r->w;
	u64 limit = r->start_ns + r->s->limit_ns, next;

	while ((next = act_next_ns(&r->act)) != UINT64_MAX) {
		if (!run_until(r, max_of(next, w->now_ns)))
			return false;
	}
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		w->config.host[i].refuse_ppm = 0;
		for (u32 k = 0; k < SOFT_FAULTS; k++)
			soft_fail(w->machine[i]->soft, (enum soft_fault)k, 0);
	}
	if (!world_finish(w))
		return false;
	if (w->now_ns > limit)
		world_wrong(w, CHECK_PROGRESS, "not done after %llu s of virtual time",
		            (unsigned long long)(r->s->limit_ns / NS_PER_S));
	return !w->wrong[0];
}

/* How often each connection has changed sides, where it moved more often. */
static void count_moves(struct run *r)
{
	struct world *w = r->w;

	r->ret->moves_least = w->n_streams ? UINT32_MAX : 0;
	for (u32 i = 0; i < w->n_streams; i++) {
		u32 best = 0;

		for (u32 end = 0; end < 2; end++) {
			const struct stream_end *e = &w->streams[i].end[end];
			struct host_conn_info info;

			if (!e->adopted || e->released ||
			    host_conn_info(w->machine[e->machine]->host, e->host, &info))
				continue;
			/* Each offload came back, or will. */
			best = max_of(best, 2 * info.moves);
		}
		r->ret->moves_least = min_of(r->ret->moves_least, best);
	}
}

static void tell(struct run *r)
{
	struct run_result *ret = r->ret;
	struct world *w = r->w;

	ret->check = w->wrong_check;
	memcpy(ret->wrong, w->wrong, sizeof(ret->wrong));
	ret->hash = w->trace.hash;
	ret->turns = w->turns;
	ret->frames = w->trace.frames;
	ret->events = w->trace.events;
	ret->virtual_ns = w->now_ns - r->start_ns;
	ret->connections = w->n_streams;
	memcpy(ret->outcome, w->outcome, sizeof(ret->outcome));
	memcpy(ret->checks, w->checks, sizeof(ret->checks));
	for (u32 i = 0; i < w->n_streams; i++)
		ret->bytes += (u64)w->streams[i].end[0].received + w->streams[i].end[1].received;
	for (u32 i = 0; i < w->config.n_hosts; i++) {
		const struct machine *m = w->machine[i];

		ret->deaths += m->deaths;
		ret->moves += host_counters(m->host)->offloads + host_counters(m->host)->uploads;
		ret->retransmits += soft_engine_counters(m->soft)->retransmit_segs;
		for (u32 k = 0; k < m->config.targets; k++)
			ret->retransmits += tcp_engine_counters(target_engine(m->side[k].target))
			                            ->retransmit_segs;
	}
}

bool run_scenario(const struct scenario *s, FILE *trace, struct run_result *ret)
{
	struct run r = {.s = s, .ret = ret};

	memset(ret, 0, sizeof(*ret));
	r.w = world_create(&s->world);
	if (!r.w)
		return false;
	r.w->trace.out = trace;
	r.start_ns = r.w->now_ns;
	act_init(&r.act, r.w);
	ret->ok = happen(&r) && calm(&r);
	if (ret->ok) {
		count_moves(&r);
		ret->ok = world_settle(r.w);
	}
	tell(&r);
	if (trace)
		fprintf(trace, "hash %016llx\n", (unsigned long long)ret->hash);
	world_destroy(r.w);
	return ret->ok;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "sim/reduce.h"

#include <stdlib.h>

#include "sim/scenario_words.h"

struct reducer {
	struct scenario best; /* fails as the first did */
	enum check check;
	u32 runs_max;
	struct reduce_report *report;
};

/* Takes `s` over if it fails in the same way, else drops it. */
static bool try_it(struct reducer *r, struct scenario *s)
{
	struct run_result result;
	bool same;

	if (r->report->runs >= r->runs_max) {
		scenario_fini(s);
		return false;
	}
	r->report->runs++;
	s->world.conns_max = 0;
	for (u32 i = 0; i < s->n_events; i++)
		s->world.conns_max += s->events[i].op == EVENT_CONNECT
		                              ? (u32)s->events[i].value[EVENT_KEY_COUNT]
		                              : 0;
	same = s->world.conns_max && !run_scenario(s, NULL, &result) && result.wrong[0] &&
	       result.check == r->check;
	if (!same) {
		scenario_fini(s);
		return false;
	}
	scenario_fini(&r->best);
	r->best = *s;
	r->report->last = result;
	return true;
}

/* Without the events [from, to). */
static bool without(struct reducer *r, u32 from, u32 to)
{
	bool *keep = malloc(max_of(r->best.n_events, 1u));
	struct scenario s;
	bool ok;

	if (!keep)
		return false;
	for (u32 i = 0; i < r->best.n_events; i++)
		keep[i] = i < from || i >= to;
	ok = scenario_copy(&r->best, keep, &s);
	free(keep);
	return ok && try_it(r, &s);
}

/* ddmin: ever smaller pieces are left out; after a success it goes on from there. */
static void fewer_events(struct reducer *r)
{
	u32 piece = r->best.n_events;

	while (piece) {
		bool any = false;

		for (u32 at = 0; at < r->best.n_events;) {
			if (without(r, at, min_of(at + piece, r->best.n_events)))
				any = true;
			else
				at += piece;
		}
		if (!any || piece > r->best.n_events)
			piece /= 2;
	}
}

static bool with_value(struct reducer *r, u32 event, enum event_key key, u64 value)
{
	struct scenario s;

	if (!scenario_copy(&r->best, NULL, &s))
		return false;
	s.events[event].value[key] = value;
	return try_it(r, &s);
}

/* Halves the values of an event's key while it still fails. */
static void smaller(struct reducer *r, enum event_op op, enum event_key key)
{
	for (u32 i = 0; i < r->best.n_events; i++) {
		while (r->best.events[i].op == op && r->best.events[i].has & 1u << key &&
		       r->best.events[i].value[key] > 1 &&
		       with_value(r, i, key, r->best.events[i].value[key] / 2))
			;
	}
}

/* The link's faults, one after the other, at all hosts. */
static void calmer_links(struct reducer *r)
{
	for (const struct scenario_field *f = scenario_link_fields; f->word; f++) {
		struct scenario s;
		bool set = false;

		/* Bursts must end, or nothing ever arrives. */
		if (f->kind != VALUE_CHANCE || !strcmp(f->word, "burst-end"))
			continue;
		if (!scenario_copy(&r->best, NULL, &s))
			return;
		for (u32 i = 0; i < s.world.n_hosts; i++) {
			set |= scenario_get(&s.world.host[i].link, f) != 0;
			scenario_set(&s.world.host[i].link, f, 0);
		}
		if (set)
			try_it(r, &s);
		else
			scenario_fini(&s);
	}
}

bool reduce_scenario(const struct scenario *s, const struct run_result *failed, u32 runs_max,
                     struct scenario *ret, struct reduce_report *ret_report)
{
	struct reducer r = {.check = failed->check, .runs_max = runs_max, .report = ret_report};

	memset(ret_report, 0, sizeof(*ret_report));
	if (!scenario_copy(s, NULL, &r.best))
		return false;
	ret_report->last = *failed;
	ret_report->events_before = s->n_events;
	ret_report->conns_before = s->world.conns_max;
	/* What comes after the failure has no part in it. */
	without(&r, failed->at_event + 1, s->n_events);
	fewer_events(&r);
	smaller(&r, EVENT_CONNECT, EVENT_KEY_COUNT);
	smaller(&r, EVENT_CONNECT, EVENT_KEY_BYTES);
	calmer_links(&r);
	fewer_events(&r);
	ret_report->events_after = r.best.n_events;
	ret_report->conns_after = r.best.world.conns_max;
	*ret = r.best;
	return true;
}

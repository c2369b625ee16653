/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The text form to a scenario. One line says one thing; what is left to chance is drawn here. */
#include <stdlib.h>

#include "sim/scenario_reader.h"

enum {
	EVENTS_MAX = 1000000,
};

/* -- lines of the world ------------------------------------------------------------------------ */

static bool want_host(struct reader *r, u32 word, u32 *ret)
{
	if (r->n <= word)
		return reader_fail(r, "\"%s\" needs the name of a host", r->words[0]);
	*ret = reader_host(r, r->words[word]);
	return *ret != NIL ||
	       reader_fail(r, "there is no host \"%.40s\": declare it above with \"host\"",
	                   r->words[word]);
}

/* RFC 791: 576; RFC 8200 5: 1280. */
static u32 mtu_min(const struct world_host *h)
{
	return h->v6 ? 1280 : 576;
}

static bool want_mtu(struct reader *r, const struct world_host *h, u64 mtu)
{
	return (mtu >= mtu_min(h) && mtu <= 1500) ||
	       reader_fail(r, "an mtu of %s is %u to 1500", h->v6 ? "IPv6" : "IPv4", mtu_min(h));
}

static bool line_host(struct reader *r)
{
	struct world_config *w = &r->s->world;
	struct world_host *h = &w->host[w->n_hosts];

	if (r->n < 2 || strlen(r->words[1]) >= WORLD_NAME || strchr(r->words[1], '='))
		return reader_fail(r, "\"host\" needs a name of at most %u letters",
		                   WORLD_NAME - 1);
	if (reader_host(r, r->words[1]) != NIL)
		return reader_fail(r, "there is a host \"%s\" already", r->words[1]);
	if (w->n_hosts == WORLD_HOSTS)
		return reader_fail(r, "there are more than %u hosts: leave some out", WORLD_HOSTS);
	*h = (struct world_host){.targets = 1};
	memcpy(h->name, r->words[1], strlen(r->words[1]) + 1);
	w->n_hosts++;
	if (!reader_fields(r, 2, scenario_host_fields, h))
		return false;
	if (h->targets < 1 || h->targets > MACHINE_TARGETS)
		return reader_fail(r, "a host has 1 or %u targets", MACHINE_TARGETS);
	return !h->mtu || want_mtu(r, h, h->mtu);
}

static bool line_target(struct reader *r)
{
	u32 which = !strcmp(r->words[0], "spare"), host;
	struct world_host *h;

	if (!want_host(r, 1, &host))
		return false;
	h = &r->s->world.host[host];
	h->targets = max_of(h->targets, which + 1);
	return reader_fields(r, 2, scenario_target_fields, &h->target[which]);
}

static bool line_link(struct reader *r)
{
	struct world_config *w = &r->s->world;
	struct sim_link link = {0};
	u32 host = 0;

	if (r->n > 1 && !strcmp(r->words[1], "all")) {
		if (!reader_fields(r, 2, scenario_link_fields, &link))
			return false;
		for (u32 i = 0; i < w->n_hosts; i++)
			w->host[i].link = link;
		return true;
	}
	return want_host(r, 1, &host) &&
	       reader_fields(r, 2, scenario_link_fields, &w->host[host].link);
}

static bool line_number(struct reader *r, enum value_kind kind, u64 *ret)
{
	if (r->n != 2)
		return reader_fail(r, "\"%s\" needs one value", r->words[0]);
	return reader_value(r, kind, r->words[1], ret);
}

static bool line_seed(struct reader *r)
{
	u64 seed;

	if (r->seeded)
		return reader_fail(r, "\"seed\" must come before all that is left to chance");
	if (!line_number(r, VALUE_NUMBER, &seed))
		return false;
	if (!r->forced)
		r->s->world.seed = seed;
	return true;
}

/* -- lines of events --------------------------------------------------------------------------- */

static bool add(struct reader *r, const struct event *e)
{
	struct scenario *s = r->s;

	if (s->n_events == s->cap_events) {
		u32 cap = s->cap_events ? 2 * s->cap_events : 64;
		struct event *more = realloc(s->events, cap * sizeof(*more));

		if (!more || s->n_events >= EVENTS_MAX)
			return reader_fail(r, "there are too many events: at most %u", EVENTS_MAX);
		s->events = more;
		s->cap_events = cap;
	}
	s->events[s->n_events] = *e;
	s->events[s->n_events].order = s->n_events;
	s->n_events++;
	return true;
}

/* "offload a share=2": from this word on. */
static bool read_event(struct reader *r, u32 word, struct event *e)
{
	enum event_op op;
	u32 host, missing;

	if (r->n <= word)
		return reader_fail(r, "what happens? name an event (chimney sim --list)");
	op = event_find(r->words[word]);
	if (op == EVENTS)
		return reader_fail(r, "there is no event \"%.40s\" (chimney sim --list)",
		                   r->words[word]);
	if (!want_host(r, word + 1, &host))
		return false;
	e->op = (u8)op;
	e->host = (u8)host;
	for (u32 i = word + 2; i < r->n; i++) {
		char *text;
		const struct scenario_field *f =
			reader_split(r, r->words[i], scenario_key_fields, &text);
		u32 key = f ? (u32)(f - scenario_key_fields) : 0;

		if (!f)
			return false;
		if (!(event_takes(op) & 1u << key))
			return reader_fail(r, "\"%s\" has no value \"%s\"", event_word(op),
			                   f->word);
		if (!reader_value(r, f->kind, text, &e->value[key]))
			return false;
		e->has |= 1u << key;
	}
	missing = event_needs(op) & ~e->has;
	if (missing)
		return reader_fail(r, "\"%s\" needs %s=...", event_word(op),
		                   scenario_key_fields[__builtin_ctz(missing)].word);
	if (e->has & 1u << EVENT_KEY_MTU &&
	    !want_mtu(r, &r->s->world.host[host], e->value[EVENT_KEY_MTU]))
		return false;
	if (e->has & 1u << EVENT_KEY_HOP && e->value[EVENT_KEY_HOP] >= WORLD_HOPS)
		return reader_fail(r, "hops are 0 to %u", WORLD_HOPS - 1);
	if (e->has & 1u << EVENT_KEY_SHARE && !e->value[EVENT_KEY_SHARE])
		return reader_fail(r, "share=0 is nobody: share=1 is all");
	return true;
}

/* connect a to=b ...: at the start. */
static bool line_connect(struct reader *r)
{
	struct event e = {0};

	return read_event(r, 0, &e) && add(r, &e);
}

static bool line_at(struct reader *r)
{
	struct event e = {0};

	if (r->n < 2)
		return reader_fail(r, "\"at\" needs a time and an event");
	return reader_value(r, VALUE_TIME, r->words[1], &e.at_ns) && read_event(r, 2, &e) &&
	       add(r, &e);
}

/* A leading name=value of a line; false when it is not there. */
static bool option(struct reader *r, u32 *word, const char *name, char **ret)
{
	size_t n = strlen(name);

	if (*word >= r->n || strncmp(r->words[*word], name, n) || r->words[*word][n] != '=')
		return false;
	*ret = r->words[(*word)++] + n + 1;
	return true;
}

/* every 10ms from=1s times=50 offload a */
static bool line_every(struct reader *r)
{
	struct event e = {0};
	u64 period, times = 0;
	u32 word = 2;
	char *text;

	if (r->n < 3)
		return reader_fail(r, "\"every\" needs a time, times=... and an event");
	if (!reader_value(r, VALUE_TIME, r->words[1], &period))
		return false;
	e.at_ns = period;
	if (option(r, &word, "from", &text) && !reader_value(r, VALUE_TIME, text, &e.at_ns))
		return false;
	if (!option(r, &word, "times", &text))
		return reader_fail(r, "\"every\" needs times=...");
	if (!reader_value(r, VALUE_NUMBER, text, &times) || !read_event(r, word, &e))
		return false;
	for (u64 i = 0; i < times; i++, e.at_ns += period) {
		if (!add(r, &e))
			return false;
	}
	return true;
}

/* "mac+mtu": a bit set of events. */
static bool read_ops(struct reader *r, char *text, u32 *ret)
{
	char *rest = NULL;

	*ret = 0;
	for (char *w = strtok_r(text, "+", &rest); w; w = strtok_r(NULL, "+", &rest)) {
		enum event_op op = event_find(w);

		if (op == EVENTS || !event_is_random(op))
			return reader_fail(r, "\"%.40s\" is no event that can be drawn", w);
		*ret |= 1u << op;
	}
	return true;
}

static u32 peers_of(const struct reader *r, u32 host)
{
	const struct world_config *w = &r->s->world;
	u32 peers = 0;

	for (u32 i = 0; i < w->n_hosts; i++)
		peers |= (u32)(i != host && w->host[i].v6 == w->host[host].v6) << i;
	return peers;
}

/* Moves are as frequent as all the rest together. */
static enum event_op draw_op(struct prng *p, u32 ops)
{
	enum event_op op;

	do {
		op = prng_below(p, prng_below(p, 2) ? (u32)EVENTS : (u32)EVENT_UPLOAD + 1);
	} while (!(ops & 1u << op));
	return op;
}

struct random_line {
	u64 count, every_ns, at_ns;
	u32 ops;
};

static bool read_random(struct reader *r, struct random_line *l)
{
	u32 word = 1, not ;
	char *text;

	*l = (struct random_line){0};
	for (u32 op = 0; op < EVENTS; op++)
		l->ops |= (u32)event_is_random(op) << op;
	if (!option(r, &word, "count", &text))
		return reader_fail(r, "\"random\" needs count=...");
	if (!reader_value(r, VALUE_NUMBER, text, &l->count))
		return false;
	if (!option(r, &word, "every", &text))
		return reader_fail(r,
		                   "\"random\" needs every=...: the mean time between two events");
	if (!reader_value(r, VALUE_TIME, text, &l->every_ns))
		return false;
	if (option(r, &word, "from", &text) && !reader_value(r, VALUE_TIME, text, &l->at_ns))
		return false;
	if (option(r, &word, "only", &text) && !read_ops(r, text, &l->ops))
		return false;
	if (option(r, &word, "not", &text)) {
		if (!read_ops(r, text, &not ))
			return false;
		l->ops &= ~not ;
	}
	if (word < r->n)
		return reader_fail(
			r,
			"\"%.40s\" is not expected here: random count= every= [from=] [only=] "
			"[not=]",
			r->words[word]);
	return l->ops || reader_fail(r, "no event is left to be drawn");
}

static bool line_random(struct reader *r)
{
	struct random_line l;

	if (!read_random(r, &l))
		return false;
	if (!r->s->world.n_hosts)
		return reader_fail(r, "\"random\" needs hosts: declare them above");
	for (u64 i = 0; i < l.count; i++) {
		struct event e = {0};
		u32 host = prng_below(reader_chance(r), r->s->world.n_hosts);

		l.at_ns += prng_u64(reader_chance(r)) % (2 * l.every_ns + 1);
		e.at_ns = l.at_ns;
		e.host = (u8)host;
		event_draw(&e, draw_op(reader_chance(r), l.ops), reader_chance(r),
		           r->s->world.n_hosts, peers_of(r, host),
		           mtu_min(&r->s->world.host[host]));
		if (!add(r, &e))
			return false;
	}
	return true;
}

/* -- the text ---------------------------------------------------------------------------------- */

static bool read_line(struct reader *r)
{
	const char *what = r->words[0];

	if (!strcmp(what, "seed"))
		return line_seed(r);
	if (!strcmp(what, "limit"))
		return line_number(r, VALUE_TIME, &r->s->limit_ns);
	if (!strcmp(what, "tick"))
		return line_number(r, VALUE_TIME, &r->s->world.tick_ns);
	if (!strcmp(what, "host"))
		return line_host(r);
	if (!strcmp(what, "target") || !strcmp(what, "spare"))
		return line_target(r);
	if (!strcmp(what, "link"))
		return line_link(r);
	if (!strcmp(what, "connect"))
		return line_connect(r);
	if (!strcmp(what, "at"))
		return line_at(r);
	if (!strcmp(what, "every"))
		return line_every(r);
	if (!strcmp(what, "random"))
		return line_random(r);
	return reader_fail(r, "\"%.40s\" begins no line of a scenario: see chimney-sim(1)", what);
}

/* Cuts a line into words; what follows a # is for people. Returns where the next one begins. */
static const char *cut(struct reader *r, const char *at, bool *ret_ok)
{
	size_t n = 0;

	r->n = 0;
	*ret_ok = true;
	while (*at && *at != '\n' && *at != '#') {
		if (*at == ' ' || *at == '\t' || *at == '\r') {
			at++;
			continue;
		}
		n = strcspn(at, " \t\r\n#");
		if (r->n == READER_WORDS_MAX || n >= READER_WORD_MAX) {
			*ret_ok = reader_fail(r, "the line is too long");
			return at;
		}
		memcpy(r->words[r->n], at, n);
		r->words[r->n++][n] = 0;
		at += n;
	}
	at += strcspn(at, "\n");
	return *at ? at + 1 : at;
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static bool check_whole(struct reader *r)
{
	struct scenario *s = r->s;
	u64 conns = 0;

	r->line = 0;
	if (!s->world.n_hosts)
		return reader_fail(
			r, "there is no host: add \"host a\", \"host b\" and \"connect a to=b\"");
	for (u32 i = 0; i < s->n_events; i++) {
		const struct event *e = &s->events[i];

		if (e->has & 1u << EVENT_KEY_TO &&
		    (e->value[EVENT_KEY_TO] == e->host ||
		     s->world.host[e->value[EVENT_KEY_TO]].v6 != s->world.host[e->host].v6))
			return reader_fail(r,
			                   "\"%s %s to=%s\": these two cannot talk to each other",
			                   event_word(e->op), s->world.host[e->host].name,
			                   s->world.host[e->value[EVENT_KEY_TO]].name);
		conns += e->op == EVENT_CONNECT ? e->value[EVENT_KEY_COUNT] : 0;
	}
	if (!conns || conns > 400000)
		return reader_fail(r, "there are %llu connections: a scenario needs 1 to 400000",
		                   (unsigned long long)conns);
	s->world.conns_max = (u32)conns;
	qsort(s->events, s->n_events, sizeof(s->events[0]), by_time);
	return true;
}

bool scenario_read(struct scenario *s, const char *text, const u64 *seed,
                   struct scenario_error *ret_error)
{
	struct reader *r = calloc(1, sizeof(*r));
	bool ok = r;

	memset(s, 0, sizeof(*s));
	memset(ret_error, 0, sizeof(*ret_error));
	s->limit_ns = 600 * NS_PER_S;
	s->world.seed = seed ? *seed : 1;
	if (!r) {
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return false;
	}
	r->s = s;
	r->error = ret_error;
	r->forced = seed;
	while (ok && *text) {
		r->line++;
		text = cut(r, text, &ok);
		ok = ok && (!r->n || read_line(r));
	}
	ok = ok && check_whole(r);
	free(r);
	if (!ok)
		scenario_fini(s);
	return ok;
}

void scenario_fini(struct scenario *s)
{
	free(s->events);
	memset(s, 0, sizeof(*s));
}

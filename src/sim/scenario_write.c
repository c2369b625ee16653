/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A scenario to its text form. */
#include <stdlib.h>

#include "sim/scenario_words.h"

static void time_text(u64 ns, char *text, size_t size)
{
	static const struct {
		u64 ns;
		const char *unit;
	} units[] = {{NS_PER_S, "s"}, {NS_PER_MS, "ms"}, {NS_PER_US, "us"}, {1, "ns"}};
	u32 i = 0;

	while (ns % units[i].ns)
		i++;
	snprintf(text, size, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].unit);
}

static void features_text(u64 bits, char *text, size_t size)
{
	const struct word_of *w = scenario_words(VALUE_FEATURES);
	size_t n = 0;

	text[0] = 0;
	for (; w->word; w++) {
		if (bits & w->value && n < size)
			n += (size_t)snprintf(text + n, size - n, "%s%s", n ? "+" : "", w->word);
	}
}

static void value_text(const struct scenario *s, u8 kind, u64 value, char *text, size_t size)
{
	const struct word_of *w = scenario_words((enum value_kind)kind);

	if (kind == VALUE_TIME) {
		time_text(value, text, size);
	} else if (kind == VALUE_CHANCE) {
		snprintf(text, size, "%llu.%04llu%%", (unsigned long long)(value / 10000),
		         (unsigned long long)(value % 10000));
	} else if (kind == VALUE_HOST) {
		snprintf(text, size, "%s", s->world.host[value].name);
	} else if (kind == VALUE_FEATURES) {
		features_text(value, text, size);
	} else if (w) {
		while (w->word && w->value != value)
			w++;
		snprintf(text, size, "%s", w->word ? w->word : "?");
	} else {
		snprintf(text, size, "%llu", (unsigned long long)value);
	}
}

/* All fields that are not zero. */
static void write_fields(const struct scenario *s, FILE *out, const void *of,
                         const struct scenario_field *fields)
{
	char text[80];

	for (const struct scenario_field *f = fields; f->word; f++) {
		u64 value = scenario_get(of, f);

		if (!value)
			continue;
		value_text(s, f->kind, value, text, sizeof(text));
		fprintf(out, " %s=%s", f->word, text);
	}
	fprintf(out, "\n");
}

void scenario_event_text(const struct scenario *s, const struct event *e, char *text, size_t size)
{
	char value[80];
	size_t n = (size_t)snprintf(text, size, "%s %s", event_word(e->op),
	                            s->world.host[e->host].name);

	for (u32 key = 0; key < EVENT_KEY_COUNT_OF && n < size; key++) {
		const struct scenario_field *f = &scenario_key_fields[key];

		if (!(e->has & 1u << key))
			continue;
		value_text(s, f->kind, e->value[key], value, sizeof(value));
		n += (size_t)snprintf(text + n, size - n, " %s=%s", f->word, value);
	}
}

bool scenario_write(const struct scenario *s, FILE *out)
{
	char text[300];

	fprintf(out, "seed %llu\n", (unsigned long long)s->world.seed);
	time_text(s->limit_ns, text, sizeof(text));
	fprintf(out, "limit %s\n", text);
	if (s->world.tick_ns) {
		time_text(s->world.tick_ns, text, sizeof(text));
		fprintf(out, "tick %s\n", text);
	}
	for (u32 i = 0; i < s->world.n_hosts; i++) {
		const struct world_host *h = &s->world.host[i];

		fprintf(out, "host %s", h->name);
		write_fields(s, out, h, scenario_host_fields);
		fprintf(out, "target %s", h->name);
		write_fields(s, out, &h->target[0], scenario_target_fields);
		if (h->targets > 1) {
			fprintf(out, "spare %s", h->name);
			write_fields(s, out, &h->target[1], scenario_target_fields);
		}
		fprintf(out, "link %s", h->name);
		write_fields(s, out, &h->link, scenario_link_fields);
	}
	for (u32 i = 0; i < s->n_events; i++) {
		time_text(s->events[i].at_ns, text, sizeof(text));
		fprintf(out, "at %s ", text);
		scenario_event_text(s, &s->events[i], text, sizeof(text));
		fprintf(out, "%s\n", text);
	}
	return !ferror(out);
}

bool scenario_copy(const struct scenario *s, const bool *keep, struct scenario *ret)
{
	struct event *events = malloc(max_of(s->n_events, 1u) * sizeof(*events));
	u32 n = 0;

	if (!events)
		return false;
	for (u32 i = 0; i < s->n_events; i++) {
		if (!keep || keep[i])
			events[n++] = s->events[i];
	}
	*ret = *s;
	ret->events = events;
	ret->n_events = n;
	ret->cap_events = max_of(s->n_events, 1u);
	return true;
}

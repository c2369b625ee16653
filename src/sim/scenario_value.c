/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Values of the text form: amounts with units, ranges, alternatives, words. */
#include <stdarg.h>

#include "sim/scenario_reader.h"

bool reader_fail(struct reader *r, const char *format, ...)
{
	va_list args;

	r->error->line = r->line;
	va_start(args, format);
	vsnprintf(r->error->text, sizeof(r->error->text), format, args);
	va_end(args);
	return false;
}

struct prng *reader_chance(struct reader *r)
{
	if (!r->seeded)
		prng_seed(&r->prng, ~r->s->world.seed);
	r->seeded = true;
	return &r->prng;
}

/* -- values ------------------------------------------------------------------------------------ */

u32 reader_host(const struct reader *r, const char *name)
{
	for (u32 i = 0; i < r->s->world.n_hosts; i++) {
		if (!strcmp(r->s->world.host[i].name, name))
			return i;
	}
	return NIL;
}

static u64 unit_of(enum value_kind kind, const char *unit)
{
	static const struct {
		const char *unit;
		u8 kind;
		u64 factor;
	} units[] = {
		{"ns", VALUE_TIME, 1},         {"us", VALUE_TIME, NS_PER_US},
		{"ms", VALUE_TIME, NS_PER_MS}, {"s", VALUE_TIME, NS_PER_S},
		{"%", VALUE_CHANCE, 10000},    {"k", VALUE_RATE, 1000},
		{"M", VALUE_RATE, 1000000},    {"G", VALUE_RATE, 1000000000},
		{"k", VALUE_NUMBER, 1000},     {"M", VALUE_NUMBER, 1000000},
		{"", VALUE_NUMBER, 1},         {"", VALUE_RATE, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (units[i].kind == kind && !strcmp(units[i].unit, unit))
			return units[i].factor;
	}
	return 0;
}

/* "1.5ms": digits, perhaps a fraction, a unit. A zero needs no unit. */
static bool read_amount(struct reader *r, enum value_kind kind, const char *text, u64 *ret)
{
	static const char *const examples[] = {
		[VALUE_NUMBER] = "1500 or 64k",
		[VALUE_TIME] = "20us, 1.5ms or 2s",
		[VALUE_CHANCE] = "0.5%",
		[VALUE_RATE] = "100M",
	};
	u64 whole = 0, fraction = 0, scale = 1, unit;
	const char *p = text;

	while (*p >= '0' && *p <= '9' && whole < UINT64_MAX / 20)
		whole = whole * 10 + (u64)(*p++ - '0');
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && scale < 1000000000; scale *= 10)
			fraction = fraction * 10 + (u64)(*p++ - '0');
	}
	unit = unit_of(kind, p);
	if (p == text || (!unit && (whole || fraction || *p)))
		return reader_fail(r, "\"%s\" is no such value: write it like %s", text,
		                   examples[kind]);
	if (unit && whole > UINT64_MAX / 2 / unit)
		return reader_fail(r, "\"%s\" is too large", text);
	*ret = whole * unit + fraction * unit / scale;
	return true;
}

static bool read_word(struct reader *r, enum value_kind kind, const char *text, u64 *ret)
{
	const struct word_of *words = scenario_words(kind);
	char known[160] = "";
	size_t n = 0;

	for (u32 i = 0; words[i].word; i++) {
		if (!strcmp(words[i].word, text)) {
			*ret = words[i].value;
			return true;
		}
		n += (size_t)snprintf(known + n, n < sizeof(known) ? sizeof(known) - n : 0, " %s",
		                      words[i].word);
		n = min_of(n, sizeof(known) - 1);
	}
	return reader_fail(r, "\"%.40s\" is not known here; there are:%s", text, known);
}

static bool read_features(struct reader *r, char *text, u64 *ret)
{
	char *rest = NULL;
	u64 one;

	*ret = 0;
	for (char *f = strtok_r(text, "+", &rest); f; f = strtok_r(NULL, "+", &rest)) {
		if (!read_word(r, VALUE_FEATURES, f, &one))
			return false;
		*ret |= one;
	}
	return true;
}

/* One alternative: a value, or LOW..HIGH. */
static bool read_range(struct reader *r, enum value_kind kind, char *text, u64 *ret)
{
	char *dots = strstr(text, "..");
	u64 low, high;

	if (!dots)
		return read_amount(r, kind, text, ret);
	*dots = 0;
	if (!read_amount(r, kind, text, &low) || !read_amount(r, kind, dots + 2, &high))
		return false;
	if (high < low)
		return reader_fail(r, "the range \"%s..%s\" is empty: write the smaller first",
		                   text, dots + 2);
	*ret = low + prng_u64(reader_chance(r)) % (high - low + 1);
	return true;
}

bool reader_value(struct reader *r, enum value_kind kind, char *text, u64 *ret)
{
	u32 n = 1, which;
	char *at = text;

	for (const char *p = text; *p; p++)
		n += *p == '|';
	which = n > 1 ? prng_below(reader_chance(r), n) : 0;
	for (u32 i = 0; i < which; i++)
		at = strchr(at, '|') + 1;
	if (n > 1 && strchr(at, '|'))
		*strchr(at, '|') = 0;
	if (kind == VALUE_HOST) {
		*ret = reader_host(r, at);
		return *ret != NIL ||
		       reader_fail(r,
		                   "there is no host \"%.40s\": declare it above with "
		                   "\"host\"",
		                   at);
	}
	if (kind == VALUE_FEATURES)
		return read_features(r, at, ret);
	if (scenario_words(kind))
		return read_word(r, kind, at, ret);
	return read_range(r, kind, at, ret);
}

const struct scenario_field *reader_split(struct reader *r, char *text,
                                          const struct scenario_field *fields, char **ret_value)
{
	char known[150] = "", *equals = strchr(text, '=');
	size_t n = 0;

	if (equals)
		*equals = 0;
	for (const struct scenario_field *f = fields; f->word; f++) {
		if (equals && !strcmp(f->word, text)) {
			*ret_value = equals + 1;
			return f;
		}
		n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", f->word);
		n = min_of(n, sizeof(known) - 1);
	}
	reader_fail(r, "\"%.30s\" is no value of this line; write name=value with one of:%s", text,
	            known);
	return NULL;
}

bool reader_fields(struct reader *r, u32 from, const struct scenario_field *fields, void *of)
{
	for (u32 i = from; i < r->n; i++) {
		char *text;
		const struct scenario_field *f = reader_split(r, r->words[i], fields, &text);
		u64 value;

		if (!f || !reader_value(r, f->kind, text, &value))
			return false;
		scenario_set(of, f, value);
	}
	return true;
}

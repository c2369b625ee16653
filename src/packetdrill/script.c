/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A script from its file: options, and events with their times. */
#include "packetdrill/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

enum {
	TOLERANCE_USECS = 4000, /* packetdrill's own */
	MTU = 1500,
	PORT = 8080,
	FILE_MAX = 1 << 20,
};

/* -- options ----------------------------------------------------------------------------------- */

static bool option_value(struct text *t, const char *name, char *value)
{
	struct script *s = t->script;
	long n = strtol(value, NULL, 0);

	if (!strcmp(name, "tolerance_usecs")) {
		s->tolerance_usecs = n;
	} else if (!strcmp(name, "mtu")) {
		s->mtu = (u32)n;
	} else if (!strcmp(name, "moves")) {
		s->moves = n != 0;
	} else if (!strcmp(name, "bind_port")) {
		s->bind_port = (u16)n;
	} else if (!strcmp(name, "connect_port")) {
		s->connect_port = (u16)n;
	} else if (!strcmp(name, "local_ip")) {
		free(s->local_ip);
		s->local_ip = strdup(value);
	} else if (!strcmp(name, "remote_ip")) {
		free(s->remote_ip);
		s->remote_ip = strdup(value);
	} else if (!strcmp(name, "ip_version")) {
		if (strcmp(value, "ipv4") && strcmp(value, "ipv6"))
			return text_fail(t, "--ip_version=%s is not known; use ipv4 or ipv6",
			                 value);
		s->ip_version = value[3] - '0';
	} else {
		return text_fail(t,
		                 "--%s is not known; known are tolerance_usecs, ip_version, mtu, "
		                 "local_ip, remote_ip, bind_port, connect_port, moves",
		                 name);
	}
	return true;
}

/* --name=value */
static bool parse_option(struct text *t)
{
	const char *from = t->at += 2;
	char *name, *value;
	bool ok;

	t->at += strcspn(t->at, "= \t\n");
	if (*t->at != '=')
		return text_fail(t, "--%.*s has no value; write --name=value", (int)(t->at - from),
		                 from);
	name = text_slice(from, t->at);
	from = ++t->at;
	t->at += strcspn(t->at, " \t\n");
	value = text_slice(from, t->at);
	ok = option_value(t, name, value);
	free(name);
	free(value);
	return ok;
}

/* -- times ------------------------------------------------------------------------------------- */

static bool parse_time(struct text *t, struct event *e)
{
	e->usecs_end = -1;
	if (text_take(t, "*")) {
		e->time_kind = TIME_ANY;
		return true;
	}
	e->time_kind = TIME_ABSOLUTE;
	if (text_take(t, "+"))
		e->time_kind = TIME_RELATIVE;
	if (!text_seconds(t, &e->usecs))
		return text_fail(t,
		                 "a time is missing before \"%.*s\"; begin each event with one "
		                 "(0.1, +0.1, *)",
		                 (int)min_of(strcspn(t->at, "\n"), (size_t)40), t->at);
	if (text_take(t, "...") || text_take(t, "~")) {
		text_take(t, "+");
		if (!text_seconds(t, &e->usecs_end))
			return text_fail(t, "the second time of the range is missing");
		if (e->usecs_end < e->usecs)
			return text_fail(t, "the range ends before it begins; swap the two times");
	}
	text_skip(t);
	return true;
}

/* -- checks and commands ----------------------------------------------------------------------- */

static bool parse_check(struct text *t, struct event *e)
{
	const char *end = strstr(t->at, "}%");

	e->kind = EVENT_CHECK;
	if (!end)
		return text_fail(t, "\"}%%\" is missing");
	e->text = text_slice(t->at, end);
	for (; t->at < end; t->at++)
		t->line += *t->at == '\n';
	t->at = end + 2;
	return true;
}

/* What the stack has of the sysctls; the others stay as they are. */
static bool is_sysctl(const char *name)
{
	static const char *const known[] = {"tcp_timestamps", "tcp_sack", "tcp_window_scaling",
	                                    "tcp_ecn",        "tcp_rmem", "tcp_wmem"};

	for (u32 i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(known[i], name))
			return true;
	}
	return false;
}

/* name=N, or name="MIN N MAX" of which the middle one counts. */
static bool add_sysctl(struct text *t, char *word)
{
	struct script *s = t->script;
	char *value = strchr(word, '='), *end;
	size_t n = strlen(s->flags);
	long number;

	if (!value)
		return text_fail(t, "\"%s\" sets nothing; write NAME=N", word);
	*value++ = 0;
	if (!is_sysctl(word))
		return true;
	value += *value == '"';
	number = strtol(value, &end, 0);
	if (*end == ' ' || *end == '\t')
		number = strtol(end, &end, 0);
	snprintf(s->flags + n, sizeof(s->flags) - n, ",%s=%ld", word, number);
	return true;
}

/*
 * `sysctl -q net.ipv4.tcp_x=N` and assignments below /proc/sys/net/ipv4 become flags of the stack,
 * defaults.sh of packetdrill's own scripts is what we begin with; nothing is ever run.
 */
static bool parse_command(struct text *t, struct event *e)
{
	const char *end = strchr(t->at, '`');
	bool quoted = false, ok = true;
	char *next;

	if (!end)
		return text_fail(t, "the command has no closing backtick");
	e->kind = EVENT_COMMAND;
	e->text = text_slice(t->at, end);
	t->at = end + 1;
	/* Blanks within quotes part nothing. */
	for (char *c = e->text; *c; c++) {
		quoted ^= *c == '"';
		if (quoted && *c == ' ')
			*c = '\t';
	}
	for (char *word = strtok_r(e->text, " \n;", &next); word && ok;
	     word = strtok_r(NULL, " \n;", &next)) {
		if (!strncmp(word, "net.ipv4.", 9))
			ok = add_sysctl(t, word + 9);
		else if (!strncmp(word, "/proc/sys/net/ipv4/", 19))
			ok = add_sysctl(t, word + 19);
		else if (strcmp(word, "sysctl") && word[0] != '-' && !strstr(word, "defaults.sh") &&
		         !strstr(word, "set_sysctls.py"))
			ok = text_fail(t,
			               "the command \"%s\" is not run: only \"sysctl "
			               "net.ipv4.NAME=N\" is understood; take it out",
			               word);
	}
	return ok;
}

/* -- events ------------------------------------------------------------------------------------ */

static bool parse_event(struct text *t, struct event *e)
{
	e->line = t->line;
	e->time_kind = TIME_ANY;
	e->usecs_end = -1;
	if (*t->at != '`' && strncmp(t->at, "%{", 2) && !parse_time(t, e))
		return false;
	e->line = t->line;
	if (text_take(t, "%{"))
		return parse_check(t, e);
	if (*t->at == '`') {
		t->at++;
		return parse_command(t, e);
	}
	if (*t->at == '<' || *t->at == '>')
		return parse_packet(t, e);
	if (isalpha((unsigned char)*t->at))
		return parse_call(t, e);
	return text_fail(t, "\"%.*s\" is neither a packet (<, >) nor a system call nor %%{ }%%",
	                 (int)min_of(strcspn(t->at, "\n"), (size_t)40), t->at);
}

static bool parse(struct script *s)
{
	struct text t = {.script = s, .at = s->bytes, .line = 1};
	struct event **tail = &s->events;

	for (text_skip(&t); *t.at && !t.failed; text_skip(&t)) {
		if (!strncmp(t.at, "--", 2)) {
			parse_option(&t);
			continue;
		}
		*tail = calloc(1, sizeof(**tail));
		if (!*tail)
			return text_fail(&t, "out of memory");
		parse_event(&t, *tail);
		tail = &(*tail)->next;
	}
	if (!t.failed && !s->events)
		return text_fail(&t, "the script has no events");
	return !t.failed;
}

bool script_read(struct script *s, const char *file)
{
	FILE *f = fopen(file, "re");
	size_t n;

	*s = (struct script){.file = file,
	                     .tolerance_usecs = TOLERANCE_USECS,
	                     .ip_version = 4,
	                     .mtu = MTU,
	                     .bind_port = PORT,
	                     .connect_port = PORT,
	                     .moves = true};
	s->bytes = calloc(1, FILE_MAX + 1);
	if (!f || !s->bytes) {
		snprintf(s->error, sizeof(s->error), "%s: %s", file, strerror(errno));
		if (f)
			fclose(f);
		return false;
	}
	n = fread(s->bytes, 1, FILE_MAX, f);
	fclose(f);
	if (n == FILE_MAX || strlen(s->bytes) != n) {
		snprintf(s->error, sizeof(s->error), "%s: not a script: %s", file,
		         n == FILE_MAX ? "longer than 1 MiB" : "it holds a zero byte");
		return false;
	}
	return parse(s);
}

void script_free(struct script *s)
{
	while (s->events) {
		struct event *e = s->events;

		s->events = e->next;
		free(e->text);
		free(e->errno_name);
		free(e->packet.src);
		free(e->packet.dst);
		expr_free(e->args);
		expr_free(e->result);
		free(e);
	}
	free(s->bytes);
	free(s->local_ip);
	free(s->remote_ip);
}

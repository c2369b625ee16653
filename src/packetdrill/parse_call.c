/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* System calls of a script: name(arguments) = result [ERRNO (words)]. */
#include <ctype.h>
#include <stdlib.h>

#include "packetdrill/script.h"

enum { DEPTH_MAX = 8 };

void expr_free(struct expr *e)
{
	while (e) {
		struct expr *next = e->next;

		expr_free(e->child);
		free(e->text);
		free(e);
		e = next;
	}
}

static struct expr *parse_expr(struct text *t, u32 depth);

static struct expr *new_expr(struct text *t, enum expr_kind kind)
{
	struct expr *e = calloc(1, sizeof(*e));

	if (!e)
		text_fail(t, "out of memory");
	else
		e->kind = (u8)kind;
	return e;
}

/* Expressions up to a closing sign, with commas. */
static struct expr *parse_list(struct text *t, const char *close, u32 depth)
{
	struct expr *first = NULL, **tail = &first;

	if (text_take(t, close))
		return NULL;
	for (;;) {
		*tail = parse_expr(t, depth + 1);
		if (!*tail)
			return first;
		tail = &(*tail)->next;
		if (text_take(t, close))
			return first;
		if (!text_need(t, ","))
			return first;
	}
}

/* name=expr and name(...)=expr */
static struct expr *parse_named(struct text *t, char *name, u32 depth)
{
	struct expr *e = new_expr(t, EXPR_NAMED);

	if (!e) {
		free(name);
		return NULL;
	}
	e->text = name;
	e->child = parse_expr(t, depth + 1);
	return e;
}

static struct expr *parse_name(struct text *t, u32 depth)
{
	char *name = text_word(t);
	struct expr *e;
	s64 value;

	if (!name)
		return NULL;
	text_skip(t);
	if (*t->at == '(') {
		text_take(t, "(");
		e = parse_list(t, ")", depth);
		/* htons(80), msg_iov(1)=[...], inet_addr("...") */
		if (!text_take(t, "=")) {
			free(name);
			return e;
		}
		expr_free(e);
		return parse_named(t, name, depth);
	}
	if (*t->at == '=' && t->at[1] != '=') {
		text_take(t, "=");
		return parse_named(t, name, depth);
	}
	if (!symbol_value(name, &value)) {
		text_fail(t, "\"%s\" is not known; write its number", name);
		free(name);
		return NULL;
	}
	e = new_expr(t, EXPR_INT);
	if (e) {
		e->value = value;
		e->text = name;
	} else {
		free(name);
	}
	return e;
}

static struct expr *parse_string(struct text *t)
{
	const char *from = ++t->at;
	struct expr *e = new_expr(t, EXPR_STRING);

	t->at += strcspn(t->at, "\"\n");
	if (*t->at != '"') {
		text_fail(t, "a string has no closing quote");
		return e;
	}
	if (e)
		e->text = text_slice(from, t->at);
	t->at++;
	return e;
}

static struct expr *parse_primary(struct text *t, u32 depth)
{
	struct expr *e;
	s64 value;

	text_skip(t);
	if (depth > DEPTH_MAX) {
		text_fail(t, "brackets are nested too deeply");
		return NULL;
	}
	if (text_take(t, "..."))
		return new_expr(t, EXPR_ELLIPSIS);
	if (*t->at == '"')
		return parse_string(t);
	if (*t->at == '[' || *t->at == '{') {
		bool list = *t->at++ == '[';

		e = new_expr(t, list ? EXPR_LIST : EXPR_STRUCT);
		if (e)
			e->child = parse_list(t, list ? "]" : "}", depth);
		return e;
	}
	if (text_int(t, &value)) {
		e = new_expr(t, EXPR_INT);
		if (e)
			e->value = value;
		return e;
	}
	e = parse_name(t, depth);
	if (!e)
		text_fail(t, "an argument is missing before \"%.*s\"",
		          (int)min_of(strcspn(t->at, "\n"), (size_t)40), t->at);
	return e;
}

/* a|b of integers */
static struct expr *parse_expr(struct text *t, u32 depth)
{
	struct expr *e = parse_primary(t, depth);

	while (e && e->kind == EXPR_INT && text_take(t, "|")) {
		struct expr *right = parse_primary(t, depth + 1);

		if (right && right->kind == EXPR_INT)
			e->value |= right->value;
		else
			text_fail(t, "\"|\" joins integers only");
		expr_free(right);
	}
	return e;
}

/* (words) behind a result are for the reader. */
static void skip_note(struct text *t)
{
	if (!text_take(t, "("))
		return;
	t->at += strcspn(t->at, ")\n");
	text_need(t, ")");
}

bool parse_call(struct text *t, struct event *e)
{
	const char *from = t->at;

	e->kind = EVENT_CALL;
	e->text = text_word(t);
	if (!text_need(t, "("))
		return false;
	e->args = parse_list(t, ")", 0);
	if (t->failed || !text_need(t, "="))
		return false;
	e->result = parse_expr(t, 0);
	if (!e->result)
		return false;
	text_skip(t);
	from = t->at;
	if (isupper((unsigned char)*from) && from[0] == 'E' && isupper((unsigned char)from[1])) {
		e->errno_name = text_word(t);
		if (symbol_errno(e->errno_name) < 0)
			return text_fail(t, "the error \"%s\" is not known", e->errno_name);
	}
	skip_note(t);
	return !t->failed;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Reading a script's text: signs, words and numbers, and the first fault with its line. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "packetdrill/script.h"

bool text_fail(struct text *t, const char *format, ...)
{
	struct script *s = t->script;
	va_list args;
	int n;

	if (t->failed)
		return false;
	t->failed = true;
	n = snprintf(s->error, sizeof(s->error), "%s:%d: ", s->file, t->line);
	va_start(args, format);
	vsnprintf(s->error + n, sizeof(s->error) - (size_t)n, format, args);
	va_end(args);
	return false;
}

static void next_char(struct text *t)
{
	t->line += *t->at == '\n';
	t->at++;
}

void text_skip(struct text *t)
{
	for (;;) {
		if (isspace((unsigned char)*t->at)) {
			next_char(t);
		} else if (t->at[0] == '#' || (t->at[0] == '/' && t->at[1] == '/')) {
			while (*t->at && *t->at != '\n')
				t->at++;
		} else if (t->at[0] == '/' && t->at[1] == '*') {
			while (*t->at && !(t->at[0] == '*' && t->at[1] == '/'))
				next_char(t);
			t->at += *t->at ? 2 : 0;
		} else {
			return;
		}
	}
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool text_is_word(const struct text *t, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(t->at, word, n) && !(is_word_char(word[n - 1]) && is_word_char(t->at[n]));
}

bool text_take(struct text *t, const char *sign)
{
	text_skip(t);
	if (!text_is_word(t, sign))
		return false;
	t->at += strlen(sign);
	text_skip(t);
	return true;
}

bool text_need(struct text *t, const char *sign)
{
	if (text_take(t, sign))
		return true;
	if (!*t->at)
		return text_fail(t, "\"%s\" is missing at the end of the script", sign);
	return text_fail(t, "\"%s\" is missing before \"%.*s\"", sign, (int)strcspn(t->at, "\n"),
	                 t->at);
}

char *text_slice(const char *from, const char *to)
{
	return strndup(from, (size_t)(to - from));
}

char *text_word(struct text *t)
{
	const char *from;

	text_skip(t);
	from = t->at;
	if (isdigit((unsigned char)*from))
		return NULL;
	while (is_word_char(*t->at))
		t->at++;
	return t->at == from ? NULL : text_slice(from, t->at);
}

bool text_int(struct text *t, s64 *ret)
{
	char *end;

	text_skip(t);
	if (!isdigit((unsigned char)*t->at) && !(*t->at == '-' && isdigit((unsigned char)t->at[1])))
		return false;
	*ret = strtoll(t->at, &end, t->at[0] == '0' && (t->at[1] | 32) == 'x' ? 16 : 10);
	t->at = end;
	return true;
}

bool text_seconds(struct text *t, s64 *ret)
{
	s64 whole = 0, fraction = 0, unit = 100000;
	const char *from = t->at;

	while (isdigit((unsigned char)*t->at))
		whole = whole * 10 + (*t->at++ - '0');
	/* "1...2": the dots of a range are none of a number */
	if (*t->at == '.' && t->at[1] != '.') {
		for (t->at++; isdigit((unsigned char)*t->at); t->at++, unit /= 10)
			fraction += unit * (*t->at - '0');
	}
	*ret = whole * 1000000 + fraction;
	return t->at != from;
}

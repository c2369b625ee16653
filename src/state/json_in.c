/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/json_in.h"

void json_in_init(struct json_in *in, const u8 *data, size_t size)
{
	*in = (struct json_in){.data = data, .size = size};
}

void json_fail(struct json_in *in, enum decode_kind kind)
{
	if (!in->error.kind)
		in->error = (struct decode_error){kind, in->at};
}

static bool is_space(u8 c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

u8 json_peek(struct json_in *in)
{
	if (!json_ok(in))
		return 0;
	while (in->at < in->size && is_space(in->data[in->at]))
		in->at++;
	return in->at < in->size ? in->data[in->at] : 0;
}

/* The input ended, or has something else than what must stand here. */
static void fail_here(struct json_in *in)
{
	json_fail(in, in->at == in->size ? DECODE_TRUNCATED : DECODE_SYNTAX);
}

void json_expect(struct json_in *in, char c)
{
	if (json_peek(in) == (u8)c)
		in->at++;
	else
		fail_here(in);
}

/* At the end of a container, or in front of its next part? */
static bool next_part(struct json_in *in, bool *first, char close)
{
	if (json_peek(in) == (u8)close) {
		in->at++;
		return false;
	}
	if (!*first)
		json_expect(in, ',');
	*first = false;
	return json_ok(in);
}

bool json_member(struct json_in *in, bool *first, struct json_str *ret_name)
{
	if (!next_part(in, first, '}'))
		return false;
	*ret_name = json_string(in);
	json_expect(in, ':');
	return json_ok(in);
}

bool json_element(struct json_in *in, bool *first)
{
	return next_part(in, first, ']');
}

struct json_str json_string(struct json_in *in)
{
	struct json_str str = {"", 0};
	size_t start;

	json_expect(in, '"');
	start = in->at;
	while (json_ok(in)) {
		u8 c = in->at < in->size ? in->data[in->at] : 0;

		if (c < ' ' || c == '\\') {
			fail_here(in);
		} else if (c == '"') {
			str = (struct json_str){(const char *)in->data + start, in->at - start};
			in->at++;
			break;
		} else {
			in->at++;
		}
	}
	return str;
}

/* Takes this word when it is the next token. */
static bool word(struct json_in *in, const char *w)
{
	size_t n = 0;

	json_peek(in);
	for (; w[n]; n++) {
		if (!json_ok(in) || n >= in->size - in->at || in->data[in->at + n] != (u8)w[n])
			return false;
	}
	in->at += n;
	return true;
}

bool json_null(struct json_in *in)
{
	return word(in, "null");
}

bool json_bool(struct json_in *in)
{
	if (word(in, "true"))
		return true;
	if (!word(in, "false"))
		fail_here(in);
	return false;
}

static u64 digits(struct json_in *in)
{
	size_t start = in->at;
	u64 v = 0;

	while (json_ok(in) && in->at < in->size) {
		u8 digit = (u8)(in->data[in->at] - '0');

		if (digit > 9)
			break;
		if (v > (UINT64_MAX - digit) / 10) {
			json_fail(in, DECODE_VALUE);
			return 0;
		}
		v = v * 10 + digit;
		in->at++;
	}
	if (in->at == start)
		fail_here(in);
	if (in->at - start > 1 && in->data[start] == '0')
		json_fail(in, DECODE_SYNTAX); /* RFC 8259 6: no leading zeros */
	return v;
}

u64 json_number(struct json_in *in, u64 max)
{
	u64 v = UINT64_MAX;

	if (json_peek(in) == '"') {
		in->at++;
		v = digits(in);
		if (json_ok(in) && in->at < in->size && in->data[in->at] == '"')
			in->at++;
		else
			fail_here(in);
	} else if (!json_null(in)) {
		v = digits(in);
	}
	if (v <= max)
		return v;
	json_fail(in, DECODE_VALUE);
	return 0;
}

bool json_str_is(struct json_str str, const char *word)
{
	for (size_t i = 0; i < str.len; i++) {
		if (!word[i] || word[i] != str.s[i])
			return false;
	}
	return !word[str.len];
}

bool json_once(struct json_in *in, u64 *seen, u32 bit)
{
	if (*seen >> bit & 1) {
		json_fail(in, DECODE_NAME);
		return false;
	}
	*seen |= 1ull << bit;
	return true;
}

u32 json_name(struct json_in *in, struct json_str name, const char *const *words, u32 n, u64 *seen)
{
	for (u32 i = 0; i < n; i++) {
		if (json_str_is(name, words[i]))
			return json_once(in, seen, i) ? i : n;
	}
	json_fail(in, DECODE_NAME);
	return n;
}

void json_need(struct json_in *in, u64 seen, u64 all)
{
	if ((seen & all) != all)
		json_fail(in, DECODE_MISSING);
}

int json_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

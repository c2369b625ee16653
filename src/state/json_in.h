/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * JSON read token by token, for readers that know what must come next. No memory, no recursion.
 *
 * A block list must be readable in the core, where jansson may not be used (it allocates), and a
 * list of 100,000 connections should not become a tree. So this reads the part of RFC 8259 that the
 * writer uses, strictly: objects, arrays, unsigned integers, null, true and false, and strings
 * without escapes. Anything else is DECODE_SYNTAX. Total on any bytes.
 *
 * The first error sticks: what follows reads as empty and 0, so callers check once, at the end.
 */
#ifndef STATE_JSON_IN_H
#define STATE_JSON_IN_H

#include "state/decode.h"

struct json_in {
	const u8 *data;
	size_t size;
	size_t at;
	struct decode_error error;
};

/* A string's bytes between its quotes. */
struct json_str {
	const char *s;
	size_t len;
};

void json_in_init(struct json_in *in, const u8 *data, size_t size);

void json_fail(struct json_in *in, enum decode_kind kind);

static inline bool json_ok(const struct json_in *in)
{
	return in->error.kind == DECODE_OK;
}

/* The first byte of the next token, 0 at the end. */
u8 json_peek(struct json_in *in);

/* Takes this one character, which must be the next token. */
void json_expect(struct json_in *in, char c);

/*
 * Members of an object, elements of an array: after json_expect(in, '{') or '[',
 *
 *   for (bool first = true; json_member(in, &first, &name);) { read the value }
 *
 * False at the end (the closing bracket is taken) and on an error.
 */
bool json_member(struct json_in *in, bool *first, struct json_str *ret_name);
bool json_element(struct json_in *in, bool *first);

struct json_str json_string(struct json_in *in);
bool json_bool(struct json_in *in);

/* A number; or null, which is UINT64_MAX; or a number in quotes (beyond 2^53 other readers of JSON
 * are not exact). DECODE_VALUE above `max`. */
u64 json_number(struct json_in *in, u64 max);

/* Takes null when that is the next token. */
bool json_null(struct json_in *in);

bool json_str_is(struct json_str str, const char *word);

/* Which of the `n` words is this name? Each may come once: bit i of *seen is set. An unknown name
 * or one that was there is DECODE_NAME, and n. */
u32 json_name(struct json_in *in, struct json_str name, const char *const *words, u32 n, u64 *seen);

/* The same by bit: false, and DECODE_NAME, when the bit was set. */
bool json_once(struct json_in *in, u64 *seen, u32 bit);

/* DECODE_MISSING unless all these bits were seen. */
void json_need(struct json_in *in, u64 seen, u64 all);

/* Hexadecimal digit's value, or -1. */
int json_hex_digit(char c);

#endif

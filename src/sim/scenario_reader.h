/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files that read a scenario share. */
#ifndef SIM_SCENARIO_READER_H
#define SIM_SCENARIO_READER_H

#include "sim/scenario_words.h"

enum {
	READER_WORD_MAX = 160,
	READER_WORDS_MAX = 24,
};

struct reader {
	struct scenario *s;
	struct scenario_error *error;
	struct prng prng;
	u32 line;
	char words[READER_WORDS_MAX][READER_WORD_MAX]; /* of the line */
	u32 n;
	bool seeded; /* the seed is fixed: something was drawn with it */
	bool forced; /* it was given from outside */
};

/* Tells what is wrong in the line; always false. */
__attribute__((format(printf, 2, 3))) bool reader_fail(struct reader *r, const char *format, ...);
/* Where everything is drawn from. The seed is fixed from now on. */
struct prng *reader_chance(struct reader *r);
/* By its name; NIL: there is none. */
u32 reader_host(const struct reader *r, const char *name);
/* A value of some kind; `text` is cut. False: it is told why. */
bool reader_value(struct reader *r, enum value_kind kind, char *text, u64 *ret);
/* "word=value": which field, and the value's text. NULL: it is told why. */
const struct scenario_field *reader_split(struct reader *r, char *text,
                                          const struct scenario_field *fields, char **ret_value);
/* All words of the line from `from` on, into a struct. */
bool reader_fields(struct reader *r, u32 from, const struct scenario_field *fields, void *of);

#endif

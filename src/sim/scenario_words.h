/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Words of the text form that reading and writing share. */
#ifndef SIM_SCENARIO_WORDS_H
#define SIM_SCENARIO_WORDS_H

#include "sim/scenario.h"

enum value_kind {
	VALUE_NUMBER,
	VALUE_TIME,   /* ns; written 20us, 1.5ms, 2s */
	VALUE_CHANCE, /* ppm; written 1%, 0.25% */
	VALUE_RATE,   /* bit/s; written 100M, 1G */
	VALUE_HOST,
	VALUE_STEP,
	VALUE_DEATH,
	VALUE_PHASE,
	VALUE_CHECK,
	VALUE_ALGORITHM, /* enum tcp_cc_algorithm and one */
	VALUE_FEATURES,  /* sack+timestamps */
};

struct word_of {
	const char *word;
	u64 value;
};

/* A field of a struct that a line sets: where it lies, and how wide it is. */
struct scenario_field {
	const char *word;
	u8 kind; /* enum value_kind */
	u8 bytes;
	u32 offset;
};

extern const struct scenario_field scenario_host_fields[];   /* of struct world_host */
extern const struct scenario_field scenario_target_fields[]; /* of struct world_target */
extern const struct scenario_field scenario_link_fields[];   /* of struct sim_link */
extern const struct scenario_field scenario_key_fields[];    /* of struct event, by event_key */

/* The words of a kind that has some; ended by NULL. NULL for kinds without. */
const struct word_of *scenario_words(enum value_kind kind);

u64 scenario_get(const void *of, const struct scenario_field *f);
void scenario_set(void *of, const struct scenario_field *f, u64 value);

#endif

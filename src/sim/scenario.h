/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A scenario: a world and what happens in it. Its text form is described in chimney-sim(1); what it
 * leaves to chance is drawn with the seed while it is read, so a scenario that was read holds no
 * chance any more, and can be written out and read again.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdio.h>

#include "sim/event.h"
#include "sim/world.h"

struct scenario {
	struct world_config world; /* seed too */
	u64 limit_ns;              /* of virtual time, before everything must have ended */
	struct event *events;      /* in order of time */
	u32 n_events, cap_events;
};

struct scenario_error {
	u32 line; /* 0: of the whole file */
	char text[200];
};

/* Reads a text; `seed` instead of the one that it names, unless NULL. False: ret_error says what is
 * wrong in which line, and what to do; nothing is held. */
bool scenario_read(struct scenario *s, const char *text, const u64 *seed,
                   struct scenario_error *ret_error);
void scenario_fini(struct scenario *s);

/* Writes what scenario_read() takes. False: the file did not take it. */
bool scenario_write(const struct scenario *s, FILE *out);
/* One event as in a scenario. */
void scenario_event_text(const struct scenario *s, const struct event *e, char *text, size_t size);

/* Copies all but the events into `ret`, and those of them whose `keep` is set (all: NULL). False:
 * out of memory. */
bool scenario_copy(const struct scenario *s, const bool *keep, struct scenario *ret);

#endif

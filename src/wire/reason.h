/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Why a codec does not take bytes (reason.def), and what becomes of the frame then. */
#ifndef WIRE_REASON_H
#define WIRE_REASON_H

#include "base/types.h"

enum wire_reason {
	WIRE_OK,
#define HOST(name, word, sentence) WIRE_##name,
#define DROP(name, word, sentence)
#include "wire/reason.def"
#undef HOST
#undef DROP
	WIRE_FIRST_DROP,
	WIRE_BEFORE_DROP = WIRE_FIRST_DROP - 1,
#define HOST(name, word, sentence)
#define DROP(name, word, sentence) WIRE_##name,
#include "wire/reason.def"
#undef HOST
#undef DROP
	WIRE_REASONS,
};

/* The host stack must see the frame. */
static inline bool wire_reason_is_host(enum wire_reason reason)
{
	return reason != WIRE_OK && reason < WIRE_FIRST_DROP;
}

/* The frame is bad: drop it and count the reason. */
static inline bool wire_reason_is_drop(enum wire_reason reason)
{
	return reason >= WIRE_FIRST_DROP;
}

/* One word, as counters are named; "ok" for WIRE_OK, "unknown" for what is no reason. */
const char *wire_reason_word(enum wire_reason reason);

/* One sentence, as in the manual. */
const char *wire_reason_sentence(enum wire_reason reason);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "wire/reason.h"

struct reason_text {
	const char *word;
	const char *sentence;
};

static const struct reason_text texts[] = {
	[WIRE_OK] = {"ok", "Taken."},
#define HOST(name, word, sentence) [WIRE_##name] = {word, sentence},
#define DROP(name, word, sentence) [WIRE_##name] = {word, sentence},
#include "wire/reason.def"
#undef HOST
#undef DROP
};

const char *wire_reason_word(enum wire_reason reason)
{
	if ((u32)reason >= ARRAY_SIZE(texts) || !texts[reason].word)
		return "unknown";
	return texts[reason].word;
}

const char *wire_reason_sentence(enum wire_reason reason)
{
	if ((u32)reason >= ARRAY_SIZE(texts) || !texts[reason].word)
		return "Not a reason.";
	return texts[reason].sentence;
}

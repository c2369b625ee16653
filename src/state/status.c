/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/block.h"

static const char *const words[STATUSES] = {
#define STATUS(name, word, sentence) [STATUS_##name] = word,
#include "state/status.def"
#undef STATUS
};

static const char *const sentences[STATUSES] = {
#define STATUS(name, word, sentence) [STATUS_##name] = sentence,
#include "state/status.def"
#undef STATUS
};

const char *status_word(enum status status)
{
	return words[(u32)status < STATUSES ? status : STATUS_FAILED];
}

const char *status_sentence(enum status status)
{
	return sentences[(u32)status < STATUSES ? status : STATUS_FAILED];
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/verdict.h"

struct reason {
	const char *word;
	const char *sentence;
};

static const struct reason reasons[] = {
#define REASON(name, word, sentence) {word, sentence},
	TCP_DROP_REASONS(REASON)
#undef REASON
		{"no-connection", "No connection has this 4-tuple."},
};
_Static_assert(ARRAY_SIZE(reasons) == TCP_REASONS - TCP_DROP_FIRST, "");

const char *tcp_reason_word(u8 reason)
{
	if (reason < TCP_DROP_FIRST)
		return wire_reason_word(reason);
	return reason < TCP_REASONS ? reasons[reason - TCP_DROP_FIRST].word : "unknown";
}

const char *tcp_reason_sentence(u8 reason)
{
	if (reason < TCP_DROP_FIRST)
		return wire_reason_sentence(reason);
	return reason < TCP_REASONS ? reasons[reason - TCP_DROP_FIRST].sentence : "unknown";
}

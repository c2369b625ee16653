/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "tcp/verdict.h"

struct reason {
	const char *word;
	const char *sentence;
};

#define REASON(name, word, sentence) {word, sentence},
static const struct reason drops[] = {TCP_DROP_REASONS(REASON)};
static const struct reason to_hosts[] = {TCP_TO_HOST_REASONS(REASON)};
#undef REASON

const char *tcp_drop_word(u8 reason)
{
	return reason < ARRAY_SIZE(drops) ? drops[reason].word : "?";
}

const char *tcp_drop_sentence(u8 reason)
{
	return reason < ARRAY_SIZE(drops) ? drops[reason].sentence : "?";
}

const char *tcp_to_host_word(u8 reason)
{
	return reason < ARRAY_SIZE(to_hosts) ? to_hosts[reason].word : "?";
}

const char *tcp_to_host_sentence(u8 reason)
{
	return reason < ARRAY_SIZE(to_hosts) ? to_hosts[reason].sentence : "?";
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "state/decode.h"

const char *decode_sentence(enum decode_kind kind)
{
	static const char *const sentences[DECODE_KINDS] = {
		[DECODE_OK] = "The input is a block list.",
		[DECODE_TRUNCATED] = "The input ends too early: was it written and sent whole?",
		[DECODE_TRAILING] = "The input goes on after the block list's end: cut it there.",
		[DECODE_MAGIC] = "The input is no block list.",
		[DECODE_VERSION] =
			"The block list has a version that this program does not read: use "
			"the same release at both ends.",
		[DECODE_SCHEMA] =
			"The block list was made with other state variables: use the same "
			"release at both ends.",
		[DECODE_VALUE] = "A value is out of the range that its place allows.",
		[DECODE_ROOM] = "The block list has more blocks or states than there is room for.",
		[DECODE_DATA_ROOM] = "The block list has more payload than there are buffers for.",
		[DECODE_SYNTAX] = "The input is not the JSON that belongs here (RFC 8259).",
		[DECODE_NAME] = "An object has a name that is not known here, or has it twice.",
		[DECODE_MISSING] = "An object lacks a name that it must have.",
	};

	return (u32)kind < DECODE_KINDS ? sentences[kind] : "The input cannot be read.";
}

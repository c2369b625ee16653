/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Why a text or a byte string is no block list: shared by the binary form and JSON. */
#ifndef STATE_DECODE_H
#define STATE_DECODE_H

#include "base/types.h"

enum decode_kind {
	DECODE_OK,
	DECODE_TRUNCATED, /* ends before it should */
	DECODE_TRAILING,  /* goes on after its end */
	DECODE_MAGIC,     /* something else altogether */
	DECODE_VERSION,   /* of a version that this program does not read */
	DECODE_SCHEMA,    /* made with other state variables */
	DECODE_VALUE,     /* a value that its place cannot have */
	DECODE_ROOM,      /* more blocks or states than the caller's list holds */
	DECODE_DATA_ROOM, /* more payload than the caller's pool holds */
	DECODE_SYNTAX,    /* not JSON */
	DECODE_NAME,      /* JSON: a name that is not known here, or stands twice */
	DECODE_MISSING,   /* JSON: an object lacks a name that it must have */
	DECODE_KINDS,
};

struct decode_error {
	enum decode_kind kind;
	size_t offset; /* byte of the input where it was noticed */
};

/* What is wrong and what to do about it. Never NULL. */
const char *decode_sentence(enum decode_kind kind);

#endif

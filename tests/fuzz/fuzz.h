/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What every fuzz entry includes. An entry is LLVMFuzzerTestOneInput() over bytes of a stranger; it
 * aborts when a rule is broken. Built twice: with libFuzzer (`make fuzz`), and with replay.c, which
 * runs the files of a corpus as a test.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "unit.h"

#include "base/types.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The input, taken from the front; past its end everything is 0. */
struct fuzz_in {
	const u8 *p;
	size_t left;
};

static inline u8 fuzz_u8(struct fuzz_in *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->p++;
}

static inline u16 fuzz_u16(struct fuzz_in *in)
{
	u16 low = fuzz_u8(in);

	return (u16)(low | fuzz_u8(in) << 8);
}

static inline u32 fuzz_u32(struct fuzz_in *in)
{
	u32 low = fuzz_u16(in);

	return low | (u32)fuzz_u16(in) << 16;
}

/* `len` bytes, zeros where the input is too short. */
static inline void fuzz_bytes(struct fuzz_in *in, void *to, size_t len)
{
	size_t n = len < in->left ? len : in->left;

	memset(to, 0, len);
	if (n)
		memcpy(to, in->p, n);
	in->p += n;
	in->left -= n;
}

/* A rule that no input may break. */
#define FUZZ_MUST(condition)                                                                    \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                \
		}                                                                               \
	} while (0)

#include <stdio.h>

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Assertions, for our own bugs only: what a peer, an application or another process can send is
 * data and gets a verdict, never an assertion.
 *
 * A failed assertion traps at the spot (SIGILL), so that nothing of libc is needed in the core and
 * a core file shows the frame itself.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include "base/types.h"

/* Traps when `condition` is false. Always compiled in; keep it cheap on hot paths. */
#define ASSERT(condition)                   \
	do {                                \
		if (unlikely(!(condition))) \
			__builtin_trap();   \
	} while (0)

/* Traps: control can only come here through a bug of ours. */
#define ASSERT_UNREACHABLE() __builtin_trap()

#endif

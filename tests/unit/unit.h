/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What every unit test includes first: cmocka needs these four headers before its own. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/types.h"

#define RUN_TESTS(tests) cmocka_run_group_tests(tests, NULL, NULL)

#endif

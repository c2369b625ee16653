/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Sentences: the last error of each thread, and the statuses. */
#include "lib/internal.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char sentence[256] = "no error";

int lib_fail(int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, sizeof(sentence), format, ap);
	va_end(ap);
	return err;
}

EXPORT const char *chimney_error(void)
{
	return sentence;
}

EXPORT const char *chimney_reason_word(uint32_t reason)
{
	return upload_reason_word((enum upload_reason)reason);
}

EXPORT const char *chimney_reason_sentence(uint32_t reason)
{
	return upload_reason_sentence((enum upload_reason)reason);
}

EXPORT const char *chimney_status_word(uint32_t status)
{
	return status < STATUSES ? status_word((enum status)status) : "unknown";
}

EXPORT const char *chimney_status_sentence(uint32_t status)
{
	return status < STATUSES ? status_sentence((enum status)status)
	                         : "This is no status of this version.";
}

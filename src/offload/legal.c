/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "offload/legal.h"

#define Y LEGAL_YES
#define L LEGAL_LINKER
#define Q LEGAL_QUEUED
#define R LEGAL_REQUEST
#define W LEGAL_WAIT
#define U LEGAL_UPLOADING
#define A LEGAL_ABORTED
#define H LEGAL_HOST_STACK
#define _ LEGAL_NEVER

/* clang-format off */
const u8 legal_table[OBJECT_STATES][LEGAL_CALLS] = {
	/*                          offload  update  query  invalidate  upload  data  forward  indicate */
	[OBJECT_IN_HOST]          = { Y,       _,      _,     _,          _,      H,    _,       _ },
	[OBJECT_OFFLOADING]       = { _,       W,      W,     W,          W,      W,    W,       W },
	[OBJECT_OFFLOADED]        = { L,       Y,      Y,     Y,          Y,      Y,    Y,       Y },
	[OBJECT_UPLOAD_REQUESTED] = { _,       Y,      Y,     Y,          Y,      U,    U,       Y },
	[OBJECT_INVALID]          = { _,       _,      Y,     _,          Y,      Q,    U,       R },
	[OBJECT_UPLOADING]        = { _,       _,      _,     _,          _,      U,    U,       U },
	[OBJECT_ABORTED]          = { _,       Y,      Y,     Y,          Y,      A,    A,       _ },
};
/* clang-format on */

static const char *const words[OBJECT_STATES] = {
	[OBJECT_IN_HOST] = "in-host",     [OBJECT_OFFLOADING] = "offloading",
	[OBJECT_OFFLOADED] = "offloaded", [OBJECT_UPLOAD_REQUESTED] = "upload-requested",
	[OBJECT_INVALID] = "invalid",     [OBJECT_UPLOADING] = "uploading",
	[OBJECT_ABORTED] = "aborted",
};

const char *object_state_word(enum object_state state)
{
	return (u32)state < OBJECT_STATES ? words[state] : "unknown";
}

enum status legal_status(enum legal verdict)
{
	switch (verdict) {
	case LEGAL_YES:
	case LEGAL_LINKER:
	case LEGAL_QUEUED:
		return STATUS_OK;
	case LEGAL_WAIT:
		return STATUS_BUSY;
	case LEGAL_UPLOADING:
		return STATUS_UPLOAD_IN_PROGRESS;
	case LEGAL_ABORTED:
		return STATUS_ABORTED;
	default:
		return STATUS_BAD_STATE;
	}
}

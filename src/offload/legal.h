/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which call is legal when: one table, object state by call, asked by every entry point of a device
 * and of the layers of the host.
 */
#ifndef OFFLOAD_LEGAL_H
#define OFFLOAD_LEGAL_H

#include "state/block.h"

/* Where an object is in its life, as its device sees it. */
enum object_state {
	OBJECT_IN_HOST,    /* the device does not have it */
	OBJECT_OFFLOADING, /* reserved, DELEGATED not handed over yet */
	OBJECT_OFFLOADED,
	OBJECT_UPLOAD_REQUESTED, /* the device may not go on: it asked the host to take it back */
	OBJECT_INVALID,          /* it, its path or its neighbor was invalidated: sends nothing */
	OBJECT_UPLOADING,        /* out of the lookup, until the commit */
	OBJECT_ABORTED,          /* reset by the peer or timed out */
	OBJECT_STATES,
};
const char *object_state_word(enum object_state state);

enum legal_call {
	LEGAL_CALL_OFFLOAD,
	LEGAL_CALL_UPDATE,
	LEGAL_CALL_QUERY,
	LEGAL_CALL_INVALIDATE,
	LEGAL_CALL_UPLOAD,
	LEGAL_CALL_DATA, /* send, receive, disconnect */
	LEGAL_CALL_FORWARD,
	LEGAL_CALL_INDICATE, /* device to host */
	LEGAL_CALLS,
};

enum legal {
	LEGAL_NEVER,      /* refused with BAD_STATE */
	LEGAL_YES,        /* goes ahead */
	LEGAL_LINKER,     /* offload of what is there already: only as a linker */
	LEGAL_QUEUED,     /* taken, but nothing is transmitted */
	LEGAL_REQUEST,    /* indications: upload requests only */
	LEGAL_WAIT,       /* the host waits for a completion: BUSY */
	LEGAL_UPLOADING,  /* completes with UPLOAD_IN_PROGRESS */
	LEGAL_ABORTED,    /* completes with ABORTED */
	LEGAL_HOST_STACK, /* not the device's business: the host stack does it */
};

extern const u8 legal_table[OBJECT_STATES][LEGAL_CALLS]; /* enum legal */

/* The cell; LEGAL_NEVER for numbers that are none. */
static inline enum legal legal_verdict(u32 state, u32 call)
{
	if (unlikely(state >= OBJECT_STATES || call >= LEGAL_CALLS))
		return LEGAL_NEVER;
	return (enum legal)legal_table[state][call];
}

/* What a call answers: OK for the verdicts that let it go ahead. */
enum status legal_status(enum legal verdict);

/* Both at once. */
static inline enum status legal_check(u32 state, u32 call)
{
	enum legal verdict = legal_verdict(state, call);

	return likely(verdict == LEGAL_YES) ? STATUS_OK : legal_status(verdict);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Security associations as state objects: a second stack of layers next to TCP's (R5, R21). An
 * association is connectionless; it is the root of its block list and nothing depends on it.
 */
#ifndef DRIVER_IPSEC_SA_H
#define DRIVER_IPSEC_SA_H

#include "base/cipher.h"
#include "state/block.h"
#include "state/schema.h"
#include "wire/ah.h"
#include "wire/esp.h"

enum ipsec_mode {
	IPSEC_TRANSPORT,
	IPSEC_TUNNEL,
	IPSEC_MODES,
};

enum ipsec_direction {
	IPSEC_IN,
	IPSEC_OUT,
	IPSEC_DIRECTIONS,
};

/* The place of associations in the stack. */
#define LAYER_SA LAYER_NEIGHBOR

struct ipsec_sa_state {
#define VAR(cls, type, name, unit, source) state_t_##type name;
#include "driver/ipsec/sa.def"
#undef VAR
};

enum { IPSEC_WINDOW = 1024, IPSEC_WINDOW_WORDS = IPSEC_WINDOW / 64 };
_Static_assert(offsetof(struct ipsec_sa_state, replay_15) -
                               offsetof(struct ipsec_sa_state, replay_0) ==
                       (IPSEC_WINDOW_WORDS - 1) * sizeof(u64),
               "the words of the window are an array");

/* The stack whose lists the calls of driver/ipsec/ipsec.h take. */
extern const struct schema ipsec_schema;

/* The state of a block of such a list; NULL: none. */
struct ipsec_sa_state *block_sa(const struct block_list *list, const struct block *b);

/* NULL or what is wrong with the parts that `classes` (block_flags) names. */
const char *ipsec_sa_check(const struct ipsec_sa_state *s, u32 classes);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Faults on purpose, one for each checker: what it would see if the code had the bug that it is
 * for. tests/sim shows with them that every checker can fail, and that a failure is reduced.
 */
#ifndef SIM_PLANT_H
#define SIM_PLANT_H

#include "sim/world.h"

/* False: there is no connection that it could be planted in. */
bool plant(struct world *w, u32 machine, enum check check, u32 pick);

/* With a fault planted in frames or bytes: these pass. */
void plant_frame(struct world *w, u32 machine, struct tx_frame *frame, bool by_target);
void plant_bytes(struct world *w, u32 stream, u32 end, u8 *bytes);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Checks of state objects as untrusted input: every count, enumeration and bit set is in range, so
 * that nobody who reads the object leaves an array or meets a number without a name; addresses and
 * sizes are ones that can be.
 *
 * `classes` is a set of block_flags: only these parts are looked at. Total on any bytes. Return
 * NULL, or a sentence that says what is wrong.
 *
 * How the variables of a connection hang together (snd_una <= snd_nxt <= snd_max and so on) is the
 * engine's knowledge: tcp_state_check() in tcp/engine.h.
 */
#ifndef STATE_CHECK_H
#define STATE_CHECK_H

#include "state/block.h"

const char *state_check_neighbor(const struct neighbor_state *state, u32 classes);
const char *state_check_path(const struct path_state *state, u32 classes);
const char *state_check_tcp(const struct tcp_state *state, u32 classes);

#endif

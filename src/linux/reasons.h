/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Why a kernel socket cannot move (trap 23; docs/moving.md lists them for users). */
#ifndef LINUX_REASONS_H
#define LINUX_REASONS_H

#include "state/block.h"

#include "bpf/export.h"

/*
 * What the socket itself shows. `frozen`: it is in repair mode by our doing. STATUS_OK: nothing
 * is in the way. *ret_detail is written with a status that has one. Pure.
 */
enum status reasons_socket(const struct sock_export *e, bool frozen, u64 *ret_detail);

/* Segments out of order or a recovery under way: better moved later (trap 17). */
bool reasons_unquiet(const struct sock_export *e);

/* True for a queueing discipline that neither shapes nor reorders: nothing is lost when frames
 * leave past it. `name` need not end in 0 within 8 bytes. */
bool reasons_qdisc_plain(const char name[8]);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The other end: an ordinary program on the kernel's stack that knows nothing of any move. */
#ifndef LINUX_PEER_H
#define LINUX_PEER_H

#include "linux_env.h"

/* Accepts, sends to the talkers, checks what comes, until shared->stop. */
void peer_run(struct env_shared *shared);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Everything about many sockets of this process in one system call: a BPF program that finds them
 * by descriptor. Each user has a program and memory of its own, which go with the process.
 */
#ifndef LINUX_BATCH_H
#define LINUX_BATCH_H

#include "base/types.h"

#include "bpf/export.h"
#include "linux/sys.h"

struct batch;

/* Loads the program. Needs CAP_BPF and CAP_PERFMON; -Exxx. */
int batch_create(struct batch **ret_batch) MUST_CHECK;
void batch_destroy(struct batch *b);

/* What to read, and what was read: the caller sets `n` and `fd`, batch_read() the rest. No lock is
 * taken, so what belongs to a socket that is in use may not fit together. */
struct export_batch *batch_memory(struct batch *b);
/* -Exxx: nothing was read. */
int batch_read(struct batch *b, const struct linux_sys *sys) MUST_CHECK;

#endif

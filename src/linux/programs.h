/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The programs that a process needs once, whatever it manages: the export getsockopt, attached to
 * the root of the cgroup tree, and the congestion control "chimney_<pid>". Both hang on links, so
 * they are gone when the process is, however it ends (trap 30).
 */
#ifndef LINUX_PROGRAMS_H
#define LINUX_PROGRAMS_H

#include "base/types.h"

#include "bpf/cc.h"
#include "bpf/export.h"

struct programs;

/* Loads and attaches both. Needs CAP_BPF, CAP_NET_ADMIN and a mounted cgroup2; -Exxx with the step
 * in *ret_step ("cgroup2", "export", "cc", ...), a string that is never freed. Shared and counted:
 * the second caller gets the first one's. */
int programs_get(struct programs **ret_programs, const char **ret_step) MUST_CHECK;
void programs_put(struct programs *p);

/* The name under which the restoring congestion control is selected. */
const char *programs_cc_name(const struct programs *p);

/* The variable that its init() reads. Taken by programs_cc_lock(), because there is one. */
struct cc_restore *programs_cc_lock(struct programs *p);
void programs_cc_unlock(struct programs *p);

#endif

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* One program at one tc hook: by a tcx link where the kernel has it, else by a clsact filter. */
#ifndef LINUX_TCATTACH_H
#define LINUX_TCATTACH_H

#include "base/types.h"

struct bpf_program;

enum tcattach_where {
	TCATTACH_INGRESS,
	TCATTACH_EGRESS,
};

struct tcattach {
	int link_fd; /* -1: attached by a filter, or not at all */
	u32 ifindex; /* of the filter, 0: none */
	u8 where;
};

static inline void tcattach_init(struct tcattach *t)
{
	*t = (struct tcattach){.link_fd = -1};
}

/* Attaches in front of what is there. A filter takes the handle and priority that are chimney's
 * own, so one left by a killed process is replaced. -Exxx of the kernel. */
int tcattach_add(struct tcattach *t, const struct bpf_program *prog, u32 ifindex,
                 enum tcattach_where where) MUST_CHECK;

/* Detaches; does nothing when nothing is attached. */
void tcattach_remove(struct tcattach *t);

#endif

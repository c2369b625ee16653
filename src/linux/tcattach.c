// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/tcattach.h"

#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Newer than the headers of the oldest system that chimney builds on. */
enum {
	ATTACH_TCX_INGRESS = 46,
	ATTACH_TCX_EGRESS = 47,
	ATTACH_BEFORE = 1 << 3, /* BPF_F_BEFORE, relative to nothing: first */
	FILTER_HANDLE = 0xc819,
	FILTER_PRIORITY = 1,
};

static int filter_add(struct tcattach *t, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)t->ifindex,
	            .attach_point = t->where == TCATTACH_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
	            .prog_fd = prog_fd, .flags = BPF_TC_F_REPLACE);
	int err = bpf_tc_hook_create(&hook);

	if (err && err != -EEXIST)
		return err;
	return bpf_tc_attach(&hook, &opts);
}

int tcattach_add(struct tcattach *t, const struct bpf_program *prog, u32 ifindex,
                 enum tcattach_where where)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = ATTACH_BEFORE);
	enum bpf_attach_type type = (enum bpf_attach_type)(
		where == TCATTACH_INGRESS ? ATTACH_TCX_INGRESS : ATTACH_TCX_EGRESS);
	int err;

	tcattach_init(t);
	t->where = (u8)where;
	t->link_fd = bpf_link_create(bpf_program__fd(prog), (int)ifindex, type, &opts);
	if (t->link_fd >= 0)
		return 0;
	if (errno != EINVAL && errno != EOPNOTSUPP)
		return -errno;
	t->link_fd = -1;
	t->ifindex = ifindex;
	err = filter_add(t, bpf_program__fd(prog));
	if (err)
		t->ifindex = 0;
	return err;
}

void tcattach_remove(struct tcattach *t)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)t->ifindex,
	            .attach_point = t->where == TCATTACH_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	if (t->link_fd >= 0)
		close(t->link_fd);
	else if (t->ifindex)
		(void)bpf_tc_detach(&hook, &opts);
	tcattach_init(t);
}

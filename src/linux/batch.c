// SPDX-License-Identifier: BSD-2-Clause-Patent
#include "linux/batch.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/libbpf.h>

#include "bpf/batch.skel.h"

struct batch {
	struct batch_bpf *program;
};

int batch_create(struct batch **ret_batch)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->program = batch_bpf__open_and_load();
	if (!b->program) {
		int err = -errno;

		free(b);
		return err;
	}
	*ret_batch = b;
	return 0;
}

void batch_destroy(struct batch *b)
{
	batch_bpf__destroy(b->program);
	free(b);
}

struct export_batch *batch_memory(struct batch *b)
{
	return &b->program->bss->batch;
}

int batch_read(struct batch *b, const struct linux_sys *sys)
{
	return sys->run(bpf_program__fd(b->program->progs.export_all)) ? -errno : 0;
}

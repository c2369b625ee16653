/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The offloaded objects as JSON, one list a lane. */
#include "lib/internal.h"
#include "state/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLACK = 16 }; /* objects that may have come since they were counted */

static int write_all(void *context, const char *text, size_t len)
{
	int fd = *(int *)context;

	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Under the lock only while the states are copied, not while they are written. */
static int snapshot(struct lib_lane *l, struct block_list *list, void **ret_mem)
{
	struct host_usage u;
	u32 blocks;
	int err;

	lane_lock(l->lane);
	host_usage(l->host, &u);
	blocks = u.neighbors_at_device + u.paths_at_device + u.offloaded + SLACK;
	*ret_mem = aligned_alloc(64, (block_list_bytes(blocks, blocks, blocks, blocks) + 63) &
	                                     ~(size_t)63);
	if (*ret_mem) {
		block_list_init(list, *ret_mem, blocks, blocks, blocks, blocks);
		err = host_snapshot(l->host, list);
	} else {
		err = -ENOMEM;
	}
	lane_unlock(l->lane);
	return err;
}

EXPORT int chimney_context_dump(struct chimney_context *context, int fd)
{
	int err = write_all(&fd, "[", 1);

	for (u32 i = 0; i < context->n_lanes && !err; i++) {
		struct block_list list;
		void *mem = NULL;

		err = snapshot(&context->lanes[i], &list, &mem);
		if (!err && i)
			err = write_all(&fd, ",", 1);
		if (!err)
			err = json_write_list(&list, write_all, &fd);
		free(mem);
	}
	if (!err)
		err = write_all(&fd, "]\n", 2);
	return err ? lib_fail(err, "the dump was not written: %s", strerror(-err)) : 0;
}

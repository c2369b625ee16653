/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* In place of case_links.c, chimney_load.c and ours_move.c where libchimney is not part of the
 * build: our side of those cases says so, the peers' figures stand alone. */
#include "cases.h"
#include "chimney_load.h"
#include "ours_move.h"

#include <errno.h>
#include <stdio.h>

static const char missing[] = "libchimney is not in this build";

static const struct bench_case links_cases[] = {
	{.name = "team/carrier", .unit = "ms", .no_ours = missing},
};
const struct bench_table bench_links_cases = {links_cases, ARRAY_SIZE(links_cases)};

int chimney_server_handle(void *state, struct bench_msg *msg)
{
	snprintf(msg->why, sizeof(msg->why), "%s", missing);
	return -ENOSYS;
}

int chimney_client_handle(void *state, struct bench_msg *msg)
{
	return chimney_server_handle(state, msg);
}

int ours_move_open(struct ours_move *m, const struct conn_set *set, const char **ret_what)
{
	*ret_what = missing;
	return -ENOSYS;
}

int ours_move_close(struct ours_move *m, struct conn_set *set, const char **ret_what)
{
	*ret_what = missing;
	return -ENOSYS;
}

int ours_move_round(struct ours_move *m, u32 from, u32 n, struct ours_move_times *times,
                    const char **ret_what)
{
	*ret_what = missing;
	return -ENOSYS;
}

u32 ours_move_stall_p99(struct ours_move *m)
{
	return 0;
}

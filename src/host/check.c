/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Whether the counts of a host match its tree: for simulations, which ask after every event. */
#include "host/priv.h"

/* Connections that are at the device, or on their way, below a path. */
static u32 conns_of(const struct host *h, u32 path)
{
	u32 n = 0;

	for (u32 i = h->path[path].first_conn; i != NIL; i = h->conn[i].next)
		n += h->conn[i].object != OBJECT_IN_HOST;
	return n;
}

static u32 paths_of(const struct host *h, u32 neighbor)
{
	u32 n = 0;

	for (u32 i = h->neighbor[neighbor].first_path; i != NIL; i = h->path[i].next)
		n += h->path[i].object != OBJECT_IN_HOST;
	return n;
}

const char *host_check(const struct host *h)
{
	u32 offloaded = 0;

	for (u32 i = 0; i < h->config.max_paths; i++) {
		if (!slots_is_taken(&h->path_slots, i))
			continue;
		offloaded += h->path[i].refs;
		if (h->path[i].refs != conns_of(h, i))
			return "a path's count is not that of its connections";
	}
	for (u32 i = 0; i < h->config.max_neighbors; i++) {
		if (slots_is_taken(&h->neighbor_slots, i) && h->neighbor[i].refs != paths_of(h, i))
			return "a neighbor's count is not that of its paths";
	}
	if (!host_busy(h) && offloaded != h->n_offloaded)
		return "the paths' counts do not add up to the connections at the device";
	return NULL;
}

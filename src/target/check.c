/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Whether the counts of a target match its tree: for simulations, which ask after every event. */
#include "target/internal.h"

static u32 paths_of(const struct target *t, u32 neighbor)
{
	u32 n = 0;

	for (u32 i = 0; i < t->path_slots.count; i++)
		n += slots_is_taken(&t->path_slots, i) && t->paths[i].neighbor == neighbor;
	return n;
}

/* One walk over the connections for all paths: the counts are taken off again, and must be what
 * they were when they are put back. */
static const char *check_paths(struct target *t)
{
	const char *wrong = NULL;

	for (u32 i = 0; i < t->path_slots.count; i++)
		t->paths[i].counted = 0;
	for (u32 i = 0; i < t->conn_slots.count; i++) {
		const struct target_conn *c = &t->conns[i];

		if (!slots_is_taken(&t->conn_slots, i))
			continue;
		if (!slots_is_taken(&t->path_slots, c->path))
			wrong = "a connection hangs on a path that is not there";
		else
			t->paths[c->path].counted++;
	}
	for (u32 i = 0; i < t->path_slots.count; i++) {
		struct target_path *p = &t->paths[i];

		if (slots_is_taken(&t->path_slots, i) && p->refs != p->counted)
			wrong = "a path's count is not that of its connections";
		p->counted = 0;
	}
	return wrong;
}

const char *target_check(struct target *t)
{
	for (u32 i = 0; i < t->path_slots.count; i++) {
		if (slots_is_taken(&t->path_slots, i) &&
		    !slots_is_taken(&t->neighbor_slots, t->paths[i].neighbor))
			return "a path hangs on a neighbor that is not there";
	}
	for (u32 i = 0; i < t->neighbor_slots.count; i++) {
		if (slots_is_taken(&t->neighbor_slots, i) && t->neighbors[i].refs != paths_of(t, i))
			return "a neighbor's count is not that of its paths";
	}
	return check_paths(t);
}

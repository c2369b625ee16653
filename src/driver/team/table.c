/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The team's own objects: what the host's handles name. */
#include "driver/team/internal.h"

struct team_neighbor *team_neighbor_find(struct team *t, handle h)
{
	u32 i = slots_find(&t->neighbor_slots, h);

	return i == NIL ? NULL : &t->neighbors[i];
}

struct team_path *team_path_find(struct team *t, handle h)
{
	u32 i = slots_find(&t->path_slots, h);

	return i == NIL ? NULL : &t->paths[i];
}

struct team_conn *team_conn_find(struct team *t, handle h)
{
	u32 i = slots_find(&t->conn_slots, h);

	return i == NIL ? NULL : &t->conns[i];
}

u32 team_conn_index(const struct team *t, const struct team_conn *c)
{
	return (u32)(c - t->conns);
}

enum status team_neighbor_make(struct team *t, const struct block *b,
                               const struct neighbor_state *s, handle *ret)
{
	*ret = slots_take(&t->neighbor_slots);
	if (*ret == HANDLE_NONE)
		return STATUS_NO_NEIGHBORS;
	t->neighbors[(u32)*ret] = (struct team_neighbor){.state = *s, .host = b->host};
	return STATUS_OK;
}

enum status team_path_make(struct team *t, const struct block *b, const struct path_state *s,
                           u32 neighbor, handle *ret)
{
	*ret = slots_take(&t->path_slots);
	if (*ret == HANDLE_NONE)
		return STATUS_NO_PATHS;
	t->paths[(u32)*ret] =
		(struct team_path){.state = *s, .host = b->host, .neighbor = neighbor};
	t->neighbors[neighbor].refs++;
	return STATUS_OK;
}

enum status team_conn_make(struct team *t, const struct block *b, u32 path, u8 priority,
                           handle *ret)
{
	*ret = slots_take(&t->conn_slots);
	if (*ret == HANDLE_NONE)
		return STATUS_NO_CONNECTIONS;
	t->conns[(u32)*ret] = (struct team_conn){
		.host = b->host, .path = path, .member = NO_MEMBER, .priority = priority};
	t->paths[path].refs++;
	return STATUS_OK;
}

void team_neighbor_drop(struct team *t, u32 index)
{
	(void)!slots_release(&t->neighbor_slots, slots_handle(&t->neighbor_slots, index));
}

void team_path_drop(struct team *t, u32 index)
{
	t->neighbors[t->paths[index].neighbor].refs--;
	(void)!slots_release(&t->path_slots, slots_handle(&t->path_slots, index));
}

static void leave(struct team *t, struct team_conn *c)
{
	struct team_member *m;

	if (c->member == NO_MEMBER)
		return;
	m = &t->member[c->member];
	if (c->prev == NIL)
		m->first = c->next;
	else
		t->conns[c->prev].next = c->next;
	if (c->next != NIL)
		t->conns[c->next].prev = c->prev;
	m->n--;
	c->member = NO_MEMBER;
}

void team_conn_place(struct team *t, struct team_conn *c, u32 member, handle device)
{
	u32 index = team_conn_index(t, c);
	struct team_member *m;

	leave(t, c);
	c->device = device;
	if (member == NO_MEMBER)
		return;
	m = &t->member[member];
	c->member = (u8)member;
	c->prev = NIL;
	c->next = m->first;
	if (c->next != NIL)
		t->conns[c->next].prev = index;
	m->first = index;
	m->n++;
}

void team_conn_drop(struct team *t, u32 index)
{
	struct team_conn *c = &t->conns[index];

	leave(t, c);
	t->paths[c->path].refs--;
	(void)!slots_release(&t->conn_slots, slots_handle(&t->conn_slots, index));
}

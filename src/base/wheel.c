/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "base/wheel.h"

static u64 tick_of(u64 expires_ns)
{
	u64 part = expires_ns & ((1u << WHEEL_TICK_SHIFT) - 1);

	return (expires_ns >> WHEEL_TICK_SHIFT) + (part != 0);
}

/* The list in which an entry of tick t belongs; see the head of wheel.h. */
static u32 list_of(const struct wheel *w, u64 tick)
{
	u32 level;

	if (tick <= w->now_tick)
		return WHEEL_DUE;
	level = (63 - (u32)__builtin_clzll(tick ^ w->now_tick)) / WHEEL_DIGIT_BITS;
	return level * WHEEL_SLOTS + (u32)(tick >> (level * WHEEL_DIGIT_BITS) & (WHEEL_SLOTS - 1));
}

static void mark(struct wheel *w, u32 list, bool occupied)
{
	u64 bit = 1ull << (list % WHEEL_SLOTS);

	if (list == WHEEL_DUE)
		return;
	if (occupied)
		w->occupied[list / WHEEL_SLOTS] |= bit;
	else
		w->occupied[list / WHEEL_SLOTS] &= ~bit;
}

void wheel_link(struct wheel *w, u32 index)
{
	struct wheel_entry *e = &w->entry[index];
	u32 list = list_of(w, tick_of(e->expires_ns));

	e->prev = WHEEL_PREV_IS_LIST | list;
	e->next = w->head[list];
	if (e->next != NIL)
		w->entry[e->next].prev = index;
	w->head[list] = index;
	mark(w, list, true);
}

static void unlink_entry(struct wheel *w, u32 index)
{
	struct wheel_entry *e = &w->entry[index];

	if (e->next != NIL)
		w->entry[e->next].prev = e->prev;
	if (e->prev & WHEEL_PREV_IS_LIST) {
		u32 list = e->prev & ~WHEEL_PREV_IS_LIST;

		w->head[list] = e->next;
		if (e->next == NIL)
			mark(w, list, false);
	} else {
		w->entry[e->prev].next = e->next;
	}
	e->next = NIL;
	e->prev = NIL;
}

void wheel_remove(struct wheel *w, u32 index)
{
	if (w->entry[index].prev != NIL)
		unlink_entry(w, index);
	w->entry[index].expires_ns = WHEEL_OFF;
}

static void start(struct wheel *w, struct wheel_entry *entries, u32 count, u64 now_ns)
{
	w->entry = entries;
	w->count = count;
	w->now_tick = now_ns >> WHEEL_TICK_SHIFT;
	memset(w->occupied, 0, sizeof(w->occupied));
	memset(w->head, 0xff, sizeof(w->head));
}

void wheel_init(struct wheel *w, struct wheel_entry *entries, u32 count, u64 now_ns)
{
	start(w, entries, count, now_ns);
	memset(entries, 0xff, (size_t)count * sizeof(*entries));
}

void wheel_rebuild(struct wheel *w, struct wheel_entry *entries, u32 count, u64 now_ns)
{
	start(w, entries, count, now_ns);
	for (u32 i = 0; i < count; i++) {
		entries[i].next = NIL;
		entries[i].prev = NIL;
		if (wheel_is_armed(w, i))
			wheel_link(w, i);
	}
}

/* Empties a list: what expired goes to the array, what was cancelled is dropped, what was pushed on
 * is linked anew. Stops when the array is full; returns how many it holds then. */
static u32 take_list(struct wheel *w, u32 list, u32 *ret_index, u32 n, u32 max)
{
	while (w->head[list] != NIL && n < max) {
		u32 index = w->head[list];
		struct wheel_entry *e = &w->entry[index];

		if (e->next != NIL)
			prefetchw(&w->entry[e->next]);
		unlink_entry(w, index);
		if (e->expires_ns & WHEEL_OFF_BIT)
			continue;
		if (tick_of(e->expires_ns) > w->now_tick) {
			wheel_link(w, index);
			continue;
		}
		e->expires_ns |= WHEEL_OFF_BIT;
		ret_index[n++] = index;
	}
	return n;
}

/* The array is full: what is left of a list that came up waits in the due list, which is empty. */
static void make_due(struct wheel *w, u32 list)
{
	u32 first = w->head[list];

	w->head[list] = NIL;
	mark(w, list, false);
	w->head[WHEEL_DUE] = first;
	w->entry[first].prev = WHEEL_PREV_IS_LIST | WHEEL_DUE;
}

/* The first list that comes up, and the tick at which it does; WHEEL_LISTS when all are empty. */
static u32 first_list(const struct wheel *w, u64 *ret_tick)
{
	for (u32 level = 0; level < WHEEL_LEVELS; level++) {
		u32 shift = level * WHEEL_DIGIT_BITS;
		u32 digit;

		if (!w->occupied[level])
			continue;
		digit = (u32)__builtin_ctzll(w->occupied[level]);
		*ret_tick = (w->now_tick >> (shift + WHEEL_DIGIT_BITS) << WHEEL_DIGIT_BITS | digit)
		            << shift;
		return level * WHEEL_SLOTS + digit;
	}
	return WHEEL_LISTS;
}

u32 wheel_advance(struct wheel *w, u64 now_ns, u32 *ret_index, u32 max)
{
	u64 now_tick = max_of(now_ns >> WHEEL_TICK_SHIFT, w->now_tick);
	u32 n = take_list(w, WHEEL_DUE, ret_index, 0, max);

	while (n < max) {
		u64 tick = 0;
		u32 list = first_list(w, &tick);

		if (list == WHEEL_LISTS || tick > now_tick) {
			w->now_tick = now_tick;
			break;
		}
		w->now_tick = tick;
		n = take_list(w, list, ret_index, n, max);
		if (w->head[list] != NIL)
			make_due(w, list);
	}
	return n;
}

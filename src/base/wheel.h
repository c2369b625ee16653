/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A hierarchical timer wheel over entries named by index: arm, cancel and expire in O(1).
 *
 * 8 levels of 64 slots, a tick is 2^20 ns (about 1.05 ms), so every time below 2^63 ns fits. An
 * entry never fires early and at most one tick late. Entries are an array of the caller's; their
 * `expires_ns` is authoritative, the links and the wheel itself are rebuilt from it by a scan
 * (wheel_rebuild).
 *
 * Most timers of TCP are pushed on or cancelled before they fire, so both only write `expires_ns`:
 * the entry stays in the slot where it is linked, and is linked anew (or dropped) when that slot
 * comes up. An entry must therefore not be moved or cleared behind the wheel's back; wheel_remove()
 * takes it out for good.
 *
 * How entries stand: an entry whose tick is t lies, while the wheel stands at tick c, on the level
 * of the highest 6-bit digit in which t and c differ, in the slot of t's digit there. So every
 * occupied slot lies ahead of c, and lower levels come up before higher ones.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include "base/types.h"

enum {
	WHEEL_TICK_SHIFT = 20,
	WHEEL_DIGIT_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_DIGIT_BITS,
	WHEEL_LEVELS = 8,
	WHEEL_DUE = WHEEL_LEVELS * WHEEL_SLOTS, /* the list of what is due and not yet taken */
	WHEEL_LISTS = WHEEL_DUE + 1,
};

/* An entry whose expires_ns has this bit is not armed. wheel_cancel() sets just the bit: the time
 * below it still says that the entry is linked no later than that. */
#define WHEEL_OFF_BIT (1ull << 63)
#define WHEEL_OFF     UINT64_MAX

/* prev of a list's first entry names the list. */
#define WHEEL_PREV_IS_LIST (1u << 31)

struct wheel_entry {
	u32 next;
	u32 prev; /* NIL: not linked */
	u64 expires_ns;
};
_Static_assert(sizeof(struct wheel_entry) == 16, "four entries a cache line");

struct wheel {
	struct wheel_entry *entry;
	u32 count;
	u64 now_tick;
	u64 occupied[WHEEL_LEVELS]; /* bit: the slot's list is not empty */
	u32 head[WHEEL_LISTS];
};

/* Starts an empty wheel at `now_ns` over `count` entries (below 2^31; the caller's, all written
 * here). They must outlive the wheel. */
void wheel_init(struct wheel *w, struct wheel_entry *entries, u32 count, u64 now_ns);

/* Starts a wheel at `now_ns` over entries that already hold their `expires_ns`: links every armed
 * one, whatever its links said before. */
void wheel_rebuild(struct wheel *w, struct wheel_entry *entries, u32 count, u64 now_ns);

/* Links an entry that is not linked. Only for wheel_arm(). */
void wheel_link(struct wheel *w, u32 index);

/* Takes an entry out: not armed, not linked. Harmless on one that is neither. */
void wheel_remove(struct wheel *w, u32 index);

/*
 * Moves the wheel on to `now_ns` and writes the indices of entries that expired to ret_index, at
 * most `max`; they are not armed any more. Returns how many. When it returns `max` there may be
 * more: call again with the same time. Time does not go back; an earlier one is taken as the last.
 * Entries of different slots come out in the order of their slots; within a slot in any order.
 */
MUST_CHECK u32 wheel_advance(struct wheel *w, u64 now_ns, u32 *ret_index, u32 max);

/*
 * A time before which no entry expires, WHEEL_OFF when nothing is linked. It is a lower bound, not
 * the next expiry: calling wheel_advance() then may yield nothing and bring a later bound. O(1).
 */
static inline u64 wheel_next_ns(const struct wheel *w)
{
	if (w->head[WHEEL_DUE] != NIL)
		return w->now_tick << WHEEL_TICK_SHIFT;
	for (u32 level = 0; level < WHEEL_LEVELS; level++) {
		u32 shift = level * WHEEL_DIGIT_BITS;
		u64 above;

		if (!w->occupied[level])
			continue;
		above = w->now_tick >> (shift + WHEEL_DIGIT_BITS) << WHEEL_DIGIT_BITS;
		return (above | (u64)__builtin_ctzll(w->occupied[level]))
		       << (shift + WHEEL_TICK_SHIFT);
	}
	return WHEEL_OFF;
}

/* Arms an entry, or moves one that is armed. A time with WHEEL_OFF_BIT (WHEEL_OFF is one) cancels.
 */
static inline void wheel_arm(struct wheel *w, u32 index, u64 expires_ns)
{
	struct wheel_entry *e = &w->entry[index];
	u64 was_ns = e->expires_ns & ~WHEEL_OFF_BIT;

	if (expires_ns & WHEEL_OFF_BIT) {
		e->expires_ns |= WHEEL_OFF_BIT;
		return;
	}
	if (e->prev != NIL && expires_ns >= was_ns) {
		/* Linked no later than the new time: the wheel will see it soon enough. */
		e->expires_ns = expires_ns;
		return;
	}
	wheel_remove(w, index);
	e->expires_ns = expires_ns;
	wheel_link(w, index);
}

static inline void wheel_cancel(struct wheel *w, u32 index)
{
	w->entry[index].expires_ns |= WHEEL_OFF_BIT;
}

static inline bool wheel_is_armed(const struct wheel *w, u32 index)
{
	return !(w->entry[index].expires_ns & WHEEL_OFF_BIT);
}

/* When the entry expires, WHEEL_OFF when it is not armed. */
static inline u64 wheel_expires_ns(const struct wheel *w, u32 index)
{
	return wheel_is_armed(w, index) ? w->entry[index].expires_ns : WHEEL_OFF;
}

#endif

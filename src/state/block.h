/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Block lists: any forest of neighbors, paths and connections, for one call (patent 0092 to 0097).
 *
 * A list is three arrays of state and one array of blocks that refer to them by index and to each
 * other by `next` (same layer) and `dependent` (first block one layer up). The same form goes down
 * at offload and up at upload (R67, R110). All memory is the caller's; a list never allocates.
 *
 * A block plays one of three roles:
 *   new          no device handle yet and a state: an object to be taken over
 *   linker       a device handle of an object that is already offloaded: attach the dependents
 *   placeholder  neither: a node that only carries dependents (upload, update, query of children)
 */
#ifndef STATE_BLOCK_H
#define STATE_BLOCK_H

#include "base/buf.h"
#include "state/state.h"

enum status {
#define STATUS(name, word, sentence) STATUS_##name,
#include "state/status.def"
#undef STATUS
	STATUSES,
};

/* "no-paths", and the sentence. Never NULL: an unknown number is "failed". */
const char *status_word(enum status status);
const char *status_sentence(enum status status);

/* Index in the lower 32 bits, generation in the upper (base/slot.h); 0 is no handle (R49, R69). */
typedef u64 handle;
#define HANDLE_NONE 0ull

struct block {
	u8 layer;      /* enum layer */
	u8 flags;      /* enum block_flags */
	u16 status;    /* enum status */
	u32 next;      /* block of the same layer, NIL at the end */
	u32 dependent; /* first block one layer up, NIL: none */
	u32 state;     /* index into the list's array of this layer, NIL: no state */
	handle host;   /* the host's handle: given back untouched */
	handle device; /* the device's handle: written on success of an offload only */
	u64 detail;    /* with a status: limit's value, rule, layer, errno (status.def says) */
};
_Static_assert(sizeof(struct block) == 40, "");

enum block_flags {
	BLOCK_CONST = 1 << 0,     /* the state's CONST part is filled in */
	BLOCK_CACHED = 1 << 1,    /* the CACHED part */
	BLOCK_DELEGATED = 1 << 2, /* the DELEGATED part */
	BLOCK_REPARENT = 1 << 3,  /* update of a path: attach it to the neighbor block above it */
};

struct block_list {
	struct block *blocks;
	struct neighbor_state *neighbors;
	struct path_state *paths;
	struct tcp_state *conns;
	u32 n_blocks, n_neighbors, n_paths, n_conns;         /* in use */
	u32 cap_blocks, cap_neighbors, cap_paths, cap_conns; /* room */
	u32 root;                                            /* first block, NIL: empty */
	struct buf_pool *pool; /* where the data_refs of the states lie; NULL: they must be empty */
};

/* -- building ---------------------------------------------------------------------------------- */

/* Bytes that block_list_init() lays out for these capacities. */
size_t block_list_bytes(u32 blocks, u32 neighbors, u32 paths, u32 conns);

/* An empty list over `mem` (64-byte aligned, block_list_bytes() long; the caller's). */
void block_list_init(struct block_list *list, void *mem, u32 blocks, u32 neighbors, u32 paths,
                     u32 conns);

/* Empties the list, keeping its memory. Chains that states refer to are not released. */
void block_list_reset(struct block_list *list);

/*
 * Appends a block to the children of `parent` (NIL: to the roots). O(1): new children are put in
 * front, so siblings come out in reverse; block_list_walk() order is by links, not by index.
 * `with_state` gives it a zeroed state of its layer. -ENOSPC: no room; -EINVAL: layer is not one
 * up.
 */
int block_list_add(struct block_list *list, u32 parent, enum layer layer, bool with_state,
                   u32 *ret_block) MUST_CHECK;

static inline struct block *block_at(const struct block_list *list, u32 index)
{
	return &list->blocks[index];
}

static inline bool block_is_new(const struct block *b)
{
	return b->device == HANDLE_NONE && b->state != NIL;
}

static inline bool block_is_linker(const struct block *b)
{
	return b->device != HANDLE_NONE;
}

static inline bool block_is_placeholder(const struct block *b)
{
	return b->device == HANDLE_NONE && b->state == NIL;
}

/* -- reading ----------------------------------------------------------------------------------- */

/* The rules, in the order they are checked; `detail` of a MALFORMED block holds one. */
enum block_rule {
	BLOCK_RULE_OK,
	BLOCK_RULE_INDEX,     /* a link or a state index is out of range */
	BLOCK_RULE_CYCLE,     /* a block is reached twice */
	BLOCK_RULE_LAYER,     /* unknown layer, or next/dependent of the wrong layer */
	BLOCK_RULE_ROLE,      /* a role or flag that this call does not take */
	BLOCK_RULE_STATE,     /* a state fails its layer's check; state shared by two blocks */
	BLOCK_RULE_DATA,      /* a data_ref leaves the pool, its chain is broken or too short */
	BLOCK_RULE_LENGTH,    /* more blocks than the device takes in one list */
	BLOCK_RULE_UNREACHED, /* a block that no link leads to */
	BLOCK_RULES,
};
const char *block_rule_sentence(enum block_rule rule);

enum block_call {
	BLOCK_CALL_OFFLOAD,
	BLOCK_CALL_UPLOAD,
	BLOCK_CALL_UPDATE,
	BLOCK_CALL_INVALIDATE,
	BLOCK_CALL_QUERY,
	BLOCK_CALLS,
};

/*
 * Checks a list as untrusted input before anything is done with it: total on any bytes in the
 * arrays, time and scratch linear in n_blocks. `scratch` is n_blocks bytes of the caller's. On
 * failure the offending block (if there is one) in *ret_block, nothing changed.
 */
enum block_rule block_list_check(const struct block_list *list, enum block_call call, u8 *scratch,
                                 u32 *ret_block) MUST_CHECK;

/*
 * The walk: depth first, then next (semantics 3). Needs no stack: a list that passed the check is
 * at most three deep.
 *
 *   struct block_walk w;
 *   for (u32 i = block_walk_first(&w, list); i != NIL; i = block_walk_next(&w))
 *
 * w.parent is the index of the block that i depends on, NIL for a root.
 */
struct block_walk {
	const struct block_list *list;
	u32 at;
	u32 parent;
	u32 up[LAYERS];
	u32 depth;
};
u32 block_walk_first(struct block_walk *w, const struct block_list *list);
u32 block_walk_next(struct block_walk *w);
/* As next, but does not go down into the dependents of the current block. */
u32 block_walk_skip(struct block_walk *w);

/* Status to every block below `block` (itself not included). */
void block_list_fail_subtree(struct block_list *list, u32 block, enum status status);

/* Sets PARTIAL on each inner OK block that has a failed block below it. */
void block_list_mark_partial(struct block_list *list);

struct neighbor_state *block_neighbor(const struct block_list *list, const struct block *b);
struct path_state *block_path(const struct block_list *list, const struct block *b);
struct tcp_state *block_tcp(const struct block_list *list, const struct block *b);

#endif

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

struct schema;

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
	BLOCK_TAKEN = 1 << 4, /* commit of an upload: another device has taken over the payload */
};

/*
 * What a driver, or a vendor's, adds to a neighbor on its way down and takes off again before the
 * host sees the list (R93, R94). Who knows a kind uses it up; all others carry it, untouched.
 */
enum block_insert_kind {
	BLOCK_INSERT_VLAN = 1,        /* tags, outermost first, 4 bytes each as on the wire */
	BLOCK_INSERT_VENDOR = 0x8000, /* from here on: a vendor's */
};

enum { BLOCK_INSERT_BYTES = 48 };

struct block_insert {
	u32 block; /* a neighbor's, of the same list */
	u16 kind;
	u16 len;
	u8 bytes[BLOCK_INSERT_BYTES];
};

struct block_list {
	const struct schema *schema; /* what the states are: schema_tcp, or another stack (R5) */
	struct block *blocks;
	struct neighbor_state *neighbors;
	struct path_state *paths;
	struct tcp_state *conns;
	u32 n_blocks, n_neighbors, n_paths, n_conns;         /* in use */
	u32 cap_blocks, cap_neighbors, cap_paths, cap_conns; /* room */
	u32 root;                                            /* first block, NIL: empty */
	struct block_insert *inserts; /* of neighbors; lent by who adds to them, NULL: no room */
	u32 n_inserts, cap_inserts;
	struct buf_pool *pool; /* where the data_refs of the states lie; NULL: they must be empty */
};

/* -- building ---------------------------------------------------------------------------------- */

/* Bytes that block_list_init() lays out for these capacities. */
size_t block_list_bytes(u32 blocks, u32 neighbors, u32 paths, u32 conns);

/* An empty list over `mem` (64-byte aligned, block_list_bytes() long; the caller's). */
void block_list_init(struct block_list *list, void *mem, u32 blocks, u32 neighbors, u32 paths,
                     u32 conns);

/* The same for a stack of layers of its own: `neighbors`, `paths` and `conns` then point to arrays
 * of that stack's state objects, which block_list_state() finds. */
size_t block_list_bytes_as(const struct schema *schema, u32 blocks, const u32 states[LAYERS]);
void block_list_init_as(struct block_list *list, const struct schema *schema, void *mem, u32 blocks,
                        const u32 states[LAYERS]);

/* Empties the list, keeping its memory. Chains that states refer to are not released. */
void block_list_reset(struct block_list *list);

/* Releases the chains that the states refer to, and makes the references empty. Only where the list
 * owns them: what was decoded (an upload's belong to its device). Chains must be whole. */
void block_list_put_data(struct block_list *list);

/*
 * Appends a block to the children of `parent` (NIL: to the roots). O(1): new children are put in
 * front, so siblings come out in reverse; block_list_walk() order is by links, not by index.
 * `with_state` gives it a zeroed state of its layer with empty data_refs. Its status is PENDING,
 * its handles are HANDLE_NONE. -ENOSPC: no room; -EINVAL: no such parent, or the layer is not one
 * up (roots are neighbors).
 */
int block_list_add(struct block_list *list, u32 parent, enum layer layer, bool with_state,
                   u32 *ret_block) MUST_CHECK;

/* Adds to a neighbor's block. -ENOSPC: no room; -EINVAL: no neighbor, or too many bytes. */
int block_list_insert(struct block_list *list, u32 block, u16 kind, const void *bytes,
                      u32 len) MUST_CHECK;

/* Gives a block that has none a cleared state of its layer. -ENOSPC: no room. */
int block_list_add_state(struct block_list *list, u32 block) MUST_CHECK;

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
	BLOCK_RULE_LENGTH,    /* more in use than there is room, or more states than blocks */
	BLOCK_RULE_INDEX,     /* a link or a state index is out of range */
	BLOCK_RULE_CYCLE,     /* a block is reached twice */
	BLOCK_RULE_LAYER,     /* unknown layer, or next/dependent of the wrong layer */
	BLOCK_RULE_ROLE,      /* a role or flag that this call does not take, see below */
	BLOCK_RULE_STATE,     /* a state fails its layer's check (state/check.h), or is shared */
	BLOCK_RULE_DATA,      /* a data_ref leaves the pool, its chain is broken or too short */
	BLOCK_RULE_UNREACHED, /* a block that no link leads to */
	BLOCK_RULES,
};
/* Never NULL. */
const char *block_rule_sentence(enum block_rule rule);

enum block_call {
	BLOCK_CALL_OFFLOAD,
	BLOCK_CALL_UPLOAD,
	BLOCK_CALL_UPDATE,
	BLOCK_CALL_INVALIDATE,
	BLOCK_CALL_QUERY,
	BLOCK_CALL_TRANSFER, /* second phase of an offload: blocks whose status is OK, PARTIAL */
	BLOCK_CALLS,
};

/*
 * Checks a list as untrusted input before anything is done with it: total on any bytes in the
 * arrays; time linear in n_blocks and, where there are data_refs, in the buffers of the pool.
 * `scratch` is n_blocks bytes of the caller's. On failure the offending block (NIL: the list as a
 * whole) in *ret_block. The list is not changed. The arrays must be the caller's own memory: what
 * another process can still write is copied first (state/binary.h).
 *
 * What each call takes:
 *   offload     new blocks with CONST and CACHED, not below a placeholder; linkers (no state, no
 *               flags; not connections) and placeholders above them. DELEGATED may follow (R27).
 *   upload      linkers with room for the state, flags none or DELEGATED (filled in, on the way
 *               back); placeholders
 *   update      linkers with CACHED; paths with REPARENT below a neighbor's linker; linkers
 *               without flags and placeholders, which only carry
 *   invalidate  linkers and placeholders without flags
 *   query       linkers with room for the state, flags say which classes to read; placeholders
 *   transfer    the offloaded list again: what has a state has CONST and CACHED, handles are where
 *               room was reserved; only states of blocks with OK or PARTIAL are looked at
 *
 * Checked parts of a state are those that `flags` names, but for a query, none. More than this
 * (limits, whether a handle is stale, tcp_state_check(), DELEGATED where it is needed) is the
 * device's to check.
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
 * w.parent is the index of the block that i depends on, NIL for a root. The links of blocks that
 * lie behind may be changed during the walk, those of w.at and of the blocks above it not.
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

/* Sets PARTIAL on each OK block that has a block with any status but OK below it. */
void block_list_mark_partial(struct block_list *list);

/* The state object `index` of a layer, whatever the stack, and how many there are. */
void *block_list_state(const struct block_list *list, u32 layer, u32 index);
u32 block_list_states(const struct block_list *list, u32 layer);

/* The block's state; NULL when it has none. The block must be of that layer. */
struct neighbor_state *block_neighbor(const struct block_list *list, const struct block *b);
struct path_state *block_path(const struct block_list *list, const struct block *b);
struct tcp_state *block_tcp(const struct block_list *list, const struct block *b);

#endif

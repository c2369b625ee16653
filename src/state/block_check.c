/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Block lists as untrusted input (semantics of each rule: enum block_rule in state/block.h). */
#include "state/block.h"
#include "state/schema.h"

enum {
	CLASS_FLAGS = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED,
	ALL_FLAGS = CLASS_FLAGS | BLOCK_REPARENT,
	MARK_REACHED = 1 << 0,  /* scratch[i]: block i was reached */
	MARK_STATE_OF = 1 << 1, /* << layer, scratch[i]: state i of this layer has a block */
};

struct check {
	const struct block_list *list;
	enum block_call call;
	u8 *scratch;
	u64 steps; /* buffers of chains that may still be visited */
	u32 up[LAYERS];
	u32 depth;
};

static const char *const sentences[BLOCK_RULES] = {
	[BLOCK_RULE_OK] = "The list breaks no rule.",
	[BLOCK_RULE_INDEX] = "A link or the index of a state is out of range.",
	[BLOCK_RULE_CYCLE] = "A block is reached twice.",
	[BLOCK_RULE_LAYER] = "A block's layer is unknown, or not the one that its place calls for.",
	[BLOCK_RULE_ROLE] = "A block plays a role, or has a flag, that this call does not take.",
	[BLOCK_RULE_STATE] = "A state has a value that cannot be, or two blocks share it.",
	[BLOCK_RULE_DATA] = "A reference to payload leaves the pool, or its chain is too short.",
	[BLOCK_RULE_LENGTH] = "The list is longer than its memory, or has more states than blocks.",
	[BLOCK_RULE_UNREACHED] = "No link leads to a block.",
};

const char *block_rule_sentence(enum block_rule rule)
{
	if ((u32)rule >= BLOCK_RULES)
		return "The list breaks a rule that has no name.";
	return sentences[rule];
}

static bool link_ok(const struct block_list *list, u32 link)
{
	return link == NIL || link < list->n_blocks;
}

/* Marks the block's state as taken; false when another block has it. */
static bool take_state(struct check *c, const struct block *b)
{
	u8 mark = MARK_STATE_OF << b->layer;

	if (b->state == NIL)
		return true;
	if (c->scratch[b->state] & mark)
		return false;
	c->scratch[b->state] |= mark;
	return true;
}

/* -- roles ------------------------------------------------------------------------------------- */

/* A new object needs CONST and CACHED (DELEGATED may follow, R27) and a parent that is or becomes
 * an object of the device; a linker brings nothing but its handle (R69). */
static bool offload_role(const struct block *b, const struct block *parent)
{
	if (block_is_new(b)) {
		u32 must = BLOCK_CONST | BLOCK_CACHED;

		return (b->flags & must) == must && !(b->flags & BLOCK_REPARENT) &&
		       !(parent && block_is_placeholder(parent));
	}
	return b->layer != LAYER_TCP && b->state == NIL && !b->flags;
}

/* The same list again, with handles where room was reserved and without where it was refused. */
static bool transfer_role(const struct block *b)
{
	if (b->flags & BLOCK_REPARENT)
		return false;
	if (b->state == NIL)
		return !b->flags;
	return (b->flags & (BLOCK_CONST | BLOCK_CACHED)) == (BLOCK_CONST | BLOCK_CACHED);
}

/* Only CACHED is ever updated (R31, R33); re-parenting takes a path that is linked and a neighbor
 * that is linked (R68). */
static bool update_role(const struct block *b, const struct block *parent)
{
	if (b->flags & (BLOCK_CONST | BLOCK_DELEGATED))
		return false;
	if (b->flags & BLOCK_REPARENT)
		return b->layer == LAYER_PATH && block_is_linker(b) && block_is_linker(parent);
	return true;
}

static bool role_ok(const struct check *c, const struct block *b, const struct block *parent)
{
	if (b->flags & ~ALL_FLAGS || (b->flags & CLASS_FLAGS && b->state == NIL))
		return false;
	if (c->call == BLOCK_CALL_OFFLOAD)
		return offload_role(b, parent);
	if (c->call == BLOCK_CALL_TRANSFER)
		return transfer_role(b);
	if (block_is_new(b) || (block_is_placeholder(b) && b->flags))
		return false;
	switch (c->call) {
	case BLOCK_CALL_UPLOAD: /* R31, R32: CONST and CACHED are never returned */
		return !(b->flags & ~BLOCK_DELEGATED) &&
		       (block_is_placeholder(b) || b->state != NIL);
	case BLOCK_CALL_UPDATE:
		return update_role(b, parent);
	case BLOCK_CALL_QUERY:
		return !(b->flags & BLOCK_REPARENT) && (block_is_placeholder(b) || b->state != NIL);
	default:
		return !b->flags;
	}
}

/* -- states ------------------------------------------------------------------------------------ */

/* Is [off, off + left) of the chain at `index` there? Bounded by c->steps over the whole list. */
static bool chain_ok(struct check *c, const struct data_ref *ref)
{
	const struct buf_pool *pool = c->list->pool;
	u64 total = pool ? (u64)pool->count[BUF_SMALL] + pool->count[BUF_LARGE] : 0;
	u32 index = ref->buf;
	u32 left = ref->len;
	u32 skip = 0;

	if (!left)
		return index == NIL;
	for (bool first = true; left; first = false) {
		const struct buf *b;
		u64 end;

		if (index >= total || !c->steps)
			return false;
		c->steps--;
		b = &pool->descs[index];
		end = (u64)b->off + b->len;
		if (!b->refs || end > buf_capacity(pool, index))
			return false;
		if (first && (ref->off < b->off || ref->off > end))
			return false;
		skip = first ? ref->off - b->off : 0;
		left -= min_of(left, b->len - skip);
		index = b->next;
	}
	return true;
}

static bool payload_ok(struct check *c, const struct schema_layer *layer, const void *state)
{
	for (u32 i = 0; i < layer->n_payload; i++) {
		const struct schema_field *field = &layer->fields[layer->payload[i]];
		const struct ooo_refs *ooo = schema_at(field, state);

		if (field->type == SCHEMA_TYPE_data_ref) {
			if (!chain_ok(c, schema_at(field, state)))
				return false;
			continue;
		}
		for (u32 j = 0; j < ooo->n; j++) {
			if (!chain_ok(c, &ooo->seg[j].data))
				return false;
		}
	}
	return true;
}

/* -- the walk ---------------------------------------------------------------------------------- */

static enum block_rule check_state(struct check *c, const struct block *b)
{
	const struct schema_layer *layer = c->list->schema->layer[b->layer];
	const void *state;

	if (!take_state(c, b))
		return BLOCK_RULE_STATE;
	/* What a query asks for is not filled in yet. */
	if (b->state == NIL || c->call == BLOCK_CALL_QUERY)
		return BLOCK_RULE_OK;
	/* Nor is what was given up. */
	if (c->call == BLOCK_CALL_TRANSFER && b->status != STATUS_OK && b->status != STATUS_PARTIAL)
		return BLOCK_RULE_OK;
	state = block_list_state(c->list, b->layer, b->state);
	if (layer->check && layer->check(state, b->flags))
		return BLOCK_RULE_STATE;
	if (b->flags & BLOCK_DELEGATED && !payload_ok(c, layer, state))
		return BLOCK_RULE_DATA;
	return BLOCK_RULE_OK;
}

static enum block_rule check_block(struct check *c, u32 index)
{
	const struct block_list *list = c->list;
	const struct block *b = &list->blocks[index];
	const struct block *parent = c->depth ? &list->blocks[c->up[c->depth - 1]] : NULL;

	if (!link_ok(list, b->next) || !link_ok(list, b->dependent))
		return BLOCK_RULE_INDEX;
	if (c->scratch[index] & MARK_REACHED)
		return BLOCK_RULE_CYCLE;
	c->scratch[index] |= MARK_REACHED;
	if (b->layer != c->depth || (b->layer == LAYERS - 1 && b->dependent != NIL))
		return BLOCK_RULE_LAYER;
	if (b->state != NIL && b->state >= block_list_states(list, b->layer))
		return BLOCK_RULE_INDEX;
	if (!role_ok(c, b, parent))
		return BLOCK_RULE_ROLE;
	return check_state(c, b);
}

static enum block_rule check_lengths(const struct block_list *list)
{
	if (list->n_blocks > list->cap_blocks || list->n_neighbors > list->cap_neighbors ||
	    list->n_paths > list->cap_paths || list->n_conns > list->cap_conns)
		return BLOCK_RULE_LENGTH;
	if (list->n_neighbors > list->n_blocks || list->n_paths > list->n_blocks ||
	    list->n_conns > list->n_blocks || list->n_blocks == NIL)
		return BLOCK_RULE_LENGTH;
	if (list->n_inserts > list->cap_inserts)
		return BLOCK_RULE_LENGTH;
	for (u32 i = 0; i < list->n_inserts; i++) {
		const struct block_insert *insert = &list->inserts[i];

		if (insert->block >= list->n_blocks || insert->len > BLOCK_INSERT_BYTES ||
		    list->blocks[insert->block].layer != LAYER_NEIGHBOR)
			return BLOCK_RULE_INDEX;
	}
	return link_ok(list, list->root) ? BLOCK_RULE_OK : BLOCK_RULE_INDEX;
}

/* The next block in walk order; goes down only where check_block() found the layers right. */
static u32 step(struct check *c, u32 at)
{
	const struct block *blocks = c->list->blocks;

	if (blocks[at].dependent != NIL) {
		c->up[c->depth++] = at;
		return blocks[at].dependent;
	}
	while (blocks[at].next == NIL && c->depth)
		at = c->up[--c->depth];
	return blocks[at].next;
}

enum block_rule block_list_check(const struct block_list *list, enum block_call call, u8 *scratch,
                                 u32 *ret_block)
{
	struct check c = {.list = list, .call = call, .scratch = scratch};
	enum block_rule rule = check_lengths(list);

	*ret_block = NIL;
	if (rule)
		return rule;
	/* A buffer belongs to one chain, so no list visits more buffers than there are. */
	if (list->pool)
		c.steps = (u64)list->pool->count[BUF_SMALL] + list->pool->count[BUF_LARGE];
	memset(scratch, 0, list->n_blocks);
	for (u32 i = list->root; i != NIL; i = step(&c, i)) {
		rule = check_block(&c, i);
		if (rule) {
			*ret_block = i;
			return rule;
		}
	}
	for (u32 i = 0; i < list->n_blocks; i++) {
		if (!(scratch[i] & MARK_REACHED)) {
			*ret_block = i;
			return BLOCK_RULE_UNREACHED;
		}
	}
	return BLOCK_RULE_OK;
}

/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "forest.h"

#include <errno.h>

/* One neighbor, one path, two connections: blocks 0 to 3, list order 0, 1, 3, 2. */
static void small_forest(struct forest *f, enum block_call call)
{
	struct prng rng;
	u32 path;

	prng_seed(&rng, 1);
	memset(f, 0, sizeof(*f));
	f->config = (struct forest_config){
		.call = call, .roots = 2, .paths = 2, .conns = 2, .bytes = 2000};
	forest_memory(f);
	path = forest_add(f, &rng, forest_add(f, &rng, NIL, LAYER_NEIGHBOR), LAYER_PATH);
	(void)forest_add(f, &rng, path, LAYER_TCP);
	(void)forest_add(f, &rng, path, LAYER_TCP);
}

static void expect_rule(struct forest *f, enum block_rule rule, u32 block)
{
	u32 found = 12345;

	assert_int_equal(block_list_check(&f->list, f->config.call, f->scratch, &found), rule);
	assert_int_equal(found, block);
	assert_true(strlen(block_rule_sentence(rule)) > 10);
}

static void expect_ok(struct forest *f)
{
	expect_rule(f, BLOCK_RULE_OK, NIL);
}

static void test_build_and_walk(void **state)
{
	static const u32 order[] = {0, 1, 3, 2}, parents[] = {NIL, 0, 1, 1};
	struct block_walk w;
	struct forest f;
	u32 n = 0;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	for (u32 i = block_walk_first(&w, &f.list); i != NIL; i = block_walk_next(&w), n++) {
		assert_int_equal(i, order[n]);
		assert_int_equal(w.parent, parents[n]);
		assert_int_equal(block_at(&f.list, i)->status, STATUS_PENDING);
	}
	assert_int_equal(n, 4);
	assert_int_equal(block_walk_next(&w), NIL);
	block_list_reset(&f.list);
	assert_int_equal(block_walk_first(&w, &f.list), NIL);
	assert_int_equal(block_walk_next(&w), NIL);
	expect_ok(&f);
	forest_free(&f);
}

static void test_walk_skip_leaves_out_dependents(void **state)
{
	struct block_walk w;
	struct forest f;
	u32 second;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	assert_int_equal(block_list_add(&f.list, NIL, LAYER_NEIGHBOR, true, &second), 0);
	assert_int_equal(block_walk_first(&w, &f.list), second);
	assert_int_equal(block_walk_next(&w), 0);
	assert_int_equal(block_walk_next(&w), 1);
	assert_int_equal(block_walk_skip(&w), NIL);
	forest_free(&f);
}

static void test_add_refuses(void **state)
{
	struct forest f;
	u32 block = 777;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	assert_int_equal(block_list_add(&f.list, NIL, LAYER_PATH, true, &block), -EINVAL);
	assert_int_equal(block_list_add(&f.list, 0, LAYER_TCP, true, &block), -EINVAL);
	assert_int_equal(block_list_add(&f.list, 2, LAYERS, true, &block), -EINVAL);
	assert_int_equal(block_list_add(&f.list, 4, LAYER_PATH, true, &block), -EINVAL);
	f.list.cap_conns = 2;
	assert_int_equal(block_list_add(&f.list, 1, LAYER_TCP, true, &block), -ENOSPC);
	f.list.cap_paths = 1;
	assert_int_equal(block_list_add(&f.list, 0, LAYER_PATH, true, &block), -ENOSPC);
	f.list.cap_neighbors = 1;
	assert_int_equal(block_list_add(&f.list, NIL, LAYER_NEIGHBOR, true, &block), -ENOSPC);
	f.list.cap_blocks = 4;
	assert_int_equal(block_list_add(&f.list, 1, LAYER_TCP, false, &block), -ENOSPC);
	assert_int_equal(block, 777);
	assert_int_equal(f.list.n_blocks, 4);
	expect_ok(&f);
	forest_free(&f);
}

/* R111: neighbor-level next chains independent trees; NIL ends. */
static void test_forest_of_n_roots(void **state)
{
	for (u32 n = 1; n <= 64; n++) {
		struct block_list list;
		void *mem = aligned_alloc(64, block_list_bytes(n, n, 0, 0));
		u32 block, roots = 0;

		assert_non_null(mem);
		block_list_init(&list, mem, n, n, 0, 0);
		for (u32 i = 0; i < n; i++)
			assert_int_equal(block_list_add(&list, NIL, LAYER_NEIGHBOR, true, &block),
			                 0);
		for (u32 i = list.root; i != NIL; i = block_at(&list, i)->next)
			roots++;
		assert_int_equal(roots, n);
		assert_int_equal(block_list_add(&list, NIL, LAYER_NEIGHBOR, false, &block),
		                 -ENOSPC);
		free(mem);
	}
}

/* R67: any forest, in every call, passes the check and is walked whole, each block once, parents
 * before children. */
static void test_random_forests_are_valid(void **state)
{
	struct prng rng;

	prng_seed(&rng, 67);
	for (u32 round = 0; round < 300; round++) {
		struct forest_config config = {.call = round % BLOCK_CALLS,
		                               .roots = 5,
		                               .paths = 4,
		                               .conns = 4,
		                               .linkers_ppm = 300000};
		struct block_walk w;
		struct forest f;
		u32 n = 0;

		config.bytes = round % 3 ? 3000 : 0;
		forest_make(&f, &rng, &config);
		expect_ok(&f);
		memset(f.scratch, 0, f.list.n_blocks);
		for (u32 i = block_walk_first(&w, &f.list); i != NIL;
		     i = block_walk_next(&w), n++) {
			assert_int_equal(f.scratch[i]++, 0);
			assert_int_equal(w.depth, block_at(&f.list, i)->layer);
			assert_true(w.parent == NIL || f.scratch[w.parent] == 1);
		}
		assert_int_equal(n, f.list.n_blocks);
		forest_free(&f);
	}
}

static void test_rule_length(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	f.list.n_blocks = f.list.cap_blocks + 1;
	expect_rule(&f, BLOCK_RULE_LENGTH, NIL);
	f.list.n_blocks = 4;
	f.list.n_conns = f.list.cap_conns + 1;
	expect_rule(&f, BLOCK_RULE_LENGTH, NIL);
	f.list.n_conns = 5;
	expect_rule(&f, BLOCK_RULE_LENGTH, NIL);
	f.list.n_conns = 2;
	expect_ok(&f);
	forest_free(&f);
}

static void test_rule_index(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	block_at(&f.list, 2)->next = 4;
	expect_rule(&f, BLOCK_RULE_INDEX, 2);
	block_at(&f.list, 2)->next = NIL;
	block_at(&f.list, 1)->dependent = NIL - 1;
	expect_rule(&f, BLOCK_RULE_INDEX, 1);
	block_at(&f.list, 1)->dependent = 3;
	block_at(&f.list, 3)->state = 2;
	expect_rule(&f, BLOCK_RULE_INDEX, 3);
	block_at(&f.list, 3)->state = 1;
	f.list.root = 4;
	expect_rule(&f, BLOCK_RULE_INDEX, NIL);
	f.list.root = 0;
	expect_ok(&f);
	forest_free(&f);
}

static void test_rule_cycle(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	block_at(&f.list, 2)->next = 3; /* back to its sibling */
	expect_rule(&f, BLOCK_RULE_CYCLE, 3);
	block_at(&f.list, 2)->next = 2; /* to itself */
	expect_rule(&f, BLOCK_RULE_CYCLE, 2);
	block_at(&f.list, 2)->next = NIL;
	block_at(&f.list, 1)->dependent = 0; /* up to its parent */
	expect_rule(&f, BLOCK_RULE_CYCLE, 0);
	block_at(&f.list, 1)->dependent = 3;
	block_at(&f.list, 0)->next = 0;
	expect_rule(&f, BLOCK_RULE_CYCLE, 0);
	forest_free(&f);
}

static void test_rule_layer(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	block_at(&f.list, 2)->layer = LAYERS;
	expect_rule(&f, BLOCK_RULE_LAYER, 2);
	block_at(&f.list, 2)->layer = LAYER_TCP;
	block_at(&f.list, 3)->dependent = 2; /* nothing depends on a connection */
	expect_rule(&f, BLOCK_RULE_LAYER, 3);
	block_at(&f.list, 3)->dependent = NIL;
	block_at(&f.list, 0)->dependent = 3; /* a connection right above a neighbor */
	expect_rule(&f, BLOCK_RULE_LAYER, 3);
	block_at(&f.list, 0)->dependent = 1;
	f.list.root = 1; /* a path without a neighbor */
	expect_rule(&f, BLOCK_RULE_LAYER, 1);
	f.list.root = 0;
	expect_ok(&f);
	forest_free(&f);
}

/* R69: no device handle means a new object; new and existing ones mix in one list. */
static void test_roles_of_offload(void **state)
{
	struct forest f;
	struct block *b;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	assert_true(block_is_new(block_at(&f.list, 0)));
	b = block_at(&f.list, 0);
	b->device = 0x100000001; /* a linker must not bring a state */
	expect_rule(&f, BLOCK_RULE_ROLE, 0);
	b->state = NIL;
	b->flags = 0;
	assert_true(block_is_linker(b));
	expect_ok(&f);
	b->device = HANDLE_NONE; /* a new path needs a neighbor */
	assert_true(block_is_placeholder(b));
	expect_rule(&f, BLOCK_RULE_ROLE, 1);
	b = block_at(&f.list, 1); /* which a linked one has */
	b->device = 0x100000001;
	b->state = NIL;
	b->flags = 0;
	expect_ok(&f);
	b = block_at(&f.list, 2);
	b->flags = BLOCK_CONST | BLOCK_CACHED; /* DELEGATED may follow (R27) */
	expect_ok(&f);
	b->flags = BLOCK_CONST | BLOCK_DELEGATED;
	expect_rule(&f, BLOCK_RULE_ROLE, 2);
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_REPARENT;
	expect_rule(&f, BLOCK_RULE_ROLE, 2);
	b->flags = 0x80;
	expect_rule(&f, BLOCK_RULE_ROLE, 2);
	*b = (struct block){.layer = LAYER_TCP, .next = NIL, .dependent = NIL, .state = NIL};
	expect_rule(&f, BLOCK_RULE_ROLE, 2); /* a connection that is no connection */
	b->device = 0x100000001;
	expect_rule(&f, BLOCK_RULE_ROLE, 2); /* or is offloaded already (R55) */
	forest_free(&f);
}

/* R31, R32, R33: an upload returns DELEGATED and nothing else; an update writes CACHED only. */
static void test_roles_of_classes(void **state)
{
	static const struct {
		enum block_call call;
		u8 legal; /* flags, each alone: bit n of `legal` is flag 1 << n */
	} cases[] = {
		{BLOCK_CALL_UPLOAD, BLOCK_DELEGATED},
		{BLOCK_CALL_UPDATE, BLOCK_CACHED},
		{BLOCK_CALL_INVALIDATE, 0},
		{BLOCK_CALL_QUERY, BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct forest f, filled;

		small_forest(&f, cases[i].call);
		small_forest(&filled, BLOCK_CALL_OFFLOAD);
		*block_tcp(&f.list, block_at(&f.list, 3)) =
			*block_tcp(&filled.list, block_at(&filled.list, 3));
		f.list.pool = &filled.pool;
		for (u32 flag = 1; flag <= 0x80; flag <<= 1) {
			block_at(&f.list, 3)->flags = (u8)flag;
			if (flag & cases[i].legal)
				expect_ok(&f);
			else
				expect_rule(&f, BLOCK_RULE_ROLE, 3);
		}
		block_at(&f.list, 3)->flags = 0;
		block_at(&f.list, 3)->device = HANDLE_NONE; /* a new object in it */
		expect_rule(&f, BLOCK_RULE_ROLE, 3);
		forest_free(&f);
		forest_free(&filled);
	}
}

/* R27: the second phase is the offload's list again, as its first completion left it. */
static void test_role_of_transfer(void **state)
{
	struct forest f;
	struct block *b;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	for (u32 i = 0; i < 4; i++) {
		block_at(&f.list, i)->status = STATUS_OK;
		block_at(&f.list, i)->device = 0x100000001;
	}
	f.config.call = BLOCK_CALL_TRANSFER;
	expect_ok(&f);
	b = block_at(&f.list, 3);
	f.list.conns[b->state].d.state = TCP_STATES;
	expect_rule(&f, BLOCK_RULE_STATE, 3);
	b->status = STATUS_NO_CONNECTIONS; /* given up: not looked at */
	b->device = HANDLE_NONE;
	expect_ok(&f);
	b->flags = BLOCK_CONST | BLOCK_DELEGATED;
	expect_rule(&f, BLOCK_RULE_ROLE, 3);
	b->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_REPARENT;
	expect_rule(&f, BLOCK_RULE_ROLE, 3);
	b->flags = 0;
	b->state = NIL;
	expect_ok(&f);
	b->flags = BLOCK_CONST;
	expect_rule(&f, BLOCK_RULE_ROLE, 3);
	forest_free(&f);
}

static void test_roles_need_room_for_state(void **state)
{
	static const enum block_call calls[] = {BLOCK_CALL_UPLOAD, BLOCK_CALL_QUERY};

	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		struct forest f;

		small_forest(&f, calls[i]);
		block_at(&f.list, 3)->flags = 0;
		block_at(&f.list, 3)->state = NIL;
		expect_rule(&f, BLOCK_RULE_ROLE, 3);
		block_at(&f.list, 3)->device = HANDLE_NONE;
		expect_ok(&f);
		forest_free(&f);
	}
}

/* R68: a path is re-homed by an update below the linker of its new neighbor. */
static void test_role_of_reparent(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_UPDATE);
	block_at(&f.list, 1)->flags |= BLOCK_REPARENT;
	expect_ok(&f);
	*block_at(&f.list, 0) =
		(struct block){.next = NIL, .dependent = 1, .state = NIL, .device = HANDLE_NONE};
	expect_rule(&f, BLOCK_RULE_ROLE, 1);
	block_at(&f.list, 0)->device = 0x100000001;
	expect_ok(&f);
	block_at(&f.list, 0)->flags = BLOCK_REPARENT;
	expect_rule(&f, BLOCK_RULE_ROLE, 0);
	forest_free(&f);
}

static void test_rule_state(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	block_at(&f.list, 2)->state = 1; /* shared with block 3 */
	expect_rule(&f, BLOCK_RULE_STATE, 2);
	block_at(&f.list, 2)->state = 0;
	f.list.neighbors[0].c.header_format = 9;
	expect_rule(&f, BLOCK_RULE_STATE, 0);
	block_at(&f.list, 0)->flags = BLOCK_CONST | BLOCK_CACHED;
	f.list.neighbors[0].c.header_format = LINK_DIX;
	f.list.paths[0].c.path_mtu = 67;
	expect_rule(&f, BLOCK_RULE_STATE, 1);
	f.list.paths[0].c.path_mtu = 1500;
	f.list.conns[0].d.ooo.n = OOO_REFS_MAX + 1;
	expect_rule(&f, BLOCK_RULE_STATE, 2);
	block_at(&f.list, 2)->flags &= ~BLOCK_DELEGATED; /* not filled in: not looked at */
	expect_ok(&f);
	forest_free(&f);
}

static void test_rule_data(void **state)
{
	struct forest f;
	struct prng rng;
	struct data_ref *ref;
	struct buf *b;

	prng_seed(&rng, 5);
	small_forest(&f, BLOCK_CALL_OFFLOAD);
	ref = &f.list.conns[0].d.send;
	*ref = forest_data(&f.pool, &rng, 0, 9000);
	b = buf_at(&f.pool, ref->buf);
	expect_ok(&f);
	ref->len++;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* chain too short */
	ref->len--;
	ref->off--;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* in front of the data */
	ref->off += b->len + 2;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* behind it */
	ref->off -= b->len + 1;
	b->off += 65536;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* data leaves the buffer */
	b->off -= 65536;
	b->refs = 0;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* a free buffer */
	b->refs = 1;
	ref->buf += 100000;
	expect_rule(&f, BLOCK_RULE_DATA, 2);
	ref->buf -= 100000;
	ref->len = 0;
	expect_rule(&f, BLOCK_RULE_DATA, 2); /* no bytes, but a buffer */
	ref->len = 9000;
	expect_ok(&f);
	f.list.pool = NULL; /* then nothing may have data, block 3 comes first */
	expect_rule(&f, BLOCK_RULE_DATA, 3);
	forest_free(&f);
}

/* A ring of empty buffers must not hold the check up. */
static void test_data_ring_ends(void **state)
{
	struct forest f;
	u32 index;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	index = buf_alloc(&f.pool, BUF_SMALL);
	buf_at(&f.pool, index)->next = index;
	f.list.conns[0].d.send = (struct data_ref){.buf = index, .off = 0, .len = UINT32_MAX};
	expect_rule(&f, BLOCK_RULE_DATA, 2);
	f.list.conns[0].d.send.buf = NIL;
	expect_rule(&f, BLOCK_RULE_DATA, 2);
	forest_free(&f);
}

static void test_rule_unreached(void **state)
{
	struct forest f;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	block_at(&f.list, 3)->next = NIL;
	expect_rule(&f, BLOCK_RULE_UNREACHED, 2);
	f.list.root = NIL;
	expect_rule(&f, BLOCK_RULE_UNREACHED, 0);
	forest_free(&f);
}

/* Any bytes in the arrays get a verdict; what passes can be walked. */
static void test_check_is_total(void **state)
{
	struct prng rng;
	u32 seen[BLOCK_RULES] = {0};

	prng_seed(&rng, 11);
	for (u32 round = 0; round < 5000; round++) {
		enum block_rule rule;
		struct block_walk w;
		struct forest f;
		u32 block, n = 0;

		small_forest(&f, round % BLOCK_CALLS);
		for (u32 i = 0; i <= round % 3; i++) {
			u8 *at = (u8 *)f.list.blocks;
			u32 bytes = prng_below(&rng, 4) ? 4 * sizeof(struct block)
			                                : (u32)((u8 *)(f.list.conns + 2) - at);

			at[prng_below(&rng, bytes)] =
				(u8)prng_below(&rng, prng_below(&rng, 2) ? 6 : 256);
		}
		rule = block_list_check(&f.list, f.config.call, f.scratch, &block);
		seen[rule]++;
		if (rule == BLOCK_RULE_OK) {
			for (u32 i = block_walk_first(&w, &f.list); i != NIL;
			     i = block_walk_next(&w))
				n++;
			assert_int_equal(n, 4);
		}
		forest_free(&f);
	}
	assert_true(seen[BLOCK_RULE_OK] && seen[BLOCK_RULE_INDEX] && seen[BLOCK_RULE_ROLE]);
}

static void test_fail_subtree(void **state)
{
	struct forest f;
	u32 other;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	assert_int_equal(block_list_add(&f.list, 0, LAYER_PATH, true, &other), 0);
	block_list_fail_subtree(&f.list, 1, STATUS_SUBTREE);
	assert_int_equal(block_at(&f.list, 0)->status, STATUS_PENDING);
	assert_int_equal(block_at(&f.list, 1)->status, STATUS_PENDING);
	assert_int_equal(block_at(&f.list, 2)->status, STATUS_SUBTREE);
	assert_int_equal(block_at(&f.list, 3)->status, STATUS_SUBTREE);
	assert_int_equal(block_at(&f.list, other)->status, STATUS_PENDING);
	block_list_fail_subtree(&f.list, 0, STATUS_FAILED);
	assert_int_equal(block_at(&f.list, 0)->status, STATUS_PENDING);
	for (u32 i = 1; i < f.list.n_blocks; i++)
		assert_int_equal(block_at(&f.list, i)->status, STATUS_FAILED);
	block_list_fail_subtree(&f.list, 2, STATUS_BUSY); /* nothing below a leaf */
	assert_int_equal(block_at(&f.list, 2)->status, STATUS_FAILED);
	forest_free(&f);
}

static void test_mark_partial(void **state)
{
	struct forest f;
	u32 root, path;

	small_forest(&f, BLOCK_CALL_OFFLOAD);
	assert_int_equal(block_list_add(&f.list, NIL, LAYER_NEIGHBOR, true, &root), 0);
	assert_int_equal(block_list_add(&f.list, root, LAYER_PATH, true, &path), 0);
	for (u32 i = 0; i < f.list.n_blocks; i++)
		block_at(&f.list, i)->status = STATUS_OK;
	block_list_mark_partial(&f.list);
	for (u32 i = 0; i < f.list.n_blocks; i++)
		assert_int_equal(block_at(&f.list, i)->status, STATUS_OK);
	block_at(&f.list, 2)->status = STATUS_NO_CONNECTIONS;
	block_list_mark_partial(&f.list);
	assert_int_equal(block_at(&f.list, 0)->status, STATUS_PARTIAL);
	assert_int_equal(block_at(&f.list, 1)->status, STATUS_PARTIAL);
	assert_int_equal(block_at(&f.list, 3)->status, STATUS_OK);
	assert_int_equal(block_at(&f.list, root)->status, STATUS_OK);
	block_at(&f.list, root)->status = STATUS_FAILED;
	block_at(&f.list, path)->status = STATUS_SUBTREE;
	block_list_mark_partial(&f.list);
	assert_int_equal(block_at(&f.list, root)->status, STATUS_FAILED);
	forest_free(&f);
}

static void test_statuses_have_words(void **state)
{
	for (u32 i = 0; i < STATUSES; i++) {
		assert_true(strlen(status_word(i)) >= 2);
		assert_int_equal(status_sentence(i)[strlen(status_sentence(i)) - 1], '.');
		for (u32 j = 0; j < i; j++)
			assert_string_not_equal(status_word(i), status_word(j));
	}
	assert_string_equal(status_word(STATUS_NO_PATHS), "no-paths");
	assert_string_equal(status_word(STATUSES), "failed");
	assert_string_equal(status_sentence((enum status) - 1), status_sentence(STATUS_FAILED));
	assert_true(strlen(block_rule_sentence(BLOCK_RULES)) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_build_and_walk),
		cmocka_unit_test(test_walk_skip_leaves_out_dependents),
		cmocka_unit_test(test_add_refuses),
		cmocka_unit_test(test_forest_of_n_roots),
		cmocka_unit_test(test_random_forests_are_valid),
		cmocka_unit_test(test_rule_length),
		cmocka_unit_test(test_rule_index),
		cmocka_unit_test(test_rule_cycle),
		cmocka_unit_test(test_rule_layer),
		cmocka_unit_test(test_roles_of_offload),
		cmocka_unit_test(test_roles_of_classes),
		cmocka_unit_test(test_roles_need_room_for_state),
		cmocka_unit_test(test_role_of_transfer),
		cmocka_unit_test(test_role_of_reparent),
		cmocka_unit_test(test_rule_state),
		cmocka_unit_test(test_rule_data),
		cmocka_unit_test(test_data_ring_ends),
		cmocka_unit_test(test_rule_unreached),
		cmocka_unit_test(test_check_is_total),
		cmocka_unit_test(test_fail_subtree),
		cmocka_unit_test(test_mark_partial),
		cmocka_unit_test(test_statuses_have_words),
	};

	return RUN_TESTS(tests);
}

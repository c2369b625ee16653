/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "forest.h"

#include <errno.h>

#include "list_equal.h"
#include "schema_fill.h"
#include "state/binary.h"
#include "udp_stack.h"

static u8 *encode(const struct block_list *list, u64 *ret_bytes)
{
	u8 *bytes;

	assert_int_equal(binary_encode(list, NULL, 0, ret_bytes), -ENOSPC);
	bytes = malloc(*ret_bytes);
	assert_non_null(bytes);
	assert_int_equal(binary_encode(list, bytes, *ret_bytes, ret_bytes), 0);
	return bytes;
}

/* An empty list, and a pool, that another one fits into. */
static void make_room(struct forest *f, const struct forest *like)
{
	memset(f, 0, sizeof(*f));
	f->config = like->config;
	forest_memory(f);
}

static void expect_error(struct forest *f, const u8 *bytes, size_t size, enum decode_kind kind,
                         size_t offset)
{
	struct decode_error error = {0};

	assert_int_equal(binary_decode(&f->list, bytes, size, &error), -EBADMSG);
	assert_int_equal(error.kind, kind);
	assert_int_equal(error.offset, offset);
	assert_true(strlen(decode_sentence(kind)) > 10);
	assert_int_equal(f->list.n_blocks, 0);
	assert_int_equal(f->list.root, NIL);
	assert_int_equal(f->pool.n_free[BUF_SMALL], f->pool.count[BUF_SMALL]);
	assert_int_equal(f->pool.n_free[BUF_LARGE], f->pool.count[BUF_LARGE]);
}

static void sample(struct forest *f, enum block_call call)
{
	struct prng rng;

	prng_seed(&rng, 3);
	do
		forest_make(f, &rng,
		            &(struct forest_config){.call = call,
		                                    .roots = 3,
		                                    .paths = 2,
		                                    .conns = 2,
		                                    .bytes = 90,
		                                    .linkers_ppm = 200000,
		                                    .small = 32});
	while (f->list.n_conns != 2 && (forest_free(f), true));
}

/* R67, R110: any list of any call, down or up, comes out as it went in, links and all; handles
 * (R49) are given back untouched, whatever they are. */
static void test_round_trip(void **state)
{
	struct prng rng;

	prng_seed(&rng, 110);
	for (u32 round = 0; round < 200; round++) {
		struct forest_config config = {.call = round % BLOCK_CALLS,
		                               .roots = 4,
		                               .paths = 3,
		                               .conns = 3,
		                               .linkers_ppm = 300000};
		struct forest a, b;
		u64 size, again;
		u8 *bytes, *second;

		config.bytes = round % 4 ? 5000 : 0;
		forest_make(&a, &rng, &config);
		for (u32 i = 0; i < a.list.n_blocks; i++) {
			block_at(&a.list, i)->status = (u16)prng_below(&rng, STATUSES);
			block_at(&a.list, i)->host = prng_u64(&rng);
			block_at(&a.list, i)->device = prng_u64(&rng);
			block_at(&a.list, i)->detail = prng_u64(&rng);
		}
		make_room(&b, &a);
		bytes = encode(&a.list, &size);
		assert_int_equal(binary_decode(&b.list, bytes, size, NULL), 0);
		assert_lists_equal(&a.list, &b.list);
		for (u32 i = 0; i < a.list.n_blocks; i++) {
			assert_int_equal(block_at(&a.list, i)->next, block_at(&b.list, i)->next);
			assert_int_equal(block_at(&a.list, i)->dependent,
			                 block_at(&b.list, i)->dependent);
		}
		second = encode(&b.list, &again);
		assert_int_equal(size, again);
		assert_memory_equal(bytes, second, size);
		block_list_put_data(&b.list);
		assert_int_equal(b.pool.n_free[BUF_SMALL], b.pool.count[BUF_SMALL]);
		free(bytes);
		free(second);
		forest_free(&a);
		forest_free(&b);
	}
}

/* R58: every variable of every layer survives by itself, whatever its value. */
static void test_each_field_round_trips(void **state)
{
	struct prng rng;
	struct forest a, b;

	prng_seed(&rng, 580);
	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema_tcp.layer[l];

		for (u32 i = 0; i < layer->first[STATE_CLASSES] * 20; i++) {
			u64 size;
			u8 *bytes;

			schema_fill_field(&layer->fields[i / 20], block_list_state(&a.list, l, 0),
			                  &rng);
			bytes = encode(&a.list, &size);
			block_list_put_data(&b.list);
			block_list_reset(&b.list);
			assert_int_equal(binary_decode(&b.list, bytes, size, NULL), 0);
			assert_lists_equal(&a.list, &b.list);
			free(bytes);
		}
	}
	forest_free(&a);
	forest_free(&b);
}

/* R31, R32: an upload's form has no CONST and no CACHED: other values there, the same bytes. */
static void test_upload_has_no_const(void **state)
{
	struct forest f, filled;
	struct prng rng;
	u64 size, again;
	u8 *bytes, *second;

	prng_seed(&rng, 31);
	sample(&filled, BLOCK_CALL_OFFLOAD);
	sample(&f, BLOCK_CALL_UPLOAD);
	f.list.pool = &filled.pool;
	for (u32 i = 0; i < f.list.n_blocks; i++) {
		if (block_at(&f.list, i)->state != NIL)
			block_at(&f.list, i)->flags = BLOCK_DELEGATED;
	}
	for (u32 i = 0; i < f.list.n_conns; i++)
		f.list.conns[i] = filled.list.conns[i % filled.list.n_conns];
	bytes = encode(&f.list, &size);
	for (u32 l = 0; l < LAYERS; l++)
		schema_fill(schema_tcp.layer[l], block_list_state(&f.list, l, 0),
		            BLOCK_CONST | BLOCK_CACHED, &rng);
	second = encode(&f.list, &again);
	assert_int_equal(size, again);
	assert_memory_equal(bytes, second, size);
	free(bytes);
	free(second);
	forest_free(&f);
	forest_free(&filled);
}

static void test_header_is_checked(void **state)
{
	static const struct {
		u32 at;
		enum decode_kind kind;
	} cases[] = {
		{0, DECODE_MAGIC},   {7, DECODE_MAGIC},      {8, DECODE_VERSION},
		{10, DECODE_VALUE},  {13, DECODE_VALUE},     {16, DECODE_SCHEMA},
		{23, DECODE_SCHEMA}, {31, DECODE_TRUNCATED}, {33, DECODE_ROOM},
		{37, DECODE_ROOM},   {41, DECODE_ROOM},      {45, DECODE_ROOM},
		{53, DECODE_ROOM},   {57, DECODE_VALUE},     {63, DECODE_VALUE},
	};
	struct forest a, b;
	u64 size;
	u8 *bytes;

	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	bytes = encode(&a.list, &size);
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct decode_error error;

		bytes[cases[i].at] ^= 0x40;
		assert_int_equal(binary_decode(&b.list, bytes, size, &error), -EBADMSG);
		assert_int_equal(error.kind, cases[i].kind);
		assert_true(error.offset <= cases[i].at && error.offset + 8 > cases[i].at);
		bytes[cases[i].at] ^= 0x40;
	}
	bytes[24]--;
	expect_error(&b, bytes, size, DECODE_TRAILING, 24);
	bytes[24]++;
	bytes[36]++; /* one neighbor more than blocks have */
	b.list.cap_neighbors++;
	expect_error(&b, bytes, size, DECODE_VALUE, 36);
	bytes[36] -= 2; /* one fewer */
	assert_int_equal(binary_decode(&b.list, bytes, size, NULL), -EBADMSG);
	bytes[36]++;
	bytes[32]--; /* one block fewer */
	assert_int_equal(binary_decode(&b.list, bytes, size, NULL), -EBADMSG);
	bytes[32]++;
	assert_int_equal(binary_decode(&b.list, bytes, size, NULL), 0);
	free(bytes);
	forest_free(&a);
	forest_free(&b);
}

static void test_every_length_is_refused(void **state)
{
	struct decode_error error;
	struct forest a, b;
	u64 size;
	u8 *bytes;

	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	bytes = encode(&a.list, &size);
	for (size_t n = 0; n < size; n++) {
		u8 *cut = malloc(
			n ? n : 1); /* its own memory, so that a sanitizer sees a byte too far */

		assert_non_null(cut);
		memcpy(cut, bytes, n);
		for (u32 i = 0; n >= 32 && i < 8; i++)
			cut[24 + i] = (u8)((u64)n >> (8 * i));
		assert_int_equal(binary_decode(&b.list, cut, n, &error), -EBADMSG);
		assert_int_equal(error.kind, DECODE_TRUNCATED);
		assert_true(error.offset <= n);
		assert_int_equal(b.pool.n_free[BUF_SMALL], b.pool.count[BUF_SMALL]);
		free(cut);
	}
	free(bytes);
	forest_free(&a);
	forest_free(&b);
}

static void test_room_is_checked(void **state)
{
	struct forest a, b;
	struct decode_error error;
	u64 size;
	u8 *bytes;

	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	bytes = encode(&a.list, &size);
	b.list.pool = NULL;
	assert_int_equal(binary_decode(&b.list, bytes, size, &error), -EBADMSG);
	assert_int_equal(error.kind, DECODE_DATA_ROOM);
	b.list.pool = &b.pool;
	for (u32 left = 0; left < 4; left++) { /* the pool runs dry at another place each time */
		while (b.pool.n_free[BUF_LARGE])
			(void)buf_alloc(&b.pool, BUF_LARGE);
		while (b.pool.n_free[BUF_SMALL] > left)
			(void)buf_alloc(&b.pool, BUF_SMALL);
		assert_int_equal(binary_decode(&b.list, bytes, size, &error), -EBADMSG);
		assert_int_equal(error.kind, DECODE_DATA_ROOM);
		assert_int_equal(b.pool.n_free[BUF_SMALL], left);
		buf_pool_init(&b.pool, b.pool_mem,
		              &(struct buf_pool_config){b.pool.count[0], b.pool.count[1]});
	}
	assert_int_equal(binary_encode(&a.list, bytes, size - 1, &size), -ENOSPC);
	free(bytes);
	forest_free(&a);
	forest_free(&b);
}

/* Every byte of a sample set to other values: read or refused, never worse, and nothing leaks. */
static void test_mutations(void **state)
{
	struct forest a, b;
	struct prng rng;
	u64 size;
	u8 *bytes;
	u32 read = 0, refused = 0;

	prng_seed(&rng, 7);
	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	bytes = encode(&a.list, &size);
	for (u32 i = 0; i < size * 6; i++) {
		u8 was = bytes[i / 6];
		const u8 values[6] = {
			0, 0xff, (u8)(was + 1), (u8)(was - 1), was ^ 0x80, (u8)prng_u32(&rng)};
		struct decode_error error;
		u32 bad;

		bytes[i / 6] = values[i % 6];
		if (binary_decode(&b.list, bytes, size, &error)) {
			assert_true(error.kind > DECODE_OK && error.kind < DECODE_KINDS);
			assert_true(error.offset <= size);
			refused++;
		} else {
			(void)!block_list_check(&b.list, BLOCK_CALL_OFFLOAD, b.scratch, &bad);
			read++;
		}
		block_list_put_data(&b.list);
		block_list_reset(&b.list);
		assert_int_equal(b.pool.n_free[BUF_SMALL], b.pool.count[BUF_SMALL]);
		bytes[i / 6] = was;
	}
	assert_true(read && refused);
	free(bytes);
	forest_free(&a);
	forest_free(&b);
}

static void test_encode_refuses_broken_lists(void **state)
{
	struct forest f;
	u64 size;
	struct block *b;
	struct tcp_delegated *d;

	sample(&f, BLOCK_CALL_OFFLOAD);
	d = &f.list.conns[0].d;
	d->ooo.n = OOO_REFS_MAX + 1;
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -EINVAL);
	d->ooo.n = 0;
	d->sacked.n = SEQ_RANGES_MAX + 1;
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -EINVAL);
	d->sacked.n = 0;
	d->recv = (struct data_ref){.buf = NIL, .len = 5};
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -EINVAL);
	d->recv = (struct data_ref){.buf = NIL};
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -ENOSPC);
	b = block_at(&f.list, 0);
	b->state = 1000;
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -EINVAL);
	b->state = NIL;
	b->layer = LAYERS;
	assert_int_equal(binary_encode(&f.list, NULL, 0, &size), -EINVAL);
	forest_free(&f);
}

/* R5: the form of a second stack, by the same code; the two are not taken for each other. */
static void test_second_stack(void **state)
{
	const struct schema udp = udp_stack();
	const u32 states[LAYERS] = {2, 2, 2};
	struct decode_error error;
	struct block_list a, b;
	void *mem[2];
	struct udp_flow *flow;
	u32 block;
	u8 bytes[512];
	u64 size;

	for (u32 i = 0; i < 2; i++) {
		mem[i] = aligned_alloc(64, block_list_bytes_as(&udp, 8, states));
		assert_non_null(mem[i]);
		block_list_init_as(i ? &b : &a, &udp, mem[i], 8, states);
	}
	assert_int_equal(block_list_add(&a, NIL, LAYER_NEIGHBOR, false, &block), 0);
	assert_int_equal(block_list_add(&a, block, LAYER_PATH, false, &block), 0);
	assert_int_equal(block_list_add(&a, block, LAYER_TCP, true, &block), 0);
	block_at(&a, block)->flags = BLOCK_CONST | BLOCK_DELEGATED;
	flow = block_list_state(&a, LAYER_TCP, 0);
	*flow = (struct udp_flow){.remote_port = 53, .datagrams = 1ull << 40, .unread.buf = NIL};
	assert_int_equal(binary_encode(&a, bytes, sizeof(bytes), &size), 0);
	assert_int_equal(binary_decode(&b, bytes, size, NULL), 0);
	assert_lists_equal(&a, &b);
	flow = block_list_state(&b, LAYER_TCP, 0);
	assert_int_equal(flow->datagrams, 1ull << 40);
	block_list_reset(&b);
	b.schema = &schema_tcp;
	assert_int_equal(binary_decode(&b, bytes, size, &error), -EBADMSG);
	assert_int_equal(error.kind, DECODE_SCHEMA);
	free(mem[0]);
	free(mem[1]);
}

static void test_empty_list(void **state)
{
	struct block_list list;
	u8 bytes[64], mem[64] ALIGNED(64);
	u64 size;

	block_list_init(&list, mem, 0, 0, 0, 0);
	assert_int_equal(binary_encode(&list, bytes, sizeof(bytes), &size), 0);
	assert_int_equal(size, BINARY_HEADER_BYTES);
	assert_int_equal(binary_decode(&list, bytes, size, NULL), 0);
	assert_int_equal(list.root, NIL);
	assert_int_equal(binary_decode(&list, NULL, 0, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_each_field_round_trips),
		cmocka_unit_test(test_upload_has_no_const),
		cmocka_unit_test(test_header_is_checked),
		cmocka_unit_test(test_every_length_is_refused),
		cmocka_unit_test(test_room_is_checked),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_encode_refuses_broken_lists),
		cmocka_unit_test(test_second_stack),
		cmocka_unit_test(test_empty_list),
	};

	return RUN_TESTS(tests);
}

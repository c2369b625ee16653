/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema_fill.h"
#include "state/block.h"
#include "state/check.h"
#include "state/owner.h"
#include "udp_stack.h"

static u32 n_fields(const struct schema_layer *layer)
{
	return layer->first[STATE_CLASSES];
}

/* R11: each variable has exactly one class, and its place says the same. R58: no field lies outside
 * its object or on another. */
static void test_table_is_sound(void **state)
{
	u32 total = 0;

	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema_tcp.layer[l];
		u8 *taken = calloc(1, layer->state_bytes);

		assert_non_null(taken);
		for (u32 i = 0; i < n_fields(layer); i++) {
			const struct schema_field *f = &layer->fields[i];

			assert_int_equal(f->layer, l);
			assert_true(i >= layer->first[f->cls] && i < layer->first[f->cls + 1]);
			assert_true(f->offset + f->size <= layer->state_bytes);
			for (u32 b = 0; b < f->size; b++)
				assert_int_equal(taken[f->offset + b]++, 0);
			assert_true(strlen(f->unit) > 0 && strlen(f->source) > 0);
			assert_ptr_equal(schema_find(layer, f->name, strlen(f->name), NIL), f);
		}
		total += n_fields(layer);
		free(taken);
	}
	assert_int_equal(total, SCHEMA_VARS);
	assert_int_equal(schema_class_of(SCHEMA_TCP_snd_una), CLASS_DELEGATED);
	assert_int_equal(schema_class_of(SCHEMA_PATH_path_mtu), CLASS_CACHED);
	assert_int_equal(schema_class_of(SCHEMA_NEIGHBOR_vlans), CLASS_CONST);
	assert_string_equal(schema_class_name(CLASS_CACHED), "cached");
	assert_string_equal(schema_type_name(SCHEMA_TYPE_ooo_refs), "ooo_refs");
}

/* Every variable that refers to payload is in its layer's list of them. */
static void test_payload_fields_are_listed(void **state)
{
	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema_tcp.layer[l];
		u32 n = 0;

		for (u32 i = 0; i < n_fields(layer); i++) {
			if (layer->fields[i].type < SCHEMA_TYPE_data_ref)
				continue;
			assert_true(n < layer->n_payload);
			assert_int_equal(layer->payload[n++], i);
		}
		assert_int_equal(n, layer->n_payload);
	}
}

static void test_find(void **state)
{
	const struct schema_layer *tcp = schema_tcp.layer[LAYER_TCP];

	assert_null(schema_find(tcp, "snd_un", 6, 0));
	assert_null(schema_find(tcp, "snd_unaa", 8, 0));
	assert_null(schema_find(tcp, "", 0, 3));
	assert_null(schema_find(tcp, "snd_una\0", 8, 3));
	assert_ptr_equal(schema_find(tcp, "snd_una!", 7, 9999), schema_field(SCHEMA_TCP_snd_una));
}

/* R58: each field by itself: what is set is read, and no other field changes. */
static void test_set_and_get_each_field(void **state)
{
	struct prng rng;
	struct tcp_state before, after;

	prng_seed(&rng, 58);
	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema_tcp.layer[l];

		for (u32 i = 0; i < n_fields(layer); i++) {
			const struct schema_field *f = &layer->fields[i];
			u64 max = f->size >= 8 ? UINT64_MAX : (1ull << (f->size * 8)) - 1, got = 5;

			schema_clear(layer, &before);
			schema_fill(layer, &before, 7, &rng);
			memcpy(&after, &before, sizeof(after));
			if (f->type > SCHEMA_TYPE_tcp_seq) {
				assert_int_equal(schema_get(f, &after, &got), -EINVAL);
				assert_int_equal(schema_set(f, &after, 0), -EINVAL);
				continue;
			}
			assert_int_equal(schema_get(f, &before, &got), 0);
			assert_int_equal(schema_set(f, &after, max - got), 0);
			if (f->size < 8)
				assert_int_equal(schema_set(f, &after, max + 1), -ERANGE);
			for (u32 c = 0; c < STATE_CLASSES; c++)
				assert_int_equal(schema_diff(layer, c, &before, &after),
				                 c == f->cls ? 1ull << (i - layer->first[c]) : 0);
			assert_int_equal(schema_get(f, &after, &got), 0);
			assert_int_equal(schema_set(f, &after, max - got), 0);
			assert_memory_equal(&before, &after, layer->state_bytes);
		}
	}
}

/* An update is a diff and its application: afterwards nothing differs, and only CACHED moved (R32).
 */
static void test_diff_and_apply(void **state)
{
	const struct schema_layer *layer = schema_tcp.layer[LAYER_TCP];
	struct tcp_state device, host, was;
	struct prng rng;

	prng_seed(&rng, 32);
	for (u32 round = 0; round < 200; round++) {
		u64 changed = 0, diff;

		memset(&device, 0, sizeof(device));
		schema_fill(layer, &device, 7, &rng);
		host = was = device;
		for (u32 n = prng_below(&rng, 6); n; n--) {
			u32 bit = prng_below(&rng, layer->first[2] - layer->first[1]);
			const struct schema_field *f = &layer->fields[layer->first[1] + bit];
			u64 value = 0;

			assert_int_equal(schema_get(f, &device, &value), 0);
			assert_int_equal(schema_set(f, &host, value ^ 1), 0);
			changed |= 1ull << bit;
		}
		diff = schema_diff(layer, CLASS_CACHED, &device, &host);
		assert_int_equal(diff, changed);
		schema_apply(layer, CLASS_CACHED, diff, &device, &host);
		assert_int_equal(schema_diff(layer, CLASS_CACHED, &device, &host), 0);
		assert_memory_equal(&device.k, &was.k, sizeof(was.k));
		assert_memory_equal(&device.d, &was.d, sizeof(was.d));
	}
	host = device;
	host.c.cork ^= 1;
	assert_int_equal(schema_diff(layer, CLASS_CACHED, &device, &host),
	                 SCHEMA_BIT(TCP, CACHED, cork));
	schema_apply(layer, CLASS_CACHED, ~SCHEMA_BIT(TCP, CACHED, cork), &device, &host);
	assert_int_not_equal(device.c.cork, host.c.cork);
}

static void test_equal_ignores_what_is_not_used(void **state)
{
	const struct schema_field *f = schema_field(SCHEMA_TCP_sacked);
	struct tcp_state a, b;

	memset(&a, 0, sizeof(a));
	a.d.sacked.n = 2;
	b = a;
	b.d.sacked.r[2].start = seq_of(7);
	assert_true(schema_equal(f, &a, &b));
	b.d.sacked.r[1].end = seq_of(7);
	assert_false(schema_equal(f, &a, &b));
	b = a;
	b.d.sacked.n = 3;
	assert_false(schema_equal(f, &a, &b));
	a.d.sacked.n = b.d.sacked.n = UINT32_MAX; /* hostile counts stay inside */
	assert_true(schema_equal(f, &a, &b));
	a.d.cc.len = b.d.cc.len = UINT16_MAX;
	assert_true(schema_equal(schema_field(SCHEMA_TCP_cc), &a, &b));
	a.d.ooo.n = b.d.ooo.n = UINT32_MAX;
	assert_true(schema_equal(schema_field(SCHEMA_TCP_ooo), &a, &b));
}

/* R11, R31, R32, R33: one owner at every instant; DELEGATED goes down once and up once. */
static void test_owner(void **state)
{
	const struct schema_layer *layer = schema_tcp.layer[LAYER_TCP];
	struct owner owner;

	owner_init(&owner, layer);
	for (u32 i = 0; i < n_fields(layer); i++) {
		assert_true(owner_may_write(&owner, OWNER_HOST, i));
		assert_false(owner_may_write(&owner, OWNER_DEVICE, i));
	}
	assert_int_equal(owner_uploaded(&owner), -EALREADY);
	assert_int_equal(owner_offloaded(&owner), 0);
	assert_int_equal(owner_offloaded(&owner), -EALREADY);
	for (u32 i = 0; i < n_fields(layer); i++) {
		u8 cls = layer->fields[i].cls;

		assert_int_equal(owner_of(&owner, i),
		                 cls == CLASS_DELEGATED ? OWNER_DEVICE : OWNER_HOST);
		assert_int_equal(owner_may_write(&owner, OWNER_HOST, i), cls == CLASS_CACHED);
		assert_int_equal(owner_may_write(&owner, OWNER_DEVICE, i), cls == CLASS_DELEGATED);
	}
	assert_int_equal(owner_uploaded(&owner), 0);
	assert_int_equal(owner.delegated_writes, 1);
	assert_int_equal(owner.delegated_reads, 1);
	assert_true(owner_may_write(&owner, OWNER_HOST, SCHEMA_TCP_snd_una - SCHEMA_TCP_CONST));
}

/* R11: a write by a non-owner aborts. */
static void test_write_by_non_owner_aborts(void **state)
{
	const struct schema_layer *layer = schema_tcp.layer[LAYER_TCP];
	struct tcp_state before, after;
	struct owner owner;
	int status = 0;
	pid_t pid;

	memset(&before, 0, sizeof(before));
	after = before;
	owner_init(&owner, layer);
	assert_int_equal(owner_offloaded(&owner), 0);
	after.d.snd_una = seq_of(1);
	owner_assert_write(&owner, OWNER_DEVICE, &before, &after);
	assert_int_equal(owner_violation(&owner, OWNER_HOST, &before, &after),
	                 SCHEMA_TCP_snd_una - SCHEMA_TCP_CONST);
	pid = fork();
	if (!pid) {
		signal(SIGILL, SIG_DFL); /* cmocka's handlers would go on with the next test */
		signal(SIGTRAP, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0});
		owner_assert_write(&owner, OWNER_HOST, &before, &after);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL);
}

static void test_hash_tells_schemas_apart(void **state)
{
	struct schema udp = udp_stack();
	struct schema_layer layer = *schema_tcp.layer[LAYER_TCP];
	struct schema_field *fields = calloc(n_fields(&layer), sizeof(*fields));
	struct schema other = schema_tcp;

	assert_non_null(fields);
	assert_int_not_equal(schema_hash(&udp), schema_hash(&schema_tcp));
	memcpy(fields, layer.fields, n_fields(&layer) * sizeof(*fields));
	layer.fields = fields;
	other.layer[LAYER_TCP] = &layer;
	assert_int_equal(schema_hash(&other), schema_hash(&schema_tcp));
	for (u32 i = 0; i < n_fields(&layer); i++) {
		fields[i].type ^= 1;
		assert_int_not_equal(schema_hash(&other), schema_hash(&schema_tcp));
		fields[i].type ^= 1;
		fields[i].name++;
		assert_int_not_equal(schema_hash(&other), schema_hash(&schema_tcp));
		fields[i].name--;
	}
	assert_int_equal(schema_hash(&other), schema_hash(&schema_tcp));
	free(fields);
}

/* R5, R21: a list of a second layer type is built, checked and compared by the same code. */
static void test_second_stack(void **state)
{
	const struct schema udp = udp_stack();
	const u32 states[LAYERS] = {1, 1, 2};
	void *mem = aligned_alloc(64, block_list_bytes_as(&udp, 4, states));
	struct block_list list;
	struct udp_flow *flow;
	u32 block, bad;
	u8 scratch[4];

	assert_non_null(mem);
	block_list_init_as(&list, &udp, mem, 4, states);
	assert_int_equal(block_list_add(&list, NIL, LAYER_NEIGHBOR, false, &block), 0);
	assert_int_equal(block_list_add(&list, block, LAYER_PATH, false, &block), 0);
	block_at(&list, 0)->device = block_at(&list, 1)->device = 5;
	for (u32 i = 0; i < 2; i++) {
		assert_int_equal(block_list_add(&list, 1, LAYER_TCP, true, &block), 0);
		block_at(&list, block)->flags = BLOCK_CONST | BLOCK_CACHED | BLOCK_DELEGATED;
		flow = block_list_state(&list, LAYER_TCP, block_at(&list, block)->state);
		assert_int_equal(flow->unread.buf, NIL);
		flow->remote_port = (u16)(53 + i);
	}
	assert_int_equal(block_list_check(&list, BLOCK_CALL_OFFLOAD, scratch, &bad), BLOCK_RULE_OK);
	assert_int_equal(schema_diff(&udp_layer, CLASS_CONST, flow, flow - 1), 2);
	flow->remote_port = 0;
	assert_int_equal(block_list_check(&list, BLOCK_CALL_OFFLOAD, scratch, &bad),
	                 BLOCK_RULE_STATE);
	assert_int_equal(bad, block);
	flow->remote_port = 1;
	flow->unread.len = 1;
	assert_int_equal(block_list_check(&list, BLOCK_CALL_OFFLOAD, scratch, &bad),
	                 BLOCK_RULE_DATA);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_sound),
		cmocka_unit_test(test_payload_fields_are_listed),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_set_and_get_each_field),
		cmocka_unit_test(test_diff_and_apply),
		cmocka_unit_test(test_equal_ignores_what_is_not_used),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_write_by_non_owner_aborts),
		cmocka_unit_test(test_hash_tells_schemas_apart),
		cmocka_unit_test(test_second_stack),
	};

	return RUN_TESTS(tests);
}

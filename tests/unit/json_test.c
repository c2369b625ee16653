/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include "forest.h"

#include <errno.h>

#include "list_equal.h"
#include "schema_fill.h"
#include "state/json.h"
#include "state/json_in.h"
#include "state/json_value.h"
#include "udp_stack.h"

struct text {
	char *s;
	size_t len, room;
	u32 calls, stop_at; /* the sink fails at this call; 0: never */
};

static int sink(void *context, const char *piece, size_t len)
{
	struct text *t = context;

	assert_true(len > 0 && len <= 1024);
	if (++t->calls == t->stop_at)
		return -EPIPE;
	if (t->len + len + 1 > t->room) {
		t->room = 2 * t->room + len + 1;
		t->s = realloc(t->s, t->room);
		assert_non_null(t->s);
	}
	memcpy(t->s + t->len, piece, len);
	t->len += len;
	t->s[t->len] = '\0';
	return 0;
}

static struct text write_list(const struct block_list *list)
{
	struct text t = {0};

	assert_int_equal(json_write_list(list, sink, &t), 0);
	return t;
}

static int read_text(struct forest *f, const char *s, size_t len, struct decode_error *error)
{
	return json_read_list(&f->list, (const u8 *)s, len, error);
}

static void make_room(struct forest *f, const struct forest *like)
{
	memset(f, 0, sizeof(*f));
	f->config = like->config;
	forest_memory(f);
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

/* R67, R110: list to JSON to list to JSON, for lists of every call; the two texts are identical. */
static void test_round_trip(void **state)
{
	struct prng rng;

	prng_seed(&rng, 110);
	for (u32 round = 0; round < 100; round++) {
		struct forest_config config = {.call = round % BLOCK_CALLS,
		                               .roots = 4,
		                               .paths = 3,
		                               .conns = 3,
		                               .linkers_ppm = 300000};
		struct text first, second;
		struct forest a, b;
		u32 bad;

		config.bytes = round % 4 ? 3000 : 0;
		forest_make(&a, &rng, &config);
		for (u32 i = 0; i < a.list.n_blocks; i++) {
			block_at(&a.list, i)->status = (u16)prng_below(&rng, STATUSES);
			block_at(&a.list, i)->host = prng_u64(&rng);
			block_at(&a.list, i)->detail = schema_fill_number(&rng);
		}
		make_room(&b, &a);
		first = write_list(&a.list);
		assert_int_equal(read_text(&b, first.s, first.len, NULL), 0);
		assert_lists_equal(&a.list, &b.list);
		assert_int_equal(block_list_check(&b.list, config.call, b.scratch, &bad),
		                 BLOCK_RULE_OK);
		second = write_list(&b.list);
		assert_string_equal(first.s, second.s);
		block_list_put_data(&b.list);
		assert_int_equal(b.pool.n_free[BUF_SMALL], b.pool.count[BUF_SMALL]);
		free(first.s);
		free(second.s);
		forest_free(&a);
		forest_free(&b);
	}
}

/* R58: every variable of every layer survives by itself, whatever its value. */
static void test_each_field_round_trips(void **state)
{
	struct prng rng;
	struct forest a, b;

	prng_seed(&rng, 58);
	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	for (u32 l = 0; l < LAYERS; l++) {
		const struct schema_layer *layer = schema_tcp.layer[l];

		for (u32 i = 0; i < layer->first[STATE_CLASSES] * 20; i++) {
			struct text t;

			schema_fill_field(&layer->fields[i / 20], block_list_state(&a.list, l, 0),
			                  &rng);
			t = write_list(&a.list);
			block_list_put_data(&b.list);
			block_list_reset(&b.list);
			assert_int_equal(read_text(&b, t.s, t.len, NULL), 0);
			assert_lists_equal(&a.list, &b.list);
			free(t.s);
		}
	}
	forest_free(&a);
	forest_free(&b);
}

static void test_text_is_as_documented(void **state)
{
	struct neighbor_state *n;
	struct forest f;
	struct text t;
	u32 block;

	memset(&f, 0, sizeof(f));
	f.config = (struct forest_config){.roots = 2, .paths = 1, .conns = 1};
	forest_memory(&f);
	assert_int_equal(block_list_add(&f.list, NIL, LAYER_NEIGHBOR, true, &block), 0);
	block_at(&f.list, block)->flags = BLOCK_CACHED;
	block_at(&f.list, block)->device = 7;
	n = &f.list.neighbors[0];
	n->c.next_hop_mac = (struct mac_addr){{2, 0, 0, 0xab, 0, 1}};
	n->c.host_reachable_ns = UINT64_MAX;
	assert_int_equal(block_list_add(&f.list, block, LAYER_PATH, false, &block), 0);
	block_at(&f.list, block)->status = STATUS_NO_PATHS;
	block_at(&f.list, block)->detail = 1ull << 53;
	block_at(&f.list, block)->flags = BLOCK_REPARENT;
	t = write_list(&f.list);
	assert_string_equal(
		t.s,
		"{\"chimney\":\"blocks\",\"version\":1,\"blocks\":["
		"{\"layer\":\"neighbor\",\"status\":\"pending\",\"host\":\"0x0000000000000000\","
		"\"device\":\"0x0000000000000007\",\"detail\":0,\"state\":{\"cached\":{"
		"\"next_hop_mac\":\"02:00:00:ab:00:01\",\"header_format\":0,"
		"\"host_reachable_ns\":null}},\"dependents\":["
		"{\"layer\":\"path\",\"status\":\"no-paths\",\"host\":\"0x0000000000000000\","
		"\"device\":\"0x0000000000000000\",\"detail\":\"9007199254740992\","
		"\"reparent\":true}]}]}\n");
	free(t.s);
	block_list_reset(&f.list);
	t = write_list(&f.list);
	assert_string_equal(t.s, "{\"chimney\":\"blocks\",\"version\":1,\"blocks\":[]}\n");
	assert_int_equal(read_text(&f, t.s, t.len, NULL), 0);
	assert_int_equal(f.list.root, NIL);
	free(t.s);
	forest_free(&f);
}

static void test_sink_stops_the_writer(void **state)
{
	struct forest f;
	struct text all = {0};

	sample(&f, BLOCK_CALL_OFFLOAD);
	assert_int_equal(json_write_list(&f.list, sink, &all), 0);
	for (u32 i = 1; i <= all.calls; i++) {
		struct text t = {.stop_at = i};

		assert_int_equal(json_write_list(&f.list, sink, &t), -EPIPE);
		assert_int_equal(t.calls, i);
		free(t.s);
	}
	f.list.conns[0].d.send.len += 1000;
	all.calls = 0;
	assert_int_equal(json_write_list(&f.list, sink, &all), -EINVAL);
	free(all.s);
	forest_free(&f);
}

#define HEAD  "{\"chimney\":\"blocks\",\"version\":1,\"blocks\":["
#define BLOCK "{\"layer\":\"neighbor\""

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum decode_kind kind;
	} cases[] = {
		{"", DECODE_TRUNCATED},
		{"x", DECODE_SYNTAX},
		{"[]", DECODE_SYNTAX},
		{"{}", DECODE_MISSING},
		{"{\"chimney\":\"stats\"}", DECODE_MAGIC},
		{"{\"chimney\":\"blocks\",\"version\":2}", DECODE_VERSION},
		{"{\"blocks\":[]}", DECODE_MISSING},
		{"{\"chimney\":\"blocks\",\"chimney\":\"blocks\"}", DECODE_NAME},
		{"{\"chimney\":\"blocks\" \"version\":1}", DECODE_SYNTAX},
		{"{\"chimney\":\"blocks\",}", DECODE_SYNTAX},
		{"{\"chi\\u006dney\":\"blocks\"}", DECODE_SYNTAX},
		{"{\"chimney\":\"blocks\",\"version\":1,\"more\":1}", DECODE_NAME},
		{HEAD "]} x", DECODE_TRAILING},
		{HEAD "]", DECODE_TRUNCATED},
		{HEAD "{}]}", DECODE_MISSING},
		{HEAD "{\"layer\":\"path\"}]}", DECODE_SCHEMA},
		{HEAD BLOCK ",\"status\":\"fine\"}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"host\":\"7\"}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"host\":\"0x\"}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"host\":\"0x12345678901234567\"}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"detail\":-1}]}", DECODE_SYNTAX},
		{HEAD BLOCK ",\"detail\":01}]}", DECODE_SYNTAX},
		{HEAD BLOCK ",\"detail\":1.5}]}", DECODE_SYNTAX},
		{HEAD BLOCK ",\"detail\":18446744073709551616}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"detail\":\"1 \"}]}", DECODE_SYNTAX},
		{HEAD BLOCK ",\"reparent\":1}]}", DECODE_SYNTAX},
		{HEAD BLOCK ",\"state\":{\"other\":{}}}]}", DECODE_NAME},
		{HEAD BLOCK ",\"state\":{\"cached\":{}}}]}", DECODE_MISSING},
		{HEAD BLOCK ",\"state\":{\"cached\":{\"vlans\":[]}}}]}", DECODE_NAME},
		{HEAD BLOCK ",\"state\":{\"cached\":{\"header_format\":256}}}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"state\":{\"cached\":{\"header_format\":null}}}]}", DECODE_VALUE},
		{HEAD BLOCK ",\"state\":{\"cached\":{\"next_hop_mac\":\"02:00\"}}}]}",
	         DECODE_VALUE},
		{HEAD BLOCK ",\"state\":{\"const\":{\"vlans\":[1,2,3]}}}]}", DECODE_VALUE},
		{HEAD BLOCK "}," BLOCK "}," BLOCK "}]}", DECODE_ROOM},
		{HEAD BLOCK
	         ",\"dependents\":[{\"layer\":\"path\",\"dependents\":[{\"layer\":\"tcp\","
	         "\"dependents\":[{}]}]}]}]}",
	         DECODE_VALUE},
		{HEAD BLOCK "\n\t\r }]}\xff", DECODE_TRAILING},
		{HEAD BLOCK ",\"status\":\"o\nk\"}]}", DECODE_SYNTAX},
	};
	struct forest f;

	memset(&f, 0, sizeof(f));
	f.config = (struct forest_config){.roots = 1, .paths = 1, .conns = 1};
	forest_memory(&f);
	f.list.cap_blocks = 3;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct decode_error error = {0};

		if (cases[i].kind == DECODE_ROOM)
			f.list.cap_blocks = 2;
		assert_int_equal(read_text(&f, cases[i].text, strlen(cases[i].text), &error),
		                 -EBADMSG);
		if (error.kind != cases[i].kind)
			fail_msg("%s: %d", cases[i].text, error.kind);
		assert_int_equal(f.list.n_blocks, 0);
		f.list.cap_blocks = 3;
	}
	forest_free(&f);
}

/* The text without the first variable of this name, whose value has no comma inside. */
static char *without(const char *text, const char *name)
{
	char quoted[64] = "\"";
	char *copy = strdup(text), *at, *end;

	assert_non_null(copy);
	strncat(quoted, name, 60);
	strcat(quoted, "\":");
	at = strstr(copy, quoted);
	while (at && at[strlen(quoted)] == '{') /* the block's "state", not the connection's */
		at = strstr(at + 1, quoted);
	assert_non_null(at);
	end = strpbrk(at, ",}");
	if (*end == ',')
		end++;
	else
		at -= at[-1] == ',';
	memmove(at, end, strlen(end) + 1);
	return copy;
}

/* Every variable of a class must be there: one left out is missed, whichever it is. */
static void test_missing_variables_are_refused(void **state)
{
	struct forest a, b;
	struct text t;

	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	t = write_list(&a.list);
	for (u32 i = 0; i < SCHEMA_VARS; i++) {
		const struct schema_field *f = schema_field(i);
		struct decode_error error;
		char *cut;

		if (f->type > SCHEMA_TYPE_ip_addr && f->type != SCHEMA_TYPE_data_ref)
			continue;
		cut = without(t.s, f->name);
		assert_int_equal(read_text(&b, cut, strlen(cut), &error), -EBADMSG);
		assert_int_equal(error.kind, DECODE_MISSING);
		free(cut);
	}
	assert_int_equal(read_text(&b, t.s, t.len, NULL), 0);
	free(t.s);
	forest_free(&a);
	forest_free(&b);
}

/* Every byte changed, and every length: read or refused, never worse, and nothing leaks. */
static void test_mutations(void **state)
{
	struct forest a, b;
	struct prng rng;
	struct text t;
	u32 read = 0, refused = 0;

	prng_seed(&rng, 9);
	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	t = write_list(&a.list);
	for (size_t i = 0; i < t.len * 5; i++) {
		static const char values[] = "\"{]0\x80";
		char was = t.s[i / 5];
		struct decode_error error;

		t.s[i / 5] = i % 5 == 4 ? (char)prng_u32(&rng) : values[i % 5];
		if (read_text(&b, t.s, t.len, &error)) {
			assert_true(error.kind > DECODE_OK && error.kind < DECODE_KINDS);
			assert_true(error.offset <= t.len);
			refused++;
		} else {
			read++;
		}
		block_list_put_data(&b.list);
		block_list_reset(&b.list);
		assert_int_equal(b.pool.n_free[BUF_SMALL], b.pool.count[BUF_SMALL]);
		t.s[i / 5] = was;
	}
	assert_true(read && refused);
	for (size_t n = 0; n + 1 < t.len; n++) {
		char *cut = malloc(n ? n : 1); /* its own memory: a sanitizer sees a byte too far */

		assert_non_null(cut);
		memcpy(cut, t.s, n);
		assert_int_equal(read_text(&b, cut, n, NULL), -EBADMSG);
		free(cut);
	}
	free(t.s);
	forest_free(&a);
	forest_free(&b);
}

static void test_pool_runs_dry(void **state)
{
	struct forest a, b;
	struct text t;

	sample(&a, BLOCK_CALL_OFFLOAD);
	make_room(&b, &a);
	t = write_list(&a.list);
	while (b.pool.n_free[BUF_LARGE])
		(void)buf_alloc(&b.pool, BUF_LARGE);
	for (u32 left = 0; left < 3; left++) {
		struct decode_error error;

		while (b.pool.n_free[BUF_SMALL] > left)
			(void)buf_alloc(&b.pool, BUF_SMALL);
		for (u32 i = 0; b.pool.n_free[BUF_SMALL] < left; i++)
			buf_put(&b.pool, i);
		assert_int_equal(read_text(&b, t.s, t.len, &error), -EBADMSG);
		assert_int_equal(error.kind, DECODE_DATA_ROOM);
		assert_int_equal(b.pool.n_free[BUF_SMALL], left);
	}
	free(t.s);
	forest_free(&a);
	forest_free(&b);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		u8 bytes[16];
		bool bad;
	} cases[] = {
		{"\"10.0.0.255\"", {[10] = 0xff, 0xff, 10, 0, 0, 255}},
		{"\"::\"", {0}},
		{"\"::1\"", {[15] = 1}},
		{"\"fe80::\"", {0xfe, 0x80}},
		{"\"2001:DB8::1:0\"", {0x20, 1, 0xd, 0xb8, [13] = 1}},
		{"\"1:2:3:4:5:6:7:8\"", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
		{"\"::2:3:4:5:6:7:8\"", {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
		{"\"1:2:3:4:5:6:7::\"", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7}},
		{"\"1:2:3:4:5:6:7:8:\"", .bad = true},
		{"\"1:2:3:4:5:6:7:8:9\"", .bad = true},
		{"\"1:2:3:4:5:6:7\"", .bad = true},
		{"\"::1:2:3:4:5:6:7:8\"", .bad = true},
		{"\"1::2::3\"", .bad = true},
		{"\":::\"", .bad = true},
		{"\":1::\"", .bad = true},
		{"\"1:\"", .bad = true},
		{"\"12345::\"", .bad = true},
		{"\"\"", .bad = true},
		{"\":\"", .bad = true},
		{"\"10.0.0\"", .bad = true},
		{"\"10.0.0.256\"", .bad = true},
		{"\"10.0.0.01\"", .bad = true},
		{"\"10.0.0.1.\"", .bad = true},
		{"\"10..0.1\"", .bad = true},
	};

	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ip_addr ip;
		struct json_in in;

		json_in_init(&in, (const u8 *)cases[i].text, strlen(cases[i].text));
		json_value_ip(&in, &ip);
		if (json_ok(&in) == cases[i].bad)
			fail_msg("%s", cases[i].text);
		if (json_ok(&in))
			assert_memory_equal(ip.b, cases[i].bytes, 16);
	}
}

/* R5: the JSON of a second stack, by the same code. */
static void test_second_stack(void **state)
{
	const struct schema udp = udp_stack();
	const u32 states[LAYERS] = {1, 1, 1};
	struct block_list list;
	struct udp_flow *flow;
	struct text t;
	void *mem = aligned_alloc(64, block_list_bytes_as(&udp, 3, states));
	u32 block;

	assert_non_null(mem);
	block_list_init_as(&list, &udp, mem, 3, states);
	assert_int_equal(block_list_add(&list, NIL, LAYER_NEIGHBOR, false, &block), 0);
	assert_int_equal(block_list_add(&list, block, LAYER_PATH, false, &block), 0);
	assert_int_equal(block_list_add(&list, block, LAYER_TCP, true, &block), 0);
	block_at(&list, block)->flags = BLOCK_DELEGATED;
	flow = block_list_state(&list, LAYER_TCP, 0);
	flow->datagrams = 12345;
	t = write_list(&list);
	assert_non_null(strstr(t.s, "{\"layer\":\"udp\","));
	assert_non_null(strstr(t.s, "\"delegated\":{\"datagrams\":12345,\"unread\":\"\"}"));
	block_list_reset(&list);
	assert_int_equal(json_read_list(&list, (const u8 *)t.s, t.len, NULL), 0);
	assert_int_equal(flow->datagrams, 12345);
	free(t.s);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_each_field_round_trips),
		cmocka_unit_test(test_text_is_as_documented),
		cmocka_unit_test(test_sink_stops_the_writer),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_missing_variables_are_refused),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_pool_runs_dry),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_second_stack),
	};

	return RUN_TESTS(tests);
}

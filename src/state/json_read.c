/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "state/json.h"
#include "state/json_in.h"
#include "state/json_value.h"
#include "state/payload.h"
#include "state/schema.h"

struct reader {
	struct json_in in;
	struct block_list *list;
};

/* -- variables --------------------------------------------------------------------------------- */

static void read_payload(struct reader *r, struct data_ref *ref)
{
	struct json_str hex = json_string(&r->in);
	struct payload_out out;
	u8 bytes[64];

	payload_out_init(&out, r->list->pool, ref, (u32)min_of(hex.len / 2, (size_t)UINT32_MAX));
	while (json_ok(&r->in) && hex.len) {
		struct json_str part = {hex.s, min_of(hex.len, 2 * sizeof(bytes))};

		json_value_hex(&r->in, part, bytes, sizeof(bytes));
		if (json_ok(&r->in) && payload_out_write(&out, bytes, (u32)(part.len / 2)))
			json_fail(&r->in, DECODE_DATA_ROOM);
		hex.s += part.len;
		hex.len -= part.len;
	}
}

static void read_ooo_ref(struct reader *r, struct ooo_ref *seg)
{
	static const char *const names[] = {"seq", "fin", "data"};
	struct json_str name;
	u64 seen = 0;

	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		switch (json_name(&r->in, name, names, ARRAY_SIZE(names), &seen)) {
		case 0:
			seg->seq = seq_of((u32)json_number(&r->in, UINT32_MAX));
			break;
		case 1:
			seg->fin = (u32)json_number(&r->in, 1);
			break;
		case 2:
			read_payload(r, &seg->data);
			break;
		}
	}
	json_need(&r->in, seen, 7);
}

static void read_ooo(struct reader *r, struct ooo_refs *ooo)
{
	json_expect(&r->in, '[');
	for (bool first = true; json_element(&r->in, &first);) {
		struct ooo_ref *seg = &ooo->seg[ooo->n];

		if (ooo->n == OOO_REFS_MAX) {
			json_fail(&r->in, DECODE_VALUE);
			return;
		}
		*seg = (struct ooo_ref){.data.buf = NIL};
		ooo->n++; /* before the payload: it is released with the list */
		read_ooo_ref(r, seg);
	}
}

static void read_field(struct reader *r, const struct schema_field *field, void *state)
{
	void *at = schema_at(field, state);

	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_mac_addr:
		json_value_mac(&r->in, at);
		return;
	case SCHEMA_TYPE_ip_addr:
		json_value_ip(&r->in, at);
		return;
	case SCHEMA_TYPE_vlan_stack:
		json_value_vlans(&r->in, at);
		return;
	case SCHEMA_TYPE_seq_ranges:
		json_value_ranges(&r->in, at);
		return;
	case SCHEMA_TYPE_cc_private:
		json_value_cc(&r->in, at);
		return;
	case SCHEMA_TYPE_data_ref:
		read_payload(r, at);
		return;
	case SCHEMA_TYPE_ooo_refs:
		read_ooo(r, at);
		return;
	default:
		if (schema_set(field, state, json_number(&r->in, UINT64_MAX)))
			json_fail(&r->in, DECODE_VALUE);
	}
}

/* -- blocks ------------------------------------------------------------------------------------ */

static void read_class(struct reader *r, const struct schema_layer *layer, enum state_class cls,
                       void *state)
{
	u32 first_field = layer->first[cls];
	u32 n = layer->first[cls + 1] - first_field;
	struct json_str name;
	u64 seen = 0;
	u32 hint = first_field;

	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		const struct schema_field *f = schema_find(layer, name.s, name.len, hint);

		hint = f ? (u32)(f - layer->fields) : 0;
		if (!f || f->cls != cls) {
			json_fail(&r->in, DECODE_NAME);
			return;
		}
		if (json_once(&r->in, &seen, hint - first_field))
			read_field(r, f, state);
		hint++;
	}
	for (u32 i = 0; i < n; i++)
		json_need(&r->in, seen, 1ull << i);
}

static void read_state(struct reader *r, u32 block)
{
	static const char *const names[] = {"const", "cached", "delegated"};
	struct block *b = block_at(r->list, block);
	const struct schema_layer *layer = r->list->schema->layer[b->layer];
	struct json_str name;
	u64 seen = 0;

	if (block_list_add_state(r->list, block)) {
		json_fail(&r->in, DECODE_ROOM);
		return;
	}
	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		u32 cls = json_name(&r->in, name, names, STATE_CLASSES, &seen);

		if (cls == STATE_CLASSES)
			return;
		b->flags |= (u8)(1 << cls);
		read_class(r, layer, cls, block_list_state(r->list, b->layer, b->state));
	}
}

static void read_insert(struct reader *r, u32 block)
{
	static const char *const names[] = {"kind", "bytes"};
	u8 bytes[BLOCK_INSERT_BYTES];
	struct json_str name, hex = {0};
	u64 seen = 0;
	u16 kind = 0;

	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		switch (json_name(&r->in, name, names, ARRAY_SIZE(names), &seen)) {
		case 0:
			kind = (u16)json_number(&r->in, UINT16_MAX);
			break;
		case 1:
			hex = json_string(&r->in);
			json_value_hex(&r->in, hex, bytes, sizeof(bytes));
			break;
		}
	}
	json_need(&r->in, seen, 3);
	if (json_ok(&r->in) && block_list_insert(r->list, block, kind, bytes, (u32)(hex.len / 2)))
		json_fail(&r->in, DECODE_ROOM);
}

static u16 read_status(struct json_in *in)
{
	struct json_str word = json_string(in);

	for (u32 i = 0; i < STATUSES; i++) {
		if (json_str_is(word, status_word(i)))
			return (u16)i;
	}
	json_fail(in, DECODE_VALUE);
	return STATUS_FAILED;
}

/* A block behind `before` (NIL: the first) among the children of `parent`. */
static u32 append(struct reader *r, u32 parent, u32 layer, u32 before)
{
	struct block_list *list = r->list;
	u32 *head = parent == NIL ? &list->root : &block_at(list, parent)->dependent;
	u32 first = *head;
	u32 block;

	if (block_list_add(list, parent, layer, false, &block)) {
		json_fail(&r->in, DECODE_ROOM);
		return NIL;
	}
	if (before != NIL) { /* it was put in front */
		*head = first;
		block_at(list, block)->next = NIL;
		block_at(list, before)->next = block;
	}
	return block;
}

static void read_blocks(struct reader *r, u32 parent, u32 layer);

/* Depth of the recursion: LAYERS. */
static void read_block(struct reader *r, u32 block)
{
	static const char *const names[] = {"layer",    "status", "host",       "device", "detail",
	                                    "reparent", "state",  "dependents", "inserts"};
	struct block *b = block_at(r->list, block);
	struct json_str name;
	u64 seen = 0;

	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		switch (json_name(&r->in, name, names, ARRAY_SIZE(names), &seen)) {
		case 0:
			if (!json_str_is(json_string(&r->in),
			                 r->list->schema->layer[b->layer]->name))
				json_fail(&r->in, DECODE_SCHEMA);
			break;
		case 1:
			b->status = read_status(&r->in);
			break;
		case 2:
			b->host = json_value_handle(&r->in);
			break;
		case 3:
			b->device = json_value_handle(&r->in);
			break;
		case 4:
			b->detail = json_number(&r->in, UINT64_MAX);
			break;
		case 5:
			if (json_bool(&r->in))
				b->flags |= BLOCK_REPARENT;
			break;
		case 6:
			read_state(r, block);
			break;
		case 7:
			read_blocks(r, block, b->layer + 1u);
			break;
		case 8:
			json_expect(&r->in, '[');
			for (bool none = true; json_element(&r->in, &none);)
				read_insert(r, block);
			break;
		}
	}
	json_need(&r->in, seen, 1);
}

static void read_blocks(struct reader *r, u32 parent, u32 layer)
{
	u32 block = NIL;

	json_expect(&r->in, '[');
	for (bool first = true; json_element(&r->in, &first);) {
		if (layer == LAYERS) {
			json_fail(&r->in, DECODE_VALUE);
			return;
		}
		block = append(r, parent, layer, block);
		if (block == NIL)
			return;
		read_block(r, block);
	}
}

static void read_top(struct reader *r)
{
	static const char *const names[] = {"chimney", "version", "blocks"};
	struct json_str name;
	u64 seen = 0;

	json_expect(&r->in, '{');
	for (bool first = true; json_member(&r->in, &first, &name);) {
		switch (json_name(&r->in, name, names, ARRAY_SIZE(names), &seen)) {
		case 0:
			if (!json_str_is(json_string(&r->in), "blocks"))
				json_fail(&r->in, DECODE_MAGIC);
			break;
		case 1:
			if (json_number(&r->in, UINT64_MAX) != JSON_VERSION)
				json_fail(&r->in, DECODE_VERSION);
			break;
		case 2:
			json_need(&r->in, seen, 3);
			if (json_ok(&r->in))
				read_blocks(r, NIL, LAYER_NEIGHBOR);
			break;
		}
	}
	json_need(&r->in, seen, 7);
	if (json_peek(&r->in) || r->in.at < r->in.size)
		json_fail(&r->in, DECODE_TRAILING);
}

int json_read_list(struct block_list *list, const u8 *data, size_t size,
                   struct decode_error *ret_error)
{
	struct reader r = {.list = list};

	json_in_init(&r.in, data, size);
	read_top(&r);
	if (ret_error)
		*ret_error = r.in.error;
	if (json_ok(&r.in))
		return 0;
	block_list_put_data(list);
	block_list_reset(list);
	return -EBADMSG;
}

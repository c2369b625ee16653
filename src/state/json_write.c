/* SPDX-License-Identifier: BSD-2-Clause-Patent */
#include <errno.h>

#include "base/fmt.h"
#include "state/json.h"
#include "state/payload.h"
#include "state/schema.h"

enum {
	LINE_BYTES = 1024,
	TOKEN_BYTES = 256, /* more than anything that is added between two calls of room() */
	HEX_BYTES = 100,   /* payload bytes written at once */
};

#define EXACT_MAX (1ull << 53)

struct writer {
	struct fmt fmt;
	json_sink sink;
	void *context;
	int error;
	char line[LINE_BYTES];
};

static void flush(struct writer *w)
{
	if (!w->error && w->fmt.truncated) /* a name of a foreign schema is too long */
		w->error = -EINVAL;
	if (!w->error && fmt_len(&w->fmt))
		w->error = w->sink(w->context, w->line, fmt_len(&w->fmt));
	fmt_init(&w->fmt, w->line, LINE_BYTES);
}

static struct fmt *room(struct writer *w)
{
	if (fmt_len(&w->fmt) > LINE_BYTES - TOKEN_BYTES)
		flush(w);
	return &w->fmt;
}

static void put_str(struct writer *w, const char *s)
{
	fmt_str(room(w), s);
}

static void put_name(struct writer *w, const char *name)
{
	put_str(w, "\"");
	put_str(w, name);
	put_str(w, "\":");
}

static void put_number(struct writer *w, u64 v)
{
	if (v == UINT64_MAX) {
		put_str(w, "null");
		return;
	}
	if (v >= EXACT_MAX)
		put_str(w, "\"");
	fmt_u64(room(w), v);
	if (v >= EXACT_MAX)
		put_str(w, "\"");
}

static void put_handle(struct writer *w, const char *name, handle h)
{
	put_str(w, ",");
	put_name(w, name);
	put_str(w, "\"0x");
	fmt_hex(room(w), h, 16);
	put_str(w, "\"");
}

static u32 checked_count(struct writer *w, u32 n, u32 max)
{
	if (n <= max)
		return n;
	w->error = w->error ? w->error : -EINVAL;
	return 0;
}

static void put_payload(struct writer *w, const struct buf_pool *pool, const struct data_ref *ref)
{
	struct payload_in in;
	const u8 *bytes;
	u32 n;

	put_str(w, "\"");
	payload_in_init(&in, pool, ref);
	while ((n = payload_in_next(&in, &bytes))) {
		for (u32 done = 0; done < n; done += HEX_BYTES)
			fmt_hex_bytes(room(w), bytes + done, min_of(n - done, (u32)HEX_BYTES));
	}
	put_str(w, "\"");
	if (in.left)
		w->error = w->error ? w->error : -EINVAL;
}

static void put_ooo(struct writer *w, const struct buf_pool *pool, const struct ooo_refs *ooo)
{
	u32 n = checked_count(w, ooo->n, OOO_REFS_MAX);

	put_str(w, "[");
	for (u32 i = 0; i < n; i++) {
		put_str(w, i ? ",{\"seq\":" : "{\"seq\":");
		put_number(w, ooo->seg[i].seq.n);
		put_str(w, ",\"fin\":");
		put_number(w, ooo->seg[i].fin);
		put_str(w, ",\"data\":");
		put_payload(w, pool, &ooo->seg[i].data);
		put_str(w, "}");
	}
	put_str(w, "]");
}

static void put_ranges(struct writer *w, const struct seq_ranges *ranges)
{
	u32 n = checked_count(w, ranges->n, SEQ_RANGES_MAX);

	put_str(w, "[");
	for (u32 i = 0; i < n; i++) {
		put_str(w, i ? ",[" : "[");
		put_number(w, ranges->r[i].start.n);
		put_str(w, ",");
		put_number(w, ranges->r[i].end.n);
		put_str(w, "]");
	}
	put_str(w, "]");
}

static void put_vlans(struct writer *w, const struct vlan_stack *vlans)
{
	u32 n = checked_count(w, vlans->n, VLAN_DEPTH_MAX);

	put_str(w, "[");
	for (u32 i = 0; i < n; i++) {
		if (i)
			put_str(w, ",");
		put_number(w, vlans->tag[i]);
	}
	put_str(w, "]");
}

static void put_cc(struct writer *w, const struct cc_private *cc)
{
	put_str(w, "{\"type\":");
	put_number(w, cc->type);
	put_str(w, ",\"version\":");
	put_number(w, cc->version);
	put_str(w, ",\"bytes\":\"");
	fmt_hex_bytes(room(w), cc->bytes, checked_count(w, cc->len, CC_PRIVATE_BYTES));
	put_str(w, "\"}");
}

static void put_field(struct writer *w, const struct buf_pool *pool,
                      const struct schema_field *field, const void *state)
{
	const void *at = schema_at(field, state);
	u64 number;

	if (!schema_get(field, state, &number)) {
		put_number(w, number);
		return;
	}
	switch ((enum schema_type)field->type) {
	case SCHEMA_TYPE_vlan_stack:
		put_vlans(w, at);
		return;
	case SCHEMA_TYPE_seq_ranges:
		put_ranges(w, at);
		return;
	case SCHEMA_TYPE_cc_private:
		put_cc(w, at);
		return;
	case SCHEMA_TYPE_data_ref:
		put_payload(w, pool, at);
		return;
	case SCHEMA_TYPE_ooo_refs:
		put_ooo(w, pool, at);
		return;
	default:
		break;
	}
	put_str(w, "\"");
	if (field->type == SCHEMA_TYPE_mac_addr)
		fmt_mac(room(w), at);
	else
		fmt_ip(room(w), at);
	put_str(w, "\"");
}

static void put_class(struct writer *w, const struct block_list *list, const struct block *b,
                      enum state_class cls)
{
	const struct schema_layer *layer = list->schema->layer[b->layer];
	const void *state = block_list_state(list, b->layer, b->state);

	put_name(w, schema_class_name(cls));
	put_str(w, "{");
	for (u32 i = layer->first[cls]; i < layer->first[cls + 1]; i++) {
		if (i > layer->first[cls])
			put_str(w, ",");
		put_name(w, layer->fields[i].name);
		put_field(w, list->pool, &layer->fields[i], state);
	}
	put_str(w, "}");
}

static void put_inserts(struct writer *w, const struct block_list *list, u32 block)
{
	bool any = false;

	for (u32 i = 0; i < list->n_inserts; i++) {
		const struct block_insert *insert = &list->inserts[i];

		if (insert->block != block)
			continue;
		put_str(w, any ? ",{\"kind\":" : ",\"inserts\":[{\"kind\":");
		put_number(w, insert->kind);
		put_str(w, ",\"bytes\":\"");
		fmt_hex_bytes(room(w), insert->bytes,
		              checked_count(w, insert->len, BLOCK_INSERT_BYTES));
		put_str(w, "\"}");
		any = true;
	}
	if (any)
		put_str(w, "]");
}

static void put_block(struct writer *w, const struct block_list *list, u32 block)
{
	const struct block *b = block_at(list, block);
	bool comma = false;

	put_str(w, "{\"layer\":\"");
	put_str(w, list->schema->layer[b->layer]->name);
	put_str(w, "\",\"status\":\"");
	put_str(w, status_word(b->status));
	put_str(w, "\"");
	put_handle(w, "host", b->host);
	put_handle(w, "device", b->device);
	put_str(w, ",\"detail\":");
	put_number(w, b->detail);
	if (b->flags & BLOCK_REPARENT)
		put_str(w, ",\"reparent\":true");
	if (b->layer == LAYER_NEIGHBOR)
		put_inserts(w, list, block);
	if (b->state == NIL)
		return;
	put_str(w, ",\"state\":{");
	for (u32 cls = 0; cls < STATE_CLASSES; cls++) {
		if (!(b->flags >> cls & 1))
			continue;
		if (comma)
			put_str(w, ",");
		put_class(w, list, b, cls);
		comma = true;
	}
	put_str(w, "}");
}

int json_write_list(const struct block_list *list, json_sink sink, void *context)
{
	struct writer w = {.sink = sink, .context = context};
	struct block_walk walk;
	u32 depth = 0;

	fmt_init(&w.fmt, w.line, LINE_BYTES);
	put_str(&w, "{\"chimney\":\"blocks\",\"version\":1,\"blocks\":[");
	for (u32 i = block_walk_first(&walk, list); i != NIL && !w.error;
	     i = block_walk_next(&walk)) {
		if (walk.depth > depth) {
			put_str(&w, ",\"dependents\":[");
		} else if (i != list->root) {
			for (; depth > walk.depth; depth--)
				put_str(&w, "}]");
			put_str(&w, "},\n");
		}
		depth = walk.depth;
		put_block(&w, list, i);
	}
	for (; depth; depth--)
		put_str(&w, "}]");
	put_str(&w, list->root == NIL ? "]}\n" : "}]}\n");
	flush(&w);
	return w.error;
}
